//! Reads a plan's text back, for cases of passes. Takes what [`super::print`] prints, in its order.

use core::str::FromStr;

use super::print::{PLACES, RANKS, STEPS};
use super::{Act, Plan, Rank, Ranking, Selector, Step, Track, Walk};
use crate::hir::{Anchor, Place, Subject, Unit};

/// Reads a plan.
///
/// # Errors
/// The number of the line, and what is wrong there.
pub fn read(text: &str) -> Result<Plan, String> {
    let mut plan = Plan::default();
    for (at, line) in (1..).zip(text.lines()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first().is_some_and(|word| !word.starts_with(['#', ';'])) {
            read_line(&mut plan, &words).map_err(|error| format!("line {at}: {error}"))?;
        }
    }
    Ok(plan)
}

fn read_line(plan: &mut Plan, words: &[&str]) -> Result<(), String> {
    match words {
        [_, "of", of, "keeps", capacity, unit, "stepwise", "by", ranks @ ..] => {
            plan.rankings.push(ranking(of, capacity, unit, true, ranks)?);
        }
        [_, "of", of, "keeps", capacity, unit, "by", ranks @ ..] => {
            plan.rankings.push(ranking(of, capacity, unit, false, ranks)?);
        }
        [_, "in", of, rest @ ..] => {
            let in_flight = rest == ["in_flight"];
            plan.walks.push(Walk { place: place(of)?, in_flight, tracks: Vec::new() });
        }
        [pick, "from", walk, ranking] => {
            let chosen = (number(walk, "walk")?, number(ranking, "ranking")?);
            plan.picks[number(pick, "pick")?] = Some(chosen);
        }
        [ranking, unit, steps @ ..] if ranking.starts_with("ranking") => {
            let marks = ["per_cgroup:", "in_members:"];
            let [per_cgroup, in_members] = marks.map(|mark| {
                let exprs = steps.iter().filter_map(|word| word.strip_prefix(mark));
                exprs.map(|expr| number(expr, "expr")).collect::<Result<Vec<_>, _>>()
            });
            let marked = |word: &str| marks.iter().any(|mark| word.starts_with(mark));
            let steps = steps.iter().filter(|word| !marked(word)).map(|word| step(word));
            let track = Track {
                ranking: number(ranking, "ranking")?,
                unit: read_unit(unit)?,
                steps: steps.collect::<Result<_, _>>()?,
                per_cgroup: per_cgroup?,
                in_members: in_members?,
            };
            let walk = plan.walks.values_mut().next_back().ok_or("a track before any walk")?;
            walk.tracks.push(track);
        }
        [action, rest @ ..] => plan.acts[number(action, "action")?] = acts(rest)?,
        [] => {}
    }
    Ok(())
}

fn ranking(of: &str, capacity: &str, unit: &str, stepwise: bool, ranks: &[&str]) -> Result<Ranking, String> {
    let ranks = ranks.iter().map(|word| rank(word)).collect::<Result<_, _>>()?;
    let capacity = capacity.parse().map_err(|_| format!("`{capacity}` is no number"))?;
    Ok(Ranking { of: selector(of)?, unit: read_unit(unit)?, stepwise, capacity, ranks })
}

/// The number behind a word, as an id.
fn number<T: cranelift_entity::EntityRef>(text: &str, word: &str) -> Result<T, String> {
    let digits = text.strip_prefix(word).ok_or_else(|| format!("`{text}` is no {word}"))?;
    digits.parse().map(T::new).map_err(|_| format!("`{text}` is no {word}"))
}

fn selector(text: &str) -> Result<Selector, String> {
    number(text, "action").map(Selector::Kill).or_else(|_| number(text, "pick").map(Selector::Pick))
}

fn rank(word: &str) -> Result<Rank, String> {
    if let Some(index) = word.strip_prefix("key").and_then(|digits| usize::from_str(digits).ok()) {
        return Ok(Rank::Key(index));
    }
    known(RANKS, word)
}

fn step(word: &str) -> Result<Step, String> {
    match word.split_once(':') {
        Some(("member", of)) => place(of).map(Step::Member),
        Some(("bound", expr)) => number(expr, "expr").map(Step::Bound),
        _ => known(STEPS, word),
    }
}

fn known<T: Copy>(words: &[(T, &str)], word: &str) -> Result<T, String> {
    let found = words.iter().find(|(_, spelling)| *spelling == word).map(|(value, _)| *value);
    found.ok_or_else(|| format!("`{word}` is unknown"))
}

fn acts(words: &[&str]) -> Result<Vec<Act>, String> {
    let mut acts = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut next = || words.next().copied().ok_or_else(|| format!("`{word}` of what?"));
        acts.push(match *word {
            "run" => Act::Run(number(next()?, "walk")?),
            "wait" => Act::Wait(number(next()?, "walk")?),
            "take" => Act::Take(number(next()?, "ranking")?),
            "all" => Act::All,
            other => return Err(format!("`{other}` is no act")),
        });
    }
    Ok(acts)
}

fn read_unit(word: &str) -> Result<Unit, String> {
    match word {
        "process" => Ok(Unit::Process),
        "cgroup" => Ok(Unit::Cgroup),
        other => Err(format!("`{other}` is no unit")),
    }
}

fn place(text: &str) -> Result<Place, String> {
    let (word, of) = text.split_once(':').ok_or_else(|| format!("`{text}` is no place"))?;
    if word == "matching" {
        return number(of, "pattern").map(Place::Matching);
    }
    let make = known(PLACES, word)?;
    subject(of).map(make)
}

fn subject(text: &str) -> Result<Subject, String> {
    Ok(match text {
        "cgroup" => Subject::Anchor(Anchor::Cgroup),
        "parent" => Subject::Anchor(Anchor::Parent),
        "attached" => Subject::Anchor(Anchor::Attached),
        "oom" => Subject::Event,
        other => match other.strip_prefix("home:") {
            Some(binder) => Subject::Home(number(binder, "candidate")?),
            None if other.starts_with("parent:") => {
                Subject::Parent(number(other.trim_start_matches("parent:"), "candidate")?)
            }
            None if other.starts_with("pick") => Subject::Pick(number(other, "pick")?),
            None => Subject::Candidate(number(other, "candidate")?),
        },
    })
}

//! A plan as text, one line for each ranking, walk, track and action. [`super::read`] reads it back.

use core::fmt::{self, Write as _};

use super::{Act, Plan, Rank, Selector, Step, Track};
use crate::hir::{Anchor, Place, Subject, Unit};

/// Prints a plan.
#[must_use]
pub fn print(plan: &Plan) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(plan, &mut text);
    text
}

fn write(plan: &Plan, text: &mut String) -> fmt::Result {
    for (id, ranking) in plan.rankings.iter() {
        let of = match ranking.of {
            Selector::Kill(action) => action.to_string(),
            Selector::Pick(pick) => pick.to_string(),
        };
        write!(text, "{id} of {of} keeps {} {}", ranking.capacity, unit(ranking.unit))?;
        write!(text, "{} by", if ranking.stepwise { " stepwise" } else { "" })?;
        ranking.ranks.iter().try_for_each(|rank| write!(text, " {}", rank_word(*rank)))?;
        text.push('\n');
    }
    for (id, walk) in plan.walks.iter() {
        write!(text, "{id} in {}", place(walk.place))?;
        writeln!(text, "{}", if walk.in_flight { " in_flight" } else { "" })?;
        walk.tracks.iter().try_for_each(|track| write_track(track, text))?;
    }
    for (id, chosen) in plan.picks.iter() {
        if let Some((walk, ranking)) = chosen {
            writeln!(text, "{id} from {walk} {ranking}")?;
        }
    }
    for (id, acts) in plan.acts.iter().filter(|(_, acts)| !acts.is_empty()) {
        write!(text, "{id}")?;
        acts.iter().try_for_each(|act| match act {
            Act::Run(walk) => write!(text, " run {walk}"),
            Act::Wait(walk) => write!(text, " wait {walk}"),
            Act::Take(ranking) => write!(text, " take {ranking}"),
            Act::All => write!(text, " all"),
        })?;
        text.push('\n');
    }
    Ok(())
}

fn write_track(track: &Track, text: &mut String) -> fmt::Result {
    write!(text, "    {} {}", track.ranking, unit(track.unit))?;
    for step in &track.steps {
        match step {
            Step::Member(of) => write!(text, " member:{}", place(*of))?,
            Step::Bound(expr) => write!(text, " bound:{expr}")?,
            other => write!(text, " {}", step_word(*other))?,
        }
    }
    track.per_cgroup.iter().try_for_each(|expr| write!(text, " per_cgroup:{expr}"))?;
    track.in_members.iter().try_for_each(|expr| write!(text, " in_members:{expr}"))?;
    text.push('\n');
    Ok(())
}

/// The steps that are one word.
pub(super) const STEPS: &[(Step, &str)] = &[
    (Step::Lead, "lead"),
    (Step::Killable, "killable"),
    (Step::Living, "living"),
    (Step::Unprotected, "unprotected"),
    (Step::UnprotectedAbove, "unprotected_above"),
    (Step::UnprotectedGroup, "unprotected_group"),
    (Step::Members, "members"),
    (Step::Filter, "filter"),
    (Step::Offer, "offer"),
];

fn step_word(step: Step) -> &'static str {
    STEPS.iter().find(|(of, _)| *of == step).map_or("?", |(_, word)| word)
}

/// The keys that are one word.
pub(super) const RANKS: &[(Rank, &str)] = &[
    (Rank::Class, "class"),
    (Rank::Footprint, "footprint"),
    (Rank::Start, "start"),
    (Rank::Pid, "pid"),
    (Rank::Unreclaimable, "unreclaimable"),
    (Rank::UnreclaimableOfEquals, "unreclaimable_of_equals"),
    (Rank::Serial, "serial"),
];

fn rank_word(rank: Rank) -> String {
    match rank {
        Rank::Key(index) => format!("key{index}"),
        other => RANKS.iter().find(|(of, _)| *of == other).map_or("?", |(_, word)| word).to_owned(),
    }
}

pub(super) fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Process => "process",
        Unit::Cgroup => "cgroup",
    }
}

/// Makes a place of the cgroup that it begins at.
type MakePlace = fn(Subject) -> Place;

/// The words of places.
pub(super) const PLACES: &[(MakePlace, &str)] = &[
    (Place::Subtree, "subtree"),
    (Place::Children, "children"),
    (Place::Leaves, "leaves"),
    (Place::Cgroup, "only"),
];

fn place(place: Place) -> String {
    if let Place::Matching(pattern) = place {
        return format!("matching:{pattern}");
    }
    let of = place.of();
    let word = PLACES.iter().find(|(make, _)| make(of) == place).map_or("?", |(_, word)| word);
    format!("{word}:{}", subject(of))
}

fn subject(subject: Subject) -> String {
    match subject {
        Subject::Anchor(Anchor::Cgroup) => "cgroup".to_owned(),
        Subject::Anchor(Anchor::Parent) => "parent".to_owned(),
        Subject::Anchor(Anchor::Attached) => "attached".to_owned(),
        Subject::Candidate(binder) => binder.to_string(),
        Subject::Home(binder) => format!("home:{binder}"),
        Subject::Parent(binder) => format!("parent:{binder}"),
        Subject::Pick(pick) => pick.to_string(),
        Subject::Event => "oom".to_owned(),
    }
}

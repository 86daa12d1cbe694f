//! What an object says of its policy, for whoever has the object but not the policy's text.
//!
//! Reads the lines `key=value` of `.oomc.meta` (the compiler's `object/meta.rs` lists them). A line that says
//! something else than it should is left out: who reads these lines knows the object already.

use crate::fields::{Measure, Owner};
use crate::watch::{self, Block, Budget, Sample};

/// The key under which an object says for which page size it is made: in bytes.
pub const PAGE: &str = "page";

/// The declarations of a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// Of the policy.
    pub name: String,
    /// What can be changed while the policy is attached.
    pub params: Vec<Param>,
    /// In the order of their numbers.
    pub labels: Vec<Label>,
    /// Names of the rules, in order.
    pub rules: Vec<String>,
    /// Texts of reasons and notes; a value stands as a part of its own.
    pub messages: Vec<Vec<Part>>,
    /// Keys of each selection of a kill, in the order of comparison.
    pub selections: Vec<Vec<Key>>,
    /// What the candidates of each selection are.
    pub units: Vec<Owner>,
    /// The `on` blocks, in the order of their numbers.
    pub blocks: Vec<Block>,
    /// What is looked at again and again, in the order of the numbers.
    pub samples: Vec<Sample>,
    /// Of kills in blocks.
    pub budget: Option<Budget>,
}

/// A param and its range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param {
    /// As declared.
    pub name: String,
    /// Of its values.
    pub unit: Measure,
    /// What it is when nobody has set it.
    pub default: i64,
    /// Its smallest value.
    pub least: i64,
    /// Its largest value.
    pub most: i64,
}

/// A label and who may put it on a cgroup's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// As declared.
    pub name: String,
    /// Of its values.
    pub unit: Measure,
    /// What it is where nobody has put it.
    pub default: i64,
    /// Whose attribute counts.
    pub trust: Trust,
}

/// Whose extended attribute counts as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// On directories of root.
    Root,
    /// Also on directories of the owner of the attached cgroup.
    Owner,
    /// On every directory.
    Any,
}

impl Trust {
    /// Why an attribute does not count: somebody else could have written it. `uid` and `mode` are those of the
    /// directory, `owner` is whoever owns the attached cgroup's.
    #[must_use]
    pub fn refuses(self, uid: u32, mode: u32, owner: u32) -> Option<String> {
        const OTHERS_WRITE: u32 = 0o022;
        let (accepted, trusted) = match self {
            Self::Any => return None,
            Self::Root => (uid == 0, "root"),
            Self::Owner => (uid == 0 || uid == owner, "root or the owner of the attached cgroup"),
        };
        if !accepted {
            return Some(format!(
                "the directory belongs to user {uid}, and the policy trusts only {trusted}"
            ));
        }
        (mode & OTHERS_WRITE != 0).then(|| "others than its owner may write to the directory".to_owned())
    }
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// As written.
    Text(String),
    /// A value of this unit.
    Value(Measure),
}

/// A key of a selection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Of its values.
    pub unit: Measure,
    /// As written.
    pub text: String,
}

impl Declared {
    /// From lines, each a key and a value.
    pub fn read<'a>(lines: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut declared = Self::default();
        for (key, value) in lines {
            // None: the line does not say what it should.
            let _ = declared.line(key, value);
        }
        declared
    }

    fn line(&mut self, key: &str, value: &str) -> Option<()> {
        match key {
            "name" => value.clone_into(&mut self.name),
            "param" => self.params.push(param(value)?),
            "label" => self.labels.push(label(value)?),
            "rule" => self.rules.push(value.split_once(' ')?.1.to_owned()),
            "message" => self.messages.push(parts(value.split_once(' ')?.1)),
            "select" => self.units.push(match value.split_once(' ')?.1 {
                "process" => Owner::Process,
                "cgroup" => Owner::Cgroup,
                _ => return None,
            }),
            watch::BLOCK => self.blocks.push(Block::read(value)?),
            watch::SAMPLE => self.samples.push(Sample::read(value)?),
            watch::BUDGET => self.budget = Some(Budget::read(value)?),
            "key" => {
                let (selection, value) = value.split_once(' ')?;
                let (unit, text) = value.split_once(' ')?;
                let (selection, unit) = (selection.parse::<u16>().ok()?, unit_of(unit)?);
                let selection = usize::from(selection);
                if self.selections.len() <= selection {
                    self.selections.resize(selection + 1, Vec::new());
                }
                self.selections.get_mut(selection)?.push(Key { unit, text: text.to_owned() });
            }
            _ => {}
        }
        Some(())
    }

    /// A block by its number.
    #[must_use]
    pub fn block(&self, number: u64) -> Option<&Block> {
        self.blocks.iter().find(|block| block.number == number)
    }

    /// Whether a rule is outside of all blocks: it is asked when memory has run out.
    #[must_use]
    pub fn is_bare(&self, rule: usize) -> bool {
        !self.blocks.iter().any(|block| block.rules.contains(&rule))
    }

    /// A param by its name.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&Param> {
        self.params.iter().find(|param| param.name == name)
    }
}

/// `NAME TYPE DEFAULT LEAST MOST`
fn param(value: &str) -> Option<Param> {
    let mut words = value.split(' ');
    let (name, unit) = (words.next()?.to_owned(), unit_of(words.next()?)?);
    let mut number = || words.next()?.parse().ok();
    Some(Param { name, unit, default: number()?, least: number()?, most: number()? })
}

/// `NUMBER NAME TYPE DEFAULT TRUST`
fn label(value: &str) -> Option<Label> {
    let mut words = value.split(' ').skip(1);
    let (name, unit) = (words.next()?.to_owned(), unit_of(words.next()?)?);
    let default = words.next()?.parse().ok()?;
    let trust = match words.next()? {
        "root" => Trust::Root,
        "owner" => Trust::Owner,
        "any" => Trust::Any,
        _ => return None,
    };
    Some(Label { name, unit, default, trust })
}

/// Text with `{TYPE}` where a value stands.
fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, tail)) = rest.split_once('{') {
        let Some((unit, after)) = tail.split_once('}') else { break };
        let Some(unit) = unit_of(unit) else { break };
        parts.push(Part::Text(before.to_owned()));
        parts.push(Part::Value(unit));
        rest = after;
    }
    parts.push(Part::Text(rest.to_owned()));
    parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
    parts
}

fn unit_of(word: &str) -> Option<Measure> {
    Some(match word {
        "bytes" => Measure::Bytes,
        "ratio" => Measure::Ratio,
        "duration" => Measure::Duration,
        "count" => Measure::Count,
        "bool" => Measure::Bool,
        "text" => Measure::Text,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trust_looks_at_the_owner_and_at_who_else_may_write() {
        let ignored = |trust: Trust, uid, mode| trust.refuses(uid, mode, 1000).is_some();
        assert!(!ignored(Trust::Root, 0, 0o755));
        assert!(ignored(Trust::Root, 1000, 0o755));
        assert!(ignored(Trust::Root, 0, 0o775));
        assert!(!ignored(Trust::Owner, 0, 0o755));
        assert!(!ignored(Trust::Owner, 1000, 0o755));
        assert!(ignored(Trust::Owner, 1001, 0o755));
        assert!(ignored(Trust::Owner, 1000, 0o757));
        assert!(!ignored(Trust::Any, 1001, 0o777));
    }

    #[test]
    fn lines_become_declarations() {
        let lines = [
            ("name", "grow-then-kill"),
            ("param", "step ratio 250000 10000 1000000"),
            ("label", "0 tier count 100 root"),
            ("rule", "0 grow"),
            ("rule", "1 line 7"),
            ("message", "0 grown {count} times, {text} has {bytes}"),
            ("select", "0 cgroup"),
            ("select", "1 process"),
            ("key", "1 bytes footprint"),
            ("key", "1 duration age"),
            ("block", "1 1 2 0 - limit"),
            ("block", "2 broken"),
            ("sample", "0 cgroup pgscan rate"),
            ("budget", "3 600000000000"),
            ("param", "broken"),
            ("later", "words"),
        ];
        let declared = Declared::read(lines);
        assert_eq!(declared.name, "grow-then-kill");
        assert_eq!(declared.param("step").map(|param| (param.least, param.most)), Some((10_000, 1_000_000)));
        assert_eq!(declared.params.len(), 1);
        assert_eq!(declared.labels.first().map(|label| label.trust), Some(Trust::Root));
        assert_eq!(declared.rules, ["grow", "line 7"]);
        assert_eq!(declared.units, [Owner::Cgroup, Owner::Process]);
        assert_eq!((declared.blocks.len(), declared.samples.len()), (1, 1));
        assert!(declared.is_bare(0) && !declared.is_bare(1) && declared.budget.is_some());
        let message = declared.messages.first().map(Vec::as_slice);
        let text = |text: &str| Part::Text(text.to_owned());
        let parts = [
            text("grown "),
            Part::Value(Measure::Count),
            text(" times, "),
            Part::Value(Measure::Text),
            text(" has "),
            Part::Value(Measure::Bytes),
        ];
        assert_eq!(message, Some(parts.as_slice()));
        let keys: Vec<&str> = declared.selections.iter().flatten().map(|key| key.text.as_str()).collect();
        assert_eq!((declared.selections.len(), keys), (2, vec!["footprint", "age"]));
    }
}

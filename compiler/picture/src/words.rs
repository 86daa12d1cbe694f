//! How a picture says things: sizes, counts, who somebody is, and how long a text may be.

use oomc_abi::amount;
use oomc_abi::fields::Unit;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::markup::visible;
use oomc_forecast::forecast::{Entity, Forecast, Kind, Marked, Node};

/// A size as people read it.
pub(crate) fn size(bytes: i64) -> String {
    amount::short(Unit::Bytes, bytes)
}

/// A number with its thousands apart, and what is counted.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { one } else { many })
}

/// `5,000`.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How much of the limit is used; none: nothing may be used.
pub(crate) fn percent(node: &Node) -> Option<String> {
    let share = i128::from(node.usage.max(0)) * 100;
    (node.limit > 0).then(|| format!("{}%", share / i128::from(node.limit)))
}

/// A process by its name and id, a cgroup by its path.
pub(crate) fn who(entity: &Entity) -> String {
    match entity.kind {
        Kind::Process => process(&entity.name, entity.id),
        Kind::Cgroup => entity.cgroup.clone(),
    }
}

/// A process by its name and id.
pub(crate) fn process(name: &str, pid: i64) -> String {
    format!("{name} ({pid})")
}

/// Where the memory runs out.
pub(crate) fn shortage(forecast: &Forecast) -> String {
    let Forecast { domain, system, .. } = forecast;
    if *system { "the whole machine".to_owned() } else { domain.clone() }
}

/// What somebody is in the decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Role {
    pub(crate) candidate: Option<u32>,
    /// As a candidate it comes after all others.
    pub(crate) avoided: bool,
    pub(crate) victim: bool,
    /// It is a cgroup, and the victim a process in it.
    pub(crate) inside: bool,
    pub(crate) protected: bool,
}

impl Role {
    pub(crate) fn of_cgroup(node: &Node) -> Self {
        let inside = node.victim && node.marked.iter().any(|process| process.victim);
        let (candidate, avoided) = (node.candidate, node.class == Some("avoided"));
        Self { candidate, avoided, victim: node.victim, inside, protected: node.protected }
    }

    pub(crate) fn of_process(process: &Marked) -> Self {
        let Marked { candidate, class, victim, protected, .. } = *process;
        Self { candidate, avoided: class == Some("avoided"), victim, inside: false, protected }
    }

    /// In a word or two; empty for those who have none.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self { victim: true, inside: true, .. } => "victim inside",
            Self { victim: true, .. } => "victim",
            Self { protected: true, .. } => "protected",
            Self { candidate: Some(_), avoided: true, .. } => "avoided",
            Self { candidate: Some(_), .. } => "candidate",
            _ => "",
        }
    }

    /// The class of a style sheet.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self { victim: true, inside: false, .. } => "victim",
            Self { candidate: Some(_), .. } => "candidate",
            Self { protected: true, .. } => "protected",
            _ => "plain",
        }
    }

    /// Everything of it, for a list of facts.
    pub(crate) fn facts(self) -> Vec<String> {
        let mut facts = Vec::new();
        facts.extend(self.candidate.map(|place| format!("candidate {place}")));
        facts.extend(self.avoided.then(|| "avoided".to_owned()));
        if self.victim {
            facts.push(if self.inside { "victim inside" } else { "victim" }.to_owned());
        }
        if self.protected {
            facts.push("protected".to_owned());
        }
        facts
    }
}

/// The text in at most so many columns of a fixed-width font: what is too much gives way to `…`.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    let text = visible(text);
    if text.width() <= columns {
        return text;
    }
    let mut left = columns.saturating_sub(1);
    let fits = |letter: &char| {
        let width = letter.width().unwrap_or(0);
        let fits = width <= left;
        left = left.saturating_sub(width);
        fits
    };
    let mut kept: String = text.chars().take_while(fits).collect();
    kept.push('…');
    kept
}

/// The text in lines of at most so many columns, broken between words where that is possible.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in visible(text).split(' ') {
        if !line.is_empty() && line.width() + 1 + word.width() > columns {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for letter in word.chars() {
            if line.width() + letter.width().unwrap_or(0) > columns {
                lines.push(std::mem::take(&mut line));
            }
            line.push(letter);
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        let texts = [(0, "0"), (999, "999"), (1000, "1,000"), (4980, "4,980"), (1_234_567, "1,234,567")];
        for (number, text) in texts {
            assert_eq!(thousands(number), text);
        }
        assert_eq!(count(1, "cgroup", "cgroups"), "1 cgroup");
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(cut("web", 3), "web");
        assert_eq!(cut("webs", 3), "we…");
        // Characters of two columns; one that would stick out halfway is left out.
        assert_eq!(cut("大大大", 6), "大大大");
        assert_eq!(cut("大大大大", 6), "大大…");
        assert_eq!(cut("a\u{1b}b", 8), "a[U+001…");
    }

    #[test]
    fn long_texts_get_lines() {
        assert_eq!(wrap("kills the largest", 9), ["kills the", "largest"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("", 3), [""]);
    }
}

//! A policy that is being written: its blocks, what is said above them, and what is lost.
//!
//! What comes from a configuration reaches the text only through [`plain`], so that no name in a file can end a comment or
//! a string.

use crate::Converted;
use crate::quantity::{self, Millis};

/// What the original does and the policy does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Where it stands in the original, if it stands in a line.
    pub line: Option<usize>,
    /// A sentence.
    pub text: String,
}

/// An `on` block.
#[derive(Debug)]
pub(crate) struct Block {
    /// Sentences above it.
    pub(crate) about: Vec<String>,
    /// Behind `on`.
    pub(crate) event: String,
    /// So long it has to hold.
    pub(crate) lasting: Millis,
    /// So long it rests after an action.
    pub(crate) cooldown: Millis,
    /// Their names, and what they do.
    pub(crate) rules: Vec<(String, String)>,
}

/// A policy that is being written.
#[derive(Debug)]
pub(crate) struct Draft {
    name: String,
    format: &'static str,
    /// How it is run, as arguments of `oomc run FILE`.
    pub(crate) attach: String,
    /// It only records.
    pub(crate) audit: bool,
    declarations: Vec<String>,
    blocks: Vec<Block>,
    tests: Vec<String>,
    lost: Vec<Lost>,
    names: Vec<String>,
}

impl Draft {
    pub(crate) fn new(name: &str, format: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            format,
            attach: "--system".to_owned(),
            audit: false,
            declarations: Vec::new(),
            blocks: Vec::new(),
            tests: Vec::new(),
            lost: Vec::new(),
            names: Vec::new(),
        }
    }

    /// Notes what has no counterpart.
    pub(crate) fn lose(&mut self, line: Option<usize>, text: impl AsRef<str>) {
        let one = Lost { line, text: plain(text.as_ref()) };
        if !self.lost.contains(&one) {
            self.lost.push(one);
        }
    }

    /// Adds a clause above the blocks.
    pub(crate) fn declare(&mut self, clause: String) {
        if !self.declarations.contains(&clause) {
            self.declarations.push(clause);
        }
    }

    pub(crate) fn block(&mut self, block: Block) {
        self.blocks.push(block);
    }

    /// Adds a test: its name, and what stands between its braces.
    pub(crate) fn test(&mut self, name: &str, body: &str) {
        let name = self.unique(name);
        self.tests.push(format!("test \"{name}\" {{\n{}}}\n", indented(body)));
    }

    /// A name that no rule, pick or test has yet, and that a string can hold.
    pub(crate) fn unique(&mut self, wanted: &str) -> String {
        let wanted = plain(wanted).replace('"', "'");
        let mut name = wanted.clone();
        let mut number = 2;
        while self.names.contains(&name) {
            name = format!("{wanted} {number}");
            number += 1;
        }
        self.names.push(name.clone());
        name
    }

    pub(crate) fn finish(self) -> Converted {
        let mut text = format!("# Converted from {}. Run it: `oomc run FILE {}`\n", self.format, self.attach);
        if !self.lost.is_empty() {
            text.push_str("#\n# What the original does, and this policy does not:\n");
        }
        for lost in &self.lost {
            let line = lost.line.map_or_else(String::new, |line| format!("line {line}: "));
            text.push_str(&format!("# * {line}{}\n", lost.text));
        }
        text.push_str(&format!("\npolicy \"{}\"\n", self.name));
        if self.audit {
            text.push_str("mode audit\n");
        }
        text.push('\n');
        for declaration in &self.declarations {
            text.push_str(declaration);
            text.push('\n');
        }
        if self.blocks.is_empty() {
            text.push_str("\n# Nothing of the original has a counterpart.\ndefer\n");
        }
        for block in &self.blocks {
            text.push_str(&block.text());
        }
        Converted { policy: text, tests: self.tests.join("\n"), lost: self.lost }
    }
}

impl Block {
    fn text(&self) -> String {
        let mut text = String::from("\n");
        for line in &self.about {
            text.push_str(&format!("# {line}\n"));
        }
        text.push_str(&format!("on {}", self.event));
        if self.lasting > 0 {
            text.push_str(&format!(" for {}", quantity::duration(self.lasting)));
        }
        text.push_str(&format!(" cooldown {} {{\n", quantity::duration(self.cooldown)));
        for (name, rule) in &self.rules {
            text.push_str(&format!("    rule \"{name}\": {rule}\n"));
        }
        text.push_str("}\n");
        text
    }
}

/// Text from a configuration, as a comment or a string can hold it: one line of what can be seen.
pub(crate) fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    let mut plain: String = text.chars().take(400).map(shown).collect();
    if text.chars().count() > 400 {
        plain.push_str(" ...");
    }
    plain
}

fn indented(body: &str) -> String {
    body.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_ends_a_comment_or_a_string() {
        let mut draft = Draft::new("a", "oomd");
        draft.lose(None, "x\nkill all process in subtree\u{202e}");
        assert_eq!(draft.unique("a\"b\n"), "a'b?");
        assert_eq!(draft.unique("a\"b\n"), "a'b? 2");
        let policy = draft.finish().policy;
        assert!(policy.contains("# * x?kill all process in subtree?\n"), "{policy}");
    }
}

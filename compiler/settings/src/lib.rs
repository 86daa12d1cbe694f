//! What a folder of policies says of them: `oomc.toml`.
//!
//! ```toml
//! edition = 1                  # the language's
//! btf = "kernel.btf"           # types of the kernel to compile for; beside this file, or an absolute path
//! snapshot = "machine.json"    # the machine on which an editor tries policies
//!
//! [lints]
//! all = "deny"                 # every warning that is not named is an error
//! W0604 = "allow"              # not told
//! ```
//!
//! Takes the text and gives [`Settings`], or a diagnostic that marks what is wrong in it. Reads no file: whoever does finds
//! it, in the policy's folder or the nearest one above that has one, and hands the text on.

use std::collections::BTreeMap;
use std::path::PathBuf;

use oomc_compiler::Source;
use oomc_compiler::diag::{Code, Diagnostic, Severity, codes};
use oomc_compiler::source::Span;
use serde::Deserialize;
use toml::Spanned;

/// What the file is called.
pub const NAME: &str = "oomc.toml";

/// The longest file, in bytes: more than all lints take.
pub const MAX_BYTES: usize = 64 << 10;

/// The edition of the language that this compiler knows.
pub const EDITION: i64 = 1;

/// The word for all lints that are not named.
const ALL: &str = "all";

/// What becomes of a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// It is not told.
    Allow,
    /// It is told.
    Warn,
    /// It is an error.
    Deny,
}

impl Level {
    /// Each of them.
    pub const EACH: [Self; 3] = [Self::Allow, Self::Warn, Self::Deny];

    /// As the file has it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Warn => "warn",
            Self::Deny => "deny",
        }
    }
}

/// What is said of the policies in a folder.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// Types of the kernel to compile for, as the file has it.
    pub btf: Option<PathBuf>,
    /// The machine on which an editor tries policies, as the file has it.
    pub snapshot: Option<PathBuf>,
    /// What is said of all warnings that are not named.
    all: Option<Level>,
    named: Vec<(Code, Level)>,
}

/// As the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    edition: Option<Spanned<i64>>,
    btf: Option<PathBuf>,
    snapshot: Option<PathBuf>,
    #[serde(default)]
    lints: BTreeMap<Spanned<String>, Spanned<String>>,
}

impl Settings {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(source: &Source) -> Result<Self, Vec<Diagnostic>> {
        if source.text.len() > MAX_BYTES {
            let message = format!("`{NAME}` is larger than {} KiB", MAX_BYTES >> 10);
            return Err(vec![Diagnostic::new(codes::SETTINGS, message)]);
        }
        let written: Written = toml::from_str(&source.text).map_err(|error| vec![unread(&error)])?;
        let mut problems = Vec::new();
        if let Some(edition) = written.edition.as_ref().filter(|edition| *edition.get_ref() != EDITION) {
            let message = format!("there is no edition {} of the language", edition.get_ref());
            problems.push(wrong(message, edition, format!("this oomc knows edition {EDITION}")));
        }
        let mut settings =
            Self { btf: written.btf, snapshot: written.snapshot, all: None, named: Vec::new() };
        for (code, level) in &written.lints {
            match (lint(code), level_of(level)) {
                (Ok(None), Ok(level)) => settings.all = Some(level),
                (Ok(Some(code)), Ok(level)) => settings.named.push((code, level)),
                (code, level) => problems.extend(code.err().into_iter().chain(level.err())),
            }
        }
        if problems.is_empty() { Ok(settings) } else { Err(problems) }
    }

    /// Makes an error of each warning of which nothing else is said.
    #[must_use]
    pub fn denying(mut self) -> Self {
        self.all = Some(Level::Deny);
        self
    }

    /// What becomes of a warning.
    #[must_use]
    pub fn level(&self, code: Code) -> Level {
        let named = self.named.iter().find(|(known, _)| *known == code);
        named.map(|(_, level)| *level).or(self.all).unwrap_or(Level::Warn)
    }

    /// Diagnostics as they are told under these settings. What is an error stays one.
    #[must_use]
    pub fn told(&self, diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let told = diagnostics.into_iter().filter_map(|mut one| {
            if one.severity == Severity::Warning {
                match self.level(one.code) {
                    Level::Allow => return None,
                    Level::Warn => {}
                    Level::Deny => one.severity = Severity::Error,
                }
            }
            Some(one)
        });
        told.collect()
    }
}

/// The lint that a key names; nothing for all of them.
fn lint(key: &Spanned<String>) -> Result<Option<Code>, Diagnostic> {
    let text = key.get_ref();
    if text == ALL {
        return Ok(None);
    }
    match Code::find(text) {
        Some(code) if code.severity() == Severity::Warning => Ok(Some(code)),
        Some(code) => {
            let message = format!("`{code}` is an error, and errors cannot be allowed");
            Err(wrong(message, key, "not a warning".to_owned()))
        }
        None => {
            let message = format!("there is no lint `{text}`");
            let help =
                "write the code of a warning, for example `W0604`, or `all`; `oomc explain` lists them";
            Err(wrong(message, key, "unknown".to_owned()).help(help))
        }
    }
}

fn level_of(level: &Spanned<String>) -> Result<Level, Diagnostic> {
    let found = Level::EACH.into_iter().find(|known| known.word() == level.get_ref());
    found.ok_or_else(|| {
        let words = Level::EACH.map(|level| format!("`\"{}\"`", level.word())).join(", ");
        let message = format!("`{}` says nothing of a lint", level.get_ref());
        wrong(message, level, "unknown".to_owned()).help(format!("write one of {words}"))
    })
}

fn wrong<T>(message: String, at: &Spanned<T>, label: String) -> Diagnostic {
    Diagnostic::new(codes::SETTINGS, message).label(Span::new(at.span()), label)
}

/// What keeps a text from being settings at all.
fn unread(error: &toml::de::Error) -> Diagnostic {
    let reason = error.message().replace('\n', " ");
    let diagnostic = Diagnostic::new(codes::SETTINGS, format!("`{NAME}` cannot be read"));
    match error.span() {
        Some(span) => diagnostic.label(Span::new(span), reason),
        None => diagnostic.note(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, Vec<String>> {
        let source = Source::new(NAME, text);
        Settings::read(&source).map_err(|problems| {
            let told = |one: Diagnostic| {
                let marked = one.span().and_then(|span| text.get(span.range())).unwrap_or_default();
                format!("{} {} [{marked}]", one.code, one.message)
            };
            problems.into_iter().map(told).collect()
        })
    }

    #[test]
    fn an_empty_file_changes_nothing() {
        assert_eq!(read(""), Ok(Settings::default()));
        assert_eq!(Settings::default().level(codes::UNUSED_CONST), Level::Warn);
    }

    #[test]
    fn a_named_lint_is_stronger_than_all() {
        let settings = read("edition = 1\nbtf = \"a.btf\"\n[lints]\nall = \"deny\"\nw0604 = \"allow\"")
            .unwrap_or_default();
        assert_eq!(settings.level(codes::UNUSED_CONST), Level::Allow);
        assert_eq!(settings.level(codes::NO_RISE), Level::Deny);
        assert_eq!(settings.denying().level(codes::UNUSED_CONST), Level::Allow);
    }

    #[test]
    fn what_is_told_is_what_the_lints_say() {
        let settings = read("[lints]\nW0604 = \"allow\"\nW0606 = \"deny\"").unwrap_or_default();
        let all = [codes::UNUSED_CONST, codes::NO_RISE, codes::UNBOUNDED, codes::SYNTAX];
        let told = settings.told(all.map(|code| Diagnostic::new(code, "x")).into());
        let told: Vec<(&str, Severity)> = told.iter().map(|one| (one.code.id(), one.severity)).collect();
        let expected = [("W0606", Severity::Error), ("W0602", Severity::Warning), ("E0101", Severity::Error)];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_is_wrong_is_marked() {
        let cases = [
            ("edition = 2", "E0117 there is no edition 2 of the language [2]"),
            ("[lints]\nW9999 = \"deny\"", "E0117 there is no lint `W9999` [W9999]"),
            ("[lints]\nE0101 = \"allow\"", "E0117 `E0101` is an error, and errors cannot be allowed [E0101]"),
            ("[lints]\nall = \"forbid\"", "E0117 `forbid` says nothing of a lint [\"forbid\"]"),
            ("bft = \"x\"", "E0117 `oomc.toml` cannot be read [bft]"),
            ("edition = \"1\"", "E0117 `oomc.toml` cannot be read [\"1\"]"),
        ];
        for (text, problem) in cases {
            assert_eq!(read(text), Err(vec![problem.to_owned()]), "{text}");
        }
    }

    #[test]
    fn hostile_texts_are_refused() {
        for text in
            ["[", "\u{0}", "a = ".repeat(9).as_str(), &"[".repeat(20_000), &"a.".repeat(20_000), "lints = 3"]
        {
            let found = read(text);
            assert!(
                found.is_err_and(|problems| problems.iter().all(|one| one.starts_with("E0117"))),
                "{text:.20}"
            );
        }
        assert!(read(&"#".repeat(MAX_BYTES + 1)).is_err());
    }
}

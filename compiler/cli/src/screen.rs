//! What a terminal, or whoever else reads text, can be shown.
//!
//! Owns the decision on colours, letters and width, and the escapes by which what stands in a file cannot steer a
//! terminal. Knows nothing of policies.

use std::borrow::Cow;
use std::env;
use std::io::{self, IsTerminal as _};

use oomc_abi::shown::{escaped, hides};

use crate::args::Color;

/// Columns of a picture where nobody says how many there are.
const COLUMNS: usize = 120;

/// The fewest columns in which something is drawn.
const FEWEST: usize = 24;

/// What standard error can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Screen {
    /// Colours, as ANSI escapes.
    pub(crate) color: bool,
    /// Letters and lines beyond ASCII.
    pub(crate) unicode: bool,
    /// Columns; of a file and of a pipe only if `COLUMNS` says so, since text that programs search is not broken.
    pub(crate) columns: Option<usize>,
}

impl Screen {
    /// As the environment says.
    pub(crate) fn new(color: Color) -> Self {
        let terminal = io::stderr().is_terminal();
        let set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        let color = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !dumb && !set("NO_COLOR"),
        };
        let asked = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let measured = || {
            let size = terminal.then(|| terminal_size::terminal_size_of(io::stderr())).flatten();
            size.map(|(terminal_size::Width(columns), _)| usize::from(columns))
        };
        let columns = asked.or_else(measured).map(|columns: usize| columns.max(FEWEST));
        Self { color, unicode: terminal && !dumb && speaks_utf8(), columns }
    }

    /// Columns of a picture.
    pub(crate) fn width(self) -> usize {
        self.columns.unwrap_or(COLUMNS)
    }

    /// Text from anywhere as it may be shown here: in one line.
    pub(crate) fn line(self, text: &str) -> Cow<'_, str> {
        let safe = harmless(text, false);
        if self.unicode || self.pipe() { safe } else { Cow::Owned(in_ascii(&safe)) }
    }

    /// Whoever reads a file or a pipe reads UTF-8, whatever the terminal speaks.
    fn pipe(self) -> bool {
        !io::stderr().is_terminal()
    }

    /// Breaks a text at spaces into lines of at most so many columns; not at all where the columns are not known.
    pub(crate) fn wrap(self, text: &str, indent: usize) -> Vec<String> {
        let Some(columns) = self.columns else { return vec![text.to_owned()] };
        let room = columns.saturating_sub(indent).max(FEWEST / 2);
        let mut lines: Vec<String> = vec![String::new()];
        for word in text.split(' ') {
            let Some(line) = lines.last_mut() else { break };
            if !line.is_empty() && width(line) + 1 + width(word) > room {
                lines.push(word.to_owned());
            } else {
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
        }
        lines
    }
}

/// Whether the locale's letters are those of UTF-8; the first variable that is set decides.
fn speaks_utf8() -> bool {
    let locale =
        ["LC_ALL", "LC_CTYPE", "LANG"].iter().filter_map(env::var_os).find(|value| !value.is_empty());
    locale.is_some_and(|locale| {
        let locale = locale.to_string_lossy().to_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

/// Columns that a text takes.
pub(crate) fn width(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

/// Text from anywhere in which nothing steers a terminal: such a letter stands as `\u{1b}`. Tabs stay; ends of lines
/// stay if they are wanted.
pub(crate) fn harmless(text: &str, lines: bool) -> Cow<'_, str> {
    escaped(text, |letter| letter == '\t' || (lines && letter == '\n'))
}

/// A document in JSON whose strings cannot steer a terminal either: JSON has an escape for each such letter.
pub(crate) fn harmless_json(document: &serde_json::Value) -> String {
    let mut safe = String::new();
    for letter in document.to_string().chars() {
        if hides(letter) {
            safe.push_str(&format!("\\u{:04x}", u32::from(letter)));
        } else {
            safe.push(letter);
        }
    }
    safe
}

/// Text for a terminal that knows ASCII only.
fn in_ascii(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            letter if letter.is_ascii() => shown.push(letter),
            '…' => shown.push_str("..."),
            '–' | '−' => shown.push('-'),
            letter => shown.push_str(&format!("\\u{{{:x}}}", u32::from(letter))),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_a_terminal() {
        assert_eq!(harmless("plain\ttext", false), "plain\ttext");
        assert_eq!(harmless("a\u{1b}[31mb\n", true), "a\\u{1b}[31mb\n");
        assert_eq!(harmless("a\r\nb", false), "a\\u{d}\\u{a}b");
        assert_eq!(harmless("\u{202e}x\u{9b}\u{feff}", false), "\\u{202e}x\\u{9b}\\u{feff}");
    }

    #[test]
    fn nor_does_json() {
        let document = serde_json::json!({ "a\u{9b}": "\u{1b}\u{7f}\u{202e}é" });
        let text = harmless_json(&document);
        assert_eq!(text, "{\"a\\u009b\":\"\\u001b\\u007f\\u202eé\"}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), document);
    }

    #[test]
    fn ascii_only() {
        assert_eq!(in_ascii("{ … } −5 é"), "{ ... } -5 \\u{e9}");
    }

    #[test]
    fn words_are_kept_whole() {
        let screen = Screen { color: false, unicode: false, columns: Some(24) };
        assert_eq!(
            screen.wrap("write a unit, for example `16MiB`", 4),
            ["write a unit, for", "example `16MiB`"]
        );
        let anywhere = Screen { columns: None, ..screen };
        assert_eq!(anywhere.wrap("as long as it is", 4), ["as long as it is"]);
    }
}

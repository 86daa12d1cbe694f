//! Draws a diagnostic for people: what it is, where it stands, the line with marks below it, what to write instead.
//!
//! ```text
//! error[E0302]: cannot compare `footprint` (bytes) with a number
//!  --> job.oom:1:45
//!   |
//! 1 | kill largest process in subtree where footprint > 4096
//!   |                                                   ^^^^ this has no unit
//!   = help: write a unit, for example `16MiB`
//! ```
//!
//! Takes a diagnostic with its text and what can be shown; gives lines. Columns count characters, as editors do. Of a
//! line that is too long the part around the mark is shown. Prints nothing.

use oomc_compiler::Source;
use oomc_compiler::diag::{Diagnostic, Label, Severity};
use oomc_compiler::source::Span;
use unicode_width::UnicodeWidthChar as _;

use crate::screen::{Screen, harmless, width};

/// What a tab is shown as.
const TAB: &str = "    ";

/// Line and column of a byte, both from 1; the column counts characters.
pub(crate) fn place(source: &Source, offset: u32) -> (u32, u32) {
    let (line, column) = source.line_column(offset);
    let before = source.line(line).get(..column.saturating_sub(1) as usize);
    // Behind the line, at its end: what is there counts as one character.
    let characters =
        before.map_or_else(|| source.line(line).chars().count() + 1, |text| text.chars().count());
    (line, characters as u32 + 1)
}

/// `error` or `warning`.
pub(crate) fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// The picture of a diagnostic, with an empty line behind it.
pub(crate) fn draw(source: &Source, diagnostic: &Diagnostic, screen: Screen) -> String {
    let mut labels: Vec<(bool, &Label)> =
        diagnostic.labels.iter().enumerate().map(|(at, label)| (at == 0, label)).collect();
    labels.sort_by_key(|(_, label)| (source.line_column(label.span.start).0, label.span.start));
    let last = labels.last().map_or(0, |(_, label)| source.line_column(label.span.start).0);
    let gutter = if labels.is_empty() { 0 } else { last.to_string().len() };
    let mut picture = Picture { screen, gutter, lines: Vec::new() };
    picture.head(diagnostic);
    if let Some(span) = diagnostic.span() {
        picture.place(source, span);
        picture.source(source, &labels, diagnostic.severity);
    } else if !source.name.is_empty() {
        let arrow = picture.paint(BLUE, "-->");
        picture.lines.push(format!(" {arrow} {}", screen.line(&source.name)));
    }
    if let Some(help) = &diagnostic.help {
        picture.remark("help", help);
    }
    for note in &diagnostic.notes {
        picture.remark("note", note);
    }
    picture.lines.push(String::new());
    picture.lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

const RED: &str = "1;31";
const YELLOW: &str = "1;33";
const BLUE: &str = "1;34";
const BOLD: &str = "1";

struct Picture {
    screen: Screen,
    /// Columns of the largest number of a line.
    gutter: usize,
    lines: Vec<String>,
}

impl Picture {
    fn paint(&self, color: &str, text: &str) -> String {
        if self.screen.color { format!("\u{1b}[{color}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn bar(&self) -> &'static str {
        if self.screen.unicode { "│" } else { "|" }
    }

    fn head(&mut self, diagnostic: &Diagnostic) {
        let word = format!("{}[{}]", word(diagnostic.severity), diagnostic.code.id());
        let message = self.screen.line(&diagnostic.message).into_owned();
        let wrapped = self.screen.wrap(&format!("{word}: {message}"), 0);
        for (at, line) in wrapped.iter().enumerate() {
            let line = match (at, line.strip_prefix(&word)) {
                (0, Some(rest)) => self.paint(color(diagnostic.severity), &word) + &self.paint(BOLD, rest),
                _ => self.paint(BOLD, line),
            };
            self.lines.push(line);
        }
    }

    fn place(&mut self, source: &Source, span: Span) {
        let (line, column) = place(source, span.start);
        let arrow = self.paint(BLUE, "-->");
        let name = self.screen.line(&source.name).into_owned();
        self.lines.push(format!("{:width$}{arrow} {name}:{line}:{column}", "", width = self.gutter));
        self.row(None, "");
    }

    /// A row of the picture, with the number of a line or without.
    fn row(&mut self, number: Option<u32>, text: &str) {
        let number = number.map(|number| number.to_string()).unwrap_or_default();
        let edge = self.paint(BLUE, &format!("{number:>width$} {}", self.bar(), width = self.gutter));
        self.lines.push(format!("{edge} {text}"));
    }

    /// Each line that has marks, with its marks.
    fn source(&mut self, source: &Source, labels: &[(bool, &Label)], severity: Severity) {
        let room = self.screen.width().saturating_sub(self.gutter + 3).max(12);
        let mut shown: Option<(u32, Window)> = None;
        for (primary, label) in labels {
            let number = source.line_column(label.span.start).0;
            let line = Shown::new(source.line(number), self.screen);
            let (start, end) = marked(source, label.span, number, &line);
            let reuse = shown.filter(|(of, window)| *of == number && window.holds(start, end));
            let window = match reuse {
                Some((_, window)) => window,
                None => {
                    let window = Window::around(start, end, line.columns(), room);
                    let text = window.cut(&line, self.screen.unicode);
                    self.row(Some(number), &text);
                    window
                }
            };
            shown = Some((number, window));
            self.mark(label, window.place(start), window.place(end), *primary, severity);
        }
    }

    /// The row with the mark and its words; below the mark if there is no room beside it.
    fn mark(&mut self, label: &Label, start: usize, end: usize, primary: bool, severity: Severity) {
        let sign = if primary { "^" } else { "-" };
        let color = if primary { color(severity) } else { BLUE };
        let mark = self.paint(color, &sign.repeat(end.saturating_sub(start).max(1)));
        let before = " ".repeat(start);
        let words = self.screen.line(&label.text).into_owned();
        let behind = self.gutter + 4 + end;
        if self.screen.columns.is_none_or(|columns| behind + width(&words) <= columns) {
            let words = self.paint(color, &words);
            self.row(None, &format!("{before}{mark} {words}"));
            return;
        }
        self.row(None, &format!("{before}{mark}"));
        let indent = start.min(8);
        for line in self.screen.wrap(&words, self.gutter + 3 + indent) {
            let line = self.paint(color, &line);
            self.row(None, &format!("{:indent$}{line}", ""));
        }
    }

    /// A help or a note, broken to the terminal.
    fn remark(&mut self, word: &str, text: &str) {
        let indent = self.gutter + 5 + word.len();
        let mut first = true;
        for part in text.split('\n') {
            let part = self.screen.line(part).into_owned();
            for line in self.screen.wrap(&part, indent) {
                let line = if std::mem::take(&mut first) {
                    let word = self.paint(BOLD, &format!("{word}:"));
                    format!("{:width$} {} {word} {line}", "", self.paint(BLUE, "="), width = self.gutter)
                } else {
                    format!("{:indent$}{line}", "")
                };
                self.lines.push(line);
            }
        }
    }
}

fn color(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => RED,
        Severity::Warning => YELLOW,
    }
}

/// Columns of the part of a line that a label marks; of one that goes over several lines the part in the first.
fn marked(source: &Source, span: Span, number: u32, line: &Shown) -> (usize, usize) {
    let at = |offset: u32| source.line_column(offset);
    let start = at(span.start).1 as usize - 1;
    let end = match at(span.end) {
        (of, column) if of == number => column as usize - 1,
        _ => usize::MAX,
    };
    let (start, end) = (line.column(start), line.column(end));
    (start, end.max(start + 1))
}

/// A line of source as it is shown: its pieces, each with the byte where it begins.
struct Shown {
    pieces: Vec<(usize, String)>,
}

impl Shown {
    fn new(line: &str, screen: Screen) -> Self {
        let piece = |letter: char| match letter {
            '\t' => TAB.to_owned(),
            // A mark that combines with nothing that stands before it would move what follows.
            letter if letter.width().is_none() => harmless(&letter.to_string(), false).into_owned(),
            letter => screen.line(&letter.to_string()).into_owned(),
        };
        Self { pieces: line.char_indices().map(|(at, letter)| (at, piece(letter))).collect() }
    }

    fn columns(&self) -> usize {
        self.pieces.iter().map(|(_, piece)| width(piece)).sum()
    }

    /// The column of a byte.
    fn column(&self, byte: usize) -> usize {
        self.pieces.iter().take_while(|(at, _)| *at < byte).map(|(_, piece)| width(piece)).sum()
    }
}

/// The part of a line that is shown.
#[derive(Clone, Copy)]
struct Window {
    /// First column.
    from: usize,
    /// Columns.
    room: usize,
    /// Something is left out before it, behind it.
    before: bool,
    behind: bool,
}

/// Columns of the sign that something is left out.
const DOTS: usize = 3;

impl Window {
    /// The whole line if it fits; otherwise what stands around the mark.
    fn around(start: usize, end: usize, columns: usize, room: usize) -> Self {
        if columns <= room {
            return Self { from: 0, room, before: false, behind: false };
        }
        let mark = (end - start).min(room / 2);
        let from = match start + mark + DOTS <= room {
            true => 0,
            // A third of what is shown stands before the mark.
            false => (start + mark).saturating_sub(room * 2 / 3).min(start),
        };
        let from = from.min(columns.saturating_sub(room - DOTS));
        Self { from, room, before: from > 0, behind: columns > from + room }
    }

    fn shown(self) -> (usize, usize) {
        let before = if self.before { DOTS } else { 0 };
        let behind = if self.behind { DOTS } else { 0 };
        (self.from, self.from + self.room.saturating_sub(before + behind))
    }

    fn holds(self, start: usize, _end: usize) -> bool {
        let (from, to) = self.shown();
        (from..to).contains(&start) || (!self.before && !self.behind)
    }

    /// The column in the picture.
    fn place(self, column: usize) -> usize {
        let (from, to) = self.shown();
        let column = if self.behind { column.min(to) } else { column };
        column.saturating_sub(from) + if self.before { DOTS } else { 0 }
    }

    fn cut(self, line: &Shown, unicode: bool) -> String {
        let dots = if unicode { "…  " } else { "..." };
        let (from, to) = self.shown();
        let (mut text, mut column) = (String::new(), 0);
        if self.before {
            text.push_str(dots);
        }
        for (_, piece) in &line.pieces {
            let next = column + width(piece);
            if column >= from && (next <= to || !self.behind) {
                text.push_str(piece);
            } else if next > from && column < to {
                // Half of a wide letter, or of an escape, keeps the columns.
                text.push_str(&" ".repeat(next.min(to) - column.max(from)));
            }
            column = next;
        }
        if self.behind {
            text.push_str(dots.trim_end());
        }
        text
    }
}

//! Writes XML and HTML. Whatever is said or stands in an attribute is escaped here, and nowhere else.
//!
//! Names of cgroups and processes are chosen by whoever runs them: they may hold markup, control characters that
//! no XML can hold, and characters that turn the direction of what follows.

use std::fmt::Display;

/// An attribute and its value.
pub(crate) type Attribute<'a> = (&'a str, &'a dyn Display);

/// A text in the making. Elements are closed in the order in which they were opened.
#[derive(Debug, Default)]
pub(crate) struct Markup {
    text: String,
    open: Vec<&'static str>,
}

impl Markup {
    /// Begins an element.
    pub(crate) fn open(&mut self, tag: &'static str, attributes: &[Attribute<'_>]) {
        self.tag(tag, attributes);
        self.text.push('>');
        self.open.push(tag);
    }

    /// Ends the element that was begun last.
    pub(crate) fn close(&mut self) {
        if let Some(tag) = self.open.pop() {
            self.text.push_str("</");
            self.text.push_str(tag);
            self.text.push('>');
        }
    }

    /// An element that holds a text.
    pub(crate) fn leaf(&mut self, tag: &'static str, attributes: &[Attribute<'_>], text: impl Display) {
        self.open(tag, attributes);
        self.say(text);
        self.close();
    }

    /// An element of XML that holds nothing.
    pub(crate) fn empty(&mut self, tag: &'static str, attributes: &[Attribute<'_>]) {
        self.tag(tag, attributes);
        self.text.push_str("/>");
    }

    /// An element of HTML that never has an end.
    pub(crate) fn void(&mut self, tag: &'static str, attributes: &[Attribute<'_>]) {
        self.tag(tag, attributes);
        self.text.push('>');
    }

    /// Text.
    pub(crate) fn say(&mut self, text: impl Display) {
        escape(&mut self.text, &text.to_string());
    }

    /// Our own markup, e.g. rules of a style sheet.
    pub(crate) fn raw(&mut self, markup: &str) {
        self.text.push_str(markup);
    }

    /// A new line, so that people can read the source.
    pub(crate) fn line(&mut self) {
        self.text.push('\n');
    }

    /// What was written, with everything closed.
    pub(crate) fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.close();
        }
        self.text
    }

    fn tag(&mut self, tag: &str, attributes: &[Attribute<'_>]) {
        self.text.push('<');
        self.text.push_str(tag);
        for (name, value) in attributes {
            self.text.push(' ');
            self.text.push_str(name);
            self.text.push_str("=\"");
            escape(&mut self.text, &value.to_string());
            self.text.push('"');
        }
    }
}

fn escape(out: &mut String, text: &str) {
    for letter in visible(text).chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
}

/// The text with its invisible characters as `[U+202E]`.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_hidden(letter) {
            out.push_str(&format!("[U+{:04X}]", u32::from(letter)));
        } else {
            out.push(letter);
        }
    }
    out
}

/// Characters that show nothing: control characters, marks of direction, widths of zero, and the two that XML
/// forbids.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out() {
        let mut out = Markup::default();
        out.leaf("text", &[("data-path", &"/a\"b'<c>&amp;")], "</text><script>1 && 2</script>");
        assert_eq!(
            out.finish(),
            "<text data-path=\"/a&quot;b&#39;&lt;c&gt;&amp;amp;\">\
             &lt;/text&gt;&lt;script&gt;1 &amp;&amp; 2&lt;/script&gt;</text>"
        );
    }

    #[test]
    fn what_shows_nothing_is_spelt_out() {
        assert_eq!(visible("a\u{0}b\u{1b}\n\u{7f}\u{9b}"), "a[U+0000]b[U+001B][U+000A][U+007F][U+009B]");
        assert_eq!(
            visible("\u{202e}gpj.exe\u{2066}\u{feff}\u{ffff}"),
            "[U+202E]gpj.exe[U+2066][U+FEFF][U+FFFF]"
        );
        assert_eq!(visible("größe 大 שלום 💥"), "größe 大 שלום 💥");
    }

    #[test]
    fn what_was_opened_is_closed() {
        let mut out = Markup::default();
        out.open("g", &[]);
        out.open("a", &[]);
        out.empty("rect", &[("x", &1)]);
        assert_eq!(out.finish(), "<g><a><rect x=\"1\"/></a></g>");
    }
}

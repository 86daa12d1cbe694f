//! Text from outside as it may be shown: names of commands, cgroups, pins, and whatever an object says of itself.
//!
//! Takes bytes or text and gives text in which nothing steers a terminal, breaks a line of a log, turns the direction of
//! what is read, or cannot be seen. Whoever prints shows everything that he did not write himself by these functions.
//! Knows nothing of terminals.

use std::borrow::Cow;

/// Whether a letter steers a terminal, turns the direction of text, or cannot be seen.
#[must_use]
pub fn hides(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
        )
}

/// Text in which a letter that hides stands as `\u{1b}`, unless it is one that stays.
pub fn escaped(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.chars().all(|letter| !hides(letter) || stays(letter)) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if hides(letter) && !stays(letter) {
            safe.push_str(&format!("\\u{{{:x}}}", u32::from(letter)));
        } else {
            safe.push(letter);
        }
    }
    Cow::Owned(safe)
}

/// Text from outside, in one line.
#[must_use]
pub fn shown(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// Bytes as text, what is not UTF-8 as `\xff`: two different names stay different. Letters that hide stay, for
/// whoever escapes them in a way of his own.
#[must_use]
pub fn text_of_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// Bytes from outside, in one line.
#[must_use]
pub fn shown_bytes(bytes: &[u8]) -> String {
    shown(&text_of_bytes(bytes)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_and_nothing_hides() {
        assert_eq!(shown("plain é 漢"), "plain é 漢");
        assert_eq!(shown("a\u{1b}]0;x\u{7}\nerror: b"), "a\\u{1b}]0;x\\u{7}\\u{a}error: b");
        assert_eq!(shown("\u{202e}x\u{9b}\u{feff}\u{2066}"), "\\u{202e}x\\u{9b}\\u{feff}\\u{2066}");
        assert_eq!(escaped("a\tb\n", |letter| letter == '\t'), "a\tb\\u{a}");
    }

    #[test]
    fn names_that_differ_look_different() {
        assert_eq!(shown_bytes(b"job\xff"), "job\\xff");
        assert_eq!(shown_bytes(b"job\xfe\x1b"), "job\\xfe\\u{1b}");
        assert_eq!(text_of_bytes("é\n".as_bytes()), "é\n");
    }
}

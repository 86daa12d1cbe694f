//! What a pattern matches.
//!
//! `*` is any bytes but `/`, `**` any bytes, `?` one byte but `/`. `P/**` is `P` and everything below it. There
//! In a pattern for a command name, which is no path, `*` is any bytes, too, and `P/**` nothing else than it says. There
//! is no way to write one of these as itself: names with them are rare, and a policy that meant one would read as
//! if it meant many.

use super::Pattern;

/// A part of a pattern. Codes below 32 are free: text has no control characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// `*`
    Star,
    /// `**`
    DoubleStar,
    /// `?`
    One,
    /// A byte as it is.
    Byte(u8),
}

impl Token {
    /// A number of one byte.
    #[must_use]
    pub fn code(self) -> i64 {
        match self {
            Self::Star => 1,
            Self::DoubleStar => 2,
            Self::One => 3,
            Self::Byte(byte) => i64::from(byte),
        }
    }
}

/// The parts of a pattern.
#[must_use]
pub fn tokens(pattern: &Pattern) -> Vec<Token> {
    let (text, star) = match pattern {
        Pattern::Literal(text) => return text.bytes().map(Token::Byte).collect(),
        Pattern::Glob(text) => (text, Token::Star),
        Pattern::Wild(text) => (text, Token::DoubleStar),
    };
    let mut tokens = Vec::new();
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        tokens.push(match byte {
            b'*' if bytes.next_if_eq(&b'*').is_some() => {
                while bytes.next_if_eq(&b'*').is_some() {}
                Token::DoubleStar
            }
            b'*' => star,
            b'?' => Token::One,
            _ => Token::Byte(byte),
        });
    }
    tokens
}

/// A pattern as bytes, for the program.
#[must_use]
pub fn encode(pattern: &Pattern) -> Vec<u8> {
    tokens(pattern).into_iter().map(|token| token.code() as u8).collect()
}

/// The patterns of which one must match: `P/**` is two.
#[must_use]
pub fn alternatives(pattern: &Pattern) -> Vec<Pattern> {
    let Pattern::Glob(text) = pattern else { return vec![pattern.clone()] };
    match text.strip_suffix("/**") {
        Some("") => vec![Pattern::Glob("/**".to_owned())],
        Some(above) => vec![Pattern::new(above), pattern.clone()],
        None => vec![pattern.clone()],
    }
}

/// Whether a pattern matches a whole text.
#[must_use]
pub fn matches(pattern: &Pattern, text: &str) -> bool {
    alternatives(pattern).iter().any(|pattern| match pattern {
        Pattern::Literal(literal) => literal == text,
        Pattern::Glob(_) | Pattern::Wild(_) => matches_tokens(&tokens(pattern), text.as_bytes()),
    })
}

fn matches_tokens(tokens: &[Token], text: &[u8]) -> bool {
    let Some((first, rest)) = tokens.split_first() else { return text.is_empty() };
    match (first, text.split_first()) {
        (Token::Star | Token::DoubleStar, _) if matches_tokens(rest, text) => true,
        (Token::Star, Some((byte, text))) => *byte != b'/' && matches_tokens(tokens, text),
        (Token::DoubleStar, Some((_, text))) => matches_tokens(tokens, text),
        (Token::One, Some((byte, text))) => *byte != b'/' && matches_tokens(rest, text),
        (Token::Byte(wanted), Some((byte, text))) => wanted == byte && matches_tokens(rest, text),
        (_, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_in_a_command_name_is_any_character() {
        let matches = |pattern: &str, text: &str| matches(&Pattern::of_name(pattern), text);
        assert!(matches("kworker*", "kworker/0:1"));
        assert!(matches("kworker/*", "kworker/0:1"));
        assert!(!matches("kworker/**", "kworker"));
        assert!(!matches("kworker?0*", "kworker/0:1"));
    }

    #[test]
    fn stars_and_question_marks() {
        for (pattern, yes, no) in [
            (
                "worker-*",
                &["worker-", "worker-1", "worker-a-b"][..],
                &["worker", "a-worker-1", "worker-/x"][..],
            ),
            ("*-1", &["-1", "a-1", "a-1-1"], &["1", "a-11", "a/b-1"]),
            ("a?c", &["abc", "a?c"], &["ac", "a/c", "abbc"]),
            ("*a*b", &["ab", "xaxb", "aab", "abab"], &["ba", "a", "a/b"]),
            ("/job/**", &["/job", "/job/a", "/job/a/b"], &["/jobs", "/", "/a/job"]),
            ("/**", &["/", "/a", "/a/b"], &["a", ""]),
            ("**", &["", "a", "a/b"], &[]),
            ("/a/**/b", &["/a/x/b", "/a/x/y/b"], &["/a/b", "/a/x/c"]),
            ("/*/b", &["/a/b", "/x/b"], &["/a/c/b", "/b"]),
            ("**/x*", &["/a/xy", "a/x"], &["a/x/y", "x"]),
            ("batch/*", &["batch/a", "batch/"], &["batch", "batch/a/b"]),
            ("*/**", &["a", "a/b", "/", "x/y/z"], &[]),
        ] {
            let pattern = Pattern::new(pattern);
            for text in yes {
                assert!(matches(&pattern, text), "{pattern:?} {text}");
            }
            for text in no {
                assert!(!matches(&pattern, text), "{pattern:?} {text}");
            }
        }
    }
}

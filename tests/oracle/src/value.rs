//! Values: numbers that never wrap, truth with unknown, text that matches.
//!
//! Every value is a number or missing; a truth value is 0, 1, or missing, which is unknown.

/// A number, or missing.
pub(crate) type Value = Option<i64>;

/// The nearest number of 64 bits.
pub(crate) fn clamp(number: i128) -> i64 {
    number.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// A number that is computed without bounds from two others, and brought back into them.
pub(crate) fn both(a: Value, b: Value, compute: impl Fn(i128, i128) -> Option<i128>) -> Value {
    compute(a?.into(), b?.into()).map(clamp)
}

/// `not`.
pub(crate) fn not(a: Value) -> Value {
    a.map(|a| i64::from(a == 0))
}

/// `and`: false if one is false, else unknown if one is unknown.
pub(crate) fn and(a: Value, b: Value) -> Value {
    match (a, b) {
        (Some(0), _) | (_, Some(0)) => Some(0),
        (Some(_), Some(_)) => Some(1),
        _ => None,
    }
}

/// `or`.
pub(crate) fn or(a: Value, b: Value) -> Value {
    not(and(not(a), not(b)))
}

/// Whether a whole text matches a pattern: `*` is anything within a component of a path, `**` anything, `?` one byte
/// within a component, and `P/**` is P, too.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    if pattern == b"/**" && text.is_empty() {
        return true;
    }
    let tails = || (0..=text.len()).filter_map(|at| text.split_at_checked(at));
    match pattern {
        [] => text.is_empty(),
        [b'*', b'*', rest @ ..] => tails().any(|(_, tail)| matches(rest, tail)),
        [b'*', rest @ ..] => tails().any(|(taken, tail)| !taken.contains(&b'/') && matches(rest, tail)),
        [b'?', rest @ ..] => matches!(text, [byte, tail @ ..] if *byte != b'/' && matches(rest, tail)),
        [byte, rest @ ..] => matches!(text, [first, tail @ ..] if first == byte && matches(rest, tail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(both(Some(i64::MAX), Some(1), |a, b| Some(a + b)), Some(i64::MAX));
        assert_eq!(both(Some(i64::MIN), Some(-1), |a, b| a.checked_div(b)), Some(i64::MAX));
        assert_eq!(both(Some(-7), Some(2), |a, b| a.checked_div(b)), Some(-3));
        assert_eq!(both(Some(7), Some(0), i128::checked_div), None);
        assert_eq!(both(None, Some(0), |a, b| Some(a + b)), None);
    }

    #[test]
    fn logic_is_kleenes() {
        for (a, b, all, one) in [
            (Some(0), None, Some(0), None),
            (Some(1), None, None, Some(1)),
            (None, None, None, None),
            (Some(1), Some(0), Some(0), Some(1)),
        ] {
            assert_eq!((and(a, b), and(b, a), or(a, b), or(b, a)), (all, all, one, one));
        }
    }

    #[test]
    fn globs() {
        let cases: &[(&str, &str, bool)] = &[
            ("worker-*", "worker-", true),
            ("*", "a/b", false),
            ("**", "a/b", true),
            ("/a/**", "/a", true),
            ("/a/**", "/a/b/c", true),
            ("/a/**", "/ab", false),
            ("/a/**/b", "/a/b", false),
            ("a?c", "a/c", false),
            ("a*b*c", "aXbXbXc", true),
            ("/**", "/", true),
            ("**", "", true),
            ("", "", true),
            ("?", "", false),
        ];
        for (pattern, text, is) in cases {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), *is, "{pattern} {text}");
        }
    }
}

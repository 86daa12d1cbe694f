//! A value that is written outside of a policy, as the policy would write it: of a param, or of a label.
//!
//! Takes a text, gives a unit and a number; which unit is wanted is for the caller to know.

use oomc_abi::fields::Unit;

use crate::syntax::literal::{self, Kind};

/// Reads a value.
///
/// # Errors
/// A sentence about what is wrong with it.
pub fn read(text: &str) -> Result<(Unit, i64), String> {
    if let Ok(truth) = text.parse::<bool>() {
        return Ok((Unit::Bool, i64::from(truth)));
    }
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(format!("`{text}` is not a value"));
    }
    let literal =
        literal::parse(digits).map_err(|refused| format!("{}: {}", refused.message, refused.help))?;
    let unit = match literal.kind {
        Kind::Bytes => Unit::Bytes,
        Kind::Ratio => Unit::Ratio,
        Kind::Duration => Unit::Duration,
        Kind::Count => Unit::Count,
    };
    Ok((unit, sign * literal.value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_a_unit_a_sign_and_nothing_else() {
        assert_eq!(read("64MiB"), Ok((Unit::Bytes, 64 << 20)));
        assert_eq!(read("-3"), Ok((Unit::Count, -3)));
        assert_eq!(read("false"), Ok((Unit::Bool, 0)));
        assert_eq!(read("much"), Err("`much` is not a value".to_owned()));
    }
}

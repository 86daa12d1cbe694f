//! What a number in the text is worth.
//!
//! Takes the letters of a number with its unit, gives a 64-bit value in the unit of its type. Wrong units
//! are refused with the spelling that was most likely meant.

use oomc_abi::amount::{BYTES, PERCENT, TIMES};

use crate::diag::{Code, codes};

/// A number with its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Literal {
    /// In bytes, parts per million, nanoseconds, or plain.
    pub value: i64,
    /// Of what.
    pub kind: Kind,
}

/// Of what a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `512MiB`
    Bytes,
    /// `90%`
    Ratio,
    /// `1h30m`
    Duration,
    /// `3`
    Count,
}

/// Why a number is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Which mistake.
    pub code: Code,
    /// In a sentence.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// Reads a number.
///
/// # Errors
/// An unknown unit, a value that does not fit, a fraction where none can be.
pub fn parse(text: &str) -> Result<Literal, Refused> {
    let digits = digits(text);
    let (number, unit) = text.split_at(digits);
    if unit.is_empty() {
        if number.contains('.') {
            return Err(Refused {
                code: codes::NUMBER,
                message: format!("a plain number has no fraction: `{text}`"),
                help: "write a whole number, or a percent: `150%` is one and a half".to_owned(),
            });
        }
        return value(text, number, 1).map(|value| Literal { value, kind: Kind::Count });
    }
    if unit == "%" {
        return percent(text, number);
    }
    if let Some((_, scale)) = BYTES.iter().find(|(name, _)| *name == unit) {
        if *scale == 1 && number.contains('.') {
            return Err(Refused {
                code: codes::NUMBER,
                message: format!("a byte has no fraction: `{text}`"),
                help: "write a whole number of bytes, or a larger unit".to_owned(),
            });
        }
        return value(text, number, *scale).map(|value| Literal { value, kind: Kind::Bytes });
    }
    duration(text).unwrap_or_else(|| Err(unknown_unit(number, unit)))
}

/// Length of the digits that a text begins with, `_` and a fraction included.
fn digits(text: &str) -> usize {
    text.find(|c: char| !(c.is_ascii_digit() || c == '_' || c == '.')).unwrap_or(text.len())
}

/// A decimal number times a scale; what is smaller than one is cut off.
fn value(text: &str, number: &str, scale: u64) -> Result<i64, Refused> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let too_large = || Refused {
        code: codes::NUMBER,
        message: format!("`{text}` is larger than any number of the language"),
        help: "the largest is 9223372036854775807: as an amount, about 8388607TiB".to_owned(),
    };
    let whole = plain(whole).and_then(|whole| whole.checked_mul(i128::from(scale))).ok_or_else(too_large)?;
    // A fraction is worth less than one unit: twenty digits are more than any unit resolves.
    let fraction: String = fraction.chars().filter(char::is_ascii_digit).take(20).collect();
    let power = 10_i128.pow(fraction.len() as u32);
    let part = plain(&fraction).unwrap_or(0).saturating_mul(i128::from(scale)) / power;
    i64::try_from(whole.saturating_add(part)).map_err(|_| too_large())
}

/// Digits to a number; none are 0, too many nothing.
fn plain(digits: &str) -> Option<i128> {
    digits
        .bytes()
        .filter(u8::is_ascii_digit)
        .try_fold(0_i128, |sum, digit| sum.checked_mul(10)?.checked_add(i128::from(digit - b'0')))
}

fn percent(text: &str, number: &str) -> Result<Literal, Refused> {
    let fraction = number.split_once('.').map_or("", |(_, fraction)| fraction);
    if fraction.bytes().filter(u8::is_ascii_digit).skip(4).any(|digit| digit != b'0') {
        return Err(Refused {
            code: codes::NUMBER,
            message: format!("`{text}` is finer than a percent can be"),
            help: "a percent has at most four digits behind the point".to_owned(),
        });
    }
    value(text, number, PERCENT).map(|value| Literal { value, kind: Kind::Ratio })
}

/// `1h30m`: parts, the larger unit first. Nothing if the text is no duration at all.
fn duration(text: &str) -> Option<Result<Literal, Refused>> {
    let mut rest = text;
    let mut sum = 0_i64;
    let mut last = u64::MAX;
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(digits(rest));
        let length = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(length);
        let (_, scale) = TIMES.iter().find(|(name, _)| *name == unit)?;
        if *scale >= last {
            return None;
        }
        last = *scale;
        match value(text, number, *scale) {
            Ok(part) => sum = sum.saturating_add(part),
            Err(refused) => return Some(Err(refused)),
        }
        rest = tail;
    }
    Some(Ok(Literal { value: sum, kind: Kind::Duration }))
}

fn unknown_unit(number: &str, unit: &str) -> Refused {
    let meant = match unit.to_ascii_lowercase().as_str() {
        "k" | "kb" | "kib" | "ki" => Some("KiB"),
        "mb" | "mib" | "mi" => Some("MiB"),
        "g" | "gb" | "gib" | "gi" => Some("GiB"),
        "t" | "tb" | "tib" | "ti" => Some("TiB"),
        "b" | "byte" | "bytes" => Some("B"),
        "m" => Some("MiB"),
        "sec" | "secs" | "second" | "seconds" => Some("s"),
        "min" | "mins" | "minute" | "minutes" => Some("m"),
        "hour" | "hours" | "hr" | "hrs" => Some("h"),
        "day" | "days" => Some("d"),
        "msec" | "millis" => Some("ms"),
        _ => None,
    };
    let help = match meant {
        Some(meant) => format!("write `{number}{meant}`"),
        None => "memory is in `B`, `KiB`, `MiB`, `GiB` or `TiB`, time in `ms`, `s`, `m`, `h` or `d`, \
                 a share in `%`"
            .to_owned(),
    };
    Refused { code: codes::UNKNOWN_UNIT, message: format!("`{unit}` is not a unit"), help }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(text: &str) -> Option<(i64, Kind)> {
        parse(text).ok().map(|literal| (literal.value, literal.kind))
    }

    #[test]
    fn units() {
        assert_eq!(ok("512MiB"), Some((512 << 20, Kind::Bytes)));
        assert_eq!(ok("1.5GiB"), Some((3 << 29, Kind::Bytes)));
        assert_eq!(ok("4096B"), Some((4096, Kind::Bytes)));
        assert_eq!(ok("90%"), Some((900_000, Kind::Ratio)));
        assert_eq!(ok("0.5%"), Some((5_000, Kind::Ratio)));
        assert_eq!(ok("0.0001%"), Some((1, Kind::Ratio)));
        assert_eq!(ok("1h30m"), Some((5_400_000_000_000, Kind::Duration)));
        assert_eq!(ok("250ms"), Some((250_000_000, Kind::Duration)));
        assert_eq!(ok("10_000"), Some((10_000, Kind::Count)));
        assert_eq!(ok("9223372036854775807"), Some((i64::MAX, Kind::Count)));
        assert_eq!(ok("0.333333333333333333333333GiB"), Some((357_913_941, Kind::Bytes)));
    }

    #[test]
    fn refused() {
        let help = |text: &str| parse(text).err().map(|refused| (refused.code.id(), refused.help));
        for (text, meant) in
            [("512M", "512MiB"), ("512MB", "512MiB"), ("1.5g", "1.5GiB"), ("30sec", "30s"), ("4kb", "4KiB")]
        {
            assert_eq!(help(text), Some(("E0303", format!("write `{meant}`"))));
        }
        for text in ["9223372036854775808", "8388608TiB", "0.00001%", "1.5", "1.5B"] {
            assert_eq!(help(text).map(|(code, _)| code), Some("E0304"), "{text}");
        }
        for text in ["30m1h", "1h1h", "5us", "3x", "0x10", "1h30"] {
            assert_eq!(help(text).map(|(code, _)| code), Some("E0303"), "{text}");
        }
    }
}

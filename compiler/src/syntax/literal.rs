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
    /// As data, and whether nothing else can be meant.
    pub instead: Option<(String, bool)>,
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
                help: match as_percent(number) {
                    Some(percent) => format!("write a whole number, or a percent: `{percent}`"),
                    None => "write a whole number, or a percent: `150%` is one and a half".to_owned(),
                },
                instead: as_percent(number).map(|percent| (percent, true)),
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
                instead: None,
            });
        }
        return value(text, number, *scale).map(|value| Literal { value, kind: Kind::Bytes });
    }
    duration(text).unwrap_or_else(|| Err(unknown_unit(text, number, unit)))
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
        instead: None,
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
            instead: None,
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

/// `0.9` is `90%`, `1.5` is `150%`; none if a percent is not so fine.
fn as_percent(number: &str) -> Option<String> {
    let (whole, fraction) = number.split_once('.')?;
    let padded = format!("{fraction:0<2}");
    let (cents, rest) = padded.split_at_checked(2)?;
    let digits = format!("{}{cents}", whole.replace('_', ""));
    let digits = digits.trim_start_matches('0');
    let whole = if digits.is_empty() { "0" } else { digits };
    let rest = rest.trim_end_matches('0');
    let text = if rest.is_empty() { format!("{whole}%") } else { format!("{whole}.{rest}%") };
    parse(&text).is_ok().then_some(text)
}

/// The unit of ours that another spelling of one means, and whether it can mean nothing else.
pub(crate) fn meant(unit: &str) -> Option<(&'static str, bool)> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "k" | "kib" | "ki" | "kibibytes" => ("KiB", true),
        "mib" | "mi" | "mebibytes" => ("MiB", true),
        "g" | "gib" | "gi" | "gibibytes" => ("GiB", true),
        "t" | "tib" | "ti" | "tebibytes" => ("TiB", true),
        // Powers of ten elsewhere.
        "kb" | "kilobytes" => ("KiB", false),
        "mb" | "megabytes" | "meg" | "megs" => ("MiB", false),
        "gb" | "gigabytes" | "gig" | "gigs" => ("GiB", false),
        "tb" | "terabytes" => ("TiB", false),
        "b" | "byte" | "bytes" => ("B", true),
        "m" => ("MiB", unit == "M"),
        "sec" | "secs" | "second" | "seconds" => ("s", true),
        "min" | "mins" | "minute" | "minutes" => ("m", true),
        "h" | "hour" | "hours" | "hr" | "hrs" => ("h", true),
        "d" | "day" | "days" => ("d", true),
        "s" => ("s", true),
        "ms" | "msec" | "msecs" | "millis" | "milliseconds" => ("ms", true),
        "percent" | "pct" => ("%", true),
        _ => return None,
    })
}

/// `12h1d`: the same parts, the larger unit first.
fn sorted(text: &str) -> Option<String> {
    let mut parts: Vec<(u64, &str)> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let digits = digits(rest);
        let tail = rest.get(digits..)?;
        let length = digits + tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (part, next) = rest.split_at_checked(length)?;
        let (_, scale) = TIMES.iter().find(|(name, _)| Some(*name) == part.get(digits..))?;
        parts.push((*scale, part));
        rest = next;
    }
    parts.sort_by_key(|(scale, _)| core::cmp::Reverse(*scale));
    // One unit twice has no order.
    if parts.windows(2).any(|pair| matches!(pair, [(one, _), (next, _)] if one == next)) {
        return None;
    }
    let text: String = parts.into_iter().map(|(_, part)| part).collect();
    parse(&text).is_ok().then_some(text)
}

/// `0x10` as a decimal number.
fn hexadecimal(text: &str) -> Option<String> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
    i64::from_str_radix(&digits.replace('_', ""), 16).ok().map(|value| value.to_string())
}

fn unknown_unit(text: &str, number: &str, unit: &str) -> Refused {
    let message = format!("`{unit}` is not a unit");
    let code = codes::UNKNOWN_UNIT;
    if let Some((meant, certain)) = meant(unit) {
        let text = format!("{number}{meant}");
        return Refused { code, message, help: format!("write `{text}`"), instead: Some((text, certain)) };
    }
    if let Some(decimal) = hexadecimal(text) {
        let (message, help) = (format!("`{text}` is no decimal number"), format!("write `{decimal}`"));
        return Refused { code, message, help, instead: Some((decimal, true)) };
    }
    if let Some(sorted) = sorted(text) {
        let message = format!("the parts of `{text}` stand in the wrong order");
        let help = format!("the larger unit comes first: `{sorted}`");
        return Refused { code, message, help, instead: Some((sorted, true)) };
    }
    let help =
        "memory is in `B`, `KiB`, `MiB`, `GiB` or `TiB`, time in `ms`, `s`, `m`, `h` or `d`, a share in `%`";
    Refused { code, message, help: help.to_owned(), instead: None }
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

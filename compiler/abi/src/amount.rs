//! Numbers with their unit, as the language writes them.
//!
//! A number is in the unit of its type: bytes, parts per million, nanoseconds, or plain. [`exact`] can be read
//! back; [`short`] is for people who compare.

use crate::fields::Unit;

/// Units of memory, the largest first.
pub const BYTES: [(&str, u64); 5] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
/// Units of time in nanoseconds, the largest first, as the language writes them.
pub const TIMES: [(&str, u64); 5] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
];
/// What is left below them; a clock counts finer than a policy writes.
const REST: (&str, u64) = ("ns", 1);
/// Parts per million in one percent.
pub const PERCENT: u64 = 10_000;

/// The number itself: `64MiB`, `12.5%`, `1h30m`.
#[must_use]
pub fn exact(unit: Unit, value: i64) -> String {
    let (sign, size) = (sign(value), value.unsigned_abs());
    match unit {
        Unit::Bytes => {
            let (name, scale) = whole_unit(size);
            format!("{sign}{}{name}", size / scale)
        }
        Unit::Ratio => format!("{sign}{}%", decimal(size, PERCENT, 4)),
        Unit::Duration => format!("{sign}{}", parts(size, usize::MAX)),
        Unit::Bool => (value != 0).to_string(),
        Unit::Count | Unit::Text => value.to_string(),
    }
}

/// About the number: `207.3MiB`, `12.5%`, `3h12m`.
#[must_use]
pub fn short(unit: Unit, value: i64) -> String {
    let (sign, size) = (sign(value), value.unsigned_abs());
    match unit {
        Unit::Bytes => {
            let fits = |(_, scale): &&(&str, u64)| size >= *scale;
            let (name, scale) = BYTES.iter().find(fits).copied().unwrap_or(("B", 1));
            format!("{sign}{}{name}", decimal(size, scale, 1))
        }
        Unit::Ratio => format!("{sign}{}%", decimal(size, PERCENT, 2)),
        Unit::Duration => format!("{sign}{}", parts(size, 2)),
        Unit::Bool | Unit::Count | Unit::Text => exact(unit, value),
    }
}

fn sign(value: i64) -> &'static str {
    if value < 0 { "-" } else { "" }
}

/// The largest unit of memory of which this is a whole number.
fn whole_unit(size: u64) -> (&'static str, u64) {
    let fits = |(_, scale): &&(&str, u64)| size >= *scale && size.is_multiple_of(*scale);
    BYTES.iter().find(fits).copied().unwrap_or(("B", 1))
}

/// A quotient with at most so many digits behind the point; what is beyond is cut off.
fn decimal(size: u64, scale: u64, digits: usize) -> String {
    let (whole, rest) = (size / scale, u128::from(size % scale));
    let power = 10_u128.pow(digits as u32);
    let fraction = format!("{:0digits$}", rest * power / u128::from(scale));
    match fraction.trim_end_matches('0') {
        "" => whole.to_string(),
        fraction => format!("{whole}.{fraction}"),
    }
}

/// A time in its units, from the largest that it has, at most so many in a row.
fn parts(mut size: u64, most: usize) -> String {
    if size == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    let units = TIMES.into_iter().chain([REST]);
    for (name, scale) in units.skip_while(move |(_, scale)| size < *scale).take(most) {
        if size >= scale {
            text.push_str(&format!("{}{name}", size / scale));
            size %= scale;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_numbers_can_be_read_back() {
        let texts = [
            (Unit::Bytes, 0, "0B"),
            (Unit::Bytes, 64 << 20, "64MiB"),
            (Unit::Bytes, 3 << 29, "1536MiB"),
            (Unit::Bytes, -(4096 + 1), "-4097B"),
            (Unit::Ratio, 900_000, "90%"),
            (Unit::Ratio, 125_001, "12.5001%"),
            (Unit::Duration, 5_400_000_000_000, "1h30m"),
            (Unit::Duration, 250_000_000, "250ms"),
            (Unit::Duration, 0, "0s"),
            (Unit::Count, -5, "-5"),
            (Unit::Bool, 1, "true"),
        ];
        for (unit, value, text) in texts {
            assert_eq!(exact(unit, value), text);
        }
    }

    #[test]
    fn short_numbers_are_for_people() {
        let texts = [
            (Unit::Bytes, (207 << 20) + (314 << 10), "207.3MiB"),
            (Unit::Bytes, 512, "512B"),
            (Unit::Bytes, i64::MIN, "-8388608TiB"),
            (Unit::Ratio, 125_099, "12.5%"),
            (Unit::Duration, 3_723_004_000_000, "1h2m"),
            (Unit::Duration, 86_400_000_000_000, "1d"),
        ];
        for (unit, value, text) in texts {
            assert_eq!(short(unit, value), text);
        }
    }
}

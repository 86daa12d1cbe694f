//! Numbers with their unit, as the language writes them.
//!
//! A number is in the unit of its type: bytes, parts per million, nanoseconds, or plain. [`exact`] can be read
//! back; [`short`] is for people who compare.

use crate::fields::Measure;

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
pub fn exact(unit: Measure, value: i64) -> String {
    let (sign, size) = (sign(value), value.unsigned_abs());
    match unit {
        Measure::Bytes => {
            let (name, scale) = whole_unit(size);
            format!("{sign}{}{name}", size / scale)
        }
        Measure::Ratio => format!("{sign}{}%", decimal(size, PERCENT, 4)),
        Measure::Duration => format!("{sign}{}", parts(size, usize::MAX)),
        Measure::Bool => (value != 0).to_string(),
        Measure::Count | Measure::Text => value.to_string(),
    }
}

/// About the number: `207.3MiB`, `12.5%`, `3h12m`.
#[must_use]
pub fn short(unit: Measure, value: i64) -> String {
    let (sign, size) = (sign(value), value.unsigned_abs());
    match unit {
        Measure::Bytes => {
            // What rounds up to a thousand and twenty-four of a unit is one of the next.
            let fits = |(_, scale): &&(&str, u64)| rounded(size, *scale, 1) >= u128::from(*scale);
            let (name, scale) = BYTES.iter().find(fits).copied().unwrap_or(("B", 1));
            format!("{sign}{}{name}", about(size, scale, 1))
        }
        Measure::Ratio => format!("{sign}{}%", about(size, PERCENT, 2)),
        Measure::Duration => format!("{sign}{}", parts(size, 2)),
        Measure::Bool | Measure::Count | Measure::Text => exact(unit, value),
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

/// A number, rounded to a whole number of the last digit that is shown of it.
fn rounded(size: u64, scale: u64, digits: usize) -> u128 {
    let (size, scale, power) = (u128::from(size), u128::from(scale), 10_u128.pow(digits as u32));
    let shown = (size * power + scale / 2) / scale;
    (shown * scale).div_ceil(power)
}

/// A quotient with at most so many digits behind the point, rounded.
fn about(size: u64, scale: u64, digits: usize) -> String {
    let power = 10_u128.pow(digits as u32);
    let shown = (u128::from(size) * power + u128::from(scale) / 2) / u128::from(scale);
    let fraction = format!("{:0digits$}", shown % power);
    match fraction.trim_end_matches('0') {
        "" => (shown / power).to_string(),
        fraction => format!("{}.{fraction}", shown / power),
    }
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
            (Measure::Bytes, 0, "0B"),
            (Measure::Bytes, 64 << 20, "64MiB"),
            (Measure::Bytes, 3 << 29, "1536MiB"),
            (Measure::Bytes, -(4096 + 1), "-4097B"),
            (Measure::Ratio, 900_000, "90%"),
            (Measure::Ratio, 125_001, "12.5001%"),
            (Measure::Duration, 5_400_000_000_000, "1h30m"),
            (Measure::Duration, 250_000_000, "250ms"),
            (Measure::Duration, 0, "0s"),
            (Measure::Count, -5, "-5"),
            (Measure::Bool, 1, "true"),
        ];
        for (unit, value, text) in texts {
            assert_eq!(exact(unit, value), text);
        }
    }

    #[test]
    fn short_numbers_are_for_people() {
        let texts = [
            (Measure::Bytes, (207 << 20) + (314 << 10), "207.3MiB"),
            (Measure::Bytes, 512, "512B"),
            (Measure::Bytes, 107_374_182, "102.4MiB"),
            (Measure::Bytes, (8 << 30) + (790 << 20), "8.8GiB"),
            (Measure::Bytes, (1 << 30) - 4096, "1GiB"),
            (Measure::Bytes, (1 << 20) - 1, "1MiB"),
            (Measure::Bytes, 1023, "1KiB"),
            (Measure::Bytes, i64::MIN, "-8388608TiB"),
            (Measure::Ratio, 125_099, "12.51%"),
            (Measure::Duration, 3_723_004_000_000, "1h2m"),
            (Measure::Duration, 86_400_000_000_000, "1d"),
        ];
        for (unit, value, text) in texts {
            assert_eq!(short(unit, value), text);
        }
    }
}

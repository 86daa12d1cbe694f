//! Amounts, shares and times: as configurations write them, and as the language does.

/// A time in milliseconds.
pub(crate) type Millis = u64;

/// A share in hundredths of a percent.
pub(crate) type Permyriad = u64;

/// All of it.
pub(crate) const WHOLE: Permyriad = 10_000;

const UNITS: [(u64, &str); 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];

/// As the language writes bytes: exactly.
pub(crate) fn bytes(amount: u64) -> String {
    let unit = UNITS.iter().find(|(size, _)| amount >= *size && amount.is_multiple_of(*size));
    unit.map_or_else(|| format!("{amount}B"), |(size, unit)| format!("{}{unit}", amount / size))
}

/// As the language writes a share.
pub(crate) fn percent(share: Permyriad) -> String {
    match share % 100 {
        0 => format!("{}%", share / 100),
        rest if rest % 10 == 0 => format!("{}.{}%", share / 100, rest / 10),
        rest => format!("{}.{rest:02}%", share / 100),
    }
}

/// As the language writes a time: exactly.
pub(crate) fn duration(time: Millis) -> String {
    if time == 0 {
        return "0s".to_owned();
    }
    let mut left = time;
    let mut text = String::new();
    for (size, unit) in [(3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")] {
        if left >= size {
            text.push_str(&format!("{}{unit}", left / size));
            left %= size;
        }
    }
    text
}

/// A number of percent, as `10`, `2.5`: at most 100.
pub(crate) fn share(text: &str) -> Option<Permyriad> {
    let number = text.trim().parse::<f64>().ok()?;
    let share = (number * 100.0).round();
    (0.0..=WHOLE as f64).contains(&share).then_some(share as Permyriad)
}

/// systemd's shares: percent, permille or permyriad with their signs.
pub(crate) fn systemd_share(text: &str) -> Option<Permyriad> {
    let scaled = |end: char, factor: f64| {
        let number = text.trim().strip_suffix(end)?.trim().parse::<f64>().ok()?;
        let share = (number * factor).round();
        (0.0..=WHOLE as f64).contains(&share).then_some(share as Permyriad)
    };
    scaled('%', 100.0).or_else(|| scaled('‰', 10.0)).or_else(|| scaled('‱', 1.0))
}

/// systemd's times (systemd.time(7)): `30`, `1min 30s`, `500ms`. A bare number is seconds.
pub(crate) fn systemd_time(text: &str) -> Option<Millis> {
    let mut rest = text.trim();
    let mut sum = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, behind) = rest.split_at(end);
        let behind = behind.trim_start();
        let end = behind.find(|c: char| !c.is_alphabetic()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(end);
        let size = match unit {
            "ms" | "msec" => 1.0,
            "" | "s" | "sec" | "second" | "seconds" => 1000.0,
            "m" | "min" | "minute" | "minutes" => 60_000.0,
            "h" | "hr" | "hour" | "hours" => 3_600_000.0,
            "d" | "day" | "days" => 86_400_000.0,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * size;
        rest = behind.trim_start();
    }
    (sum.is_finite() && sum < 1e15).then_some(sum.round() as Millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_exactly() {
        assert_eq!(bytes(1 << 30), "1GiB");
        assert_eq!(bytes(1536 << 20), "1536MiB");
        assert_eq!(bytes(1001), "1001B");
        assert_eq!(percent(6000), "60%");
        assert_eq!(percent(50), "0.5%");
        assert_eq!(percent(1225), "12.25%");
        assert_eq!(duration(90_000), "1m30s");
        assert_eq!(duration(250), "250ms");
    }

    #[test]
    fn times_and_shares_are_systemds() {
        assert_eq!(systemd_time("1min 30s"), Some(90_000));
        assert_eq!(systemd_time("20"), Some(20_000));
        assert_eq!(systemd_time("0"), Some(0));
        assert_eq!(systemd_time("infinity"), None);
        assert_eq!(systemd_share("60%"), Some(6000));
        assert_eq!(systemd_share("605‰"), Some(6050));
        assert_eq!(systemd_share("60"), None);
        assert_eq!(systemd_share("101%"), None);
    }
}

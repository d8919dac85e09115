//! Numbers as text, for the terminal table and the HTML page. Pure functions.

use crate::race::stats::{Spread, ratio};

/// A number with thousands separators, with two decimals if it is below 100 and not whole: `1,234`
/// or `0.25`.
pub fn grouped(value: f64) -> String {
    let digits = if value >= 100.0 || value == value.round() {
        0
    } else {
        2
    };
    let text = format!("{value:.digits$}");
    let (whole, decimals) = text.split_at(text.find('.').unwrap_or(text.len()));
    let groups: Vec<&str> = whole
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).expect("digits"))
        .collect();
    format!("{}{decimals}", groups.join(","))
}

/// Seconds as a rough time: `25 s`, `12 min`.
pub fn duration(seconds: f64) -> String {
    if seconds < 100.0 {
        format!("{seconds:.0} s")
    } else {
        format!("{:.0} min", seconds / 60.0)
    }
}

/// `0.105 (0.093–0.123)`: the median, and the range.
pub fn with_range(spread: Spread, digits: usize) -> String {
    let Spread { median, min, max } = spread;
    format!("{median:.digits$} ({min:.digits$}–{max:.digits$})")
}

/// How many times as fast as the baseline a participant is, with the range. Empty if there is no
/// baseline.
pub fn speedup(baseline: Option<Spread>, wall: Spread) -> String {
    let Some(speedup) = baseline.map(|baseline| ratio(baseline, wall)) else {
        return String::new();
    };
    // Below 0.095 one digit would be rounded to 0.1 or 0.0.
    let digits = if speedup.median < 0.095 { 3 } else { 1 };
    with_range(speedup, digits)
}

/// Three significant digits, without an exponent.
pub fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => grouped(value.round()),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.1 => format!("{value:.3}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_long_times_to_minutes() {
        for (seconds, expected) in [
            (0.2, "0 s"),
            (99.4, "99 s"),
            (100.0, "2 min"),
            (725.0, "12 min"),
        ] {
            assert_eq!(duration(seconds), expected);
        }
    }

    #[test]
    fn groups_thousands() {
        for (value, expected) in [
            (0.0, "0"),
            (0.254, "0.25"),
            (20.0, "20"),
            (999.6, "1,000"),
            (1234567.0, "1,234,567"),
        ] {
            assert_eq!(grouped(value), expected);
        }
    }

    #[test]
    fn short_numbers_have_three_digits() {
        for (value, expected) in [
            (0.0, "0"),
            (0.05512, "0.0551"),
            (0.3381, "0.338"),
            (3.714, "3.71"),
            (25.12, "25.1"),
            (4981.2, "4,981"),
        ] {
            assert_eq!(short(value), expected);
        }
    }
}

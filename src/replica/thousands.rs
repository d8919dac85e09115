//! Thousands separators.

/// Puts a comma between groups of three digits of the whole part: `-5221.56` becomes `-5,221.56`.
///
/// `figure` is an optional `-`, ASCII digits, and an optional `.` with further digits, which stay as
/// they are.
pub fn group_thousands(figure: &str) -> String {
    let (sign, digits) = figure
        .strip_prefix('-')
        .map_or(("", figure), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut grouped = String::from(sign);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if !fraction.is_empty() {
        grouped.push('.');
        grouped.push_str(fraction);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_three_digits_of_the_whole_part() {
        for (figure, expected) in [
            ("", ""),
            ("0.5", "0.5"),
            ("999", "999"),
            ("5221.56", "5,221.56"),
            ("-123456.7890", "-123,456.7890"),
            ("-1234567", "-1,234,567"),
        ] {
            assert_eq!(group_thousands(figure), expected);
        }
    }
}

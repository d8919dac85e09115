//! A figure as a page shows it → [`Decimal`], or why not.
//!
//! One strict grammar: a figure that could be read in two ways is not read at all, for a ranking
//! with a hole is better than a ranking with a wrong number.

use rust_decimal::Decimal;

/// A text that is not a figure, with the text itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a figure")]
pub struct NotANumber(pub String);

/// A number in the site's notation: an optional sign (`-`, U+2212 or `+`), digits with an optional
/// comma between groups of three, an optional decimal point: `5,221.56`, `-893.45`, `−5`.
/// White space around it, no-break spaces included, does not count.
pub fn parse(text: &str) -> Result<Decimal, NotANumber> {
    signed(text, grouped).ok_or_else(|| NotANumber(text.trim().to_owned()))
}

/// A [number](parse) followed by a per cent sign: `-9.27%` is −9.27.
pub fn parse_percent(text: &str) -> Result<Decimal, NotANumber> {
    text.trim()
        .strip_suffix('%')
        .and_then(|number| signed(number, grouped))
        .ok_or_else(|| NotANumber(text.trim().to_owned()))
}

/// A number with a decimal comma or point and no grouping, as the Bank of Russia writes them:
/// `76,6501`.
pub fn parse_decimal_comma(text: &str) -> Result<Decimal, NotANumber> {
    signed(text, |digits| plain(&digits.replace(',', ".")))
        .ok_or_else(|| NotANumber(text.trim().to_owned()))
}

fn signed(text: &str, magnitude: impl Fn(&str) -> Option<Decimal>) -> Option<Decimal> {
    let text = text.trim();
    let negative = text.strip_prefix(['-', '\u{2212}']);
    match negative {
        Some(digits) => magnitude(digits).map(|value| -value),
        None => magnitude(text.strip_prefix('+').unwrap_or(text)),
    }
}

fn grouped(text: &str) -> Option<Decimal> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !whole.contains(',') {
        return plain(text);
    }
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let well_grouped = (1..=3).contains(&first.len())
        && groups.all(|group| group.len() == 3)
        && !fraction.contains(',');
    if !well_grouped {
        return None;
    }
    plain(&text.replace(',', ""))
}

/// ASCII digits with at most one point between them. `Decimal`'s own parser takes more (`1_000`,
/// `.5`), so the shape is checked first, and rounds what has more than 28 digits, which is no figure.
fn plain(text: &str) -> Option<Decimal> {
    let (whole, fraction) = match text.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (text, ""),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    Decimal::from_str_exact(text).ok()
}

/// Inserts a comma between groups of three digits of the whole part: `-1234567.5` becomes
/// `-1,234,567.5`.
pub fn group_thousands(plain: &str) -> String {
    let whole_end = plain.find('.').unwrap_or(plain.len());
    let first_digit = plain.find(|c: char| c.is_ascii_digit()).unwrap_or(0);
    let mut grouped = String::new();
    for (at, c) in plain.char_indices() {
        if at > first_digit && at < whole_end && (whole_end - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(c);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::group_thousands;

    #[test]
    fn groups_three_digits_of_the_whole_part() {
        for (plain, grouped) in [
            ("", ""),
            ("0.5", "0.5"),
            ("999", "999"),
            ("5221.56", "5,221.56"),
            ("-123456.7890", "-123,456.7890"),
            ("-1234567", "-1,234,567"),
        ] {
            assert_eq!(group_thousands(plain), grouped);
        }
    }
}

//! A number as a page shows it → [`Decimal`].
//!
//! The grammar is strict and rejects a text that could mean two numbers. A ranking without a company
//! is better than a ranking with a wrong number.

use rust_decimal::Decimal;

/// A text that is not a number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a number")]
pub struct NotANumber(pub String);

/// A number in the site's notation: an optional sign (`-`, U+2212 or `+`), digits with an optional
/// comma between groups of three, an optional decimal point: `5,221.56`, `-893.45`, `−5`.
/// White space around it, including no-break spaces, is ignored.
pub fn parse(text: &str) -> Result<Decimal, NotANumber> {
    parse_signed(text, parse_grouped).ok_or_else(|| NotANumber(text.trim().to_owned()))
}

/// A [number](parse) followed by a per cent sign: `-9.27%` is −9.27.
pub fn parse_percent(text: &str) -> Result<Decimal, NotANumber> {
    text.trim()
        .strip_suffix('%')
        .and_then(|number| parse_signed(number, parse_grouped))
        .ok_or_else(|| NotANumber(text.trim().to_owned()))
}

/// A number with a decimal comma or point and no grouping, as the Bank of Russia writes them:
/// `76,6501`.
pub fn parse_decimal_comma(text: &str) -> Result<Decimal, NotANumber> {
    parse_signed(text, |digits| parse_plain(&digits.replace(',', ".")))
        .ok_or_else(|| NotANumber(text.trim().to_owned()))
}

/// Parses an optional sign and passes the rest to `parse_unsigned`. `None` if the rest is not a number.
fn parse_signed(text: &str, parse_unsigned: impl Fn(&str) -> Option<Decimal>) -> Option<Decimal> {
    let text = text.trim();
    let negative = text.strip_prefix(['-', '\u{2212}']);
    match negative {
        Some(digits) => parse_unsigned(digits).map(|value| -value),
        None => parse_unsigned(text.strip_prefix('+').unwrap_or(text)),
    }
}

/// Parses digits with an optional comma between groups of three. `None` for any other text.
fn parse_grouped(text: &str) -> Option<Decimal> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !whole.contains(',') {
        return parse_plain(text);
    }
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let well_grouped = (1..=3).contains(&first.len())
        && groups.all(|group| group.len() == 3)
        && !fraction.contains(',');
    if !well_grouped {
        return None;
    }
    parse_plain(&text.replace(',', ""))
}

/// Parses ASCII digits with at most one point between them. `None` for any other text.
///
/// `Decimal`'s own parser also accepts `1_000` and `.5`, so the shape is checked first. It also
/// rounds a number of more than 28 digits. `from_str_exact` rejects it.
fn parse_plain(text: &str) -> Option<Decimal> {
    let (whole, fraction) = match text.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (text, ""),
    };
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
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

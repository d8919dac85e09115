//! Parsers for the values of options. An error says what the option expects; clap adds the option and
//! the rejected value.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::civil::Date;
use rust_decimal::Decimal;

use crate::results::coverage::MinCompanies;
use crate::results::table::Format;
use crate::site::currency::Currency;
use crate::site::paths::INDICES;
use crate::site::{number, rates};
use crate::source::origin::Origin;
use crate::store::choose::Since;

/// A whole number from `MIN` to `MAX`.
pub fn whole_number<const MIN: usize, const MAX: usize>(text: &str) -> Result<usize, String> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (MIN..=MAX).contains(number));
    number.ok_or_else(|| format!("expected a whole number from {MIN} to {MAX}"))
}

/// A number of companies, or a share of the listed ones like `95%`.
pub fn min_companies(text: &str) -> Result<MinCompanies, String> {
    let min = match text.strip_suffix('%') {
        Some(share) => whole_number::<1, 100>(share).map(MinCompanies::PerCent),
        None => whole_number::<1, 1_000_000>(text).map(MinCompanies::Number),
    };
    min.map_err(|_| {
        "expected a whole number from 1 to 1000000, or a share from 1% to 100%".to_owned()
    })
}

/// The name of an index as a segment of a path, so without slashes and escapes. Another spelling of a
/// known name, such as `sp500` or `S&P 500`, is an error that names the right one.
pub fn index_name(text: &str) -> Result<String, String> {
    let letters = |name: &str| {
        let letters = name.chars().filter(char::is_ascii_alphanumeric);
        letters.collect::<String>().to_ascii_lowercase()
    };
    let known = INDICES.join(", ");
    let alike = INDICES.iter().find(|name| letters(name) == letters(text));
    if let Some(name) = alike.filter(|name| **name != text) {
        return Err(format!("did you mean {name}? The site has {known}"));
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "&_-.".contains(c);
    if text.is_empty() || !text.chars().all(is_plain) {
        return Err(format!(
            "expected a name as in the site's addresses: {known}"
        ));
    }
    Ok(text.to_owned())
}

/// Roubles per dollar, with a decimal point or comma.
pub fn usd_rub(text: &str) -> Result<Decimal, String> {
    rouble_rate(text).ok_or_else(|| {
        let (min, max) = (rates::PER_UNIT.start(), rates::PER_UNIT.end());
        format!("expected roubles per dollar, from {min} to {max}, like 76.65")
    })
}

/// A currency and its rate, like `EUR=86.56`.
pub fn rate(text: &str) -> Result<(Currency, Decimal), String> {
    let (min, max) = (rates::PER_UNIT.start(), rates::PER_UNIT.end());
    let expected = || {
        format!("expected a currency and roubles for one unit, from {min} to {max}, like EUR=86.56")
    };
    let (code, rate) = text.split_once('=').ok_or_else(expected)?;
    let currency = currency(code)?;
    if currency == Currency::RUB {
        return Err("the rate of RUB is always 1".to_owned());
    }
    Ok((currency, rouble_rate(rate).ok_or_else(expected)?))
}

fn rouble_rate(text: &str) -> Option<Decimal> {
    let rate = number::parse_decimal_comma(text).ok();
    rate.filter(|rate| rates::PER_UNIT.contains(rate))
}

/// A currency that is no minor unit.
pub fn currency(text: &str) -> Result<Currency, String> {
    let expected = "expected a currency code of three capital letters, like USD";
    let currency: Currency = text.parse().map_err(|_| expected)?;
    match currency.main_unit() {
        (main, 100) => Err(format!("{currency} is a hundredth of {main}; use {main}")),
        _ if currency == Currency::UNKNOWN => Err("XXX stands for no currency".to_owned()),
        _ if text.bytes().all(|byte| byte.is_ascii_uppercase()) => Ok(currency),
        _ => Err(expected.to_owned()),
    }
}

/// A run of a database by its number, or a day.
pub fn since(text: &str) -> Result<Since, String> {
    let run = text.parse().ok().filter(|run| *run > 0).map(Since::Run);
    run.map_or_else(|| date(text).map(Since::Day), Ok)
        .map_err(|expected| format!("{expected}, or the number of a run"))
}

pub fn date(text: &str) -> Result<Date, String> {
    text.parse()
        .map_err(|_| "expected a day like 2022-02-04".to_owned())
}

/// A duration of a millisecond to a day.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text
        .parse()
        .ok()
        .filter(|seconds| (0.001..=86_400.0).contains(seconds));
    seconds
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "expected seconds from 0.001 to 86400".to_owned())
}

/// A size in bytes, with K, M or G for 1024, 1024² or 1024³ of them.
pub fn size(text: &str) -> Result<u64, String> {
    let expected = || "expected a size in bytes, such as 500K, 20M or 4G".to_owned();
    let units = [('K', 10), ('M', 20), ('G', 30)];
    let unit = |(letter, shift): &(char, u32)| {
        let number = text.strip_suffix([*letter, letter.to_ascii_lowercase()])?;
        Some((number, *shift))
    };
    let (number, shift) = units.iter().find_map(unit).unwrap_or((text, 0));
    let number: u64 = number.parse().map_err(|_| expected())?;
    let bytes = number.checked_mul(1 << shift).filter(|bytes| *bytes > 0);
    bytes.ok_or_else(expected)
}

pub fn requests_per_second(text: &str) -> Result<f64, String> {
    let rps = text.parse().ok().filter(|rps| (0.001..=1e6).contains(rps));
    rps.ok_or_else(|| "expected requests per second from 0.001 to 1000000".to_owned())
}

/// The value of an HTTP header.
pub fn header_value(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err("expected printable ASCII characters, at least one".to_owned());
    }
    Ok(text.to_owned())
}

/// Where the table of all companies goes, and its format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableTarget {
    File(PathBuf, Format),
    Stdout(Format),
}

/// A file for the table of all companies, or `-` for stdout. Its extension names the format.
pub fn table(text: &str) -> Result<TableTarget, String> {
    match Format::of(Path::new(text)) {
        None if text == "-" => Ok(TableTarget::Stdout(Format::Csv)),
        None => Err(
            "expected a file name that ends in .csv, .ndjson or .jsonl, or - for stdout".to_owned(),
        ),
        Some(format) if text.starts_with("-.") => Ok(TableTarget::Stdout(format)),
        Some(format) => Ok(TableTarget::File(text.into(), format)),
    }
}

/// A file for a recording. Its extension says whether it is compressed.
pub fn recording(text: &str) -> Result<PathBuf, String> {
    if !text.ends_with(".warc") && !text.ends_with(".warc.gz") {
        return Err("expected a file name that ends in .warc or .warc.gz".to_owned());
    }
    Ok(text.into())
}

/// An origin that `indexrank serve` can serve.
pub fn servable(text: &str) -> Result<Origin, String> {
    match text.parse()? {
        origin @ (Origin::Replica | Origin::Archive(_)) => Ok(origin),
        _ => Err("expected replica, or an archive FILE.warc or FILE.warc.gz".to_owned()),
    }
}

//! The Bank of Russia's daily exchange rates → [`Rate`] of the US dollar.
//!
//! The file is `XML_daily.asp`: <https://www.cbr.ru/development/SXML/>. For each currency it states
//! that `Nominal` units cost `Value` roubles on the day in `Date`.

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Deserialize;

use crate::site::number;

/// Maximum size of a daily file in bytes. Real ones have 34 to 55 currencies in 3 to 10 KB.
pub const MAX_BYTES: usize = 1 << 20;

/// Exclusive upper bound for all numbers of a rate. No currency has cost this many roubles, or been
/// quoted for this many units.
pub const MAX_RATE: Decimal = Decimal::from_parts(100_000_000, 0, 0, false, 0);
const USD_ID: &str = "R01235";
const USD_CODE: &str = "USD";

/// The price of a number of US dollars in roubles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// Roubles for [`nominal`](Self::nominal) dollars.
    pub value: Decimal,
    /// Number of dollars, 1 in every file seen so far.
    pub nominal: Decimal,
    /// The day of the rate, `None` if the rate was given by hand.
    pub day: Option<Day>,
}

/// The day of a rate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    pub date: Date,
    /// As the file writes it: `04.02.2022`, in some copies `04/02/2022`.
    pub written: String,
}

impl Rate {
    /// A rate given by hand. `value` is roubles for one dollar.
    pub fn by_hand(value: Decimal) -> Self {
        Rate {
            value,
            nominal: Decimal::ONE,
            day: None,
        }
    }

    /// Converts dollars to roubles without rounding. `None` if the result is outside the range of
    /// `Decimal`.
    pub fn roubles(&self, dollars: Decimal) -> Option<Decimal> {
        dollars.checked_mul(self.value)?.checked_div(self.nominal)
    }
}

/// Why a file gives no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RatesError {
    /// The bank sent an error message instead of rates, such as `Error in parameters`.
    #[error("the Bank of Russia returned an error: {0}")]
    Refused(String),
    /// The file is not in the bank's format.
    #[error("this is not the Bank of Russia's list of daily rates: {0}")]
    Unrecognised(String),
    /// The file has the bank's format, but no dollar rate that can be trusted.
    #[error("the list of daily rates of {date} has no usable US dollar rate: {why}")]
    NoDollar { date: String, why: String },
}

/// The daily file. All values are still text.
#[derive(Debug, Deserialize)]
struct ValCurs {
    #[serde(rename = "@Date")]
    date: Option<String>,
    #[serde(rename = "Valute", default)]
    currencies: Vec<Valute>,
    #[serde(rename = "$text")]
    text: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Valute {
    #[serde(rename = "@ID", default)]
    id: String,
    #[serde(rename = "CharCode", default)]
    code: String,
    #[serde(rename = "Nominal", default)]
    nominal: String,
    #[serde(rename = "Value", default)]
    value: String,
    #[serde(rename = "VunitRate")]
    unit_rate: Option<String>,
}

/// Parses the dollar's rate from a decoded daily file.
pub fn parse(xml: &str) -> Result<Rate, RatesError> {
    if xml.len() > MAX_BYTES {
        return Err(RatesError::Unrecognised(format!(
            "it has more than {MAX_BYTES} bytes"
        )));
    }
    // No daily file has a DOCTYPE. Rejecting it protects from every kind of entity bomb.
    if xml.contains("<!DOCTYPE") {
        return Err(RatesError::Unrecognised("it has a DOCTYPE".into()));
    }
    if !xml.contains("<ValCurs") {
        return Err(RatesError::Unrecognised("there is no <ValCurs>".into()));
    }
    let list: ValCurs = quick_xml::de::from_str(xml)
        .map_err(|error| RatesError::Unrecognised(error.to_string()))?;
    let Some(written_date) = list.date else {
        return Err(match list.text {
            Some(text) => RatesError::Refused(text.trim().chars().take(200).collect()),
            None => RatesError::Unrecognised("<ValCurs> has no Date".into()),
        });
    };
    let date = parse_date(&written_date).ok_or_else(|| {
        RatesError::Unrecognised(format!("{written_date:?} is not a date like 04.02.2022"))
    })?;
    let day = Day {
        date,
        written: written_date,
    };
    match parse_dollar(&list.currencies) {
        Ok((value, nominal)) => Ok(Rate {
            value,
            nominal,
            day: Some(day),
        }),
        Err(why) => Err(RatesError::NoDollar {
            date: day.written,
            why,
        }),
    }
}

/// The dollar's `Value` and `Nominal`, both above zero.
fn parse_dollar(currencies: &[Valute]) -> Result<(Decimal, Decimal), String> {
    let mut dollars = currencies
        .iter()
        .filter(|one| one.id == USD_ID || one.code == USD_CODE);
    let dollar = dollars
        .next()
        .ok_or_else(|| format!("no {USD_CODE} among {}", currencies.len()))?;
    if dollars.next().is_some() {
        return Err(format!("{USD_CODE} is listed twice"));
    }
    if dollar.id != USD_ID || dollar.code != USD_CODE {
        return Err(format!(
            "ID {} and code {} disagree",
            dollar.id, dollar.code
        ));
    }
    let parse_positive = |name, text| match number::parse_decimal_comma(text) {
        Ok(value) if value > Decimal::ZERO && value < MAX_RATE => Ok(value),
        _ => Err(format!("{name} is {text:?}")),
    };
    let value = parse_positive("Value", &dollar.value)?;
    let nominal = parse_positive("Nominal", &dollar.nominal)?;
    if let Some(text) = &dollar.unit_rate {
        // VunitRate is Value ÷ Nominal, which the bank rounds to some number of places. The two may
        // differ by 0.01 %.
        let unit_rate = parse_positive("VunitRate", text)?;
        let difference = value
            .checked_div(nominal)
            .map(|rate| (rate - unit_rate).abs());
        if difference.is_none_or(|difference| difference > unit_rate * Decimal::new(1, 4)) {
            return Err(format!("Value ÷ Nominal is not VunitRate {text}"));
        }
    }
    Ok((value, nominal))
}

/// Parses `DD.MM.YYYY` or `DD/MM/YYYY`. `None` for any other text and for years before 1990.
fn parse_date(text: &str) -> Option<Date> {
    let mut parts = text.trim().split(['.', '/']).map(str::parse::<i16>);
    let (day, month, year): (i16, i16, i16) = (
        parts.next()?.ok()?,
        parts.next()?.ok()?,
        parts.next()?.ok()?,
    );
    // Today's rouble dates from the 1990s. The limit also rejects years of two digits.
    if parts.next().is_some() || year < 1990 {
        return None;
    }
    Date::new(year, month.try_into().ok()?, day.try_into().ok()?).ok()
}

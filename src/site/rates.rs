//! The Bank of Russia's daily exchange rates → [`Rates`] of all currencies, and conversion by them.
//!
//! The file is `XML_daily.asp`: <https://www.cbr.ru/development/SXML/>. For each currency it states
//! that `Nominal` units cost `Value` roubles on the day in `Date`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::RangeInclusive;

use jiff::civil::Date;
use rust_decimal::Decimal;
use serde::Deserialize;

use crate::site::currency::Currency;
use crate::site::number;

/// Maximum size of a daily file in bytes. Real ones have 34 to 55 currencies in 3 to 10 KB.
pub const MAX_BYTES: usize = 1 << 20;

/// Exclusive upper bound for all numbers of a rate. No currency has cost this many roubles, or been
/// quoted for this many units.
const MAX_NUMBER: Decimal = Decimal::from_parts(100_000_000, 0, 0, false, 0);
/// Roubles per unit that a rate may have. In ten lists of 2002 to 2025 they are between 0.00012 (Iranian
/// rial) and 212 (Bahraini dinar), except for 0.000019 (Turkish lira before 2005).
pub const PER_UNIT: RangeInclusive<Decimal> =
    Decimal::from_parts(1, 0, 0, false, 4)..=Decimal::from_parts(10_000_000, 0, 0, false, 0);
/// Value ÷ Nominal and `VunitRate` may differ by 0.01 %, because the bank rounds the latter to some
/// number of places.
const MAX_ROUNDING: Decimal = Decimal::from_parts(1, 0, 0, false, 4);
const USD_ID: &str = "R01235";

/// The price of a currency in roubles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Roubles for [`nominal`](Self::nominal) units.
    pub value: Decimal,
    /// Units of the currency: 1 for the dollar, 100 for the yen.
    pub nominal: Decimal,
}

impl Rate {
    const ONE: Self = Rate {
        value: Decimal::ONE,
        nominal: Decimal::ONE,
    };

    /// Roubles for one unit.
    pub fn per_unit(&self) -> Decimal {
        self.value / self.nominal
    }
}

/// The day of a list of rates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    pub date: Date,
    /// As the file writes it: `04.02.2022`, in some copies `04/02/2022`.
    pub written: String,
}

/// The rates of all currencies of a day, or those given by hand. The default has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rates {
    /// `None` if the rates were given by hand.
    pub day: Option<Day>,
    by_currency: BTreeMap<Currency, Result<Rate, NoRate>>,
}

/// Why there is no rate for a currency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRate {
    #[error("it is not listed")]
    NotListed,
    /// The entry cannot be trusted. The other currencies are not in doubt.
    #[error("{0}")]
    Unusable(String),
    /// Outside [`PER_UNIT`], so the whole list is in doubt.
    #[error("{0} roubles per unit are out of proportion")]
    OutOfProportion(Decimal),
}

/// Converts amounts of one currency into another: × `multiplier` ÷ `divisor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conversion {
    multiplier: Decimal,
    divisor: Decimal,
}

impl Conversion {
    /// Converts without rounding, as far as 28 digits allow. `None` if the result is outside the range
    /// of `Decimal`.
    pub fn apply(&self, amount: Decimal) -> Option<Decimal> {
        amount
            .checked_mul(self.multiplier)?
            .checked_div(self.divisor)
    }
}

impl Rates {
    /// Rates given by hand, in roubles for one unit.
    pub fn by_hand(rates: impl IntoIterator<Item = (Currency, Decimal)>) -> Self {
        let rate = |(currency, value)| (currency, Ok(Rate { value, ..Rate::ONE }));
        Rates {
            day: None,
            by_currency: rates.into_iter().map(rate).collect(),
        }
    }

    /// The rate of a currency, which is no minor unit. The rouble's is 1.
    pub fn get(&self, currency: Currency) -> Result<Rate, NoRate> {
        if currency == Currency::RUB {
            return Ok(Rate::ONE);
        }
        let rate = self.by_currency.get(&currency);
        rate.cloned().unwrap_or(Err(NoRate::NotListed))
    }

    /// How to convert prices quoted in `from`, which may be a minor unit, into `into`, which is none.
    /// Prices in `into` and its minor unit need no rate. The error names the currency without one; it is
    /// `into` if neither has one.
    pub fn conversion(
        &self,
        from: Currency,
        into: Currency,
    ) -> Result<Conversion, (Currency, NoRate)> {
        let (main, units) = from.main_unit();
        let (from, into) = if main == into {
            (Rate::ONE, Rate::ONE)
        } else {
            let rate = |currency| self.get(currency).map_err(|why| (currency, why));
            let into = rate(into)?;
            (rate(main)?, into)
        };
        // Neither product overflows: all factors are below 10^8.
        Ok(Conversion {
            multiplier: from.value * into.nominal,
            divisor: from.nominal * Decimal::from(units) * into.value,
        })
    }

    /// Every usable rate, by code.
    pub fn usable(&self) -> impl Iterator<Item = (Currency, Rate)> {
        let rates = self.by_currency.iter();
        rates.filter_map(|(currency, rate)| Some((*currency, *rate.as_ref().ok()?)))
    }

    /// Says that there is no rate for a currency.
    pub fn explain(&self, currency: Currency, why: &NoRate) -> String {
        let Some(Day { written, .. }) = &self.day else {
            return format!("no rate of {currency} is given");
        };
        let why = match why {
            NoRate::NotListed => format!("no {currency} among {}", self.by_currency.len()),
            why => why.to_string(),
        };
        format!("the list of daily rates of {written} has no usable {currency} rate: {why}")
    }
}

/// Why a file is not a list of rates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RatesError {
    /// The bank sent an error message instead of rates, such as `Error in parameters`.
    #[error("the Bank of Russia returned an error: {0}")]
    Refused(String),
    /// The file is not in the bank's format.
    #[error("this is not the Bank of Russia's list of daily rates: {0}")]
    Unrecognised(String),
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

/// Parses a decoded daily file. A currency with an unusable entry is an error only for itself.
pub fn parse(xml: &str) -> Result<Rates, RatesError> {
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
    Ok(Rates {
        day: Some(day),
        by_currency: parse_entries(&list.currencies),
    })
}

/// The rates by currency. An entry whose code is no code of a currency is skipped.
fn parse_entries(entries: &[Valute]) -> BTreeMap<Currency, Result<Rate, NoRate>> {
    let mut rates = BTreeMap::new();
    for entry in entries {
        let code = main_currency(&entry.code);
        // Only the dollar's ID is known. An entry with it speaks of the dollar, whatever its code is.
        let dollar = (entry.id == USD_ID).then_some(Currency::USD);
        let rate = if dollar.is_some() == (code == Some(Currency::USD)) {
            parse_rate(entry)
        } else {
            let (id, code) = (shorten(&entry.id), shorten(&entry.code));
            Err(NoRate::Unusable(format!(
                "ID {id} and code {code} disagree"
            )))
        };
        let other_code = code.filter(|code| Some(*code) != dollar);
        for currency in dollar.into_iter().chain(other_code) {
            match rates.entry(currency) {
                Entry::Vacant(vacant) => {
                    vacant.insert(rate.clone());
                }
                Entry::Occupied(mut first) => {
                    let twice = format!("{currency} is listed twice");
                    *first.get_mut() = Err(NoRate::Unusable(twice));
                }
            }
        }
    }
    rates
}

/// A code of ISO 4217 for a currency that the bank can list: no minor unit, not the rouble.
fn main_currency(code: &str) -> Option<Currency> {
    let is_iso = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    let currency: Currency = code.parse().ok().filter(|_| is_iso)?;
    let is_listed =
        currency.main_unit().1 == 1 && currency != Currency::RUB && currency != Currency::UNKNOWN;
    is_listed.then_some(currency)
}

/// The `Value` and `Nominal` of an entry, both above zero.
fn parse_rate(entry: &Valute) -> Result<Rate, NoRate> {
    let parse_positive = |name, text: &str| match number::parse_decimal_comma(text) {
        Ok(value) if value > Decimal::ZERO && value < MAX_NUMBER => Ok(value),
        _ => Err(NoRate::Unusable(format!("{name} is {:?}", shorten(text)))),
    };
    let value = parse_positive("Value", &entry.value)?;
    let nominal = parse_positive("Nominal", &entry.nominal)?;
    let per_unit = value.checked_div(nominal);
    if let Some(text) = &entry.unit_rate {
        let unit_rate = parse_positive("VunitRate", text)?;
        let difference = per_unit.map(|rate| (rate - unit_rate).abs());
        if difference.is_none_or(|difference| difference > unit_rate * MAX_ROUNDING) {
            let text = shorten(text);
            return Err(NoRate::Unusable(format!(
                "Value ÷ Nominal is not VunitRate {text}"
            )));
        }
    }
    match per_unit {
        Some(per_unit) if PER_UNIT.contains(&per_unit) => Ok(Rate { value, nominal }),
        per_unit => Err(NoRate::OutOfProportion(
            per_unit.unwrap_or(Decimal::MAX).normalize(),
        )),
    }
}

/// The beginning of a text from the list, for a message.
fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
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

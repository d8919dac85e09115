//! The exchange rates of a run: given by the user, or fetched.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;

use crate::http::decode::{self, Inflater};
use crate::http::error::{PageError, Reason};
use crate::http::page::Page;
use crate::site::currency::Currency;
use crate::site::paths;
use crate::site::rates::{self, Rates};
use crate::source::Source;
use crate::source::get_with_retries::get_with_retries;
use crate::source::purpose::{Purpose, Request};
use crate::source::retry;
use crate::telemetry::counters::Counters;
use crate::telemetry::trace::Label;

/// A rate may be for an earlier day than the quotes (weekends, holidays), or for the day on which the run
/// asked for it. More days apart than this get a warning.
const MAX_DAYS_APART: i32 = 7;

#[derive(Debug, Clone)]
pub enum RateChoice {
    /// The Bank of Russia's rates of a day, or the latest.
    OfDay(Option<Date>),
    /// Roubles for one unit of each currency.
    Given(BTreeMap<Currency, Decimal>),
}

impl RateChoice {
    /// The day that the bank is asked for, today for the latest rates. `None` if it is not asked.
    pub fn day(&self) -> Option<Date> {
        let today = || Timestamp::now().to_zoned(TimeZone::UTC).date();
        match self {
            RateChoice::OfDay(date) => Some(date.unwrap_or_else(today)),
            RateChoice::Given(_) => None,
        }
    }
}

/// Why there are no rates.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{sentence}")]
pub struct NoRates {
    pub sentence: String,
    /// Whether a later run may get them.
    pub may_succeed_later: bool,
}

/// Returns the rates to use, or why none are available.
pub fn find(choice: &RateChoice, source: &Source, counters: &Counters) -> Result<Rates, NoRates> {
    let date = match choice {
        RateChoice::Given(rates) => return Ok(Rates::by_hand(rates.clone())),
        RateChoice::OfDay(date) => *date,
    };
    let path = paths::rates(date);
    let request = Request::new(Purpose::Rates, &path);
    let lane = &mut counters.lane(Label::Rate);
    let rates = get_with_retries(source, request, lane, |page, lane| {
        parse(&page, lane.counters)
    });
    rates.map_err(|error| NoRates {
        sentence: format!("{}: {error}", source.address(&path)),
        may_succeed_later: source.as_archive().is_none() && retry::is_transient(error.reason),
    })
}

/// Parses a list of rates. Header and document may disagree about the charset, so a failed parse tries the
/// other one.
pub fn parse(page: &Page, counters: &Counters) -> Result<Rates, PageError> {
    let mut inflater = Inflater::default();
    let xml = page.inflate(&mut inflater)?;
    page.check_identity(xml, counters)?;
    parse_as(xml, page.charset().as_deref()).or_else(|error| parse_as(xml, None).map_err(|_| error))
}

fn parse_as(xml: &[u8], charset: Option<&str>) -> Result<Rates, PageError> {
    if xml.len() > rates::MAX_BYTES {
        let limit = rates::MAX_BYTES >> 20;
        let detail = format!("the list of rates is larger than {limit} MiB");
        return Err(PageError::new(Reason::TooLarge, detail));
    }
    let xml = decode::to_utf8(xml, charset);
    let xml = String::from_utf8_lossy(&xml);
    let is_complete = xml.contains("</ValCurs>") || !xml.contains("<ValCurs");
    if !is_complete || xml.trim().is_empty() {
        let detail = "the list of rates ends without </ValCurs>";
        return Err(PageError::new(Reason::Truncated, detail));
    }
    rates::parse(&xml)
        .map_err(|error| PageError::new(Reason::Unrecognised, error.to_string()).caused_by(error))
}

/// Returns a warning if the rates are of another week than the quotes. If no page states a day, the rates
/// are compared with the day that they were asked for. No warning without a day of the rates, or without
/// one to compare it with.
pub fn far_off(
    rates: Option<Date>,
    quotes: Option<Date>,
    asked_for: Option<Date>,
) -> Option<String> {
    let (rates, expected) = (rates?, quotes.or(asked_for)?);
    let apart = rates.since(expected).ok()?.get_days().abs();
    let of = if quotes.is_some() {
        "the quotes of "
    } else {
        ""
    };
    (apart > MAX_DAYS_APART)
        .then(|| format!("the exchange rate is for {rates}, {apart} days from {of}{expected}"))
}

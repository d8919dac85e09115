//! The exchange rate of a run: given by the user, or fetched.

use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;

use crate::http::decode::{self, Inflater};
use crate::http::error::{PageError, Reason};
use crate::http::page::Page;
use crate::site::paths;
use crate::site::rates::{self, Rate};
use crate::source::Source;
use crate::source::get_with_retries::get_with_retries;
use crate::source::purpose::{Purpose, Request};
use crate::telemetry::counters::Counters;
use crate::telemetry::trace::Label;

/// A rate may be for an earlier day than requested (weekends, holidays). More days apart than this get
/// a warning.
const MAX_DAYS_APART: i32 = 7;

#[derive(Debug, Clone, Copy)]
pub enum RateChoice {
    /// The Bank of Russia's rate of a day, or the latest.
    OfDay(Option<Date>),
    /// Roubles for one dollar.
    Given(Decimal),
}

/// Returns the rate to use, or a sentence that says why no rate is available.
pub fn find(choice: RateChoice, source: &Source, counters: &Counters) -> Result<Rate, String> {
    let date = match choice {
        RateChoice::Given(value) => return Ok(Rate::by_hand(value)),
        RateChoice::OfDay(date) => date,
    };
    let path = paths::rates(date);
    let request = Request::new(Purpose::Rates, &path);
    let lane = &mut counters.lane(Label::Rate);
    let rate = get_with_retries(source, request, lane, |page, lane| {
        parse(&page, lane.counters)
    });
    rate.map_err(|error| format!("{}: {error}", source.address(&path)))
}

/// Header and document may disagree about the charset, so a failed parse tries the other one.
fn parse(page: &Page, counters: &Counters) -> Result<Rate, PageError> {
    let mut inflater = Inflater::default();
    let xml = page.inflate(&mut inflater)?;
    page.check_identity(xml, counters)?;
    parse_as(xml, page.charset().as_deref()).or_else(|error| parse_as(xml, None).map_err(|_| error))
}

fn parse_as(xml: &[u8], charset: Option<&str>) -> Result<Rate, PageError> {
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

/// Returns a warning if the rate is for a day far from the requested one.
pub fn far_off(choice: RateChoice, rate: Option<&Rate>) -> Option<String> {
    let RateChoice::OfDay(requested) = choice else {
        return None;
    };
    let wanted = requested.unwrap_or_else(|| Timestamp::now().to_zoned(TimeZone::UTC).date());
    let date = rate?.day.as_ref()?.date;
    let apart = date.since(wanted).ok()?.get_days().abs();
    (apart > MAX_DAYS_APART)
        .then(|| format!("the exchange rate is for {date}, {apart} days from {wanted}"))
}

//! The exchange rate of a run: given, or asked for.

use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::Decimal;

use crate::http::decode::Inflater;
use crate::http::page::{self, Page, PageError, Reason};
use crate::site::rates::{self, Rate};
use crate::source::get_with_retries::Patience;
use crate::source::{self, Source};
use crate::telemetry::counters::Meter;
use crate::telemetry::trace::{Lane, Role};

/// A rate for another day than the run's is usual (weekends, holidays); one this far off is not.
const DAYS_OFF: i32 = 7;

#[derive(Debug, Clone, Copy)]
pub enum RateChoice {
    /// The Bank of Russia's rate of a day, or the latest.
    OfDay(Option<Date>),
    /// Roubles for one dollar.
    Given(Decimal),
}

/// The rate to use, or why there is none.
pub fn find(choice: RateChoice, source: &Source, meter: &Meter) -> Result<Rate, String> {
    let date = match choice {
        RateChoice::Given(value) => return Ok(Rate::by_hand(value)),
        RateChoice::OfDay(date) => date,
    };
    let read_answer = |answer: Page, _: &mut Lane| {
        let mut inflater = Inflater::default();
        let xml = answer.inflate(&mut inflater)?;
        // Header and document may disagree about the charset, and either may be right.
        let by_header = read(xml, answer.charset().as_deref());
        by_header.or_else(|error| read(xml, None).map_err(|_| error))
    };
    let mut page = Patience::new(source, source::rates_path(date));
    let rate = page.get(&mut meter.lane(Role::Rate), read_answer);
    rate.map_err(|error| format!("{}: {error}", source.address(&page.path)))
}

fn read(xml: &[u8], charset: Option<&str>) -> Result<Rate, PageError> {
    if xml.len() > rates::MAX_BYTES {
        let why = format!("the list of rates has over {} MiB", rates::MAX_BYTES >> 20);
        return Err(PageError::new(Reason::TooLarge, why));
    }
    let xml = page::to_utf8(xml, charset);
    let xml = String::from_utf8_lossy(&xml);
    let is_whole = xml.contains("</ValCurs>") || !xml.contains("<ValCurs");
    if !is_whole || xml.trim().is_empty() {
        let why = "the list of rates ends without </ValCurs>";
        return Err(PageError::new(Reason::Truncated, why));
    }
    rates::parse(&xml).map_err(|error| PageError::new(Reason::Unrecognised, error.to_string()))
}

/// A sentence about a rate that is for a day far from the one that was wanted.
pub fn far_off(choice: RateChoice, rate: Option<&Rate>) -> Option<String> {
    let RateChoice::OfDay(asked) = choice else {
        return None;
    };
    let wanted = asked.unwrap_or_else(|| Timestamp::now().to_zoned(TimeZone::UTC).date());
    let date = rate?.day.as_ref()?.date;
    let off = date.since(wanted).ok()?.get_days().abs();
    (off > DAYS_OFF).then(|| format!("the rate is for {date}, {off} days from {wanted}"))
}

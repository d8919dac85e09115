//! The prices of all companies in one currency: how they are converted, and which companies are left
//! out for want of a rate.
//!
//! A currency that the bank does not list leaves its companies out of the ranking by price, however many
//! they are. An entry of the list that cannot be trusted may leave out only as many companies as a run
//! may lack, see [`coverage`]; with more, there is no ranking by price. A rate out of proportion puts
//! the whole list in doubt, so it leaves no ranking either.

use std::collections::BTreeMap;

use jiff::civil::Date;
use rust_decimal::serde::arbitrary_precision as exact;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::Serialize;

use crate::results::coverage;
use crate::site::company::{AsOf, Company};
use crate::site::currency::Currency;
use crate::site::rates::{NoRate, Rates};
use crate::words::{form, quantity};

/// Maximum number of currencies in a sentence. The notes of the companies name all.
const NAMED: usize = 10;

/// How the prices of a run are converted.
#[derive(Debug)]
pub struct Prices {
    /// The currency of the ranking by price.
    pub currency: Currency,
    /// Empty if there is an error. Prices quoted in `currency` need no rate.
    rates: Rates,
    /// Why there is no ranking by price.
    pub error: Option<String>,
    /// The currencies without a rate that companies are quoted in. Empty if there is an error.
    left_out: BTreeMap<Currency, LeftOut>,
    /// The number of companies with a price, in any currency.
    quoted: usize,
}

/// The companies that a currency without a rate leaves out.
#[derive(Debug)]
struct LeftOut {
    companies: usize,
    why: NoRate,
}

/// A rate that prices were converted by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RateUsed {
    pub currency: Currency,
    #[serde(with = "exact")]
    pub nominal: Decimal,
    /// Roubles for `nominal` units of the currency.
    #[serde(with = "exact")]
    pub value: Decimal,
    /// The day that the rate is for; null if it was given by hand.
    pub date: Option<Date>,
}

/// Whether ranking by price in `currency` takes any rate: a company is quoted in another one.
pub fn need_rates(companies: &[Company], currency: Currency) -> bool {
    foreign(companies, currency).next().is_some()
}

/// The main units of the quotes in other currencies than this one.
fn foreign(companies: &[Company], currency: Currency) -> impl Iterator<Item = Currency> {
    let quoted = companies.iter().filter(|one| one.page.price.is_some());
    let main_units = quoted.map(|company| company.currency.main_unit().0);
    main_units.filter(move |main| *main != currency)
}

impl Prices {
    /// Prices in `currency`, which is no minor unit. `rates` are the rates, or why there are none.
    pub fn new(companies: &[Company], rates: Result<Rates, String>, currency: Currency) -> Self {
        let quoted = companies.iter().filter(|one| one.page.price.is_some());
        let mut prices = Prices {
            currency,
            rates: Rates::default(),
            error: None,
            left_out: BTreeMap::new(),
            quoted: quoted.count(),
        };
        if need_rates(companies, currency) {
            match rates {
                Ok(rates) => prices.rates = rates,
                Err(why) => prices.error = Some(why),
            }
        }
        if prices.error.is_none() {
            prices.left_out = prices.without_rate(companies);
            prices.error = prices
                .unusable()
                .or_else(|| prices.none_in_range(companies));
        }
        if prices.error.is_some() {
            prices.rates = Rates::default();
            prices.left_out.clear();
        }
        prices
    }

    /// The price of a company, rounded half up to two decimals. `None` without a price or a rate, and if
    /// the result is outside the range of `Decimal`.
    pub fn of(&self, company: &Company) -> Option<Decimal> {
        let conversion = self.rates.conversion(company.currency, self.currency);
        conversion.ok()?.apply(company.page.price?).map(half_up)
    }

    /// Why a company with a price is left out of the ranking by price. `None` if it is not, or if there is
    /// no ranking.
    pub fn note(&self, company: &Company) -> Option<String> {
        let is_left_out = company.page.price.is_some() && self.of(company).is_none();
        if self.error.is_some() || !is_left_out {
            return None;
        }
        let conversion = self.rates.conversion(company.currency, self.currency);
        let why = match conversion {
            Err((currency, why)) => self.rates.explain(currency, &why),
            Ok(_) => format!("the price is too large in {}", self.currency),
        };
        Some(format!("not ranked by price: {why}"))
    }

    /// The rates that prices were converted by, ordered by code.
    pub fn used(&self, companies: &[Company]) -> Vec<RateUsed> {
        let mut used = BTreeMap::new();
        for quote in foreign(companies, self.currency) {
            let pair = [quote, self.currency];
            if let [Ok(quote_rate), Ok(rate)] = pair.map(|one| self.rates.get(one)) {
                used.extend(pair.into_iter().zip([quote_rate, rate]));
            }
        }
        used.remove(&Currency::RUB);
        let date = self.date();
        let used = used.into_iter().map(|(currency, rate)| RateUsed {
            currency,
            nominal: rate.nominal,
            value: rate.value,
            date,
        });
        used.collect()
    }

    /// The day of the rates. `None` if none was needed or they were given by hand.
    pub fn date(&self) -> Option<Date> {
        Some(self.rates.day.as_ref()?.date)
    }

    /// A sentence about the companies that are left out. `None` if there are none.
    pub fn warning(&self) -> Option<String> {
        let companies = sum(self.left_out.iter());
        if companies == 0 {
            return None;
        }
        let currencies = self.left_out.iter().take(NAMED);
        let mut named: Vec<String> = currencies
            .map(|(currency, LeftOut { companies, .. })| format!("{currency} ({companies})"))
            .collect();
        if self.left_out.len() > NAMED {
            named.push(format!("{} more", self.left_out.len() - NAMED));
        }
        let verb = form(companies, "is", "are");
        Some(format!(
            "{companies} of {} {verb} not ranked by price, for want of a rate: {}",
            quantity(self.quoted, "company", "companies"),
            named.join(", ")
        ))
    }

    /// The currencies without a usable rate that companies are quoted in, and how many these are. If
    /// the currency of the ranking has none, it stands for all of them.
    fn without_rate(&self, companies: &[Company]) -> BTreeMap<Currency, LeftOut> {
        let mut left_out = BTreeMap::new();
        for quote in foreign(companies, self.currency) {
            if let Err((currency, why)) = self.rates.conversion(quote, self.currency) {
                let companies = 0;
                let entry = left_out.entry(currency);
                entry.or_insert(LeftOut { companies, why }).companies += 1;
            }
        }
        left_out
    }

    /// Why so many companies are left out, or such rates are unusable, that there is no ranking.
    fn unusable(&self) -> Option<String> {
        // The bank lists the dollar on every day, so a list without it is damaged.
        let is_fault = |(currency, left_out): &(&Currency, &LeftOut)| match left_out.why {
            NoRate::NotListed => **currency == Currency::USD && self.rates.day.is_some(),
            NoRate::Unusable(_) | NoRate::OutOfProportion(_) => true,
        };
        let all = || self.left_out.iter();
        let target = all().find(|(currency, _)| **currency == self.currency);
        let doubtful =
            all().find(|(_, left_out)| matches!(left_out.why, NoRate::OutOfProportion(_)));
        let largest_fault = || {
            let faults = all().filter(is_fault);
            let may_be_missing = coverage::may_be_missing(self.quoted);
            (sum(faults.clone()) > may_be_missing).then(|| largest(faults))?
        };
        let largest_of_all = || (sum(all()) == self.quoted).then(|| largest(all()))?;
        let (currency, LeftOut { why, .. }) = target
            .or(doubtful)
            .or_else(largest_fault)
            .or_else(largest_of_all)?;
        Some(self.rates.explain(*currency, why))
    }

    /// Why there is no ranking by price, if every converted price is too large.
    fn none_in_range(&self, companies: &[Company]) -> Option<String> {
        let is_empty = !companies.iter().any(|company| self.of(company).is_some());
        (self.quoted > 0 && is_empty)
            .then(|| format!("every price is too large in {}", self.currency))
    }
}

/// The number of companies that these currencies leave out.
fn sum<'a>(left_out: impl Iterator<Item = (&'a Currency, &'a LeftOut)>) -> usize {
    left_out.map(|(_, left_out)| left_out.companies).sum()
}

/// The currency that leaves out the most companies.
fn largest<'a>(
    left_out: impl Iterator<Item = (&'a Currency, &'a LeftOut)>,
) -> Option<(&'a Currency, &'a LeftOut)> {
    left_out.max_by_key(|(_, left_out)| left_out.companies)
}

/// Rounds half up to two decimals.
pub(crate) fn half_up(value: Decimal) -> Decimal {
    // Neither figure is ever negative, so rounding away from zero rounds up.
    value.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero)
}

/// A sentence about pages that state no currency, if they are more than a run may lack. Then the parser
/// may not find it, and the assumed currency may be wrong for all of them.
pub fn assumed_currencies(companies: &[Company]) -> Option<String> {
    let without = companies.iter().filter(|one| one.page.currency.is_none());
    let first = without.clone().next()?;
    let (without, all) = (without.count(), companies.len());
    (without > coverage::may_be_missing(all)).then(|| {
        let assumed = first.currency;
        format!(
            "{without} of {all} pages state no currency; their prices are taken to be in {assumed}"
        )
    })
}

/// The most common day of the quotes, the latest of several. `None` if no page states a day.
pub fn most_common_day(companies: &[Company]) -> Option<Date> {
    let mut days: Vec<Date> = companies
        .iter()
        .filter_map(|company| match company.page.as_of? {
            AsOf::Day(day) => Some(day),
            AsOf::Time(_) => None,
        })
        .collect();
    days.sort_unstable();
    let same_days = days.chunk_by(|a, b| a == b);
    same_days.max_by_key(|days| days.len()).map(|days| days[0])
}

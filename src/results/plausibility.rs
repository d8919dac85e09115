//! Figures of a company that contradict each other. Pure: values in, values out.
//!
//! A wrong 52-week low once decided a first place: 15.32 USD for Merck, whose price was 81 USD (75 a
//! year before). The run warns about such figures and ranks them unchanged, because the right ones are
//! unknown.
//!
//! Some figures must agree for any share: the price, the price a year ago (derived from the growth in
//! the index), and the range of the 52 weeks between. The tolerances come from a real crawl of 496
//! companies, of which 492 have all of these figures:
//!
//! | [`Rule`] | on the crawl | flagged there |
//! |---|---|---|
//! | price in the range | 1.01 of the low to 1.02 of the high | none |
//! | price a year ago in the range | 0.91 of the low to 1.04 of the high | none |
//! | low against the lower of both prices | 0.20 (MRK), then 0.68 and more | MRK |
//! | high against the higher of both prices | up to 3.12 (MRNA, rightly), then 1.99 | none |
//! | P/E | −893 to 1,299, and 14,392 on another day | none |

use std::sync::Arc;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::ser::{Serialize, Serializer};

use crate::results::ranking::Exact;
use crate::site::company::Company;

/// A price may be up to 1.5 × the 52-week high. The price is the current one, the range is from the
/// last night, and the growth in the index is from yet another moment.
const ABOVE_RANGE: Decimal = Decimal::from_parts(15, 0, 0, false, 1);
/// A price may be down to 0.5 × the 52-week low, for the same reason.
const BELOW_RANGE: Decimal = Decimal::from_parts(5, 0, 0, false, 1);
/// Flags a low under a third of both prices: the share would have lost two thirds and recovered within
/// a year. A factor of 2 would flag many correct lows after a crash like March 2020.
const LOW_FACTOR: Decimal = Decimal::from_parts(3, 0, 0, false, 0);
/// Flags a high over five times both prices. A share can triple and fall back, as MRNA did in 2021.
const HIGH_FACTOR: Decimal = Decimal::from_parts(5, 0, 0, false, 0);
/// The factor for both rules if the growth is missing, because then only the current price is known.
/// The price of DVN was correctly 3.2 times its low, and 3 times the price a year before.
const FACTOR_WITHOUT_GROWTH: Decimal = Decimal::TEN;
/// Flags a P/E beyond ±10,000: earnings are then near zero, and the ratio is meaningless.
const MAX_PE: Decimal = Decimal::from_parts(10_000, 0, 0, false, 0);

/// Which figures contradict each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// The price is far outside the 52-week range.
    PriceOutsideRange,
    /// The price a year ago, price ÷ (1 + growth ÷ 100), is far outside the 52-week range.
    GrowthOutsideRange,
    /// The 52-week low is far below both prices.
    LowFarBelow,
    /// The 52-week high is far above both prices.
    HighFarAbove,
    /// The P/E is beyond ±10,000.
    PeBeyond,
}

/// Figures of a company that contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Contradiction {
    pub code: String,
    pub path: Arc<str>,
    pub rule: Rule,
    pub figures: Figures,
    /// Which figure looks wrong, and the figures that it contradicts.
    pub why: String,
}

/// Figures by name, as the site shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures(pub Vec<(&'static str, Decimal)>);

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let figures = self.0.iter();
        serializer.collect_map(figures.map(|(name, figure)| (name, Exact(*figure))))
    }
}

/// The contradictions of all companies, in their order. They are found when the iterator reaches them,
/// because each takes some 300 bytes.
pub fn check_all(companies: &[Company]) -> impl Iterator<Item = Contradiction> {
    companies.iter().flat_map(check)
}

/// The contradictions of one company, in the order of [`Rule`].
pub fn check(company: &Company) -> Vec<Contradiction> {
    let found = [
        (Rule::PriceOutsideRange, price_outside_range(company)),
        (Rule::GrowthOutsideRange, growth_outside_range(company)),
        (Rule::LowFarBelow, low_far_below(company)),
        (Rule::HighFarAbove, high_far_above(company)),
        (Rule::PeBeyond, pe_beyond(company)),
    ];
    found
        .into_iter()
        .filter_map(|(rule, why)| {
            Some(Contradiction {
                code: company.page.code.clone(),
                path: company.path.clone(),
                rule,
                figures: figures(company, rule),
                why: why?,
            })
        })
        .collect()
}

// Each function below checks one rule. It returns a sentence if the company breaks the rule, and `None`
// if not or if a figure is missing.

fn price_outside_range(company: &Company) -> Option<String> {
    let price = company.page.price?;
    let range = outside_range(company, price)?;
    Some(format!("price {price} looks wrong ({range})"))
}

fn growth_outside_range(company: &Company) -> Option<String> {
    let growth = company.growth?;
    if growth <= -Decimal::ONE_HUNDRED {
        return Some(format!(
            "growth {growth} % looks wrong (it leaves no price)"
        ));
    }
    let year_ago = price_a_year_ago(company)?;
    let range = outside_range(company, year_ago)?;
    let year_ago = cents(year_ago);
    Some(format!(
        "growth {growth} % looks wrong (price a year ago {year_ago}, {range})"
    ))
}

fn low_far_below(company: &Company) -> Option<String> {
    let (price, low) = (company.page.price?, company.page.low52?);
    let year_ago = price_a_year_ago(company);
    let factor = year_ago.map_or(FACTOR_WITHOUT_GROWTH, |_| LOW_FACTOR);
    let lower = year_ago.map_or(price, |year_ago| year_ago.min(price));
    (low.checked_mul(factor)? < lower).then(|| {
        let prices = prices(price, year_ago);
        format!("52-week low {low} looks wrong ({prices})")
    })
}

fn high_far_above(company: &Company) -> Option<String> {
    let (price, high) = (company.page.price?, company.page.high52?);
    let year_ago = price_a_year_ago(company);
    let factor = year_ago.map_or(FACTOR_WITHOUT_GROWTH, |_| HIGH_FACTOR);
    let higher = year_ago.map_or(price, |year_ago| year_ago.max(price));
    (high > higher.checked_mul(factor)?).then(|| {
        let prices = prices(price, year_ago);
        format!("52-week high {high} looks wrong ({prices})")
    })
}

fn pe_beyond(company: &Company) -> Option<String> {
    let pe = company.page.pe?;
    (pe.abs() > MAX_PE).then(|| format!("P/E {pe} looks wrong (beyond ±10,000)"))
}

/// How a price compares with the 52-week range, if it is outside by more than half.
fn outside_range(company: &Company, price: Decimal) -> Option<String> {
    let (low, high) = (company.page.low52?, company.page.high52?);
    if price > high.checked_mul(ABOVE_RANGE)? {
        Some(format!("over 1.5 times the 52-week high {high}"))
    } else if price < low.checked_mul(BELOW_RANGE)? {
        Some(format!("under half the 52-week low {low}"))
    } else {
        None
    }
}

/// The price a year ago in the currency of the quote, by the growth. `None` if the growth is missing or leaves no price.
fn price_a_year_ago(company: &Company) -> Option<Decimal> {
    let factor = company
        .growth?
        .checked_div(Decimal::ONE_HUNDRED)?
        .checked_add(Decimal::ONE)?;
    let price = company.page.price?;
    (factor > Decimal::ZERO).then(|| price.checked_div(factor))?
}

fn prices(price: Decimal, year_ago: Option<Decimal>) -> String {
    match year_ago {
        Some(year_ago) => format!("price {price}, a year ago {}", cents(year_ago)),
        None => format!("price {price}"),
    }
}

fn cents(price: Decimal) -> Decimal {
    price.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero)
}

/// The figures that a rule compares, under the names that `indexrank read` uses.
fn figures(company: &Company, rule: Rule) -> Figures {
    let page = &company.page;
    let price = ("price", page.price);
    let growth = ("growth", company.growth);
    let low = ("52 week low", page.low52);
    let high = ("52 week high", page.high52);
    let compared = match rule {
        Rule::PriceOutsideRange => vec![price, low, high],
        Rule::GrowthOutsideRange | Rule::LowFarBelow | Rule::HighFarAbove => {
            vec![price, growth, low, high]
        }
        Rule::PeBeyond => vec![("P/E", page.pe)],
    };
    let known = compared
        .into_iter()
        .filter_map(|(name, figure)| Some((name, figure?.normalize())));
    Figures(known.collect())
}

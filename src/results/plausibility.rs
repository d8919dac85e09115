//! Figures of a company that contradict each other. Pure: values in, values out.
//!
//! The site's own data can be wrong: a 52-week low of 15.32 dollars for Merck, which stood at 81
//! dollars and at 75 a year before, decided a first place. Such figures are told of and ranked as
//! they are, for nobody here knows the right ones.
//!
//! What is compared is what must agree whatever a share does: its price, its price a year ago (by
//! the growth in the index), and the range of the 52 weeks between. How far each may be off is
//! chosen on a real crawl of 496 companies, of which 492 have all of these:
//!
//! | [`Rule`] | on the crawl | named there |
//! |---|---|---|
//! | price in the range | 1.01 of the low to 1.02 of the high | none |
//! | price a year ago in the range | 0.91 of the low to 1.04 of the high | none |
//! | low against the lower of both prices | 0.20 (MRK), then 0.68 and more | MRK |
//! | high against the higher of both prices | up to 3.12 (MRNA, rightly), then 1.99 | none |
//! | P/E | −893 to 1,299, and 14,392 on another day | none |

use rust_decimal::{Decimal, RoundingStrategy};
use serde::ser::{Serialize, Serializer};

use crate::pipeline::harvest::Company;
use crate::results::ranking::Exact;

/// Prices may be outside the range by half: the page's price is of now and its range of last
/// night, and the growth in the index is of another moment than both.
const ABOVE_RANGE: Decimal = Decimal::from_parts(15, 0, 0, false, 1);
const BELOW_RANGE: Decimal = Decimal::from_parts(5, 0, 0, false, 1);
/// A low of less than this part of both prices: a share that lost two thirds and won them back
/// within a year. A half would name many more after a spring like that of 2020.
const LOW_PART: Decimal = Decimal::from_parts(3, 0, 0, false, 0);
/// A high of more than this many times both prices. Shares do rise to three times and fall back:
/// MRNA in 2021.
const HIGH_TIMES: Decimal = Decimal::from_parts(5, 0, 0, false, 0);
/// The same for both where the growth is missing and the price of now is all there is: DVN rightly
/// stood at 3.2 times its low, and at 3 times its price a year before.
const ALONE: Decimal = Decimal::TEN;
/// Further from zero than this, earnings are next to nothing and the ratio says nothing.
const MOST_PE: Decimal = Decimal::from_parts(10_000, 0, 0, false, 0);

/// What was found not to fit.
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
pub struct Suspicion {
    pub code: String,
    pub path: String,
    pub rule: Rule,
    pub figures: Figures,
    /// What does not fit, with its numbers, as a sentence.
    pub why: String,
}

/// Figures by name, as the site gives them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures(pub Vec<(&'static str, Decimal)>);

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let figures = self.0.iter();
        serializer.collect_map(figures.map(|(name, figure)| (name, Exact(*figure))))
    }
}

/// All that is suspicious, company after company.
pub fn suspicious(companies: impl Iterator<Item = Company>) -> Vec<Suspicion> {
    companies.flat_map(|company| of_company(&company)).collect()
}

/// What is suspicious about one company, in the order of [`Rule`].
pub fn of_company(company: &Company) -> Vec<Suspicion> {
    let found = [
        price_outside_range(company),
        growth_outside_range(company),
        low_far_below(company),
        high_far_above(company),
        pe_beyond(company),
    ];
    let suspicion = |(rule, why)| Suspicion {
        code: company.page.code.clone(),
        path: company.path.clone(),
        rule,
        figures: figures(company, rule),
        why,
    };
    found.into_iter().flatten().map(suspicion).collect()
}

type Found = Option<(Rule, String)>;

fn price_outside_range(company: &Company) -> Found {
    let price = company.page.price?;
    let where_to = outside_range(company, price)?;
    Some((
        Rule::PriceOutsideRange,
        format!("the price, {price}, is {where_to}"),
    ))
}

fn growth_outside_range(company: &Company) -> Found {
    let growth = company.growth?;
    if growth <= -Decimal::ONE_HUNDRED {
        let why = format!("a growth of {growth} % leaves no price");
        return Some((Rule::GrowthOutsideRange, why));
    }
    let year_ago = price_a_year_ago(company)?;
    let where_to = outside_range(company, year_ago)?;
    let why = format!(
        "the price a year ago, {} by a growth of {growth} %, is {where_to}",
        cents(year_ago)
    );
    Some((Rule::GrowthOutsideRange, why))
}

fn low_far_below(company: &Company) -> Found {
    let (price, low) = (company.page.price?, company.page.low52?);
    let year_ago = price_a_year_ago(company);
    let part = year_ago.map_or(ALONE, |_| LOW_PART);
    let lower = year_ago.map_or(price, |year_ago| year_ago.min(price));
    (low.checked_mul(part)? < lower).then(|| {
        let why = format!(
            "the 52-week low, {low}, is under a {} of {}",
            if part == ALONE { "tenth" } else { "third" },
            prices(price, year_ago)
        );
        (Rule::LowFarBelow, why)
    })
}

fn high_far_above(company: &Company) -> Found {
    let (price, high) = (company.page.price?, company.page.high52?);
    let year_ago = price_a_year_ago(company);
    let times = year_ago.map_or(ALONE, |_| HIGH_TIMES);
    let higher = year_ago.map_or(price, |year_ago| year_ago.max(price));
    (high > higher.checked_mul(times)?).then(|| {
        let why = format!(
            "the 52-week high, {high}, is over {} times {}",
            if times == ALONE { "ten" } else { "five" },
            prices(price, year_ago)
        );
        (Rule::HighFarAbove, why)
    })
}

fn pe_beyond(company: &Company) -> Found {
    let pe = company.page.pe?;
    (pe.abs() > MOST_PE).then(|| (Rule::PeBeyond, format!("the P/E, {pe}, is beyond ±10,000")))
}

/// Where a price is, if it is outside the 52-week range by more than half.
fn outside_range(company: &Company, price: Decimal) -> Option<String> {
    let (low, high) = (company.page.low52?, company.page.high52?);
    if price > high.checked_mul(ABOVE_RANGE)? {
        Some(format!(
            "over one and a half times the 52-week high, {high}"
        ))
    } else if price < low.checked_mul(BELOW_RANGE)? {
        Some(format!("under half the 52-week low, {low}"))
    } else {
        None
    }
}

/// In dollars, by the growth; none if that is missing or leaves none.
fn price_a_year_ago(company: &Company) -> Option<Decimal> {
    let since = company
        .growth?
        .checked_div(Decimal::ONE_HUNDRED)?
        .checked_add(Decimal::ONE)?;
    let price = company.page.price?;
    (since > Decimal::ZERO).then(|| price.checked_div(since))?
}

fn prices(price: Decimal, year_ago: Option<Decimal>) -> String {
    match year_ago {
        Some(year_ago) => format!(
            "both the price, {price}, and that of a year ago, {}",
            cents(year_ago)
        ),
        None => format!("the price, {price}"),
    }
}

fn cents(price: Decimal) -> Decimal {
    price.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero)
}

/// The figures that a rule goes by, under the names that saved pages are shown with.
fn figures(company: &Company, rule: Rule) -> Figures {
    let page = &company.page;
    let price = ("price", page.price);
    let growth = ("growth", company.growth);
    let low = ("52 week low", page.low52);
    let high = ("52 week high", page.high52);
    let by = match rule {
        Rule::PriceOutsideRange => vec![price, low, high],
        Rule::GrowthOutsideRange | Rule::LowFarBelow | Rule::HighFarAbove => {
            vec![price, growth, low, high]
        }
        Rule::PeBeyond => vec![("P/E", page.pe)],
    };
    let known = by
        .into_iter()
        .filter_map(|(name, figure)| Some((name, figure?.normalize())));
    Figures(known.collect())
}

//! Ranks companies by each of the four figures. Pure functions, no I/O.

use rust_decimal::Decimal;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::results::prices::{Prices, half_up};
use crate::site::company::{Company, CompanyPage};
use crate::site::currency::Currency;

/// The figure that a ranking is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// Price in one currency, roubles by default, highest first.
    Price,
    /// Price–earnings ratio (P/E), lowest first.
    Pe,
    /// Growth over one year in per cent, highest first.
    Growth,
    /// Profit in per cent when buying at the 52-week low and selling at the 52-week high, highest
    /// first.
    PotentialProfit,
}

impl Figure {
    pub const ALL: [Figure; 4] = [
        Figure::Price,
        Figure::Pe,
        Figure::Growth,
        Figure::PotentialProfit,
    ];

    /// The JSON key of the figure in each object of its ranking.
    pub fn key(self) -> &'static str {
        match self {
            Figure::Price => "price",
            Figure::Pe => "P/E",
            Figure::Growth => "growth",
            Figure::PotentialProfit => "potential profit",
        }
    }

    /// The name of the ranking in the database and in the answers from it.
    pub fn name(self) -> &'static str {
        match self {
            Figure::Price => "price",
            Figure::Pe => "pe",
            Figure::Growth => "growth",
            Figure::PotentialProfit => "potential_profit",
        }
    }

    /// The file name of the ranking.
    pub fn file_name(self) -> &'static str {
        match self {
            Figure::Price => "price.json",
            Figure::Pe => "pe.json",
            Figure::Growth => "growth.json",
            Figure::PotentialProfit => "potential_profit.json",
        }
    }

    /// The title of the ranking and the unit of its figure, as the terminal shows them. Prices are in
    /// `currency`.
    pub fn title(self, currency: &Currency) -> (&'static str, &str) {
        match self {
            Figure::Price => ("Dearest", currency.as_str()),
            Figure::Pe => ("Lowest P/E", "P/E"),
            Figure::Growth => ("Highest growth in a year", "%"),
            Figure::PotentialProfit => ("Highest potential profit", "%"),
        }
    }
}

/// Which price–earnings ratios are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeRange {
    /// All ratios. A company with a loss has a negative one, so it ranks before all others.
    Any,
    /// Only ratios above zero.
    Positive,
}

/// One entry of a ranking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub code: String,
    pub name: String,
    pub figure: Figure,
    pub value: Decimal,
}

/// Serializes as `{"code", "name", "price" | "P/E" | "growth" | "potential profit"}`, in this order.
impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(3))?;
        object.serialize_entry("code", &self.code)?;
        object.serialize_entry("name", &self.name)?;
        object.serialize_entry(self.figure.key(), &Exact(self.value))?;
        object.end()
    }
}

/// A decimal that serializes as a JSON number with all its digits, without rounding to a float.
#[derive(Serialize)]
pub struct Exact(#[serde(with = "rust_decimal::serde::arbitrary_precision")] pub Decimal);

/// The first `top` companies by a figure. Companies without the figure are left out, and equal
/// figures are ordered by code.
pub fn ranking(
    companies: &[Company],
    figure: Figure,
    prices: &Prices,
    pe_range: PeRange,
    top: usize,
) -> Vec<Place> {
    let value = |company: &Company| match figure {
        Figure::Price => prices.of(company),
        Figure::Pe => company
            .page
            .pe
            .filter(|pe| pe_range == PeRange::Any || *pe > Decimal::ZERO),
        Figure::Growth => company.growth,
        Figure::PotentialProfit => potential_profit(&company.page),
    };
    let mut ranked: Vec<(Decimal, &CompanyPage)> = companies
        .iter()
        .filter_map(|company| Some((value(company)?, &company.page)))
        .collect();
    ranked.sort_unstable_by(|(a, company_a), (b, company_b)| {
        let by_figure = if figure == Figure::Pe {
            a.cmp(b)
        } else {
            b.cmp(a)
        };
        by_figure.then_with(|| company_a.code.cmp(&company_b.code))
    });
    let place = |(value, page): (Decimal, &CompanyPage)| Place {
        code: page.code.clone(),
        name: page.name.clone(),
        figure,
        value: value.normalize(),
    };
    ranked.into_iter().take(top).map(place).collect()
}

/// Potential profit in per cent: (52-week high ÷ low − 1) × 100, rounded half up to two decimals.
/// `None` without a 52-week range, or if the result is outside the range of `Decimal`.
pub fn potential_profit(page: &CompanyPage) -> Option<Decimal> {
    let ratio = page.high52?.checked_div(page.low52?)?;
    (ratio - Decimal::ONE)
        .checked_mul(Decimal::ONE_HUNDRED)
        .map(half_up)
}

//! Companies → the four rankings. Pure: values in, values out.

use std::collections::BinaryHeap;

use rust_decimal::{Decimal, RoundingStrategy};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::site::company::{Company, CompanyPage};
use crate::site::rates::Rate;

/// The figure that a ranking goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// Roubles, dearest first.
    Price,
    /// Price–earnings ratio, lowest first.
    Pe,
    /// Growth over one year in per cent, highest first.
    Growth,
    /// Profit in per cent of buying at the 52-week low and selling at the high, highest first.
    PotentialProfit,
}

impl Figure {
    pub const ALL: [Figure; 4] = [
        Figure::Price,
        Figure::Pe,
        Figure::Growth,
        Figure::PotentialProfit,
    ];

    /// The key of the figure in the objects of its ranking.
    pub fn key(self) -> &'static str {
        match self {
            Figure::Price => "price",
            Figure::Pe => "P/E",
            Figure::Growth => "growth",
            Figure::PotentialProfit => "potential profit",
        }
    }

    /// The name of the ranking's file.
    pub fn file_name(self) -> &'static str {
        match self {
            Figure::Price => "price.json",
            Figure::Pe => "pe.json",
            Figure::Growth => "growth.json",
            Figure::PotentialProfit => "potential_profit.json",
        }
    }
}

/// Which price–earnings ratios are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeRange {
    /// The number as it is: a company with a loss comes before all others.
    Any,
    /// Only those above zero.
    Positive,
}

/// One line of a ranking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub code: String,
    pub name: String,
    pub figure: Figure,
    pub value: Decimal,
}

/// `{"code", "name", "price" | "P/E" | "growth" | "potential profit"}`, in this order.
impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(3))?;
        object.serialize_entry("code", &self.code)?;
        object.serialize_entry("name", &self.name)?;
        object.serialize_entry(self.figure.key(), &Exact(self.value))?;
        object.end()
    }
}

/// A decimal as a JSON number with all its digits, not by way of a float.
#[derive(Serialize)]
pub struct Exact(#[serde(with = "rust_decimal::serde::arbitrary_precision")] pub Decimal);

/// A company with what it is ranked by: the less it is, the better; then by its code. The order of
/// the fields is that of the ranking.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Ranked {
    by: Decimal,
    code: String,
    name: String,
    value: Decimal,
}

/// The first `top` companies by a figure; those that lack it are left out. Equal figures are
/// ordered by code. Prices need a rate: without one their ranking is empty.
pub fn ranking(
    companies: impl Iterator<Item = Company>,
    figure: Figure,
    rate: Option<&Rate>,
    pe_range: PeRange,
    top: usize,
) -> Vec<Place> {
    let value = |company: &Company| match figure {
        Figure::Price => price_in_roubles(&company.page, rate?),
        Figure::Pe => company
            .page
            .pe
            .filter(|pe| pe_range == PeRange::Any || *pe > Decimal::ZERO),
        Figure::Growth => company.growth,
        Figure::PotentialProfit => potential_profit(&company.page),
    };
    // The best so far, the worst of them on top.
    let mut best = BinaryHeap::new();
    for company in companies {
        let Some(value) = value(&company) else {
            continue;
        };
        best.push(Ranked {
            by: if figure == Figure::Pe { value } else { -value },
            code: company.page.code,
            name: company.page.name,
            value,
        });
        if best.len() > top {
            best.pop();
        }
    }
    let place = |ranked: Ranked| Place {
        code: ranked.code,
        name: ranked.name,
        figure,
        value: ranked.value.normalize(),
    };
    best.into_sorted_vec().into_iter().map(place).collect()
}

/// Price in roubles: dollars × rate ÷ nominal, rounded half up to kopecks.
pub fn price_in_roubles(page: &CompanyPage, rate: &Rate) -> Option<Decimal> {
    rate.roubles(page.price?).map(half_up)
}

/// (52-week high ÷ low − 1) × 100 in per cent, rounded half up to two decimals.
pub fn potential_profit(page: &CompanyPage) -> Option<Decimal> {
    let ratio = page.high52?.checked_div(page.low52?)?;
    (ratio - Decimal::ONE)
        .checked_mul(Decimal::ONE_HUNDRED)
        .map(half_up)
}

fn half_up(value: Decimal) -> Decimal {
    // Both figures are never negative, so away from zero is up.
    value.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero)
}

//! What has changed between two runs of an index: places in the rankings, prices, P/E ratios.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use rust_decimal::Decimal;
use rust_decimal::serde::{
    arbitrary_precision as exact, arbitrary_precision_option as exact_option,
};
use serde::Serialize;

use crate::results::prices::half_up;
use crate::results::ranking::Figure;
use crate::results::schema::SCHEMA;
use crate::store::choose::{Since, choose};
use crate::store::error::StoreError;
use crate::store::rows::{PlaceRow, QuoteRow, RunRow};
use crate::store::schema::Database;

/// The difference between two complete runs of one index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Whether a place, a price or a P/E ratio has changed.
    pub changed: bool,
    pub before: RunRow,
    pub after: RunRow,
    /// All four.
    pub rankings: Vec<RankingChanges>,
    /// Companies of both runs whose price is another one, in the same currency. The largest changes by their
    /// absolute value in per cent come first.
    pub prices: Vec<PriceChange>,
    /// Companies of both runs whose P/E ratio is another one. The largest changes by their absolute value come
    /// first.
    pub pe: Vec<PeChange>,
}

/// A ranking in both runs. If one is longer, only as many places as the shorter may have are compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RankingChanges {
    #[serde(serialize_with = "name")]
    pub ranking: Figure,
    /// Why the rankings cannot be compared.
    pub not_compared: Option<String>,
    /// Ordered by the present place; then those that left, by their place before.
    pub places: Vec<PlaceChange>,
}

fn name<S: serde::Serializer>(figure: &Figure, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(figure.name())
}

/// What became of a company in a ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Entered,
    Left,
    Moved,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlaceChange {
    pub change: Kind,
    pub code: String,
    pub name: String,
    /// `None` if the company left the ranking.
    pub place: Option<u32>,
    /// `None` if the company entered the ranking.
    pub place_before: Option<u32>,
    /// What the ranking is sorted by. `None` if the run lacks the company or the figure.
    #[serde(with = "exact_option")]
    pub value: Option<Decimal>,
    #[serde(with = "exact_option")]
    pub value_before: Option<Decimal>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PriceChange {
    pub code: String,
    pub name: String,
    /// The currency of both prices.
    pub currency: String,
    #[serde(with = "exact")]
    pub before: Decimal,
    #[serde(with = "exact")]
    pub after: Decimal,
    /// Rounded half up to two decimals. `None` if the price before is 0, or the change is out of the range of
    /// `Decimal`.
    #[serde(with = "exact_option")]
    pub change_percent: Option<Decimal>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PeChange {
    pub code: String,
    pub name: String,
    #[serde(with = "exact")]
    pub before: Decimal,
    #[serde(with = "exact")]
    pub after: Decimal,
    /// After less before. `None` if that is out of the range of `Decimal`.
    #[serde(with = "exact_option")]
    pub change: Option<Decimal>,
}

/// All of a complete run that is compared.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub run: RunRow,
    pub quotes: Vec<QuoteRow>,
    pub places: Vec<PlaceRow>,
}

/// The companies of a run by their codes.
type ByCode<'a> = BTreeMap<&'a str, &'a QuoteRow>;

impl Database {
    /// What has changed between the latest complete run of an index and an earlier one, by default the one
    /// before. `index` may be left out if the file has complete runs of one index alone, or with [`Since::Run`].
    pub fn changes(
        &self,
        index: Option<&str>,
        since: Option<Since>,
    ) -> Result<Changes, StoreError> {
        let (before, after) = choose(&self.path, &self.runs()?, index, since)?;
        Ok(compare(&self.snapshot(before)?, &self.snapshot(after)?))
    }

    fn snapshot(&self, run: RunRow) -> Result<Snapshot, StoreError> {
        Ok(Snapshot {
            quotes: self.quotes(run.run)?,
            places: self.places(run.run)?,
            run,
        })
    }
}

/// Compares two complete runs of one index. Pure.
pub fn compare(before: &Snapshot, after: &Snapshot) -> Changes {
    let quotes = [before, after].map(|snapshot| -> ByCode {
        let quotes = snapshot.quotes.iter();
        quotes.map(|quote| (&*quote.code, quote)).collect()
    });
    let rankings: Vec<RankingChanges> = Figure::ALL
        .into_iter()
        .map(|figure| compare_ranking(figure, [before, after], &quotes))
        .collect();
    let both = quotes[0].values().filter_map(|before| {
        let after = quotes[1].get(&*before.code)?;
        Some((*before, *after))
    });
    let mut prices: Vec<PriceChange> = both.clone().filter_map(price_change).collect();
    prices.sort_by_key(|change| Reverse(change.change_percent.map(|change| change.abs())));
    let mut pe: Vec<PeChange> = both.filter_map(pe_change).collect();
    pe.sort_by_key(|change| Reverse(change.change.map(|change| change.abs())));
    let places = rankings.iter().map(|ranking| ranking.places.len());
    Changes {
        schema: SCHEMA,
        changed: places.sum::<usize>() + prices.len() + pe.len() > 0,
        before: before.run.clone(),
        after: after.run.clone(),
        rankings,
        prices,
        pe,
    }
}

/// The places of a ranking that differ. `quotes` are the companies of both runs.
fn compare_ranking(figure: Figure, runs: [&Snapshot; 2], quotes: &[ByCode; 2]) -> RankingChanges {
    let mut changes = RankingChanges {
        ranking: figure,
        not_compared: incomparable(figure, runs),
        places: Vec::new(),
    };
    if changes.not_compared.is_some() {
        return changes;
    }
    let tops = runs.map(|snapshot| snapshot.run.top.unwrap_or(u32::MAX));
    let top = tops[0].min(tops[1]);
    let [before, after] = runs.map(|snapshot| -> BTreeMap<&str, u32> {
        let places = of_ranking(snapshot, figure).filter(|place| place.place <= top);
        places.map(|place| (&*place.code, place.place)).collect()
    });
    let codes = before.keys().chain(after.keys());
    let mut codes: Vec<&str> = codes.copied().collect();
    codes.sort_unstable();
    codes.dedup();
    for code in codes {
        let (place_before, place) = (before.get(code).copied(), after.get(code).copied());
        let change = match (place_before, place) {
            (before, after) if before == after => continue,
            (None, _) => Kind::Entered,
            (_, None) => Kind::Left,
            _ => Kind::Moved,
        };
        let quote = |run: usize| quotes[run].get(code);
        let name = quote(1).or(quote(0)).map(|quote| quote.name.clone());
        changes.places.push(PlaceChange {
            change,
            code: code.to_owned(),
            name: name.unwrap_or_default(),
            place,
            place_before,
            value: quote(1).and_then(|quote| quote.figure(figure)),
            value_before: quote(0).and_then(|quote| quote.figure(figure)),
        });
    }
    let order = |place: &PlaceChange| (place.place.unwrap_or(u32::MAX), place.place_before);
    changes.places.sort_by_key(order);
    changes
}

/// Why this ranking of two runs cannot be compared. `None` if it can.
fn incomparable(figure: Figure, runs: [&Snapshot; 2]) -> Option<String> {
    let lacks = runs
        .iter()
        .find(|run| of_ranking(run, figure).next().is_none());
    if let Some(lacks) = lacks {
        return Some(format!("run {} has no such ranking", lacks.run.run));
    }
    let [before, after] = runs.map(|snapshot| &snapshot.run);
    let (of_before, of_after) = match figure {
        Figure::Price if before.price_currency != after.price_currency => {
            let prices =
                |run: &RunRow| format!("in {}", run.price_currency.as_deref().unwrap_or("?"));
            (format!("prices {}", prices(before)), prices(after))
        }
        Figure::Pe if before.pe_range != after.pe_range => {
            let words = if before.pe_range.as_deref() == Some("positive") {
                ("only positive P/E ratios", "all")
            } else {
                ("all P/E ratios", "only positive ones")
            };
            (words.0.to_owned(), words.1.to_owned())
        }
        _ => return None,
    };
    Some(format!(
        "run {} ranks {of_before}, run {} {of_after}",
        before.run, after.run
    ))
}

fn of_ranking(snapshot: &Snapshot, figure: Figure) -> impl Iterator<Item = &PlaceRow> {
    let places = snapshot.places.iter();
    places.filter(move |place| place.ranking == figure.name())
}

/// `None` if the price is the same or missing, or the currency is another one.
fn price_change((before, after): (&QuoteRow, &QuoteRow)) -> Option<PriceChange> {
    let (price_before, price) = (before.price?, after.price?);
    if before.currency != after.currency || price_before == price {
        return None;
    }
    let change = price
        .checked_div(price_before)
        .and_then(|ratio| ratio.checked_sub(Decimal::ONE))
        .and_then(|change| change.checked_mul(Decimal::ONE_HUNDRED));
    Some(PriceChange {
        code: after.code.clone(),
        name: after.name.clone(),
        currency: after.currency.clone(),
        before: price_before,
        after: price,
        change_percent: change.map(half_up),
    })
}

/// `None` if the ratio is the same, or missing in one of the runs.
fn pe_change((before, after): (&QuoteRow, &QuoteRow)) -> Option<PeChange> {
    let (pe_before, pe) = (before.pe?, after.pe?);
    (pe_before != pe).then(|| PeChange {
        code: after.code.clone(),
        name: after.name.clone(),
        before: pe_before,
        after: pe,
        change: pe.checked_sub(pe_before),
    })
}

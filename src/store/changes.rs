//! What has changed between two runs of an index: places in the rankings, prices, P/E ratios.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use rust_decimal::serde::{
    arbitrary_precision as exact, arbitrary_precision_option as exact_option,
};
use serde::Serialize;

use crate::results::prices::half_up;
use crate::results::ranking::Figure;
use crate::store::error::StoreError;
use crate::store::rows::{PlaceRow, QuoteRow, RunRow};
use crate::store::schema::Database;

/// Maximum number of changed prices, and of changed P/E ratios, that are listed.
pub const LARGEST: usize = 10;

/// The run that the latest one is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    Run(i64),
    /// The last run that began on this day in UTC, or before.
    Day(Date),
}

/// The difference between two complete runs of one index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Whether a place, a price or a P/E ratio has changed.
    pub changed: bool,
    pub before: RunRow,
    pub after: RunRow,
    /// All four.
    pub rankings: Vec<RankingChanges>,
    /// Companies of both runs whose price is another one, in the same currency.
    pub changed_prices: usize,
    /// The largest of these changes by their absolute value in per cent, at most [`LARGEST`].
    pub prices: Vec<PriceChange>,
    /// Companies of both runs whose P/E ratio is another one.
    pub changed_pe: usize,
    /// The largest of these changes by their absolute value, at most [`LARGEST`].
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
    /// Rounded half up to two decimals.
    #[serde(with = "exact")]
    pub change_percent: Decimal,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PeChange {
    pub code: String,
    pub name: String,
    #[serde(with = "exact")]
    pub before: Decimal,
    #[serde(with = "exact")]
    pub after: Decimal,
    /// After less before.
    #[serde(with = "exact")]
    pub change: Decimal,
}

/// All of a complete run that is compared.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub run: RunRow,
    pub quotes: Vec<QuoteRow>,
    pub places: Vec<PlaceRow>,
}

impl Database {
    /// What has changed between the latest complete run of an index and an earlier one, by default the one
    /// before. `index` may be left out if the file has runs of one index alone, or with [`Since::Run`].
    pub fn changes(
        &self,
        index: Option<&str>,
        since: Option<Since>,
    ) -> Result<Changes, StoreError> {
        let file = self.path.display().to_string();
        let (before, after) = choose(&file, &self.runs()?, index, since)?;
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

/// The two runs to compare, the earlier one first. `file` is for messages.
fn choose(
    file: &str,
    runs: &[RunRow],
    index: Option<&str>,
    since: Option<Since>,
) -> Result<(RunRow, RunRow), StoreError> {
    let asked_for = match since {
        Some(Since::Run(number)) => Some(find(file, runs, number)?),
        _ => None,
    };
    let index = match (index, asked_for) {
        (Some(index), Some(run)) if run.index_name != index => {
            let what = format!(
                "run {} in {file} is one of {}, not of {index}",
                run.run, run.index_name
            );
            return Err(StoreError::misuse(what, "choose another run or --index"));
        }
        (Some(index), _) => index,
        (None, Some(run)) => &run.index_name,
        (None, None) => only_index(file, runs)?,
    };
    let complete = runs.iter().filter(|run| run.is_complete());
    let complete: Vec<&RunRow> = complete.filter(|run| run.index_name == index).collect();
    let Some((latest, earlier)) = complete.split_last() else {
        return Err(no_complete_run(file, runs, index));
    };
    let before = match since {
        None => earlier.last(),
        Some(Since::Run(number)) if number >= latest.run => {
            let what = format!("{file} has no complete run of {index} after run {number}");
            return Err(StoreError::misuse(what, "choose an earlier run"));
        }
        Some(Since::Run(number)) => earlier.iter().find(|run| run.run == number),
        Some(Since::Day(day)) => {
            let before = earlier.iter().rfind(|run| day_of(run) <= day);
            if let (None, Some(first)) = (before, earlier.first()) {
                let what = format!(
                    "{file} has no complete run of {index} up to {day}; the first, run {}, is of {}",
                    first.run,
                    day_of(first)
                );
                return Err(StoreError::misuse(what, "choose a later day"));
            }
            before
        }
    };
    let Some(before) = before else {
        let what = format!(
            "{file} has only one complete run of {index}, run {}, so there is nothing to compare it with",
            latest.run
        );
        return Err(StoreError::misuse(what, add_a_run(file)));
    };
    Ok(((*before).clone(), (*latest).clone()))
}

fn add_a_run(file: &str) -> String {
    format!("the next `indexrank --db {file}` adds one")
}

fn no_complete_run(file: &str, runs: &[RunRow], index: &str) -> StoreError {
    let failed = runs.iter().rfind(|run| run.index_name == index);
    let what = match failed.and_then(|run| Some((run.run, run.error.as_ref()?))) {
        Some((number, error)) => format!(
            "{file} has no complete run of {index}; the last one, run {number}, failed: {error}"
        ),
        None if runs.is_empty() => format!("{file} has no run"),
        None => format!(
            "{file} has no run of {index}, only of {}",
            indices(runs).join(", ")
        ),
    };
    StoreError::misuse(what, add_a_run(file))
}

/// The complete run of this number.
fn find<'a>(file: &str, runs: &'a [RunRow], number: i64) -> Result<&'a RunRow, StoreError> {
    let Some(run) = runs.iter().find(|run| run.run == number) else {
        let last = runs
            .last()
            .map(|last| format!(", its last one is {}", last.run));
        let what = format!("{file} has no run {number}{}", last.unwrap_or_default());
        return Err(StoreError::misuse(what, "choose another run"));
    };
    match &run.error {
        None => Ok(run),
        Some(error) => Err(StoreError::misuse(
            format!("run {number} in {file} failed, so it has no companies: {error}"),
            "choose a complete run",
        )),
    }
}

/// The index of all runs.
fn only_index<'a>(file: &str, runs: &'a [RunRow]) -> Result<&'a str, StoreError> {
    match indices(runs)[..] {
        [] => Err(StoreError::misuse(
            format!("{file} has no run"),
            add_a_run(file),
        )),
        [index] => Ok(index),
        ref several => Err(StoreError::misuse(
            format!("{file} has runs of {}", several.join(", ")),
            "choose one with --index",
        )),
    }
}

/// The indices of the runs, each once, ordered.
fn indices(runs: &[RunRow]) -> Vec<&str> {
    let mut indices: Vec<&str> = runs.iter().map(|run| &*run.index_name).collect();
    indices.sort_unstable();
    indices.dedup();
    indices
}

fn day_of(run: &RunRow) -> Date {
    run.started.to_zoned(TimeZone::UTC).date()
}

/// Compares two complete runs of one index. Pure.
pub fn compare(before: &Snapshot, after: &Snapshot) -> Changes {
    let by_code = |snapshot: &Snapshot| -> BTreeMap<String, QuoteRow> {
        let quotes = snapshot.quotes.iter();
        quotes
            .map(|quote| (quote.code.clone(), quote.clone()))
            .collect()
    };
    let quotes = [by_code(before), by_code(after)];
    let rankings: Vec<RankingChanges> = Figure::ALL
        .into_iter()
        .map(|figure| compare_ranking(figure, [before, after], &quotes))
        .collect();
    let both = quotes[0].values().filter_map(|before| {
        let after = quotes[1].get(&before.code)?;
        Some((before, after))
    });
    let mut prices: Vec<PriceChange> = both.clone().filter_map(price_change).collect();
    prices.sort_by_key(|change| std::cmp::Reverse(change.change_percent.abs()));
    let mut pe: Vec<PeChange> = both.filter_map(pe_change).collect();
    pe.sort_by_key(|change| std::cmp::Reverse(change.change.abs()));
    let (changed_prices, changed_pe) = (prices.len(), pe.len());
    prices.truncate(LARGEST);
    pe.truncate(LARGEST);
    let places = rankings.iter().map(|ranking| ranking.places.len());
    Changes {
        changed: places.sum::<usize>() + changed_prices + changed_pe > 0,
        before: before.run.clone(),
        after: after.run.clone(),
        rankings,
        changed_prices,
        prices,
        changed_pe,
        pe,
    }
}

/// The places of a ranking that differ. `quotes` are the companies of both runs by their codes.
fn compare_ranking(
    figure: Figure,
    runs: [&Snapshot; 2],
    quotes: &[BTreeMap<String, QuoteRow>; 2],
) -> RankingChanges {
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
    let differ = |before: &Option<String>, after: &Option<String>| {
        let words = |word: &Option<String>| word.clone().unwrap_or_default();
        (before != after).then(|| (words(before), words(after)))
    };
    let (what, (of_before, of_after)) = match figure {
        Figure::Price => (
            "prices in",
            differ(&before.price_currency, &after.price_currency)?,
        ),
        Figure::Pe => ("P/E ratios,", differ(&before.pe_range, &after.pe_range)?),
        Figure::Growth | Figure::PotentialProfit => return None,
    };
    Some(format!(
        "run {} ranks {what} {of_before}, run {} {of_after}",
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
    let ratio = price.checked_div(price_before);
    let change = ratio.and_then(|ratio| (ratio - Decimal::ONE).checked_mul(Decimal::ONE_HUNDRED));
    Some(PriceChange {
        code: after.code.clone(),
        name: after.name.clone(),
        currency: after.currency.clone(),
        before: price_before,
        after: price,
        // Out of the range of `Decimal` are prices that differ by a factor of 10²⁶.
        change_percent: change.map_or(Decimal::MAX, half_up),
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
        change: pe - pe_before,
    })
}

//! Appends a run: all of it in one transaction, or nothing.

use jiff::Timestamp;
use rusqlite::{Transaction, TransactionBehavior, params, params_from_iter};
use rust_decimal::Decimal;

use crate::exit::Exit;
use crate::results::findings::Findings;
use crate::results::prices;
use crate::results::ranking::{Figure, PeRange, Place};
use crate::results::table::Row;
use crate::site::currency::Currency;
use crate::store::error::{Access, StoreError};
use crate::store::rows::started_text;
use crate::store::schema::Database;

/// What is known of every run.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    pub started: Timestamp,
    /// The argument of `--index`.
    pub index: &'a str,
    /// The argument of `--from`.
    pub source: &'a str,
    pub exit: Exit,
}

/// What a run has written to its files.
#[derive(Debug, Clone, Copy)]
pub struct Results<'a> {
    /// Its companies have distinct codes, as the harvest leaves them.
    pub findings: &'a Findings,
    pub rankings: &'a [(Figure, Vec<Place>)],
    /// The length of the rankings that was asked for.
    pub top: usize,
    pub pe_range: PeRange,
}

impl Database {
    /// Appends a run that wrote its rankings. Returns its number.
    pub fn append(&mut self, run: &Run, results: &Results) -> Result<i64, StoreError> {
        self.in_one_transaction(|transaction| {
            let number = insert_complete(transaction, run, results)?;
            insert_quotes(transaction, number, results.findings)?;
            insert_places(transaction, number, results.rankings)?;
            Ok(number)
        })
    }

    /// Appends a run that wrote no rankings, and why. Returns its number.
    pub fn append_failed(&mut self, run: &Run, error: &str) -> Result<i64, StoreError> {
        self.in_one_transaction(|transaction| {
            transaction.execute(
                "INSERT INTO runs (started, index_name, source, version, exit, error)
                 VALUES (?, ?, ?, ?, ?, ?)",
                params![
                    started_text(run.started),
                    run.index,
                    run.source,
                    env!("CARGO_PKG_VERSION"),
                    run.exit as u8,
                    error
                ],
            )?;
            Ok(transaction.last_insert_rowid())
        })
    }

    fn in_one_transaction(
        &mut self,
        insert: impl FnOnce(&Transaction) -> rusqlite::Result<i64>,
    ) -> Result<i64, StoreError> {
        let appended = || {
            // Immediate: a transaction that begins as a reader fails at once when it meets a writer.
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let number = insert(&transaction)?;
            transaction.commit()?;
            Ok(number)
        };
        appended().map_err(Access::Write.error(&self.path))
    }
}

fn insert_complete(
    transaction: &Transaction,
    run: &Run,
    results: &Results,
) -> rusqlite::Result<i64> {
    let Findings {
        harvest, prices, ..
    } = results.findings;
    let as_of = prices::most_common_day(&harvest.companies);
    let rates = serde_json::to_string(&prices.used(&harvest.companies));
    let ledger = serde_json::to_string(&harvest.ledger());
    let pe_range = match results.pe_range {
        PeRange::Any => "any",
        PeRange::Positive => "positive",
    };
    transaction.execute(
        "INSERT INTO runs (started, index_name, source, version, exit, as_of, price_currency, top,
             pe_range, rates, ledger)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        params![
            started_text(run.started),
            run.index,
            run.source,
            env!("CARGO_PKG_VERSION"),
            run.exit as u8,
            as_of.map(|day| day.to_string()),
            prices.currency.as_str(),
            results.top as i64,
            pe_range,
            rates.expect("rates have a JSON form"),
            ledger.expect("a ledger has a JSON form"),
        ],
    )?;
    Ok(transaction.last_insert_rowid())
}

/// The columns are those of the table of all companies, with a column of its own for a price in the
/// currency of `--in`.
fn insert_quotes(transaction: &Transaction, run: i64, findings: &Findings) -> rusqlite::Result<()> {
    let price = match findings.prices.currency {
        Currency::RUB => "price_rub",
        _ => "price_in",
    };
    let mut insert = transaction.prepare(&format!(
        "INSERT INTO quotes (run, code, name, path, currency, as_of,
             price, {price}, pe, growth, low52, high52, potential_profit)
         VALUES ({run}, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    ))?;
    for company in &findings.harvest.companies {
        let row = Row::new(company, &findings.prices);
        let figures = row.figures.iter().map(|(_, figure)| figure.map(text));
        let texts = row
            .texts
            .iter()
            .map(|text| text.as_deref().map(str::to_owned));
        insert.execute(params_from_iter(texts.chain(figures)))?;
    }
    Ok(())
}

fn insert_places(
    transaction: &Transaction,
    run: i64,
    rankings: &[(Figure, Vec<Place>)],
) -> rusqlite::Result<()> {
    let mut insert = transaction
        .prepare("INSERT INTO places (run, ranking, place, code, value) VALUES (?, ?, ?, ?, ?)")?;
    for (figure, places) in rankings {
        for (number, place) in (1_i64..).zip(places) {
            let value = text(place.value);
            insert.execute(params![run, figure.name(), number, place.code, value])?;
        }
    }
    Ok(())
}

/// All digits, as the JSON files have them.
fn text(figure: Decimal) -> String {
    figure.to_string()
}

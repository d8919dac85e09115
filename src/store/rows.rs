//! What is read back: runs, companies, places, and the history of a company. The names of the fields are
//! those of the columns, see [`schema`](crate::store::schema).

use std::fmt::Display;

use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Params, Row};
use rust_decimal::Decimal;
use rust_decimal::serde::arbitrary_precision_option as exact_option;
use serde::{Serialize, Serializer};

use crate::results::ranking::Figure;
use crate::store::error::{Access, StoreError};
use crate::store::schema::Database;
use crate::telemetry::shell_word::quote as shell_word;

/// Maximum number of companies in a question.
const MAX_SUGGESTED: usize = 3;

/// The beginning of a run as everywhere in the database, in CSV and in JSON: to the millisecond, so that
/// all times have one length and sort as texts.
pub fn started_text(started: Timestamp) -> String {
    format!("{started:.3}")
}

fn serialize_started<S: Serializer>(started: &Timestamp, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(&started_text(*started))
}

/// A run, without its JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunRow {
    pub run: i64,
    #[serde(serialize_with = "serialize_started")]
    pub started: Timestamp,
    pub index_name: String,
    pub source: String,
    pub exit: i64,
    /// Why it wrote no rankings. A run without it is complete.
    pub error: Option<String>,
    /// `None` if it is not complete, as in the following fields.
    pub price_currency: Option<String>,
    pub top: Option<u32>,
    pub pe_range: Option<String>,
}

impl RunRow {
    pub fn is_complete(&self) -> bool {
        self.error.is_none()
    }
}

/// A company of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QuoteRow {
    pub code: String,
    pub name: String,
    pub path: String,
    pub currency: String,
    pub as_of: Option<String>,
    #[serde(with = "exact_option")]
    pub price: Option<Decimal>,
    #[serde(with = "exact_option")]
    pub price_rub: Option<Decimal>,
    #[serde(with = "exact_option")]
    pub price_in: Option<Decimal>,
    #[serde(with = "exact_option")]
    pub pe: Option<Decimal>,
    #[serde(with = "exact_option")]
    pub growth: Option<Decimal>,
    #[serde(with = "exact_option")]
    pub low52: Option<Decimal>,
    #[serde(with = "exact_option")]
    pub high52: Option<Decimal>,
    #[serde(with = "exact_option")]
    pub potential_profit: Option<Decimal>,
}

impl QuoteRow {
    /// What a ranking sorts by. A price is in the currency of the ranking.
    pub fn figure(&self, figure: Figure) -> Option<Decimal> {
        match figure {
            Figure::Price => self.price_rub.or(self.price_in),
            Figure::Pe => self.pe,
            Figure::Growth => self.growth,
            Figure::PotentialProfit => self.potential_profit,
        }
    }
}

/// A place in a ranking of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceRow {
    /// The [name](Figure::name) of the ranking.
    pub ranking: String,
    /// From 1.
    pub place: u32,
    pub code: String,
}

/// A company in one run of its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HistoryRow {
    pub run: i64,
    #[serde(serialize_with = "serialize_started")]
    pub started: Timestamp,
    pub index_name: String,
    #[serde(flatten)]
    pub quote: QuoteRow,
}

impl Database {
    /// All runs in their order.
    pub fn runs(&self) -> Result<Vec<RunRow>, StoreError> {
        self.rows("SELECT * FROM runs ORDER BY run", [], |row| {
            Ok(RunRow {
                run: row.get("run")?,
                started: timestamp(row)?,
                index_name: row.get("index_name")?,
                source: row.get("source")?,
                exit: row.get("exit")?,
                error: row.get("error")?,
                price_currency: row.get("price_currency")?,
                top: row.get("top")?,
                pe_range: row.get("pe_range")?,
            })
        })
    }

    /// The companies of a run, ordered by code.
    pub fn quotes(&self, run: i64) -> Result<Vec<QuoteRow>, StoreError> {
        let select = "SELECT * FROM quotes WHERE run = ? ORDER BY code";
        self.rows(select, [run], quote)
    }

    /// The rankings of a run, each in the order of its places.
    pub fn places(&self, run: i64) -> Result<Vec<PlaceRow>, StoreError> {
        let select =
            "SELECT ranking, place, code FROM places WHERE run = ? ORDER BY ranking, place";
        self.rows(select, [run], |row| {
            Ok(PlaceRow {
                ranking: row.get("ranking")?,
                place: row.get("place")?,
                code: row.get("code")?,
            })
        })
    }

    /// The figures of a company over all runs, or those of one index, in the order of the runs. An unknown
    /// code is an error that names similar ones.
    pub fn history(&self, code: &str, index: Option<&str>) -> Result<Vec<HistoryRow>, StoreError> {
        // Run by run: the key of a quote begins with its run.
        let select = "SELECT quotes.*, started, index_name
             FROM runs CROSS JOIN quotes ON quotes.run = runs.run AND code = ?1
             WHERE ?2 IS NULL OR index_name = ?2
             ORDER BY run";
        let rows = self.rows(select, (code, index), |row| {
            Ok(HistoryRow {
                run: row.get("run")?,
                started: timestamp(row)?,
                index_name: row.get("index_name")?,
                quote: quote(row)?,
            })
        })?;
        if !rows.is_empty() {
            return Ok(rows);
        }
        Err(self.unknown_code(code, index)?)
    }

    /// The error of a code that no run of this index has: the indices that have it, or similar codes.
    fn unknown_code(&self, code: &str, index: Option<&str>) -> Result<StoreError, StoreError> {
        let of_index = index.map(|index| format!(" in {index}"));
        let what = format!(
            "{} has no company with the code {code}{}",
            self.path.display(),
            of_index.unwrap_or_default()
        );
        let select = "SELECT DISTINCT index_name FROM history WHERE code = ? ORDER BY index_name";
        let others: Vec<String> = self.rows(select, [code], |row| row.get(0))?;
        if !others.is_empty() {
            let advice = format!("runs of {} have it", others.join(", "));
            return Ok(StoreError::misuse(what, advice));
        }
        // Of the rows of a code, SQLite takes the name of the one with the maximum.
        let companies = self.rows(
            "SELECT code, name, max(run) FROM history WHERE ?1 IS NULL OR index_name = ?1
             GROUP BY code ORDER BY code",
            [index],
            |row| Ok((row.get("code")?, row.get("name")?)),
        )?;
        let alike = alike(code, &companies);
        let advice = if alike.is_empty() {
            let file = shell_word(self.path.as_os_str());
            format!("`sqlite3 {file} 'SELECT DISTINCT code, name FROM history'` lists the codes")
        } else {
            format!("did you mean {}?", alike.join(" or "))
        };
        Ok(StoreError::misuse(what, advice))
    }

    fn rows<T>(
        &self,
        select: &str,
        params: impl Params,
        read: impl Fn(&Row) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = || {
            let mut statement = self.connection.prepare(select)?;
            let rows = statement.query_map(params, |row| read(row))?;
            rows.collect::<Result<_, _>>()
        };
        rows().map_err(Access::Read.error(&self.path))
    }
}

fn quote(row: &Row) -> rusqlite::Result<QuoteRow> {
    Ok(QuoteRow {
        code: row.get("code")?,
        name: row.get("name")?,
        path: row.get("path")?,
        currency: row.get("currency")?,
        as_of: row.get("as_of")?,
        price: decimal(row, "price")?,
        price_rub: decimal(row, "price_rub")?,
        price_in: decimal(row, "price_in")?,
        pe: decimal(row, "pe")?,
        growth: decimal(row, "growth")?,
        low52: decimal(row, "low52")?,
        high52: decimal(row, "high52")?,
        potential_profit: decimal(row, "potential_profit")?,
    })
}

fn decimal(row: &Row, column: &str) -> rusqlite::Result<Option<Decimal>> {
    let text: Option<String> = row.get(column)?;
    let decimal = text.map(|text| Decimal::from_str_exact(&text)).transpose();
    decimal.map_err(|error| unreadable(row, column, error))
}

fn timestamp(row: &Row) -> rusqlite::Result<Timestamp> {
    let text: String = row.get("started")?;
    text.parse()
        .map_err(|error: jiff::Error| unreadable(row, "started", error))
}

/// The error of a text that no run writes.
fn unreadable(row: &Row, column: &str, error: impl Display) -> rusqlite::Error {
    let at = row.as_ref().column_index(column).unwrap_or_default();
    let why = format!("{column}: {error}").into();
    rusqlite::Error::FromSqlConversionFailure(at, Type::Text, why)
}

/// The companies that a user may have meant, as `MMM (3M Co.)`: their code has the same letters and
/// digits, or differs in one of them, or their name contains the text.
fn alike(text: &str, companies: &[(String, String)]) -> Vec<String> {
    let plain = |text: &str| {
        let plain = text.chars().filter(|c| c.is_alphanumeric());
        plain.collect::<String>().to_uppercase()
    };
    let meant = plain(text);
    let distance = |code: &str| strsim::osa_distance(&plain(code), &meant);
    let has_name = |name: &str| meant.len() > 2 && plain(name).contains(&meant);
    let rank = |code: &str, name: &str| match distance(code) {
        0 => Some(0),
        _ if has_name(name) => Some(1),
        1 => Some(2),
        _ => None,
    };
    let ranks = || companies.iter().map(|(code, name)| rank(code, name));
    let Some(best) = ranks().flatten().min() else {
        return Vec::new();
    };
    let alike = companies.iter().zip(ranks());
    alike
        .filter(|(_, rank)| *rank == Some(best))
        .map(|((code, name), _)| format!("{code} ({name})"))
        .take(MAX_SUGGESTED)
        .collect()
}

//! The table of all companies, as CSV or NDJSON. The last column of each row is the version of the
//! table, [`SCHEMA`]: a row that is appended to a larger table keeps it.
//!
//! Texts are verbatim, as RFC 4180 and every reader of CSV expect them. A spreadsheet takes one that begins
//! with `=`, `+`, `-`, `@` or a tab for a formula, unless its column is imported as text. A character put
//! before it would be part of the name for all other programs.

use std::array;
use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;

use rust_decimal::Decimal;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::results::prices::Prices;
use crate::results::ranking::{self, Exact};
use crate::results::report;
use crate::results::schema::SCHEMA;
use crate::site::company::Company;
use crate::site::currency::Currency;

/// The formats of the table of all companies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Csv,
    NdJson,
}

impl Format {
    /// The format of a file by its extension: `.csv`, `.ndjson` or `.jsonl`. `None` for any other.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Format::Csv),
            "ndjson" | "jsonl" => Some(Format::NdJson),
            _ => None,
        }
    }
}

const TEXTS: [&str; 5] = ["code", "name", "path", "currency", "as_of"];
const VERSION: &str = "schema";

/// The columns of figures. The price in the currency of the quote is followed by the one in the currency
/// of the ranking.
fn figure_columns(ranked_in: Currency) -> [&'static str; 7] {
    let ranked_price = if ranked_in == Currency::RUB {
        "price_rub"
    } else {
        "price_in"
    };
    [
        "price",
        ranked_price,
        "pe",
        "growth",
        "low52",
        "high52",
        "potential_profit",
    ]
}

/// A company as a row of the table: the columns of texts, those of figures, the version.
pub struct Row<'a> {
    /// Code, name, path, currency, and the day or time of the quote.
    pub texts: [Option<Cow<'a, str>>; 5],
    /// Price, price in the currency of the ranking, P/E, growth, 52-week low and high, potential profit,
    /// each with its column, normalized.
    pub figures: [(&'static str, Option<Decimal>); 7],
}

impl<'a> Row<'a> {
    pub fn new(company: &'a Company, prices: &Prices) -> Self {
        let page = &company.page;
        let figures = [
            page.price,
            prices.of(company),
            page.pe,
            company.growth,
            page.low52,
            page.high52,
            ranking::potential_profit(page),
        ];
        let figures = figures.map(|figure| figure.map(|figure| figure.normalize()));
        let columns = figure_columns(prices.currency);
        Row {
            texts: [
                Some(Cow::Borrowed(&page.code)),
                Some(Cow::Borrowed(&page.name)),
                Some(Cow::Borrowed(&company.path)),
                Some(Cow::Borrowed(company.currency.as_str())),
                page.as_of.map(|as_of| Cow::Owned(as_of.to_string())),
            ],
            figures: array::from_fn(|at| (columns[at], figures[at])),
        }
    }

    /// The cells of a CSV row.
    fn cells(&self) -> impl Iterator<Item = String> {
        let texts = self
            .texts
            .iter()
            .map(|text| text.as_deref().unwrap_or_default().to_owned());
        let figures = self
            .figures
            .iter()
            .map(|(_, figure)| figure.map_or(String::new(), |figure| figure.to_string()));
        texts.chain(figures).chain([SCHEMA.to_string()])
    }
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object =
            serializer.serialize_map(Some(self.texts.len() + self.figures.len() + 1))?;
        for (column, text) in TEXTS.iter().zip(&self.texts) {
            object.serialize_entry(column, text)?;
        }
        for (column, figure) in &self.figures {
            object.serialize_entry(column, &figure.map(Exact))?;
        }
        object.serialize_entry(VERSION, &SCHEMA)?;
        object.end()
    }
}

/// Writes the table: one row per company, in the order given. A missing figure or date is empty in CSV
/// and null in NDJSON.
pub fn write(
    companies: &[Company],
    prices: &Prices,
    format: Format,
    mut out: impl Write,
) -> io::Result<()> {
    let mut rows = companies.iter().map(|company| Row::new(company, prices));
    match format {
        Format::NdJson => rows.try_for_each(|row| report::write_json_line(&row, &mut out)),
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(out);
            let figures = figure_columns(prices.currency);
            csv.write_record(TEXTS.iter().chain(&figures).chain([&VERSION]))
                .and_then(|()| rows.try_for_each(|row| csv.write_record(row.cells())))
                .map_err(io_error)?;
            csv.flush()
        }
    }
}

/// Writes another table as CSV: its columns, then its rows.
pub fn write_csv<const N: usize>(
    columns: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
    out: impl Write,
) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(columns).map_err(io_error)?;
    for row in rows {
        csv.write_record(row).map_err(io_error)?;
    }
    csv.flush()
}

/// The I/O error in an error of the library, which would hide its kind.
pub fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

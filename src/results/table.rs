//! The table of all companies, as CSV or NDJSON. The last column of each row is the version of the
//! table, [`SCHEMA`]: a row that is appended to a larger table keeps it.

use std::io;
use std::path::Path;

use rust_decimal::Decimal;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::results::ranking::{self, Exact};
use crate::results::report;
use crate::results::schema::SCHEMA;
use crate::site::company::Company;
use crate::site::rates::Rate;

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

const TEXTS: [&str; 3] = ["code", "name", "path"];
const FIGURES: [&str; 7] = [
    "price_usd",
    "price_rub",
    "pe",
    "growth",
    "low52",
    "high52",
    "potential_profit",
];
const VERSION: &str = "schema";

/// A company as a row of the table: the columns of texts, those of figures, the version.
struct Row<'a> {
    texts: [&'a str; TEXTS.len()],
    figures: [Option<Decimal>; FIGURES.len()],
}

impl<'a> Row<'a> {
    fn new(company: &'a Company, rate: Option<&Rate>) -> Self {
        let page = &company.page;
        let price_rub = rate.and_then(|rate| ranking::price_in_roubles(page, rate));
        let profit = ranking::potential_profit(page);
        let figures = [
            page.price,
            price_rub,
            page.pe,
            company.growth,
            page.low52,
            page.high52,
            profit,
        ];
        Row {
            texts: [&page.code, &page.name, &company.path],
            figures: figures.map(|figure| figure.map(|figure| figure.normalize())),
        }
    }

    /// The cells of a CSV row.
    fn cells(&self) -> impl Iterator<Item = String> {
        let texts = self.texts.iter().map(|text| (*text).to_owned());
        let figures = self
            .figures
            .iter()
            .map(|figure| figure.map_or(String::new(), |figure| figure.to_string()));
        texts.chain(figures).chain([SCHEMA.to_string()])
    }
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(TEXTS.len() + FIGURES.len() + 1))?;
        for (column, text) in TEXTS.iter().zip(&self.texts) {
            object.serialize_entry(column, text)?;
        }
        for (column, figure) in FIGURES.iter().zip(self.figures) {
            object.serialize_entry(column, &figure.map(Exact))?;
        }
        object.serialize_entry(VERSION, &SCHEMA)?;
        object.end()
    }
}

/// The bytes of the table: one row per company, in the order given. A missing figure is empty in CSV
/// and null in NDJSON.
pub fn write(companies: &[Company], rate: Option<&Rate>, format: Format) -> Vec<u8> {
    let rows = companies.iter().map(|company| Row::new(company, rate));
    match format {
        Format::NdJson => rows.flat_map(|row| report::json_line(&row)).collect(),
        Format::Csv => csv(rows).expect("writing to memory does not fail"),
    }
}

fn csv<'a>(rows: impl Iterator<Item = Row<'a>>) -> io::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(TEXTS.iter().chain(&FIGURES).chain([&VERSION]))?;
    for row in rows {
        csv.write_record(row.cells())?;
    }
    csv.into_inner().map_err(|error| error.into_error())
}

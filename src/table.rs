//! All companies, one row each → CSV or NDJSON.

use std::io;
use std::path::Path;

use rust_decimal::Decimal;
use rust_decimal::serde::arbitrary_precision_option as exact_option;
use serde::Serialize;

use crate::harvest::Company;
use crate::rank;
use crate::rates::Rate;
use crate::report;

/// The formats of the table of all companies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Csv,
    NdJson,
}

impl Format {
    /// By the ending of the file's name: `.csv`, or `.ndjson` or `.jsonl`.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Format::Csv),
            "ndjson" | "jsonl" => Some(Format::NdJson),
            _ => None,
        }
    }
}

const COLUMNS: [&str; 10] = [
    "code",
    "name",
    "path",
    "price_usd",
    "price_rub",
    "pe",
    "growth",
    "low52",
    "high52",
    "potential_profit",
];

/// A company as a row of the table; the fields are its [`COLUMNS`].
#[derive(Debug, Serialize)]
struct Row<'a> {
    code: &'a str,
    name: &'a str,
    path: &'a str,
    #[serde(with = "exact_option")]
    price_usd: Option<Decimal>,
    #[serde(with = "exact_option")]
    price_rub: Option<Decimal>,
    #[serde(with = "exact_option")]
    pe: Option<Decimal>,
    #[serde(with = "exact_option")]
    growth: Option<Decimal>,
    #[serde(with = "exact_option")]
    low52: Option<Decimal>,
    #[serde(with = "exact_option")]
    high52: Option<Decimal>,
    #[serde(with = "exact_option")]
    potential_profit: Option<Decimal>,
}

impl<'a> Row<'a> {
    fn new(company: &'a Company, rate: Option<&Rate>) -> Self {
        let page = &company.page;
        let shortest = |value: Option<Decimal>| value.map(|value| value.normalize());
        Row {
            code: &page.code,
            name: &page.name,
            path: &company.path,
            price_usd: shortest(page.price),
            price_rub: shortest(rate.and_then(|rate| rank::price_in_roubles(page, rate))),
            pe: shortest(page.pe),
            growth: shortest(company.growth),
            low52: shortest(page.low52),
            high52: shortest(page.high52),
            potential_profit: shortest(rank::potential_profit(page)),
        }
    }
}

impl Row<'_> {
    fn cells(&self) -> [String; COLUMNS.len()] {
        let figures = [
            self.price_usd,
            self.price_rub,
            self.pe,
            self.growth,
            self.low52,
            self.high52,
            self.potential_profit,
        ];
        let [
            price_usd,
            price_rub,
            pe,
            growth,
            low52,
            high52,
            potential_profit,
        ] = figures.map(|figure| figure.map_or_else(String::new, |value| value.to_string()));
        let [code, name, path] = [self.code, self.name, self.path].map(str::to_owned);
        [
            code,
            name,
            path,
            price_usd,
            price_rub,
            pe,
            growth,
            low52,
            high52,
            potential_profit,
        ]
    }
}

/// All companies, one row each, in the order they come in. What is missing is empty in CSV and null
/// in NDJSON.
pub fn write(companies: &[Company], rate: Option<&Rate>, format: Format) -> io::Result<Vec<u8>> {
    let rows = companies.iter().map(|company| Row::new(company, rate));
    match format {
        Format::NdJson => Ok(rows.flat_map(|row| report::json_line(&row)).collect()),
        Format::Csv => {
            let mut csv = csv::Writer::from_writer(Vec::new());
            csv.write_record(COLUMNS)?;
            for row in rows {
                csv.write_record(row.cells())?;
            }
            csv.into_inner().map_err(|error| error.into_error())
        }
    }
}

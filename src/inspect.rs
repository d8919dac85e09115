//! What the program sees in a saved page: for a layout that changed, and for tests.

use rust_decimal::Decimal;
use rust_decimal::serde::arbitrary_precision_option as exact_option;
use serde::Serialize;

use crate::http::decode::Inflater;
use crate::http::page::{self, PageError};
use crate::site::rates::RatesError;
use crate::site::{company, index, rates};

/// A saved page, by its kind. What is missing is null, and the note says what was looked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Seen {
    Index {
        pages: u32,
        rows: Vec<SeenRow>,
        note: Option<String>,
    },
    Company {
        code: String,
        name: String,
        #[serde(with = "exact_option")]
        price: Option<Decimal>,
        #[serde(rename = "P/E", with = "exact_option")]
        pe: Option<Decimal>,
        #[serde(rename = "52 week low", with = "exact_option")]
        low52: Option<Decimal>,
        #[serde(rename = "52 week high", with = "exact_option")]
        high52: Option<Decimal>,
        note: Option<String>,
    },
    Rates {
        /// As the file writes it.
        date: Option<String>,
        /// Roubles for `nominal` dollars.
        #[serde(with = "exact_option")]
        usd: Option<Decimal>,
        nominal: Option<String>,
        note: Option<String>,
    },
    Unknown {
        note: String,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeenRow {
    pub path: String,
    pub name: String,
    #[serde(with = "exact_option")]
    pub growth: Option<Decimal>,
}

/// One line of the output.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    pub file: &'a str,
    #[serde(flatten)]
    pub seen: &'a Seen,
}

/// Reads a page of any kind, plain or gzipped.
pub fn see(bytes: &[u8]) -> Seen {
    let mut inflater = Inflater::default();
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        match inflater.gunzip(bytes) {
            Ok(inflated) => inflated,
            Err(PageError { detail, .. }) => return Seen::Unknown { note: detail },
        }
    } else {
        bytes
    };
    let text = page::to_utf8(bytes, None);
    // As much of it as shows that it is too long, if it is.
    let beginning = &text[..text.len().min(rates::MAX_BYTES + 1)];
    let not_rates = match rates::parse(&String::from_utf8_lossy(beginning)) {
        Ok(rate) => {
            return Seen::Rates {
                date: rate.day.map(|day| day.written),
                usd: Some(rate.value.normalize()),
                nominal: Some(rate.nominal.to_string()),
                note: None,
            };
        }
        Err(RatesError::Unrecognised(why)) => why,
        Err(error) => {
            let date = if let RatesError::NoDollar { date, .. } = &error {
                Some(date.clone())
            } else {
                None
            };
            return Seen::Rates {
                date,
                usd: None,
                nominal: None,
                note: Some(error.to_string()),
            };
        }
    };
    let not_company = match company::parse(&text) {
        Ok(page) => return company_seen(page),
        Err(error) => error,
    };
    match index::parse(&text) {
        Ok(page) => index_seen(page),
        Err(not_index) => {
            let end = match bytes {
                [] => "the file is empty; ",
                _ if !page::has_its_end(&text) => "it has no </html>, so it may be cut short; ",
                _ => "",
            };
            Seen::Unknown {
                note: format!("{end}{not_company}; {not_index}; not a list of rates: {not_rates}"),
            }
        }
    }
}

fn company_seen(page: company::CompanyPage) -> Seen {
    let figures = [
        (page.price, "price", "price-section__current-value"),
        (page.pe, "P/E", "snapshot__header \"P/E Ratio\""),
        (
            page.low52,
            "52 week",
            "snapshot__header \"52 Week Low\" with a value",
        ),
        (
            page.high52,
            "52 week",
            "snapshot__header \"52 Week High\" with a value",
        ),
    ];
    // A figure that is there and cannot be used has its own note.
    let is_noted = |name: &str| page.notes.iter().any(|note| note.starts_with(name));
    let missing = figures
        .iter()
        .filter(|(figure, name, _)| figure.is_none() && !is_noted(name));
    let missing = missing.map(|(.., landmark)| format!("no {landmark}"));
    let notes: Vec<String> = missing.chain(page.notes.iter().cloned()).collect();
    Seen::Company {
        code: page.code,
        name: page.name,
        price: page.price.map(|figure| figure.normalize()),
        pe: page.pe.map(|figure| figure.normalize()),
        low52: page.low52.map(|figure| figure.normalize()),
        high52: page.high52.map(|figure| figure.normalize()),
        note: (!notes.is_empty()).then(|| notes.join("; ")),
    }
}

fn index_seen(page: index::IndexPage) -> Seen {
    let without = page.rows.iter().filter(|row| row.growth.is_none()).count();
    let row = |link: index::Link| SeenRow {
        path: link.path,
        name: link.name,
        growth: link.growth.map(|figure| figure.normalize()),
    };
    Seen::Index {
        pages: page.pages,
        note: (without > 0)
            .then(|| format!("{without} rows without a percentage in the column \"1 Year\"")),
        rows: page.rows.into_iter().map(row).collect(),
    }
}

//! The subcommand `read`: shows what the parsers find in a saved page. Useful after a change of the
//! layout, and for tests.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use rust_decimal::Decimal;
use rust_decimal::serde::arbitrary_precision_option as exact_option;
use serde::{Serialize, Serializer};

use crate::http::decode::{self, Inflater, MAX_INFLATED};
use crate::http::error::PageError;
use crate::results::ranking::Exact;
use crate::site::company::AsOf;
use crate::site::currency::Currency;
use crate::site::landmarks::places;
use crate::site::rates::{Rate, Rates, RatesError};
use crate::site::{company, index, rates};
use crate::words::count;

/// What a saved page contains, by the kind of page. A missing figure is null, and the note names its
/// landmark.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Inspected {
    Index {
        pages: u32,
        rows: Vec<IndexRow>,
        note: Option<String>,
    },
    Company {
        code: String,
        name: String,
        currency: Option<Currency>,
        as_of: Option<AsOf>,
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
        /// As written in the file.
        date: Option<String>,
        /// Roubles for `nominal` dollars.
        #[serde(with = "exact_option")]
        usd: Option<Decimal>,
        nominal: Option<String>,
        rates: Roubles,
        note: Option<String>,
    },
    Unknown {
        note: String,
    },
}

/// Roubles for one unit of each currency with a usable rate, by code.
#[derive(Debug, Clone, PartialEq)]
pub struct Roubles(pub Vec<(Currency, Decimal)>);

impl Serialize for Roubles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rates = self.0.iter();
        serializer.collect_map(rates.map(|(currency, rate)| (currency, Exact(*rate))))
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IndexRow {
    pub path: Arc<str>,
    pub name: String,
    #[serde(with = "exact_option")]
    pub growth: Option<Decimal>,
}

/// The output line of one file.
#[derive(Debug, Serialize)]
pub struct OutputLine<'a> {
    pub file: &'a str,
    #[serde(flatten)]
    pub seen: &'a Inspected,
}

/// Reads a file of at most 2 MiB. A device or a pipe may have no end.
pub fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let limit = MAX_INFLATED as u64;
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let message = format!("it is larger than {} MiB", limit >> 20);
        return Err(io::Error::other(message));
    }
    Ok(bytes)
}

/// Parses a page of any kind, plain or gzipped.
pub fn inspect(bytes: &[u8]) -> Inspected {
    let mut inflater = Inflater::default();
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        match inflater.gunzip(bytes) {
            Ok(inflated) => inflated,
            Err(PageError { detail, .. }) => return Inspected::Unknown { note: detail },
        }
    } else {
        bytes
    };
    let text = decode::to_utf8(bytes, None);
    let not_rates = match inspect_rates(&text) {
        Ok(rates) => return rates,
        Err(why) => why,
    };
    let not_company = match company::parse(&text) {
        Ok(page) => return inspected_company(page),
        Err(error) => error,
    };
    let not_index = match index::parse(&text) {
        Ok(page) => return inspected_index(page),
        Err(error) => error,
    };
    let hint = if bytes.is_empty() {
        "the file is empty; "
    } else if !decode::has_html_end(&text) {
        "it has no </html>, so it may be truncated; "
    } else {
        ""
    };
    Inspected::Unknown {
        note: format!("{hint}{not_company}; {not_index}; not a list of rates: {not_rates}"),
    }
}

/// Parses exchange rates. The error says why the text is not a list of rates.
fn inspect_rates(text: &[u8]) -> Result<Inspected, String> {
    // The parser rejects a text over its limit, so one byte over the limit is enough.
    let start = &text[..text.len().min(rates::MAX_BYTES + 1)];
    let error = match rates::parse(&String::from_utf8_lossy(start)) {
        Ok(rates) => return Ok(inspected_rates(rates)),
        Err(RatesError::Unrecognised(why)) => return Err(why),
        Err(error) => error,
    };
    Ok(Inspected::Rates {
        date: None,
        usd: None,
        nominal: None,
        rates: Roubles(Vec::new()),
        note: Some(error.to_string()),
    })
}

fn inspected_rates(rates: Rates) -> Inspected {
    let dollar = rates.get(Currency::USD);
    let note = dollar.as_ref().err();
    let per_unit = |(currency, rate): (Currency, Rate)| (currency, rate.per_unit().normalize());
    Inspected::Rates {
        note: note.map(|why| rates.explain(Currency::USD, why)),
        usd: dollar.as_ref().ok().map(|rate| rate.value.normalize()),
        nominal: dollar.ok().map(|rate| rate.nominal.to_string()),
        rates: Roubles(rates.usable().map(per_unit).collect()),
        date: rates.day.map(|day| day.written),
    }
}

fn inspected_company(page: company::CompanyPage) -> Inspected {
    let figures = [
        (page.price, "price", places::PRICE),
        (page.pe, "P/E", places::PE),
        (page.low52, "52 week", places::LOW),
        (page.high52, "52 week", places::HIGH),
    ];
    // A figure in an unusable form has a note already.
    let is_noted = |name: &str| page.notes.iter().any(|note: &str| note.starts_with(name));
    let missing = figures
        .iter()
        .filter(|(figure, name, _)| figure.is_none() && !is_noted(name))
        .map(|(.., landmark)| format!("no {landmark}"));
    let notes: Vec<String> = missing
        .chain(page.notes.iter().map(str::to_owned))
        .collect();
    Inspected::Company {
        code: page.code,
        name: page.name,
        currency: page.currency,
        as_of: page.as_of,
        price: page.price.map(|figure| figure.normalize()),
        pe: page.pe.map(|figure| figure.normalize()),
        low52: page.low52.map(|figure| figure.normalize()),
        high52: page.high52.map(|figure| figure.normalize()),
        note: (!notes.is_empty()).then(|| notes.join("; ")),
    }
}

fn inspected_index(page: index::IndexPage) -> Inspected {
    let without = page.rows.iter().filter(|row| row.growth.is_none()).count();
    let mut noted = page.rows.iter().filter_map(|row| {
        let note = row.note.as_ref()?;
        Some(format!("; {}: {note}", row.path))
    });
    let first_note = noted.next().unwrap_or_default();
    let row = |link: index::Link| IndexRow {
        path: link.path,
        name: link.name,
        growth: link.growth.map(|figure| figure.normalize()),
    };
    let rows = count(without, "row", "rows");
    Inspected::Index {
        pages: page.pages,
        note: (without > 0)
            .then(|| format!("{rows} without a percentage in the column \"1 Year\"{first_note}")),
        rows: page.rows.into_iter().map(row).collect(),
    }
}

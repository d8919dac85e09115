//! Tests on real pages: a whole crawl, and single pages of each generation of the site.
//!
//! The pages are under the site's copyright. They are stored beside the checkout, not in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use indexrank::replica::{Line, Pages, Server};
use indexrank::site::company;
use indexrank::site::currency::Currency;
use indexrank::site::identity::{self, Identity};
use indexrank::site::index;
use indexrank::warc::reader::Archive;
use serde_json::Value;

use crate::support::{assert_expected_rankings, indexrank, json, json_lines};

/// A file of the saved pages; panics if it is missing.
fn shared(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared")
        .join(path);
    assert!(
        path.exists(),
        "{} is missing; this test needs the saved pages",
        path.display()
    );
    path
}

fn crawl() -> PathBuf {
    shared("capture/sp500-2022-01-31.warc.gz")
}

/// Runs the binary on the crawl, then compares every company and all rankings.
fn assert_the_crawl(from: &str, workers: &str) {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "--from",
        from,
        "--workers",
        workers,
        "--table",
        "all.ndjson",
        "--out",
        "out",
        "-q",
    ];
    let ran = indexrank(folder.path(), &arguments);
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    assert_expected_rankings(&folder.path().join("out"));
    let report = json(&folder.path().join("out/run.json"));
    assert_eq!(report["as_of"], "2022-01-28");

    let expected = json(&shared("capture/expected.json"));
    let keys = [
        ("price", "price.json"),
        ("P/E", "pe.json"),
        ("growth", "growth.json"),
        ("potential profit", "potential_profit.json"),
    ];
    for (key, file) in keys {
        assert_eq!(
            expected["rankings"][key],
            json(&folder.path().join("out").join(file)),
            "{key}"
        );
    }
    let table = fs::read_to_string(folder.path().join("all.ndjson")).unwrap();
    let rows = json_lines(&table);
    assert_eq!(rows.len(), 496);
    let expected_by_code: BTreeMap<&str, &Value> = expected["companies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|company| (company["code"].as_str().unwrap(), company))
        .collect();
    for (row, expected) in rows.iter().zip(expected_by_code.values()) {
        let row = row.as_object().unwrap();
        assert_eq!(row["currency"], "USD", "{row:?}");
        assert!(row["as_of"].is_string(), "{row:?}");
        for (column, value) in row {
            let expected = match column.as_str() {
                "currency" | "as_of" | "schema" => continue,
                "price" => &expected["price_usd"],
                column => &expected[column],
            };
            assert_eq!(value.as_f64(), expected.as_f64(), "{column} of {row:?}");
            assert_eq!(value.as_str(), expected.as_str(), "{column} of {row:?}");
        }
    }
}

#[test]
#[ignore = "needs the saved pages beside the checkout"]
fn ranks_the_crawl_from_its_archive() {
    for workers in ["1", "2", "64"] {
        assert_the_crawl(crawl().to_str().unwrap(), workers);
    }
}

#[test]
#[ignore = "needs the saved pages beside the checkout"]
fn ranks_the_crawl_over_http() {
    let pages = Pages::of_archive(&Archive::open(&crawl()).unwrap());
    let server = Server::start(pages, 0, Line::default(), None).unwrap();
    for workers in ["1", "2", "64"] {
        assert_the_crawl(&server.address(), workers);
    }
}

#[test]
#[ignore = "needs the saved pages beside the checkout"]
fn parses_saved_pages_of_every_site_generation() {
    let expected = json(&shared("pages/expected.json"));
    for (folder, keys) in [
        (
            "company",
            &[
                "code",
                "name",
                "price",
                "P/E",
                "52 week low",
                "52 week high",
            ][..],
        ),
        ("index", &["pages", "rows"]),
        ("cbr", &["date", "usd", "nominal"]),
    ] {
        let expected = expected[folder].as_object().unwrap();
        let files: Vec<PathBuf> = expected
            .keys()
            .map(|name| shared(&format!("pages/{folder}/{name}")))
            .collect();
        let arguments: Vec<&str> = ["read"]
            .into_iter()
            .chain(files.iter().map(|file| file.to_str().unwrap()))
            .collect();
        let ran = indexrank(Path::new("/"), &arguments);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let lines = json_lines(&ran.stdout);
        assert_eq!(lines.len(), expected.len());
        for (line, (name, page)) in lines.iter().zip(expected) {
            for key in keys {
                assert_eq!(
                    with_floats(&line[key]),
                    with_floats(&page[key]),
                    "{key} of {name}"
                );
            }
        }
    }
}

/// Converts all numbers to floats, so that `-24` equals `-24.0`.
fn with_floats(value: &Value) -> Value {
    match value {
        Value::Number(number) => format!("{:?}", number.as_f64()).into(),
        Value::Array(values) => values.iter().map(with_floats).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| (key.clone(), with_floats(value)))
            .collect(),
        other => other.clone(),
    }
}

/// Every saved company page names its own address and no other, and states its currency and when its
/// price was quoted.
#[test]
#[ignore = "needs the saved pages beside the checkout"]
fn every_saved_page_says_what_it_is() {
    let archive = Archive::open(&crawl()).unwrap();
    let mut pages: Vec<(String, Vec<u8>)> = archive
        .paths()
        .filter(|path| path.starts_with("/stocks/"))
        .map(|path| (path.to_owned(), archive.get(path, Vec::new()).unwrap().body))
        .collect();
    for entry in fs::read_dir(shared("pages/company")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let (_, slug) = name.split_once('_').unwrap();
        pages.push((format!("/stocks/{slug}-stock"), fs::read(path).unwrap()));
    }
    assert_eq!(pages.len(), 496 + 15);
    for (path, html) in &pages {
        assert_eq!(
            identity::check(html, path, None),
            Identity::Confirmed,
            "{path}"
        );
        let other = identity::check(html, "/stocks/other-stock", None);
        assert!(matches!(other, Identity::Other(_)), "{path}: {other:?}");
        let page = company::parse(html).unwrap();
        assert_eq!(page.currency, Some(Currency::USD), "{path}");
        assert!(page.as_of.is_some(), "{path}");
    }
    for path in archive.paths().filter(|path| path.contains("/index/")) {
        let html = archive.get(path, Vec::new()).unwrap().body;
        assert_eq!(
            identity::check(&html, path, None),
            Identity::Confirmed,
            "{path}"
        );
        let other = identity::check(&html, "/index/components/dax?p=1", None);
        assert!(matches!(other, Identity::Other(_)), "{path}: {other:?}");
    }
}

#[test]
#[ignore = "needs the saved pages beside the checkout"]
fn scan_and_dom_agree_on_every_saved_page() {
    let archive = Archive::open(&crawl()).unwrap();
    let mut pages: Vec<(String, Vec<u8>)> = archive
        .paths()
        .map(|path| (path.to_owned(), archive.get(path, Vec::new()).unwrap().body))
        .collect();
    for folder in ["company", "index"] {
        for entry in fs::read_dir(shared(&format!("pages/{folder}"))).unwrap() {
            let path = entry.unwrap().path();
            pages.push((path.display().to_string(), fs::read(path).unwrap()));
        }
    }
    // 508 pages of the crawl, 15 and 8 single pages.
    assert_eq!(pages.len(), 508 + 15 + 8);
    for (name, html) in pages {
        assert_eq!(company::parse(&html), company::parse_whole(&html), "{name}");
        assert_eq!(index::parse(&html), index::parse_whole(&html), "{name}");
    }
}

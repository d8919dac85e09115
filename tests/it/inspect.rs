//! The subcommand `read`: what it prints for files of every kind.

use std::fs;

use indexrank::replica::{Market, SEED};
use serde_json::{Value, json};

use crate::support::indexrank;

/// Runs `indexrank read` on a file of these bytes; returns the exit code and the line on stdout.
fn read(bytes: &[u8]) -> (i32, Value) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("page"), bytes).unwrap();
    let ran = indexrank(folder.path(), &["read", "page"]);
    (ran.code, serde_json::from_str(&ran.stdout).unwrap())
}

#[test]
fn prints_each_kind_of_page_in_argument_order() {
    let folder = tempfile::tempdir().unwrap();
    let market = Market::embedded(Some(2), SEED);
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("index.html", market.index_page(1).as_bytes());
    write(
        "company.html",
        market.company_page(&market.companies()[0]).as_bytes(),
    );
    write("rates.xml", &market.rates());
    write("error.xml", b"<ValCurs>Error in parameters</ValCurs>");
    let ran = indexrank(
        folder.path(),
        &[
            "read",
            "rates.xml",
            "company.html",
            "error.xml",
            "index.html",
        ],
    );
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    let lines: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines,
        [
            json!({"file": "rates.xml", "kind": "rates", "date": "04.02.2022", "usd": 76.6501, "nominal": "1", "note": null,
                "rates": {"AUD": 54.5672, "CHF": 83.1978, "CNY": 12.05, "EUR": 86.561, "GBP": 103.8762, "JPY": 0.668412,
                    "KZT": 0.176308, "USD": 76.6501}}),
            json!({"file": "company.html", "kind": "company", "code": "A", "name": "Agilent Technologies Inc.", "currency": "USD", "as_of": "2022-01-28", "price": 137.06,
                "P/E": 30.82, "52 week low": 112.47, "52 week high": 179.57, "note": null}),
            json!({"file": "error.xml", "kind": "rates", "date": null, "usd": null, "nominal": null, "rates": {},
                "note": "the Bank of Russia returned an error: Error in parameters"}),
            json!({"file": "index.html", "kind": "index", "pages": 1, "note": null, "rows": [
                {"path": "/stocks/a-stock", "name": "Agilent Technologies", "growth": 12.31},
                {"path": "/stocks/aal-stock", "name": "American Airlines", "growth": -1.93},
            ]}),
        ]
    );
}

#[test]
fn reports_an_unrecognised_file_as_unknown() {
    for bytes in [
        &b"<html><body>Just a moment\xe2\x80\xa6</body></html>"[..],
        b"",
        b"\x1f\x8b\x08broken",
        b"\xff\xfe\x00",
    ] {
        let (code, line) = read(bytes);
        assert_eq!(code, 5, "{bytes:?}");
        assert_eq!(line["kind"], "unknown");
        let note = line["note"].as_str().unwrap();
        assert_eq!(
            note.contains("the file is empty"),
            bytes.is_empty(),
            "{note}"
        );
        let expected = if bytes.starts_with(b"\x1f\x8b") {
            "does not inflate"
        } else {
            "no price-section__label"
        };
        assert!(note.contains(expected), "{note}");
    }
}

#[test]
fn continues_after_an_unreadable_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("page"), "x").unwrap();
    let ran = indexrank(folder.path(), &["read", "missing", "page"]);
    assert_eq!((ran.code, ran.stdout.lines().count()), (2, 1));
    assert!(ran.stderr.contains("cannot read missing"), "{}", ran.stderr);
}

/// The rest of the files is still read.
#[cfg(unix)]
#[test]
fn rejects_a_file_without_an_end() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("large"), vec![b' '; (2 << 20) + 1]).unwrap();
    let ran = indexrank(folder.path(), &["read", "/dev/zero", "large"]);
    assert_eq!((ran.code, &*ran.stdout), (2, ""));
    for file in ["/dev/zero", "large"] {
        let message = format!("cannot read {file}: it is larger than 2 MiB");
        assert!(ran.stderr.contains(&message), "{}", ran.stderr);
    }
    let mut pipe = crate::support::command(folder.path(), &["read", "/dev/stdin"]);
    let endless = fs::File::open("/dev/zero").unwrap();
    let output = pipe.stdin(endless).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    fs::write(folder.path().join("large"), vec![b' '; 2 << 20]).unwrap();
    assert_eq!(indexrank(folder.path(), &["read", "large"]).code, 5);
}

#[test]
fn prints_null_and_a_note_for_missing_figures() {
    let page = "<span class=\"price-section__label\">X Inc.</span>\
        <span class=\"price-section__category\">Stock <span>, X</span></span><span class=\"price-section__current-value\">n/a</span>";
    let (code, line) = read(page.as_bytes());
    assert_eq!(code, 0);
    assert_eq!(line["price"], Value::Null);
    let note = line["note"].as_str().unwrap();
    assert!(
        note.contains("no snapshot__header \"P/E Ratio\"") && note.contains("price is \"n/a\""),
        "{note}"
    );
}

#[test]
fn counts_rows_without_growth_and_shows_the_first_text() {
    let index = Market::embedded(Some(2), SEED).index_page(1);
    let rows = "1 row without a percentage in the column \"1 Year\"";
    for (shown, more) in [("", ""), ("n/a", "; /stocks/aal-stock: growth is \"n/a\"")] {
        let page = index.replace(">-1.93%<", &format!(">{shown}<"));
        let (code, line) = read(page.as_bytes());
        assert_eq!(code, 0);
        assert_eq!(line["note"], format!("{rows}{more}"));
        assert_eq!(line["rows"][1]["growth"], Value::Null);
    }
}

//! The database of `--db`: what a run appends to it, and when it appends nothing.

use std::fs;
use std::path::Path;
use std::time::Duration;

use indexrank::replica::{Market, SEED};
use nix::sys::signal::Signal;
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::interrupted::{ended, slow_market, start};
use crate::run::market;
use crate::stored_runs::Appended;
use crate::support::{MARKET, Reply, TestServer, files, indexrank, json, signal};

/// The rows of a query, each cell as text; null is `None`.
pub fn query(database: &Path, sql: &str) -> Vec<Vec<Option<String>>> {
    let connection = Connection::open(database).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        let cells = (0..columns).map(|column| {
            Ok(match row.get(column)? {
                Value::Null => None,
                Value::Integer(number) => Some(number.to_string()),
                Value::Real(number) => Some(number.to_string()),
                Value::Text(text) => Some(text),
                Value::Blob(_) => panic!("a blob in {sql}"),
            })
        });
        cells.collect()
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// The first cell of a query.
pub fn cell(database: &Path, sql: &str) -> String {
    query(database, sql)[0][0].clone().unwrap_or_default()
}

/// Asserts that a database is whole, and returns the exit codes of its runs.
#[track_caller]
pub fn exits(database: &Path) -> Vec<i32> {
    for (check, expected) in [("integrity_check", "ok"), ("foreign_key_check", "")] {
        let found = query(database, &format!("PRAGMA {check}"));
        let found = found.first().map(|row| row[0].clone().unwrap_or_default());
        assert_eq!(found.unwrap_or_default(), expected, "{check}");
    }
    let exits = query(database, "SELECT exit FROM runs ORDER BY run");
    let exits = exits.into_iter().map(|row| row[0].clone().unwrap());
    exits.map(|exit| exit.parse().unwrap()).collect()
}

#[test]
fn a_run_is_in_the_database_as_in_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("deep/er/market.sqlite");
    let address = MARKET.address();
    for _ in 0..2 {
        let run = ["--from", &*address, "-q", "--db", "deep/er/market.sqlite"];
        let ran = indexrank(folder.path(), &[&run[..], &["--table", "all.csv"]].concat());
        assert_eq!((ran.code, &*ran.stdout), (0, ""), "{}", ran.stderr);
    }
    assert_eq!(exits(&database), [0, 0]);
    assert_eq!(files(&folder.path().join("deep/er")), ["market.sqlite"]);

    let report = json(&folder.path().join("rankings/run.json"));
    let run = query(&database, "SELECT * FROM runs WHERE run = 2").remove(0);
    let text = |at: usize| run[at].clone().unwrap_or_default();
    let started = report["started"].as_str().unwrap();
    assert_eq!(text(1).len(), "2022-02-04T06:00:00.000Z".len());
    assert_eq!(text(1)[..22], started[..22]);
    assert_eq!([text(2), text(3)], ["s&p_500".to_owned(), address]);
    assert_eq!(text(4), env!("CARGO_PKG_VERSION"));
    assert_eq!((text(5), run[6].as_deref()), ("0".to_owned(), None));
    assert_eq!([7, 8, 9, 10].map(text), ["2022-01-28", "RUB", "10", "any"]);
    for (at, key) in [(11, "rates"), (12, "ledger")] {
        let found: serde_json::Value = serde_json::from_str(&text(at)).unwrap();
        assert_eq!(found, report[key], "{key}");
    }

    let columns = "code, name, path, currency, as_of, price, price_rub, pe, growth, low52, high52, potential_profit";
    let quotes = query(
        &database,
        &format!(
            "SELECT {columns}, 1 FROM quotes WHERE run = 2 AND price_in IS NULL ORDER BY code"
        ),
    );
    let mut table = csv::Reader::from_path(folder.path().join("all.csv")).unwrap();
    let rows: Vec<Vec<String>> = table.deserialize().map(Result::unwrap).collect();
    let quotes: Vec<Vec<String>> = quotes
        .into_iter()
        .map(|row| row.into_iter().map(Option::unwrap_or_default).collect())
        .collect();
    assert_eq!(quotes.len(), 496);
    assert_eq!(quotes, rows);

    for (ranking, key) in [
        ("price", "price"),
        ("pe", "P/E"),
        ("growth", "growth"),
        ("potential_profit", "potential profit"),
    ] {
        let places = query(
            &database,
            &format!(
                "SELECT code, value FROM places WHERE run = 2 AND ranking = '{ranking}' ORDER BY place"
            ),
        );
        let expected = json(&folder.path().join(format!("rankings/{ranking}.json")));
        let expected: Vec<Vec<Option<String>>> = expected
            .as_array()
            .unwrap()
            .iter()
            .map(|place| {
                let code = place["code"].as_str().unwrap().to_owned();
                vec![Some(code), Some(place[key].to_string())]
            })
            .collect();
        assert_eq!(places, expected, "{ranking}");
    }
}

#[test]
fn views_have_numbers_and_what_changed() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("market.sqlite");
    let first = ["--from", "replica", "-q", "--db", "market.sqlite"];
    assert_eq!(indexrank(folder.path(), &first).code, 0);
    assert!(query(&database, "SELECT * FROM changes").is_empty());
    let dollars = [&first[..], &["--in", "USD"]].concat();
    assert_eq!(indexrank(folder.path(), &dollars).code, 0);
    let dax = [&first[..], &["--index", "dax"]].concat();
    assert_eq!(indexrank(folder.path(), &dax).code, 0);

    let sums = "SELECT index_name, run, count(*), sum(price) > 20000, sum(price_rub) > 0, sum(price_in) > 0 FROM latest GROUP BY 1, 2 ORDER BY 1";
    let sums = query(&database, sums);
    let sums: Vec<String> = sums
        .iter()
        .map(|row| {
            let cells = row.iter().map(|cell| cell.as_deref().unwrap_or("null"));
            cells.collect::<Vec<_>>().join(" ")
        })
        .collect();
    assert_eq!(sums, ["dax 3 40 0 1 null", "s&p_500 2 496 1 null 1"]);
    assert_eq!(
        cell(
            &database,
            "SELECT typeof(price) || typeof(pe) || typeof(growth) FROM latest WHERE code = 'MMM'"
        ),
        "realrealreal"
    );

    // One company has another price and no P/E any more, one another currency, one is gone, one is new.
    let connection = Connection::open(&database).unwrap();
    connection
        .execute_batch(
            "UPDATE quotes SET price = '100.00', pe = '20' WHERE run = 1 AND code = 'MMM';
             UPDATE quotes SET price = '125.00', pe = NULL WHERE run = 2 AND code = 'MMM';
             UPDATE quotes SET price = '1', currency = 'EUR' WHERE run = 1 AND code = 'NVR';
             DELETE FROM quotes WHERE run = 1 AND code = 'AAL';
             DELETE FROM quotes WHERE run = 2 AND code = 'AAP';",
        )
        .unwrap();
    let changes = query(
        &database,
        "SELECT code, run_before, run_after, currency_before, currency_after, price_change, price_change_percent, pe_change
         FROM changes
         WHERE price_change IS NOT 0 OR pe_change IS NOT 0 AND pe_before IS NOT NULL
         ORDER BY code",
    );
    let changes: Vec<String> = changes
        .iter()
        .map(|row| {
            let cells = row.iter().map(|cell| cell.as_deref().unwrap_or("null"));
            cells.collect::<Vec<_>>().join(" ")
        })
        .collect();
    assert_eq!(
        changes,
        [
            "AAL 1 2 null USD null null null",
            "AAP 1 2 USD null null null null",
            "MMM 1 2 USD USD 25 25 null",
            "NVR 1 2 EUR USD null null 0",
        ]
    );
    assert_eq!(cell(&database, "SELECT count(*) FROM changes"), "496");
}

/// A run that fails adds its reason and nothing else; one with missing companies or without rates is
/// complete.
#[test]
fn a_failed_run_adds_its_reason_alone() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("market.sqlite");
    let no_page = || Some(Reply::status("404 Not Found"));
    let gone = TestServer::start(market(), move |path, _| {
        path.starts_with("/stocks/mm").then(no_page).flatten()
    });
    let without_rates = TestServer::start(market(), move |path, _| {
        path.starts_with("/scripts/").then(no_page).flatten()
    });
    let layout = TestServer::start(Market::embedded(Some(60), SEED), |path, _| {
        (path.starts_with("/stocks/")).then(|| Reply::Page(b"<html>other</html>".to_vec()))
    });
    for (server, options, code) in [
        (&gone, &["--min-companies", "100%"][..], 8),
        (&gone, &[], 3),
        (&without_rates, &[], 6),
        (&gone, &["--max-time", "0.001"], 4),
        (&layout, &[], 5),
    ] {
        let run = ["--from", server.address(), "-q", "--db", "market.sqlite"];
        let ran = indexrank(folder.path(), &[&run[..], options].concat());
        assert_eq!(ran.code, code, "{}", ran.stderr);
        let last = query(
            &database,
            "SELECT exit, error FROM runs ORDER BY run DESC LIMIT 1",
        );
        assert_eq!(last[0][0], Some(code.to_string()));
        let error = last[0][1].as_deref();
        assert_eq!(error.is_some(), ![3, 6].contains(&code), "{error:?}");
        if let Some(error) = error {
            let failed = json(&folder.path().join("rankings/failed-run.json"));
            assert_eq!(failed["error"], error);
        }
    }

    let slow = slow_market(200);
    let address = slow.address();
    let child = start(
        folder.path(),
        &["--from", &address, "-q", "--db", "market.sqlite"],
    );
    std::thread::sleep(Duration::from_millis(400));
    signal(&child, Signal::SIGINT);
    let (_, ran) = ended(child);
    assert_eq!(ran.code, 130, "{}", ran.stderr);

    assert_eq!(exits(&database), [8, 3, 6, 4, 5, 130]);
    let of_runs = "SELECT group_concat(DISTINCT run) FROM ";
    assert_eq!(cell(&database, &format!("{of_runs} quotes")), "2,3");
    assert_eq!(cell(&database, &format!("{of_runs} places")), "2,3");
    assert_eq!(
        cell(
            &database,
            "SELECT count(*) FROM runs WHERE error IS NOT NULL AND coalesce(as_of, price_currency, top, pe_range, rates, ledger) IS NOT NULL"
        ),
        "0"
    );
    let interrupted = "SELECT error FROM runs WHERE exit = 130";
    assert!(cell(&database, interrupted).starts_with("interrupted; no result was changed"));
    let rankings = "SELECT group_concat(DISTINCT ranking) FROM places WHERE run = 3";
    assert!(
        !cell(&database, rankings)
            .split(',')
            .any(|name| name == "price")
    );
}

#[test]
fn a_rejected_command_a_dry_run_and_a_check_write_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, code) in [
        (
            &["--from", "replica", "--dry-run", "--db", "new.sqlite"][..],
            0,
        ),
        (
            &["--from", "replica", "--usd-rub", "0", "--db", "new.sqlite"],
            2,
        ),
        (&["--from", "missing.warc", "--db", "new.sqlite"], 2),
        (
            &[
                "--from",
                "replica",
                "--db",
                "new.sqlite",
                "--out",
                "/dev/null",
            ],
            7,
        ),
        (&["check", "--from", "replica"], 0),
        (&["check", "--db", "new.sqlite"], 2),
    ] {
        let ran = indexrank(folder.path(), arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.stderr);
        assert_eq!(files(folder.path()), [""; 0], "{arguments:?}");
    }
}

/// A name that SQLite would take for a database in memory, or for an address, is the name of a file.
#[test]
fn every_name_is_the_name_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    for name in [":memory:", "file:market.sqlite?mode=memory", "с пробелом"] {
        let run = ["--from", "replica", "-q", "--db", name];
        let ran = indexrank(folder.path(), &run);
        assert_eq!(ran.code, 0, "{name}: {}", ran.stderr);
        assert!(fs::metadata(folder.path().join(name)).unwrap().len() > 50_000);
    }
}

/// Other programs do not enforce foreign keys unless they are told to, so the quotes of a deleted run can
/// stay. No later run gets its number.
#[test]
fn a_run_never_gets_the_number_of_a_deleted_one() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("market.sqlite");
    Appended::default().to(&database);
    Appended::default().to(&database);
    let delete =
        "PRAGMA foreign_keys = OFF; DELETE FROM runs WHERE run = (SELECT max(run) FROM runs)";
    let connection = Connection::open(&database).unwrap();
    connection.execute_batch(delete).unwrap();
    Appended::default().to(&database);
    let runs = "SELECT group_concat(run) FROM (SELECT run FROM runs ORDER BY run)";
    assert_eq!(cell(&database, runs), "1,3");
    let quotes = "SELECT group_concat(DISTINCT run) FROM quotes";
    assert_eq!(cell(&database, quotes), "1,2,3");
    let history = "SELECT group_concat(DISTINCT run) FROM history";
    assert_eq!(cell(&database, history), "1,3");
}

//! `Packed` and whole runs with more companies than fit in its memory limit, with and without a
//! temporary directory.

use std::collections::BTreeMap;
use std::fs;
use std::iter;
use std::ops::Range;
use std::path::Path;

use fastrand::Rng;
use indexrank::pipeline::packed::Packed;
use proptest::prelude::*;

use crate::run::market;
use crate::support::{Reply, TestServer, command, files, json, ledger};

type Value = (String, Option<u64>, Vec<String>);

/// One name in 31 is 100,000 bytes long, nearly the limit of what is kept in memory (100 KiB).
fn value() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        30 => "[A-D]{0,2}",
        1 => "[A-Z]{1}".prop_map(|letter| letter.repeat(100_000)),
    ];
    (
        name,
        any::<Option<u64>>(),
        prop::collection::vec("\\PC*", 0..3),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Values packed in several batches, appended and sorted, equal a sorted vector of the same values.
    #[test]
    fn packed_values_match_a_vector(
        batches in prop::collection::vec(prop::collection::vec(value(), 0..60), 0..5),
        later in prop::collection::vec(value(), 0..3),
    ) {
        let mut packed = Packed::default();
        for batch in &batches {
            packed.append(batch.iter().cloned().collect());
        }
        later.iter().for_each(|value| packed.push(value));
        let mut values = [batches.concat(), later].concat();
        prop_assert!(packed.iter().eq(values.iter().cloned()));
        // Two iterators at a time do not disturb each other.
        let pairs = packed.iter().zip(packed.iter().skip(1));
        prop_assert!(pairs.eq(values.iter().cloned().zip(values.iter().skip(1).cloned())));
        prop_assert_eq!((packed.len(), packed.is_empty()), (values.len(), values.is_empty()));

        values.sort();
        prop_assert!(packed.sorted_by(Value::cmp).eq(values));
    }
}

#[test]
fn sorts_more_values_than_one_run_holds() {
    let mut rng = Rng::with_seed(1);
    for count in [0, 1, 1_999, 2_000, 2_001, 3_999, 4_000, 4_001, 9_000] {
        let values: Vec<u16> = iter::repeat_with(|| rng.u16(..)).take(count).collect();
        let packed: Packed<u16> = values.iter().copied().collect();
        let mut sorted = values;
        sorted.sort_unstable();
        assert!(packed.sorted_by(u16::cmp).eq(sorted), "{count}");
    }
}

const LISTED: usize = 5_000;
/// Fewer than addresses, so 100 codes appear at two addresses.
const CODES: usize = 4_900;

/// A site with more companies than are kept in memory (about 1,100) or sorted at once (2,000), listed
/// on two index pages.
fn large_site() -> TestServer {
    let index = |numbers: Range<usize>| {
        let row = |number| {
            format!(
                "<tr><td><a href=\"/stocks/{number}-stock\" title=\"x\">x</a></td>\
                 <td><span>1</span> <span>{}%</span></td></tr>",
                number % 100
            )
        };
        let rows: String = numbers.map(row).collect();
        format!(
            "<html><body><table><tr><th>Name</th><th>1 Year</th></tr>{rows}</table>\
             <div class=\"finando_paging\"><a href=\"?p=2\">2</a></div></body></html>"
        )
    };
    let item = |header, value| {
        format!(
            "<div class=\"snapshot__data-item\">{value}\
             <div class=\"snapshot__header\">{header}</div></div>"
        )
    };
    let company = move |number: usize| {
        format!(
            "<html><body><span class=\"price-section__label\">Company {number}</span>\
             <span class=\"price-section__category\"><span>, C{}</span></span>\
             <span class=\"price-section__current-value\">{}</span>{}{}{}</body></html>",
            number % CODES,
            number + 1,
            item("P/E Ratio", number + 1),
            item("52 Week Low", 1),
            item("52 Week High", 2)
        )
    };
    let indices = [index(0..LISTED / 2), index(LISTED / 2..LISTED)];
    TestServer::start(market(), move |path, _| {
        if let Some(number) = path.strip_prefix("/stocks/") {
            let number = number.strip_suffix("-stock")?.parse().ok()?;
            return Some(Reply::Page(company(number).into_bytes()));
        }
        let number: usize = path.rsplit_once("?p=")?.1.parse().ok()?;
        Some(Reply::Page(indices.get(number - 1)?.clone().into_bytes()))
    })
}

/// The `--table` file expected for [`large_site`].
fn large_table() -> String {
    let mut companies = BTreeMap::new();
    for number in 0..LISTED {
        let path = format!("/stocks/{number}-stock");
        companies.insert((format!("C{}", number % CODES), path), number);
    }
    let figures = "price_usd,price_rub,pe,growth,low52,high52,potential_profit";
    let mut table = format!("code,name,path,{figures}\n");
    let mut previous = String::new();
    for ((code, path), number) in companies {
        let (price, growth) = (number + 1, number % 100);
        if previous != code {
            table += &format!(
                "{code},Company {number},{path},{price},{price},{price},{growth},1,2,100\n"
            );
        }
        previous = code;
    }
    table
}

/// Runs with this `TMPDIR`, and checks that the table holds every company.
fn assert_table_is_complete(temporary: &Path) {
    let server = large_site();
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        &["--from", server.address(), "--usd-rub", "1", "-q"][..],
        &["--readers", "1", "--table", "all.csv"],
    ];
    let ran = command(folder.path(), &arguments.concat())
        .env("TMPDIR", temporary)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(0), "{stderr}");
    let table = fs::read_to_string(folder.path().join("all.csv")).unwrap();
    assert!(
        table == large_table(),
        "all.csv differs from the expected table"
    );
    let report = json(&folder.path().join("rankings/run.json"));
    assert_eq!(ledger(&report), [5_000, 4_900, 0, 100, 0]);
}

#[test]
fn spills_companies_to_the_temporary_directory() {
    let temporary = tempfile::tempdir().unwrap();
    assert_table_is_complete(temporary.path());
    assert_eq!(files(temporary.path()), Vec::<String>::new());
}

#[test]
fn keeps_companies_in_memory_without_a_temporary_directory() {
    assert_table_is_complete(Path::new("/nonexistent"));
}

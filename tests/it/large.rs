//! Indices far larger than real ones.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;

use crate::run::market;
use crate::support::{Reply, TestServer, indexrank, json, ledger};

const LISTED: usize = 5_000;
/// Fewer than addresses, so 100 codes appear at two addresses.
const CODES: usize = 4_900;

/// A site whose companies are listed on two index pages.
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
    let figures = "currency,as_of,price,price_rub,pe,growth,low52,high52,potential_profit,schema";
    let mut table = format!("code,name,path,{figures}\n");
    let mut previous = String::new();
    for ((code, path), number) in companies {
        let (price, growth) = (number + 1, number % 100);
        if previous != code {
            table += &format!(
                "{code},Company {number},{path},USD,,{price},{price},{price},{growth},1,2,100,1\n"
            );
        }
        previous = code;
    }
    table
}

#[test]
fn ranks_5000_companies_and_reports_duplicate_codes() {
    let server = large_site();
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        &["--from", server.address(), "--usd-rub", "1", "-q"][..],
        &["--readers", "1", "--table", "all.csv"],
    ];
    let ran = indexrank(folder.path(), &arguments.concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let table = fs::read_to_string(folder.path().join("all.csv")).unwrap();
    assert!(
        table == large_table(),
        "all.csv differs from the expected table"
    );
    let report = json(&folder.path().join("rankings/run.json"));
    assert_eq!(ledger(&report), [5_000, 4_900, 0, 100, 0]);
}

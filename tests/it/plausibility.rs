//! Implausible figures: which are flagged, with which words, and that they are ranked unchanged.

use indexrank::replica::{Market, SEED};
use indexrank::results::plausibility::{Contradiction, Rule, check, check_all};
use indexrank::results::terminal;
use indexrank::site::company::Company;
use indexrank::site::company::CompanyPage;
use indexrank::site::currency::Currency;
use serde_json::{Value, json};

use crate::run::{COMPANY, Run, company_html, market};
use crate::support::{MARKET, Reply, TestServer, assert_expected_rankings, indexrank, json};

fn company(code: &str, [price, pe, growth, low52, high52]: [&str; 5]) -> Company {
    let decimal = |text: &str| (!text.is_empty() && text != "-").then(|| text.parse().unwrap());
    Company {
        path: format!("/stocks/{}-stock", code.to_lowercase()).into(),
        currency: Currency::USD,
        growth: decimal(growth),
        is_redirected: false,
        index_note: None,
        page: CompanyPage {
            code: code.to_owned(),
            name: format!("{code} Inc."),
            price: decimal(price),
            pe: decimal(pe),
            low52: decimal(low52),
            high52: decimal(high52),
            ..CompanyPage::default()
        },
    }
}

/// Checks a company of the figures `price pe growth low high`; `-` is a missing figure.
fn flagged(figures: &str) -> Vec<Contradiction> {
    let words: Vec<&str> = figures.split(' ').collect();
    check(&company("A", words.try_into().unwrap()))
}

#[test]
fn flags_figures_beyond_each_limit() {
    use Rule::*;
    let cases: &[(&str, &[Rule])] = &[
        ("100 15 0 90 110", &[]),
        ("- - - - -", &[]),
        // The limits are 1.5 times the high and 0.5 times the low; the limit itself is allowed.
        ("150 - - 90 100", &[]),
        ("150.01 - - 90 100", &[PriceOutsideRange]),
        ("50 - - 100 110", &[]),
        ("49.99 - - 100 110", &[PriceOutsideRange]),
        ("49.99 - - - -", &[]),
        // These give prices a year ago of 150, 151.5, 50 and 49.
        ("75 - -50 60 100", &[]),
        ("75.75 - -50 60 100", &[GrowthOutsideRange]),
        ("100 - 100 100 110", &[]),
        ("98 - 100 100 110", &[GrowthOutsideRange]),
        ("100 - -100 90 110", &[GrowthOutsideRange]),
        ("100 - -99.99 90 110", &[GrowthOutsideRange]),
        ("100 - -100.5 - -", &[GrowthOutsideRange]),
        // A growth under −100 % gives no price a year ago, so the low is compared with the price only.
        ("100 - -150 9.99 110", &[GrowthOutsideRange, LowFarBelow]),
        // The low may be a third of the lower price, which is 90 first, then 45.
        ("90 - 0 30 100", &[]),
        ("90 - 0 29.99 100", &[LowFarBelow]),
        ("90 - 100 15 100", &[]),
        ("90 - 100 14.99 100", &[LowFarBelow]),
        ("45 - -50 15 100", &[]),
        ("45 - -50 14.99 100", &[LowFarBelow]),
        // The high may be five times the higher price.
        ("20 - 0 15 100", &[]),
        ("20 - 0 15 100.01", &[HighFarAbove]),
        ("10 - -50 8 100.01", &[HighFarAbove]),
        ("20 - 100 8 100.01", &[HighFarAbove]),
        // Without growth only the current price is known, and the factor is ten.
        ("90 - - 9 100", &[]),
        ("90 - - 8.99 100", &[LowFarBelow]),
        ("10 - - 9 100", &[]),
        ("10 - - 9 100.01", &[HighFarAbove]),
        ("100 10000 0 90 110", &[]),
        ("100 10000.01 0 90 110", &[PeBeyond]),
        ("100 -10000 0 90 110", &[]),
        ("100 -10000.01 0 90 110", &[PeBeyond]),
        // Figures of real pages: MRK; MRNA, which tripled and fell back; DVN, which tripled.
        ("80.60 29.35 7.50 15.32 91.40", &[LowFarBelow]),
        ("158.35 -59.95 -0.49 117.34 497.17", &[]),
        ("51.42 -167.13 200.87 16.18 54.25", &[]),
        // A lost decimal separator makes the price a hundred times too high.
        (
            "10000 20000 0 90 110",
            &[PriceOutsideRange, GrowthOutsideRange, LowFarBelow, PeBeyond],
        ),
        // The largest decimals do not overflow into a panic.
        (
            "79228162514264337593543950335 1 0 79228162514264337593543950335 79228162514264337593543950335",
            &[],
        ),
        (
            "1 1 79228162514264337593543950335 1 1",
            &[GrowthOutsideRange],
        ),
    ];
    for (figures, expected) in cases {
        let rules: Vec<Rule> = flagged(figures)
            .iter()
            .map(|suspicion| suspicion.rule)
            .collect();
        assert_eq!(&rules, expected, "{figures}");
    }
}

#[test]
fn reports_the_rule_the_figures_and_the_reason() {
    for (figures, expected) in [
        (
            "80.60 29.35 7.50 15.32 91.40",
            json!({
                "code": "A",
                "path": "/stocks/a-stock",
                "rule": "low_far_below",
                "figures": {"price": 80.60, "growth": 7.50, "52 week low": 15.32, "52 week high": 91.40},
                "why": "52-week low 15.32 looks wrong (price 80.60, a year ago 74.98)",
            }),
        ),
        (
            "200 - - 90 110",
            json!({
                "code": "A",
                "path": "/stocks/a-stock",
                "rule": "price_outside_range",
                "figures": {"price": 200, "52 week low": 90, "52 week high": 110},
                "why": "price 200 looks wrong (over 1.5 times the 52-week high 110)",
            }),
        ),
        (
            "100 - 200 90 110",
            json!({
                "code": "A",
                "path": "/stocks/a-stock",
                "rule": "growth_outside_range",
                "figures": {"price": 100, "growth": 200, "52 week low": 90, "52 week high": 110},
                "why": "growth 200 % looks wrong (price a year ago 33.33, under half the 52-week low 90)",
            }),
        ),
        (
            "10 - - 9 101",
            json!({
                "code": "A",
                "path": "/stocks/a-stock",
                "rule": "high_far_above",
                "figures": {"price": 10, "52 week low": 9, "52 week high": 101},
                "why": "52-week high 101 looks wrong (price 10)",
            }),
        ),
        (
            "- -10000.5 - - -",
            json!({
                "code": "A",
                "path": "/stocks/a-stock",
                "rule": "pe_beyond",
                "figures": {"P/E": -10000.5},
                "why": "P/E -10000.5 looks wrong (beyond ±10,000)",
            }),
        ),
    ] {
        let serialized: Vec<Value> = flagged(figures)
            .iter()
            .map(|suspicion| serde_json::to_vec(suspicion).unwrap())
            .map(|json| serde_json::from_slice(&json).unwrap())
            .collect();
        assert_eq!(serialized, [expected], "{figures}");
    }
}

/// The embedded market has the figures of a real crawl, so the crawl has the same flagged company.
#[test]
fn flags_only_merck_in_the_crawl() {
    let market = Market::embedded(None, SEED);
    let companies: Vec<Company> = market
        .companies()
        .iter()
        .map(|listing| {
            let figures = [
                &listing.price,
                &listing.pe,
                &listing.growth,
                &listing.low52,
                &listing.high52,
            ];
            company(&listing.code, figures.map(String::as_str))
        })
        .collect();
    assert_eq!(companies.len(), 496);
    let flagged: Vec<(String, Rule)> = check_all(&companies)
        .map(|suspicion| (suspicion.code, suspicion.rule))
        .collect();
    assert_eq!(flagged, [("MRK".to_owned(), Rule::LowFarBelow)]);
}

#[test]
fn warns_at_the_end_and_leaves_the_rankings_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let ran = indexrank(folder.path(), &["--from", &MARKET.address()]);
    assert_eq!(ran.code, 0);
    let warning = "\
        indexrank: warning: MRK: 52-week low 15.32 looks wrong (price 80.60, a year ago 74.98); \
        ranked unchanged\n";
    assert!(ran.stderr.ends_with(warning), "{}", ran.stderr);
    assert_expected_rankings(&folder.path().join("rankings"));
    let report = json(&folder.path().join("rankings/run.json"));
    assert_eq!(report["suspicious"].as_array().unwrap().len(), 1);
    assert_eq!(report["suspicious"][0]["code"], "MRK");
    assert_eq!(report["suspicious"][0]["path"], "/stocks/mrk-stock");

    let quiet = indexrank(folder.path(), &["--from", &MARKET.address(), "--quiet"]);
    assert_eq!((quiet.code, &*quiet.stderr), (0, ""));
}

#[test]
fn flags_and_ranks_an_implausible_price() {
    let price = "price-section__current-value\">";
    let server = TestServer::start(market(), move |path, _| {
        let page = || String::from_utf8(company_html(COMPANY)).unwrap();
        (path == COMPANY).then(|| Reply::Page(page().replace(price, &format!("{price}9")).into()))
    });
    let run = Run::new(&server, &[]);
    assert_eq!(run.ran.code, 0);
    assert!(
        run.ran
            .stderr
            .contains("warning: MMM: price 9166.78 looks wrong (over 1.5 times the 52-week high"),
        "{}",
        run.ran.stderr
    );
    assert!(run.read("price.json").contains("\"MMM\""));
}

#[test]
fn lists_five_contradictions_unless_verbose() {
    let all: Vec<Contradiction> = (0..7).flat_map(|_| flagged("- 20000 - - -")).collect();
    let lines = |count: usize, verbose| {
        let first = all.iter().take(count).cloned();
        terminal::list_contradictions(first, verbose, "all in run.json").collect::<Vec<_>>()
    };
    let warning = "warning: A: P/E 20000 looks wrong (beyond ±10,000); ranked unchanged";
    assert_eq!(lines(0, false), [""; 0]);
    assert_eq!(lines(5, false), [warning; 5]);
    assert_eq!(
        lines(6, false)[5],
        "warning: 1 more figure looks wrong, all in run.json"
    );
    assert_eq!(lines(7, false).len(), 6);
    assert_eq!(
        lines(7, false)[5],
        "warning: 2 more figures look wrong, all in run.json"
    );
    assert_eq!(lines(7, true), [warning; 7]);
}

use indexrank::pipeline::harvest::Company;
use indexrank::replica::{Market, SEED};
use indexrank::results::plausibility::{Rule, Suspicion, of_company, suspicious};
use indexrank::results::terminal;
use indexrank::site::company::CompanyPage;
use serde_json::{Value, json};

use crate::run::{COMPANY, Run, market, page_of};
use crate::support::{MARKET, Reply, TestServer, assert_expected_rankings, indexrank, json};

fn company(code: &str, [price, pe, growth, low52, high52]: [&str; 5]) -> Company {
    let decimal = |text: &str| (!text.is_empty() && text != "-").then(|| text.parse().unwrap());
    Company {
        path: format!("/stocks/{}-stock", code.to_lowercase()),
        growth: decimal(growth),
        page: CompanyPage {
            code: code.to_owned(),
            name: format!("{code} Inc."),
            price: decimal(price),
            pe: decimal(pe),
            low52: decimal(low52),
            high52: decimal(high52),
            notes: Vec::new(),
        },
    }
}

/// `price pe growth low high`, `-` where missing.
fn found(figures: &str) -> Vec<Suspicion> {
    let words: Vec<&str> = figures.split(' ').collect();
    of_company(&company("A", words.try_into().unwrap()))
}

#[test]
fn rules_and_their_limits() {
    use Rule::*;
    let cases: &[(&str, &[Rule])] = &[
        ("100 15 0 90 110", &[]),
        ("- - - - -", &[]),
        // One and a half times the high, half the low: the limit itself is within.
        ("150 - - 90 100", &[]),
        ("150.01 - - 90 100", &[PriceOutsideRange]),
        ("50 - - 100 110", &[]),
        ("49.99 - - 100 110", &[PriceOutsideRange]),
        ("49.99 - - - -", &[]),
        // A price a year ago of 150 and 151.5, of 50 and 49.
        ("75 - -50 60 100", &[]),
        ("75.75 - -50 60 100", &[GrowthOutsideRange]),
        ("100 - 100 100 110", &[]),
        ("98 - 100 100 110", &[GrowthOutsideRange]),
        ("100 - -100 90 110", &[GrowthOutsideRange]),
        ("100 - -99.99 90 110", &[GrowthOutsideRange]),
        ("100 - -100.5 - -", &[GrowthOutsideRange]),
        // Such a growth gives no second price to hold the low against.
        ("100 - -150 9.99 110", &[GrowthOutsideRange, LowFarBelow]),
        // A third of the lower of two prices: 90, then 45 a year ago.
        ("90 - 0 30 100", &[]),
        ("90 - 0 29.99 100", &[LowFarBelow]),
        ("90 - 100 15 100", &[]),
        ("90 - 100 14.99 100", &[LowFarBelow]),
        ("45 - -50 15 100", &[]),
        ("45 - -50 14.99 100", &[LowFarBelow]),
        // Five times the higher of two prices.
        ("20 - 0 15 100", &[]),
        ("20 - 0 15 100.01", &[HighFarAbove]),
        ("10 - -50 8 100.01", &[HighFarAbove]),
        ("20 - 100 8 100.01", &[HighFarAbove]),
        // Ten times the price where there is no growth to know another by.
        ("90 - - 9 100", &[]),
        ("90 - - 8.99 100", &[LowFarBelow]),
        ("10 - - 9 100", &[]),
        ("10 - - 9 100.01", &[HighFarAbove]),
        ("100 10000 0 90 110", &[]),
        ("100 10000.01 0 90 110", &[PeBeyond]),
        ("100 -10000 0 90 110", &[]),
        ("100 -10000.01 0 90 110", &[PeBeyond]),
        // As on real pages: MRK; MRNA, which rose to three times and fell; DVN, which tripled.
        ("80.60 29.35 7.50 15.32 91.40", &[LowFarBelow]),
        ("158.35 -59.95 -0.49 117.34 497.17", &[]),
        ("51.42 -167.13 200.87 16.18 54.25", &[]),
        // A comma lost on the way: the price a hundred times too high.
        (
            "10000 20000 0 90 110",
            &[PriceOutsideRange, GrowthOutsideRange, LowFarBelow, PeBeyond],
        ),
        // Figures at the end of what decimals hold are no reason to stop.
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
        let rules: Vec<Rule> = found(figures).iter().map(|one| one.rule).collect();
        assert_eq!(&rules, expected, "{figures}");
    }
}

#[test]
fn a_suspicion_says_why_and_with_which_figures() {
    for (figures, expected) in [
        (
            "80.60 29.35 7.50 15.32 91.40",
            json!({
                "code": "A",
                "path": "/stocks/a-stock",
                "rule": "low_far_below",
                "figures": {"price": 80.60, "growth": 7.50, "52 week low": 15.32, "52 week high": 91.40},
                "why": "the 52-week low, 15.32, is under a third of both the price, 80.60, and that of a year ago, 74.98",
            }),
        ),
        (
            "200 - - 90 110",
            json!({
                "code": "A",
                "path": "/stocks/a-stock",
                "rule": "price_outside_range",
                "figures": {"price": 200, "52 week low": 90, "52 week high": 110},
                "why": "the price, 200, is over one and a half times the 52-week high, 110",
            }),
        ),
        (
            "100 - 200 90 110",
            json!({
                "code": "A",
                "path": "/stocks/a-stock",
                "rule": "growth_outside_range",
                "figures": {"price": 100, "growth": 200, "52 week low": 90, "52 week high": 110},
                "why": "the price a year ago, 33.33 by a growth of 200 %, is under half the 52-week low, 90",
            }),
        ),
        (
            "10 - - 9 101",
            json!({
                "code": "A",
                "path": "/stocks/a-stock",
                "rule": "high_far_above",
                "figures": {"price": 10, "52 week low": 9, "52 week high": 101},
                "why": "the 52-week high, 101, is over ten times the price, 10",
            }),
        ),
        (
            "- -10000.5 - - -",
            json!({
                "code": "A",
                "path": "/stocks/a-stock",
                "rule": "pe_beyond",
                "figures": {"P/E": -10000.5},
                "why": "the P/E, -10000.5, is beyond ±10,000",
            }),
        ),
    ] {
        let found: Vec<Value> = found(figures)
            .iter()
            .map(|one| serde_json::from_slice(&serde_json::to_vec(one).unwrap()).unwrap())
            .collect();
        assert_eq!(found, [expected], "{figures}");
    }
}

/// The figures of the embedded market are those of a real crawl: what is named here is named there.
#[test]
fn merck_alone_is_named_on_the_crawl() {
    let market = Market::embedded(None, SEED);
    let companies: Vec<Company> = market
        .companies()
        .iter()
        .map(|one| {
            let figures = [&one.price, &one.pe, &one.growth, &one.low52, &one.high52];
            company(&one.code, figures.map(String::as_str))
        })
        .collect();
    assert_eq!(companies.len(), 496);
    let named: Vec<(String, Rule)> = suspicious(companies.into_iter())
        .into_iter()
        .map(|one| (one.code, one.rule))
        .collect();
    assert_eq!(named, [("MRK".to_owned(), Rule::LowFarBelow)]);
}

#[test]
fn it_is_told_at_the_end_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let ran = indexrank(folder.path(), &["--from", &MARKET.address()]);
    assert_eq!(ran.code, 0);
    let told = "\
        indexrank: 1 figure does not fit the others of its company, it is ranked as it is:\n\
        indexrank:   MRK: the 52-week low, 15.32, is under a third of both the price, 80.60, \
        and that of a year ago, 74.98\n";
    assert!(ran.stderr.ends_with(told), "{}", ran.stderr);
    assert_expected_rankings(&folder.path().join("rankings"));
    let report = json(&folder.path().join("rankings/run.json"));
    assert_eq!(report["suspicious"].as_array().unwrap().len(), 1);
    assert_eq!(report["suspicious"][0]["code"], "MRK");
    assert_eq!(report["suspicious"][0]["path"], "/stocks/mrk-stock");

    let quiet = indexrank(folder.path(), &["--from", &MARKET.address(), "--quiet"]);
    assert_eq!((quiet.code, &*quiet.stderr), (0, ""));
}

#[test]
fn a_page_with_a_price_of_another_order_is_named_and_ranked() {
    let price = "price-section__current-value\">";
    let server = TestServer::start(market(), move |path, _| {
        let page = || String::from_utf8(page_of(COMPANY)).unwrap();
        (path == COMPANY).then(|| Reply::Page(page().replace(price, &format!("{price}9")).into()))
    });
    let run = Run::new(&server, &[]);
    assert_eq!(run.ran.code, 0);
    assert!(
        run.ran
            .stderr
            .contains("  MMM: the price, 9166.78, is over one and a half times"),
        "{}",
        run.ran.stderr
    );
    assert!(run.read("price.json").contains("\"MMM\""));
}

#[test]
fn the_list_is_short_unless_all_of_it_is_asked_for() {
    let all: Vec<Suspicion> = (0..7).flat_map(|_| found("- 20000 - - -")).collect();
    let lines = |count: usize, most| terminal::suspicious(&all[..count], most);
    assert_eq!(lines(0, 5), [""; 0]);
    assert_eq!(
        lines(5, 5).last().unwrap(),
        "  A: the P/E, 20000, is beyond ±10,000"
    );
    assert_eq!(lines(7, 5).len(), 7);
    assert_eq!(
        lines(7, 5)[0],
        "7 figures do not fit the others of their companies, they are ranked as they are:"
    );
    assert_eq!(lines(7, 5)[6], "  and 2 more, all in run.json");
    assert_eq!(lines(7, usize::MAX).len(), 8);
}

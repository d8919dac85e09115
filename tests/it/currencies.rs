//! Companies quoted in several currencies: which rate each price is converted by, and what happens
//! without one.

use std::fs;

use indexrank::pipeline::harvest::Harvest;
use indexrank::replica::Pages;
use indexrank::results::prices::most_common_day;
use indexrank::site::company::{AsOf, CompanyPage};
use indexrank::site::index::Link;
use jiff::civil::{Date, Time, date};
use serde_json::{Value, json};

use crate::run::{COMPANY, RATES, Run, company_html, market};
use crate::support::{Ran, Reply, TestServer, indexrank, json, json_lines};

/// The market's list of rates as UTF-8.
fn list() -> String {
    let bytes = market().rates();
    encoding_rs::WINDOWS_1251.decode(&bytes).0.into_owned()
}

/// The entry of a currency in the market's list.
fn entry(code: &str) -> String {
    let list = list();
    let at = list.find(&format!("<CharCode>{code}<")).unwrap();
    let start = list[..at].rfind("<Valute ").unwrap();
    let end = at + list[at..].find("</Valute>").unwrap() + "</Valute>".len();
    list[start..end].to_owned()
}

/// A server with this list of rates.
fn with_list(list: String) -> TestServer {
    TestServer::start(market(), move |path, _| {
        (path == RATES).then(|| Reply::Page(list.clone().into_bytes()))
    })
}

/// A server whose bank never answers.
fn without_bank() -> TestServer {
    TestServer::start(market(), |path, _| {
        (path == RATES).then(|| Reply::status("503 Service Unavailable"))
    })
}

fn report(run: &Run) -> Value {
    json(&run.folder.path().join("rankings/run.json"))
}

/// The rows of a table in NDJSON by code.
fn row(table: &[Value], code: &str) -> Value {
    table
        .iter()
        .find(|row| row["code"] == code)
        .unwrap()
        .clone()
}

fn table(run: &Run) -> Vec<Value> {
    json_lines(&fs::read_to_string(run.folder.path().join("all.ndjson")).unwrap())
}

#[test]
fn converts_each_price_by_the_rate_of_its_currency() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = [
        "--from", "replica", "--index", "mixed", "--table", "all.csv",
    ];
    let Ran {
        code,
        stdout,
        stderr,
    } = indexrank(folder.path(), &arguments);
    let warnings = "indexrank: warning: 1 note on figures; the first, NGMU: no currency is stated; GBX is assumed, the most common one of the index\n\
        indexrank: warning: 1 of 50 companies is not ranked by price, for want of a rate: XXQ (1)\n";
    assert_eq!((code, &*stderr), (0, warnings));
    let rates = "
1 EUR = 86.5610 RUB, Bank of Russia, 2022-02-04
1 GBP = 103.8762 RUB, Bank of Russia, 2022-02-04
100 JPY = 66.8412 RUB, Bank of Russia, 2022-02-04
1 USD = 76.6501 RUB, Bank of Russia, 2022-02-04
50 companies in ";
    assert!(stdout.contains(rates), "{stdout}");

    let csv = fs::read_to_string(folder.path().join("all.csv")).unwrap();
    // The prices in roubles are computed by hand: 243.55 × 86.561, 3215 ÷ 100 × 103.8762,
    // 12.40 × 103.8762, 2234.50 × 66.8412 ÷ 100, and 88.20 ÷ 100 × 103.8762 for a page that states no
    // currency in an index mostly quoted in pence.
    for row in [
        "ADS,adidas AG,/stocks/adidas-stock,EUR,2022-01-28,243.55,21081.93,",
        "AMZN,Amazon,/stocks/amzn-stock,USD,22:19:00,2885.5,221173.86,",
        "BATS,British American Tobacco PLC,/stocks/british_american_tobacco-stock,GBX,2022-01-28,3215,3339.62,",
        "HSTR,Harbour Street Trust PLC,/stocks/harbour_street-stock,GBP,2022-01-28,12.4,1288.06,",
        "NGMU,Northgate Mutual Inc.,/stocks/northgate_mutual-stock,GBX,2022-01-28,88.2,91.62,",
        "QISL,Quarry Islands Telecom Ltd.,/stocks/quarry_islands-stock,XXQ,2022-01-28,640,,9.1,",
        "TOYOTA,Toyota Motor Corp.,/stocks/toyota-stock,JPY,19:51:19,2234.5,1493.57,",
    ] {
        assert!(csv.contains(&format!("\n{row}")), "no {row} in {csv}");
    }
    let report = json(&folder.path().join("rankings/run.json"));
    assert_eq!(report["as_of"], "2022-01-28");
    let rates: Vec<String> = report["rates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rate| {
            let text = |key: &str| rate[key].to_string().replace('"', "");
            ["nominal", "currency", "value", "date"].map(text).join(" ")
        })
        .collect();
    let expected = [
        "1 EUR 86.5610 2022-02-04",
        "1 GBP 103.8762 2022-02-04",
        "100 JPY 66.8412 2022-02-04",
        "1 USD 76.6501 2022-02-04",
    ];
    assert_eq!(rates, expected);
    assert_eq!(
        report["notes"],
        json!([
            {"code": "NGMU", "note": "no currency is stated; GBX is assumed, the most common one of the index"},
            {"code": "QISL", "note": "not ranked by price: the list of daily rates of 04.02.2022 has no usable XXQ rate: no XXQ among 8"},
        ])
    );
    let by_price = json(&folder.path().join("rankings/price.json"));
    let codes: Vec<&str> = by_price
        .as_array()
        .unwrap()
        .iter()
        .map(|place| place["code"].as_str().unwrap())
        .collect();
    assert_eq!(
        codes.join(" "),
        "AMZN HD MUV2 BRK.B MSFT ADS ALV MCD NVDA V"
    );
}

#[test]
fn ranks_an_index_in_euros() {
    let folder = tempfile::tempdir().unwrap();
    let ran = indexrank(folder.path(), &["--from", "replica", "--index", "dax"]);
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    let line = "\n1 EUR = 86.5610 RUB, Bank of Russia, 2022-02-04\n40 companies";
    assert!(ran.stdout.contains(line), "{}", ran.stdout);
    // 470.30 × 86.561
    let by_price = json(&folder.path().join("rankings/price.json"));
    assert_eq!(
        by_price[0],
        json!({"code": "SRT3", "name": "Sartorius AG Vz.", "price": 40709.64})
    );
}

/// What a run does with a list that lacks or distorts a currency of the index `mixed`, which has 15
/// companies in dollars, 13 in euros and one in yen. XXQ is never listed.
#[test]
fn judges_the_currencies_that_the_list_lacks_or_distorts() {
    let removed = |code: &str| list().replace(&entry(code), "");
    let twice = |code: &str| list().replace(&entry(code), &entry(code).repeat(2));
    let valued = |code: &str, value: &str, other: &str| {
        let changed = entry(code).replace(value, other);
        list().replace(&entry(code), &changed)
    };
    let left_out =
        |companies: &str| format!("not ranked by price, for want of a rate: {companies}\n");
    let no_ranking = |why: &str| {
        format!(
            "there is no ranking by price: the list of daily rates of 04.02.2022 has no usable {why}"
        )
    };
    for (list, code, expected) in [
        // A currency that is not listed leaves out its companies, however many.
        (removed("JPY"), 0, left_out("JPY (1), XXQ (1)")),
        (removed("EUR"), 0, left_out("EUR (13), XXQ (1)")),
        // The bank always lists the dollar.
        (removed("USD"), 6, no_ranking("USD rate: no USD among 7")),
        // A faulty entry may leave out two companies, but not more.
        (twice("JPY"), 0, left_out("JPY (1), XXQ (1)")),
        (twice("EUR"), 6, no_ranking("EUR rate: EUR is listed twice")),
        (twice("USD"), 6, no_ranking("USD rate: USD is listed twice")),
        (
            valued("EUR", "86,5610", "n/a"),
            6,
            no_ranking("EUR rate: Value is \"n/a\""),
        ),
        (
            valued("USD", "R01235", "R01239"),
            6,
            no_ranking("USD rate: ID R01239 and code USD disagree"),
        ),
        // A rate out of proportion puts the whole list in doubt, even if one company needs it.
        (
            valued("JPY", "66,8412", "0,0066"),
            6,
            no_ranking("JPY rate: 0.000066 roubles per unit are out of proportion"),
        ),
        (
            valued("USD", "76,6501", "76650100"),
            6,
            no_ranking("USD rate: 76650100 roubles per unit are out of proportion"),
        ),
        // No company is quoted in francs.
        (valued("CHF", "83,1978", "0,00001"), 0, left_out("XXQ (1)")),
        (twice("CHF"), 0, left_out("XXQ (1)")),
    ] {
        let run = Run::new(&with_list(list), &["--index", "mixed"]);
        let stderr = &run.ran.stderr;
        assert_eq!(run.ran.code, code, "{expected}: {stderr}");
        assert!(stderr.contains(&expected), "{expected}: {stderr}");
        let report = report(&run);
        let has_ranking = run.folder.path().join("rankings/price.json").exists();
        assert_eq!(has_ranking, code == 0, "{expected}");
        assert_eq!(report["rate_error"].is_null(), code == 0, "{expected}");
        assert_eq!(
            report["rates"].as_array().unwrap().is_empty(),
            code == 6,
            "{expected}"
        );
    }
}

/// Serves the index `dax` with some of its pages quoted in dollars.
fn dax_with_dollars(list: String, in_dollars: usize) -> TestServer {
    let market = market();
    let pages = Pages::of_market(&market);
    let companies = &market.index("dax").unwrap().companies;
    let paths = companies.iter().map(|company| company.path.clone());
    let paths: Vec<String> = paths.take(in_dollars).collect();
    TestServer::start(market, move |path, _| {
        if path == RATES {
            return Some(Reply::Page(list.clone().into_bytes()));
        }
        let is_changed = paths.iter().any(|changed| changed == path);
        let page = is_changed.then(|| pages.get(path).unwrap().plain_body())?;
        let page = String::from_utf8(page).unwrap();
        let page = page.replace("\"Currency\" : \"EUR\"", "\"Currency\" : \"USD\"");
        Some(Reply::Page(page.into_bytes()))
    })
}

/// A run of 40 companies may lack two, so it may lack the prices of two for a fault of the list.
#[test]
fn a_faulty_dollar_matters_by_the_number_of_companies() {
    let twice = || list().replace(&entry("USD"), &entry("USD").repeat(2));
    let removed = || list().replace(&entry("USD"), "");
    for list in [twice, removed as fn() -> String] {
        for (in_dollars, code) in [(2, 0), (3, 6)] {
            let server = dax_with_dollars(list(), in_dollars);
            let run = Run::new(&server, &["--index", "dax"]);
            assert_eq!(run.ran.code, code, "{in_dollars}: {}", run.ran.stderr);
            let warning = "2 of 40 companies are not ranked by price, for want of a rate: USD (2)";
            assert_eq!(run.ran.stderr.contains(warning), code == 0);
        }
    }
}

#[test]
fn rates_given_by_hand_replace_the_bank() {
    let server = without_bank();
    let run = Run::new(
        &server,
        &[
            "--index",
            "mixed",
            "--rate",
            "EUR=101,5",
            "--rate",
            "GBP=100",
            "--table",
            "all.ndjson",
        ],
    );
    assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
    let warning = "17 of 50 companies are not ranked by price, for want of a rate: JPY (1), USD (15), XXQ (1)";
    assert!(run.ran.stderr.contains(warning), "{}", run.ran.stderr);
    let lines =
        "\n1 EUR = 101.5 RUB, given by --rate\n1 GBP = 100 RUB, given by --rate\n50 companies";
    assert!(run.ran.stdout.contains(lines), "{}", run.ran.stdout);
    assert_eq!(server.asked(RATES), 0);
    let table = table(&run);
    // 280.40 × 101.5, and 8610 ÷ 100 × 100
    assert_eq!(row(&table, "MUV2")["price_rub"], json!(28460.6));
    assert_eq!(row(&table, "AZN")["price_rub"], json!(8610));
    assert_eq!(row(&table, "AMZN")["price_rub"], Value::Null);
    let report = report(&run);
    assert_eq!(
        report["rates"][0],
        json!({"currency": "EUR", "nominal": 1, "value": 101.5, "date": null})
    );
    let notes = report["notes"].as_array().unwrap();
    assert!(notes.contains(
        &json!({"code": "AMZN", "note": "not ranked by price: no rate of USD is given"})
    ));
    assert_eq!(report["warnings"].as_array().unwrap().len(), 2);

    // Without the rate of any quote there is no ranking.
    let run = Run::new(&server, &["--rate", "EUR=101.5"]);
    assert_eq!(run.ran.code, 6);
    let error = "there is no ranking by price: no rate of USD is given; give the rates with --rate";
    assert!(run.ran.stderr.contains(error), "{}", run.ran.stderr);
}

#[test]
fn prices_in_the_currency_of_the_quotes_need_no_bank() {
    let server = without_bank();
    let options = [
        "--index",
        "dax",
        "--in",
        "EUR",
        "--table",
        "all.ndjson",
        "--record",
        "run.warc",
    ];
    let run = Run::new(&server, &options);
    assert_eq!(
        (run.ran.code, &*run.ran.stderr),
        (0, ""),
        "{}",
        run.ran.stdout
    );
    assert_eq!(server.asked(RATES), 0);
    assert!(!run.ran.stdout.contains("RUB"), "{}", run.ran.stdout);
    let heading = run.ran.stdout.lines().next().unwrap();
    assert!(
        heading.contains("Dearest") && heading.ends_with(" EUR"),
        "{heading}"
    );
    assert!(run.read("price.json").contains("\"price\": 470.3\n"));
    let first_row = &table(&run)[0];
    assert_eq!(first_row["price"], first_row["price_in"]);
    assert!(first_row.get("price_rub").is_none());
    let first_report = report(&run);
    assert_eq!(first_report["price_currency"], "EUR");
    assert_eq!(first_report["rates"], json!([]));

    // The recording has no rates, and its replay needs none.
    let replay = [
        "--from", "run.warc", "--index", "dax", "--in", "EUR", "--out", "again",
    ];
    let ran = indexrank(run.folder.path(), &replay);
    assert_eq!((ran.code, &*ran.stderr), (0, ""));
    let again = fs::read_to_string(run.folder.path().join("again/price.json")).unwrap();
    assert_eq!(again, run.read("price.json"));

    // A company in another currency needs the bank.
    let run = Run::new(
        &server,
        &["--index", "mixed", "--in", "EUR", "--retry-pause", "1"],
    );
    assert_eq!(run.ran.code, 6, "{}", run.ran.stderr);
    assert_eq!(server.asked(RATES), 4);
    assert!(
        run.ran.stderr.contains("HTTP status 503"),
        "{}",
        run.ran.stderr
    );
}

#[test]
fn ranks_prices_in_another_currency() {
    let server = TestServer::start(market(), |_, _| None);
    let run = Run::new(
        &server,
        &["--index", "mixed", "--in", "USD", "--table", "all.ndjson"],
    );
    assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
    let table = table(&run);
    // 3215 ÷ 100 × 103.8762 ÷ 76.6501, 2234.50 × 66.8412 ÷ 100 ÷ 76.6501, 243.55 × 86.561 ÷ 76.6501
    for (code, expected) in [
        ("BATS", 43.57),
        ("TOYOTA", 19.49),
        ("ADS", 275.04),
        ("AMZN", 2885.5),
    ] {
        assert_eq!(row(&table, code)["price_in"], json!(expected), "{code}");
    }
    assert!(
        run.ran.stdout.contains("1 USD = 76.6501 RUB"),
        "{}",
        run.ran.stdout
    );

    let run = Run::new(&server, &["--in", "ABC"]);
    assert_eq!(run.ran.code, 6);
    assert!(
        run.ran
            .stderr
            .contains("no usable ABC rate: no ABC among 8"),
        "{}",
        run.ran.stderr
    );
    // The pounds of a British index, which quotes pence.
    let run = Run::new(
        &server,
        &[
            "--index",
            "mixed",
            "--in",
            "GBP",
            "--table",
            "all.ndjson",
            "--rate",
            "CHF=80",
        ],
    );
    assert_eq!(run.ran.code, 6);
    assert!(
        run.ran.stderr.contains("no rate of GBP is given"),
        "{}",
        run.ran.stderr
    );
}

/// A server whose company has this text in the place of another.
fn with_company(from: &str, to: &str) -> TestServer {
    let page = String::from_utf8(company_html(COMPANY)).unwrap();
    let changed = page.replace(from, to);
    assert_ne!(page, changed);
    TestServer::start(market(), move |path, _| {
        (path == COMPANY).then(|| Reply::Page(changed.clone().into_bytes()))
    })
}

#[test]
fn a_price_that_is_too_large_in_roubles_is_missing_and_noted() {
    let price = "price-section__current-value\">";
    // The largest decimal is about 7.9 × 10^28.
    let [shown, huge] =
        ["166.78", "1100000000000000000000000000"].map(|digits| format!("{price}{digits}<"));
    let run = Run::new(
        &with_company(&shown, &huge),
        &["--table", "all.ndjson", "-q"],
    );
    assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
    assert_eq!(row(&table(&run), "MMM")["price_rub"], Value::Null);
    assert!(!run.read("price.json").contains("MMM"));
    let note = json!({"code": "MMM", "note": "not ranked by price: the price is too large in RUB"});
    assert_eq!(report(&run)["notes"], json!([note]));
}

#[test]
fn a_currency_that_is_no_code_is_not_guessed() {
    let server = with_company("\"Currency\" : \"USD\"", "\"Currency\" : \"Dollar\"");
    let run = Run::new(&server, &["--table", "all.ndjson"]);
    assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
    assert_eq!(row(&table(&run), "MMM")["currency"], "XXX");
    assert!(
        run.ran
            .stderr
            .contains("1 of 60 companies is not ranked by price, for want of a rate: XXX (1)")
    );
    assert_eq!(report(&run)["notes"][0]["note"], "currency is \"Dollar\"");
}

/// A server without a bank whose company pages have this text in the place of another.
fn with_all_companies(from: &'static str, to: &'static str) -> TestServer {
    let pages = Pages::of_market(&market());
    TestServer::start(market(), move |path, _| {
        if path == RATES {
            return Some(Reply::status("503 Service Unavailable"));
        }
        let page = path.starts_with("/stocks/").then(|| pages.get(path))??;
        let page = String::from_utf8(page.plain_body()).unwrap();
        Some(Reply::Page(page.replace(from, to).into_bytes()))
    })
}

/// The rates are asked for, but a price in roubles needs none.
#[test]
fn quotes_in_roubles_need_no_bank() {
    let server = with_all_companies("\"Currency\" : \"USD\"", "\"Currency\" : \"RUB\"");
    let run = Run::new(&server, &["--retry-pause", "1"]);
    assert_eq!((run.ran.code, &*run.ran.stderr), (0, ""));
    assert_eq!(report(&run)["rates"], json!([]));
    assert!(run.read("price.json").contains("\"price\": 2885.5\n"));
}

#[test]
fn warns_if_many_pages_state_no_currency() {
    let server = with_all_companies("\"Currency\" : ", "\"Money\" : ");
    let run = Run::new(&server, &["--usd-rub", "76.6501"]);
    assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
    let warning = "60 of 60 pages state no currency; their prices are taken to be in USD\n";
    assert!(run.ran.stderr.contains(warning), "{}", run.ran.stderr);
    let note = "no currency is stated; USD is assumed, as no page states one";
    assert_eq!(report(&run)["notes"][0]["note"], note);
}

/// The quotes of the market are of 28 January. The warning comes from every source.
#[test]
fn warns_about_rates_of_another_week_than_the_quotes() {
    for (day, expected) in [
        ("04.02.2022", None),
        ("05.02.2022", Some("2022-02-05, 8 days")),
    ] {
        let server = with_list(list().replace("04.02.2022", day));
        let run = Run::new(&server, &["--record", "run.warc"]);
        let replayed = indexrank(run.folder.path(), &["--from", "run.warc"]);
        for ran in [&run.ran, &replayed] {
            assert_eq!(ran.code, 0, "{}", ran.stderr);
            let warning = expected.map(|apart| {
                format!("warning: the exchange rate is for {apart} from the quotes of 2022-01-28\n")
            });
            match warning {
                Some(warning) => assert!(ran.stderr.contains(&warning), "{}", ran.stderr),
                None => assert_eq!(ran.stderr, ""),
            }
        }
    }
    // Without a rate in use, its day does not matter.
    let server = with_list(list().replace("04.02.2022", "05.05.2022"));
    let run = Run::new(&server, &["--in", "USD"]);
    assert_eq!((run.ran.code, &*run.ran.stderr), (0, ""));
    let run = Run::new(&server, &["--usd-rub", "100"]);
    assert_eq!((run.ran.code, &*run.ran.stderr), (0, ""));
}

/// Settles companies whose pages state these currencies, and returns the currency of each.
fn settled(stated: &[&str]) -> Vec<String> {
    let mut harvest = Harvest::default();
    for (at, currency) in stated.iter().enumerate() {
        let page = CompanyPage {
            code: format!("C{at}"),
            currency: (*currency != "-").then(|| currency.parse().unwrap()),
            ..CompanyPage::default()
        };
        harvest.add_company(Link::to(format!("/stocks/c{at}-stock")), page);
    }
    harvest.settle();
    for company in &harvest.companies {
        let is_assumed = company.page.currency.is_none();
        assert_eq!(company.page.notes.iter().count(), usize::from(is_assumed));
    }
    let currencies = harvest.companies.iter();
    currencies
        .map(|company| company.currency.to_string())
        .collect()
}

#[test]
fn assumes_the_most_common_currency_of_the_index() {
    for (stated, expected) in [
        ("USD EUR EUR -", "USD EUR EUR EUR"),
        ("GBX GBP GBX -", "GBX GBP GBX GBX"),
        // Of two that are equally common, the first by code.
        ("USD EUR - -", "USD EUR EUR EUR"),
        ("- - JPY", "JPY JPY JPY"),
        // XXX does not count among the stated currencies.
        ("XXX XXX EUR -", "XXX XXX EUR EUR"),
        ("XXX -", "XXX USD"),
        ("- -", "USD USD"),
    ] {
        let stated: Vec<&str> = stated.split(' ').collect();
        assert_eq!(settled(&stated).join(" "), expected, "{stated:?}");
    }
}

#[test]
fn finds_the_most_common_day_of_the_quotes() {
    let day = |day| Some(AsOf::Day(date(2022, 1, day)));
    let time = Some(AsOf::Time(Time::midnight()));
    for (quotes, expected) in [
        (vec![], None),
        (vec![time, time, None], None),
        (vec![time, time, day(27)], Some(27)),
        (vec![day(28), day(27), day(28)], Some(28)),
        (vec![day(28), day(27)], Some(28)),
        (vec![day(26), day(27), day(28), day(26)], Some(26)),
    ] {
        let mut harvest = Harvest::default();
        for as_of in &quotes {
            let page = CompanyPage {
                as_of: *as_of,
                ..CompanyPage::default()
            };
            harvest.add_company(Link::to(String::new()), page);
        }
        let expected: Option<Date> = expected.map(|day| date(2022, 1, day));
        assert_eq!(most_common_day(&harvest.companies), expected, "{quotes:?}");
    }
}

//! Rankings: their order, rounding and JSON.

use indexrank::results::prices::Prices;
use indexrank::results::ranking::{Figure, PeRange, potential_profit, ranking};
use indexrank::results::table::{self, Format};
use indexrank::site::company::Company;
use indexrank::site::company::CompanyPage;
use indexrank::site::currency::Currency;
use indexrank::site::rates::Rates;
use rust_decimal::Decimal;

fn decimal(text: &str) -> Option<Decimal> {
    (!text.is_empty()).then(|| text.parse().unwrap())
}

/// Parses `code price pe growth low high`; `-` is a missing figure.
fn company(text: &str) -> Company {
    let mut words = text
        .split(' ')
        .map(|word| if word == "-" { "" } else { word });
    let code = words.next().unwrap().to_owned();
    let [price, pe, growth, low52, high52] =
        std::array::from_fn(|_| decimal(words.next().unwrap()));
    let page = CompanyPage {
        name: format!("{code} Inc."),
        code,
        price,
        pe,
        low52,
        high52,
        ..CompanyPage::default()
    };
    Company {
        path: format!("/stocks/{}-stock", page.code.to_lowercase()).into(),
        currency: Currency::USD,
        growth,
        is_redirected: false,
        index_note: None,
        page,
    }
}

/// Prices in roubles by this rate of the dollar.
fn in_roubles(companies: &[Company], usd_rub: &str) -> Prices {
    let rates = Rates::by_hand([(Currency::USD, usd_rub.parse().unwrap())]);
    Prices::new(companies, Ok(rates), Currency::RUB)
}

/// A ranking as `code value, code value`.
fn ranked(companies: &[&str], figure: Figure, range: PeRange, top: usize) -> String {
    let companies: Vec<Company> = companies.iter().map(|text| company(text)).collect();
    let prices = in_roubles(&companies, "76.6501");
    let places = ranking(&companies, figure, &prices, range, top);
    places
        .into_iter()
        .map(|place| format!("{} {}", place.code, place.value))
        .collect::<Vec<_>>()
        .join(", ")
}

const COMPANIES: [&str; 5] = [
    "B 10 5.10 -1.5 50 100",
    "A 10.00 -893.45 7 50 100",
    "C 20 5.1 7.00 10 11",
    "D - - - - -",
    "E 0.01 12 0.00 15.32 91.40",
];

#[test]
fn orders_by_figure_then_code() {
    use Figure::*;
    use PeRange::*;
    for (figure, range, top, expected) in [
        (Price, Any, 10, "C 1533, A 766.5, B 766.5, E 0.77"),
        (Pe, Any, 10, "A -893.45, B 5.1, C 5.1, E 12"),
        (Pe, Positive, 10, "B 5.1, C 5.1, E 12"),
        (Growth, Any, 10, "A 7, C 7, E 0, B -1.5"),
        (Growth, Any, 2, "A 7, C 7"),
        (Growth, Any, 1, "A 7"),
        (Pe, Any, 2, "A -893.45, B 5.1"),
        (Pe, Any, 0, ""),
        (PotentialProfit, Any, 10, "E 496.61, A 100, B 100, C 10"),
    ] {
        assert_eq!(
            ranked(&COMPANIES, figure, range, top),
            expected,
            "{figure:?}"
        );
        let mut reversed = COMPANIES;
        reversed.reverse();
        assert_eq!(
            ranked(&reversed, figure, range, top),
            expected,
            "{figure:?} of the reversed list"
        );
    }
}

#[test]
fn rounds_halves_up() {
    // USD price × USD/RUB rate.
    for (price, usd_rub, expected) in [
        ("137.06", "76.6501", "10505.66"),
        ("1", "0.125", "0.13"),
        ("1", "0.135", "0.14"),
        ("1", "0.12499", "0.12"),
        ("5221.56", "76.6501", "400233.10"),
    ] {
        let companies = [company(&format!("A {price} - - - -"))];
        let roubles = in_roubles(&companies, usd_rub).of(&companies[0]);
        assert_eq!(roubles, decimal(expected), "{price} × {usd_rub}");
    }
    // Potential profit in percent of the 52-week low.
    for (low, high, expected) in [
        ("15.32", "91.40", "496.61"),
        ("80", "80.10", "0.13"),
        ("3", "4", "33.33"),
        ("3", "5", "66.67"),
        ("7", "7", "0"),
    ] {
        let company = company(&format!("A - - - {low} {high}"));
        assert_eq!(
            potential_profit(&company.page),
            decimal(expected),
            "{low} to {high}"
        );
    }
}

#[test]
fn overflowing_figures_are_missing() {
    let huge = company(
        "A 79228162514264337593543950335 1 1 0.0000000000000000000000000001 79228162514264337593543950335",
    );
    let prices = in_roubles(&[huge.clone(), company("B 1 - - - -")], "76.65");
    assert_eq!(prices.of(&huge), None);
    let note = prices.note(&huge);
    let expected = "not ranked by price: the price is too large in RUB";
    assert_eq!(note.as_deref(), Some(expected));
    assert_eq!(prices.error, None);
    // A ranking without any company is an error.
    let prices = in_roubles(std::slice::from_ref(&huge), "76.65");
    assert_eq!(
        prices.error.as_deref(),
        Some("every price is too large in RUB")
    );
    assert_eq!(potential_profit(&huge.page), None);
}

#[test]
fn serializes_keys_in_order_and_numbers_in_full() {
    let companies = [company("A 5221.56 -893.45 200.87 15.32 91.40")];
    let prices = in_roubles(&companies, "76.6501");
    for (figure, expected) in [
        (
            Figure::Price,
            r#"[{"code":"A","name":"A Inc.","price":400233.1}]"#,
        ),
        (
            Figure::Pe,
            r#"[{"code":"A","name":"A Inc.","P/E":-893.45}]"#,
        ),
        (
            Figure::Growth,
            r#"[{"code":"A","name":"A Inc.","growth":200.87}]"#,
        ),
        (
            Figure::PotentialProfit,
            r#"[{"code":"A","name":"A Inc.","potential profit":496.61}]"#,
        ),
    ] {
        let places = ranking(&companies, figure, &prices, PeRange::Any, 10);
        assert_eq!(serde_json::to_string(&places).unwrap(), expected);
    }
    let none = Prices::new(&companies, Err("none".to_owned()), Currency::RUB);
    let by_price = ranking(&companies, Figure::Price, &none, PeRange::Any, 10);
    assert_eq!((by_price, none.error.as_deref()), (vec![], Some("none")));
}

/// A program that reads the table gets the texts of the site, also those that a spreadsheet would take for
/// formulas.
#[test]
fn the_table_has_texts_verbatim() {
    for (text, cell) in [
        ("=1+1", "=1+1"),
        ("+1", "+1"),
        ("-1", "-1"),
        ("@SUM(A1)", "@SUM(A1)"),
        ("\t=1", "\t=1"),
        (
            "=HYPERLINK(\"x\",\"y\")",
            "\"=HYPERLINK(\"\"x\"\",\"\"y\"\")\"",
        ),
        ("'=1", "'=1"),
        ("NA", "NA"),
    ] {
        let mut one = company("A 1 1 1 1 1");
        one.page.code = text.to_owned();
        one.page.name = text.to_owned();
        let companies = [one];
        let prices = in_roubles(&companies, "10");
        let write = |format| {
            let mut bytes = Vec::new();
            table::write(&companies, &prices, format, &mut bytes).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        let csv = write(Format::Csv);
        let row = csv.lines().nth(1).unwrap();
        assert!(
            row.starts_with(&format!("{cell},{cell},/stocks/a-stock,")),
            "{row}"
        );
        let read: serde_json::Value = serde_json::from_str(&write(Format::NdJson)).unwrap();
        assert_eq!((&read["code"], &read["name"]), (&text.into(), &text.into()));
    }
}

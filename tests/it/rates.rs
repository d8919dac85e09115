//! The Bank of Russia's rate files, and the rate of the dollar in them.

use indexrank::job::exchange_rate::{self, RateChoice};
use indexrank::site::rates::{Rate, RatesError, parse};
use jiff::civil::date;

/// A rate file of this date with these `<Valute>` elements.
fn file(date: &str, currencies: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"windows-1251\"?><ValCurs Date=\"{date}\" name=\"x\">{currencies}</ValCurs>"
    )
}

/// The dollar's `<Valute>` element; `extra` comes after its value.
fn dollar(nominal: &str, value: &str, extra: &str) -> String {
    format!(
        "<Valute ID=\"R01235\"><NumCode>840</NumCode><CharCode>USD</CharCode><Nominal>{nominal}</Nominal>\
         <Name>Доллар США</Name><Value>{value}</Value>{extra}</Valute>"
    )
}

const EURO: &str = "<Valute ID=\"R01239\"><CharCode>EUR</CharCode><Nominal>1</Nominal><Value>86,5609</Value></Valute>";

/// Parses a file and compares the rate, as `date value/nominal`, or a part of the error message.
#[track_caller]
fn check(xml: &str, expected: Result<&str, &str>) {
    let parsed = parse(xml).map(
        |Rate {
             value,
             nominal,
             day,
         }| format!("{} {value}/{nominal}", day.unwrap().date),
    );
    match (parsed, expected) {
        (Ok(rate), Ok(expected)) => assert_eq!(rate, expected, "{xml}"),
        (Err(error), Err(expected)) => {
            assert!(error.to_string().contains(expected), "{error}\n{xml}")
        }
        (parsed, _) => panic!("{parsed:?} instead of {expected:?}\n{xml}"),
    }
}

#[test]
fn parses_or_rejects_rate_files() {
    check(
        &file(
            "04.02.2022",
            &(EURO.to_owned() + &dollar("1", "76,6501", "")),
        ),
        Ok("2022-02-04 76.6501/1"),
    );
    check(
        &file("26/09/2013", &dollar("1", "31.9343", "")),
        Ok("2013-09-26 31.9343/1"),
    );
    check(
        &file(
            "04.02.2022",
            &dollar("100", "7665,01", "<VunitRate>76,6501</VunitRate>"),
        ),
        Ok("2022-02-04 7665.01/100"),
    );
    check(
        "\u{feff}<ValCurs Date=\"21.09.2002\">\n\t",
        Err("not the Bank of Russia's list"),
    );

    check(
        "<?xml version=\"1.0\"?><ValCurs>Error in parameters</ValCurs>",
        Err("returned an error: Error in parameters"),
    );
    check(&file("04.02.2022", EURO), Err("no USD among 1"));
    check(
        &file("04.02.2022", &dollar("1", "76,6501", "").repeat(2)),
        Err("is listed twice"),
    );
    check(
        &file(
            "04.02.2022",
            &dollar("1", "76,6501", "").replace("R01235", "R01239"),
        ),
        Err("disagree"),
    );
    check(
        &file("04.02.2022", &dollar("0", "76,6501", "")),
        Err("Nominal is \"0\""),
    );
    check(
        &file("04.02.2022", &dollar("1", "-76,6501", "")),
        Err("Value is \"-76,6501\""),
    );
    check(
        &file("04.02.2022", &dollar("1", "", "")),
        Err("Value is \"\""),
    );
    check(
        &file(
            "04.02.2022",
            &dollar("10", "76,6501", "<VunitRate>76,6501</VunitRate>"),
        ),
        Err("VunitRate"),
    );
    check(
        &file("32.02.2022", &dollar("1", "76,6501", "")),
        Err("not a date"),
    );
    check(
        "<html><body>Just a moment</body></html>",
        Err("no <ValCurs>"),
    );
    check("", Err("no <ValCurs>"));
    check(
        &format!(
            "<!DOCTYPE x [<!ENTITY a \"b\">]>{}",
            file("04.02.2022", &dollar("1", "76,6501", ""))
        ),
        Err("DOCTYPE"),
    );
    check(
        &file("04.02.2022", &" ".repeat(1 << 20)),
        Err("more than 1048576"),
    );
}

#[test]
fn distinguishes_an_error_of_the_bank_from_an_unrecognised_file() {
    assert!(matches!(
        parse("<ValCurs>Error in parameters</ValCurs>"),
        Err(RatesError::Refused(_))
    ));
    assert!(matches!(
        parse("<ValCurs"),
        Err(RatesError::Unrecognised(_))
    ));
}

#[test]
fn converts_to_roubles_exactly() {
    let rate = Rate {
        value: "7665.01".parse().unwrap(),
        nominal: "100".parse().unwrap(),
        day: None,
    };
    assert_eq!(
        rate.roubles("137.06".parse().unwrap()),
        Some("10505.662706".parse().unwrap())
    );
}

/// Weekends and holidays explain a rate of up to a week before; more than a week is reported.
#[test]
fn warns_about_a_rate_more_than_a_week_off() {
    let rate = parse(&file("04.02.2022", &dollar("1", "76,6501", ""))).unwrap();
    for (day, has_warning) in [(4, false), (11, false), (12, true), (27, true)] {
        let choice = RateChoice::OfDay(Some(date(2022, 2, day)));
        assert_eq!(
            exchange_rate::far_off(choice, Some(&rate)).is_some(),
            has_warning,
            "{day}"
        );
    }
    let warning = exchange_rate::far_off(RateChoice::OfDay(None), Some(&rate)).unwrap();
    assert!(
        warning.starts_with("the exchange rate is for 2022-02-04, "),
        "{warning}"
    );
    assert_eq!(exchange_rate::far_off(RateChoice::OfDay(None), None), None);
}

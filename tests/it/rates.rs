use indexrank::job::exchange_rate::{self, RateChoice};
use indexrank::site::rates::{Rate, RatesError, parse};
use jiff::civil::date;

fn file(date: &str, currencies: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"windows-1251\"?><ValCurs Date=\"{date}\" name=\"x\">{currencies}</ValCurs>"
    )
}

fn dollar(nominal: &str, value: &str, more: &str) -> String {
    format!(
        "<Valute ID=\"R01235\"><NumCode>840</NumCode><CharCode>USD</CharCode><Nominal>{nominal}</Nominal>\
         <Name>Доллар США</Name><Value>{value}</Value>{more}</Valute>"
    )
}

const EURO: &str = "<Valute ID=\"R01239\"><CharCode>EUR</CharCode><Nominal>1</Nominal><Value>86,5609</Value></Valute>";

/// A file → `date value/nominal`, or a part of what it is refused with.
#[track_caller]
fn check(xml: &str, expected: Result<&str, &str>) {
    let got = parse(xml).map(
        |Rate {
             value,
             nominal,
             day,
         }| format!("{} {value}/{nominal}", day.unwrap().date),
    );
    match (got, expected) {
        (Ok(got), Ok(expected)) => assert_eq!(got, expected, "{xml}"),
        (Err(error), Err(expected)) => {
            assert!(error.to_string().contains(expected), "{error}\n{xml}")
        }
        (got, _) => panic!("{got:?} instead of {expected:?}\n{xml}"),
    }
}

#[test]
fn files() {
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
        Err("answers: Error in parameters"),
    );
    check(&file("04.02.2022", EURO), Err("no USD among 1"));
    check(
        &file("04.02.2022", &dollar("1", "76,6501", "").repeat(2)),
        Err("stands there twice"),
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
        Err("no date"),
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
fn what_the_bank_says_is_told_apart_from_what_cannot_be_read() {
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
fn roubles_are_exact() {
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

/// Row 46: weekends and holidays are usual, more than a week is told of.
#[test]
fn a_rate_of_a_day_far_off_is_told_of() {
    let rate = parse(&file("04.02.2022", &dollar("1", "76,6501", ""))).unwrap();
    for (day, is_told) in [(4, false), (11, false), (12, true), (27, true)] {
        let asked = RateChoice::OfDay(Some(date(2022, 2, day)));
        assert_eq!(
            exchange_rate::far_off(asked, Some(&rate)).is_some(),
            is_told,
            "{day}"
        );
    }
    let told = exchange_rate::far_off(RateChoice::OfDay(None), Some(&rate)).unwrap();
    assert!(told.starts_with("the rate is for 2022-02-04, "), "{told}");
    assert_eq!(exchange_rate::far_off(RateChoice::OfDay(None), None), None);
}

//! The Bank of Russia's rate files, and conversion by the rates in them.

use indexrank::job::exchange_rate;
use indexrank::site::currency::Currency;
use indexrank::site::rates::{NoRate, Rate, Rates, RatesError, parse};
use jiff::civil::{Date, date};
use rust_decimal::Decimal;

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

/// Parses a file and compares the dollar's rate, as `date value/nominal`, or a part of the error message.
#[track_caller]
fn check(xml: &str, expected: Result<&str, &str>) {
    let parsed = parse(xml).map_err(|error| error.to_string());
    let parsed = parsed.and_then(|rates| match rates.get(Currency::USD) {
        Ok(Rate { value, nominal }) => Ok(format!("{} {value}/{nominal}", rates.day.unwrap().date)),
        Err(why) => Err(rates.explain(Currency::USD, &why)),
    });
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
    check(
        &file("04.02.2022", EURO),
        Err("no usable USD rate: no USD among 1"),
    );
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

/// A file of these currencies, each `code nominal value` with an optional `VunitRate`. The dollar gets its
/// known ID.
fn list(currencies: &[&str]) -> Rates {
    let entry = |text: &&str| {
        let words: Vec<&str> = text.split(' ').collect();
        let id = if words[0] == "USD" { "R01235" } else { "R0" };
        let unit_rate = words
            .get(3)
            .map(|rate| format!("<VunitRate>{rate}</VunitRate>"));
        format!(
            "<Valute ID=\"{id}\"><CharCode>{}</CharCode><Nominal>{}</Nominal><Value>{}</Value>{}</Valute>",
            words[0],
            words[1],
            words[2],
            unit_rate.unwrap_or_default()
        )
    };
    let entries: String = currencies.iter().map(entry).collect();
    parse(&file("04.02.2022", &entries)).unwrap()
}

/// An unusable entry is an error for its currency alone.
#[test]
fn judges_each_currency_for_itself() {
    let rates = list(&[
        "USD 1 76,6501",
        "EUR 1 86,5610",
        "JPY 100 66,8412 0,668412",
        "EUR 1 86,5610",
        "CHF 1 n/a",
        "GBP 0 103,8762",
        "CNY 10 12,0500 12,05",
        // The limits are 0.0001 and 10,000,000 roubles per unit.
        "AAA 1 0,0001",
        "AAB 1 0,00009",
        "AAC 10000 1",
        "AAD 10001 1",
        "AAE 1 10000000",
        "AAF 1 10000000,01",
        "AAG 1 100000000",
        // No codes of ISO 4217 for a currency that the bank can list.
        "usd 1 1",
        "US 1 1",
        "DOLLAR 1 1",
        "\u{415}\u{412}\u{420} 1 1",
        "GBX 1 1",
        "ILA 1 1",
        "RUB 1 2",
        "XXX 1 1",
    ]);
    let usable: Vec<String> = rates
        .usable()
        .map(|(currency, rate)| format!("{currency} {}/{}", rate.value, rate.nominal))
        .collect();
    let expected = [
        "AAA 0.0001/1",
        "AAC 1/10000",
        "AAE 10000000/1",
        "JPY 66.8412/100",
        "USD 76.6501/1",
    ];
    assert_eq!(usable, expected);
    for (code, expected) in [
        ("EUR", "no usable EUR rate: EUR is listed twice"),
        ("CHF", "no usable CHF rate: Value is \"n/a\""),
        ("GBP", "no usable GBP rate: Nominal is \"0\""),
        (
            "CNY",
            "no usable CNY rate: Value ÷ Nominal is not VunitRate 12,05",
        ),
        (
            "AAB",
            "no usable AAB rate: 0.00009 roubles per unit are out of proportion",
        ),
        (
            "AAD",
            "0.0000999900009999000099990001 roubles per unit are out of proportion",
        ),
        ("AAF", "10000000.01 roubles per unit are out of proportion"),
        ("AAG", "no usable AAG rate: Value is \"100000000\""),
        ("SEK", "no usable SEK rate: no SEK among 13"),
        ("XXX", "no usable XXX rate: no XXX among 13"),
        ("GBX", "no usable GBX rate: no GBX among 13"),
    ] {
        let currency = code.parse().unwrap();
        let why = rates.get(currency).unwrap_err();
        let sentence = rates.explain(currency, &why);
        let start = "the list of daily rates of 04.02.2022 has ";
        assert!(sentence.starts_with(start), "{sentence}");
        assert!(sentence.ends_with(expected), "{sentence}");
    }
}

/// The ID of the dollar is known, so its entry must have both the ID and the code.
#[test]
fn an_entry_with_one_mark_of_the_dollar_spoils_both_currencies() {
    let euro_with_the_id = EURO.replace("R01239", "R01235");
    let rates = parse(&file("04.02.2022", &euro_with_the_id)).unwrap();
    for currency in [Currency::USD, "EUR".parse().unwrap()] {
        let why = rates.get(currency).unwrap_err().to_string();
        assert_eq!(why, "ID R01235 and code EUR disagree", "{currency}");
    }
}

#[test]
fn converts_exactly() {
    let rates = list(&[
        "USD 1 76,6501",
        "EUR 1 86,5610",
        "GBP 1 103,8762",
        "JPY 100 66,8412",
        "KZT 100 17,6308",
    ]);
    // Expected values are computed by hand. Two currencies give a quotient of 28 digits.
    for (price, from, into, expected) in [
        ("137.06", "USD", "RUB", "10505.662706"),
        ("100", "EUR", "RUB", "8656.1"),
        // 2234.50 × 66.8412 ÷ 100
        ("2234.50", "JPY", "RUB", "1493.566614"),
        // 3215 × 103.8762 ÷ 100, as 3215 pence are 32.15 pounds
        ("3215", "GBX", "RUB", "3339.61983"),
        ("3215", "GBp", "RUB", "3339.61983"),
        ("32.15", "GBP", "RUB", "3339.61983"),
        ("640", "RUB", "RUB", "640"),
        ("766.501", "RUB", "USD", "10"),
        // 1000 × 17.6308 ÷ 100 ÷ (66.8412 ÷ 100)
        ("1000", "KZT", "JPY", "263.7714463534466766006594735"),
        // 100 × 86.561 ÷ 76.6501
        ("100", "EUR", "USD", "112.9300548857731431531074323"),
        ("3215", "GBX", "GBP", "32.15"),
        ("12.4", "GBP", "GBP", "12.4"),
        ("5", "XXQ", "XXQ", "5"),
    ] {
        let currency = |code: &str| -> Currency { code.parse().unwrap() };
        let conversion = rates.conversion(currency(from), currency(into)).unwrap();
        let converted = conversion.apply(price.parse().unwrap()).unwrap();
        let expected: Decimal = expected.parse().unwrap();
        assert_eq!(
            converted.round_dp(20),
            expected.round_dp(20),
            "{price} {from} in {into}"
        );
    }
    let largest = Decimal::MAX;
    let conversion = rates.conversion(Currency::USD, Currency::RUB).unwrap();
    assert_eq!(conversion.apply(largest), None);
    for (from, into, without) in [
        ("XXQ", "RUB", "XXQ"),
        ("USD", "ABC", "ABC"),
        ("XXQ", "ABC", "ABC"),
    ] {
        let error = rates.conversion(from.parse().unwrap(), into.parse().unwrap());
        assert_eq!(
            error.unwrap_err(),
            (without.parse().unwrap(), NoRate::NotListed)
        );
    }
}

/// Weekends and holidays explain rates of up to a week apart; more than a week is reported.
#[test]
fn warns_about_rates_of_another_week() {
    let day = |day| Some(date(2022, 2, day));
    for (quotes, asked_for, expected) in [
        (day(4), None, None),
        (day(11), None, None),
        (
            day(12),
            None,
            Some("the exchange rate is for 2022-02-04, 8 days from the quotes of 2022-02-12"),
        ),
        (Some(date(2022, 1, 28)), day(27), None),
        (
            Some(date(2022, 1, 27)),
            day(4),
            Some("8 days from the quotes of 2022-01-27"),
        ),
        (None, day(11), None),
        (
            None,
            day(12),
            Some("the exchange rate is for 2022-02-04, 8 days from 2022-02-12"),
        ),
        (None, None, None),
        (
            Some(Date::MIN),
            None,
            Some("days from the quotes of -009999-01-01"),
        ),
    ] {
        let warning = exchange_rate::far_off(day(4), quotes, asked_for);
        match (&warning, expected) {
            (Some(warning), Some(expected)) => assert!(warning.ends_with(expected), "{warning}"),
            (warning, expected) => assert_eq!(warning.as_deref(), expected),
        }
        assert_eq!(exchange_rate::far_off(None, quotes, asked_for), None);
    }
}

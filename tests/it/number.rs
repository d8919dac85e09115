//! The parsers of numbers, percentages and rates.

use indexrank::site::number::{parse, parse_decimal_comma, parse_percent};

/// Cases are `(text, number)`; the number is `-` if the parser must reject the text.
fn check<E>(parse: impl Fn(&str) -> Result<rust_decimal::Decimal, E>, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        let got = parse(text).map_or("-".to_owned(), |value| value.to_string());
        assert_eq!(got, *expected, "{text:?}");
    }
}

#[test]
fn parses_numbers() {
    check(
        parse,
        &[
            ("163.09", "163.09"),
            ("5,221.56", "5221.56"),
            ("14,392.16", "14392.16"),
            ("1,234,567", "1234567"),
            ("70.102", "70.102"),
            ("-893.45", "-893.45"),
            ("\u{2212}5", "-5"),
            ("+0.30", "0.30"),
            ("\r\n\t 42.18 \u{a0}", "42.18"),
            ("0", "0"),
            ("", "-"),
            ("-", "-"),
            ("+", "-"),
            ("NaN", "-"),
            ("inf", "-"),
            ("1e5", "-"),
            ("0x10", "-"),
            ("1_000", "-"),
            ("--5", "-"),
            ("- 5", "-"),
            ("12.3B", "-"),
            ("$5", "-"),
            ("5 %", "-"),
            (".5", "-"),
            ("5.", "-"),
            ("1.2.3", "-"),
            ("12,34.5", "-"),
            ("1234,567", "-"),
            (",567", "-"),
            ("1,,234", "-"),
            ("1,234,", "-"),
            ("1.234,567", "-"),
            ("1 234,50", "-"),
            ("234,50", "-"),
            ("\u{661}\u{662}", "-"),
            ("{{low52weeksDisplay}}", "-"),
            ("999999999999999999999999999999999999", "-"),
            // More digits than a 96-bit decimal holds: rejected, not rounded.
            ("17.6650156114611466650156114611461", "-"),
            ("0.00000000000000000000000000000000001", "-"),
        ],
    );
}

#[test]
fn parses_percentages() {
    check(
        parse_percent,
        &[
            ("-9.27%", "-9.27"),
            ("200.87%", "200.87"),
            ("1,200.87%", "1200.87"),
            ("\n\u{2212}0.10%\n", "-0.10"),
            ("0.00%", "0.00"),
            ("9.27", "-"),
            ("%", "-"),
            ("9.27%%", "-"),
            ("9,27%", "-"),
        ],
    );
}

#[test]
fn parses_rates_with_a_decimal_comma() {
    check(
        parse_decimal_comma,
        &[
            ("76,6501", "76.6501"),
            ("76.6501", "76.6501"),
            ("1", "1"),
            ("1.234,5", "-"),
            ("1,234,5", "-"),
            ("", "-"),
        ],
    );
}

//! Parses arbitrary text as a number. A parsed number must have exactly the digits of the text.
#![no_main]

use indexrank::site::number;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for parse in [
        number::parse,
        number::parse_percent,
        number::parse_decimal_comma,
    ] {
        if let Ok(value) = parse(text) {
            let digits = |text: &str| -> String {
                let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                digits.trim_start_matches('0').to_owned()
            };
            assert_eq!(
                digits(&value.to_string()),
                digits(text),
                "{text:?} is {value}"
            );
        }
    }
});

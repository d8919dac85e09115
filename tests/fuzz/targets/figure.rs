//! Any text: a figure is read or refused, and what is read is written with no other digits.
#![no_main]

use indexrank::site::number;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for read in [number::number, number::percent, number::decimal_comma] {
        if let Ok(value) = read(text) {
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

//! Parses arbitrary text as a list of exchange rates. All rates and their nominals must be positive.
#![no_main]

use indexrank::site::rates;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|xml: &str| {
    if let Ok(rates) = rates::parse(xml) {
        for (_, rate) in rates.usable() {
            assert!(!rate.value.is_sign_negative() && !rate.value.is_zero());
            assert!(!rate.nominal.is_sign_negative() && !rate.nominal.is_zero());
        }
    }
});

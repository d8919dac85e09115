//! Parses arbitrary text as a list of exchange rates. A parsed rate and its nominal must be positive.
#![no_main]

use indexrank::site::rates;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|xml: &str| {
    if let Ok(rate) = rates::parse(xml) {
        assert!(!rate.value.is_sign_negative() && !rate.value.is_zero());
        assert!(!rate.nominal.is_sign_negative() && !rate.nominal.is_zero());
    }
});

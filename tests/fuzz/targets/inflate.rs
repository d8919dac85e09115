//! Inflates arbitrary bodies. Results must stay within the limit, and a reused buffer must not
//! change them.
#![no_main]

use indexrank::http::decode::{Inflater, MAX_INFLATED};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let mut inflater = Inflater::default();
    let first = inflater.gunzip(body).map(<[u8]>::to_vec);
    assert!(
        first
            .as_ref()
            .is_ok_and(|bytes| bytes.len() <= MAX_INFLATED)
            || first.is_err()
    );
    assert_eq!(inflater.gunzip(body).map(<[u8]>::to_vec), first);
});

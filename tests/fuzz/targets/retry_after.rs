//! Parses arbitrary `Retry-After` and `Date` headers. A pause must be positive.
#![no_main]

use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use indexrank::source::pauses::retry_after;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let mut headers = HeaderMap::new();
    for name in ["retry-after", "date"] {
        if let Some(Ok(value)) = parts.next().map(HeaderValue::from_bytes) {
            headers.insert(name, value);
        }
    }
    assert_ne!(retry_after(&headers), Some(Duration::ZERO));
});

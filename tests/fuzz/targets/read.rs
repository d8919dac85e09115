//! Any file for `indexrank read`: gzip, charset, and every parser in turn.
#![no_main]

use indexrank::inspect;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    inspect::inspect(bytes);
});

//! Any file as `indexrank read` takes it: gzip, charset, and every reader after the other.
#![no_main]

use indexrank::inspect;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    inspect::see(bytes);
});

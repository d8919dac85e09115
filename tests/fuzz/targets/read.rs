//! Any file as `indexrank read` takes it: gzip, charset, and every reader after the other.
#![no_main]

use indexrank::read;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    read::see(bytes);
});

//! Inspects arbitrary bytes as `indexrank read` does: inflates them, decodes the charset, tries
//! every parser.
#![no_main]

use indexrank::inspect;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    inspect::inspect(bytes);
});

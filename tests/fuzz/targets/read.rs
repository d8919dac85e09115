//! Inspects any file as `indexrank read` does: inflates it, decodes its charset, tries every parser.
#![no_main]

use indexrank::inspect;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    inspect::inspect(bytes);
});

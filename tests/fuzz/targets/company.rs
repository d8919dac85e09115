//! Scan and HTML parser accept or reject any company page without a panic.
#![no_main]

use indexrank::site::company;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|html: &[u8]| {
    let _ = (company::parse(html), company::parse_whole(html));
});

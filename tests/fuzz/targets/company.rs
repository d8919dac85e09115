//! Parses arbitrary bytes as a company page. The scan and the HTML parser must return a page or an
//! error.
#![no_main]

use indexrank::site::company;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|html: &[u8]| {
    let _ = (company::parse(html), company::parse_whole(html));
});

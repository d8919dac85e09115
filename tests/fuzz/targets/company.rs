//! Any page: the company reader reads or refuses it, cut and whole.
#![no_main]

use indexrank::site::company;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|html: &[u8]| {
    let _ = (company::parse(html), company::parse_whole(html));
});

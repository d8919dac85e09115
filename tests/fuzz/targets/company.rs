//! Parses arbitrary bytes as a company page, and compares the addresses in it with requested ones. The
//! scan and the HTML parser must return a page or an error.
#![no_main]

use indexrank::site::{company, identity};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|html: &[u8]| {
    let _ = (company::parse(html), company::parse_whole(html));
    for path in ["/stocks/mmm-stock", "/index/components/s&p_500?p=2", "/robots.txt"] {
        let _ = identity::check(html, path, Some("/stocks/x-stock"));
    }
});

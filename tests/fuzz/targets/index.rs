//! Parses arbitrary bytes as an index page. The scan and the HTML parser must return a page or an
//! error.
#![no_main]

use indexrank::site::index;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|html: &[u8]| {
    let _ = (index::parse(html), index::parse_whole(html));
});

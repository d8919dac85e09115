//! Scan and HTML parser accept or reject any index page without a panic.
#![no_main]

use indexrank::site::index;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|html: &[u8]| {
    let _ = (index::parse(html), index::parse_whole(html));
});

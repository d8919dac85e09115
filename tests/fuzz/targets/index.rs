//! Takes any bytes as an index page: the scan and the HTML parser return a page or an error.
#![no_main]

use indexrank::site::index;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|html: &[u8]| {
    let _ = (index::parse(html), index::parse_whole(html));
});

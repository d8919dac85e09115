//! Block pages: captchas, consent forms and log-ins that a site serves instead of the page requested.
//!
//! They come with status 200 or 403. This program recognises them and does not try to pass them.

use memchr::memmem;

/// Block pages are small. A real company page has 92 KB or more, an index page 150. A larger page that
/// is not recognised has another layout, whatever words its scripts and footers contain.
const MAX_BYTES: usize = 64 << 10;

/// Words of block pages, in lower case.
const MARKERS: [&str; 12] = [
    "just a moment",
    "captcha",
    "cf-challenge",
    "challenge-platform",
    "verify you are human",
    "are you a robot",
    "unusual traffic",
    "enable javascript",
    "before you continue",
    "your privacy",
    "access denied",
    "sign in to continue",
];

/// The first marker that a UTF-8 page contains. `None` if it contains none or exceeds [`MAX_BYTES`].
pub fn marker(html: &[u8]) -> Option<&'static str> {
    if html.len() > MAX_BYTES {
        return None;
    }
    let html = html.to_ascii_lowercase();
    MARKERS
        .into_iter()
        .find(|marker| memmem::find(&html, marker.as_bytes()).is_some())
}

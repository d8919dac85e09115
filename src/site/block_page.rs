//! Pages that want something of a human, instead of the one that was asked for. They come with
//! status 200 or 403, and nothing here gets round them.

use memchr::memmem;

/// Such pages are small; a real company page has 92 KB or more, an index page 150. A page of their
/// size that is not recognised has another layout, whatever its scripts and footers speak of.
const LARGEST: usize = 64 << 10;

/// Words of such pages in lower case: bot checks, captchas, consent, log-ins.
const SIGNS: [&str; 12] = [
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

/// The words by which a page, given as UTF-8, is known to be one of these.
pub fn sign(html: &[u8]) -> Option<&'static str> {
    if html.len() > LARGEST {
        return None;
    }
    let html = html.to_ascii_lowercase();
    let is_there = |sign: &&&str| memmem::find(&html, sign.as_bytes()).is_some();
    SIGNS.iter().find(is_there).copied()
}

//! Cleans the text of a page, for comparing and printing.

use std::mem;

use crate::site::dom::MAX_TEXT;

/// Maximum size in bytes of a name or figure. Real names have up to 60. 100,000 companies with names of
/// this size take 20 MB.
pub const MAX_LEN: usize = 200;

/// Joins texts and replaces every run of white space with one space. Ignores all text after
/// [`MAX_TEXT`] characters, which is more than any text on the site has.
pub fn words<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let text: String = texts.flat_map(str::chars).take(MAX_TEXT).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Joins texts like [`words`], and cuts the result at 200 bytes.
pub fn short_words<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut text = words(texts);
    if text.len() > MAX_LEN {
        text.truncate(prefix(&text, MAX_LEN).len());
        text.shrink_to_fit();
    }
    text
}

/// The beginning of a text, cut between two characters, of at most `max` bytes.
pub fn prefix(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Joins texts like [`words`], but treats control and invisible characters as white space. So no page
/// can send a control sequence to a terminal. Stops once it has over 200 bytes.
pub fn printable<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut printable = String::new();
    let mut pending_space = false;
    for c in texts.flat_map(str::chars).take(MAX_TEXT) {
        if c.is_whitespace() || c.is_control() || is_invisible(c) {
            pending_space = !printable.is_empty();
        } else {
            if mem::take(&mut pending_space) {
                printable.push(' ');
            }
            printable.push(c);
        }
        if printable.len() > MAX_LEN {
            break;
        }
    }
    printable
}

/// Whether a character is a mark without width. Some of these reverse the direction of the text
/// after them.
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

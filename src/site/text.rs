//! Text of a page, made fit to be compared and printed.

use crate::site::dom::MAX_TEXT;

/// Bytes kept of a name or figure. Real names have up to 60.
const MAX_LEN: usize = 200;

/// Joins texts and replaces every run of white space with one space. Longer text than any on the
/// site is cut.
pub fn words<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let text: String = texts.flat_map(str::chars).take(MAX_TEXT).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Joins texts like [`words`], keeps at most some 200 bytes, and treats control and invisible
/// characters as white space. So no page can send a control sequence to a terminal.
pub fn printable<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut printable = String::new();
    let mut space = false;
    for c in texts.flat_map(str::chars).take(MAX_TEXT) {
        if c.is_whitespace() || c.is_control() || is_invisible(c) {
            space = !printable.is_empty();
        } else {
            if std::mem::take(&mut space) {
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

/// Marks without a width, some of which reverse the direction of the text after them.
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

//! Cleans the text of a page, and text that goes to a terminal.

use std::borrow::Cow;
use std::mem;
use std::ops::RangeInclusive;

use crate::site::dom::MAX_TEXT;

/// Maximum size in bytes of a name or figure. Real names have up to 60. 100,000 companies with names of
/// this size take 20 MB.
pub const MAX_LEN: usize = 200;

/// Joins texts and replaces every run of white space with one space. Ignores all text after
/// `MAX_TEXT` characters, which is more than any text on the site has.
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

/// Joins texts like [`words`], but treats [hidden](is_hidden) characters as white space. Stops once it
/// has over 200 bytes.
pub fn printable<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut printable = String::new();
    let mut pending_space = false;
    for c in texts.flat_map(str::chars).take(MAX_TEXT) {
        if c.is_whitespace() || is_hidden(c) {
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

/// Text as it may go to a terminal: each [hidden](is_hidden) character becomes its escape, such as
/// `\u{202e}`. Line ends are hidden characters too, so one line stays one line.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut visible = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            visible.extend(c.escape_unicode());
        } else {
            visible.push(c);
        }
    }
    Cow::Owned(visible)
}

/// Whether a character controls a terminal, changes the direction or the lines of the text around it, or
/// leaves no mark of its own: a name with such characters can look like another name.
pub fn is_hidden(c: char) -> bool {
    c.is_control() || !c.is_ascii() && HIDDEN.iter().any(|range| range.contains(&c))
}

/// The code points with the property `Default_Ignorable_Code_Point`, among them all marks of direction,
/// fillers, variation selectors and tags
/// (<https://www.unicode.org/Public/17.0.0/ucd/DerivedCoreProperties.txt>), the two separators of lines
/// and paragraphs, and the three marks of annotations.
const HIDDEN: [RangeInclusive<char>; 17] = [
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{200b}'..='\u{200f}',
    // With the separators of lines and paragraphs, U+2028 and U+2029.
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    // With the marks of annotations, U+FFF9 to U+FFFB.
    '\u{fff0}'..='\u{fffb}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
];

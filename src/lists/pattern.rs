//! Ranges and sets in an address, as curl writes them: `page[1-500].html`, `{north,south}.example`.
//!
//! The rules are those of curl 7.88 (`man curl`, "URL globbing"). A backslash takes one of `[ ] { }`
//! literally, in a set any character. `[]` and an IPv6 address in brackets are literal. Unlike in curl,
//! both ends of a range of letters must be ASCII letters, and the number of ranges is not limited.

use std::fmt::Write;
use std::mem;
use std::net::Ipv6Addr;
use std::ops::Range;

use crate::site::text::{prefix, visible};

/// Bytes of a range that an error shows.
const MAX_SHOWN: usize = 60;

/// A text with ranges and sets.
#[derive(Debug, Clone)]
pub struct Pattern {
    parts: Vec<Part>,
}

/// What stands at one place of all texts that a pattern stands for.
#[derive(Debug, Clone)]
enum Part {
    /// One of these. A literal is a set of one.
    Set(Vec<String>),
    Numbers {
        first: u64,
        last: u64,
        step: u64,
        /// Digits of the shortest number, with zeros in front.
        width: usize,
    },
    /// ASCII letters of one case.
    Letters { first: u8, last: u8, step: u8 },
}

impl Pattern {
    /// Parses a text. The error is a sentence that quotes what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['[', ']', '{', '}', '\\']) {
            let (before, special) = rest.split_at(at);
            literal.push_str(before);
            let literal_length = literal_length(special);
            if literal_length > 0 {
                let (this, after) = special.split_at(literal_length);
                let is_escape = this.len() == 2 && this.starts_with('\\');
                literal.push_str(if is_escape { &this[1..] } else { this });
                rest = after;
                continue;
            }
            let (part, after) = match special.as_bytes()[0] {
                b'[' => range(special)?,
                b'{' => set(special)?,
                other => return Err(unopened(char::from(other))),
            };
            if !literal.is_empty() {
                parts.push(Part::Set(vec![mem::take(&mut literal)]));
            }
            parts.push(part);
            rest = after;
        }
        literal.push_str(rest);
        parts.push(Part::Set(vec![literal]));
        Ok(Pattern { parts })
    }

    /// The number of texts, at most `u64::MAX`.
    pub fn count(&self) -> u64 {
        let counts = self.parts.iter().map(Part::count);
        counts.fold(1, u64::saturating_mul)
    }

    /// The texts in which each range has its first or last value and each set any of its values, the other
    /// parts their first, and the text of all last values. Their number is that of the values written in the
    /// pattern, whatever the length of its ranges.
    pub fn samples(&self) -> impl Iterator<Item = String> + '_ {
        let changed = self.parts.iter().enumerate();
        let changed =
            changed.flat_map(|(place, part)| part.samples().map(move |index| (place, index)));
        let one_changed = [(0, 0)].into_iter().chain(changed).map(|(place, index)| {
            let mut indexes = vec![0; self.parts.len()];
            indexes[place] = index;
            self.text(&indexes)
        });
        let last: Vec<u64> = self.parts.iter().map(|part| part.count() - 1).collect();
        let is_another = last.iter().filter(|index| **index > 0).count() > 1;
        one_changed.chain(is_another.then(|| self.text(&last)))
    }

    /// All texts in order. The last part varies fastest.
    pub fn expand(self) -> Expansion {
        Expansion {
            indexes: Some(vec![0; self.parts.len()]),
            pattern: self,
        }
    }

    /// The text in which each part has the value with this index.
    fn text(&self, indexes: &[u64]) -> String {
        let mut text = String::new();
        for (part, index) in self.parts.iter().zip(indexes) {
            part.append(*index, &mut text);
        }
        text
    }
}

impl Part {
    /// The number of values, at least 1.
    fn count(&self) -> u64 {
        match self {
            Part::Set(values) => values.len() as u64,
            Part::Numbers {
                first, last, step, ..
            } => ((last - first) / step).saturating_add(1),
            Part::Letters { first, last, step } => u64::from((last - first) / step) + 1,
        }
    }

    /// The indexes to check, without that of the first value.
    fn samples(&self) -> Range<u64> {
        match self {
            Part::Set(values) => 1..values.len() as u64,
            Part::Numbers { .. } | Part::Letters { .. } => self.count().max(2) - 1..self.count(),
        }
    }

    /// Appends the value with an index below [`Part::count`].
    fn append(&self, index: u64, text: &mut String) {
        match self {
            Part::Set(values) => text.push_str(&values[index as usize]),
            Part::Numbers {
                first, step, width, ..
            } => {
                let number = first + index * step;
                write!(text, "{number:0width$}").expect("a String takes any text");
            }
            Part::Letters { first, step, .. } => {
                text.push(char::from(first + index as u8 * step));
            }
        }
    }
}

/// The texts that a pattern stands for.
#[derive(Debug, Clone)]
pub struct Expansion {
    pattern: Pattern,
    /// The indexes of the next text; `None` after the last one.
    indexes: Option<Vec<u64>>,
}

impl Iterator for Expansion {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let indexes = self.indexes.as_mut()?;
        let text = self.pattern.text(indexes);
        let parts = self.pattern.parts.iter().zip(indexes.iter_mut()).rev();
        for (part, index) in parts {
            if *index + 1 < part.count() {
                *index += 1;
                return Some(text);
            }
            *index = 0;
        }
        self.indexes = None;
        Some(text)
    }
}

/// The length of what is literal although it begins with a special character: an escape, a backslash that
/// begins none, `[]`, an IPv6 address. 0 if `special` begins with a range, a set or a closing bracket.
fn literal_length(special: &str) -> usize {
    if let Some(escaped) = special.strip_prefix('\\') {
        return 1 + usize::from(escaped.starts_with(['[', ']', '{', '}']));
    }
    let inner = special
        .strip_prefix('[')
        .and_then(|text| text.split_once(']'));
    let Some((inner, _)) = inner else { return 0 };
    // A zone like `%25eth0` may follow the address.
    let address = inner.split('%').next().unwrap_or_default();
    let is_literal = inner.is_empty() || address.parse::<Ipv6Addr>().is_ok();
    usize::from(is_literal) * (inner.len() + 2)
}

/// Parses the set that `text` begins with. Returns it and what follows it.
fn set(text: &str) -> Result<(Part, &str), String> {
    let mut values = vec![String::new()];
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        let value = values.last_mut().expect("at least one value");
        match c {
            '}' if at == 1 => return Err("the set `{}` is empty".to_owned()),
            '}' => return Ok((Part::Set(values), &text[at + 1..])),
            ',' => values.push(String::new()),
            '[' | '{' => {
                return Err(format!(
                    "`{c}` in the set `{}` is not supported: sets have no sets and ranges in them; write `\\{c}` for the character",
                    shown(&text[..at + 1])
                ));
            }
            ']' => return Err(unopened(c)),
            '\\' => value.push(chars.next().map_or(c, |(_, escaped)| escaped)),
            _ => value.push(c),
        }
    }
    Err(format!("the set `{}` has no closing `}}`", shown(text)))
}

/// Parses the range that `text` begins with. Returns it and what follows it.
fn range(text: &str) -> Result<(Part, &str), String> {
    let Some(end) = text.find(']') else {
        return Err(format!("the range `{}` has no closing `]`", shown(text)));
    };
    let (written, after) = text.split_at(end + 1);
    let inner = &written[1..end];
    let (bounds, step) = match inner.split_once(':') {
        Some((bounds, step)) => (bounds, Some(step)),
        None => (inner, None),
    };
    let step = step.map_or(Some(1), number);
    let bounds = bounds.split_once('-');
    let (Some((first, last)), Some(step)) = (bounds, step) else {
        return Err(no_range(written));
    };
    let (part, distance) = if let (Some(from), Some(to)) = (letter(first), letter(last)) {
        let step = u8::try_from(step).unwrap_or(u8::MAX);
        let part = Part::Letters {
            first: from,
            last: to,
            step,
        };
        if from.is_ascii_lowercase() != to.is_ascii_lowercase() {
            return Err(no_range(written));
        }
        (part, u64::from(to).checked_sub(from.into()))
    } else if let (Some(from), Some(to)) = (number(first), number(last.trim_start_matches(' '))) {
        let width = if first.starts_with('0') {
            first.len()
        } else {
            0
        };
        let part = Part::Numbers {
            first: from,
            last: to,
            step,
            width,
        };
        (part, to.checked_sub(from))
    } else {
        return Err(no_range(written));
    };
    let written = shown(written);
    match distance {
        None => Err(format!("the range `{written}` goes from high to low")),
        Some(_) if step == 0 => Err(format!("the step of the range `{written}` is 0")),
        Some(distance) if step > distance.max(1) => Err(format!(
            "the step of the range `{written}` is larger than the range"
        )),
        Some(_) => Ok((part, after)),
    }
}

/// A whole number in decimal digits.
fn number(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

fn letter(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [letter] if letter.is_ascii_alphabetic() => Some(*letter),
        _ => None,
    }
}

fn no_range(written: &str) -> String {
    format!(
        "`{}` is no range like `[1-500]`, `[001-100]`, `[a-z]` or `[0-90:10]`; write `\\[` and `\\]` for brackets that are part of the address",
        shown(written)
    )
}

fn unopened(closing: char) -> String {
    let opening = if closing == ']' { '[' } else { '{' };
    format!("`{closing}` has no `{opening}` before it; write `\\{closing}` for the character")
}

/// A piece of a pattern as an error shows it.
fn shown(piece: &str) -> String {
    let start = prefix(piece, MAX_SHOWN);
    let end = if start.len() < piece.len() { "…" } else { "" };
    format!("{}{end}", visible(start))
}

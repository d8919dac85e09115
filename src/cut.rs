//! What must be known of a page before a piece is cut out of it and parsed alone: that a parser of
//! the whole page would see the same elements there.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use memchr::{memchr, memchr3};

/// Whether no region touches a comment or a script, where a parser sees no elements.
pub fn in_plain_sight(html: &[u8], regions: &[Range<usize>]) -> bool {
    static HIDING: LazyLock<[(Finder, Finder); 2]> = LazyLock::new(|| {
        [("<!--", "-->"), ("<script", "</script")]
            .map(|(open, close)| (Finder::new(open), Finder::new(close)))
    });
    let last = regions.iter().map(|region| region.end).max().unwrap_or(0);
    let mut next = [0, 0];
    let mut at = 0;
    loop {
        for (next, (open, _)) in next.iter_mut().zip(&*HIDING) {
            if *next <= at {
                *next = open
                    .find(&html[at..last.max(at)])
                    .map_or(usize::MAX, |found| at + found);
            }
        }
        let which = usize::from(next[1] < next[0]);
        let start = next[which];
        if start >= last {
            return true;
        }
        let end = HIDING[which]
            .1
            .find(&html[start..])
            .map_or(html.len(), |found| start + found);
        if regions
            .iter()
            .any(|region| region.start < end && start < region.end)
        {
            return false;
        }
        at = end;
    }
}

/// A tag as it stands in a piece of HTML.
pub struct Tag<'a> {
    /// `td`, `/td`
    pub name: &'a [u8],
    pub start: usize,
    /// Where what follows it begins.
    pub end: usize,
}

/// The tags of a piece of HTML that begins with one.
///
/// `None` where it has anything but plain tags with names in lower case and attributes in quotes:
/// a comment, a script, a quote where none should be. Then only a parser knows.
pub fn plain_tags(html: &[u8]) -> Option<Vec<Tag<'_>>> {
    let mut tags = Vec::with_capacity(html.len() / 24);
    let mut at = 0;
    while let Some(found) = memchr(b'<', &html[at..]) {
        let start = at + found;
        let after = &html[start + 1..];
        let slash = usize::from(after.first() == Some(&b'/'));
        let letters = after[slash..]
            .iter()
            .take_while(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let name = &after[..slash + letters.count()];
        if !matches!(
            after.get(name.len())?,
            b'>' | b' ' | b'\t' | b'\r' | b'\n' | b'/'
        ) || is_raw(name)
        {
            return None;
        }
        at = start + 1;
        loop {
            at += memchr3(b'>', b'"', b'\'', &html[at..])?;
            let (here, before) = (html[at], html[at - 1]);
            at += 1;
            if here == b'>' {
                break;
            }
            // A quote opens a value only after an equals sign.
            if before != b'=' {
                return None;
            }
            at += memchr(here, &html[at..])? + 1;
        }
        tags.push(Tag {
            name,
            start,
            end: at,
        });
    }
    Some(tags)
}

/// Whether what follows such a tag is not read as HTML, or in another way.
fn is_raw(name: &[u8]) -> bool {
    matches!(
        name,
        b"" | b"/"
            | b"script"
            | b"style"
            | b"textarea"
            | b"title"
            | b"template"
            | b"xmp"
            | b"iframe"
            | b"noembed"
            | b"noframes"
            | b"plaintext"
            | b"select"
            | b"svg"
            | b"math"
    )
}

/// Appends a piece of a page to others, every run of white space as one space. That changes nothing
/// of what is read, and a parser looks at each of them.
pub fn append(fragment: &mut String, piece: &[u8]) {
    let text = String::from_utf8_lossy(piece);
    for (at, word) in text.split_ascii_whitespace().enumerate() {
        if at > 0 {
            fragment.push(' ');
        }
        fragment.push_str(word);
    }
}

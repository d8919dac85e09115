//! What must be known of a page before a piece is cut out of it and parsed alone: that a parser of
//! the whole page would see the same elements there.

use std::ops::Range;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use memchr::{memchr, memchr3, memrchr};

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
        let (open, close) = &HIDING[which];
        let end = close
            .find(&html[start..])
            .map_or(html.len(), |found| start + found);
        // After a comment and a script inside a script, its end is not one (the tokenizer's
        // "double escaped" state).
        let is_script = which == 1;
        if is_script && next[0] < end && open.find(&html[next[0]..end]).is_some() {
            return false;
        }
        if regions
            .iter()
            .any(|region| region.start < end && start < region.end)
        {
            return false;
        }
        at = end;
    }
}

/// An element as far as it can be seen without a parser: its tag, and the text right after it.
pub struct Element {
    pub start: usize,
    /// Up to the next tag.
    pub text: Range<usize>,
}

impl Element {
    /// The element in whose tag a place is.
    pub fn around(html: &[u8], place: usize) -> Option<Self> {
        let from = place.saturating_sub(256);
        let start = from + memrchr(b'<', &html[from..place])?;
        Element::at(html, start).filter(|element| element.text.start > place)
    }

    /// The element whose tag begins at a place.
    pub fn at(html: &[u8], start: usize) -> Option<Self> {
        let tag = Tag::at(html, start)?;
        let text_end = tag.end + memchr(b'<', &html[tag.end..])?;
        let text = tag.end..text_end;
        // With the end of a tag in it, the beginning may have been in an attribute.
        let is_text = memchr(b'>', &html[text.clone()]).is_none();
        is_text.then_some(Element { start, text })
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

impl<'a> Tag<'a> {
    /// The tag that begins with the `<` at a place. None if its name is not in lower case, if its
    /// attributes are not quoted as usual, or if it has no end.
    fn at(html: &'a [u8], start: usize) -> Option<Self> {
        let after = &html[start + 1..];
        let slash = usize::from(after.first() == Some(&b'/'));
        let letters = after[slash..]
            .iter()
            .take_while(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let name = &after[..slash + letters.count()];
        if !matches!(
            after.get(name.len())?,
            b'>' | b' ' | b'\t' | b'\r' | b'\n' | b'/'
        ) {
            return None;
        }
        let mut end = start + 1;
        loop {
            end += memchr3(b'>', b'"', b'\'', &html[end..])?;
            let (here, before) = (html[end], html[end - 1]);
            end += 1;
            if here == b'>' {
                return Some(Tag { name, start, end });
            }
            // A quote opens a value only after an equals sign.
            if before != b'=' {
                return None;
            }
            end += memchr(here, &html[end..])? + 1;
        }
    }
}

/// The tags of a piece of HTML that begins with one; none if there is anything but plain tags, a
/// comment or a script, say. Then only a parser knows.
pub fn plain_tags(html: &[u8]) -> Option<Vec<Tag<'_>>> {
    let mut tags = Vec::with_capacity(html.len() / 24);
    let mut at = 0;
    while let Some(found) = memchr(b'<', &html[at..]) {
        let tag = Tag::at(html, at + found).filter(|tag| !is_raw(tag.name))?;
        at = tag.end;
        tags.push(tag);
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
            | b"noscript"
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

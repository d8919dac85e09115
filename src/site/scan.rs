//! What must be known of a page before a piece of it is read alone: that a parser of the whole page
//! would see the same elements there.

use std::borrow::Cow;
use std::iter;
use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr3, memmem, memrchr, memrchr_iter};

use crate::site::dom;

/// Whether no region touches a comment or a script, where a parser sees no elements. The regions are
/// in the order of the page.
///
/// To know that for sure one would read the page from its beginning. But a parser sees elements
/// after a `</script>` if no comment is open there, and the nearest one is some kilobytes away. What
/// this does not look for: such tags within attributes, and elements other than scripts whose text
/// is not read as HTML.
pub fn in_plain_sight(html: &[u8], regions: &[Range<usize>]) -> bool {
    let mut visible = 0;
    regions.iter().all(|region| {
        let from = visible_before(html, visible.min(region.start), region.start);
        visible = region.end;
        is_visible(html, from, region)
    })
}

/// Where to begin to look for what may hide a place, if a parser sees elements at `visible`.
fn visible_before(html: &[u8], visible: usize, place: usize) -> usize {
    let mut from = place;
    loop {
        let mut script_end = None;
        for at in memrchr_iter(b'<', &html[visible..from]).map(|at| visible + at) {
            match Hiding::at(&html[at..]) {
                Some(Hiding::ScriptEnd) => {
                    script_end = Some(at);
                    break;
                }
                Some(_) => from = at,
                None => {}
            }
        }
        let Some(script_end) = script_end else {
            return from;
        };
        // Exclamation marks are rare.
        let comment = memrchr_iter(b'!', &html[visible..script_end])
            .map(|at| (visible + at).saturating_sub(1))
            .find(|at| html[*at..].starts_with(b"<!--"));
        match comment {
            // A script in which a comment is open ends later than it seems.
            Some(at) if comment_end(&html[at..script_end]).is_none() => from = at,
            _ => return from,
        }
    }
}

/// Whether a parser that sees elements at a place sees all of a region behind it.
fn is_visible(html: &[u8], mut from: usize, region: &Range<usize>) -> bool {
    while let Some(found) = memchr(b'<', &html[from..region.end]) {
        let start = from + found;
        let end = match Hiding::at(&html[start..]) {
            None | Some(Hiding::ScriptEnd) => {
                from = start + 1;
                continue;
            }
            Some(Hiding::Comment) => comment_end(&html[start..region.start.max(start)]),
            Some(Hiding::Script) => script_end(&html[start..region.start.max(start)]),
        };
        match end {
            Some(length) => from = start + length,
            None => return false,
        }
    }
    true
}

/// What begins or ends a part of a page in which there are no elements.
enum Hiding {
    Comment,
    Script,
    ScriptEnd,
}

impl Hiding {
    fn at(html: &[u8]) -> Option<Self> {
        let (name, hiding) = match *html.get(1..3)? {
            [b'!', b'-'] => return html.starts_with(b"<!--").then_some(Hiding::Comment),
            [b's' | b'S', b'c' | b'C'] => (&b"<script"[..], Hiding::Script),
            [b'/', b's' | b'S'] => (&b"</script"[..], Hiding::ScriptEnd),
            _ => return None,
        };
        let (start, after) = html.split_at_checked(name.len())?;
        let ends = matches!(
            after.first()?,
            b'>' | b'/' | b' ' | b'\t' | b'\n' | b'\r' | 12
        );
        (ends && start.eq_ignore_ascii_case(name)).then_some(hiding)
    }
}

/// How long the comment is that begins a piece of a page, if it ends in it for sure.
fn comment_end(html: &[u8]) -> Option<usize> {
    // `<!-->` is a comment too.
    let end = memmem::find(html.get(2..)?, b"-->")? + 2;
    // That ends a comment too, but not one in a script.
    memmem::find(&html[..end], b"--!>").is_none().then_some(end)
}

/// How long the script is that begins a piece of a page, up to its end tag, if that is in it for sure:
/// in one with a comment, the end may be part of that.
fn script_end(html: &[u8]) -> Option<usize> {
    for at in memchr_iter(b'<', html).skip(1) {
        match Hiding::at(&html[at..]) {
            Some(Hiding::ScriptEnd) => return Some(at),
            Some(Hiding::Comment) => return None,
            _ => {}
        }
    }
    None
}

/// An element as far as it can be seen without a parser: its tag, and the text right after it.
pub struct Element {
    pub start: usize,
    /// Up to the next tag.
    pub text: Range<usize>,
}

impl Element {
    /// The element in whose tag a place is, if that tag is of a name and of a class, which is its
    /// first attribute.
    pub fn around(html: &[u8], place: usize, name: &str, class: &str) -> Option<Self> {
        let from = place.saturating_sub(256);
        let start = from + memrchr(b'<', &html[from..place])?;
        let element = Element::of_class(html, start, name, class)?;
        (element.text.start > place).then_some(element)
    }

    /// The same for the last tag before a place.
    pub fn before(html: &[u8], place: usize, name: &str, class: &str) -> Option<Self> {
        let start = memrchr(b'<', &html[..place])?;
        Element::of_class(html, start, name, class)
    }

    fn of_class(html: &[u8], start: usize, name: &str, class: &str) -> Option<Self> {
        let element = Element::at(html, start)?;
        let attributes = html[start + 1..element.text.start].strip_prefix(name.as_bytes())?;
        let classes = attributes.strip_prefix(b" class=\"")?;
        let mut classes = classes[..memchr(b'"', classes)?].split(u8::is_ascii_whitespace);
        { classes }
            .any(|one| one == class.as_bytes())
            .then_some(element)
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
        let mut end = start + 1 + name.len();
        loop {
            let from = end;
            end += memchr3(b'>', b'"', b'\'', &html[end..])?;
            let (here, before) = (html[end], html[end - 1]);
            end += 1;
            if here == b'>' {
                return Some(Tag { name, start, end });
            }
            // A quote opens a value only after the equals sign of a name.
            let names = html.get(from..end - 2)?.trim_ascii_start();
            let names = names.strip_prefix(b"/").unwrap_or(names);
            if before != b'=' || names.is_empty() || names.contains(&b'=') {
                return None;
            }
            end += memchr(here, &html[end..])? + 1;
        }
    }

    /// The value of an attribute, if all stand there as usual and there are no references in it.
    pub fn attribute(&self, html: &'a [u8], name: &str) -> Option<&'a str> {
        let mut rest = &html[self.start + 1 + self.name.len()..self.end - 1];
        loop {
            let is_name = |byte: &u8| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'/');
            rest = &rest[rest.iter().position(is_name)?..];
            let letters = rest
                .iter()
                .take_while(|byte| byte.is_ascii_lowercase() || **byte == b'-');
            let (this, after) = rest.split_at(letters.count());
            let value = after.strip_prefix(b"=")?;
            let quote = value
                .first()
                .filter(|quote| matches!(quote, b'"' | b'\''))?;
            let end = 1 + memchr(*quote, &value[1..])?;
            if this == name.as_bytes() {
                let value = str::from_utf8(&value[1..end]).ok()?;
                return (!value.contains(['&', '\0'])).then_some(value);
            }
            rest = &value[end + 1..];
        }
    }
}

/// What a piece of a page without tags says: as it stands there, or as a parser reads it where there
/// is a reference in it.
pub fn plain_text(piece: &[u8]) -> Option<Cow<'_, str>> {
    let text = String::from_utf8_lossy(piece);
    if !text.contains(['&', '\0']) {
        return Some(text);
    }
    // At the beginning it would be a mark of the encoding.
    if text.contains('\u{feff}') {
        return None;
    }
    let parsed = dom::fragment(&text).ok()?;
    Some(parsed.root_element().text().collect::<String>().into())
}

/// The tags of a piece of HTML that begins with one. Where there is anything but a plain tag, a
/// comment or a script, say, it ends with a `None`: then only a parser knows.
pub fn plain_tags(html: &[u8]) -> impl Iterator<Item = Option<Tag<'_>>> {
    let mut at = Some(0);
    iter::from_fn(move || {
        let from = at?;
        let start = from + memchr(b'<', &html[from..])?;
        let tag = Tag::at(html, start).filter(|tag| !is_raw(tag.name));
        at = tag.as_ref().map(|tag| tag.end);
        Some(tag)
    })
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

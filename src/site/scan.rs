//! Reads a piece of HTML without parsing the page around it.
//!
//! A position is *markup* if it is outside comments and scripts. A scan may only take a text if an
//! HTML parser of the whole page would find it in the same element. If that is not certain, these
//! functions return `None` or `false`, and the caller parses the whole page.

use std::borrow::Cow;
use std::iter;
use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr3, memmem, memrchr, memrchr_iter};

use crate::site::dom;

/// Maximum number of bytes between the start of a tag and a landmark in it.
const MAX_TAG_DISTANCE: usize = 256;
/// Maximum size in bytes of a string behind a key, with the white space before it.
const MAX_JSON_TEXT: usize = 1 << 10;

/// Whether all regions are markup. The regions must be sorted by their start.
///
/// Only reading the page from its first byte would prove this. The check goes back to the nearest
/// `</script>` instead, some kilobytes away: the position behind it is markup if no comment is open
/// there.
///
/// The check misses comment and script tags inside attribute values. It also misses elements other
/// than scripts whose content is not HTML, such as `<style>` and `<textarea>`.
pub fn all_visible(html: &[u8], regions: &[Range<usize>]) -> bool {
    // Always markup: the start of the page, then the end of each region that passed.
    let mut visible = 0;
    regions.iter().all(|region| {
        let from = check_start(html, visible.min(region.start), region.start);
        visible = region.end;
        is_visible(html, from, region)
    })
}

/// Returns where to start checking a region that starts at `place`; both `visible` and the result
/// are markup.
fn check_start(html: &[u8], visible: usize, place: usize) -> usize {
    let mut from = place;
    loop {
        let mut script_end = None;
        for at in memrchr_iter(b'<', &html[visible..from]).map(|at| visible + at) {
            match Delimiter::at(&html[at..]) {
                Some(Delimiter::ScriptEnd) => {
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
        // Pages contain far fewer `!` than `<`, so `<!--` is searched by its second byte.
        let comment = memrchr_iter(b'!', &html[visible..script_end])
            .map(|at| (visible + at).saturating_sub(1))
            .find(|at| html[*at..].starts_with(b"<!--"));
        match comment {
            // This `</script>` may not end a script: it may be inside a comment, or inside a script
            // with an open `<!--`. In `<script><!-- <script></script> --></script>` only the last
            // one ends the script.
            Some(at) if comment_len(&html[at..script_end]).is_none() => from = at,
            _ => return from,
        }
    }
}

/// Whether the region is markup, if `from` is. Comments and scripts between the two must end before
/// the region for certain.
fn is_visible(html: &[u8], mut from: usize, region: &Range<usize>) -> bool {
    while let Some(found) = memchr(b'<', &html[from..region.end]) {
        let start = from + found;
        let length = match Delimiter::at(&html[start..]) {
            None | Some(Delimiter::ScriptEnd) => {
                from = start + 1;
                continue;
            }
            Some(Delimiter::Comment) => comment_len(&html[start..region.start.max(start)]),
            Some(Delimiter::Script) => script_len(&html[start..region.start.max(start)]),
        };
        match length {
            Some(length) => from = start + length,
            None => return false,
        }
    }
    true
}

/// The start of a comment, and the start and the end of a script.
enum Delimiter {
    Comment,
    Script,
    ScriptEnd,
}

impl Delimiter {
    /// The delimiter that `html` begins with, if any.
    fn at(html: &[u8]) -> Option<Self> {
        let (name, delimiter) = match *html.get(1..3)? {
            [b'!', b'-'] => return html.starts_with(b"<!--").then_some(Delimiter::Comment),
            [b's' | b'S', b'c' | b'C'] => (&b"<script"[..], Delimiter::Script),
            [b'/', b's' | b'S'] => (&b"</script"[..], Delimiter::ScriptEnd),
            _ => return None,
        };
        let (start, after) = html.split_at_checked(name.len())?;
        let name_ends = matches!(
            after.first()?,
            b'>' | b'/' | b' ' | b'\t' | b'\n' | b'\r' | 12
        );
        (name_ends && start.eq_ignore_ascii_case(name)).then_some(delimiter)
    }
}

/// The length, without its `-->`, of the comment that `html` begins with. `None` unless it ends in
/// `html` for certain.
fn comment_len(html: &[u8]) -> Option<usize> {
    // The `-->` may share its dashes with the `<!--`: `<!-->` is a whole comment.
    let end = memmem::find(html.get(2..)?, b"-->")? + 2;
    // `--!>` ends a comment too, but not a comment in a script.
    memmem::find(&html[..end], b"--!>").is_none().then_some(end)
}

/// The length, without its `</script>`, of the script that `html` begins with. `None` unless it ends
/// in `html` for certain: behind a `<!--` in the script, a `</script>` may be part of it.
fn script_len(html: &[u8]) -> Option<usize> {
    for at in memchr_iter(b'<', html).skip(1) {
        match Delimiter::at(&html[at..]) {
            Some(Delimiter::ScriptEnd) => return Some(at),
            Some(Delimiter::Comment) => return None,
            _ => {}
        }
    }
    None
}

/// A tag and the text right behind it, found without a parser.
pub struct Element {
    /// The position of the tag's `<`.
    pub start: usize,
    /// From the end of the tag to the next `<`.
    pub text: Range<usize>,
}

impl Element {
    /// The element whose tag contains `place`. `None` unless the tag has this name and this class in
    /// its first attribute.
    pub fn around(html: &[u8], place: usize, name: &str, class: &str) -> Option<Self> {
        let from = place.saturating_sub(MAX_TAG_DISTANCE);
        let start = from + memrchr(b'<', &html[from..place])?;
        let element = Element::of_class(html, start, name, class)?;
        (element.text.start > place).then_some(element)
    }

    /// The element of the last tag that begins before `place`. `None` under the same conditions.
    pub fn last_before(html: &[u8], place: usize, name: &str, class: &str) -> Option<Self> {
        let start = memrchr(b'<', &html[..place])?;
        Element::of_class(html, start, name, class)
    }

    fn of_class(html: &[u8], start: usize, name: &str, class: &str) -> Option<Self> {
        let element = Element::at(html, start)?;
        let attributes = html[start + 1..element.text.start].strip_prefix(name.as_bytes())?;
        let value = attributes.strip_prefix(b" class=\"")?;
        let mut classes = value[..memchr(b'"', value)?].split(u8::is_ascii_whitespace);
        let has_class = classes.any(|one| one == class.as_bytes());
        has_class.then_some(element)
    }

    /// The element whose tag begins at `start`. `None` if the tag is not plain or the text contains
    /// `>`.
    pub fn at(html: &[u8], start: usize) -> Option<Self> {
        let tag = Tag::at(html, start)?;
        let text_end = tag.end + memchr(b'<', &html[tag.end..])?;
        let text = tag.end..text_end;
        // A `>` in the text suggests that the tag is inside an attribute value of another tag:
        // `<i title='<span>1.00'>`.
        let is_text = memchr(b'>', &html[text.clone()]).is_none();
        is_text.then_some(Element { start, text })
    }
}

/// A tag, found without a parser.
pub struct Tag<'a> {
    /// `td` or `/td`.
    pub name: &'a [u8],
    /// The position of the `<`.
    pub start: usize,
    /// The position behind the `>`.
    pub end: usize,
}

impl<'a> Tag<'a> {
    /// The tag whose `<` is at `start`. `None` if its name is not in lower case, its attributes are
    /// quoted in an unusual way, or it has no end.
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
            let at = end + memchr3(b'>', b'"', b'\'', &html[end..])?;
            if html[at] == b'>' {
                let end = at + 1;
                return Some(Tag { name, start, end });
            }
            // A quote opens a value only right behind `name=`. Anywhere else it is part of a name or
            // of an unquoted value, and the next `>` ends the tag: `<a =">">`, `<a x=y=">">`,
            // `<a x="1"">">`.
            let names = html.get(end..at - 1)?.trim_ascii_start();
            let names = names.strip_prefix(b"/").unwrap_or(names);
            if html[at - 1] != b'=' || names.is_empty() || names.contains(&b'=') {
                return None;
            }
            let value = at + 1;
            end = value + memchr(html[at], &html[value..])? + 1;
        }
    }

    /// The value of an attribute. `None` if the tag lacks it, or if an attribute before it is not
    /// written `name="value"`. Also `None` if a parser would change the value, because it contains a
    /// character reference, NUL or invalid UTF-8.
    pub fn attribute(&self, html: &'a [u8], name: &str) -> Option<&'a str> {
        let mut rest = &html[self.start + 1 + self.name.len()..self.end - 1];
        loop {
            let is_in_name = |byte: &u8| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'/');
            rest = &rest[rest.iter().position(is_in_name)?..];
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

/// The text of a piece of HTML without tags. A piece with character references is parsed, any other
/// is returned unchanged. `None` if the result of the parser would not be certain.
pub fn plain_text(piece: &[u8]) -> Option<Cow<'_, str>> {
    let text = String::from_utf8_lossy(piece);
    if !text.contains(['&', '\0']) {
        return Some(text);
    }
    // At the start of its input, the parser would drop U+FEFF as a byte order mark.
    if text.contains('\u{feff}') {
        return None;
    }
    let parsed = dom::fragment(&text).ok()?;
    Some(parsed.root_element().text().collect::<String>().into())
}

/// The string behind a key in JSON or in a script: `: "text"`. `None` if there is no string.
pub fn json_text(after_key: &[u8]) -> Option<String> {
    let after_key = &after_key[..after_key.len().min(MAX_JSON_TEXT)];
    let value = after_key.trim_ascii_start().strip_prefix(b":")?;
    let mut values = serde_json::Deserializer::from_slice(value).into_iter();
    values.next()?.ok()
}

/// The tags of a piece of HTML that begins with a tag. At the first `<` of anything but a plain tag,
/// such as a comment or a script, the iterator yields `None` and ends.
pub fn plain_tags(html: &[u8]) -> impl Iterator<Item = Option<Tag<'_>>> {
    let mut at = Some(0);
    iter::from_fn(move || {
        let from = at?;
        let start = from + memchr(b'<', &html[from..])?;
        let tag = Tag::at(html, start).filter(|tag| !needs_parser(tag.name));
        at = tag.as_ref().map(|tag| tag.end);
        Some(tag)
    })
}

/// Whether only a full parser can handle this tag: its content is not ordinary HTML, or the name is
/// empty.
fn needs_parser(name: &[u8]) -> bool {
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

/// Appends a piece of a page, with one space for every run of white space. This does not change the
/// parsed fields and leaves the parser fewer characters.
pub fn append_collapsed(fragment: &mut String, piece: &[u8]) {
    let text = String::from_utf8_lossy(piece);
    for (at, word) in text.split_ascii_whitespace().enumerate() {
        if at > 0 {
            fragment.push(' ');
        }
        fragment.push_str(word);
    }
}

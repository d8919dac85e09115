//! One WARC record.

use std::borrow::Cow;

use jiff::Timestamp;
use memchr::memchr_iter;
use percent_encoding::{CONTROLS, percent_encode};

/// How each record begins.
pub const VERSION: &[u8; 5] = b"WARC/";
/// The field with the target of the last redirect before a response, if there was one. The format
/// allows fields of one's own, and has none for this.
pub const REDIRECTED_TO: &str = "X-Redirected-To";
/// The field that marks a second look at an index page. A replay needs the first look too, so such a
/// record does not take the place of an earlier one.
pub const SECOND_LOOK: &str = "X-Second-Look";

/// The head and the block of a record.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    pub head: &'a [u8],
    pub block: &'a [u8],
}

/// The address of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Scheme and host.
    pub site: String,
    /// Path and query as stored, without a fragment.
    pub path: String,
}

impl<'a> Record<'a> {
    /// Parses the record at the start of `bytes`, or after line ends. Returns it with the bytes after it,
    /// or `None` if the record is invalid or incomplete.
    pub fn parse(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let bytes = bytes.trim_ascii_start();
        if !has_version(bytes) {
            return None;
        }
        let (head, rest) = bytes.split_at(head_end(bytes)?);
        let length = usize::try_from(content_length(head)?).ok()?;
        let (block, rest) = rest.split_at_checked(length)?;
        Some((Record { head, block }, rest.trim_ascii_start()))
    }

    /// The value of a header field, if present and UTF-8.
    pub fn field(&self, name: &str) -> Option<Cow<'a, str>> {
        text(field(self.head, name)?)
    }

    /// Whether the record is of this type, such as `response`.
    pub fn is(&self, kind: &str) -> bool {
        let stated = field(self.head, "warc-type");
        stated.is_some_and(|stated| stated.eq_ignore_ascii_case(kind.as_bytes()))
    }

    /// The `WARC-Date`: when the response arrived. The Unix epoch if the field is missing or
    /// invalid.
    pub fn date(&self) -> Timestamp {
        let date = self.field("warc-date").and_then(|date| date.parse().ok());
        date.unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The address of the record. `None` unless it is of HTTP: `urn:text:https://…` is the text of a page,
    /// not the page.
    pub fn address(&self) -> Option<Address> {
        self.address_in("warc-target-uri")
    }

    /// The address in a field, like [`address`](Self::address).
    pub fn address_in(&self, name: &str) -> Option<Address> {
        let field = field(self.head, name)?;
        // A byte that is not UTF-8 stands for itself, as its escape does.
        let uri = match std::str::from_utf8(&field) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => percent_encode(&field, CONTROLS).into(),
        };
        // Some writers put the address into angle brackets, as WARC 1.0 did.
        let uri = uri.trim_matches(['<', '>']).trim();
        let uri = uri.split_once('#').map_or(uri, |(uri, _)| uri);
        let (scheme, after) = uri.split_once("://")?;
        if !["http", "https"].contains(&&*scheme.to_ascii_lowercase()) {
            return None;
        }
        let host = uri.len() - after.len();
        let (site, path) = uri.split_at(host + after.find('/')?);
        Some(Address {
            site: site.to_owned(),
            path: path.to_owned(),
        })
    }
}

/// Whether `bytes` begin like a record, in upper or lower case. A mix of both is damaged.
pub fn has_version(bytes: &[u8]) -> bool {
    bytes.starts_with(VERSION) || bytes.starts_with(b"warc/")
}

/// Whether `bytes` begin with a version line such as `WARC/1.1`.
pub fn begins(bytes: &[u8]) -> bool {
    let is_version =
        |version: &[u8]| matches!(version, [b'0'..=b'9', b'.', b'0'..=b'9', b'\r' | b'\n', ..]);
    has_version(bytes) && is_version(&bytes[VERSION.len()..])
}

/// The length of the head at the start of `bytes`, with the empty line after it. Lines end in CR LF or LF.
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    memchr_iter(b'\n', bytes).find_map(|at| match &bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// The size of a record's block in bytes.
pub fn content_length(head: &[u8]) -> Option<u64> {
    text(field(head, "content-length")?)?.parse().ok()
}

/// The `name: value` lines of a head, or of the block of a `warcinfo` record: of WARC and of HTTP. A line
/// that begins with a space continues the value before it. Lines without a colon are left out.
pub fn fields(lines: &[u8]) -> impl Iterator<Item = (&[u8], Cow<'_, [u8]>)> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let line = next_line(&mut rest);
            let colon = line.iter().position(|byte| *byte == b':');
            let mut value =
                Cow::Borrowed(colon.map_or(line, |colon| &line[colon + 1..]).trim_ascii());
            while matches!(rest, [b' ' | b'\t', ..]) {
                let value = value.to_mut();
                value.push(b' ');
                value.extend_from_slice(next_line(&mut rest).trim_ascii());
            }
            if let Some(colon) = colon {
                return Some((line[..colon].trim_ascii(), value));
            }
        }
        None
    })
}

/// Takes the first line, with its end.
fn next_line<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
    let (line, after) = rest.split_at(end);
    *rest = after;
    line
}

/// The value of the first field of this name in a head, if present.
pub fn field<'a>(head: &'a [u8], name: &str) -> Option<Cow<'a, [u8]>> {
    fields(head)
        .find(|(field, _)| field.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value)| value)
}

/// The value of a field as text. `None` if it is not UTF-8.
pub fn text(value: Cow<'_, [u8]>) -> Option<Cow<'_, str>> {
    match value {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    }
}

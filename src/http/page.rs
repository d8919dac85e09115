//! A page as it came over the wire → its text.
//!
//! Pages travel through the pipeline as they came, compressed. The reader inflates them into a
//! buffer of its own.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use encoding_rs::{Encoding, UTF_8};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use memchr::memmem;
use serde::Serialize;

use crate::http::body::Hold;
use crate::http::decode::Inflater;
use crate::site::block_page;
use crate::site::company;
use crate::site::dom::MAX_BYTES;

/// The most that is read of the body of a company's page, as it comes. Real pages are 20 to 61 KB, and
/// nothing that is larger when it is inflated would be parsed.
pub const MAX_RAW: u64 = 2 << 20;
/// The same for everything else, of which up to sixteen pages are in memory at once.
pub const MAX_RAW_OF_OTHERS: u64 = 1 << 20;
/// Characters of a sentence about a page; what a server sends may be in it.
const LONGEST_DETAIL: usize = 300;

/// An answer as it came.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub headers: HeaderMap,
    /// As on the wire, in the encoding that `Content-Encoding` names, chunks joined.
    pub body: Vec<u8>,
    /// From sending the request to the head of the answer, and to its last byte.
    pub waited: Duration,
    pub elapsed: Duration,
    /// Whether an earlier run had it. One that is no good then is asked for, as if it had never been.
    pub kept: bool,
    /// The right to be large, as long as it is there.
    pub hold: Option<Hold>,
}

/// Why an address gave no page that can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{detail}")]
pub struct PageError {
    pub reason: Reason,
    /// A sentence's worth: what happened, with the library's own words where there are any.
    pub detail: String,
}

/// The kinds of failure that a run tells apart, by the names it reports them under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The name cannot be resolved, or nobody answers there.
    Unreachable,
    Timeout,
    /// The connection broke before the whole answer was here.
    Broken,
    /// A body shorter than announced, or a page without its end.
    Truncated,
    /// Not HTTP as it should be.
    Protocol,
    /// A head of an answer beyond all measure.
    HeadersTooLarge,
    Tls,
    /// 408, 425, 429, 500, 502–504, 520–524: worth another try.
    Busy,
    /// 404, 410.
    Gone,
    /// 401, 403, 451.
    Blocked,
    /// A page that wants to be clicked, solved or logged in at, instead of the one asked for.
    Challenge,
    /// 429 or 503 with a time to come back at.
    Postponed,
    /// The robots' rules of the site forbid it.
    Robots,
    /// Any other status of 500 to 599.
    ServerError,
    /// Any other status.
    Status,
    /// A redirect to another host or from https to http.
    Offsite,
    /// A redirect without an address, or too many of them.
    Redirects,
    TooLarge,
    /// An encoding that was not asked for.
    UnsupportedEncoding,
    /// A body that does not inflate.
    BadEncoding,
    /// A page that the archive does not hold.
    NotArchived,
    /// A page without the landmarks that it is read by.
    Unrecognised,
    /// Who fetched or read it panicked; this page's failure, not the run's.
    Panic,
    /// The run ended before it was asked for.
    Stopped,
}

impl PageError {
    /// Nothing that a server sends gets to the terminal but text, and not much of that.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        let text = detail.into();
        let plain = text.chars().map(|c| match c {
            c if c.is_control() || company::is_invisible(c) => '\u{fffd}',
            c => c,
        });
        let mut detail: String = plain.take(LONGEST_DETAIL).collect();
        if detail.len() < text.len() && detail.chars().count() == LONGEST_DETAIL {
            detail.push('…');
        }
        PageError { reason, detail }
    }
}

/// Does something with one page. A page that makes a thread panic is that page's failure.
pub fn guarded<T>(what: &str, work: impl FnOnce() -> Result<T, PageError>) -> Result<T, PageError> {
    let panicked = |_| {
        let detail = format!("{what} the page panicked");
        Err(PageError::new(Reason::Panic, detail))
    };
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(panicked)
}

impl Page {
    /// The page, if its status is 200.
    pub fn of_status_200(self) -> Result<Self, PageError> {
        let reason = match self.status {
            200 => return Ok(self),
            408 | 425 | 429 | 500 | 502..=504 | 520..=524 => Reason::Busy,
            404 | 410 => Reason::Gone,
            401 | 403 | 451 => Reason::Blocked,
            500..=599 => Reason::ServerError,
            _ => Reason::Status,
        };
        Err(PageError::new(
            reason,
            format!("HTTP status {}", self.status),
        ))
    }

    /// The decoded bytes, in the inflater's buffer if they had to be inflated.
    pub fn inflate<'a>(&'a self, inflater: &'a mut Inflater) -> Result<&'a [u8], PageError> {
        let encoding = self.header(CONTENT_ENCODING.as_str());
        match encoding.as_deref().map(str::trim) {
            None | Some("" | "identity") => Ok(&self.body),
            Some(name)
                if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") =>
            {
                inflater.gunzip(&self.body)
            }
            Some(other) => Err(PageError::new(
                Reason::UnsupportedEncoding,
                format!("the answer is encoded as {other:?}, only gzip was asked for"),
            )),
        }
    }

    /// The value of a header, where it is text.
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        self.headers
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
    }

    /// The charset that `Content-Type` names.
    pub fn charset(&self) -> Option<String> {
        let content_type = self.header(CONTENT_TYPE.as_str())?.to_ascii_lowercase();
        let (_, after) = content_type.split_once("charset=")?;
        Some(
            after
                .split(';')
                .next()?
                .trim()
                .trim_matches(['"', '\''])
                .to_owned(),
        )
    }
}

/// Decoded bytes as UTF-8: by the byte order mark, else by the header's charset, else by what the
/// document declares, else UTF-8.
///
/// What is or should be UTF-8 is handed back as it is, not checked: the readers look at a few
/// hundred bytes of a page and check these. Of documents that declare another charset, the ones
/// that are valid UTF-8 all the same are taken for what they are. What is longer than any reader
/// takes is handed back too.
pub fn to_utf8<'a>(bytes: &'a [u8], charset: Option<&str>) -> Cow<'a, [u8]> {
    if bytes.len() > MAX_BYTES {
        return Cow::Borrowed(bytes);
    }
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return encoded(encoding, &bytes[length..]);
    }
    let label = charset
        .map(str::to_owned)
        .or_else(|| declared_charset(bytes));
    match label.and_then(|label| Encoding::for_label(label.as_bytes())) {
        Some(encoding) if encoding != UTF_8 && std::str::from_utf8(bytes).is_err() => {
            encoded(encoding, bytes)
        }
        _ => Cow::Borrowed(bytes),
    }
}

fn encoded<'a>(encoding: &'static Encoding, bytes: &'a [u8]) -> Cow<'a, [u8]> {
    if encoding == UTF_8 {
        return Cow::Borrowed(bytes);
    }
    match encoding.decode_without_bom_handling(bytes).0 {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// `<meta charset="…">`, `<meta … content="text/html; charset=…">` or `<?xml … encoding="…"?>`
/// within the first kilobyte, as browsers do.
fn declared_charset(bytes: &[u8]) -> Option<String> {
    let head = &bytes[..bytes.len().min(1024)];
    let key = [&b"charset="[..], b"encoding="]
        .into_iter()
        .find_map(|key| memmem::find(head, key).map(|at| at + key.len()))?;
    let value = head[key..]
        .strip_prefix(b"\"")
        .or(head[key..].strip_prefix(b"'"))
        .unwrap_or(&head[key..]);
    let end = value
        .iter()
        .position(|byte| !byte.is_ascii_alphanumeric() && !b"-_:.".contains(byte))?;
    String::from_utf8(value[..end].to_vec()).ok()
}

/// Whether an HTML page has its end: a body cut short without a length to show it arrives as if
/// it were whole.
pub fn check_end(html: &[u8]) -> Result<(), PageError> {
    if has_its_end(html) {
        return Ok(());
    }
    Err(PageError::new(
        Reason::Truncated,
        "the page ends without </html>",
    ))
}

/// Why a page without the landmarks of its kind is none.
pub fn unrecognised(html: &[u8], why: String) -> PageError {
    match block_page::sign(html) {
        Some(sign) => PageError::new(
            Reason::Challenge,
            format!("a page that wants something of a human ({sign:?}) came instead"),
        ),
        None => PageError::new(Reason::Unrecognised, why),
    }
}

pub fn has_its_end(html: &[u8]) -> bool {
    memmem::rfind(html, b"</html")
        .or_else(|| memmem::rfind(html, b"</HTML"))
        .is_some()
}

//! Turns a received page into UTF-8 for the parsers: inflates gzip, converts the charset, checks for
//! `</html>`.

use std::borrow::Cow;
use std::error::Error;
use std::io::Read;

use encoding_rs::{Encoding, UTF_8};
use flate2::bufread::{GzDecoder, MultiGzDecoder};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use libdeflater::{DecompressionError, Decompressor};
use memchr::memmem;

use crate::http::error::{PageError, Reason};
use crate::http::page::Page;
use crate::site::block_page::{self, Evidence};
use crate::site::dom::MAX_BYTES;
use crate::site::identity::{self, Identity};
use crate::site::paths::COMPANY_PREFIX;
use crate::telemetry::counters::Counters;
use crate::telemetry::lane::Lane;
use crate::telemetry::trace::Phase;

/// Maximum size of an inflated body, in bytes, unless the inflater has another limit. Real pages have 92 to
/// 623 KB. Each parser thread keeps one buffer of up to this size.
pub const MAX_INFLATED: usize = 2 << 20;
/// Maximum compression factor of Deflate, 1032:1
/// (<https://zlib.net/zlib_tech.html>, "Maximum Compression Factor").
const MAX_RATIO: usize = 1032;
/// How a gzip member begins: a magic number of two bytes, and the only compression method
/// (RFC 1952, 2.3.1).
pub const GZIP_MEMBER: [u8; 3] = [0x1f, 0x8b, 8];
/// The smallest buffer to inflate into.
const MIN_ROOM: usize = 4 << 10;

/// Inflates gzip bodies into a reused buffer.
///
/// Bodies are complete in memory, so libdeflate can be used: 0.22 ms a page, against 0.36 ms with
/// zlib-rs (496 pages of a crawl, 45 KB each, on one machine).
pub struct Inflater {
    decompressor: Decompressor,
    buffer: Vec<u8>,
    /// Maximum size of an inflated body, in bytes.
    pub limit: usize,
}

impl Default for Inflater {
    fn default() -> Self {
        Inflater {
            decompressor: Decompressor::new(),
            buffer: Vec::new(),
            limit: MAX_INFLATED,
        }
    }
}

impl Inflater {
    /// Inflates all members of a gzip body (RFC 1952, 2.2) and ignores bytes after the last one. Fails
    /// above its limit, because 1 MB of gzip can inflate to 1 GB.
    pub fn gunzip(&mut self, body: &[u8]) -> Result<&[u8], PageError> {
        // One body in 400 has these bytes by chance. It takes the longer way to the same result.
        let may_have_more =
            body.len() > GZIP_MEMBER.len() && memmem::find(&body[1..], &GZIP_MEMBER).is_some();
        if may_have_more {
            self.gunzip_members(body)
        } else {
            self.gunzip_first(body)
        }
    }

    /// Inflates the first member of a gzip body, like [`gunzip`](Self::gunzip).
    pub fn gunzip_first(&mut self, body: &[u8]) -> Result<&[u8], PageError> {
        // The last four bytes are normally the inflated length. They are only a first guess.
        let stated = body
            .last_chunk()
            .map_or(0, |length| u32::from_le_bytes(*length));
        let room = (stated as usize).min(body.len() * MAX_RATIO);
        let length = self.fill(room, |decompressor, buffer| {
            decompressor.gzip_decompress(body, buffer)
        });
        let length = length.map_err(|error| self.error(error, "gzip"))?;
        Ok(&self.buffer[..length])
    }

    fn gunzip_members(&mut self, mut body: &[u8]) -> Result<&[u8], PageError> {
        self.buffer.clear();
        loop {
            let room = self.limit - self.buffer.len();
            let mut member = GzDecoder::new(&mut body).take(room as u64 + 1);
            match member.read_to_end(&mut self.buffer) {
                Ok(length) if length > room => return Err(too_large(self.limit)),
                Ok(_) if body.starts_with(&GZIP_MEMBER[..2]) => {}
                Ok(_) => return Ok(&self.buffer),
                Err(_) => return Err(self.error(DecompressionError::BadData, "gzip")),
            }
        }
    }

    /// Inflates a body of the encoding `deflate`: zlib (RFC 1950), or the bare deflate data that some
    /// servers send instead.
    pub fn inflate_deflate(&mut self, body: &[u8]) -> Result<&[u8], PageError> {
        let room = 8 * body.len();
        let length = self
            .fill(room, |decompressor, buffer| {
                decompressor.zlib_decompress(body, buffer)
            })
            .or_else(|error| match error {
                DecompressionError::BadData => self.fill(room, |decompressor, buffer| {
                    decompressor.deflate_decompress(body, buffer)
                }),
                error => Err(error),
            })
            .map_err(|error| self.error(error, "deflate"))?;
        Ok(&self.buffer[..length])
    }

    /// Calls `inflate` with the buffer, which grows from `room` bytes to at most the limit.
    fn fill(
        &mut self,
        room: usize,
        inflate: impl Fn(&mut Decompressor, &mut [u8]) -> Result<usize, DecompressionError>,
    ) -> Result<usize, DecompressionError> {
        let mut room = room.clamp(MIN_ROOM, self.limit);
        loop {
            if self.buffer.len() < room {
                self.buffer.resize(room, 0);
            }
            match inflate(&mut self.decompressor, &mut self.buffer) {
                Err(DecompressionError::InsufficientSpace) if self.buffer.len() < self.limit => {
                    room = (2 * self.buffer.len()).min(self.limit);
                }
                result => return result,
            }
        }
    }

    fn error(&self, error: DecompressionError, encoding: &str) -> PageError {
        match error {
            DecompressionError::InsufficientSpace => too_large(self.limit),
            DecompressionError::BadData => {
                let detail =
                    format!("the {encoding} body does not inflate: it is damaged or cut short");
                PageError::new(Reason::BadEncoding, detail)
            }
        }
    }
}

/// The error of a body that is larger than `limit` bytes without its encodings.
pub fn too_large(limit: usize) -> PageError {
    let limit = limit >> 20;
    let detail = format!("the body inflates to more than {limit} MiB");
    PageError::new(Reason::TooLarge, detail)
}

/// The first `length` bytes that a gzip body of any number of members inflates to. `None` if it has
/// fewer, or if it is damaged or cut short before that.
pub fn gunzip_prefix(body: &[u8], length: usize) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let mut members = MultiGzDecoder::new(body).take(length as u64);
    members.read_to_end(&mut text).ok()?;
    (text.len() == length).then_some(text)
}

impl Page {
    /// The body without its Content-Encoding: the body itself, or the buffer of the inflater.
    pub fn inflate<'a>(&'a self, inflater: &'a mut Inflater) -> Result<&'a [u8], PageError> {
        let encoding = self.header(CONTENT_ENCODING.as_str());
        let encoding = encoding.as_deref().map(str::trim).unwrap_or_default();
        match encoding.to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(&self.body),
            "gzip" | "x-gzip" => inflater.gunzip(&self.body),
            _ => {
                let detail = format!(
                    "the server sent Content-Encoding {encoding:?}, but only gzip was requested"
                );
                Err(PageError::new(Reason::UnsupportedEncoding, detail))
            }
        }
    }

    /// The error of a block page, if there is a sign of one that is no weaker than `weakest`.
    fn block(&self, html: &[u8], weakest: Evidence) -> Option<PageError> {
        let sign = block_page::sign(&self.headers, html, weakest)?;
        let detail = format!("the site sent {sign}");
        Some(PageError::new(Reason::Challenge, detail))
    }

    /// Whether a page without its end is a part of a page, and not a block page.
    ///
    /// Without a Content-Length, the client cannot tell a truncated body from a complete one.
    fn is_cut_short(&self, html: &[u8]) -> bool {
        let weakest = if self.headers.contains_key(CONTENT_LENGTH) {
            Evidence::Word
        } else {
            Evidence::Text
        };
        self.block(html, weakest).is_none()
    }

    /// The error of a redirect to [another kind of page](Page::other_target), if it is one.
    fn redirected_elsewhere(&self) -> Option<PageError> {
        let target = self.other_target()?;
        let detail = format!("the site redirects it to another kind of page, {target}");
        Some(PageError::new(Reason::Redirects, detail))
    }

    /// Fails if the page, as `text` without its Content-Encoding, names another address than the
    /// requested one. Counts company pages that name none.
    pub fn check_identity(&self, text: &[u8], counters: &Counters) -> Result<(), PageError> {
        match identity::check(text, &self.asked, self.reached.as_deref()) {
            Identity::Confirmed => {}
            Identity::Unnamed if !self.asked.contains(COMPANY_PREFIX) => {}
            Identity::Unnamed => counters.unnamed.add(1),
            Identity::Other(other) => {
                let detail = format!("the response is another page, {other}");
                return Err(PageError::new(Reason::OtherPage, detail));
            }
        }
        Ok(())
    }
}

/// Inflates an HTML page, decodes it, checks that it is complete and parses it.
///
/// The error is [`Reason::OtherPage`] if the page names another address than the requested one. It is
/// [`Reason::Truncated`] if the page lacks `</html>` and is no block page. If `parse` fails, it is
/// [`Reason::Challenge`] for a block page, [`Reason::Redirects`] if a redirect has led to another kind of
/// page, and [`Reason::Unrecognised`] otherwise.
pub fn parse_html<T, E: Error + Send + Sync + 'static>(
    page: &Page,
    inflater: &mut Inflater,
    lane: &mut Lane,
    parse: impl FnOnce(&[u8]) -> Result<T, E>,
) -> Result<T, PageError> {
    let html = lane.time(Phase::Inflating, || page.inflate(inflater));
    let html = html.map_err(|error| page.block(b"", Evidence::Header).unwrap_or(error))?;
    lane.counters.bytes_decoded.add(html.len() as u64);
    lane.time(Phase::Reading, || {
        let html = to_utf8(html, page.charset().as_deref());
        if !has_html_end(&html) && page.is_cut_short(&html) {
            let detail = "the page ends without </html>";
            return Err(PageError::new(Reason::Truncated, detail));
        }
        let identity = page.check_identity(&html, lane.counters);
        let is_company = page.asked.contains(COMPANY_PREFIX);
        // A redirect to another index is more likely a wrong name of the index.
        let redirected = || page.redirected_elsewhere();
        identity.map_err(|other| redirected().filter(|_| is_company).unwrap_or(other))?;
        parse(&html).map_err(|error| {
            let block = page.block(&html, Evidence::Size);
            block.or_else(redirected).unwrap_or_else(|| {
                PageError::new(Reason::Unrecognised, error.to_string()).caused_by(error)
            })
        })
    })
}

/// Converts an inflated document to UTF-8. `charset` is the charset of the `Content-Type` header.
///
/// 1. A byte order mark wins.
/// 2. Valid UTF-8 stays UTF-8, even if another charset is declared.
/// 3. Otherwise the charset of the header applies, then the one declared in the document.
///
/// Input declared as UTF-8, or without a declaration, is not validated: the parsers use a few
/// hundred bytes of a page and check these. A document over `MAX_BYTES` is returned unchanged,
/// because no parser accepts it.
pub fn to_utf8<'a>(bytes: &'a [u8], charset: Option<&str>) -> Cow<'a, [u8]> {
    if bytes.len() > MAX_BYTES {
        return Cow::Borrowed(bytes);
    }
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return decode(encoding, &bytes[length..]);
    }
    let label = charset
        .map(str::to_owned)
        .or_else(|| declared_charset(bytes));
    match label.and_then(|label| Encoding::for_label(label.as_bytes())) {
        Some(encoding) if encoding != UTF_8 && std::str::from_utf8(bytes).is_err() => {
            decode(encoding, bytes)
        }
        _ => Cow::Borrowed(bytes),
    }
}

fn decode<'a>(encoding: &'static Encoding, bytes: &'a [u8]) -> Cow<'a, [u8]> {
    if encoding == UTF_8 {
        return Cow::Borrowed(bytes);
    }
    match encoding.decode_without_bom_handling(bytes).0 {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// The charset in `<meta charset="…">`, `<meta … content="text/html; charset=…">` or
/// `<?xml … encoding="…"?>`, if there is one. Like browsers, this searches the first 1024 bytes only.
fn declared_charset(bytes: &[u8]) -> Option<String> {
    let head = &bytes[..bytes.len().min(1024)];
    let value_start = [&b"charset="[..], b"encoding="]
        .into_iter()
        .find_map(|key| memmem::find(head, key).map(|at| at + key.len()))?;
    let value = head[value_start..]
        .strip_prefix(b"\"")
        .or(head[value_start..].strip_prefix(b"'"))
        .unwrap_or(&head[value_start..]);
    let end = value
        .iter()
        .position(|byte| !byte.is_ascii_alphanumeric() && !b"-_:.".contains(byte))?;
    String::from_utf8(value[..end].to_vec()).ok()
}

/// Whether the page contains `</html` or `</HTML`.
pub fn has_html_end(html: &[u8]) -> bool {
    memmem::rfind(html, b"</html")
        .or_else(|| memmem::rfind(html, b"</HTML"))
        .is_some()
}

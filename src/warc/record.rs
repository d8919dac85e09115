//! One WARC record, and the HTTP response in it.

use http::header::{CONTENT_ENCODING, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;

use crate::http::error::MAX_HEADERS;

pub const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The field with the target of the last redirect before a response, if there was one. The format
/// allows fields of one's own, and has none for this.
pub const REDIRECTED_TO: &str = "X-Redirected-To";
/// The field that marks a second look at an index page. A replay needs the first look too, so such a
/// record does not take the place of an earlier one.
pub const SECOND_LOOK: &str = "X-Second-Look";

/// The head and the block of a record.
pub struct Record<'a> {
    pub head: &'a [u8],
    pub block: &'a [u8],
}

impl<'a> Record<'a> {
    /// Parses the record at the start of `bytes`. Returns it with the bytes after it, or `None` if
    /// the record is invalid or incomplete.
    pub fn parse(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        if !bytes.starts_with(b"WARC/") {
            return None;
        }
        let end = memchr::memmem::find(bytes, b"\r\n\r\n")? + 4;
        let (head, rest) = bytes.split_at(end);
        let mut record = Record { head, block: &[] };
        let length = record.field("content-length")?.parse().ok()?;
        record.block = rest.get(..length)?;
        Some((record, rest[length..].trim_ascii_start()))
    }

    /// The value of a header field, if present.
    pub fn field(&self, name: &str) -> Option<&'a str> {
        field(self.head, name)
    }

    /// The `WARC-Date`: when the response arrived. The Unix epoch if the field is missing or
    /// invalid.
    pub fn date(&self) -> Timestamp {
        let date = self.field("warc-date").and_then(|date| date.parse().ok());
        date.unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Scheme and host of the address, and its path and query as stored. `None` if the record is not a
    /// response.
    pub fn address(&self) -> Option<(&'a str, &'a str)> {
        if self.field("warc-type")? != "response" {
            return None;
        }
        // Some writers put the address into angle brackets, as WARC 1.0 did.
        let address = self.field("warc-target-uri")?.trim_matches(['<', '>']);
        let host = address.find("://")? + "://".len();
        Some(address.split_at(host + address[host..].find('/')?))
    }
}

/// The `name: value` lines of a record's head, or of the block of a `warcinfo` record. Lines that are
/// not UTF-8 are left out, so that a damaged one does not hide the length of the record.
pub fn fields(lines: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    lines
        .split(|byte| *byte == b'\n')
        .filter_map(|line| std::str::from_utf8(line).ok()?.split_once(':'))
        .map(|(name, value)| (name.trim(), value.trim()))
}

/// The value of the first field of this name in the head of a record, if present.
pub fn field<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    fields(head)
        .find(|(field, _)| field.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// An HTTP response as stored in the block of a record.
pub struct HttpResponse<'a> {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: &'a [u8],
}

impl<'a> HttpResponse<'a> {
    /// Parses a response. `None` if its head is invalid, incomplete or has more headers than the writer
    /// stores: those of a response, and a `Content-Length`.
    pub fn parse(block: &'a [u8]) -> Option<Self> {
        let mut slots = [httparse::EMPTY_HEADER; MAX_HEADERS + 1];
        let mut response = httparse::Response::new(&mut slots);
        let httparse::Status::Complete(head) = response.parse(block).ok()? else {
            return None;
        };
        let mut headers = HeaderMap::new();
        for header in response.headers.iter() {
            let name = HeaderName::from_bytes(header.name.as_bytes()).ok()?;
            headers.append(name, HeaderValue::from_bytes(header.value).ok()?);
        }
        Some(HttpResponse {
            status: response.code?,
            headers,
            body: &block[head..],
        })
    }

    /// Replaces the content of `buffer` with the body, its chunks joined, and makes
    /// `Content-Encoding` agree with it.
    ///
    /// Some programs store bodies as received, others store them joined and inflated. Both store the
    /// headers as received.
    pub fn copy_body(&mut self, buffer: &mut Vec<u8>) {
        buffer.clear();
        let is_chunked = self
            .headers
            .get(TRANSFER_ENCODING)
            .is_some_and(|coding| coding == "chunked");
        if !(is_chunked && join_chunks(self.body, buffer).is_some()) {
            buffer.clear();
            buffer.extend_from_slice(self.body);
        }
        if !buffer.starts_with(&GZIP_MAGIC) {
            self.headers.remove(CONTENT_ENCODING);
        }
    }
}

/// Appends the content of the chunks to `joined`. Returns `None` if the body is not chunked.
pub fn join_chunks(mut body: &[u8], joined: &mut Vec<u8>) -> Option<()> {
    loop {
        let httparse::Status::Complete((start, size)) = httparse::parse_chunk_size(body).ok()?
        else {
            return None;
        };
        if size == 0 {
            return Some(());
        }
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        joined.extend_from_slice(body.get(start..end)?);
        body = body.get(end..)?.strip_prefix(b"\r\n")?;
    }
}

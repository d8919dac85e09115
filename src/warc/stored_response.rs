//! The response in a record, read as leniently as browsers read one.
//!
//! Some programs store bodies as received, others store them joined and decoded. Both store the headers
//! as received, or write them anew.

use std::borrow::Cow;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memmem;
use url::Url;

use crate::http::decode::GZIP_MEMBER;
use crate::http::encodings;
use crate::http::error::PageError;
use crate::http::redirect;
use crate::warc::record::{self, Address, Record};

/// Maximum size of the head of a response in bytes. Real ones have 1 KB.
const MAX_HEAD: usize = 256 << 10;
/// Maximum number of heads before a body: that of a proxy, interim ones (RFC 9110, 15.2), and the last.
const MAX_HEADS: usize = 5;
/// Maximum size of the line before a chunk, with its extensions, in bytes.
const MAX_CHUNK_LINE: usize = 4 << 10;

/// A response as stored.
#[derive(Debug, Clone, Copy)]
pub struct StoredResponse<'a> {
    pub status: u16,
    /// The lines of the last head; empty if the record has only a body.
    head: &'a [u8],
    pub body: &'a [u8],
    /// What follows the first head. It differs from `body` if there are several.
    pub after_first_head: &'a [u8],
    /// The Content-Type of a body without a head.
    content_type: Option<&'a [u8]>,
}

impl<'a> StoredResponse<'a> {
    /// The response of a `response` or `revisit` record. A bare body counts as status 200 if it is text: in a
    /// `resource` record, or if the Content-Type of the record is not `application/http`. `None` if the head
    /// is invalid or larger than 256 KiB.
    ///
    /// `is_own` says that this program has stored it. Then its body is what the site sent, even if it begins
    /// like another head.
    pub fn of_record(record: &Record<'a>, is_own: bool) -> Option<Self> {
        if is_own {
            return StoredResponse::parse_one(record.block);
        }
        let content_type = match record::field(record.head, "content-type") {
            Some(Cow::Borrowed(content_type)) => Some(content_type),
            _ => None,
        };
        let is_http = content_type
            .is_none_or(|content_type| starts_with_ignore_case(content_type, b"application/http"));
        let response = StoredResponse::parse(record.block).filter(|_| !record.is("resource"));
        let is_bare = response.is_none() && (record.is("resource") || !is_http);
        let body = StoredResponse {
            status: 200,
            head: b"",
            body: record.block,
            after_first_head: record.block,
            content_type,
        };
        response.or(Some(body).filter(|body| is_bare && body.is_text()))
    }

    /// Whether a body without a head may be a page: not if it is a picture of one.
    fn is_text(&self) -> bool {
        self.content_type.is_none_or(|content_type| {
            let content_type = content_type.to_ascii_lowercase();
            let kinds: [&[u8]; 3] = [b"html", b"xml", b"text/plain"];
            let mut kinds = kinds.iter();
            kinds.any(|kind| memmem::find(&content_type, kind).is_some())
        })
    }

    /// Parses head and body. The head of a proxy, or an interim one, is followed by another head.
    fn parse(block: &'a [u8]) -> Option<Self> {
        let mut response = StoredResponse::parse_one(block)?;
        for _ in 1..MAX_HEADS {
            match StoredResponse::parse_one(response.body) {
                Some(next) => {
                    let after_first_head = response.after_first_head;
                    response = StoredResponse {
                        after_first_head,
                        ..next
                    };
                }
                None => break,
            }
        }
        Some(response)
    }

    fn parse_one(block: &'a [u8]) -> Option<Self> {
        let block = block.trim_ascii_start();
        let mut lines = block.split(|byte| *byte == b'\n');
        let mut status = status_of_line(lines.next()?)?;
        let start = &block[..block.len().min(MAX_HEAD)];
        // Some programs leave out the empty line of a head without a body.
        let whole = (block.len() <= MAX_HEAD).then_some(block.len());
        let (head, body) = block.split_at(record::head_end(start).or(whole)?);
        // Of two status lines, one after the other, the second is that of the headers.
        for line in head.split(|byte| *byte == b'\n').skip(1) {
            match status_of_line(line) {
                Some(next) => status = next,
                None => break,
            }
        }
        Some(StoredResponse {
            status,
            head,
            body,
            after_first_head: body,
            content_type: None,
        })
    }

    /// Where a redirect leads, without a fragment. `None` for other statuses and without a usable address.
    pub fn redirect(&self, from: &Address) -> Option<String> {
        if !redirect::is_redirect(self.status) {
            return None;
        }
        let location = record::field(self.head, LOCATION.as_str())?;
        let from = Url::parse(&format!("{}{}", from.site, from.path)).ok()?;
        redirect::target(&from, location.trim_ascii()).map(String::from)
    }

    /// The headers. Those with an invalid name or value are left out.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let content_type = self.content_type.map(|value| (CONTENT_TYPE, value.into()));
        let of_head = record::fields(self.head)
            .filter_map(|(name, value)| Some((HeaderName::from_bytes(name).ok()?, value)));
        for (name, value) in of_head.chain(content_type) {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                // A map that is full takes no more.
                let _ = headers.try_append(name, value);
            }
        }
        headers
    }

    /// Replaces the content of `buffer` with the body: chunks joined, encodings removed. A single gzip stays,
    /// because the parsers inflate it. Sets `Content-Encoding` to what is left; other headers stay as
    /// stored.
    pub fn copy_body(
        &self,
        headers: &mut HeaderMap,
        buffer: &mut Vec<u8>,
    ) -> Result<(), PageError> {
        buffer.clear();
        let mut codings = listed_codings(headers, CONTENT_ENCODING);
        codings.extend(listed_codings(headers, TRANSFER_ENCODING));
        let is_chunked = codings.iter().any(|coding| coding == "chunked");
        codings.retain(|coding| !["chunked", "identity", "none", ""].contains(&&**coding));
        if !(is_chunked && join_chunks(self.body, buffer).is_some()) {
            buffer.clear();
            buffer.extend_from_slice(self.body);
        }
        headers.remove(CONTENT_ENCODING);
        let is_gzip = |coding: &String| ["gzip", "x-gzip"].contains(&&**coding);
        let is_gzip_left = match &*codings {
            // The program that stored it may have dropped the header. No text begins like this.
            [] => buffer.starts_with(&GZIP_MEMBER),
            [coding] if is_gzip(coding) => buffer.starts_with(&GZIP_MEMBER[..2]),
            codings => {
                if let Some(decoded) = encodings::decode(codings, buffer)? {
                    *buffer = decoded;
                }
                false
            }
        };
        if is_gzip_left {
            // The parsers inflate it.
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Ok(())
    }
}

/// The values of a header that lists codings, in lower case.
fn listed_codings(headers: &HeaderMap, name: HeaderName) -> Vec<String> {
    let values = headers.get_all(name).iter();
    let lists = values.map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase());
    let codings = |list: String| -> Vec<String> {
        let codings = list.split(',').map(|coding| coding.trim().to_owned());
        codings.collect()
    };
    lists.flat_map(codings).collect()
}

/// The status in `HTTP/1.1 200 OK`, whatever its version, case and spaces, and in `HTTP 200 OK` and `h3 200`,
/// as browsers name protocols. `None` if the line is no status line.
fn status_of_line(line: &[u8]) -> Option<u16> {
    let mut words = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let protocol = words.next()?;
    let is_http = starts_with_ignore_case(line, b"HTTP/")
        || ["HTTP", "h2", "h3"]
            .iter()
            .any(|name| protocol.eq_ignore_ascii_case(name.as_bytes()));
    if !is_http {
        return None;
    }
    let status = std::str::from_utf8(words.next()?).ok()?;
    let status = status.parse().ok()?;
    (100..1000).contains(&status).then_some(status)
}

fn starts_with_ignore_case(text: &[u8], prefix: &[u8]) -> bool {
    let start = text.get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Appends the content of the chunks to `joined`. Returns `None` if the body does not begin with a chunk.
/// Ends where the chunks end, or where they are damaged.
pub fn join_chunks(mut body: &[u8], joined: &mut Vec<u8>) -> Option<()> {
    let (mut size, mut rest) = chunk_size(body)?;
    // The end of a chunk that is complete.
    let after = |size: usize, rest: &[u8]| match rest.get(size..) {
        None | Some([]) => true,
        Some(after) => after.starts_with(b"\n") || after.starts_with(b"\r\n"),
    };
    if !after(size, rest) {
        return None;
    }
    while size > 0 {
        let chunk;
        (chunk, body) = rest.split_at(size.min(rest.len()));
        joined.extend_from_slice(chunk);
        let body = body.strip_prefix(b"\r").unwrap_or(body);
        let Some(next) = body.strip_prefix(b"\n").and_then(chunk_size) else {
            break;
        };
        (size, rest) = next;
    }
    Some(())
}

/// The size of the chunk at the start of `body`, and what follows the line. Extensions are ignored.
fn chunk_size(body: &[u8]) -> Option<(usize, &[u8])> {
    let end = body
        .iter()
        .take(MAX_CHUNK_LINE)
        .position(|byte| *byte == b'\n')?;
    let line = &body[..end];
    let size = line.split(|byte| *byte == b';').next()?.trim_ascii();
    let size = Some(size).filter(|size| size.iter().all(u8::is_ascii_hexdigit))?;
    let size = usize::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
    Some((size, &body[end + 1..]))
}

//! A response as received.

use std::borrow::Cow;
use std::time::Duration;

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::http::body::LargeBufferPermit;
use crate::http::error::PageError;

/// Maximum size of the body of a company page, in bytes on the wire. Real ones have 20 to 61 KB. A body
/// beyond this would also exceed the limit of the parser once inflated.
pub const MAX_BODY: u64 = 2 << 20;

/// A response as received. Pages travel through the pipeline compressed; the parser inflates them.
#[derive(Debug)]
pub struct Page {
    /// The address or path that was requested.
    pub asked: String,
    /// The address that the last redirect led to, if the response was redirected.
    pub reached: Option<String>,
    /// Why the response, a redirect, was not followed.
    pub not_followed: Option<Box<PageError>>,
    pub status: u16,
    pub headers: HeaderMap,
    /// In the encoding that `Content-Encoding` names, chunks joined.
    pub body: Vec<u8>,
    /// From sending the request to the headers of the response.
    pub waited: Duration,
    /// From sending the request to the last byte of the response.
    pub elapsed: Duration,
    /// Whether the page comes from the journal of an earlier run. If it is unusable, the page is
    /// requested from the site, and the failure does not count as an attempt.
    pub from_journal: bool,
    /// The permit for a body larger than usual; it lives as long as the body.
    pub large: Option<LargeBufferPermit>,
    /// The body of a download, which is not in `body`.
    pub saved: Option<Saved>,
}

/// A body that was saved while it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// Its length, with the bytes of an earlier attempt.
    pub bytes: u64,
    /// SHA-256 in hexadecimal, as `sha256sum` prints it.
    pub sha256: String,
}

impl Page {
    /// The address that a redirect led to, unless its path contains the slug of the page: the last part of
    /// the requested path, without `-stock`. A page that has moved keeps its slug, a consent form or log-in
    /// has none.
    pub fn other_target(&self) -> Option<&str> {
        fn path(address: &str) -> &str {
            address.split(['?', '#']).next().unwrap_or_default()
        }
        let target = self.reached.as_deref()?;
        let slug = path(&self.asked).rsplit('/').next()?;
        let slug = slug.trim_end_matches("-stock");
        (!path(target).contains(slug)).then_some(target)
    }

    /// The value of a header, if present; bytes that are not UTF-8 are replaced.
    pub fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        let value = self.headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()))
    }

    /// The charset that `Content-Type` names, in lower case, if any.
    pub fn charset(&self) -> Option<String> {
        let content_type = self.header(CONTENT_TYPE.as_str())?.to_ascii_lowercase();
        let (_, after) = content_type.split_once("charset=")?;
        let charset = after.split(';').next()?.trim();
        Some(charset.trim_matches(['"', '\'']).to_owned())
    }
}

//! Why a request gave no usable page.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::Serialize;

use crate::http::tls;
use crate::site::text::prefix;
use crate::words;

/// Maximum size of `detail` in bytes. `detail` may quote the server, and 100,000 pages may fail.
const MAX_DETAIL: usize = 300;

/// Maximum number of headers of a response. It is the limit of the HTTP library.
pub const MAX_HEADERS: usize = 128;

/// How the sentence about a response that is not HTTP begins.
const INVALID: &str = "the response is not valid HTTP";

/// Why an address gave no usable page.
#[derive(Debug, Clone, Serialize, thiserror::Error)]
#[error("{detail}")]
pub struct PageError {
    pub reason: Reason,
    /// What happened, phrased to follow a colon. At most 300 bytes, which may quote the server.
    pub detail: String,
    #[serde(skip)]
    #[source]
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

/// Compares reason and detail only: the causes of two equal failures may differ in details of the
/// system.
impl PartialEq for PageError {
    fn eq(&self, other: &Self) -> bool {
        self.reason == other.reason && self.detail == other.detail
    }
}

/// The kinds of failure that a run distinguishes. Reports use their names in snake case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The host name does not resolve, or no connection could be made.
    Unreachable,
    /// The proxy cannot be reached, or does not let the request through.
    Proxy,
    /// The process or the system has as many files and connections open as it may.
    TooManyFiles,
    Timeout,
    /// The connection broke before the response was complete.
    Broken,
    /// A body shorter than its Content-Length, or an HTML page without its end.
    Truncated,
    /// The response is not valid HTTP.
    Protocol,
    /// The headers of the response exceed the limit.
    HeadersTooLarge,
    Tls,
    /// 408, 425, 429, 500, 502–504, 520–527, 529, 530: transient by definition or by experience. From 520
    /// on they come from a proxy such as Cloudflare that cannot reach the site; 526 means an invalid
    /// certificate there.
    Busy,
    /// 404, 410.
    Gone,
    /// 401, 402, 403, 451, 511, 999: the site, or a network in between, refuses the request.
    Blocked,
    /// A block page instead of the one requested (a captcha, a consent form, a log-in), or a check by
    /// cookie.
    Challenge,
    /// 429, or 503 with a `Retry-After`.
    Postponed,
    /// robots.txt forbids the request.
    Robots,
    /// Any other status of 500 to 599.
    ServerError,
    /// Any other status.
    Status,
    /// The page names another address than the requested one.
    OtherPage,
    /// A redirect to another host, or from https to http.
    Offsite,
    /// Too many redirects, one without a usable address, one to another kind of page, or a check by
    /// cookie that is repeated.
    Redirects,
    TooLarge,
    /// A Content-Encoding or Transfer-Encoding that the request did not accept, or one in an archive that
    /// cannot be removed.
    UnsupportedEncoding,
    /// A body that does not decode: damaged or cut short.
    BadEncoding,
    /// The archive does not contain the page.
    NotArchived,
    /// The record of the page in the archive is damaged.
    Damaged,
    /// The page lacks the landmarks that it is parsed by.
    Unrecognised,
    /// Fetching or parsing the page panicked.
    Panic,
    /// The run was cancelled before the response was complete.
    Stopped,
}

impl Reason {
    /// What a status other than 200 means.
    pub fn of_status(status: u16) -> Self {
        match status {
            408 | 425 | 429 | 500 | 502..=504 | 520..=527 | 529 | 530 => Reason::Busy,
            404 | 410 => Reason::Gone,
            401..=403 | 451 | 511 | 999 => Reason::Blocked,
            500..=599 => Reason::ServerError,
            _ => Reason::Status,
        }
    }

    /// Whether the response refuses the page: a block page, a status such as 403 or 405, or a redirect that
    /// is not followed. Five without a company page between them end the run.
    pub fn is_refusal(self) -> bool {
        use Reason::{Blocked, Challenge, Offsite, Redirects, Status};
        matches!(self, Blocked | Challenge | Offsite | Redirects | Status)
    }
}

impl PageError {
    /// Creates an error without a cause.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if detail.len() > MAX_DETAIL {
            // A new text: a long one that shrinks in its place leaves a hole that no other long one fits.
            detail = format!("{}…", prefix(&detail, MAX_DETAIL - '…'.len_utf8()));
        }
        PageError {
            reason,
            detail,
            cause: None,
        }
    }

    /// Returns the error with `cause` as its source.
    pub fn caused_by(self, cause: impl Error + Send + Sync + 'static) -> Self {
        PageError {
            cause: Some(Arc::new(cause)),
            ..self
        }
    }

    /// Returns the error without its cause and without spare memory, as a list of many failures keeps it.
    pub fn without_cause(mut self) -> Self {
        self.cause = None;
        self.detail.shrink_to_fit();
        self
    }

    /// The failure of another page that is the cause of this one, if one is.
    pub fn cause_on_other_page(&self) -> Option<&PageError> {
        self.cause.as_deref()?.downcast_ref()
    }

    /// Converts an error of the HTTP client.
    pub fn of_client(error: ureq::Error) -> Self {
        let (reason, detail) = describe(&error);
        PageError::new(reason, detail).caused_by(error)
    }

    /// Converts an I/O error of a connection.
    pub fn of_io(error: io::Error) -> Self {
        let (reason, detail) = describe_io(&error);
        PageError::new(reason, detail).caused_by(error)
    }
}

/// What an error of the HTTP client means, and the sentence for it.
fn describe(error: &ureq::Error) -> (Reason, String) {
    use ureq::Error::*;
    let (reason, sentence) = match error {
        Io(error) => return describe_io(error),
        Rustls(error) => return (Reason::Tls, tls::describe(error)),
        Tls(why) => return (Reason::Tls, format!("TLS failed: {why}")),
        Timeout(ureq::Timeout::Resolve) => (
            Reason::Unreachable,
            "the host name was not resolved in time",
        ),
        Timeout(ureq::Timeout::Connect) => (Reason::Unreachable, "no connection in time"),
        Timeout(ureq::Timeout::Global) => (Reason::Timeout, "not done within --timeout"),
        Timeout(ureq::Timeout::RecvResponse) => (Reason::Timeout, "no response in time"),
        Timeout(_) => (Reason::Timeout, "the response stalled"),
        HostNotFound => (Reason::Unreachable, "the host name cannot be resolved"),
        ConnectionFailed => (Reason::Unreachable, "no connection could be made"),
        ConnectProxyFailed(why) => return (Reason::Proxy, describe_refusal(why)),
        LargeResponseHeader(_, limit) => {
            let limit = limit >> 10;
            let sentence = format!("the headers of the response are larger than {limit} KiB");
            return (Reason::HeadersTooLarge, sentence);
        }
        BodyExceedsLimit(limit) => {
            let limit = limit >> 20;
            let sentence =
                format!("the response, with all chunks and trailers, is larger than {limit} MiB");
            return (Reason::TooLarge, sentence);
        }
        error if has_too_many_headers(error) => {
            let sentence = format!("the response has more than {MAX_HEADERS} headers");
            return (Reason::HeadersTooLarge, sentence);
        }
        Protocol(why) => {
            let why = describe_invalid(&why.to_string());
            return (Reason::Protocol, format!("{INVALID}: {why}"));
        }
        BodyStalled => {
            return (
                Reason::Protocol,
                format!("{INVALID}: its chunks are malformed"),
            );
        }
        other => return (Reason::Protocol, format!("the request failed: {other}")),
    };
    (reason, sentence.to_owned())
}

fn describe_io(error: &io::Error) -> (Reason, String) {
    use ErrorKind::*;
    if let Some(unresolved) = error.get_ref().and_then(|error| error.downcast_ref()) {
        let Unresolved { host, .. } = unresolved;
        let sentence = format!("the host name {host} cannot be resolved");
        return (Reason::Unreachable, sentence);
    }
    if let Some(sentence) = tls::describe_io(error) {
        return (Reason::Tls, sentence);
    }
    let (reason, sentence) = match error.kind() {
        _ if words::is_out_of_files(error) => (
            Reason::TooManyFiles,
            "no connection, because too many files are open",
        ),
        ConnectionRefused => (Reason::Unreachable, "the connection was refused"),
        NetworkUnreachable => (
            Reason::Unreachable,
            "this machine has no network to the host",
        ),
        HostUnreachable => (Reason::Unreachable, "the host cannot be reached"),
        AddrNotAvailable | AddrInUse => (
            Reason::Unreachable,
            "this machine has no free port for a connection",
        ),
        PermissionDenied => (
            Reason::Unreachable,
            "this machine does not allow the connection",
        ),
        ConnectionReset => (
            Reason::Broken,
            "the connection was reset before the response was complete",
        ),
        kind if is_disconnect(kind) => (
            Reason::Broken,
            "the connection ended before the response was complete",
        ),
        TimedOut => (Reason::Timeout, "the response stalled"),
        _ => return (Reason::Unreachable, words::of_system(error)),
    };
    (reason, sentence.to_owned())
}

/// What is wrong with a response, from the words of the library.
fn describe_invalid(why: &str) -> String {
    let why = why.strip_prefix("http parse fail: ").unwrap_or(why);
    let words = match why {
        "invalid header name" => {
            "malformed header (no colon, or a name that is empty or has a space or another invalid character)"
        }
        "invalid header value" => "malformed header (a value with a control character)",
        "invalid new line" => "malformed header (a carriage return without a line feed)",
        "invalid HTTP version" => "it does not begin with HTTP/1.0 or HTTP/1.1",
        "invalid response status" => "malformed status line",
        "content-length header not a number" => "malformed header (Content-Length is not a number)",
        "received headers with 100-continue response" => {
            "malformed header (an interim response, 100, with headers)"
        }
        _ => why,
    };
    words.to_owned()
}

/// What a proxy has answered, from the words of the library: `proxy server responded 407/407`.
fn describe_refusal(why: &str) -> String {
    let status = why
        .rsplit(['/', ' '])
        .next()
        .filter(|status| status.parse::<u16>().is_ok());
    match status {
        Some("407") => "HTTP status 407: it demands a user and a password".to_owned(),
        Some(status) => format!("HTTP status {status}"),
        None => why.to_owned(),
    }
}

/// A host name without an address.
#[derive(Debug, thiserror::Error)]
#[error("{host} cannot be resolved")]
pub struct Unresolved {
    pub host: String,
    #[source]
    pub cause: io::Error,
}

/// The library does not export the type of this error, so it is found by the name of its variant.
fn has_too_many_headers(error: &ureq::Error) -> bool {
    let ureq::Error::Protocol(error) = error else {
        return false;
    };
    format!("{error:?}") == "HttpParseTooManyHeaders"
}

/// Whether an I/O error means that the peer has closed the connection.
pub fn is_disconnect(kind: ErrorKind) -> bool {
    use ErrorKind::*;
    matches!(
        kind,
        ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof | NotConnected
    )
}

/// Runs `work` on one page. A panic becomes the failure of that page; `what` names the work, such as
/// "parsing".
pub fn catch_panic<T>(
    what: &str,
    work: impl FnOnce() -> Result<T, PageError>,
) -> Result<T, PageError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let detail = format!("{what} the page panicked");
        Err(PageError::new(Reason::Panic, detail))
    })
}

//! Why a request gave no usable page.

use std::error::Error;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::Serialize;
use ureq::Timeout;

use crate::http::tls;
use crate::site::text::{is_invisible, prefix};

/// Maximum size of `detail` in bytes. `detail` may quote the server, and 100,000 pages may fail.
const MAX_DETAIL: usize = 300;

/// Why an address gave no usable page.
#[derive(Debug, Clone, Serialize, thiserror::Error)]
#[error("{detail}")]
pub struct PageError {
    pub reason: Reason,
    /// What happened, phrased to follow a colon. At most 300 bytes, no control characters.
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
    /// 408, 425, 429, 500, 502–504, 520–524: transient by definition or by experience.
    Busy,
    /// 404, 410.
    Gone,
    /// 401, 403, 451.
    Blocked,
    /// A block page instead of the one requested: a captcha, a consent form, a log-in.
    Challenge,
    /// 429 or 503 with a `Retry-After`.
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
    /// A redirect without a usable address, or too many of them.
    Redirects,
    TooLarge,
    /// A Content-Encoding that the request did not accept.
    UnsupportedEncoding,
    /// A body that does not inflate.
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
            408 | 425 | 429 | 500 | 502..=504 | 520..=524 => Reason::Busy,
            404 | 410 => Reason::Gone,
            401 | 403 | 451 => Reason::Blocked,
            500..=599 => Reason::ServerError,
            _ => Reason::Status,
        }
    }
}

impl PageError {
    /// Creates an error without a cause. Control and invisible characters in `detail` are replaced,
    /// because it may quote the server and goes to a terminal.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        let is_plain = |c: char| !c.is_control() && !is_invisible(c);
        if !detail.chars().all(is_plain) {
            let plain = |c| if is_plain(c) { c } else { '\u{fffd}' };
            detail = detail.chars().map(plain).collect();
        }
        if detail.len() > MAX_DETAIL {
            detail.truncate(prefix(&detail, MAX_DETAIL - '…'.len_utf8()).len());
            detail.push('…');
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
        let detail = match &error {
            ureq::Error::Io(cause) => tls::describe_io(cause).unwrap_or_else(|| cause.to_string()),
            ureq::Error::Rustls(error) => tls::describe(error),
            ureq::Error::HostNotFound => "the host name cannot be resolved".to_owned(),
            ureq::Error::Timeout(Timeout::Resolve) => {
                "the host name was not resolved in time".to_owned()
            }
            ureq::Error::Timeout(Timeout::Connect) => "no connection in time".to_owned(),
            ureq::Error::Timeout(Timeout::Global) => "not done within --timeout".to_owned(),
            ureq::Error::Timeout(Timeout::RecvResponse) => "no response in time".to_owned(),
            ureq::Error::Timeout(_) => "the response stalled".to_owned(),
            other => other.to_string(),
        };
        PageError::new(client_reason(&error), detail).caused_by(error)
    }
}

fn client_reason(error: &ureq::Error) -> Reason {
    use ureq::Error;
    match error {
        Error::Timeout(Timeout::Resolve | Timeout::Connect) => Reason::Unreachable,
        Error::Timeout(_) => Reason::Timeout,
        Error::HostNotFound | Error::ConnectionFailed | Error::ConnectProxyFailed(_) => {
            Reason::Unreachable
        }
        Error::Io(error) if is_disconnect(error.kind()) => Reason::Broken,
        Error::Io(error) if tls::describe_io(error).is_some() => Reason::Tls,
        Error::Io(error) if error.kind() == ErrorKind::TimedOut => Reason::Timeout,
        Error::Io(_) => Reason::Unreachable,
        Error::Rustls(_) | Error::Tls(_) | Error::Pem(_) => Reason::Tls,
        Error::LargeResponseHeader(..) => Reason::HeadersTooLarge,
        Error::BodyExceedsLimit(_) => Reason::TooLarge,
        _ => Reason::Protocol,
    }
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

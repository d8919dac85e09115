//! The exact bytes that the server sends for each fault. Changed pages come from `alter`.

use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use percent_encoding::{CONTROLS, utf8_percent_encode};
use socket2::SockRef;

use super::alter::{Target, altered};
use super::fault::{DateFormat, Fault, RetryAfter};
use super::pages::Response;
use super::stream::Stream;
use AfterReply::{CloseAfter, Drip, KeepOpen, ResetAfter, SendAfter};

/// Size of the response head of `endless-head`. The client accepts 32 KiB.
const ENDLESS_HEAD_LEN: usize = 4 << 20;
/// Size of the body of `huge`. The client accepts 2 MiB.
const HUGE_BODY_LEN: usize = 9 << 20;
/// Size that the gzip body of `bomb` inflates to. The client inflates at most 2 MiB.
const BOMB_INFLATED_LEN: usize = 40 << 20;
/// `drip` sends one byte per interval.
const DRIP_INTERVAL: Duration = Duration::from_millis(100);
/// Delay between the last byte and the reset. A reset discards unread data, so an immediate one would
/// hide the bytes before it.
const RESET_DELAY: Duration = Duration::from_millis(10);
/// Delay of the surplus response of `surplus-late`: the client has its own response by then.
const SURPLUS_DELAY: Duration = Duration::from_millis(20);
const NO_WAIT: Duration = Duration::ZERO;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n";
const GZIP: &str = "Content-Encoding: gzip\r\n";
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

/// The beginning of a TLS record in place of HTTP.
const GARBAGE: &[u8] = b"\x16\x03\x01 what is this\r\n\r\n";
const CHALLENGE: &str = "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>\
    <div id=\"challenge-error-text\">Enable JavaScript and cookies to continue</div></body></html>";
const CONSENT: &str = "<!DOCTYPE html><html><head><title>Before you continue</title></head><body>\
    <form action=\"/consent\"><h1>We value your privacy</h1><button>Accept all</button></form></body></html>";

/// What to do with the connection after the bytes of a reply.
enum AfterReply {
    /// Read the next request of the connection.
    KeepOpen,
    /// Send these bytes one by one, then read the next request.
    Drip(Vec<u8>),
    /// Send these bytes after this time, then read the next request.
    SendAfter(Duration, Vec<u8>),
    CloseAfter(Duration),
    ResetAfter(Duration),
}

/// Sends the reply that a fault prescribes. Returns whether the connection stays usable, or an error if
/// it is to end in a reset.
///
/// Over TLS, the reply is what the records carry: a fault breaks HTTP and not TLS.
pub(super) fn respond(stream: &mut Stream, fault: &Fault, target: Target) -> io::Result<bool> {
    let (bytes, after) = reply(fault, target);
    stream.write_all(&bytes)?;
    match after {
        KeepOpen => Ok(true),
        Drip(body) => {
            for byte in body {
                stream.write_all(&[byte])?;
                thread::sleep(DRIP_INTERVAL);
            }
            Ok(true)
        }
        SendAfter(wait, bytes) => {
            thread::sleep(wait);
            stream.write_all(&bytes)?;
            Ok(true)
        }
        CloseAfter(wait) => {
            thread::sleep(wait);
            Ok(false)
        }
        ResetAfter(wait) => {
            thread::sleep(wait);
            // Makes the kernel send RST in place of FIN when the socket is closed.
            SockRef::from(stream.tcp()).set_linger(Some(Duration::ZERO))?;
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
}

/// Returns the bytes to send for a fault, and what to do with the connection afterwards.
fn reply(fault: &Fault, target: Target) -> (Vec<u8>, AfterReply) {
    let page = target.page();
    let plain = || page.map_or_else(|| b"<html></html>".to_vec(), Response::plain_body);
    let gzipped = || page.map_or(&b""[..], Response::gzipped_body);
    let message = || page.map_or_else(|| status_only(404, ""), |page| page.gzipped_message.clone());
    let redirect_or_page =
        |to: Option<String>| to.map_or_else(message, |to| redirect(&encoded_path(&to)));
    match fault {
        // A status without a page.
        Fault::Status(status) => (status_only(*status, ""), KeepOpen),
        Fault::RetryAfter(value) => (unavailable_until(value), KeepOpen),
        Fault::RedirectLoop => (redirect(&encoded_path(target.path)), KeepOpen),
        Fault::Redirect(target) => (redirect(target), KeepOpen),
        Fault::RedirectNowhere => (status_only(302, ""), KeepOpen),
        Fault::ToPageOne => (redirect_or_page(target.page_one()), KeepOpen),
        Fault::OtherIndex => (redirect_or_page(target.in_other_index()), KeepOpen),

        // A connection that ends too early or delivers too slowly.
        Fault::Reset => (Vec::new(), ResetAfter(NO_WAIT)),
        Fault::ResetHead => (OK.as_bytes()[..20].to_vec(), ResetAfter(RESET_DELAY)),
        Fault::ResetBody => (half_of_announced(gzipped()), ResetAfter(RESET_DELAY)),
        Fault::Close => (Vec::new(), CloseAfter(NO_WAIT)),
        Fault::Short => (half_of_announced(gzipped()), CloseAfter(NO_WAIT)),
        Fault::Stall(wait) => (Vec::new(), CloseAfter(*wait)),
        Fault::StallBody(wait) => (half_of_announced(gzipped()), CloseAfter(*wait)),
        Fault::Drip => (ok(&gzip_headers(gzipped()), b""), Drip(gzipped().to_vec())),

        // Invalid HTTP: broken framing, or not HTTP at all.
        Fault::Cut => (unframed(half(&plain())), CloseAfter(NO_WAIT)),
        Fault::BadChunk => (ok(CHUNKED, b"5\r\n<html\r\nzz\r\n>"), CloseAfter(NO_WAIT)),
        Fault::NoLastChunk => (ok(CHUNKED, b"5\r\n<html\r\n"), CloseAfter(NO_WAIT)),
        Fault::TwoLengths => (two_lengths(&plain()), CloseAfter(NO_WAIT)),
        Fault::NegativeLength => (ok("Content-Length: -5\r\n", &plain()), CloseAfter(NO_WAIT)),
        Fault::Surplus => (message().repeat(2), KeepOpen),
        Fault::SurplusLate => (message(), SendAfter(SURPLUS_DELAY, message())),
        Fault::Garbage => (GARBAGE.to_vec(), CloseAfter(NO_WAIT)),

        // More bytes than a client should accept.
        Fault::EndlessHead => (endless_head(), CloseAfter(NO_WAIT)),
        Fault::Huge => (unframed(&vec![b' '; HUGE_BODY_LEN]), CloseAfter(NO_WAIT)),
        Fault::Bomb => (bomb(), KeepOpen),

        // A body that its headers describe wrongly.
        Fault::TruncatedGzip => (gzip_page(half(gzipped())), KeepOpen),
        Fault::BadCrc => (gzip_page(&with_bad_trailer(gzipped())), KeepOpen),
        Fault::PlainAsGzip => (gzip_page(&plain()), KeepOpen),
        Fault::Encoding(name) => (encoded(name, &plain()), KeepOpen),
        Fault::Charset(name) => (with_charset(name, &plain()), KeepOpen),

        // A well-formed response with an unexpected body.
        Fault::Empty => (html_page(b""), KeepOpen),
        Fault::Fragment => (html_page(half(&plain())), KeepOpen),
        Fault::Challenge => (html_page(CHALLENGE.as_bytes()), KeepOpen),
        Fault::Consent => (html_page(CONSENT.as_bytes()), KeepOpen),
        Fault::Altered(alteration) => match altered(*alteration, target).zip(page) {
            Some((body, page)) => (page_of_type(&page.content_type, &body), KeepOpen),
            None => (message(), KeepOpen),
        },
    }
}

/// A 200 response. `headers` are whole lines, each ending in CRLF.
fn ok(headers: &str, body: &[u8]) -> Vec<u8> {
    [OK.as_bytes(), headers.as_bytes(), b"\r\n", body].concat()
}

fn length(body: &[u8]) -> String {
    format!("Content-Length: {}\r\n", body.len())
}

fn gzip_headers(body: &[u8]) -> String {
    length(body) + GZIP
}

fn html_page(body: &[u8]) -> Vec<u8> {
    ok(&length(body), body)
}

fn gzip_page(body: &[u8]) -> Vec<u8> {
    ok(&gzip_headers(body), body)
}

/// A response that announces the whole body in Content-Length and sends half of it.
fn half_of_announced(body: &[u8]) -> Vec<u8> {
    ok(&gzip_headers(body), half(body))
}

/// A response without Content-Length or chunks; only closing the connection ends the body.
fn unframed(body: &[u8]) -> Vec<u8> {
    ok("Connection: close\r\n", body)
}

fn two_lengths(body: &[u8]) -> Vec<u8> {
    ok(&(length(body) + "Content-Length: 7\r\n"), body)
}

fn encoded(name: &str, body: &[u8]) -> Vec<u8> {
    let headers = format!("{}Content-Encoding: {name}\r\n", length(body));
    ok(&headers, body)
}

/// A response that names this charset in place of UTF-8.
fn with_charset(name: &str, body: &[u8]) -> Vec<u8> {
    page_of_type(&format!("text/html; charset={name}"), body)
}

fn page_of_type(content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\n{}\r\n",
        length(body)
    );
    [head.as_bytes(), body].concat()
}

fn endless_head() -> Vec<u8> {
    let line = format!("X-More: {}\r\n", "x".repeat(1000));
    (OK.to_owned() + &line.repeat(ENDLESS_HEAD_LEN / line.len())).into_bytes()
}

fn bomb() -> Vec<u8> {
    gzip_page(Response::new("text/html", &vec![b' '; BOMB_INFLATED_LEN]).gzipped_body())
}

/// A response of this status with an empty body and these additional header lines.
fn status_only(status: u16, headers: &str) -> Vec<u8> {
    let reason = http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Other");
    format!("HTTP/1.1 {status} {reason}\r\n{headers}Content-Length: 0\r\n\r\n").into_bytes()
}

fn unavailable_until(value: &RetryAfter) -> Vec<u8> {
    status_only(503, &format!("Retry-After: {}\r\n", header_value(value)))
}

fn redirect(target: &str) -> Vec<u8> {
    status_only(302, &format!("Location: {target}\r\n"))
}

/// A decoded path as it may stand in `Location`.
fn encoded_path(path: &str) -> String {
    utf8_percent_encode(path, CONTROLS).to_string()
}

fn header_value(value: &RetryAfter) -> String {
    match value {
        RetryAfter::Seconds(seconds) => seconds.to_string(),
        RetryAfter::Text(text) => text.clone(),
        RetryAfter::Date(seconds, format) => {
            let date = Timestamp::now().saturating_add(SignedDuration::from_secs(*seconds));
            let date = date.unwrap_or(Timestamp::MAX).to_zoned(TimeZone::UTC);
            let format = match format {
                DateFormat::Imf => "%a, %d %b %Y %H:%M:%S GMT",
                DateFormat::Rfc850 => "%A, %d-%b-%y %H:%M:%S GMT",
                DateFormat::Asctime => "%a %b %e %H:%M:%S %Y",
            };
            date.strftime(format).to_string()
        }
    }
}

fn half(body: &[u8]) -> &[u8] {
    &body[..body.len() / 2]
}

/// Inverts the last eight bytes: the CRC-32 and the length of a gzip member (RFC 1952, 2.3.1).
fn with_bad_trailer(gzipped: &[u8]) -> Vec<u8> {
    let (data, trailer) = gzipped.split_at(gzipped.len().saturating_sub(8));
    let trailer: Vec<u8> = trailer.iter().map(|byte| !byte).collect();
    [data, &trailer].concat()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn all_date_formats_of_retry_after_name_the_same_moment() {
        let parse = |format| {
            httpdate::parse_http_date(&header_value(&RetryAfter::Date(100, format))).unwrap()
        };
        let distance =
            |a: SystemTime, b: SystemTime| a.duration_since(b).unwrap_or_else(|e| e.duration());
        let imf = parse(DateFormat::Imf);
        for format in [DateFormat::Rfc850, DateFormat::Asctime] {
            // The clock may tick between two calls.
            assert!(distance(parse(format), imf) <= Duration::from_secs(1));
        }
        assert!(distance(imf, SystemTime::now()) > Duration::from_secs(90));
    }
}

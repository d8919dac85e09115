//! Answers that go wrong, byte by byte.

use std::io::{self, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::faults::{After, DateForm, Fault};
use super::pages::{Answer, Pages};

/// So much that no limit is large enough.
const ENDLESS: usize = 4 << 20;
const HUGE: usize = 9 << 20;
const BOMB: usize = 40 << 20;
const DRIP: Duration = Duration::from_millis(100);
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n";

const CHALLENGE: &str = "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>\
    <div id=\"challenge-error-text\">Enable JavaScript and cookies to continue</div></body></html>";
const CONSENT: &str = "<!DOCTYPE html><html><head><title>Before you continue</title></head><body>\
    <form action=\"/consent\"><h1>We value your privacy</h1><button>Accept all</button></form></body></html>";

/// Answers a request as the fault has it, and tells whether the connection can be used again.
pub(super) fn answer(
    stream: &mut TcpStream,
    fault: &Fault,
    path: &str,
    pages: &Pages,
) -> io::Result<bool> {
    let found = pages.get(path);
    let plain = || found.map_or_else(|| b"<html></html>".to_vec(), Answer::plain_body);
    let gzipped = || found.map_or_else(Vec::new, |answer| answer.gzipped_body().to_vec());
    let mut send = |head: &str, body: &[u8]| {
        stream.write_all(&[OK.as_bytes(), head.as_bytes(), b"\r\n", body].concat())
    };
    let length = |body: &[u8]| format!("Content-Length: {}\r\n", body.len());
    let whole = |body: &[u8]| (length(body), body.to_vec());
    let whole_gzip = |body: &[u8]| (length(body) + GZIP, body.to_vec());
    let (head, body) = match fault {
        Fault::Status(status) => return status_line(stream, *status, ""),
        Fault::RetryAfter(after) => {
            let after = format!("Retry-After: {}\r\n", written(after));
            return status_line(stream, 503, &after);
        }
        Fault::RedirectLoop => return redirect(stream, &format!("Location: {path}\r\n")),
        Fault::Redirect(to) => return redirect(stream, &format!("Location: {to}\r\n")),
        Fault::RedirectNowhere => return redirect(stream, ""),
        Fault::Reset => {
            reset_when_closed(stream);
            return Ok(false);
        }
        Fault::ResetHead => {
            stream.write_all(&OK.as_bytes()[..20])?;
            // Who is reset may never see what was sent just before.
            thread::sleep(DRIP / 10);
            reset_when_closed(stream);
            return Ok(false);
        }
        Fault::ResetBody => {
            let body = gzipped();
            send(&(length(&body) + GZIP), &body[..body.len() / 2])?;
            thread::sleep(DRIP / 10);
            reset_when_closed(stream);
            return Ok(false);
        }
        Fault::Close => return Ok(false),
        Fault::Short => {
            let body = gzipped();
            send(&(length(&body) + GZIP), &body[..body.len() / 2])?;
            return Ok(false);
        }
        Fault::Cut => {
            let body = plain();
            send("Connection: close\r\n", &body[..body.len() / 2])?;
            return Ok(false);
        }
        Fault::BadChunk => {
            send(CHUNKED, b"5\r\n<html\r\nzz\r\n>")?;
            return Ok(false);
        }
        Fault::NoLastChunk => {
            send(CHUNKED, b"5\r\n<html\r\n")?;
            return Ok(false);
        }
        Fault::TwoLengths => {
            let body = plain();
            send(&(length(&body) + "Content-Length: 7\r\n"), &body)?;
            return Ok(false);
        }
        Fault::NegativeLength => {
            send("Content-Length: -5\r\n", &plain())?;
            return Ok(false);
        }
        Fault::Garbage => {
            stream.write_all(b"\x16\x03\x01 what is this\r\n\r\n")?;
            return Ok(false);
        }
        Fault::EndlessHead => {
            let line = format!("X-More: {}\r\n", "x".repeat(1000));
            stream.write_all(OK.as_bytes())?;
            for _ in 0..ENDLESS / line.len() {
                stream.write_all(line.as_bytes())?;
            }
            return Ok(false);
        }
        Fault::Stall(long) => {
            thread::sleep(*long);
            return Ok(false);
        }
        Fault::StallBody(long) => {
            let body = gzipped();
            send(&(length(&body) + GZIP), &body[..body.len() / 2])?;
            thread::sleep(*long);
            return Ok(false);
        }
        Fault::Drip => {
            let body = gzipped();
            send(&(length(&body) + GZIP), b"")?;
            for byte in body {
                stream.write_all(&[byte])?;
                thread::sleep(DRIP);
            }
            return Ok(true);
        }
        Fault::Bomb => {
            let bomb = Answer::new("text/html", &vec![b' '; BOMB]);
            whole_gzip(bomb.gzipped_body())
        }
        Fault::Huge => {
            send("Connection: close\r\n", &vec![b' '; HUGE])?;
            return Ok(false);
        }
        Fault::TruncatedGzip => {
            let body = gzipped();
            whole_gzip(&body[..body.len() / 2])
        }
        Fault::BadCrc => {
            let mut body = gzipped();
            let crc = body.len().saturating_sub(8);
            body[crc..].iter_mut().for_each(|byte| *byte = !*byte);
            whole_gzip(&body)
        }
        Fault::PlainAsGzip => whole_gzip(&plain()),
        Fault::Encoding(name) => {
            let (head, body) = whole(&plain());
            (format!("{head}Content-Encoding: {name}\r\n"), body)
        }
        Fault::Charset(name) => {
            let body = plain();
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset={name}\r\n{}\r\n",
                length(&body)
            );
            stream.write_all(&[head.as_bytes(), &body].concat())?;
            return Ok(true);
        }
        Fault::Empty => whole(b""),
        Fault::Fragment => {
            let body = plain();
            whole(&body[..body.len() / 2])
        }
        Fault::Challenge => whole(CHALLENGE.as_bytes()),
        Fault::Consent => whole(CONSENT.as_bytes()),
        Fault::Layout => {
            let body = String::from_utf8_lossy(&plain()).into_owned();
            whole(
                body.replace("P/E Ratio", "Price/Earnings")
                    .replace("1 Year", "12 Months")
                    .as_bytes(),
            )
        }
        Fault::OtherPage => whole(&other_page(path, pages).unwrap_or_else(plain)),
        Fault::Growing => whole(&growing(path, pages).unwrap_or_else(plain)),
    };
    send(&head, &body)?;
    Ok(true)
}

const GZIP: &str = "Content-Encoding: gzip\r\n";
const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";

fn status_line(stream: &mut TcpStream, status: u16, more: &str) -> io::Result<bool> {
    let reason = http::StatusCode::from_u16(status).ok();
    let reason = reason
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Other");
    let answer = format!("HTTP/1.1 {status} {reason}\r\n{more}Content-Length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes())?;
    Ok(true)
}

fn redirect(stream: &mut TcpStream, location: &str) -> io::Result<bool> {
    status_line(stream, 302, location)
}

fn written(after: &After) -> String {
    match after {
        After::Seconds(seconds) => seconds.to_string(),
        After::Text(text) => text.clone(),
        After::Date(seconds, form) => {
            let date = Timestamp::now().saturating_add(SignedDuration::from_secs(*seconds));
            let date = date.unwrap_or(Timestamp::MAX).to_zoned(TimeZone::UTC);
            let form = match form {
                DateForm::Imf => "%a, %d %b %Y %H:%M:%S GMT",
                DateForm::Rfc850 => "%A, %d-%b-%y %H:%M:%S GMT",
                DateForm::Asctime => "%a %b %e %H:%M:%S %Y",
            };
            date.strftime(form).to_string()
        }
    }
}

/// The page of another company, the same one for every address; of an index the page before.
fn other_page(path: &str, pages: &Pages) -> Option<Vec<u8>> {
    let other = match path.rsplit_once("?p=") {
        Some((index, number)) => {
            let number: u32 = number.parse().ok()?;
            format!("{index}?p={}", number.saturating_sub(1).max(1))
        }
        None => "/stocks/a-stock".to_owned(),
    };
    Some(pages.get(&other)?.plain_body())
}

/// An index page with companies that no other has, which promises another hundred.
fn growing(path: &str, pages: &Pages) -> Option<Vec<u8>> {
    let (index, number) = path.rsplit_once("?p=")?;
    let first = pages.get(&format!("{index}?p=1"))?.plain_body();
    let more = number.parse::<u32>().ok()? + 100;
    let page = String::from_utf8(first).ok()?;
    let page = page.replace("?p=2\"", &format!("?p={more}\""));
    Some(
        page.replace("/stocks/", &format!("/stocks/x{number}-"))
            .into_bytes(),
    )
}

/// From now on the end of the connection is a reset.
#[cfg(unix)]
fn reset_when_closed(stream: &TcpStream) {
    use nix::sys::socket::{setsockopt, sockopt::Linger};
    let at_once = nix::libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // Otherwise it is closed, which is as bad.
    let _ = setsockopt(stream, Linger, &at_once);
}

#[cfg(not(unix))]
fn reset_when_closed(_: &TcpStream) {}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    /// Whatever the form, it must be the same moment.
    #[test]
    fn dates_of_every_form() {
        let read = |form| httpdate::parse_http_date(&written(&After::Date(100, form))).unwrap();
        let apart =
            |a: SystemTime, b: SystemTime| a.duration_since(b).unwrap_or_else(|e| e.duration());
        let imf = read(DateForm::Imf);
        for form in [DateForm::Rfc850, DateForm::Asctime] {
            assert!(apart(read(form), imf) <= Duration::from_secs(1));
        }
        assert!(apart(imf, SystemTime::now()) > Duration::from_secs(90));
    }
}

//! Decoding of pages: gzip, statuses, charsets and the end of the HTML.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderMap;
use indexrank::http::decode::{Inflater, MAX_INFLATED};
use indexrank::http::decode::{has_html_end, to_utf8};
use indexrank::http::error::Reason;
use indexrank::http::page::Page;

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn page(encoding: &str, body: Vec<u8>) -> Page {
    let mut headers = HeaderMap::new();
    headers.insert("content-encoding", encoding.parse().unwrap());
    Page {
        waited: Duration::ZERO,
        status: 200,
        headers,
        body,
        elapsed: Duration::ZERO,
        asked: String::new(),
        reached: None,
        from_journal: false,
        not_followed: None,
        large: None,
        saved: None,
    }
}

#[test]
fn inflates_bodies_up_to_a_limit() {
    let whole = gzip(b"<html>");
    let mut wrong_crc = whole.clone();
    let crc_at = wrong_crc.len() - 6;
    wrong_crc[crc_at] ^= 1;
    let bomb = gzip(&vec![0; MAX_INFLATED + 1]);
    assert!(bomb.len() < 400_000);
    for (encoding, body, expected) in [
        ("gzip", whole.clone(), Ok("<html>")),
        ("x-GZIP", whole.clone(), Ok("<html>")),
        ("identity", b"<html>".to_vec(), Ok("<html>")),
        (
            "gzip",
            whole[..whole.len() - 9].to_vec(),
            Err(Reason::BadEncoding),
        ),
        ("gzip", wrong_crc, Err(Reason::BadEncoding)),
        ("gzip", b"<html>".to_vec(), Err(Reason::BadEncoding)),
        ("br", whole.clone(), Err(Reason::UnsupportedEncoding)),
        ("gzip, gzip", gzip(&whole), Err(Reason::UnsupportedEncoding)),
        ("gzip", bomb, Err(Reason::TooLarge)),
    ] {
        let mut inflater = Inflater::default();
        let previous = gzip(&[b'x'; 100_000]);
        // The buffer still holds another page.
        inflater.gunzip(&previous).expect("the previous page");
        let page = page(encoding, body);
        let inflated = page.inflate(&mut inflater);
        assert_eq!(
            inflated.map_err(|error| error.reason),
            expected.map(str::as_bytes),
            "{encoding}"
        );
    }
}

/// The last four bytes of a gzip body give its inflated length modulo 2^32 (ISIZE, RFC 1952). They are
/// only a hint for the size of the buffer.
#[test]
fn rejects_a_wrong_gzip_length_and_ignores_trailing_bytes() {
    let text = vec![b'y'; 1_000_000];
    for stated in [0u32, 5, 999_999, 1_000_001, u32::MAX] {
        let mut body = gzip(&text);
        let at = body.len() - 4;
        body[at..].copy_from_slice(&stated.to_le_bytes());
        let inflated = Inflater::default().gunzip(&body).map(<[u8]>::len);
        assert_eq!(
            inflated.map_err(|error| error.reason),
            Err(Reason::BadEncoding),
            "{stated}"
        );
    }
    let mut body = gzip(&text);
    body.extend_from_slice(b"bytes after the end");
    assert_eq!(
        Inflater::default().gunzip(&body).map(<[u8]>::len),
        Ok(1_000_000)
    );
}

#[test]
fn maps_statuses_to_failure_reasons() {
    for (status, expected) in [
        (200, None),
        (404, Some(Reason::Gone)),
        (410, Some(Reason::Gone)),
        (403, Some(Reason::Blocked)),
        (429, Some(Reason::Busy)),
        (503, Some(Reason::Busy)),
        (521, Some(Reason::Busy)),
        (204, Some(Reason::Status)),
        (501, Some(Reason::ServerError)),
    ] {
        let page = Page {
            status,
            ..page("identity", Vec::new())
        };
        assert_eq!(
            page.require_status_200().err().map(|error| error.reason),
            expected,
            "{status}"
        );
    }
}

#[test]
fn decodes_charsets() {
    let cp1251: &[u8] = &[0xc4, 0xee, 0xeb, 0xeb, 0xe0, 0xf0];
    let with = |prefix: &str, text: &[u8]| [prefix.as_bytes(), text].concat();
    let utf16: Vec<u8> = [0xff, 0xfe]
        .into_iter()
        .chain("Доллар".encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let declared = "<?xml version=\"1.0\" encoding=\"windows-1251\"?>";
    let meta = "<meta http-equiv='x' content='text/html; charset=windows-1251'>";
    for (bytes, charset, expected) in [
        (cp1251.to_vec(), Some("windows-1251"), "Доллар".to_owned()),
        (with(declared, cp1251), None, format!("{declared}Доллар")),
        (
            with(declared, cp1251),
            Some("windows-1251"),
            format!("{declared}Доллар"),
        ),
        (with(meta, cp1251), None, format!("{meta}Доллар")),
        // Declared as windows-1251, encoded as UTF-8.
        (
            with(declared, "Доллар".as_bytes()),
            None,
            format!("{declared}Доллар"),
        ),
        (
            with("\u{feff}", "Доллар".as_bytes()),
            Some("windows-1251"),
            "Доллар".to_owned(),
        ),
        (utf16, Some("utf-8"), "Доллар".to_owned()),
        ("Доллар".as_bytes().to_vec(), None, "Доллар".to_owned()),
        (
            "Доллар".as_bytes().to_vec(),
            Some("no-such-charset"),
            "Доллар".to_owned(),
        ),
    ] {
        assert_eq!(
            String::from_utf8_lossy(&to_utf8(&bytes, charset)),
            expected,
            "{charset:?}"
        );
    }
}

#[test]
fn detects_the_end_of_a_page() {
    for (html, has_end) in [
        ("<html>…</html>", true),
        ("<html>…</HTML>", true),
        ("<html>…</html>\r\n\r\n<!-- 3 ms -->", true),
        (&format!("</html>{}", " ".repeat(9000)), true),
        ("<html>…</htm", false),
        ("", false),
    ] {
        assert_eq!(has_html_end(html.as_bytes()), has_end, "{html}");
    }
}

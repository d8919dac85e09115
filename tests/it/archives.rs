//! Archives of other programs: which record answers a path.

use std::fs;

use indexrank::http::decode::Inflater;
use indexrank::http::error::Reason;
use indexrank::http::page::Page;
use indexrank::warc::reader::Archive;

use crate::run::COMPANY;

pub const PAGE: &str = "<p>page a</p>";
pub const INDEX: &str = "/index/components/s&p_500";
pub const INDEX_1: &str = "/index/components/s&p_500?p=1";
pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n";

/// A record without the line ends after it. `fields` are further lines of its head.
pub fn bare_record(kind: &str, uri: &str, fields: &str, block: &[u8]) -> Vec<u8> {
    let length = block.len();
    let head = format!(
        "WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {uri}\r\n{fields}Content-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), block].concat()
}

pub fn record(kind: &str, path: &str, fields: &str, block: &[u8]) -> Vec<u8> {
    let uri = format!("https://example.com{path}");
    [bare_record(kind, &uri, fields, block), b"\r\n\r\n".to_vec()].concat()
}

pub fn response(path: &str, body: &str) -> Vec<u8> {
    record("response", path, "", format!("{OK}{body}").as_bytes())
}

pub fn redirect(path: &str, target: &str) -> Vec<u8> {
    let http = format!("HTTP/1.1 301 Moved\r\nLocation: {target}\r\n\r\n");
    record("response", path, "", http.as_bytes())
}

pub fn open(bytes: &[u8]) -> Archive {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    Archive::open(file.path()).unwrap()
}

/// The inflated text of a page with status 200.
pub fn text(archive: &Archive, path: &str) -> Result<String, Reason> {
    let page = archive
        .get(path, b"old".to_vec())
        .and_then(Page::require_status_200);
    let text = page.and_then(|page| {
        let mut inflater = Inflater::default();
        let text = page.inflate(&mut inflater)?.to_vec();
        Ok(String::from_utf8_lossy(&text).into_owned())
    });
    text.map_err(|error| error.reason)
}

/// The address of a stored record, and the page that is asked for.
#[test]
fn finds_a_page_under_other_addresses() {
    let of = |uri: &str| {
        let http = format!("{OK}{PAGE}");
        [
            bare_record("response", uri, "", http.as_bytes()),
            b"\r\n\r\n".to_vec(),
        ]
        .concat()
    };
    let host = "https://example.com";
    for (stored, asked) in [
        (format!("<{host}/a>"), "/a"),
        (format!("<{host}/a#top>"), "/a"),
        (format!("{host}/a#top"), "/a"),
        (format!("HTTP://EXAMPLE.com{INDEX}"), INDEX),
        (format!("{host}{INDEX}"), INDEX_1),
        (format!("{host}{INDEX}?op=1"), INDEX_1),
        (format!("{host}{INDEX}?p=1&op=1"), INDEX_1),
        (format!("{host}{INDEX}?op=1&p=1#x"), INDEX_1),
        (format!("{host}/index/components/s%26p_500?op=1"), INDEX_1),
        (
            format!("{host}{INDEX}?p=2&op=1"),
            "/index/components/s&p_500?p=2",
        ),
        (format!("{host}{COMPANY}?op=1"), COMPANY),
    ] {
        assert_eq!(
            text(&open(&of(&stored)), asked),
            Ok(PAGE.to_owned()),
            "{stored}"
        );
    }
    let latin1 = of(&format!("{host}/nestl_"))
        .into_iter()
        .map(|byte| if byte == b'_' { 0xe9 } else { byte });
    let latin1 = open(&latin1.collect::<Vec<u8>>());
    assert_eq!(text(&latin1, "/nestl%e9"), Ok(PAGE.to_owned()));
    for (stored, asked) in [
        (format!("{host}{INDEX}?p=2"), INDEX_1),
        (format!("{host}{INDEX}?p=11"), INDEX_1),
        (format!("{host}/a?top=1"), "/a"),
        (format!("urn:text:{host}/a"), "/a"),
        (format!("file://{COMPANY}"), COMPANY),
    ] {
        assert_eq!(
            text(&open(&of(&stored)), asked),
            Err(Reason::NotArchived),
            "{stored}"
        );
    }
    // A page stored exactly wins, and of others the one with the fewest parameters.
    let all = [
        response(&format!("{INDEX}?op=1"), "op"),
        response(INDEX, "plain"),
        response(&format!("{INDEX}?p=1&op=1"), "both"),
    ];
    assert_eq!(text(&open(&all.concat()), INDEX_1), Ok("plain".to_owned()));
    let exact = [response(INDEX_1, "exact"), all.concat()].concat();
    assert_eq!(text(&open(&exact), INDEX_1), Ok("exact".to_owned()));
    assert_eq!(text(&open(&exact), INDEX), Ok("plain".to_owned()));
}

#[test]
fn follows_redirects_within_the_archive() {
    let chain = |hops: usize| {
        let hops = (0..hops).map(|hop| redirect(&format!("/{hop}"), &format!("/{}", hop + 1)));
        hops.collect::<Vec<_>>().concat()
    };
    let of_status = |status: u16| {
        let http =
            format!("HTTP/1.1 {status} Moved\r\nlocation : https://elsewhere.example/b\r\n\r\n");
        record("response", "/0", "", http.as_bytes())
    };
    let b = response("/b", PAGE);
    let found = Ok((PAGE.to_owned(), Some("/b")));
    let away = Err(Reason::NotArchived);
    for (name, records, expected) in [
        ("301", [of_status(301), b.clone()], found.clone()),
        ("302", [of_status(302), b.clone()], found.clone()),
        ("303", [of_status(303), b.clone()], found.clone()),
        ("307", [of_status(307), b.clone()], found.clone()),
        ("308", [of_status(308), b.clone()], found.clone()),
        ("304", [of_status(304), b.clone()], Err(Reason::Status)),
        (
            "target first",
            [b.clone(), redirect("/0", "b#top")],
            found.clone(),
        ),
        (
            "no Location",
            [
                b.clone(),
                record("response", "/0", "", b"HTTP/1.1 301 Moved\r\n\r\n"),
            ],
            Err(Reason::Status),
        ),
        (
            "no empty line",
            [
                b.clone(),
                record("response", "/0", "", b"HTTP/1.1 301 Moved\r\nLocation: /b"),
            ],
            found,
        ),
        (
            "out of the archive",
            [redirect("/0", "/c"), b.clone()],
            away.clone(),
        ),
        (
            "to itself",
            [redirect("/0", "http://example.com/0"), b.clone()],
            away,
        ),
        (
            "5",
            [chain(5), response("/5", PAGE)],
            Ok((PAGE.to_owned(), Some("/5"))),
        ),
        (
            "6",
            [chain(6), response("/6", PAGE)],
            Err(Reason::Redirects),
        ),
        (
            "a loop",
            [redirect("/0", "/1"), redirect("/1", "/0")],
            Err(Reason::Redirects),
        ),
        (
            "to a failure",
            [
                redirect("/0", "/1"),
                record("response", "/1", "", b"HTTP/1.1 404 Gone\r\n\r\n"),
            ],
            Err(Reason::Gone),
        ),
    ] {
        let archive = open(&records.concat());
        let reached = archive
            .get("/0", Vec::new())
            .ok()
            .and_then(|page| page.reached);
        let found = text(&archive, "/0");
        match expected {
            Ok((text, target)) => {
                assert_eq!(found, Ok(text), "{name}");
                let reached = reached.unwrap();
                assert!(reached.ends_with(target.unwrap()), "{name}: {reached}");
            }
            Err(reason) => assert_eq!(found, Err(reason), "{name}"),
        }
    }
    // Nor does a redirect of the page to itself, which asks for a cookie.
    for target in ["/b", "/%62", "https://example.com/b#x"] {
        let archive = open(&[b.clone(), redirect("/b", target)].concat());
        assert_eq!(text(&archive, "/b"), Ok(PAGE.to_owned()), "{target}");
    }
    let archive = open(&[b.clone(), redirect("/b", "/c")].concat());
    assert_eq!(text(&archive, "/b"), Err(Reason::NotArchived));
    // The redirect from one scheme to the other does not hide the page.
    let http = String::from_utf8(redirect("/b", "https://example.com/b")).unwrap();
    let http = http.replace("URI: https", "URI: http").into_bytes();
    for records in [[&http, &b], [&b, &http]] {
        let archive = open(&records.map(Vec::as_slice).concat());
        assert_eq!(text(&archive, "/b"), Ok(PAGE.to_owned()));
    }
}

#[test]
fn reads_the_page_that_a_revisit_record_refers_to() {
    let to = |path: &str| {
        format!(
            "WARC-Refers-To-Target-URI: <https://example.com{path}>\r\nWARC-Refers-To-Date: 2022-01-01T00:00:00Z\r\n"
        )
    };
    let revisit = |fields: &str, http: &str| record("revisit", "/a", fields, http.as_bytes());
    let tagged = |path: &str, fields: &str, body: &str| {
        record("response", path, fields, format!("{OK}{body}").as_bytes())
    };
    let (id, digest) = (
        "WARC-Record-ID: <urn:uuid:1>\r\n",
        "WARC-Payload-Digest: md5:0\r\n",
    );
    let refers_to = "WARC-Refers-To: <urn:uuid:1>\r\n";
    let not_modified = "HTTP/1.1 304 Not Modified\r\n\r\n";
    let (a, b) = (response("/a", PAGE), response("/b", PAGE));
    for (name, records, expected) in [
        (
            "of another address",
            vec![b.clone(), revisit(&to("/b"), OK)],
            Ok(PAGE),
        ),
        (
            "before it",
            vec![revisit(&to("/b"), OK), b.clone()],
            Ok(PAGE),
        ),
        (
            "of its own address",
            vec![a.clone(), revisit(&to("/a"), OK)],
            Ok(PAGE),
        ),
        (
            "before its own",
            vec![revisit(&to("/a"), OK), a.clone()],
            Ok(PAGE),
        ),
        (
            "without a reference",
            vec![a.clone(), revisit("", OK)],
            Ok(PAGE),
        ),
        (
            "not modified",
            vec![a.clone(), revisit("", not_modified)],
            Ok(PAGE),
        ),
        (
            "not modified, of another address",
            vec![b.clone(), revisit(&to("/b"), not_modified)],
            Ok(PAGE),
        ),
        (
            "without a head",
            vec![b.clone(), revisit(&to("/b"), "")],
            Ok(PAGE),
        ),
        (
            "by its ID",
            vec![tagged("/b", id, PAGE), revisit(refers_to, OK)],
            Ok(PAGE),
        ),
        (
            "by its digest",
            vec![revisit(digest, OK), tagged("/b", digest, PAGE)],
            Ok(PAGE),
        ),
        (
            "by its digest in capitals",
            vec![
                tagged("/b", "WARC-Payload-Digest: sha256:0aF\r\n", PAGE),
                revisit("WARC-Payload-Digest: SHA256:0Af\r\n", OK),
            ],
            Ok(PAGE),
        ),
        // The page is again what it was first.
        (
            "the older payload",
            vec![
                tagged("/a", digest, PAGE),
                response("/a", "other"),
                revisit(&format!("{digest}{}", to("/a")), OK),
            ],
            Ok(PAGE),
        ),
        (
            "a newer response",
            vec![b.clone(), revisit(&to("/b"), OK), response("/a", "newer")],
            Ok("newer"),
        ),
        (
            "a redirect",
            vec![
                b.clone(),
                revisit(&to("/c"), "HTTP/1.1 301 Moved\r\nLocation: /b\r\n\r\n"),
            ],
            Ok(PAGE),
        ),
        (
            "a redirected original",
            vec![redirect("/c", "/b"), b.clone(), revisit(&to("/c"), OK)],
            Ok(PAGE),
        ),
        (
            "a failure",
            vec![a.clone(), revisit(&to("/a"), "HTTP/1.1 404 Gone\r\n\r\n")],
            Err(Reason::Gone),
        ),
        (
            "no original",
            vec![b.clone(), revisit(&to("/c"), OK)],
            Err(Reason::NotArchived),
        ),
        (
            "itself",
            vec![b.clone(), revisit(&to("/a"), OK)],
            Err(Reason::NotArchived),
        ),
    ] {
        let found = text(&open(&records.concat()), "/a");
        assert_eq!(found, expected.map(str::to_owned), "{name}");
    }
    let archive = open(&[b, revisit(&to("/b"), OK)].concat());
    assert_eq!(archive.get("/a", Vec::new()).unwrap().reached, None);
}

//! WARC archives: what the warc reader finds in them, rejects and skips.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use indexrank::http::error::Reason;
use indexrank::http::page::Page;
use indexrank::warc::reader::Archive;
use indexrank::warc::writer::{Checksum, Writer};

fn record(kind: &str, address: &str, http: &str) -> Vec<u8> {
    let length = http.len();
    format!("WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {address}\r\nContent-Length: {length}\r\n\r\n{http}\r\n\r\n").into_bytes()
}

fn response(path: &str, status: &str, body: &str) -> Vec<u8> {
    record(
        "response",
        &format!("https://example.com{path}"),
        &http_response(status, body),
    )
}

fn http_response(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Type: text/html\r\n\r\n{body}")
}

/// Compresses bytes into one gzip member.
fn member(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Reads a page of status 200. The buffer passed in is not empty, so a leftover would show.
fn get(archive: &Archive, path: &str) -> Result<String, Reason> {
    let page = archive
        .get(path, b"old".to_vec())
        .and_then(Page::require_status_200);
    page.map(|page| String::from_utf8(page.body).unwrap())
        .map_err(|error| error.reason)
}

fn records() -> Vec<Vec<u8>> {
    vec![
        record("warcinfo", "", "software: x\r\n"),
        record(
            "request",
            "https://example.com/stocks/a-stock",
            "GET /stocks/a-stock HTTP/1.1\r\n\r\n",
        ),
        response("/stocks/a-stock", "503 Busy", "busy"),
        record(
            "response",
            "<https://example.com/stocks/a-stock>",
            &http_response("200 OK", "page a"),
        ),
        response("/stocks/a-stock", "200 OK", "a later page a"),
        response("/index/components/s%26p_500?p=1", "200 OK", "index"),
        response("/gone", "404 Not Found", ""),
        record(
            "response",
            "http://other.example/chunked",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n",
        ),
        record(
            "response",
            "http://other.example/joined",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\njoined already",
        ),
    ]
}

#[test]
fn finds_pages_by_path_in_plain_and_gzipped_archives() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("a.warc");
    let gzipped = folder.path().join("a.warc.gz");
    fs::write(&plain, records().concat()).unwrap();
    fs::write(
        &gzipped,
        records()
            .iter()
            .flat_map(|record| member(record))
            .collect::<Vec<u8>>(),
    )
    .unwrap();
    for file in [plain, gzipped] {
        let archive = Archive::open(&file).unwrap();
        for (path, expected) in [
            ("/stocks/a-stock", Ok("a later page a")),
            ("/index/components/s&p_500?p=1", Ok("index")),
            ("/index/components/s&p_500?p=2", Err(Reason::NotArchived)),
            ("/chunked", Ok("hello world")),
            ("/joined", Ok("joined already")),
            ("/gone", Err(Reason::Gone)),
            ("/stocks/b-stock", Err(Reason::NotArchived)),
        ] {
            assert_eq!(
                get(&archive, path),
                expected.map(str::to_owned),
                "{} {path}",
                file.display()
            );
        }
    }
}

/// Cuts the second of two records at every byte. The first stays readable, and the reader reports
/// damage unless it can read the second too.
#[test]
fn ignores_a_truncated_last_record() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("torn.warc");
    let first = response("/first", "200 OK", "first");
    let second = response("/second", "200 OK", "second");
    for (first, second) in [
        (first.clone(), second.clone()),
        (member(&first), member(&second)),
    ] {
        for cut in 1..second.len() {
            fs::write(&file, [&first[..], &second[..cut]].concat()).unwrap();
            let archive = Archive::open(&file).unwrap();
            assert_eq!(
                get(&archive, "/first"),
                Ok("first".to_owned()),
                "the second record cut to {cut} bytes"
            );
            let second = get(&archive, "/second");
            assert_eq!(
                archive.damage().is_none(),
                second.is_ok(),
                "the second record cut to {cut} bytes"
            );
            assert!(
                second == Err(Reason::NotArchived) || second == Ok("second".to_owned()),
                "the second record cut to {cut} bytes: {second:?}"
            );
        }
    }
}

#[test]
fn rejects_unusable_files_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.warc.gz");
    let records = records();
    for (bytes, expected) in [
        (b"<html></html>".to_vec(), "not a WARC archive"),
        (Vec::new(), "it is empty"),
        (member(b"<html></html>"), "not a WARC archive"),
        (member(&records.concat()), "warcio recompress"),
        (vec![0x1f, 0x8b, 0, 0, 0], "not a WARC archive"),
    ] {
        fs::write(&file, bytes).unwrap();
        let error = Archive::open(&file).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert!(
        Archive::open(Path::new("/no/such.warc"))
            .unwrap_err()
            .to_string()
            .contains("cannot open")
    );
}

/// A record over 32 MiB is skipped and is no damage: no page that a run fetches is as large.
#[test]
fn skips_a_record_over_32_mib() {
    let folder = tempfile::tempdir().unwrap();
    let large = response("/film", "200 OK", &"x".repeat(33 << 20));
    let page = response("/page", "200 OK", "page");
    for (name, large, page) in [
        ("a.warc", large.clone(), page.clone()),
        ("a.warc.gz", member(&large), member(&page)),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, [large, page].concat()).unwrap();
        let archive = Archive::open(&file).unwrap();
        assert_eq!(get(&archive, "/page"), Ok("page".to_owned()), "{name}");
        assert_eq!(
            (get(&archive, "/film"), archive.damage()),
            (Err(Reason::NotArchived), None)
        );
    }
}

#[test]
fn reads_back_recorded_pages() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["kept.warc", "kept.warc.gz"] {
        let file = folder.path().join(name);
        let writer = Writer::create(&file, Checksum::Sha1, &[]).unwrap();
        let mut headers = http::HeaderMap::new();
        headers.insert("content-encoding", "gzip".parse().unwrap());
        headers.insert("transfer-encoding", "chunked".parse().unwrap());
        let page = |status, body| Page {
            waited: Duration::ZERO,
            status,
            headers: headers.clone(),
            body,
            elapsed: Duration::ZERO,
            from_journal: false,
            large: None,
        };
        let body = vec![0x1f, 0x8b, 0, 255, 13, 10, 13, 10];
        writer.append(
            "http://127.0.0.1:1/stocks/a-stock",
            &page(200, body.clone()),
        );
        writer.append("http://127.0.0.1:1/gone", &page(404, Vec::new()));
        writer.finish().unwrap();

        let archive = Archive::open(&file).unwrap();
        let page = archive.get("/stocks/a-stock", Vec::new()).unwrap();
        assert_eq!((page.status, &page.body), (200, &body));
        assert_eq!(page.header("content-encoding").as_deref(), Some("gzip"));
        assert_eq!(get(&archive, "/gone"), Err(Reason::Gone));
        assert_eq!(archive.paths().count(), 2);
    }
}

/// The warc writer gives every record a checksum, in its header or in its gzip member. A record
/// without one may have lost other bytes too. Other programs may omit checksums.
#[test]
fn rejects_an_indexrank_record_without_a_checksum() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.warc");
    let page = response("/stocks/a-stock", "200 OK", "a page");
    for (software, expected) in [
        ("another/1", Ok("a page".to_owned())),
        ("indexrank/1", Err(Reason::Truncated)),
    ] {
        let info = record("warcinfo", "", &format!("software: {software}\r\n"));
        fs::write(&file, [info, page.clone()].concat()).unwrap();
        let archive = Archive::open(&file).unwrap();
        assert_eq!(get(&archive, "/stocks/a-stock"), expected, "{software}");
    }
}

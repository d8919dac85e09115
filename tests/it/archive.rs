use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use indexrank::http::page::{Page, Reason};
use indexrank::warc::reader::Archive;
use indexrank::warc::writer::{Checksum, Recorder};

fn record(kind: &str, address: &str, http: &str) -> Vec<u8> {
    let length = http.len();
    format!("WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {address}\r\nContent-Length: {length}\r\n\r\n{http}\r\n\r\n").into_bytes()
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Type: text/html\r\n\r\n{body}")
}

fn member(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn get(archive: &Archive, path: &str) -> Result<String, Reason> {
    let page = archive
        .get(path, b"old".to_vec())
        .and_then(Page::of_status_200);
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
        record(
            "response",
            "https://example.com/stocks/a-stock",
            &answer("503 Busy", "busy"),
        ),
        record(
            "response",
            "<https://example.com/stocks/a-stock>",
            &answer("200 OK", "page a"),
        ),
        record(
            "response",
            "https://example.com/stocks/a-stock",
            &answer("200 OK", "a later page a"),
        ),
        record(
            "response",
            "https://example.com/index/components/s%26p_500?p=1",
            &answer("200 OK", "index"),
        ),
        record(
            "response",
            "https://example.com/gone",
            &answer("404 Not Found", ""),
        ),
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
fn pages_are_found_by_path_whatever_the_form_of_the_archive() {
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

/// However the file ends, all records that are whole are there and nothing else.
#[test]
fn a_torn_end_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("torn.warc");
    let first = record(
        "response",
        "https://example.com/first",
        &answer("200 OK", "first"),
    );
    let second = record(
        "response",
        "https://example.com/second",
        &answer("200 OK", "second"),
    );
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
                "{cut} bytes of the second"
            );
            let second = get(&archive, "/second");
            assert_eq!(
                archive.damage().is_none(),
                second.is_ok(),
                "{cut} bytes of the second"
            );
            assert!(
                second == Err(Reason::NotArchived) || second == Ok("second".to_owned()),
                "{cut}: {second:?}"
            );
        }
    }
}

#[test]
fn other_files_are_refused_with_a_reason() {
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

/// A record that no run asks for may be of any size.
#[test]
fn a_large_record_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let film = record(
        "response",
        "https://example.com/film",
        &answer("200 OK", &"x".repeat(33 << 20)),
    );
    let page = record(
        "response",
        "https://example.com/page",
        &answer("200 OK", "page"),
    );
    for (name, film, page) in [
        ("a.warc", film.clone(), page.clone()),
        ("a.warc.gz", member(&film), member(&page)),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, [film, page].concat()).unwrap();
        let archive = Archive::open(&file).unwrap();
        assert_eq!(get(&archive, "/page"), Ok("page".to_owned()), "{name}");
        assert_eq!(
            (get(&archive, "/film"), archive.damage()),
            (Err(Reason::NotArchived), None)
        );
    }
}

#[test]
fn what_is_recorded_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["kept.warc", "kept.warc.gz"] {
        let file = folder.path().join(name);
        let recorder = Recorder::create(&file, Checksum::Sha1, &[]).unwrap();
        let mut headers = http::HeaderMap::new();
        headers.insert("content-encoding", "gzip".parse().unwrap());
        headers.insert("transfer-encoding", "chunked".parse().unwrap());
        let page = Page {
            waited: Duration::ZERO,
            status: 200,
            headers: headers.clone(),
            body: vec![0x1f, 0x8b, 0, 255, 13, 10, 13, 10],
            elapsed: Duration::ZERO,
            kept: false,
            hold: None,
        };
        recorder.keep("http://127.0.0.1:1/stocks/a-stock", &page);
        recorder.keep(
            "http://127.0.0.1:1/gone",
            &Page {
                status: 404,
                body: Vec::new(),
                headers,
                waited: Duration::ZERO,
                elapsed: Duration::ZERO,
                kept: false,
                hold: None,
            },
        );
        recorder.finish().unwrap();

        let archive = Archive::open(&file).unwrap();
        let read = archive.get("/stocks/a-stock", Vec::new()).unwrap();
        assert_eq!((read.status, &read.body), (200, &page.body));
        assert_eq!(read.header("content-encoding").as_deref(), Some("gzip"));
        assert_eq!(get(&archive, "/gone"), Err(Reason::Gone));
        assert_eq!(archive.paths().count(), 2);
    }
}

/// Every record of this program has a checksum, in itself or in its compressed body; one that has lost
/// it may have lost more. Other programs need not write any.
#[test]
fn a_record_of_ours_without_a_checksum_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.warc");
    let page = record(
        "response",
        "https://example.com/stocks/a-stock",
        &answer("200 OK", "a page"),
    );
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

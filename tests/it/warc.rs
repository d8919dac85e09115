//! WARC archives: what the warc reader finds in them, rejects and skips.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use indexrank::http::error::Reason;
use indexrank::http::page::Page;
use indexrank::replica::Pages;
use indexrank::warc::journal::{Identity, Journal, Keep};
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

/// Keeps pages under these paths in a journal and resumes it. The body of each page is its path.
fn resumed_journal(folder: &Path, paths: &[&str]) -> Journal {
    let file = folder.join("unfinished.warc");
    let identity = Identity(vec![("software", "indexrank/1".to_owned())]);
    let journal = Journal::begin(file.clone(), Checksum::Crc32, &identity).unwrap();
    for path in paths {
        let page = Page {
            status: 200,
            headers: http::HeaderMap::new(),
            body: path.as_bytes().to_vec(),
            waited: Duration::ZERO,
            elapsed: Duration::ZERO,
            asked: String::new(),
            reached: None,
            from_journal: false,
            large: None,
        };
        journal.keep(&format!("http://here{path}"), &page, Keep::ForResume);
    }
    journal.close_for_resume();
    let max_age = Duration::from_secs(60);
    loop {
        match Journal::resume(file.clone(), Checksum::Crc32, &identity, max_age) {
            // A process that another test starts has all open files until it runs its program.
            Err(error) if error.to_string().contains("another run is writing it") => {
                thread::yield_now();
            }
            journal => return journal.unwrap(),
        }
    }
}

/// Asks an archive, the server of that archive, and a journal of these pages for a path. `expected` is
/// the path of the page that each must find, as stored.
#[track_caller]
fn check_spelling(stored: &[&str], asked: &str, expected: Option<&str>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.warc");
    let records = stored.iter().map(|path| response(path, "200 OK", path));
    fs::write(&file, records.collect::<Vec<_>>().concat()).unwrap();
    let archive = Archive::open(&file).unwrap();
    let of_archive = get(&archive, asked);
    assert_eq!(
        of_archive.as_deref(),
        expected.ok_or(&Reason::NotArchived),
        "{asked} in the archive of {stored:?}"
    );
    assert_eq!(
        archive.stored_path(asked),
        expected,
        "path of {asked} in the archive of {stored:?}"
    );
    let text = |body| String::from_utf8(body).unwrap();
    let of_server = Pages::of_archive(&archive);
    let of_server = of_server.get(asked).map(|page| text(page.plain_body()));
    assert_eq!(
        of_server.as_deref(),
        expected,
        "{asked} served of {stored:?}"
    );
    let journal = resumed_journal(folder.path(), stored);
    let of_journal = journal.take(asked).map(|page| text(page.body));
    assert_eq!(
        of_journal.as_deref(),
        expected,
        "{asked} in the journal of {stored:?}"
    );
}

#[test]
fn finds_the_exact_spelling_of_a_path_or_the_only_other_one() {
    let index = "/index/components/s&p_500?p=1";
    let escaped_index = "/index/components/s%26p_500?p=1";
    let nestle = ["/stocks/nestl%e8-stock", "/stocks/nestl%e9-stock"];
    for (stored, asked, found) in [
        // The only spelling.
        (&[escaped_index][..], index, Some(escaped_index)),
        (&[index], escaped_index, Some(index)),
        (&["/%C3%BC"], "/%c3%bc", Some("/%C3%BC")),
        (&["/%c3%bc"], "/%C3%BC", Some("/%c3%bc")),
        (&["/%c3%bc"], "/ü", Some("/%c3%bc")),
        (&["/ü"], "/%C3%bc", Some("/ü")),
        (&["/a%2fb"], "/a/b", Some("/a%2fb")),
        // Bytes that are not UTF-8.
        (&nestle, nestle[0], Some(nestle[0])),
        (&nestle, nestle[1], Some(nestle[1])),
        (&nestle, "/stocks/nestl%E9-stock", Some(nestle[1])),
        (&nestle, "/stocks/nestl%ea-stock", None),
        (&nestle, "/stocks/nestl\u{fffd}-stock", None),
        (&nestle[..1], nestle[1], None),
        // Several spellings of the same bytes.
        (&["/a%26b", "/a&b"], "/a%26b", Some("/a%26b")),
        (&["/a%26b", "/a&b"], "/a&b", Some("/a&b")),
        (&["/a%26b", "/a&b"], "/%61&b", None),
        (&["/a&b", "/a%26b"], "/%61&b", None),
        (&["/a%26b", "/%61&b"], "/a&b", None),
        (&["/a%26b", "/%61&b", "/a&b"], "/a&b", Some("/a&b")),
        (&["/a%26b", "/%61&b", "/a&b"], "/%61%26b", None),
        (&["/%c3", "/%C3"], "/%c3", Some("/%c3")),
        (&["/%c3", "/%C3"], "/%C3", Some("/%C3")),
        (&["/a/b", "/a%2fb"], "/a/b", Some("/a/b")),
        (&["/a/b", "/a%2fb"], "/a%2fb", Some("/a%2fb")),
        (&["/a/b", "/a%2fb"], "/a%2Fb", None),
        (&["/a?b", "/a%3fb"], "/a?b", Some("/a?b")),
        (&["/a?b", "/a%3fb"], "/a%3fb", Some("/a%3fb")),
        // A path is decoded once.
        (&["/%2541"], "/%41", None),
        (&["/%2541"], "/A", None),
        (&["/%2541"], "/%25%34%31", Some("/%2541")),
        (&["/%41"], "/%2541", None),
        (&["/%41", "/%2541"], "/A", Some("/%41")),
        // A per cent sign that begins no escape.
        (&["/100%"], "/100%25", Some("/100%")),
        (&["/100%25"], "/100%", Some("/100%25")),
        (&["/100%", "/100%25"], "/100%", Some("/100%")),
        (&["/100%", "/100%25"], "/%3100%", None),
    ] {
        check_spelling(stored, asked, found);
    }
}

/// A retry that succeeds replaces the failure of its own spelling, not that of another one.
#[test]
fn the_last_ok_response_of_each_spelling_counts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.warc");
    let records = [
        response("/a%26b", "503 Busy", ""),
        response("/a%26b", "200 OK", "first of %26"),
        response("/a&b", "404 Not Found", ""),
        response("/a%26b", "200 OK", "last of %26"),
        response("/a%26b", "503 Busy", ""),
    ];
    fs::write(&file, records.concat()).unwrap();
    let archive = Archive::open(&file).unwrap();
    assert_eq!(get(&archive, "/a%26b"), Ok("last of %26".to_owned()));
    assert_eq!(get(&archive, "/a&b"), Err(Reason::Gone));
    let good: Vec<&str> = archive.good_pages().map(|(path, _)| path).collect();
    assert_eq!(good, ["/a%26b"]);
    assert_eq!(archive.paths().count(), 2);
    let error = archive.get("/%61&b", Vec::new()).unwrap_err();
    assert!(
        error
            .detail
            .contains("several pages whose paths differ from it only in percent-encoding"),
        "{}",
        error.detail
    );
}

#[test]
fn the_journal_gives_a_page_once_under_any_spelling() {
    let folder = tempfile::tempdir().unwrap();
    let journal = resumed_journal(folder.path(), &["/a%26b", "/c"]);
    assert!(journal.take("/a&b").is_some());
    assert!(journal.take("/a%26b").is_none());
    assert!(journal.take("/a&b").is_none());
    assert!(journal.take("/c").is_some());
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
        let is_gzip = file.extension().is_some_and(|ending| ending == "gz");
        let archive = File::create(&file).unwrap();
        let writer = Writer::new(archive, is_gzip, Checksum::Sha1, &[]);
        let mut headers = http::HeaderMap::new();
        headers.insert("content-encoding", "gzip".parse().unwrap());
        headers.insert("transfer-encoding", "chunked".parse().unwrap());
        let page = |status, body| Page {
            waited: Duration::ZERO,
            status,
            headers: headers.clone(),
            body,
            elapsed: Duration::ZERO,
            asked: String::new(),
            reached: None,
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

//! WARC archives: what the warc reader finds in them, rejects and skips.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

use data_encoding::{BASE32, HEXLOWER};
use flate2::Compression;
use flate2::write::GzEncoder;
use indexrank::http::error::Reason;
use indexrank::http::page::Page;
use indexrank::replica::Pages;
use indexrank::warc::journal::{Identity, Journal, Keep};
use indexrank::warc::reader::Archive;
use indexrank::warc::writer::{Checksum, Writer};
use sha1::{Digest, Sha1};

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
            not_followed: None,
            large: None,
            saved: None,
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

/// A newer response replaces an older one of its own spelling, not of another one.
#[test]
fn the_newest_response_of_each_spelling_counts() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.warc");
    let records = [
        response("/a%26b", "503 Busy", ""),
        response("/a%26b", "200 OK", "first of %26"),
        response("/a&b", "404 Not Found", ""),
        response("/a%26b", "200 OK", "last of %26"),
    ];
    fs::write(&file, records.concat()).unwrap();
    let archive = Archive::open(&file).unwrap();
    assert_eq!(get(&archive, "/a%26b"), Ok("last of %26".to_owned()));
    assert_eq!(get(&archive, "/a&b"), Err(Reason::Gone));
    let good: Vec<&str> = archive.good_pages().map(|page| page.path).collect();
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

/// Which of two responses for one path a replay uses: by host and status, in the order of the file.
#[test]
fn the_newest_response_of_an_address_counts() {
    let (one, other) = ("https://example.com/a", "http://example.com/a");
    for (responses, expected) in [
        (&[(one, "200 OK"), (one, "200 OK")], Ok(1)),
        (
            &[(one, "200 OK"), (one, "404 Not Found")],
            Err(Reason::Gone),
        ),
        (&[(one, "404 Not Found"), (one, "200 OK")], Ok(1)),
        (
            &[(one, "404 Not Found"), (one, "503 Busy")],
            Err(Reason::Busy),
        ),
        // Redirects and failures of another host say nothing about the page.
        (&[(one, "200 OK"), (other, "301 Moved")], Ok(0)),
        (&[(other, "301 Moved"), (one, "200 OK")], Ok(1)),
        (&[(one, "200 OK"), (other, "200 OK")], Ok(1)),
        (
            &[(one, "404 Not Found"), (other, "301 Moved")],
            Err(Reason::Gone),
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.warc");
        let records = responses
            .iter()
            .enumerate()
            .map(|(number, (address, status))| {
                record(
                    "response",
                    address,
                    &http_response(status, &number.to_string()),
                )
            });
        fs::write(&file, records.collect::<Vec<_>>().concat()).unwrap();
        let found = get(&Archive::open(&file).unwrap(), "/a");
        assert_eq!(
            found,
            expected.map(|number: usize| number.to_string()),
            "{responses:?}"
        );
    }
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

/// A damaged record hides no other one, as long as it shows where it ends.
#[test]
fn reads_the_records_after_a_damaged_one() {
    let folder = tempfile::tempdir().unwrap();
    let pages = ["/a", "/b", "/c"].map(|path| response(path, "200 OK", path));
    let stored = pages.clone().map(|page| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
        encoder.write_all(&page).unwrap();
        encoder.finish().unwrap()
    });
    // The first byte of the second record; a byte of its body in the member, before the checksum.
    for (name, mut records, at) in [
        ("a.warc", pages, 0),
        ("a.warc.gz", stored.clone(), stored[1].len() - 20),
    ] {
        records[1][at] ^= 1;
        let file = folder.path().join(name);
        fs::write(&file, records.concat()).unwrap();
        let archive = Archive::open(&file).unwrap();
        for path in ["/a", "/c"] {
            assert_eq!(get(&archive, path), Ok(path.to_owned()), "{name}");
        }
        assert_eq!(get(&archive, "/b"), Err(Reason::NotArchived), "{name}");
        assert_eq!(archive.damaged_records(), 1, "{name}");
        let damage = archive.damage().unwrap();
        assert!(damage.ends_with("is damaged and not used"), "{damage}");
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
        let archive = File::create(&file).unwrap();
        let writer = Writer::new(archive, &file, Checksum::Sha1, &[]).unwrap();
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
            not_followed: None,
            large: None,
            saved: None,
        };
        let body = vec![0x1f, 0x8b, 0, 255, 13, 10, 13, 10];
        writer.append(
            "http://127.0.0.1:1/stocks/a-stock",
            &page(200, body.clone()),
            false,
        );
        writer.append("http://127.0.0.1:1/gone", &page(404, Vec::new()), false);
        assert!(writer.close().error.is_none());

        let archive = Archive::open(&file).unwrap();
        let page = archive.get("/stocks/a-stock", Vec::new()).unwrap();
        assert_eq!((page.status, &page.body), (200, &body));
        assert_eq!(page.header("content-encoding").as_deref(), Some("gzip"));
        assert_eq!(get(&archive, "/gone"), Err(Reason::Gone));
        assert_eq!(archive.paths().count(), 2);
    }
}

/// The first record says that every response has a digest. One without it may have lost other bytes
/// too.
#[test]
fn rejects_a_record_without_the_digest_that_the_archive_promises() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.warc");
    let page = response("/stocks/a-stock", "200 OK", "a page");
    for (about, expected) in [
        ("software: another/1", Ok("a page".to_owned())),
        ("record-digest: crc32", Err(Reason::Damaged)),
    ] {
        let info = record("warcinfo", "", &format!("{about}\r\n"));
        fs::write(&file, [info, page.clone()].concat()).unwrap();
        let archive = Archive::open(&file).unwrap();
        assert_eq!(get(&archive, "/stocks/a-stock"), expected, "{about}");
    }
}

fn sha1(bytes: &str) -> Vec<u8> {
    Sha1::digest(bytes).to_vec()
}

/// Reads a page whose record another tool has given these digests, separated by `; `.
fn check_digests(http: &str, digests: &str, expected: Result<&str, Reason>) {
    let fields: String = digests
        .split("; ")
        .map(|digest| format!("WARC-{digest}\r\n"))
        .collect();
    let length = http.len();
    let record = format!(
        "WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: https://example.com/a\r\n{fields}Content-Length: {length}\r\n\r\n{http}\r\n\r\n"
    );
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        ("a.warc", record.clone().into_bytes()),
        ("a.warc.gz", member(record.as_bytes())),
    ] {
        let file = folder.path().join(name);
        fs::write(&file, bytes).unwrap();
        let found = get(&Archive::open(&file).unwrap(), "/a");
        assert_eq!(found, expected.map(str::to_owned), "{name}: {digests}");
    }
}

#[test]
fn verifies_the_digests_of_other_tools() {
    let http = http_response("200 OK", "page a");
    let base32 = |text: &str| BASE32.encode(&sha1(text));
    let hex = |text: &str| HEXLOWER.encode(&sha1(text));
    let ok = Ok("page a");
    let damaged = Err(Reason::Damaged);
    for (digests, expected) in [
        (format!("Block-Digest: sha1:{}", base32(&http)), ok),
        (format!("Block-Digest: sha1:{}", hex(&http)), ok),
        (
            format!("Block-Digest: SHA-1:{}", base32(&http).to_lowercase()),
            ok,
        ),
        (
            format!("Block-Digest: sha1:{}", hex(&http).to_uppercase()),
            ok,
        ),
        (format!("Block-Digest: sha1:{}", base32("page b")), damaged),
        (format!("Block-Digest: sha1:{}", hex("page b")), damaged),
        // A digit that base 32 does not have.
        (
            format!("Block-Digest: sha1:1{}", &base32(&http)[1..]),
            damaged,
        ),
        (format!("Payload-Digest: sha1:{}", base32("page a")), ok),
        (format!("Payload-Digest: sha1:{}", hex("page b")), damaged),
        // The block contains the payload, so its digest is enough.
        (
            format!(
                "Block-Digest: sha1:{}; Payload-Digest: sha1:{}",
                hex(&http),
                hex("page b")
            ),
            ok,
        ),
        // Other algorithms and notations are not verified.
        (
            "Block-Digest: md5:0123456789abcdef0123456789abcdef".to_owned(),
            ok,
        ),
        ("Block-Digest: sha1:AAAA".to_owned(), ok),
        ("Block-Digest: none".to_owned(), ok),
        (
            format!(
                "Block-Digest: md5:0; Payload-Digest: sha1:{}",
                hex("page b")
            ),
            damaged,
        ),
    ] {
        check_digests(&http, &digests, expected);
    }
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\npage a\r\n0\r\n\r\n";
    for (payload, expected) in [
        ("page a", ok),
        ("6\r\npage a\r\n0\r\n\r\n", ok),
        ("page b", damaged),
    ] {
        check_digests(
            chunked,
            &format!("Payload-Digest: sha1:{}", hex(payload)),
            expected,
        );
    }
}

//! Content encodings: of archived bodies, and gzip bodies of several members.

use std::fs;
use std::io::Write;

use data_encoding::HEXLOWER;
use flate2::Compression;
use flate2::write::{DeflateEncoder, ZlibEncoder};
use indexrank::http::decode::{Inflater, MAX_INFLATED};
use indexrank::http::encodings::decode;
use indexrank::http::error::Reason;
use indexrank::http::page::Page;
use indexrank::warc::reader::Archive;

use crate::run::{COMPANY, gzip, market};
use crate::support::{Reply, TestServer, indexrank, json};

const PAGE: &str = "<p>page a</p>";
/// [`PAGE`] and 3 MiB of zeros, as the programs of the two formats compress them.
const BROTLI: &str = "0b06803c703e7061676520613c2f703e03";
const BROTLI_BOMB: &str = "9bffff2ff82700e2b14020f7fe05";
const ZSTD: &str = "28b52ffd240d6900003c703e7061676520613c2f703e777e8cad";
/// The gzipped [`PAGE`] in brotli.
const GZIP_BROTLI: &str =
    "0b10801f8b0800000000000203b329b02b484c4f5548b4d12fb0030075505cb60d00000003";

fn bytes(hex: &str) -> Vec<u8> {
    HEXLOWER.decode(hex.as_bytes()).unwrap()
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn deflate(body: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// A zstd frame of `length` zeros: blocks of one repeated byte (RFC 8878, 3.1.1.2), without a checksum.
fn zstd_bomb(length: usize) -> Vec<u8> {
    const BLOCK: usize = 128 << 10;
    // Magic number, no flags, a window of 128 KiB.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3];
    for end in (BLOCK..=length).step_by(BLOCK) {
        let header = (BLOCK << 3 | 1 << 1 | usize::from(end == length)) as u32;
        frame.extend(&header.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}

/// Stores a body under these encodings and reads it as a run does.
fn archived(encoding: &str, body: &[u8]) -> Result<String, Reason> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\n\r\n");
    let block = [head.as_bytes(), body].concat();
    let length = block.len();
    let head = format!(
        "WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://example.com/a\r\nContent-Length: {length}\r\n\r\n"
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), [head.as_bytes(), &block, b"\r\n\r\n"].concat()).unwrap();
    let page = Archive::open(file.path())
        .unwrap()
        .get("/a", b"old".to_vec());
    let text = page.and_then(|page| {
        let mut inflater = Inflater::default();
        Ok(String::from_utf8_lossy(page.inflate(&mut inflater)?).into_owned())
    });
    text.map_err(|error| error.reason)
}

#[test]
fn removes_the_encodings_of_archived_bodies() {
    let page = PAGE.as_bytes();
    let zstd = bytes(ZSTD);
    let skippable: &[u8] = &[0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9];
    let twice = [&zstd[..], skippable, &zstd].concat();
    for (encoding, body) in [
        ("br", bytes(BROTLI)),
        ("BR", bytes(BROTLI)),
        (" Br ", bytes(BROTLI)),
        ("deflate", zlib(page)),
        ("Deflate", zlib(page)),
        ("deflate", deflate(page)),
        ("zstd", zstd.clone()),
        ("ZSTD", [skippable, &zstd].concat()),
        ("gzip", gzip(page)),
        ("GZip", gzip(page)),
        ("x-gzip", gzip(page)),
        ("X-GZIP", gzip(page)),
        ("identity, gzip", gzip(page)),
        ("gzip, br", bytes(GZIP_BROTLI)),
        ("gzip,br", bytes(GZIP_BROTLI)),
        ("gzip\r\nContent-Encoding: br", bytes(GZIP_BROTLI)),
        ("gzip, gzip", gzip(&gzip(page))),
        ("deflate, gzip", gzip(&zlib(page))),
        ("", page.to_vec()),
        ("identity", page.to_vec()),
        ("none", page.to_vec()),
        // The program that stored them has removed all of these, or one.
        ("gzip", page.to_vec()),
        ("br", page.to_vec()),
        ("deflate", page.to_vec()),
        ("zstd", page.to_vec()),
        ("gzip, br", page.to_vec()),
        ("gzip, gzip", gzip(page)),
        ("utf-8", page.to_vec()),
        ("compress", page.to_vec()),
        ("br, br, br", page.to_vec()),
    ] {
        let name = format!("{encoding} {body:02x?}");
        assert_eq!(archived(encoding, &body), Ok(PAGE.to_owned()), "{name}");
    }
    assert_eq!(archived("zstd", &twice), Ok(PAGE.repeat(2)));
}

#[test]
fn rejects_encodings_that_are_damaged_unknown_or_too_many() {
    let long: Vec<u8> = (0..9000_u32).map(|n| (n * n % 251) as u8).collect();
    let cut = |body: Vec<u8>| body[..body.len() - 3].to_vec();
    let mut wrong_checksum = bytes(ZSTD);
    *wrong_checksum.last_mut().unwrap() ^= 1;
    let damaged = Reason::BadEncoding;
    for (encoding, body, expected) in [
        ("br", cut(bytes(BROTLI)), damaged),
        // The program has removed br and kept gzip. A gzip body is no text, so it counts as damaged br.
        ("gzip, br", gzip(PAGE.as_bytes()), damaged),
        ("br", long.clone(), damaged),
        ("deflate", cut(zlib(&long)), damaged),
        ("deflate", cut(deflate(&long)), damaged),
        ("zstd", cut(bytes(ZSTD)), damaged),
        ("zstd", wrong_checksum, damaged),
        ("gzip", cut(gzip(&long)), damaged),
        ("br", bytes(BROTLI_BOMB), Reason::TooLarge),
        ("zstd", zstd_bomb(3 << 20), Reason::TooLarge),
        (
            "deflate",
            zlib(&vec![0; MAX_INFLATED + 1]),
            Reason::TooLarge,
        ),
        (
            "deflate",
            deflate(&vec![0; MAX_INFLATED + 1]),
            Reason::TooLarge,
        ),
        ("gzip", gzip(&vec![0; MAX_INFLATED + 1]), Reason::TooLarge),
        ("br, gzip", gzip(&bytes(BROTLI_BOMB)), Reason::TooLarge),
        ("compress", long.clone(), Reason::UnsupportedEncoding),
        (
            "gzip, gzip, gzip",
            gzip(&gzip(&gzip(&long))),
            Reason::UnsupportedEncoding,
        ),
    ] {
        assert_eq!(
            archived(encoding, &body),
            Err(expected),
            "{encoding} {:02x?}",
            &body[..10]
        );
    }
    let at_limit = zstd_bomb(MAX_INFLATED);
    assert_eq!(
        archived("zstd", &at_limit).map(|text| text.len()),
        Ok(MAX_INFLATED)
    );
    // A window of 2 GiB.
    let mut large_window = zstd_bomb(1 << 17);
    large_window[5] = 21 << 3;
    let large_window = decode(&["zstd".to_owned()], &large_window).unwrap_err();
    assert_eq!(large_window.reason, Reason::UnsupportedEncoding);
    assert!(
        large_window.detail.contains("needs a window of 2048 MiB"),
        "{}",
        large_window.detail
    );
    let many = vec!["br".to_owned(); 5000];
    let many = decode(&many, &long).unwrap_err();
    assert_eq!(many.reason, Reason::UnsupportedEncoding);
    assert!(
        many.detail.contains("5000 encodings (br, br, br, br, …)"),
        "{}",
        many.detail
    );
    let error = decode(&["br".to_owned(), "compress".to_owned()], &long).unwrap_err();
    assert!(
        error
            .detail
            .contains("\"compress\", which indexrank cannot remove"),
        "{}",
        error.detail
    );
}

/// Two members, an end of the first that is found by chance in a body, and bytes after the last one.
#[test]
fn inflates_all_members_of_a_gzip_body() {
    let half = |text: &[u8]| gzip(text);
    let stored = |body: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::none());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    };
    let two = [half(b"one "), half(b"two")].concat();
    let at = half(b"one ").len();
    let changed = |at: usize| {
        let mut body = two.clone();
        body[at] ^= 0xff;
        body
    };
    let damaged = Err(Reason::BadEncoding);
    for (name, body, expected) in [
        ("one", half(b"one"), Ok("one".to_owned())),
        ("two", two.clone(), Ok("one two".to_owned())),
        (
            "three",
            [&two[..], &half(b"!")].concat(),
            Ok("one two!".to_owned()),
        ),
        (
            "an empty one",
            [half(b""), two.clone(), half(b"")].concat(),
            Ok("one two".to_owned()),
        ),
        (
            "equal ones",
            [half(b"one "), half(b"one ")].concat(),
            Ok("one one ".to_owned()),
        ),
        (
            "bytes after it",
            [&two[..], b"garbage"].concat(),
            Ok("one two".to_owned()),
        ),
        (
            "bytes between them",
            [&half(b"one "), &b"?"[..], &half(b"two")].concat(),
            Ok("one ".to_owned()),
        ),
        (
            "a member within a member",
            stored(&half(b"x")),
            Ok(String::from_utf8_lossy(&half(b"x")).into_owned()),
        ),
        (
            "method of the second",
            changed(at + 2),
            Ok("one ".to_owned()),
        ),
        ("flags of the second", changed(at + 3), damaged.clone()),
        ("data of the second", changed(at + 10), damaged.clone()),
        (
            "checksum of the second",
            changed(two.len() - 6),
            damaged.clone(),
        ),
        (
            "length of the second",
            changed(two.len() - 2),
            damaged.clone(),
        ),
        (
            "the second cut",
            two[..two.len() - 1].to_vec(),
            damaged.clone(),
        ),
        ("checksum of the first", changed(at - 6), damaged),
        (
            "too large together",
            [half(&vec![0; MAX_INFLATED]), half(b"x")].concat(),
            Err(Reason::TooLarge),
        ),
    ] {
        let mut inflater = Inflater::default();
        assert!(inflater.gunzip(&gzip(&[7; 9000])).is_ok());
        let inflated = inflater
            .gunzip(&body)
            .map(|text| String::from_utf8_lossy(text).into_owned());
        assert_eq!(inflated.map_err(|error| error.reason), expected, "{name}");
        // The buffer is used again.
        assert_eq!(inflater.gunzip(&gzip(b"next")), Ok(&b"next"[..]), "{name}");
    }
}

/// The second member has the rule.
#[test]
fn obeys_robots_rules_in_a_second_gzip_member() {
    let server = TestServer::start(market(), |path, _| {
        let body = [
            gzip(b"User-agent: *\n"),
            gzip(b"Disallow: /stocks/mmm-stock\n"),
        ]
        .concat();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}",
            body.len()
        );
        (path == "/robots.txt").then(|| Reply::with_head(&head, &body))
    });
    let folder = tempfile::tempdir().unwrap();
    let ran = indexrank(folder.path(), &["--from", server.address(), "-q"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert_eq!(server.asked(COMPANY), 0);
    let report = json(&folder.path().join("rankings/run.json"));
    assert_eq!(report["failures"][0]["reason"], "robots");
}

/// What a run got is what its recording gives: an encoding that was not asked for is an error in both.
#[test]
fn a_recording_keeps_an_encoding_that_was_not_requested() {
    for name in ["run.warc", "run.warc.gz"] {
        let server = TestServer::start(market(), |path, _| {
            let head = "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 17";
            (path == COMPANY).then(|| Reply::with_head(head, &bytes(BROTLI)))
        });
        let folder = tempfile::tempdir().unwrap();
        let record = ["--from", server.address(), "-q", "--record", name];
        let replay = ["--from", name, "-q", "--out", "again"];
        for (arguments, out) in [(&record[..], "rankings"), (&replay, "again")] {
            let ran = indexrank(folder.path(), arguments);
            assert_eq!(ran.code, 3, "{}", ran.stderr);
            let report = json(&folder.path().join(out).join("run.json"));
            assert_eq!(report["failures"][0]["reason"], "unsupported_encoding");
        }
    }
}

/// Only bodies of archives are decoded from br. The request to a site accepts gzip only.
#[test]
fn a_live_page_in_another_encoding_is_an_error() {
    let mut headers = http::HeaderMap::new();
    headers.insert("content-encoding", "br".parse().unwrap());
    let page = Page {
        status: 200,
        headers,
        body: bytes(BROTLI),
        waited: Default::default(),
        elapsed: Default::default(),
        asked: String::new(),
        reached: None,
        from_journal: false,
        not_followed: None,
        large: None,
        saved: None,
    };
    let mut inflater = Inflater::default();
    let reason = page.inflate(&mut inflater).map_err(|error| error.reason);
    assert_eq!(reason, Err(Reason::UnsupportedEncoding));
}

//! Archives of other programs: what is between their records, and the heads of these.

use crate::archives::*;
use crate::run::gzip;

/// A record with LF line ends in both heads and after it.
fn bare_lf(path: &str) -> Vec<u8> {
    let http = format!("{OK}{PAGE}").replace("\r\n", "\n");
    let length = http.len();
    format!("WARC/1.0\nWARC-Type: response\nWARC-Target-URI: https://example.com{path}\nContent-Length: {length}\n\n{http}\n\n").into_bytes()
}

/// Opens an archive that has `/a` and `/b`, and checks both and the number of bytes that were skipped.
#[track_caller]
fn check_file(name: &str, bytes: &[u8], skipped: Option<usize>) {
    let archive = open(bytes);
    for path in ["/a", "/b"] {
        assert_eq!(text(&archive, path), Ok(PAGE.to_owned()), "{name}: {path}");
    }
    let damage = archive.damage().unwrap_or_default();
    let told = skipped.map_or(String::new(), |skipped| format!("{skipped} byte"));
    match skipped {
        Some(_) => assert!(damage.contains(&told), "{name}: {damage}"),
        None => assert_eq!(damage, "", "{name}"),
    }
}

#[test]
fn reads_plain_files_whatever_is_between_their_records() {
    let bare = |path: &str| {
        let uri = format!("https://example.com{path}");
        bare_record("response", &uri, "", format!("{OK}{PAGE}").as_bytes())
    };
    let revisit = bare_record("revisit", "https://example.com/c", "", b"");
    for between in [
        "",
        "\n",
        "\r\n",
        "\n\n",
        "\r\n\r\n\r\n",
        "\r\n\r\n\r\n\r\n\r\n",
        "\n\r\n\n",
        "\r\n \r\n",
        " \t\n",
    ] {
        let records = [bare("/a"), revisit.clone(), bare("/b"), Vec::new()];
        check_file(between, &records.join(between.as_bytes()), None);
    }
    check_file(
        "line ends first",
        &[b"\r\n\n".to_vec(), bare("/a"), bare("/b")].concat(),
        None,
    );
    let cut = response("/c", &"x".repeat(3000));
    let wrong_length = |length: &str| {
        let record = String::from_utf8(response("/c", PAGE)).unwrap();
        record.replacen("Content-Length: ", &format!("Content-Length: {length}"), 1)
    };
    for (between, skipped) in [
        (b"garbage\r\n".to_vec(), 9),
        (b"xyz".to_vec(), 3),
        (b"a\r\n\r\nb\r\n".to_vec(), 8),
        (vec![0; 100], 100),
        (vec![b'q'; 3_000_000], 3_000_000),
        // Cut in its block, in a line of its head, and in its version.
        (cut[..2000].to_vec(), 2000),
        (cut[..50].to_vec(), 50),
        (cut[..7].to_vec(), 7),
        (wrong_length("9").into_bytes(), wrong_length("9").len()),
        (
            wrong_length("99999").into_bytes(),
            wrong_length("99999").len(),
        ),
        (wrong_length("x").into_bytes(), wrong_length("x").len()),
    ] {
        let name = String::from_utf8_lossy(&between[..between.len().min(200)]).into_owned();
        let bytes = [response("/a", PAGE), between.clone(), response("/b", PAGE)].concat();
        check_file(&name, &bytes, Some(skipped));
        let bytes = [between, response("/a", PAGE), response("/b", PAGE)].concat();
        check_file(&name, &bytes, Some(skipped));
    }
    let junk = [response("/a", PAGE), response("/b", PAGE), vec![b'q'; 70]];
    check_file("junk at the end", &junk.concat(), Some(70));
    let is_read_to_its_end =
        |bytes: &[u8]| !open(bytes).damage().unwrap().contains("cannot be read");
    assert!(is_read_to_its_end(&junk.concat()));
    for cut in [&cut[..2000], &cut[..50], &cut[..3]] {
        let bytes = [&response("/a", PAGE), cut].concat();
        assert!(!is_read_to_its_end(&bytes), "{} bytes", cut.len());
    }
}

/// A search of the whole file, or of a large part of it, for each of them would take minutes.
#[test]
fn reads_past_many_damaged_records() {
    let (a, b) = (response("/a", PAGE), response("/b", PAGE));
    let no_length = b"WARC/1.0\r\nContent-Length: -1\r\n\r\n".repeat(200_000);
    let no_end = b"WARC/1.0\r\nA: b\r\n".repeat(200_000);
    let too_long = b"WARC/1.0\r\nContent-Length: 30000000\r\n\r\n".repeat(100_000);
    let too_long = [too_long, vec![b'q'; 31_000_000]].concat();
    for (name, damaged, number) in [
        ("no length", no_length, 200_000),
        ("no end", no_end, 200_000),
        // As many bytes as the last one announces follow it.
        ("too long", too_long, 99_999),
    ] {
        let archive = open(&[&*a, &damaged, &b].concat());
        assert_eq!(archive.damaged_records(), number, "{name}");
        for path in ["/a", "/b"] {
            assert_eq!(text(&archive, path), Ok(PAGE.to_owned()), "{name}: {path}");
        }
    }
    let apart = response("/a", PAGE).repeat(2);
    let apart = [&*apart, b" x"].concat().repeat(50_000);
    check_file("junk", &[apart, b].concat(), Some(50_000));
}

#[test]
fn reads_past_many_damaged_members() {
    let (a, b) = (gzip(&response("/a", PAGE)), gzip(&response("/b", PAGE)));
    let cut = a[..60].repeat(20_000);
    check_file("cut", &[&*a, &cut, &b].concat(), Some(cut.len()));
    for start in [&[0x1f, 0x8b, 8][..], &[0x1f, 0x8b, 8, 0]] {
        let starts = start.repeat(1_000_000);
        check_file("starts", &[&*a, &starts, &b].concat(), Some(starts.len()));
    }
    let mut wrong_checksum = a.clone();
    let at = wrong_checksum.len() - 6;
    wrong_checksum[at] ^= 1;
    let archive = open(&[&*a, &wrong_checksum.repeat(20_000), &b].concat());
    assert_eq!(archive.damaged_records(), 20_000);
    assert_eq!(text(&archive, "/b"), Ok(PAGE.to_owned()));
    // Each member has one stored block of 60,000 bytes, in which the next ones begin.
    let nested = [&a[..10], &[0, 0x60, 0xea, 0x9f, 0x15], b"WARC/1.0\r\n"].concat();
    let nested = nested.repeat(400_000);
    let archive = open(&[&*a, &nested, &[0; 100_000], &b].concat());
    assert!(archive.damaged_records() < 20_000);
    assert_eq!(text(&archive, "/b"), Ok(PAGE.to_owned()));
}

#[test]
fn reads_gzip_files_whatever_is_between_their_members() {
    let (a, b) = (gzip(&response("/a", PAGE)), gzip(&response("/b", PAGE)));
    let empty = gzip(b"");
    let line_ends = gzip(b"\r\n\r\n");
    for parts in [
        [&empty, &a, &b, &empty],
        [&a, &empty, &empty, &b],
        [&a, &line_ends, &b, &line_ends],
        [&line_ends, &empty, &a, &b],
    ] {
        check_file("empty members", &parts.map(Vec::as_slice).concat(), None);
    }
    let random: Vec<u8> = (0..9000_u32).map(|n| (n * n % 251) as u8).collect();
    let cut = gzip(&record(
        "response",
        "/c",
        "",
        &[OK.as_bytes(), &random].concat(),
    ));
    let cut = &cut[..cut.len() / 2];
    for (between, skipped) in [
        (&b"\0\0\0"[..], 3),
        (b"\n", 1),
        (&[0x1f, 0x8b, 8], 3),
        (cut, cut.len()),
    ] {
        check_file("between", &[&a, between, &b].concat(), Some(skipped));
    }
    check_file("cut first", &[cut, &a, &b].concat(), Some(cut.len()));
}

#[test]
fn reads_heads_with_any_bytes_and_line_ends() {
    let with_lf = |record: Vec<u8>| String::from_utf8(record).unwrap().replace("\r\n", "\n");
    let latin1: &[u8] = b"WARC-Filename: caf\xe9\xff\r\n";
    let head = [&b"WARC/1.0\r\nWARC-Type: response\r\n"[..], latin1].concat();
    let http = format!("{OK}{PAGE}");
    let end = format!(
        "WARC-Target-URI:\r\n https://example.com/a\r\nContent-Length : {}\r\n\r\n{http}\r\n\r\n",
        http.len()
    );
    let odd = [&head, end.as_bytes()].concat();
    let info = record("warcinfo", "", "", b"operator: caf\xe9\r\n");
    for (name, bytes) in [
        (
            "LF in WARC and HTTP",
            [bare_lf("/a"), bare_lf("/b")].concat(),
        ),
        (
            "CR LF, then LF",
            [response("/a", PAGE), bare_lf("/b")].concat(),
        ),
        (
            "bytes over 127, a folded line",
            [odd.clone(), response("/b", PAGE)].concat(),
        ),
        (
            "the first record",
            [info, odd, response("/b", PAGE)].concat(),
        ),
        ("a version in lower case", {
            let records = [response("/a", PAGE), response("/b", PAGE)].concat();
            let records = String::from_utf8(records).unwrap();
            records.replace("WARC/", "warc/").into_bytes()
        }),
        ("a type in capitals", {
            let a = String::from_utf8(response("/a", PAGE)).unwrap();
            [
                a.replace("response", "Response").into_bytes(),
                response("/b", PAGE),
            ]
            .concat()
        }),
    ] {
        check_file(name, &bytes, None);
    }
    // The HTTP head alone.
    for http in [
        format!("{}{PAGE}", OK.replace("\r\n", "\n")),
        format!("{}\r\n\r\n{PAGE}", OK.trim_end().replace("\r\n", "\n")),
        format!("{}\n\n{PAGE}", OK.trim_end()),
    ] {
        let archive = open(&record("response", "/a", "", http.as_bytes()));
        assert_eq!(text(&archive, "/a"), Ok(PAGE.to_owned()), "{http:?}");
    }
    assert!(!with_lf(response("/a", PAGE)).contains('\r'));
}

//! The names of saved bodies, from headers and addresses that may be hostile.

use std::path::{Component, Path};

use indexrank::lists::file_name::{file_name, numbered};
use indexrank::site::text::is_hidden;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

fn check(header: &str, expected: &str) {
    assert_eq!(
        file_name(Some(header.as_bytes()), "http://h/a/page"),
        expected,
        "{header}"
    );
}

#[test]
fn takes_the_name_of_a_header() {
    for (header, expected) in [
        ("attachment; filename=report.pdf", "report.pdf"),
        (
            "attachment; filename=\"annual report.pdf\"",
            "annual report.pdf",
        ),
        ("attachment; filename = \"a.pdf\" ; size=3", "a.pdf"),
        ("attachment;FILENAME=a.pdf", "a.pdf"),
        (
            "inline; filename=annual report.pdf; x=y",
            "annual report.pdf",
        ),
        ("filename=a.pdf", "a.pdf"),
        ("attachment; x=\"; filename=no\"; filename=yes", "yes"),
        ("attachment; x=\"\\\"; filename=no\"; filename=yes", "yes"),
        (
            "attachment; filename=\"a \\\"b\\\" \\\\c; d.txt\"",
            "a _b_ _c; d.txt",
        ),
        ("attachment; filename=\"naïve.txt\"", "naïve.txt"),
        ("attachment; filename=\"unclosed.txt", "unclosed.txt"),
        ("attachment; filename=\"a%20b.txt\"", "a%20b.txt"),
        (
            "attachment; filename=a.txt; filename*=UTF-8''na%C3%AFve.txt",
            "naïve.txt",
        ),
        (
            "attachment; filename*=utf-8'en'b%20c.txt; filename=a.txt",
            "b c.txt",
        ),
        ("attachment; filename*=ISO-8859-1''na%EFve.txt", "naïve.txt"),
        ("attachment; filename*=\"UTF-8''quoted.txt\"", "quoted.txt"),
        ("attachment; filename*=UTF-8''it's.txt", "it's.txt"),
        // None of these has a usable `filename*`.
        (
            "attachment; filename*=UTF-8''%FF.txt; filename=a.txt",
            "a.txt",
        ),
        (
            "attachment; filename*=KOI8-R''%C1.txt; filename=a.txt",
            "a.txt",
        ),
        ("attachment; filename*=b.txt; filename=a.txt", "a.txt"),
        ("attachment; filename*=UTF-8''; filename=a.txt", "a.txt"),
        (
            "attachment; filename*=UTF-8''ï.txt; filename=a.txt",
            "a.txt",
        ),
        ("attachment; filename*=UTF-8''..%2F; filename=a.txt", "_"),
        // None of these has a name.
        ("attachment", "page"),
        ("", "page"),
        ("=;=;\"", "page"),
        ("attachment; filename", "page"),
        ("attachment; filename=", "page"),
        ("attachment; filename=\"\"", "page"),
        ("attachment; filename=\"..\"", "page"),
        ("attachment; filename=\" . \"", "page"),
        ("attachment; filename=-", "page"),
        ("attachment; filename=\"\\", "page"),
    ] {
        check(header, expected);
    }
    let latin = b"attachment; filename=\"na\xefve.txt\"";
    assert_eq!(file_name(Some(latin), "http://h/"), "naïve.txt");
}

#[test]
fn takes_the_last_segment_of_an_address() {
    for (address, expected) in [
        ("http://h/a/report.pdf", "report.pdf"),
        ("http://h/report.pdf?version=/2#/x", "report.pdf"),
        ("http://h/a/?q=report.pdf", "index.html"),
        ("http://h/a#/b", "a"),
        ("http://h/", "index.html"),
        ("http://h", "index.html"),
        ("http://h?x=/y", "index.html"),
        ("", "index.html"),
        ("http://h/a%20b%2Fc.txt", "a b_c.txt"),
        ("http://h/na%C3%AFve", "naïve"),
        ("http://h/na%EFve", "naïve"),
        ("http://h/naïve%", "naïve%"),
        ("http://h/..", "index.html"),
        ("http://h/%2e%2e", "index.html"),
        ("http://h/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "_.._etc_passwd"),
        ("http://h/%00", "_"),
    ] {
        assert_eq!(file_name(None, address), expected, "{address}");
    }
}

#[test]
fn replaces_what_a_name_may_not_have() {
    for (name, expected) in [
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..\\\\windows", "_windows"),
        ("a/b", "a_b"),
        ("a<b>c:d|e?f*g", "a_b_c_d_e_f_g"),
        ("a\nb\tc\u{7f}d\u{85}", "a_b_c_d_"),
        ("a\u{202e}fdp.exe", "a_fdp.exe"),
        ("\u{feff}a", "_a"),
        (".htaccess", "htaccess"),
        ("...a", "a"),
        ("-rf", "rf"),
        (" - .-a", "a"),
        ("a.txt. . ", "a.txt"),
        ("a\u{3000}", "a"),
        ("a -.b", "a -.b"),
        ("con", "_con"),
        ("NUL.txt", "_NUL.txt"),
        ("nul .tar.gz", "_nul .tar.gz"),
        ("Com1", "_Com1"),
        ("LPT²", "_LPT²"),
        ("CONOUT$", "_CONOUT$"),
        ("com10", "com10"),
        ("console", "console"),
        ("unfinished.part", "_unfinished.part"),
        ("UNFINISHED-3.ndjson", "_UNFINISHED-3.ndjson"),
        ("unfinished.html", "_unfinished.html"),
        ("unfinishe", "unfinishe"),
        ("data.ndjson", "data.ndjson"),
    ] {
        check(&format!("attachment; filename=\"{name}\""), expected);
    }
}

#[test]
fn cuts_a_long_name_before_its_extension() {
    let name = |text: &str| file_name(None, &format!("http://h/{text}"));
    let x = |number: usize| "x".repeat(number);
    for (long, expected) in [
        (x(200), x(200)),
        (x(201), x(200)),
        (format!("{}.pdf", x(300)), format!("{}.pdf", x(196))),
        (format!("{}.tar.gz", x(300)), format!("{}.gz", x(197))),
        (
            format!("{}.{}", x(300), x(15)),
            format!("{}.{}", x(184), x(15)),
        ),
        (format!("{}.{}", x(300), x(16)), x(200)),
        (format!("a.{}", x(300)), format!("a.{}", x(198))),
        (format!("{}é.pdf", x(195)), format!("{}.pdf", x(195))),
        (format!("{}.{}", x(199), x(300)), x(199)),
        (format!("nul{}b", "%20".repeat(300)), "_nul".to_owned()),
        (format!("nul.{}", x(196)), format!("_nul.{}", x(195))),
    ] {
        assert_eq!(name(&long), expected, "{long}");
    }
}

#[test]
fn numbers_a_name_before_its_extension() {
    for (name, expected) in [
        ("report.pdf", "report-17.pdf"),
        ("report", "report-17"),
        ("archive.tar.gz", "archive-17.tar.gz"),
        ("archive.TAR.xz", "archive-17.TAR.xz"),
        ("a.b.c", "a.b-17.c"),
        (".tar.gz", ".tar-17.gz"),
        (".hidden", ".hidden-17"),
        ("a.extension-of-a-sentence", "a.extension-of-a-sentence-17"),
        ("archive.tar", "archive-17.tar"),
    ] {
        assert_eq!(numbered(name, 17), expected);
    }
    let long = numbered(&format!("{}.tar.gz", "é".repeat(400)), u64::MAX);
    assert_eq!(long, format!("{}-{}.tar.gz", "é".repeat(113), u64::MAX));
}

/// Panics unless a name is a single plain component of a path.
fn assert_harmless(name: &str, max: usize) {
    let path = Path::new("folder").join(name);
    let components: Vec<Component> = path.components().collect();
    assert!(
        matches!(components[..], [Component::Normal(_), Component::Normal(one)] if one == name),
        "{name:?}"
    );
    assert!((1..=max).contains(&name.len()), "{name:?}");
    assert!(
        !name.contains(|c| is_hidden(c) || r#"/\<>:"|?*"#.contains(c)),
        "{name:?}"
    );
    assert!(
        !name.starts_with(['.', '-', ' ']) && !name.ends_with(['.', ' ']),
        "{name:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_name_stays_in_its_folder(
        header in vec(any::<u8>(), 0..400),
        pieces in vec(select(vec![
            "filename=", "filename*=", "UTF-8''", "ISO-8859-1''", "\"", "\\", ";", "..", "/", "%2F", "%2e", "%00", "%",
            ".", "-", " ", "nul", "unfinished", ".part", "a", "\u{202e}", "é", ".tar.gz", "http://", "?", "#",
        ]), 0..60),
        number: u64,
    ) {
        let pieces = pieces.concat();
        let prefixed = [b"attachment; filename=\"", &header[..]].concat();
        for header in [&header[..], &prefixed, pieces.as_bytes()] {
            for address in [&*pieces, &String::from_utf8_lossy(header)] {
                let name = file_name(Some(header), address);
                assert_harmless(&name, 200);
                assert_harmless(&numbered(&name, number), 255);
            }
        }
    }
}

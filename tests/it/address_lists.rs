//! Lists of addresses: ranges and sets as curl expands them, files of addresses, and their errors.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use indexrank::lists::addresses::{Addresses, List, split_arguments};
use indexrank::lists::pattern::Pattern;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use url::Url;

fn arguments(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn list(text: &str) -> Option<List> {
    Some(List {
        name: "urls.txt".to_owned(),
        text: text.to_owned(),
    })
}

fn expanded(addresses: &Addresses) -> Vec<String> {
    addresses
        .iter()
        .map(|listed| listed.address.to_string())
        .collect()
}

fn errors(texts: &[&str], file: Option<List>) -> String {
    Addresses::new(arguments(texts), file)
        .unwrap_err()
        .to_string()
}

/// What curl 7.88.1 requests: `curl -s -o /dev/null -x http://127.0.0.1:1 -w '%{url}\n' PATTERN`.
#[test]
fn expands_ranges_and_sets_as_curl_does() {
    for (pattern, expected) in [
        ("http://h/[1-3]", "http://h/1 http://h/2 http://h/3"),
        ("http://h/[9-11]", "http://h/9 http://h/10 http://h/11"),
        ("http://h/[09-11]", "http://h/09 http://h/10 http://h/11"),
        (
            "http://h/[098-101]",
            "http://h/098 http://h/099 http://h/100 http://h/101",
        ),
        ("http://h/[00-2]", "http://h/00 http://h/01 http://h/02"),
        ("http://h/[1- 3]", "http://h/1 http://h/2 http://h/3"),
        ("http://h/[1-10:4]", "http://h/1 http://h/5 http://h/9"),
        ("http://h/[0-10:5]", "http://h/0 http://h/5 http://h/10"),
        ("http://h/[1-1]", "http://h/1"),
        ("http://h/[1-1:1]", "http://h/1"),
        (
            "http://h/[18446744073709551614-18446744073709551615]",
            "http://h/18446744073709551614 http://h/18446744073709551615",
        ),
        ("http://h/[A-C]", "http://h/A http://h/B http://h/C"),
        (
            "http://h/[a-g:2]",
            "http://h/a http://h/c http://h/e http://h/g",
        ),
        ("http://h/[a-c:1]", "http://h/a http://h/b http://h/c"),
        ("http://h/[a-a]", "http://h/a"),
        ("http://h/{a,b,c}", "http://h/a http://h/b http://h/c"),
        ("http://h/{a}", "http://h/a"),
        ("http://h/{,b}", "http://h/ http://h/b"),
        ("http://h/{a,}", "http://h/a http://h/"),
        ("http://h/{é,日本}", "http://h/é http://h/日本"),
        (
            "http://h/{one,two}/[1-2]/{x,y}",
            "http://h/one/1/x http://h/one/1/y http://h/one/2/x http://h/one/2/y \
             http://h/two/1/x http://h/two/1/y http://h/two/2/x http://h/two/2/y",
        ),
        (
            "http://h/[0-2].[a-c]",
            "http://h/0.a http://h/0.b http://h/0.c http://h/1.a http://h/1.b http://h/1.c \
             http://h/2.a http://h/2.b http://h/2.c",
        ),
        ("http://{a,b}.h/", "http://a.h/ http://b.h/"),
        ("{http,https}://h/", "http://h/ https://h/"),
        (
            "http://h:[80-82]/",
            "http://h:80/ http://h:81/ http://h:82/",
        ),
        (r"http://h/\[1-3\]\{a,b\}", "http://h/[1-3]{a,b}"),
        (r"http://h/a\b", r"http://h/a\b"),
        (
            r"http://h/{a\,b,c\}d,e\\f}",
            r"http://h/a,b http://h/c}d http://h/e\f",
        ),
        (
            "http://[::1]:8080/[1-2]",
            "http://[::1]:8080/1 http://[::1]:8080/2",
        ),
        ("http://[0::1]/", "http://[0::1]/"),
        ("http://h/[::1]", "http://h/[::1]"),
        ("http://h/[fe80::1%25eth0]", "http://h/[fe80::1%25eth0]"),
        ("http://h/?ids[]=1", "http://h/?ids[]=1"),
    ] {
        let expected: Vec<&str> = expected.split(' ').collect();
        let addresses = Addresses::new(arguments(&[pattern]), None).unwrap();
        assert_eq!(expanded(&addresses), expected, "{pattern}");
        assert_eq!(addresses.len(), expected.len() as u64, "{pattern}");
    }
}

#[test]
fn requests_no_fragments() {
    let texts = [
        "http://h/a#b",
        "http://h/a#[1-2]",
        "http://h/{a#b,c}/d",
        "HTTP://H/?q#",
    ];
    let addresses = Addresses::new(arguments(&texts), None).unwrap();
    assert_eq!(
        expanded(&addresses),
        [
            "http://h/a",
            "http://h/a",
            "http://h/a",
            "http://h/a",
            "http://h/c/d",
            "HTTP://H/?q"
        ]
    );
}

#[test]
fn lists_arguments_before_the_lines_of_the_file() {
    let text =
        "\u{feff}# pages\r\n\r\n  http://h/a b  \r\n\t# more\nhttp://h/[1-2]\n\nhttp://h/a b";
    let texts = ["http://x/", " http://y:8080/@user/x "];
    let addresses = Addresses::new(arguments(&texts), list(text)).unwrap();
    let listed: Vec<(u64, String)> = addresses
        .iter()
        .map(|listed| (listed.position, listed.address.to_string()))
        .collect();
    let expected = [
        "http://x/",
        "http://y:8080/@user/x",
        "http://h/a b",
        "http://h/1",
        "http://h/2",
        "http://h/a b",
    ];
    let expected: Vec<(u64, String)> = (1..).zip(expected.map(str::to_owned)).collect();
    assert_eq!(listed, expected);
    assert!(!addresses.is_empty());
    for nothing in ["", "\u{feff}", "# only a comment\r\n \n"] {
        let addresses = Addresses::new(Vec::new(), list(nothing)).unwrap();
        assert_eq!(
            (addresses.len(), addresses.iter().count()),
            (0, 0),
            "{nothing:?}"
        );
        assert!(addresses.is_empty());
    }
}

/// A range of 10^18 addresses is validated, counted and begun in less than a second.
#[test]
fn expands_long_ranges_lazily() {
    let begun = Instant::now();
    let text = "http://h/[0-18446744073709551615][0-9]\nhttp://h/[1-1000000000000000000:2]/{a,b}";
    let addresses =
        Addresses::new(arguments(&["http://h/[0-999999999999999999]"]), list(text)).unwrap();
    assert_eq!(addresses.len(), u64::MAX);
    let overflow = Pattern::parse("[0-18446744073709551614][0-9]").unwrap();
    assert_eq!(overflow.count(), u64::MAX);
    let last = addresses.iter().nth(99_999).unwrap();
    assert_eq!((last.position, &*last.address), (100_000, "http://h/99999"));
    let other = Addresses::new(Vec::new(), list("http://h/[1-1000000000000000000:2]/{a,b}"));
    assert_eq!(other.unwrap().len(), 1_000_000_000_000_000_000);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn says_what_is_wrong_with_an_address() {
    let range = "is no range like `[1-500]`, `[001-100]`, `[a-z]` or `[0-90:10]`; write `\\[` and `\\]` for brackets that are part of the address";
    let range = |text: &str| format!("`{text}` {range}");
    let no_scheme = "it does not begin with http:// or https://";
    let login = "it has a user or a password, which is not supported";
    for (text, expected) in [
        ("http://h/[1-", "the range `[1-` has no closing `]`".to_owned()),
        ("http://h/[", "the range `[` has no closing `]`".to_owned()),
        ("http://h/[a]", range("[a]")),
        ("http://h/[1]", range("[1]")),
        ("http://h/?filter[name]=x", range("[name]")),
        ("http://h/[-1-3]", range("[-1-3]")),
        ("http://h/[+1-3]", range("[+1-3]")),
        ("http://h/[1-3:-1]", range("[1-3:-1]")),
        ("http://h/[1-3:]", range("[1-3:]")),
        ("http://h/[1-z]", range("[1-z]")),
        ("http://h/[A-z]", range("[A-z]")),
        ("http://h/[a-Z]", range("[a-Z]")),
        ("http://h/[é-ü]", range("[é-ü]")),
        ("http://h/[1-18446744073709551616]", range("[1-18446744073709551616]")),
        ("http://h/[3-1]", "the range `[3-1]` goes from high to low".to_owned()),
        ("http://h/[c-a]", "the range `[c-a]` goes from high to low".to_owned()),
        ("http://h/[1-3:0]", "the step of the range `[1-3:0]` is 0".to_owned()),
        ("http://h/[1-3:5]", "the step of the range `[1-3:5]` is larger than the range".to_owned()),
        ("http://h/[1-1:2]", "the step of the range `[1-1:2]` is larger than the range".to_owned()),
        ("http://h/[a-c:999]", "the step of the range `[a-c:999]` is larger than the range".to_owned()),
        ("http://h/{a,b", "the set `{a,b` has no closing `}`".to_owned()),
        ("http://h/{a\\", "the set `{a\\` has no closing `}`".to_owned()),
        ("http://h/{}", "the set `{}` is empty".to_owned()),
        (
            "http://h/{a,{b,c}}",
            "`{` in the set `{a,{` is not supported: sets have no sets and ranges in them; write `\\{` for the character".to_owned(),
        ),
        (
            "http://h/{a,[1-2]}",
            "`[` in the set `{a,[` is not supported: sets have no sets and ranges in them; write `\\[` for the character".to_owned(),
        ),
        ("http://h/{a]}", "`]` has no `[` before it; write `\\]` for the character".to_owned()),
        ("http://h/a]", "`]` has no `[` before it; write `\\]` for the character".to_owned()),
        ("http://h/a}", "`}` has no `{` before it; write `\\}` for the character".to_owned()),
        ("example.com/x", format!("{no_scheme}; did you mean https://example.com/x?")),
        ("//example.com/x", format!("{no_scheme}; did you mean https://example.com/x?")),
        ("localhost:8000/", format!("{no_scheme}; did you mean https://localhost:8000/?")),
        ("notes", no_scheme.to_owned()),
        ("", no_scheme.to_owned()),
        ("../x", no_scheme.to_owned()),
        ("ftp://example.com/", no_scheme.to_owned()),
        ("http:/example.com/", no_scheme.to_owned()),
        ("http://", "it has no host".to_owned()),
        ("http:///x", "it has no host".to_owned()),
        ("https://?x", "it has no host".to_owned()),
        ("http://:80/", "it has a wrong host or port: empty host".to_owned()),
        ("http://h:99999/", "it has a wrong host or port: invalid port number".to_owned()),
        ("http://h:x/", "it has a wrong host or port: invalid port number".to_owned()),
        ("http://a b/", "it has a wrong host or port: invalid international domain name".to_owned()),
        ("http://1.2.3.256/", "it has a wrong host or port: invalid IPv4 address".to_owned()),
        ("http://\\[::g\\]/", "http://[::g]/ has a wrong host or port: invalid IPv6 address".to_owned()),
        ("http://münchen.de/", "it has a host that must be written as xn--mnchen-3ya.de".to_owned()),
        ("http://127.1:80/", "it has a host that must be written as 127.0.0.1".to_owned()),
        ("http://ex%61mple.com/", "it has a host that must be written as example.com".to_owned()),
        ("http://h/a\tb", "it has a control character".to_owned()),
        (
            "http://h:[65534-65536]/",
            "http://h:65536/ has a wrong host or port: invalid port number".to_owned(),
        ),
        (
            "http://h:{6,1}{553,9999}/",
            "http://h:69999/ has a wrong host or port: invalid port number".to_owned(),
        ),
        (
            "{http,ftp}://example.com/[1-2]",
            "ftp://example.com/1 does not begin with http:// or https://".to_owned(),
        ),
        ("http://user:pw@h/", login.to_owned()),
        ("http://user@h/", login.to_owned()),
    ] {
        let expected = match text {
            "http://user:pw@h/" | "http://user@h/" => format!("http://USER:PASSWORD@h/: {expected}"),
            _ => format!("{}: {expected}", text.replace('\t', "\\u{9}")),
        };
        assert_eq!(errors(&[text], None), expected);
    }
}

#[test]
fn names_the_line_of_an_address() {
    let text = "# pages\r\nhttp://h/ok\r\n\r\nexample.com/x\r\nhttp://h/[2-1]";
    assert_eq!(
        errors(&["http://h/{"], list(text)),
        "http://h/{: the set `{` has no closing `}`\n\
         urls.txt, line 4: example.com/x: it does not begin with http:// or https://; did you mean https://example.com/x?\n\
         urls.txt, line 5: http://h/[2-1]: the range `[2-1]` goes from high to low"
    );
    let long = format!("http:///{}é", "x".repeat(191));
    assert_eq!(
        errors(&[&long], None),
        format!("http:///{}…: it has no host", "x".repeat(191))
    );
}

#[test]
fn shows_ten_errors_and_counts_the_others() {
    for (lines, more) in [(10, ""), (11, "\nand 1 more"), (5000, "\nand 4990 more")] {
        let found = errors(&[], list(&"http:///\n".repeat(lines)));
        assert_eq!(
            found
                .lines()
                .filter(|line| line.contains("no host"))
                .count(),
            10
        );
        assert!(
            found.ends_with(&format!(
                "urls.txt, line 10: http:///: it has no host{more}"
            )),
            "{found}"
        );
    }
}

#[test]
fn never_shows_a_password() {
    for text in [
        "http://user:secret@h/",
        "http://user:secret@h/[2-1]",
        "http://user:secret/@h/",
        "http://user:[secret]@h/",
        "http://user:se[cret@h/{",
        "http://{user:secret@h,h}/",
        "http://{h/,user:secret}@x/",
        "http://{user:secret@h/,user:secret@i/}x",
        "{http://user:secret@h/,x}",
        "http:{/}/user:secret@h/",
        "http:/{/}user:secret@h/",
        "user:secret@example.com/x",
        "ftp://user:secret@h/",
        "http:///user:secret@h/",
        "http://h:80{/,user:secret@}x",
    ] {
        let found = [errors(&[text], None), errors(&[], list(text))];
        for error in found {
            assert!(
                !error.contains("secret") && error.contains("USER:PASSWORD@"),
                "{text}: {error}"
            );
        }
    }
    let found = split_arguments(["user:secret@example.com/x".into()]).unwrap_err();
    assert_eq!(
        found.to_string(),
        "USER:PASSWORD@example.com/x: it has a user or a password, which is not supported"
    );
}

#[test]
fn splits_files_from_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let existing = folder.path().join("example.com");
    fs::write(&existing, "").unwrap();
    let existing = existing.to_str().unwrap();
    let split = |texts: &[&str]| split_arguments(texts.iter().map(OsString::from));
    let (files, addresses) = split(&[
        existing,
        "http://h/x",
        "-",
        "no/such/file",
        "notes",
        "{http,ftp}://h/",
        "ftp://h/",
        "photo@2x.png",
        // A file of the package, from where the tests run.
        "Cargo.toml",
        "HTTPS://h",
    ])
    .unwrap();
    let names = [
        existing,
        "-",
        "no/such/file",
        "notes",
        "photo@2x.png",
        "Cargo.toml",
    ];
    assert_eq!(files, names.map(Path::new));
    assert_eq!(
        addresses,
        ["http://h/x", "{http,ftp}://h/", "ftp://h/", "HTTPS://h"]
    );
    let wrong = [
        "example.com/x",
        "notes",
        "www.example.com",
        "example.com/?u=http://h/",
        "",
    ];
    assert_eq!(
        split(&wrong).unwrap_err().to_string(),
        "example.com/x: there is no such file; did you mean https://example.com/x?\n\
         www.example.com: there is no such file; did you mean https://www.example.com?\n\
         example.com/?u=http://h/: there is no such file; did you mean https://example.com/?u=http://h/?\n\
         an argument is empty: it is neither a file nor an address"
    );
}

#[cfg(unix)]
#[test]
fn splits_arguments_of_any_bytes() {
    use std::os::unix::ffi::OsStringExt;
    let of_bytes = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    let (files, _) = split_arguments([of_bytes(b"caf\xe9")]).unwrap();
    assert_eq!(files.len(), 1);
    let found = split_arguments([of_bytes(b"http://h/caf\xe9")]).unwrap_err();
    assert_eq!(found.to_string(), "http://h/caf\u{fffd}: it is not UTF-8");
}

#[test]
fn reads_a_file_of_addresses() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("urls.txt");
    let shown = path.display();
    let missing = List::read(&path).unwrap_err();
    let start = format!("cannot read {shown}: ");
    assert!(
        missing.starts_with(&start) && !missing.contains("os error"),
        "{missing}"
    );
    for (bytes, expected) in [
        (&b"http://h/\n"[..], Ok("http://h/\n".to_owned())),
        (
            b"http://h/\nhttp://h/\xe9\n",
            Err(format!("cannot read {shown}: line 2 is not UTF-8")),
        ),
        (
            b"\xff\xfeh\0",
            Err(format!("cannot read {shown}: line 1 is not UTF-8")),
        ),
    ] {
        fs::write(&path, bytes).unwrap();
        assert_eq!(List::read(&path).map(|list| list.text), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    /// No text panics. A list is as long as it says, its addresses have neither user nor password, and the
    /// samples of a pattern are among its texts.
    #[test]
    fn a_list_is_as_long_as_it_says(
        pieces in vec(select(vec![
            "http://", "h", "/", "[1-3]", "[07-9:2]", "[a-c]", "{x,y}", "{,é}", "\\[", "\\]", "\\", "[", "]", "{", "}",
            ",", "-", ":", "@", "u:p@", "{u:p@,}", "#", "?", "[::1]", "[]", "1", " ", "\n", "\u{feff}",
        ]), 0..12),
        prefix in select(vec!["", "http://h", "http://h/", "https://{a,b}.c/"]),
    ) {
        let text = format!("{prefix}{}", pieces.concat());
        if let Ok(addresses) = Addresses::new(Vec::new(), list(&text)) {
            prop_assert_eq!(addresses.len(), addresses.iter().count() as u64);
            for listed in addresses.iter() {
                prop_assert!(!listed.address.contains('#'));
                if let Ok(url) = Url::parse(&listed.address) {
                    prop_assert_eq!((url.username(), url.password()), ("", None), "{}", listed.address);
                }
            }
        }
        if let Ok(pattern) = Pattern::parse(&text) {
            let samples: Vec<String> = pattern.samples().collect();
            let count = pattern.count();
            let texts: Vec<String> = pattern.expand().collect();
            prop_assert_eq!(count, texts.len() as u64);
            prop_assert_eq!(Some(&samples[0]), texts.first());
            prop_assert_eq!(count == 1, samples.len() == 1);
            prop_assert!(samples.contains(texts.last().unwrap()));
            prop_assert!(samples.iter().all(|sample| texts.contains(sample)));
        }
    }
}

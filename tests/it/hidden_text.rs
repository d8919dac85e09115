//! No control character, no mark that turns text, and none without a shape reaches the terminal, whatever
//! page, response or file name it comes from.

use std::fs;
use std::sync::LazyLock;

use indexrank::replica::Pages;
use indexrank::site::text::{is_hidden, visible};
use proptest::prelude::*;
use serde_json::Value;

use crate::run::{COMPANY, INDEX_2, RATES, market, unnamed};
use crate::support::{Ran, Reply, TestServer, indexrank, json};

/// One of each kind: ESC, BEL, DEL, CSI, a soft hyphen, marks of direction, fillers, spaces without
/// width, a variation selector, a separator of lines, an annotation, a tag.
const HIDDEN: [char; 27] = [
    '\u{1b}',
    '\u{7}',
    '\u{7f}',
    '\u{9b}',
    '\u{ad}',
    '\u{34f}',
    '\u{61c}',
    '\u{115f}',
    '\u{1160}',
    '\u{17b4}',
    '\u{180e}',
    '\u{200b}',
    '\u{200d}',
    '\u{200e}',
    '\u{200f}',
    '\u{202a}',
    '\u{202e}',
    '\u{2060}',
    '\u{2066}',
    '\u{2069}',
    '\u{3164}',
    '\u{fe0f}',
    '\u{feff}',
    '\u{ffa0}',
    '\u{2028}',
    '\u{fff9}',
    '\u{e0041}',
];

static ALL_HIDDEN: LazyLock<String> = LazyLock::new(|| HIDDEN.iter().collect());
/// Those that an address and a header may contain.
static WITHOUT_CONTROLS: LazyLock<String> = LazyLock::new(|| {
    let allowed = |c: &&char| !c.is_control() && !c.is_whitespace();
    HIDDEN.iter().filter(allowed).collect()
});

/// Asserts that no hidden character was printed, besides line ends.
#[track_caller]
fn assert_visible(ran: &Ran) {
    for text in [&ran.stdout, &ran.stderr] {
        let hidden = |c: char| c != '\n' && (c.is_control() || HIDDEN.contains(&c));
        assert!(!text.contains(hidden), "{text:?}");
    }
}

#[test]
fn shows_hidden_characters_as_escapes() {
    for c in HIDDEN {
        assert!(is_hidden(c), "{c:?}");
        let shown = format!("a\\u{{{:x}}}b", u32::from(c));
        assert_eq!(visible(&format!("a{c}b")), shown);
    }
    for text in [
        "",
        "3M Co.",
        "Nestlé",
        "Æ – “quoted” €",
        "株式会社",
        "नेस्ले",
        "😀",
        "a b\u{a0}c",
    ] {
        assert_eq!(visible(text), text);
    }
    assert_eq!(visible("two\nlines"), "two\\u{a}lines");
}

proptest! {
    #[test]
    fn whatever_is_printed_is_visible(text in any::<String>()) {
        let shown = visible(&text);
        prop_assert!(!shown.contains(is_hidden));
        prop_assert!(!shown.contains(|c: char| c.is_control()));
        let kept: String = text.chars().filter(|c| !is_hidden(*c)).collect();
        let is_kept = kept.chars().all(|c| shown.contains(c));
        prop_assert!(is_kept, "{:?} in {:?}", kept, shown);
    }
}

/// A server whose pages have hidden characters in every text that is printed.
fn hostile_server() -> TestServer {
    let pages = Pages::of_market(&market());
    TestServer::start(market(), move |path, _| {
        let hidden = &*ALL_HIDDEN;
        let page = || String::from_utf8(pages.get(path)?.plain_body()).ok();
        let html = match path {
            // A company that answers 404, so its address is printed as missing.
            INDEX_2 => page()?.replace("lnt-stock\"", &format!("lnt{}-stock\"", *WITHOUT_CONTROLS)),
            // The first place of a ranking, with a doubtful figure and an unreadable one.
            COMPANY => {
                let html = unnamed(page()?.as_bytes());
                let html = String::from_utf8(html).unwrap();
                let name = format!("price-section__label\">{hidden}N{hidden}");
                let html = html.replacen("price-section__label\">", &name, 1);
                let code = format!("MM{hidden}M</span>");
                html.replacen("MMM</span>", &code, 1)
            }
            RATES => format!("<ValCurs>No {hidden}rates</ValCurs>"),
            "/stocks/a-stock" => {
                let head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Encoding: ";
                return Some(Reply::with_head(
                    &(head.to_owned() + &WITHOUT_CONTROLS),
                    b"",
                ));
            }
            _ => return None,
        };
        Some(Reply::Page(html.into_bytes()))
    })
}

#[test]
fn prints_no_hidden_character_of_pages_and_responses() {
    let server = hostile_server();
    let folder = tempfile::tempdir().unwrap();
    let from = ["--from", server.address(), "--min-companies", "1"];
    let ran = indexrank(folder.path(), &[&from[..], &["-v"]].concat());
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    assert_visible(&ran);
    for words in ["\\u{fff9}\\u{e0041}-stock", "No \\u{1b}", "only gzip"] {
        assert!(ran.stderr.contains(words), "no {words:?} in {}", ran.stderr);
    }
    // JSON has the characters that the site wrote, on stdout as escapes.
    let ran = indexrank(folder.path(), &[&from[..], &["--json"]].concat());
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    assert_visible(&ran);
    let printed: Value = serde_json::from_str(&ran.stdout).unwrap();
    let written = json(&folder.path().join("rankings/run.json"));
    assert_eq!(printed, written);
    let paths = written["failures"].as_array().unwrap().iter();
    let paths: Vec<&str> = paths.map(|one| one["path"].as_str().unwrap()).collect();
    assert!(
        paths.iter().any(|path| path.contains(&**WITHOUT_CONTROLS)),
        "{paths:?}"
    );

    for options in [&[][..], &["--json"]] {
        let check = ["check", "--from", server.address()];
        assert_visible(&indexrank(folder.path(), &[&check, options].concat()));
    }
}

/// A file name may contain any byte but a slash.
#[test]
#[cfg(unix)]
fn prints_no_hidden_character_of_file_names() {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("a\n{}b", *ALL_HIDDEN);
    let file = |ending: &str| format!("{name}{ending}");
    fs::write(folder.path().join(file(".warc")), "no archive").unwrap();
    fs::write(folder.path().join(file(".html")), "no page").unwrap();
    fs::write(folder.path().join(&name), "no folder").unwrap();
    let from = ["--from", "replica"];
    for (arguments, code) in [
        (&["--from", &file(".warc")][..], 2),
        (&["--from", &file("none.warc")], 2),
        (&["--from", &name], 2),
        (&["--index", &name], 2),
        (&["--user-agent", &name], 2),
        (&[&name], 2),
        (&["read", &file(".html")], 5),
        (&["read", &file(".none")], 2),
        (&["serve", "--from", &file(".warc")], 2),
        (&[&from[..], &["--out", &name]].concat(), 7),
        (&[&from[..], &["--table", &file(".html/t.csv")]].concat(), 7),
        (
            &[
                &from[..],
                &["--out", &file("out"), "--table", &file(".csv")],
            ]
            .concat(),
            0,
        ),
        (
            &[
                &from[..],
                &["--rps", "40", "--max-time", "0.7", "--out", &file("2")],
            ]
            .concat(),
            4,
        ),
    ] {
        let ran = indexrank(folder.path(), arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.stderr);
        assert_visible(&ran);
    }
}

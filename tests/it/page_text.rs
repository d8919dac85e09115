//! Titles and headings of pages of any site.

use std::time::{Duration, Instant};

use indexrank::site::page_text::PageText;

const HTML: Option<&str> = Some("text/html; charset=utf-8");

fn title(html: &str) -> Option<String> {
    PageText::with_title(html, HTML).title
}

/// The headings as `1 text`.
fn headings(html: &str) -> Vec<String> {
    let page = PageText::with_headings(html, HTML).unwrap();
    assert_eq!(page.title, title(html), "{html}");
    let headings = page.headings.into_iter();
    headings
        .map(|heading| format!("{} {}", heading.level, heading.text))
        .collect()
}

#[test]
fn reads_the_first_title() {
    for (html, expected) in [
        ("<title>A</title>", Some("A")),
        (
            "<!DOCTYPE html><html><head><meta charset=x><TITLE lang=en>\n A \t b\u{a0}c\n</TITLE>",
            Some("A b c"),
        ),
        (
            "<title>A &amp; B &lt;i&gt; &#x41;&nbsp;&euro;</title>",
            Some("A & B <i> A €"),
        ),
        (
            "<title>a <b>c</b> <!-- d --></title>",
            Some("a <b>c</b> <!-- d -->"),
        ),
        ("<title>A</title><title>B</title>", Some("A")),
        ("<title></title><title>B</title>", Some("")),
        ("<title>A", Some("A")),
        ("<title>A<h1>B</h1>", Some("A<h1>B</h1>")),
        ("<!-- <title>A</title> --><title>B</title>", Some("B")),
        (
            "<script>'<title>A</title>'</script><title>B</title>",
            Some("B"),
        ),
        ("<style><title>A</title></style>", None),
        (
            "<textarea><title>A</title></textarea><title>B</title>",
            Some("B"),
        ),
        (
            "<template><title>A</title></template><title>B</title>",
            Some("B"),
        ),
        ("<svg><title>A</title></svg><title>B</title>", Some("B")),
        (
            "<svg><foreignObject><title>A</title></foreignObject></svg><title>B</title>",
            Some("B"),
        ),
        ("<math><title>A</title></math><title>B</title>", Some("B")),
        ("<p title='<title>A</title>'>x", None),
        ("<body><p>x<title>A</title>", Some("A")),
        ("<h1>x</h1>", None),
        ("", None),
    ] {
        assert_eq!(title(html).as_deref(), expected, "{html}");
    }
}

#[test]
fn lists_headings_in_the_order_of_the_page() {
    for (html, expected) in [
        ("", &[][..]),
        (
            "<h2>b</h2><h1>a</h1><h4>d</h4><h3>c</h3><h5>e</h5>",
            &["2 b", "1 a", "4 d", "3 c"],
        ),
        ("<h1>a</h1><h2>b<h2>c<H4>d", &["1 a", "2 b", "2 c", "4 d"]),
        (
            "<h1>\n a <b> b</b>c&amp;d&nbsp; <br>e </h1>",
            &["1 a bc&d e"],
        ),
        ("<h1><a href=x><img alt=y></a></h1>", &["1 "]),
        ("<div><h1>a</div>b", &["1 a"]),
        (
            "<h1>a<script>b</script><style>c</style><template>d</template><noscript><i>e</i></noscript>f</h1>",
            &["1 af"],
        ),
        ("<h1>a<!-- b -->c</h1>", &["1 ac"]),
        ("<h1>a<div>b<h2>c</h2></div>d</h1>", &["1 abcd", "2 c"]),
        (
            "<h1 hidden>a</h1><h2 style='display:none'>b</h2>",
            &["1 a", "2 b"],
        ),
        (
            "<!-- <h1>a</h1> --><script>'<h2>'</script><template><h1>b</h1></template><p>h3",
            &[],
        ),
        (
            "<template><div><h1>a</h1></div></template><h3>b</h3>",
            &["3 b"],
        ),
        ("<svg><h1>a</h1></svg>", &["1 a"]),
        ("<svg><desc><h1>a</h1></desc></svg>", &["1 a"]),
    ] {
        assert_eq!(headings(html), expected, "{html}");
    }
}

#[test]
fn reads_only_html() {
    let page = "<!doctype html><title>A</title><h1>B</h1>";
    for (text, content_type, is_html) in [
        (page, None, true),
        (page, Some("TEXT/HTML"), true),
        (page, Some(" application/xhtml+xml ;charset=utf-8"), true),
        (page, Some("text/plain"), false),
        (page, Some("text/htmlx"), false),
        (page, Some(""), false),
        (page, Some("application/json"), false),
        (
            "\u{feff}\r\n <HTML lang=en><title>A</title><h1>B</h1>",
            None,
            true,
        ),
        ("<!--x--><title>A</title><h1>B</h1>", None, true),
        ("<title>A</title><h1>B</h1>", None, true),
        ("<htmlx><title>A</title><h1>B</h1>", None, false),
        ("<é><title>A</title><h1>B</h1>", None, false),
        (
            "<?xml version='1.0'?><title>A</title><h1>B</h1>",
            None,
            false,
        ),
        ("A <title>A</title><h1>B</h1>", None, false),
    ] {
        let read = PageText::with_headings(text, content_type).unwrap();
        let found = (read.title.as_deref(), read.headings.len());
        let expected = if is_html { (Some("A"), 1) } else { (None, 0) };
        assert_eq!(found, expected, "{content_type:?} {text}");
        assert_eq!(read.chars, text.chars().count() as u64);
        let read = PageText::with_title(text, content_type);
        assert_eq!((read.title.as_deref(), read.headings), (expected.0, vec![]));
    }
    assert_eq!(PageText::with_title("日本\n", None).chars, 3);
}

#[test]
fn cuts_long_titles_and_headings() {
    for (text, expected) in [
        ("é".repeat(1000), "é".repeat(1000)),
        ("é".repeat(1001), "é".repeat(1000) + "…"),
        ("é".repeat(3000), "é".repeat(1000) + "…"),
        ("é".repeat(1000) + " ", "é".repeat(1000)),
        ("a ".repeat(501), "a ".repeat(500) + "…"),
        (" ".repeat(200_000) + "a", String::new()),
    ] {
        let html = format!("<title>{text}</title><h1>{text}</h1>");
        let read = PageText::with_headings(&html, HTML);
        // A run of white space of this length is beyond the limits of the tree.
        let Ok(read) = read else {
            assert!(text.starts_with(' '));
            continue;
        };
        assert_eq!(
            (read.title.as_deref(), &*read.headings[0].text),
            (Some(&*expected), &*expected)
        );
    }
    assert_eq!(headings(&"<h1>a</h1>".repeat(10_001)).len(), 10_000);
    // No more than 100,000 characters are read.
    let spaces = format!("<i>{}</i>", " ".repeat(10_000));
    let html = |pieces: usize| format!("<h1>{}a</h1>", spaces.repeat(pieces));
    assert_eq!([headings(&html(9)), headings(&html(10))], [["1 a"], ["1 "]]);
}

/// Each of these is read, or rejected, in a moment.
#[test]
fn limits_the_work_for_hostile_pages() {
    let begun = Instant::now();
    let nested = "<b>".repeat(100_000);
    let divs = "<div>".repeat(100_000);
    for (html, expected) in [
        (format!("<title>A</title>{nested}"), Some("A")),
        (format!("<title>A</title>{divs}"), Some("A")),
        (format!("{divs}<title>A</title>"), None),
        (format!("{nested}<title>A</title>"), None),
        (
            format!(
                "<title>A</title><p {}>",
                (0..100_000).map(|n| format!("a{n} ")).collect::<String>()
            ),
            Some("A"),
        ),
        (
            format!("<title>A</title>{}", " ".repeat(3 << 20)),
            Some("A"),
        ),
        (format!("<!--{}<title>A</title>", "-".repeat(1 << 20)), None),
        ("<title".repeat(200_000), None),
    ] {
        assert_eq!(title(&html).as_deref(), expected, "{}", &html[..30]);
        assert!(
            PageText::with_headings(&html, HTML).is_err(),
            "{}",
            &html[..30]
        );
    }
    let stray = "</title>".repeat(200_000) + "<title>A</title>";
    assert_eq!(title(&stray).as_deref(), Some("A"));
    // Headings in headings, all of them with the same white space.
    let deep = "<h1><div>".repeat(60) + &"<i> </i>".repeat(15_000);
    assert_eq!(headings(&deep).len(), 60);
    assert!(begun.elapsed() < Duration::from_secs(60));
}

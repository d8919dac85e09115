//! Pages that make a parser work for minutes or fill the memory. Each is refused, or read, within
//! about a second and 40 MB.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use indexrank::http::page;
use indexrank::inspect;
use indexrank::site::company;
use indexrank::site::index;

/// A page is read in 0.7 s at the worst, on a machine with nothing else to do.
const LONG: Duration = Duration::from_secs(10);

fn numbered(count: usize, piece: impl Fn(usize) -> String) -> String {
    (0..count).map(piece).collect()
}

const ITEM: &str = "<div class='snapshot__data-item snapshot__header'>";
const TABLE: &str = "<table><th>1 Year<tr><td>";

/// Pages with what is said of them: the limit that each goes beyond, or nothing where a page within
/// all limits is read.
fn pages() -> Vec<(&'static str, String)> {
    let row = "<td><a href=/stocks/x></a></td></tr><tr>";
    let quoted = |i| format!("<tr><td><a href=\"/stocks/{i}\"></a>");
    vec![
        ("too deep", "<div>".repeat(200_000) + &"<p>".repeat(100_000)),
        ("too deep", "<b>".repeat(300_000)),
        ("too many", "<a>".repeat(300_000)),
        // Every paragraph opens the 1,000 elements again: a million nodes of 13 KB.
        (
            "too deep",
            "<p>".to_owned() + &numbered(1000, |i| format!("<b id={i}>")) + &"<p>x".repeat(1000),
        ),
        (
            "too many",
            "<p>".to_owned() + &numbered(100, |i| format!("<b id={i}>")) + &"<p>x".repeat(90_000),
        ),
        (
            "too many",
            "<table><div>".repeat(300) + &"<p>".repeat(100_000),
        ),
        (
            "too deep",
            "<svg>".repeat(200_000) + &"</p>".repeat(100_000),
        ),
        ("too deep", "<template>".repeat(200_000)),
        ("2 MiB", format!("<a x=\"{}\">", "y".repeat(20_000_000))),
        ("16 KiB", format!("<a x=\"{}\">", "y".repeat(1_900_000))),
        (
            "16 KiB",
            format!("<a{}>", numbered(200_000, |i| format!(" a{i}"))),
        ),
        ("16 KiB", format!("<!--{}", "x".repeat(1_900_000))),
        (
            "too many",
            numbered(100, |j| {
                format!("<i{}>", numbered(2000, |i| format!(" a{j}_{i}")))
            }),
        ),
        ("too entangled", "\0".repeat(2 << 20)),
        ("too many", "<".repeat(2 << 20)),
        ("too many", "&lt;".repeat(500_000)),
        ("too many", "<p>x".repeat(500_000)),
        ("", TABLE.repeat(20) + &"<i></i>".repeat(35_000)),
        ("", "<table><th>1 Year".repeat(20) + &"x".repeat(1_900_000)),
        ("", ITEM.repeat(60) + &"x".repeat(1_900_000)),
        ("", ITEM.repeat(60) + &"x<br>".repeat(15_000)),
        ("", "\u{1}".repeat(1_900_000)),
        (
            "too many",
            format!("<table><th>1 Year</th><tr>{}</table>", row.repeat(50_000)),
        ),
        (
            "too many",
            format!(
                "<table><tr><th>1 Year</th>{}</table>",
                numbered(50_000, quoted)
            ),
        ),
        (
            "too deep",
            format!("{TABLE}{}</table>", "<i>".repeat(650_000)),
        ),
    ]
}

#[test]
fn no_page_takes_long() {
    for (at, (limit, page)) in pages().into_iter().enumerate() {
        let page = page.as_bytes();
        let clock = Instant::now();
        let (company, index) = (company::parse(page), index::parse(page));
        assert!(clock.elapsed() < LONG, "{at}: {:?}", clock.elapsed());
        let (company, index) = (
            company.unwrap_err().to_string(),
            index.unwrap_err().to_string(),
        );
        let is_known = if limit.is_empty() { "no " } else { limit };
        assert!(company.contains(is_known), "{at}: {limit:?}, {company}");
        assert!(index.contains(is_known), "{at}: {limit:?}, {index}");
    }
}

/// The whole program gets 40 MB for each page, and what the page takes as a file. With none it has
/// 15.
#[test]
#[cfg(target_os = "linux")]
fn no_page_takes_much_memory() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    for (at, (_, page)) in pages().into_iter().enumerate() {
        fs::write(&file, &page).unwrap();
        let kilobytes = 40_000 + page.len() / 1000;
        let ran = Command::new("sh")
            .arg("-c")
            .arg(format!("ulimit -v {kilobytes} && exec \"$0\" read \"$1\""))
            .arg(env!("CARGO_BIN_EXE_indexrank"))
            .arg(&file)
            .output()
            .unwrap();
        assert_eq!(ran.status.code(), Some(5), "{at}: {:?}", ran.status);
    }
}

/// A text as long as a body may inflate to is not copied to be decoded.
#[test]
fn a_text_that_no_reader_takes_is_not_decoded() {
    let text = [
        &b"<meta charset=windows-1251>"[..],
        &b"\xe9".repeat(3 << 20),
    ]
    .concat();
    assert_eq!(page::to_utf8(&text, None), text.as_slice());
    let seen = format!("{:?}", inspect::see(&text));
    assert!(seen.contains("it has over 2 MiB"), "{seen}");
    assert!(seen.contains("it has more than 1048576 bytes"), "{seen}");
}

/// Whatever the limits are, a name that fills a page does not travel on.
#[test]
fn texts_are_cut_where_no_text_of_the_site_is_as_long() {
    let long = "n".repeat(100_000);
    let html = format!(
        "<span class=price-section__label>{long}</span><span class=price-section__category><span>X</span></span>"
    );
    assert_eq!(company::parse(html.as_bytes()).unwrap().name.len(), 201);
}

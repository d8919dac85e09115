//! Pages that would keep a parser busy for minutes or exhaust memory. The parsers reject each within
//! about a second and 40 MB: for a limit, or after parsing it, for missing landmarks.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use indexrank::http::decode;
use indexrank::inspect;
use indexrank::site::company;
use indexrank::site::identity;
use indexrank::site::index;

/// The slowest page takes 0.7 s on an idle machine; the margin is for busy ones.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Concatenates numbered pieces of HTML.
fn numbered(count: usize, piece: impl Fn(usize) -> String) -> String {
    (0..count).map(piece).collect()
}

const ITEM: &str = "<div class='snapshot__data-item snapshot__header'>";
const TABLE: &str = "<table><th>1 Year<tr><td>";

/// Pages, each with words of the error about the limit that it exceeds. The words are empty if the
/// page is within all limits and only lacks the landmarks.
fn pages() -> Vec<(&'static str, String)> {
    let row = "<td><a href=/stocks/x></a></td></tr><tr>";
    let quoted = |i| format!("<tr><td><a href=\"/stocks/{i}\"></a>");
    vec![
        ("too deep", "<div>".repeat(200_000) + &"<p>".repeat(100_000)),
        ("too deep", "<b>".repeat(300_000)),
        ("too many", "<a>".repeat(300_000)),
        // 13 KB become a million nodes: every paragraph reopens the 1,000 elements.
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
        ("2,000,000 steps", "\0".repeat(2 << 20)),
        ("too many", "<".repeat(2 << 20)),
        ("too many", "&lt;".repeat(500_000)),
        ("too many", "<p>x".repeat(500_000)),
        ("", TABLE.repeat(20) + &"<i></i>".repeat(35_000)),
        ("", "<table><th>1 Year".repeat(20) + &"x".repeat(1_900_000)),
        ("", ITEM.repeat(60) + &"x".repeat(1_900_000)),
        ("", ITEM.repeat(60) + &"x<br>".repeat(15_000)),
        ("", "\u{1}".repeat(1_900_000)),
        ("", "mymarkets?r=".repeat(160_000)),
        ("", "\"StockUrl\":".repeat(160_000)),
        ("", "/stocks/".repeat(240_000)),
        ("", "\"Currency\": \"\\".repeat(130_000)),
        ("16 KiB", "<canonical ".repeat(100) + &"x".repeat(1_900_000)),
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
fn rejects_each_hostile_page_within_10_s() {
    for (number, (limit, page)) in pages().into_iter().enumerate() {
        let page = page.as_bytes();
        let clock = Instant::now();
        let (company, index) = (company::parse(page), index::parse(page));
        for path in ["/stocks/x-stock", "/index/components/x?p=1", "/robots.txt"] {
            identity::check(page, path, None);
        }
        index::first_company(page);
        assert!(
            clock.elapsed() < TIME_LIMIT,
            "{number}: {:?}",
            clock.elapsed()
        );
        let (company, index) = (
            company.unwrap_err().to_string(),
            index.unwrap_err().to_string(),
        );
        let expected = if limit.is_empty() { "no " } else { limit };
        assert!(company.contains(expected), "{number}: {limit:?}, {company}");
        assert!(index.contains(expected), "{number}: {limit:?}, {index}");
    }
}

/// The whole program gets 40 MB of address space and the size of the file. Without a page it uses
/// 15 MB.
#[test]
#[cfg(target_os = "linux")]
fn rejects_each_hostile_page_within_40_mb() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.html");
    for (number, (_, page)) in pages().into_iter().enumerate() {
        fs::write(&file, &page).unwrap();
        let kilobytes = 40_000 + page.len() / 1000;
        let ran = Command::new("sh")
            .arg("-c")
            .arg(format!("ulimit -v {kilobytes} && exec \"$0\" read \"$1\""))
            .arg(env!("CARGO_BIN_EXE_indexrank"))
            .arg(&file)
            .output()
            .unwrap();
        // A larger file is not parsed.
        let code = if page.len() > 2 << 20 { 2 } else { 5 };
        assert_eq!(ran.status.code(), Some(code), "{number}: {:?}", ran.status);
    }
}

/// No parser accepts over 2 MiB, so converting such a text to UTF-8 would only cost memory.
#[test]
fn does_not_decode_text_over_2_mib() {
    let text = [
        &b"<meta charset=windows-1251>"[..],
        &b"\xe9".repeat(3 << 20),
    ]
    .concat();
    assert_eq!(decode::to_utf8(&text, None), text.as_slice());
    let seen = format!("{:?}", inspect::inspect(&text));
    assert!(seen.contains("it has over 2 MiB"), "{seen}");
    assert!(seen.contains("it has more than 1048576 bytes"), "{seen}");
}

fn company_page(name: &str, code: &str) -> String {
    format!(
        "<span class=price-section__label>{name}</span>\
         <span class=price-section__category><span>{code}</span></span>"
    )
}

/// Real names have up to 60 bytes; the parser keeps at most 200, and whole characters.
#[test]
fn truncates_a_name_of_100000_bytes_with_a_note() {
    for (long, kept) in [("n", 200), ("€", 198)] {
        let html = company_page(&long.repeat(100_000 / long.len()), "X");
        let page = company::parse(html.as_bytes()).unwrap();
        assert_eq!(page.name, long.repeat(kept / long.len()));
        let notes: Vec<&str> = page.notes.iter().collect();
        assert_eq!(notes, ["the name has over 200 bytes, its end is cut off"]);
    }
    let html = company_page(&"n".repeat(200), "X");
    let page = company::parse(html.as_bytes()).unwrap();
    assert_eq!((page.name.len(), page.notes.iter().count()), (200, 0));
}

/// Two companies whose codes begin alike must not become one, so a long code is not cut.
#[test]
fn takes_no_text_of_over_32_bytes_for_a_code() {
    let parse = |bytes| company::parse(company_page("Name", &"C".repeat(bytes)).as_bytes());
    assert_eq!(parse(32).unwrap().code.len(), 32);
    let error = parse(33).unwrap_err().to_string();
    assert!(error.contains("no price-section__category"), "{error}");
}

#[test]
fn truncates_a_name_of_16_kb_in_the_index() {
    let name = "€".repeat(5_000);
    let html = format!(
        "<table><tr><th>Name</th><th>1 Year</th></tr>\
         <tr><td><a href=\"/stocks/x-stock\">{name}</a></td><td>1</td></tr></table>"
    );
    for page in [
        index::parse(html.as_bytes()),
        index::parse_whole(html.as_bytes()),
    ] {
        assert_eq!(page.unwrap().rows[0].name, "€".repeat(66));
    }
}

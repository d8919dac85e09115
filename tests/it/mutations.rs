//! Mutated company and index pages. `parse` scans a page and may fall back to the HTML parser;
//! `parse_whole` always uses the parser. Both must return the same result for every mutation.

use std::fmt::Debug;

use fastrand::Rng;
use indexrank::site::company;
use indexrank::site::index;

const COMPANY: &str = "<!DOCTYPE html><html><head><title>3M</title><script>var a = \"<div>\";</script></head><body>\
    <!-- head --><h1><span class=\"price-section__label\">3M Co. </span>\n\
    <span class=\"price-section__category\">Stock <span>, MMM</span></span></h1>\
    <div><span class=\"price-section__current-value\">163.09</span></div>\
    <script>x < 1, {\"Currency\" : \"EUR\"}</script><div class=\"snapshot\">\
    <div class=\"snapshot__data-item snapshot__data-item--small\">\n 9.95\n <div class=\"snapshot__header\">Day Low</div>\n</div>\
    <div class=\"snapshot__data-item snapshot__data-item--small\">\n 100.50\n <div class=\"snapshot__header\">52 Week Low</div>\n</div>\
    <div class=\"snapshot__data-item snapshot__data-item--small\">\n 200.00\n <div class=\"snapshot__header\">52 Week High</div>\n</div>\
    <!-- between --><div class=\"snapshot__data-item\"> -16.55 <div class=\"snapshot__header\">P/E Ratio</div></div>\
    </div><script>var b = 1;</script><p>end</p></body></html>";

const INDEX: &str = "<!DOCTYPE html><html><head><script>var a;</script></head><body>\
    <table><tr><th>Name</th></tr><tr><td><a href=\"/stocks/trap-stock\">Trap</a></td></tr></table><!-- x -->\
    <table class=\"table\"><thead><tr>\n<th class=\"table__th\">Name</th><th>Price</th><th>1 Year<br />%</th></tr></thead><tbody>\
    <tr>\n<td class=\"a\"><a href=\"/stocks/mmm-stock\" title=\"3M\">3M</a></td><td>1.00<br>2</td><td>\n<span class=\"r\">-1.00</span><br />\n<span>-9.27%</span>\n</td></tr>\
    <tr><td><a href=\"/stocks/aos-stock\">A.O. &amp; Smith</a></td><td>2</td><td><span>3.00</span><br><span>4.50%</span></td></tr>\
    <tr><td><a href=\"/stocks/abt-stock\">Abbott</a></td><td>2</td><td><span>3.00</span><br><span>14.50%</span></td></tr>\
    </tbody></table><div class=\"finando_paging\"><a href=\"?p=1\">1</a><a href=\"?p=11\">11</a></div><script>b</script></body></html>";

/// Text to put before and after an element. It hides the element from the HTML parser, or changes how
/// the parser understands it.
const WRAPPERS: [(&str, &str); 15] = [
    ("<!--", "-->"),
    ("<!-- <!-- ", " -->"),
    ("<!-- ", " <!-- x -->"),
    ("<!-- </script>", "-->"),
    ("<!-- --!><script>'-->'", "</script>"),
    ("<svg><script><!-- </script>", "--></script></svg>"),
    ("<svg><script/></svg><!-- </script>", "-->"),
    ("<!-- <script> --><!-- ", "</script> -->"),
    ("<script>", "</script>"),
    ("<SCRIPT >", "</Script\n>"),
    ("<script>'</scripts>'", "</script>"),
    ("<scripts><!-- </script>", "--></scripts>"),
    ("<script><!-- <script>", "</script> --></script>"),
    ("<script><!-- <script></script> ", "--></script>"),
    ("<a href=\"/stocks/x-stock\">", "</a>"),
];

/// Text to put before an element.
const INSERTIONS: [&str; 6] = [
    "<br>",
    "\n\t",
    "<!-- note -->",
    "<script>var c;</script>",
    "<img src=\"x.png\">",
    "<i>note</i>",
];

/// Splits HTML into its tags and the texts between them.
fn split_tags(html: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = html;
    while !rest.is_empty() {
        let end = match rest.strip_prefix('<') {
            Some(tag) => tag.find('>').map_or(rest.len(), |at| at + 2),
            None => rest.find('<').unwrap_or(rest.len()),
        };
        pieces.push(rest[..end].to_owned());
        rest = &rest[end..];
    }
    pieces
}

/// The index after the end tag of the element that starts at `start`. `None` if the piece at `start`
/// opens no element, or the element is never closed.
fn element_end(pieces: &[String], start: usize) -> Option<usize> {
    let name = pieces[start]
        .strip_prefix('<')?
        .split([' ', '>', '\n'])
        .next()?;
    let (open, close) = (format!("<{name}"), format!("</{name}"));
    let mut depth = 0;
    for (at, piece) in pieces.iter().enumerate().skip(start) {
        depth += i32::from(piece.starts_with(&open)) - i32::from(piece.starts_with(&close));
        if depth == 0 {
            return Some(at + 1);
        }
    }
    None
}

/// Makes one random change that leaves every element closed. An unclosed `<b>` or `<title>` affects
/// elements far behind it, which only a parser of the whole page can know.
fn mutate(html: &str, rng: &mut Rng) -> String {
    let mut pieces = split_tags(html);
    let elements: Vec<usize> = (0..pieces.len())
        .filter(|at| element_end(&pieces, *at).is_some())
        .collect();
    let Some(&start) = rng.choice(&elements) else {
        return html.to_owned();
    };
    let end = element_end(&pieces, start).expect("an element");
    let elsewhere = *rng.choice(&elements).expect("not empty");
    let (before, after) = WRAPPERS[rng.usize(..WRAPPERS.len())];
    match rng.u8(..12) {
        0 => {
            pieces.insert(end, after.to_owned());
            pieces.insert(start, before.to_owned());
        }
        1 => {
            let copy = format!("{before}{}{after}", pieces[start..end].concat());
            pieces.insert(elsewhere, copy);
        }
        2 => pieces.insert(elsewhere, pieces[start..end].concat()),
        3 => {
            pieces.drain(start..end);
        }
        4 => {
            let quote = ["'", "", " \" "][rng.usize(..3)];
            pieces[start] = pieces[start].replace('"', quote);
        }
        5 => {
            let extra = [
                "extra ",
                "\n\t",
                "price-section__label ",
                "snapshot__data-item ",
            ];
            let extra = format!("=\"{}", extra[rng.usize(..4)]);
            pieces[start] = pieces[start].replacen("=\"", &extra, 1);
        }
        6 => {
            let attribute = [
                " data-x=\"1\"",
                "\n id = 'y' ",
                " title=\"a > b\"",
                " title='<td>'",
                " title=\"> <div class='snapshot__header'>\"",
                " data-x=\"/stocks/y-stock\"",
                " x=\"snapshot__header\"",
                " hidden",
                " title=it's",
                " href=\"/stocks/z-stock\"",
                " HREF='/stocks/u-stock'",
                " href =\"/stocks/w-stock\"",
                " href=/stocks/v-stock",
                " href",
                " =\">\"",
                " x==\">\"",
                " x=y=\">\"",
                " colspan=\"2\"",
                " colspan=3",
                " COLSPAN='2'",
                " colspan=\"x\"",
            ][rng.usize(..21)];
            if let Some(at) = pieces[start].find([' ', '>']) {
                pieces[start].insert_str(at, attribute);
            }
        }
        7 => {
            let text = [
                " ",
                "&nbsp;",
                "&#53;",
                "\u{200b}",
                "5",
                "1 Year",
                "snapshot__header",
                "/stocks/",
                "&amp;",
            ][rng.usize(..9)];
            pieces[start].push_str(text);
        }
        8 => pieces[start] = pieces[start].replace("\">", "-note\">"),
        9 => {
            if let Some(text) = pieces
                .get_mut(start + 1)
                .filter(|piece| !piece.starts_with('<'))
            {
                text.clear();
            }
        }
        10 => {
            let names = ["p", "a", "b", "section", "td", "th", "tbody", "span"];
            let name = names[rng.usize(..8)];
            let rest = pieces[start].find([' ', '>']).expect("a tag");
            pieces[start].replace_range(..rest, &format!("<{name}"));
            pieces[end - 1] = format!("</{name}>");
        }
        _ => pieces.insert(start, INSERTIONS[rng.usize(..INSERTIONS.len())].to_owned()),
    }
    pieces.concat()
}

/// Applies one to four mutations to the page for each of 6000 seeds, and compares scan and parser.
fn check_mutations<T: PartialEq + Debug>(
    page: &str,
    scan: impl Fn(&[u8]) -> T,
    parse_whole: impl Fn(&[u8]) -> T,
) {
    let mut unchanged = 0;
    let original = parse_whole(page.as_bytes());
    for seed in 0..6000 {
        let mut rng = Rng::with_seed(seed);
        let mut html = page.to_owned();
        for _ in 0..=rng.u8(..4) {
            html = mutate(&html, &mut rng);
        }
        let expected = parse_whole(html.as_bytes());
        assert_eq!(scan(html.as_bytes()), expected, "seed {seed}:\n{html}");
        unchanged += u32::from(expected == original);
    }
    assert!(
        (600..5400).contains(&unchanged),
        "{unchanged} of 6000 mutated pages give the values of the original; expected 10 to 90 %"
    );
}

/// Replaces the only occurrence of `usual` in the page, and compares scan and parser.
#[track_caller]
fn check_replacement<T: PartialEq + Debug>(
    page: &str,
    (usual, other): (&str, &str),
    scan: impl Fn(&[u8]) -> T,
    parse_whole: impl Fn(&[u8]) -> T,
) {
    assert_eq!(page.matches(usual).count(), 1, "{usual}");
    let html = page.replace(usual, other);
    let html = html.as_bytes();
    assert_eq!(scan(html), parse_whole(html), "{other}");
}

#[test]
fn scan_of_mutated_company_pages_matches_the_parser() {
    check_mutations(COMPANY, company::parse, company::parse_whole);
}

/// The parser treats some of these tags in a special way. The last case puts the company's name inside
/// the category.
#[test]
fn scan_matches_the_parser_for_landmarks_on_unusual_tags() {
    let item = "<div class=\"snapshot__data-item\">";
    let header = "<div class=\"snapshot__header\">P/E";
    let category = "<span class=\"price-section__category\">Stock <span>";
    let name = "<span class=\"price-section__label\">3M Co. </span>";
    let around = format!("<div class=\"price-section__category\">{name}<span>, OLD</span></div>");
    for replacement in [
        (item, &*item.replace("div", "p")),
        (item, &item.replace("div", "a")),
        (item, &item.replace("div", "input")),
        (header, &header.replace("div", "br")),
        (header, &header.replace("div", "/p")),
        (category, &category.replacen("span", "img", 1)),
        (
            category,
            &category
                .replacen("Stock <span>", "<span>", 1)
                .replacen("span", "/div", 1),
        ),
        (name, &around),
    ] {
        check_replacement(COMPANY, replacement, company::parse, company::parse_whole);
    }
}

#[test]
fn scan_of_mutated_index_pages_matches_the_parser() {
    check_mutations(INDEX, index::parse, index::parse_whole);
}

/// Each case looks like one thing to a search for text and is another to the HTML parser.
#[test]
fn scan_matches_the_parser_for_odd_index_tags() {
    let link = "<a href=\"/stocks/mmm-stock\" title=\"3M\">3M</a>";
    let growth = "<span>-9.27%</span>";
    for replacement in [
        (link, "<a =\">\" href=\"/stocks/evil-stock\">x</a>"),
        (
            link,
            "<a =\"x href='/stocks/evil' \" href=\"/stocks/seen\">x</a>",
        ),
        (link, "<a x=y=\">\" href=\"/stocks/mmm-stock\">3M</a>"),
        (
            link,
            "<a href=\"&#47;stocks/first\">1</a><a href=\"/stocks/second\">2</a>",
        ),
        (link, "<a href=\"/stocks/mmm-stock\">\u{feff}A&amp;B</a>"),
        (link, "<a href=\"/stocks/mmm-stock\">3M</a></table >"),
        (
            "<td class=\"a\">",
            "<td =\"><a href='/stocks/evil'>x</a>\">",
        ),
        (growth, "<span x==\">\">2%</span>"),
        (growth, "<span =\">\">2%</span>"),
        (growth, "<span>\u{feff}2&#37;</span>"),
    ] {
        check_replacement(INDEX, replacement, index::parse, index::parse_whole);
    }
}

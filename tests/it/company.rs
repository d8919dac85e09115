//! The parser of company pages. Every case compares the scan with the dom.

use indexrank::replica::{Market, SEED};
use indexrank::site::company::{CompanyPage, parse, parse_scanned, parse_whole};

const HEADING: &str = "<h1><span class=\"price-section__label\">3M  Co. </span>\
    <span class=\"price-section__category\">Stock <span>, MMM</span></span></h1>\
    <span class=\"price-section__current-value\">1,163.09</span>";

/// One item of the snapshot box, with its value above its header.
fn item(value: &str, header: &str) -> String {
    format!(
        "<div class=\"snapshot__data-item snapshot__data-item--small\">\r\n\t{value}\r\n\t<div class=\"snapshot__header\">{header}</div>\r\n</div>"
    )
}

fn snapshot(items: &[(&str, &str)]) -> String {
    let items: String = items
        .iter()
        .map(|(value, header)| item(value, header))
        .collect();
    format!("<div class=\"snapshot\">{items}</div>")
}

const FIGURES: [(&str, &str); 6] = [
    ("1.00", "Day Low"),
    ("2.00", "Day High"),
    ("100.00", "52 Week Low"),
    ("1,200.50", "52 Week High"),
    ("-16.55", "P/E Ratio"),
    ("99.46", "Free Float in %"),
];

/// Renders a parsed page as `code|name|price|P/E|low|high|notes`, after checking that scan and dom
/// agree.
#[track_caller]
fn parsed(html: &str) -> String {
    let html = format!("<html><body>{html}</body></html>");
    let scanned = parse(html.as_bytes());
    assert_eq!(scanned, parse_whole(html.as_bytes()), "scan and dom differ");
    let figure = |value: Option<rust_decimal::Decimal>| {
        value.map_or("-".to_owned(), |value| value.to_string())
    };
    match scanned {
        Err(error) => error.to_string(),
        Ok(CompanyPage {
            code,
            name,
            price,
            pe,
            low52,
            high52,
            notes,
            ..
        }) => {
            format!(
                "{code}|{name}|{}|{}|{}|{}|{}",
                figure(price),
                figure(pe),
                figure(low52),
                figure(high52),
                notes.iter().collect::<Vec<_>>().join(";")
            )
        }
    }
}

#[track_caller]
fn check(html: &str, expected: &str) {
    assert_eq!(parsed(html), expected, "{html}");
}

/// A company page: the heading, then these figures.
fn page(figures: &[(&str, &str)]) -> String {
    HEADING.to_owned() + &snapshot(figures)
}

/// What [`page`] parses to with [`FIGURES`].
const COMPLETE: &str = "MMM|3M Co.|1163.09|-16.55|100.00|1200.50|";

#[test]
fn parses_a_complete_page() {
    check(&page(&FIGURES), COMPLETE);
}

#[test]
fn takes_the_first_price_and_the_pe_of_the_snapshot() {
    let decoys = "<div class=\"price-section--future\"><span class=\"price-section__current-value\">9.99</span></div>\
        <table><tr><td>P/E Ratio</td><td>77.7</td></tr></table>";
    check(
        &format!("{HEADING}{decoys}{}", snapshot(&FIGURES)),
        COMPLETE,
    );
}

#[test]
fn leaves_an_absent_figure_empty() {
    for (left_out, expected) in [
        ("P/E Ratio", "MMM|3M Co.|1163.09|-|100.00|1200.50|"),
        ("52 Week Low", "MMM|3M Co.|1163.09|-16.55|-|-|"),
        ("52 Week High", "MMM|3M Co.|1163.09|-16.55|-|-|"),
    ] {
        let figures: Vec<_> = FIGURES
            .into_iter()
            .filter(|(_, header)| *header != left_out)
            .collect();
        check(&page(&figures), expected);
    }
    check(HEADING, "MMM|3M Co.|1163.09|-|-|-|");
    let no_price = HEADING.replace("price-section__current-value", "price-section__other");
    check(
        &(no_price + &snapshot(&FIGURES)),
        "MMM|3M Co.|-|-16.55|100.00|1200.50|",
    );
}

#[test]
fn leaves_an_unusable_figure_empty_and_notes_its_text() {
    for (value, header, expected) in [
        ("-", "P/E Ratio", "1163.09|-|100.00|1200.50|P/E is \"-\""),
        (
            "NaN",
            "P/E Ratio",
            "1163.09|-|100.00|1200.50|P/E is \"NaN\"",
        ),
        (
            "0.00",
            "P/E Ratio",
            "1163.09|-|100.00|1200.50|P/E is \"0.00\"",
        ),
        (
            "12.3B",
            "P/E Ratio",
            "1163.09|-|100.00|1200.50|P/E is \"12.3B\"",
        ),
        (
            "0.00",
            "52 Week Low",
            "1163.09|-16.55|-|-|52 week low is \"0.00\"",
        ),
        (
            "-5",
            "52 Week High",
            "1163.09|-16.55|-|-|52 week high is \"-5\"",
        ),
        (
            "5.00",
            "52 Week High",
            "1163.09|-16.55|-|-|52 week range is 100.00 to 5.00",
        ),
        // The potential profit would be too large for a decimal.
        (
            "0.0000000000000000000000000001",
            "52 Week Low",
            "1163.09|-16.55|-|-|52 week range is 0.0000000000000000000000000001 to 1200.50",
        ),
    ] {
        let figures = FIGURES.map(|(old, name)| {
            if name == header {
                (value, name)
            } else {
                (old, name)
            }
        });
        check(&page(&figures), &format!("MMM|3M Co.|{expected}"));
    }
    for (price, note) in [
        ("0.00", "price is \"0.00\""),
        ("-1.00", "price is \"-1.00\""),
        ("€5", "price is \"€5\""),
    ] {
        let heading = HEADING.replace("1,163.09", price);
        check(&heading, &format!("MMM|3M Co.|-|-|-|-|{note}"));
    }
}

#[test]
fn parses_the_52_week_range_from_the_script_of_the_first_site_generation() {
    let figures = [
        ("{{low52weeksDisplay}}", "52 Week Low"),
        ("{{high52weeksDisplay}}", "52 Week High"),
        ("21.43", "P/E Ratio"),
    ];
    let script = "<script>new Vue({data: {\n high: 107.9,\n high52weeks: 182.53,\n low52weeks: 114.04,\n}})</script>";
    check(
        &(page(&figures) + script),
        "MMM|3M Co.|1163.09|21.43|114.04|182.53|",
    );
    check(&page(&figures), "MMM|3M Co.|1163.09|21.43|-|-|");
}

#[test]
fn cleans_names_and_codes() {
    for (heading, expected) in [
        (
            HEADING.replace("3M  Co. ", " A&amp;T \r\n\u{a0}Group "),
            "MMM|A&T Group",
        ),
        (
            HEADING.replace("3M  Co. ", "Red\u{1b}[31m\u{7}Team"),
            "MMM|Red [31m Team",
        ),
        (
            HEADING.replace("3M  Co. ", "\u{202e}Red\u{2066}Team"),
            "MMM|Red Team",
        ),
        (HEADING.replace(", MMM", ", BRK.B"), "BRK.B|3M Co."),
        (HEADING.replace(", MMM", "\n  ,\n MMM "), "MMM|3M Co."),
    ] {
        let parsed = parsed(&heading);
        assert!(parsed.starts_with(&format!("{expected}|")), "{parsed}");
    }
}

#[test]
fn names_the_landmarks_that_other_pages_lack() {
    for (html, expected) in [
        (
            String::new(),
            "not a company page: no price-section__label, no price-section__category",
        ),
        (
            "Just a moment…".to_owned(),
            "not a company page: no price-section__label, no price-section__category",
        ),
        (
            HEADING.replace("price-section__label", "x"),
            "not a company page: no price-section__label",
        ),
        (
            HEADING.replace("<span>, MMM</span>", ""),
            "not a company page: no price-section__category",
        ),
        (
            HEADING.replace(", MMM", ","),
            "not a company page: no price-section__category",
        ),
        (
            snapshot(&FIGURES),
            "not a company page: no price-section__label, no price-section__category",
        ),
    ] {
        let error = parsed(&html);
        assert!(error.starts_with(expected), "{error}");
    }
}

/// Decoys in comments, scripts, styles and attributes, and other spellings of the landmarks. The
/// result must be what a browser shows.
#[test]
fn scan_ignores_decoys_and_accepts_other_spellings() {
    let page = page(&FIGURES);
    let decoy = page
        .replace("MMM", "TRAP")
        .replace("1,163.09", "6.66")
        .replace("-16.55", "6.66")
        .replace("100.00", "6.66");
    for html in [
        format!("<!-- {decoy} -->{page}"),
        format!("<script>var x = '{decoy}';</script>{page}"),
        format!("<script>document.write('<!-- ');</script>{page}"),
        format!("<!-- <script> -->{page}"),
        format!("{page}<!-- {decoy} -->"),
        format!("{page}{decoy}"),
        format!(
            "{HEADING}<!-- {} -->{}",
            snapshot(&[("6.66", "P/E Ratio")]),
            snapshot(&FIGURES)
        ),
        format!(
            "<style>.price-section__label {{ }} .price-section__current-value {{ }}</style>{page}"
        ),
        format!("<i data-price-section__label=\"price-section__current-value\"></i>{page}"),
        page.replace(
            "class=\"price-section__label\"",
            "id='a' class='x price-section__label  y' title=\"b\"",
        ),
        page.replace("class=\"snapshot__header\"", "class='z snapshot__header'"),
        page.replace(
            "<div class=\"snapshot__header\">",
            "<div\n  class = snapshot__header\n>\n",
        ),
        page.replace(">P/E Ratio<", ">P/E&#32;Ratio<"),
        page.replace(">P/E Ratio<", "><b>P/E</b> Ratio<"),
        page.replace(">P/E Ratio<", ">P/E\n   Ratio<"),
        page.replace(">P/E Ratio<", ">\u{a0}P/E \t Ratio <"),
        page.replace(">P/E Ratio<", "> P/E <!-- note -->Ratio <"),
        page.replace("-16.55", "<!-- 5 -->-16.55"),
        page.replace("1,163.09", "1,163<!-- -->.09"),
        page.replace("</span>", "</span ><!---->"),
        page.replace("\r\n", "\n").replace("<div", "<DIV"),
    ] {
        check(&html, COMPLETE);
    }
    // Figures before the company's name belong to other companies.
    let before_name = snapshot(&[("6.66", "P/E Ratio"), ("6.66", "52 Week Low")]);
    check(&(before_name + &page), COMPLETE);
    let reordered = snapshot(&FIGURES) + HEADING;
    check(&reordered, "MMM|3M Co.|1163.09|-|-|-|");
}

#[test]
fn parses_the_company_pages_of_the_market() {
    let market = Market::embedded(None, SEED);
    let text = |value: Option<rust_decimal::Decimal>| {
        value.map_or(String::new(), |value| value.to_string())
    };
    for company in market.companies().iter().step_by(7) {
        let html = market.company_page(company);
        assert!(
            (150_000..310_000).contains(&html.len()),
            "{} bytes",
            html.len()
        );
        let page = parse(html.as_bytes()).unwrap();
        assert_eq!(parse_whole(html.as_bytes()).as_ref(), Ok(&page));
        assert_eq!(parse_scanned(html.as_bytes()), Some(Ok(page.clone())));
        let parsed = [
            page.code,
            page.name,
            text(page.price),
            text(page.pe),
            text(page.low52),
            text(page.high52),
        ];
        let expected = [
            &company.code,
            &company.name,
            &company.price,
            &company.pe,
            &company.low52,
            &company.high52,
        ];
        assert_eq!(parsed.each_ref(), expected);
    }
}

/// A quote right behind a closing quote is no attribute. The scan leaves such a page to the dom.
#[test]
fn scan_gives_up_on_adjacent_quotes() {
    let html = b"<a href='/stocks/x-stock'\"price-section__label<table";
    assert_eq!(parse_scanned(html), None);
    assert!(parse(html).is_err());
}

//! The parser of index pages. Every case compares the scan with the dom.

use indexrank::replica::{Market, SEED};
use indexrank::site::index::{IndexPage, parse, parse_scanned, parse_whole};

/// A row of today's site: the name, six more cells, then the cell `growth`.
fn row(path: &str, name: &str, growth: &str) -> String {
    let cell = "<td class=\"table__td\"><span>1.00</span><br><span>1.00%</span></td>";
    format!(
        "<tr><td class=\"table__td table__td--big\"><a href=\"{path}\" title=\"{name}\">{name}</a></td>{}{growth}</tr>",
        cell.repeat(6)
    )
}

/// The cell with the growth over one year.
fn growth(percent: &str) -> String {
    format!(
        "<td class=\"table__td\">\n<span class=\"colorRed\">-17.30</span><br>\n<span class=\"colorRed\">{percent}</span>\n</td>"
    )
}

/// An index page of today's site: a small table of other stocks, the index table, the pager.
fn page(rows: &str, pager: &str) -> String {
    let headers = [
        "Name",
        "Latest Price",
        "Low",
        "+/-",
        "Time",
        "3 Mo.",
        "6 Mo.",
        "1 Year<br />\r\n+/-<br>%",
    ];
    let headers: String = headers
        .iter()
        .map(|header| format!("<th class=\"table__th\">\r\n{header}\t</th>"))
        .collect();
    format!(
        "<html><body><table><tr><th>Name</th><th>%</th></tr><tr><td><a href=\"/stocks/trap-stock\">Trap</a></td></tr></table>\
         <table class=\"table table__layout--fixed\"><thead><tr>{headers}</tr></thead><tbody class=\"table__tbody\">{rows}</tbody></table>\
         {pager}</body></html>"
    )
}

/// Renders a parsed page as `pages: path|name|growth path|name|growth …`, after checking that scan
/// and dom agree.
fn parsed(html: &str) -> String {
    let scanned = parse(html.as_bytes());
    assert_eq!(scanned, parse_whole(html.as_bytes()), "scan and dom differ");
    match scanned {
        Err(error) => error.to_string(),
        Ok(IndexPage {
            pages,
            number,
            rows,
            unread,
        }) => {
            let row = |link: indexrank::site::index::Link| {
                let growth = link.growth.map(|value| value.to_string());
                let growth = growth
                    .or(link.note.map(|note| note.to_string()))
                    .unwrap_or("-".to_owned());
                format!(" {}|{}|{growth}", link.path, link.name)
            };
            let rows: String = rows.into_iter().map(row).collect();
            let number = number.map_or(String::new(), |number| format!("{number} of "));
            let unread = match unread {
                0 => String::new(),
                unread => format!(" +{unread}"),
            };
            format!("{number}{pages}:{rows}{unread}")
        }
    }
}

/// As with the figures of a company page, a text that is no percentage is noted, and no text is not.
#[test]
fn notes_the_text_of_an_unusable_growth() {
    let long = "9".repeat(50);
    for (text, noted) in [
        ("n/a", "growth is \"n/a\""),
        ("-", "growth is \"-\""),
        ("-9.27", "growth is \"-9.27\""),
        ("-9.27 %%", "growth is \"-9.27 %%\""),
        ("1.234,50%", "growth is \"1.234,50%\""),
        ("12.3B%", "growth is \"12.3B%\""),
        ("NaN%", "growth is \"NaN%\""),
        ("%", "growth is \"%\""),
        ("<b>soon</b>", "growth is \"soon\""),
        (" a \n\t b ", "growth is \"a b\""),
        ("a\u{202e}b", "growth is \"a b\""),
        ("\"x\"", "growth is \"\\\"x\\\"\""),
        ("AT&amp;T", "growth is \"AT&T\""),
        (
            &*long,
            "growth is \"9999999999999999999999999999999999999999\"",
        ),
        ("", "-"),
        (" \n ", "-"),
        ("&nbsp;", "-"),
        ("\u{200b}", "-"),
        ("-9.27%", "-9.27"),
        (" 1,200.87% ", "1200.87"),
    ] {
        let rows = row("/stocks/x-stock", "X", &growth(text));
        let expected = format!("1: /stocks/x-stock|X|{noted}");
        assert_eq!(parsed(&page(&rows, "")), expected, "{text:?}");
    }
}

#[test]
fn parses_rows() {
    let mmm = row("/stocks/mmm-stock", "3M", &growth("-9.27%"));
    for (rows, expected) in [
        (mmm.clone(), "1: /stocks/mmm-stock|3M|-9.27"),
        (
            mmm.clone() + &row("/stocks/fox-stock", "Fox", &growth("1,200.87%")),
            "1: /stocks/mmm-stock|3M|-9.27 /stocks/fox-stock|Fox|1200.87",
        ),
        (
            row(
                "https://markets.businessinsider.com/stocks/peg-stock?miRedirects=1",
                "",
                &growth("0.00%"),
            ),
            "1: /stocks/peg-stock||0.00",
        ),
        (
            row(
                "https://markets.businessinsider.com/stocks/peg-stock",
                "",
                &growth("0.00%"),
            ),
            "1: /stocks/peg-stock||0.00",
        ),
        (
            row("/stocks/t-stock", "AT&amp;T  Inc", &growth("\u{2212}5%")),
            "1: /stocks/t-stock|AT&T Inc|-5",
        ),
        (
            row("/stocks/x-stock", "X", "<td></td>"),
            "1: /stocks/x-stock|X|-",
        ),
        (
            row("/stocks/x-stock", "X", "<td><span>-9.27%</span></td>"),
            "1: /stocks/x-stock|X|-",
        ),
        (
            row("/stocks/x-stock", "X", "<td>n/a</td>"),
            "1: /stocks/x-stock|X|-",
        ),
        (
            row("/stocks/x-stock/#chart", "X", &growth("1%")),
            "1: /stocks/x-stock|X|1",
        ),
        (
            row("/stocks/o'reilly-stock", "X", &growth("1%")),
            "1: /stocks/o'reilly-stock|X|1",
        ),
        (row("/news/x", "X", &growth("1%")), NOT_INDEX),
        (row("/stocks/../../etc", "X", &growth("1%")), NOT_INDEX),
        (
            format!(
                "<!-- {mmm} -->{}",
                row("/stocks/a-stock", "A", &growth("1%"))
            ),
            "1: /stocks/a-stock|A|1",
        ),
        (String::new(), NOT_INDEX),
    ] {
        assert_eq!(parsed(&page(&rows, "")), expected, "{rows}");
    }
}

/// A page of one good row, then `rows`.
fn after_a_row(rows: &str) -> String {
    row("/stocks/a-stock", "A", &growth("1%")) + rows
}

#[test]
fn trims_addresses_as_browsers_do() {
    for (href, expected) in [
        (" /stocks/x-stock", "/stocks/x-stock|X|2"),
        ("\n\t/stocks/x-stock\r\n ", "/stocks/x-stock|X|2"),
        ("/stocks/x-\nstock", "/stocks/x-stock|X|2"),
        ("/sto\ncks/x-stock", "/stocks/x-stock|X|2"),
        (" https://x/stocks/x-stock?a#b ", "/stocks/x-stock|X|2"),
        ("&#32;/stocks/x-stock&#10;", "/stocks/x-stock|X|2"),
        ("/stocks/x  y-stock ", "/stocks/x  y-stock|X|2"),
        ("/stocks/x\u{a0}y-stock", "/stocks/x\u{a0}y-stock|X|2"),
        (
            "/stocks/münchener_`<>&quot;&amp;{}^|%-stock",
            "/stocks/münchener_`<>\"&{}^|%-stock|X|2",
        ),
    ] {
        let rows = after_a_row(&row(href, "X", &growth("2%")));
        let expected = format!("1: /stocks/a-stock|A|1 {expected}");
        assert_eq!(parsed(&page(&rows, "")), expected, "{href:?}");
    }
}

#[test]
fn counts_rows_without_a_readable_address() {
    let long = format!("/stocks/{}-stock", "x".repeat(300));
    for (rows, unread) in [
        (row(&long, "X", &growth("2%")), " +1"),
        (row("/stocks/x/y-stock", "X", &growth("2%")), " +1"),
        (row("/stocks/", "X", &growth("2%")), " +1"),
        (row("/etfs/x", "X", &growth("2%")), " +1"),
        (row("/stocks/", "X", &growth("2%")).repeat(3), " +3"),
        // A row of one cell is a message or an advertisement.
        (
            "<tr><td colspan=\"8\">Advertisement</td></tr>".to_owned(),
            "",
        ),
    ] {
        let expected = format!("1: /stocks/a-stock|A|1{unread}");
        assert_eq!(parsed(&page(&after_a_row(&rows), "")), expected, "{rows}");
    }
}

/// Growth comes from the column under its header, or from no column at all.
#[test]
fn counts_columns() {
    let mmm = row("/stocks/mmm-stock", "3M", &growth("-9.27%"));
    let html = page(&mmm, "");
    let fits = "1: /stocks/mmm-stock|3M|-9.27";
    let header = |name: &str, with: &str| {
        html.replace(&format!("<th class=\"table__th\">\r\n{name}\t</th>"), with)
    };
    let cell = "<td class=\"table__td\"><span>1.00</span><br><span>1.00%</span></td>";
    let misfit = |row, header| {
        format!(
            "1: /stocks/mmm-stock|3M|its row in the index has {row} columns, the header {header}"
        )
    };
    for (html, expected) in [
        (
            html.replace("<th ", "<td ").replace("</th>", "</td>"),
            fits.to_owned(),
        ),
        (
            html.replace("<thead>", "").replace("</thead>", ""),
            fits.to_owned(),
        ),
        // One header over two columns.
        (
            header("6 Mo.", "").replace(
                "<th class=\"table__th\">\r\n3 Mo.",
                "<th colspan=\"2\" class=\"table__th\">\r\n3 Mo.",
            ),
            fits.to_owned(),
        ),
        (
            header("6 Mo.", "").replace(
                "<th class=\"table__th\">\r\n3 Mo.",
                "<th COLSPAN=2>\r\n3 Mo.",
            ),
            fits.to_owned(),
        ),
        // A cell over two columns.
        (
            html.replacen(
                &cell.repeat(2),
                &cell.replace("<td ", "<td colspan='2' "),
                1,
            ),
            fits.to_owned(),
        ),
        (
            html.replacen(&cell.repeat(2), &cell.replace("<td ", "<td Colspan=2 "), 1),
            fits.to_owned(),
        ),
        (
            html.replacen(cell, &cell.replace("<td ", "<td colspan=\"0\" "), 1),
            fits.to_owned(),
        ),
        // A column more in the header, in the row, or in a span.
        (header("Time", "<th>Time</th><th>Date</th>"), misfit(8, 9)),
        (header("Time", ""), misfit(8, 7)),
        (header("Time", "<th colspan=\"3\">Time</th>"), misfit(8, 10)),
        (html.replacen(cell, &cell.repeat(2), 1), misfit(9, 8)),
        (html.replacen(cell, "", 1), misfit(7, 8)),
    ] {
        assert_eq!(parsed(&html), expected, "{html}");
    }
}

const NOT_INDEX: &str =
    "not an index page: no table with a column \"1 Year\" and links to /stocks/…";

#[test]
fn parses_pagers() {
    let rows = row("/stocks/mmm-stock", "3M", &growth("-9.27%"));
    for (links, pages) in [
        ("", "1"),
        (
            "<a href=\"?p=1\"><strong>1</strong></a> | <a href=\"?p=2\">2</a>",
            "1 of 2",
        ),
        (
            "<a href=\"?p=1\">1</a> | <a href=\"?p=9\">9</a> | ... | <a href=\"?p=11\">11</a>&nbsp;<a href=\"?p=2\"><img alt=\"Next\"></a>",
            "11",
        ),
        ("<a href=\"?p=10\"><img alt=\"Last\"></a>", "10"),
        (
            "<a href=\"?p=1\">1</a> | <a href=\"?p=3\"><strong> 3\n</strong></a>",
            "3 of 3",
        ),
        // A pager that marks two numbers, or something else, states none.
        (
            "<a href=\"?p=1\"><strong>1</strong></a> | <a href=\"?p=2\"><strong>2</strong></a>",
            "2",
        ),
        (
            "<strong>Page:</strong> <a href=\"?p=2\">2</a> <a href=\"?p=1\"><strong>first</strong></a>",
            "2",
        ),
        (
            "<a href=\"https://markets.businessinsider.com/index/components/s&amp;p_500?p=6\">6</a>",
            "6",
        ),
        (
            "<a href=\"?sort=p&amp;p=3\">3</a> <a href=\"?page=99\">99</a> <a href=\"?p=x\">x</a>",
            "3",
        ),
    ] {
        let pager = format!("<div class=\"finando_paging margin-top--small\">Page: {links}</div>");
        assert_eq!(
            parsed(&page(&rows, &pager)),
            format!("{pages}: /stocks/mmm-stock|3M|-9.27"),
            "{links}"
        );
    }
}

/// The site of 2020: rows of eleven cells, no `tbody`, and two columns headed "1 Year".
#[test]
fn parses_the_first_site_generation() {
    let headers = [
        "Name",
        "Latest Price",
        "Low",
        "",
        "+/-",
        "",
        "Time",
        "3 Mo.",
        "6 Mo.",
        "1 Year<br />+/-<br />%",
        "1 Year<br />\nChart",
    ];
    let headers: String = headers
        .iter()
        .map(|header| format!("<th class=\"text-right\" >{header}</th>"))
        .collect();
    let cells = |number| {
        "<td class=\"text-right\"><span>3.00</span><br /><span>3.00%</span></td>".repeat(number)
    };
    let html = format!(
        "<table class=\"table table-small\"><tr>{headers}</tr><tr><td ><a href=\"/stocks/mmm-stock\" title=\"3M\">3M</a></td>{}\
         <td class=\"text-right\"><span class=\"colorGreen\">4.29</span><br />\r\n<span class=\"colorGreen\">2.54%</span></td>\
         <td><img src=\"x\" alt=\"3M\" title=\"3M 1-year Chart\"/></td></tr></table>",
        cells(8)
    );
    assert_eq!(parsed(&html), "1: /stocks/mmm-stock|3M|2.54");
}

#[test]
fn parses_the_index_pages_of_the_market() {
    let market = Market::embedded(None, SEED);
    assert_eq!(market.index_pages(), 11);
    let mut listed = 0;
    for number in 1..=11 {
        let html = market.index_page(number);
        let page = parse(html.as_bytes()).unwrap();
        assert_eq!(parse_whole(html.as_bytes()).as_ref(), Ok(&page));
        assert_eq!(page.pages, 11);
        for (row, company) in page.rows.iter().zip(&market.companies()[listed..]) {
            assert_eq!(*row.path, *company.path);
            assert_eq!(row.growth.unwrap().to_string(), company.growth);
        }
        listed += page.rows.len();
    }
    assert_eq!(listed, 496);
}

/// A layout table around the index table contains its header cells too.
#[test]
fn ignores_a_layout_table_around_the_index_table() {
    let market = Market::embedded(Some(3), SEED);
    let page = market.index_page(1);
    let (start, end) = (
        page.find("<table").unwrap(),
        page.rfind("</table>").unwrap(),
    );
    let inner = &page[start..end];
    for comment in ["", "<!-- x -->"] {
        let around = format!(
            "{}<table><tr><td>{inner}{comment}</table></td></tr>{}",
            &page[..start],
            &page[end..]
        );
        assert_eq!(
            parse(around.as_bytes()),
            parse(page.as_bytes()),
            "{comment:?}"
        );
    }
}

#[test]
fn scans_the_index_pages_of_the_market() {
    let market = Market::embedded(Some(60), SEED);
    for number in [1, 2] {
        let page = market.index_page(number);
        assert!(parse_scanned(page.as_bytes()).is_some(), "page {number}");
    }
}

/// A quote right behind a closing quote is no attribute. The scan leaves such a page to the dom.
#[test]
fn scan_gives_up_on_adjacent_quotes() {
    let html = b"<table><a href='/stocks/x-stock'\"1 Year</table><a href=\"/stocks/mmm-stock\">";
    assert_eq!(parse_scanned(html), None);
    assert_eq!(parse(html), parse_whole(html));
}

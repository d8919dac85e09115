//! Which page a page says it is, and what it says of its price: currency and date.

use indexrank::site::company::parse;
use indexrank::site::identity::{Identity, check};

const MMM: &str = "/stocks/mmm-stock";
const STOCK_URL: &str = r#"<script>var c = {"PushDataField" : null, "StockUrl" : "/stocks/mmm/price", "Currency" : "USD"}</script>"#;
const LOGIN: &str = "<script>var l = { loginUrl: '/mymarkets?r=%2fstocks%2fmmm-stock' }</script>";

/// `confirmed`, `unnamed`, or the other address.
fn identity(html: &str, asked: &str, reached: Option<&str>) -> String {
    match check(html.as_bytes(), asked, reached) {
        Identity::Confirmed => "confirmed".to_owned(),
        Identity::Unnamed => "unnamed".to_owned(),
        Identity::Other(other) => other,
    }
}

#[test]
fn a_company_page_names_its_address() {
    let stock_url = |value: &str| format!("<script>{{\"StockUrl\":{value}}}</script>");
    let login = |target: &str| format!("<a href=\"/mymarkets?r={target}\">Log in</a>");
    for (html, asked, expected) in [
        (STOCK_URL.to_owned(), MMM, "confirmed"),
        (LOGIN.to_owned(), MMM, "confirmed"),
        (
            STOCK_URL.to_owned(),
            "http://127.0.0.1:8000/stocks/mmm-stock",
            "confirmed",
        ),
        (STOCK_URL.to_owned(), "/stocks/mmm-stock?op=1", "confirmed"),
        (STOCK_URL.to_owned(), "/stocks/MMM-stock", "confirmed"),
        (
            STOCK_URL.to_owned(),
            "/stocks/mm-stock",
            "/stocks/mmm/price",
        ),
        (
            STOCK_URL.to_owned(),
            "/stocks/mmmm-stock",
            "/stocks/mmm/price",
        ),
        (LOGIN.to_owned(), "/stocks/a-stock", "/stocks/mmm-stock"),
        // One of the named addresses suffices.
        (format!("{STOCK_URL}{LOGIN}"), MMM, "confirmed"),
        (stock_url("\"/stocks/a/price\"") + LOGIN, MMM, "confirmed"),
        (
            STOCK_URL.to_owned() + &login("%2fstocks%2fa-stock"),
            MMM,
            "confirmed",
        ),
        (
            stock_url("\"/stocks/a/price\"") + &stock_url("\"/stocks/mmm/price\""),
            MMM,
            "confirmed",
        ),
        // Spellings of the same address.
        (
            stock_url(" \n \"\\/stocks\\/mmm\\/price\""),
            MMM,
            "confirmed",
        ),
        (login("%2Fstocks%2Fmmm-stock&amp;x=1"), MMM, "confirmed"),
        (login("/stocks/mmm-stock"), MMM, "confirmed"),
        (
            stock_url("\"/stocks/m\u{fc}nchener/price\""),
            "/stocks/m%c3%bcnchener-stock",
            "confirmed",
        ),
        (
            stock_url("\"/stocks/m\\u00fcnchener/price\""),
            "/stocks/m%C3%BCnchener-stock",
            "confirmed",
        ),
        (
            login("%2fstocks%2fm%25c3%25bcnchener-stock"),
            "/stocks/m%c3%bcnchener-stock",
            "confirmed",
        ),
        (
            login("%2fstocks%2fm%c3%bcnchener-stock"),
            "/stocks/m\u{fc}nchener-stock",
            "confirmed",
        ),
        (
            stock_url("\"/stocks/nestl%e9/price\""),
            "/stocks/nestl%e9-stock",
            "confirmed",
        ),
        (
            stock_url("\"/stocks/nestl\u{e9}/price\""),
            "/stocks/nestl%e9-stock",
            "confirmed",
        ),
        (
            stock_url("\"/stocks/nestl%e8/price\""),
            "/stocks/nestl%e9-stock",
            "/stocks/nestl%e8/price",
        ),
        // Texts that name no company.
        (String::new(), MMM, "unnamed"),
        (stock_url("\"\""), MMM, "unnamed"),
        (stock_url("null"), MMM, "unnamed"),
        (stock_url("\"/stocks/mmm"), MMM, "unnamed"),
        (login("%2f"), MMM, "unnamed"),
        (login("%2fnews%2fmmm"), MMM, "unnamed"),
        // On three real company pages this address is that of another company.
        (
            "<link rel=\"canonical\" href=\"/stocks/a-stock\">".to_owned(),
            MMM,
            "unnamed",
        ),
        // An index page in place of a company page.
        (
            "<link rel=\"canonical\" href=\"https://x/index/components/s&amp;p_500\" />".to_owned(),
            MMM,
            "https://x/index/components/s&p_500",
        ),
    ] {
        assert_eq!(identity(&html, asked, None), expected, "{html} for {asked}");
    }
}

#[test]
fn a_redirected_page_may_name_the_target() {
    let target = Some("http://127.0.0.1:8000/stocks/mmm-stock");
    assert_eq!(
        identity(STOCK_URL, "/stocks/old-stock", target),
        "confirmed"
    );
    assert_eq!(
        identity(STOCK_URL, MMM, Some("/stocks/new-stock")),
        "confirmed"
    );
    assert_eq!(
        identity(STOCK_URL, "/stocks/old-stock", Some("/stocks/new-stock")),
        "/stocks/mmm/price"
    );
}

#[test]
fn an_index_page_names_its_index() {
    let canonical = |rest: &str| {
        format!(
            "<head><link rel='canonical' href='https://origin.markets.example/index/components/{rest}'/>"
        )
    };
    let page = "/index/components/s&p_500?p=3";
    let letter = "/index/components/s&p_500/A";
    for (html, asked, reached, expected) in [
        (canonical("s&amp;p_500"), page, None, "confirmed"),
        (canonical("s%26p_500"), page, None, "confirmed"),
        (canonical("S&P_500?p=1"), page, None, "confirmed"),
        (
            canonical("s&amp;p_500"),
            "/index/components/s%26p_500?p=3",
            None,
            "confirmed",
        ),
        (canonical("s&amp;p_500"), letter, None, "confirmed"),
        (canonical("s&amp;p_500/A"), letter, None, "confirmed"),
        (
            canonical("s&amp;p_500/B"),
            letter,
            None,
            "https://origin.markets.example/index/components/s&p_500/B",
        ),
        (
            canonical("s&amp;p_500/B"),
            page,
            None,
            "https://origin.markets.example/index/components/s&p_500/B",
        ),
        (
            canonical("dax"),
            page,
            None,
            "https://origin.markets.example/index/components/dax",
        ),
        (String::new(), page, None, "unnamed"),
        (
            "the canonical <b>spelling</b>".to_owned(),
            page,
            None,
            "unnamed",
        ),
        (canonical("dax").replace("link", "a"), page, None, "unnamed"),
        (
            canonical("s&amp;p_500") + STOCK_URL,
            page,
            None,
            "confirmed",
        ),
        (STOCK_URL.to_owned(), page, None, "/stocks/mmm/price"),
        (STOCK_URL.replace("stocks", "index"), page, None, "unnamed"),
        // A redirect is a statement as well.
        (
            String::new(),
            page,
            Some("/index/components/s%26p_500?p=3&x=1"),
            "unnamed",
        ),
        (
            String::new(),
            page,
            Some("/index/components/s&p_500?p=1"),
            "/index/components/s&p_500?p=1",
        ),
        (
            String::new(),
            page,
            Some("/index/components/s&p_500"),
            "/index/components/s&p_500",
        ),
        (
            String::new(),
            "/index/components/dax?p=1",
            Some("/index/components/dax"),
            "unnamed",
        ),
        (String::new(), "/index/components/dax?p=1", Some(page), page),
        (String::new(), page, Some("/consent"), "/consent"),
        (String::new(), letter, Some(page), page),
    ] {
        assert_eq!(
            identity(&html, asked, reached),
            expected,
            "{html} for {asked}, {reached:?}"
        );
    }
}

/// robots.txt and the rates name no address.
#[test]
fn other_files_are_no_pages_of_the_site() {
    for (text, expected) in [
        ("User-agent: *\nDisallow: /ajax/\n", "unnamed"),
        (
            "<?xml version=\"1.0\"?><ValCurs Date=\"04.02.2022\"></ValCurs>",
            "unnamed",
        ),
        (STOCK_URL, "/stocks/mmm/price"),
    ] {
        assert_eq!(identity(text, "/robots.txt", None), expected);
    }
}

/// A company page with `more` behind its price.
fn company(more: &str) -> Vec<u8> {
    format!(
        "<span class=\"price-section__label\">3M Co. </span>\
         <span class=\"price-section__category\">Stock <span>, MMM</span></span>\
         <span class=\"price-section__current-value\">163.09</span>{more}</html>"
    )
    .into_bytes()
}

#[test]
fn a_company_page_states_the_currency_of_its_price() {
    let script = |value: &str| {
        format!("<script>{{\"currency\":\"\",\"Currency\" : {value}, \"X\": []}}</script>")
    };
    for (more, currency, notes) in [
        (script("\"USD\""), Some("USD"), ""),
        (script("\n\t\"EUR\""), Some("EUR"), ""),
        (script("\"GBp\""), Some("GBp"), ""),
        (script("\"\"") + &script("\"GBX\""), Some("GBX"), ""),
        (script("\" CHF \""), Some("CHF"), ""),
        (script("\"\""), None, ""),
        (script("null"), None, ""),
        (String::new(), None, ""),
        (script("\"Euro\""), Some("XXX"), "currency is \"Euro\""),
        (
            script("\"\u{20ac}\""),
            Some("XXX"),
            "currency is \"\u{20ac}\"",
        ),
    ] {
        let page = parse(&company(&more)).unwrap();
        let stated = page.currency.map(|currency| currency.to_string());
        assert_eq!(stated.as_deref(), currency, "{more}");
        assert_eq!(
            page.notes.iter().collect::<Vec<_>>().join(";"),
            notes,
            "{more}"
        );
    }
}

#[test]
fn a_company_page_states_the_day_or_the_time_of_its_price() {
    let element = |text: &str| {
        format!(
            "<div class=\"price-section__additionals\"><span></span><span>{text}</span><span>NYSE</span></div></section>"
        )
    };
    for (more, expected) in [
        (element("Official Close 6/15/2021"), "2021-06-15"),
        (element("Official Close 12/1/2021"), "2021-12-01"),
        (element("03:52:05 PM"), "15:52:05"),
        (
            element("After-market</span> <span>\n12:00:01 AM"),
            "00:00:01",
        ),
        (element("Official Close"), "-"),
        (element("Official Close 13/45/2021"), "-"),
        (element("soon"), "-"),
        // The first section counts, not the one of the official close.
        (
            element("09:00:00 AM") + &element("Official Close 6/15/2021"),
            "09:00:00",
        ),
        (String::new(), "-"),
    ] {
        let as_of = parse(&company(&more)).unwrap().as_of;
        let as_of = as_of.map_or("-".to_owned(), |as_of| as_of.to_string());
        assert_eq!(as_of, expected, "{more}");
    }
}

//! A company page, with the traps of the real one. A second price section shows another price. Two
//! tables have a "P/E Ratio" of past years. The range of the day precedes the range of the year. A
//! script holds figures as text. Lines end with LF or CRLF.

use std::fmt::Write;

use fastrand::Rng;

use super::chart_html::chart;
use super::html::{
    escaped, footer, head, navigation, pad_with_news, push_line, random_amount, random_word,
};
use super::listing::Listing;
use crate::site::number::group_thousands;

pub(super) fn company_page(company: &Listing, rng: &mut Rng) -> String {
    let mut page = String::with_capacity(300 << 10);
    let size = rng.usize(150 << 10..280 << 10);
    head(
        &mut page,
        &format!(
            "{} Stock | {} Stock Price Today",
            escaped(&company.name),
            company.code
        ),
        canonical(company),
        rng,
    );
    navigation(&mut page);
    price_script(&mut page, company);
    price_section(&mut page, company, Quote::Current, rng);
    // Most real pages show a second section with another price outside trading hours.
    if rng.u8(..100) < 88 {
        let other = Listing {
            price: random_amount(rng, 900),
            ..company.clone()
        };
        price_section(&mut page, &other, Quote::Close, rng);
    }
    chart(&mut page, company, rng);
    fundamentals(&mut page, rng);
    pad_with_news(&mut page, size, rng);
    snapshot(&mut page, company, rng);
    profile(&mut page, company, rng);
    footer(&mut page);
    // The site has used both line ends over the years.
    if rng.bool() {
        page.replace('\n', "\r\n")
    } else {
        page
    }
}

fn price_script(page: &mut String, company: &Listing) {
    let name = company.name.replace('\'', "\\u0027");
    push_line!(
        page,
        "<script>\n\twindow.priceSections = window.priceSections || {{ configs: [] }};\n\twindow.priceSections.configs.push({{\n\
        \t\tregionSelector: '#price-section-main',\n\
        \t\tpriceSection: {{\"label\":\"{name}\",\"category\":\"Stock\",\"symbol\":\"{}\",\"currency\":\"\",\"currentValue\":\"{}\",\"isFuture\":false}}\n\t}});\n\
        \twindow.addInstrumentConfigs = window.addInstrumentConfigs || [];\n\twindow.addInstrumentConfigs.push({{\n\
        \t\tconfig: {{\n\t\t\tsidePanelName: 'addInstrument',\n\t\t\tloginUrl: '/mymarkets?r={}'\n\t\t}}\n\t}});\n</script>",
        company.code,
        group_thousands(&company.price),
        as_parameter(&company.path)
    );
}

/// A text as the value of a query parameter, percent-encoded with lower-case digits.
fn as_parameter(text: &str) -> String {
    let encoded = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).into(),
        _ => format!("%{byte:02x}"),
    });
    encoded.collect()
}

/// The path that the page gives as its own in `rel=canonical`. Three pages of the crawl name another
/// company.
fn canonical(company: &Listing) -> &str {
    match company.code.as_str() {
        "GOOG" => "/stocks/googl-stock",
        "RMD" => "/stocks/rsmdf-stock",
        "UA" => "/stocks/uaa-stock",
        _ => &company.path,
    }
}

/// The two price sections of a page.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quote {
    /// The first section, with the name above it.
    Current,
    /// The section for the hours without trading.
    Close,
}

fn price_section(page: &mut String, company: &Listing, quote: Quote, rng: &mut Rng) {
    let (id, class) = match quote {
        Quote::Current => ("main", "price-section"),
        Quote::Close => ("future", "price-section price-section--future"),
    };
    push_line!(
        page,
        "<section id=\"price-section-{id}\" class=\"{class}\">\n\t<div class=\"price-section__row\">"
    );
    if quote == Quote::Current {
        push_line!(
            page,
            "\t\t<h1 class=\"price-section__identifiers\">\n\t\t\t<span class=\"price-section__label\">{} </span>\n\
            \t\t\t<span class=\"price-section__category\">Stock <span>, {}</span></span>\n\n\t\t</h1>",
            escaped(&company.name),
            escaped(&company.code)
        );
    }
    push_line!(
        page,
        "\t\t<div class=\"price-section__values\">\n\t\t\t<span class=\"price-section__current-value\">{}</span>\n\
        \t\t\t<span class=\"price-section__breakpoint\"></span>\n\t\t\t<span class=\"price-section__absolute-value\">\n-0.61\n\t\t\t</span>\n\t\t</div>",
        group_thousands(&company.price)
    );
    let exchange = match company.stated_currency() {
        Some("EUR") => "XETRA",
        Some("GBX" | "GBP") => "LSE",
        // Codes of four letters and more are Nasdaq's.
        _ if company.code.len() > 3 => "NAS",
        _ => "NYSE",
    };
    push_line!(
        page,
        "\t\t<div class=\"price-section__additionals\">\n\t\t\t<span></span>\n\t\t\t<span>{}</span>\n\
        \t\t\t<span class=\"padding-left--smaller\">{exchange}</span>\n\t\t</div>\n\t</div>\n</section>",
        time_of_quote(quote, rng)
    );
}

/// The day of a closing price, or in a quarter of the sections the time of a current price without
/// its day.
fn time_of_quote(quote: Quote, rng: &mut Rng) -> String {
    if rng.u8(..4) == 0 {
        let (minute, second) = (rng.u8(..60), rng.u8(..60));
        return format!("{:02}:{minute:02}:{second:02} PM", rng.u8(1..12));
    }
    match quote {
        Quote::Current => "Official Close 1/28/2022".to_owned(),
        Quote::Close => "Official Close 1/31/2022".to_owned(),
    }
}

/// Key figures of past years. Their "P/E Ratio" is a trap: only the snapshot has the current one.
fn fundamentals(page: &mut String, rng: &mut Rng) {
    for title in ["Key Figures", "Historical Ratios"] {
        push_line!(
            page,
            "<h2 class=\"header-underline\">{title}</h2>\n<table class=\"table\">\n<tbody class=\"table__tbody\">"
        );
        for figure in [
            "Revenue",
            "EBIT",
            "Dividend",
            "P/E Ratio",
            "Price/Sales",
            "Price/Book Value",
            "Cash Flow",
            "Employees",
        ] {
            push_line!(
                page,
                "\t<tr class=\"table__tr\">\n\t\t<td class=\"table__td\">{figure}</td>"
            );
            for _ in 2016..2024 {
                push_line!(
                    page,
                    "\t\t<td class=\"table__td text-right\">{}</td>",
                    random_amount(rng, 9_000)
                );
            }
            push_line!(page, "\t</tr>");
        }
        push_line!(page, "</tbody>\n</table>");
    }
}

fn snapshot(page: &mut String, company: &Listing, rng: &mut Rng) {
    push_line!(
        page,
        "<!-- <aside class=\"side-panel\"><main>Add to watchlist</main></aside> --></div>\n<div class=\"responsivePosition\" id=\"snapshot\">\n\
        <div class=\"graviton\">\n\t<h2 class=\"header-underline header-underline--no-margin-top\">Stock Snapshot</h2>\n\t<div class=\"snapshot\">"
    );
    for header in ["Bid", "Ask", "Volume", "Prev. Close", "Open"] {
        item(page, "", &random_amount(rng, 900), header);
    }
    item(
        page,
        "",
        &format!("{} B", random_amount(rng, 900)),
        "Market Cap",
    );
    push_line!(
        page,
        "\t\t<div class=\"snapshot__line\"></div>\n\t\t<div id=\"snapshot-highlow\" class=\"snapshot__highlow-container\">\n\t\t\t<div class=\"snapshot__highlow\">"
    );
    item(
        page,
        " snapshot__data-item--small",
        &random_amount(rng, 900),
        "Day Low",
    );
    item(
        page,
        " snapshot__data-item--small snapshot__data-item--right",
        &random_amount(rng, 900),
        "Day High",
    );
    push_line!(page, "\t\t\t</div>");
    // The site omits the item of an unknown figure.
    if !company.low52.is_empty() {
        push_line!(page, "\t\t\t<div class=\"snapshot__highlow\">");
        item(
            page,
            " snapshot__data-item--small",
            &group_thousands(&company.low52),
            "52 Week Low",
        );
        item(
            page,
            " snapshot__data-item--small snapshot__data-item--right",
            &group_thousands(&company.high52),
            "52 Week High",
        );
        push_line!(page, "\t\t\t</div>");
    }
    push_line!(page, "\t\t</div>\n\t\t<div class=\"snapshot__line\"></div>");
    item(page, "", &random_amount(rng, 9), "Dividend Yield");
    if !company.pe.is_empty() {
        item(page, "", &group_thousands(&company.pe), "P/E Ratio");
    }
    for header in [
        "Free Float in %",
        "EPS 2022",
        "Book Value per Share",
        "Cash Flow per Share",
    ] {
        item(page, "", &random_amount(rng, 90), header);
    }
    push_line!(page, "\t</div>\n</div>\n</div>");
}

/// A figure of the snapshot; `more_classes` is empty or starts with a space.
fn item(page: &mut String, more_classes: &str, value: &str, header: &str) {
    push_line!(
        page,
        "\t\t\t<div class=\"snapshot__data-item{more_classes}\">\n\t\t\t\t{value}\n\t\t\t\t<div class=\"snapshot__header\">{header}</div>\n\t\t\t</div>"
    );
}

fn profile(page: &mut String, company: &Listing, rng: &mut Rng) {
    push_line!(
        page,
        "<div class=\"graviton\">\n\t<h2 class=\"header-underline\">Profile {0}</h2>\n\t<div class=\"note\">{0} engages in {1}, {2} and {3}.</div>\n</div>",
        escaped(&company.name),
        random_word(rng),
        random_word(rng),
        random_word(rng)
    );
}

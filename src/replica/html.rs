//! The pages around a market's figures.
//!
//! They have the structure, the size and the traps of the real site's pages of 2022; the text is
//! our own. What a reader meets in them: a second price section with another price, two tables with
//! a "P/E Ratio" of their own, the day's range before that of the year, scripts that hold the
//! landmarks as text, a pager with gaps, rows without a name, either kind of line end.

use std::fmt::Write;

use fastrand::Rng;

use super::market::Listing;

/// Adds a formatted line; writing to a `String` cannot fail.
macro_rules! line {
    ($page:expr, $($text:tt)*) => { { let _ = writeln!($page, $($text)*); } };
}

const WORDS: [&str; 64] = [
    "market",
    "share",
    "quarter",
    "growth",
    "revenue",
    "analyst",
    "outlook",
    "guidance",
    "margin",
    "dividend",
    "demand",
    "supply",
    "energy",
    "capital",
    "investor",
    "fund",
    "rally",
    "decline",
    "record",
    "estimate",
    "earnings",
    "forecast",
    "sector",
    "industry",
    "index",
    "volume",
    "trading",
    "session",
    "futures",
    "bond",
    "yield",
    "inflation",
    "rate",
    "policy",
    "central",
    "bank",
    "currency",
    "dollar",
    "rouble",
    "export",
    "import",
    "factory",
    "software",
    "chip",
    "cloud",
    "retail",
    "consumer",
    "travel",
    "airline",
    "pharma",
    "vaccine",
    "trial",
    "approval",
    "merger",
    "stake",
    "buyback",
    "debt",
    "credit",
    "rating",
    "upgrade",
    "target",
    "position",
    "portfolio",
    "strategy",
];

pub fn word(rng: &mut Rng) -> &'static str {
    WORDS[rng.usize(..WORDS.len())]
}

pub fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

/// One page of the index.
pub fn index_page(rows: &[Listing], number: u32, pages: u32, rng: &mut Rng) -> String {
    let mut page = String::with_capacity(160 << 10);
    head(&mut page, "S&amp;P 500 Companies", rng);
    navigation(&mut page);
    quote_table(&mut page, rng);
    line!(
        page,
        "<div class=\"table-responsive\">\n\t<table class=\"table table__layout--fixed\">"
    );
    line!(page, "\t\t<thead class=\"table__thead\">\n\t\t\t<tr>");
    for header in [
        "Name",
        "Latest Price<br>\nPrevious Close",
        "Low<br>\nHigh",
        "+/-<br>\n%",
        "Time<br>\nDate",
        "3 Mo.<br>\n+/-<br>\n%",
        "6 Mo.<br>\n+/-<br>\n%",
        "1 Year<br>\n+/-<br>\n%",
    ] {
        line!(
            page,
            "\t\t\t\t\t<th class=\"table__th\">\n{header}\t\t\t\t\t</th>"
        );
    }
    line!(
        page,
        "\t\t\t</tr>\n\t\t</thead>\n\t\t<tbody class=\"table__tbody\">"
    );
    for company in rows {
        index_row(&mut page, company, rng);
    }
    line!(page, "\t\t</tbody>\n\t</table>\n</div>");
    pager(&mut page, number, pages);
    filler_until(&mut page, 120 << 10, rng);
    footer(&mut page);
    page
}

fn index_row(page: &mut String, company: &Listing, rng: &mut Rng) {
    let name = match company.code.as_str() {
        // Two rows of the real index have no name.
        "PEG" | "PSA" => String::new(),
        _ => index_name(&company.name),
    };
    line!(
        page,
        "\t\t\t\t<tr>\n\t\t\t\t\t\t<td class=\"table__td table__td--big\">"
    );
    line!(
        page,
        "<a href=\"{}\" title=\"{name}\">{name}</a>\n\t\t\t\t\t\t</td>",
        company.path
    );
    let (price, before) = (grouped(&company.price), percent(rng));
    line!(
        page,
        "\t\t\t\t\t\t<td class=\"table__td\">\n{price}<br>\n{price}\n\t\t\t\t\t\t</td>"
    );
    line!(
        page,
        "\t\t\t\t\t\t<td class=\"table__td\">\n0.00<br>\n0.00\n\t\t\t\t\t\t</td>"
    );
    change_cell(page, &before, rng);
    line!(
        page,
        "\t\t\t\t\t\t<td class=\"table__td\">\n<span>09:27 AM</span><span style=\"display:none\" rel=\"localdatetime\" \
        format=\"hh:mm tt\">01/31/2022 09:27:09 AM UTC-0500</span><br>\n31.01.2022\n\t\t\t\t\t\t</td>"
    );
    for months in [percent(rng), percent(rng), company.growth.clone()] {
        change_cell(page, &months, rng);
    }
    line!(page, "\t\t\t\t</tr>");
}

/// A change in dollars and, in the second span, in per cent.
fn change_cell(page: &mut String, percent: &str, rng: &mut Rng) {
    let colour = if percent.starts_with('-') {
        "colorRed"
    } else {
        "colorGreen"
    };
    line!(
        page,
        "\t\t\t\t\t\t<td class=\"table__td\">\n<span class=\"{colour}\">{}</span><br>",
        money(rng, 50)
    );
    if percent.is_empty() {
        line!(page, "\t\t\t\t\t\t</td>");
    } else {
        line!(
            page,
            "<span class=\"{colour}\">{}%</span>\n\t\t\t\t\t\t</td>",
            grouped(percent)
        );
    }
}

/// `1 | 2 | … | 9 | ... | 11` and an image that leads to the next page.
fn pager(page: &mut String, number: u32, pages: u32) {
    let shown = |n: u32| n == 1 || n == pages || n.abs_diff(number) < 4 || (number < 6 && n < 10);
    let mut links = Vec::new();
    for n in 1..=pages {
        match (shown(n), n == number) {
            (true, true) => links.push(format!("<a href=\"?p={n}\"><strong>{n}</strong></a>")),
            (true, false) => links.push(format!("<a href=\"?p={n}\">{n}</a>")),
            (false, _) if links.last().is_some_and(|last| last != "...") => {
                links.push("...".to_owned())
            }
            _ => {}
        }
    }
    let next = if number < pages {
        format!(
            "&nbsp;<a href=\"?p={}\"><img class=\"pager_next lazy\" alt=\"Next\"></a>",
            number + 1
        )
    } else {
        String::new()
    };
    if pages > 1 {
        line!(
            page,
            "\t<div class=\"finando_paging margin-top--small\">\n\t\tPage: {}{next}\n\t</div>",
            links.join(" | ")
        );
    }
}

/// The page of one company.
pub fn company_page(company: &Listing, rng: &mut Rng) -> String {
    let mut page = String::with_capacity(300 << 10);
    let size = rng.usize(150 << 10..280 << 10);
    head(
        &mut page,
        &format!(
            "{} Stock | {} Stock Price Today",
            escaped(&company.name),
            company.code
        ),
        rng,
    );
    navigation(&mut page);
    price_script(&mut page, company);
    price_section(&mut page, company, true);
    // Outside trading hours, most pages show a second section with another price.
    if rng.u8(..100) < 88 {
        let other = Listing {
            price: money(rng, 900),
            ..company.clone()
        };
        price_section(&mut page, &other, false);
    }
    chart(&mut page, rng);
    fundamentals(&mut page, rng);
    filler_until(&mut page, size, rng);
    snapshot(&mut page, company, rng);
    profile(&mut page, company, rng);
    footer(&mut page);
    // The site changed its line ends over the years.
    if rng.bool() {
        page.replace('\n', "\r\n")
    } else {
        page
    }
}

fn head(page: &mut String, title: &str, rng: &mut Rng) {
    line!(
        page,
        "<!DOCTYPE html><html lang=\"en\"><head>\n<!-- Performance timing - Start -->\n<script data-load-strategy=\"domready\">"
    );
    for step in 0..60 {
        line!(
            page,
            "window.timings = window.timings || []; window.timings.push({{step: {step}, mark: \"{}-{}\", at: {}}});",
            word(rng),
            word(rng),
            rng.u32(..)
        );
    }
    line!(page, "</script>\n<!-- Performance timing - End -->");
    line!(
        page,
        "<meta charset=\"utf-8\">\n<title>{title} | Markets</title>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
    );
    for rule in 0..90 {
        line!(
            page,
            "<style>.layout-{rule} .row > .col-{} {{ margin: {}px {}px; color: #{:06x}; }}</style>",
            rule % 12,
            rule % 7,
            rule % 5,
            rng.u32(..0x100_0000)
        );
    }
    line!(page, "</head>\n<body>");
}

fn navigation(page: &mut String) {
    line!(
        page,
        "<nav data-nav=\"\" data-e2e-name=\"l-nav\" data-track-page-area=\"Navigation\">\n<ul class=\"row verticals list-unstyled\">"
    );
    for (number, word) in WORDS.iter().cycle().take(220).enumerate() {
        line!(
            page,
            "            <li class=\"verticals-listitem\" data-vertical-label=\"{word}\">\n              \
            <a href=\"/news/{word}-{number}\" class=\"verticals-listitem-link headline-regular\" data-e2e-name=\"vertical-listitem-link\">\n                \
            <span class=\"verticals-listitem-label\"><svg class=\"svg-icon nav-icon\" role=\"img\" viewBox=\"0 0 12 12\"><path d=\"M{number} {}h8v{}H1z\"></path></svg>{word}</span>\n              </a>\n            </li>",
            number % 9,
            number % 11
        );
    }
    line!(page, "</ul>\n</nav>");
}

/// A small table with links to companies, such as stood before the components in 2020.
fn quote_table(page: &mut String, rng: &mut Rng) {
    line!(
        page,
        "<table class=\"table table--quotes\"><tr><th>Name</th><th>Price</th><th>%</th></tr>"
    );
    for slug in ["aapl", "tsla", "amzn"] {
        line!(
            page,
            "<tr><td><a href=\"/stocks/{slug}-stock\">{slug}</a></td><td><span>{}</span></td><td><span>{}%</span></td></tr>",
            money(rng, 900),
            percent(rng)
        );
    }
    line!(page, "</table>\n<div class=\"tab__subnav\">");
    for letter in 'A'..='Z' {
        line!(
            page,
            "\t\t<a href=\"/index/components/s&amp;p_500/{letter}\" class=\"tab__subnav__item \">\n\t\t\t{letter}\n\t\t</a>"
        );
    }
    line!(page, "</div>");
}

fn price_script(page: &mut String, company: &Listing) {
    let name = company.name.replace('\'', "\\u0027");
    line!(
        page,
        "<script>\n\twindow.priceSections = window.priceSections || {{ configs: [] }};\n\twindow.priceSections.configs.push({{\n\
        \t\tregionSelector: '#price-section-main',\n\
        \t\tpriceSection: {{\"label\":\"{name}\",\"category\":\"Stock\",\"symbol\":\"{}\",\"currentValue\":\"{}\",\"isFuture\":false}}\n\t}});\n</script>",
        company.code,
        grouped(&company.price)
    );
}

fn price_section(page: &mut String, company: &Listing, is_main: bool) {
    let (id, class) = if is_main {
        ("main", "price-section")
    } else {
        ("future", "price-section price-section--future")
    };
    line!(
        page,
        "<section id=\"price-section-{id}\" class=\"{class}\">\n\t<div class=\"price-section__row\">"
    );
    if is_main {
        line!(
            page,
            "\t\t<h1 class=\"price-section__identifiers\">\n\t\t\t<span class=\"price-section__label\">{} </span>\n\
            \t\t\t<span class=\"price-section__category\">Stock <span>, {}</span></span>\n\n\t\t</h1>",
            escaped(&company.name),
            escaped(&company.code)
        );
    }
    line!(
        page,
        "\t\t<div class=\"price-section__values\">\n\t\t\t<span class=\"price-section__current-value\">{}</span>\n\
        \t\t\t<span class=\"price-section__breakpoint\"></span>\n\t\t\t<span class=\"price-section__absolute-value\">\n-0.61\n\t\t\t</span>\n\t\t</div>",
        grouped(&company.price)
    );
    line!(
        page,
        "\t\t<div class=\"price-section__additionals\">\n\t\t\t<span>Official Close 1/31/2022</span>\n\t\t</div>\n\t</div>\n</section>"
    );
}

fn chart(page: &mut String, rng: &mut Rng) {
    line!(page, "<script>\n\tvar chartData = [");
    let mut close = rng.f64() * 300.0 + 20.0;
    for day in 0..500 {
        close *= 0.98 + rng.f64() * 0.04;
        line!(
            page,
            "{{\"Close\":{close:.2},\"Open\":{:.2},\"High\":{:.2},\"Low\":{:.2},\"Volume\":{},\"Date\":\"202{}-{:02}-{:02} 00:00\"}},",
            close * 0.99,
            close * 1.01,
            close * 0.98,
            rng.u32(100_000..90_000_000),
            day / 365,
            day / 31 % 12 + 1,
            day % 28 + 1
        );
    }
    line!(page, "\t];\n</script>");
}

/// Key figures of past years, a "P/E Ratio" among them that is not the one wanted.
fn fundamentals(page: &mut String, rng: &mut Rng) {
    for title in ["Key Figures", "Historical Ratios"] {
        line!(
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
            line!(
                page,
                "\t<tr class=\"table__tr\">\n\t\t<td class=\"table__td\">{figure}</td>"
            );
            for _ in 2016..2024 {
                line!(
                    page,
                    "\t\t<td class=\"table__td text-right\">{}</td>",
                    money(rng, 9_000)
                );
            }
            line!(page, "\t</tr>");
        }
        line!(page, "</tbody>\n</table>");
    }
}

/// News, until the page has the wanted length.
fn filler_until(page: &mut String, length: usize, rng: &mut Rng) {
    while page.len() < length {
        let (month, day) = (rng.u8(1..13), rng.u8(1..29));
        let mut headline = capitalised(word(rng));
        for _ in 0..rng.u8(6..12) {
            headline = headline + " " + word(rng);
        }
        line!(
            page,
            "<div class=\"latest-news__story\">\n\t<time class=\"latest-news__date\" datetime=\"{month}/{day}/2022 10:00:00 AM\">{month}/{day}/2022</time>\n\
            \t<a class=\"latest-news__link\" href=\"/news/stocks/{}\" target=\"_blank\" data-analytics-module=\"news|{}\">{headline}</a>\n\t<span class=\"latest-news__source\">{}</span>",
            headline.replace(' ', "-").to_lowercase(),
            rng.u32(..),
            capitalised(word(rng))
        );
        line!(page, "\t<p class=\"note\">");
        for _ in 0..rng.u8(20..60) {
            let _ = write!(page, "{} ", word(rng));
        }
        line!(
            page,
            "{}.</p>\n</div>\n\t\t\t\t\t\t\t\t\t<div class=\"spacer-50 mobile-spacer-25\"></div>",
            rng.u32(..10_000)
        );
    }
}

fn snapshot(page: &mut String, company: &Listing, rng: &mut Rng) {
    line!(
        page,
        "<!-- <aside class=\"side-panel\"><main>Add to watchlist</main></aside> --></div>\n<div class=\"responsivePosition\" id=\"snapshot\">\n\
        <div class=\"graviton\">\n\t<h2 class=\"header-underline header-underline--no-margin-top\">Stock Snapshot</h2>\n\t<div class=\"snapshot\">"
    );
    for header in ["Bid", "Ask", "Volume", "Prev. Close", "Open"] {
        item(page, "", &money(rng, 900), header);
    }
    item(page, "", &format!("{} B", money(rng, 900)), "Market Cap");
    line!(
        page,
        "\t\t<div class=\"snapshot__line\"></div>\n\t\t<div id=\"snapshot-highlow\" class=\"snapshot__highlow-container\">\n\t\t\t<div class=\"snapshot__highlow\">"
    );
    item(
        page,
        " snapshot__data-item--small",
        &money(rng, 900),
        "Day Low",
    );
    item(
        page,
        " snapshot__data-item--small snapshot__data-item--right",
        &money(rng, 900),
        "Day High",
    );
    line!(page, "\t\t\t</div>");
    // What is not known is an item that is not there.
    if !company.low52.is_empty() {
        line!(page, "\t\t\t<div class=\"snapshot__highlow\">");
        item(
            page,
            " snapshot__data-item--small",
            &grouped(&company.low52),
            "52 Week Low",
        );
        item(
            page,
            " snapshot__data-item--small snapshot__data-item--right",
            &grouped(&company.high52),
            "52 Week High",
        );
        line!(page, "\t\t\t</div>");
    }
    line!(page, "\t\t</div>\n\t\t<div class=\"snapshot__line\"></div>");
    item(page, "", &money(rng, 9), "Dividend Yield");
    if !company.pe.is_empty() {
        item(page, "", &grouped(&company.pe), "P/E Ratio");
    }
    for header in [
        "Free Float in %",
        "EPS 2022",
        "Book Value per Share",
        "Cash Flow per Share",
    ] {
        item(page, "", &money(rng, 90), header);
    }
    line!(page, "\t</div>\n</div>\n</div>");
}

fn item(page: &mut String, more_classes: &str, value: &str, header: &str) {
    line!(
        page,
        "\t\t\t<div class=\"snapshot__data-item{more_classes}\">\n\t\t\t\t{value}\n\t\t\t\t<div class=\"snapshot__header\">{header}</div>\n\t\t\t</div>"
    );
}

fn profile(page: &mut String, company: &Listing, rng: &mut Rng) {
    line!(
        page,
        "<div class=\"graviton\">\n\t<h2 class=\"header-underline\">Profile {0}</h2>\n\t<div class=\"note\">{0} engages in {1}, {2} and {3}.</div>\n</div>",
        escaped(&company.name),
        word(rng),
        word(rng),
        word(rng)
    );
}

fn footer(page: &mut String) {
    line!(page, "<footer class=\"l-footer\" data-e2e-name=\"footer\">");
    for word in WORDS {
        line!(
            page,
            "\t<a class=\"footer-link\" href=\"/about/{word}\" data-track-page-area=\"Footer\">{}</a>",
            capitalised(word)
        );
    }
    line!(page, "</footer>\n</body>\n</html>");
}

/// The index has its own, shorter names: "3M" for "3M Co.".
fn index_name(name: &str) -> String {
    let short = [" Inc.", " Inc", " Co.", " Corp.", " PLC", " Ltd."]
        .iter()
        .find_map(|end| name.strip_suffix(end));
    escaped(short.unwrap_or(name))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// `5221.56` as `5,221.56`.
fn grouped(figure: &str) -> String {
    let (sign, digits) = figure
        .strip_prefix('-')
        .map_or(("", figure), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut grouped = String::from(sign);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if !fraction.is_empty() {
        grouped.push('.');
        grouped.push_str(fraction);
    }
    grouped
}

fn money(rng: &mut Rng, most: u32) -> String {
    grouped(&format!("{}.{:02}", rng.u32(..most), rng.u8(..100)))
}

fn percent(rng: &mut Rng) -> String {
    format!(
        "{}{}.{:02}",
        if rng.bool() { "-" } else { "" },
        rng.u8(..40),
        rng.u8(..100)
    )
}

//! An index page, with three traps of the real one. A quote table with company links precedes the table
//! of components. The pager has gaps and an image. Some rows have no name. Every page links to other
//! indices.

use std::fmt::Write;

use fastrand::Rng;

use super::html::{
    escaped, footer, head, navigation, pad_with_news, push_line, random_amount, random_percent,
};
use super::listing::Listing;
use crate::site::number::group_thousands;
use crate::site::paths::{INDEX_PREFIX, LETTERS};

/// Indices that every page links to: the name as in paths, and the title.
const TABS: [(&str, &str); 4] = [
    ("dow_jones", "Dow Jones"),
    ("s&p_500", "S&P 500"),
    ("nasdaq_100", "NASDAQ 100"),
    ("dax", "DAX"),
];

/// A page of an index, without its rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct IndexPage<'a> {
    /// Name of the index, as in paths.
    pub(super) index: &'a str,
    pub(super) title: &'a str,
    pub(super) kind: Kind<'a>,
}

/// The two kinds of index pages.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind<'a> {
    /// Page `number` of `pages`, from 1, with a pager.
    Numbered { number: u32, pages: u32 },
    /// All companies of one letter, without a pager.
    Letter(&'a str),
}

impl IndexPage<'_> {
    pub(super) fn html(&self, rows: &[&Listing], rng: &mut Rng) -> String {
        let mut page = String::with_capacity(160 << 10);
        let title = format!("{0} Stock | {0} Companies", escaped(self.title));
        let canonical = format!("{INDEX_PREFIX}{}", self.index);
        head(&mut page, &title, &canonical, rng);
        navigation(&mut page);
        quote_table(&mut page, rng);
        tabs(&mut page, self.index);
        letter_links(&mut page, self);
        components(&mut page, rows, rng);
        if let Kind::Numbered { number, pages } = self.kind {
            pager(&mut page, number, pages);
        }
        pad_with_news(&mut page, 120 << 10, rng);
        footer(&mut page);
        page
    }
}

/// The table of the companies.
fn components(page: &mut String, rows: &[&Listing], rng: &mut Rng) {
    push_line!(
        page,
        "<div class=\"table-responsive\">\n\t<table class=\"table table__layout--fixed\">"
    );
    push_line!(page, "\t\t<thead class=\"table__thead\">\n\t\t\t<tr>");
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
        push_line!(
            page,
            "\t\t\t\t\t<th class=\"table__th\">\n{header}\t\t\t\t\t</th>"
        );
    }
    push_line!(
        page,
        "\t\t\t</tr>\n\t\t</thead>\n\t\t<tbody class=\"table__tbody\">"
    );
    for company in rows {
        index_row(page, company, rng);
    }
    push_line!(page, "\t\t</tbody>\n\t</table>\n</div>");
}

fn index_row(page: &mut String, company: &Listing, rng: &mut Rng) {
    let name = match company.code.as_str() {
        // Two rows of the real index have no name.
        "PEG" | "PSA" => String::new(),
        _ => index_name(&company.name),
    };
    push_line!(
        page,
        "\t\t\t\t<tr>\n\t\t\t\t\t\t<td class=\"table__td table__td--big\">"
    );
    push_line!(
        page,
        "<a href=\"{}\" title=\"{name}\">{name}</a>\n\t\t\t\t\t\t</td>",
        company.path
    );
    let (price, change) = (group_thousands(&company.price), random_percent(rng));
    push_line!(
        page,
        "\t\t\t\t\t\t<td class=\"table__td\">\n{price}<br>\n{price}\n\t\t\t\t\t\t</td>"
    );
    push_line!(
        page,
        "\t\t\t\t\t\t<td class=\"table__td\">\n0.00<br>\n0.00\n\t\t\t\t\t\t</td>"
    );
    change_cell(page, &change, rng);
    push_line!(
        page,
        "\t\t\t\t\t\t<td class=\"table__td\">\n<span>09:27 AM</span><span style=\"display:none\" rel=\"localdatetime\" \
        format=\"hh:mm tt\">01/31/2022 09:27:09 AM UTC-0500</span><br>\n31.01.2022\n\t\t\t\t\t\t</td>"
    );
    // Three months, six months, one year.
    for change in [
        random_percent(rng),
        random_percent(rng),
        company.growth.clone(),
    ] {
        change_cell(page, &change, rng);
    }
    push_line!(page, "\t\t\t\t</tr>");
}

/// A cell with the change in the currency and, in a second span, in per cent. An empty `percent` leaves the
/// second span out.
fn change_cell(page: &mut String, percent: &str, rng: &mut Rng) {
    let colour = if percent.starts_with('-') {
        "colorRed"
    } else {
        "colorGreen"
    };
    push_line!(
        page,
        "\t\t\t\t\t\t<td class=\"table__td\">\n<span class=\"{colour}\">{}</span><br>",
        random_amount(rng, 50)
    );
    if percent.is_empty() {
        push_line!(page, "\t\t\t\t\t\t</td>");
    } else {
        push_line!(
            page,
            "<span class=\"{colour}\">{}%</span>\n\t\t\t\t\t\t</td>",
            group_thousands(percent)
        );
    }
}

/// Links like `1 | 2 | … | 9 | ... | 11`, and an image that links to the next page.
fn pager(page: &mut String, number: u32, pages: u32) {
    let shown = |n: u32| n == 1 || n == pages || n.abs_diff(number) < 4 || (number < 6 && n < 10);
    let mut links = Vec::new();
    for n in 1..=pages {
        if shown(n) && n == number {
            links.push(format!("<a href=\"?p={n}\"><strong>{n}</strong></a>"));
        } else if shown(n) {
            links.push(format!("<a href=\"?p={n}\">{n}</a>"));
        } else if links.last().is_some_and(|last| last != "...") {
            links.push("...".to_owned());
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
        push_line!(
            page,
            "\t<div class=\"finando_paging margin-top--small\">\n\t\tPage: {}{next}\n\t</div>",
            links.join(" | ")
        );
    }
}

/// A small table with company links. The real site had one before the components in 2020.
fn quote_table(page: &mut String, rng: &mut Rng) {
    push_line!(
        page,
        "<table class=\"table table--quotes\"><tr><th>Name</th><th>Price</th><th>%</th></tr>"
    );
    for slug in ["aapl", "tsla", "amzn"] {
        push_line!(
            page,
            "<tr><td><a href=\"/stocks/{slug}-stock\">{slug}</a></td><td><span>{}</span></td><td><span>{}%</span></td></tr>",
            random_amount(rng, 900),
            random_percent(rng)
        );
    }
    push_line!(page, "</table>");
}

/// The links to other indices.
fn tabs(page: &mut String, index: &str) {
    push_line!(page, "<ul class=\"tab\">");
    for (name, title) in TABS {
        let active = if name == index {
            "tab__item--active"
        } else {
            ""
        };
        push_line!(
            page,
            "\t<li class=\"tab__item {active}\">\n\t\t<a class=\"tab__link\" href=\"{INDEX_PREFIX}{}\">{}</a>\n\t</li>",
            escaped(name),
            escaped(title)
        );
    }
    push_line!(page, "</ul>");
}

/// The links to the letter pages, which every index page has.
fn letter_links(page: &mut String, IndexPage { index, kind, .. }: &IndexPage) {
    let index = escaped(index);
    push_line!(page, "<div class=\"tab__subnav\">");
    for letter in LETTERS {
        let active = match kind {
            Kind::Letter(current) if *current == letter => "tab__subnav__item--active",
            _ => "",
        };
        push_line!(
            page,
            "\t\t<a href=\"{INDEX_PREFIX}{index}/{letter}\" class=\"tab__subnav__item {active}\">\n\t\t\t{letter}\n\t\t</a>"
        );
    }
    push_line!(page, "</div>");
}

/// The name in the index, which is shorter than on the company page: "3M" for "3M Co.".
fn index_name(name: &str) -> String {
    let short = [
        " Inc.", " Inc", " Co.", " Corp.", " PLC", " Ltd.", " AG", " SE",
    ]
    .iter()
    .find_map(|end| name.strip_suffix(end));
    escaped(short.unwrap_or(name))
}

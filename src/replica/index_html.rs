//! A page of the market's index. Its traps: a table with links to companies before the one of the
//! components, a pager with gaps and an image in it, rows without a name.

use std::fmt::Write;

use fastrand::Rng;

use super::html::{escaped, filler_until, footer, grouped, head, line, money, navigation, percent};
use super::listing::Listing;
use crate::pipeline::letters::LETTERS;

/// Which of the companies a page of the index has.
#[derive(Debug, Clone, Copy)]
pub(super) enum Slice<'a> {
    Page {
        number: u32,
        pages: u32,
    },
    /// All of one letter; such a page has no pager.
    Letter(&'a str),
}

/// One page of the index.
pub(super) fn index_page(rows: &[&Listing], slice: Slice, rng: &mut Rng) -> String {
    let mut page = String::with_capacity(160 << 10);
    head(&mut page, "S&amp;P 500 Companies", rng);
    navigation(&mut page);
    quote_table(&mut page, rng);
    bar_of_letters(&mut page, slice);
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
    if let Slice::Page { number, pages } = slice {
        pager(&mut page, number, pages);
    }
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
    line!(page, "</table>");
}

/// The links to the letter pages, which every page of the index has.
fn bar_of_letters(page: &mut String, slice: Slice) {
    line!(page, "<div class=\"tab__subnav\">");
    for letter in LETTERS {
        let active = match slice {
            Slice::Letter(own) if own == letter => "tab__subnav__item--active",
            _ => "",
        };
        line!(
            page,
            "\t\t<a href=\"/index/components/s&amp;p_500/{letter}\" class=\"tab__subnav__item {active}\">\n\t\t\t{letter}\n\t\t</a>"
        );
    }
    line!(page, "</div>");
}

/// The index has its own, shorter names: "3M" for "3M Co.".
fn index_name(name: &str) -> String {
    let short = [" Inc.", " Inc", " Co.", " Corp.", " PLC", " Ltd."]
        .iter()
        .find_map(|end| name.strip_suffix(end));
    escaped(short.unwrap_or(name))
}

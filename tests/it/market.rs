//! The embedded market: its three indices, and what its pages say of themselves.

use std::collections::{BTreeMap, HashSet};

use indexrank::replica::{Index, Listing, Market, Pages, SEED};
use indexrank::site::{company, index};

use crate::support::{MARKET, indexrank, json, ledger};

/// The text between the only `before` in a page and the next `after`.
#[track_caller]
fn between<'a>(page: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = page.split_once(before).expect(before);
    assert!(!rest.contains(before), "{before:?} occurs twice");
    rest.split_once(after).expect(after).0
}

/// The text of an element without tags, its white space collapsed.
fn visible(html: &str) -> String {
    let texts = html
        .split('<')
        .map(|tag| tag.split_once('>').map_or(tag, |(_, text)| text));
    let words = texts.flat_map(str::split_whitespace);
    words.collect::<Vec<_>>().join(" ")
}

fn canonical(page: &str) -> &str {
    let head = page.split_once("</head>").expect("a head").0;
    between(head, "<link rel=\"canonical\" href=\"", "\" />")
}

/// Position of a text in a page, as a share of the page.
fn place(page: &str, text: &str) -> f64 {
    page.find(text).expect(text) as f64 / page.len() as f64
}

#[test]
fn company_pages_name_their_address_and_currency() {
    let market = Market::embedded(None, SEED);
    let listed = |code| {
        market
            .companies()
            .iter()
            .find(move |company| company.code == code)
    };
    for code in ["MMM", "A", "BRK.B", "GOOGL"] {
        let company: &Listing = listed(code).unwrap();
        let page = market.company_page(company);
        let slug = between(&company.path, "/stocks/", "-stock");
        let chart = format!(
            "\"PushDataField\" : null, \"StockUrl\" : \"/stocks/{slug}/price\", \"Currency\" : \"USD\", \
             \"StockMarketsExchanges\" : [{{ \"TKData\" : \""
        );
        let login = format!("loginUrl: '/mymarkets?r=%2fstocks%2f{slug}-stock'");
        let name = place(&page, "price-section__label");
        assert!(
            (0.0..0.01).contains(&(name - place(&page, &login))),
            "{code}"
        );
        assert!(
            (0.0..0.02).contains(&(place(&page, &chart) - name)),
            "{code}"
        );
        assert!(page.contains("\"currency\":\"\""), "{code}");
        let address = format!("https://markets.businessinsider.com{}", company.path);
        assert_eq!(canonical(&page), address);
    }
    let wrong = market
        .companies()
        .iter()
        .filter(|company| !canonical(&market.company_page(company)).ends_with(&company.path));
    let wrong: Vec<&str> = wrong.map(|company| &*company.code).collect();
    assert_eq!(wrong, ["GOOG", "RMD", "UA"]);
}

/// Sections with a time have no day. The two sections of a page never state the same.
#[test]
fn price_sections_state_the_day_or_the_time() {
    let market = Market::embedded(None, SEED);
    let mut timed = 0;
    for company in market.companies() {
        let page = market.company_page(company);
        let mut quoted: Vec<String> = page
            .split("<div class=\"price-section__additionals\">")
            .skip(1)
            .map(|rest| visible(rest.split_once("</div>").unwrap().0))
            .collect();
        let first = &quoted[0];
        let is_time = first.ends_with(" PM NAS") || first.ends_with(" PM NYSE");
        let is_day =
            first == "Official Close 1/28/2022 NAS" || first == "Official Close 1/28/2022 NYSE";
        assert!(is_time != is_day, "{}: {first}", company.code);
        timed += usize::from(is_time);
        let sections = quoted.len();
        assert!((1..=2).contains(&sections), "{}", company.code);
        quoted.dedup();
        assert_eq!(quoted.len(), sections, "{}: {quoted:?}", company.code);
    }
    assert!((80..170).contains(&timed), "{timed} of 496");
}

#[test]
fn index_pages_name_their_index_and_number() {
    let market = Market::embedded(None, SEED);
    let address = "https://markets.businessinsider.com/index/components/s&amp;p_500";
    for number in 1..=11 {
        let page = market.index_page(number);
        assert_eq!(canonical(&page), address);
        let current = format!("<a href=\"?p={number}\"><strong>{number}</strong></a>");
        assert_eq!(page.matches("<strong>").count(), 1, "page {number}");
        assert!(page.contains(&current), "page {number}");
    }
    for letter in ["A", "X", "0-9"] {
        let page = market.letter_page(letter);
        assert_eq!(canonical(&page), address);
        assert!(!page.contains("<strong>"), "{letter}");
    }
}

/// The rows of all numbered pages.
fn listed(of: &Index) -> Vec<index::Link> {
    let pages = (1..=of.pages()).map(|number| {
        let html = of.page(number);
        let page = index::parse(html.as_bytes()).unwrap();
        assert_eq!(index::parse_whole(html.as_bytes()).as_ref(), Ok(&page));
        assert_eq!(page.pages, of.pages());
        page.rows
    });
    pages.flatten().collect()
}

#[test]
fn every_index_lists_its_companies_and_names_itself() {
    let market = Market::embedded(Some(100), SEED);
    for (name, title, companies, pages) in [
        ("s&p_500", "S&amp;P 500", 100, 3),
        ("dax", "DAX", 40, 1),
        ("mixed", "Mixed Currencies", 50, 2),
    ] {
        let index = market.index(name).unwrap();
        assert_eq!(
            (index.companies.len(), index.pages()),
            (companies, pages),
            "{name}"
        );
        let rows = listed(index);
        let rows = rows
            .iter()
            .map(|row| (&*row.path, row.growth.unwrap().to_string()));
        let expected = index
            .companies
            .iter()
            .map(|company| (&*company.path, company.growth.clone()));
        assert!(rows.eq(expected), "{name}");

        let path = format!("/index/components/{}", name.replace('&', "&amp;"));
        for page in [index.page(1), index.letter_page("S")] {
            assert!(canonical(&page).ends_with(&path), "{name}");
            assert!(
                page.contains(&format!("<title>{title} Stock | {title} Companies")),
                "{name}"
            );
            assert_eq!(
                page.matches(&format!("href=\"{path}/")).count(),
                27,
                "{name}"
            );
        }
        let on_letter_pages: usize = indexrank::site::paths::LETTERS
            .iter()
            .map(|letter| {
                let page = index.letter_page(letter);
                index::parse_letter(page.as_bytes(), name)
                    .unwrap()
                    .rows
                    .len()
            })
            .sum();
        assert_eq!(on_letter_pages, companies, "{name}");
    }
    assert!(market.index("dow_jones").is_none());
}

/// Currencies of an index by their code, `-` for none, as its company pages state them.
fn currencies(market: &Market, name: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for listing in &market.index(name).unwrap().companies {
        let html = market.company_page(listing);
        let page = company::parse(html.as_bytes()).unwrap();
        assert_eq!(company::parse_whole(html.as_bytes()).as_ref(), Ok(&page));
        assert_eq!((&page.code, &page.name), (&listing.code, &listing.name));
        assert_eq!(page.price.unwrap().to_string(), listing.price);
        let stated = if html.contains("\"Currency\"") {
            between(&html, "\"Currency\" : \"", "\", \"StockMarketsExchanges\"")
        } else {
            "-"
        };
        *counts.entry(stated.to_owned()).or_default() += 1;
    }
    counts
}

#[test]
fn company_pages_state_the_currency_of_their_price() {
    let market = Market::embedded(Some(1), SEED);
    let counts = |expected: &[(&str, usize)]| {
        let expected = expected
            .iter()
            .map(|(code, count)| ((*code).to_owned(), *count));
        expected.collect::<BTreeMap<_, _>>()
    };
    assert_eq!(currencies(&market, "s&p_500"), counts(&[("USD", 1)]));
    assert_eq!(currencies(&market, "dax"), counts(&[("EUR", 40)]));
    let mixed = [
        ("-", 1),
        ("EUR", 13),
        ("GBP", 1),
        ("GBX", 18),
        ("JPY", 1),
        ("USD", 15),
        ("XXQ", 1),
    ];
    assert_eq!(currencies(&market, "mixed"), counts(&mixed));
    let all = &market.index("mixed").unwrap().companies;
    let pence = all.iter().find(|company| company.code == "BATS").unwrap();
    let page = market.company_page(pence);
    assert!(page.contains("price-section__current-value\">3,215.00<"));
}

/// The same company in two indices is one company with one page.
#[test]
fn a_company_of_several_indices_has_one_page() {
    let market = Market::embedded(None, SEED);
    let all = market.all_companies();
    assert_eq!(all.len(), 496 + 40 + 22);
    let paths: HashSet<&str> = all.iter().map(|company| &*company.path).collect();
    assert_eq!(paths.len(), all.len());
    let index = |name| &market.index(name).unwrap().companies;
    for shared in index("mixed")
        .iter()
        .filter(|company| company.currency != "GBX")
    {
        for other in [index("s&p_500"), index("dax")] {
            let same = other.iter().find(|company| company.path == shared.path);
            assert!(same.is_none_or(|same| same == shared), "{shared:?}");
        }
    }
}

/// Percent-encoded paths are found in either case of the digits, and raw.
#[test]
fn pages_with_umlauts_in_their_address_name_it_percent_encoded() {
    let market = Market::embedded(Some(1), SEED);
    let dax = &market.index("dax").unwrap().companies;
    let encoded: Vec<&Listing> = dax
        .iter()
        .filter(|company| company.path.contains('%'))
        .collect();
    let codes: Vec<&str> = encoded.iter().map(|company| &*company.code).collect();
    assert_eq!(codes, ["DB1", "HNR1", "MUV2"]);
    let munich = encoded[2];
    assert_eq!(
        munich.path,
        "/stocks/m%c3%bcnchener_r%c3%bcckversicherungs-gesellschaft-stock"
    );
    let page = market.company_page(munich);
    assert!(page.contains("Münchener Rückversicherungs-Gesellschaft AG"));
    for named in [
        "\"StockUrl\" : \"/stocks/m%c3%bcnchener_r%c3%bcckversicherungs-gesellschaft/price\"",
        "loginUrl: '/mymarkets?r=%2fstocks%2fm%25c3%25bcnchener_r%25c3%25bcckversicherungs-gesellschaft-stock'",
        "<link rel=\"canonical\" href=\"https://markets.businessinsider.com/stocks/m%c3%bcnchener_",
    ] {
        assert!(page.contains(named), "{named}");
    }
    let pages = Pages::of_market(&market);
    let key = "/stocks/münchener_rückversicherungs-gesellschaft-stock";
    assert!(
        pages
            .get(key)
            .is_some_and(|found| found.plain_body() == page.as_bytes())
    );
}

#[test]
fn the_list_of_rates_has_no_rate_for_one_unit() {
    let bytes = Market::embedded(Some(1), SEED).rates();
    let (rates, _, had_errors) = encoding_rs::WINDOWS_1251.decode(&bytes);
    assert!(!had_errors);
    for (code, nominal, value) in [
        ("USD", "1", "76,6501"),
        ("EUR", "1", "86,5610"),
        ("GBP", "1", "103,8762"),
        ("JPY", "100", "66,8412"),
        ("CNY", "1", "12,0500"),
        ("KZT", "100", "17,6308"),
        ("CHF", "1", "83,1978"),
        ("AUD", "1", "54,5672"),
    ] {
        let entry = between(&rates, &format!("<CharCode>{code}</CharCode>"), "</Valute>");
        assert_eq!(between(entry, "<Nominal>", "</Nominal>"), nominal, "{code}");
        assert_eq!(between(entry, "<Value>", "</Value>"), value, "{code}");
    }
    assert!(!rates.contains("VunitRate"));
}

#[test]
fn ranks_every_index_of_the_market_and_no_other() {
    for (index, expected) in [("dax", 40), ("mixed", 50)] {
        let folder = tempfile::tempdir().unwrap();
        let arguments = [
            "--from",
            &*MARKET.address(),
            "--index",
            index,
            "--walk",
            "both",
        ];
        let ran = indexrank(folder.path(), &arguments);
        assert!(matches!(ran.code, 0 | 3), "{index}: {}", ran.stderr);
        let listed = ledger(&json(&folder.path().join("rankings/run.json")))[0];
        assert_eq!(listed, expected, "{index}");
    }
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--from", &*MARKET.address(), "--index", "dow_jones"];
    let ran = indexrank(folder.path(), &arguments);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
}

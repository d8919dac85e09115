//! What the pages of the embedded market say of themselves, compared with what the real pages say.

use indexrank::replica::{Listing, Market, SEED};

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

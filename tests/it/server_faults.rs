//! The bytes of well-formed responses that are wrong: surplus ones, other pages, changed pages.

use std::time::{Duration, Instant};

use indexrank::replica::{Faults, Line, Market, Pages, Plan, SEED, Server};

use crate::server::{Client, Response, get};

const INDEX: &str = "/index/components/s&p_500";
const COMPANY: &str = "/stocks/aal-stock";
const RATES: &str = "/scripts/XML_daily.asp";

/// A market of 60 companies on two pages, with faults.
struct Misbehaving {
    server: Server,
    market: Market,
}

impl Misbehaving {
    fn new(faults: &str) -> Self {
        let market = Market::embedded(Some(60), SEED);
        let server = Server::start(Pages::of_market(&market), 0, Line::default(), None).unwrap();
        server.misbehave(Plan::new(faults.parse::<Faults>().unwrap(), SEED));
        Misbehaving { server, market }
    }

    fn get(&self, path: &str) -> Response {
        let mut client = Client::connect_to(&self.server);
        client.send(&get(path, ""));
        client.receive(true)
    }

    /// The page as text, inflated if necessary.
    #[track_caller]
    fn page(&self, path: &str) -> String {
        let response = self.get(path);
        assert!(
            response.head.starts_with("HTTP/1.1 200 OK\r\n"),
            "{path}: {}",
            response.head
        );
        text(response)
    }

    /// The path and query of the redirect.
    #[track_caller]
    fn redirect(&self, path: &str) -> String {
        let head = self.get(path).head;
        assert!(head.starts_with("HTTP/1.1 302 Found\r\n"), "{path}: {head}");
        let location = head
            .lines()
            .find_map(|line| line.strip_prefix("Location: "));
        location.unwrap().to_owned()
    }

    /// A numbered page without a fault.
    fn index_page(&self, number: u32) -> String {
        self.market.index_page(number)
    }

    fn company_page(&self, position: usize) -> String {
        self.market.company_page(&self.market.companies()[position])
    }

    /// Pages that a fault of index pages leaves as they are.
    #[track_caller]
    fn check_others_unchanged(&self) {
        assert_eq!(self.page(COMPANY), self.company_page(1));
        assert!(self.page(RATES).contains("<CharCode>USD</CharCode>"));
    }
}

/// A body as text, inflated if necessary. The rates lose their Cyrillic letters.
fn text(Response { head, body }: Response) -> String {
    use std::io::Read;
    let mut plain = Vec::new();
    if head.contains("\r\nContent-Encoding: gzip\r\n") {
        flate2::read::GzDecoder::new(&body[..])
            .read_to_end(&mut plain)
            .unwrap();
    } else {
        plain = body;
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// The rows of a page's table, each as `/stocks/…` with the number of its cells.
fn rows(page: &str) -> Vec<(String, usize)> {
    let body = page.split_once("<tbody class=\"table__tbody\">").unwrap().1;
    let body = body.split_once("</tbody>").unwrap().0;
    let rows = body.split("<tr>").skip(1).map(|row| {
        let (_, rest) = row.split_once("href=\"").unwrap();
        let address = rest.split_once('"').unwrap().0;
        (address.to_owned(), row.matches("<td").count())
    });
    rows.collect()
}

/// The header row of a page's table.
fn header(page: &str) -> &str {
    let (_, head) = page.split_once("<thead class=\"table__thead\">").unwrap();
    head.split_once("</thead>").unwrap().0
}

#[test]
fn surplus_responses_follow_at_once_or_late() {
    for (kind, delay) in [("surplus#1", 0), ("surplus-late#1", 20)] {
        let market = Misbehaving::new(kind);
        let mut client = Client::connect_to(&market.server);
        client.send(&get(COMPANY, "Accept-Encoding: gzip\r\n"));
        let started = Instant::now();
        let own = client.receive(true);
        // The second copy comes without a second request.
        let surplus = client.receive(true);
        let delay = Duration::from_millis(delay);
        assert!(
            started.elapsed() >= delay,
            "{kind}: {:?}",
            started.elapsed()
        );
        assert!(
            (&own.head, &own.body) == (&surplus.head, &surplus.body),
            "{kind}"
        );
        assert_eq!(text(own), market.company_page(1), "{kind}");
        // The connection stays usable, and its next response is one too late.
        client.send(&get(RATES, ""));
        assert!(text(client.receive(true)).contains("<ValCurs"), "{kind}");
    }
    // Without waiting for the surplus, the next request reads it.
    let market = Misbehaving::new("surplus-late@/stocks/*");
    let mut client = Client::connect_to(&market.server);
    for _ in 0..2 {
        client.send(&get(COMPANY, ""));
        assert_eq!(text(client.receive(true)), market.company_page(1));
        client.send(&get(RATES, ""));
        assert_eq!(text(client.receive(true)), market.company_page(1));
        assert!(text(client.receive(true)).contains("<ValCurs"));
    }
}

#[test]
fn other_page_sends_the_next_page_of_its_kind() {
    let market = Misbehaving::new("other-page");
    let companies = market.market.companies();
    assert_eq!(market.page(&companies[0].path), market.company_page(1));
    assert_eq!(market.page(&companies[40].path), market.company_page(41));
    assert_eq!(market.page(&format!("{INDEX}?p=1")), market.index_page(2));
    assert_eq!(market.page(&format!("{INDEX}?p=2")), market.index_page(1));
    assert_eq!(
        market.page(&format!("{INDEX}/A")),
        market.market.letter_page("B")
    );
    assert_eq!(
        market.page(&format!("{INDEX}/0-9")),
        market.market.letter_page("A")
    );
    assert_eq!(market.page("/robots.txt").find("<!DOCTYPE html>"), Some(0));
    let missing = market.get("/stocks/no-such-stock").head;
    assert!(missing.starts_with("HTTP/1.1 404"), "{missing}");
}

#[test]
fn page_one_is_sent_or_redirected_to() {
    let (sends, redirects) = (
        Misbehaving::new("page-one"),
        Misbehaving::new("to-page-one"),
    );
    let (first, second) = (format!("{INDEX}?p=1"), format!("{INDEX}?p=2"));
    assert_eq!(sends.page(&second), sends.index_page(1));
    assert_eq!(sends.page(&first), sends.index_page(1));
    assert_eq!(redirects.redirect(&second), first);
    assert_eq!(redirects.page(&first), redirects.index_page(1));
    let (a, s) = (format!("{INDEX}/A"), format!("{INDEX}/S"));
    assert_eq!(sends.page(&s), sends.market.letter_page("A"));
    assert_eq!(redirects.redirect(&s), a);
    assert_eq!(redirects.page(&a), sends.market.letter_page("A"));
    sends.check_others_unchanged();
    redirects.check_others_unchanged();
}

#[test]
fn other_index_redirects_to_the_same_page() {
    let market = Misbehaving::new("other-index");
    for (index, page, expected) in [
        ("s&p_500", "?p=1", "dax?p=1"),
        ("dax", "?p=1", "mixed?p=1"),
        ("mixed", "?p=1", "s&p_500?p=1"),
        ("mixed", "?p=2", "s&p_500?p=2"),
        ("s&p_500", "?p=2", "mixed?p=2"),
        ("dax", "/S", "mixed/S"),
        ("dax", "", "mixed"),
    ] {
        let expected = format!("/index/components/{expected}");
        let path = format!("/index/components/{index}{page}");
        assert_eq!(market.redirect(&path), expected, "{path}");
    }
    market.check_others_unchanged();
}

#[test]
fn changed_tables_differ_in_rows_or_header() {
    let plain = Misbehaving::new("404@/none").index_page(1);
    let normal = rows(&plain);
    assert_eq!((normal.len(), normal[0].1), (46, 8));
    let th = header(&plain).matches("<th").count();
    assert_eq!(th, 8);
    let changed = |kind: &str| {
        let market = Misbehaving::new(kind);
        market.check_others_unchanged();
        market.page(&format!("{INDEX}?p=1"))
    };

    let page = changed("few-rows");
    assert_eq!(rows(&page), normal[..5]);
    assert_eq!(header(&page), header(&plain));

    let page = changed("td-header");
    let expected = header(&plain).replace("<th", "<td").replace("</th", "</td");
    assert_eq!(header(&page), expected);
    assert_eq!(rows(&page), normal);
    assert_eq!(page.len(), plain.len());

    let page = changed("colspan");
    let (_, tail) = header(&page).split_once("<th colspan=\"2\"").unwrap();
    assert!(tail.contains("6 Mo."));
    assert_eq!(tail.matches("<th").count(), 1, "the cell before the last");
    assert_eq!(header(&page).matches("<th").count(), 8);
    assert!(rows(&page).iter().all(|(_, cells)| *cells == 9));
    let (_, row) = page.split_once("href=\"/stocks/aal-stock\"").unwrap();
    let (_, ninth) = row
        .split_once("</tr>")
        .unwrap()
        .0
        .rsplit_once("<td")
        .unwrap();
    assert!(ninth.contains("-1.93%"), "{ninth}");

    let page = changed("extra-column");
    assert_eq!(header(&page).matches("<th").count(), 9);
    assert!(header(&page).find("9 Mo.") < header(&page).find("1 Year"));
    assert!(header(&page).find("6 Mo.") < header(&page).find("9 Mo."));
    assert_eq!(rows(&page), normal);

    let page = changed("row-space");
    let spaced = |(address, cells): &(String, usize)| (format!("\r\n\t {address} \n"), *cells);
    assert_eq!(rows(&page), normal.iter().map(spaced).collect::<Vec<_>>());

    let page = rows(&changed("long-row"));
    assert_eq!(page[0].0.len(), 300);
    assert!(page[0].0.starts_with("/stocks/xxx") && page[0].0.ends_with("x-stock"));
    assert_eq!(page[1..], normal[1..]);
}

#[test]
fn moved_shifts_a_company_from_page_2_to_page_1() {
    let market = Misbehaving::new("moved");
    let [first, second] = [1, 2].map(|number| rows(&market.index_page(number)));
    let get = |number: u32| rows(&market.page(&format!("{INDEX}?p={number}")));
    assert_eq!(get(1), first);
    assert_eq!(get(2), second[1..]);
    let later = [&first[..], &second[..1]].concat();
    assert_eq!(get(1), later);
    assert_eq!(get(1), later);
    assert_eq!(get(2), second[1..]);
    // An index of one page has no company that could move.
    let dax = rows(&market.market.index("dax").unwrap().page(1));
    for _ in 0..2 {
        assert_eq!(rows(&market.page("/index/components/dax?p=1")), dax);
    }
    market.check_others_unchanged();
}

#[test]
fn unnamed_pages_do_not_state_what_they_are() {
    let market = Misbehaving::new("unnamed");
    let (company, index) = (market.page(COMPANY), market.page(&format!("{INDEX}?p=2")));
    let named = market.company_page(1) + &market.index_page(2);
    for name in [
        "canonical",
        "StockUrl",
        "loginUrl",
        "%2fstocks%2f",
        "<strong>",
    ] {
        assert!(named.contains(name), "{name}");
        assert!(!company.contains(name) && !index.contains(name), "{name}");
    }
    assert!(company.contains("\"PushDataField\" : null,  \"Currency\" : \"USD\""));
    assert!(company.contains("price-section__label"));
    assert!(index.contains("<a href=\"?p=2\">2</a>"));
    assert_eq!(rows(&index), rows(&market.index_page(2)));
}

#[test]
fn absurd_rate_changes_the_dollar_alone() {
    let market = Misbehaving::new("absurd-rate");
    for path in [RATES.to_owned(), format!("{RATES}?date_req=04/02/2022")] {
        let response = market.get(&path);
        let windows_1251 = "\r\nContent-Type: application/xml; charset=windows-1251\r\n";
        assert!(response.head.contains(windows_1251), "{}", response.head);
        let normal = String::from_utf8_lossy(&market.market.rates()).into_owned();
        let expected = normal.replace("<Value>76,6501<", "<Value>0,0000001<");
        assert_ne!(expected, normal);
        assert_eq!(text(response), expected);
    }
    assert_eq!(market.page(COMPANY), market.company_page(1));
}

/// `Location` is ASCII also where the address has umlauts.
#[test]
fn redirects_encode_umlauts() {
    let market = Misbehaving::new("redirect-loop");
    let path = "/stocks/m%c3%bcnchener_r%c3%bcckversicherungs-gesellschaft-stock";
    assert_eq!(market.redirect(path).to_lowercase(), path);
}

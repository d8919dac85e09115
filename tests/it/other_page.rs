//! Responses that belong to another request: surplus ones on a kept connection, and pages that a cache
//! has swapped.

use std::sync::Arc;

use indexrank::replica::{Market, Pages};
use serde_json::Value;

use crate::run::{COMPANIES, COMPANY, Run, always, company_html, market, once, unnamed};
use crate::support::{Reply, TestServer, indexrank, json, ledger};

const OTHER: &str = "/stocks/a-stock";
const COMPLETE: [u64; 5] = [COMPANIES as u64, COMPANIES as u64, 0, 0, 0];

/// A whole response with this body.
fn ok(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// The rankings of an undisturbed run on the small market, and of `run`.
fn assert_same_rankings(run: &Run) {
    let server = TestServer::start(market(), |_, _| None);
    let undisturbed = Run::new(&server, &[]);
    for name in [
        "price.json",
        "pe.json",
        "growth.json",
        "potential_profit.json",
    ] {
        assert_eq!(run.read(name), undisturbed.read(name), "{name}");
    }
}

fn report(run: &Run) -> Value {
    json(&run.folder.path().join("rankings/run.json"))
}

/// A server that sends every response of some paths twice, in one write.
#[test]
fn a_surplus_response_shifts_no_other() {
    for prefix in ["/stocks/", "/index/", "/scripts/", "/robots.txt", "/"] {
        let pages = Arc::new(Pages::of_market(&market()));
        let server = TestServer::start(market(), move |path, _| {
            let body = pages.get(path)?.plain_body();
            path.starts_with(prefix)
                .then(|| Reply::Raw(ok(&body).repeat(2)))
        });
        let run = Run::new(&server, &["--workers", "4"]);
        assert_eq!(run.ran.code, 0, "{prefix}: {}", run.ran.stderr);
        assert_eq!(ledger(&report(&run)), COMPLETE, "{prefix}");
        assert_same_rankings(&run);
    }
}

/// A second response that arrives after the next request is taken for the response to that request.
/// Only the page itself shows that it is not.
#[test]
fn a_late_surplus_response_is_found_by_the_page() {
    for workers in ["1", "4", "32"] {
        let pages = Arc::new(Pages::of_market(&market()));
        let server = TestServer::start(market(), move |path, before| {
            // The response to the request before, then the right one, as on a connection whose
            // responses are shifted by one.
            let shifted = path == COMPANY && before == 0;
            let own = pages.get(path)?.plain_body();
            let surplus = pages.get(OTHER)?.plain_body();
            shifted.then(|| Reply::Raw([ok(&surplus), ok(&own)].concat()))
        });
        let run = Run::new(&server, &["--workers", workers, "--retry-pause", "1"]);
        assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
        assert_eq!(ledger(&report(&run)), COMPLETE);
        assert_eq!(server.asked(COMPANY), 2);
        assert_same_rankings(&run);
    }
}

#[test]
fn asks_again_for_a_swapped_page() {
    let server = once(COMPANY, || Reply::Page(company_html(OTHER)));
    let run = Run::new(&server, &["--retry-pause", "1"]);
    run.assert_complete(1);
    assert_same_rankings(&run);
}

#[test]
fn reports_a_page_that_is_swapped_for_good() {
    let server = always(COMPANY, || Reply::Page(company_html(OTHER)));
    let run = Run::new(&server, &["--retry-pause", "1"]);
    run.assert_without_the_company("other_page");
    assert_eq!(server.asked(COMPANY), 4);
    assert!(
        run.ran
            .stderr
            .contains("the response is another page, /stocks/a/price"),
        "{}",
        run.ran.stderr
    );
}

/// An index page or a list of rates in place of a company page, and the reverse.
#[test]
fn asks_again_for_a_page_of_another_kind() {
    let index = "/index/components/s&p_500?p=2";
    let rates = "/scripts/XML_daily.asp";
    let robots = "/robots.txt";
    for (path, other) in [
        (COMPANY, index),
        (COMPANY, rates),
        (COMPANY, robots),
        (index, COMPANY),
        (index, rates),
        (rates, COMPANY),
        (rates, index),
        (robots, COMPANY),
        (robots, index),
    ] {
        let body = Pages::of_market(&market()).get(other).unwrap().plain_body();
        let server = TestServer::start(market(), move |asked, before| {
            (asked == path && before == 0).then(|| Reply::Page(body.clone()))
        });
        let run = Run::new(&server, &["--retry-pause", "1"]);
        assert_eq!(run.ran.code, 0, "{other} for {path}: {}", run.ran.stderr);
        assert_eq!(ledger(&report(&run)), COMPLETE, "{other} for {path}");
        assert!(server.asked(path) > 1, "{other} for {path}");
        assert_same_rankings(&run);
    }
}

/// All company pages of a market, each under the address of the next one.
#[test]
fn a_cache_that_swaps_all_pages_gives_no_ranking() {
    let market = market();
    let paths: Vec<String> = market
        .companies()
        .iter()
        .map(|company| company.path.clone())
        .collect();
    let pages = Pages::of_market(&market);
    let server = TestServer::start(self::market(), move |path, _| {
        let position = paths.iter().position(|one| one == path)?;
        let next = &paths[(position + 1) % paths.len()];
        Some(Reply::Page(pages.get(next)?.plain_body()))
    });
    let run = Run::new(&server, &["--retry-pause", "1"]);
    run.assert_failed(
        4,
        &[
            "none of the 60 company pages",
            "the response is another page, /stocks/",
        ],
    );
    // The budget of the retries.
    assert!(server.requests().len() < 60 + 25 + 6);
}

#[test]
fn accepts_and_counts_pages_that_name_no_address() {
    let server = TestServer::start(market(), move |path, _| {
        [COMPANY, OTHER]
            .contains(&path)
            .then(|| Reply::Page(unnamed(&company_html(path))))
    });
    let run = Run::new(&server, &[]);
    run.assert_complete(0);
    assert_eq!(report(&run)["unnamed_pages"], 2);
    assert_same_rankings(&run);
}

/// A page behind a redirect may name the target, also when it is read again from the recording or the
/// journal.
#[test]
fn a_redirected_page_replays_from_its_recording() {
    let server = TestServer::start(market(), |path, _| match path {
        COMPANY => Some(Reply::Raw(
            b"HTTP/1.1 301 Moved\r\nLocation: /stocks/new-stock\r\nContent-Length: 0\r\n\r\n"
                .to_vec(),
        )),
        "/stocks/new-stock" => {
            let html = String::from_utf8(company_html(COMPANY)).unwrap();
            let html = html.replace("/stocks/mmm/price", "/stocks/new/price");
            let html = html.replace("%2fstocks%2fmmm-stock", "%2fstocks%2fnew-stock");
            Some(Reply::Page(html.into_bytes()))
        }
        _ => None,
    });
    let run = Run::new(&server, &["--record", "run.warc.gz"]);
    run.assert_complete(0);
    let ran = indexrank(
        run.folder.path(),
        &["--from", "run.warc.gz", "--out", "again"],
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for name in ["price.json", "pe.json"] {
        let again = std::fs::read_to_string(run.folder.path().join("again").join(name)).unwrap();
        assert_eq!(run.read(name), again);
    }
}

/// After a page of another request, all connections are new.
#[test]
fn a_swapped_page_retires_the_connections() {
    let market = Market::embedded(Some(COMPANIES), 500);
    let server = TestServer::start(market, |path, before| {
        (path == COMPANY && before == 0).then(|| Reply::Page(company_html(OTHER)))
    });
    let run = Run::new(
        &server,
        &["--workers", "1", "--ignore-robots", "--retry-pause", "1"],
    );
    run.assert_complete(1);
    let connections = |path: &str| {
        let requests = server.requests();
        let of_path = requests.iter().filter(|request| request.path == path);
        of_path
            .map(|request| request.connection)
            .collect::<Vec<_>>()
    };
    let asked = connections(COMPANY);
    assert_eq!(asked.len(), 2);
    assert_ne!(asked[0], asked[1]);
}

/// One company's address leads to the page of another listed company. The row of the other one counts.
#[test]
fn a_redirect_to_a_listed_company_leaves_that_company_its_growth() {
    let to_mmm = "HTTP/1.1 302 Found\r\nLocation: /stocks/mmm-stock\r\nContent-Length: 0\r\n\r\n";
    let server = TestServer::start(market(), move |path, _| {
        (path == OTHER).then(|| Reply::Raw(to_mmm.as_bytes().to_vec()))
    });
    let run = Run::new(&server, &["--top", "60"]);
    assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
    let mut ranking = json(&run.folder.path().join("rankings/growth.json"));
    let places = ranking.as_array_mut().unwrap();
    places.retain(|place| place["code"] == "MMM");
    assert_eq!(places[0]["growth"], -9.27);
    assert_eq!(report(&run)["duplicates"][0]["path"], OTHER);
}

#[test]
fn warns_if_many_pages_name_no_address() {
    let server = TestServer::start(market(), |path, _| {
        path.starts_with("/stocks/")
            .then(|| Reply::Page(unnamed(&company_html(path))))
    });
    let run = Run::new(&server, &[]);
    assert_eq!(run.ran.code, 0);
    let warning = "warning: 60 company pages do not name their address";
    assert!(run.ran.stderr.contains(warning), "{}", run.ran.stderr);
}

//! Index pages that are not what was requested: another page, a part of one, a table whose rows do not fit
//! its header, companies that move from page to page.

use indexrank::replica::{Faults, Line, Market, Pages, Plan, SEED, Server};

use crate::index_faults::five_pages;
use crate::run::{Run, market};
use crate::support::{Reply, TestServer, indexrank, json, ledger};

/// Path of the numbered pages, without the number.
const INDEX: &str = "/index/components/s&p_500?p=";
const INDEX_1: &str = "/index/components/s&p_500?p=1";

/// The pager claims 90 pages, but every number above 2 returns page 2 again.
#[test]
fn fails_when_index_pages_repeat() {
    let market = Market::embedded(Some(2 * 46), SEED);
    let page = |number| market.index_page(number).replace("?p=2", "?p=90");
    let (first, second) = (page(1), page(2));
    let unmarked = |page: &str| page.replace("<strong>", "").replace("</strong>", "");
    for (first, repeated, why) in [
        (
            first.clone(),
            second.clone(),
            "its pager says that it is page 2",
        ),
        (
            unmarked(&first),
            unmarked(&second),
            "it lists the same companies as page 2",
        ),
    ] {
        let server = TestServer::start(Market::embedded(Some(2 * 46), SEED), move |path, _| {
            let page = match path.strip_prefix(INDEX)? {
                "1" => &first,
                _ => &repeated,
            };
            Some(Reply::Page(page.clone().into_bytes()))
        });
        let run = Run::new(&server, &["--retry-pause", "1"]);
        run.assert_failed(4, &["page 3 of the index", why]);
        assert_eq!(server.asked(&format!("{INDEX}3")), 4);
    }
}

/// A cache may answer one number with another page, once or for good.
#[test]
fn asks_again_for_an_index_page_that_is_another_one() {
    for (times, code) in [(1, 0), (3, 0), (usize::MAX, 4)] {
        let second = five_pages().index_page(2).into_bytes();
        let server = TestServer::start(five_pages(), move |path, before| {
            let is_other = path == format!("{INDEX}3") && before < times;
            is_other.then(|| Reply::Page(second.clone()))
        });
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["--from", server.address(), "--retry-pause", "1", "-q"];
        let ran = indexrank(folder.path(), &arguments);
        assert_eq!(ran.code, code, "{}", ran.stderr);
        if code == 0 {
            let report = json(&folder.path().join("rankings/run.json"));
            assert_eq!(ledger(&report), [240, 240, 0, 0, 0]);
        }
    }
}

/// Page 1 of every index page, and a redirect to page 1.
#[test]
fn fails_when_every_number_is_page_1() {
    let first = five_pages().index_page(1).into_bytes();
    for redirects in [false, true] {
        let first = first.clone();
        let server = TestServer::start(five_pages(), move |path, _| {
            let number = path.strip_prefix(INDEX)?;
            Some(match (number, redirects) {
                ("1", _) | (_, false) => Reply::Page(first.clone()),
                _ => redirect(INDEX_1),
            })
        });
        for workers in ["1", "2", "32"] {
            let folder = tempfile::tempdir().unwrap();
            let arguments = [
                "--from",
                server.address(),
                "--retry-pause",
                "1",
                "--workers",
                workers,
            ];
            let ran = indexrank(folder.path(), &arguments);
            assert_eq!(ran.code, 4, "{}", ran.stderr);
            assert!(ran.stderr.contains("page 2 of the index"), "{}", ran.stderr);
        }
    }
}

fn redirect(to: &str) -> Reply {
    let head = format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    Reply::Raw(head.into_bytes())
}

#[test]
fn fails_when_the_site_redirects_to_another_index() {
    let server = TestServer::start(market(), |path, _| {
        let number = path.strip_prefix("/index/components/dax?p=")?;
        Some(redirect(&format!("{INDEX}{number}")))
    });
    let run = Run::new(&server, &["--index", "dax", "--retry-pause", "1"]);
    run.assert_failed(
        4,
        &[
            "page 1 of the index",
            "the response is another page, http://",
            "s&p_500?p=1",
            "check --index",
        ],
    );
}

/// A page with a few of its rows, whichever page it is; the last one may be short.
#[test]
fn fails_when_a_page_lists_far_fewer_companies() {
    for cut in 1..=6 {
        let html = five_pages().index_page(cut);
        let (start, end) = (
            html.find("<tbody class").unwrap(),
            html.find("</tbody>").unwrap(),
        );
        let rows: Vec<&str> = html[start..end].split_inclusive("</tr>").collect();
        let html = format!("{}{}{}", &html[..start], rows[..9].concat(), &html[end..]).into_bytes();
        let server = TestServer::start(five_pages(), move |path, _| {
            (path == format!("{INDEX}{cut}")).then(|| Reply::Page(html.clone()))
        });
        for workers in ["1", "32"] {
            let folder = tempfile::tempdir().unwrap();
            let arguments = [
                "--from",
                server.address(),
                "--retry-pause",
                "1",
                "--workers",
                workers,
            ];
            let ran = indexrank(folder.path(), &arguments);
            let expected = if cut == 6 { 0 } else { 4 };
            assert_eq!(ran.code, expected, "{cut}: {}", ran.stderr);
            if cut < 6 {
                let words = format!("page {cut} of the index");
                assert!(ran.stderr.contains(&words), "{}", ran.stderr);
                assert!(
                    ran.stderr
                        .contains("it lists 9 companies, another page of the index 46"),
                    "{}",
                    ran.stderr
                );
            }
        }
    }
}

/// The first company of page 2 moves to page 1 between the requests for the two pages.
#[test]
fn fetches_a_company_that_moves_to_an_earlier_page() {
    moves_to(1, &[]);
}

/// The first company of page 4 moves to page 3, which is late because it had to be retried.
#[test]
fn fetches_a_company_that_moves_to_a_retried_page() {
    moves_to(3, &["--retry-pause", "1"]);
}

fn moves_to(page: u32, options: &[&str]) {
    let html = |number| five_pages().index_page(number);
    let row = |html: &str| {
        let start = html.find("<tbody class").unwrap();
        let start = start + html[start..].find("<tr>").unwrap();
        start..start + html[start..].find("</tr>").unwrap() + 5
    };
    let next = html(page + 1);
    let moved = next[row(&next)].to_owned();
    let later = html(page).replace("</tbody>", &format!("{moved}</tbody>"));
    let next = next.replace(&moved, "");
    let is_first = page == 1;
    let server = TestServer::start(five_pages(), move |path, before| {
        if path == format!("{INDEX}{}", page + 1) {
            return Some(Reply::Page(next.clone().into_bytes()));
        }
        if path != format!("{INDEX}{page}") {
            return None;
        }
        match before {
            0 if !is_first => Some(Reply::status("503 Service Unavailable")),
            1 if !is_first => None,
            0 => None,
            _ => Some(Reply::Page(later.clone().into_bytes())),
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let from = ["--from", server.address(), "--record", "run.warc.gz"];
    let ran = indexrank(folder.path(), &[&from, options].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let report = json(&folder.path().join("rankings/run.json"));
    assert_eq!(ledger(&report), [240, 240, 0, 0, 0]);
    // The recording holds both looks at the page.
    let replayed = indexrank(folder.path(), &["--from", "run.warc.gz", "--out", "again"]);
    assert_eq!(replayed.code, 0, "{}", replayed.stderr);
    let report = json(&folder.path().join("again/run.json"));
    assert_eq!(ledger(&report), [240, 240, 0, 0, 0]);
    let warning = format!("the index changed during the walk (page {page}: 1 added, 0 removed)");
    assert!(ran.stderr.contains(&warning), "{}", ran.stderr);
}

/// A server that serves a market with this fault.
fn faulty(spec: &str) -> Server {
    let pages = Pages::of_market(&five_pages());
    let server = Server::start(pages, 0, Line::default(), None).unwrap();
    server.misbehave(Plan::new(spec.parse::<Faults>().unwrap(), SEED));
    server
}

/// Growth comes from the column under its header, or from no column at all. One page in six is under
/// the limit of a changed layout.
#[test]
fn a_table_whose_rows_do_not_fit_its_header() {
    for (spec, code, noted) in [
        ("td-header", 0, 0),
        ("colspan", 0, 0),
        ("extra-column@/index/components/s&p_500?p=2", 0, 46),
        ("extra-column", 5, 0),
    ] {
        let server = faulty(spec);
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["--from", &*server.address(), "--top", "300", "-q"];
        let ran = indexrank(folder.path(), &arguments);
        assert_eq!(ran.code, code, "{spec}: {}", ran.stderr);
        if code == 5 {
            assert!(
                ran.stderr.contains("240 of 240 pages show no growth"),
                "{}",
                ran.stderr
            );
            continue;
        }
        let out = folder.path().join("rankings");
        let report = json(&out.join("run.json"));
        let notes = report["notes"].as_array().unwrap();
        assert_eq!(notes.len(), noted, "{spec}");
        for note in notes {
            assert_eq!(
                note["note"],
                "its row in the index has 8 columns, the header 9"
            );
        }
        for place in json(&out.join("growth.json")).as_array().unwrap() {
            let market = five_pages();
            let company = market
                .companies()
                .iter()
                .find(|one| place["code"] == *one.code);
            let growth: f64 = company.unwrap().growth.parse().unwrap();
            assert_eq!(place["growth"].as_f64(), Some(growth), "{spec}: {place}");
        }
    }
}

#[test]
fn tells_of_rows_without_a_readable_address() {
    let server = faulty("long-row@/index/components/s&p_500?p=2");
    let folder = tempfile::tempdir().unwrap();
    let ran = indexrank(folder.path(), &["--from", &*server.address()]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let warning = "warning: 1 row of the index has no readable address of a company";
    assert!(ran.stderr.contains(warning), "{}", ran.stderr);
    let report = json(&folder.path().join("rankings/run.json"));
    assert_eq!(report["unread_rows"], 1);
    assert_eq!(ledger(&report), [239, 239, 0, 0, 0]);

    let server = faulty("row-space");
    let ran = indexrank(folder.path(), &["--from", &*server.address(), "-q"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

/// A page that states no number among pages that do, and a page without a pager of an index of 500.
#[test]
fn fails_when_a_pager_is_not_found() {
    let unmarked = five_pages().index_page(3);
    let unmarked = unmarked.replace("<strong>", "").replace("</strong>", "");
    let server = TestServer::start(five_pages(), move |path, _| {
        let is_unmarked = path == format!("{INDEX}3");
        is_unmarked.then(|| Reply::Page(unmarked.clone().into_bytes()))
    });
    let run = Run::new(&server, &["--retry-pause", "1"]);
    run.assert_failed(
        4,
        &[
            "page 3 of the index",
            "its pager does not say which page it is",
        ],
    );

    let renamed = five_pages()
        .index_page(1)
        .replace("finando_paging", "pager");
    let server = TestServer::start(five_pages(), move |path, _| {
        (path == INDEX_1).then(|| Reply::Page(renamed.clone().into_bytes()))
    });
    let run = Run::new(&server, &[]);
    run.assert_failed(
        5,
        &[
            "page 1 of the index",
            "only 46 companies",
            "indexrank check",
        ],
    );
}

#[test]
fn fails_when_a_pager_states_the_number_0() {
    let zero = five_pages().index_page(2);
    let zero = zero.replace("<strong>2</strong>", "<strong>0</strong>");
    let server = TestServer::start(five_pages(), move |path, _| {
        (path == format!("{INDEX}2")).then(|| Reply::Page(zero.clone().into_bytes()))
    });
    let run = Run::new(&server, &["--retry-pause", "1"]);
    run.assert_failed(
        4,
        &["page 2 of the index", "its pager says that it is page 0"],
    );
}

/// The second look at page 1 shows another page, so it says nothing about the index.
#[test]
fn ignores_a_second_look_at_another_page() {
    let other = Market::embedded(None, SEED).index_page(9);
    let other = other.replace("<strong>", "").replace("</strong>", "");
    let server = TestServer::start(five_pages(), move |path, before| {
        (path == INDEX_1 && before == 1).then(|| Reply::Page(other.clone().into_bytes()))
    });
    let run = Run::new(&server, &[]);
    assert_eq!((run.ran.code, &*run.ran.stderr), (0, ""));
}

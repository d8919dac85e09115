//! The walk modes: the index by its numbered pages, by its letter pages, and by both.

use std::process::Stdio;

use indexrank::pipeline::index_walk::{IndexWalk, WalkMode};
use indexrank::pipeline::{self, PoolSizes, Walk};
use indexrank::replica::{Line, Market, Pages, SEED, Server};
use indexrank::site::index::parse_letter;
use indexrank::site::paths::LETTERS;
use indexrank::telemetry::counters::Counters;
use serde_json::{Value, json};

use crate::run::{COMPANIES, COMPANY, INDEX_2, Run, market};
use crate::stages::source_at;
use crate::support::{
    MARKET, RANKINGS, Ran, Reply, TestServer, assert_expected_rankings, command, indexrank, json,
    ledger,
};

const INDEX: &str = "s&p_500";
const LETTER_A: &str = "/index/components/s&p_500/A";
const LETTER_Q: &str = "/index/components/s&p_500/Q";
const DIGITS: &str = "/index/components/s&p_500/0-9";

/// Runs on a site; returns the output folder, the run and its report.
fn walk_site(address: &str, walk: &[&str]) -> (tempfile::TempDir, Ran, Value) {
    let folder = tempfile::tempdir().unwrap();
    let ran = indexrank(folder.path(), &[&["--from", address], walk].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let report = json(&folder.path().join("rankings/run.json"));
    (folder, ran, report)
}

/// The `walks` of a report with one walk mode.
fn one_walk(way: &str, listed: usize) -> Value {
    json!([{"way": way, "listed": listed, "only": [], "lacks": []}])
}

/// Sorted paths of the companies that the market's numbered pages lack.
fn dropped_paths(market: &Market) -> Vec<String> {
    let mut paths: Vec<String> = market
        .dropped()
        .map(|company| company.path.clone())
        .collect();
    paths.sort();
    paths
}

fn is_letter(path: &str) -> bool {
    path.starts_with("/index/components/s&p_500/")
}

/// A letter page without a table, which a site may send for a letter without companies.
fn without_table(letter: &str) -> Vec<u8> {
    let page = market().letter_page(letter);
    let (start, end) = (
        page.find("<div class=\"table-responsive\">").unwrap(),
        page.rfind("</table>").unwrap(),
    );
    format!("{}<p>No result</p>{}", &page[..start], &page[end + 8..]).into_bytes()
}

#[test]
fn walks_numbered_pages_by_default() {
    for walk in [&[][..], &["--walk", "pages"]] {
        let server = TestServer::start(market(), |path, _| {
            is_letter(path).then(|| panic!("{path} was asked for"))
        });
        let (_, _, report) = walk_site(server.address(), walk);
        assert_eq!(report["walks"], one_walk("pages", COMPANIES));
        assert_eq!(report["warnings"], json!([]));
        assert_eq!(server.asked(LETTER_A), 0);
    }
}

#[test]
fn every_walk_mode_gives_the_same_rankings() {
    let pages = walk_site(&MARKET.address(), &["--table", "all.csv"]);
    for (walk, requests) in [("letters", 27 + 496 + 2), ("both", 11 + 1 + 27 + 496 + 2)] {
        let arguments = ["--walk", walk, "--table", "all.csv"];
        let (folder, _, report) = walk_site(&MARKET.address(), &arguments);
        assert_expected_rankings(&folder.path().join("rankings"));
        assert_eq!(ledger(&report), [496, 496, 0, 0, 0], "{walk}");
        assert_eq!(report["requests"], requests, "{walk}");
        assert_eq!(report["warnings"], json!([]), "{walk}");
        let table = |folder: &tempfile::TempDir| std::fs::read(folder.path().join("all.csv"));
        assert!(table(&folder).unwrap() == table(&pages.0).unwrap());
        let expected = match walk {
            "letters" => one_walk("letters", 496),
            _ => json!([
                {"way": "pages", "listed": 496, "only": [], "lacks": []},
                {"way": "letters", "listed": 496, "only": [], "lacks": []},
            ]),
        };
        assert_eq!(report["walks"], expected);
    }
}

#[test]
fn warns_about_companies_missing_from_numbered_pages() {
    let market = Market::embedded(None, SEED).dropping(9);
    let dropped = dropped_paths(&market);
    assert_eq!(dropped.len(), 9);
    let pages = Pages::of_market(&market);
    let server = Server::start(pages, 0, Line::default(), None).unwrap();

    let (_, _, report) = walk_site(&server.address(), &[]);
    assert_eq!(report["walks"], one_walk("pages", 487));
    let (_, _, report) = walk_site(&server.address(), &["--walk", "letters"]);
    assert_eq!(report["walks"], one_walk("letters", 496));
    let (folder, ran, report) = walk_site(&server.address(), &["--walk", "both"]);
    let expected = json!([
        {"way": "pages", "listed": 487, "only": [], "lacks": dropped},
        {"way": "letters", "listed": 496, "only": dropped, "lacks": []},
    ]);
    assert_eq!(report["walks"], expected);
    assert_eq!(ledger(&report), [496, 496, 0, 0, 0]);
    assert_expected_rankings(&folder.path().join("rankings"));
    let warning = format!(
        "of 496 companies in the index, the numbered pages lack 9 ({}, 4 more) and the letter pages \
         lack none; none of them is left out",
        dropped[..5].join(", ")
    );
    assert_eq!(report["warnings"], json!([warning]));
    assert!(
        ran.stderr.contains(&format!("warning: {warning}\n")),
        "{}",
        ran.stderr
    );
}

#[test]
fn warns_about_companies_missing_from_letter_pages() {
    // 3M is the only company of the small market that starts with a digit.
    let server = TestServer::start(market(), |path, _| {
        (path == DIGITS).then(|| Reply::status("404 Not Found"))
    });
    let run = Run::new(&server, &["--walk", "both"]);
    run.assert_complete(0);
    let report = json(&run.folder.path().join("rankings/run.json"));
    assert_eq!(report["walks"][0]["only"], json!([COMPANY]));
    assert_eq!(report["walks"][1]["lacks"], json!([COMPANY]));
    let warning = "of 60 companies in the index, the numbered pages lack none and the letter pages \
                   lack 1 (/stocks/mmm-stock); none of them is left out";
    assert_eq!(report["warnings"], json!([warning]));
}

#[test]
fn serve_drops_rows_on_request() {
    use std::io::{BufRead, BufReader};
    let folder = tempfile::tempdir().unwrap();
    let serve = ["serve", "--companies", "100", "--drop-rows", "3"];
    let mut server = command(folder.path(), &serve)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = String::new();
    let stdout = server.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut address).unwrap();
    let ran = indexrank(
        folder.path(),
        &["--from", address.trim_end(), "--walk", "both", "-q"],
    );
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let report = json(&folder.path().join("rankings/run.json"));
    let dropped = dropped_paths(&Market::embedded(Some(100), SEED).dropping(3));
    assert_eq!(report["walks"][0]["lacks"], json!(dropped));
    assert_eq!(report["walks"][0]["listed"], 97);
    assert_eq!(report["ledger"]["listed"], 100);
}

/// A numbered page without rows would look like a page of another layout.
#[test]
fn dropping_rows_leaves_one_on_each_numbered_page() {
    let market = Market::embedded(Some(100), SEED).dropping(1_000);
    assert_eq!(market.index_pages(), 3);
    assert_eq!(market.dropped().count(), 97);
    let server = TestServer::start(market, |_, _| None);
    let (_, _, report) = walk_site(server.address(), &["--walk", "both"]);
    assert_eq!(report["walks"][0]["listed"], 3);
    assert_eq!(report["ledger"]["listed"], 100);
}

#[test]
fn accepts_three_forms_of_an_empty_letter_page() {
    let replies: [fn(&str) -> Option<Reply>; 3] = [
        |_| None,
        |path| (path == LETTER_Q).then(|| Reply::status("404 Not Found")),
        |path| (path == LETTER_Q).then(|| Reply::Page(without_table("Q"))),
    ];
    for reply in replies {
        let server = TestServer::start(market(), move |path, _| reply(path));
        let run = Run::new(&server, &["--walk", "letters"]);
        run.assert_complete(0);
        assert_eq!(server.asked(LETTER_Q), 1);
        assert_eq!(server.asked(INDEX_2), 0);
    }
}

#[test]
fn parses_or_rejects_letter_pages() {
    let page = |letter| market().letter_page(letter);
    let paged = market().index_page(1);
    let empty = String::from_utf8(without_table("Q")).unwrap();
    // Rows like those of the component table: one under another header, one without a link.
    let cells = "<td>1</td>".repeat(7);
    let row = format!("<tr><td><a href=\"/stocks/q-stock\">Q</a></td>{cells}</tr>");
    let table = format!("<table><tr><th>Name<th>12 Mo.</tr>{row}</table>");
    let bare = format!("<table><tr><th>1 Year</tr><tr><td>Q</td>{cells}</tr></table>");
    let none = "<table><tr><th>1 Year</tr><tr><td>No result</td></tr></table>";
    let end = "</body>";
    let cases: &[(&str, String, Result<usize, &str>)] = &[
        ("companies", page("0-9"), Ok(1)),
        ("a table without rows", page("Q"), Ok(0)),
        ("no table", empty.clone(), Ok(0)),
        (
            "a row that lists no company",
            empty.replace(end, &format!("{none}{end}")),
            Ok(0),
        ),
        (
            "a page with a pager",
            paged,
            Err("its pager links to further pages"),
        ),
        (
            "companies under another header",
            empty.replace(end, &format!("{table}{end}")),
            Err("1 Year"),
        ),
        (
            "companies without links",
            empty.replace(end, &format!("{bare}{end}")),
            Err("1 Year"),
        ),
        // The footer of every page of the site links to the S&P 500's letters, in lower case.
        (
            "a page of another kind",
            empty.replace("s&amp;p_500/A", "s&amp;p_500/a"),
            Err("1 Year"),
        ),
        (
            "a page of another index",
            empty.replace("s&amp;p_500/", "dax/"),
            Err("1 Year"),
        ),
    ];
    for (case, html, expected) in cases {
        let parsed = parse_letter(html.as_bytes(), INDEX);
        match (parsed, expected) {
            (Ok(page), Ok(rows)) => assert_eq!(page.rows.len(), *rows, "{case}"),
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{case}"),
            (parsed, _) => panic!("{case}: {parsed:?}"),
        }
    }
}

#[test]
fn retries_every_letter_page_alike() {
    let server = TestServer::start(market(), |path, earlier| {
        (path == LETTER_Q && earlier < 2).then(|| Reply::status("502 Bad Gateway"))
    });
    Run::new(&server, &["--walk", "letters"]).assert_complete(2);
    // A page that was retried gets a second look at the end.
    for letter in LETTERS {
        let asked = server.asked(&format!("/index/components/s&p_500/{letter}"));
        assert_eq!(asked, if letter == "Q" { 4 } else { 1 }, "{letter}");
    }

    for walk in ["letters", "both"] {
        for (status, attempts) in [("403 Forbidden", 1), ("503 Service Unavailable", 4)] {
            let server = TestServer::start(market(), move |path, _| {
                (path == LETTER_Q).then(|| Reply::status(status))
            });
            Run::new(&server, &["--walk", walk]).assert_failed(
                4,
                &[
                    "letter page Q of the index",
                    LETTER_Q,
                    "HTTP status",
                    "no result was changed",
                ],
            );
            assert_eq!(server.asked(LETTER_Q), attempts);
        }
    }
}

#[test]
fn ends_the_run_if_every_letter_page_is_missing_or_empty() {
    for walk in ["letters", "both"] {
        let server = TestServer::start(market(), |path, _| {
            is_letter(path).then(|| Reply::status("404 Not Found"))
        });
        Run::new(&server, &["--walk", walk]).assert_failed(
            4,
            &[
                "letter page A of the index",
                "--walk pages",
                "check --index",
            ],
        );

        let server = TestServer::start(market(), |path, _| {
            let letter = path.strip_prefix("/index/components/s&p_500/")?;
            Some(Reply::Page(without_table(letter)))
        });
        Run::new(&server, &["--walk", walk])
            .assert_failed(5, &["no letter page lists a company", "indexrank read"]);
    }
}

#[test]
fn a_letter_page_with_another_layout_ends_the_run() {
    let page = market()
        .letter_page("A")
        .replace("1 Year", "12 Mo.")
        .into_bytes();
    let server = TestServer::start(market(), move |path, _| {
        (path == LETTER_A).then(|| Reply::Page(page.clone()))
    });
    Run::new(&server, &["--walk", "letters"])
        .assert_failed(5, &["letter page A of the index", "not an index page"]);
}

#[test]
fn replays_letter_pages_from_an_archive() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| indexrank(folder.path(), arguments);
    // The archive also holds the 404 for a letter that the site does not know.
    let server = TestServer::start(market(), |path, _| {
        (path == LETTER_Q).then(|| Reply::status("404 Not Found"))
    });
    for (walk, archive) in [("pages", "pages.warc"), ("both", "both.warc")] {
        let from = ["--from", server.address(), "--walk", walk];
        let ran = run(&[&from[..], &["--record", archive, "--out", walk]].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
    }
    for walk in ["letters", "both"] {
        let ran = run(&["--from", "pages.warc", "--walk", walk, "--out", "none"]);
        assert_eq!(ran.code, 4, "{}", ran.stderr);
        for words in [
            "the archive has no letter pages",
            "pages.warc#/index/components/s&p_500/A",
            "--walk pages",
            "no result was changed",
        ] {
            assert!(ran.stderr.contains(words), "{words:?} in {}", ran.stderr);
        }
        assert!(!folder.path().join("none/run.json").exists());
    }
    for walk in ["pages", "letters", "both"] {
        let ran = run(&["--from", "both.warc", "--walk", walk, "--out", "again"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        for name in RANKINGS {
            let read = |out: &str| std::fs::read(folder.path().join(out).join(name)).unwrap();
            assert!(read("again") == read("pages"), "{walk} {name}");
        }
    }
}

#[test]
fn rejects_invalid_walk_options() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("empty.warc"), "").unwrap();
    for (arguments, words) in [
        (&["--walk", "numbers"][..], "pages, letters, both"),
        (
            &["serve", "--drop-rows", "few"],
            "expected a whole number from 0",
        ),
        (
            &["serve", "--from", "empty.warc", "--drop-rows", "1"],
            "--drop-rows apply only to the embedded market",
        ),
    ] {
        let ran = indexrank(folder.path(), arguments);
        assert_eq!(ran.code, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains(words), "{words} in {}", ran.stderr);
    }
}

/// A pager of one page on a letter page says nothing about the letter.
#[test]
fn accepts_letter_pages_with_a_pager_of_one_page() {
    let pager =
        "<div class=\"finando_paging\">Page: <a href=\"?p=1\"><strong>1</strong></a></div></body>";
    let server = TestServer::start(market(), move |path, _| {
        let letter = path.strip_prefix("/index/components/s&p_500/")?;
        let page = market().letter_page(letter).replace("</body>", pager);
        Some(Reply::Page(page.into_bytes()))
    });
    Run::new(&server, &["--walk", "letters"]).assert_complete(0);
}

#[test]
fn fails_when_every_letter_is_one_page() {
    let letter_a = market().letter_page("A").into_bytes();
    let server = TestServer::start(market(), move |path, _| {
        is_letter(path).then(|| Reply::Page(letter_a.clone()))
    });
    for walk in ["letters", "both"] {
        let run = Run::new(&server, &["--walk", walk, "--retry-pause", "1"]);
        run.assert_failed(
            4,
            &[
                "letter page B of the index",
                "it lists the same companies as letter page A",
            ],
        );
    }
}

/// The walk stops at the limit of listed companies: 25 pages of 3900 fit in 100,000.
#[test]
fn ends_an_endless_index_with_an_error() {
    let page = |path: &str| {
        let name: String = path.chars().filter(char::is_ascii_alphanumeric).collect();
        let row = |number| format!("<tr><td><a href=\"/stocks/{name}-{number}\">x</a></td></tr>");
        let rows: String = (0..3900).map(row).collect();
        let table = format!("<table><tr><th>1 Year</th></tr>{rows}</table>");
        let pager = "<div class=\"finando_paging\"><a href=\"?p=99\">99</a></div>";
        let pager = if is_letter(path) { "" } else { pager };
        format!("<html><body>{table}{pager}</body></html>").into_bytes()
    };
    let server = TestServer::start(market(), move |path, _| Some(Reply::Page(page(path))));
    for mode in [WalkMode::Pages, WalkMode::Letters] {
        let source = source_at(server.address(), 1);
        let counters = Counters::default();
        let walk = Walk::Index(IndexWalk::new(&source, INDEX, mode, &counters).with_second_looks());
        let sizes = PoolSizes {
            fetchers: 2,
            parsers: 1,
        };
        let result = pipeline::run(walk, &source, sizes, &counters, |_, _, _, _| Ok(()));
        let error = result.unwrap_err().to_string();
        assert!(
            error.contains("lists more than 100000 companies"),
            "{error}"
        );
        assert_eq!(counters.listed.get(), 3900 * 25);
    }
}

//! Failing index pages and exchange rates.

use std::fs;

use indexrank::replica::{Market, Pages, SEED};

use crate::run::{Fault, INDEX_2, OK, RATES, Run, always, gzip, market};
use crate::support::{RANKINGS, Reply, TestServer, indexrank, json, ledger};

/// Path of the numbered pages, without the number.
const INDEX: &str = "/index/components/s&p_500?p=";
const INDEX_1: &str = "/index/components/s&p_500?p=1";

#[test]
fn fails_when_an_index_page_is_missing() {
    for (status, attempts) in [("404 Not Found", 1), ("503 Service Unavailable", 4)] {
        let server = TestServer::start(market(), move |path, _| {
            (path == INDEX_2).then(|| Reply::status(status))
        });
        Run::new(&server, &[]).assert_failed(
            4,
            &[
                "page 2 of the index",
                "HTTP status",
                "no result was changed",
            ],
        );
        assert_eq!(server.asked(INDEX_2), attempts);
    }
}

#[test]
fn retries_an_index_page_until_it_arrives() {
    let server = TestServer::start(market(), |path, before| {
        (path == INDEX_2 && before < 2).then(|| Reply::status("502 Bad Gateway"))
    });
    Run::new(&server, &[]).assert_complete(2);
}

/// A body that ends within the table would still parse, with fewer companies and no pager.
#[test]
fn retries_truncated_index_pages_and_rates() {
    for path in [INDEX_1, INDEX_2, RATES] {
        let pages = Pages::of_market(&market());
        let whole = pages.get(path).unwrap().plain_body();
        let truncated: [Fault; 2] = {
            let half = whole[..whole.len() * 2 / 3].to_vec();
            let partial_gzip = gzip(&whole)[..300].to_vec();
            [
                Box::new(move || Reply::with_head(OK, &half)),
                Box::new(move || {
                    Reply::with_head(&format!("{OK}\r\nContent-Encoding: gzip"), &partial_gzip)
                }),
            ]
        };
        for truncated in truncated {
            let server = TestServer::start(market(), move |asked, before| {
                (asked == path && before == 0).then(&truncated)
            });
            Run::new(&server, &[]).assert_complete(1);
            // The walker fetches retried index pages once more at the end, in case the index has changed.
            let rechecks = usize::from(path != RATES);
            assert_eq!(server.asked(path), 2 + rechecks, "{path}");
        }
    }
}

#[test]
fn fails_after_2500_index_pages() {
    let page = |number: usize| {
        let row = format!("<tr><td><a href=\"/stocks/x-{number}\">x</a></td></tr>");
        let table = format!("<table><tr><th>1 Year</th></tr>{row}</table>");
        let pager = "<div class=\"finando_paging\"><a href=\"?p=9999\">9999</a></div>";
        format!("<html><body>{table}{pager}</body></html>").into_bytes()
    };
    let server = TestServer::start(market(), move |path, _| {
        let number = path.strip_prefix(INDEX)?;
        Some(Reply::Page(page(number.parse().ok()?)))
    });
    Run::new(&server, &["-q"]).assert_failed(4, &["the index has more than 2500 pages"]);
    assert_eq!(server.asked(&format!("{INDEX}2500")), 1);
    assert_eq!(server.asked(&format!("{INDEX}2501")), 0);
}

#[test]
fn reports_an_index_that_the_site_lacks() {
    let server = TestServer::start(market(), |_, _| None);
    let run = Run::new(&server, &["--index", "no_such_index"]);
    run.assert_failed(
        4,
        &[
            "the site has no index \"no_such_index\"",
            "--index",
            "`--from replica` needs no network",
        ],
    );
}

#[test]
fn fails_when_the_layout_of_index_pages_changes() {
    let server = always(INDEX_1, || {
        Reply::Page(b"<html><body><table></table></body></html>".to_vec())
    });
    let run = Run::new(&server, &["--record", "kept.warc"]);
    run.assert_failed(
        5,
        &[
            "not an index page",
            "1 Year",
            "`indexrank check --from http://127.0.0.1:",
            "kept in unfinished-kept.warc",
        ],
    );
    assert!(run.folder.path().join("unfinished-kept.warc").exists());
}

#[test]
fn writes_the_other_rankings_without_a_rate() {
    let cases: Vec<(&str, Fault)> = vec![
        (
            "HTTP status 404",
            Box::new(|| Reply::status("404 Not Found")),
        ),
        (
            "Error in parameters",
            Box::new(|| Reply::Page(b"<ValCurs>Error in parameters</ValCurs>".to_vec())),
        ),
        (
            "no <ValCurs>",
            Box::new(|| Reply::Page(b"<html></html>".to_vec())),
        ),
    ];
    for (error, reply) in cases {
        let server = always(RATES, reply);
        let run = Run::new(&server, &[]);
        assert_eq!(run.ran.code, 6, "{}", run.ran.stderr);
        let renamed = "; an earlier price.json is renamed to rankings/price.previous.json\n";
        for word in [error, "--rate", renamed] {
            assert!(
                run.ran.stderr.contains(word),
                "no {word:?} in {}",
                run.ran.stderr
            );
        }
        assert_eq!(run.read("price.previous.json"), "old");
        let out = run.folder.path().join("rankings");
        assert!(!out.join("price.json").exists());
        assert!(run.read("growth.json").contains("\"growth\""));
        let report = json(&out.join("run.json"));
        assert_eq!(report["previous_price"], "rankings/price.previous.json");
        assert_eq!(report["rates"].to_string(), "[]");
        assert!(report["rate_error"].as_str().unwrap().contains(error));
        assert!(!report["files"].to_string().contains("price"));

        // A second run finds no price.json, so it renames nothing and does not mention one.
        let from = ["--from", server.address()];
        let again = indexrank(run.folder.path(), &from);
        assert_eq!(again.code, 6, "{}", again.stderr);
        assert!(!again.stderr.contains("price.json"), "{}", again.stderr);
        assert_eq!(run.read("price.previous.json"), "old");
        let report = json(&out.join("run.json"));
        assert_eq!(report["previous_price"], serde_json::Value::Null);

        // A run with a rate leaves the earlier ranking where it is.
        let again = indexrank(
            run.folder.path(),
            &[&from[..], &["--usd-rub", "100"]].concat(),
        );
        assert_eq!(again.code, 0, "{}", again.stderr);
        assert!(run.read("price.json").contains("\"price\""));
        assert_eq!(run.read("price.previous.json"), "old");

        let run = Run::new(&server, &["--usd-rub", "100"]);
        assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
        assert!(run.ran.stdout.contains("1 USD = 100 RUB, given by --rate"));
        assert!(run.read("price.json").contains("\"price\""));
    }
}

/// A folder in place of `price.previous.json` appears during the run, so the rename fails.
#[test]
fn a_failed_rename_of_the_earlier_ranking_changes_no_result() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("rankings");
    fs::create_dir(&out).unwrap();
    let results = RANKINGS.into_iter().chain(["run.json"]);
    for name in results.clone() {
        fs::write(out.join(name), "old").unwrap();
    }
    let in_the_way = out.join("price.previous.json");
    let server = TestServer::start(market(), move |path, _| {
        (path == RATES).then(|| {
            let _ = fs::create_dir(&in_the_way);
            Reply::status("404 Not Found")
        })
    });
    let arguments = ["--from", server.address(), "--record", "run.warc"];
    let ran = indexrank(folder.path(), &arguments);
    assert_eq!(ran.code, 7, "{}", ran.stderr);
    let message = "cannot write rankings/price.previous.json: ";
    assert!(ran.stderr.contains(message), "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
    for name in results {
        assert_eq!(fs::read_to_string(out.join(name)).unwrap(), "old", "{name}");
    }
    assert!(!folder.path().join("run.warc").exists());

    // The next run finds the folder before its first request.
    let requests = server.requests().len();
    assert_eq!(indexrank(folder.path(), &arguments).code, 7);
    assert_eq!(server.requests().len(), requests);
}

#[test]
fn fetches_the_rate_of_a_given_day() {
    let server = TestServer::start(market(), |_, _| None);
    let run = Run::new(&server, &["--rate-date", "2022-02-04"]);
    assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
    assert_eq!(
        server.asked("/scripts/XML_daily.asp?date_req=04/02/2022"),
        1
    );
    let run = Run::new(&server, &["--rate-date", "1900-01-01"]);
    assert_eq!(run.ran.code, 6);
    assert!(
        run.ran.stderr.contains("Error in parameters"),
        "{}",
        run.ran.stderr
    );
}

/// Between the first and the second fetch of page 1, one company joins the index and one leaves.
#[test]
fn warns_when_the_index_changes_during_the_walk() {
    let later = Market::embedded(Some(61), SEED).index_page(1);
    let changed = later
        .replace("\"/stocks/abbv-stock", "\"/stocks/zzz-stock")
        .into_bytes();
    let server = TestServer::start(market(), move |path, before| {
        (path == INDEX_1 && before == 1).then(|| Reply::Page(changed.clone()))
    });
    let run = Run::new(&server, &[]);
    assert_eq!(run.ran.code, 3, "{}", run.ran.stderr);
    // The company that joins is requested; the market has no page for it.
    assert_eq!(server.asked("/stocks/zzz-stock"), 1);
    let warning = "the index changed during the walk (page 1: 1 added, 1 removed)";
    assert!(run.ran.stderr.contains(warning), "{}", run.ran.stderr);
    // A failed second fetch causes no warning.
    let server = TestServer::start(market(), move |path, before| {
        (path == INDEX_1 && before == 1).then(|| Reply::status("503 Service Unavailable"))
    });
    let run = Run::new(&server, &[]);
    run.assert_complete(0);
    assert!(!run.ran.stderr.contains("changed"), "{}", run.ran.stderr);
}

/// A market of five full index pages and a short one.
pub fn five_pages() -> Market {
    Market::embedded(Some(240), SEED)
}

/// Pages arrive in any order and are parsed in theirs, whichever of them is retried.
#[test]
fn retries_an_index_page_at_every_position() {
    for position in 1..=5 {
        let server = TestServer::start(five_pages(), move |path, before| {
            let fails = path == format!("{INDEX}{position}") && before < 3;
            fails.then(|| Reply::status("503 Service Unavailable"))
        });
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["--from", server.address(), "--retry-pause", "1", "-q"];
        let ran = indexrank(folder.path(), &arguments);
        assert_eq!(ran.code, 0, "{position}: {}", ran.stderr);
        let report = json(&folder.path().join("rankings/run.json"));
        assert_eq!(ledger(&report), [240, 240, 0, 0, 0], "{position}");
        assert_eq!(report["retries"], 3, "{position}");
    }
}

/// What is queued behind the page is not fetched.
#[test]
fn an_index_page_that_fails_for_good_ends_the_run_at_every_position() {
    for position in 1..=5 {
        let server = TestServer::start(five_pages(), move |path, _| {
            let fails = path == format!("{INDEX}{position}");
            fails.then(|| Reply::status("404 Not Found"))
        });
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["--from", server.address(), "--workers", "2", "-q"];
        let ran = indexrank(folder.path(), &arguments);
        assert_eq!(ran.code, 4, "{position}: {}", ran.stderr);
        assert!(
            ran.stderr
                .contains(&format!("page {position} of the index")),
            "{position}: {}",
            ran.stderr
        );
        let companies = server.requests();
        let companies = companies
            .iter()
            .filter(|request| request.path.starts_with("/stocks/"));
        assert!(companies.count() < 50, "{position}");
    }
}

/// Fetchers that wait for their turn do not hold up the end of a run whose index has failed.
#[test]
fn a_failed_index_ends_a_run_whose_fetchers_wait() {
    let page_2 = format!("{INDEX}2");
    let failing = page_2.clone();
    let server = TestServer::start(five_pages(), move |path, _| {
        (path == failing).then(|| Reply::status("404 Not Found"))
    });
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--from", server.address(), "--rps", "20", "-q"];
    let ran = indexrank(folder.path(), &arguments);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(ran.stderr.contains("page 2 of the index"), "{}", ran.stderr);
    let requests = server.requests();
    let failed_at = requests.iter().position(|one| one.path == page_2).unwrap();
    assert!(requests.len() - failed_at <= 3, "{requests:?}");
}

/// In the report, a warning and the table, like the other figures.
#[test]
fn reports_a_growth_that_cannot_be_parsed() {
    for (shown, note) in [
        ("n/a", Some("growth is \"n/a\"")),
        ("-9,27%", Some("growth is \"-9,27%\"")),
        ("", None),
    ] {
        let pages = Pages::of_market(&market());
        let html = String::from_utf8(pages.get(INDEX_2).unwrap().plain_body()).unwrap();
        assert_eq!(html.matches(">-9.27%<").count(), 1);
        let html = html.replace(">-9.27%<", &format!(">{shown}<"));
        let server = TestServer::start(market(), move |path, _| {
            (path == INDEX_2).then(|| Reply::Page(html.clone().into_bytes()))
        });
        let run = Run::new(&server, &["--table", "all.csv"]);
        assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
        let report = json(&run.folder.path().join("rankings/run.json"));
        let notes = note.map(|note| serde_json::json!({"code": "MMM", "note": note}));
        let notes: Vec<_> = notes.into_iter().collect();
        assert_eq!(report["notes"], serde_json::json!(notes));
        assert_eq!(report["missing"]["growth"], serde_json::json!(["MMM"]));
        let warning = "warning: 1 note on figures; the first, MMM: growth is";
        let stderr = &run.ran.stderr;
        assert_eq!(stderr.contains(warning), note.is_some(), "{stderr}");
        assert!(stderr.contains(note.unwrap_or("")), "{stderr}");
        let table = fs::read_to_string(run.folder.path().join("all.csv")).unwrap();
        let row = table.lines().find(|line| line.starts_with("MMM,")).unwrap();
        assert_eq!(row.split(',').nth(8), Some(""), "{row}");
    }
}

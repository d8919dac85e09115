//! An index or a rate that fails: the things that a run cannot do without.

use indexrank::replica::{Market, Pages, SEED};

use crate::run::{Fault, INDEX_2, OK, RATES, Run, always, gzip, market};
use crate::support::{Reply, TestServer, json};

#[test]
fn half_an_index_ends_the_run() {
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
fn an_index_page_that_comes_at_last_is_enough() {
    let server = TestServer::start(market(), |path, before| {
        (path == INDEX_2 && before < 2).then(|| Reply::status("502 Bad Gateway"))
    });
    Run::new(&server, &[]).assert_complete(2);
}

/// A body cut short within the table still parses, with fewer companies and no pager.
#[test]
fn an_index_page_or_a_list_of_rates_that_was_cut_short_is_asked_for_again() {
    for path in ["/index/components/s&p_500?p=1", INDEX_2, RATES] {
        let pages = Pages::of_market(&market());
        let whole = pages.get(path).unwrap().plain_body();
        let cuts: [Fault; 2] = {
            let half = whole[..whole.len() * 2 / 3].to_vec();
            let broken = gzip(&whole)[..300].to_vec();
            [
                Box::new(move || Reply::with_head(OK, &half)),
                Box::new(move || {
                    Reply::with_head(&format!("{OK}\r\nContent-Encoding: gzip"), &broken)
                }),
            ]
        };
        for cut in cuts {
            let server = TestServer::start(market(), move |asked, before| {
                (asked == path && before == 0).then(&cut)
            });
            Run::new(&server, &[]).assert_complete(1);
            // The first page is looked at once more in the end.
            let looks = 1 + usize::from(path.ends_with("?p=1"));
            assert_eq!(server.asked(path), 1 + looks, "{path}");
        }
    }
}

#[test]
fn an_index_without_end() {
    let page = |number: usize| {
        let row = format!("<tr><td><a href=\"/stocks/x-{number}\">x</a></td></tr>");
        let table = format!("<table><tr><th>1 Year</th></tr>{row}</table>");
        let pager = "<div class=\"finando_paging\"><a href=\"?p=9999\">9999</a></div>";
        format!("<html><body>{table}{pager}</body></html>").into_bytes()
    };
    let server = TestServer::start(market(), move |path, _| {
        let number = path.strip_prefix("/index/components/s&p_500?p=")?;
        Some(Reply::Page(page(number.parse().ok()?)))
    });
    Run::new(&server, &["-q"]).assert_failed(4, &["the index has more than 2500 pages"]);
    assert_eq!(server.asked("/index/components/s&p_500?p=2500"), 1);
    assert_eq!(server.asked("/index/components/s&p_500?p=2501"), 0);
}

/// The pager claims 90 pages, and every number past the second gives the second again.
#[test]
fn a_pager_that_promises_too_much() {
    let market = market();
    let page = |number| {
        market
            .index_page(number)
            .replace("?p=2", "?p=90")
            .into_bytes()
    };
    let (first, second) = (page(1), page(2));
    let server = TestServer::start(self::market(), move |path, _| {
        let number = path.strip_prefix("/index/components/s&p_500?p=")?;
        Some(Reply::Page(if number == "1" {
            first.clone()
        } else {
            second.clone()
        }))
    });
    Run::new(&server, &[]).assert_complete(0);
    assert_eq!(server.asked("/index/components/s&p_500?p=17"), 1);
    assert_eq!(server.asked("/index/components/s&p_500?p=34"), 0);
}

#[test]
fn an_index_that_the_site_does_not_have() {
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
fn an_index_laid_out_in_another_way() {
    let server = always("/index/components/s&p_500?p=1", || {
        Reply::Page(b"<html><body><table></table></body></html>".to_vec())
    });
    let run = Run::new(&server, &["--record", "kept.warc"]);
    run.assert_failed(
        5,
        &[
            "not an index page",
            "1 Year",
            "indexrank read",
            "kept in unfinished-kept.warc",
        ],
    );
    assert!(run.folder.path().join("unfinished-kept.warc").exists());
}

#[test]
fn without_a_rate_the_other_rankings_are_written() {
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
    for (why, reply) in cases {
        let server = always(RATES, reply);
        let run = Run::new(&server, &[]);
        assert_eq!(run.ran.code, 6, "{}", run.ran.stderr);
        for word in [why, "--usd-rub", "price.json was left as it was"] {
            assert!(
                run.ran.stderr.contains(word),
                "{word:?} in {}",
                run.ran.stderr
            );
        }
        assert_eq!(run.read("price.json"), "old");
        assert!(run.read("growth.json").contains("\"growth\""));
        let report = json(&run.folder.path().join("rankings/run.json"));
        assert_eq!(report["rate"], serde_json::Value::Null);
        assert!(report["rate_error"].as_str().unwrap().contains(why));
        assert!(!report["files"].to_string().contains("price.json"));

        let run = Run::new(&server, &["--usd-rub", "100"]);
        assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
        assert!(run.ran.stdout.contains("1 USD = 100 RUB, as given"));
        assert!(run.read("price.json").contains("\"price\""));
    }
}

#[test]
fn a_rate_of_a_day() {
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

/// Row 34: a company comes and one goes between the first look at page 1 and the second.
#[test]
fn an_index_that_changes_while_it_is_walked() {
    let other = Market::embedded(Some(61), SEED).index_page(1);
    let first = "\"/stocks/abbv-stock";
    let changed = other.replace(first, "\"/stocks/zzz-stock").into_bytes();
    let server = TestServer::start(market(), move |path, before| {
        (path == "/index/components/s&p_500?p=1" && before == 1)
            .then(|| Reply::Page(changed.clone()))
    });
    let run = Run::new(&server, &[]);
    run.assert_complete(0);
    for words in [
        "the index changed while it was walked",
        "1 of the companies",
        "1 are there no more",
    ] {
        assert!(run.ran.stderr.contains(words), "{}", run.ran.stderr);
    }
    // One that cannot be looked at again is no news.
    let server = TestServer::start(market(), move |path, before| {
        (path == "/index/components/s&p_500?p=1" && before == 1)
            .then(|| Reply::status("503 Service Unavailable"))
    });
    let run = Run::new(&server, &[]);
    run.assert_complete(0);
    assert!(!run.ran.stderr.contains("changed"), "{}", run.ran.stderr);
}

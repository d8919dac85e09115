//! What a site asks of its robots, and how often it is asked.

use std::time::Duration;

use indexrank::replica::{Market, SEED};

use crate::run::{COMPANY, Run, SIZE, market};
use crate::support::{Reply, TestServer, json, ledger};

const ROBOTS: &str = "/robots.txt";

fn with_rules(rules: &'static str) -> TestServer {
    TestServer::start(market(), move |path, _| {
        (path == ROBOTS).then(|| Reply::Page(rules.as_bytes().to_vec()))
    })
}

#[test]
fn the_rules_are_asked_for_once_and_obeyed() {
    let server = with_rules("User-agent: *\nDisallow: /stocks/mmm\n");
    let run = Run::new(&server, &[]);
    run.assert_without_the_company("robots");
    assert!(
        run.ran
            .stderr
            .contains("robots.txt forbids it (Disallow: /stocks/mmm)"),
        "{}",
        run.ran.stderr
    );
    assert_eq!((server.asked(ROBOTS), server.asked(COMPANY)), (1, 0));

    // The rules for this robot by its name count, not those for all.
    let server = with_rules("User-agent: *\nDisallow: /\n\nUser-agent: indexrank\nDisallow:\n");
    Run::new(&server, &[]).assert_complete(0);
    let run = Run::new(&server, &["--user-agent", "somebody/1.0"]);
    run.assert_failed(
        4,
        &["page 1 of the index", "Disallow: /", "--ignore-robots"],
    );

    let server = with_rules("User-agent: *\nDisallow: /\n");
    Run::new(&server, &["--ignore-robots"]).assert_complete(0);
    assert_eq!(server.asked(ROBOTS), 0);
}

#[test]
fn a_site_without_rules_allows_everything_and_one_that_cannot_show_them_nothing() {
    for status in ["404 Not Found", "403 Forbidden", "418 Teapot"] {
        let server = crate::run::always(ROBOTS, move || Reply::status(status));
        Run::new(&server, &[]).assert_complete(0);
    }
    let server = crate::run::always(ROBOTS, || Reply::status("500 Internal Server Error"));
    let run = Run::new(&server, &["--retry-pause", "10"]);
    run.assert_failed(
        4,
        &[
            "robots.txt cannot be obeyed (HTTP status 500)",
            "--ignore-robots",
        ],
    );
    assert_eq!(server.asked(ROBOTS), 4);
    let companies = server.requests();
    assert!(
        companies
            .iter()
            .all(|asked| !asked.path.starts_with("/stocks/"))
    );
}

#[test]
fn a_crawl_delay_keeps_requests_apart() {
    let server = TestServer::start(Market::embedded(Some(10), SEED), |path, _| {
        (path == ROBOTS).then(|| Reply::Page(b"User-agent: *\nCrawl-delay: 0.2\n".to_vec()))
    });
    let run = Run::new(&server, &[]);
    assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
    let mut asked = server.requests();
    asked.retain(|request| request.path.starts_with("/stocks/"));
    for pair in asked.windows(2) {
        let apart = pair[1].at - pair[0].at;
        assert!(apart > Duration::from_millis(120), "{apart:?}");
    }
}

/// Over all workers and every kind of page, within 5 %.
#[test]
fn requests_per_second_are_limited() {
    let server = TestServer::start(market(), |_, _| None);
    let run = Run::new(&server, &["--rps", "40", "--ignore-robots"]);
    assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
    let asked = server.requests();
    let took = asked[asked.len() - 1].at - asked[0].at;
    let rps = (asked.len() - 1) as f64 / took.as_secs_f64();
    assert!(asked.len() > SIZE && (38.0..42.0).contains(&rps), "{rps}");
}

#[test]
fn the_program_says_who_it_is() {
    let server = TestServer::start(market(), |_, _| None);
    Run::new(&server, &[]).assert_complete(0);
    let me = concat!("indexrank/", env!("CARGO_PKG_VERSION"), " (+https://");
    for request in server.requests() {
        assert!(request.user_agent.starts_with(me), "{request:?}");
    }
}

/// Who is not wanted does not ask on, and nothing is done to get round it.
#[test]
fn five_refusals_in_a_row_end_the_run() {
    let challenge = || Reply::Page(b"<html><title>Just a moment...</title></html>".to_vec());
    let refusals: [crate::run::Fault; 3] = [
        Box::new(|| Reply::status("403 Forbidden")),
        Box::new(challenge),
        Box::new(|| Reply::Page(b"<html>We value your privacy<button>Accept</html>".to_vec())),
    ];
    for refusal in refusals {
        let server = TestServer::start(market(), move |path, _| {
            path.starts_with("/stocks/").then(&refusal)
        });
        let run = Run::new(&server, &["--workers", "1", "--readers", "1"]);
        run.assert_failed(4, &["the site refuses to be read", "/stocks/", "--rps 1"]);
        let asked = server.requests();
        let companies = asked
            .iter()
            .filter(|asked| asked.path.starts_with("/stocks/"));
        // Five, and what was under way meanwhile.
        assert!((5..=9).contains(&companies.count()), "{}", asked.len());
    }

    // Four here and four there are some pages that cannot be had.
    let server = TestServer::start(market(), move |path, _| {
        let refused = [1, 2, 3, 4, 6, 7, 8, 9].map(|at| market().companies()[at].path.clone());
        refused
            .contains(&path.to_owned())
            .then(|| Reply::status("403 Forbidden"))
    });
    let run = Run::new(&server, &["--workers", "1", "--readers", "1"]);
    assert_eq!(run.ran.code, 3, "{}", run.ran.stderr);
    let report = json(&run.folder.path().join("rankings/run.json"));
    assert_eq!(ledger(&report)[2], 8);
}

/// A page that has refused is kept for a look.
#[test]
fn a_refusal_is_kept() {
    let server = TestServer::start(market(), move |path, _| {
        path.starts_with("/stocks/").then(|| {
            let head = "HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 16";
            Reply::Raw([head.as_bytes(), b"\r\n\r\nWho are you then"].concat())
        })
    });
    let run = Run::new(&server, &["--workers", "1"]);
    run.assert_failed(4, &["kept in rankings/unfinished.warc"]);
    let kept = std::fs::read(run.folder.path().join("rankings/unfinished.warc")).unwrap();
    assert!(memchr::memmem::find(&kept, b"Who are you then").is_some());
}

/// Rules that nobody can keep to, and some that are more than any clock holds.
#[test]
fn rules_that_cannot_be_obeyed_end_the_run_at_once() {
    for rules in ["Crawl-delay: 3600", "Crawl-delay: 1e19"] {
        let server = TestServer::start(market(), move |path, _| {
            let rules = format!("User-agent: *\n{rules}\n");
            (path == ROBOTS).then(|| Reply::Page(rules.into_bytes()))
        });
        let run = Run::new(&server, &["--max-time", "5"]);
        run.assert_failed(
            4,
            &["robots.txt cannot be obeyed (it wants", "--ignore-robots"],
        );
    }
    for status in ["501 Not Implemented", "505 Version", "599 What"] {
        let server = crate::run::always(ROBOTS, move || Reply::status(status));
        Run::new(&server, &[]).assert_failed(4, &["robots.txt cannot be obeyed (HTTP status 5"]);
    }
    for rules in [
        "\u{feff}User-agent: *\nDisallow:",
        "<html>No rules here</html>",
        "",
        "Crawl-delay: -1",
        "Crawl-delay: x",
    ] {
        let server = TestServer::start(market(), move |path, _| {
            (path == ROBOTS).then(|| Reply::Page(rules.as_bytes().to_vec()))
        });
        Run::new(&server, &[]).assert_complete(0);
    }
}

/// A redirect is a request like any other: it needs leave, and its turn.
#[test]
fn redirects_are_asked_for_by_the_same_rules() {
    let to = |path: &str| {
        let head = format!("HTTP/1.1 302 Found\r\nLocation: {path}\r\nContent-Length: 0\r\n\r\n");
        Reply::Raw(head.into_bytes())
    };
    let server = TestServer::start(market(), move |path, _| match path {
        ROBOTS => Some(Reply::Page(b"User-agent: *\nDisallow: /private".to_vec())),
        COMPANY => Some(to("/private/mmm")),
        _ => None,
    });
    let run = Run::new(&server, &[]);
    run.assert_without_the_company("robots");
    assert_eq!(server.asked("/private/mmm"), 0);

    let server = TestServer::start(Market::embedded(Some(4), SEED), move |path, before| {
        (path.starts_with("/stocks/") && before == 0).then(|| to(path))
    });
    let run = Run::new(&server, &["--rps", "5", "--ignore-robots"]);
    assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
    let asked = server.requests();
    for pair in asked.windows(2) {
        let apart = pair[1].at - pair[0].at;
        assert!(apart > Duration::from_millis(120), "{apart:?}");
    }
}

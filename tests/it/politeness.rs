//! robots.txt, rate limits, refusals and the user agent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use indexrank::replica::{Market, SEED};

use crate::run::{COMPANIES, COMPANY, INDEX_2, RATES, Run, market};
use crate::support::{Reply, Request, TestServer, indexrank, json, ledger};

const ROBOTS: &str = "/robots.txt";

/// A server of the market with this robots.txt.
fn with_rules(market: Market, rules: impl Into<Vec<u8>>) -> TestServer {
    let rules = rules.into();
    TestServer::start(market, move |path, _| {
        (path == ROBOTS).then(|| Reply::Page(rules.clone()))
    })
}

/// At least 120 ms lie between two requests in a row: 200 ms asked for, less some slack.
#[track_caller]
fn assert_spaced(requests: &[Request]) {
    for pair in requests.windows(2) {
        let interval = pair[1].at - pair[0].at;
        assert!(interval > Duration::from_millis(120), "{interval:?}");
    }
}

#[test]
fn fetches_robots_txt_once_and_obeys_it() {
    let server = with_rules(market(), "User-agent: *\nDisallow: /stocks/mmm\n");
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

    // Rules for the user agent by name take precedence over those for `*`.
    let rules = "User-agent: *\nDisallow: /\n\nUser-agent: indexrank\nDisallow:\n";
    let server = with_rules(market(), rules);
    Run::new(&server, &[]).assert_complete(0);
    let run = Run::new(&server, &["--user-agent", "somebody/1.0"]);
    run.assert_failed(
        4,
        &["page 1 of the index", "Disallow: /", "--ignore-robots"],
    );

    let server = with_rules(market(), "User-agent: *\nDisallow: /\n");
    Run::new(&server, &["--ignore-robots"]).assert_complete(0);
    assert_eq!(server.asked(ROBOTS), 0);
}

/// Also the rates, if they are on the same host.
#[test]
fn requests_nothing_from_a_host_before_its_robots_txt_is_known() {
    let (is_known, early) = (AtomicBool::new(false), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&early);
    let server = TestServer::start(market(), move |path, _| {
        if path == ROBOTS {
            thread::sleep(Duration::from_millis(300));
            is_known.store(true, SeqCst);
        } else if !is_known.load(SeqCst) {
            counted.fetch_add(1, SeqCst);
        }
        None
    });
    Run::new(&server, &[]).assert_complete(0);
    assert_eq!(early.load(SeqCst), 0);

    let server = with_rules(market(), "User-agent: *\nDisallow: /scripts/\n");
    let run = Run::new(&server, &[]);
    assert_eq!(run.ran.code, 6, "{}", run.ran.stderr);
    assert!(
        run.ran.stderr.contains("Disallow: /scripts/"),
        "{}",
        run.ran.stderr
    );
    assert_eq!(server.asked(RATES), 0);
}

#[test]
fn requests_nothing_from_a_host_that_forbids_all_or_cannot_be_reached() {
    let server = with_rules(market(), "User-agent: *\nDisallow: /\n");
    Run::new(&server, &[]).assert_failed(4, &["Disallow: /", "--ignore-robots"]);
    assert_eq!(server.requests().len(), 1);

    let server = crate::run::always(ROBOTS, || Reply::RawThenClose(Vec::new()));
    let run = Run::new(&server, &["--retry-pause", "10"]);
    run.assert_failed(4, &["robots.txt, which is requested first", "breaks off"]);
    let requests = server.requests();
    assert!(requests.iter().all(|request| request.path == ROBOTS));
    // All of robots.txt. No attempt at a page could be sent.
    let failed = json(&run.folder.path().join("rankings/failed-run.json"));
    assert_eq!(failed["retries"], requests.len() - 1);
}

#[test]
fn a_missing_robots_txt_allows_all_and_a_server_error_forbids_all() {
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
    let requests = server.requests();
    assert!(
        requests
            .iter()
            .all(|request| !request.path.starts_with("/stocks/"))
    );
}

#[test]
fn obeys_the_crawl_delay() {
    let market = Market::embedded(Some(10), SEED);
    let server = with_rules(market, "User-agent: *\nCrawl-delay: 0.2\n");
    let run = Run::new(&server, &[]);
    assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
    let mut requests = server.requests();
    requests.retain(|request| request.path.starts_with("/stocks/"));
    assert_spaced(&requests);
}

/// `--rps` holds within 5 % over all workers and every kind of page.
#[test]
fn limits_requests_per_second() {
    let server = TestServer::start(market(), |_, _| None);
    let run = Run::new(&server, &["--rps", "40", "--ignore-robots"]);
    assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
    let requests = server.requests();
    let duration = requests[requests.len() - 1].at - requests[0].at;
    let rps = (requests.len() - 1) as f64 / duration.as_secs_f64();
    assert!(
        requests.len() > COMPANIES && (38.0..42.0).contains(&rps),
        "{rps}"
    );
}

#[test]
fn sends_its_name_and_version_as_user_agent() {
    let server = TestServer::start(market(), |_, _| None);
    Run::new(&server, &[]).assert_complete(0);
    let product = concat!("indexrank/", env!("CARGO_PKG_VERSION"));
    for request in server.requests() {
        assert_eq!(request.user_agent, product, "{request:?}");
    }
}

/// The run ends instead of requesting further pages, and makes no attempt to get past the refusal.
#[test]
fn five_consecutive_refusals_end_the_run() {
    let captcha = || Reply::Page(b"<html><title>Just a moment...</title></html>".to_vec());
    let refusals: [crate::run::Fault; 3] = [
        Box::new(|| Reply::status("403 Forbidden")),
        Box::new(captcha),
        Box::new(|| Reply::Page(b"<html>We value your privacy<button>Accept</html>".to_vec())),
    ];
    for refusal in refusals {
        let server = TestServer::start(market(), move |path, _| {
            path.starts_with("/stocks/").then(&refusal)
        });
        let run = Run::new(&server, &["--workers", "1", "--readers", "1"]);
        run.assert_failed(4, &["the site refuses requests", "/stocks/", "--rps 1"]);
        let requests = server.requests();
        let companies = requests
            .iter()
            .filter(|request| request.path.starts_with("/stocks/"));
        // Five refusals. If the parser lags, four more pages are in the channel and one is with the
        // fetcher.
        assert!((5..=10).contains(&companies.count()), "{}", requests.len());
    }

    // Two series of four refusals are failures of those pages and do not end the run.
    let server = TestServer::start(market(), move |path, _| {
        let refused = [1, 2, 3, 4, 6, 7, 8, 9].map(|at| market().companies()[at].path.clone());
        refused
            .contains(&path.to_owned())
            .then(|| Reply::status("403 Forbidden"))
    });
    let options = ["--workers", "1", "--readers", "1", "--min-companies", "1"];
    let run = Run::new(&server, &options);
    assert_eq!(run.ran.code, 3, "{}", run.ran.stderr);
    let report = json(&run.folder.path().join("rankings/run.json"));
    assert_eq!(ledger(&report)[2], 8);
}

/// The user can look at the refusal there.
#[test]
fn keeps_the_refused_page_in_the_journal() {
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

/// An hour between requests is too long to obey, 1e19 s are more than any clock can hold, and 1e30 s more
/// than a `Duration`.
#[test]
fn unusable_robots_rules_end_the_run_and_malformed_ones_are_ignored() {
    for rules in [
        "Crawl-delay: 3600",
        "Crawl-delay: 1e19",
        "Crawl-delay: 1e30",
        "Crawl-delay:inf",
        "Disallow: /a\rcrawl delay : +Infinity # never\rDisallow: /b",
    ] {
        let server = with_rules(market(), format!("User-agent: *\n{rules}\n"));
        let run = Run::new(&server, &["--max-time", "5"]);
        run.assert_failed(
            4,
            &["robots.txt cannot be obeyed (it demands", "--ignore-robots"],
        );
    }
    for status in [
        "501 Not Implemented",
        "505 Version",
        "511 Log in",
        "599 What",
        "999 Denied",
    ] {
        let server = crate::run::always(ROBOTS, move || Reply::status(status));
        let why = format!("robots.txt cannot be obeyed (HTTP status {}", &status[..3]);
        Run::new(&server, &[]).assert_failed(4, &[&why]);
    }
    // Its page would make any other page a refusal.
    let challenge = "HTTP/1.1 503 Unavailable\r\nContent-Length: 28";
    let title = b"<title>Just a moment</title>";
    let server = crate::run::always(ROBOTS, move || Reply::with_head(challenge, title));
    Run::new(&server, &[]).assert_failed(4, &["robots.txt cannot be obeyed (HTTP status 503 with"]);
    for rules in [
        "\u{feff}User-agent: *\nDisallow:",
        "<html>No rules here</html>",
        "",
        "Crawl-delay: -1",
        "Crawl-delay: x",
        "User-agent: *\nCrawl-delay: NaN",
        "User-agent: *\nCrawl-delay: -inf",
        "User-agent: *\nCrawl-delay: 1e-30",
    ] {
        let server = with_rules(market(), rules);
        Run::new(&server, &[]).assert_complete(0);
    }
}

/// Following a redirect is a request like any other.
#[test]
fn redirects_obey_robots_txt_and_the_rate_limit() {
    let redirect_to = |path: &str| {
        let head = format!("HTTP/1.1 302 Found\r\nLocation: {path}\r\nContent-Length: 0\r\n\r\n");
        Reply::Raw(head.into_bytes())
    };
    let server = TestServer::start(market(), move |path, _| match path {
        ROBOTS => Some(Reply::Page(b"User-agent: *\nDisallow: /private".to_vec())),
        COMPANY => Some(redirect_to("/private/mmm")),
        _ => None,
    });
    let run = Run::new(&server, &[]);
    run.assert_without_the_company("robots");
    assert_eq!(server.asked("/private/mmm"), 0);

    let server = TestServer::start(market(), move |path, _| match path {
        ROBOTS => Some(Reply::Page(b"User-agent: *\nDisallow: /private".to_vec())),
        INDEX_2 => Some(redirect_to("/private/index")),
        _ => None,
    });
    let run = Run::new(&server, &[]);
    run.assert_failed(4, &["page 2 of the index", "Disallow: /private"]);
    assert_eq!(server.asked("/private/index"), 0);

    let server = TestServer::start(Market::embedded(Some(4), SEED), move |path, earlier| {
        (path.starts_with("/stocks/") && earlier == 0).then(|| redirect_to(path))
    });
    let run = Run::new(&server, &["--rps", "5", "--ignore-robots"]);
    assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
    assert_spaced(&server.requests());
}

/// Index pages, robots.txt and the rate count like company pages.
#[test]
fn never_has_more_requests_under_way_than_workers() {
    for workers in [1, 2, 8] {
        let in_flight = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let counts = Arc::clone(&in_flight);
        let market = Market::embedded(Some(240), SEED);
        let server = TestServer::start(market, move |_, _| {
            let (now, most) = &*counts;
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            thread::sleep(Duration::from_millis(2));
            now.fetch_sub(1, SeqCst);
            None
        });
        let folder = tempfile::tempdir().unwrap();
        let number = workers.to_string();
        let arguments = ["--from", server.address(), "--workers", &number, "-q"];
        let ran = indexrank(folder.path(), &arguments);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert_eq!(in_flight.1.load(SeqCst), workers);
    }
}

//! Sites that refuse: block pages, statuses, redirects to another site, and 429.

use std::collections::HashSet;
use std::fs;
use std::sync::{Arc, Mutex};

use indexrank::replica::{Market, SEED};
use memchr::memmem;

use crate::run::{COMPANY, Fault, INDEX_2, Run, market};
use crate::support::{Reply, TestServer, json, ledger};

/// Requests of a run with eight workers until the fifth refusal: robots.txt, the rates, 11 pages of the
/// index, five company pages, and one more of each other worker.
const MAX_REQUESTS: usize = 25;

/// A reply with this status and these headers, each of which ends with a line end.
fn reply(status: &str, headers: &str, body: &[u8]) -> Reply {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    Reply::Raw([head.as_bytes(), body].concat())
}

fn page(body: &str) -> Reply {
    Reply::Page(body.into())
}

/// A heading before 70 KB of text that does not compress.
fn padded(heading: &str) -> Reply {
    let mut random = fastrand::Rng::with_seed(1);
    let padding: String = (0..70_000).map(|_| random.alphanumeric()).collect();
    page(&format!(
        "<html><head>{heading}</head><body><!-- {padding} --></body></html>"
    ))
}

const IMPERVA: &str = r#"<html style="height:100%"><head><META NAME="ROBOTS" CONTENT="NOINDEX, NOFOLLOW"></head>
<body style="margin:0px;height:100%"><iframe id="main-iframe" src="/_Incapsula_Resource?CWUDNSAI=18" frameborder=0>
Request unsuccessful. Incapsula incident ID: 1-2</iframe></body></html>"#;
const DDOS_GUARD: &str = r#"<!DOCTYPE html><html><head><title>DDoS-Guard</title></head>
<body>Checking your browser<script src="/.well-known/ddos-guard/check"></script></body></html>"#;
const PERIMETERX: &str = r#"<html><head><title>Pardon Our Interruption</title></head>
<body>As you were browsing something about your browser made us think you were a bot.</body></html>"#;
const ATTENTION: &str = r#"<html><head><title>Attention Required! | Cloudflare</title></head>
<body><h1>Sorry, you have been blocked</h1></body></html>"#;
const QUEUE: &str =
    "<html><head><title>Queue</title></head><body><h1>You are now in line</h1></body></html>";
const DATADOME: &str = r#"<html><head><title>businessinsider.com</title></head>
<body><script src="https://ct.captcha-delivery.com/c.js"></script></body></html>"#;
const AKAMAI: &str =
    "<HTML><HEAD><TITLE>Access Denied</TITLE></HEAD><BODY>Reference #18</BODY></HTML>";
const F5: &str = "<html><head><title>Request Rejected</title></head><body>\
    The requested URL was rejected. Please consult with your administrator.</body></html>";

/// What every company page is, and what the error says.
type Refusal = (fn() -> Reply, &'static str);

const REFUSALS: [Refusal; 40] = [
    (|| Reply::status("401 Unauthorized"), "HTTP status 401"),
    (|| Reply::status("402 Payment Required"), "HTTP status 402"),
    (|| Reply::status("403 Forbidden"), "HTTP status 403"),
    (|| Reply::status("451 Unavailable"), "HTTP status 451"),
    (|| Reply::status("999 Request denied"), "HTTP status 999"),
    (|| Reply::status("406 Not Acceptable"), "HTTP status 406"),
    (
        || Reply::status("511 Network Authentication Required"),
        "HTTP status 511",
    ),
    (
        || reply("202 Accepted", "x-amzn-waf-action: challenge\r\n", b""),
        "HTTP status 202 with a block page of AWS WAF (header x-amzn-waf-action: challenge)",
    ),
    (
        || reply("405 Not Allowed", "X-Amzn-Waf-Action: captcha\r\n", b""),
        "HTTP status 405 with a block page of AWS WAF",
    ),
    (
        || reply("200 OK", "cf-mitigated: challenge\r\n", b"<html></html>"),
        "a block page of Cloudflare (header cf-mitigated: challenge)",
    ),
    (
        || reply("403 Forbidden", "server: cloudflare\r\n", b"<html></html>"),
        "HTTP status 403 from Cloudflare",
    ),
    (
        || reply("503 Unavailable", "", b"<title>Just a moment...</title>"),
        "HTTP status 503 with a block page of Cloudflare (title \"Just a moment...\")",
    ),
    (
        || reply("200 OK", "server: AkamaiGHost\r\n", AKAMAI.as_bytes()),
        "a block page of Akamai (title \"Access Denied\")",
    ),
    (|| page(IMPERVA), "a block page of Imperva"),
    (|| page(DDOS_GUARD), "a block page of DDoS-Guard"),
    (|| page(PERIMETERX), "a block page of PerimeterX"),
    (|| page(ATTENTION), "a block page of Cloudflare"),
    (|| page(QUEUE), "a block page of a waiting room"),
    (|| page(DATADOME), "a block page of DataDome"),
    (|| page(F5), "a block page of F5"),
    (
        || padded("<title>Just a moment...</title>"),
        "a block page of Cloudflare",
    ),
    (
        || padded("<title>Attention Required! | Cloudflare</title>"),
        "a block page of Cloudflare",
    ),
    (
        || padded("<h1>Pardon Our Interruption</h1>"),
        "a block page of PerimeterX (it contains ",
    ),
    (
        || padded("<title>Log&nbsp;in | Business Insider</title>"),
        "a block page (title \"Log in | Business Insider\")",
    ),
    (
        || page("<html><form><input type=\"password\"></form></html>"),
        "a block page (it contains \"type=",
    ),
    (
        || reply("404 Not Found", "cf-mitigated: challenge\r\n", b""),
        "HTTP status 404 with a block page of Cloudflare",
    ),
    (
        || {
            reply(
                "200 OK",
                "Content-Encoding: br\r\ncf-mitigated: challenge\r\n",
                b"x",
            )
        },
        "a block page of Cloudflare",
    ),
    (
        || {
            reply(
                "202 Accepted",
                "",
                b"<script src=\"https://x.awswaf.com/challenge.js\"></script>",
            )
        },
        "HTTP status 202 with a block page of AWS WAF",
    ),
    // Without its end
    (
        || page("<html><title>Just a moment...</title><body>"),
        "a block page of Cloudflare",
    ),
    (
        || page("Please enable cookies"),
        "a block page (it contains \"enable cookies\")",
    ),
    (
        || page("<html>We value your privacy<button>Accept</html>"),
        "a block page (it contains \"your privacy\")",
    ),
    (
        || {
            reply(
                "200 OK",
                "X-Iinfo: 1-2\r\n",
                b"<html><script src=\"/abc\"></script></html>",
            )
        },
        "a block page of Imperva (41 bytes without any landmark of the site)",
    ),
    (
        || {
            reply(
                "404 Not Found",
                "",
                b"<title>Attention Required! | Cloudflare</title>",
            )
        },
        "HTTP status 404 with a block page of Cloudflare",
    ),
    (
        || page("<html>Please solve this CAPTCHA</html>"),
        "a block page (it contains \"captcha\")",
    ),
    (
        || page("<html><title>\n Robot  Check</title></html>"),
        "a block page (title \"Robot Check\")",
    ),
    (
        || {
            reply(
                "302 Found",
                "Location: https://consent.example/?r=1\r\n",
                b"",
            )
        },
        "a redirect to another site, https://consent.example/?r=1",
    ),
    (
        || reply("307 Temporary", "Location: http://localhost:1/\r\n", b""),
        "a redirect to another site, http://localhost:1/",
    ),
    (
        || Reply::status("302 Found"),
        "a redirect without a usable address",
    ),
    (
        || {
            reply(
                "200 OK",
                "",
                b"<html><title>Human Verification</title></html>",
            )
        },
        "a block page of AWS WAF",
    ),
    (
        || page("<html><script>window._cf_chl_opt = {}</script></html>"),
        "a block page of Cloudflare (it contains \"_cf_chl_opt\")",
    ),
];

#[test]
fn eight_workers_send_at_most_25_requests_to_a_site_that_refuses() {
    let refusal: Arc<Mutex<Fault>> = Arc::new(Mutex::new(Box::new(|| page(QUEUE))));
    let shared = Arc::clone(&refusal);
    let server = TestServer::start(Market::embedded(None, SEED), move |path, _| {
        path.starts_with("/stocks/")
            .then(|| shared.lock().unwrap()())
    });
    for (reply, what) in REFUSALS {
        *refusal.lock().unwrap() = Box::new(reply);
        let before = server.requests().len();
        let run = Run::new(&server, &["--workers", "8"]);
        run.assert_failed(
            4,
            &["the site refuses requests, the last one /stocks/", what],
        );
        let requests = server.requests().len() - before;
        assert!(requests <= MAX_REQUESTS, "{what}: {requests} requests");
        // The user can look at them there.
        let kept = fs::read(run.folder.path().join("rankings/unfinished.warc")).unwrap();
        let companies = format!("{}/stocks/", server.address());
        let refusals = memmem::find_iter(&kept, companies.as_bytes());
        assert!(refusals.count() >= 5, "{what}");
    }
}

/// The pauses are 100, 200, 400 and 800 ms; without `--retry-pause` they are 5 to 40 s.
#[test]
fn five_429s_without_a_retry_after_end_the_run() {
    for headers in ["", "Retry-After: soon\r\n", "Retry-After: 0\r\n"] {
        let refuse = move |path: &str| {
            let is_company = path.starts_with("/stocks/");
            is_company.then(|| reply("429 Too Many Requests", headers, b""))
        };
        let server = TestServer::start(Market::embedded(None, SEED), move |path, _| refuse(path));
        let run = Run::new(&server, &["--workers", "8", "--retry-pause", "10"]);
        let why = [
            "asks for fewer requests (HTTP status 429, 5 times in a row",
            "--rps 1",
        ];
        run.assert_failed(4, &why);
        assert!(server.requests().len() <= MAX_REQUESTS, "{headers}");
        let failed = json(&run.folder.path().join("rankings/failed-run.json"));
        assert!(failed["paused_seconds"].as_f64() >= Some(1.5), "{failed}");
    }
}

/// The pauses are 10 and 20 ms. Three pages are refused twice each, and none is lost.
#[test]
fn a_429_without_a_retry_after_pauses_the_host() {
    let server = TestServer::start(market(), |path, earlier| {
        let refuses = [COMPANY, INDEX_2, "/stocks/a-stock"].contains(&path) && earlier < 2;
        refuses.then(|| Reply::status("429 Too Many Requests"))
    });
    let run = Run::new(&server, &["--retry-pause", "1"]);
    assert_eq!(run.ran.code, 0, "{}", run.ran.stderr);
    assert_eq!(server.asked(COMPANY), 3);
    let report = json(&run.folder.path().join("rankings/run.json"));
    assert!(report["paused_seconds"].as_f64() > Some(0.0), "{report}");
}

/// One worker, so the order is fixed: refusals 1, 2, 4, 6 and 7 with a 502 after the second and the third.
/// Retries of these come much later.
#[test]
fn transient_failures_between_refusals_do_not_end_the_row() {
    let companies = market().companies().to_vec();
    let path = |at: usize| companies[at].path.clone();
    let refused: Vec<String> = [1, 2, 4, 6, 7].map(path).into();
    let faulty: Vec<String> = [3, 5].map(path).into();
    let server = TestServer::start(market(), move |path, earlier| {
        if refused.iter().any(|one| one == path) {
            return Some(Reply::status("405 Not Allowed"));
        }
        let is_faulty = faulty.iter().any(|one| one == path) && earlier == 0;
        is_faulty.then(|| Reply::status("502 Bad Gateway"))
    });
    let options = ["--workers", "1", "--readers", "1", "--retry-pause", "60000"];
    Run::new(&server, &options).assert_failed(4, &["the site refuses requests", "HTTP status 405"]);
}

/// Cloudflare's statuses for a server that it cannot reach.
#[test]
fn statuses_of_an_unreachable_origin_are_transient() {
    for status in [520, 521, 522, 523, 524, 525, 526, 527, 529, 530] {
        let server = TestServer::start(market(), move |path, earlier| {
            let fails = path == COMPANY && earlier == 0;
            fails.then(|| Reply::status(&format!("{status} Origin")))
        });
        Run::new(&server, &["--retry-pause", "1"]).assert_complete(1);
    }
}

#[test]
fn a_refused_index_page_ends_the_run_at_once() {
    for (reply, what) in REFUSALS {
        let server = TestServer::start(market(), move |path, _| {
            path.starts_with("/index/").then(reply)
        });
        let run = Run::new(&server, &["--workers", "8"]);
        run.assert_failed(4, &["page 1 of the index", what]);
        // robots.txt, the rates, the page
        assert!(server.requests().len() <= 3, "{what}");
    }
}

/// A redirect to a log-in on the same host is a refusal, a redirect to the page's address of today is not.
#[test]
fn a_redirect_to_another_kind_of_page_is_a_refusal() {
    let to = |target: &'static str| {
        TestServer::start(market(), move |path, _| {
            if let Some(name) = path.strip_prefix("/stocks/") {
                let location = format!("Location: {}\r\n", target.replace("NAME", name));
                return Some(reply("302 Found", &location, b""));
            }
            path.starts_with("/new")
                .then(|| page("<html>Something else</html>"))
        })
    };
    let server = to("/new/login?return=NAME");
    let what = "redirects it to another kind of page, http://127.0.0.1";
    Run::new(&server, &[]).assert_failed(4, &["the site refuses requests", what]);
    let server = to("/index/components/s&p_500?p=1");
    Run::new(&server, &[]).assert_failed(4, &["the site refuses requests", what]);
    let server = to("/new/NAME");
    Run::new(&server, &[]).assert_failed(5, &["60 of 60 pages cannot be parsed"]);
}

/// A page of a site that is out of order may have the scripts of a product.
#[test]
fn a_script_on_an_error_page_is_no_refusal() {
    let body = b"<title>500</title><script>window._pxAppId = 'PX1'; captcha</script>";
    let server = TestServer::start(market(), move |path, earlier| {
        let fails = path == COMPANY && earlier == 0;
        fails.then(|| reply("500 Internal Server Error", "", body))
    });
    Run::new(&server, &["--retry-pause", "1"]).assert_complete(1);
}

/// Without a Content-Length, a page may have been cut before its landmarks.
#[test]
fn words_of_a_page_cut_short_are_no_refusal() {
    let server = TestServer::start(market(), |path, earlier| {
        let is_cut = path == COMPANY && earlier == 0;
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html";
        is_cut.then(|| Reply::with_head(head, b"<html><script>captcha</script>"))
    });
    Run::new(&server, &["--retry-pause", "1"]).assert_complete(1);
}

/// The site serves pages between its refusals, so no fetcher waits for long.
#[test]
fn a_site_that_refuses_single_pages_serves_all_others() {
    let market = Market::embedded(None, SEED);
    let refused: HashSet<String> = market
        .companies()
        .iter()
        .step_by(8)
        .map(|company| company.path.clone())
        .collect();
    let number = refused.len();
    let server = TestServer::start(market, move |path, _| {
        refused
            .contains(path)
            .then(|| Reply::status("403 Forbidden"))
    });
    for workers in ["2", "8", "32"] {
        let options = [
            "--workers",
            workers,
            "--min-companies",
            "1",
            "--max-time",
            "60",
        ];
        let run = Run::new(&server, &options);
        assert_eq!(run.ran.code, 3, "{}", run.ran.stderr);
        let report = json(&run.folder.path().join("rankings/run.json"));
        assert_eq!(ledger(&report)[2], number as u64, "{report}");
    }
}

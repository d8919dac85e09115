//! The check by cookie of the bank: a redirect to the same address with a `Set-Cookie`. On the site of the
//! index it is a refusal.

use indexrank::replica::{Market, SEED};

use crate::run::{COMPANY, INDEX_2, RATES, Run, always, market, once};
use crate::support::{Reply, Request, TestServer, indexrank, json};

fn redirect(to: &str, cookies: &[&str]) -> Reply {
    let mut head = format!("302 Found\r\nLocation: {to}");
    for cookie in cookies {
        head += &format!("\r\nSet-Cookie: {cookie}");
    }
    Reply::status(&head)
}

/// The path and the cookie of each request.
fn cookies(requests: &[Request]) -> Vec<(&str, Option<&str>)> {
    fn cookie(request: &Request) -> Option<&str> {
        let mut lines = request.headers.iter();
        lines.find_map(|line| line.strip_prefix("cookie: "))
    }
    requests
        .iter()
        .map(|request| (&*request.path, cookie(request)))
        .collect()
}

#[test]
fn sends_the_cookie_of_the_bank_back_once() {
    for (set, sent) in [
        (
            &["__ddg=abc123; Path=/; HttpOnly; Max-Age=3600"][..],
            "__ddg=abc123",
        ),
        (&["a=1;Secure", "b=2; Domain=bank.example"], "a=1; b=2"),
    ] {
        for location in [RATES, "", "XML_daily.asp#rates"] {
            let server = once(RATES, move || redirect(location, set));
            let run = Run::new(&server, &["--record", "run.warc"]);
            run.assert_complete(0);
            let requests = server.requests();
            let all = cookies(&requests);
            let of_rates: Vec<_> = all.iter().filter(|(path, _)| *path == RATES).collect();
            assert_eq!(of_rates, [&(RATES, None), &(RATES, Some(sent))]);
            // No other request has a cookie.
            assert_eq!(all.iter().filter(|(_, cookie)| cookie.is_some()).count(), 1);
            let replayed = indexrank(run.folder.path(), &["--from", "run.warc", "-q"]);
            assert_eq!(replayed.code, 0, "{}", replayed.stderr);
        }
    }
}

#[test]
fn fails_if_the_bank_repeats_its_cookie_check() {
    let server = always(RATES, || redirect(RATES, &["a=1; Path=/"]));
    let run = Run::new(&server, &["--retry-pause", "10"]);
    assert_eq!(run.ran.code, 6, "{}", run.ran.stderr);
    let words = "a redirect to the same address, again after its cookie was sent back";
    assert!(run.ran.stderr.contains(words), "{}", run.ran.stderr);
    assert_eq!(server.asked(RATES), 2);

    // Without a cookie, it is a loop.
    for cookies in [&[][..], &["nameless"], &["=1"]] {
        let server = always(RATES, move || redirect(RATES, cookies));
        let run = Run::new(&server, &["--retry-pause", "10"]);
        assert_eq!(run.ran.code, 6, "{}", run.ran.stderr);
        assert!(
            run.ran.stderr.contains("more than 5 redirects"),
            "{}",
            run.ran.stderr
        );
        assert_eq!(server.asked(RATES), 6);
    }
}

/// Neither to another host, nor after a redirect to another address.
#[test]
fn sends_no_cookie_that_was_not_set_by_a_check() {
    let other = TestServer::start(market(), |_, _| None);
    let elsewhere = format!("{}{RATES}", other.address());
    let server = TestServer::start(market(), move |path, earlier| match (path, earlier) {
        (RATES, 0) => Some(redirect(RATES, &["a=1"])),
        (RATES, _) => Some(redirect(&elsewhere, &["b=2"])),
        _ => None,
    });
    let run = Run::new(&server, &[]);
    assert_eq!(run.ran.code, 6, "{}", run.ran.stderr);
    assert!(
        run.ran.stderr.contains("a redirect to another site"),
        "{}",
        run.ran.stderr
    );
    assert_eq!(other.requests().len(), 0);
    Run::new(&other, &[]).assert_complete(0);

    let server = TestServer::start(market(), |path, _| {
        (path == RATES).then(|| redirect("/scripts/XML_daily.asp?x", &["a=1"]))
    });
    Run::new(&server, &[]);
    assert!(
        cookies(&server.requests())
            .iter()
            .all(|(_, cookie)| cookie.is_none())
    );
}

#[test]
fn a_cookie_check_on_the_index_site_is_a_refusal() {
    let words = "a redirect to the same address with a cookie (Set-Cookie), a check that lets only browsers through";
    let server = always(COMPANY, || redirect(COMPANY, &["a=1; Path=/"]));
    let run = Run::new(&server, &[]);
    run.assert_without_the_company("challenge");
    assert!(run.ran.stderr.contains(words), "{}", run.ran.stderr);
    assert_eq!(server.asked(COMPANY), 1);
    assert!(
        cookies(&server.requests())
            .iter()
            .all(|(_, cookie)| cookie.is_none())
    );

    for page in ["/index/components/s&p_500?p=1", INDEX_2] {
        let server = always(page, move || redirect(page, &["a=1", "b=2"]));
        Run::new(&server, &[]).assert_failed(4, &[words, "does not try to get around that"]);
        assert_eq!(server.asked(page), 1);
    }

    let server = TestServer::start(market(), |path, _| {
        path.starts_with("/stocks/")
            .then(|| redirect(path, &["a=1"]))
    });
    let run = Run::new(&server, &["--workers", "1", "--readers", "1"]);
    run.assert_failed(4, &["the site refuses requests", words]);
}

/// A site may set a cookie with any redirect.
#[test]
fn a_redirect_to_another_address_may_set_a_cookie() {
    let server = TestServer::start(Market::embedded(Some(60), SEED), |path, _| {
        (path == COMPANY).then(|| redirect("/stocks/mmm-stock?from=mmm", &["a=1"]))
    });
    let run = Run::new(&server, &[]);
    let report = json(&run.folder.path().join("rankings/run.json"));
    assert_eq!(report["failures"][0]["reason"], "gone", "{report}");
    assert!(
        cookies(&server.requests())
            .iter()
            .all(|(_, cookie)| cookie.is_none())
    );
}

//! Companies whose addresses have characters that no address may contain: they are percent-encoded on the
//! wire, and stay as they are in the results.

use std::fs;

use indexrank::site::paths::INDEX_PREFIX;

use crate::run::{COMPANIES, COMPANY, Run, company_html, market};
use crate::support::{RANKINGS, Reply, TestServer, indexrank, json, ledger, start_serve};

/// Companies of the small market: its slug, the slug in the index, the one on the wire, and the one that
/// its own page names.
const SLUGS: [[&str; 4]; 16] = [
    [
        "aapl",
        "münchener_rück",
        "m%C3%BCnchener_r%C3%BCck",
        "münchener_rück",
    ],
    ["abbv", "société", "soci%C3%A9t%C3%A9", "soci%C3%A9t%C3%A9"],
    ["abmd", "caf%E9", "caf%E9", "café"],
    ["adbe", "back`tick", "back%60tick", "back`tick"],
    ["akam", "less<more>", "less%3Cmore%3E", "less%3cmore%3e"],
    ["algn", "quo\"te", "quo%22te", "quo%22te"],
    ["amat", "bra{c}e", "bra%7Bc%7De", "bra{c}e"],
    ["amd", "two words", "two%20words", "two%20words"],
    ["amgn", "up^per", "up%5Eper", "up^per"],
    ["amzn", "pi|pe", "pi%7Cpe", "pi%7cpe"],
    ["atvi", "100%", "100%", "100%"],
    ["axp", "d%c3%a9j%C3%A0", "d%c3%a9j%C3%A0", "déjà"],
    ["ba", "日本", "%E6%97%A5%E6%9C%AC", "日本"],
    ["bac", "a\u{a0}b", "a%C2%A0b", "a%C2%A0b"],
    ["avb", "ü%26d", "%C3%BC%26d", "ü%26d"],
    ["avgo", "ü&d", "%C3%BC&d", "ü&d"],
];

fn listed(slug: &str) -> String {
    let slug = slug.replace('&', "&amp;").replace('<', "&lt;");
    slug.replace('>', "&gt;").replace('"', "&quot;")
}

/// An index page with other slugs.
fn index_page(number: u32) -> String {
    let mut page = market().index_page(number);
    for [own, slug, ..] in SLUGS {
        page = page.replace(
            &format!("/stocks/{own}-stock"),
            &format!("/stocks/{}-stock", listed(slug)),
        );
    }
    page
}

/// The page of the company with this path on the wire.
fn company_page(path: &str) -> Option<Vec<u8>> {
    let slug = path.strip_prefix("/stocks/")?.strip_suffix("-stock")?;
    let [own, _, _, named] = SLUGS.iter().find(|slugs| slugs[2] == slug)?;
    let page = String::from_utf8(company_html(&format!("/stocks/{own}-stock"))).unwrap();
    let page = page.replace(
        &format!("/stocks/{own}/price"),
        &format!("/stocks/{}/price", named.replace('"', "\\\"")),
    );
    let page = page.replace(
        &format!("%2fstocks%2f{own}-stock"),
        &format!(
            "%2fstocks%2f{}-stock",
            named.replace('%', "%25").replace(' ', "+")
        ),
    );
    Some(page.into_bytes())
}

fn site() -> TestServer {
    TestServer::start(market(), |path, _| {
        if let Some(page) = company_page(path) {
            return Some(Reply::Page(page));
        }
        let (_, number) = path.strip_prefix(INDEX_PREFIX)?.split_once("?p=")?;
        Some(Reply::Page(index_page(number.parse().ok()?).into_bytes()))
    })
}

#[test]
fn requests_replays_and_serves_every_character() {
    for [own, ..] in SLUGS {
        let path = format!("/stocks/{own}-stock");
        assert!(
            market()
                .companies()
                .iter()
                .any(|company| company.path == path),
            "{own}"
        );
    }
    let quiet = Run::new(&TestServer::start(market(), |_, _| None), &[]);
    let server = site();
    let folder = tempfile::tempdir().unwrap();
    let rank = |from: &str, options: &[&str]| {
        let base = ["--from", from, "--table", "all.csv"];
        let ran = indexrank(folder.path(), &[&base, options].concat());
        assert_eq!(
            (ran.code, ran.stderr.contains("warning")),
            (0, false),
            "{}",
            ran.stderr
        );
        let report = json(&folder.path().join("rankings/run.json"));
        assert_eq!(
            ledger(&report),
            [COMPANIES as u64, COMPANIES as u64, 0, 0, 0]
        );
        assert_eq!(report["unnamed"].as_u64().unwrap_or(0), 0);
        for name in RANKINGS {
            let ranking = fs::read_to_string(folder.path().join("rankings").join(name)).unwrap();
            assert_eq!(ranking, quiet.read(name), "{from}: {name}");
        }
        let table = fs::read_to_string(folder.path().join("all.csv")).unwrap();
        for [_, slug, ..] in SLUGS {
            let path = format!("/stocks/{}-stock", slug.replace('"', "\"\""));
            assert!(table.contains(&path), "{from}: no {path} in\n{table}");
        }
        table
    };
    let table = rank(server.address(), &["--record", "run.warc.gz"]);
    for [_, _, wire, _] in SLUGS {
        assert_eq!(server.asked(&format!("/stocks/{wire}-stock")), 1, "{wire}");
    }
    for request in server.requests() {
        assert!(
            request.path.bytes().all(|byte| byte.is_ascii_graphic()),
            "{request:?}"
        );
        assert!(
            !request
                .path
                .contains(['"', '<', '>', '\\', '^', '`', '{', '|', '}'])
        );
    }
    assert!(rank("run.warc.gz", &[]) == table);
    let (mut serve, address) = start_serve(folder.path(), &["--from", "run.warc.gz"]);
    assert!(rank(&address, &[]) == table);
    serve.kill().unwrap();
    serve.wait().unwrap();
}

/// The first run lacks one company, so it keeps its journal.
#[test]
fn resumes_every_character_from_the_journal() {
    let server = TestServer::start(market(), |path, earlier| {
        if path == COMPANY && earlier < 4 {
            return Some(Reply::status("503 Busy"));
        }
        if let Some(page) = company_page(path) {
            return Some(Reply::Page(page));
        }
        let (_, number) = path.strip_prefix(INDEX_PREFIX)?.split_once("?p=")?;
        Some(Reply::Page(index_page(number.parse().ok()?).into_bytes()))
    });
    let folder = tempfile::tempdir().unwrap();
    let options = ["--from", server.address(), "--retry-pause", "10"];
    assert_eq!(indexrank(folder.path(), &options).code, 3);
    let ran = indexrank(folder.path(), &[&options[..], &["--resume"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for [_, _, wire, _] in SLUGS {
        assert_eq!(server.asked(&format!("/stocks/{wire}-stock")), 1, "{wire}");
    }
}

/// The numbered pages, their second looks, the letter pages and two rows of one page spell it differently.
#[test]
fn spellings_of_one_address_are_one_company() {
    for spellings in [
        ["münchen", "m%C3%BCnchen", "m%c3%bcnchen"],
        ["m%C3%BCnchen", "m%c3%bcnchen", "münchen"],
        ["m%c3%bcnchen", "münchen", "m%C3%BCnchen"],
        ["a|b", "a%7cb", "a%7Cb"],
        ["two words", "two%20words", "two words"],
        ["m%2dm", "m-m", "%6D-m"],
    ] {
        let server = TestServer::start(market(), move |path, earlier| {
            let respell = |page: String, slug: &str| {
                let row = page
                    .split("<tr>")
                    .find(|row| row.contains("/stocks/abbv-stock"));
                let Some(row) = row.map(|row| row.split_inclusive("</tr>").next().unwrap()) else {
                    return page;
                };
                let new = |slug: &str| {
                    row.replace("/stocks/abbv-stock", &format!("/stocks/{slug}-stock"))
                };
                page.replace(row, &format!("{}<tr>{}", new(slug), new(spellings[2])))
            };
            if let Some(slug) = path.strip_prefix("/stocks/") {
                let decoded = percent_encoding::percent_decode_str(slug)
                    .decode_utf8()
                    .ok()?;
                let own = percent_encoding::percent_decode_str(spellings[0])
                    .decode_utf8()
                    .ok()?;
                if decoded == format!("{own}-stock") {
                    let page = String::from_utf8(company_html("/stocks/abbv-stock")).unwrap();
                    let page = page.replace("/stocks/abbv/price", &format!("/stocks/{own}/price"));
                    return Some(Reply::Page(page.into_bytes()));
                }
                return None;
            }
            let rest = path.strip_prefix(INDEX_PREFIX)?;
            let page = match rest.split_once("?p=") {
                Some((_, number)) => {
                    let page = market().index_page(number.parse().ok()?);
                    respell(page, spellings[earlier.min(1)])
                }
                None => {
                    let (_, letter) = rest.split_once('/')?;
                    respell(market().letter_page(letter), spellings[1])
                }
            };
            Some(Reply::Page(page.into_bytes()))
        });
        let run = Run::new(&server, &["--walk", "both"]);
        run.assert_complete(0);
        let report = json(&run.folder.path().join("rankings/run.json"));
        for walk in report["walks"].as_array().unwrap() {
            assert_eq!(
                [&walk["only"], &walk["lacks"]],
                [&serde_json::json!([]); 2],
                "{spellings:?}"
            );
        }
        assert!(
            !run.ran.stderr.contains("warning"),
            "{spellings:?}: {}",
            run.ran.stderr
        );
        let wire = indexrank::site::paths::encoded(spellings[0]);
        assert_eq!(
            server.asked(&format!("/stocks/{wire}-stock")),
            1,
            "{spellings:?}"
        );
        let companies = server.requests();
        let companies = companies
            .iter()
            .filter(|request| request.path.starts_with("/stocks/"));
        assert_eq!(companies.count(), COMPANIES);
    }
}

/// Raw UTF-8, Latin-1 and odd ASCII in `Location`.
#[test]
fn follows_a_location_with_any_bytes() {
    for (location, wire) in [
        ("/stocks/mmm-stock/ü".as_bytes(), "/stocks/mmm-stock/%C3%BC"),
        (b"/stocks/mmm-stock/\xfc", "/stocks/mmm-stock/%FC"),
        (b"/stocks/mmm-stock?q=\xfc", "/stocks/mmm-stock?q=%FC"),
        (b"mmm-stock/%C3%BC", "/stocks/mmm-stock/%C3%BC"),
        (
            b"/stocks/mmm-stock/a b`<\"{}^|",
            "/stocks/mmm-stock/a%20b%60%3C%22%7B%7D%5E%7C",
        ),
        (b"/stocks/mmm-stock/100%", "/stocks/mmm-stock/100%"),
        (b"/stocks/mmm-stock/x#\xfc", "/stocks/mmm-stock/x"),
    ] {
        let server = TestServer::start(market(), move |path, _| match path {
            COMPANY => {
                let head = b"HTTP/1.1 301 Moved\r\nContent-Length: 0\r\nLocation: ";
                Some(Reply::Raw([head, location, b"\r\n\r\n"].concat()))
            }
            _ => (path == wire).then(|| Reply::Page(company_html(COMPANY))),
        });
        let run = Run::new(&server, &["--record", "run.warc"]);
        run.assert_complete(0);
        assert_eq!(server.asked(wire), 1, "{wire}");
        let replayed = indexrank(run.folder.path(), &["--from", "run.warc", "-q"]);
        assert_eq!(replayed.code, 0, "{}", replayed.stderr);
    }
}

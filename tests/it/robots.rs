//! robots.txt as sites send it: for a version of the program, longer than its limit, on another host, and
//! without the numbered pages of the index.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::run::{COMPANY, OK, Run, always, market};
use crate::support::{Reply, TestServer, files, indexrank, json};

const ROBOTS: &str = "/robots.txt";
const INDEX_1: &str = "/index/components/s&p_500?p=1";
const LETTER_A: &str = "/index/components/s&p_500/A";

fn robots(text: impl Into<Vec<u8>>) -> TestServer {
    let text = text.into();
    always(ROBOTS, move || Reply::Page(text.clone()))
}

fn redirect(to: &str) -> Reply {
    Reply::status(&format!("302 Found\r\nLocation: {to}"))
}

#[test]
fn a_group_may_name_the_version() {
    let text = "User-agent: other\nUser-agent: IndexRank/0.1 # us\nDisallow: /stocks/mmm\n\n\
                User-agent: indexrank-news\nDisallow: /\n\nUser-agent: *\nDisallow: /\n";
    let server = robots(text);
    Run::new(&server, &[]).assert_without_the_company("robots");
    assert_eq!(server.asked(COMPANY), 0);

    let server = robots("User-agent: mybot/3\nDisallow: /stocks/mmm\n");
    let own = ["--user-agent", "mybot/2 (me@example.org)"];
    Run::new(&server, &own).assert_without_the_company("robots");
    Run::new(&server, &["--user-agent", "mybots/2"]).assert_complete(0);
}

/// Ten megabytes: a rule at the start, comments, a rule at the end.
fn long_text() -> Vec<u8> {
    let comment = format!("# {}\n", "x".repeat(97));
    let text = format!(
        "User-agent: *\nDisallow: /stocks/mmm\n{}Disallow: /\n",
        comment.repeat(100_000)
    );
    text.into_bytes()
}

/// Bytes that do not compress, in lines of comments.
fn noise() -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(1);
    let mut text = b"User-agent: *\nDisallow: /stocks/mmm\n".to_vec();
    while text.len() < 3 << 20 {
        text.push(b'#');
        text.extend((0..1000).map(|_| random.u8(128..)));
        text.push(b'\n');
    }
    text.extend_from_slice(b"Disallow: /\n");
    text
}

fn gzip(members: &[&[u8]]) -> Vec<u8> {
    let member = |text: &&[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    };
    members.iter().flat_map(member).collect()
}

#[test]
fn obeys_the_first_500_kib_of_a_longer_file() {
    let text = long_text();
    let (start, end) = text.split_at(100_000);
    let chunks: Vec<u8> = text
        .chunks(50_000)
        .flat_map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat())
        .chain(*b"0\r\n\r\n")
        .collect();
    let encoded = format!("{OK}\r\nContent-Encoding: gzip");
    let one = gzip(&[&text]);
    let length = format!("{encoded}\r\nContent-Length: {}", one.len());
    for (what, head, body) in [
        (
            "length",
            format!("{OK}\r\nContent-Length: {}", text.len()),
            text.clone(),
        ),
        ("to the end", OK.to_owned(), text.clone()),
        (
            "chunks",
            format!("{OK}\r\nTransfer-Encoding: chunked"),
            chunks,
        ),
        ("gzip", length, one),
        ("two members", encoded.clone(), gzip(&[start, end])),
        ("noise", encoded, gzip(&[&noise()])),
    ] {
        let server = always(ROBOTS, move || Reply::with_head(&head, &body));
        let run = Run::new(&server, &["--record", "run.warc"]);
        run.assert_without_the_company("robots");
        assert_eq!(
            (server.asked(ROBOTS), server.asked(COMPANY)),
            (1, 0),
            "{what}"
        );
        let replayed = indexrank(run.folder.path(), &["--from", "run.warc", "-q"]);
        assert_eq!(replayed.code, 3, "{what}: {}", replayed.stderr);
    }
    // A body that is damaged before that has no rules to obey.
    for body in [
        gzip(&[&noise()])[..300_000].to_vec(),
        gzip(&[&text[..2000]])[..50].to_vec(),
    ] {
        let encoded = format!("{OK}\r\nContent-Encoding: gzip");
        let server = always(ROBOTS, move || Reply::with_head(&encoded, &body));
        let run = Run::new(&server, &["--retry-pause", "10"]);
        run.assert_failed(4, &["robots.txt cannot be obeyed", "does not inflate"]);
        assert_eq!(server.requests().len(), 4);
    }
}

/// The rules of the other host count for this one, and the recording has them under its own address.
#[test]
fn follows_five_redirects_to_any_host() {
    let target = robots("User-agent: *\nDisallow: /stocks/mmm\n");
    for hops in 1..=6 {
        let there = format!(
            "http://me:secret@{}{ROBOTS}",
            &target.address()["http://".len()..]
        );
        let server = TestServer::start(market(), move |path, _| {
            let hop = match path {
                ROBOTS => 1,
                path => path.strip_prefix("/hop/")?.parse().ok()?,
            };
            let next = if hop == hops {
                there.clone()
            } else {
                format!("/hop/{}", hop + 1)
            };
            Some(redirect(&(next + "\r\nSet-Cookie: a=1")))
        });
        let before = target.requests().len();
        let run = Run::new(&server, &["--record", "run.warc"]);
        if hops > 5 {
            // Unavailable, as RFC 9309 says: everything is allowed.
            run.assert_complete(0);
            assert_eq!(target.requests().len(), before);
            continue;
        }
        run.assert_without_the_company("robots");
        assert_eq!(target.requests().len(), before + 1);
        let recording = std::fs::read(run.folder.path().join("run.warc")).unwrap();
        let recorded = format!("WARC-Target-URI: {}{ROBOTS}\r\n", server.address());
        assert!(memchr::memmem::find(&recording, recorded.as_bytes()).is_some());
        let reached = format!("X-Redirected-To: {}{ROBOTS}\r\n", target.address());
        assert!(memchr::memmem::find(&recording, reached.as_bytes()).is_some());
        let replayed = indexrank(run.folder.path(), &["--from", "run.warc", "-q"]);
        assert_eq!(replayed.code, 3, "{}", replayed.stderr);
    }
    let told = |line: &String| line.starts_with("cookie") || line.starts_with("authorization");
    for request in target.requests() {
        assert!(!request.headers.iter().any(told), "{request:?}");
    }
}

#[test]
fn a_robots_redirect_without_a_usable_target_allows_all_and_an_unreachable_target_nothing() {
    for to in [
        "ftp://site.example/robots.txt",
        "http://",
        "http://site.example:99999/",
        ROBOTS,
    ] {
        let server = always(ROBOTS, move || redirect(to));
        Run::new(&server, &[]).assert_complete(0);
    }
    let server = always(ROBOTS, || Reply::status("301 Moved"));
    Run::new(&server, &[]).assert_complete(0);
    let other = always("/missing", || Reply::status("404 Not Found"));
    let to = format!("{}/missing", other.address());
    let server = always(ROBOTS, move || redirect(&to));
    Run::new(&server, &[]).assert_complete(0);

    for (to, words) in [
        (
            "http://127.0.0.1:1/robots.txt",
            "the connection was refused",
        ),
        (
            "http://nobody.invalid/robots.txt",
            "the host name nobody.invalid cannot be resolved",
        ),
    ] {
        let server = always(ROBOTS, move || redirect(to));
        let run = Run::new(&server, &["--retry-pause", "10"]);
        run.assert_failed(4, &["robots.txt, which is requested first", words]);
        assert_eq!(server.requests().len(), server.asked(ROBOTS));
    }
}

/// Company pages of another host are still not followed.
#[test]
fn only_robots_txt_may_be_on_another_host() {
    let other = robots("");
    let to = format!("{}{COMPANY}", other.address());
    let server = always(COMPANY, move || redirect(&to));
    Run::new(&server, &[]).assert_without_the_company("offsite");
    Run::new(&other, &[]).assert_complete(0);
    assert_eq!(other.asked(COMPANY), 1);
}

const LETTERS: &str = "--walk letters needs only the letter pages, which robots.txt allows";

#[test]
fn advises_the_letter_pages_where_numbered_ones_are_forbidden() {
    for rule in [
        "/*?p=",
        "/*/*?p=*",
        "*/*?p=*",
        "/index/components/*?p=1",
        "/*?",
    ] {
        let server = robots(format!("User-agent: *\nDisallow: {rule}\n"));
        for options in [&[][..], &["--walk", "both"], &["--dry-run"]] {
            let folder = tempfile::tempdir().unwrap();
            let ran = indexrank(
                folder.path(),
                &[&["--from", server.address()], options].concat(),
            );
            assert_eq!(ran.code, 4, "{rule} {options:?}: {}", ran.stderr);
            assert!(
                ran.stderr.contains(LETTERS),
                "{rule} {options:?}: {}",
                ran.stderr
            );
            assert!(ran.stderr.contains("page 1 of the index"), "{}", ran.stderr);
        }
        let folder = tempfile::tempdir().unwrap();
        let ran = indexrank(
            folder.path(),
            &["check", "--json", "--from", server.address()],
        );
        let checked: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(ran.code, 4);
        assert!(
            checked["next"].as_str().unwrap().ends_with(LETTERS),
            "{checked}"
        );

        Run::new(&server, &["--walk", "letters"]).assert_complete(0);
        assert_eq!(server.asked(LETTER_A), 1);
        let numbered = |path: &str| path.contains('?');
        assert!(
            server
                .requests()
                .iter()
                .all(|request| !numbered(&request.path))
        );
    }
    // The second page may be the first that is forbidden.
    let server = robots("User-agent: *\nDisallow: /*?p=2\n");
    Run::new(&server, &[]).assert_failed(4, &["page 2 of the index", LETTERS]);
}

#[test]
fn advises_no_letter_pages_that_are_forbidden_too() {
    for rules in [
        "Disallow: /",
        "Disallow: /index/",
        "Disallow: /*?p=\nDisallow: /index/components/s&p_500/A",
        "Disallow: /*?p=\nDisallow: /*/0-9$",
        "Disallow: /*s&p_500",
    ] {
        let server = robots(format!("User-agent: *\n{rules}\n"));
        let run = Run::new(&server, &[]);
        run.assert_failed(4, &["--ignore-robots is for a server of your own"]);
        assert!(!run.ran.stderr.contains("--walk"), "{}", run.ran.stderr);
        let ran = indexrank(run.folder.path(), &["check", "--from", server.address()]);
        assert!(!ran.stdout.contains("--walk"), "{}", ran.stdout);
    }
}

#[test]
fn a_dry_run_over_letter_pages_needs_no_numbered_page() {
    let server = robots("User-agent: *\nDisallow: /*?p=\n");
    let folder = tempfile::tempdir().unwrap();
    let estimate = |index| {
        let from = ["--from", server.address(), "--index", index];
        let dry = ["--dry-run", "--json", "--walk", "letters"];
        let ran = indexrank(folder.path(), &[from, dry].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        serde_json::from_str::<Value>(&ran.stdout).unwrap()
    };
    let why = "because robots.txt forbids the page that lists them";
    let known = estimate("s&p_500");
    // robots.txt, the rates, 27 letters and 500 companies.
    let figures = ["index_pages", "companies", "requests", "requests_sent"];
    assert_eq!(
        figures.map(|key| known[key].as_u64().unwrap()),
        [27, 500, 529, 1]
    );
    assert_eq!(known["about"], format!("by the name of the index, {why}"));
    let unknown = estimate("dax");
    assert_eq!(
        figures.map(|key| unknown[key].as_u64().unwrap()),
        [27, 0, 29, 1]
    );
    assert_eq!(
        unknown["warnings"],
        json!([format!("companies: not known, {why}")])
    );
    assert_eq!(files(folder.path()), [""; 0]);
    assert_eq!(server.asked(INDEX_1), 0);
    let report = Run::new(&server, &["--walk", "letters"]);
    assert_eq!(
        json(&report.folder.path().join("rankings/run.json"))["failures"],
        json!([])
    );
}

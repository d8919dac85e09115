//! The sentence, the advice and the offer to resume for each cause. One row for each.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::thread;

use indexrank::replica::{Faults, Line, Pages, Plan, Server};

use crate::run::{RATES, market};
use crate::support::{Ran, indexrank};

/// A server of the market of 60 companies with these faults.
fn server(faults: &str) -> Server {
    let server = Server::start(Pages::of_market(&market()), 0, Line::default(), None).unwrap();
    if !faults.is_empty() {
        server.misbehave(Plan::new(faults.parse::<Faults>().unwrap(), 1));
    }
    server
}

/// Runs in `folder` with short limits and no delay between attempts.
fn run(folder: &Path, from: &str, options: &[&str]) -> Ran {
    let quick = ["--from", from, "-q", "--retry-pause", "0"];
    indexrank(folder, &[&quick, options].concat())
}

fn offers_to_resume(ran: &Ran) -> bool {
    ran.stderr.contains("to resume") || ran.stderr.contains("to fetch only what is missing")
}

/// No cause is told in the words of another one, of a library or of a programmer.
#[track_caller]
fn assert_plain(ran: &Ran) {
    for words in ["os error", "Error(", "Some(", "::", "protocol:", "Peer "] {
        let stderr = ran.stderr.replace("://", "");
        assert!(!stderr.contains(words), "{words:?} in {stderr}");
    }
}

#[track_caller]
fn assert_says(what: &str, ran: &Ran, words: &[&str], resumes: bool) {
    for words in words {
        let stderr = &ran.stderr;
        assert!(stderr.contains(words), "{what}: no {words:?} in {stderr}");
    }
    assert_eq!(offers_to_resume(ran), resumes, "{what}: {}", ran.stderr);
    assert_plain(ran);
}

const OUT_OF_ORDER: &str = "; the site is overloaded or out of order: try again later";
const DAMAGED: &str =
    "; the site, or a proxy before it, breaks off or damages its responses: try again later";
const REFUSED: &str = "; indexrank does not try to get around that: wait, and send fewer requests";
const BROWSER: &str = "; open the address in a browser: the site may have moved";
const OTHERWISE: &str = "; the site that indexrank is made for answers otherwise: check --from";
const ENDED: &str = "the connection ended before the response was complete";

/// Page 1 of the index has arrived, and page 2 has the fault.
#[test]
fn each_failure_of_an_index_page_has_its_own_advice() {
    for (fault, sentence, advice, resumes) in [
        ("503", "HTTP status 503", OUT_OF_ORDER, true),
        (
            "429",
            "HTTP status 429, 5 times in a row",
            "; run the command again later, with --workers 4 or --rps 1",
            true,
        ),
        ("408", "HTTP status 408", OUT_OF_ORDER, true),
        ("520", "HTTP status 520", OUT_OF_ORDER, true),
        (
            "501",
            "HTTP status 501",
            "; the site is out of order: try again later",
            false,
        ),
        ("403", "HTTP status 403", REFUSED, true),
        (
            "404",
            "HTTP status 404",
            "; the index links a page that is gone",
            false,
        ),
        (
            "410",
            "HTTP status 410",
            "; the index links a page that is gone",
            false,
        ),
        ("400", "HTTP status 400", BROWSER, false),
        ("418", "HTTP status 418", BROWSER, false),
        (
            "retry-after:600",
            "a pause of 600 s",
            "; run the command again after that",
            true,
        ),
        // After this pause, all kept pages are older than --max-age.
        (
            "retry-after:7200",
            "a pause of 7200 s",
            "; run the command again after that",
            false,
        ),
        ("reset", "the connection was reset", DAMAGED, true),
        (
            "reset-body",
            "before the response was complete",
            DAMAGED,
            true,
        ),
        ("close", ENDED, DAMAGED, true),
        ("short", ENDED, DAMAGED, true),
        ("no-last-chunk", ENDED, DAMAGED, true),
        ("cut", "the page ends without </html>", DAMAGED, true),
        (
            "bad-chunk",
            "the response is not valid HTTP: chunk",
            DAMAGED,
            true,
        ),
        (
            "two-lengths",
            "the response is not valid HTTP: conflicting",
            DAMAGED,
            true,
        ),
        ("garbage", "the response is not valid HTTP", DAMAGED, true),
        (
            "truncated-gzip",
            "the gzip body does not inflate",
            DAMAGED,
            true,
        ),
        (
            "stall:9",
            "not done within --timeout",
            "; the site is slow: try again later",
            true,
        ),
        (
            "endless-head",
            "the headers of the response are larger than 32 KiB",
            OTHERWISE,
            false,
        ),
        ("huge", "the body is larger than 1 MiB", OTHERWISE, false),
        (
            "bomb",
            "the body inflates to more than 2 MiB",
            OTHERWISE,
            false,
        ),
        (
            "encoding:br",
            "the server sent Content-Encoding \"br\"",
            OTHERWISE,
            false,
        ),
        ("redirect-loop", "more than 5 redirects", BROWSER, false),
        (
            "redirect-nowhere",
            "a redirect without a usable address",
            BROWSER,
            false,
        ),
        (
            "redirect:http://localhost:1/",
            "a redirect to another site",
            BROWSER,
            false,
        ),
        ("challenge", "the site sent a block page", REFUSED, true),
        (
            "other-page",
            "its pager says that it is page",
            "run again later without --resume",
            false,
        ),
        (
            "layout",
            "not an index page: no table",
            "; `indexrank check --from http://",
            false,
        ),
    ] {
        let server = server(&format!("{fault}@/index/components/s&p_500?p=2"));
        let folder = tempfile::tempdir().unwrap();
        let ran = run(folder.path(), &server.address(), &["--timeout", "0.7"]);
        assert_eq!(ran.code, if fault == "layout" { 5 } else { 4 }, "{fault}");
        assert_says(fault, &ran, &[sentence, advice], resumes);
        for words in ["check the network", "needs no network"] {
            assert!(!ran.stderr.contains(words), "{fault}: {}", ran.stderr);
        }
    }
}

/// Without page 1, a run keeps no page that would help another run.
#[test]
fn offers_nothing_to_resume_without_page_1() {
    for (fault, words) in [
        ("503@/index/components/*", OUT_OF_ORDER),
        ("cut@/index/components/*", DAMAGED),
        ("challenge@/index/components/*", REFUSED),
        (
            "404@/index/components/*",
            "; the site has no such page now: try again later",
        ),
        (
            "retry-after:600@/index/components/*",
            "run the command again after that",
        ),
        (
            "503@/robots.txt",
            "robots.txt cannot be obeyed (HTTP status 503)",
        ),
    ] {
        let server = server(fault);
        let folder = tempfile::tempdir().unwrap();
        let ran = run(folder.path(), &server.address(), &[]);
        assert_eq!(ran.code, 4, "{fault}: {}", ran.stderr);
        assert_says(fault, &ran, &[words], false);
    }
}

#[test]
fn offers_to_resume_if_a_missing_page_may_come() {
    for (faults, code, resumes) in [
        ("503@/stocks/*", 4, true),
        ("404@/stocks/*", 4, false),
        ("redirect:http://localhost:1/@/stocks/*", 4, true),
        ("bomb@/stocks/*", 4, false),
        // Five refusals in a row end the run, and the other pages may come later.
        ("403@/stocks/*", 4, true),
        ("503@/stocks/a*", 8, true),
        ("404@/stocks/a*", 8, false),
        ("404@/stocks/a*,503@/stocks/mmm-stock", 8, true),
        ("503@/stocks/mmm-stock", 3, true),
        ("403@/stocks/mmm-stock", 3, false),
        ("404@/stocks/mmm-stock", 3, false),
        (&format!("503@{RATES}"), 6, true),
        (&format!("404@{RATES}"), 6, false),
        (&format!("absurd-rate@{RATES}"), 6, false),
    ] {
        let server = server(faults);
        let folder = tempfile::tempdir().unwrap();
        let ran = run(folder.path(), &server.address(), &[]);
        assert_eq!(ran.code, code, "{faults}: {}", ran.stderr);
        assert_says(faults, &ran, &[], resumes);
        let journal = folder.path().join("rankings/unfinished.warc");
        assert!(!resumes || journal.exists(), "{faults}");
    }
}

const NO_SERVER: &str = "; check the address in --from and the network";

#[test]
fn each_failure_to_connect_has_its_own_advice() {
    let folder = tempfile::tempdir().unwrap();
    // Listens, and answers every connection with these bytes.
    let answering = |bytes: &'static [u8]| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                // A thread for each, because a run asks for several pages at once.
                thread::spawn(move || {
                    let _ = stream.read(&mut [0; 1024]);
                    let _ = stream.write_all(bytes);
                    // Closing with unread bytes would reset the connection before the answer is read.
                    while stream.read(&mut [0; 1024]).is_ok_and(|length| length > 0) {}
                });
            }
        });
        address
    };
    let demanding = answering(b"HTTP/1.1 407 Demanding\r\nContent-Length: 0\r\n\r\n");
    let failing = answering(b"HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n");
    let socks = answering(b"\x05\xff");
    let through = |scheme: &str, address: &str| format!("{scheme}://me:sEcReT@{address}");
    for (from, proxy, words) in [
        (
            "http://127.0.0.1:1",
            None,
            vec!["the connection was refused", NO_SERVER],
        ),
        (
            "http://no-such-host.invalid",
            None,
            vec![
                "the host name no-such-host.invalid cannot be resolved",
                NO_SERVER,
            ],
        ),
        (
            "http://x.example",
            Some(through("http", "127.0.0.1:1")),
            vec![
                "the connection was refused, through the proxy 127.0.0.1:1",
                "; check the proxy",
            ],
        ),
        (
            "http://x.example",
            Some(through("http", "no-such-host.invalid:1")),
            vec![
                "no-such-host.invalid cannot be resolved, through the proxy",
                "; check the proxy",
            ],
        ),
        (
            "http://x.example",
            Some(through("http", &demanding.to_string())),
            vec!["refuses: HTTP status 407: it demands a user and a password; check the proxy"],
        ),
        (
            "http://x.example",
            Some(through("http", &failing.to_string())),
            vec![
                "the proxy 127.0.0.1:",
                "refuses: HTTP status 503; check the proxy",
            ],
        ),
        (
            "http://127.0.0.1:1",
            Some(through("socks5", &socks.to_string())),
            vec![
                "the proxy 127.0.0.1:",
                "refuses: no acceptable auth methods; check the proxy",
            ],
        ),
    ] {
        let proxy: Vec<&str> = proxy.iter().flat_map(|proxy| ["--proxy", proxy]).collect();
        let ran = run(folder.path(), from, &proxy);
        assert_eq!(ran.code, 4, "{}", ran.stderr);
        assert_says(from, &ran, &words, false);
        assert!(!ran.stderr.contains("sEcReT"), "{}", ran.stderr);
        let is_direct = proxy.is_empty();
        let advises = ran
            .stderr
            .contains("check the address in --from and the network");
        assert_eq!(advises, is_direct, "{}", ran.stderr);
    }
}

/// Before the first request, or wherever the file that is one too many is needed.
#[test]
#[cfg(unix)]
fn too_many_open_files_are_named_wherever_they_matter() {
    let server = server("");
    let folder = tempfile::tempdir().unwrap();
    let port = server.address().rsplit(':').next().unwrap().to_owned();
    let mut failed = 0;
    for host in ["127.0.0.1", "localhost"] {
        for limit in 5..12 {
            let script = format!(
                "ulimit -n {limit}; exec {} --from http://{host}:{port} -q --retry-pause 0",
                env!("CARGO_BIN_EXE_indexrank")
            );
            let ran = Command::new("bash")
                .args(["-c", &script])
                .current_dir(folder.path())
                .env("NO_PROXY", "*")
                .output()
                .unwrap();
            let stderr = String::from_utf8(ran.stderr).unwrap();
            if ran.status.success() {
                continue;
            }
            failed += 1;
            let advice = "raise the limit";
            assert!(stderr.contains(advice), "{limit}: {stderr}");
            for words in ["the network", "another place", "os error"] {
                assert!(!stderr.contains(words), "{words:?} in {limit}: {stderr}");
            }
        }
    }
    assert!(failed > 4, "{failed}");
}

/// An archive gives the same pages each time, and needs no network.
#[test]
fn an_archive_has_its_own_advice() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let server = server("503@/stocks/mmm-stock");
    // One worker, so that the index comes first in the archive.
    let record = ["--record", "run.warc", "--workers", "1"];
    let ran = run(folder.path(), &server.address(), &record);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let whole = fs::read(path("run.warc")).unwrap();
    fs::write(path("torn.warc"), &whole[..200_000]).unwrap();
    fs::write(path("first.warc"), &whole[..100]).unwrap();
    fs::write(path("page.warc"), "<html>").unwrap();
    fs::write(path("page.warc.gz"), "<html>").unwrap();
    fs::write(path("empty.warc"), "").unwrap();
    let foreign = "; expected one that --record or another program has written as a WARC file";
    for (file, options, code, words) in [
        ("run.warc", &[][..], 3, vec!["mmm-stock: HTTP status 503"]),
        (
            "run.warc",
            &["--index", "dax"],
            4,
            vec!["does not contain it; record a whole run with --record, or check --index"],
        ),
        (
            "run.warc",
            &["--walk", "letters"],
            4,
            vec!["the archive has no letter pages", "or use --walk pages"],
        ),
        (
            "torn.warc",
            &[],
            8,
            vec!["cannot be read from byte", "pages before that are used"],
        ),
        ("first.warc", &[], 2, vec!["is not a WARC archive", foreign]),
        ("page.warc", &[], 2, vec!["is not a WARC archive", foreign]),
        (
            "page.warc.gz",
            &[],
            2,
            vec!["is not a WARC archive", foreign],
        ),
        (
            "empty.warc",
            &[],
            2,
            vec!["is not a WARC archive: it is empty", foreign],
        ),
    ] {
        let ran = run(
            folder.path(),
            file,
            &[&["--out", "replay"], options].concat(),
        );
        assert_eq!(ran.code, code, "{file} {options:?}: {}", ran.stderr);
        assert_says(file, &ran, &words, false);
        for words in ["network", "--resume", "later"] {
            assert!(!ran.stderr.contains(words), "{file}: {}", ran.stderr);
        }
    }
}

/// Numbers and their nouns and verbs agree.
#[test]
fn one_is_singular() {
    for (faults, code, singular, plural) in [
        (
            "404@/stocks/mmm-stock",
            3,
            "1 of 60 companies is missing",
            "1 failures",
        ),
        ("503@/stocks/mmm-stock", 3, ", 1 failure;", "1 failures"),
        ("503@/stocks/mmm-stock#1", 0, ", 1 retry, ", "1 retries"),
    ] {
        let server = server(faults);
        let folder = tempfile::tempdir().unwrap();
        let from = server.address();
        let options = [
            "--from",
            &*from,
            "--retry-pause",
            "0",
            "--workers",
            "1",
            "-v",
        ];
        let ran = indexrank(folder.path(), &options);
        assert_eq!(ran.code, code, "{}", ran.stderr);
        let all = ran.stdout + &ran.stderr;
        assert!(all.contains(singular), "{all}");
        assert!(all.contains(", 1 worker, "), "{all}");
        for words in [plural, "1 workers", "1 readers"] {
            assert!(!all.contains(words), "{words:?} in {all}");
        }
    }
}

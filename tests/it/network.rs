//! Whole runs over networks and servers that are slow, overloaded or absent.

use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use indexrank::replica::{Faults, Line, Pages, Plan, Server};
use serde_json::Value;

use crate::run::{COMPANIES, COMPANY, Run, market};
use crate::support::{Ran, Reply, TestServer, indexrank, json, ledger};

/// Retries after 10 ms.
const QUICK: [&str; 2] = ["--retry-pause", "10"];

/// The result of one run.
struct Outcome {
    ran: Ran,
    /// `run.json`; null unless the run ended with exit code 0 or 3.
    report: Value,
    elapsed: Duration,
}

impl Outcome {
    /// Every company was ranked, within `seconds`.
    #[track_caller]
    fn assert_complete(&self, what: &str, seconds: u64) {
        assert_eq!(self.ran.code, 0, "{what}: {}", self.ran.stderr);
        assert_eq!(
            ledger(&self.report),
            [COMPANIES as u64, COMPANIES as u64, 0, 0, 0],
            "{what}"
        );
        let elapsed = self.elapsed;
        assert!(
            elapsed < Duration::from_secs(seconds),
            "{what}: {elapsed:?}"
        );
    }
}

/// Runs on a market of 60 companies whose server has the faults of `spec`.
fn run(spec: &str, options: &[&str]) -> Outcome {
    let server = Server::start(Pages::of_market(&market()), 0, Line::default(), None).unwrap();
    server.misbehave(Plan::new(spec.parse::<Faults>().unwrap(), 1));
    let folder = tempfile::tempdir().unwrap();
    let address = server.address();
    let started = Instant::now();
    let options = [&["--from", &*address], &QUICK[..], options].concat();
    let ran = indexrank(folder.path(), &options);
    let report = match ran.code {
        0 | 3 => json(&folder.path().join("rankings/run.json")),
        _ => Value::Null,
    };
    Outcome {
        ran,
        report,
        elapsed: started.elapsed(),
    }
}

/// The kernel drops connection requests silently while the listen queue is full.
#[test]
fn reports_a_connect_timeout_when_the_listen_queue_is_full() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        queue.push(stream);
        assert!(queue.len() < 10_000, "the listen queue never fills");
    }
    let folder = tempfile::tempdir().unwrap();
    let from = format!("http://{address}");
    let started = Instant::now();
    let ran = indexrank(
        folder.path(),
        &[&["--from", &*from, "--timeout", "0.3"], &QUICK[..]].concat(),
    );
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    // The connection and the whole attempt both time out after 0.3 s; either may be reported.
    let words = ["no connection in time", "not done within --timeout"];
    assert!(
        words.iter().any(|words| ran.stderr.contains(words)),
        "{}",
        ran.stderr
    );
    let elapsed = started.elapsed();
    // Four attempts of 0.3 s.
    assert!(
        elapsed > Duration::from_millis(1100) && elapsed < Duration::from_secs(5),
        "{elapsed:?}"
    );
}

/// Runs in a mount namespace in which a silent DNS server is the only one. The namespace and port 53
/// need privileges; without them the test prints why it is skipped, and passes.
#[test]
fn reports_a_dns_server_that_never_answers() {
    let folder = tempfile::tempdir().unwrap();
    let Ok(_silent_server) = UdpSocket::bind("127.0.0.99:53") else {
        eprintln!("skipped: cannot bind port 53");
        return;
    };
    std::fs::write(folder.path().join("resolv.conf"), "nameserver 127.0.0.99\n").unwrap();
    let binary = env!("CARGO_BIN_EXE_indexrank");
    let script = format!(
        "mount --bind resolv.conf /etc/resolv.conf && \
         exec {binary} --from http://nobody.example --timeout 0.5 --retry-pause 10"
    );
    let started = Instant::now();
    let output = Command::new("unshare")
        .args(["--mount", "bash", "-c", &script])
        .current_dir(folder.path())
        .output();
    let stderr = match output {
        Ok(output) if output.status.code() == Some(4) => String::from_utf8(output.stderr).unwrap(),
        other => {
            eprintln!("skipped: cannot create a mount namespace: {other:?}");
            return;
        }
    };
    assert!(
        stderr.contains("the host name was not resolved in time"),
        "{stderr}"
    );
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
}

/// Covers a response without a head, without the end of its body, and with a body sent byte by byte.
#[test]
fn retries_a_response_that_times_out() {
    for kind in ["stall:20", "stall-body:20", "drip"] {
        let spec = format!("{kind}@{COMPANY}#1");
        let outcome = run(&spec, &["--timeout", "1"]);
        outcome.assert_complete(kind, 5);
        assert_eq!(outcome.report["retries"], 1, "{kind}");
        // If every attempt times out, the page fails.
        let spec = format!("{kind}@{COMPANY}");
        let Outcome {
            ran,
            report,
            elapsed,
        } = run(&spec, &["--timeout", "0.3"]);
        assert_eq!(ran.code, 3, "{kind}: {}", ran.stderr);
        assert_eq!(report["failures"][0]["reason"], "timeout", "{kind}");
        assert!(elapsed < Duration::from_secs(5), "{kind}: {elapsed:?}");
    }
}

/// One response asks for the pause, all fetchers obey it, and it does not count as a failure.
#[test]
fn every_fetcher_waits_during_a_retry_after_pause() {
    let server = TestServer::start(market(), |path, earlier| {
        (path == COMPANY && earlier == 0).then(|| {
            Reply::Raw(
                b"HTTP/1.1 429 Too Many\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n".to_vec(),
            )
        })
    });
    // With two workers, most pages are still to be fetched when the pause begins.
    let run = Run::new(&server, &["--workers", "2"]);
    run.assert_complete(1);
    let requests = server.requests();
    let refused = requests
        .iter()
        .position(|request| request.path == COMPANY)
        .unwrap();
    // The other worker's request, the rate and the recheck of index page 1 may already be in flight.
    let mut pairs = requests[refused..].windows(2);
    let gap = pairs.position(|pair| pair[1].at - pair[0].at > Duration::from_millis(900));
    assert!(gap.is_some_and(|gap| gap <= 6), "{gap:?}");
    let report = json(&run.folder.path().join("rankings/run.json"));
    assert_eq!(report["paused_seconds"], 1.0);
}

/// 60 pages ask for a pause of a second, each at its first request. The requests under way together are
/// one pause, and after it a page that was asked for before goes first. A response takes 100 ms, so that
/// many requests are under way.
#[test]
fn pauses_do_not_multiply_with_the_pages_that_ask_for_one() {
    let server = TestServer::start(market(), |path, earlier| {
        let is_refused = path.starts_with("/stocks/") && earlier == 0;
        is_refused.then(|| {
            thread::sleep(Duration::from_millis(100));
            Reply::status("429 Too Many\r\nRetry-After: 1")
        })
    });
    let run = Run::new(&server, &["--workers", "64"]);
    run.assert_complete(COMPANIES as u64);
    let report = json(&run.folder.path().join("rankings/run.json"));
    let seconds = report["paused_seconds"].as_f64().unwrap();
    assert!((1.0..10.0).contains(&seconds), "{seconds}");
    // robots.txt, the rates, two index pages, one of them twice, and every company twice.
    assert_eq!(server.requests().len(), 5 + 2 * COMPANIES);
}

#[test]
fn ignores_an_invalid_retry_after_and_ends_the_run_on_a_long_one() {
    for kind in ["retry-after-date:-60", "retry-after:soon", "retry-after:0"] {
        let outcome = run(&format!("{kind}@{COMPANY}#1"), &[]);
        outcome.assert_complete(kind, 3);
        assert_eq!(outcome.report["paused_seconds"], 0.0, "{kind}");
    }
    for kind in ["retry-after:1000000000", "retry-after-date:300"] {
        let Outcome { ran, elapsed, .. } = run(&format!("{kind}@{COMPANY}#1"), &[]);
        assert_eq!(ran.code, 4, "{kind}: {}", ran.stderr);
        for words in [
            "the site demands a pause of",
            "run the command again after that",
        ] {
            assert!(ran.stderr.contains(words), "{kind}: {}", ran.stderr);
        }
        assert!(elapsed < Duration::from_secs(3), "{kind}: {elapsed:?}");
    }
}

/// After 17 consecutive failures at most half of the 8 workers are active. All pages arrive in the end.
#[test]
fn lowers_concurrency_while_many_requests_fail() {
    let spec: Vec<String> = (10..27).map(|number| format!("503@={number}")).collect();
    let outcome = run(&spec.join(","), &["--workers", "8"]);
    outcome.assert_complete("503", 10);
    let report = outcome.report;
    let fewest = report["fewest_workers"].as_u64().unwrap();
    assert!(fewest <= 4, "{fewest}");
    assert!(report["retries"].as_u64() <= report["retry_budget"].as_u64());
}

/// Figures are ASCII, so a wrong charset does not change them.
#[test]
fn parses_figures_under_a_wrong_charset_header() {
    for charset in ["utf-16", "windows-1251", "nonsense", "iso-2022-jp"] {
        run(&format!("charset:{charset}@/stocks/*"), &[]).assert_complete(charset, 5);
    }
}

#[test]
fn names_the_proxy_that_refuses_a_connection() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = proxy.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in proxy.incoming().flatten() {
            thread::spawn(move || {
                use std::io::{Read, Write};
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
                );
                // Closing with unread bytes would reset the connection before the answer is read.
                while stream.read(&mut [0; 1024]).is_ok_and(|length| length > 0) {}
            });
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let through = format!("http://{address}");
    let from = ["--from", "https://site.example", "--proxy", &through];
    let ran = indexrank(folder.path(), &[&from, &QUICK[..]].concat());
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains(&format!("the proxy {address} refuses: HTTP status 407")),
        "{}",
        ran.stderr
    );
}

/// Progress goes to stderr, and failing to print it is no reason to fail the run.
#[test]
fn succeeds_when_stderr_is_closed() {
    let server = TestServer::start(market(), |_, _| None);
    let folder = tempfile::tempdir().unwrap();
    let (read_end, write_end) = UnixStream::pair().unwrap();
    drop(read_end);
    let stderr: std::os::fd::OwnedFd = write_end.into();
    let mut command = crate::support::command(folder.path(), &["--from", server.address()]);
    let status = command
        .stderr(stderr)
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
}

/// A pause that the Bank of Russia asks for does not apply to the site. A pause asked for when the
/// index is rechecked is ignored.
#[test]
fn a_pause_for_the_rate_or_the_index_recheck_does_not_pause_the_host() {
    let rates = crate::run::RATES;
    for pause in [1, 600] {
        let Outcome { ran, .. } = run(&format!("retry-after:{pause}@{rates}"), &[]);
        assert_eq!(ran.code, 6, "{}", ran.stderr);
        let index = "/index/components/s&p_500?p=1";
        let outcome = run(&format!("retry-after:{pause}@{index}#2"), &[]);
        outcome.assert_complete("recheck of the index", 3);
        assert_eq!(outcome.report["paused_seconds"], 0.0);
    }
}

/// Fetchers that wait for their `--rps` slot when a pause begins get it after the pause, one by one.
/// 60 pages at 40 requests per second take 1.5 s, and the pause 1 s.
#[test]
fn a_pause_adds_only_its_own_duration() {
    let spec = format!("retry-after:1@{COMPANY}#1");
    let outcome = run(
        &spec,
        &["--rps", "40", "--workers", "200", "--ignore-robots"],
    );
    outcome.assert_complete("--rps", 4);
    let elapsed = outcome.elapsed;
    assert!(elapsed > Duration::from_millis(2400), "{elapsed:?}");
}

#[test]
fn a_refused_run_does_not_wait_for_stalled_responses() {
    let Outcome { ran, elapsed, .. } =
        run("stall:20@/stocks/a*,403@/stocks/*", &["--workers", "64"]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("the site refuses requests"),
        "{}",
        ran.stderr
    );
    assert!(elapsed < Duration::from_secs(3), "{elapsed:?}");
}

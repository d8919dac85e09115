//! Networks and servers that are slow, busy or not there, as a run meets them.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use indexrank::replica::{Faults, Line, Market, Pages, Plan, Server};
use serde_json::Value;

use crate::run::{COMPANY, Run, SIZE, market};
use crate::support::{Ran, Reply, TestServer, command, indexrank, json, ledger};

const QUICK: [&str; 2] = ["--retry-pause", "10"];

/// A run on a market of sixty where this goes wrong.
fn run(spec: &str, options: &[&str]) -> (Ran, Value, Duration) {
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
    (ran, report, started.elapsed())
}

fn assert_complete((ran, report, took): &(Ran, Value, Duration), what: &str, seconds: u64) {
    assert_eq!(ran.code, 0, "{what}: {}", ran.stderr);
    assert_eq!(
        ledger(report),
        [SIZE as u64, SIZE as u64, 0, 0, 0],
        "{what}"
    );
    assert!(*took < Duration::from_secs(seconds), "{what}: {took:?}");
}

/// Row 4: a listener whose queue is full lets nobody in and says nothing.
#[test]
fn a_host_that_swallows_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(100)) {
        queue.push(stream);
        assert!(queue.len() < 10_000, "the queue has no end");
    }
    let folder = tempfile::tempdir().unwrap();
    let from = format!("http://{address}");
    let started = Instant::now();
    let ran = indexrank(
        folder.path(),
        &[&["--from", &*from, "--timeout", "0.3"], &QUICK[..]].concat(),
    );
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    // The limit of the connection and that of the whole attempt are the same here.
    let words = ["no connection in time", "not done within --timeout"];
    assert!(
        words.iter().any(|words| ran.stderr.contains(words)),
        "{}",
        ran.stderr
    );
    let took = started.elapsed();
    // Four attempts.
    assert!(
        took > Duration::from_millis(1100) && took < Duration::from_secs(5),
        "{took:?}"
    );
}

/// Row 2: a server of names that never answers, in a namespace of mounts where it is the only one.
/// Making one takes rights that not everybody has; then this says so and passes.
#[test]
fn a_server_of_names_that_never_answers() {
    let folder = tempfile::tempdir().unwrap();
    let Ok(silent) = UdpSocket::bind("127.0.0.99:53") else {
        eprintln!("skipped: port 53 is not ours to take");
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
            eprintln!("skipped: no namespace of mounts here: {other:?}");
            return;
        }
    };
    assert!(
        stderr.contains("the host's name was not resolved in time"),
        "{stderr}"
    );
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    drop(silent);
}

/// Rows 13, 14, 15: no head, no end of a body, a body that drips.
#[test]
fn answers_that_take_too_long_are_asked_for_again() {
    for kind in ["stall:20", "stall-body:20", "drip"] {
        let spec = format!("{kind}@{COMPANY}#1");
        let ended = run(&spec, &["--timeout", "1"]);
        assert_complete(&ended, kind, 5);
        assert_eq!(ended.1["retries"], 1, "{kind}");
        // For good, it is that page's failure.
        let spec = format!("{kind}@{COMPANY}");
        let (ran, report, took) = run(&spec, &["--timeout", "0.3"]);
        assert_eq!(ran.code, 3, "{kind}: {}", ran.stderr);
        assert_eq!(report["failures"][0]["reason"], "timeout", "{kind}");
        assert!(took < Duration::from_secs(5), "{kind}: {took:?}");
    }
}

/// Row 16: whoever is told, all wait, and the pause is no failure.
#[test]
fn a_pause_that_the_site_asks_for_is_kept_by_all() {
    let paused = TestServer::start(market(), |path, before| {
        (path == COMPANY && before == 0).then(|| {
            Reply::Raw(
                b"HTTP/1.1 429 Too Many\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n".to_vec(),
            )
        })
    });
    // One after the other, so that most are still to be asked for then.
    let run = Run::new(&paused, &["--workers", "2"]);
    run.assert_complete(1);
    let requests = paused.requests();
    let told = requests
        .iter()
        .position(|request| request.path == COMPANY)
        .unwrap();
    // The other worker's, the rate and the second look at page 1 may have been under way.
    let after = requests[told..].windows(2);
    let gap = { after }.position(|pair| pair[1].at - pair[0].at > Duration::from_millis(900));
    assert!(gap.is_some_and(|gap| gap <= 6), "{gap:?}");
    let report = json(&run.folder.path().join("rankings/run.json"));
    assert_eq!(report["paused_seconds"], 1.0);
}

/// Row 17.
#[test]
fn pauses_that_are_over_or_nonsense_or_without_end() {
    for kind in ["retry-after-date:-60", "retry-after:soon", "retry-after:0"] {
        let ended = run(&format!("{kind}@{COMPANY}#1"), &[]);
        assert_complete(&ended, kind, 3);
        assert_eq!(ended.1["paused_seconds"], 0.0, "{kind}");
    }
    for kind in ["retry-after:1000000000", "retry-after-date:300"] {
        let (ran, _, took) = run(&format!("{kind}@{COMPANY}#1"), &[]);
        assert_eq!(ran.code, 4, "{kind}: {}", ran.stderr);
        for words in [
            "the site asks to be left alone for",
            "come back then",
            "--resume",
        ] {
            assert!(ran.stderr.contains(words), "{kind}: {}", ran.stderr);
        }
        assert!(took < Duration::from_secs(3), "{kind}: {took:?}");
    }
}

/// Row 18: seventeen requests in a row fail; half of the workers rest, and all pages come in the end.
#[test]
fn a_site_that_is_overloaded_is_asked_by_fewer() {
    let spec: Vec<String> = (10..27).map(|number| format!("503@={number}")).collect();
    let ended = run(&spec.join(","), &["--workers", "8"]);
    assert_complete(&ended, "503", 10);
    let fewest = ended.1["fewest_workers"].as_u64().unwrap();
    assert!(fewest <= 4, "{fewest}");
    assert!(ended.1["retries"].as_u64() <= ended.1["retry_budget"].as_u64());
}

/// Row 28: figures are ASCII whatever the header says of the letters between.
#[test]
fn a_charset_that_is_not_the_pages() {
    for charset in ["utf-16", "windows-1251", "nonsense", "iso-2022-jp"] {
        let ended = run(&format!("charset:{charset}@/stocks/*"), &[]);
        assert_complete(&ended, charset, 5);
    }
}

/// Row 58: fewer files than workers.
#[test]
fn few_files_may_be_open() {
    let server = TestServer::start(market(), |_, _| None);
    let folder = tempfile::tempdir().unwrap();
    let binary = env!("CARGO_BIN_EXE_indexrank");
    let script = format!(
        "ulimit -n 60; exec {binary} --workers 200 --from {}",
        server.address()
    );
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("12 workers instead of 200"), "{stderr}");
    let report = json(&folder.path().join("rankings/run.json"));
    assert_eq!(ledger(&report), [SIZE as u64, SIZE as u64, 0, 0, 0]);
}

/// Row 59: a proxy that lets nobody through is named.
#[test]
fn a_proxy_that_refuses_is_named() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = proxy.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in proxy.incoming().flatten() {
            use std::io::{Read, Write};
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(
                b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
            );
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let through = format!("http://{address}");
    let from = ["--from", "https://site.example", "--proxy", &through];
    let ran = indexrank(folder.path(), &[&from, &QUICK[..]].concat());
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(
        ran.stderr.contains(&format!("through the proxy {address}")),
        "{}",
        ran.stderr
    );
}

/// Row 54: not only stdout can be gone, and progress is not worth a failure.
#[test]
fn a_stderr_that_is_gone_is_no_failure() {
    let server = TestServer::start(market(), |_, _| None);
    let folder = tempfile::tempdir().unwrap();
    let (gone, here) = UnixStream::pair().unwrap();
    drop(gone);
    let here: std::os::fd::OwnedFd = here.into();
    let mut command = crate::support::command(folder.path(), &["--from", server.address()]);
    let status = command
        .stderr(here)
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
}

/// A pause that the Bank of Russia asks for is none of the site's, and one that is told when the index
/// is looked at again is nobody's.
#[test]
fn pauses_that_are_not_the_sites() {
    let rates = crate::run::RATES;
    for pause in [1, 600] {
        let (ran, ..) = run(&format!("retry-after:{pause}@{rates}"), &[]);
        assert_eq!(ran.code, 6, "{}", ran.stderr);
        let index = "/index/components/s&p_500?p=1";
        let ended = run(&format!("retry-after:{pause}@{index}#2"), &[]);
        assert_complete(&ended, "looking again", 3);
        assert_eq!(ended.1["paused_seconds"], 0.0);
    }
}

/// Who waits for its turn when a pause begins has it afterwards, one after the other.
#[test]
fn a_pause_costs_its_own_time_and_no_more() {
    let spec = format!("retry-after:1@{COMPANY}#1");
    let ended = run(
        &spec,
        &["--rps", "40", "--workers", "200", "--ignore-robots"],
    );
    assert_complete(&ended, "--rps", 4);
    assert!(ended.2 > Duration::from_millis(2400), "{:?}", ended.2);
}

/// Nobody waits for pages that stall when the run is over.
#[test]
fn a_run_that_is_refused_ends_at_once() {
    let (ran, _, took) = run("stall:20@/stocks/a*,403@/stocks/*", &["--workers", "64"]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("the site refuses to be read"),
        "{}",
        ran.stderr
    );
    assert!(took < Duration::from_secs(3), "{took:?}");
}

/// Who has nothing more to fetch does not wait for those who have: else all end at the same moment,
/// after the last page.
#[test]
#[cfg(target_os = "linux")]
fn fetchers_leave_while_the_last_page_is_awaited() {
    const ALL: usize = 12;
    let fetchers = |process: u32| {
        let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
        let names = tasks.flatten().map(|task| task.path().join("comm"));
        let names = names.filter_map(|name| fs::read_to_string(name).ok());
        names.filter(|name| name.trim() == "fetcher").count()
    };
    let (process, asked, left) = (AtomicU32::new(0), AtomicUsize::new(0), Mutex::new(None));
    let shared = Arc::new((process, asked, left));
    let seen = Arc::clone(&shared);
    let within = |is_so: &dyn Fn() -> bool| {
        (0..2000).any(|_| {
            thread::sleep(Duration::from_millis(5));
            is_so()
        })
    };
    let server = TestServer::start(Market::embedded(Some(ALL), 0), move |path, _| {
        let (process, asked, left) = &*seen;
        if path.starts_with("/stocks/") {
            let number = asked.fetch_add(1, SeqCst);
            assert!(
                within(&|| asked.load(SeqCst) == ALL),
                "not all are asked for"
            );
            let process = process.load(SeqCst);
            if number == 0 {
                // Not all: who came back before the page was read that made it one too many stays.
                within(&|| fetchers(process) <= ALL / 2);
                *left.lock().unwrap() = Some(fetchers(process));
            } else {
                thread::sleep(Duration::from_millis(20 * number as u64));
            }
        }
        None
    });
    let folder = tempfile::tempdir().unwrap();
    let options = [
        "--from",
        server.address(),
        "--workers",
        "12",
        "--readers",
        "1",
        "-q",
    ];
    let mut run = command(folder.path(), &options).spawn().unwrap();
    shared.0.store(run.id(), SeqCst);
    assert!(run.wait().unwrap().success());
    let left = shared
        .2
        .lock()
        .unwrap()
        .expect("the last page was asked for");
    assert!(left <= ALL / 2, "{left} of {ALL} are still there");
}

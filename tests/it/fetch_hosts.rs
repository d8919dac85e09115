//! The subcommand `fetch`: several hosts at once, robots.txt, throttling and retries.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Reply, TestServer, fetch, json_lines, page_server, sorted_rows};

/// All hosts but the first answer, though the first addresses of the list are those of a host that does not.
#[test]
fn a_slow_host_does_not_hold_up_the_others() {
    let slow = page_server(|path, _| {
        if path != "/robots.txt" {
            thread::sleep(Duration::from_millis(1500));
        }
        None
    });
    let fast = page_server(|_, _| None);
    let (slow_list, fast_list) = (
        format!("{}/[1-24]", slow.address()),
        format!("{}/[1-100]", fast.address()),
    );
    let folder = tempfile::tempdir().unwrap();
    let ran = fetch(
        folder.path(),
        &[
            &slow_list,
            &fast_list,
            "--table",
            "-.ndjson",
            "--workers",
            "16",
            "--workers-per-host",
            "4",
        ],
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let order = json_lines(&ran.stdout);
    assert_eq!(order.len(), 124);
    let fast_first = order[..100]
        .iter()
        .filter(|row| row["position"].as_u64() > Some(24))
        .count();
    assert!(
        fast_first >= 96,
        "{fast_first} of the first 100 rows are of the fast host"
    );
}

/// At no time, a host has more requests under way than allowed.
#[test]
fn holds_to_the_workers_per_host() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = (now, most.clone());
    let server = page_server(move |_, _| {
        let (now, most) = &counted;
        most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
        thread::sleep(Duration::from_millis(20));
        now.fetch_sub(1, SeqCst);
        None
    });
    let list = format!("{}/[1-40]", server.address());
    let folder = tempfile::tempdir().unwrap();
    let ran = fetch(folder.path(), &[&list, "--workers-per-host", "3", "-q"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(most.load(SeqCst), 3);
}

#[test]
fn obeys_the_robots_txt_of_each_host() {
    let robots = |path: &str, _| {
        (path == "/robots.txt").then(|| Reply::Page(b"User-agent: *\nDisallow: /2\n".to_vec()))
    };
    let (strict, open) = (page_server(robots), page_server(|_, _| None));
    let folder = tempfile::tempdir().unwrap();
    let lists = [&strict, &open].map(|server| format!("{}/[1-3]", server.address()));
    let arguments = [&*lists[0], &lists[1], "--table", "-.ndjson"];
    let ran = fetch(folder.path(), &arguments);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let found = sorted_rows(&ran.stdout);
    let errors: Vec<&Value> = found.iter().map(|row| &row["error"]).collect();
    let forbidden = json!("the site's robots.txt forbids it (Disallow: /2)");
    let none = &Value::Null;
    assert_eq!(errors, [none, &forbidden, none, none, none, none]);
    assert_eq!((strict.asked("/2"), strict.asked("/robots.txt")), (0, 1));
    let ran = fetch(
        folder.path(),
        &[&arguments[..], &["--ignore-robots"]].concat(),
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!((strict.asked("/2"), strict.asked("/robots.txt")), (1, 1));
}

/// The robots.txt of the host that a redirect leads to holds for it too.
#[test]
fn obeys_the_robots_txt_of_a_redirect() {
    let strict = page_server(|path, _| {
        (path == "/robots.txt").then(|| Reply::Page(b"User-agent: *\nDisallow: /\n".to_vec()))
    });
    let target = format!("302 Found\r\nLocation: {}/1", strict.address());
    let from = page_server(move |path, _| (path == "/1").then(|| Reply::status(&target)));
    let folder = tempfile::tempdir().unwrap();
    let list = format!("{}/1", from.address());
    let ran = fetch(folder.path(), &[&list, "--table", "-.ndjson"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let error = sorted_rows(&ran.stdout)[0]["error"].clone();
    assert_eq!(error, "the site's robots.txt forbids it (Disallow: /)");
    assert_eq!(strict.asked("/1"), 0);
}

#[test]
fn transient_failures_are_retried_and_others_are_not() {
    let server = page_server(|path, before| match (path, before) {
        ("/1", 0) => Some(Reply::status("503 Service Unavailable")),
        ("/2", _) => Some(Reply::status("403 Forbidden")),
        ("/3", 0) => Some(Reply::with_head(
            "HTTP/1.1 200 OK\r\nContent-Length: 50",
            b"half",
        )),
        _ => None,
    });
    let list = format!("{}/[1-3]", server.address());
    let folder = tempfile::tempdir().unwrap();
    let ran = fetch(folder.path(), &[&list, "--table", "-.ndjson"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let status: Vec<Value> = sorted_rows(&ran.stdout)
        .iter()
        .map(|row| row["status"].clone())
        .collect();
    assert_eq!(status, [200, 403, 200]);
    let asked = ["/1", "/2", "/3"].map(|path| server.asked(path));
    assert_eq!(asked, [2, 1, 2]);
}

/// A host that demands a long pause is given up. The others go on.
#[test]
fn a_host_that_demands_a_long_pause_is_given_up_alone() {
    let pausing = page_server(|path, _| {
        (path == "/1").then(|| Reply::status("429 Too Many Requests\r\nRetry-After: 3600"))
    });
    let open = page_server(|_, _| None);
    let folder = tempfile::tempdir().unwrap();
    let lists = [
        format!("{}/1", pausing.address()),
        format!("{}/2", pausing.address()),
        format!("{}/[1-20]", open.address()),
    ];
    let ran = fetch(
        folder.path(),
        &[
            &*lists[0],
            &lists[1],
            &lists[2],
            "--table",
            "-.ndjson",
            "--workers-per-host",
            "1",
        ],
    );
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let found = sorted_rows(&ran.stdout);
    assert_eq!(found.len(), 22);
    for row in &found[..2] {
        let error = "the host demands a pause of 3600 s (Retry-After), more than 120 s";
        assert_eq!(row["error"], error, "{row}");
    }
    assert!(found[2..].iter().all(|row| row["status"] == 200));
}

/// With one worker, the request that is redirected fetches the robots.txt of the other host itself. With one
/// request at a time to each of two hosts, neither waits for a place that the other holds.
#[test]
fn redirects_between_hosts_wait_for_no_place() {
    use std::sync::{Arc, OnceLock};
    let other: Arc<OnceLock<String>> = Arc::default();
    let to_other = other.clone();
    let redirect = |to: &str, path: &str| {
        (path != "/robots.txt" && path.len() == 2)
            .then(|| Reply::status(&format!("302 Found\r\nLocation: {to}/1{}", &path[1..])))
    };
    let first = page_server(move |path, _| redirect(to_other.get().unwrap(), path));
    let address = first.address().to_owned();
    let second = page_server(move |path, _| redirect(&address, path));
    other.set(second.address().to_owned()).unwrap();
    let lists = [&first, &second].map(|server| format!("{}/[1-6]", server.address()));
    for workers in ["1", "4"] {
        let folder = tempfile::tempdir().unwrap();
        let ran = fetch(
            folder.path(),
            &[
                &*lists[0],
                &lists[1],
                "--workers",
                workers,
                "--workers-per-host",
                "1",
                "--max-time",
                "60",
                "-q",
            ],
        );
        assert_eq!(ran.code, 0, "{workers} workers: {}", ran.stderr);
    }
}

/// A host that refuses requests that come too soon, without saying how long to wait.
#[test]
fn settles_at_the_pace_of_a_host() {
    use std::sync::Mutex;
    use std::time::Instant;
    for status in ["503 Service Unavailable", "429 Too Many Requests"] {
        let free_at = Mutex::new(Instant::now());
        let server = page_server(move |path, _| {
            let mut free_at = free_at.lock().unwrap();
            let now = Instant::now();
            if path == "/robots.txt" {
                return None;
            }
            if now < *free_at {
                return Some(Reply::status(status));
            }
            *free_at = now + Duration::from_millis(10);
            None
        });
        let folder = tempfile::tempdir().unwrap();
        let list = format!("{}/[1-100]", server.address());
        let ran = fetch(folder.path(), &[&list, "-q"]);
        assert_eq!(ran.code, 0, "{status}: {}", ran.stderr);
        let requests = server.requests().len();
        assert!(
            requests < 200,
            "{status}: {requests} requests for 100 pages"
        );
    }
}

/// The limit holds for all hosts together.
#[test]
fn spaces_the_requests_of_a_run() {
    let servers = [page_server(|_, _| None), page_server(|_, _| None)];
    let folder = tempfile::tempdir().unwrap();
    let lists = servers
        .each_ref()
        .map(|server| format!("{}/[1-5]", server.address()));
    let ran = fetch(folder.path(), &[&*lists[0], &lists[1], "--rps", "25", "-q"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let mut times: Vec<_> = servers.iter().flat_map(TestServer::requests).collect();
    times.sort_by_key(|request| request.at);
    assert_eq!(times.len(), 12);
    // Eleven intervals of 40 ms: the average holds, whatever the load of this machine.
    let took = times[11].at - times[0].at;
    assert!(took >= Duration::from_millis(400), "{took:?}");
}

/// One host that resets all its connections spends no retries of another.
#[test]
fn each_host_has_retries_of_its_own() {
    let broken = page_server(|path, _| {
        (path != "/robots.txt")
            .then(|| Reply::RawThenClose(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n".to_vec()))
    });
    let flaky = page_server(|path, before| {
        let cut = || Reply::with_head("HTTP/1.1 200 OK\r\nContent-Length: 50", b"half");
        (path != "/robots.txt" && before == 0).then(cut)
    });
    let folder = tempfile::tempdir().unwrap();
    let lists = [&broken, &flaky].map(|server| format!("{}/[1-40]", server.address()));
    let ran = fetch(
        folder.path(),
        &[&*lists[0], &lists[1], "--table", "-.ndjson"],
    );
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let found = sorted_rows(&ran.stdout);
    let failed = found.iter().filter(|row| !row["error"].is_null());
    assert_eq!(
        failed.filter_map(|row| row["position"].as_u64()).max(),
        Some(40)
    );
    let requests = broken.requests().len();
    assert!(requests <= 1 + 40 + 40, "{requests}");
}

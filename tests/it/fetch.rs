//! The subcommand `fetch`: rows of any list of pages.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use indexrank::replica::{Market, SEED};
use serde_json::{Value, json};

use crate::support::{Ran, Reply, TestServer, command, files, indexrank, json_lines};

/// A page with this title.
fn page(title: &str) -> Reply {
    let html = format!(
        "<html><head><title>{title}</title></head><body><h1>A {title}</h1><h3>b</h3></body></html>"
    );
    Reply::Page(html.into_bytes())
}

/// A server of the pages `/1`, `/2` and so on, and of what `reply` returns instead.
fn server(reply: impl Fn(&str, usize) -> Option<Reply> + Send + Sync + 'static) -> TestServer {
    let market = Market::embedded(Some(1), SEED);
    TestServer::start(market, move |path, before| {
        let number = path[1..].parse::<u32>();
        reply(path, before).or_else(|| number.ok().map(|number| page(&format!("Page {number}"))))
    })
}

fn fetch(folder: &Path, arguments: &[&str]) -> Ran {
    indexrank(folder, &[&["fetch"], arguments].concat())
}

/// The rows that NDJSON has, in the order of the list.
fn rows(text: &str) -> Vec<Value> {
    let mut rows = json_lines(text);
    rows.sort_by_key(|row| row["position"].as_u64());
    rows
}

#[test]
fn each_address_has_a_row() {
    let server = server(|path, _| match path {
        "/3" => Some(Reply::status("404 Not Found")),
        "/4" => Some(Reply::status("302 Found\r\nLocation: /5")),
        "/6" => Some(Reply::with_head(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=windows-1251",
            b"\xef\xf0\xe8\xe2\xe5\xf2",
        )),
        "/7" => Some(Reply::with_head(
            "HTTP/1.1 200 OK\r\nContent-Type: image/png",
            b"\x89PNG\xff\xfe",
        )),
        _ => None,
    });
    let address = server.address();
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("list"),
        format!("# a comment\n\n {address}/7 \n"),
    )
    .unwrap();
    let list = format!("{address}/[1-6]");
    let ran = fetch(
        folder.path(),
        &[&list, "--urls", "list", "--table", "-.ndjson", "--headings"],
    );
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let named = format!("failed: {address}/3: HTTP status 404");
    assert!(ran.stderr.contains(&named), "{}", ran.stderr);
    let rows = rows(&ran.stdout);
    let html = 87;
    let headings = |number: u32| json!([{"level": 1, "text": format!("A Page {number}")}, {"level": 3, "text": "b"}]);
    let of_page = |position: u32, number: u32| {
        json!({
            "position": position, "url": format!("{address}/{position}"),
            "final_url": format!("{address}/{number}"), "status": 200, "bytes": html, "chars": html,
            "content_type": "text/html", "title": format!("Page {number}"),
            "headings": headings(number), "error": null,
        })
    };
    let expected = [
        of_page(1, 1),
        of_page(2, 2),
        json!({
            "position": 3, "url": format!("{address}/3"), "final_url": format!("{address}/3"),
            "status": 404, "bytes": 0, "chars": null, "content_type": null, "title": null,
            "error": "HTTP status 404",
        }),
        of_page(4, 5),
        of_page(5, 5),
        json!({
            "position": 6, "url": format!("{address}/6"), "final_url": format!("{address}/6"),
            "status": 200, "bytes": 6, "chars": 6, "content_type": "text/plain; charset=windows-1251",
            "title": null, "headings": [], "error": null,
        }),
        json!({
            "position": 7, "url": format!("{address}/7"), "final_url": format!("{address}/7"),
            "status": 200, "bytes": 6, "chars": null, "content_type": "image/png", "title": null,
            "error": null,
        }),
    ];
    assert_eq!(rows.len(), expected.len());
    for (mut row, expected) in rows.into_iter().zip(expected) {
        let ms = row.as_object_mut().unwrap().remove("ms").unwrap();
        assert!(ms.as_f64().is_some_and(|ms| ms >= 0.0), "{ms}");
        assert_eq!(row, expected);
    }
}

/// CSV has the order of the list, NDJSON that of completion. Both have the same rows.
#[test]
fn tables_hold_the_same_rows() {
    let server = server(|path, _| {
        // The first pages take longest.
        let number: u64 = path[1..].parse().unwrap_or(9);
        thread::sleep(Duration::from_millis(30 * 9_u64.saturating_sub(number)));
        None
    });
    let list = format!("{}/[1-8]", server.address());
    let folder = tempfile::tempdir().unwrap();
    for table in ["a.csv", "a.ndjson"] {
        let ran = fetch(folder.path(), &[&list, "--table", table, "--count", "Page"]);
        assert_eq!((ran.code, &*ran.stdout), (0, ""), "{}", ran.stderr);
    }
    assert_eq!(
        files(folder.path()),
        ["a.csv", "a.ndjson"],
        "no journal is left"
    );
    let read = |name| fs::read_to_string(folder.path().join(name)).unwrap();
    let ndjson = json_lines(&read("a.ndjson"));
    assert_eq!(ndjson.len(), 8);
    // The first page comes alone, because robots.txt of its host is not known yet.
    let order: Vec<u64> = ndjson
        .iter()
        .filter_map(|row| row["position"].as_u64())
        .collect();
    assert!(!order.is_sorted(), "in the order of completion: {order:?}");
    let csv = read("a.csv");
    let mut lines = csv.lines();
    let columns =
        "position,url,final_url,status,ms,bytes,chars,content_type,title,count Page,error";
    assert_eq!(lines.next(), Some(columns));
    for (number, line) in (1..).zip(lines) {
        let cells: Vec<&str> = line.split(',').collect();
        let url = format!("{}/{number}", server.address());
        assert_eq!(cells[0], number.to_string());
        assert_eq!((cells[1], cells[2], cells[3]), (&*url, &*url, "200"));
        assert_eq!(
            cells[5..],
            ["87", "87", "text/html", &format!("Page {number}"), "2", ""]
        );
    }
    assert_eq!(csv.lines().count(), 9);
}

/// All hosts but the first answer, though the first addresses of the list are those of a host that does not.
#[test]
fn a_slow_host_does_not_hold_up_the_others() {
    let slow = server(|path, _| {
        if path != "/robots.txt" {
            thread::sleep(Duration::from_millis(1500));
        }
        None
    });
    let fast = server(|_, _| None);
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
    let server = server(move |_, _| {
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
    let (strict, open) = (server(robots), server(|_, _| None));
    let folder = tempfile::tempdir().unwrap();
    let lists = [&strict, &open].map(|server| format!("{}/[1-3]", server.address()));
    let arguments = [&*lists[0], &lists[1], "--table", "-.ndjson"];
    let ran = fetch(folder.path(), &arguments);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let found = rows(&ran.stdout);
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
    let strict = server(|path, _| {
        (path == "/robots.txt").then(|| Reply::Page(b"User-agent: *\nDisallow: /\n".to_vec()))
    });
    let target = format!("302 Found\r\nLocation: {}/1", strict.address());
    let from = server(move |path, _| (path == "/1").then(|| Reply::status(&target)));
    let folder = tempfile::tempdir().unwrap();
    let list = format!("{}/1", from.address());
    let ran = fetch(folder.path(), &[&list, "--table", "-.ndjson"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let error = rows(&ran.stdout)[0]["error"].clone();
    assert_eq!(error, "the site's robots.txt forbids it (Disallow: /)");
    assert_eq!(strict.asked("/1"), 0);
}

#[test]
fn transient_failures_are_retried_and_others_are_not() {
    let server = server(|path, before| match (path, before) {
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
    let status: Vec<Value> = rows(&ran.stdout)
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
    let pausing = server(|path, _| {
        (path == "/1").then(|| Reply::status("429 Too Many Requests\r\nRetry-After: 3600"))
    });
    let open = server(|_, _| None);
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
    let found = rows(&ran.stdout);
    assert_eq!(found.len(), 22);
    for row in &found[..2] {
        let error = "the host demands a pause of 3600 s (Retry-After), more than 120 s";
        assert_eq!(row["error"], error, "{row}");
    }
    assert!(found[2..].iter().all(|row| row["status"] == 200));
}

#[test]
fn wrong_lists_end_before_the_first_request() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("list"),
        "http://127.0.0.1:1/\nsite.example/x\n",
    )
    .unwrap();
    for (arguments, code, words) in [
        (&["--urls", "list"][..], 2, "list, line 2"),
        (&["--urls", "none"], 2, "cannot read none"),
        (&["http://127.0.0.1:1/[1-"], 2, "closing"),
        (&["list"], 2, "only --count reads those"),
        (
            &["http://127.0.0.1:1/", "--resume"],
            2,
            "--resume needs --save or --table",
        ),
        (&["http://127.0.0.1:1/", "--table", "a.txt"], 2, ".csv"),
        (&["http://127.0.0.1:1/", "--save", "list/x"], 7, "list/x"),
        (
            &["http://127.0.0.1:1/", "--save", "x", "--max-size", "1T"],
            2,
            "500K",
        ),
        (&["http://127.0.0.1:1/", "--db", "x"], 2, "--into"),
        (&["http://127.0.0.1:1/", "--count", ""], 2, "empty"),
        (&[], 2, "required"),
    ] {
        let ran = fetch(folder.path(), arguments);
        assert_eq!(
            (ran.code, &*ran.stdout),
            (code, ""),
            "{arguments:?}: {}",
            ran.stderr
        );
        assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
        assert_eq!(files(folder.path()), ["list"], "{arguments:?}");
    }
}

/// An interrupted run has a journal, and a resumed one fetches only what is missing.
#[cfg(unix)]
#[test]
fn resumes_after_a_kill() {
    let server = server(|path, _| {
        let number: u64 = path[1..].parse().unwrap_or(0);
        thread::sleep(Duration::from_millis(if number > 20 { 200 } else { 5 }));
        None
    });
    let list = format!("{}/[1-40]", server.address());
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("unfinished-a.ndjson.ndjson");
    let arguments = [
        "fetch",
        &list,
        "--table",
        "a.ndjson",
        "--workers-per-host",
        "4",
    ];
    let mut child = command(folder.path(), &arguments).spawn().unwrap();
    let lines = || fs::read_to_string(&journal).map_or(0, |text| text.lines().count());
    while lines() < 15 {
        thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What a kill can leave of the last line.
    let mut text = fs::read(&journal).unwrap();
    text.extend_from_slice(br#"{"row":{"position":39,"url":"#);
    fs::write(&journal, text).unwrap();
    let before = server.requests().len();

    let other = fetch(
        folder.path(),
        &[&list, "--table", "a.ndjson", "--headings", "--resume"],
    );
    assert_eq!(other.code, 2, "{}", other.stderr);
    assert!(other.stderr.contains("its extract is"), "{}", other.stderr);

    let ran = fetch(folder.path(), &[&arguments[1..], &["--resume"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let found = rows(&fs::read_to_string(folder.path().join("a.ndjson")).unwrap());
    let positions: Vec<u64> = found
        .iter()
        .filter_map(|row| row["position"].as_u64())
        .collect();
    assert_eq!(positions, (1..=40).collect::<Vec<u64>>());
    let requests = server.requests().len() - before;
    assert!((20..=28).contains(&requests), "{requests}");
    assert_eq!(files(folder.path()), ["a.ndjson"]);
}

/// Rows of failures are in the table, and `--resume` fetches them again.
#[test]
fn resumes_what_has_failed() {
    let server = server(|path, before| {
        (path == "/2" && before == 0).then(|| Reply::status("404 Not Found"))
    });
    let list = format!("{}/[1-3]", server.address());
    let folder = tempfile::tempdir().unwrap();
    let ran = fetch(folder.path(), &[&list, "--table", "a.csv"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("to fetch only what is missing"),
        "{}",
        ran.stderr
    );
    let ran = fetch(folder.path(), &[&list, "--table", "a.csv", "--resume"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let table = fs::read_to_string(folder.path().join("a.csv")).unwrap();
    assert_eq!(table.matches(",200,").count(), 3, "{table}");
    assert_eq!(["/1", "/2", "/3"].map(|path| server.asked(path)), [1, 2, 1]);
    assert_eq!(files(folder.path()), ["a.csv"]);
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
    let first = server(move |path, _| redirect(to_other.get().unwrap(), path));
    let address = first.address().to_owned();
    let second = server(move |path, _| redirect(&address, path));
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

/// Until the list is read, Ctrl-C ends the program as usual.
#[cfg(unix)]
#[test]
fn an_endless_list_can_be_interrupted() {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Stdio;

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let folder = tempfile::tempdir().unwrap();
    let mut child = command(folder.path(), &["fetch", "--urls", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    thread::sleep(Duration::from_millis(200));
    let process = Pid::from_raw(child.id().try_into().unwrap());
    kill(process, Signal::SIGINT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(2), "{status}");
}

/// A host that refuses requests that come too soon, without saying how long to wait.
#[test]
fn settles_at_the_pace_of_a_host() {
    use std::sync::Mutex;
    use std::time::Instant;
    for status in ["503 Service Unavailable", "429 Too Many Requests"] {
        let free_at = Mutex::new(Instant::now());
        let server = server(move |path, _| {
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

/// What the table on a stream is, and what stays of a long address.
#[test]
fn prints_a_table_and_the_headings() {
    let server =
        server(|path, _| (path == "/2").then(|| Reply::status("500 Internal Server Error")));
    let folder = tempfile::tempdir().unwrap();
    let list = format!("{}/[1-2]", server.address());
    let ran = fetch(
        folder.path(),
        &[&list, "--headings", "--count", "Page", "--workers", "1"],
    );
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let lines: Vec<&str> = ran.stdout.lines().map(str::trim_end).collect();
    let words = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let title = format!(
        "# status address at {} Page bytes ms title or error",
        server.address()
    );
    assert_eq!(words(lines[0]).join(" "), title);
    let cells = words(lines[2]);
    assert_eq!(
        (&cells[..5], &cells[6..]),
        (&words("1 200 /1 2 87")[..], &words("Page 1")[..])
    );
    let cells = words(lines[3]);
    assert_eq!(
        (&cells[..5], &cells[6..]),
        (&words("2 500 /2 – 0")[..], &words("HTTP status 500")[..])
    );
    assert_eq!(
        lines[4..],
        [
            "",
            &format!("{}/1", server.address()),
            "  h1 A Page 1",
            "      h3 b"
        ]
    );
    // Nothing is left in the folder.
    assert!(files(folder.path()).is_empty());
}

#[test]
fn counts_words_in_files_and_pages() {
    let server = server(|_, _| None);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.log"), "Error: error\nno errors\n").unwrap();
    let utf16: Vec<u8> = "\u{feff}error é"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    fs::write(folder.path().join("b.log"), utf16).unwrap();
    let page = format!("{}/1", server.address());
    let count = |options: &[&str]| {
        let fixed = [
            "a.log",
            "b.log",
            &page,
            "gone/c.log",
            "--table",
            "-.ndjson",
            "--count",
            "error",
        ];
        let ran = fetch(folder.path(), &[&fixed, options].concat());
        assert_eq!(ran.code, 3, "{}", ran.stderr);
        rows(&ran.stdout)
    };
    // Files come first, in their order.
    let found = count(&[]);
    let counts: Vec<&Value> = found.iter().map(|row| &row["counts"]["error"]).collect();
    assert_eq!(counts, [&json!(2), &json!(1), &Value::Null, &json!(0)]);
    let sizes: Vec<[&Value; 2]> = found
        .iter()
        .map(|row| [&row["bytes"], &row["chars"]])
        .collect();
    assert_eq!(
        sizes[..2],
        [[&json!(23), &json!(23)], [&json!(16), &json!(7)]]
    );
    assert_eq!(found[2]["url"], "gone/c.log");
    let error = found[2]["error"].as_str().unwrap();
    assert!(error.starts_with("cannot be read: "), "{error}");
    let found = count(&["--ignore-case"]);
    assert_eq!(found[0]["counts"]["error"], 3);
}

#[test]
fn puts_objects_into_a_database() {
    let server = server(|path, _| {
        let json = match path {
            "/3" => "[{\"id\": 3, \"name\": \"c\"}, {\"id\": 1, \"tags\": [1]}]".to_owned(),
            "/4" => "no JSON".to_owned(),
            "/5" => "{\"name\": \"without a key\"}".to_owned(),
            _ => format!("{{\"id\": {}, \"name\": \"n\"}}", &path[1..]),
        };
        (path != "/robots.txt").then(|| Reply::Page(json.into_bytes()))
    });
    let folder = tempfile::tempdir().unwrap();
    let list = format!("{}/[2-5]", server.address());
    let options = [
        &*list, "--db", "x.sqlite", "--into", "users", "--key", "id", "--table", "-.ndjson",
    ];
    for _ in 0..2 {
        let ran = fetch(folder.path(), &options);
        assert_eq!(ran.code, 3, "{}", ran.stderr);
        let found = rows(&ran.stdout);
        let inserted: Vec<&Value> = found.iter().map(|row| &row["rows"]).collect();
        assert_eq!(inserted, [&json!(1), &json!(2), &Value::Null, &Value::Null]);
        let error = found[2]["error"].as_str().unwrap();
        assert!(error.contains("no JSON"), "{error}");
        assert!(
            found[3]["error"].as_str().unwrap().contains("id"),
            "{}",
            found[3]
        );
    }
    let database = rusqlite::Connection::open(folder.path().join("x.sqlite")).unwrap();
    let users: Vec<(i64, Option<String>, Option<String>)> = database
        .prepare("SELECT id, name, tags FROM users ORDER BY id")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        users,
        [
            (1, None, text("[1]")),
            (2, text("n"), None),
            (3, text("c"), None)
        ]
    );
}

/// A recording has each response, and another run with other words is not a continuation of this one.
#[test]
fn records_all_responses() {
    let server = server(|path, _| (path == "/2").then(|| Reply::status("404 Not Found")));
    let folder = tempfile::tempdir().unwrap();
    let list = format!("{}/[1-3]", server.address());
    let ran = fetch(
        folder.path(),
        &[&list, "--record", "r.warc", "--table", "a.csv"],
    );
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(!ran.stderr.contains("--resume"), "{}", ran.stderr);
    assert_eq!(files(folder.path()), ["a.csv", "r.warc"]);
    let archive = fs::read(folder.path().join("r.warc")).unwrap();
    let archive = String::from_utf8_lossy(&archive);
    for path in ["robots.txt", "1", "2", "3"] {
        let record = format!("WARC-Target-URI: {}/{path}\r\n", server.address());
        assert_eq!(archive.matches(&record).count(), 1, "{path}");
    }
}

/// The limit holds for all hosts together.
#[test]
fn spaces_the_requests_of_a_run() {
    let servers = [server(|_, _| None), server(|_, _| None)];
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

#[cfg(unix)]
#[test]
fn ends_on_a_signal_and_after_max_time() {
    use std::process::Stdio;

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let server = server(|path, _| {
        if path != "/1" && path != "/robots.txt" {
            thread::sleep(Duration::from_secs(20));
        }
        None
    });
    let folder = tempfile::tempdir().unwrap();
    let list = format!("{}/[1-9]", server.address());
    let ran = fetch(
        folder.path(),
        &[&list, "--table", "a.csv", "--max-time", "3"],
    );
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("not done within --max-time 3 s; 1 row kept for --resume"),
        "{}",
        ran.stderr
    );
    assert_eq!(files(folder.path()), ["unfinished-a.csv.ndjson"]);

    let child = command(folder.path(), &["fetch", &list, "--table", "b.csv"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !folder.path().join("unfinished-b.csv.ndjson").exists() {
        thread::sleep(Duration::from_millis(5));
    }
    let process = Pid::from_raw(child.id().try_into().unwrap());
    kill(process, Signal::SIGINT).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(
        stderr.contains("interrupted; 1 row kept for --resume"),
        "{stderr}"
    );
    assert!(stderr.contains("--table b.csv --resume"), "{stderr}");
}

/// One host that resets all its connections spends no retries of another.
#[test]
fn each_host_has_retries_of_its_own() {
    let broken = server(|path, _| {
        (path != "/robots.txt")
            .then(|| Reply::RawThenClose(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n".to_vec()))
    });
    let flaky = server(|path, before| {
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
    let found = rows(&ran.stdout);
    let failed = found.iter().filter(|row| !row["error"].is_null());
    assert_eq!(
        failed.filter_map(|row| row["position"].as_u64()).max(),
        Some(40)
    );
    let requests = broken.requests().len();
    assert!(requests <= 1 + 40 + 40, "{requests}");
}

/// A pipe without a writer keeps a read waiting for ever, and a signal ends the run all the same.
#[cfg(unix)]
#[test]
fn a_silent_pipe_can_be_interrupted() {
    use std::process::Stdio;

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .unwrap();
    assert!(made.success());
    for has_writer in [false, true] {
        let child = command(folder.path(), &["fetch", "--count", "a", "pipe"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Opening it waits for the reader.
        let writer = has_writer.then(|| fs::OpenOptions::new().write(true).open(&pipe).unwrap());
        thread::sleep(Duration::from_millis(300));
        kill(
            Pid::from_raw(child.id().try_into().unwrap()),
            Signal::SIGINT,
        )
        .unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(130),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        drop(writer);
    }
}

/// Another program may lock the database for as long as it likes: a signal ends the wait.
#[cfg(unix)]
#[test]
fn a_locked_database_can_be_waited_for_and_given_up() {
    use std::process::Stdio;

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let server = server(|path, _| (path == "/1").then(|| Reply::Page(b"{\"id\": 1}".to_vec())));
    let folder = tempfile::tempdir().unwrap();
    let list = format!("{}/1", server.address());
    let options = [
        "fetch", &*list, "--db", "x.sqlite", "--into", "t", "--key", "id",
    ];
    let other = rusqlite::Connection::open(folder.path().join("x.sqlite")).unwrap();
    other
        .execute_batch("CREATE TABLE mine (a); BEGIN EXCLUSIVE")
        .unwrap();
    let start = || {
        let child = command(folder.path(), &options)
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        thread::sleep(Duration::from_secs(3));
        child
    };
    let child = start();
    kill(
        Pid::from_raw(child.id().try_into().unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(130),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let child = start();
    other.execute_batch("ROLLBACK").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let rows: i64 = other
        .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 1);
}

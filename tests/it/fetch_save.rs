//! Downloads: `fetch --save`.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use indexrank::replica::{Market, SEED};
use serde_json::Value;

use crate::support::{Ran, Reply, Request, TestServer, command, files, indexrank, json_lines};

/// 300,000 bytes that differ from file to file.
fn body(path: &str) -> Vec<u8> {
    path.bytes().cycle().take(300_000).collect()
}

/// A server of files; `reply` may answer instead.
fn server(reply: impl Fn(&str, usize) -> Option<Reply> + Send + Sync + 'static) -> TestServer {
    TestServer::start(Market::embedded(Some(1), SEED), move |path, before| {
        let file = path.starts_with("/f").then(|| whole(path, &body(path)));
        reply(path, before).or(file)
    })
}

fn whole(etag: &str, body: &[u8]) -> Reply {
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nETag: \"{etag}\"\r\nContent-Length: {length}");
    Reply::with_head(&head, body)
}

/// The first half of a body. Then the connection closes.
fn half(etag: &str, body: &[u8]) -> Reply {
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nETag: \"{etag}\"\r\nContent-Length: {length}");
    Reply::with_head(&head, &body[..length / 2])
}

/// The rest of a body from this byte on.
fn rest(etag: &str, body: &[u8], from: usize) -> Reply {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nETag: \"{etag}\"\r\nContent-Range: bytes {from}-{}/{length}\r\nContent-Length: {}",
        length - 1,
        length - from
    );
    Reply::with_head(&head, &body[from..])
}

fn fetch(folder: &Path, arguments: &[&str]) -> Ran {
    let fixed = ["fetch", "--save", "d", "--table", "-.ndjson"];
    indexrank(folder, &[&fixed, arguments].concat())
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let mut lines = request.headers.iter();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn saved(folder: &Path, name: &str) -> Vec<u8> {
    fs::read(folder.join("d").join(name)).unwrap()
}

fn row(ran: &Ran) -> Value {
    json_lines(&ran.stdout).remove(0)
}

#[test]
fn saves_bodies_under_names_that_nothing_has() {
    let server = server(|path, _| match path {
        "/named" => Some(Reply::with_head(
            "HTTP/1.1 200 OK\r\nContent-Disposition: attachment; filename=\"../../f1\"",
            b"named",
        )),
        "/gone" => Some(Reply::status("404 Not Found")),
        _ => None,
    });
    let address = server.address();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("d")).unwrap();
    fs::write(folder.path().join("d/f2"), "mine").unwrap();
    let list = format!("{address}/{{f1,f2,named,gone,f1}}");
    let ran = fetch(folder.path(), &[&list, "--workers", "1"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let found = files(&folder.path().join("d"));
    // The failed one may come with --resume.
    assert_eq!(
        found,
        ["_.._f1", "f1", "f1-5", "f2", "f2-2", "unfinished.ndjson"]
    );
    assert_eq!(saved(folder.path(), "f1"), body("/f1"));
    assert_eq!(saved(folder.path(), "f1-5"), body("/f1"));
    assert_eq!(saved(folder.path(), "f2-2"), body("/f2"));
    assert_eq!(saved(folder.path(), "f2"), b"mine");
    assert_eq!(saved(folder.path(), "_.._f1"), b"named");
    let rows = json_lines(&ran.stdout);
    let row = rows.iter().find(|row| row["position"] == 3).unwrap();
    assert_eq!((&row["file"], &row["bytes"]), (&"_.._f1".into(), &5.into()));
    // As `printf named | sha256sum` prints it.
    let sha256 = "a157d36a739191c1826419da5c87aedf3dd0cd6828565ada2a38a6b68ed741e5";
    assert_eq!(row["sha256"], sha256);
    let gone = rows.iter().find(|row| row["position"] == 4).unwrap();
    assert_eq!(
        (&gone["error"], gone.get("file")),
        (&"HTTP status 404".into(), None)
    );
}

#[test]
fn a_body_that_breaks_off_continues() {
    let server = server(|path, before| match (path, before) {
        ("/f1", 0) => Some(half("a", &body("/f1"))),
        ("/f1", 1) => Some(rest("a", &body("/f1"), 150_000)),
        _ => None,
    });
    let folder = tempfile::tempdir().unwrap();
    let list = format!("{}/f1", server.address());
    let ran = fetch(folder.path(), &[&list]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(saved(folder.path(), "f1"), body("/f1"));
    assert_eq!(
        (&row(&ran)["bytes"], &row(&ran)["status"]),
        (&300_000.into(), &206.into())
    );
    let requests = server.requests();
    let requests: Vec<&Request> = requests.iter().filter(|one| one.path == "/f1").collect();
    assert_eq!(header(requests[0], "range"), None);
    assert_eq!(header(requests[0], "accept-encoding"), Some("identity"));
    assert_eq!(header(requests[1], "range"), Some("bytes=150000-"));
    assert_eq!(header(requests[1], "if-range"), Some("\"a\""));
    assert_eq!(files(&folder.path().join("d")), ["f1"]);
}

/// Answers to a request for the rest that must not be put behind what is there.
#[test]
fn a_body_that_has_changed_is_saved_whole() {
    let other = || body("/other");
    for (name, second) in [
        ("whole", whole("b", &other())),
        ("rest of another", rest("b", &other(), 150_000)),
        ("rest from elsewhere", rest("a", &other(), 140_000)),
        (
            "no more",
            Reply::status("416 Range Not Satisfiable\r\nContent-Range: bytes */9"),
        ),
    ] {
        let second = std::sync::Mutex::new(Some(second));
        let server = server(move |path, before| match (path, before) {
            ("/f1", 0) => Some(half("a", &body("/f1"))),
            ("/f1", 1) => second.lock().unwrap().take(),
            ("/f1", _) => Some(whole("b", &other())),
            _ => None,
        });
        let folder = tempfile::tempdir().unwrap();
        let list = format!("{}/f1", server.address());
        let ran = fetch(folder.path(), &[&list]);
        assert_eq!(ran.code, 0, "{name}: {}", ran.stderr);
        assert!(saved(folder.path(), "f1") == other(), "{name}");
        assert_eq!(files(&folder.path().join("d")), ["f1"], "{name}");
    }
}

/// A killed run leaves a part; the resumed one asks for the rest of it.
#[cfg(unix)]
#[test]
fn a_part_of_a_killed_run_continues() {
    use std::io::Write as _;
    use std::net::TcpListener;

    // This one sends half of the body, and then nothing.
    let stalling = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", stalling.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let list = format!("{address}/f1");
    let serve = thread::spawn(move || {
        let (mut stream, _) = stalling.accept().unwrap();
        let body = body("/f1");
        let head = format!(
            "HTTP/1.1 200 OK\r\nLast-Modified: Tue, 04 Jan 2022 10:00:00 GMT\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body[..100_000]).unwrap();
        (stalling, stream)
    });
    let arguments = ["fetch", &list, "--save", "d", "--ignore-robots"];
    let mut child = command(folder.path(), &arguments).spawn().unwrap();
    let part = folder.path().join("d/unfinished-1.part");
    let journal = folder.path().join("d/unfinished.ndjson");
    while fs::metadata(&part).map_or(0, |part| part.len()) < 100_000 || !journal.exists() {
        thread::sleep(Duration::from_millis(2));
    }
    let (listener, stream) = serve.join().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    drop((listener, stream));

    // The resumed run finds another server at the same address.
    let port = address.rsplit(':').next().unwrap();
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    let serve = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let length = std::io::Read::read(&mut stream, &mut request).unwrap();
        let body = body("/f1");
        let head = "HTTP/1.1 206 Partial Content\r\nLast-Modified: Tue, 04 Jan 2022 10:00:00 GMT\r\n\
                    Content-Range: bytes 100000-299999/300000\r\nContent-Length: 200000\r\n\
                    Connection: close\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body[100_000..]).unwrap();
        String::from_utf8_lossy(&request[..length]).to_ascii_lowercase()
    });
    let ran = indexrank(folder.path(), &[&arguments[..], &["--resume"]].concat());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let request = serve.join().unwrap();
    assert!(request.contains("range: bytes=100000-"), "{request}");
    assert!(request.contains("if-range: tue, 04 jan 2022"), "{request}");
    assert_eq!(saved(folder.path(), "f1"), body("/f1"));
    assert_eq!(files(&folder.path().join("d")), ["f1"]);

    // Nothing is left to resume, and nothing is saved a second time.
    let ran = indexrank(folder.path(), &[&arguments[..], &["--resume"]].concat());
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("nothing is left to resume"),
        "{}",
        ran.stderr
    );
    assert_eq!(files(&folder.path().join("d")), ["f1"]);
}

/// The limits of pages are not those of downloads.
#[test]
fn saves_large_bodies() {
    let server = server(|path, _| {
        let body = body(path).repeat(80);
        (path != "/robots.txt").then(|| whole("a", &body))
    });
    let folder = tempfile::tempdir().unwrap();
    let ran = fetch(folder.path(), &[&format!("{}/f1", server.address())]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(saved(folder.path(), "f1") == body("/f1").repeat(80));
}

/// With and without a Content-Length, the part is removed.
#[test]
fn saves_nothing_larger_than_the_limit() {
    let server = server(|path, _| {
        let unstated = || Reply::with_head("HTTP/1.1 200 OK", &body(path));
        (path == "/f2").then(unstated)
    });
    let folder = tempfile::tempdir().unwrap();
    let list = format!("{}/f[1-2]", server.address());
    let ran = fetch(folder.path(), &[&list, "--max-size", "200K"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    for row in json_lines(&ran.stdout) {
        assert_eq!(
            row["error"],
            "the body is larger than --max-size, 204800 bytes"
        );
    }
    assert_eq!(files(&folder.path().join("d")), ["unfinished.ndjson"]);
    let ran = fetch(folder.path(), &[&list, "--max-size", "300000"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

/// A body that the disk does not take ends the run, and `--resume` continues it.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_run() {
    let server = server(|_, _| None);
    let folder = tempfile::tempdir().unwrap();
    let list = format!("{}/f[1-4]", server.address());
    let limited = format!("ulimit -f 200; exec \"$BINARY\" fetch '{list}' --save d --workers 1");
    let ran = crate::limits::sh(folder.path(), &limited);
    assert_eq!(ran.code, 7, "{}", ran.stderr);
    assert!(ran.stderr.contains("unfinished-1.part"), "{}", ran.stderr);
    let ran = fetch(folder.path(), &[&list, "--resume"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(files(&folder.path().join("d")), ["f1", "f2", "f3", "f4"]);
    for name in ["f1", "f2", "f3", "f4"] {
        assert_eq!(
            saved(folder.path(), name),
            body(&format!("/{name}")),
            "{name}"
        );
    }
}

/// A server may send only a part of the rest that was asked for.
#[test]
fn a_rest_that_comes_in_pieces_is_put_together() {
    let piece = |from: usize, to: usize| {
        let body = body("/f1");
        let head = format!(
            "HTTP/1.1 206 Partial Content\r\nETag: \"a\"\r\nContent-Range: bytes {from}-{}/300000\r\nContent-Length: {}",
            to - 1,
            to - from
        );
        Reply::with_head(&head, &body[from..to])
    };
    let server = server(move |path, before| match (path, before) {
        ("/f1", 0) => Some(half("a", &body("/f1"))),
        ("/f1", 1) => Some(piece(150_000, 200_000)),
        ("/f1", 2) => Some(piece(200_000, 300_000)),
        _ => None,
    });
    let folder = tempfile::tempdir().unwrap();
    let list = format!("{}/f1", server.address());
    let ran = fetch(folder.path(), &[&list]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(saved(folder.path(), "f1") == body("/f1"));
    assert_eq!(server.asked("/f1"), 3);
}

/// The journal and the parts of an interrupted run, edited so that they lead out of the folder.
#[cfg(unix)]
#[test]
fn a_resumed_run_writes_nothing_outside_its_folder() {
    let server = server(|path, _| (path == "/f9").then(|| Reply::status("404 Not Found")));
    let folder = tempfile::tempdir().unwrap();
    let list = format!("{}/f{{1,2,9}}", server.address());
    let ran = fetch(folder.path(), &[&list]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let journal = folder.path().join("d/unfinished.ndjson");
    let text = fs::read_to_string(&journal).unwrap();
    let text = text.replace("\"file\":\"f1\"", "\"file\":\"../escaped\"");
    let part = r#"{"part":{"position":3,"validator":"\"a\"","length":300000}}"#;
    fs::write(&journal, format!("{text}{part}\n")).unwrap();
    let outside = folder.path().join("outside");
    fs::write(&outside, "mine").unwrap();
    fs::rename(
        folder.path().join("d/f1"),
        folder.path().join("d/unfinished-1.part"),
    )
    .unwrap();
    std::os::unix::fs::symlink(&outside, folder.path().join("d/unfinished-3.part")).unwrap();
    let ran = fetch(folder.path(), &[&list, "--resume"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert_eq!(files(folder.path()), ["d", "outside"]);
    assert_eq!(fs::read(&outside).unwrap(), b"mine");
    assert_eq!(saved(folder.path(), "f1"), body("/f1"));
    let requests = server.requests();
    let last = requests
        .iter()
        .rfind(|request| request.path == "/f9")
        .unwrap();
    assert_eq!(
        header(last, "range"),
        None,
        "the length of a link's target says nothing"
    );
}

/// A run that was killed between the two steps that give a file its name.
#[cfg(unix)]
#[test]
fn a_linked_part_is_removed() {
    let server = server(|path, _| (path == "/f9").then(|| Reply::status("404 Not Found")));
    let folder = tempfile::tempdir().unwrap();
    let list = format!("{}/f{{1,9}}", server.address());
    let ran = fetch(folder.path(), &[&list]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let (file, part) = (
        folder.path().join("d/f1"),
        folder.path().join("d/unfinished-1.part"),
    );
    fs::hard_link(&file, &part).unwrap();
    let ran = fetch(folder.path(), &[&list, "--resume"]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert_eq!(files(&folder.path().join("d")), ["f1", "unfinished.ndjson"]);
    assert_eq!(server.asked("/f1"), 1);
}

/// Files of the user whose names are like those of parts stay.
#[test]
fn only_its_own_parts_are_removed() {
    let server = server(|_, _| None);
    let folder = tempfile::tempdir().unwrap();
    let others = ["unfinished-007.part", "unfinished-x.part"];
    fs::create_dir_all(folder.path().join("d/unfinished-3.part")).unwrap();
    for name in others {
        fs::write(folder.path().join("d").join(name), "mine").unwrap();
    }
    fs::write(folder.path().join("d/unfinished-8.part"), "of a run").unwrap();
    let ran = fetch(folder.path(), &[&format!("{}/f1", server.address())]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let found = files(&folder.path().join("d"));
    assert_eq!(
        found,
        [
            "f1",
            "unfinished-007.part",
            "unfinished-3.part",
            "unfinished-x.part"
        ]
    );
}

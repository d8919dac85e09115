//! The subcommand `fetch`: the rows of its tables, headings, counts, databases and recordings.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Reply, fetch, files, json_lines, page_server, sorted_rows};

#[test]
fn each_address_has_a_row() {
    let server = page_server(|path, _| match path {
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
    let rows = sorted_rows(&ran.stdout);
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
    let server = page_server(|path, _| {
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

/// What the table on a stream is, and what stays of a long address.
#[test]
fn prints_a_table_and_the_headings() {
    let server =
        page_server(|path, _| (path == "/2").then(|| Reply::status("500 Internal Server Error")));
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
    let server = page_server(|_, _| None);
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
        sorted_rows(&ran.stdout)
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
    let server = page_server(|path, _| {
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
        let found = sorted_rows(&ran.stdout);
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
    let server = page_server(|path, _| (path == "/2").then(|| Reply::status("404 Not Found")));
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

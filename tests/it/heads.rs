//! Heads of responses that are not quite HTTP: what is read, and what is the failure of its page.
//!
//! curl 7.88.1 takes most of them. The parser of the HTTP library, httparse, takes fewer, and cannot be
//! told to take more.

use crate::run::{COMPANY, Run, always, company_html};
use crate::support::{Reply, json};

/// The page of [`COMPANY`] behind a head, in which `{}` stands for its length. The connection of a head
/// without a length is closed.
fn reply(head: &[u8]) -> Reply {
    let body = company_html(COMPANY);
    let length = body.len().to_string();
    let mut filled = Vec::new();
    let mut rest = head;
    while let Some(at) = memchr::memmem::find(rest, b"{}") {
        filled.extend_from_slice(&rest[..at]);
        filled.extend_from_slice(length.as_bytes());
        rest = &rest[at + 2..];
    }
    let has_length = !filled.is_empty();
    filled.extend_from_slice(rest);
    filled.extend_from_slice(&body);
    if has_length {
        Reply::Raw(filled)
    } else {
        Reply::RawThenClose(filled)
    }
}

fn chunked(head: &str, chunk: impl Fn(&[u8]) -> Vec<u8>, last: &str) -> Reply {
    let body = company_html(COMPANY);
    let mut bytes = head.as_bytes().to_vec();
    for part in body.chunks(30_000) {
        bytes.extend(chunk(part));
    }
    bytes.extend_from_slice(last.as_bytes());
    Reply::Raw(bytes)
}

#[test]
fn reads_heads_that_are_odd() {
    for head in [
        "HTTP/1.1 200 OK\r\nX-A: ü\r\nContent-Length: {}\r\n\r\n".as_bytes(),
        b"HTTP/1.1 200 OK\r\nX-A: \xfc\r\nContent-Length: {}\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-A:\r\nX-B:  \t \r\nContent-Length:\t{} \r\n\r\n",
        b"HTTP/1.1 200 OK\nX-A: b\nContent-Length: {}\n\n",
        b"HTTP/1.1 200 OK\nX-A: b\r\nContent-Length: {}\r\n\n",
        b"HTTP/1.1 200\r\nContent-Length: {}\r\n\r\n",
        b"HTTP/1.1 200 \r\nContent-Length: {}\r\n\r\n",
        b"HTTP/1.1 200\nContent-Length: {}\r\n\r\n",
        b"HTTP/1.1 200  All right\r\nContent-Length: {}\r\n\r\n",
        b"HTTP/1.1 200 \xdcnd\r\nContent-Length: {}\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n",
        b"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: {}\r\nContent-Length: {}\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: {}, {}\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: {},{}\r\nContent-Length: {}\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 000{}\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: {}\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\nContent-Length: {}\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, close\r\nContent-Length: {}\r\n\r\n",
    ] {
        let server = always(COMPANY, move || reply(head));
        let run = Run::new(&server, &["--record", "run.warc"]);
        assert_eq!(run.ran.code, 0, "{}: {}", head.escape_ascii(), run.ran.stderr);
        run.assert_complete(0);
    }
    let plain = |part: &[u8]| [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
    let extended = |part: &[u8]| {
        [
            format!("000{:X} ;a=\"b\"\r\n", part.len()).as_bytes(),
            part,
            b"\r\n",
        ]
        .concat()
    };
    const END: &str = "0\r\n\r\n";
    for (coding, last) in [
        ("chunked", END),
        ("Chunked", END),
        ("  chunked\t", END),
        ("identity, chunked", END),
        ("chunked\r\nContent-Length: 7", END),
        ("chunked", "000;x\r\nX-Trailer: y\r\n\r\n"),
    ] {
        let head = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n");
        for extends in [false, true] {
            let head = head.clone();
            let server = always(COMPANY, move || {
                if extends {
                    chunked(&head, extended, last)
                } else {
                    chunked(&head, plain, last)
                }
            });
            let run = Run::new(&server, &[]);
            assert_eq!(run.ran.code, 0, "{coding} {last}: {}", run.ran.stderr);
            run.assert_complete(0);
        }
    }
}

/// The receive buffer of a connection has 32 KiB.
#[test]
fn reads_a_head_that_fits_into_the_receive_buffer() {
    for (size, expected) in [
        (32_700, "ok"),
        (32 << 10, "ok"),
        ((32 << 10) + 1, "headers_too_large"),
        (40_000, "headers_too_large"),
    ] {
        let start = "HTTP/1.1 200 OK\r\nX-A: ";
        let length = company_html(COMPANY).len().to_string().len();
        let end = "\r\nContent-Length: {}\r\n\r\n";
        let filler = "x".repeat(size - start.len() - end.len() + "{}".len() - length);
        let head = format!("{start}{filler}{end}");
        let server = always(COMPANY, move || reply(head.as_bytes()));
        let run = Run::new(&server, &[]);
        match expected {
            "ok" => run.assert_complete(0),
            reason => run.assert_without_the_company(reason),
        }
        assert_eq!(server.asked(COMPANY), 1, "{size}");
    }
}

const NAME: &str = "malformed header (no colon, or a name that is empty or has a space or another invalid character)";
const VALUE: &str = "malformed header (a value with a control character)";
const STATUS: &str = "malformed status line";
const VERSION: &str = "it does not begin with HTTP/1.0 or HTTP/1.1";
const LENGTH: &str = "malformed header (Content-Length is not a number)";
const LENGTHS: &str = "conflicting content-length headers";

/// Each is requested twice, as every response that is not HTTP.
#[test]
fn names_what_is_wrong_with_a_head() {
    let rest = "\r\nContent-Length: {}\r\n\r\n";
    let head = |line: &str| format!("HTTP/1.1 200 OK\r\n{line}{rest}").into_bytes();
    let status = |line: &str| format!("{line}{rest}").into_bytes();
    let length =
        |value: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {value}\r\n\r\n").into_bytes();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        // curl 7.88.1 accepts these.
        (head("X-A : b"), NAME),
        (head("X-A\t: b"), NAME),
        (head("X-A: b\r\n  folded"), NAME),
        (head("X-A: b\r\n\tfolded"), NAME),
        (head("X-ü: a"), NAME),
        (head(": no name"), NAME),
        (head("X[A]: b"), NAME),
        (head("X A: b"), NAME),
        (head("X-A: a\u{1}b"), VALUE),
        (head("X-A: a\u{7f}b"), VALUE),
        (head("X-A: a\rb"), VALUE),
        (status("HTTP/1.1  200  OK"), STATUS),
        (status("HTTP/1.1 200 O\u{1}K"), STATUS),
        (status("HTTP/1.1 200 OK\r"), STATUS),
        (status("http/1.1 200 OK"), VERSION),
        (status("HTTP/2 200"), VERSION),
        (status("HTTP/2.0 200 OK"), VERSION),
        (length("5, 4"), LENGTHS),
        (length("5\r\nContent-Length: 4"), LENGTHS),
        (length("+5"), LENGTH),
        (length("5;x"), LENGTH),
        (length("{} bytes"), LENGTH),
        (length("99999999999999999999999"), LENGTH),
        (
            b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n"
                .to_vec(),
            "malformed header (an interim response, 100, with headers)",
        ),
        (
            b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
            "HTTP/1.0 has no chunks",
        ),
        // curl rejects these too.
        (head("nonsense"), NAME),
        (head("no colon here"), NAME),
        (head(" X-A: b"), NAME),
        (head("X-A: a\0b"), VALUE),
        (status("HTTP/1.1 0200 OK"), STATUS),
        (status("HTTP/1.1 20 OK"), STATUS),
        (status("HTTP/1.1 2OO OK"), STATUS),
        (status("HTTP/1.1 099 OK"), "invalid status code: 099"),
        (status("HTTP/1.1\t200\tOK"), VERSION),
        (status("HTTP/1.2 200 OK"), VERSION),
        (status("HTTP 200 OK"), VERSION),
        (status("ICY 200 OK"), VERSION),
        (status(" HTTP/1.1 200 OK"), VERSION),
        (Vec::new(), VERSION),
        (length("-5"), LENGTH),
        (length("0x5"), LENGTH),
        (length(""), LENGTH),
    ];
    for (head, words) in cases {
        let shown = head.escape_ascii().to_string();
        let server = always(COMPANY, move || reply(&head));
        let run = Run::new(&server, &["--retry-pause", "10"]);
        run.assert_without_the_company("protocol");
        assert_eq!(server.asked(COMPANY), 2, "{shown}");
        let report = json(&run.folder.path().join("rankings/run.json"));
        let detail = format!("the response is not valid HTTP: {words}");
        assert_eq!(report["failures"][0]["detail"], detail, "{shown}");
    }
}

#[test]
fn names_what_is_wrong_with_the_coding_of_a_body() {
    let lf = |part: &[u8]| [format!("{:x}\n", part.len()).as_bytes(), part, b"\n"].concat();
    let head = |coding: &str| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n");
    // curl takes line feeds alone.
    let chunked_head = head("chunked");
    let server = always(COMPANY, move || match chunked(&chunked_head, lf, "0\n\n") {
        Reply::Raw(bytes) => Reply::RawThenClose(bytes),
        other => other,
    });
    let run = Run::new(&server, &["--retry-pause", "10"]);
    run.assert_without_the_company("broken");
    let words = "the response is not valid HTTP: its chunks are malformed";
    assert!(run.ran.stderr.contains(words), "{}", run.ran.stderr);
    for coding in [
        "gzip",
        "gzip, chunked",
        "x-gzip",
        "chunked;q=1",
        "deflate",
        "br",
        "foo",
    ] {
        let head = head(coding);
        let server = always(COMPANY, move || chunked(&head, |part| part.to_vec(), ""));
        let run = Run::new(&server, &[]);
        run.assert_without_the_company("unsupported_encoding");
        let words =
            format!("the server sent Transfer-Encoding {coding:?}, which was not requested");
        assert!(run.ran.stderr.contains(&words), "{}", run.ran.stderr);
        assert_eq!(server.asked(COMPANY), 1);
    }
}

//! Archives of other programs: the responses in their records, with heads, chunks, or a body alone.

use indexrank::http::error::Reason;

use crate::archives::*;
use crate::run::gzip;

#[test]
fn reads_the_heads_of_responses_as_browsers_do() {
    let many = |number: usize| {
        let lines = (0..number).map(|number| format!("X-{number}: y\r\n"));
        format!("HTTP/1.1 200 OK\r\n{}", lines.collect::<String>())
    };
    let body = gzip(PAGE.as_bytes());
    let gzipped = "Content-Encoding: gzip\r\n";
    for (head, expected) in [
        ("HTTP/2 200\r\n", Ok(())),
        ("HTTP/2.0 200 OK\r\n", Ok(())),
        ("http/1.0 200\r\n", Ok(())),
        ("h3 200\r\n", Ok(())),
        ("H2 200 OK\r\n", Ok(())),
        ("HTTP 200 OK\r\n", Ok(())),
        ("HTTPS 200 OK\r\n", Err(Reason::NotArchived)),
        ("HTTP/1.1 200\r\n", Ok(())),
        ("HTTP/1.1 200 \r\n", Ok(())),
        ("HTTP/1.1  200   OK\r\n", Ok(())),
        ("\r\nHTTP/1.1 200 OK\r\n", Ok(())),
        ("HTTP/1.1 200 OK\r\nHTTP/1.1 200 OK\r\n", Ok(())),
        ("HTTP/1.1 100 Continue\r\nHTTP/1.1 200 OK\r\n", Ok(())),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", Ok(())),
        (
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/2 200\r\n",
            Ok(()),
        ),
        (
            "HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK\r\n",
            Ok(()),
        ),
        (
            "HTTP/1.0 200 OK\r\nVia: x\r\n\r\nHTTP/1.1 404 Gone\r\n",
            Err(Reason::Gone),
        ),
        ("HTTP/1.1 200 OK\r\nX-A: b\r\n  c: d\r\n\te\r\n", Ok(())),
        ("HTTP/1.1 200 OK\r\n folded first\r\n", Ok(())),
        ("HTTP/1.1 200 OK\r\nno colon\r\n", Ok(())),
        (
            "HTTP/1.1 200 OK\r\nServer : x\r\nA B: c\r\n: d\r\nE: \x01\r\n",
            Ok(()),
        ),
        ("HTTP/2 200\r\n:status: 200\r\n", Ok(())),
        (&many(130), Ok(())),
        (&many(5000), Ok(())),
        (&many(60_000), Err(Reason::NotArchived)),
        ("HTTP/1.1 20x OK\r\n", Err(Reason::NotArchived)),
        ("HTTP/1.1\r\n", Err(Reason::NotArchived)),
        ("GET / HTTP/1.1\r\n", Err(Reason::NotArchived)),
    ] {
        let http = [head.as_bytes(), gzipped.as_bytes(), b"\r\n", &body].concat();
        let found = text(
            &open(
                &[
                    record(
                        "response",
                        "/a",
                        "Content-Type: application/http\r\n",
                        &http,
                    ),
                    response("/b", PAGE),
                ]
                .concat(),
            ),
            "/a",
        );
        let name: String = head.chars().take(100).collect();
        assert_eq!(found, expected.map(|()| PAGE.to_owned()), "{name:?}");
    }
    // The lenient reading also finds these.
    for lines in [
        "Content-Encoding:\r\n gzip\r\n",
        "content-encoding : gzip\r\n",
    ] {
        let http = [b"HTTP/1.1 200\r\n", lines.as_bytes(), b"\r\n", &body].concat();
        let archive = open(&record("response", "/a", "", &http));
        assert_eq!(text(&archive, "/a"), Ok(PAGE.to_owned()), "{lines:?}");
    }
}

#[test]
fn joins_chunks_where_there_are_some() {
    let chunked = |line_end: &str, extension: &str, end: &str| {
        let chunks = PAGE.as_bytes().chunks(5).map(|chunk| {
            let text = std::str::from_utf8(chunk).unwrap();
            format!("{:X}{extension}{line_end}{text}{line_end}", chunk.len())
        });
        chunks.collect::<String>() + end
    };
    let plain = chunked("\r\n", "", "0\r\n\r\n");
    for (coding, body) in [
        ("chunked", &*plain),
        ("Chunked", &plain),
        ("CHUNKED", &plain),
        ("   chunked  ", &plain),
        ("identity,chunked", &plain),
        ("chunked, chunked", &plain),
        ("chunked\r\nTransfer-Encoding: Chunked", &plain),
        ("\r\n chunked", &plain),
        ("chunked", &chunked("\r\n", ";a=b;c=\"d\"", "0;x\r\n\r\n")),
        ("chunked", &chunked("\r\n", "   ", "0  \r\n\r\n")),
        (
            "chunked",
            &chunked("\r\n", "", "0\r\nX-Trailer: a\r\nY: b\r\n\r\n"),
        ),
        ("chunked", &chunked("\n", "", "0\n\n")),
        // Its end is missing.
        ("chunked", &chunked("\r\n", "", "")),
        // The program that stored it has joined it.
        ("chunked", PAGE),
        ("Chunked", PAGE),
        ("gzip, chunked", PAGE),
    ] {
        let http = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n{body}");
        let archive = open(&record("response", "/a", "", http.as_bytes()));
        assert_eq!(
            text(&archive, "/a"),
            Ok(PAGE.to_owned()),
            "{coding}: {body}"
        );
    }
    let gzipped = gzip(PAGE.as_bytes());
    let chunk = [
        format!("{:x}\r\n", gzipped.len()).as_bytes(),
        &gzipped,
        b"\r\n0\r\n\r\n",
    ]
    .concat();
    for (lines, body) in [
        ("Transfer-Encoding: gzip, chunked", &chunk),
        (
            "Transfer-Encoding: gzip, chunked\r\nContent-Encoding: gzip",
            &chunk,
        ),
        (
            "Transfer-Encoding: Chunked\r\nContent-Encoding: GZip",
            &chunk,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Encoding: gzip",
            &gzipped,
        ),
    ] {
        let http = [b"HTTP/1.1 200 OK\r\n", lines.as_bytes(), b"\r\n\r\n", body].concat();
        let archive = open(&record("response", "/a", "", &http));
        assert_eq!(text(&archive, "/a"), Ok(PAGE.to_owned()), "{lines}");
    }
}

/// The program that stored them has dropped or changed the header.
#[test]
fn inflates_a_gzip_that_no_header_names() {
    let gzipped = gzip(PAGE.as_bytes());
    let text_with_gzip = format!("{PAGE}\x1f").into_bytes();
    for (lines, body, expected) in [
        ("", &gzipped, PAGE.as_bytes()),
        ("Content-Encoding: identity\r\n", &gzipped, PAGE.as_bytes()),
        ("", &text_with_gzip, &*text_with_gzip),
    ] {
        let http = [b"HTTP/1.1 200 OK\r\n", lines.as_bytes(), b"\r\n", body].concat();
        let archive = open(&record("response", "/a", "", &http));
        let expected = String::from_utf8(expected.to_vec()).unwrap();
        assert_eq!(text(&archive, "/a"), Ok(expected), "{lines:?}");
    }
}

#[test]
fn reads_records_without_an_http_head() {
    let of = |kind: &str, content_type: &str, body: &str| {
        let field = format!("Content-Type: {content_type}\r\n");
        record(kind, "/a", &field, body.as_bytes())
    };
    let html = of("resource", "text/html; charset=utf-8", PAGE);
    let (a, b) = (response("/a", PAGE), response("/b", PAGE));
    for (name, records, expected) in [
        ("resource", [&b, &html], Ok(PAGE)),
        (
            "resource of XML",
            [&b, &of("resource", "application/xml", PAGE)],
            Ok(PAGE),
        ),
        (
            "response",
            [&b, &of("response", "text/html", PAGE)],
            Ok(PAGE),
        ),
        (
            "picture",
            [&b, &of("resource", "image/png", "x")],
            Err(Reason::NotArchived),
        ),
        (
            "picture after the page",
            [&html, &of("resource", "image/png", "x")],
            Ok(PAGE),
        ),
        (
            "resource after the response",
            [&a, &of("resource", "text/html", "x")],
            Ok(PAGE),
        ),
        (
            "resource before the response",
            [&of("resource", "text/html", "x"), &a],
            Ok(PAGE),
        ),
        (
            "request",
            [&b, &of("request", "text/html", PAGE)],
            Err(Reason::NotArchived),
        ),
        (
            "HTTP without a head",
            [&b, &of("response", "application/http", PAGE)],
            Err(Reason::NotArchived),
        ),
    ] {
        let archive = open(&records.map(Vec::as_slice).concat());
        assert_eq!(text(&archive, "/a"), expected.map(str::to_owned), "{name}");
    }
    let page = open(&html).get("/a", Vec::new()).unwrap();
    assert_eq!(page.charset().as_deref(), Some("utf-8"));
}

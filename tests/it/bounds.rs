//! Bounds on the parts of a response that are not its body.

use crate::run::{COMPANIES, COMPANY, OK, Run, company_html, market};
use crate::support::{Reply, TestServer, indexrank, json, ledger};

/// A response with the page of [`COMPANY`] and this many headers. Only its end says how long it is.
fn with_headers(number: usize) -> Reply {
    let more: String = (1..number).map(|at| format!("\r\nX-{at}: x")).collect();
    Reply::with_head(&format!("{OK}{more}"), &company_html(COMPANY))
}

/// The recording gets one header more, because it needs a Content-Length.
#[test]
fn records_a_response_with_as_many_headers_as_it_accepts() {
    let server = crate::run::always(COMPANY, || with_headers(128));
    let run = Run::new(&server, &["--record", "run.warc"]);
    run.assert_complete(0);
    let options = ["--from", "run.warc", "--out", "replayed", "-q"];
    let ran = indexrank(run.folder.path(), &options);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let report = json(&run.folder.path().join("replayed/run.json"));
    assert_eq!(ledger(&report)[1], COMPANIES as u64);
}

#[test]
fn rejects_a_response_with_too_many_headers_at_once() {
    let server = crate::run::always(COMPANY, || with_headers(129));
    let run = Run::new(&server, &[]);
    run.assert_without_the_company("headers_too_large");
    let message = "the response has more than 128 headers";
    assert!(run.ran.stderr.contains(message), "{}", run.ran.stderr);
    assert_eq!(server.asked(COMPANY), 1);
}

/// A server of a company page in one chunk, with these trailers, on connections that stay open.
fn with_trailers(trailers: String) -> TestServer {
    let html = company_html(COMPANY);
    let start = format!(
        "{OK}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        html.len()
    );
    let end = format!("\r\n0\r\n{trailers}");
    let response = [start.as_bytes(), &html, end.as_bytes()].concat();
    TestServer::start(market(), move |path, _| {
        (path == COMPANY).then(|| Reply::Raw(response.clone()))
    })
}

#[test]
fn accepts_trailers() {
    let server = with_trailers("X-Checksum: 5\r\n".repeat(100) + "\r\n");
    Run::new(&server, &[]).assert_complete(0);
}

#[test]
fn rejects_trailers_without_an_end() {
    let server = with_trailers("X-Checksum: 5\r\n".repeat(1 << 20));
    let run = Run::new(&server, &[]);
    run.assert_without_the_company("too_large");
    let message = "with all chunks and trailers, is larger than 8 MiB";
    assert!(run.ran.stderr.contains(message), "{}", run.ran.stderr);
    assert_eq!(server.asked(COMPANY), 1);

    // One line that does not fit into the buffer of the connection.
    let server = with_trailers(format!("X-Checksum: {}\r\n\r\n", "x".repeat(1 << 20)));
    let run = Run::new(&server, &["--retry-pause", "10"]);
    run.assert_without_the_company("broken");
}

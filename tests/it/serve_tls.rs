//! `serve --tls`: its certificates, its connections, and its faults.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread;

use indexrank::replica::tls::{Certificates, server_config};
use indexrank::replica::{Line, Market, Pages, SEED};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::run::market;
use crate::support::{assert_expected_rankings, files, indexrank, json, start_serve};

/// `serve --tls` with these options; killed when dropped. Its authority is `ca.pem` in the folder.
struct Serve {
    child: Child,
    address: String,
}

impl Serve {
    fn start(folder: &Path, options: &[&str]) -> Self {
        let tls = ["--tls", "--ca-out", "ca.pem"];
        let (child, address) = start_serve(folder, &[&tls, options].concat());
        assert!(address.starts_with("https://127.0.0.1:"), "{address}");
        Serve { child, address }
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn gives_the_expected_rankings_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serve::start(folder.path(), &[]);
    let by_name = server.address.replace("127.0.0.1", "localhost");
    for address in [&server.address, &by_name] {
        let options = ["--from", address, "--ca-file", "ca.pem", "--out", "out"];
        let ran = indexrank(folder.path(), &options);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert_expected_rankings(&folder.path().join("out"));
    }
    assert_eq!(files(folder.path()), ["ca.pem", "out"]);
}

/// curl has OpenSSL, and Python checks by the letter of RFC 5280.
#[test]
fn satisfies_other_clients() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serve::start(folder.path(), &["--companies", "1"]);
    let page = format!("{}/scripts/XML_daily.asp", server.address);
    let python = "import ssl, sys, urllib.request; \
        context = ssl.create_default_context(cafile='ca.pem'); \
        context.verify_flags |= ssl.VERIFY_X509_STRICT; \
        sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1], context=context).read())";
    for command in [
        &[
            "curl",
            "--silent",
            "--show-error",
            "--cacert",
            "ca.pem",
            &page,
        ][..],
        &["python3", "-c", python, &page],
    ] {
        let mut client = Command::new(command[0]);
        match client
            .args(&command[1..])
            .current_dir(folder.path())
            .output()
        {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            ran => {
                let ran = ran.unwrap();
                let stderr = String::from_utf8_lossy(&ran.stderr);
                assert!(ran.status.success(), "{}: {stderr}", command[0]);
                assert!(String::from_utf8_lossy(&ran.stdout).contains("<ValCurs"));
            }
        }
    }
}

#[test]
fn is_rejected_by_clients_of_another_authority() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serve::start(folder.path(), &[]);
    let own = fs::read_to_string(folder.path().join("ca.pem")).unwrap();
    let other = Serve::start(folder.path(), &[]);
    assert_ne!(
        own,
        fs::read_to_string(folder.path().join("ca.pem")).unwrap()
    );
    let authorities = ["--ca-file", "ca.pem"];
    for authorities in [&authorities[..], &[]] {
        let from = ["--from", &server.address];
        let ran = indexrank(folder.path(), &[&from, authorities].concat());
        assert_eq!(ran.code, 4, "{}", ran.stderr);
        let words = "an authority that is not trusted";
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
    drop(other);
}

/// A fault changes the bytes inside the records, so a client meets the same fault of HTTP.
#[test]
fn faults_are_the_same_over_tls() {
    let kinds = [
        "reset",
        "reset-head",
        "reset-body",
        "close",
        "short",
        "cut",
        "bad-chunk",
        "no-last-chunk",
        "two-lengths",
        "negative-length",
        "garbage",
        "endless-head",
        "stall:0.1",
        "stall-body:0.1",
        "drip",
        "huge",
        "bomb",
        "truncated-gzip",
        "empty",
        "404",
    ];
    let market = Market::embedded(Some(60), SEED);
    let companies = market.companies();
    let rules = kinds.iter().zip(&companies[5..]);
    let rules = rules.map(|(kind, company)| format!("{kind}@{}", company.path));
    let faults = rules.collect::<Vec<_>>().join(",");
    let options = ["--companies", "60", "--faults", &faults];
    let folder = tempfile::tempdir().unwrap();
    let tls = Serve::start(folder.path(), &options);
    let (mut plain, address) = start_serve(folder.path(), &options);
    let failures = |address: &str, out: &str| {
        let from = ["--from", address, "--ca-file", "ca.pem", "--out", out];
        let quick = [
            "--retry-pause",
            "0",
            "--timeout",
            "2",
            "--min-companies",
            "1",
        ];
        let ran = indexrank(folder.path(), &[&from[..], &quick].concat());
        assert_eq!(ran.code, 3, "{}", ran.stderr);
        let report = json(&folder.path().join(out).join("run.json"));
        let failures = report["failures"].as_array().unwrap().iter();
        let failures = failures.map(|failure| (failure["path"].clone(), failure["reason"].clone()));
        failures.collect::<Vec<_>>()
    };
    let over_tls = failures(&tls.address, "tls");
    assert_eq!(over_tls.len(), kinds.len(), "{over_tls:?}");
    assert_eq!(over_tls, failures(&address, "plain"));
    plain.kill().unwrap();
    plain.wait().unwrap();
}

/// Only a reset connection ends without the alert that announces the end.
#[test]
fn tells_an_end_from_a_reset() {
    let (server, config) = server_with("reset@/,cut@/cut");
    let mut received = Vec::new();
    let reset = request(&server, &config, "/").read_to_end(&mut received);
    assert_eq!(reset.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    // Without the announced end, reading fails with `UnexpectedEof`.
    for path in ["/cut", "/no-such-page"] {
        request(&server, &config, path)
            .read_to_end(&mut received)
            .unwrap();
    }
}

#[test]
fn counts_full_and_resumed_handshakes() {
    let (server, config) = server_with("404@/none");
    for _ in 0..3 {
        let mut received = Vec::new();
        let mut stream = request(&server, &config, "/scripts/XML_daily.asp");
        stream.read_to_end(&mut received).unwrap();
        assert!(received.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
    // A connection without a handshake.
    TcpStream::connect(server.address().trim_start_matches("https://")).unwrap();
    while server.counts().connections < 4 {
        thread::yield_now();
    }
    let counts = server.counts();
    assert_eq!((counts.handshakes, counts.resumed_handshakes), (3, 2));
}

fn server_with(faults: &str) -> (indexrank::replica::Server, Arc<ClientConfig>) {
    use indexrank::replica::{Plan, Server};
    let certificates = Certificates::generate().unwrap();
    let pages = Pages::of_market(&market());
    let tls = Some(server_config(&certificates.server).unwrap());
    let server = Server::start_with_tls(pages, 0, Line::default(), None, tls).unwrap();
    server.misbehave(Plan::new(faults.parse().unwrap(), SEED));
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(certificates.authority.as_bytes());
    roots.add(authority.unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (server, Arc::new(config))
}

/// Connects, and asks for a page and for the end of the connection after it.
fn request(
    server: &indexrank::replica::Server,
    config: &Arc<ClientConfig>,
    path: &str,
) -> StreamOwned<ClientConnection, TcpStream> {
    let tcp = TcpStream::connect(server.address().trim_start_matches("https://")).unwrap();
    let name = "localhost".try_into().unwrap();
    let client = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut stream = StreamOwned::new(client, tcp);
    let request = crate::server::get(path, "Connection: close\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

#[test]
fn an_authority_that_cannot_be_written_is_an_error_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("taken"), "").unwrap();
    for (options, code, words) in [
        (
            &["--tls", "--ca-out", "taken/ca.pem"][..],
            7,
            "cannot write taken/ca.pem",
        ),
        (
            &["--tls", "--ca-out", "none/ca.pem"],
            7,
            "cannot write none/ca.pem",
        ),
        (&["--ca-out", "ca.pem"], 2, "--tls"),
    ] {
        let ran = indexrank(folder.path(), &[&["serve"], options].concat());
        assert_eq!(
            (ran.code, &*ran.stdout),
            (code, ""),
            "{options:?}: {}",
            ran.stderr
        );
        assert!(ran.stderr.contains(words), "{options:?}: {}", ran.stderr);
        assert_eq!(files(folder.path()), ["taken"], "{options:?}");
    }
}

//! Faults of TLS, from a server with certificates made here.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use indexrank::replica::Pages;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::run::{COMPANY, SIZE, market};
use crate::support::{RANKINGS, Ran, TestServer, indexrank, json, ledger};

/// An authority that some trust.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

static NAMED: AtomicUsize = AtomicUsize::new(0);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // By its name a client finds the authority that a certificate claims.
        let name = NAMED.fetch_add(1, Ordering::SeqCst).to_string();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// What a server shows that this authority has signed.
    fn sign(&self, params: CertificateParams) -> Shown {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), key)
    }
}

type Shown = (CertificateDer<'static>, KeyPair);

fn params(host: &str) -> CertificateParams {
    CertificateParams::new(vec![host.to_owned()]).unwrap()
}

fn self_signed() -> Shown {
    let key = KeyPair::generate().unwrap();
    let certificate = params("127.0.0.1").self_signed(&key).unwrap();
    (certificate.der().clone(), key)
}

/// A server on 127.0.0.1 that counts its connections and gives each to `serve`.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Server {
    fn start(serve: impl Fn(TcpStream) -> Option<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, serve) = (Arc::clone(&connections), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::SeqCst);
                let serve = Arc::clone(&serve);
                thread::spawn(move || serve(stream));
            }
        });
        Server { port, connections }
    }

    /// The market over TLS; `redirect` leads away from some paths.
    fn of_market(
        (certificate, key): Shown,
        redirect: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            );
        let config = Arc::new(config.unwrap());
        let pages = Pages::of_market(&market());
        Server::start(move |stream| {
            let tls = ServerConnection::new(Arc::clone(&config)).ok()?;
            answer(StreamOwned::new(tls, stream), &pages, &redirect)
        })
    }

    fn run(&self, folder: &Path, ca: &str, more: &[&str]) -> Ran {
        let file = folder.join("ca.pem");
        fs::write(&file, ca).unwrap();
        let address = format!("https://127.0.0.1:{}", self.port);
        let arguments = ["--from", &address, "--ca-file", file.to_str().unwrap()];
        indexrank(folder, &[&arguments, more].concat())
    }
}

fn answer(
    mut stream: impl Read + Write,
    pages: &Pages,
    redirect: &impl Fn(&str) -> Option<String>,
) -> Option<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).ok()?;
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let path = head.split(' ').nth(1)?;
        let body = pages.get(path)?.plain_body();
        let (status, body) = match redirect(path) {
            Some(to) => (format!("302 Found\r\nLocation: {to}"), Vec::new()),
            None => ("200 OK".to_owned(), body),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), &body].concat()).ok()?;
        stream.flush().ok()?;
    }
}

#[test]
fn a_run_over_https_gives_what_one_over_http_gives() {
    let authority = Authority::new();
    let server = Server::of_market(authority.sign(params("127.0.0.1")), |_| None);
    let folder = tempfile::tempdir().unwrap();
    // Of several authorities in a file each counts.
    let pem = Authority::new().pem + &authority.pem;
    let ran = server.run(folder.path(), &pem, &["--out", "https"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let plain = TestServer::start(market(), |_, _| None);
    let ran = indexrank(folder.path(), &["--from", plain.address(), "--out", "http"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for name in RANKINGS {
        let read = |out: &str| fs::read(folder.path().join(out).join(name)).unwrap();
        assert_eq!(read("https"), read("http"), "{name}");
    }
}

/// One connection, no second try, and the fault in plain words.
#[test]
fn certificates_that_are_not_accepted() {
    let authority = Authority::new();
    let dated = |from: i32, to: i32| {
        let mut params = params("127.0.0.1");
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        params
    };
    for (shown, words) in [
        (authority.sign(dated(2000, 2001)), "has expired"),
        (authority.sign(dated(4000, 4001)), "is not valid yet"),
        (
            authority.sign(params("other.example")),
            "is for another host",
        ),
        (
            Authority::new().sign(params("127.0.0.1")),
            "an authority that is not trusted",
        ),
        (self_signed(), "is signed by itself"),
    ] {
        assert_refused(
            &Server::of_market(shown, |_| None),
            &authority.pem,
            words,
            1..=1,
        );
    }
}

#[test]
fn a_server_that_does_not_speak_tls() {
    let pages = Pages::of_market(&market());
    let server = Server::start(move |mut stream| {
        let mut hello = [0; 64];
        stream.read_exact(&mut hello).ok()?;
        let reply = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(reply).ok()?;
        answer(stream, &pages, &|_| None)
    });
    assert_refused(&server, &Authority::new().pem, "does not speak TLS", 1..=1);
}

/// Four attempts, each with the free one that a connection is given that dies before its headers.
#[test]
fn a_handshake_that_is_cut_off_is_tried_again() {
    let server = Server::start(|mut stream| {
        let mut hello = [0; 1024];
        let read = stream.read(&mut hello).ok()?;
        assert!(read > 100, "a whole hello, so that closing resets nothing");
        // The head of a record of 100 bytes, and ten of these.
        stream
            .write_all(&[22, 3, 3, 0, 100, 2, 0, 0, 96, 3, 3, 1, 2, 3, 4])
            .ok()
    });
    assert_refused(
        &server,
        &Authority::new().pem,
        "unexpected end of file",
        8..=8,
    );
}

#[track_caller]
fn assert_refused(
    server: &Server,
    ca: &str,
    words: &str,
    connections: std::ops::RangeInclusive<usize>,
) {
    let folder = tempfile::tempdir().unwrap();
    let ran = server.run(
        folder.path(),
        ca,
        &["--usd-rub", "76.65", "--ignore-robots"],
    );
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(ran.stderr.contains(words), "{words:?} in {}", ran.stderr);
    let seen = server.connections.load(Ordering::SeqCst);
    assert!(
        connections.contains(&seen),
        "{seen} connections: {}",
        ran.stderr
    );
    assert!(!folder.path().join("rankings/pe.json").exists());
}

#[test]
fn a_redirect_from_https_to_http_is_not_followed() {
    let authority = Authority::new();
    let plain = Server::start(|_| None);
    let target = format!("http://127.0.0.1:{}{COMPANY}", plain.port);
    let server = Server::of_market(authority.sign(params("127.0.0.1")), move |path| {
        (path == COMPANY).then(|| target.clone())
    });
    let folder = tempfile::tempdir().unwrap();
    let ran = server.run(folder.path(), &authority.pem, &[]);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let report = json(&folder.path().join("rankings/run.json"));
    assert_eq!(ledger(&report), [SIZE as u64, SIZE as u64 - 1, 1, 0, 0]);
    assert_eq!(report["failures"][0]["reason"], "offsite", "{report}");
    assert_eq!(plain.connections.load(Ordering::SeqCst), 0);
}

#[test]
fn files_that_name_no_authority() {
    let folder = tempfile::tempdir().unwrap();
    let begin = "-----BEGIN CERTIFICATE-----\n";
    let end = "-----END CERTIFICATE-----\n";
    for (content, words) in [
        (None, "cannot read it"),
        (Some(String::new()), "holds no certificate"),
        (Some("<html></html>".to_owned()), "holds no certificate"),
        (
            Some(KeyPair::generate().unwrap().serialize_pem()),
            "holds no certificate",
        ),
        (
            Some(format!("{begin}AAAA\n{end}")),
            "a certificate in it is damaged",
        ),
        (Some(format!("{begin}?\n{end}")), "it is damaged"),
        (
            Some(Authority::new().pem[..200].to_owned()),
            "it is damaged",
        ),
    ] {
        let file = folder.path().join("ca.pem");
        let _ = fs::remove_file(&file);
        if let Some(content) = &content {
            fs::write(&file, content).unwrap();
        }
        let ran = indexrank(folder.path(), &["--from", "replica", "--ca-file", "ca.pem"]);
        assert_eq!(ran.code, 2, "{content:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(words), "{words:?} in {}", ran.stderr);
        assert!(
            ran.stderr.contains("give a file of certificates in PEM"),
            "{}",
            ran.stderr
        );
    }
}

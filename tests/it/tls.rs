//! TLS faults, from a server whose certificates are generated here.

use std::cell::Cell;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use indexrank::replica::Pages;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, NameConstraints, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::run::{COMPANIES, COMPANY, market};
use crate::support::{RANKINGS, Ran, TestServer, indexrank, json, ledger};

/// A certificate authority. Clients trust it if its `pem` is in their `--ca-file`.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

static AUTHORITIES: AtomicUsize = AtomicUsize::new(0);

impl Authority {
    pub fn new() -> Self {
        Authority::with(Authority::params())
    }

    fn params() -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // A client looks up the issuer of a certificate by name, so each authority has its own.
        let name = AUTHORITIES.fetch_add(1, Ordering::SeqCst).to_string();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    fn with(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// Signs a certificate for a key that is generated here.
    pub fn sign(&self, params: CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.der().clone(), key)
    }
}

/// A server's certificate and its private key.
pub type Identity = (CertificateDer<'static>, KeyPair);

pub fn params(host: &str) -> CertificateParams {
    CertificateParams::new(vec![host.to_owned()]).unwrap()
}

fn self_signed() -> Identity {
    let key = KeyPair::generate().unwrap();
    let certificate = params("127.0.0.1").self_signed(&key).unwrap();
    (certificate.der().clone(), key)
}

/// A certificate as `openssl req -x509` makes it.
fn self_signed_authority() -> Identity {
    let mut params = params("127.0.0.1");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.der().clone(), key)
}

/// A server on 127.0.0.1 that counts its connections and passes each to `serve`.
pub struct Server {
    pub port: u16,
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

    /// Serves the market over TLS. A path for which `redirect` returns a location is redirected there.
    pub fn of_market(
        (certificate, key): Identity,
        redirect: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Server::of_market_over((certificate, key), |stream| stream, redirect)
    }

    /// Like [`of_market`](Self::of_market); `line` makes of a connection what TLS runs over.
    fn of_market_over<S: Read + Write>(
        (certificate, key): Identity,
        line: impl Fn(TcpStream) -> S + Send + Sync + 'static,
        redirect: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let key = provider.key_provider.load_private_key(key).unwrap();
        // Unlike `with_single_cert`, this serves a certificate that no client accepts.
        let served = SingleCertAndKey::from(CertifiedKey::new(vec![certificate], key));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(served));
        let config = Arc::new(config);
        let pages = Pages::of_market(&market());
        Server::start(move |stream| {
            let tls = ServerConnection::new(Arc::clone(&config)).ok()?;
            respond(StreamOwned::new(tls, line(stream)), &pages, &redirect)
        })
    }

    /// Runs against this server with `ca` as the `--ca-file`.
    fn run(&self, folder: &Path, ca: &str, options: &[&str]) -> Ran {
        let file = folder.join("ca.pem");
        fs::write(&file, ca).unwrap();
        let address = format!("https://127.0.0.1:{}", self.port);
        let arguments = ["--from", &address, "--ca-file", file.to_str().unwrap()];
        indexrank(folder, &[&arguments, options].concat())
    }
}

/// Responds to every request of a connection.
fn respond(
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
fn https_and_http_give_the_same_rankings() {
    let authority = Authority::new();
    let server = Server::of_market(authority.sign(params("127.0.0.1")), |_| None);
    let folder = tempfile::tempdir().unwrap();
    // The file holds two authorities; the second is the one that counts.
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

thread_local! {
    /// Whether the connection of this thread of a server is slow.
    static IS_SLOW: Cell<bool> = const { Cell::new(false) };
}

/// A connection that sends a byte every 100 ms once it is slow.
struct Trickling(TcpStream);

impl Read for Trickling {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Trickling {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !IS_SLOW.get() {
            return self.0.write(bytes);
        }
        thread::sleep(Duration::from_millis(100));
        self.0.write(&bytes[..1])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The bytes of a TLS record arrive so slowly that the client reads for it again and again.
#[test]
fn a_record_that_trickles_ends_with_the_time_limit() {
    let authority = Authority::new();
    let server = Server::of_market_over(authority.sign(params("127.0.0.1")), Trickling, |path| {
        IS_SLOW.set(path == COMPANY);
        None
    });
    let folder = tempfile::tempdir().unwrap();
    let options = ["--workers", "1", "--min-companies", "1", "--usd-rub", "75"];
    // Without the first limit, the second ends the run with another code.
    let limits = ["--timeout", "2", "--max-time", "60", "--retry-pause", "1"];
    let ran = server.run(
        folder.path(),
        &authority.pem,
        &[&options[..], &limits].concat(),
    );
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    let report = json(&folder.path().join("rankings/run.json"));
    assert_eq!(report["failures"][0]["path"], COMPANY);
    assert_eq!(report["failures"][0]["reason"], "timeout");
}

/// A handshake is many reads within one time limit.
#[test]
fn a_handshake_that_trickles_ends_with_the_time_limit() {
    let authority = Authority::new();
    let slow = |stream| {
        IS_SLOW.set(true);
        Trickling(stream)
    };
    let server = Server::of_market_over(authority.sign(params("127.0.0.1")), slow, |_| None);
    let folder = tempfile::tempdir().unwrap();
    let limits = ["--timeout", "2", "--max-time", "60", "--retry-pause", "1"];
    let options = ["--usd-rub", "75", "--ignore-robots"];
    let ran = server.run(
        folder.path(),
        &authority.pem,
        &[&options[..], &limits].concat(),
    );
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    let why = "not done within --timeout";
    assert!(ran.stderr.contains(why), "{}", ran.stderr);
}

/// Each makes one connection, and the message names the fault.
#[test]
fn rejects_invalid_certificates_without_a_retry() {
    let authority = Authority::new();
    let dated = |from: i32, to: i32| {
        let mut params = params("127.0.0.1");
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
        params
    };
    for (identity, words) in [
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
        (self_signed(), "is self-signed"),
    ] {
        assert_refused(
            &Server::of_market(identity, |_| None),
            &authority.pem,
            words,
            1,
        );
    }
}

/// The rarer faults, too, in words and not by the names of the library.
#[test]
fn names_each_fault_of_a_certificate_in_words() {
    let authority = Authority::new();
    let mut of_client = params("127.0.0.1");
    of_client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let mut with_condition = params("127.0.0.1");
    let mut condition = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999], vec![5, 0]);
    condition.set_criticality(true);
    with_condition.custom_extensions = vec![condition];
    let mut constrained = Authority::params();
    constrained.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName("example.org".to_owned())],
        excluded_subtrees: vec![GeneralSubtree::IpAddress(CidrSubnet::V4(
            [127, 0, 0, 0],
            [255, 0, 0, 0],
        ))],
    });
    let constrained = Authority::with(constrained);
    for (identity, pem, words) in [
        (
            self_signed_authority(),
            &authority.pem,
            "is that of an authority, which no server may use as its own",
        ),
        (
            authority.sign(of_client),
            &authority.pem,
            "is not one for servers",
        ),
        (
            authority.sign(with_condition),
            &authority.pem,
            "has conditions that this program does not know",
        ),
        (
            constrained.sign(params("127.0.0.1")),
            &constrained.pem,
            "is for a host that its authority may not vouch for",
        ),
    ] {
        assert_refused(&Server::of_market(identity, |_| None), pem, words, 1);
    }
}

/// A TLS record with a fatal alert (RFC 8446, 6).
#[test]
fn names_each_alert_in_words() {
    for (alert, words) in [
        (40, "share no TLS version or cipher"),
        (70, "share no TLS version or cipher"),
        (112, "the server has no certificate for this host"),
        (116, "the server demands a certificate of its clients"),
        (
            80,
            "the server reports an error of its own in the TLS handshake",
        ),
        (22, "the server ended the TLS handshake: record overflow"),
    ] {
        let server = Server::start(move |mut stream| {
            let mut hello = [0; 1024];
            assert!(stream.read(&mut hello).ok()? > 100);
            stream.write_all(&[21, 3, 3, 0, 2, 2, alert]).ok()?;
            stream.read(&mut hello).ok().map(|_| ())
        });
        assert_refused(&server, &Authority::new().pem, words, 1);
    }
}

#[test]
fn reports_a_server_without_tls() {
    let pages = Pages::of_market(&market());
    let server = Server::start(move |mut stream| {
        let mut hello = [0; 64];
        stream.read_exact(&mut hello).ok()?;
        let reply = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(reply).ok()?;
        respond(stream, &pages, &|_| None)
    });
    assert_refused(&server, &Authority::new().pem, "does not speak TLS", 1);
}

/// Four attempts make eight connections: each attempt reconnects once, at no charge to the retries, when
/// the connection dies before the response head.
#[test]
fn retries_a_truncated_handshake() {
    let server = Server::start(|mut stream| {
        let mut hello = [0; 1024];
        let length = stream.read(&mut hello).ok()?;
        assert!(
            length > 100,
            "closing with an unread part of the hello would reset the connection"
        );
        // The header of a TLS record of 100 bytes, and the first ten of them.
        stream
            .write_all(&[22, 3, 3, 0, 100, 2, 0, 0, 96, 3, 3, 1, 2, 3, 4])
            .ok()
    });
    assert_refused(&server, &Authority::new().pem, "the connection ended", 8);
}

/// A run against this server ends with exit code 4, these words and this number of connections.
#[track_caller]
fn assert_refused(server: &Server, ca: &str, words: &str, connections: usize) {
    let folder = tempfile::tempdir().unwrap();
    let ran = server.run(
        folder.path(),
        ca,
        &["--usd-rub", "76.65", "--ignore-robots"],
    );
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(ran.stderr.contains(words), "{words:?} in {}", ran.stderr);
    for words in ["check the network", "Error(", "Other(", "--resume"] {
        assert!(!ran.stderr.contains(words), "{words:?} in {}", ran.stderr);
    }
    let count = server.connections.load(Ordering::SeqCst);
    assert_eq!(count, connections, "connections: {}", ran.stderr);
    assert!(!folder.path().join("rankings/pe.json").exists());
}

#[test]
fn does_not_follow_a_redirect_from_https_to_http() {
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
    assert_eq!(
        ledger(&report),
        [COMPANIES as u64, COMPANIES as u64 - 1, 1, 0, 0]
    );
    assert_eq!(report["failures"][0]["reason"], "offsite", "{report}");
    assert_eq!(plain.connections.load(Ordering::SeqCst), 0);
}

#[test]
fn rejects_ca_files_without_a_usable_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let begin = "-----BEGIN CERTIFICATE-----\n";
    let end = "-----END CERTIFICATE-----\n";
    for (content, words) in [
        (None, "cannot read it"),
        (Some(String::new()), "contains no certificate"),
        (Some("<html></html>".to_owned()), "contains no certificate"),
        (
            Some(KeyPair::generate().unwrap().serialize_pem()),
            "contains no certificate",
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

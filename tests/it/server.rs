//! The embedded market's server, tested through a raw socket instead of the program's own client.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use indexrank::replica::{Faults, Line, Market, Pages, SEED, Server};
use indexrank::warc::reader::Archive;

use crate::support::{MARKET, indexrank, start_serve};

/// A connection to a server.
pub struct Client(pub TcpStream);

pub struct Response {
    pub head: String,
    pub body: Vec<u8>,
}

impl Client {
    fn connect() -> Self {
        Client::connect_to(&MARKET)
    }

    pub fn connect_to(server: &Server) -> Self {
        Client(TcpStream::connect(server.address().trim_start_matches("http://")).unwrap())
    }

    pub fn send(&mut self, request: &str) {
        self.0.write_all(request.as_bytes()).unwrap();
    }

    /// Reads exactly one response, by its Content-Length.
    pub fn receive(&mut self, has_body: bool) -> Response {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).expect("a whole head");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))
            .unwrap()
            .parse()
            .unwrap();
        let mut body = vec![0; if has_body { length } else { 0 }];
        self.0.read_exact(&mut body).unwrap();
        Response { head, body }
    }

    /// Sends the request, and checks the start of the response's status line.
    #[track_caller]
    fn check(&mut self, request: &str, status_line: &str) {
        self.send(request);
        let head = self.receive(!request.starts_with("HEAD")).head;
        assert!(head.starts_with(status_line), "{head}");
    }

    fn is_closed(&mut self) -> bool {
        self.0.read(&mut [0]).unwrap() == 0
    }
}

pub fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n")
}

#[test]
fn reuses_connections_and_gzips_only_on_request() {
    let mut client = Client::connect();
    client.send(&get("/stocks/mmm-stock", "Accept-Encoding: gzip, br\r\n"));
    let gzipped = client.receive(true);
    assert!(gzipped.head.starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(gzipped.head.contains("\r\nContent-Encoding: gzip\r\n"));
    assert!(
        (15_000..70_000).contains(&gzipped.body.len()),
        "{} bytes",
        gzipped.body.len()
    );

    for headers in [
        "",
        "Accept-Encoding: br\r\n",
        "Accept-Encoding: gzip;q=0\r\n",
    ] {
        client.send(&get("/stocks/mmm-stock", headers));
        let plain = client.receive(true);
        assert!(!plain.head.contains("Content-Encoding"), "{headers}");
        assert!(plain.body.starts_with(b"<!DOCTYPE html>"));
        let mut inflated = Vec::new();
        flate2::read::GzDecoder::new(&gzipped.body[..])
            .read_to_end(&mut inflated)
            .unwrap();
        assert!(
            inflated == plain.body,
            "gzipped and plain are the same page"
        );
    }
}

#[test]
fn answers_pipelined_requests_in_order() {
    let mut client = Client::connect();
    let paths = [
        "/stocks/mmm-stock",
        "/no-such-page",
        "/index/components/s%26p_500?p=2",
        "/scripts/XML_daily.asp",
    ];
    client.send(&paths.map(|path| get(path, "")).concat());
    let heads = paths.map(|_| client.receive(true).head.lines().next().unwrap().to_owned());
    assert_eq!(
        heads,
        [
            "HTTP/1.1 200 OK",
            "HTTP/1.1 404 Not Found",
            "HTTP/1.1 200 OK",
            "HTTP/1.1 200 OK"
        ]
    );
}

#[test]
fn finds_market_pages_in_any_spelling() {
    let mut client = Client::connect();
    let page = |client: &mut Client, path: &str| {
        client.send(&get(path, ""));
        client.receive(true)
    };
    let exact = page(&mut client, "/index/components/s&p_500?p=2").body;
    for path in [
        "/index/components/s%26p_500?p=2",
        "/index/components/s&p%5f500?p=2",
        "/index/components/s&p%5F500?p=2",
        "/index/components/%73&p_500%3Fp=2",
    ] {
        assert!(page(&mut client, path).body == exact, "{path}");
    }
    let double = page(&mut client, "/index/components/s%2526p_500?p=2");
    assert!(double.head.starts_with("HTTP/1.1 404"), "{}", double.head);
}

/// The two names in Latin-1 differ in one byte. The third is UTF-8 in lower-case escapes.
#[test]
fn serves_archived_pages_under_names_in_any_encoding() {
    let paths = ["/nestl%e8", "/nestl%e9", "/m%c3%bcller"];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.warc");
    let records = paths.map(|path| {
        let http = format!("HTTP/1.1 200 OK\r\n\r\nthe page {path}");
        let length = http.len();
        format!(
            "WARC/1.1\r\nWARC-Type: response\r\nWARC-Target-URI: http://x{path}\r\n\
             Content-Length: {length}\r\n\r\n{http}\r\n\r\n"
        )
    });
    fs::write(&file, records.concat()).unwrap();
    let pages = Pages::of_archive(&Archive::open(&file).unwrap());
    let server = Server::start(pages, 0, Line::default(), None).unwrap();
    let mut client = Client::connect_to(&server);
    for (asked, found) in [
        (paths[0], paths[0]),
        (paths[1], paths[1]),
        (paths[2], paths[2]),
        ("/nestl%E8", paths[0]),
        ("/nestl%E9", paths[1]),
        ("/m%C3%BCller", paths[2]),
        ("/m%C3%bcller", paths[2]),
    ] {
        client.send(&get(asked, ""));
        let body = String::from_utf8(client.receive(true).body).unwrap();
        assert_eq!(body, format!("the page {found}"), "{asked}");
    }
    client.send(&get("/nestl%ea", ""));
    let head = client.receive(true).head;
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
}

#[test]
fn closes_the_connection_on_request() {
    for request in [
        get("/stocks/mmm-stock", "Connection: close\r\n"),
        get(
            "/stocks/mmm-stock",
            "Accept-Encoding: gzip\r\nConnection: close\r\n",
        ),
        get("/no-such-page", "Connection: close\r\n"),
        "GET /stocks/mmm-stock HTTP/1.0\r\n\r\n".to_owned(),
    ] {
        let mut client = Client::connect();
        client.send(&request);
        assert!(
            client
                .receive(true)
                .head
                .contains("\r\nConnection: close\r\n"),
            "{request}"
        );
        assert!(client.is_closed(), "{request}");
    }
}

#[test]
fn answers_head_and_rejects_bad_requests() {
    let mut client = Client::connect();
    client.check("HEAD /stocks/mmm-stock HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK");
    client.check(
        "HEAD /no-such-page HTTP/1.1\r\n\r\n",
        "HTTP/1.1 404 Not Found",
    );
    client.check(
        "POST /stocks/mmm-stock HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 405 Method Not Allowed",
    );
    assert!(client.is_closed());

    Client::connect().check("nonsense\r\n\r\n", "HTTP/1.1 400 Bad Request");
    let long_header = format!("X: {}\r\n", "x".repeat(70 << 10));
    Client::connect().check(&get("/", &long_header), "HTTP/1.1 431");
}

#[test]
fn serves_the_rates_of_a_day() {
    let mut client = Client::connect();
    for (path, expected) in [
        (
            "/scripts/XML_daily.asp?date_req=04/02/2022",
            "Date=\"04.02.2022\"",
        ),
        (
            "/scripts/XML_daily.asp?date_req=04%2F02%2F2022",
            "Date=\"04.02.2022\"",
        ),
        (
            "/scripts/XML_daily.asp?date_req=01/01/1900",
            "Error in parameters",
        ),
    ] {
        client.send(&get(path, ""));
        let body = client.receive(true).body;
        assert!(String::from_utf8_lossy(&body).contains(expected), "{path}");
    }
    client.send(&get("/scripts/XML_daily.asp", ""));
    let rates = client.receive(true).body;
    assert!(
        String::from_utf8(rates).is_err(),
        "windows-1251 is not UTF-8"
    );
}

#[test]
fn delays_are_fixed_per_address_and_evenly_distributed() {
    let line = |seed| Line {
        latency: Duration::from_millis(20),
        jitter: Duration::from_millis(40),
        seed,
        ..Line::default()
    };
    let paths: Vec<String> = (0..1000)
        .map(|number| format!("/stocks/{number}-stock"))
        .collect();
    let delays = |seed| {
        let delays = paths
            .iter()
            .map(|path| line(seed).time_before_answer(path).as_secs_f64() * 1e3);
        delays.collect::<Vec<f64>>()
    };
    assert_eq!(
        delays(1),
        delays(1),
        "each address has the same delay every time"
    );
    assert_ne!(delays(1), delays(2));
    assert!(delays(1).iter().all(|delay| (20.0..=60.0).contains(delay)));
    let mean = delays(1).iter().sum::<f64>() / 1000.0;
    assert!((38.0..42.0).contains(&mean), "evenly distributed: {mean}");
    let steady = Line {
        jitter: Duration::ZERO,
        ..line(1)
    };
    assert_eq!(steady.time_before_answer("/"), Duration::from_millis(20));
}

/// Two connections share the bandwidth: twice 250 KB at 8 Mbit/s take half a second.
#[test]
fn connections_share_the_bandwidth() {
    let line = Line {
        bandwidth: Some(8e6),
        ..Line::default()
    };
    let pages = Pages::of_market(&Market::embedded(Some(60), SEED));
    let server = Server::start(pages, 0, line, None).unwrap();
    let path = "/index/components/s&p_500?p=1";
    let started = Instant::now();
    let fetched: Vec<usize> = thread::scope(|scope| {
        let fetch = || {
            let mut stream =
                TcpStream::connect(server.address().trim_start_matches("http://")).unwrap();
            write!(
                stream,
                "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            )
            .unwrap();
            let mut response = Vec::new();
            stream.read_to_end(&mut response).unwrap();
            response.len()
        };
        let both = [scope.spawn(fetch), scope.spawn(fetch)];
        both.map(|one| one.join().unwrap()).to_vec()
    });
    let bits = fetched.iter().sum::<usize>() as f64 * 8.0;
    assert!(bits > 1e6, "{fetched:?}");
    assert!(
        started.elapsed().as_secs_f64() >= bits / 8e6,
        "{:?}",
        started.elapsed()
    );
}

/// An error names the wrong part of the plan.
#[test]
fn parses_or_rejects_fault_plans() {
    let parse = |spec: &str| spec.parse::<Faults>();
    for spec in [
        "503",
        "503@20%,reset-body@5%,retry-after:2@/stocks/mmm-stock#1",
        "stall:0.5@=17, drip#2-3 ,charset:utf-16@/stocks/*@50%#1",
    ] {
        assert!(parse(spec).is_ok(), "{spec}: {:?}", parse(spec));
    }
    for (spec, words) in [
        ("", "fault \"\": unknown kind \"\""),
        (
            "503,nonsense@3%",
            "fault \"nonsense@3%\": unknown kind \"nonsense\"",
        ),
        ("200", "unknown kind \"200\""),
        ("503@120%", "\"120%\" is not a share"),
        ("503@NaN%", "\"NaN%\" is not a share"),
        (
            "503@somewhere",
            "\"somewhere\" is not a share, a path or a request number",
        ),
        ("503@/a#0", "#0 is not a range of requests"),
        ("503#3-2", "#3-2 is not a range of requests"),
        ("503@=x", "\"=x\" is not a request number"),
        ("stall", "stall needs seconds"),
        ("stall:-1", "stall needs seconds"),
        ("redirect:", "unknown kind \"redirect:\""),
        ("503@60%,500@60%", "the shares add up to 120 %"),
    ] {
        let error = parse(spec).unwrap_err();
        assert!(error.contains(words), "{spec}: {error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let ran = indexrank(folder.path(), &["serve", "--faults", "503@x"]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("fault \"503@x\": \"x\" is not a share"),
        "{}",
        ran.stderr
    );
}

/// The server is stopped, so only the backlog of the kernel takes connections. One that is dropped comes
/// again after a second.
#[cfg(target_os = "linux")]
#[test]
fn loses_none_of_1024_connections_at_once() {
    use std::net::SocketAddr;

    use indexrank::telemetry::usage;
    use nix::sys::signal::Signal;

    use crate::support::signal;

    usage::raise_open_file_limit();
    // The kernel caps the backlog at this number, and lets one more wait.
    let cap = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
    let connections = 1024.min(cap.trim().parse::<usize>().unwrap() + 1);
    let folder = tempfile::tempdir().unwrap();
    let (mut server, address) = start_serve(folder.path(), &["--companies", "1"]);
    let socket: SocketAddr = address.trim_start_matches("http://").parse().unwrap();
    signal(&server, Signal::SIGSTOP);
    let limit = Duration::from_millis(900);
    let connect = |number| match TcpStream::connect_timeout(&socket, limit) {
        Ok(stream) => Client(stream),
        Err(error) => panic!("connection {number}: {error}"),
    };
    let mut clients: Vec<Client> = (1..=connections).map(connect).collect();
    signal(&server, Signal::SIGCONT);
    for client in &mut clients {
        client.send(&get("/scripts/XML_daily.asp", ""));
    }
    for client in &mut clients {
        let head = client.receive(true).head;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    }
    server.kill().unwrap();
    server.wait().unwrap();
}

/// A connection beyond the limit waits until another is closed.
#[cfg(unix)]
#[test]
fn says_once_that_it_is_out_of_open_files() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let binary = env!("CARGO_BIN_EXE_indexrank");
    let mut server = Command::new("sh")
        .args(["-c", "ulimit -n 20; exec $0 serve --companies 1", binary])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut address)
        .unwrap();
    let socket = address.trim().trim_start_matches("http://");
    let connect = |_| Client(TcpStream::connect(socket).unwrap());
    let clients: Vec<Client> = (0..30).map(connect).collect();
    let mut stderr = BufReader::new(server.stderr.take().unwrap());
    let mut warning = String::new();
    stderr.read_line(&mut warning).unwrap();
    assert_eq!(
        warning,
        "indexrank: warning: the server cannot serve more connections at once: Too many open files; \
         raise the limit of open files (`ulimit -n`)\n"
    );
    // The server tries to accept every 10 ms meanwhile.
    std::thread::sleep(Duration::from_millis(100));
    drop(clients);
    connect(0).check(&get("/scripts/XML_daily.asp", ""), "HTTP/1.1 200 OK");
    server.kill().unwrap();
    server.wait().unwrap();
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

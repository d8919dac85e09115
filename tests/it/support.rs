//! The real binary, a server that does what a test tells it, and a market to scrape.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::Instant;

use indexrank::replica::{Line, Market, Pages, SEED, Server};
use serde_json::Value;

/// The embedded market, served once for all tests.
pub static MARKET: LazyLock<Server> = LazyLock::new(|| {
    let pages = Pages::of_market(&Market::embedded(None, SEED));
    Server::start(pages, 0, Line::default(), None).expect("a port of 127.0.0.1")
});

/// What a run left: exit code, stdout, stderr.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// The binary with these arguments in this folder, no proxy around it.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_indexrank"));
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null());
    for proxy in [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ] {
        command.env_remove(proxy);
    }
    command
}

pub fn indexrank(folder: &Path, arguments: &[&str]) -> Ran {
    let Output {
        status,
        stdout,
        stderr,
    } = command(folder, arguments)
        .output()
        .expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran {
        code: status.code().expect("not killed"),
        stdout: text(stdout),
        stderr: text(stderr),
    }
}

pub fn json(file: &Path) -> Value {
    let text = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Names of the files in a folder, sorted.
pub fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub const RANKINGS: [&str; 4] = [
    "growth.json",
    "pe.json",
    "potential_profit.json",
    "price.json",
];

/// The rankings that the embedded market and the crawl it was made from must give.
pub fn expected_ranking(name: &str) -> String {
    std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("testdata/rankings")
            .join(name),
    )
    .unwrap()
}

/// Checks that a folder has exactly the expected rankings, byte for byte.
pub fn assert_expected_rankings(folder: &Path) {
    for name in RANKINGS {
        assert_eq!(
            std::fs::read_to_string(folder.join(name)).unwrap(),
            expected_ranking(name),
            "{name}"
        );
    }
}

/// `listed, ok, failed, skipped, not_attempted`, after checking that they add up.
pub fn ledger(report: &Value) -> [u64; 5] {
    let ledger = ["listed", "ok", "failed", "skipped", "not_attempted"]
        .map(|key| report["ledger"][key].as_u64().unwrap());
    assert_eq!(ledger[0], ledger[1..].iter().sum::<u64>(), "{report}");
    ledger
}

/// What a [`TestServer`] does with one request.
pub enum Reply {
    /// A page of status 200.
    Page(Vec<u8>),
    /// These bytes, and the connection stays open.
    Raw(Vec<u8>),
    /// These bytes, then the end of the connection.
    RawThenClose(Vec<u8>),
}

impl Reply {
    pub fn status(status: &str) -> Self {
        Reply::Raw(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into_bytes())
    }

    pub fn with_head(head: &str, body: &[u8]) -> Self {
        Reply::RawThenClose([head.as_bytes(), b"\r\n\r\n", body].concat())
    }
}

/// A server of a small market that answers some requests in its own way, and fails the test if it
/// was never asked.
pub struct TestServer {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

/// What a [`TestServer`] was asked.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    pub user_agent: String,
    pub at: Instant,
}

impl TestServer {
    /// `reply` gets the path and how often it was asked before; where it gives nothing, the page of
    /// the market is sent.
    pub fn start(
        market: Market,
        reply: impl Fn(&str, usize) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let shared = (
            Arc::new(Pages::of_market(&market)),
            Arc::new(reply),
            Arc::clone(&requests),
        );
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (pages, reply, requests) = shared.clone();
                thread::spawn(move || serve(stream, &pages, &*reply, &requests));
            }
        });
        TestServer { address, requests }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// How often a path was asked for.
    pub fn asked(&self, path: &str) -> usize {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|asked| asked.path == path).count()
    }

    /// Every request, in the order in which they came.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if !thread::panicking() {
            assert!(
                !self.requests.lock().unwrap().is_empty(),
                "the test server was never asked"
            );
        }
    }
}

fn serve(
    stream: TcpStream,
    pages: &Pages,
    reply: &(impl Fn(&str, usize) -> Option<Reply> + ?Sized),
    requests: &Mutex<Vec<Request>>,
) -> Option<()> {
    let mut out = stream.try_clone().ok()?;
    let mut lines = BufReader::new(stream).lines();
    loop {
        let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
        let mut user_agent = String::new();
        loop {
            let line = lines.next()?.ok()?;
            if let Some(name) = line.strip_prefix("user-agent: ") {
                user_agent = name.to_owned();
            }
            if line.is_empty() {
                break;
            }
        }
        let before = {
            let mut requests = requests.lock().unwrap();
            requests.push(Request {
                path: path.clone(),
                user_agent,
                at: Instant::now(),
            });
            let same = requests.iter().filter(|asked| asked.path == path);
            same.count() - 1
        };
        let reply =
            reply(&path, before).or_else(|| Some(Reply::Page(pages.get(&path)?.plain_body())));
        let bytes = match reply.unwrap_or_else(|| Reply::status("404 Not Found")) {
            Reply::Page(body) => {
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                [head.as_bytes(), &body].concat()
            }
            Reply::Raw(bytes) => bytes,
            Reply::RawThenClose(bytes) => {
                out.write_all(&bytes).ok()?;
                return None;
            }
        };
        out.write_all(&bytes).ok()?;
    }
}

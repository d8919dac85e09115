//! Helpers to run the real binary, a scriptable test server, and the market that tests scrape.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::Instant;

use indexrank::replica::{Line, Market, Pages, SEED, Server};
#[cfg(unix)]
use nix::sys::signal::{Signal, kill};
#[cfg(unix)]
use nix::unistd::Pid;
use serde_json::Value;

/// The embedded market behind one server that all tests share.
pub static MARKET: LazyLock<Server> = LazyLock::new(|| {
    let pages = Pages::of_market(&Market::embedded(None, SEED));
    Server::start(pages, 0, Line::default(), None).expect("a port of 127.0.0.1")
});

/// Exit code and output of a finished run.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Prepares the binary to run in `folder`, without stdin and without proxy variables.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_indexrank"));
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null());
    for variable in [
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
        "REQUEST_METHOD",
        "CI",
        "CLICOLOR",
        "CLICOLOR_FORCE",
        "NO_COLOR",
    ] {
        command.env_remove(variable);
    }
    command
}

/// Runs the binary in `folder` to its end. Panics if a signal killed it.
pub fn indexrank(folder: &Path, arguments: &[&str]) -> Ran {
    let output = command(folder, arguments).output();
    output.expect("the binary runs").into()
}

/// Runs `indexrank fetch` in `folder` to its end.
pub fn fetch(folder: &Path, arguments: &[&str]) -> Ran {
    indexrank(folder, &[&["fetch"], arguments].concat())
}

#[cfg(unix)]
pub fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id() as i32), signal).unwrap();
}

/// Panics if a signal killed the program.
impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Ran {
            code: output.status.code().expect("not killed"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

pub fn json(file: &Path) -> Value {
    let text = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Parses a text of one JSON value a line.
pub fn json_lines(text: &str) -> Vec<Value> {
    let value = |line| serde_json::from_str(line).unwrap();
    text.lines().map(value).collect()
}

/// Parses a table of `fetch` in NDJSON. The rows get the order of the list.
pub fn sorted_rows(text: &str) -> Vec<Value> {
    let mut rows = json_lines(text);
    rows.sort_by_key(|row| row["position"].as_u64());
    rows
}

/// Sorted names of the entries of a folder; empty if the folder does not exist.
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

/// The expected ranking of the embedded market, and of the crawl that the market was made from.
pub fn expected_ranking(name: &str) -> String {
    std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("testdata/rankings")
            .join(name),
    )
    .unwrap()
}

/// Compares the four rankings in a folder with the expected ones, byte for byte.
pub fn assert_expected_rankings(folder: &Path) {
    for name in RANKINGS {
        assert_eq!(
            std::fs::read_to_string(folder.join(name)).unwrap(),
            expected_ranking(name),
            "{name}"
        );
    }
}

/// `listed, ok, failed, skipped, not_attempted` of a report, after checking that they add up.
pub fn ledger(report: &Value) -> [u64; 5] {
    let ledger = ["listed", "ok", "failed", "skipped", "not_attempted"]
        .map(|key| report["ledger"][key].as_u64().unwrap());
    assert_eq!(ledger[0], ledger[1..].iter().sum::<u64>(), "{report}");
    ledger
}

/// Starts `indexrank serve` with these options; returns the process and the address that it prints.
pub fn start_serve(folder: &Path, options: &[&str]) -> (Child, String) {
    let mut serve = command(folder, &[&["serve"], options].concat());
    let mut child = serve
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut address)
        .unwrap();
    assert!(
        address.starts_with("http") && address.ends_with('\n'),
        "{address:?}"
    );
    (child, address.trim_end().to_owned())
}

/// The response of a [`TestServer`] to one request.
pub enum Reply {
    /// Sends this body with status 200.
    Page(Vec<u8>),
    /// Sends these bytes and keeps the connection open.
    Raw(Vec<u8>),
    /// Sends these bytes and closes the connection.
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

/// Serves a small market; a closure may replace the response to any request. Dropping the server
/// fails the test if no request arrived.
pub struct TestServer {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

/// A request that a [`TestServer`] received.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    pub user_agent: String,
    /// The lines of its head after the first, with names in lower case as the client sends them.
    pub headers: Vec<String>,
    /// The port of the client's end of the connection.
    pub connection: u16,
    pub at: Instant,
}

impl TestServer {
    /// `reply` gets the path and the number of earlier requests for it. When it returns `None`, the
    /// server sends the market's page, or 404 if the market has none.
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

    /// Number of requests for a path.
    pub fn asked(&self, path: &str) -> usize {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .filter(|request| request.path == path)
            .count()
    }

    /// All requests in order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if !thread::panicking() {
            assert!(
                !self.requests.lock().unwrap().is_empty(),
                "the test server received no request"
            );
        }
    }
}

/// Serves the pages `/1`, `/2` and so on with the titles `Page 1`, `Page 2`. `reply` may replace a response.
pub fn page_server(
    reply: impl Fn(&str, usize) -> Option<Reply> + Send + Sync + 'static,
) -> TestServer {
    let market = Market::embedded(Some(1), SEED);
    TestServer::start(market, move |path, before| {
        let number = path[1..].parse::<u32>();
        reply(path, before).or_else(|| number.ok().map(numbered_page))
    })
}

fn numbered_page(number: u32) -> Reply {
    let title = format!("Page {number}");
    let html = format!(
        "<html><head><title>{title}</title></head><body><h1>A {title}</h1><h3>b</h3></body></html>"
    );
    Reply::Page(html.into_bytes())
}

/// Handles one connection until the client or the reply closes it.
fn serve(
    stream: TcpStream,
    pages: &Pages,
    reply: &(impl Fn(&str, usize) -> Option<Reply> + ?Sized),
    requests: &Mutex<Vec<Request>>,
) -> Option<()> {
    let mut out = stream.try_clone().ok()?;
    let connection = stream.peer_addr().ok()?.port();
    let mut lines = BufReader::new(stream).lines();
    loop {
        let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
        let mut user_agent = String::new();
        let mut headers = Vec::new();
        loop {
            let line = lines.next()?.ok()?;
            if let Some(name) = line.strip_prefix("user-agent: ") {
                user_agent = name.to_owned();
            }
            if line.is_empty() {
                break;
            }
            headers.push(line);
        }
        let before = {
            let mut requests = requests.lock().unwrap();
            requests.push(Request {
                path: path.clone(),
                user_agent,
                headers,
                connection,
                at: Instant::now(),
            });
            let same_path = requests.iter().filter(|request| request.path == path);
            same_path.count() - 1
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

/// All plain files below a folder and their contents.
pub fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = path.symlink_metadata().unwrap().file_type();
        if kind.is_dir() {
            all.extend(contents(&path));
        } else if kind.is_file() {
            all.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    all
}

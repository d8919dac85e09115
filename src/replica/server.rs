//! A small HTTP/1.1 server: GET and HEAD, keep-alive, gzip for those who ask for it.
//!
//! It is written by hand because it is to be no bottleneck and to stay under full control of what
//! it sends, down to the byte. A thread for each connection, as its clients keep theirs.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use super::pages::{Answer, Pages};

const MAX_HEAD: usize = 64 << 10;
const STACK: usize = 256 << 10;

/// A server that runs until the process ends: its threads wait for clients, and there is no moment
/// at which they could be joined.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    state: Arc<State>,
}

/// What a server has seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub requests: u64,
    pub connections: u64,
    /// Bytes of the pages found, as gzipped answers.
    pub bytes: u64,
}

#[derive(Debug)]
struct State {
    pages: Pages,
    latency: Duration,
    requests: AtomicU64,
    connections: AtomicU64,
    bytes: AtomicU64,
    /// Told after every thousandth request, with the number so far.
    on_thousand: Option<fn(u64)>,
}

impl Server {
    /// Starts to answer on a port of 127.0.0.1, 0 for a free one, after `latency` each time, and
    /// tells of every thousandth request.
    pub fn start(
        pages: Pages,
        port: u16,
        latency: Duration,
        on_thousand: Option<fn(u64)>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            pages,
            latency,
            requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            on_thousand,
        });
        let shared = Arc::clone(&state);
        thread::Builder::new()
            .name("server".into())
            .spawn(move || accept(&listener, &shared))?;
        Ok(Server { address, state })
    }

    pub fn counts(&self) -> Counts {
        let [requests, connections, bytes] = [
            &self.state.requests,
            &self.state.connections,
            &self.state.bytes,
        ]
        .map(|count| count.load(Relaxed));
        Counts {
            requests,
            connections,
            bytes,
        }
    }

    /// `http://127.0.0.1:PORT`
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    loop {
        // Out of file descriptors, say: the client sees that it is not served, others are.
        let Ok((stream, _)) = listener.accept() else {
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        let state = Arc::clone(state);
        let connection = thread::Builder::new()
            .name("connection".into())
            .stack_size(STACK);
        // A client that goes away in the middle is its own affair.
        let _ = connection.spawn(move || drop(serve(stream, &state)));
    }
}

fn serve(mut stream: TcpStream, state: &State) -> io::Result<()> {
    stream.set_nodelay(true)?;
    state.connections.fetch_add(1, Relaxed);
    let mut received = Vec::with_capacity(4 << 10);
    loop {
        let Some(head) = next_head(&mut stream, &mut received)? else {
            return Ok(());
        };
        let request = Request::parse(&received[..head]);
        received.drain(..head);
        if !state.latency.is_zero() {
            thread::sleep(state.latency);
        }
        let keep_alive = match request {
            Ok(request) => {
                let found = state.pages.get(&request.path);
                let bytes = found.map_or(0, |answer| answer.gzipped.len() as u64);
                state.bytes.fetch_add(bytes, Relaxed);
                answer(&mut stream, &request, found)?;
                request.keep_alive
            }
            Err(status) => {
                error(&mut stream, status, false, false)?;
                false
            }
        };
        let number = state.requests.fetch_add(1, Relaxed) + 1;
        if let Some(tell) = state.on_thousand.filter(|_| number.is_multiple_of(1000)) {
            tell(number);
        }
        if !keep_alive {
            return Ok(());
        }
    }
}

/// Reads on until a whole head is there and gives its length; none at the end of the connection.
fn next_head(stream: &mut TcpStream, received: &mut Vec<u8>) -> io::Result<Option<usize>> {
    let mut chunk = [0; 4 << 10];
    loop {
        if let Some(end) = memchr::memmem::find(received, b"\r\n\r\n") {
            return Ok(Some(end + 4));
        }
        if received.len() > MAX_HEAD {
            error(stream, "431 Request Header Fields Too Large", false, false)?;
            return Ok(None);
        }
        match stream.read(&mut chunk)? {
            0 => return Ok(None),
            length => received.extend_from_slice(&chunk[..length]),
        }
    }
}

struct Request {
    /// Path and query, percent-decoded.
    path: String,
    head_only: bool,
    keep_alive: bool,
    gzip: bool,
}

impl Request {
    /// The request, or the status to refuse it with.
    fn parse(head: &[u8]) -> Result<Self, &'static str> {
        let mut slots = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut slots);
        parsed.parse(head).map_err(|_| "400 Bad Request")?;
        let (Some(method), Some(target), Some(version)) =
            (parsed.method, parsed.path, parsed.version)
        else {
            return Err("400 Bad Request");
        };
        if method != "GET" && method != "HEAD" {
            return Err("405 Method Not Allowed");
        }
        let header = |name: &str| {
            let named = parsed
                .headers
                .iter()
                .filter(move |header| header.name.eq_ignore_ascii_case(name));
            named
                .map(|header| String::from_utf8_lossy(header.value).to_ascii_lowercase())
                .collect::<Vec<_>>()
                .join(",")
        };
        let connection = header("connection");
        let keep_alive = if version == 1 {
            !connection.contains("close")
        } else {
            connection.contains("keep-alive")
        };
        let takes_gzip = |coding: &str| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let weight = weight.trim().strip_prefix("q=").unwrap_or("1").trim();
            matches!(name.trim(), "gzip" | "*")
                && weight.parse().is_ok_and(|weight: f32| weight > 0.0)
        };
        let gzip = header("accept-encoding").split(',').any(takes_gzip);
        let path = percent_decode_str(target).decode_utf8_lossy().into_owned();
        Ok(Request {
            path,
            head_only: method == "HEAD",
            keep_alive,
            gzip,
        })
    }
}

fn answer(stream: &mut TcpStream, request: &Request, answer: Option<&Answer>) -> io::Result<()> {
    match answer {
        None => error(
            stream,
            "404 Not Found",
            request.keep_alive,
            request.head_only,
        ),
        Some(answer) if request.gzip && request.keep_alive && !request.head_only => {
            stream.write_all(&answer.gzipped)
        }
        Some(answer) if request.gzip => {
            let head = answer.head.clone();
            send(
                stream,
                head + connection(request.keep_alive),
                answer.gzipped_body(),
                request.head_only,
            )
        }
        Some(answer) => {
            let body = answer.plain_body();
            let head = format!(
                "HTTP/1.1 200 OK\r\nServer: indexrank\r\nContent-Type: {}\r\nVary: Accept-Encoding\r\nContent-Length: {}\r\n",
                answer.content_type,
                body.len()
            );
            send(
                stream,
                head + connection(request.keep_alive),
                &body,
                request.head_only,
            )
        }
    }
}

fn error(
    stream: &mut TcpStream,
    status: &str,
    keep_alive: bool,
    head_only: bool,
) -> io::Result<()> {
    let body = format!("<!DOCTYPE html><title>{status}</title><h1>{status}</h1>\n");
    let head = format!(
        "HTTP/1.1 {status}\r\nServer: indexrank\r\nContent-Type: text/html\r\nContent-Length: {}\r\n",
        body.len()
    );
    send(
        stream,
        head + connection(keep_alive),
        body.as_bytes(),
        head_only,
    )
}

fn connection(keep_alive: bool) -> &'static str {
    if keep_alive {
        "\r\n"
    } else {
        "Connection: close\r\n\r\n"
    }
}

/// Head and body in one write: two would be two packets, and a wait between them.
fn send(stream: &mut TcpStream, head: String, body: &[u8], head_only: bool) -> io::Result<()> {
    let mut message = head.into_bytes();
    if !head_only {
        message.extend_from_slice(body);
    }
    stream.write_all(&message)
}

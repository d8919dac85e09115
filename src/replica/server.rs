//! A small HTTP/1.1 server: GET and HEAD, keep-alive, gzip for those who ask for it.
//!
//! It is written by hand because it is to be no bottleneck and to stay under full control of what
//! it sends, down to the byte. A thread for each connection, as its clients keep theirs.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};

use super::faults::Plan;
use super::misbehave;
use super::pages::{Answer, Pages};

const MAX_HEAD: usize = 64 << 10;
const STACK: usize = 256 << 10;
/// What one connection sends before another has its turn, where bandwidth is limited.
const PACKET: usize = 16 << 10;

/// A server that runs until the process ends: its threads wait for clients, and there is no moment
/// at which they could be joined.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    state: Arc<State>,
}

/// The line between a server and its clients.
#[derive(Debug, Clone, Copy, Default)]
pub struct Line {
    /// Time before each answer.
    pub latency: Duration,
    /// The most by which that is longer, evenly distributed. An address has the same extra time at
    /// each request, so that all who ask are treated alike.
    pub jitter: Duration,
    /// Bits per second of the bodies and heads of all answers together; no limit if none.
    pub bandwidth: Option<f64>,
    pub seed: u64,
}

impl Line {
    /// How long the answer to a path is kept back.
    pub fn time_before_answer(&self, path: &str) -> Duration {
        if self.jitter.is_zero() {
            return self.latency;
        }
        let mut hasher = DefaultHasher::new();
        (self.seed, path).hash(&mut hasher);
        let share = fastrand::Rng::with_seed(hasher.finish()).f64();
        self.latency + self.jitter.mul_f64(share)
    }
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
    line: Line,
    /// When the line has sent all that was given to it.
    free_at: Mutex<Instant>,
    requests: AtomicU64,
    connections: AtomicU64,
    bytes: AtomicU64,
    /// What goes wrong.
    plan: RwLock<Option<Arc<Plan>>>,
    /// Told after every thousandth request, with the number so far.
    on_thousand: Option<fn(u64)>,
}

impl Server {
    /// Starts to answer on a port of 127.0.0.1, 0 for a free one, and tells of every thousandth
    /// request.
    pub fn start(
        pages: Pages,
        port: u16,
        line: Line,
        on_thousand: Option<fn(u64)>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            pages,
            line,
            free_at: Mutex::new(Instant::now()),
            requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            plan: RwLock::default(),
            on_thousand,
        });
        let shared = Arc::clone(&state);
        thread::Builder::new()
            .name("server".into())
            .spawn(move || accept(&listener, &shared))?;
        Ok(Server { address, state })
    }

    /// Has requests go wrong from now on as a plan says.
    pub fn misbehave(&self, plan: Plan) {
        *self.state.plan.write().expect("no panic holds the lock") = Some(Arc::new(plan));
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

/// The far end of a connection, behind the line.
struct Client<'a> {
    stream: &'a mut TcpStream,
    state: &'a State,
}

impl Client<'_> {
    /// Sends as fast as the line allows, which all connections share packet by packet.
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let Some(bandwidth) = self.state.line.bandwidth else {
            return self.stream.write_all(message);
        };
        for packet in message.chunks(PACKET) {
            let takes = Duration::from_secs_f64(packet.len() as f64 * 8.0 / bandwidth);
            let sent_at = {
                let mut free_at = self.state.free_at.lock().expect("no panic holds the lock");
                *free_at = (*free_at).max(Instant::now()) + takes;
                *free_at
            };
            thread::sleep(sent_at.saturating_duration_since(Instant::now()));
            self.stream.write_all(packet)?;
        }
        Ok(())
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
        let Some(head) = next_head(&mut stream, &mut received, state)? else {
            return Ok(());
        };
        let request = Request::parse(&received[..head]);
        received.drain(..head);
        let path = request.as_ref().map_or("", |request| &request.path);
        let before = state.line.time_before_answer(path);
        if !before.is_zero() {
            thread::sleep(before);
        }
        let mut client = Client {
            stream: &mut stream,
            state,
        };
        // Before it is answered: who has the answer may ask at once how many there were.
        let number = state.requests.fetch_add(1, Relaxed) + 1;
        let plan = state.plan.read().expect("no panic holds the lock").clone();
        let fault = plan.as_ref().and_then(|plan| plan.next(path));
        let keep_alive = match (request, fault) {
            (Ok(request), Some(fault)) => {
                misbehave::answer(client.stream, fault, &request.path, &state.pages)?
            }
            (Ok(request), None) => {
                let found = state.pages.get(&request.path);
                let bytes = found.map_or(0, |answer| answer.gzipped.len() as u64);
                state.bytes.fetch_add(bytes, Relaxed);
                answer(&mut client, &request, found)?;
                request.keep_alive
            }
            (Err(status), _) => {
                error(&mut client, status, false, false)?;
                false
            }
        };
        if let Some(tell) = state.on_thousand.filter(|_| number.is_multiple_of(1000)) {
            tell(number);
        }
        if !keep_alive {
            return Ok(());
        }
    }
}

/// Reads on until a whole head is there and gives its length; none at the end of the connection.
fn next_head(
    stream: &mut TcpStream,
    received: &mut Vec<u8>,
    state: &State,
) -> io::Result<Option<usize>> {
    let mut chunk = [0; 4 << 10];
    loop {
        if let Some(end) = memchr::memmem::find(received, b"\r\n\r\n") {
            return Ok(Some(end + 4));
        }
        if received.len() > MAX_HEAD {
            let mut client = Client { stream, state };
            error(
                &mut client,
                "431 Request Header Fields Too Large",
                false,
                false,
            )?;
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

fn answer(client: &mut Client, request: &Request, answer: Option<&Answer>) -> io::Result<()> {
    match answer {
        None => error(
            client,
            "404 Not Found",
            request.keep_alive,
            request.head_only,
        ),
        Some(answer) if request.gzip && request.keep_alive && !request.head_only => {
            client.send(&answer.gzipped)
        }
        Some(answer) if request.gzip => {
            let head = answer.head.clone();
            send(
                client,
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
                client,
                head + connection(request.keep_alive),
                &body,
                request.head_only,
            )
        }
    }
}

fn error(client: &mut Client, status: &str, keep_alive: bool, head_only: bool) -> io::Result<()> {
    let body = format!("<!DOCTYPE html><title>{status}</title><h1>{status}</h1>\n");
    let head = format!(
        "HTTP/1.1 {status}\r\nServer: indexrank\r\nContent-Type: text/html\r\nContent-Length: {}\r\n",
        body.len()
    );
    send(
        client,
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
fn send(client: &mut Client, head: String, body: &[u8], head_only: bool) -> io::Result<()> {
    let mut message = head.into_bytes();
    if !head_only {
        message.extend_from_slice(body);
    }
    client.send(&message)
}

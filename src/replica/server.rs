//! A small HTTP/1.1 server: GET and HEAD, keep-alive, gzip for clients that accept it.
//!
//! It is written by hand for two reasons: it must not become the bottleneck of a measurement, and it
//! must control every byte it sends. Each connection has a thread, because clients reuse connections.
//! `wrk -t1 -c16` gets 23,000 to 27,000 pages a second from it on two cores.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::alter::Target;
use super::misbehave;
use super::pages::{Pages, Response};
use super::plan::Plan;
use super::request::Request;
use crate::seeded;

/// Maximum size of a request head in bytes. Larger heads are refused with 431.
const MAX_HEAD: usize = 64 << 10;
/// Stack size of a connection's thread in bytes.
const STACK: usize = 256 << 10;
/// Bytes that a connection sends before the next connection may send, if bandwidth is limited.
const PACKET: usize = 16 << 10;

/// A server that runs until the process ends.
///
/// Its threads are never joined: they block on clients, and no event ends that wait.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    state: Arc<State>,
}

/// Latency and bandwidth between a server and its clients. The default adds no delay and no limit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Line {
    /// Delay before each response.
    pub latency: Duration,
    /// Upper end of a random additional delay, evenly distributed from 0. A path has the same
    /// additional delay at each request, so all clients get equal treatment.
    pub jitter: Duration,
    /// Bits per second of all responses together, heads included; `None` for no limit.
    pub bandwidth: Option<f64>,
    /// Seed of the jitter.
    pub seed: u64,
}

impl Line {
    /// The delay before the response to `path`: the latency, and the path's part of the jitter.
    pub fn time_before_answer(&self, path: &str) -> Duration {
        if self.jitter.is_zero() {
            return self.latency;
        }
        let share = seeded::share((self.seed, path));
        self.latency + self.jitter.mul_f64(share)
    }
}

/// Megabits per second.
pub fn bandwidth(text: &str) -> Result<f64, String> {
    let megabits = text.parse().ok();
    megabits
        .filter(|megabits| (0.001..=1e6).contains(megabits))
        .ok_or_else(|| "expected megabits per second from 0.001 to 1000000".to_owned())
}

/// The counters of a server since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub requests: u64,
    pub connections: u64,
    /// Bytes of all pages found, head and gzipped body, even if a client got the plain body.
    pub bytes: u64,
}

#[derive(Debug)]
struct State {
    pages: Pages,
    line: Line,
    /// When the line will have sent all bytes reserved so far.
    free_at: Mutex<Instant>,
    requests: AtomicU64,
    connections: AtomicU64,
    bytes: AtomicU64,
    /// `None` while all responses are normal.
    plan: RwLock<Option<Arc<Plan>>>,
    /// Called after every thousandth request with the number of requests so far.
    on_thousand: Option<fn(u64)>,
}

impl Server {
    /// Starts a server on a port of 127.0.0.1; port 0 takes a free one.
    ///
    /// After every thousandth request, the server calls `on_thousand` with the number of requests so
    /// far. Fails if the port is taken or no thread can be spawned.
    pub fn start(
        pages: Pages,
        port: u16,
        line: Line,
        on_thousand: Option<fn(u64)>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        lengthen_backlog(&listener);
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

    /// Applies a plan of faults to all further requests, in place of an earlier plan.
    pub fn misbehave(&self, plan: Plan) {
        *self.state.plan.write().expect("no panic holds the lock") = Some(Arc::new(plan));
    }

    pub fn counts(&self) -> Counts {
        Counts {
            requests: self.state.requests.load(Relaxed),
            connections: self.state.connections.load(Relaxed),
            bytes: self.state.bytes.load(Relaxed),
        }
    }

    /// `http://127.0.0.1:PORT`
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    loop {
        // `accept` fails if the process is out of file descriptors, for example. That client gets no
        // service, open connections go on. The pause avoids a busy loop.
        let Ok((stream, _)) = listener.accept() else {
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        let state = Arc::clone(state);
        let thread = thread::Builder::new()
            .name("connection".into())
            .stack_size(STACK);
        // If no thread can be spawned, the connection closes and its client notices.
        let _ = thread.spawn(move || {
            // A client that disconnects early is not an error of the server.
            let _ = serve(stream, &state);
        });
    }
}

/// Serves the requests of one connection in order until either side closes it.
fn serve(mut stream: TcpStream, state: &State) -> io::Result<()> {
    stream.set_nodelay(true)?;
    state.connections.fetch_add(1, Relaxed);
    let mut received = Vec::with_capacity(4 << 10);
    loop {
        let Some(head) = receive_head(&mut stream, &mut received, state)? else {
            return Ok(());
        };
        let request = Request::parse(&received[..head]);
        received.drain(..head);
        let path = request.as_ref().map_or("", |request| &request.path);
        let delay = state.line.time_before_answer(path);
        if !delay.is_zero() {
            thread::sleep(delay);
        }
        let mut connection = Connection {
            stream: &mut stream,
            state,
        };
        // Count before the response: a client may ask for the counts as soon as it has one.
        let number = state.requests.fetch_add(1, Relaxed) + 1;
        let plan = state.plan.read().expect("no panic holds the lock").clone();
        let fault = plan.as_ref().and_then(|plan| plan.next(path));
        let keep_alive = match (request, fault) {
            (Ok(request), Some((fault, occurrence))) => {
                let target = Target {
                    path: &request.target,
                    occurrence,
                    pages: &state.pages,
                };
                misbehave::respond(connection.stream, fault, target)?
            }
            (Ok(request), None) => {
                let found = state.pages.get(&request.target);
                let bytes = found.map_or(0, |response| response.gzipped_message.len() as u64);
                state.bytes.fetch_add(bytes, Relaxed);
                connection.send_response(&request, found)?;
                request.keep_alive
            }
            (Err(status), _) => {
                connection.send_error(status, false, false)?;
                false
            }
        };
        if number.is_multiple_of(1000)
            && let Some(on_thousand) = state.on_thousand
        {
            on_thousand(number);
        }
        if !keep_alive {
            return Ok(());
        }
    }
}

/// Reads until `received` holds a whole head and returns its length.
///
/// Returns `None` at the end of the connection, and after a refusal of a head that is too large.
fn receive_head(
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
            let mut connection = Connection { stream, state };
            connection.send_error("431 Request Header Fields Too Large", false, false)?;
            return Ok(None);
        }
        match stream.read(&mut chunk)? {
            0 => return Ok(None),
            length => received.extend_from_slice(&chunk[..length]),
        }
    }
}

/// The sending side of a connection.
struct Connection<'a> {
    stream: &'a mut TcpStream,
    state: &'a State,
}

impl Connection<'_> {
    /// Sends a page, or 404 if the path has none.
    fn send_response(&mut self, request: &Request, found: Option<&Response>) -> io::Result<()> {
        let Request {
            head_only,
            keep_alive,
            ..
        } = *request;
        match found {
            None => self.send_error("404 Not Found", keep_alive, head_only),
            Some(response) if request.gzip && keep_alive && !head_only => {
                self.send(&response.gzipped_message)
            }
            Some(response) if request.gzip => {
                let head = response.gzipped_head.clone() + end_of_head(keep_alive);
                self.send_message(head, response.gzipped_body(), head_only)
            }
            Some(response) => {
                let body = response.plain_body();
                let head = format!(
                    "{}Server: indexrank\r\nContent-Type: {}\r\nVary: Accept-Encoding\r\nContent-Length: {}\r\n{}",
                    response.head_start,
                    response.content_type,
                    body.len(),
                    end_of_head(keep_alive)
                );
                self.send_message(head, &body, head_only)
            }
        }
    }

    fn send_error(&mut self, status: &str, keep_alive: bool, head_only: bool) -> io::Result<()> {
        let body = format!("<!DOCTYPE html><title>{status}</title><h1>{status}</h1>\n");
        let head = format!(
            "HTTP/1.1 {status}\r\nServer: indexrank\r\nContent-Type: text/html\r\nContent-Length: {}\r\n{}",
            body.len(),
            end_of_head(keep_alive)
        );
        self.send_message(head, body.as_bytes(), head_only)
    }

    /// Sends head and body in one write. Two writes would make two packets with a wait between them.
    fn send_message(&mut self, head: String, body: &[u8], head_only: bool) -> io::Result<()> {
        let mut message = head.into_bytes();
        if !head_only {
            message.extend_from_slice(body);
        }
        self.send(&message)
    }

    /// Sends bytes as fast as the line allows. All connections share the line packet by packet.
    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let Some(bandwidth) = self.state.line.bandwidth else {
            return self.stream.write_all(message);
        };
        for packet in message.chunks(PACKET) {
            let duration = Duration::from_secs_f64(packet.len() as f64 * 8.0 / bandwidth);
            let sent_at = {
                let mut free_at = self.state.free_at.lock().expect("no panic holds the lock");
                *free_at = (*free_at).max(Instant::now()) + duration;
                *free_at
            };
            thread::sleep(sent_at.saturating_duration_since(Instant::now()));
            self.stream.write_all(packet)?;
        }
        Ok(())
    }
}

/// The last header line, if the connection closes, and the empty line.
fn end_of_head(keep_alive: bool) -> &'static str {
    if keep_alive {
        "\r\n"
    } else {
        "Connection: close\r\n\r\n"
    }
}

/// Asks for a backlog of 4,096 connections. With the 128 of the standard library, a burst of 1,024
/// connections loses some, and these come again after a second.
#[cfg(unix)]
fn lengthen_backlog(listener: &TcpListener) {
    use nix::sys::socket::{Backlog, listen};
    // If the system refuses, the shorter backlog still works.
    let _ = listen(listener, Backlog::MAXCONN);
}

#[cfg(not(unix))]
fn lengthen_backlog(_: &TcpListener) {}

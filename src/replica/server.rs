//! A small HTTP/1.1 server: GET and HEAD, keep-alive, gzip for clients that accept it, TLS if asked for.
//!
//! It is written by hand for two reasons: it must not become the bottleneck of a measurement, and it
//! must control every byte it sends. Each connection has a thread, because clients reuse connections.
//! `wrk -t1 -c16` gets 98,000 gzipped pages a second from it on two cores, 56,500 over TLS.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::Duration;

use rustls::ServerConfig;
use serde::{Deserialize, Serialize};
use socket2::{Domain, Socket, Type};

use super::alter::Target;
use super::connection::Connection;
use super::line::{Line, SharedLine};
use super::misbehave;
use super::pages::Pages;
use super::plan::Plan;
use super::request::Request;
use super::stream::Stream;
use crate::words;

/// Stack size of a connection's thread in bytes.
const STACK: usize = 256 << 10;
/// Connections that wait for `accept`. The kernel drops further ones, and their clients try again after a
/// second. With the 128 of the standard library, a burst of 1,024 connections loses some. Linux lowers
/// the number to `net.core.somaxconn`, which is 4,096 by default.
const BACKLOG: i32 = 4096;

/// A server that runs until the process ends.
///
/// Its threads are never joined: they block on clients, and no event ends that wait.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    state: Arc<State>,
}

/// The counters of a server since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub requests: u64,
    pub connections: u64,
    /// Completed TLS handshakes.
    pub handshakes: u64,
    /// Those of them that resumed an earlier session, without a certificate.
    pub resumed_handshakes: u64,
    /// Bytes of all pages found, head and gzipped body, even if a client got the plain body.
    pub bytes: u64,
}

#[derive(Debug)]
struct State {
    pages: Pages,
    line: SharedLine,
    /// `None` for plain HTTP.
    tls: Option<TlsConfig>,
    requests: AtomicU64,
    connections: AtomicU64,
    handshakes: AtomicU64,
    resumed_handshakes: AtomicU64,
    bytes: AtomicU64,
    /// `None` while all responses are normal.
    plan: RwLock<Option<Arc<Plan>>>,
    observer: Option<fn(Event)>,
}

/// The certificate of a server and its rules for TLS.
pub type TlsConfig = Arc<ServerConfig>;

/// An event that a server reports.
#[derive(Debug)]
pub enum Event {
    /// The number of requests so far, after every thousandth.
    Requests(u64),
    /// A connection cannot be served, for want of file descriptors or threads. Reported once.
    Overload(io::Error),
}

impl fmt::Display for Event {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Event::Requests(number) => write!(out, "{number} requests"),
            Event::Overload(error) => {
                let advice = if words::is_out_of_files(error) {
                    "raise the limit of open files (`ulimit -n`)"
                } else {
                    "raise the limit of processes (`ulimit -u`) or of the container"
                };
                let error = words::of_system(error);
                write!(
                    out,
                    "warning: the server cannot serve more connections at once: {error}; {advice}"
                )
            }
        }
    }
}

impl Server {
    /// Starts a server on a port of 127.0.0.1; port 0 takes a free one.
    ///
    /// Fails if the port is taken or no thread can be spawned.
    pub fn start(
        pages: Pages,
        port: u16,
        line: Line,
        observer: Option<fn(Event)>,
    ) -> io::Result<Self> {
        Server::start_with_tls(pages, port, line, observer, None)
    }

    /// Starts a server whose connections begin with a TLS handshake, if there is a configuration for it.
    pub fn start_with_tls(
        pages: Pages,
        port: u16,
        line: Line,
        observer: Option<fn(Event)>,
        tls: Option<TlsConfig>,
    ) -> io::Result<Self> {
        let listener = listen(port)?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            pages,
            line: SharedLine::new(line),
            tls,
            requests: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            handshakes: AtomicU64::new(0),
            resumed_handshakes: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            plan: RwLock::default(),
            observer,
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
            handshakes: self.state.handshakes.load(Relaxed),
            resumed_handshakes: self.state.resumed_handshakes.load(Relaxed),
            bytes: self.state.bytes.load(Relaxed),
        }
    }

    /// `http://127.0.0.1:PORT`, or with `https`
    pub fn address(&self) -> String {
        let scheme = if self.state.tls.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.address)
    }
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    if cfg!(unix) {
        // Otherwise a port cannot be used again in the minute after its server has ended. On Windows, the
        // option would let two servers share a port.
        socket.set_reuse_address(true)?;
    }
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn accept(listener: &TcpListener, state: &Arc<State>) {
    let mut is_overloaded = false;
    let mut report_overload = |error| {
        if let (false, Some(observer)) = (is_overloaded, state.observer) {
            observer(Event::Overload(error));
        }
        is_overloaded = true;
    };
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            // Out of file descriptors, open connections go on, and this client waits in the backlog. The
            // pause avoids a busy loop.
            Err(error) => {
                if words::is_out_of_files(&error) {
                    report_overload(error);
                }
                thread::sleep(Duration::from_millis(10));
                continue;
            }
        };
        let state = Arc::clone(state);
        let thread = thread::Builder::new()
            .name("connection".into())
            .stack_size(STACK);
        let spawned = thread.spawn(move || {
            // A client that disconnects early is not an error of the server.
            let _ = serve(stream, &state);
        });
        if let Err(error) = spawned {
            // The connection is closed, and its client notices.
            report_overload(error);
        }
    }
}

fn serve(tcp: TcpStream, state: &State) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    state.connections.fetch_add(1, Relaxed);
    let mut stream = match &state.tls {
        None => Stream::Plain(tcp),
        Some(config) => {
            let (stream, is_resumed) = Stream::accept(tcp, config)?;
            state.handshakes.fetch_add(1, Relaxed);
            state
                .resumed_handshakes
                .fetch_add(u64::from(is_resumed), Relaxed);
            stream
        }
    };
    respond(&mut stream, state)?;
    stream.close()
}

/// Responds to the requests of one connection in order until either side closes it.
fn respond(stream: &mut Stream, state: &State) -> io::Result<()> {
    let mut received = Vec::with_capacity(4 << 10);
    loop {
        let mut connection = Connection {
            stream,
            line: &state.line,
        };
        let Some(head) = connection.receive_head(&mut received)? else {
            return Ok(());
        };
        let request = Request::parse(&received[..head]);
        received.drain(..head);
        let path = request.as_ref().map_or("", |request| &request.path);
        let delay = state.line.line.time_before_answer(path);
        if !delay.is_zero() {
            thread::sleep(delay);
        }
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
            && let Some(observer) = state.observer
        {
            observer(Event::Requests(number));
        }
        if !keep_alive {
            return Ok(());
        }
    }
}

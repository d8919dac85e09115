//! tokio + hyper: one task for each page in flight. Each has a connection of its own, and inflates and
//! parses the pages that it fetches.
//!
//! Inflating and parsing take a fraction of a millisecond. Moving them to the blocking pool costs more
//! than it gains on the same cores. A task polls its connection itself: with a second task for that,
//! every piece of a response wakes two.

use std::cell::RefCell;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use http::header::{
    ACCEPT as ACCEPT_HEADER, ACCEPT_ENCODING, COOKIE, HOST, USER_AGENT as USER_AGENT_HEADER,
};
use http::{HeaderValue, Request};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;

use super::contender::{Contender, MAX_IN_FLIGHT};
use super::frontier::{Next, Target};
use super::own_client::{Crawl, Exchange, Head, Origin, Parsing, record, timed_out, too_large};
use super::shared::Outcome;
use crate::http::client::{
    ACCEPT, BODY_TIMEOUT, CONNECT_TIMEOUT, HEADERS_TIMEOUT, READ_TIMEOUT, check_transfer_encoding,
};
use crate::http::connections::INPUT_BUFFER;
use crate::http::decode::Inflater;
use crate::http::error::{MAX_HEADERS, PageError, Reason};
use crate::http::page::Page;
use crate::pipeline::harvest::Harvest;
use crate::race::contenders::extract::Extract;
use crate::race::contenders::task::{TIMEOUT, Task, USER_AGENT};
use crate::race::machine;
use crate::source::purpose;
use crate::source::retry::Attempts;
use crate::telemetry::counters::Counters;
use crate::telemetry::lane::Lane;
use crate::telemetry::trace::Label;

pub const ON_ALL_CORES: Contender = Contender {
    name: "async",
    description: "tokio + hyper, a task for each page in flight, one thread per core",
    run: on_all_cores,
    max_in_flight: MAX_IN_FLIGHT,
    files_per_page: 1,
};

pub const ON_ONE_THREAD: Contender = Contender {
    name: "async-single",
    description: "tokio + hyper on one thread",
    run: on_one_thread,
    max_in_flight: MAX_IN_FLIGHT,
    files_per_page: 1,
};

/// Bytes that a connection reads at once, and so the maximum size of a head. Larger buffers are no
/// faster: 1,024 connections with hyper's own, which grow, take 116 MB instead of 80 MB.
const READ_BUFFER: usize = INPUT_BUFFER;

thread_local! {
    /// One buffer for each thread of the runtime.
    static INFLATER: RefCell<Inflater> = RefCell::default();
}

fn on_all_cores(task: &Task, counters: &Arc<Counters>) -> Outcome {
    // With a third thread on two cores, a run at 0 ms takes 0.061 s instead of 0.052 s.
    run(
        task,
        counters,
        Builder::new_multi_thread(),
        machine::cores(),
    )
}

fn on_one_thread(task: &Task, counters: &Arc<Counters>) -> Outcome {
    run(task, counters, Builder::new_current_thread(), 1)
}

fn run(task: &Task, counters: &Arc<Counters>, mut runtime: Builder, threads: usize) -> Outcome {
    let scraper = Arc::new(Scraper {
        crawl: Crawl::new(task, counters, threads)?,
        idle: Mutex::default(),
    });
    let runtime = runtime.enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let (harvest_out, mut harvests) = unbounded_channel();
        let first = scraper.crawl.frontier.first_workers();
        start(first, &scraper, &harvest_out);
        drop(harvest_out);
        let mut harvest = Harvest::default();
        while let Some(one) = harvests.recv().await {
            harvest.absorb(one);
        }
        scraper.crawl.frontier.finish(harvest)
    })
}

struct Scraper {
    crawl: Crawl,
    /// Connections of tasks that have ended.
    idle: Mutex<Vec<Connection>>,
}

fn start(workers: usize, scraper: &Arc<Scraper>, harvest_out: &UnboundedSender<Harvest<Extract>>) {
    for _ in 0..workers {
        tokio::spawn(work(Arc::clone(scraper), harvest_out.clone()));
    }
}

/// A worker: fetches and parses one page after the other.
async fn work(scraper: Arc<Scraper>, harvest_out: UnboundedSender<Harvest<Extract>>) {
    let crawl = &scraper.crawl;
    let mut worker = Worker {
        crawl,
        connection: scraper.idle().pop(),
        waited: None,
    };
    let mut harvest = Harvest::default();
    let mut lane = crawl.counters.lane(Label::Worker);
    loop {
        let Next { target, to_start } = crawl.frontier.next(worker.waited.take());
        start(to_start, &scraper, &harvest_out);
        let Some(target) = target else { break };
        let mut other_lane = crawl.lane_of(&target);
        let lane = other_lane.as_mut().unwrap_or(&mut lane);
        worker.visit(target, lane, &mut harvest).await;
    }
    scraper.idle().extend(worker.connection);
    drop(lane);
    // Sending fails only if the run has ended.
    let _ = harvest_out.send(harvest);
}

impl Scraper {
    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Worker<'a> {
    crawl: &'a Crawl,
    connection: Option<Connection>,
    /// How long the last request waited for its response.
    waited: Option<Duration>,
}

impl Worker<'_> {
    async fn visit(&mut self, target: Target, lane: &mut Lane<'_>, harvest: &mut Harvest<Extract>) {
        lane.set_path(target.path());
        let mut attempts = Attempts::default();
        let mut target = target;
        loop {
            let page = self.get(&target, lane).await;
            let again = INFLATER.with_borrow_mut(|inflater| {
                let parsing = Parsing {
                    inflater,
                    lane: &mut *lane,
                    harvest: &mut *harvest,
                };
                self.crawl.handle_page(target, &mut attempts, page, parsing)
            });
            let Some((same, delay)) = again else { return };
            if attempts.got_other_page {
                self.connection = None;
            }
            sleep(delay).await;
            target = same;
        }
    }

    async fn get(&mut self, target: &Target, lane: &mut Lane<'_>) -> Result<Page, PageError> {
        let request = target.request();
        if let Some(archive) = &self.crawl.archive {
            return archive.get(request, || self.crawl.take_buffer(), lane);
        }
        while let Some(left) = self.crawl.pause.left() {
            sleep(left).await;
        }
        let sent_at = Instant::now();
        let fetched = timeout(TIMEOUT, self.fetch(request)).await;
        let page = fetched.unwrap_or_else(|_| Err(timed_out()));
        self.waited = record(&page, sent_at, lane);
        page
    }

    async fn fetch(&mut self, request: purpose::Request<'_>) -> Result<Page, PageError> {
        let site = &self.crawl.task.site;
        let mut exchange = Exchange::new(site, request);
        loop {
            let (head, body) = self.send(&exchange).await?;
            if !exchange.follows(&head) {
                return self.crawl.receive(exchange, head, body);
            }
        }
    }

    /// Sends a request on the connection of this worker, or opens one if that is closed or belongs to
    /// another origin.
    async fn send(&mut self, exchange: &Exchange) -> Result<(Head, Vec<u8>), PageError> {
        let (origin, path) = exchange.address();
        let kept = self.connection.take().filter(|kept| kept.origin == origin);
        if let Some(kept) = kept {
            match self.exchange(kept, exchange, path).await {
                // The server may have closed it before the request came.
                Err(error) if error.reason == Reason::Broken => self.crawl.counters.retries.add(1),
                response => return response,
            }
        }
        let connection = connect(self.crawl, origin);
        let unreachable = || PageError::new(Reason::Unreachable, "no connection in time");
        let connection = timeout(CONNECT_TIMEOUT, connection)
            .await
            .map_err(|_| unreachable())??;
        self.exchange(connection, exchange, path).await
    }

    /// Sends a request and receives its response. Keeps the connection if it can be used again.
    async fn exchange(
        &mut self,
        mut connection: Connection,
        exchange: &Exchange,
        path: &str,
    ) -> Result<(Head, Vec<u8>), PageError> {
        self.crawl.counters.requests.add(1);
        let request = request(path, &connection.authority, exchange.cookies())?;
        let Connection { sender, driver, .. } = &mut connection;
        let limit = exchange.limits.max_body;
        let received = drive(driver, async {
            let response = timeout(HEADERS_TIMEOUT, sender.send_request(request)).await;
            let response = response.map_err(|_| timed_out())?.map_err(of_hyper)?;
            let waited = exchange.sent_at.elapsed();
            let (parts, body) = response.into_parts();
            let head = Head {
                status: parts.status.as_u16(),
                headers: parts.headers,
                waited,
            };
            if head.status != 200 {
                // The body of an error page is read only to keep the connection.
                let body = read(body, limit, Vec::new()).await.unwrap_or_default();
                return Ok((head, body));
            }
            check_transfer_encoding(&head.headers, parts.version)?;
            let body = read(body, limit, self.crawl.take_buffer()).await?;
            Ok((head, body))
        });
        let (head, body) = received.await?;
        self.crawl.counters.bytes_wire.add(body.len() as u64);
        if connection.sender.is_ready() {
            self.connection = Some(connection);
        }
        Ok((head, body))
    }
}

fn request(
    path: &str,
    authority: &HeaderValue,
    cookies: Option<&HeaderValue>,
) -> Result<Request<String>, PageError> {
    let mut request = Request::new(String::new());
    let uri = path.parse();
    *request.uri_mut() = uri.map_err(|error: http::uri::InvalidUri| {
        PageError::new(Reason::Protocol, error.to_string())
    })?;
    let headers = request.headers_mut();
    headers.insert(HOST, authority.clone());
    headers.insert(USER_AGENT_HEADER, HeaderValue::from_static(USER_AGENT));
    headers.insert(ACCEPT_HEADER, HeaderValue::from_static(ACCEPT));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    if let Some(cookies) = cookies {
        headers.insert(COOKIE, cookies.clone());
    }
    Ok(request)
}

/// Reads a whole body of at most `limit` bytes into `buffer`, whose content is overwritten.
async fn read(body: Incoming, limit: u64, buffer: Vec<u8>) -> Result<Vec<u8>, PageError> {
    let read = timeout(BODY_TIMEOUT, read_frames(body, limit, buffer)).await;
    read.map_err(|_| timed_out())?
}

async fn read_frames(
    mut body: Incoming,
    limit: u64,
    mut buffer: Vec<u8>,
) -> Result<Vec<u8>, PageError> {
    buffer.clear();
    let announced = body.size_hint().exact();
    if announced.is_some_and(|announced| announced > limit) {
        return Err(too_large(limit));
    }
    buffer.reserve_exact(announced.unwrap_or(0) as usize);
    loop {
        let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
        let frame = timeout(READ_TIMEOUT, frame).await;
        let Some(frame) = frame.map_err(|_| timed_out())? else {
            return Ok(buffer);
        };
        let frame = frame.map_err(of_hyper)?;
        if let Some(data) = frame.data_ref() {
            if (buffer.len() + data.len()) as u64 > limit {
                return Err(too_large(limit));
            }
            buffer.extend_from_slice(data);
        }
    }
}

struct Connection {
    origin: String,
    authority: HeaderValue,
    sender: SendRequest<String>,
    driver: Driver,
}

/// The other end of a sender: it moves bytes between the sender and the socket while it is polled.
struct Driver(Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>);

/// Runs a future that waits for a connection, and the connection with it.
async fn drive<T>(driver: &mut Driver, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    poll_fn(|context| {
        // First the work, which may send a request; then the connection, which may have a response.
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(done);
        }
        if let Some(connection) = &mut driver.0
            && connection.as_mut().poll(context).is_ready()
        {
            // Its error goes to the sender too.
            driver.0 = None;
        }
        work.as_mut().poll(context)
    })
    .await
}

async fn connect(crawl: &Crawl, origin: &str) -> Result<Connection, PageError> {
    let Origin {
        is_https,
        host,
        port,
        authority,
    } = Origin::parse(origin)?;
    let tcp = TcpStream::connect((&*host, port))
        .await
        .map_err(PageError::of_io)?;
    // Without it, a request waits for the acknowledgement of the one before.
    tcp.set_nodelay(true).map_err(PageError::of_io)?;
    let (sender, driver) = if is_https {
        let name = ServerName::try_from(host)
            .map_err(|error| PageError::new(Reason::Tls, error.to_string()))?;
        let connector = TlsConnector::from(Arc::clone(&crawl.tls));
        let tls = connector
            .connect(name, tcp)
            .await
            .map_err(PageError::of_io)?;
        handshake(tls).await?
    } else {
        handshake(tcp).await?
    };
    let authority = HeaderValue::try_from(authority);
    let authority =
        authority.map_err(|error| PageError::new(Reason::Protocol, error.to_string()))?;
    Ok(Connection {
        origin: origin.to_owned(),
        authority,
        sender,
        driver,
    })
}

async fn handshake<T>(stream: T) -> Result<(SendRequest<String>, Driver), PageError>
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let handshake = http1::Builder::new()
        .max_headers(MAX_HEADERS)
        .read_buf_exact_size(Some(READ_BUFFER))
        .handshake(TokioIo::new(stream));
    let (sender, connection) = handshake.await.map_err(of_hyper)?;
    Ok((sender, Driver(Some(Box::pin(connection)))))
}

/// Whether a malformed response has caused an error.
pub fn is_malformed(error: &(dyn Error + 'static)) -> bool {
    let is_parse = error
        .downcast_ref::<hyper::Error>()
        .is_some_and(hyper::Error::is_parse);
    is_parse || error.source().is_some_and(is_malformed)
}

fn of_hyper(error: hyper::Error) -> PageError {
    let reason = if is_malformed(&error) {
        Reason::Protocol
    } else {
        Reason::Broken
    };
    PageError::new(reason, error.to_string()).caused_by(error)
}

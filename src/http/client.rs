//! One GET: the agent, its limits, redirects, and what an error means.
//!
//! The agent is built without decompression: its body limit would bound the compressed bytes only,
//! and pages are to travel as they came. Accept-Encoding is set here, `page.rs` inflates.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::RwLock;
use std::time::{Duration, Instant};

use http::header::LOCATION;
use http::{HeaderMap, Response, Uri};
use ureq::config::Config;
use ureq::tls::TlsConfig;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body, Proxy, Timeout};
use url::{Position, Url};

use crate::http::body::{self, BodyError, Large};
use crate::http::page::{Page, PageError, Reason};
use crate::http::tls::{self, Authorities};
use crate::telemetry::counters::Meter;

const CONNECT: Duration = Duration::from_secs(5);
const HEADERS: Duration = Duration::from_secs(15);
const PER_READ: Duration = Duration::from_secs(10);
const BODY: Duration = Duration::from_secs(30);
/// What is asked for, in the order of preference.
pub const ACCEPT: &str = "text/html,application/xml;q=0.9,*/*;q=0.8";
pub const MAX_REDIRECTS: usize = 5;
/// The library's default of 128 KiB each way is one of the larger things in memory with many
/// workers; answers of 40 KB lose nothing with less.
const INPUT_BUFFER: usize = 32 << 10;
const OUTPUT_BUFFER: usize = 4 << 10;
/// The largest head of an answer; real ones have 1 KB. It must be less than the buffer: one that
/// fills it looks to the library as if the connection had broken.
const MAX_HEAD: usize = INPUT_BUFFER - (4 << 10);

/// How to ask.
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections that may be open and idle at the same time.
    pub connections: usize,
    /// The most that one attempt may take, all in all; parts of it have shorter limits.
    pub timeout: Duration,
    pub user_agent: String,
    pub proxy: ProxyChoice,
    /// None for the ones that the library has built in, Mozilla's.
    pub authorities: Option<Authorities>,
}

#[derive(Debug, Clone)]
pub enum ProxyChoice {
    /// As `HTTPS_PROXY`, `ALL_PROXY` and their like say.
    FromEnvironment,
    Direct,
    Through(Proxy),
}

impl ProxyChoice {
    /// Reads `http://host:port`, `socks5://user:password@host:port` and their like.
    pub fn parse(address: &str) -> Result<Self, String> {
        let proxy = Proxy::new(address).ok().filter(|_| address.contains(':'));
        proxy.map(ProxyChoice::Through).ok_or_else(|| {
            format!("{address:?} is no proxy address; give one like http://127.0.0.1:3128 or socks5://127.0.0.1:1080")
        })
    }
}

/// A blocking HTTP client, for any number of threads.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    large: Large,
}

impl Client {
    pub fn new(options: Options) -> Self {
        let limit = |part: Duration| Some(part.min(options.timeout));
        let config = Config::builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(options.user_agent)
            .accept(ACCEPT)
            .accept_encoding("gzip")
            .timeout_global(Some(options.timeout))
            .timeout_resolve(limit(CONNECT))
            .timeout_connect(limit(CONNECT))
            .timeout_recv_response(limit(HEADERS))
            .timeout_recv_body(limit(BODY))
            .timeout_per_read(limit(PER_READ))
            .max_idle_connections(options.connections)
            .max_idle_connections_per_host(options.connections)
            .max_response_header_size(MAX_HEAD)
            .input_buffer_size(INPUT_BUFFER)
            .output_buffer_size(OUTPUT_BUFFER);
        let config = match options.proxy {
            ProxyChoice::FromEnvironment => config,
            ProxyChoice::Direct => config.proxy(None),
            ProxyChoice::Through(proxy) => config.proxy(Some(proxy)),
        };
        let config = match options.authorities {
            None => config,
            Some(Authorities(roots)) => {
                config.tls_config(TlsConfig::builder().root_certs(roots).build())
            }
        };
        Client {
            agent: Agent::with_parts(
                config.build(),
                DefaultConnector::default(),
                CachingResolver::default(),
            ),
            large: Large::default(),
        }
    }

    /// Gets one answer of whatever status and at most so many bytes, following redirects on the same
    /// host. The body is read into a buffer, whatever that holds, which is asked for when the body
    /// comes: who waits for an answer holds none. `may_ask` is told of the path of every request
    /// after the first.
    pub fn get(
        &self,
        address: &str,
        most: u64,
        buffer: impl FnOnce() -> Vec<u8>,
        meter: &Meter,
        may_ask: impl Fn(&str) -> Result<(), PageError>,
    ) -> Result<Page, PageError> {
        let started = Instant::now();
        let may_ask = |address: &str| {
            let address = Url::parse(address).ok();
            may_ask(
                address
                    .as_ref()
                    .map_or("", |address| &address[Position::BeforePath..]),
            )
        };
        let mut response = self.send(address, meter, &may_ask)?;
        let mut hops = 0;
        let mut at = address.to_owned();
        while matches!(response.status().as_u16(), 301..=303 | 307 | 308) {
            hops += 1;
            if hops > MAX_REDIRECTS {
                return Err(PageError::new(
                    Reason::Redirects,
                    format!("more than {MAX_REDIRECTS} redirects"),
                ));
            }
            at = redirect_target(&at, response.headers())?;
            may_ask(&at)?;
            response = self.send(&at, meter, &may_ask)?;
        }
        let waited = started.elapsed();
        let (parts, body) = response.into_parts();
        let status = parts.status.as_u16();
        // The body of an error says nothing that is needed, but a connection is only used again
        // when it has been read; if it breaks, the status is still the news.
        let announced = body.content_length();
        // A body of exactly the limit would be an error too, hence one more.
        let reader = body.into_with_config().limit(most + 1).reader();
        let (buffer, hold) = match body::read(reader, announced, most, buffer(), &self.large) {
            Err(error) if status == 200 => return Err(body_error(error, most)),
            Err(_) => Default::default(),
            Ok(read) => read,
        };
        meter.bytes_wire.add(buffer.len() as u64);
        Ok(Page {
            status,
            headers: parts.headers,
            body: buffer,
            waited,
            elapsed: started.elapsed(),
            kept: false,
            hold,
        })
    }

    /// Breaks off what is under way and refuses what comes. A body without a length that breaks off
    /// looks as if it were whole.
    pub fn shut_down(&self) {
        self.agent.clone().shutdown();
    }

    /// Where a proxy stands between, it may be the one that failed.
    fn with_proxy(&self, mut error: PageError) -> PageError {
        if let Some(proxy) = self.agent.config().proxy() {
            error.detail += &format!(", through the proxy {}:{}", proxy.host(), proxy.port());
        }
        error
    }

    /// One request, up to the headers of its answer. A GET that dies before its headers may only
    /// have met a connection that the server had closed while it was idle, which the pool cannot
    /// know: it is sent once more at no cost.
    fn send(
        &self,
        address: &str,
        meter: &Meter,
        may_ask: &impl Fn(&str) -> Result<(), PageError>,
    ) -> Result<Response<Body>, PageError> {
        meter.requests.add(1);
        let first = self.agent.get(address).call();
        let answer = match first {
            Err(ureq::Error::Io(error)) if is_stale_connection(error.kind()) => {
                may_ask(address)?;
                meter.requests.add(1);
                meter.retries.add(1);
                self.agent.get(address).call()
            }
            other => other,
        };
        answer.map_err(|error| self.with_proxy(page_error(error)))
    }
}

fn is_stale_connection(kind: ErrorKind) -> bool {
    use ErrorKind::*;
    matches!(
        kind,
        ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof | NotConnected
    )
}

/// Where a redirect leads, if it stays on the host and does not leave https.
fn redirect_target(from: &str, headers: &HeaderMap) -> Result<String, PageError> {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let from = Url::parse(from).ok();
    let target = from
        .as_ref()
        .zip(location)
        .and_then(|(from, to)| from.join(to).ok());
    let (Some(from), Some(target)) = (from, target) else {
        return Err(PageError::new(
            Reason::Redirects,
            "a redirect without an address",
        ));
    };
    if !may_follow(&from, &target) {
        return Err(PageError::new(
            Reason::Offsite,
            format!("a redirect to another site, {target}"),
        ));
    }
    Ok(target.into())
}

/// Whether a redirect stays on the host and does not leave https.
pub fn may_follow(from: &Url, to: &Url) -> bool {
    let same_door = from.scheme() == to.scheme() && from.port() == to.port();
    from.host() == to.host() && (same_door || to.scheme() == "https")
}

fn body_error(error: BodyError, most: u64) -> PageError {
    let error = match error {
        BodyError::TooLarge => {
            let detail = format!("the body is larger than {} MiB", most >> 20);
            return PageError::new(Reason::TooLarge, detail);
        }
        BodyError::Broken(error) => page_error(error.into()),
    };
    match error.reason {
        // Chunks that are none: the next answer may be whole.
        Reason::Protocol => PageError::new(Reason::Broken, error.detail),
        _ => error,
    }
}

fn page_error(error: ureq::Error) -> PageError {
    use ureq::Error;
    let reason = match &error {
        Error::Timeout(Timeout::Resolve | Timeout::Connect) => Reason::Unreachable,
        Error::Timeout(_) => Reason::Timeout,
        Error::HostNotFound | Error::ConnectionFailed | Error::ConnectProxyFailed(_) => {
            Reason::Unreachable
        }
        Error::Io(error) if is_stale_connection(error.kind()) => Reason::Broken,
        Error::Io(error) if tls::fault(error).is_some() => Reason::Tls,
        Error::Io(error) if error.kind() == ErrorKind::TimedOut => Reason::Timeout,
        Error::Io(_) => Reason::Unreachable,
        Error::Rustls(_) | Error::Tls(_) | Error::Pem(_) => Reason::Tls,
        Error::LargeResponseHeader(..) => Reason::HeadersTooLarge,
        Error::BodyExceedsLimit(_) => Reason::TooLarge,
        _ => Reason::Protocol,
    };
    let detail = match &error {
        Error::Io(cause) => tls::fault(cause).unwrap_or_else(|| cause.to_string()),
        Error::Rustls(fault) => tls::in_words(fault),
        Error::HostNotFound => "the host's name cannot be resolved".to_owned(),
        Error::Timeout(Timeout::Resolve) => "the host's name was not resolved in time".to_owned(),
        Error::Timeout(Timeout::Connect) => "no connection in time".to_owned(),
        Error::Timeout(Timeout::Global) => "not done within --timeout".to_owned(),
        Error::Timeout(Timeout::RecvResponse) => "no answer in time".to_owned(),
        Error::Timeout(_) => "the answer stalled".to_owned(),
        other => other.to_string(),
    };
    PageError::new(reason, detail)
}

/// Looks every host up once. The library asks again for each request, and with a time limit each
/// look-up starts a thread of its own: 19,000 requests a second on loopback instead of 75,000.
#[derive(Debug, Default)]
struct CachingResolver {
    system: DefaultResolver,
    known: RwLock<HashMap<String, Vec<SocketAddr>>>,
}

impl Resolver for CachingResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let key = format!(
            "{}://{}",
            uri.scheme_str().unwrap_or(""),
            uri.authority().map_or("", |a| a.as_str())
        );
        if let Some(addresses) = self
            .known
            .read()
            .expect("no panic holds the lock")
            .get(&key)
        {
            let mut resolved = self.empty();
            addresses.iter().for_each(|address| resolved.push(*address));
            return Ok(resolved);
        }
        let resolved = self.system.resolve(uri, config, timeout)?;
        self.known
            .write()
            .expect("no panic holds the lock")
            .insert(key, resolved.to_vec());
        Ok(resolved)
    }
}

//! One GET: the agent with its limits, and the retry after a stale connection.
//!
//! The agent is built without decompression, because its body limit would count compressed bytes
//! only. The request asks for gzip itself, and `decode` inflates under a limit of its own.

use std::collections::HashMap;
use std::fmt::Debug;
use std::io::{self, ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::RwLock;
use std::time::{Duration, Instant};

use http::header::{COOKIE, TRANSFER_ENCODING};
use http::{HeaderMap, Response, Uri, Version};
use ureq::config::Config;
use ureq::tls::TlsConfig;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    ConnectProxyConnector, Connector, NextTimeout, RustlsConnector, SocksConnector,
};
use ureq::{Agent, Body, Proxy};

use crate::http::body::{self, BodyError, LargeBufferPermit, LargeBuffers};
use crate::http::connections::{Generation, INPUT_BUFFER, OUTPUT_BUFFER};
use crate::http::error::{PageError, Reason, Unresolved, is_disconnect};
use crate::http::page::{Page, Saved};
use crate::http::proxy::{self, ProxyChoice};
use crate::http::redirect::{self, Chain, Redirects};
use crate::http::tcp::TcpConnector;
use crate::http::tls::Authorities;
use crate::telemetry::counters::Counters;
use crate::words;

pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
pub const HEADERS_TIMEOUT: Duration = Duration::from_secs(15);
pub const READ_TIMEOUT: Duration = Duration::from_secs(10);
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// The time limit of an attempt at robots.txt where downloads have none.
const SMALL_TIMEOUT: Duration = Duration::from_secs(45);
/// The Accept header of every request.
pub const ACCEPT: &str = "text/html,application/xml;q=0.9,*/*;q=0.8";
/// Maximum number of idle connections that stay open. The library goes through all of them twice for each
/// request: with 4,096 requests in flight and as many idle connections, these cost 5 % of the time. But
/// where threads wait for the CPU, hundreds of connections are idle for a moment: with 512 requests in
/// flight at 50 ms and a limit of 128, connections are closed and opened again, for 0.40 ms of CPU time a
/// page instead of 0.24.
const MAX_IDLE: usize = 512;

/// How the client sends requests.
#[derive(Debug, Clone)]
pub struct Options {
    /// Maximum number of idle connections that stay open, up to 512.
    pub connections: usize,
    /// The time limit of one attempt from start to end; its parts have shorter limits. `None` for bodies
    /// that may take any time, as long as bytes arrive.
    pub timeout: Option<Duration>,
    /// Maximum size of a response in bytes as received, with its head and chunk sizes.
    pub max_response: u64,
    pub user_agent: String,
    pub proxy: ProxyChoice,
    /// `None` for the authorities built into the library, Mozilla's.
    pub authorities: Option<Authorities>,
}

/// The limits of one GET.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Maximum size of the body in bytes on the wire.
    pub max_body: u64,
    /// Whether a longer body is cut there. Otherwise it is an error.
    pub cuts_body: bool,
    pub redirects: Redirects,
}

/// One GET.
#[derive(Debug, Clone, Copy)]
pub struct Get<'a> {
    pub address: &'a str,
    pub limits: Limits,
    /// Takes the body of a download. `None` for a body that is read into a buffer.
    pub sink: Option<&'a dyn BodySink>,
}

/// The head of a response.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    pub status: u16,
    pub headers: &'a HeaderMap,
    /// The address that has responded.
    pub address: &'a str,
    /// The length of the body in bytes, if the response states it.
    pub length: Option<u64>,
}

/// Receives the body of a response while it arrives.
pub trait BodySink: Debug + Send + Sync {
    /// Headers of the request, and of those that follow redirects.
    fn headers(&self) -> HeaderMap;

    /// Reads the body to its end, and adds its bytes to [`Counters::bytes_wire`]. `None` if the sink does not
    /// take the response, such as an error page; then nothing of the body is read. The error is that of the
    /// attempt: a body that breaks off or is too large, a disk that does not take it.
    fn receive(
        &self,
        head: Head,
        body: &mut dyn Read,
        counters: &Counters,
    ) -> Result<Option<Saved>, PageError>;
}

/// A blocking HTTP client for any number of threads.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    proxy: ProxyChoice,
    connections: Generation,
    tcp: TcpConnector,
    large: LargeBuffers,
}

impl Client {
    pub fn new(options: Options) -> Self {
        let limit = |part: Duration| Some(options.timeout.map_or(part, |whole| part.min(whole)));
        let config = Config::builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(options.user_agent)
            .accept(ACCEPT)
            .accept_encoding("gzip")
            .timeout_global(options.timeout)
            .timeout_resolve(limit(CONNECT_TIMEOUT))
            .timeout_connect(limit(CONNECT_TIMEOUT))
            .timeout_recv_response(limit(HEADERS_TIMEOUT))
            .timeout_recv_body(options.timeout.and_then(|_| limit(BODY_TIMEOUT)))
            .timeout_per_read(limit(READ_TIMEOUT))
            .max_idle_connections(options.connections.min(MAX_IDLE))
            .max_idle_connections_per_host(options.connections.min(MAX_IDLE))
            .max_response_header_size(INPUT_BUFFER)
            .input_buffer_size(INPUT_BUFFER)
            .output_buffer_size(OUTPUT_BUFFER)
            // The library would read the environment.
            .proxy(None);
        let config = match options.authorities {
            None => config,
            Some(Authorities(roots)) => {
                config.tls_config(TlsConfig::builder().root_certs(roots).build())
            }
        };
        let connections = Generation::new(options.max_response);
        let tcp = TcpConnector::default();
        // The library's own chain, with other TCP connections.
        let connector =
            ().chain(SocksConnector::default())
                .chain(ConnectProxyConnector::default())
                .chain(tcp.clone())
                .chain(RustlsConnector::default())
                .chain(connections.clone());
        Client {
            agent: Agent::with_parts(config.build(), connector, CachingResolver::default()),
            proxy: options.proxy,
            connections,
            tcp,
            large: LargeBuffers::default(),
        }
    }

    /// Sends a GET to an address as [`encoded`](crate::site::paths::encoded) spells it, and follows redirects. Returns the
    /// response of any status.
    ///
    /// `buffer` is called when the body arrives, so that a request waiting for its response holds no
    /// buffer. `may_send` is called with the address of every request after the first.
    pub fn get(
        &self,
        get: Get,
        buffer: impl FnOnce() -> Vec<u8>,
        counters: &Counters,
        may_send: impl Fn(&str) -> Result<(), PageError>,
    ) -> Result<Page, PageError> {
        let Get {
            address,
            limits,
            sink,
        } = get;
        let started = Instant::now();
        let chain = Chain::new(address, limits.redirects);
        let chain = chain.of_download(sink.map(|sink| sink.headers()));
        let (response, followed) = self.follow_redirects(chain, counters, &may_send)?;
        let waited = started.elapsed();
        let (parts, mut body) = response.into_parts();
        let status = parts.status.as_u16();
        if matches!(status, 200 | 206) {
            check_transfer_encoding(&parts.headers, parts.version)?;
        }
        let saved = match sink {
            None => None,
            Some(sink) => {
                let head = Head {
                    status,
                    headers: &parts.headers,
                    address: followed.reached.as_deref().unwrap_or(address),
                    length: body.content_length(),
                };
                sink.receive(head, &mut body.as_reader(), counters)?
            }
        };
        let read = match saved {
            None => self.read_body(body, limits, buffer()),
            Some(_) => Ok(Default::default()),
        };
        let (body, large) = match read {
            Ok(read) => read,
            Err(error) if (200..300).contains(&status) => {
                return Err(body_error(error, limits.max_body));
            }
            // The body of an error page is read only to keep the connection. If it breaks, the
            // status still counts.
            Err(_) => Default::default(),
        };
        counters.bytes_wire.add(body.len() as u64);
        Ok(Page {
            asked: address.to_owned(),
            reached: followed.reached,
            not_followed: followed.not_followed,
            status,
            headers: parts.headers,
            body,
            waited,
            elapsed: started.elapsed(),
            from_journal: false,
            large,
            saved,
        })
    }

    /// Sends no further request on the connections open now.
    pub fn retire_connections(&self) {
        self.connections.retire();
    }

    /// Aborts the requests under way and rejects all later ones. An aborted body without a
    /// Content-Length looks complete, so callers must discard what they get after this.
    pub fn shut_down(&self) {
        self.agent.clone().shutdown();
        self.tcp.shut_down();
    }

    fn read_body(
        &self,
        body: Body,
        limits: Limits,
        buffer: Vec<u8>,
    ) -> Result<(Vec<u8>, Option<LargeBufferPermit>), BodyError> {
        let limit = limits.max_body;
        let announced = body.content_length();
        // The library reports a body of exactly its limit as an error, hence one byte more.
        let reader = body.into_with_config().limit(limit + 1).reader();
        if limits.cuts_body {
            // The connection of a body that is not read to its end is closed.
            let announced = announced.map(|announced| announced.min(limit));
            return body::read(reader.take(limit), announced, limit, buffer, &self.large);
        }
        body::read(reader, announced, limit, buffer, &self.large)
    }

    /// Returns the first response that is no redirect, or one that must not be followed.
    fn follow_redirects(
        &self,
        mut chain: Chain,
        counters: &Counters,
        may_send: &impl Fn(&str) -> Result<(), PageError>,
    ) -> Result<(Response<Body>, Followed), PageError> {
        let mut response = self.send(&chain, counters, may_send)?;
        let mut not_followed = None;
        while redirect::is_redirect(response.status().as_u16()) {
            if let Err(error) = chain.follow(response.headers()) {
                not_followed = Some(Box::new(error));
                break;
            }
            may_send(chain.address())?;
            response = self.send(&chain, counters, may_send)?;
        }
        let reached = chain.reached();
        let followed = Followed {
            reached,
            not_followed,
        };
        Ok((response, followed))
    }

    /// Sends one request and returns as soon as the headers of its response have arrived.
    ///
    /// If the connection breaks before the headers arrive, the pool may have reused one that the server
    /// had closed. Retry once, at once.
    fn send(
        &self,
        chain: &Chain,
        counters: &Counters,
        may_send: &impl Fn(&str) -> Result<(), PageError>,
    ) -> Result<Response<Body>, PageError> {
        let address = chain.address();
        let proxy = self
            .proxy
            .get(address)
            .map_err(|error| PageError::new(Reason::Proxy, error.to_string()).caused_by(error))?;
        counters.requests.add(1);
        let response = match self.send_once(chain, proxy) {
            Err(ureq::Error::Io(error)) if is_disconnect(error.kind()) => {
                may_send(address)?;
                counters.requests.add(1);
                counters.retries.add(1);
                self.send_once(chain, proxy)
            }
            other => other,
        };
        response.map_err(|error| match proxy {
            Some(proxy) => proxy::page_error(proxy, error),
            None => PageError::of_client(error),
        })
    }

    fn send_once(
        &self,
        chain: &Chain,
        proxy: Option<&Proxy>,
    ) -> Result<Response<Body>, ureq::Error> {
        let mut request = self.agent.get(chain.address());
        if let Some(cookies) = chain.cookies() {
            request = request.header(COOKIE, cookies);
        }
        for (name, value) in chain.headers() {
            request = request.header(name, value);
        }
        // Only a request through a proxy, or of a client for downloads, pays for a configuration of its own.
        if let Some(proxy) = proxy {
            request = request.config().proxy(Some(proxy.clone())).build();
        }
        if !chain.may_take_any_time() && self.agent.config().timeouts().global.is_none() {
            request = request.config().timeout_global(Some(SMALL_TIMEOUT)).build();
        }
        request.call()
    }
}

/// What became of the redirects of a request.
struct Followed {
    /// The target of the last one that was followed.
    reached: Option<String>,
    /// Why the response, a redirect, was not followed.
    not_followed: Option<Box<PageError>>,
}

/// Fails on a Transfer-Encoding that no client here removes, because the encoded bytes would be parsed
/// as the page. HTTP/1.0 has no chunks (RFC 9112, 6.1).
pub fn check_transfer_encoding(headers: &HeaderMap, version: Version) -> Result<(), PageError> {
    for value in headers.get_all(TRANSFER_ENCODING) {
        let codings = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
        let is_known = |coding: &str| matches!(coding.trim(), "" | "identity" | "chunked");
        if !codings.split(',').all(is_known) {
            let detail =
                format!("the server sent Transfer-Encoding {codings:?}, which was not requested");
            return Err(PageError::new(Reason::UnsupportedEncoding, detail));
        }
        if version == Version::HTTP_10 && codings.contains("chunked") {
            let detail = "the response is not valid HTTP: HTTP/1.0 has no chunks";
            return Err(PageError::new(Reason::Protocol, detail));
        }
    }
    Ok(())
}

fn body_error(error: BodyError, limit: u64) -> PageError {
    match error {
        BodyError::TooLarge => {
            let detail = format!("the body is larger than {} MiB", limit >> 20);
            PageError::new(Reason::TooLarge, detail)
        }
        BodyError::Broken(error) => broken_body(error),
    }
}

/// The error of a body that breaks off.
pub fn broken_body(error: io::Error) -> PageError {
    let mut error = PageError::of_client(error.into());
    // Broken chunks, unlike a broken status line, are often whole in the next response.
    if error.reason == Reason::Protocol {
        error.reason = Reason::Broken;
    }
    error
}

/// Resolves every host once.
///
/// The library resolves the host again for each request, and with a time limit each look-up starts a
/// thread. Without this cache: 19,000 requests/s on loopback; with it: 75,000.
#[derive(Debug, Default)]
struct CachingResolver {
    system: DefaultResolver,
    resolved: RwLock<HashMap<String, Vec<SocketAddr>>>,
}

impl Resolver for CachingResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let scheme = uri.scheme_str().unwrap_or("");
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let key = format!("{scheme}://{authority}");
        let cached = self.resolved.read().expect("no panic under this lock");
        if let Some(addresses) = cached.get(&key) {
            let mut resolved = self.empty();
            addresses.iter().for_each(|address| resolved.push(*address));
            return Ok(resolved);
        }
        drop(cached);
        let resolved = self.system.resolve(uri, config, timeout);
        let resolved = resolved.map_err(|error| unresolved(uri.host().unwrap_or(""), error))?;
        let mut cache = self.resolved.write().expect("no panic under this lock");
        cache.insert(key, resolved.to_vec());
        Ok(resolved)
    }
}

/// The error of a resolver with the name of the host. A resolver that cannot open a socket reports that
/// the name does not exist, so this tries whether one can be opened.
fn unresolved(host: &str, error: ureq::Error) -> ureq::Error {
    let cause = match error {
        ureq::Error::Io(cause) => cause,
        ureq::Error::HostNotFound => ErrorKind::NotFound.into(),
        other => return other,
    };
    let cause = match UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) {
        Err(error) if words::is_out_of_files(&error) => error,
        _ => {
            let host = host.to_owned();
            io::Error::other(Unresolved { host, cause })
        }
    };
    cause.into()
}

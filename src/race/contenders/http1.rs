//! HTTP/1.1 over a blocking socket: one connection, one request at a time, with httparse.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Instant;

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Version};
use httparse::{EMPTY_HEADER, Status, parse_chunk_size};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::own_client::{Exchange, Head, Origin, too_large};
use crate::http::client::{
    BODY_TIMEOUT, CONNECT_TIMEOUT, HEADERS_TIMEOUT, READ_TIMEOUT, check_transfer_encoding,
};
use crate::http::connections::{INPUT_BUFFER, MAX_RESPONSE};
use crate::http::error::{MAX_HEADERS, PageError, Reason};
use crate::race::contenders::task::TIMEOUT;

/// First size of the input buffer in bytes. Real heads have 1 KB. What follows a head in the buffer is
/// copied into the body.
const INPUT: usize = 4 << 10;

pub struct Connection {
    pub origin: String,
    pub authority: String,
    stream: Stream,
    /// Bytes received; the response under way has used those before `start`, and those from `end` on are
    /// free.
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes of the response under way, with its head and its chunk sizes.
    received: usize,
    /// The end of the time limit for the head, or for the body after it.
    deadline: Instant,
    /// Whether the connection can carry another request.
    pub is_reusable: bool,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// How the end of a body is known.
enum Framing {
    Length(u64),
    Chunks,
    /// The server closes the connection.
    Close,
}

impl Connection {
    pub fn open(origin: &str, tls: &Arc<ClientConfig>) -> Result<Self, PageError> {
        let Origin {
            is_https,
            host,
            port,
            authority,
        } = Origin::parse(origin)?;
        let tcp = connect(&host, port).map_err(PageError::of_io)?;
        // Without it, a request waits for the acknowledgement of the one before.
        tcp.set_nodelay(true).map_err(PageError::of_io)?;
        tcp.set_read_timeout(Some(READ_TIMEOUT))
            .and_then(|()| tcp.set_write_timeout(Some(READ_TIMEOUT)))
            .map_err(PageError::of_io)?;
        let stream = if is_https {
            let of_tls = |error: &dyn ToString| PageError::new(Reason::Tls, error.to_string());
            let name = ServerName::try_from(host).map_err(|error| of_tls(&error))?;
            let tls = ClientConnection::new(Arc::clone(tls), name);
            let tls = tls.map_err(|error| of_tls(&error))?;
            Stream::Tls(Box::new(StreamOwned::new(tls, tcp)))
        } else {
            Stream::Plain(tcp)
        };
        Ok(Connection {
            origin: origin.to_owned(),
            authority,
            stream,
            input: vec![0; INPUT],
            start: 0,
            end: 0,
            received: 0,
            deadline: Instant::now(),
            is_reusable: true,
        })
    }

    /// Sends a request and receives its response. The body overwrites the buffer that `buffer` returns
    /// once the head has arrived.
    pub fn exchange(
        &mut self,
        request: &[u8],
        exchange: &Exchange,
        buffer: impl FnOnce() -> Vec<u8>,
    ) -> Result<(Head, Vec<u8>), PageError> {
        self.is_reusable = false;
        (self.start, self.end, self.received) = (0, 0, 0);
        let end = exchange.sent_at + TIMEOUT;
        self.deadline = end.min(Instant::now() + HEADERS_TIMEOUT);
        self.stream.send(request).map_err(of_io)?;
        let (version, mut head) = self.read_head()?;
        self.deadline = end.min(Instant::now() + BODY_TIMEOUT);
        head.waited = exchange.sent_at.elapsed();
        let keeps_open = keeps_open(version, &head.headers);
        let framing = framing(head.status, &head.headers)?;
        let ends_itself = !matches!(framing, Framing::Close);
        if head.status == 200 {
            check_transfer_encoding(&head.headers, version)?;
        }
        let body = match self.read_body(framing, exchange.limits.max_body, buffer()) {
            Ok(body) => body,
            Err(error) if head.status == 200 => return Err(error),
            // The body of an error page is read only to keep the connection.
            Err(_) => return Ok((head, Vec::new())),
        };
        // Bytes behind the response belong to no request.
        self.is_reusable = keeps_open && ends_itself && self.start == self.end;
        Ok((head, body))
    }

    /// Reads the head of a response, and skips interim ones.
    fn read_head(&mut self) -> Result<(Version, Head), PageError> {
        loop {
            match parse_head(&self.input[self.start..self.end])? {
                Some((length, _, head)) if (100..200).contains(&head.status) => {
                    self.start += length;
                }
                Some((length, version, head)) => {
                    self.start += length;
                    return Ok((version, head));
                }
                None => self.fill()?,
            }
        }
    }

    fn read_body(
        &mut self,
        framing: Framing,
        limit: u64,
        mut body: Vec<u8>,
    ) -> Result<Vec<u8>, PageError> {
        match framing {
            Framing::Length(length) if length > limit => Err(too_large(limit)),
            Framing::Length(length) => {
                self.read_exact(&mut body, 0, length as usize)?;
                Ok(body)
            }
            Framing::Chunks => self.read_chunks(limit, body),
            Framing::Close => self.read_to_end(limit, body),
        }
    }

    /// Reads `length` bytes into `body` behind its first `kept` bytes, and truncates it there. Clears no
    /// byte of an earlier body.
    fn read_exact(
        &mut self,
        body: &mut Vec<u8>,
        kept: usize,
        length: usize,
    ) -> Result<(), PageError> {
        body.resize(kept + length, 0);
        let buffered = length.min(self.end - self.start);
        body[kept..kept + buffered].copy_from_slice(&self.input[self.start..self.start + buffered]);
        self.start += buffered;
        let mut filled = kept + buffered;
        while filled < body.len() {
            filled += self.read(Some(&mut body[filled..]))?;
        }
        Ok(())
    }

    fn read_chunks(&mut self, limit: u64, mut body: Vec<u8>) -> Result<Vec<u8>, PageError> {
        let mut length = 0;
        loop {
            let chunk = self.read_chunk_size()?;
            if chunk == 0 {
                break;
            }
            if chunk > limit - length as u64 {
                return Err(too_large(limit));
            }
            self.read_exact(&mut body, length, chunk as usize)?;
            length += chunk as usize;
            if self.read_line()? != 0 {
                return Err(malformed_chunks());
            }
        }
        body.truncate(length);
        // Trailers end with an empty line.
        while self.read_line()? != 0 {}
        Ok(body)
    }

    fn read_chunk_size(&mut self) -> Result<u64, PageError> {
        loop {
            match parse_chunk_size(&self.input[self.start..self.end]) {
                Ok(Status::Complete((used, size))) => {
                    self.start += used;
                    return Ok(size);
                }
                Ok(Status::Partial) => self.fill()?,
                Err(_) => return Err(malformed_chunks()),
            }
        }
    }

    /// Reads a line and returns its length without its end.
    fn read_line(&mut self) -> Result<usize, PageError> {
        loop {
            let buffered = &self.input[self.start..self.end];
            if let Some(end) = memchr::memchr(b'\n', buffered) {
                self.start += end + 1;
                return Ok(buffered[..end].trim_ascii_end().len());
            }
            self.fill()?;
        }
    }

    fn read_to_end(&mut self, limit: u64, mut body: Vec<u8>) -> Result<Vec<u8>, PageError> {
        body.clear();
        loop {
            body.extend_from_slice(&self.input[self.start..self.end]);
            (self.start, self.end) = (0, 0);
            if body.len() as u64 > limit {
                return Err(too_large(limit));
            }
            self.end = match self.read(None) {
                Err(error) if error.reason == Reason::Broken => return Ok(body),
                read => read?,
            };
        }
    }

    /// Reads more bytes into the input buffer, behind those not yet used.
    fn fill(&mut self) -> Result<(), PageError> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.input.len() && self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        } else if self.end == self.input.len() {
            if self.end >= INPUT_BUFFER {
                let limit = INPUT_BUFFER >> 10;
                let detail = format!("the headers of the response are larger than {limit} KiB");
                return Err(PageError::new(Reason::HeadersTooLarge, detail));
            }
            self.input.resize(2 * self.end, 0);
        }
        self.end += self.read(None)?;
        Ok(())
    }

    /// Reads at least one byte into `out`, or into the free part of the input buffer.
    fn read(&mut self, out: Option<&mut [u8]>) -> Result<usize, PageError> {
        let out = out.unwrap_or(&mut self.input[self.end..]);
        let read = loop {
            match self.stream.read(out) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) => break Err(ErrorKind::UnexpectedEof.into()),
                read => break read,
            }
        };
        let read = read.map_err(of_io)?;
        self.received += read;
        if self.received as u64 > MAX_RESPONSE {
            return Err(too_large(MAX_RESPONSE));
        }
        if Instant::now() > self.deadline {
            return Err(PageError::new(Reason::Timeout, "the response stalled"));
        }
        Ok(read)
    }
}

impl Stream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.read(out),
            Stream::Tls(stream) => stream.read(out),
        }
    }

    fn send(&mut self, request: &[u8]) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.write_all(request),
            Stream::Tls(stream) => {
                stream.write_all(request)?;
                stream.flush()
            }
        }
    }
}

fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = ErrorKind::NotFound.into();
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Err(error) => last = error,
            connected => return connected,
        }
    }
    Err(last)
}

/// The length of a head, its version and its content. `None` if it is not complete.
fn parse_head(input: &[u8]) -> Result<Option<(usize, Version, Head)>, PageError> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(input) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => {
            let detail = format!("the response has more than {MAX_HEADERS} headers");
            return Err(PageError::new(Reason::HeadersTooLarge, detail));
        }
        Err(error) => return Err(invalid(&error)),
    };
    let mut headers = HeaderMap::with_capacity(response.headers.len());
    for header in &*response.headers {
        let name =
            HeaderName::from_bytes(header.name.as_bytes()).map_err(|error| invalid(&error))?;
        let value = HeaderValue::from_bytes(header.value).map_err(|error| invalid(&error))?;
        headers.append(name, value);
    }
    let version = match response.version {
        Some(0) => Version::HTTP_10,
        _ => Version::HTTP_11,
    };
    let head = Head {
        status: response.code.unwrap_or_default(),
        headers,
        waited: Default::default(),
    };
    Ok(Some((length, version, head)))
}

/// The error of a read or write. What one returns when its time limit has passed depends on the system.
fn of_io(error: io::Error) -> PageError {
    PageError::of_io(match error.kind() {
        ErrorKind::WouldBlock => ErrorKind::TimedOut.into(),
        _ => error,
    })
}

fn invalid(error: &dyn ToString) -> PageError {
    let detail = format!("the response is not valid HTTP: {}", error.to_string());
    PageError::new(Reason::Protocol, detail)
}

fn malformed_chunks() -> PageError {
    PageError::new(Reason::Broken, "the chunks of the response are malformed")
}

/// How a body ends (RFC 9112, 6.3).
fn framing(status: u16, headers: &HeaderMap) -> Result<Framing, PageError> {
    if matches!(status, 204 | 304) {
        return Ok(Framing::Length(0));
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        let is_chunked = has_token(headers, &TRANSFER_ENCODING, "chunked");
        return Ok(if is_chunked {
            Framing::Chunks
        } else {
            Framing::Close
        });
    }
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        let value = value.to_str().unwrap_or_default().trim();
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let value = value.parse::<u64>().ok().filter(|_| is_number);
        if value.is_none() || length.is_some_and(|length| Some(length) != value) {
            return Err(invalid(&"Content-Length is not one number"));
        }
        length = value;
    }
    Ok(length.map_or(Framing::Close, Framing::Length))
}

/// Whether the server keeps the connection open after a response (RFC 9112, 9.3).
fn keeps_open(version: Version, headers: &HeaderMap) -> bool {
    match version {
        Version::HTTP_10 => has_token(headers, &CONNECTION, "keep-alive"),
        _ => !has_token(headers, &CONNECTION, "close"),
    }
}

/// Whether a list of tokens in a header contains this one.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter();
    let mut tokens = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    tokens.any(|one| one.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

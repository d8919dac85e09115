//! A connection of the server: receives request heads, sends pages and errors.

use std::io::{self, Read};

use super::line::SharedLine;
use super::pages::Response;
use super::request::Request;
use super::stream::Stream;

/// Maximum size of a request head in bytes. Larger heads are refused with 431.
const MAX_HEAD: usize = 64 << 10;

pub(super) struct Connection<'a> {
    pub(super) stream: &'a mut Stream,
    pub(super) line: &'a SharedLine,
}

impl Connection<'_> {
    /// Reads until `received` holds a whole head and returns its length.
    ///
    /// Returns `None` at the end of the connection, and after a refusal of a head that is too large.
    pub(super) fn receive_head(&mut self, received: &mut Vec<u8>) -> io::Result<Option<usize>> {
        let mut chunk = [0; 4 << 10];
        loop {
            if let Some(end) = memchr::memmem::find(received, b"\r\n\r\n") {
                return Ok(Some(end + 4));
            }
            if received.len() > MAX_HEAD {
                self.send_error("431 Request Header Fields Too Large", false, false)?;
                return Ok(None);
            }
            match self.stream.read(&mut chunk)? {
                0 => return Ok(None),
                length => received.extend_from_slice(&chunk[..length]),
            }
        }
    }

    /// Sends a page, or 404 if the path has none.
    pub(super) fn send_response(
        &mut self,
        request: &Request,
        found: Option<&Response>,
    ) -> io::Result<()> {
        let Request {
            head_only,
            keep_alive,
            ..
        } = *request;
        match found {
            None => self.send_error("404 Not Found", keep_alive, head_only),
            Some(response) if request.gzip && keep_alive && !head_only => {
                self.line.send(self.stream, &response.gzipped_message)
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

    pub(super) fn send_error(
        &mut self,
        status: &str,
        keep_alive: bool,
        head_only: bool,
    ) -> io::Result<()> {
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
        self.line.send(self.stream, &message)
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

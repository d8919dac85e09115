//! Connections that can be retired, and that bound the length of a response.
//!
//! A response may be followed by bytes that belong to no request, such as a second response. If they
//! arrive in time, the library closes the connection. If they arrive after the next request was sent,
//! every later response of the connection answers the request before. Only a page itself can tell, long
//! after its connection is back in the pool. So all connections open at that time are retired: none of
//! them sends another request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// Size of the receive buffer of a connection, and so the maximum size of a head; real ones have 1 KB. The
/// library's default of 128 KiB each way is a large part of the memory of many workers. Responses of 40 KB
/// are no slower with this.
pub const INPUT_BUFFER: usize = 32 << 10;
/// Size of the send buffer of a connection, in bytes. A request has 300 bytes, and its cookies.
pub const OUTPUT_BUFFER: usize = 4 << 10;
/// Maximum size of a response to the rankings job, in bytes as received: headers, chunk sizes and trailers
/// included. A body has at most 2 MiB. The limit of the body does not count the rest, and trailers without an
/// end would otherwise be read until the time limit.
pub const MAX_RESPONSE: u64 = 8 << 20;

/// How often connections have been retired, and how long their responses may be.
#[derive(Debug, Clone)]
pub struct Generation {
    retired: Arc<AtomicU64>,
    max_response: u64,
}

impl Generation {
    /// Connections whose responses have at most so many bytes as received.
    pub fn new(max_response: u64) -> Self {
        Generation {
            retired: Arc::default(),
            max_response,
        }
    }

    /// Retires all connections open now. A request under way is still answered.
    pub fn retire(&self) {
        self.retired.fetch_add(1, Relaxed);
    }

    fn get(&self) -> u64 {
        self.retired.load(Relaxed)
    }
}

impl<In: Transport> Connector<In> for Generation {
    type Out = Connection<In>;

    fn connect(
        &self,
        _: &ConnectionDetails,
        transport: Option<In>,
    ) -> Result<Option<Connection<In>>, Error> {
        Ok(transport.map(|transport| Connection {
            opened_in: self.get(),
            now: self.clone(),
            received: 0,
            transport,
        }))
    }
}

/// A connection that counts as closed once it is retired, and fails when a response is too long.
#[derive(Debug)]
pub struct Connection<T> {
    transport: T,
    opened_in: u64,
    now: Generation,
    /// Bytes received since the last request.
    received: u64,
}

impl<T: Transport> Transport for Connection<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.received = 0;
        self.transport.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let input = self.transport.buffers().input();
        let before = input.len();
        let is_head = input.trim_ascii_start().starts_with(b"HTTP/");
        // The library keeps the bytes of a head until it is complete, and would take a full buffer for a
        // broken connection. Its own limit counts bytes behind an interim response as part of that.
        if before >= INPUT_BUFFER && is_head {
            return Err(Error::LargeResponseHeader(before, INPUT_BUFFER));
        }
        let made_progress = self.transport.await_input(timeout)?;
        self.received += (self.transport.buffers().input().len() - before) as u64;
        if self.received > self.now.max_response {
            return Err(Error::BodyExceedsLimit(self.now.max_response));
        }
        Ok(made_progress)
    }

    fn is_open(&mut self) -> bool {
        self.opened_in == self.now.get() && self.transport.is_open()
    }

    fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }
}

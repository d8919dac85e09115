//! Connections that can be retired.
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

/// How often connections have been retired.
#[derive(Debug, Clone, Default)]
pub struct Generation(Arc<AtomicU64>);

impl Generation {
    /// Retires all connections open now. A request under way is still answered.
    pub fn retire(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
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
            transport,
        }))
    }
}

/// A connection that counts as closed once it is retired.
#[derive(Debug)]
pub struct Connection<T> {
    transport: T,
    opened_in: u64,
    now: Generation,
}

impl<T: Transport> Transport for Connection<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.transport.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.transport.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.opened_in == self.now.get() && self.transport.is_open()
    }

    fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }
}

//! The connection that a fetch uses: an idle one of the pool, or a new one.

use std::net::IpAddr;

use bytes::BytesMut;

use super::Order;
use super::outcome::Trouble;
use crate::sys::stream::Stream;
use crate::worker::origin::reach;
use crate::worker::state::Worker;

/// Room for a response's head, and often for all of a small response.
pub const FIRST_READ: usize = 8 << 10;

/// A connection to an origin server while it is used.
pub struct Connection {
    /// The socket.
    pub stream: Stream,
    /// What was read from it and not yet taken.
    pub buffer: BytesMut,
    /// The origin's address.
    pub address: IpAddr,
    /// Whether all of the request went out, without which it can't be used again.
    pub request_sent: bool,
    /// Whether it served a request before.
    pub reused: bool,
}

impl Connection {
    fn new(stream: Stream, address: IpAddr, reused: bool) -> Connection {
        Connection {
            stream,
            buffer: BytesMut::with_capacity(FIRST_READ),
            address,
            request_sent: false,
            reused,
        }
    }
}

/// A connection of the pool, if there is one for this order.
pub fn idle_connection(worker: &Worker, order: &Order) -> Option<Connection> {
    let (stream, address) = worker
        .pool
        .take(order.uri.authority(), order.local_allowed)?;
    Some(Connection::new(stream, address, true))
}

/// Connects to the origin server.
pub async fn new_connection(worker: &Worker, order: &Order) -> Result<Connection, Trouble> {
    let (stream, address) = reach(
        &worker.resolver,
        order.uri.host(),
        order.uri.port(),
        order.local_allowed,
        order.settings.times.connect,
    )
    .await?;
    Ok(Connection::new(stream, address, false))
}

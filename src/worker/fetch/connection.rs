//! The connection that a fetch uses: an idle one of the pool, or a new one.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::BytesMut;
use tokio::time::timeout;

use super::request::FetchRequest;
use crate::http::persistence::RequestCourse;
use crate::http::target::Scheme;
use crate::sys::stream::Stream;
use crate::worker::origin::connect::ReachError;
use crate::worker::origin::course::Course;
use crate::worker::origin::guard::Destination;
use crate::worker::origin::tls::handshake;
use crate::worker::origin::transport::Transport;
use crate::worker::origin::{Wanted, reach};
use crate::worker::state::Worker;
use crate::worker::waiting_list::FetchError;

/// Room for a response's head, and often for all of a small response.
pub const FIRST_READ: usize = 8 << 10;

/// A connection to an origin server while it is used.
pub struct Connection {
    /// Shared with the request's content while that is sent.
    pub transport: Rc<Transport>,
    /// Bytes read from it and not yet taken.
    pub buffer: BytesMut,
    pub destination: Destination,
    /// The course of the request on it, which decides whether it is used again.
    pub course: RequestCourse,
    pub source: ConnectionSource,
}

/// The place that a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionSource {
    New,
    /// It served others before.
    Pool,
    /// It served the same client before, and is that client's alone.
    Pinned,
}

impl Connection {
    fn new(transport: Transport, destination: Destination, source: ConnectionSource) -> Connection {
        Connection {
            transport: Rc::new(transport),
            buffer: BytesMut::with_capacity(FIRST_READ),
            destination,
            course: RequestCourse::default(),
            source,
        }
    }
}

/// The connection that is pinned to the client, if this request is for its origin server and its response for this client
/// alone.
pub fn pinned_connection(request: &FetchRequest) -> Option<Connection> {
    if request.key().is_some() {
        return None;
    }
    let pinned = request.pinned.upgrade()?;
    let (transport, destination) = pinned.take(request.uri.origin())?;
    let named = &request.settings.own_destinations;
    let allowed = destination.may_be_reached(request.requester, named);
    allowed.then(|| Connection::new(transport, destination, ConnectionSource::Pinned))
}

/// A connection of the pool, if there is one for this request.
pub fn idle_connection(worker: &Worker, request: &FetchRequest) -> Option<Connection> {
    let (origin, named) = (request.uri.origin(), &request.settings.own_destinations);
    loop {
        let (transport, destination) = worker.pool.take(origin, request.requester, named)?;
        // It may have been lost on the way, and not the server.
        if !worker.hung.has_address(origin, destination.address) {
            let source = ConnectionSource::Pool;
            return Some(Connection::new(transport, destination, source));
        }
    }
}

pub async fn new_connection(
    worker: &Worker,
    request: &FetchRequest,
    course: &Course,
) -> Result<Connection, FetchError> {
    let wanted = Wanted {
        host: request.uri.host(),
        port: request.uri.port(),
        requester: request.requester,
        own_destinations: &request.settings.own_destinations,
        limit: request.settings.times.connect,
        origin: request.uri.origin(),
        hung: &worker.hung,
        course,
    };
    let (stream, destination) = reach(&worker.resolver, &worker.guard, &wanted).await?;
    let transport = match request.uri.scheme() {
        Scheme::Http => Transport::Plain(stream),
        Scheme::Https => Box::pin(secured(worker, request, stream)).await?,
    };
    Ok(Connection::new(
        transport,
        destination,
        ConnectionSource::New,
    ))
}

/// Makes a TLS session of a connection just made.
async fn secured(
    worker: &Worker,
    request: &FetchRequest,
    stream: Stream,
) -> Result<Transport, FetchError> {
    let host = request.uri.host();
    let failed = |why| ReachError::Tls {
        host: request.uri.authority().into(),
        why,
    };
    let trusted = worker.trust.config(&request.settings.ca_file).await;
    let config = trusted.map_err(failed)?;
    let limit = request.settings.times.connect;
    let begun = timeout(limit, handshake(stream, host, config)).await;
    let begun = begun.map_err(|_| ReachError::TimedOut {
        host: request.uri.authority().into(),
        limit,
    })?;
    Ok(Transport::Tls(Box::new(RefCell::new(
        begun.map_err(failed)?,
    ))))
}

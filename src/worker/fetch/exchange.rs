//! One request sent and the head of its response read (RFC 9112 §9.3, RFC 9110 §15.2): over an idle
//! connection where there is one, once more over a new one when that turns out closed, with the
//! request's content going out while the response is awaited.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::Instant;

use super::outcome::Trouble;
use super::{Fetch, Order, RequestContent};
use crate::cache::validation::conditional_fields;
use crate::http::chunked;
use crate::http::forward::{RequestAs, write_request};
use crate::http::framing::Framing;
use crate::http::head::ResponseHead;
use crate::http::parse::parse_response;
use crate::store::spool::{End, Piece};
use crate::sys::stream::Stream;
use crate::worker::origin::connect::{ConnectError, connect};
use crate::worker::state::{Worker, head_limits};

/// Room for a response's head, and often for all of a small response.
const FIRST_READ: usize = 8 << 10;
/// The most interim responses to one request.
const MOST_INTERIM: usize = 32;

/// What came back.
pub enum Reply {
    /// A final response; its content is still on the connection.
    Response(Response),
    /// A 101 that was asked for, the connection, and what was read beyond the head.
    Switched(ResponseHead, Stream, BytesMut),
}

/// A final response's head, and the connection its content comes on.
pub struct Response {
    /// The head.
    pub head: ResponseHead,
    /// The connection.
    pub connection: Connection,
}

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
    reused: bool,
}

/// Sends the request and reads the response's head.
pub async fn exchange(worker: &Worker, order: &mut Order, fetch: &Fetch) -> Result<Reply, Trouble> {
    let mut content = order.content.take();
    // A request that may not be repeated never meets a connection that may be closing (RFC 9110 §9.2.2).
    let may_repeat = content.is_none() && order.head.method.is_idempotent();
    if may_repeat {
        if let Some(connection) = idle_connection(worker, order) {
            match converse(order, connection, &mut content, fetch).await {
                Err(Failed::Unanswered(_)) => {}
                done => return done.map_err(Failed::into_trouble),
            }
        }
    }
    let connection = new_connection(worker, order).await?;
    let done = converse(order, connection, &mut content, fetch).await;
    done.map_err(Failed::into_trouble)
}

/// Why a conversation failed: whether anything came back tells whether it may be tried again.
enum Failed {
    Unanswered(Trouble),
    Answered(Trouble),
}

impl Failed {
    fn into_trouble(self) -> Trouble {
        match self {
            Failed::Unanswered(trouble) | Failed::Answered(trouble) => trouble,
        }
    }
}

fn idle_connection(worker: &Worker, order: &Order) -> Option<Connection> {
    let (stream, address) = worker
        .pool
        .take(order.uri.authority(), order.local_allowed)?;
    Some(Connection::new(stream, address, true))
}

async fn new_connection(worker: &Worker, order: &Order) -> Result<Connection, Trouble> {
    let host = order.uri.host();
    let addresses =
        worker
            .resolver
            .addresses(host)
            .await
            .map_err(|why| ConnectError::Unresolved {
                host: host.into(),
                why: why.to_string(),
            })?;
    let limit = order.settings.times.connect;
    let connected = connect(
        host,
        order.uri.port(),
        &addresses,
        order.local_allowed,
        limit,
    )
    .await;
    let (stream, address) = connected.inspect_err(|_| worker.resolver.forget(host))?;
    Ok(Connection::new(stream, address, false))
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

async fn converse(
    order: &Order,
    mut connection: Connection,
    content: &mut Option<RequestContent>,
    fetch: &Fetch,
) -> Result<Reply, Failed> {
    let patience = order.settings.times.body_stall;
    let head = request_head(order, content.as_ref());
    let stream = &connection.stream;
    let parts = &mut [IoSlice::new(&head)];
    if let Err(why) = stream.write_all(parts, patience).await {
        return Err(Failed::Unanswered(io_trouble(order, why)));
    }
    let Some(content) = content.as_mut() else {
        connection.request_sent = true;
        return read_head(order, connection, fetch).await;
    };
    // The origin may answer before it has all of the content, so that is listened for meanwhile.
    connection.request_sent = tokio::select! {
        biased;
        sent = send_content(&connection.stream, content, patience) => match sent {
            Ok(()) => true,
            Err(Trouble::ClientContent) => return Err(Failed::Answered(Trouble::ClientContent)),
            // It may have closed its side because it has already answered.
            Err(_) => false,
        },
        _ = connection.stream.readable() => false,
    };
    read_head(order, connection, fetch).await
}

fn request_head(order: &Order, content: Option<&RequestContent>) -> BytesMut {
    let extra: Vec<(&[u8], &[u8])> = match &order.validate {
        Some(stored) => conditional_fields(&stored.object.meta.fields)
            .map(|(name, value)| (name.as_bytes(), value))
            .collect(),
        None => Vec::new(),
    };
    let mut out = BytesMut::with_capacity(1024);
    write_request(
        &mut out,
        &order.head,
        &order.uri,
        &RequestAs {
            framing: content.map_or(Framing::None, |content| content.framing),
            pseudonym: &order.pseudonym,
            extra: &extra,
            without: &[],
            upgrade: order.upgrade,
        },
    );
    out
}

async fn send_content(
    stream: &Stream,
    content: &mut RequestContent,
    patience: Duration,
) -> Result<(), Trouble> {
    let failed = |why| Trouble::Io {
        host: String::new(),
        why,
    };
    loop {
        let mut frame = BytesMut::new();
        match content.reader.next().await {
            Piece::Memory(data) if content.framing == Framing::Chunked => {
                chunked::write_chunk_head(&mut frame, data.len());
                let parts = &mut [
                    IoSlice::new(&frame),
                    IoSlice::new(&data),
                    IoSlice::new(b"\r\n"),
                ];
                stream.write_all(parts, patience).await.map_err(failed)?;
            }
            Piece::Memory(data) => {
                let parts = &mut [IoSlice::new(&data)];
                stream.write_all(parts, patience).await.map_err(failed)?;
            }
            Piece::End(End::Whole { trailers }) => {
                if content.framing == Framing::Chunked {
                    chunked::write_last(&mut frame, &trailers);
                    let parts = &mut [IoSlice::new(&frame)];
                    stream.write_all(parts, patience).await.map_err(failed)?;
                }
                return Ok(());
            }
            // Request content is a window and never in a file.
            Piece::File { .. } | Piece::End(End::Cut(_)) => return Err(Trouble::ClientContent),
        }
    }
}

/// Reads heads until the final one; passes interim ones on.
async fn read_head(
    order: &Order,
    mut connection: Connection,
    fetch: &Fetch,
) -> Result<Reply, Failed> {
    let limit = order.settings.times.origin_response;
    let deadline = Instant::now() + limit;
    let limits = head_limits(&order.settings);
    let (mut scanned, mut interim) = (0, 0);
    let mut answered = !connection.buffer.is_empty();
    loop {
        let buffer = &mut connection.buffer;
        let parsed = parse_response(buffer, &mut scanned, &limits).map_err(|why| {
            Failed::Answered(Trouble::Head {
                host: host(order),
                why,
            })
        })?;
        match parsed {
            None => {}
            Some(head) if head.status == 101 && order.upgrade => {
                return Ok(Reply::Switched(head, connection.stream, connection.buffer));
            }
            Some(head) if head.status == 101 => {
                return Err(Failed::Answered(Trouble::Switched(host(order))));
            }
            Some(head) if head.status < 200 => {
                interim += 1;
                if interim > MOST_INTERIM {
                    return Err(Failed::Answered(Trouble::Interim(host(order))));
                }
                fetch.add_interim(head);
                continue;
            }
            Some(head) => return Ok(Reply::Response(Response { head, connection })),
        }
        buffer.reserve(FIRST_READ);
        match connection.stream.read(buffer, deadline).await {
            Ok(0) if answered => return Err(Failed::Answered(Trouble::Closed(host(order)))),
            Ok(0) => return Err(unanswered(&connection, Trouble::Closed(host(order)))),
            Ok(_) => answered = true,
            Err(why) if why.kind() == io::ErrorKind::TimedOut => {
                return Err(Failed::Answered(timed_out(order, limit)));
            }
            Err(why) if answered => return Err(Failed::Answered(io_trouble(order, why))),
            Err(why) => return Err(unanswered(&connection, io_trouble(order, why))),
        }
    }
}

/// Only a connection that served before may have been closed for its age: a new one is not retried.
fn unanswered(connection: &Connection, trouble: Trouble) -> Failed {
    if connection.reused {
        Failed::Unanswered(trouble)
    } else {
        Failed::Answered(trouble)
    }
}

fn timed_out(order: &Order, limit: Duration) -> Trouble {
    Trouble::TimedOut {
        host: host(order),
        seconds: limit.as_secs(),
    }
}

fn io_trouble(order: &Order, why: io::Error) -> Trouble {
    if why.kind() == io::ErrorKind::TimedOut {
        return timed_out(order, order.settings.times.body_stall);
    }
    Trouble::Io {
        host: host(order),
        why,
    }
}

fn host(order: &Order) -> String {
    order.uri.authority().to_string()
}

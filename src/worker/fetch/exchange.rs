//! One request sent and the head of its response read (RFC 9112 §9.3, RFC 9110 §15.2): over an idle
//! connection where there is one, once more over a new one when that turns out closed, with the
//! request's content going out while the response is awaited.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::{Instant, sleep_until, timeout};

use super::outcome::Trouble;
use super::{Fetch, Order, RequestContent};
use crate::cache::validation::conditional_fields;
use crate::http::chunked;
use crate::http::forward::{RequestAs, write_request};
use crate::http::framing::Framing;
use crate::http::head::ResponseHead;
use crate::http::parse::{HeadError, parse_response};
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
    let parts = &mut [IoSlice::new(&head)];
    if let Err(why) = connection.stream.write_all(parts, patience).await {
        return Err(Failed::Unanswered(io_trouble(order, why)));
    }
    let limit = order.settings.times.origin_response;
    let Connection {
        stream,
        buffer,
        request_sent,
        reused,
        ..
    } = &mut connection;
    let stream: &Stream = stream;
    let reading = Reading {
        order,
        stream,
        buffer,
        reused: *reused,
    };
    let head = match content {
        None => {
            *request_sent = true;
            let reading = reading.final_head(fetch);
            timeout(limit, reading)
                .await
                .unwrap_or_else(|_| Err(timed_out(order, limit)))?
        }
        Some(content) => {
            let mut reading = pin!(reading.final_head(fetch));
            let mut sending = pin!(send_content(stream, content, patience));
            let mut sending_ended = false;
            let mut deadline = Instant::now();
            // The origin may answer, or ask for the content, before it has all of it.
            loop {
                tokio::select! {
                    biased;
                    sent = &mut sending, if !sending_ended => {
                        if let Err(Trouble::ClientContent) = sent {
                            return Err(Failed::Answered(Trouble::ClientContent));
                        }
                        // Where it failed, the origin may have closed its side after answering.
                        *request_sent = sent.is_ok();
                        sending_ended = true;
                        deadline = Instant::now() + limit;
                    }
                    head = &mut reading => break head?,
                    () = sleep_until(deadline), if sending_ended => {
                        return Err(timed_out(order, limit));
                    }
                }
            }
        }
    };
    if head.status == 101 {
        return Ok(Reply::Switched(head, connection.stream, connection.buffer));
    }
    Ok(Reply::Response(Response { head, connection }))
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

/// The head of the response being read.
struct Reading<'a> {
    order: &'a Order,
    stream: &'a Stream,
    buffer: &'a mut BytesMut,
    /// Only a connection that served before may have been closed for its age: a new one is not
    /// tried again.
    reused: bool,
}

impl Reading<'_> {
    /// Reads heads until the final one, or a 101 that was asked for; passes interim ones on.
    async fn final_head(self, fetch: &Fetch) -> Result<ResponseHead, Failed> {
        let order = self.order;
        let limits = head_limits(&order.settings);
        let (mut scanned, mut interim, mut answered) = (0, 0, false);
        loop {
            let parsed = parse_response(self.buffer, &mut scanned, &limits);
            match parsed.map_err(|why| malformed(order, why))? {
                None => {}
                Some(head) if head.status == 101 && !order.upgrade => {
                    return Err(Failed::Answered(Trouble::Switched(host(order))));
                }
                Some(head) if head.status == 101 || head.status >= 200 => return Ok(head),
                Some(head) => {
                    interim += 1;
                    if interim > MOST_INTERIM {
                        return Err(Failed::Answered(Trouble::Interim(host(order))));
                    }
                    fetch.add_interim(head);
                    continue;
                }
            }
            self.buffer.reserve(FIRST_READ);
            let failure = match self.stream.read_some(self.buffer).await {
                Ok(1..) => {
                    answered = true;
                    continue;
                }
                Ok(0) => Trouble::Closed(host(order)),
                Err(why) => io_trouble(order, why),
            };
            return Err(if answered || !self.reused {
                Failed::Answered(failure)
            } else {
                Failed::Unanswered(failure)
            });
        }
    }
}

fn malformed(order: &Order, why: HeadError) -> Failed {
    let host = host(order);
    Failed::Answered(Trouble::Head { host, why })
}

fn timed_out(order: &Order, limit: Duration) -> Failed {
    Failed::Answered(silent(order, limit))
}

fn silent(order: &Order, limit: Duration) -> Trouble {
    Trouble::TimedOut {
        host: host(order),
        seconds: limit.as_secs(),
    }
}

fn io_trouble(order: &Order, why: io::Error) -> Trouble {
    if why.kind() == io::ErrorKind::TimedOut {
        return silent(order, order.settings.times.body_stall);
    }
    Trouble::Io {
        host: host(order),
        why,
    }
}

fn host(order: &Order) -> String {
    order.uri.authority().to_string()
}

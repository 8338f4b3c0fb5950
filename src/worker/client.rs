//! One client's connection in a worker (RFC 9112 §9): requests off it in order, as many as one read
//! brought before anything is written, until it falls idle and goes back to the supervisor, or ends.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::exchange::{self, After};
use super::pages;
use super::state::Worker;
use crate::config::Settings;
use crate::http::head::Version;
use crate::http::parse::{HeadError, HeadLimits, parse_request};
use crate::ipc::{Assigned, MAX_READ, Peer, Returned};
use crate::sys::stream::Stream;

/// How much is read at a time: many pipelined requests.
const READ: usize = 16 << 10;
/// Responses of pipelined requests are gathered up to about this many bytes.
const GATHER: usize = 64 << 10;
/// How long, and how much, is read from a client that is being refused, so that it sees why.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1 << 20;

/// A client's connection.
#[derive(Debug)]
pub struct Client {
    /// The supervisor's name for it.
    pub id: u64,
    /// Who it is.
    pub peer: Peer,
    /// The socket.
    pub stream: Stream,
    /// What was read and not yet taken.
    pub buffer: BytesMut,
    /// What is to be written.
    pub out: BytesMut,
    /// Another worker sent it here with the request that comes first; it isn't sent on.
    pub handed: bool,
    scanned: usize,
    /// When the head that is not whole yet began to arrive.
    head_since: Option<Instant>,
}

/// How a client's stay in this worker ends.
enum End {
    /// It goes back to the supervisor.
    Return,
    /// The worker of this number goes on with it.
    HandOver(u16),
    /// The connection is over.
    Close,
}

/// Whether there is something to parse.
enum More {
    /// Nothing new, but how long to wait has changed.
    Again,
    Bytes,
    End(End),
    TooSlow,
}

impl Client {
    /// A client that was assigned.
    pub fn new(assigned: Assigned) -> io::Result<Client> {
        let mut buffer = BytesMut::new();
        buffer.extend_from_slice(&assigned.read);
        Ok(Client {
            id: assigned.id,
            peer: assigned.peer,
            stream: Stream::new(assigned.fd)?,
            buffer,
            out: BytesMut::new(),
            handed: assigned.handed,
            scanned: 0,
            head_since: None,
        })
    }

    /// Its address; `None` on a Unix socket.
    pub fn address(&self) -> Option<IpAddr> {
        match self.peer {
            Peer::Ip(address) => Some(address.ip().to_canonical()),
            Peer::Unix => None,
        }
    }

    /// Whether it is on this machine, and so may reach what listens only there.
    pub fn is_local(&self) -> bool {
        self.address().is_none_or(|address| address.is_loopback())
    }

    /// Writes what has been gathered.
    pub async fn flush(&mut self, timeout: Duration) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let parts = &mut [IoSlice::new(&self.out)];
        let written = self.stream.write_all(parts, timeout).await;
        self.out.clear();
        written
    }

    fn into_returned(self, token: u64) -> Returned {
        Returned {
            token,
            id: self.id,
            peer: self.peer,
            read: Bytes::from(self.buffer),
            fd: self.stream.into_fd(),
        }
    }
}

/// Serves a client, which has been counted among the worker's, until it ends or goes.
pub async fn serve(worker: Rc<Worker>, mut client: Client) {
    let end = run(&worker, &mut client).await;
    worker.clients.set(worker.clients.get() - 1);
    match end {
        End::Return => {
            let token = worker.next_token();
            worker.outbox.give_back(client.into_returned(token));
        }
        End::HandOver(other) => {
            let token = worker.next_token();
            worker.outbox.hand_over(other, client.into_returned(token));
        }
        End::Close => {
            let id = client.id;
            drop(client);
            worker.outbox.closed(id);
        }
    }
    worker.phase.progress.notify();
}

async fn run(worker: &Rc<Worker>, client: &mut Client) -> End {
    // What made the supervisor assign it is there already.
    client.buffer.reserve(READ);
    let _ = client.stream.try_read(&mut client.buffer);
    loop {
        let settings = worker.settings();
        let stall = settings.times.body_stall;
        let limits = HeadLimits::default();
        match parse_request(&mut client.buffer, &mut client.scanned, &limits) {
            Ok(Some(head)) => {
                client.head_since = None;
                let after = exchange::serve(worker, client, head, settings).await;
                client.handed = false;
                match after {
                    After::HandOver(other) => return End::HandOver(other),
                    After::Keep if client.out.len() < GATHER => {}
                    After::Keep => {
                        if client.flush(stall).await.is_err() {
                            return End::Close;
                        }
                    }
                    After::Close => {
                        let _ = client.flush(stall).await;
                        return End::Close;
                    }
                    After::Linger => return linger(client, stall).await,
                    After::Over => return End::Close,
                }
            }
            Ok(None) => {
                if client.flush(stall).await.is_err() {
                    return End::Close;
                }
                match more(worker, client, &settings).await {
                    More::Bytes | More::Again => {}
                    More::End(end) => return end,
                    More::TooSlow => {
                        let limit = settings.times.client_header.as_secs();
                        let why = format!("the request's head did not arrive within {limit} s");
                        exchange::log_refused(worker, client, 408);
                        return refuse(client, 408, &why, stall).await;
                    }
                }
            }
            Err(why) => return refuse_head(worker, client, why, stall).await,
        }
    }
}

/// Waits for bytes: for the rest of a head as long as a head may take, else as long as an idle
/// client is kept here.
async fn more(worker: &Rc<Worker>, client: &mut Client, settings: &Settings) -> More {
    if worker.phase.draining() {
        // Even if its next request is there already: a busy client would never leave.
        return leave(worker, client);
    }
    let now = Instant::now();
    let idle = client.buffer.is_empty();
    let supervised = worker.phase.supervised();
    let deadline = if !idle {
        *client.head_since.get_or_insert(now) + settings.times.client_header
    } else if supervised {
        now + settings.times.worker_idle
    } else {
        now + settings.times.client_idle
    };
    // Content of a large request grew it; an idle client doesn't keep that.
    if idle && client.buffer.capacity() > 4 * READ {
        client.buffer = BytesMut::new();
    }
    client.buffer.reserve(READ);
    let read = tokio::select! {
        biased;
        read = client.stream.read(&mut client.buffer, deadline) => read,
        () = worker.phase.leaving() => return leave(worker, client),
        // Alone it kept its idle clients; a new supervisor gets them back.
        () = worker.phase.supervision_changes(supervised), if idle => return More::Again,
    };
    match read {
        Ok(0) => More::End(End::Close),
        Ok(_) => More::Bytes,
        Err(why) if why.kind() == io::ErrorKind::TimedOut && idle => {
            match (supervised, worker.phase.supervised()) {
                (_, true) => More::End(End::Return),
                // The supervisor went in this very moment: the short wait was for its sake.
                (true, false) => More::Again,
                (false, false) => More::End(End::Close),
            }
        }
        Err(why) if why.kind() == io::ErrorKind::TimedOut => More::TooSlow,
        Err(_) => More::End(End::Close),
    }
}

/// The worker is stopping: the client goes on elsewhere with what it has sent of its next request.
fn leave(worker: &Worker, client: &Client) -> More {
    if worker.phase.supervised() && client.buffer.len() <= MAX_READ {
        More::End(End::Return)
    } else {
        More::End(End::Close)
    }
}

async fn refuse_head(
    worker: &Rc<Worker>,
    client: &mut Client,
    why: HeadError,
    stall: Duration,
) -> End {
    let status = why.status();
    exchange::log_refused(worker, client, status);
    refuse(client, status, &why.to_string(), stall).await
}

async fn refuse(client: &mut Client, status: u16, why: &str, stall: Duration) -> End {
    pages::refusal(&mut client.out, Version::Http11, status, why, false, true);
    linger(client, stall).await
}

/// Writes the last response, then reads on for a moment: closing with unread bytes would reset the
/// connection, and the client might never see the response (RFC 9112 §9.6).
async fn linger(client: &mut Client, stall: Duration) -> End {
    if client.flush(stall).await.is_err() || client.stream.shut_write().is_err() {
        return End::Close;
    }
    let deadline = Instant::now() + LINGER;
    let mut left = LINGER_BYTES;
    while left > 0 {
        client.buffer.clear();
        client.buffer.reserve(READ);
        match client.stream.read(&mut client.buffer, deadline).await {
            Ok(0) | Err(_) => break,
            Ok(read) => left = left.saturating_sub(read),
        }
    }
    End::Close
}

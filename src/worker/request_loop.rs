//! The requests of one client (RFC 9112 §9) in order, as many as one read brought before anything is
//! written, until it falls idle and goes back to the supervisor, or ends.

use std::io;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::task::consume_budget;
use tokio::time::Instant;

use super::client::Client;
use super::exchange::{self, After};
use super::large_heads::LargeHead;
use super::pages::PageWriter;
use super::state::Worker;
use crate::config::{Settings, display_duration};
use crate::http::head::RequestHead;
use crate::http::parse::{SectionScan, parse_request};
use crate::ipc::{Assigned, MAX_READ};

/// The most bytes read at a time: many pipelined requests.
const READ: usize = 16 << 10;
/// Responses of pipelined requests are gathered up to about this many bytes.
const GATHER: usize = 64 << 10;
/// The silence until which a client that is being refused is read from, so that it sees why, and the longest in all.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_MOST: Duration = Duration::from_secs(30);
/// The time between two looks at an idle client's pinned connections.
const PINNED_LOOK: Duration = Duration::from_secs(1);

/// Serves a client in a task of its own, until it ends or goes.
pub(super) fn start(worker: &Rc<Worker>, assigned: Assigned) {
    let id = assigned.id;
    match Client::new(assigned) {
        Ok(client) => {
            worker.clients.set(worker.clients.get() + 1);
            tokio::task::spawn_local(serve(worker.clone(), client));
        }
        Err(why) => {
            log::warn!("a client can't be served: {why}");
            worker.outbox.closed(id);
        }
    }
}

async fn serve(worker: Rc<Worker>, client: Client) {
    let mut requests = RequestLoop {
        large_head: worker.large_heads.part(),
        worker,
        client,
        scan: SectionScan::default(),
        head_since: None,
    };
    let departure = requests.run().await;
    let RequestLoop { worker, client, .. } = requests;
    worker.clients.set(worker.clients.get() - 1);
    match departure {
        Departure::Return => worker.outbox.give_back(client),
        Departure::HandOver(other) => worker.outbox.hand_over(other, client),
        Departure::Close => {
            let id = client.id;
            drop(client);
            worker.outbox.closed(id);
        }
    }
    worker.phase.progress.notify();
}

enum Departure {
    Return,
    /// The worker of this number goes on with it.
    HandOver(u16),
    Close,
}

type Step = ControlFlow<Departure>;

const CLOSE: Step = Step::Break(Departure::Close);

struct RequestLoop {
    worker: Rc<Worker>,
    client: Client,
    /// The search for the end of the next head.
    scan: SectionScan,
    /// When the head that is not whole yet began to arrive.
    head_since: Option<Instant>,
    /// What it has of the memory for large heads.
    large_head: LargeHead,
}

impl RequestLoop {
    async fn run(&mut self) -> Departure {
        // The bytes that made the supervisor assign it are there already.
        self.client.buffer.reserve(READ);
        let _ = self.client.stream.try_read(&mut self.client.buffer);
        loop {
            // Of many hits that were asked for at once none waits for anything.
            consume_budget().await;
            if let Step::Break(departure) = self.step().await {
                return departure;
            }
        }
    }

    /// Answers the next request, or waits for more of it.
    async fn step(&mut self) -> Step {
        let settings = self.worker.settings();
        match parse_request(&mut self.client.buffer, &mut self.scan, &settings.heads) {
            Ok(Some(head)) => self.answer(head, settings).await,
            Ok(None) => {
                let stall = settings.times.body_stall;
                self.flush(stall).await?;
                let begun = self.client.buffer.len();
                if !self.large_head.grows_to(begun, &settings) {
                    let why =
                        "the heads of requests that are being read here are too large together";
                    return self.refuse(431, why, stall).await;
                }
                self.read_more(&settings).await
            }
            Err(why) => {
                let stall = settings.times.body_stall;
                self.refuse(why.status(), &why.to_string(), stall).await
            }
        }
    }

    async fn answer(&mut self, head: RequestHead, settings: Rc<Settings>) -> Step {
        self.head_since = None;
        self.client.authenticating = false;
        let stall = settings.times.body_stall;
        let after = exchange::serve(&self.worker, &mut self.client, head, settings).await;
        self.client.handed = false;
        self.large_head.release();
        match after {
            After::HandOver(other) => Step::Break(Departure::HandOver(other)),
            After::Keep if self.client.out.len() < GATHER => Step::Continue(()),
            After::Keep => self.flush(stall).await,
            After::Close => {
                self.flush(stall).await?;
                CLOSE
            }
            After::Linger => self.linger(stall).await,
            After::Over => CLOSE,
        }
    }

    async fn flush(&mut self, stall: Duration) -> Step {
        let flushed = self.client.flush(stall).await;
        flushed.map_or(CLOSE, Step::Continue)
    }

    /// Waits for bytes: for the rest of a head as long as a head may take, else as long as an idle
    /// client is kept here.
    async fn read_more(&mut self, settings: &Settings) -> Step {
        let RequestLoop { worker, client, .. } = self;
        let idle = client.buffer.is_empty();
        // Elsewhere it would no longer be the user that it has authenticated as. In the midst of that it isn't sent away.
        let pinned = idle && !client.pinned.is_empty();
        // A head that has begun is waited for where it is more than may travel.
        let stays = pinned && client.authenticating || client.buffer.len() > MAX_READ;
        if worker.phase.draining() && !stays {
            // Even if its next request is there already: a busy client would never leave.
            return Step::Break(self.leave());
        }
        let now = Instant::now();
        let supervised = worker.phase.supervised();
        let deadline = if !idle {
            *self.head_since.get_or_insert(now) + settings.times.client_header
        } else if pinned {
            now + settings.times.worker_idle.max(PINNED_LOOK)
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
            () = worker.phase.drains(), if !stays => return Step::Break(self.leave()),
            // Without a supervisor it kept its idle clients; a new one gets them back.
            () = worker.phase.supervision_changes(supervised), if idle => {
                return Step::Continue(());
            }
        };
        match read {
            Ok(1..) => Step::Continue(()),
            Err(why) if why.kind() == io::ErrorKind::TimedOut && pinned => {
                // It was given its time.
                client.authenticating &= !worker.phase.draining();
                Step::Continue(())
            }
            Err(why) if why.kind() == io::ErrorKind::TimedOut && idle => {
                match (supervised, self.worker.phase.supervised()) {
                    (_, true) => Step::Break(Departure::Return),
                    // The supervisor went in this very moment: the short wait was for its sake.
                    (true, false) => Step::Continue(()),
                    (false, false) => CLOSE,
                }
            }
            Err(why) if why.kind() == io::ErrorKind::TimedOut => {
                let limit = display_duration(settings.times.client_header);
                let why = format!("the request's head did not arrive within {limit}");
                self.refuse(408, &why, settings.times.body_stall).await
            }
            Ok(0) | Err(_) => CLOSE,
        }
    }

    /// The worker is stopping: the client goes on elsewhere with what it has sent of its next request.
    fn leave(&self) -> Departure {
        if self.worker.phase.supervised() && self.client.buffer.len() <= MAX_READ {
            Departure::Return
        } else {
            Departure::Close
        }
    }

    async fn refuse(&mut self, status: u16, why: &str, stall: Duration) -> Step {
        let page = PageWriter::closing(&mut self.client.out).refusal(status, why);
        exchange::log_refused(&self.worker, &self.client, page);
        self.linger(stall).await
    }

    /// Writes the last response, then reads on for a moment: closing with unread bytes would reset the
    /// connection, and the client might never see the response (RFC 9112 §9.6).
    async fn linger(&mut self, stall: Duration) -> Step {
        let client = &mut self.client;
        // Nothing of it is read any more.
        client.buffer = BytesMut::new();
        self.large_head.release();
        if client.flush(stall).await.is_err() || client.stream.shut_write().is_err() {
            return CLOSE;
        }
        let end = Instant::now() + LINGER_MOST;
        loop {
            // One that sends a lot never has it wait.
            consume_budget().await;
            client.buffer.clear();
            client.buffer.reserve(READ);
            let deadline = end.min(Instant::now() + LINGER);
            match client.stream.read(&mut client.buffer, deadline).await {
                Ok(1..) if Instant::now() < end => {}
                Ok(_) | Err(_) => return CLOSE,
            }
        }
    }
}

//! The channel to the supervisor: clients come, are taken and served; idle ones and news go back.
//!
//! A client is taken (`Taken` is sent) before its first byte is read, and one that goes back is kept
//! until the supervisor has said that it has it: a process that dies in between loses none.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::time::sleep;

use super::client::{self, Client};
use super::life::read_settings;
use super::outbox::Waiting;
use super::state::Worker;
use crate::ipc::batch::split;
use crate::ipc::{
    Assigned, ChannelError, DecodeError, MAX_ITEMS, Object, Received, Returned, Sent, ToSupervisor,
    ToWorker, VERSION, WorkerChannel,
};
use crate::sys::stream;

/// How long to wait when the system has too many fds on their way.
const LATER: Duration = Duration::from_millis(5);

/// A channel, and what waits to go out on it.
pub struct Link {
    channel: WorkerChannel,
    watch: AsyncFd<OwnedFd>,
    queue: VecDeque<Queued>,
    /// Clients on their way back, by token, until the supervisor has them.
    returning: HashMap<u64, InTransit>,
    said_draining: bool,
    /// The supervisor has closed it, and all that it said has been heard.
    closed_there: bool,
}

/// A client on its way to the supervisor.
struct InTransit {
    /// Its request is to be served by another worker.
    handed: bool,
    client: Returned,
}

impl InTransit {
    /// It stays here after all.
    fn stay(self) -> Assigned {
        let InTransit { handed, client } = self;
        Assigned {
            id: client.id,
            peer: client.peer,
            handed,
            read: client.read,
            fd: client.fd,
        }
    }
}

/// A message that waits its turn.
enum Queued {
    /// One without fds.
    Plain(ToSupervisor),
    /// Clients are taken with this message, and served once it is out.
    Take(Vec<Assigned>),
    /// Clients go back: their tokens.
    Return(Vec<u64>),
    /// Clients go to the worker of this number: their tokens.
    HandOver(u16, Vec<u64>),
}

/// Whether the channel goes on.
enum Flow {
    On,
    Ended,
}

impl Link {
    /// A channel to a supervisor.
    pub fn new(channel: WorkerChannel) -> io::Result<Link> {
        let watch = stream::watch(channel.as_fd().try_clone_to_owned()?)?;
        Ok(Link {
            channel,
            watch,
            queue: VecDeque::new(),
            returning: HashMap::new(),
            said_draining: false,
            closed_there: false,
        })
    }

    /// Says who this is.
    pub fn hello(&mut self, worker: &Worker) {
        self.queue.push_back(Queued::Plain(ToSupervisor::Hello {
            version: VERSION,
            pid: std::process::id(),
            worker: worker.index,
            clients: u32::try_from(worker.clients.get()).unwrap_or(u32::MAX),
        }));
    }

    /// The next message; `None` when the channel has ended.
    pub async fn receive(&mut self) -> Option<ToWorker> {
        loop {
            let mut guard = self.watch.readable().await.ok()?;
            match self.channel.try_recv() {
                Ok(Received::Message(message)) => {
                    guard.retain_ready();
                    return Some(message);
                }
                Ok(Received::Nothing) => guard.clear_ready(),
                Ok(Received::Closed) => return None,
                Err(why) => {
                    log::warn!("the channel to the supervisor is given up: {why}");
                    return None;
                }
            }
        }
    }

    fn queue(&mut self, news: Waiting) {
        let closed = |ids: &[u64]| ToSupervisor::Closed { ids: ids.to_vec() };
        self.plain(news.closed.chunks(MAX_ITEMS).map(closed));
        for run in news
            .changes
            .chunk_by(|one, next| one.published == next.published)
        {
            for part in run.chunks(MAX_ITEMS) {
                let objects: Vec<Object> = part.iter().map(|change| change.object).collect();
                self.plain([if part[0].published {
                    ToSupervisor::Published { objects }
                } else {
                    ToSupervisor::Removed { objects }
                }]);
            }
        }
        for batch in split(news.returns) {
            let tokens = self.keep(batch, false);
            self.queue.push_back(Queued::Return(tokens));
        }
        let mut handed: BTreeMap<u16, Vec<Returned>> = BTreeMap::new();
        for (worker, client) in news.handed {
            handed.entry(worker).or_default().push(client);
        }
        for (worker, clients) in handed {
            for batch in split(clients) {
                let tokens = self.keep(batch, true);
                self.queue.push_back(Queued::HandOver(worker, tokens));
            }
        }
    }

    /// Keeps clients that go away until the supervisor has them.
    fn keep(&mut self, clients: Vec<Returned>, handed: bool) -> Vec<u64> {
        let tokens = clients.iter().map(|client| client.token).collect();
        let by_token = clients.into_iter().map(|client| (client.token, client));
        self.returning
            .extend(by_token.map(|(token, client)| (token, InTransit { handed, client })));
        tokens
    }

    fn plain(&mut self, messages: impl IntoIterator<Item = ToSupervisor>) {
        self.queue.extend(messages.into_iter().map(Queued::Plain));
    }

    /// Sends what waits, as far as there is room.
    fn send(&mut self, worker: &Rc<Worker>) -> Result<Sent, ()> {
        while let Some(next) = self.queue.front() {
            let sent = match next {
                Queued::Plain(message) => self.channel.try_send(message),
                Queued::Take(clients) => {
                    let ids = clients.iter().map(|client| client.id).collect();
                    self.channel
                        .try_send(&ToSupervisor::<OwnedFd>::Taken { ids })
                }
                Queued::Return(tokens) => {
                    let clients = self.lent(tokens);
                    self.channel.try_send(&ToSupervisor::Return { clients })
                }
                Queued::HandOver(worker, tokens) => {
                    let (worker, clients) = (*worker, self.lent(tokens));
                    let message = ToSupervisor::HandOver { worker, clients };
                    self.channel.try_send(&message)
                }
            };
            match sent {
                Ok(Sent::Done) => {}
                Ok(other) => return Ok(other),
                Err(why) => {
                    log::warn!("the channel to the supervisor is given up: {why}");
                    return Err(());
                }
            }
            if let Some(Queued::Take(clients)) = self.queue.pop_front() {
                clients.into_iter().for_each(|client| start(worker, client));
            }
        }
        Ok(Sent::Done)
    }

    fn lent(&self, tokens: &[u64]) -> Vec<Returned<BorrowedFd<'_>>> {
        let clients = tokens.iter().filter_map(|token| self.returning.get(token));
        clients
            .map(|InTransit { client, .. }| Returned {
                token: client.token,
                id: client.id,
                peer: client.peer,
                read: client.read.clone(),
                fd: client.fd.as_fd(),
            })
            .collect()
    }
}

/// Serves one supervisor until its channel ends. Clients that were on their way back stay here.
pub async fn serve(worker: &Rc<Worker>, link: Link) {
    let mut link = LinkGuard { worker, link };
    while let Flow::On = link.turn().await {}
}

/// A link that keeps what it has not delivered when it ends, however it ends.
struct LinkGuard<'a> {
    worker: &'a Rc<Worker>,
    link: Link,
}

impl LinkGuard<'_> {
    /// Sends what waits, then waits for a message or something to send.
    async fn turn(&mut self) -> Flow {
        let worker = self.worker;
        if let Some(news) = worker.outbox.take() {
            // Who waits for the outbox to be empty is rung when its news has gone out.
            worker.phase.set_delivered(false);
            self.link.queue(news);
        }
        if worker.phase.draining() && !self.link.said_draining {
            self.link.said_draining = true;
            self.link.plain([ToSupervisor::Draining]);
        }
        let sent = match self.link.send(worker) {
            Ok(Sent::Closed) | Err(()) => return Flow::Ended,
            Ok(sent) => sent,
        };
        let delivered = self.link.queue.is_empty() && self.link.returning.is_empty();
        worker.phase.set_delivered(delivered);
        let draining = self.link.said_draining;
        let watch = &self.link.watch;
        let may_send = async {
            match sent {
                Sent::Done | Sent::Closed => std::future::pending().await,
                Sent::Busy => drop(stream::wait_writable(watch).await),
                Sent::Later => sleep(LATER).await,
            }
        };
        tokio::select! {
            biased;
            () = may_send => Flow::On,
            () = worker.outbox.news(), if matches!(sent, Sent::Done) => Flow::On,
            () = worker.phase.leaving(), if !draining => Flow::On,
            readable = watch.readable() => match readable {
                Ok(mut guard) => {
                    // Cleared first: what arrives from here on rings again.
                    guard.clear_ready();
                    self.receive_all()
                }
                Err(_) => Flow::Ended,
            },
        }
    }

    fn receive_all(&mut self) -> Flow {
        loop {
            match self.link.channel.try_recv() {
                Ok(Received::Message(message)) => self.heed(message),
                Ok(Received::Nothing) => return Flow::On,
                Ok(Received::Closed) => {
                    self.link.closed_there = true;
                    return Flow::Ended;
                }
                Err(why) => {
                    log::warn!("the channel to the supervisor is given up: {why}");
                    if matches!(why, ChannelError::Decode(DecodeError::Version(_))) {
                        log::info!("this worker makes room for one of the supervisor's version");
                        self.worker.phase.drain();
                    }
                    return Flow::Ended;
                }
            }
        }
    }

    fn heed(&mut self, message: ToWorker) {
        match message {
            ToWorker::Assign { clients } => {
                // After `Draining` they are dropped here and go to another worker.
                if !self.link.said_draining {
                    self.link.queue.push_back(Queued::Take(clients));
                }
            }
            ToWorker::ReturnsTaken { tokens } => {
                for token in tokens {
                    self.link.returning.remove(&token);
                }
            }
            ToWorker::HandOverRefused { tokens } => {
                for token in tokens {
                    if let Some(going) = self.link.returning.remove(&token) {
                        start(self.worker, going.stay());
                    }
                }
            }
            ToWorker::Settings { settings } | ToWorker::Hello { settings, .. } => {
                let answer = match read_settings(settings) {
                    Ok(settings) => {
                        self.worker.set_settings(settings);
                        ToSupervisor::SettingsApplied
                    }
                    Err(reason) => {
                        log::error!("new settings are refused: {reason}");
                        ToSupervisor::SettingsRefused { reason }
                    }
                };
                self.link.plain([answer]);
            }
            ToWorker::Stop => self.worker.phase.drain(),
        }
    }
}

impl Drop for LinkGuard<'_> {
    fn drop(&mut self) {
        // What the supervisor said last still counts: clients may have gone back, or come.
        let _ = self.receive_all();
        let worker = self.worker;
        worker.phase.set_delivered(true);
        for queued in self.link.queue.drain(..) {
            // A supervisor that closed the channel gives them to nobody else; one that sees it
            // closed here does.
            if let (Queued::Take(clients), true) = (queued, self.link.closed_there) {
                clients.into_iter().for_each(|client| start(worker, client));
            }
        }
        for (_, going) in self.link.returning.drain() {
            start(worker, going.stay());
        }
        for (_, client) in worker.outbox.take_handed() {
            let handed = true;
            start(worker, InTransit { handed, client }.stay());
        }
        // News of objects that was not sent is in the store for the next supervisor to read.
    }
}

fn start(worker: &Rc<Worker>, assigned: Assigned) {
    let id = assigned.id;
    match Client::new(assigned) {
        Ok(client) => {
            worker.clients.set(worker.clients.get() + 1);
            tokio::task::spawn_local(client::serve(worker.clone(), client));
        }
        Err(why) => {
            log::warn!("a client can't be served: {why}");
            worker.outbox.closed(id);
        }
    }
}

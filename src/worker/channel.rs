//! The channel to the supervisor: clients come, are taken and served; idle ones and news go back.
//!
//! A client is taken (`Taken` is sent) before its first byte is read. When the channel ends, clients
//! that were on their way to the supervisor stay here.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::time::sleep;

use super::maintenance;
use super::outgoing::{InTransit, Outgoing};
use super::phase::Supervision;
use super::request_loop::start;
use super::startup::read_settings;
use super::state::Worker;
use crate::ipc::{
    ChannelError, DecodeError, Received, Sent, ToSupervisor, ToWorker, VERSION, WorkerChannel,
};
use crate::sys::stream;

/// The wait when the system has too many fds on their way.
const LATER: Duration = Duration::from_millis(5);

/// A channel, and what waits to go out on it.
pub(super) struct SupervisorLink {
    channel: WorkerChannel,
    watch: AsyncFd<OwnedFd>,
    outgoing: Outgoing,
    said_draining: bool,
}

#[derive(PartialEq, Eq)]
enum Flow {
    On,
    /// The supervisor has closed it, and all its messages have been received.
    Closed,
    GivenUp,
}

impl SupervisorLink {
    pub(super) fn new(channel: WorkerChannel) -> io::Result<SupervisorLink> {
        let watch = stream::watch(channel.as_fd().try_clone_to_owned()?)?;
        Ok(SupervisorLink {
            channel,
            watch,
            outgoing: Outgoing::default(),
            said_draining: false,
        })
    }

    pub(super) fn hello(&mut self, worker: &Worker) {
        self.outgoing.push(ToSupervisor::Hello {
            version: VERSION,
            pid: std::process::id(),
            worker: worker.index,
            clients: u32::try_from(worker.clients.get()).unwrap_or(u32::MAX),
        });
    }

    /// The next message; `None` when the channel has ended.
    pub(super) async fn receive(&mut self) -> Option<ToWorker> {
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
                    give_up(&why);
                    return None;
                }
            }
        }
    }
}

fn give_up(why: &ChannelError) -> Flow {
    log::warn!("the channel to the supervisor is given up: {why}");
    Flow::GivenUp
}

/// Serves one supervisor until its channel ends.
pub(super) async fn serve(worker: &Rc<Worker>, link: SupervisorLink) {
    let mut link = LinkGuard { worker, link };
    while link.step().await == Flow::On {}
}

/// A link that keeps the clients it has not delivered when it ends, however it ends.
struct LinkGuard<'a> {
    worker: &'a Rc<Worker>,
    link: SupervisorLink,
}

impl LinkGuard<'_> {
    /// Sends what waits, then waits for a message or something to send.
    async fn step(&mut self) -> Flow {
        let worker = self.worker;
        let link = &mut self.link;
        if let Some(news) = worker.outbox.take() {
            // The task that waits for an empty outbox is notified when its news has gone out.
            worker.phase.set_supervision(Supervision::Undelivered);
            link.outgoing.push_news(news);
        }
        if worker.phase.draining() && !link.said_draining {
            link.said_draining = true;
            link.outgoing.push(ToSupervisor::Draining);
        }
        let start = |client| start(worker, client);
        let sent = match link.outgoing.send(&link.channel, start) {
            Ok(Sent::Closed) => return Flow::GivenUp,
            Ok(sent) => sent,
            Err(why) => return give_up(&why),
        };
        if link.outgoing.is_delivered() {
            worker.phase.set_supervision(Supervision::Delivered);
        } else {
            worker.phase.set_supervision(Supervision::Undelivered);
        }
        let watch = &link.watch;
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
            () = worker.outbox.waits(), if matches!(sent, Sent::Done) => Flow::On,
            () = worker.phase.drains(), if !link.said_draining => Flow::On,
            readable = watch.readable() => match readable {
                Ok(mut guard) => {
                    // Cleared first: for what arrives from here on there is another event.
                    guard.clear_ready();
                    self.receive_all()
                }
                Err(_) => Flow::GivenUp,
            },
        }
    }

    fn receive_all(&mut self) -> Flow {
        loop {
            match self.link.channel.try_recv() {
                Ok(Received::Message(message)) => self.carry_out(message),
                Ok(Received::Nothing) => return Flow::On,
                Ok(Received::Closed) => return Flow::Closed,
                Err(why) => {
                    let flow = give_up(&why);
                    if matches!(why, ChannelError::Decode(DecodeError::Version(_))) {
                        log::info!("this worker makes room for one of the supervisor's version");
                        self.worker.phase.drain();
                    }
                    return flow;
                }
            }
        }
    }

    fn carry_out(&mut self, message: ToWorker) {
        let outgoing = &mut self.link.outgoing;
        match message {
            ToWorker::Assign { clients } => {
                // After `Draining` they are dropped here and go to another worker.
                if !self.link.said_draining {
                    outgoing.take(clients);
                }
            }
            ToWorker::ReturnsTaken { tokens } => {
                for token in tokens {
                    outgoing.remove(token);
                }
            }
            ToWorker::HandOverRefused { tokens } => {
                for token in tokens {
                    if let Some(client) = outgoing.remove(token) {
                        start(self.worker, client.stay());
                    }
                }
            }
            ToWorker::Hello { shared, .. } if !self.worker.shared.is_same(&shared) => {
                log::info!("this worker makes room for one with the supervisor's shared memory");
                self.worker.phase.drain();
            }
            ToWorker::Settings { settings } | ToWorker::Hello { settings, .. } => {
                outgoing.push(match read_settings(settings) {
                    Ok(settings) => {
                        self.worker.set_settings(settings);
                        ToSupervisor::SettingsApplied
                    }
                    Err(reason) => {
                        log::error!("new settings are refused: {reason}");
                        ToSupervisor::SettingsRefused { reason }
                    }
                });
            }
            ToWorker::Maintain { channel } => maintenance::start(self.worker, channel),
            ToWorker::Stop => self.worker.phase.drain(),
        }
    }
}

impl Drop for LinkGuard<'_> {
    fn drop(&mut self) {
        // The supervisor's last messages still count: clients may have gone back, or come.
        let flow = self.receive_all();
        let worker = self.worker;
        let untaken = self.link.outgoing.drain_untaken();
        // A supervisor that closed the channel gives them to nobody else; one that sees it closed
        // here does.
        if flow == Flow::Closed {
            untaken.into_iter().for_each(|client| start(worker, client));
        }
        for client in self.link.outgoing.drain_in_transit() {
            start(worker, client.stay());
        }
        for client in worker.outbox.take_handed() {
            let handed = true;
            start(worker, InTransit { handed, client }.stay());
        }
        // News of objects that was not sent is in the store for the next supervisor to read.
    }
}

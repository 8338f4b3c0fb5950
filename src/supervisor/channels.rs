//! The loop's dealings with the channels: connecting workers, sending what waits, hearing what has come.
//! What a message means is in `heard`.

use std::time::Instant;

use super::event_loop::Supervisor;
use super::link::{Blocked, Link, Lost, Unsent};
use super::token::{LinkId, Token};
use crate::ipc::{Received, SupervisorChannel};
use crate::sys::epoll::Interest;

/// How many messages are taken from one channel before others have their turn.
const MESSAGES_A_TURN: usize = 64;

impl Supervisor {
    /// Connects the workers that are due.
    pub(super) fn connect_workers(&mut self, now: Instant) {
        for slot in self.roster.due(now) {
            match self.spawner.connect(slot) {
                Ok(fd) => self.add_link(slot, SupervisorChannel::from(fd), now),
                Err(problem) => {
                    let wait = self.roster.refused(slot, now);
                    self.spawner.report(slot, &problem, wait);
                }
            }
        }
    }

    fn add_link(&mut self, slot: usize, channel: SupervisorChannel, now: Instant) {
        let id = self.links.insert(Link::new(slot, channel));
        self.roster.connected(slot, id);
        let Some(link) = self.links.find(id) else {
            return;
        };
        let token = Token::Link(id).number();
        if let Err(error) = self.poll.add(link, token, Interest::Read) {
            log::error!("worker {}: its channel can't be polled: {error}", slot + 1);
            self.lose(id, Lost::Broken, now);
            return;
        }
        self.flush(id, now);
    }

    /// The channel has something to read, or room again.
    pub(super) fn link_ready(&mut self, id: LinkId, writable: bool, now: Instant) {
        if let Some(link) = self.links.find_mut(id) {
            if writable && link.blocked == Blocked::Full {
                link.blocked = Blocked::No;
                self.flush(id, now);
            }
        }
        for _ in 0..MESSAGES_A_TURN {
            let Some(link) = self.links.find(id) else {
                return;
            };
            if link.wanted_interest() == Interest::Write {
                return;
            }
            match link.channel.try_recv() {
                Ok(Received::Message(message)) => self.heard(id, message, now),
                Ok(Received::Nothing) => return,
                Ok(Received::Closed) => return self.lose(id, Lost::Ended, now),
                Err(error) => {
                    log::error!("worker {}: {error}; its channel is closed", link.slot + 1);
                    return self.lose(id, Lost::Broken, now);
                }
            }
        }
    }

    /// Tries the channels again that had to wait for a time.
    pub(super) fn retry_links(&mut self, now: Instant) {
        for id in self.link_ids(|link| matches!(link.blocked, Blocked::Until(at) if at <= now)) {
            if let Some(link) = self.links.find_mut(id) {
                link.blocked = Blocked::No;
            }
            self.flush(id, now);
        }
    }

    /// The channels for which this holds.
    pub(super) fn link_ids(&self, holds: impl Fn(&Link) -> bool) -> Vec<LinkId> {
        let chosen = self.links.iter().filter(|(_, link)| holds(link));
        chosen.map(|(id, _)| id).collect()
    }

    /// Has a worker told to stop.
    pub(super) fn tell_stop(&mut self, id: LinkId, now: Instant) {
        self.tell(id, Unsent::Stop, now);
    }

    /// Has a worker told of new settings.
    pub(super) fn tell_settings(&mut self, id: LinkId, now: Instant) {
        self.tell(id, Unsent::Settings, now);
    }

    pub(super) fn tell(&mut self, id: LinkId, message: Unsent, now: Instant) {
        if let Some(link) = self.links.find_mut(id) {
            link.unsent.push_back(message);
        }
        self.flush(id, now);
    }

    /// Sends what is waiting for this channel, as far as it goes.
    fn flush(&mut self, id: LinkId, now: Instant) {
        while let Some(link) = self.links.find_mut(id) {
            let Some(message) = link.unsent.front().filter(|_| link.blocked == Blocked::No) else {
                break;
            };
            let settings = self.settings.memory();
            let message = message.lend(settings, self.shared.fd());
            match link.send(&message, now) {
                Ok(true) => self.sent_front(id, now),
                Ok(false) => break,
                Err(error) => {
                    log::error!("worker {}: {error}; its channel is closed", link.slot + 1);
                    return self.lose(id, Lost::Broken, now);
                }
            }
        }
        self.adjust_interest(id);
    }

    /// The first unsent message is on its way: returned clients that it names are ours.
    fn sent_front(&mut self, id: LinkId, now: Instant) {
        let link = self.links.find_mut(id);
        let sent = link.and_then(|link| link.unsent.pop_front());
        if let Some(Unsent::ReturnsTaken { clients, .. }) = sent {
            for client in clients {
                self.park(client, now);
            }
        }
    }

    /// Waits for what the channel needs now.
    pub(super) fn adjust_interest(&mut self, id: LinkId) {
        let Some(link) = self.links.find_mut(id) else {
            return;
        };
        let wanted = link.wanted_interest();
        if wanted == link.interest {
            return;
        }
        let token = Token::Link(id).number();
        match self.poll.change(&*link, token, wanted) {
            Ok(()) => link.interest = wanted,
            Err(error) => log::error!("worker {}: epoll: {error}", link.slot + 1),
        }
    }
}

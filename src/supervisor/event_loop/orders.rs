//! The loop's dealings with whoever runs the supervisor: signals, the control socket, reloading and stopping.

use std::time::Instant;

use super::Supervisor;
use crate::supervisor::control::ControlRequest;
use crate::supervisor::link::WorkerStage;
use crate::supervisor::stop::LifePhase;
use crate::supervisor::unsent::Unsent;
use crate::sys::notify;
use crate::sys::signals::SignalRequest;

impl Supervisor {
    pub(super) fn signals_ready(&mut self, now: Instant) {
        loop {
            match self.signals.next() {
                Ok(None) => return,
                Ok(Some(SignalRequest::Stop)) => self.stop(now),
                Ok(Some(SignalRequest::Reload)) if self.phase == LifePhase::Running => {
                    // The reason is in the journal; nobody else waits for it.
                    let _ = self.reload(now);
                }
                Ok(Some(SignalRequest::Reload)) => {}
                Ok(Some(SignalRequest::Child)) => self.children_ended(now),
                Err(error) => return log::error!("signals can't be read: {error}"),
            }
        }
    }

    pub(super) fn caller_ready(&mut self, id: u32, now: Instant) {
        let Some(request) = self.control.hear(id) else {
            return;
        };
        let answer = match request {
            ControlRequest::Status => format!("ok\n{}", self.overview().report(now)),
            ControlRequest::Reload => match self.reload(now) {
                Ok(()) => return,
                Err(reason) => format!("error: {reason}\n"),
            },
            ControlRequest::Shared => return self.control.answer_with(id, self.shared.fd()),
            ControlRequest::Settings => {
                return self.control.answer_with(id, self.settings.memory());
            }
            ControlRequest::Unknown => {
                "error: expected \"status\", \"reload\", \"shared\" or \"settings\"\n".to_owned()
            }
        };
        self.control.answer(id, &answer);
    }

    /// Reads the configuration again. On an error nothing has changed.
    fn reload(&mut self, now: Instant) -> Result<(), String> {
        self.settings.read_again()?;
        let waiting = self.links.chosen(|link| link.stage == WorkerStage::Ready);
        self.settings.wait_for(waiting, now);
        for link in self
            .links
            .chosen(|link| link.stage != WorkerStage::Draining)
        {
            self.tell(link, Unsent::Settings, now);
        }
        self.finish_reload(now);
        let workers = self.settings.current().workers;
        for link in self.roster.resize(workers, now) {
            self.tell(link, Unsent::Stop, now);
        }
        self.disk
            .set_limits(&self.settings.current().store, &self.shared);
        self.count_again(now);
        Ok(())
    }

    /// Those that wait here count by the new settings; who isn't allowed any more and finds no place is closed.
    fn count_again(&mut self, now: Instant) {
        let (limits, settings) = (&mut self.limits, self.settings.current());
        let admit = |peer| limits.admit(peer, settings, now);
        for id in self.clients.count_again(admit) {
            self.parking.unpark(id, &mut self.clients, &self.poll);
            self.clients.remove(id);
        }
    }

    pub(super) fn finish_reload(&mut self, now: Instant) {
        if let Some(answer) = self.settings.finish_reload(now) {
            self.control.answer_reload(&answer);
        }
    }

    /// Stops; in the foreground, asked a second time, at once.
    fn stop(&mut self, now: Instant) {
        if self.phase != LifePhase::Running {
            if self.spawner.has_children() {
                self.phase = LifePhase::Aborted;
            }
            return;
        }
        notify::stopping();
        self.listeners.close_for_good(&self.poll);
        if self.spawner.has_children() {
            self.drain_children(now);
        } else {
            self.hand_over(now);
        }
    }

    fn hand_over(&mut self, now: Instant) {
        let waiting = self.clients.waiting();
        log::info!(
            "stopping: {} idle clients move to the workers",
            waiting.len()
        );
        for id in waiting {
            self.parking.unpark(id, &mut self.clients, &self.poll);
            self.queue.push(id, &mut self.clients, now);
        }
        self.phase = LifePhase::hand_over(now);
    }

    fn drain_children(&mut self, now: Instant) {
        for id in self.clients.waiting() {
            self.parking.unpark(id, &mut self.clients, &self.poll);
            self.clients.remove(id);
        }
        eprintln!("cacheproxy: finishing what is running; Ctrl-C again ends it at once");
        self.phase = LifePhase::drain(self.settings.current().times.drain, now);
        self.dispatch(now);
        for link in self.links.chosen(|_| true) {
            self.tell(link, Unsent::Stop, now);
        }
    }
}

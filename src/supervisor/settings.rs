//! The settings in force, and reloading them: all or nothing. A configuration that isn't valid is
//! refused with its message before any worker hears of it; workers get the very texts that were
//! found valid here.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use super::event_loop::Supervisor;
use super::link::Stage;
use super::token::LinkId;
use crate::config::{self, Loaded, Settings};
use crate::sys::exit::Failure;
use crate::sys::{memory_file, notify};

/// How long workers may take to answer before a reload counts as done without them.
const PATIENCE: Duration = Duration::from_secs(5);

/// The settings in force.
#[derive(Debug)]
pub(super) struct Current {
    loaded: Loaded,
    memory: OwnedFd,
    reload: Option<Reload>,
}

/// A reload that waits for workers.
#[derive(Debug)]
struct Reload {
    waiting: BTreeSet<LinkId>,
    refused: Vec<String>,
    until: Instant,
}

impl Current {
    /// Puts the configuration that was read at the start in force.
    pub(super) fn begin(loaded: Loaded) -> Result<Current, Failure> {
        let memory = to_memory(&loaded).map_err(Failure::unavailable)?;
        Ok(Current {
            loaded,
            memory,
            reload: None,
        })
    }

    /// The settings.
    pub(super) fn current(&self) -> &Settings {
        &self.loaded.settings
    }

    /// The texts they come from, as they are sent to workers.
    pub(super) fn memory(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }

    /// When waiting for workers to apply a reload ends.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.reload.as_ref().map(|reload| reload.until)
    }
}

fn to_memory(loaded: &Loaded) -> Result<OwnedFd, String> {
    memory_file::sealed("cacheproxy-settings", &loaded.encode())
        .map_err(|error| format!("the settings can't be passed to the workers: {error}"))
}

impl Supervisor {
    /// Reads the configuration again. On an error nothing has changed.
    pub(super) fn reload(&mut self, now: Instant) -> Result<(), String> {
        notify::reloading();
        let loaded = config::load(&self.settings.loaded.source).map_err(|error| error.to_string());
        let outcome = loaded.and_then(|loaded| Ok((to_memory(&loaded)?, loaded)));
        let (memory, loaded) = match outcome {
            Ok(new) => new,
            Err(reason) => {
                log::error!("not reloaded, the old settings stay: {reason}");
                notify::ready();
                return Err(reason);
            }
        };
        self.settings.memory = memory;
        self.settings.loaded = loaded;
        self.broadcast(now);
        let workers = self.settings.current().workers;
        for link in self.roster.resize(workers, now) {
            self.tell_stop(link, now);
        }
        self.set_store_limits();
        Ok(())
    }

    fn broadcast(&mut self, now: Instant) {
        let told = self.link_ids(|link| link.stage != Stage::Draining);
        let waiting = self.link_ids(|link| link.stage == Stage::Ready);
        self.settings.reload = Some(Reload {
            waiting: waiting.into_iter().collect(),
            refused: Vec::new(),
            until: now + PATIENCE,
        });
        for link in told {
            self.tell_settings(link, now);
        }
        self.finish_reload(now);
    }

    /// A worker has applied or refused the settings, or ended and so needs no answer.
    pub(super) fn settings_answer(&mut self, link: LinkId, answer: Result<(), String>) {
        let worker = self.links.find(link).map_or(0, |link| link.slot + 1);
        if let Err(reason) = &answer {
            log::error!("worker {worker} keeps its old settings: {reason}");
        }
        let Some(reload) = &mut self.settings.reload else {
            return;
        };
        if let Err(reason) = answer {
            reload.refused.push(format!("worker {worker}: {reason}"));
        }
        reload.waiting.remove(&link);
    }

    /// Answers those who asked for the reload, when all workers have answered or the time is over.
    pub(super) fn finish_reload(&mut self, now: Instant) {
        let Some(reload) = &self.settings.reload else {
            return;
        };
        if !reload.waiting.is_empty() && now < reload.until {
            return;
        }
        let mut problems = reload.refused.clone();
        if !reload.waiting.is_empty() {
            problems.push(format!(
                "{} workers have not answered in {PATIENCE:?}",
                reload.waiting.len()
            ));
        }
        self.settings.reload = None;
        notify::ready();
        if problems.is_empty() {
            log::info!("the configuration was reloaded");
            self.answer_reload("ok\n");
        } else {
            let problems = problems.join("; ");
            log::error!("the configuration was reloaded, but {problems}");
            self.answer_reload(&format!("error: {problems}\n"));
        }
    }
}

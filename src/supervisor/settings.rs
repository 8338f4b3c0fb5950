//! The settings in force, and reloading them: all or nothing. A configuration that isn't valid is
//! refused with its message before any worker hears of it; workers get the very texts that were
//! found valid here.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use super::token::LinkId;
use crate::config::{self, Loaded, Settings, display_duration};
use crate::sys::exit::Failure;
use crate::sys::rate::OncePerMinute;
use crate::sys::{memory_file, notify};

/// The time in which workers have to answer before a reload counts as done without them.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The characters of a worker's reason that are repeated.
const LONGEST_REASON: usize = 1000;

#[derive(Debug)]
pub(super) struct CurrentSettings {
    loaded: Loaded,
    memory: OwnedFd,
    reload: Option<Reload>,
    warnings: OncePerMinute,
}

#[derive(Debug)]
struct Reload {
    waiting: BTreeSet<LinkId>,
    refused: Vec<String>,
    until: Instant,
}

impl CurrentSettings {
    /// Puts the configuration that was read at the start in force.
    pub(super) fn begin(loaded: Loaded) -> Result<CurrentSettings, Failure> {
        Ok(CurrentSettings {
            memory: to_memory(&loaded).map_err(Failure::unavailable)?,
            loaded,
            reload: None,
            warnings: OncePerMinute::default(),
        })
    }

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

    /// Reads the configuration again. On an error, which is in the journal, nothing has changed.
    pub(super) fn read_again(&mut self) -> Result<(), String> {
        notify::reloading();
        let loaded = config::load(&self.loaded.source).map_err(|error| error.to_string());
        let outcome = loaded.and_then(|loaded| Ok((to_memory(&loaded)?, loaded)));
        let (memory, loaded) = outcome.inspect_err(|reason| {
            log::error!("not reloaded, the old settings stay: {reason}");
            notify::ready();
        })?;
        (self.memory, self.loaded) = (memory, loaded);
        Ok(())
    }

    /// Waits for the answers of these workers, which are being told of the settings.
    pub(super) fn wait_for(&mut self, workers: Vec<LinkId>, now: Instant) {
        self.reload = Some(Reload {
            waiting: workers.into_iter().collect(),
            refused: Vec::new(),
            until: now + LONGEST_WAIT,
        });
    }

    /// A worker has applied the settings, or ended and so needs no answer.
    pub(super) fn applied(&mut self, link: LinkId) {
        if let Some(reload) = &mut self.reload {
            reload.waiting.remove(&link);
        }
    }

    /// A worker says why it can't use the settings: once for a reload, and for people to read.
    pub(super) fn refused(&mut self, link: LinkId, worker: usize, reason: &str, now: Instant) {
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        let reason: String = reason.chars().take(LONGEST_REASON).map(plain).collect();
        let reload = self.reload.as_mut();
        let reload = reload.filter(|reload| reload.waiting.contains(&link));
        if reload.is_some() || self.warnings.is_due(now) {
            log::error!("worker {worker} keeps its old settings: {reason}");
        }
        if let Some(reload) = reload {
            reload.refused.push(format!("worker {worker}: {reason}"));
            reload.waiting.remove(&link);
        }
    }

    /// The answer for those who asked for the reload, when all workers have answered or the time is over.
    pub(super) fn finish_reload(&mut self, now: Instant) -> Option<String> {
        let is_done = |it: &mut Reload| it.waiting.is_empty() || now >= it.until;
        let reload = self.reload.take_if(is_done)?;
        let mut problems = reload.refused;
        match reload.waiting.len() {
            0 => {}
            silent => problems.push(format!(
                "{silent} workers have not answered in {}",
                display_duration(LONGEST_WAIT)
            )),
        }
        notify::ready();
        if problems.is_empty() {
            log::info!("the configuration was reloaded");
            return Some("ok\n".to_owned());
        }
        let problems = problems.join("; ");
        log::error!("the configuration was reloaded, but {problems}");
        Some(format!("error: {problems}\n"))
    }
}

fn to_memory(loaded: &Loaded) -> Result<OwnedFd, String> {
    memory_file::sealed("cacheproxy-settings", &loaded.encode())
        .map_err(|error| format!("the settings can't be passed to the workers: {error}"))
}

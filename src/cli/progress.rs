//! The progress of a long command: a line on the terminal that renews itself, where there is a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::output::amount;
use crate::sys::printable::printable;

const EVERY: Duration = Duration::from_millis(200);

pub(super) struct Progress {
    done: &'static str,
    terminal: bool,
    next: Instant,
}

impl Progress {
    /// Nothing yet; `done` is what is done to stored responses.
    pub(super) fn begin(done: &'static str) -> Progress {
        Progress {
            done,
            terminal: io::stderr().is_terminal(),
            next: Instant::now(),
        }
    }

    pub(super) fn at(&mut self, count: u64, bytes: u64) {
        let now = Instant::now();
        if self.terminal && self.next <= now {
            self.next = now + EVERY;
            self.print(&format!("{} {count}, {}", self.done, amount(bytes)), "");
        }
    }

    /// Says something for good.
    pub(super) fn say(&self, text: &str) {
        self.print(text, "\n");
    }

    fn print(&self, text: &str, end: &str) {
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        let mut out = io::stderr().lock();
        let text = printable(text.as_bytes());
        // Nobody is left to read it where this fails.
        let _ = write!(out, "{clear}{text}{end}").and_then(|()| out.flush());
    }
}

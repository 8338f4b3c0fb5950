//! The silence of an origin server while a request with content goes to it: the time for which it neither takes content
//! nor sends a head. While it waits for content it is the client that is silent, but where that waits for 100 (Continue)
//! (RFC 9110 §10.1.1).

use std::cell::Cell;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The silence of an origin server that a request goes to.
pub struct OriginSilence {
    /// When it began: a head, or content that is taken, begins it anew.
    since: Cell<Instant>,
    /// All content that came has been taken, and there is more to come.
    awaits_content: Cell<bool>,
    /// Content may come only after a 100 (Continue).
    expected: Cell<bool>,
}

impl OriginSilence {
    /// One that begins with a request, which may expect 100 (Continue).
    pub fn begin(expects: bool) -> OriginSilence {
        OriginSilence {
            since: Cell::new(Instant::now()),
            awaits_content: Cell::new(false),
            expected: Cell::new(expects),
        }
    }

    /// Takes note that there is content for it, or that all is sent: it is the origin server's turn.
    pub fn renew(&self) {
        self.since.set(Instant::now());
        self.awaits_content.set(false);
        self.expected.set(false);
    }

    /// Takes note that the client has yet to send more.
    pub fn awaits_content(&self) {
        self.awaits_content.set(true);
        if !self.expected.get() {
            self.since.set(Instant::now());
        }
    }

    /// Takes note of an interim response.
    pub fn note_interim(&self, status: u16) {
        self.since.set(Instant::now());
        if status == 100 {
            self.expected.set(false);
        }
    }

    /// Resolves when the origin server has been silent for so long.
    pub async fn exceeds(&self, limit: Duration) {
        let is_silent = || !self.awaits_content.get() || self.expected.get();
        self.holds_for(limit, is_silent).await;
    }

    /// Resolves when nothing has passed for so long, whoever is silent.
    pub async fn is_mutual(&self, limit: Duration) {
        self.holds_for(limit, || true).await;
    }

    async fn holds_for(&self, limit: Duration, counts: impl Fn() -> bool) {
        loop {
            let now = Instant::now();
            // What doesn't count now is looked at again before it could have lasted so long.
            let until = if counts() { self.since.get() } else { now } + limit;
            if now >= until {
                return;
            }
            sleep_until(until).await;
        }
    }
}

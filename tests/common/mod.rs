//! Shared by the whole-binary tests: the proxy as a child process, scripted origin servers and a
//! strict client, all on sockets whose ports the kernel chooses.
//!
//! Nothing here knows the proxy's own code: messages are read by the small reader in `message`.
#![allow(dead_code, unused_imports, clippy::unwrap_used)]

pub mod byteranges;
pub mod client;
pub mod contents;
pub mod conversation;
pub mod long_heads;
pub mod message;
pub mod nameserver;
pub mod namespace;
pub mod origin;
pub mod other_user;
pub mod postgres;
pub mod proxy;
pub mod wire;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant, SystemTime};

pub use client::Client;
pub use message::{Head, Response};
pub use origin::{Conn, Origin};
pub use postgres::Authority;
pub use proxy::Proxy;
pub use wire::Ended;

/// The time after which a test gives anything up.
pub const TIMEOUT: Duration = Duration::from_secs(15);

/// Polls `condition` until it holds; panics with `what` when it doesn't within `within`.
#[track_caller]
pub fn wait_until(what: &str, within: Duration, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + within;
    while !condition() {
        assert!(Instant::now() < end, "not within {within:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Checks each row of a table and tells of all that fail, not only of the first.
pub fn each<Row>(rows: impl IntoIterator<Item = Row>, check: impl Fn(Row)) {
    let holds = |row| std::panic::catch_unwind(AssertUnwindSafe(|| check(row))).is_ok();
    let failed = rows.into_iter().map(holds).filter(|holds| !holds).count();
    assert!(failed == 0, "{failed} rows failed");
}

/// A date field's value, so many seconds from now.
pub fn date(from_now: i64) -> String {
    let now = SystemTime::now();
    let offset = Duration::from_secs(from_now.unsigned_abs());
    httpdate::fmt_http_date(if from_now < 0 {
        now - offset
    } else {
        now + offset
    })
}

/// Replaces `{+n}` and `{-n}` by dates so many seconds from now.
pub fn dated(text: &str) -> String {
    let mut parts = text.split('{');
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let (offset, rest) = part.split_once('}').unwrap();
        out.push_str(&date(offset.parse().unwrap()));
        out.push_str(rest);
    }
    out
}

/// A counted latch between a test and the threads of its origin.
#[derive(Clone, Default)]
pub struct Gate {
    permits: Arc<(Mutex<usize>, Condvar)>,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Gate {
        Gate::default()
    }

    /// Lets one waiter through, now or later.
    pub fn open(&self) {
        *self.permits.0.lock().unwrap() += 1;
        self.permits.1.notify_all();
    }

    /// Lets everyone through from now on.
    pub fn open_for_all(&self) {
        *self.permits.0.lock().unwrap() = usize::MAX / 2;
        self.permits.1.notify_all();
    }

    /// Waits for a permit; panics when none comes within the time of a test.
    #[track_caller]
    pub fn wait(&self) {
        let permits = self.permits.0.lock().unwrap();
        let (mut permits, timeout) = self
            .permits
            .1
            .wait_timeout_while(permits, TIMEOUT, |permits| *permits == 0)
            .unwrap();
        assert!(!timeout.timed_out(), "a gate stayed closed");
        *permits -= 1;
    }
}

/// A block whose repetition makes long contents that show any shift, loss or doubling.
pub fn pattern(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()
    };
    let mut block = Vec::with_capacity(len + 4);
    while block.len() < len {
        block.extend_from_slice(&next());
    }
    block.truncate(len);
    block
}

/// Compares content that comes in pieces with the repetition of one block.
pub struct Expected {
    block: Vec<u8>,
    seen: u64,
}

/// The length of the block that long contents repeat: odd, so that no buffer size divides it.
pub const BLOCK: usize = 65_521;

impl Expected {
    /// Expects `pattern(BLOCK)` over and over.
    pub fn new() -> Expected {
        Expected {
            block: pattern(BLOCK),
            seen: 0,
        }
    }

    /// Takes the next piece; panics when it isn't what was sent.
    pub fn take(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            let at = (self.seen % BLOCK as u64) as usize;
            let len = piece.len().min(BLOCK - at);
            assert!(
                piece[..len] == self.block[at..at + len],
                "content differs after {}",
                self.seen
            );
            self.seen += len as u64;
            piece = &piece[len..];
        }
    }

    /// The number of bytes so far.
    pub fn seen(&self) -> u64 {
        self.seen
    }
}

/// Writes `len` bytes of the repeated block.
pub fn send_pattern(out: &mut dyn FnMut(&[u8]) -> bool, len: u64) {
    let block = pattern(BLOCK);
    let mut left = len;
    while left > 0 {
        let piece = left.min(BLOCK as u64) as usize;
        if !out(&block[..piece]) {
            return;
        }
        left -= piece as u64;
    }
}

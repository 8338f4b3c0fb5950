//! A small language for what a client, the proxy and an origin server say to each other. A line at the margin names a
//! conversation and may have its first step after ` :: `; other steps are indented; `#` begins a comment. A step is
//! `what the client sends > what the origin server says from then on > what is expected`; what is empty is left out.
//!
//! - Sent: `GET /end-of-path | Name: value | …`, on the same connection while that lasts; `raw OCTETS`; or instead of a step
//!   `wait 2s` or `wait parked`, which is until the supervisor alone has the connection.
//! - Said: `200 | Name: value | =content`, interim responses before it with ` || `, `Date: none` for none; without content it
//!   is `answer N` with the number of the request, from 0. `serve CONTENT | Name: value`: that with ranges and conditions;
//!   `echo`: the request's method and target; `close`; `raw OCTETS{pause}OCTETS{close}`. `… then …`: one request after the other.
//! - Expected, all of it: an outcome (see `check`); a status or some, `200,206`; `=content`; `Name: value`, `!Name`, `has Name`;
//!   `bytes 0-1/10=01`, several for a multipart, `each Content-Type: a/b` of its parts; `why`: it says something; `cs text` and
//!   `cs !text` of Cache-Status; `age 5`, to 9; of what the origin server got, `asked Name: value`, `asked !Name`,
//!   `asked bytes=0-1 if "a"` (or `unless`), `asked 2 times`. `… or …`: either.
//! - `{-60}` and `{+60}` are dates, `{before}` a fixed one and `{earlier}` a second earlier; octets are described in `octets`.
//!
//! After a step the store has what it brought. Whatever is said, requests reach the origin server whole and with its own Host.

mod check;
mod octets;
mod running;
mod says;
mod script;

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, OnceLock};

pub use check::as_asked;
pub use octets::{octets, text_of};
pub use running::Conversation;
pub use says::served;
pub use script::{BEFORE, Script, Step, scripts};

use super::origin::passing;
use super::{Client, Origin, Proxy};

/// The number of conversations at the same time: most of each is waiting.
const AT_ONCE: usize = 16;

/// Holds every conversation of a text with a proxy of this configuration.
pub fn hold(config: &str, text: &str) {
    hold_as(config, text, |script| script.steps.clone());
}

/// The same where each conversation's steps are made from what is written.
pub fn hold_as(config: &str, text: &str, steps: impl Fn(&Script) -> Vec<Step> + Sync) {
    let proxy = start(config);
    each_at_once(scripts(text), |script| {
        let mut conversation = Conversation::with(&proxy, &script.name);
        for step in steps(script) {
            conversation.step(&step);
        }
        conversation.end();
    });
}

/// A proxy that [`settle`] works with.
pub fn start(config: &str) -> Proxy {
    Proxy::start(&format!("purge_allow = [\"127.0.0.1\"]\n{config}"))
}

/// Waits until the store of a proxy with one worker has all that origin servers have said so far. What has been said is read
/// before a later answer is; a purge is made after all changes of the store that wait.
#[track_caller]
pub fn settle(proxy: &Proxy) {
    static LATER: OnceLock<Origin> = OnceLock::new();
    let later = LATER.get_or_init(|| Origin::answering(|_| passing("later")));
    let mut client = Client::of(proxy);
    assert_eq!(client.get(&later.uri("/later")).text(), "later");
    let purged = client.request("PURGE", "http://settle.invalid/", "");
    assert_eq!(purged.status, 404, "{}", purged.text());
}

/// Checks all scripts, several at a time, and tells of all that fail.
pub fn each_at_once(scripts: Vec<Script>, check: impl Fn(&Script) + Sync) {
    let scripts = Mutex::new(VecDeque::from(scripts));
    let failed = Mutex::new(Vec::new());
    let next = || scripts.lock().unwrap().pop_front();
    let work = || {
        while let Some(script) = next() {
            if std::panic::catch_unwind(AssertUnwindSafe(|| check(&script))).is_err() {
                failed.lock().unwrap().push(script.name);
            }
        }
    };
    std::thread::scope(|scope| (0..AT_ONCE).for_each(|_| _ = scope.spawn(work)));
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} failed: {failed:#?}", failed.len());
}

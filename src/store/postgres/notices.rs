//! Notifications of other hosts (NOTIFY), read. Anybody in the database can send one and hear all: believed is only what
//! proves that its sender can read the schema's secret, once, and not long after it was sent. The rest is counted, and
//! said once a minute.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ring::digest::{SHA256, digest};
use tokio_postgres::Notification;

use super::row::invalidation_count;
use crate::cache::key::Hash;

/// The channel on which room is asked for; the other one is for changes.
#[cfg(test)]
const CHANGES: &str = "cacheproxy";
const ROOM: &str = "cacheproxy_room";
/// The secret, and the database's time in Unix seconds, for [`Notices`].
pub(super) const SECRET: &str = "SELECT pg_catalog.decode(value, 'hex'), \
    pg_catalog.floor(extract(epoch FROM pg_catalog.clock_timestamp()))::bigint \
    FROM cacheproxy.state WHERE name = 'secret'";

/// The seconds that a notification may take, from statement to commit to us: no transaction of ours takes as long.
const MOST_AGE: u64 = 300;
/// The notifications that are known when they come again.
const REMEMBERED: usize = 64 << 10;
/// The time between two words about those that are ignored.
const QUIET: Duration = Duration::from_secs(60);

/// The news in a notification.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Something else is stored under a key.
    Changed(Change),
    /// The responses of these keys went to make room, by the change of this number.
    Gone(u64, Vec<Hash>),
    /// A key is no longer being fetched, and nothing came of it for others.
    Free(Hash),
    /// Anything may have changed.
    All,
    /// Somebody stores so many bytes, and it is getting tight.
    Room(u64),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// True for a change of this host's own.
    pub(super) ours: bool,
    pub(super) hash: Hash,
    pub(super) number: u64,
    pub(super) count: u32,
}

/// The reader of what is heard on a connection.
pub(super) struct Notices {
    /// This host's name.
    host: String,
    /// The database, in what is said.
    server: String,
    state: Mutex<State>,
}

struct State {
    secret: Vec<u8>,
    /// The database's time, when it was asked for.
    clock: (u64, Instant),
    /// The numbers of the last notifications, in the order in which they came.
    known: HashSet<u64>,
    order: VecDeque<u64>,
    ignored: u64,
    said: Option<Instant>,
}

impl Notices {
    pub(super) fn new(secret: &[u8], clock: i64, host: String, server: String) -> Notices {
        let state = State {
            secret: secret.to_vec(),
            clock: (u64::try_from(clock).unwrap_or(0), Instant::now()),
            known: HashSet::new(),
            order: VecDeque::new(),
            ignored: 0,
            said: None,
        };
        Notices {
            host,
            server,
            state: Mutex::new(state),
        }
    }

    /// Goes on with this secret and time: the schema may have been made anew, the clock been set.
    pub(super) fn renew(&self, secret: &[u8], clock: i64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.secret = secret.to_vec();
        state.clock = (u64::try_from(clock).unwrap_or(0), Instant::now());
    }

    /// The news in a notification, if it is to be believed.
    pub(super) fn read(&self, notification: &Notification) -> Option<News> {
        let (channel, payload) = (notification.channel(), notification.payload());
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let news = self.proven(&mut state, channel, payload);
        if news.is_none() {
            state.ignored += 1;
            if state.said.is_none_or(|said| said.elapsed() >= QUIET) {
                log::warn!(
                    "ignored {} notifications on the channel \"{channel}\" of the database at {}: no cacheproxy \
                     sent them, or they were sent again; see who else may use that database",
                    state.ignored,
                    self.server
                );
                (state.ignored, state.said) = (0, Some(Instant::now()));
            }
        }
        news
    }

    fn proven(&self, state: &mut State, channel: &str, payload: &str) -> Option<News> {
        let (text, proof) = payload.rsplit_once(' ')?;
        let told = [&state.secret, channel.as_bytes(), b" ", text.as_bytes()].concat();
        let inner = digest(&SHA256, &told);
        let outer = digest(&SHA256, &[&state.secret, inner.as_ref()].concat());
        if unhex(proof)?[..] != outer.as_ref()[..16] {
            return None;
        }
        let mut words = text.rsplitn(3, ' ');
        let (time, number, body) = (words.next()?, words.next()?, words.next()?);
        let (time, number): (u64, u64) = (time.parse().ok()?, number.parse().ok()?);
        let news = parse(channel, body, &self.host)?;
        let now = state.clock.0 + state.clock.1.elapsed().as_secs();
        let in_time = now.abs_diff(time) <= MOST_AGE;
        // A change that was long on its way is one all the same, and costs one key its copies.
        let may_be_late = matches!(news, News::Changed(_) | News::Gone(..));
        ((in_time || may_be_late) && state.is_new(number)).then_some(news)
    }
}

impl State {
    /// False for a number that was there before.
    fn is_new(&mut self, number: u64) -> bool {
        let is_new = self.known.insert(number);
        if is_new {
            self.order.push_back(number);
            if self.order.len() > REMEMBERED {
                let oldest = self.order.pop_front();
                oldest.map(|oldest| self.known.remove(&oldest));
            }
        }
        is_new
    }
}

fn parse(channel: &str, body: &str, host: &str) -> Option<News> {
    if channel == ROOM {
        return body.parse().ok().map(News::Room);
    }
    let mut words = body.split(' ');
    let (from, kind) = (words.next()?, words.next()?);
    let news = match kind {
        "p" | "r" => News::Changed(Change {
            ours: from == host,
            hash: unhex(words.next()?)?,
            number: words.next()?.parse().ok()?,
            count: invalidation_count(words.next()?.parse().ok()?),
        }),
        "g" => {
            let number = words.next()?.parse().ok()?;
            News::Gone(
                number,
                words.by_ref().map(unhex).collect::<Option<Vec<_>>>()?,
            )
        }
        "f" => News::Free(unhex(words.next()?)?),
        "a" => News::All,
        _ => return None,
    };
    words.next().is_none().then_some(news)
}

fn unhex(text: &str) -> Option<Hash> {
    let number = u128::from_str_radix(text, 16).ok();
    number.filter(|_| text.len() == 32).map(u128::to_be_bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    fn notices() -> Notices {
        Notices::new(
            b"secret",
            NOW as i64,
            "me".to_owned(),
            "a database".to_owned(),
        )
    }

    /// A payload as the database makes it.
    fn sealed(secret: &[u8], channel: &str, body: &str, number: u64, time: u64) -> String {
        let text = format!("{body} {number} {time}");
        let told = format!("{channel} {text}");
        let inner = digest(&SHA256, &[secret, told.as_bytes()].concat());
        let outer = digest(&SHA256, &[secret, inner.as_ref()].concat());
        let proof = u128::from_be_bytes(outer.as_ref()[..16].try_into().unwrap());
        format!("{text} {proof:032x}")
    }

    fn read(notices: &Notices, channel: &str, payload: &str) -> Option<News> {
        let mut state = notices.state.lock().unwrap();
        notices.proven(&mut state, channel, payload)
    }

    #[test]
    fn payloads() {
        let hex = "000102030405060708090a0b0c0d0e0f";
        let hash: Hash = std::array::from_fn(|at| at as u8);
        let changed = |ours, number, count| {
            Some(News::Changed(Change {
                ours,
                hash,
                number,
                count,
            }))
        };
        let rows = [
            (format!("h p {hex} 17 3"), changed(false, 17, 3)),
            (format!("me r {hex} 18 4"), changed(true, 18, 4)),
            (
                format!("h r {hex} 18 9999999999"),
                changed(false, 18, u32::MAX),
            ),
            (format!("h p {hex} 17 3 later"), None),
            (format!("h f {hex}"), Some(News::Free(hash))),
            (
                format!("- g 21 {hex} {hex}"),
                Some(News::Gone(21, vec![hash, hash])),
            ),
            (format!("- g {hex}"), None),
            (format!("- g 21 {hex} 00"), None),
            ("h a".to_owned(), Some(News::All)),
            (format!("h z {hex}"), None),
            (format!("h p {hex} x 3"), None),
            (format!("h p {hex} 17"), None),
            (format!("h p {} 17 3", &hex[2..]), None),
            ("h f".to_owned(), None),
            (String::new(), None),
        ];
        for (number, (body, expected)) in (0..).zip(rows) {
            let payload = sealed(b"secret", CHANGES, &body, number, NOW);
            assert_eq!(read(&notices(), CHANGES, &payload), expected, "{body}");
        }
        let room = sealed(b"secret", ROOM, "4711", 1, NOW);
        assert_eq!(read(&notices(), ROOM, &room), Some(News::Room(4711)));
        assert_eq!(read(&notices(), CHANGES, &room), None, "another channel's");
    }

    #[test]
    fn what_is_not_proven_is_not_believed() {
        let (hex, notices) = ("00".repeat(16), notices());
        let all = |number, time| sealed(b"secret", CHANGES, "h a", number, time);
        let good = all(1, NOW);
        let forged = sealed(b"secrets", CHANGES, "h a", 2, NOW);
        let altered = good.replacen("h a 1", "h a 3", 1);
        // (payload, believed)
        let rows = [
            ("h a".to_owned(), false),
            ("h a 1 1".to_owned(), false),
            (forged, false),
            (altered, false),
            (good[..good.len() - 1].to_owned(), false),
            (good.clone(), true),
            (good, false),
            (all(4, NOW - MOST_AGE - 2), false),
            (all(5, NOW + MOST_AGE + 2), false),
            (all(6, NOW - MOST_AGE + 2), true),
            (
                sealed(b"secret", CHANGES, &format!("h p {hex} 1 1"), 7, NOW - 9999),
                true,
            ),
        ];
        for (payload, believed) in rows {
            let news = read(&notices, CHANGES, &payload);
            assert_eq!(news.is_some(), believed, "{payload}");
        }
        // The database's clock was set.
        notices.renew(b"secret", NOW as i64 + 10_000);
        assert!(read(&notices, CHANGES, &all(8, NOW + 10_000)).is_some());
    }

    #[test]
    fn those_that_are_known_are_bounded() {
        let notices = notices();
        let mut state = notices.state.lock().unwrap();
        let many = REMEMBERED as u64 + 10;
        assert!((0..many).all(|number| state.is_new(number)));
        assert!(!state.is_new(many - 1) && !state.is_new(10) && state.is_new(9));
        assert_eq!(
            (state.known.len(), state.order.len()),
            (REMEMBERED, REMEMBERED)
        );
    }
}

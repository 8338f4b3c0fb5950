//! Names to addresses by the system's own resolution (getaddrinfo, so /etc/hosts and nsswitch hold),
//! off the event loop, remembered briefly. getaddrinfo tells no TTL, hence short fixed times. It may
//! hang for long, so that only some of the threads for blocking work are ever given to it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

/// How long an answer with addresses is used again.
const REMEMBER: Duration = Duration::from_secs(30);
/// How long a failure is used again.
const REMEMBER_FAILURE: Duration = Duration::from_secs(3);
/// The most names remembered.
const MOST_NAMES: usize = 1024;
/// The most names being resolved at once; the store needs threads too.
const MOST_AT_ONCE: usize = crate::worker::BLOCKING_THREADS / 2;

/// Why a name has no address, as the resolver says it.
pub type Failure = Rc<str>;
type Answer = Result<Rc<[IpAddr]>, Failure>;

/// The names resolved of late.
#[derive(Debug)]
pub struct Resolver {
    known: RefCell<HashMap<Box<str>, (Instant, Answer)>>,
    turns: Arc<Semaphore>,
}

impl Default for Resolver {
    fn default() -> Resolver {
        Resolver {
            known: RefCell::default(),
            turns: Arc::new(Semaphore::new(MOST_AT_ONCE)),
        }
    }
}

impl Resolver {
    /// The addresses of `host` (a name or an address literal without brackets), in the system's order.
    pub async fn addresses(&self, host: &str) -> Answer {
        if let Ok(literal) = host.parse::<IpAddr>() {
            return Ok(Rc::new([literal]));
        }
        if let Some(answer) = self.known(host) {
            return answer;
        }
        let Ok(turn) = self.turns.clone().acquire_owned().await else {
            return Err("names are no longer resolved".into());
        };
        // Whoever had the turn before may have asked for the same name.
        if let Some(answer) = self.known(host) {
            return answer;
        }
        let name = host.to_owned();
        let asked = spawn_blocking(move || {
            let answer = ask(&name);
            drop(turn);
            answer
        });
        let answer: Answer = match asked.await {
            Ok(Ok(addresses)) => Ok(addresses.into()),
            Ok(Err(why)) => Err(why.into()),
            Err(lost) => Err(lost.to_string().into()),
        };
        self.remember(host, answer.clone());
        answer
    }

    fn known(&self, host: &str) -> Option<Answer> {
        let known = self.known.borrow();
        let (until, answer) = known.get(host)?;
        (*until > Instant::now()).then(|| answer.clone())
    }

    fn remember(&self, host: &str, answer: Answer) {
        let now = Instant::now();
        let remember = match &answer {
            Ok(_) => REMEMBER,
            Err(_) => REMEMBER_FAILURE,
        };
        let mut known = self.known.borrow_mut();
        if known.len() >= MOST_NAMES {
            known.retain(|_, (until, _)| *until > now);
        }
        if known.len() < MOST_NAMES {
            known.insert(host.into(), (now + remember, answer));
        }
    }

    /// Forgets what is known of `host`, when none of its addresses answers any more.
    pub fn forget(&self, host: &str) {
        self.known.borrow_mut().remove(host);
    }
}

fn ask(host: &str) -> Result<Vec<IpAddr>, String> {
    let found: io::Result<Vec<IpAddr>> = (host, 0)
        .to_socket_addrs()
        .map(|addresses| addresses.map(|address| address.ip()).collect());
    let mut addresses = found.map_err(|error| error.to_string())?;
    // getaddrinfo may repeat an address once for each of its sources.
    let mut seen = Vec::with_capacity(addresses.len());
    addresses.retain(|address| {
        let new = !seen.contains(address);
        seen.push(*address);
        new
    });
    if addresses.is_empty() {
        return Err("the name has no address".to_owned());
    }
    Ok(addresses)
}

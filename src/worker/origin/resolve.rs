//! Names to addresses by the system's own resolution (getaddrinfo, so /etc/hosts and nsswitch hold),
//! off the event loop, remembered briefly. getaddrinfo tells no TTL, hence short fixed times. It may
//! hang for long, so that only some of the threads for blocking work are ever given to it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

/// The time for which addresses are used again.
const REMEMBER: Duration = Duration::from_secs(30);
/// The time for which a failure is used again.
const REMEMBER_FAILURE: Duration = Duration::from_secs(3);
/// The most names remembered.
const MOST_NAMES: usize = 1024;
/// The most names being resolved at once; the store needs threads too.
const MOST_AT_ONCE: usize = crate::worker::BLOCKING_THREADS / 2;

/// The addresses of a name, or the resolver's reason why it has none.
type Resolved = Result<Rc<[IpAddr]>, Rc<str>>;

/// The names resolved of late.
pub(crate) struct Resolver {
    known: RefCell<HashMap<Box<str>, (Instant, Resolved)>>,
    permits: Arc<Semaphore>,
}

impl Default for Resolver {
    fn default() -> Resolver {
        Resolver {
            known: RefCell::default(),
            permits: Arc::new(Semaphore::new(MOST_AT_ONCE)),
        }
    }
}

impl Resolver {
    /// The addresses of `host` (a name or an address literal without brackets), in the system's order.
    pub(crate) async fn addresses(&self, host: &str) -> Resolved {
        if let Ok(literal) = host.parse::<IpAddr>() {
            return Ok(Rc::new([literal]));
        }
        if let Some(answer) = self.known(host) {
            return answer;
        }
        let Ok(permit) = self.permits.clone().acquire_owned().await else {
            return Err("names are no longer resolved".into());
        };
        // The holder of the permit before may have resolved the same name.
        if let Some(answer) = self.known(host) {
            return answer;
        }
        let name = host.to_owned();
        let resolving = spawn_blocking(move || {
            let answer = resolve(&name);
            drop(permit);
            answer
        });
        let answer: Resolved = match resolving.await {
            Ok(Ok(addresses)) => Ok(addresses.into()),
            Ok(Err(why)) => Err(why.into()),
            Err(lost) => Err(lost.to_string().into()),
        };
        self.remember(host, answer.clone());
        answer
    }

    fn known(&self, host: &str) -> Option<Resolved> {
        let known = self.known.borrow();
        let (until, answer) = known.get(host)?;
        (*until > Instant::now()).then(|| answer.clone())
    }

    fn remember(&self, host: &str, answer: Resolved) {
        let now = Instant::now();
        let remember = answer.as_ref().map_or(REMEMBER_FAILURE, |_| REMEMBER);
        let mut known = self.known.borrow_mut();
        if known.len() >= MOST_NAMES {
            known.retain(|_, (until, _)| *until > now);
        }
        if known.len() < MOST_NAMES {
            known.insert(host.into(), (now + remember, answer));
        }
    }

    /// Forgets the addresses of `host`, when none of its addresses answers any more.
    pub(crate) fn forget(&self, host: &str) {
        self.known.borrow_mut().remove(host);
    }
}

fn resolve(host: &str) -> Result<Vec<IpAddr>, String> {
    let found = (host, 0).to_socket_addrs();
    let mut addresses = Vec::new();
    for address in found.map_err(|error| error.to_string())? {
        // getaddrinfo may repeat an address once for each of its sources.
        if !addresses.contains(&address.ip()) {
            addresses.push(address.ip());
        }
    }
    if addresses.is_empty() {
        return Err("the name has no address".to_owned());
    }
    Ok(addresses)
}

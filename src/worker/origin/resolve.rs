//! Names to addresses by the system's own resolution (getaddrinfo, so /etc/hosts and nsswitch hold),
//! off the event loop, remembered briefly. getaddrinfo tells no TTL, hence short fixed times.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

/// How long an answer with addresses is used again.
const REMEMBER: Duration = Duration::from_secs(30);
/// How long a failure is used again.
const REMEMBER_FAILURE: Duration = Duration::from_secs(3);
/// The most names remembered.
const MOST_NAMES: usize = 1024;

/// Why a name has no address, as the resolver says it.
pub type Failure = Rc<str>;
type Answer = Result<Rc<[IpAddr]>, Failure>;

/// The names resolved of late.
#[derive(Debug, Default)]
pub struct Resolver {
    known: RefCell<HashMap<Box<str>, (Instant, Answer)>>,
}

impl Resolver {
    /// The addresses of `host` (a name or an address literal without brackets), in the system's order.
    pub async fn addresses(&self, host: &str) -> Answer {
        if let Ok(literal) = host.parse::<IpAddr>() {
            return Ok(Rc::new([literal]));
        }
        let now = Instant::now();
        if let Some((until, answer)) = self.known.borrow().get(host) {
            if *until > now {
                return answer.clone();
            }
        }
        let answer = ask(host).await;
        let remember = match &answer {
            Ok(_) => REMEMBER,
            Err(_) => REMEMBER_FAILURE,
        };
        let mut known = self.known.borrow_mut();
        if known.len() >= MOST_NAMES {
            known.retain(|_, (until, _)| *until > now);
        }
        if known.len() < MOST_NAMES {
            known.insert(host.into(), (now + remember, answer.clone()));
        }
        answer
    }

    /// Forgets what is known of `host`, when none of its addresses answers any more.
    pub fn forget(&self, host: &str) {
        self.known.borrow_mut().remove(host);
    }
}

async fn ask(host: &str) -> Answer {
    let found: io::Result<Vec<IpAddr>> = tokio::net::lookup_host((host, 0))
        .await
        .map(|addresses| addresses.map(|address| address.ip()).collect());
    match found {
        Ok(addresses) if addresses.is_empty() => Err("the name has no address".into()),
        Ok(mut addresses) => {
            // getaddrinfo may repeat an address once for each of its sources.
            let mut seen = Vec::with_capacity(addresses.len());
            addresses.retain(|address| {
                let new = !seen.contains(address);
                seen.push(*address);
                new
            });
            Ok(addresses.into())
        }
        Err(error) => Err(error.to_string().into()),
    }
}

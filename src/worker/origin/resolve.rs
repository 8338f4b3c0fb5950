//! Names to addresses, off the event loop: one look-up of a name at once, which all who ask for it wait for, in a
//! thread of its own, so that one that hangs holds up nothing but itself. What is known already is in `names`.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;
use std::thread;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::guard::Requester;
use super::names::{Addresses, Answer, Known, Names};
use super::turns::{Busy, Turn, Turns};
use crate::sys::names::{self, LookupError};

/// The room for a thread's stack: what modules of nsswitch need, and not the 2 MiB of others.
const STACK: usize = 512 << 10;

const LOST: &str = "it was not looked up to the end";

type Lookup = Arc<dyn Fn(&str) -> Result<Vec<IpAddr>, LookupError> + Send + Sync>;

/// A look-up that runs: its answer and when that came, once it has.
type Running = watch::Receiver<Option<(Answer, Instant)>>;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error("{0}")]
    Failed(LookupError),
    #[error("{0}")]
    Busy(Busy),
}

/// The resolution of names.
pub(crate) struct Resolver {
    names: RefCell<Names<Running>>,
    turns: Turns,
    lookup: Lookup,
}

impl Default for Resolver {
    fn default() -> Resolver {
        Resolver::by(Arc::new(names::lookup))
    }
}

impl Resolver {
    fn by(lookup: Lookup) -> Resolver {
        Resolver {
            names: RefCell::default(),
            turns: Turns::default(),
            lookup,
        }
    }

    /// The addresses of `host` (a name or an address literal without brackets), in the system's order.
    pub(crate) async fn addresses(
        &self,
        host: &str,
        requester: Requester,
    ) -> Result<Addresses, ResolveError> {
        if let Ok(literal) = host.parse::<IpAddr>() {
            return Ok(Arc::new([literal]));
        }
        match self.known(host) {
            Known::Answer(answer) => answer.map_err(ResolveError::Failed),
            Known::LookUp(None) => self.look_up(host, requester).await,
            Known::LookUp(Some((addresses, until))) => {
                match timeout_at(until, self.look_up(host, requester)).await {
                    Ok(Ok(newer)) => Ok(newer),
                    Ok(Err(absent @ ResolveError::Failed(LookupError::Absent(_)))) => Err(absent),
                    Ok(Err(_)) | Err(_) => Ok(addresses),
                }
            }
        }
    }

    /// The addresses of `host` that were found last, as far as they are remembered.
    pub(crate) fn last_addresses(&self, host: &str) -> Option<Addresses> {
        match host.parse::<IpAddr>() {
            Ok(literal) => Some(Arc::new([literal])),
            Err(_) => self.names.borrow().last_addresses(host),
        }
    }

    /// True while `host` is looked up.
    pub(crate) fn is_looking_up(&self, host: &str) -> bool {
        self.names.borrow().running(host).is_some()
    }

    /// Has `host` looked up again, when none of its addresses answers any more.
    pub(crate) fn doubt(&self, host: &str) {
        self.names.borrow_mut().doubt(host);
    }

    /// Has all names looked up again.
    pub(crate) fn doubt_all(&self) {
        self.names.borrow_mut().doubt_all(Instant::now());
    }

    /// The knowledge of a name, with what a look-up that nobody waited for any more has brought.
    fn known(&self, host: &str) -> Known {
        let mut names = self.names.borrow_mut();
        if let Some((answer, at)) = names.running(host).as_ref().and_then(brought) {
            names.finish(host, &answer, at);
        }
        names.known(host, Instant::now())
    }

    /// Waits for the look-up that runs, or begins one.
    async fn look_up(&self, host: &str, requester: Requester) -> Result<Addresses, ResolveError> {
        let running = self.names.borrow().running(host);
        let mut running = match running {
            Some(running) => running,
            None => {
                let turn = self.turns.take(requester).await;
                // Another request may have had it looked up meanwhile.
                if let Known::Answer(answer) = self.known(host) {
                    return answer.map_err(ResolveError::Failed);
                }
                let other = self.names.borrow().running(host);
                match other {
                    Some(other) => other,
                    None => self.begin(host, turn.map_err(ResolveError::Busy)?)?,
                }
            }
        };
        // The end of the sender without an answer is seen as well.
        let _ = running.wait_for(Option::is_some).await;
        let Some((answer, at)) = brought(&running) else {
            return Err(unknown(LOST));
        };
        self.names.borrow_mut().finish(host, &answer, at);
        answer.map_err(ResolveError::Failed)
    }

    /// Begins a look-up. It goes on, and keeps its turn, when nobody waits for it any more.
    fn begin(&self, host: &str, turn: Turn) -> Result<Running, ResolveError> {
        let (tell, running) = watch::channel(None);
        let (name, lookup) = (host.to_owned(), self.lookup.clone());
        let begun = Instant::now();
        let thread = thread::Builder::new().name("name".to_owned());
        let spawned = thread.stack_size(STACK).spawn(move || {
            let answer = lookup(&name).map(Addresses::from);
            drop(turn);
            tell.send_replace(Some((answer, Instant::now())));
        });
        spawned.map_err(|why| unknown(&format!("no thread for it: {why}")))?;
        let mut names = self.names.borrow_mut();
        names.begin(host, running.clone(), begun);
        Ok(running)
    }
}

/// The answer of a look-up that has ended.
fn brought(running: &Running) -> Option<(Answer, Instant)> {
    // Asked first: what comes last is there when its sender has gone.
    let has_ended = running.has_changed().is_err();
    let answer = running.borrow().clone();
    answer.or_else(|| {
        let lost = LookupError::Unknown(LOST.to_owned());
        has_ended.then(|| (Err(lost), Instant::now()))
    })
}

fn unknown(why: &str) -> ResolveError {
    ResolveError::Failed(LookupError::Unknown(why.to_owned()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

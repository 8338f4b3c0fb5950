//! Turns to look a name up: so many at once in all, and for one client of another machine, since a look-up that hangs
//! can't be ended. Who gets none within a short while is told: what holds it up may take long.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::guard::Requester;
use crate::config::display_duration;
use crate::ipc::Host;

/// The most look-ups at once; each is a thread.
pub(super) const MOST: usize = 256;
/// The most for one client; those on this machine have one address for all of them.
pub(super) const MOST_FOR_CLIENT: usize = 8;
/// The time to wait for a turn.
const PATIENCE: Duration = Duration::from_secs(2);
/// More clients than this are remembered only while they have look-ups.
const CLIENTS: usize = 64;

/// A reason why there was no turn.
#[derive(Debug, thiserror::Error, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Busy {
    #[error(
        "{MOST_FOR_CLIENT} names that this client asked for are being looked up, and none of them was answered for {}",
        display_duration(PATIENCE)
    )]
    Client,
    #[error(
        "{MOST} names are being looked up, and none of them was answered for {}: does the system's name server answer?",
        display_duration(PATIENCE)
    )]
    All,
}

pub(super) struct Turns {
    all: Arc<Semaphore>,
    clients: RefCell<HashMap<Host, Arc<Semaphore>>>,
}

/// A turn, until it is dropped.
pub(super) struct Turn {
    _of_all: OwnedSemaphorePermit,
    _of_client: Option<OwnedSemaphorePermit>,
}

impl Default for Turns {
    fn default() -> Turns {
        Turns {
            all: Arc::new(Semaphore::new(MOST)),
            clients: RefCell::default(),
        }
    }
}

impl Turns {
    /// Waits for a turn.
    pub(super) async fn take(&self, requester: Requester) -> Result<Turn, Busy> {
        let deadline = Instant::now() + PATIENCE;
        let of_client = match requester {
            Requester::Local => None,
            Requester::Remote(address) => {
                let turn = timeout_at(deadline, self.of(Host::of(address)).acquire_owned()).await;
                Some(turn.map_err(|_| Busy::Client)?.map_err(|_| Busy::Client)?)
            }
        };
        let of_all = timeout_at(deadline, self.all.clone().acquire_owned()).await;
        Ok(Turn {
            _of_all: of_all.map_err(|_| Busy::All)?.map_err(|_| Busy::All)?,
            _of_client: of_client,
        })
    }

    fn of(&self, host: Host) -> Arc<Semaphore> {
        let mut clients = self.clients.borrow_mut();
        if clients.len() >= CLIENTS {
            // A turn, and whoever waits for one, has it too.
            clients.retain(|_, turns| Arc::strong_count(turns) > 1);
        }
        let turns = clients
            .entry(host)
            .or_insert_with(|| Arc::new(Semaphore::new(MOST_FOR_CLIENT)));
        turns.clone()
    }
}

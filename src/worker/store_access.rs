//! The store of a worker, which comes and goes: opened when the worker starts, and again and again when that fails; given up
//! when its path leads somewhere else, and made anew there. Requests go on without it meanwhile.
//!
//! A database's server may come and go too, but that is its store's affair; here it is its directory alone.

use std::cell::{Cell, RefCell};
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::open_store::{OpenStore, Opened};
use crate::cache::owner::Secret;
use crate::config::{StoreChoice, StoreKind};
use crate::store::filesystem::owner::{Ownership, ProxyIdentity};
use crate::store::filesystem::suitable;
use crate::store::open::open;
use crate::store::secret::secret;
use crate::store::{SharedStore, StoreError};
use crate::sys::disk;
use crate::sys::shared::{Shared, StoreState};

/// The time between two looks at a store that is open.
const LOOK: Duration = Duration::from_secs(1);
/// The time between two attempts to open it, at first and at most.
const PAUSE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];
/// The longest that a worker that starts waits for its store, before it serves without.
const AT_START: Duration = Duration::from_secs(2);

type Opening = oneshot::Receiver<Result<Opened, StoreError>>;

/// The store of a worker.
#[derive(Default)]
pub(super) struct StoreAccess {
    open: RefCell<Option<Rc<OpenStore>>>,
    /// Still being opened when the worker began to serve.
    opening: Cell<Option<Opening>>,
    /// The reason that was said last for there being none. Its words may differ each time.
    said: Cell<Option<StoreState>>,
    read_only: Cell<bool>,
    /// The store was another proxy's when it was tried last.
    is_theirs: Cell<bool>,
}

impl StoreAccess {
    /// The store, while there is one.
    pub(super) fn get(&self) -> Option<Rc<OpenStore>> {
        self.open.borrow().clone()
    }

    /// The store, when there is one that other hosts share.
    pub(super) fn shared(&self) -> Option<Arc<dyn SharedStore>> {
        self.open.borrow().as_ref()?.shared().cloned()
    }

    pub(super) fn is_shared(&self) -> bool {
        let open = self.open.borrow();
        open.as_ref().is_some_and(|store| store.shared().is_some())
    }

    /// True when responses can be stored, as far as is known.
    pub(super) fn takes_responses(&self) -> bool {
        let open = self.open.borrow();
        !self.read_only.get() && open.as_ref().is_some_and(|store| store.takes_responses())
    }

    /// The secret by which clients are told apart that something is stored for.
    pub(super) fn secret(&self) -> Option<Secret> {
        self.open.borrow().as_ref()?.secret
    }

    /// Opens the store for a worker that starts, if that takes no longer than a moment.
    pub(super) async fn open_first(&self, at: &Place) {
        let Some(mut opening) = self.begin(at) else {
            return;
        };
        match timeout(AT_START, &mut opening).await {
            Ok(opened) => self.opened(at, opened.unwrap_or(Err(StoreError::Gone))),
            Err(_) => {
                self.lacks(at, &hangs(&at.choice.path));
                self.opening.set(Some(opening));
            }
        }
    }

    /// Opens the store on a thread of its own, as that may take for ever.
    fn begin(&self, at: &Place) -> Option<Opening> {
        let (opened, opening) = oneshot::channel();
        let (at_there, was_theirs) = (at.clone(), self.is_theirs.get());
        let thread = std::thread::Builder::new().name("store-open".to_owned());
        let started = thread.spawn(move || {
            let _ = opened.send(at_there.open(was_theirs));
        });
        if let Err(why) = started {
            self.lacks(at, &no_thread(&at.choice.path, &why));
            return None;
        }
        Some(opening)
    }

    fn opened(&self, at: &Place, opened: Result<Opened, StoreError>) {
        let path = &at.choice.path;
        let store = opened.and_then(|opened| {
            OpenStore::new(&at.choice, opened, &at.shared).map_err(|why| no_thread(path, &why))
        });
        match store {
            Ok(store) => {
                *self.open.borrow_mut() = Some(Rc::new(store));
                if self.said.take().is_some() {
                    log::info!("the store at {} is back", path.display());
                }
                at.tell(StoreState::Used);
            }
            Err(why) => self.lacks(at, &why),
        }
    }

    /// Says, once, why there is no store.
    fn lacks(&self, at: &Place, why: &StoreError) {
        let state = state_of(why);
        if self.said.replace(Some(state)) != Some(state) {
            log::error!("nothing is stored: {why}; trying again until that is over");
        }
        self.is_theirs.set(state == StoreState::Owned);
        at.tell(state);
    }

    /// Tries to open the store; true when that is over.
    async fn try_again(&self, at: &Place) {
        let opening = self.opening.take().or_else(|| self.begin(at));
        if let Some(opening) = opening {
            let opened = opening.await.unwrap_or(Err(StoreError::Gone));
            self.opened(at, opened);
        }
    }

    /// Looks whether the store that is open is still there, and can be used.
    async fn look(&self, at: &Place, store: &OpenStore) {
        let path = &at.choice.path;
        match store.look().await {
            Ok(look) if !look.is_in_place => {
                *self.open.borrow_mut() = None;
                self.read_only.set(false);
                log::warn!(
                    "the store at {} was removed, moved or unmounted: it is made anew",
                    path.display()
                );
                self.said.set(Some(StoreState::Used));
            }
            Ok(look) => {
                self.is_read_only(path, look.is_read_only);
                at.tell(match (look.is_read_only, store.hangs()) {
                    (_, true) => StoreState::Hangs,
                    (true, false) => StoreState::Failed(disk::READ_ONLY),
                    (false, false) => StoreState::Used,
                });
            }
            Err(_) => at.tell(StoreState::Hangs),
        }
    }

    fn is_read_only(&self, path: &Path, now: bool) {
        let path = path.display();
        match (self.read_only.replace(now), now) {
            (false, true) => log::warn!(
                "the store at {path} has become read-only: nothing is stored until it is mounted read-write again"
            ),
            (true, false) => log::info!("the store at {path} is read-write again"),
            _ => {}
        }
    }
}

/// Sees to a worker's store from now on.
pub(super) async fn keep(access: Rc<StoreAccess>, at: Place) {
    let mut pause = PAUSE[0];
    loop {
        sleep(if access.get().is_some() { LOOK } else { pause }).await;
        match access.get() {
            Some(store) => {
                pause = PAUSE[0];
                access.look(&at, &store).await;
                if access.get().is_some() {
                    continue;
                }
                drop(store);
            }
            None => pause = (pause * 2).min(PAUSE[1]),
        }
        access.try_again(&at).await;
    }
}

/// The store that a worker is to have, and who opens it.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) choice: StoreChoice,
    pub(super) worker: usize,
    pub(super) proxy: ProxyIdentity,
    pub(super) shared: Arc<Shared>,
}

impl Place {
    /// Opens the store. May wait for its disk.
    fn open(&self, was_theirs: bool) -> Result<Opened, StoreError> {
        let path = &self.choice.path;
        let ownership = match &self.choice.kind {
            StoreKind::Filesystem => {
                disk::prepare_directory(path).map_err(StoreError::at(path))?;
                suitable::check(path)?;
                Some(Ownership::acquire(path, &self.proxy, was_theirs)?)
            }
            StoreKind::Postgres(_) => None,
        };
        let store = open(&self.choice, self.worker, &self.shared)?;
        let secret = secret(path);
        let secret =
            secret.inspect_err(|why| log::error!("nothing is stored for one client alone: {why}"));
        Ok(Opened {
            store,
            secret: secret.ok(),
            ownership,
        })
    }

    fn tell(&self, state: StoreState) {
        self.shared.set_store_state(self.worker, state);
        // Whether a database can be reached is told by its store.
        if self.choice.kind == StoreKind::Filesystem {
            self.shared
                .set_store_down(self.worker, state != StoreState::Used);
        }
    }
}

fn hangs(path: &Path) -> StoreError {
    let path = path.to_owned();
    StoreError::Hangs { path }
}

fn no_thread(path: &Path, why: &io::Error) -> StoreError {
    let why = io::Error::other(format!("no thread for it: {why}"));
    StoreError::at(path)(why)
}

fn state_of(why: &StoreError) -> StoreState {
    let number = |source: &io::Error| {
        let number = source.raw_os_error().and_then(|it| u16::try_from(it).ok());
        StoreState::Failed(number.unwrap_or(0))
    };
    match why {
        StoreError::Hangs { .. } => StoreState::Hangs,
        StoreError::Owned { .. } => StoreState::Owned,
        StoreError::Unsuitable { .. } => StoreState::Unsuitable,
        StoreError::NotWritable { source, .. } | StoreError::Io { source, .. } => number(source),
        StoreError::Full { .. } => StoreState::Failed(disk::FULL),
        StoreError::Gone
        | StoreError::IndexDamaged { .. }
        | StoreError::Damaged(_)
        | StoreError::MetaTooLarge(_)
        | StoreError::Unselectable
        | StoreError::Database { .. }
        | StoreError::Unreachable { .. } => StoreState::Failed(0),
    }
}

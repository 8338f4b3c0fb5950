//! The process that speaks HTTP: clients on one side, origin servers and the store on the other.
//!
//! One thread, one event loop, many clients; blocking work (disk, name resolution) on threads
//! beside it. It lives as long as a supervisor wants it.
#![forbid(unsafe_code)]

mod block_reads;
mod channel;
mod client;
mod exchange;
mod fetch;
mod gone;
mod large_heads;
mod lifecycle;
mod maintenance;
mod open_store;
mod origin;
mod outbox;
mod outgoing;
mod pages;
mod phase;
mod removed_files;
mod request_loop;
mod startup;
mod state;
mod store_access;
mod store_writer;
mod stored;
mod stored_parts;
mod supervision;
mod transfers;
mod tunnel;
mod upload;
mod waiting_list;

pub use origin::hung::is_hung;
pub use state::cache_uri;

use std::os::fd::OwnedFd;

use crate::sys::activation;
use crate::sys::completions;
use crate::sys::exit::Failure;

/// The most threads for blocking work on the disk. The resolution of names has threads of its own.
const BLOCKING_THREADS: usize = 16;

/// Serves as worker `index` (from 1), whose channel's listener is inherited, until it is told to stop,
/// or no supervisor wants it any more.
///
/// # Errors
/// When no socket was passed to it, or the settings it is given can't be used.
pub fn serve(index: u16) -> Result<(), Failure> {
    let listener = listener()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .map_err(|why| Failure::unavailable(format!("the event loop can't start: {why}")))?;
    let local = tokio::task::LocalSet::new();
    let done = local.block_on(&runtime, async {
        completions::deliver_here();
        lifecycle::run(index, listener).await
    });
    // A name being resolved may take long and is of no use any more.
    runtime.shutdown_background();
    done
}

fn listener() -> Result<OwnedFd, Failure> {
    let sockets = activation::sockets().map_err(|why| {
        Failure::unavailable(format!("the inherited sockets are unusable: {why}"))
    })?;
    let mut sockets = sockets.into_iter().map(|(_, socket)| socket);
    match (sockets.next(), sockets.next()) {
        (Some(listener), None) => Ok(listener),
        _ => Err(Failure::usage(
            "a worker is started by its socket unit: see \"systemctl status cacheproxy@1.socket\", or use \"cacheproxy run\"",
        )),
    }
}

//! Tunnels (RFC 9110 §9.3.6), which CONNECT and a 101 lead to. Bytes pass both ways unseen; an end of one direction ends only that direction; long silence ends both.

use std::cell::Cell;
use std::io::IoSlice;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::client::Client;
use crate::sys::splice::Relay;
use crate::sys::stream::Stream;

/// Writes what is gathered for the client and what it already sent, then passes bytes both ways.
/// Returns how many went to the client.
pub async fn join(client: &mut Client, origin: &Stream, limit: Duration) -> u64 {
    // Its requests are over.
    client.pinned.clear();
    let early = std::mem::take(&mut client.buffer);
    let sent = origin.write_all(&mut [IoSlice::new(&early)], limit).await;
    if client.flush(limit).await.is_err() || sent.is_err() {
        return 0;
    }
    let (Ok(up), Ok(down)) = (Relay::new(), Relay::new()) else {
        log::warn!("no tunnel: out of file descriptors; raise LimitNOFILE");
        return 0;
    };
    let active = Cell::new(Instant::now());
    let bytes = Cell::new(0);
    let both = async {
        tokio::join!(
            one_way(&up, &client.stream, origin, &active, None),
            one_way(&down, origin, &client.stream, &active, Some(&bytes)),
        )
    };
    tokio::select! {
        _ = both => {}
        () = silence(&active, limit) => {}
    }
    bytes.get()
}

/// Passes one direction until it ends, then tells the other side so.
async fn one_way(
    relay: &Relay,
    from: &Stream,
    to: &Stream,
    active: &Cell<Instant>,
    count: Option<&Cell<u64>>,
) {
    while let Ok(moved @ 1..) = relay.step(from, to).await {
        active.set(Instant::now());
        if let Some(count) = count {
            count.set(count.get() + moved as u64);
        }
    }
    let _ = to.shut_write();
}

/// Resolves when nothing has moved for `limit`.
async fn silence(active: &Cell<Instant>, limit: Duration) {
    loop {
        let until = active.get() + limit;
        if Instant::now() >= until {
            return;
        }
        sleep_until(until).await;
    }
}

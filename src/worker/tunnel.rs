//! Tunnels (RFC 9110 §9.3.6), which CONNECT and a 101 lead to. Bytes pass both ways unseen; an end of one direction ends only that direction; long silence ends both.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::client::Client;
use crate::sys::splice::Relay;
use crate::sys::stream::Stream;

/// The time between two looks whether a side is gone.
const LOOK: Duration = Duration::from_secs(1);

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
        tokio::try_join!(
            one_way(&up, &client.stream, origin, &active, None),
            one_way(&down, origin, &client.stream, &active, Some(&bytes)),
        )
    };
    tokio::select! {
        _ = both => {}
        () = failed(&client.stream, origin) => {}
        () = silence(&active, limit) => {}
    }
    bytes.get()
}

/// Passes one direction until it ends, then tells the other side so. A failure is that of a whole connection.
async fn one_way(
    relay: &Relay,
    from: &Stream,
    to: &Stream,
    active: &Cell<Instant>,
    count: Option<&Cell<u64>>,
) -> io::Result<()> {
    loop {
        let moved = relay.step(from, to).await?;
        if moved == 0 {
            break;
        }
        active.set(Instant::now());
        if let Some(count) = count {
            count.set(count.get() + moved as u64);
        }
    }
    let _ = to.shut_write();
    Ok(())
}

/// Resolves when one of the two is gone, though nothing is read from it or written to it any more.
async fn failed(client: &Stream, origin: &Stream) {
    while !client.has_failed() && !origin.has_failed() {
        sleep(LOOK).await;
    }
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

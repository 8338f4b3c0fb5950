//! Content that lies elsewhere on its way to a client: piece by piece, the next one read while one is sent,
//! so that neither waits for the other and no more than two are in memory.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep};

use crate::cache::range::Part;
use crate::store::{Pieces, StoreError};
use crate::sys::stream::Stream;

/// How long a store may be away in the middle of content, and how often it is asked.
const OUTAGE: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(250);

/// Sends this part of the content. Fails when the client is gone, or the content.
pub async fn send(
    stream: &Stream,
    pieces: &Arc<dyn Pieces>,
    part: Part,
    patience: Duration,
) -> io::Result<()> {
    let mut at = part.first;
    let mut next = (at < part.end()).then(|| read(pieces, at));
    while let Some(reading) = next.take() {
        let mut piece = match reading.await? {
            Err(failure) if failure.is_told() => read_later(pieces, at).await?,
            piece => piece,
        }
        .map_err(io::Error::other)?;
        piece.truncate(usize::try_from(part.end() - at).unwrap_or(usize::MAX));
        if piece.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        at += piece.len() as u64;
        next = (at < part.end()).then(|| read(pieces, at));
        stream
            .write_all(&mut [IoSlice::new(&piece)], patience)
            .await?;
    }
    Ok(())
}

/// Reads a piece from a store that can't be reached just now, which has ends like a restart's.
async fn read_later(
    pieces: &Arc<dyn Pieces>,
    at: u64,
) -> Result<Result<Bytes, StoreError>, JoinError> {
    let until = Instant::now() + OUTAGE;
    loop {
        sleep(RETRY).await;
        let piece = read(pieces, at).await?;
        let again = matches!(&piece, Err(failure) if failure.is_told());
        if !again || Instant::now() >= until {
            return Ok(piece);
        }
    }
}

fn read(pieces: &Arc<dyn Pieces>, at: u64) -> JoinHandle<Result<Bytes, StoreError>> {
    let pieces = pieces.clone();
    spawn_blocking(move || pieces.read(at))
}

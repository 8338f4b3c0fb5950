//! Content that lies elsewhere on its way to a client: piece by piece, the next one read while one is sent,
//! so that neither waits for the other and no more than two are in memory.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::cache::range::Part;
use crate::store::{Pieces, StoreError};
use crate::sys::stream::Stream;

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
        let mut piece = reading.await?.map_err(io::Error::other)?;
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

fn read(pieces: &Arc<dyn Pieces>, at: u64) -> JoinHandle<Result<Bytes, StoreError>> {
    let pieces = pieces.clone();
    spawn_blocking(move || pieces.read(at))
}

//! Content that lies elsewhere on its way to a client: piece by piece, the next one read while one is sent,
//! so that neither waits for the other and no more than two are in memory. What its store loses meanwhile comes
//! from the origin server.

use std::io::{self, IoSlice};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::Exchange;
use crate::cache::range::ByteRange;
use crate::store::{Pieces, StoreError};
use crate::sys::completions::blocking;
use crate::sys::stream::Stream;
use crate::worker::stored::Stored;

/// The longest that a store may be away in the middle of content, and the time between two questions.
const OUTAGE: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(250);

/// Pieces of which the one that was read last is at hand, for who asks for one part of it after the other.
#[derive(Debug)]
pub(super) struct LastPiece {
    pieces: Arc<dyn Pieces>,
    /// It, and where it begins.
    last: Mutex<(u64, Bytes)>,
}

impl LastPiece {
    pub(super) fn of(pieces: Arc<dyn Pieces>) -> LastPiece {
        LastPiece {
            pieces,
            last: Mutex::default(),
        }
    }
}

impl Pieces for LastPiece {
    fn len(&self) -> u64 {
        self.pieces.len()
    }

    fn read(&self, at: u64) -> Result<Bytes, StoreError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, piece) = &*last;
        if let Some(before) = at.checked_sub(*first).filter(|at| *at < piece.len() as u64) {
            return Ok(piece.slice(before as usize..));
        }
        let piece = self.pieces.read(at)?;
        *last = (at, piece.clone());
        Ok(piece)
    }
}

/// A reason why sending ended early.
enum PiecesEnd {
    Gone(io::Error),
    /// The store lost what begins there.
    Lost(u64, StoreError),
}

impl From<io::Error> for PiecesEnd {
    fn from(error: io::Error) -> PiecesEnd {
        PiecesEnd::Gone(error)
    }
}

impl Exchange<'_> {
    /// Sends this part of the content. Fails when the client is gone, or the content.
    pub(super) async fn send_pieces(
        &mut self,
        stored: &Stored,
        pieces: &Arc<dyn Pieces>,
        mut part: ByteRange,
    ) -> io::Result<()> {
        let timeout = self.settings.times.body_stall;
        loop {
            let (at, failure) = match send(&self.client.stream, pieces, part, timeout).await {
                Ok(()) => return Ok(()),
                Err(PiecesEnd::Gone(error)) => return Err(error),
                Err(PiecesEnd::Lost(at, failure)) => (at, failure),
            };
            part = ByteRange {
                first: at,
                len: part.end() - at,
            };
            self.worker.note_lost(&failure);
            if Box::pin(self.send_rest(stored, part)).await? {
                return Ok(());
            }
            // It may be away for a moment, or have too much to do.
            if is_final(&failure) || !returns(pieces, at).await {
                return Err(io::Error::other(failure));
            }
        }
    }
}

async fn send(
    stream: &Stream,
    pieces: &Arc<dyn Pieces>,
    part: ByteRange,
    timeout: Duration,
) -> Result<(), PiecesEnd> {
    let mut at = part.first;
    let reading = |at, room| (at < part.end()).then(|| read(pieces, at..part.end(), room));
    let mut next = reading(at, Vec::new());
    let mut spare = Vec::new();
    while let Some(piece) = next.take() {
        let read_piece = piece.await.map_err(io::Error::other)?;
        let piece = read_piece.map_err(|failure| PiecesEnd::Lost(at, failure))?;
        if piece.is_empty() {
            return Err(PiecesEnd::Lost(at, StoreError::Gone));
        }
        at += piece.len() as u64;
        next = reading(at, spare);
        stream
            .write_all(&mut [IoSlice::new(&piece)], timeout)
            .await?;
        spare = piece;
    }
    Ok(())
}

/// True when the store can't have what it failed to read if it is asked again.
fn is_final(failure: &StoreError) -> bool {
    matches!(failure, StoreError::Gone | StoreError::Damaged(_))
}

/// True when a store that failed reads in time what begins there.
async fn returns(pieces: &Arc<dyn Pieces>, at: u64) -> bool {
    let until = Instant::now() + OUTAGE;
    loop {
        sleep(RETRY).await;
        match read(pieces, at..at + 1, Vec::new()).await {
            Ok(Ok(_)) => return true,
            Ok(Err(failure)) if !is_final(&failure) && Instant::now() < until => {}
            _ => return false,
        }
    }
}

/// Reads a piece, as far as it is wanted, into room that goes back and forth: what one thread allocates and another
/// frees piles up.
fn read(
    pieces: &Arc<dyn Pieces>,
    wanted: Range<u64>,
    mut room: Vec<u8>,
) -> oneshot::Receiver<Result<Vec<u8>, StoreError>> {
    let pieces = pieces.clone();
    blocking(move || {
        let mut piece = pieces.read(wanted.start)?;
        let most = usize::try_from(wanted.end - wanted.start);
        piece.truncate(most.unwrap_or(usize::MAX));
        room.clear();
        room.extend_from_slice(&piece);
        Ok(room)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    /// Fails so often; then it has what is asked for, or that is gone.
    #[derive(Debug)]
    struct Failing {
        left: AtomicUsize,
        then: Option<&'static [u8]>,
    }

    impl Pieces for Failing {
        fn len(&self) -> u64 {
            100
        }

        fn read(&self, _: u64) -> Result<Bytes, StoreError> {
            if self.left.fetch_sub(1, Relaxed) == 0 {
                return self.then.map(Bytes::from_static).ok_or(StoreError::Gone);
            }
            Err(StoreError::Database {
                server: "db".to_owned(),
                reason: "too many others wait for it".to_owned(),
            })
        }
    }

    /// Has ten bytes in pieces of four, and counts how often they are read.
    #[derive(Debug, Default)]
    struct Digits {
        read: AtomicUsize,
    }

    impl Pieces for Digits {
        fn len(&self) -> u64 {
            10
        }

        fn read(&self, at: u64) -> Result<Bytes, StoreError> {
            self.read.fetch_add(1, Relaxed);
            let end = (at - at % 4 + 4).min(10);
            Ok(Bytes::from_static(b"0123456789").slice(at as usize..end as usize))
        }
    }

    #[test]
    fn parts_of_one_piece_read_it_once() {
        let digits = Arc::new(Digits::default());
        let pieces = LastPiece::of(digits.clone());
        assert_eq!(pieces.len(), 10);
        // (where, what is there, how often it was read by then)
        let rows = [
            (1, "123", 1),
            (1, "123", 1),
            (3, "3", 1),
            (4, "4567", 2),
            (7, "7", 2),
            (0, "0123", 3),
            (2, "23", 3),
            (9, "9", 4),
            (10, "", 5),
        ];
        for (at, expected, read) in rows {
            assert_eq!(pieces.read(at).unwrap(), expected, "{at}");
            assert_eq!(digits.read.load(Relaxed), read, "{at}");
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_store_that_fails_is_asked_again() {
        // (failures, what it has then, whether it is back)
        let rows = [
            (0, Some(&b"x"[..]), true),
            (2, Some(b"x"), true),
            (1, None, false),
        ];
        for (failures, then, expected) in rows {
            let left = AtomicUsize::new(failures);
            let pieces: Arc<dyn Pieces> = Arc::new(Failing { left, then });
            assert_eq!(returns(&pieces, 0).await, expected, "{failures}");
        }
    }
}

//! Reading a spool: pieces in order, from memory or from the draft's file, waiting for the writer.

use std::fs::File;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::readers::Readers;
use super::{ContentEnd, Keep, Spool};

#[derive(Debug)]
pub enum Piece {
    Memory(Bytes),
    /// Bytes of a file, to be sent from there.
    File {
        file: Arc<File>,
        offset: u64,
        len: u64,
    },
    End(ContentEnd),
    /// The next bytes have left the window: others read faster.
    Missed {
        /// The checksum of all that came before them.
        before: Option<u128>,
    },
}

/// One reader of a [`Spool`], at its own position.
#[derive(Debug)]
pub struct SpoolReader {
    spool: Rc<Spool>,
    place: usize,
    position: u64,
    /// The end of what it gives, though the content may go on.
    until: u64,
}

impl SpoolReader {
    pub(super) fn new(spool: Rc<Spool>, place: usize) -> SpoolReader {
        SpoolReader {
            spool,
            place,
            position: 0,
            until: u64::MAX,
        }
    }

    /// Gives only this part of the content, which ends as if it were whole and doesn't begin before what was read; what
    /// lies before the part is read as soon as it is there.
    pub fn narrow(&mut self, part: Range<u64>) {
        self.position = part.start;
        self.until = part.end;
        self.note(|readers, place| readers.move_to(place, part.start));
    }

    /// The content that it reads next: from there to the end of its part.
    pub fn rest(&self) -> Range<u64> {
        self.position..self.until
    }

    /// The next piece, as soon as there is one. A piece counts as read when it is asked for.
    pub async fn next(&mut self) -> Piece {
        let spool = self.spool.clone();
        let piece = spool.grown.until(|| self.look()).await;
        self.take(&piece);
        piece
    }

    pub fn next_now(&mut self) -> Option<Piece> {
        let piece = self.look()?;
        self.take(&piece);
        Some(piece)
    }

    fn look(&self) -> Option<Piece> {
        if self.position >= self.until {
            let trailers = Rc::default();
            return Some(Piece::End(ContentEnd::Whole { trailers }));
        }
        let mut inner = self.spool.inner.borrow_mut();
        let most = self.until - self.position;
        if let Some(mut bytes) = inner.blocks.at(self.position) {
            bytes.truncate(usize::try_from(most).unwrap_or(usize::MAX));
            return Some(Piece::Memory(bytes));
        }
        if self.position < inner.written {
            let draft = inner.draft.as_ref()?;
            return Some(Piece::File {
                file: draft.file.clone(),
                offset: draft.offset + self.position,
                len: most.min(inner.written - self.position),
            });
        }
        if self.position < inner.blocks.first() {
            let before = inner.readers.checksum_before(self.place);
            return Some(Piece::Missed { before });
        }
        inner.end.clone().map(Piece::End)
    }

    fn take(&mut self, piece: &Piece) {
        self.position += match piece {
            Piece::Memory(bytes) => bytes.len() as u64,
            Piece::File { len, .. } => *len,
            Piece::End(_) => return,
            Piece::Missed { .. } => 0,
        };
        let over = self.position >= self.until;
        self.note(|readers, place| match piece {
            Piece::Missed { .. } => readers.finish(place),
            _ if over => readers.finish(place),
            Piece::Memory(bytes) => readers.take(place, bytes),
            Piece::File { .. } | Piece::End(_) => readers.move_to(place, self.position),
        });
    }

    /// Notes its place, which the writer of a window may be waiting for.
    fn note(&self, change: impl FnOnce(&mut Readers, usize)) {
        let mut inner = self.spool.inner.borrow_mut();
        change(&mut inner.readers, self.place);
        if inner.keep == Keep::All {
            return;
        }
        inner.trim();
        drop(inner);
        self.spool.taken.notify();
    }
}

impl Drop for SpoolReader {
    fn drop(&mut self) {
        self.note(Readers::remove);
        self.spool.taken.notify();
    }
}

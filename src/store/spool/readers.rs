//! The readers of a spool: the position of each. Of content that passes without being kept, also the checksum of all
//! that came before the position, by which a reader that misses some finds its place in the same content elsewhere.

use super::blocks::Blocks;
use crate::store::Checksum;

#[derive(Debug)]
struct Place {
    /// `None` for one that needs nothing more.
    position: Option<u64>,
    before: Option<Checksum>,
}

/// The places of the readers.
#[derive(Debug, Default)]
pub(super) struct Readers {
    /// `None` is a free place.
    places: Vec<Option<Place>>,
    /// The offset from which the content passes, and the checksum of what is before it.
    passing: Option<(u64, Checksum)>,
}

impl Readers {
    /// A place at the start.
    pub(super) fn add(&mut self) -> usize {
        let free = self.places.iter().position(Option::is_none);
        if free.is_none() {
            self.places.push(None);
        }
        let place = free.unwrap_or(self.places.len() - 1);
        self.move_to(place, 0);
        place
    }

    /// Has nobody wait for a reader.
    pub(super) fn finish(&mut self, place: usize) {
        if let Some(reader) = &mut self.places[place] {
            reader.position = None;
        }
    }

    /// Gives the place of a reader away.
    pub(super) fn remove(&mut self, place: usize) {
        self.places[place] = None;
    }

    /// Moves a reader on, by content that it isn't given from memory.
    pub(super) fn move_to(&mut self, place: usize, position: u64) {
        self.places[place] = Some(Place {
            position: Some(position),
            before: None,
        });
    }

    /// Moves a reader on by a piece that it takes.
    pub(super) fn take(&mut self, place: usize, piece: &[u8]) {
        let Some(reader) = &mut self.places[place] else {
            return;
        };
        let Some(position) = &mut reader.position else {
            return;
        };
        if let Some((from, checksum)) = &self.passing {
            if *position == *from {
                reader.before = Some(checksum.clone());
            }
            if let Some(before) = &mut reader.before {
                before.update(piece);
            }
        }
        *position += piece.len() as u64;
    }

    /// The checksum of all content before a reader's position, where it is known.
    pub(super) fn checksum_before(&self, place: usize) -> Option<u128> {
        let reader = self.places[place].as_ref()?;
        let (from, checksum) = self.passing.as_ref()?;
        let at_its_start = (reader.position == Some(*from)).then_some(checksum);
        let before = reader.before.as_ref().or(at_its_start);
        before.map(Checksum::finish)
    }

    /// Has the content pass from this offset on, which `blocks` have; `checksum` is that of what is before it.
    pub(super) fn pass_from(&mut self, offset: u64, checksum: Checksum, blocks: &mut Blocks) {
        let pieces = blocks.since(offset);
        for reader in self.places.iter_mut().flatten() {
            let position = reader.position.unwrap_or(0);
            let Some(mut taken) = position.checked_sub(offset) else {
                continue;
            };
            let mut before = checksum.clone();
            for piece in &pieces {
                let part = taken.min(piece.len() as u64);
                before.update(&piece[..part as usize]);
                taken -= part;
            }
            reader.before = (taken == 0).then_some(before);
        }
        self.passing = Some((offset, checksum));
    }

    /// The number of readers.
    pub(super) fn count(&self) -> usize {
        self.places.iter().flatten().count()
    }

    fn positions(&self) -> impl Iterator<Item = u64> {
        let readers = self.places.iter().flatten();
        readers.filter_map(|reader| reader.position)
    }

    /// True when none of them needs anything more.
    pub(super) fn is_empty(&self) -> bool {
        self.positions().next().is_none()
    }

    pub(super) fn slowest(&self) -> Option<u64> {
        self.positions().min()
    }

    pub(super) fn fastest(&self) -> Option<u64> {
        self.positions().max()
    }
}

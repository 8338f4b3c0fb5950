//! The places on the control socket: whoever gives orders has other places than everyone else, and who has said
//! nothing yet gives way to who comes, so that nobody can keep others out by holding connections.

use std::cmp::Reverse;

use crate::sys::credentials;

/// The most callers of each kind.
const PLACES: usize = 16;

/// A caller, as far as its place depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Its number: those that came later have higher ones.
    pub(super) id: u32,
    /// `None` where it couldn't be told.
    pub(super) uid: Option<u32>,
    /// Has asked, and waits for the answer.
    pub(super) waits: bool,
}

impl Place {
    /// True for who may give orders.
    pub(super) fn may_order(&self) -> bool {
        self.uid.is_some_and(credentials::may_order)
    }
}

/// Room for another caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Free,
    /// When this one has gone.
    InPlaceOf(u32),
    /// All wait for answers.
    None,
}

/// Finds room beside these for a caller that comes: where all places are taken, that of the one which came first
/// among the silent ones of the user who has most of them.
pub(super) fn room(there: &[Place], newcomer: Place) -> Room {
    let alike = || (there.iter()).filter(|place| place.may_order() == newcomer.may_order());
    if alike().count() < PLACES {
        return Room::Free;
    }
    let of_user = |uid| alike().filter(|place| place.uid == uid).count();
    let silent = alike().filter(|place| !place.waits);
    let first = silent.max_by_key(|place| (of_user(place.uid), Reverse(place.id)));
    first.map_or(Room::None, |place| Room::InPlaceOf(place.id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: Option<u32> = Some(4_000_000_000);
    const ANOTHER: Option<u32> = Some(4_000_000_001);

    /// So many callers of one user, from this number on.
    fn of(uid: Option<u32>, ids: std::ops::Range<u32>, waits: bool) -> Vec<Place> {
        ids.map(|id| Place { id, uid, waits }).collect()
    }

    #[test]
    fn who_gets_a_place() {
        let one = |uid| of(uid, 99..100, false)[0];
        let all = |parts: &[Vec<Place>]| parts.concat();
        let rows = [
            // The places of others are none of root's, and the other way round.
            (of(OTHER, 1..17, false), Some(0), Room::Free),
            (of(Some(0), 1..17, false), OTHER, Room::Free),
            (of(OTHER, 1..16, false), OTHER, Room::Free),
            // The first that came gives way.
            (of(OTHER, 1..17, false), OTHER, Room::InPlaceOf(1)),
            (of(None, 1..17, false), OTHER, Room::InPlaceOf(1)),
            (of(Some(0), 1..17, false), Some(0), Room::InPlaceOf(1)),
            // Of who has most.
            (
                all(&[of(ANOTHER, 1..2, false), of(OTHER, 2..17, false)]),
                OTHER,
                Room::InPlaceOf(2),
            ),
            (
                all(&[of(ANOTHER, 1..2, false), of(OTHER, 2..17, false)]),
                ANOTHER,
                Room::InPlaceOf(2),
            ),
            // Never one that waits for its answer.
            (
                all(&[of(Some(0), 1..16, true), of(Some(0), 16..17, false)]),
                Some(0),
                Room::InPlaceOf(16),
            ),
            (of(Some(0), 1..17, true), Some(0), Room::None),
        ];
        for (there, newcomer, expected) in rows {
            assert_eq!(
                room(&there, one(newcomer)),
                expected,
                "{newcomer:?} {there:?}"
            );
        }
    }
}

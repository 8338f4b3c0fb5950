//! The decision how much has to go from the store, or whether free pages of its index are to be given back to the disk.
//!
//! Small responses lie in the index, whose free pages (slack) take the next ones; a file needs room on the disk. So small
//! ones are asked for room or slack, and files for room, which slack becomes where it is given back.

/// Of the limit, the share that is kept free for what comes, as room or slack, and the share of it that is room.
const SPARE: u64 = 64;
const SPARE_ROOM: u64 = 128;
/// Less slack than this isn't worth giving back.
const LEAST_SLACK: u64 = 64 << 10;
/// The most bytes and files of one order.
const MOST_BYTES: u64 = 64 << 20;
const MOST_FILES: u64 = 256;

/// The store's room as it is now.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Room {
    /// The most bytes that may be used.
    pub limit: u64,
    /// It is the floor of free disk that says so, which is spare enough: what is stored doesn't go because others have
    /// filled the disk to it.
    pub is_limited_by_floor: bool,
    pub used: u64,
    /// The slack that small responses can count on, and the slack that can be given back.
    pub usable_slack: u64,
    pub returnable_slack: u64,
    /// What was refused a while ago, as one file and as one small response.
    pub wanted: u64,
    pub wanted_small: u64,
    /// What lacks of the floors of free disk and free inodes.
    pub lacking_disk: u64,
    pub lacking_inodes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    Evict { bytes: u64, files: u64 },
    Compact { bytes: u64 },
}

impl Room {
    /// The next thing to do, which is decided again when it is done.
    pub(super) fn next_step(&self) -> Step {
        let share = |part| match self.is_limited_by_floor {
            true => 0,
            false => self.limit / part,
        };
        let lacking = |spare: u64| (self.used.saturating_add(spare)).saturating_sub(self.limit);
        let may_return = self.returnable_slack >= LEAST_SLACK;
        // Where slack can't be given back, only a file that is wanted is worth the small responses that go for it.
        let spare_room = match may_return {
            true => share(SPARE_ROOM).max(self.wanted),
            false => self.wanted,
        };
        let lacking_room = lacking(spare_room).max(self.lacking_disk);
        if lacking_room > 0 && may_return {
            return Step::Compact {
                bytes: lacking_room,
            };
        }
        let spare = share(SPARE).max(self.wanted_small);
        let lacking_any = lacking(spare).saturating_sub(self.usable_slack);
        let bytes = lacking_room.max(lacking_any).min(MOST_BYTES);
        let files = self.lacking_inodes.min(MOST_FILES);
        match (bytes, files) {
            (0, 0) => Step::Nothing,
            (bytes, files) => Step::Evict { bytes, files },
        }
    }
}

/// The inodes that are left free of so many: none where the file system makes them as they are needed.
pub(super) fn inode_floor(all: u64) -> u64 {
    // Of few, some more than a hundredth: as many files may begin before free ones are counted again.
    (all / 100).max(32.min(all / 8)).min(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_has_to_go() {
        let evict = |bytes| Step::Evict { bytes, files: 0 };
        let compact = |bytes| Step::Compact { bytes };
        // A limit of 128 MiB, of which 2 are kept free, one of them as room.
        let at = |used| Room {
            limit: 128 * MIB,
            used: used * MIB,
            ..Room::default()
        };
        let slack = |used, slack: u64| Room {
            usable_slack: slack / 2 * MIB,
            returnable_slack: slack * MIB,
            ..at(used)
        };
        let kept = |used, bytes| Room {
            returnable_slack: 0,
            ..slack(used, bytes)
        };
        let rows = [
            ("empty", at(0), Step::Nothing),
            ("within", at(126), Step::Nothing),
            ("a little spare lacks", at(127), evict(MIB)),
            ("full", at(128), evict(2 * MIB)),
            ("far above: a step of it", at(500), evict(MOST_BYTES)),
            ("slack is room for small ones", slack(127, 4), Step::Nothing),
            (
                "room for files is made of slack",
                slack(128, 4),
                compact(MIB),
            ),
            ("above, with slack", slack(130, 4), compact(3 * MIB)),
            (
                "slack that can't be given back",
                kept(128, 4),
                Step::Nothing,
            ),
            ("some of it", kept(128, 2), evict(MIB)),
            ("above all the same", kept(131, 40), evict(3 * MIB)),
        ];
        for (name, room, expected) in rows {
            assert_eq!(room.next_step(), expected, "{name}");
        }
        let wanted = |room: Room| Room {
            wanted: 10 * MIB,
            ..room
        };
        let small = |room: Room| Room {
            wanted_small: 5 * MIB,
            ..room
        };
        let floor = |room: Room| Room {
            is_limited_by_floor: true,
            ..room
        };
        let below = |room: Room| Room {
            lacking_disk: 7 * MIB,
            ..room
        };
        let inodes = |lacking_inodes, room| Room {
            lacking_inodes,
            ..room
        };
        let rows = [
            ("a file that was refused", wanted(at(120)), evict(2 * MIB)),
            ("it fits", wanted(at(118)), Step::Nothing),
            ("by slack", wanted(slack(120, 4)), compact(2 * MIB)),
            ("not by slack", wanted(kept(120, 60)), evict(2 * MIB)),
            (
                "a small one that was refused",
                small(at(125)),
                evict(2 * MIB),
            ),
            ("by slack", small(kept(125, 4)), Step::Nothing),
            ("the floor is spare enough", floor(at(128)), Step::Nothing),
            ("unless wanted", wanted(floor(at(128))), evict(10 * MIB)),
            ("lower since", floor(at(130)), evict(2 * MIB)),
            ("below the floor", below(at(5)), evict(7 * MIB)),
            ("slack first", below(slack(5, 1)), compact(7 * MIB)),
            (
                "inodes",
                inodes(3, at(5)),
                Step::Evict { bytes: 0, files: 3 },
            ),
            (
                "many, and bytes",
                inodes(5000, at(127)),
                Step::Evict {
                    bytes: MIB,
                    files: MOST_FILES,
                },
            ),
        ];
        for (name, room, expected) in rows {
            assert_eq!(room.next_step(), expected, "{name}");
        }
        let garbage = Room {
            used: u64::MAX,
            wanted: u64::MAX,
            ..floor(at(0))
        };
        assert_eq!(garbage.next_step(), evict(MOST_BYTES));
    }

    #[test]
    fn inodes_that_stay_free() {
        let rows = [
            (0, 0),
            (7, 0),
            (80, 10),
            (256, 32),
            (3200, 32),
            (10_000, 100),
            (6_000_000, 1000),
        ];
        for (all, floor) in rows {
            assert_eq!(inode_floor(all), floor, "{all}");
        }
    }
}

//! Boots that ended cleanly, with the times at which everything stored was known to have reached the disk.
//!
//! A record whose boot is listed, stamped before that time, need not be verified after a reboot. One
//! line each in the file `synced`: the boot id, and Unix seconds. A line that makes no sense is ignored.

use std::path::Path;

use super::root::{Root, hex, unhex};
use crate::store::error::StoreError;
use crate::store::record::STAMPED_BACK;

/// Records of boots before these are verified once more.
const MOST_BOOTS: usize = 32;

/// Boots and times, oldest first.
#[derive(Debug, Default)]
pub struct Synced(Vec<([u8; 16], u64)>);

impl Synced {
    /// Reads the store's directory; nothing when that says nothing.
    pub fn read(root: &Path) -> Synced {
        let text = std::fs::read_to_string(root.join("synced")).unwrap_or_default();
        let boots = text.lines().filter_map(|line| {
            let (boot, time) = line.split_once(' ')?;
            Some((unhex(boot)?, time.parse().ok()?))
        });
        Synced(boots.collect())
    }

    /// True when everything stamped in this boot at this time is known to have reached the disk.
    pub fn covers(&self, boot: &[u8; 16], stamp: u64) -> bool {
        let is_before = |time| stamp.saturating_add(STAMPED_BACK) < time;
        self.0
            .iter()
            .any(|(listed, time)| listed == boot && is_before(*time))
    }

    /// Notes that everything stamped in this boot before `time` has reached the disk.
    pub fn mark(mut self, root: &Root, boot: [u8; 16], time: u64) -> Result<(), StoreError> {
        self.0.retain(|(listed, _)| *listed != boot);
        let surplus = (self.0.len() + 1).saturating_sub(MOST_BOOTS);
        self.0.drain(..surplus);
        self.0.push((boot, time));
        let boots = self.0.iter();
        let lines = boots.map(|(boot, time)| format!("{} {time}\n", hex(boot)));
        let text: String = lines.collect();
        root.replace(&root.path().join("synced"), text.as_bytes())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_kept_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::prepare(dir.path()).unwrap();
        for boot in 1..=40 {
            let mark = |time| Synced::read(dir.path()).mark(&root, [boot; 16], time);
            mark(50).unwrap();
            mark(100).unwrap();
        }
        let synced = Synced::read(dir.path());
        assert_eq!(synced.0.len(), MOST_BOOTS);
        let table = [
            (40, 97, true),
            (40, 98, false),
            (9, 0, true),
            (8, 0, false),
            (41, 0, false),
        ];
        for (boot, stamp, covered) in table {
            assert_eq!(synced.covers(&[boot; 16], stamp), covered, "{boot} {stamp}");
        }
        std::fs::write(dir.path().join("synced"), "x\nff 1\n\u{0} \n").unwrap();
        assert!(Synced::read(dir.path()).0.is_empty());
    }
}

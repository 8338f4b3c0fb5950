//! What a purge of many responses leaves: records that nothing finds any more. They lie all over the index, so that removing
//! them takes much longer than having nothing find them, and nobody has to wait for it.

use std::time::{Duration, Instant};

use super::FilesystemStore;
use super::change::Change;
use crate::store::StoreError;

/// The most records that are looked at in one transaction.
const STEP: usize = 256;

/// The outcome of a sweep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Swept {
    pub(super) records: u64,
    pub(super) bytes: u64,
    /// There is nothing left to be looked at.
    pub(super) is_done: bool,
}

impl FilesystemStore {
    /// Removes records that nothing finds any more, for so long.
    pub(super) fn sweep(&self, most: Duration) -> Result<Swept, StoreError> {
        let end = Instant::now() + most;
        let environment = self.environment()?;
        let state = self.noting_damage(&environment, |txn| environment.state(txn))?;
        let mut swept = Swept {
            is_done: state.sweep_at >= state.sweep_end,
            ..Swept::default()
        };
        while !swept.is_done && Instant::now() < end {
            let begun = swept;
            swept = self.change(|change| sweep_some(change, begun))?;
        }
        Ok(swept)
    }
}

fn sweep_some(change: &mut Change<'_>, mut swept: Swept) -> Result<Swept, StoreError> {
    for _ in 0..STEP {
        let next = change.in_queue_from(change.state.sweep_at)?;
        let Some((number, key)) = next.filter(|(number, _)| *number < change.state.sweep_end)
        else {
            (change.state.sweep_at, change.state.sweep_end) = (0, 0);
            swept.is_done = true;
            break;
        };
        if change.found(number, &key)?.is_none() {
            swept.records += 1;
            swept.bytes += change.forget_number(number)?;
        }
        change.state.sweep_at = number + 1;
    }
    Ok(swept)
}

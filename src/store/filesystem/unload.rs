//! Taking what was read of an environment out of this process's memory again, so that who reads all of it doesn't come to
//! hold all of it.

use std::ops::Range;

use crate::sys::lmdb;

/// The kernel maps this much around what is read, where it has it: a few reads are some MiB.
const AROUND: usize = 64 << 10;
const FEW: usize = 64;

/// What was read within one transaction; unloaded bit by bit, and when this is dropped.
#[derive(Default)]
pub(super) struct Unload {
    /// All of it lies within this.
    mapped: Option<Range<*const u8>>,
    /// Of all that there is the stretches of [`AROUND`] in which something was read since pages were dropped.
    last: Vec<usize>,
}

impl Unload {
    /// Notes that this was read, which lies in what an environment maps.
    pub(super) fn read(&mut self, read: &[u8]) {
        let range = read.as_ptr_range();
        self.mapped = Some(match &self.mapped {
            None => range,
            Some(before) => before.start.min(range.start)..before.end.max(range.end),
        });
        let around = read.as_ptr() as usize / AROUND;
        if self.last.last() != Some(&around) {
            self.last.push(around);
        }
        if self.last.len() >= FEW {
            self.unload();
        }
    }

    /// Drops the pages around what was read last, as far as they surely are the environment's.
    fn unload(&mut self) {
        let Some(mapped) = &self.mapped else {
            return;
        };
        for around in self.last.drain(..) {
            let start = (around * AROUND).max(mapped.start as usize);
            let end = ((around + 1) * AROUND).min(mapped.end as usize);
            lmdb::unload(start as *const u8..end as *const u8);
        }
    }
}

impl Drop for Unload {
    fn drop(&mut self) {
        // And the pages by which those were found, which lie between them.
        if let Some(mapped) = self.mapped.take() {
            lmdb::unload(mapped);
        }
    }
}

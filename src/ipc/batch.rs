//! Cuts a list of clients into messages: at most 16 fds and at most `MAX_BYTES` each.

use super::message::{Assigned, MAX_BYTES, Returned};
use crate::sys::fds::MAX_FDS;

/// The bytes of a client in a message besides those already read: ids, peer, lengths, rounded up.
const FIXED: usize = 64;

/// Something that travels in a batched message.
pub trait Item {
    /// An upper bound of its bytes in the message.
    fn weight(&self) -> usize;
}

impl<F> Item for Assigned<F> {
    fn weight(&self) -> usize {
        FIXED + self.read.len()
    }
}

impl<F> Item for Returned<F> {
    fn weight(&self) -> usize {
        FIXED + self.read.len()
    }
}

/// The number of items at the front that fit into one message; at least one when there is any.
pub fn fitting<T: Item>(items: &[T]) -> usize {
    let mut room = MAX_BYTES - FIXED;
    let mut fits = 0;
    for item in items.iter().take(MAX_FDS) {
        let Some(rest) = room.checked_sub(item.weight()) else {
            break;
        };
        room = rest;
        fits += 1;
    }
    fits.max(usize::from(!items.is_empty()))
}

/// Cuts items into as few messages as can be, in order.
pub fn split<T: Item>(mut items: Vec<T>) -> Vec<Vec<T>> {
    let mut out = Vec::new();
    while !items.is_empty() {
        let rest = items.split_off(fitting(&items));
        out.push(std::mem::replace(&mut items, rest));
    }
    out
}

//! Shared memory of the supervisor and its workers: a memory file of atomics, mapped by each of them.
//!
//! Holds what is read or counted on every request, where a message would cost too much: generations
//! of keys, visited bits for eviction, space in the store, counters. No locks, no pointers, nothing
//! that a process killed half-way leaves broken. Every value is a hint or a count, never content.
//! Each file below adds to [`Shared`] what it does with one part of it; `layout` lists the parts.

mod blocks;
mod boot;
mod counters;
mod faults;
mod fetching;
mod generations;
mod hits;
mod hosts;
mod hung;
mod known;
mod layout;
mod mapping;
mod precedents;
mod space;
mod store_state;
mod versioned;
mod visited;

pub use fetching::ClaimReply;
pub use layout::WORKERS;
pub use mapping::Shared;
pub use store_state::StoreState;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    #[test]
    fn two_mappings_see_each_other() {
        let one = Shared::create().unwrap();
        let two = Shared::from_fd(one.fd().try_clone_to_owned().unwrap()).unwrap();
        let hash = [7; 16];
        assert_eq!(two.generation(&hash), 0);
        assert_eq!(one.next_generation(&hash), 1);
        assert_eq!(two.generation(&hash), 1);
        one.invalidate(&hash);
        assert_eq!(
            (two.invalidations(&hash), two.invalidations(&[8; 16])),
            (1, 0)
        );
        two.invalidate_all();
        assert_eq!(
            (one.invalidations(&hash), one.invalidations(&[8; 16])),
            (2, 1)
        );
        assert!(!one.take_visited(&hash));
        two.visit(&hash);
        assert!(one.is_visited(&hash) && !one.is_visited(&[8; 16]));
        assert!(one.take_visited(&hash));
        assert!(!two.take_visited(&hash));
        one.set_store_down(3, true);
        one.set_store_down(5, true);
        two.set_store_down(3, false);
        assert!(two.is_store_down() && two.is_store_down_for(5) && !two.is_store_down_for(3));
        two.set_store_down(5, false);
        assert!(!one.is_store_down());
        two.counters(3).hits.fetch_add(2, Relaxed);
        assert_eq!(one.counters(3).hits.load(Relaxed), 2);
        assert_eq!(one.boot(), two.boot());
        assert_ne!(one.boot(), [0; 16]);
    }
}

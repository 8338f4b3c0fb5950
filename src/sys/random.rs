//! Random ids, each another one.

use std::fs::File;
use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// An id that nothing else has.
pub fn id() -> [u8; 16] {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut id = [0; 16];
    let read = File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut id));
    if read.is_err() {
        // Never equal to an earlier one is all that is needed.
        let (now, count) = (std::time::SystemTime::now(), COUNT.fetch_add(1, Relaxed));
        let text = format!("{now:?} {} {count}", std::process::id());
        id.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..16]);
    }
    id
}

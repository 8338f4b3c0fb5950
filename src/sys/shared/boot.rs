//! The name of this boot of the machine.

use std::fs::File;
use std::io::Read;

/// The kernel's id of this boot; None where `/proc/sys` is hidden.
pub(super) fn id() -> Option<[u8; 16]> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let digits = text.trim().replace('-', "");
    let id = u128::from_str_radix(&digits, 16);
    id.ok().map(u128::to_be_bytes)
}

/// An id that no other boot has.
pub(super) fn random() -> [u8; 16] {
    let mut id = [0; 16];
    let read = File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut id));
    if read.is_err() {
        // Never equal to an earlier one is all that is needed.
        let now = std::time::SystemTime::now();
        let text = format!("{now:?} {}", std::process::id());
        id.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..16]);
    }
    id
}

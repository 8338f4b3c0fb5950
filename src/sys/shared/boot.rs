//! The name of this boot of the machine.

/// The kernel's id of this boot; None where `/proc/sys` is hidden.
pub(super) fn id() -> Option<[u8; 16]> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let digits = text.trim().replace('-', "");
    let id = u128::from_str_radix(&digits, 16);
    id.ok().map(u128::to_be_bytes)
}

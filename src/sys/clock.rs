//! The clock that nobody sets.

use std::time::Duration;

use nix::libc;

/// The time since the machine booted, suspended or not; none where the kernel doesn't tell.
pub(crate) fn since_boot() -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes one timespec, which lives here.
    let told = unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) } == 0;
    let part = |number: i64| u64::try_from(number).unwrap_or(0);
    match told {
        true => Duration::from_secs(part(time.tv_sec)) + Duration::from_nanos(part(time.tv_nsec)),
        false => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_kernels_and_goes_on() {
        let uptime = std::fs::read_to_string("/proc/uptime").expect("uptime");
        let uptime: f64 = uptime
            .split(' ')
            .next()
            .and_then(|text| text.parse().ok())
            .expect("a number");
        let (first, second) = (since_boot(), since_boot());
        // A container may have an uptime of its own, which is shorter.
        assert!(first.as_secs_f64() > uptime - 1.0 && first <= second);
    }
}

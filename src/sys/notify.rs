//! Notifications to systemd (sd_notify(3)). Without NOTIFY_SOCKET all of it does nothing.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use sd_notify::NotifyState;

use super::printable::printable;

pub fn is_configured() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is being read again; `ready` follows.
pub fn reloading() {
    let mut state = vec![NotifyState::Reloading];
    state.extend(NotifyState::monotonic_usec_now());
    tell(&state);
}

pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// A line for `systemctl status`.
pub fn status(line: &str) {
    tell(&[NotifyState::Status(&printable(line.as_bytes()))]);
}

/// Has systemd keep this fd for the next process of the service, in place of what it keeps under this name.
pub fn keep(name: &str, fd: BorrowedFd<'_>) {
    tell(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)]);
    let state = [NotifyState::FdStore, NotifyState::FdName(name)];
    if let Err(error) = sd_notify::notify_with_fds(&state, &[fd]) {
        log::warn!("systemd doesn't keep {name} for the next start: {error}");
    }
}

/// Stopping may take this long from now, whatever the unit's TimeoutStopSec= says, unless that is longer.
pub fn stopping_takes(limit: Duration) {
    let field = format!("EXTEND_TIMEOUT_USEC={}", limit.as_micros());
    tell(&[NotifyState::Custom(&field)]);
}

pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// The time within which `alive` must be said again, when systemd watches.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// A message that systemd doesn't take is no reason to fail; the watchdog is what notices.
fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        log::debug!("systemd could not be notified: {error}");
    }
}

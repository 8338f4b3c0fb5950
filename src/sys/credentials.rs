//! The user at the other end of a Unix socket (SO_PEERCRED, unix(7)), and credentials that systemd keeps.

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;

/// The user id of the process that connected. Only the accepting side sees the truth.
pub fn peer_uid(socket: impl AsFd) -> io::Result<u32> {
    Ok(getsockopt(&socket, PeerCredentials)?.uid())
}

/// The same, where it tells one user from another: those that this process's user namespace has no id for share one.
pub fn peer_user(socket: impl AsFd) -> Option<u32> {
    /// The kernel's default of `/proc/sys/kernel/overflowuid`, the id of nobody.
    const OVERFLOW: u32 = 65534;
    let uid = peer_uid(socket).ok()?;
    (uid != OVERFLOW && uid != u32::MAX).then_some(uid)
}

/// True for root and for the user of this process, who alone may give it orders.
pub fn may_order(uid: u32) -> bool {
    uid == 0 || uid == super::user::effective()
}

/// The file of a credential that systemd gave to this service (LoadCredential=), if it did.
pub fn given(name: &str) -> Option<PathBuf> {
    let directory = PathBuf::from(std::env::var_os("CREDENTIALS_DIRECTORY")?);
    Some(directory.join(name)).filter(|file| file.exists())
}

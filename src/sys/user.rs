//! Users of the system: who runs this process, and who has a name.

use std::io;

use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
}

pub fn effective() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// The user of this name, if the system knows one.
pub fn named(name: &str) -> Option<User> {
    let user = nix::unistd::User::from_name(name).ok()??;
    let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
    Some(User { uid, gid })
}

/// Goes on as this user, for good: what root may do for somebody is done as that user.
pub fn become_user(user: &User) -> io::Result<()> {
    let group = Gid::from_raw(user.gid);
    setgroups(&[group])?;
    setgid(group)?;
    Ok(setuid(Uid::from_raw(user.uid))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_has_a_name_and_strangers_have_none() {
        assert_eq!(named("root"), Some(User { uid: 0, gid: 0 }));
        assert_eq!(named("no such user"), None);
    }
}

//! The store's directory, tried for `check`, and what is wrong with it. Workers open it, and do without where they can't.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::database::SERVICE_USER;
use crate::sys::disk;
use crate::sys::exit::Failure;
use crate::sys::user::{self, User};

/// The directory that the service makes itself, and that its sandbox lets it write to.
const SERVICE_STORE: &str = "/var/cache/cacheproxy";

/// Finds out whether the service could write to its store, as far as this user can; gives what else is to be said.
pub(super) fn check(path: &Path) -> Result<Option<String>, Failure> {
    let service = user::named(SERVICE_USER);
    let own = user::effective();
    let own_place = path.starts_with(SERVICE_STORE);
    let shown = path.display();
    if own_place && !path.exists() {
        return Ok(Some(format!(
            "{shown} will be made when the service starts"
        )));
    }
    match service {
        Some(service) if own == 0 => try_as(&service, path),
        Some(service) if own != service.uid => {
            return Ok(Some(format!(
                "whether {shown} is writable wasn't tried: run this as root for that"
            )));
        }
        _ => disk::try_writing(path),
    }
    .map_err(|error| unusable(path, &error))?;
    Ok((!own_place && service.is_some()).then(|| {
        format!(
            "the service's sandbox lets it write only below {SERVICE_STORE}: for {shown}, put \
             [Service] and ReadWritePaths={shown} into `systemctl edit cacheproxy@.service`"
        )
    }))
}

/// Finds out whether this user's own proxy could write to its store.
pub(super) fn check_own(path: &Path) -> Result<(), Failure> {
    disk::try_writing(path).map_err(|error| unusable(path, &error))
}

/// Tries as another user, in a process of its own: that takes every directory above and every ACL into account.
fn try_as(user: &User, directory: &Path) -> io::Result<()> {
    std::fs::metadata(directory)?;
    let [is_directory, writable, usable, and] = ["-d", "-w", "-x", "-a"].map(OsStr::new);
    let directory = directory.as_os_str();
    let usable = Command::new("test")
        .args([is_directory, directory, and, writable, directory])
        .args([and, usable, directory])
        .gid(user.gid)
        .uid(user.uid)
        .current_dir("/")
        .stdin(Stdio::null())
        .status()?;
    if usable.success() {
        return Ok(());
    }
    let message = format!("user {SERVICE_USER} may not write there");
    Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
}

fn unusable(directory: &Path, error: &io::Error) -> Failure {
    let kind = error.kind();
    let directory = directory.display();
    if kind == io::ErrorKind::PermissionDenied || kind == io::ErrorKind::ReadOnlyFilesystem {
        return Failure::no_permission(format!(
            "the store's directory {directory} isn't writable: {error}; make it so, or choose another \
             (store_path in the configuration, --store on the command line)"
        ));
    }
    Failure::unavailable(format!(
        "the store's directory {directory} can't be used: {error}"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn root_tries_as_the_service_would() {
        if user::effective() != 0 {
            return;
        }
        let Some(nobody) = user::named("nobody") else {
            return;
        };
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("store");
        fs::create_dir(&inner).unwrap();
        let table = [
            (0o755, 0o777, None),
            (0o755, 0o755, Some(io::ErrorKind::PermissionDenied)),
            (0o700, 0o777, Some(io::ErrorKind::PermissionDenied)),
        ];
        for (outer_mode, inner_mode, expected) in table {
            fs::set_permissions(dir.path(), Permissions::from_mode(outer_mode)).unwrap();
            fs::set_permissions(&inner, Permissions::from_mode(inner_mode)).unwrap();
            let outcome = try_as(&nobody, &inner).err().map(|error| error.kind());
            assert_eq!(outcome, expected, "{outer_mode:o} {inner_mode:o}");
        }
        let missing = dir.path().join("missing");
        assert!(try_as(&nobody, &missing).is_err());
    }
}

//! The secret of this installation, by which one client is told from another (`cache::owner`): random bytes in a file of
//! the store's directory, that all workers read. With a database too, so that no other host has it.

use std::fs::{File, rename};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ring::rand::{SecureRandom, SystemRandom};

use super::StoreError;
use crate::cache::owner::Secret;
use crate::sys::disk;

const NAME: &str = "secret";

/// The secret that is in this directory; made where there is none, by one process for all.
pub(crate) fn secret(directory: &Path) -> Result<Secret, StoreError> {
    let path = directory.join(NAME);
    let at = |error| StoreError::at(&path)(error);
    if let Some(secret) = read(&path).map_err(at)? {
        return Ok(secret);
    }
    let _lock = disk::lock_directory(directory).map_err(StoreError::at(directory))?;
    // Another may have made it meanwhile.
    match read(&path).map_err(at)? {
        Some(secret) => Ok(secret),
        None => make(directory, &path).map_err(at),
    }
}

/// The secret in this file; `None` where there isn't one, or what is there isn't whole.
fn read(path: &Path) -> io::Result<Option<Secret>> {
    let mut file = match disk::open(path, false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut secret = Secret::default();
    match file.read_exact(&mut secret) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        outcome => outcome.map(|()| Some(secret)),
    }
}

/// Makes the file, whole when it gets its name. Under the lock.
fn make(directory: &Path, path: &Path) -> io::Result<Secret> {
    let mut secret = Secret::default();
    let filled = SystemRandom::new().fill(&mut secret);
    filled.map_err(|_| io::Error::other("the kernel has no random bytes"))?;
    // One that a crash left.
    let new = directory.join(format!("{NAME}.new"));
    let _ = std::fs::remove_file(&new);
    let mut options = File::options();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(&secret)?;
    file.sync_all()?;
    rename(&new, path)?;
    Ok(secret)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_made_once() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let all: Vec<Secret> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| secret(one.path()).unwrap()))
                .collect();
            threads.into_iter().map(|it| it.join().unwrap()).collect()
        });
        assert!(
            all.iter()
                .all(|it| *it == all[0] && *it != Secret::default())
        );
        assert_ne!(secret(other.path()).unwrap(), all[0]);
        let path = one.path().join(NAME);
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // What a crash cut short is made anew, and stays.
        std::fs::write(&path, b"short").unwrap();
        let again = secret(one.path()).unwrap();
        assert!(again != all[0] && secret(one.path()).unwrap() == again);
        assert!(secret(&one.path().join("none")).is_err());
    }
}

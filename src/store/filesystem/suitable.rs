//! The file systems that a store can be on: those of this machine's own disks, whose files can be locked and mapped. LMDB
//! doesn't work on others, and says nothing when it damages itself there.

use std::path::Path;

use crate::store::StoreError;
use crate::sys::disk;
use crate::sys::file_system::{self, Mapping};

/// Refuses a directory that a store can't be in, with the reason. It has to be there.
pub(crate) fn check(path: &Path) -> Result<(), StoreError> {
    let unsuitable = |reason: String| StoreError::Unsuitable {
        path: path.to_owned(),
        reason,
    };
    let at = StoreError::at(path);
    if let Some(name) = file_system::network(path).map_err(at)? {
        return Err(unsuitable(format!("{name} lies on another machine")));
    }
    let mapping = match disk::trial(path).and_then(|file| file_system::map(&file)) {
        // It was, when the store was made.
        Err(error) if disk::is_full(&error) => return Ok(()),
        mapping => mapping.map_err(at)?,
    };
    match mapping {
        Mapping::Coherent => Ok(()),
        Mapping::Incoherent => Err(unsuitable(
            "a file that is mapped doesn't show there what is written to it".to_owned(),
        )),
        Mapping::Refused(why) => Err(unsuitable(format!("files can't be mapped there ({why})"))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_this_machine_is_suitable() {
        let dir = tempfile::tempdir().unwrap();
        check(dir.path()).unwrap();
        let refused = check(&dir.path().join("missing")).unwrap_err();
        assert!(refused.to_string().contains("missing"), "{refused}");
        let refused = check(Path::new("/proc")).unwrap_err();
        assert!(refused.to_string().contains("/proc"), "{refused}");
    }
}

//! A sealed memory file: bytes that travel to another process as one fd (memfd_create(2)).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// The most bytes `read` takes: what is sent this way is configuration, and a peer can't make us
/// read without end.
pub const MAX: u64 = 4 << 20;

/// Makes a memory file that holds `bytes` and can't be changed any more.
pub fn sealed(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let fd = memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    let mut file = File::from(fd);
    file.write_all(bytes)?;
    let seals = SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_WRITE
        | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file.into())
}

/// Reads the whole of a memory file from its start.
pub fn read(fd: impl AsFd) -> io::Result<Vec<u8>> {
    let mut file = File::from(super::fds::duplicate(fd)?);
    let length = file.metadata()?.len();
    if length > MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    file.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_reads_back_and_cannot_be_changed() {
        let fd = sealed("test", b"workers = 2\n").unwrap();
        assert_eq!(read(&fd).unwrap(), b"workers = 2\n");
        assert_eq!(
            read(&fd).unwrap(),
            b"workers = 2\n",
            "reading again starts over"
        );
        assert!(File::from(fd).write_all(b"x").is_err());
    }
}

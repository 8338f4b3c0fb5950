//! A sealed memory file: bytes that travel to another process as one fd (memfd_create(2)).

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

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
    let sizes = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
    let seals = sizes | SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file.into())
}

/// Reads the whole of a memory file. By position, because every process it was sent to shares one offset.
pub fn read(fd: impl AsFd) -> io::Result<Vec<u8>> {
    let file = File::from(super::fds::duplicate(fd)?);
    let length = file.metadata()?.len();
    if length > MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Seek;

    #[test]
    fn what_is_sealed_reads_back_and_cannot_be_changed() {
        let fd = sealed("test", b"workers = 2\n").unwrap();
        assert_eq!(read(&fd).unwrap(), b"workers = 2\n");
        assert_eq!(
            read(&fd).unwrap(),
            b"workers = 2\n",
            "reading again starts over"
        );
        assert_eq!(
            File::from(fd.try_clone().unwrap())
                .stream_position()
                .unwrap(),
            12,
            "the offset that all its readers share is left alone"
        );
        assert!(File::from(fd).write_all(b"x").is_err());
    }
}

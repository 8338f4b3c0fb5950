//! The file system that a path is on: its kind, and whether files can be mapped there as a database of pages needs it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use memmap2::MmapOptions;
use nix::sys::statfs::statfs;

/// File systems that lie on another machine, by their number (statfs(2)).
const NETWORK: [(u64, &str); 12] = [
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x517b, "SMB"),
    (0x0102_1997, "9p"),
    (0x00c3_6400, "CephFS"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x564c, "NCP"),
    (0x0bd0_0bd0, "Lustre"),
    (0x7461_636f, "OCFS2"),
];
const FUSE: u64 = 0x6573_5546;
/// Programs of FUSE that do, by their names in the mount's type.
const NETWORK_FUSE: [&str; 12] = [
    "sshfs",
    "glusterfs",
    "s3fs",
    "rclone",
    "davfs",
    "curlftpfs",
    "ceph",
    "smbnetfs",
    "gcsfuse",
    "juicefs",
    "mfs",
    "mount-s3",
];

/// The name of the file system that `path` is on, if it lies on another machine.
pub(crate) fn network(path: &Path) -> io::Result<Option<String>> {
    // Its type differs between architectures.
    let number = statfs(path)?.filesystem_type().0 as u64 & 0xffff_ffff;
    if number == FUSE {
        let kind = fuse_kind(path)?;
        return Ok(kind.filter(|kind| NETWORK_FUSE.iter().any(|name| kind.contains(name))));
    }
    let found = NETWORK.iter().find(|(of, _)| *of == number);
    Ok(found.map(|(_, name)| (*name).to_owned()))
}

/// The type of the mount that has `path`, as in `fuse.sshfs`; none where it isn't listed.
fn fuse_kind(path: &Path) -> io::Result<Option<String>> {
    let device = fs::metadata(path)?.dev();
    let device = format!("{}:{}", major(device), minor(device));
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    Ok(mounts.lines().find_map(|line| kind_of(line, &device)))
}

/// The type of the mount in a line of mountinfo (proc(5)), if it is of this device.
fn kind_of(line: &str, device: &str) -> Option<String> {
    let (before, after) = line.split_once(" - ")?;
    let of_device = before.split(' ').nth(2)? == device;
    of_device.then(|| after.split(' ').next().map(str::to_owned))?
}

fn major(device: u64) -> u64 {
    ((device >> 8) & 0xfff) | ((device >> 32) & !0xfff)
}

fn minor(device: u64) -> u64 {
    (device & 0xff) | ((device >> 12) & !0xff)
}

/// What becomes of a file that is mapped.
#[derive(Debug)]
pub(crate) enum Mapping {
    /// It shows what is written to it.
    Coherent,
    /// It shows something else.
    Incoherent,
    /// It can't be.
    Refused(io::Error),
}

/// Maps this file, which is nobody else's, for a trial.
pub(crate) fn map(file: &File) -> io::Result<Mapping> {
    file.write_all_at(&[1], 0)?;
    let map = match MmapOptions::new().len(1).map_raw_read_only(file) {
        Ok(map) => map,
        Err(why) => return Ok(Mapping::Refused(why)),
    };
    let mapped = || {
        // SAFETY: the mapping is one byte long, within a file of that length that nobody else has open, and lives as
        // long as `map`; it is read as volatile, since the file is written to meanwhile.
        unsafe { map.as_ptr().read_volatile() }
    };
    let before = mapped();
    file.write_all_at(&[2], 0)?;
    Ok(match (before, mapped()) {
        (1, 2) => Mapping::Coherent,
        _ => Mapping::Incoherent,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_local_file_system_is_none_of_a_network_and_maps() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(network(dir.path()).unwrap(), None);
        assert_eq!(network(Path::new("/proc")).unwrap(), None);
        let file = tempfile::tempfile_in(dir.path()).unwrap();
        assert!(matches!(map(&file).unwrap(), Mapping::Coherent));
    }

    #[test]
    fn the_kind_of_a_mount_is_in_its_line() {
        let line = "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - fuse.sshfs me@host:/ rw,user_id=0";
        assert_eq!(kind_of(line, "98:0").as_deref(), Some("fuse.sshfs"));
        assert_eq!(kind_of(line, "98:1"), None);
        assert_eq!(kind_of("nonsense", "98:0"), None);
        // As the kernel puts them into one number (makedev(3)).
        assert_eq!((major(0x0801), minor(0x0801)), (8, 1));
        assert_eq!((major(0x10_0022), minor(0x10_0022)), (0, 0x122));
    }
}

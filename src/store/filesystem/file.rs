//! Files of large content: the content from the beginning, then the checksums of its blocks, the encoded head of its
//! record and a footer (`store::blocks`). Their names are random ids of the content, so that none ever takes another's
//! place.
//!
//! No fsync: after an unclean boot lengths and checksums decide what is still good.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::root::hex;
use crate::store::blocks::{BlockChecks, BlockSums, FileId, Footer, encode_sums};
use crate::store::checksum::Checksum;
use crate::store::draft::TemporaryName;
use crate::store::record::MOST_META;
use crate::store::{Content, OpenFiles, StoreError};
use crate::sys::disk;
use crate::sys::random;
use crate::sys::shared::Shared;

/// The most bytes that a head may take: the metadata and what is of fixed size.
const MOST_HEAD: usize = MOST_META + (64 << 10);

/// The name of a large file that is to be.
pub fn new_id() -> FileId {
    random::id()
}

/// The place of a large file below the directory of all of them.
pub fn path(files: &Path, id: &FileId) -> PathBuf {
    files.join(format!("{:02x}/{}", id[0], hex(id)))
}

/// The size that counts against the limit for a file of this length: whole blocks of the disk. Not what the file system
/// says, which changes when it gets to writing: what is added must be what is taken away.
pub fn counted(length: u64) -> u64 {
    length.div_ceil(4096).saturating_mul(4096)
}

/// The length of the file of content of this length with a head of this one.
pub fn length(content: u64, head: usize) -> u64 {
    let (id, head) = (FileId::default(), u32::try_from(head).unwrap_or(u32::MAX));
    let footer = Footer {
        id,
        content,
        head,
        head_checksum: 0,
    };
    footer.length().unwrap_or(u64::MAX)
}

/// Writes content that has been in memory until now, and sums it up.
pub fn write_content(file: &File, parts: &[Bytes]) -> io::Result<Vec<u128>> {
    let mut sums = BlockSums::default();
    let mut at = 0;
    for part in parts {
        file.write_all_at(part, at)?;
        sums.take(at, part);
        at += part.len() as u64;
    }
    sums.finish(file, at)
}

/// Makes a file of this id whole behind its content, which is so long and has these sums; the file's length.
pub fn complete(
    file: &File,
    id: FileId,
    content: u64,
    sums: &[u128],
    head: &[u8],
) -> io::Result<u64> {
    let too_large = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let footer = Footer {
        id,
        content,
        head: u32::try_from(head.len()).map_err(too_large)?,
        head_checksum: Checksum::of(head),
    };
    let end = [&encode_sums(sums), head, &footer.encode()].concat();
    file.write_all_at(&end, content)?;
    let length = content + end.len() as u64;
    file.set_len(length)?;
    Ok(length)
}

/// Gives a whole file its name, which nobody has, in a directory that is made when it is missing.
pub fn name(file: &File, temporary: Option<TemporaryName>, path: &Path) -> Result<(), StoreError> {
    let named = match temporary {
        None => within(path, || disk::name(file, path)),
        Some(temporary) => {
            within(path, || std::fs::rename(temporary.path(), path)).map(|()| temporary.keep())
        }
    };
    named.map_err(StoreError::at(path))
}

/// Does this again with the path's directory, where that is missing.
fn within(path: &Path, act: impl Fn() -> io::Result<()>) -> io::Result<()> {
    match (act(), path.parent()) {
        (Err(error), Some(directory)) if error.kind() == io::ErrorKind::NotFound => {
            let made = DirBuilder::new()
                .mode(disk::DIRECTORY_MODE)
                .create(directory);
            match made {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
                _ => act(),
            }
        }
        (done, _) => done,
    }
}

/// A large file as its index says it is.
#[derive(Debug, Clone, Copy)]
pub struct LargeFile {
    pub id: FileId,
    /// The length of the content.
    pub content: u64,
}

impl LargeFile {
    /// Opens it to be sent; none when it isn't there, isn't whole or is no file. Its blocks are checked when they are
    /// needed.
    pub fn open(
        self,
        files: &Path,
        shared: &Arc<Shared>,
        open_files: &OpenFiles,
    ) -> Result<Option<Content>, StoreError> {
        let path = path(files, &self.id);
        let at = StoreError::at(&path);
        let file = match disk::open(&path, false) {
            Err(error) if error.kind() == io::ErrorKind::NotFound || disk::is_link(&error) => {
                return Ok(None);
            }
            file => file.map_err(at)?,
        };
        let metadata = file.metadata().map_err(at)?;
        if !metadata.is_file() || metadata.len() < length(self.content, 0) {
            return Ok(None);
        }
        let file = Arc::new(file);
        open_files.add(&file);
        // Whoever evicts it sees that it goes on taking disk.
        let _ = disk::mark_in_use(&file);
        let blocks = BlockChecks::new(self.id, self.content, shared.clone());
        Ok(Some(Content::File {
            file,
            offset: 0,
            len: self.content,
            blocks: Some(Arc::new(blocks)),
        }))
    }
}

/// Reads the footer and the encoded head of the file with this id; the inner error says what is wrong with it.
pub fn read_head(file: &File, id: &FileId) -> io::Result<Result<(Footer, Vec<u8>), &'static str>> {
    if !file.metadata()?.is_file() {
        return Ok(Err("it is not an ordinary file"));
    }
    let footer = match Footer::read(file)? {
        Ok(footer) => footer,
        Err(why) => return Ok(Err(why)),
    };
    if footer.id != *id {
        return Ok(Err("it is another file"));
    }
    if footer.head as usize > MOST_HEAD {
        return Ok(Err("its lengths make no sense"));
    }
    let mut head = vec![0; footer.head as usize];
    match file.read_exact_at(&mut head, footer.head_at()) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Ok(Err("it is truncated"));
        }
        read => read?,
    }
    Ok(match Checksum::of(&head) == footer.head_checksum {
        true => Ok((footer, head)),
        false => Err("its head does not check"),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::store::blocks::BLOCK;
    use crate::store::suite;

    const HEAD: &[u8] = b"the encoded head";

    struct Bench {
        dir: tempfile::TempDir,
        shared: Arc<Shared>,
        open_files: OpenFiles,
    }

    fn bench() -> Bench {
        Bench {
            dir: tempfile::tempdir().unwrap(),
            shared: Arc::new(Shared::create().unwrap()),
            open_files: OpenFiles::default(),
        }
    }

    impl Bench {
        /// Stores this content.
        fn store(&self, content: &Bytes) -> LargeFile {
            let id = new_id();
            let file = disk::unnamed(self.dir.path()).unwrap();
            let sums = write_content(&file, &[content.slice(..9), content.slice(9..)]).unwrap();
            let len = content.len() as u64;
            let written = complete(&file, id, len, &sums, HEAD).unwrap();
            assert_eq!(written, length(len, HEAD.len()));
            name(&file, None, &path(self.dir.path(), &id)).unwrap();
            LargeFile { id, content: len }
        }

        fn open(&self, file: LargeFile) -> Option<Content> {
            (file.open(self.dir.path(), &self.shared, &self.open_files)).unwrap()
        }

        /// The content from this place on as far as it can be read, none where it doesn't check there.
        fn read(&self, file: LargeFile, at: u64) -> Option<Bytes> {
            let content = self.open(file)?;
            match content.piece(at) {
                Ok(piece) => Some(piece),
                Err(StoreError::Damaged(_)) => None,
                Err(other) => panic!("{other}"),
            }
        }
    }

    #[test]
    fn what_is_stored_is_read_back() {
        let bench = bench();
        for len in [10, BLOCK, BLOCK + 1, 3 * BLOCK - 5] {
            let content = suite::content(len, 1);
            let file = bench.store(&content);
            let mut read = Vec::new();
            let opened = bench.open(file).unwrap();
            let take = &mut |part: &[u8]| {
                read.extend_from_slice(part);
                true
            };
            opened.each_part(take).unwrap();
            assert!(read == content, "{len}");
            let plain = File::open(path(bench.dir.path(), &file.id)).unwrap();
            let (footer, head) = read_head(&plain, &file.id).unwrap().unwrap();
            assert_eq!((footer.content, &head[..]), (len, HEAD));
            assert!(read_head(&plain, &[0; 16]).unwrap().is_err());
        }
        // With a temporary name, as where there are no unnamed files.
        let temporary = bench.dir.path().join("temporary");
        let file = File::create_new(&temporary).unwrap();
        let target = path(bench.dir.path(), &[0xfe; 16]);
        name(&file, Some(TemporaryName::new(temporary.clone())), &target).unwrap();
        assert!(target.exists() && !temporary.exists());
    }

    #[test]
    fn damage_is_seen_wherever_it_is_and_the_rest_is_read() {
        let bench = bench();
        let content = suite::content(3 * BLOCK + 100, 1);
        let sums = content.len();
        let starts: Vec<u64> = (0..4).map(|block| block * BLOCK).collect();
        // (what is damaged, where, the blocks that can't be read then)
        let rows: &[(&str, usize, &[u64])] = &[
            ("first block", 0, &[0]),
            ("its last byte", BLOCK as usize - 1, &[0]),
            ("second block", BLOCK as usize, &[1]),
            ("last block", sums - 1, &[3]),
            ("first sum", sums, &[0]),
            ("last sum", sums + 63, &[3]),
            // Its record has one, too.
            ("head", sums + 64, &[]),
            ("footer", sums + 64 + HEAD.len(), &[0, 1, 2, 3]),
            (
                "end",
                length(sums as u64, HEAD.len()) as usize - 1,
                &[0, 1, 2, 3],
            ),
        ];
        for (what, at, expected) in rows {
            let file = bench.store(&content);
            let path = path(bench.dir.path(), &file.id);
            let written = File::options().read(true).write(true).open(&path).unwrap();
            let modified = written.metadata().unwrap().modified().unwrap();
            let mut byte = [0];
            written.read_exact_at(&mut byte, *at as u64).unwrap();
            written.write_all_at(&[byte[0] ^ 0x10], *at as u64).unwrap();
            written.set_modified(modified).unwrap();
            for _ in 0..2 {
                let is_lost = |at: &&u64| bench.read(file, **at).is_none();
                let lost: Vec<u64> = starts.iter().filter(is_lost).map(|at| at / BLOCK).collect();
                assert_eq!(lost, *expected, "{what}");
            }
            let is_whole = read_head(&written, &file.id).unwrap().is_ok();
            assert_eq!(is_whole, *at < sums + 64, "{what}");
        }
    }

    #[test]
    fn a_block_is_read_once_and_again_when_something_has_written_to_it() {
        let bench = bench();
        let file = bench.store(&suite::content(2 * BLOCK, 1));
        let Some(Content::File {
            file: opened,
            blocks,
            ..
        }) = bench.open(file)
        else {
            panic!("not there");
        };
        let blocks = blocks.unwrap();
        assert!(!blocks.is_checked(&opened, 0));
        blocks.ensure(&opened, 5, BLOCK - 5).unwrap();
        assert!(blocks.is_checked(&opened, 0) && !blocks.is_checked(&opened, 1));
        // Another worker, too, need not.
        let other = BlockChecks::new(file.id, file.content, bench.shared.clone());
        assert!(other.is_checked(&opened, 0));
        let another = BlockChecks::new(new_id(), file.content, bench.shared.clone());
        assert!(!another.is_checked(&opened, 0));
        let damaged = another.check(&opened, 0).unwrap_err();
        assert!(damaged.to_string().contains("another file"), "{damaged}");
        let path = path(bench.dir.path(), &file.id);
        let written = File::options().write(true).open(&path).unwrap();
        let limit = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while blocks.is_checked(&opened, 0) && std::time::Instant::now() < limit {
            written.write_all_at(b"damage", 9).unwrap();
        }
        assert!(matches!(
            blocks.ensure(&opened, 0, 1),
            Err(StoreError::Damaged(_))
        ));
        blocks.ensure(&opened, BLOCK, 1).unwrap();
        // Cut short while it is open.
        written.set_len(BLOCK + 9).unwrap();
        assert!(matches!(
            blocks.check(&opened, 1),
            Err(StoreError::Damaged(_))
        ));
    }

    #[test]
    fn what_is_no_whole_file_is_not_there() {
        let bench = bench();
        let file = bench.store(&suite::content(BLOCK, 1));
        let path = path(bench.dir.path(), &file.id);
        let written = File::options().write(true).open(&path).unwrap();
        written.set_len(BLOCK + 20).unwrap();
        assert!(bench.open(file).is_none(), "truncated");
        std::fs::remove_file(&path).unwrap();
        assert!(bench.open(file).is_none(), "gone");
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(bench.open(file).is_none(), "a link");
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(bench.open(file).is_none(), "a directory");
        std::fs::remove_dir(&path).unwrap();
        disk::make_pipe(&path).unwrap();
        assert!(bench.open(file).is_none(), "a pipe");
    }
}

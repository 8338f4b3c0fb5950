//! Files of large content: the content from the beginning, then the checksums of its blocks, the encoded head of its
//! record and a footer (`store::blocks`).
//!
//! No fsync: after an unclean boot lengths and checksums decide what is still good.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;

use crate::store::blocks::{BlockChecks, Footer, OfFile, encode_sums};
use crate::store::checksum::Checksum;
use crate::store::draft::{Draft, Reservation, TemporaryName};
use crate::store::record::head::{self, ContentPlace, FileId, MOST_HEAD, RecordHead};
use crate::store::{Content, StoreError};

/// A file that is whole and has no name yet.
pub struct CompleteFile {
    pub file: Arc<File>,
    pub name: Option<TemporaryName>,
    /// Held until the record counts as stored.
    pub reservation: Reservation,
}

/// Makes the file of this id of a draft, whose content is written, and the head of its record.
pub fn complete(draft: Draft, head: &RecordHead, id: FileId) -> Result<CompleteFile, StoreError> {
    let sums = draft.block_sums(head.content)?;
    let head_bytes = head::encode(head)?;
    let footer = Footer {
        id,
        content: head.content,
        head: u32::try_from(head_bytes.len()).unwrap_or(u32::MAX),
        head_checksum: Checksum::of(&head_bytes),
    };
    let end = [&encode_sums(&sums), &head_bytes[..], &footer.encode()].concat();
    let length = head.content + end.len() as u64;
    draft.reservation.cover(length)?;
    let (file, name, reservation) = draft.into_parts();
    let at = StoreError::at(&reservation.path);
    file.write_all_at(&end, head.content).map_err(at)?;
    file.set_len(length).map_err(at)?;
    Ok(CompleteFile {
        file,
        name,
        reservation,
    })
}

/// The content of a file, each block of which is checked before it is used; none where the file isn't a whole one.
pub fn content(file: Arc<File>, of: OfFile) -> io::Result<Option<Content>> {
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() < Footer::least(of.content) {
        return Ok(None);
    }
    Ok(Some(Content::File {
        file,
        offset: 0,
        len: of.content,
        blocks: Some(Arc::new(BlockChecks::new(of))),
    }))
}

/// Reads the head of the record of the file with this id; the inner error says what is wrong with it.
pub fn read_head(file: &File, id: &FileId) -> io::Result<Result<RecordHead, &'static str>> {
    match read_end(file, id) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Err("it is truncated")),
        read => read,
    }
}

fn read_end(file: &File, id: &FileId) -> io::Result<Result<RecordHead, &'static str>> {
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
    let mut bytes = vec![0; footer.head as usize];
    file.read_exact_at(&mut bytes, footer.head_at())?;
    if Checksum::of(&bytes) != footer.head_checksum {
        return Ok(Err("its head does not check"));
    }
    let length = bytes.len();
    Ok(head::decode(&Bytes::from(bytes)).and_then(|(head, end)| {
        let is_its = head.place == ContentPlace::File(*id) && head.content == footer.content;
        match is_its && end == length {
            true => Ok(head),
            false => Err("its head is another file's"),
        }
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::PathBuf;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::store::blocks::BLOCK;
    use crate::store::blocks::damaged::{DamagedFile, DamagedFiles};
    use crate::store::suite;
    use crate::sys::disk;
    use crate::sys::shared::Shared;

    const ID: FileId = [0xab; 16];

    struct Bench {
        dir: tempfile::TempDir,
        shared: Arc<Shared>,
        damaged: Arc<DamagedFiles>,
    }

    fn bench() -> Bench {
        Bench {
            dir: tempfile::tempdir().unwrap(),
            shared: Arc::new(Shared::create().unwrap()),
            damaged: Arc::default(),
        }
    }

    fn head_of(content: &Bytes, id: FileId) -> RecordHead {
        RecordHead {
            meta: suite::plain("GET http://a/"),
            order: 0,
            content: content.len() as u64,
            content_checksum: Checksum::of(content),
            place: ContentPlace::File(id),
        }
    }

    impl Bench {
        fn path(&self) -> PathBuf {
            self.dir.path().join("file")
        }

        /// Stores this content in place of another.
        fn store(&self, content: &Bytes, id: FileId) {
            let _ = std::fs::remove_file(self.path());
            let path = self.dir.path();
            let reservation = Reservation::reserve_small(&self.shared, 0, path, 0).unwrap();
            let draft = Draft::new(disk::unnamed(path).unwrap().into(), reservation, None);
            for (number, part) in content.chunks(300_000).enumerate() {
                draft.write_at(part, number as u64 * 300_000).unwrap();
            }
            let complete = complete(draft, &head_of(content, id), id).unwrap();
            disk::name(&complete.file, &self.path()).unwrap();
            assert!(self.shared.used() >= complete.file.metadata().unwrap().len());
        }

        fn open(&self, content: u64, id: FileId) -> Option<Content> {
            let of = OfFile {
                id,
                content,
                entry: (*b"entry").into(),
                shared: self.shared.clone(),
                damaged: self.damaged.clone(),
            };
            super::content(Arc::new(File::open(self.path()).unwrap()), of).unwrap()
        }

        fn write(&self) -> File {
            let mut options = File::options();
            options.read(true).write(true).open(self.path()).unwrap()
        }
    }

    #[test]
    fn what_is_stored_is_read_back() {
        let bench = bench();
        for len in [0, 10, BLOCK, BLOCK + 1, 3 * BLOCK - 5] {
            let content = suite::content(len, 1);
            bench.store(&content, ID);
            let mut read = Vec::new();
            let opened = bench.open(len, ID).unwrap();
            let take = &mut |part: &[u8]| {
                read.extend_from_slice(part);
                true
            };
            opened.each_part(take).unwrap();
            assert!(read == content, "{len}");
            let file = bench.write();
            let head = read_head(&file, &ID).unwrap().unwrap();
            assert_eq!(head, head_of(&content, ID));
            assert!(read_head(&file, &[0; 16]).unwrap().is_err());
            assert_eq!(bench.damaged.take(), []);
        }
    }

    #[test]
    fn damage_is_seen_wherever_it_is_and_the_rest_is_read() {
        let bench = bench();
        let content = suite::content(3 * BLOCK + 100, 1);
        let len = content.len() as u64;
        let starts = [0, BLOCK, 2 * BLOCK, 3 * BLOCK];
        bench.store(&content, ID);
        let end = bench.write().metadata().unwrap().len();
        // (what is damaged, where, the blocks that can't be read then)
        let rows: &[(&str, u64, &[u64])] = &[
            ("first block", 0, &[0]),
            ("its last byte", BLOCK - 1, &[0]),
            ("second block", BLOCK, &[1]),
            ("last block", len - 1, &[3]),
            ("first sum", len, &[0]),
            ("last sum", len + 63, &[3]),
            // The index has that, too.
            ("head", len + 64, &[]),
            ("end of the head", end - 73, &[]),
            ("footer", end - 72, &[0, 1, 2, 3]),
            ("end", end - 1, &[0, 1, 2, 3]),
        ];
        for (number, (what, at, expected)) in rows.iter().enumerate() {
            let id = [number as u8; 16];
            bench.store(&content, id);
            let file = bench.write();
            let modified = file.metadata().unwrap().modified().unwrap();
            let mut byte = [0];
            file.read_exact_at(&mut byte, *at).unwrap();
            file.write_all_at(&[byte[0] ^ 0x10], *at).unwrap();
            file.set_modified(modified).unwrap();
            for _ in 0..2 {
                let opened = bench.open(len, id).unwrap();
                let is_lost = |at: &&u64| match opened.piece(**at) {
                    Ok(piece) => {
                        assert!(content[**at as usize..].starts_with(&piece), "{what}");
                        false
                    }
                    Err(error) => matches!(error, StoreError::Damaged(_)),
                };
                let lost: Vec<u64> = starts.iter().filter(is_lost).map(|at| at / BLOCK).collect();
                assert_eq!(lost, *expected, "{what}");
                let noted: Vec<DamagedFile> = bench.damaged.take();
                assert_eq!(noted.len(), usize::from(!expected.is_empty()), "{what}");
                assert!(noted.iter().all(|it| it.id == id && *it.entry == *b"entry"));
            }
            let is_whole = read_head(&file, &id).unwrap().is_ok();
            assert_eq!(is_whole, *at < len + 64, "{what}");
        }
    }

    #[test]
    fn a_block_is_read_once_and_again_when_something_has_written_to_it() {
        let bench = bench();
        let len = 2 * BLOCK;
        bench.store(&suite::content(len, 1), ID);
        let checks = |id| match bench.open(len, id) {
            Some(Content::File { file, blocks, .. }) => (file, blocks.unwrap()),
            other => panic!("{other:?}"),
        };
        let (file, blocks) = checks(ID);
        assert!(!blocks.is_checked(&file, 0));
        blocks.ensure(&file, 5, BLOCK - 5).unwrap();
        assert!(blocks.is_checked(&file, 0) && !blocks.is_checked(&file, 1));
        // Whoever else opens it need not; under another name it is another file.
        assert!(checks(ID).1.is_checked(&file, 0));
        let another = checks([1; 16]).1;
        assert!(!another.is_checked(&file, 0));
        let damaged = another.check(&file, 0).unwrap_err().to_string();
        assert!(damaged.contains("another file"), "{damaged}");
        let written = bench.write();
        let limit = Instant::now() + Duration::from_secs(10);
        while blocks.is_checked(&file, 0) && Instant::now() < limit {
            written.write_all_at(b"damage", 9).unwrap();
        }
        let is_damaged = |outcome| matches!(outcome, Err(StoreError::Damaged(_)));
        assert!(is_damaged(blocks.ensure(&file, 0, 1)));
        blocks.ensure(&file, BLOCK, 1).unwrap();
        // Cut short while it is open.
        written.set_len(BLOCK + 9).unwrap();
        assert!(is_damaged(blocks.check(&file, 1)));
        assert!(bench.open(len, ID).is_none());
    }
}

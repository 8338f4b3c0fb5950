//! Reads a record, or the index of a key's variants, from a file: in one read when it is small.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use bytes::Bytes;

use super::index::{self, Index};
use super::{MOST_META, PRELUDE, Prelude, in_slot, meta, text};
use crate::cache::sound;
use crate::cache::stored::Meta;
use crate::store::checksum::Checksum;
use crate::store::{Content, Object, SMALL};

/// Files up to this size are read whole at once.
const AT_ONCE: u64 = SMALL + (32 << 10);
/// Of larger ones this much first, which usually holds the prelude and both slots.
const FIRST: u64 = 8 << 10;

/// A file as it turned out to be.
#[derive(Debug)]
pub enum StoredFile {
    /// A record that checks, save for large content, which is not read.
    Record(Box<Record>),
    /// An index of variants.
    Index(Index),
    /// Neither; the text says why.
    Bad(&'static str),
}

/// A record as read.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Record {
    pub prelude: Prelude,
    /// The metadata, trailers included.
    pub meta: Meta,
    /// The content, verified, where it is small.
    pub content: Option<Bytes>,
    /// The file's length, identity and modification time when it was read.
    pub file: Metadata,
}

impl Record {
    /// The stored response that this record in `file` is.
    pub fn into_object(self, file: File, generation: u32) -> Object {
        let content = match self.content {
            Some(content) => Content::Memory(content),
            None => Content::File {
                file: Arc::new(file),
                offset: self.prelude.content_offset,
                len: self.prelude.content,
                blocks: None,
            },
        };
        Object {
            meta: self.meta,
            content,
            generation,
            checksum: self.prelude.content_checksum,
        }
    }

    /// True when nothing has written to the file since it was stamped.
    pub fn is_untouched(&self) -> bool {
        u64::try_from(self.file.mtime()) == Ok(self.prelude.stamp) && self.file.mtime_nsec() == 0
    }
}

/// Reads the file. Damage is a [`StoredFile::Bad`]; an error is the operating system's.
pub fn read(file: &File) -> io::Result<StoredFile> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(StoredFile::Bad("it is not an ordinary file"));
    }
    let length = metadata.len();
    let first = if length <= AT_ONCE { length } else { FIRST };
    let mut bytes = Vec::new();
    let outcome = extend(file, &mut bytes, first).and_then(|()| {
        if index::is_index(&bytes) {
            read_index(file, bytes, length)
        } else {
            read_record(file, bytes, metadata)
        }
    });
    match outcome {
        // Shorter than it was a moment ago.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Ok(StoredFile::Bad("it is truncated"))
        }
        outcome => outcome,
    }
}

/// Reads only the prelude and the metadata, without trailers; None for what is no record that checks.
pub fn read_head(file: &File) -> io::Result<Option<(Prelude, Meta)>> {
    let length = file.metadata()?.len();
    let mut bytes = Vec::new();
    extend(file, &mut bytes, length.min(FIRST))?;
    let Ok(prelude) = Prelude::decode(&bytes, length) else {
        return Ok(None);
    };
    extend(file, &mut bytes, prelude.slots_end())?;
    let meta = current_meta(&prelude, &bytes.into()).filter(|meta| sound::check(meta).is_ok());
    Ok(meta.map(|meta| (prelude, meta)))
}

/// Reads on until `bytes` holds the file's first `length` bytes.
fn extend(file: &File, bytes: &mut Vec<u8>, length: u64) -> io::Result<()> {
    let have = bytes.len();
    if length > have as u64 {
        bytes.resize(length as usize, 0);
        file.read_exact_at(&mut bytes[have..], have as u64)?;
    }
    Ok(())
}

fn read_index(file: &File, mut bytes: Vec<u8>, length: u64) -> io::Result<StoredFile> {
    if length > index::MOST_BYTES {
        return Ok(StoredFile::Bad("it is longer than an index may be"));
    }
    extend(file, &mut bytes, length)?;
    Ok(match Index::decode(bytes.into()) {
        Some(index) => StoredFile::Index(index),
        None => StoredFile::Bad("its index does not check"),
    })
}

fn read_record(file: &File, mut bytes: Vec<u8>, metadata: Metadata) -> io::Result<StoredFile> {
    let prelude = match Prelude::decode(&bytes, metadata.len()) {
        Ok(prelude) => prelude,
        Err(why) => return Ok(StoredFile::Bad(why)),
    };
    // Both are bounded: slots and trailers by the prelude's check, small content by what small is.
    let small = prelude.content <= SMALL;
    let needed = if small {
        metadata.len()
    } else {
        prelude.content_offset
    };
    extend(file, &mut bytes, needed)?;
    let bytes = Bytes::from(bytes);
    let Some(mut meta) = current_meta(&prelude, &bytes) else {
        return Ok(StoredFile::Bad("its metadata does not check"));
    };
    let content_end = prelude.content_offset + prelude.content;
    let (content, trailers) = if small {
        let content = bytes.slice(prelude.content_offset as usize..content_end as usize);
        if Checksum::of(&content) != prelude.content_checksum {
            return Ok(StoredFile::Bad("its content does not check"));
        }
        (Some(content), bytes.slice(content_end as usize..))
    } else {
        let mut trailers = vec![0; (prelude.trailers as usize).min(MOST_META)];
        file.read_exact_at(&mut trailers, content_end)?;
        (None, trailers.into())
    };
    if !trailers.is_empty() && Checksum::of(&trailers) != prelude.trailers_checksum {
        return Ok(StoredFile::Bad("its trailers do not check"));
    }
    match text::decode_fields(&trailers) {
        Some(trailers) => meta.trailers = trailers,
        None => return Ok(StoredFile::Bad("its trailers make no sense")),
    }
    if let Err(why) = sound::check(&meta) {
        return Ok(StoredFile::Bad(why));
    }
    Ok(StoredFile::Record(Box::new(Record {
        prelude,
        meta,
        content,
        file: metadata,
    })))
}

fn current_meta(prelude: &Prelude, bytes: &Bytes) -> Option<Meta> {
    let start = prelude.slot_at(prelude.changes) as usize;
    debug_assert!(start >= PRELUDE);
    let slot = bytes.slice(start..start + prelude.slot as usize);
    let range = in_slot(&slot)?;
    meta::decode(slot.slice(range))
}

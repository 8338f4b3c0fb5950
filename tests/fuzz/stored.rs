//! Files of the store: records, their metadata and indexes. Half of the inputs get checksums that fit again, as
//! a hostile writer's would, because otherwise nothing behind the checksums is ever reached.

use std::fs::File;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use cacheproxy::cache::extent::Extent;
use cacheproxy::cache::key::{Key, Variant};
use cacheproxy::cache::provenance::Provenance;
use cacheproxy::cache::stored::Meta;
use cacheproxy::cache::time::Timestamp;
use cacheproxy::http::fields::Fields;
use cacheproxy::store::record::index::Index;
use cacheproxy::store::record::read::{StoredFile, read};
use cacheproxy::store::record::{self, PRELUDE, Prelude, meta};
use cacheproxy::store::{Checksum, SMALL};

use crate::fuzz;

/// The length and checksum before a slot's metadata.
const SLOT_HEADER: usize = 24;
/// Magic, version and checksum before an index's body.
const INDEX_HEADER: usize = 28;

fn sample() -> Meta {
    let fields: [(&[u8], &[u8]); 2] = [(b"ETag", b"\"1\""), (b"Empty", b"")];
    Meta {
        key: Key::new("GET http://deb.example/a"),
        variant: Variant::new("accept: a\n"),
        request_time: Timestamp::from_millis(1),
        response_time: Timestamp::from_millis(2),
        local: true,
        extent: Extent::Whole,
        provenance: Provenance::default(),
        status: 200,
        reason: Bytes::from_static(b"OK"),
        fields: fields.into_iter().collect(),
        trailers: Fields::default(),
    }
}

/// A record as the store writes it.
fn written(changes: u32, content: &[u8], trailers: &Fields) -> Vec<u8> {
    let meta = meta::encode(&sample()).unwrap();
    let trailers = meta::encode_trailers(trailers).unwrap();
    let slot = record::slot_for(meta.len());
    let prelude = Prelude {
        slot,
        changes,
        content_offset: record::content_offset(slot, false),
        content: content.len() as u64,
        content_checksum: Checksum::of(content),
        trailers: trailers.len() as u32,
        trailers_checksum: Checksum::of(&trailers),
        boot: [7; 16],
        stamp: 1,
    };
    let mut file = prelude.encode().to_vec();
    file.resize(prelude.content_offset as usize, 0);
    let (at, slot) = (prelude.slot_at(changes) as usize, record::slot(&meta));
    file[at..at + slot.len()].copy_from_slice(&slot);
    file.extend_from_slice(content);
    file.extend_from_slice(&trailers);
    file
}

fn number(bytes: &[u8], at: usize) -> usize {
    let word = bytes.get(at..at + 8).map(|word| word.try_into().unwrap());
    usize::try_from(word.map_or(0, u64::from_le_bytes)).unwrap_or(usize::MAX)
}

fn put(bytes: &mut [u8], at: usize, of: Option<&[u8]>) {
    if let Some(checksum) = of.map(|of| Checksum::of(of).to_le_bytes()) {
        if let Some(place) = bytes.get_mut(at..at.saturating_add(16)) {
            place.copy_from_slice(&checksum);
        }
    }
}

fn range(bytes: &[u8], from: usize, length: usize) -> Option<Vec<u8>> {
    let range = bytes.get(from..from.checked_add(length)?)?;
    Some(range.to_vec())
}

/// The input with every checksum made to fit.
fn sealed(input: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    if bytes.starts_with(b"cp-index") && bytes.len() >= INDEX_HEADER {
        let body = bytes[INDEX_HEADER..].to_vec();
        put(&mut bytes, 12, Some(&body));
    }
    if bytes.len() < PRELUDE || bytes.starts_with(b"cp-index") {
        return bytes;
    }
    let low = |at: usize| u32::from_le_bytes(input[at..at + 4].try_into().unwrap());
    let (slot, changes) = (low(12) as usize, low(88));
    let at = PRELUDE + slot * (changes & 1) as usize;
    let length = number(&bytes, at);
    let meta = range(&bytes, at + SLOT_HEADER, length);
    put(&mut bytes, at + 8, meta.as_deref());
    let (offset, content) = (number(&bytes, 16), number(&bytes, 24));
    let checked = range(&bytes, offset, content);
    put(&mut bytes, 32, checked.as_deref());
    let trailers = range(&bytes, offset.saturating_add(content), low(48) as usize);
    put(&mut bytes, 56, trailers.as_deref());
    let prelude = bytes[..72].to_vec();
    put(&mut bytes, 72, Some(&prelude));
    bytes[88..96].copy_from_slice(&record::word(changes));
    bytes
}

/// True when the file is a record or an index; holds that it is then read as what it says.
fn hold(file: &File, bytes: &[u8]) -> bool {
    file.set_len(0).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    match read(file).expect("no error of the operating system") {
        StoredFile::Record(found) => {
            let length = found.content.as_ref().map(|content| content.len() as u64);
            assert!(length.is_none_or(|length| length == found.prelude.content));
            assert_eq!(length.is_some(), found.prelude.content <= SMALL);
            let again = Prelude::decode(&found.prelude.encode(), bytes.len() as u64);
            assert_eq!(again.as_ref(), Ok(&found.prelude), "the prelude, encoded");
            let again = meta::decode(meta::encode(&found.meta).unwrap().into()).unwrap();
            let mut plain = found.meta.clone();
            plain.trailers = Fields::default();
            assert_eq!(again, plain, "the metadata, encoded and decoded");
            true
        }
        StoredFile::Index(index) => {
            assert_eq!(index.encode().as_deref(), Some(bytes), "the index, encoded");
            true
        }
        StoredFile::Bad(why) => {
            assert!(!why.is_empty());
            false
        }
    }
}

#[test]
fn files_of_the_store() {
    let file = tempfile::tempfile().unwrap();
    let trailers: Fields = [(&b"Digest"[..], &b"x"[..])].into_iter().collect();
    let mut index = Index::new(Bytes::from_static(b"GET http://deb.example/a"));
    index.add(vec!["accept".to_owned()], [1; 16], |_| 0);
    index.add(
        vec!["accept".to_owned(), "accept-language".to_owned()],
        [2; 16],
        |_| 0,
    );
    let seeds = vec![
        written(0, b"content", &Fields::default()),
        written(1, b"", &trailers),
        index.encode().unwrap(),
    ];
    fuzz("record", seeds, &[b"cp-store", b"cp-index"], |input| {
        let raw = hold(&file, input);
        hold(&file, &sealed(input)) || raw
    });
}

#[test]
fn metadata() {
    let seed = meta::encode(&sample()).unwrap();
    fuzz(
        "metadata",
        vec![seed],
        &[b"\x04\0\0\0name", b"\0\0\0\0"],
        |input| {
            let Some(meta) = meta::decode(Bytes::copy_from_slice(input)) else {
                return false;
            };
            assert_eq!(meta::encode(&meta).unwrap(), input, "decoded, then encoded");
            true
        },
    );
}

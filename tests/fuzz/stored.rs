//! What the store keeps: records and lists of variants. Half of the inputs get checksums that fit again, as a hostile
//! writer's would, because otherwise nothing behind the checksums is ever reached.

use bytes::Bytes;
use cacheproxy::cache::extent::Extent;
use cacheproxy::cache::key::{Key, Variant};
use cacheproxy::cache::provenance::Provenance;
use cacheproxy::cache::stored::Meta;
use cacheproxy::cache::time::Timestamp;
use cacheproxy::http::fields::Fields;
use cacheproxy::store::Checksum;
use cacheproxy::store::record::head::{self, ContentPlace, RecordHead};
use cacheproxy::store::record::variants::VariantList;

use crate::fuzz;

/// What comes before that which the checksum of a head, and of a list, is of.
const BEFORE: usize = 24;

fn sample(trailers: Fields) -> RecordHead {
    let fields: [(&[u8], &[u8]); 2] = [(b"ETag", b"\"1\""), (b"Empty", b"")];
    RecordHead {
        meta: Meta {
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
            trailers,
        },
        order: 7,
        content: 7,
        content_checksum: Checksum::of(b"content"),
        place: ContentPlace::Here,
    }
}

/// The input with a checksum that fits.
fn sealed(input: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    if bytes.len() < BEFORE {
        return bytes;
    }
    let end = match bytes.starts_with(b"cp-list") {
        true => bytes.len(),
        false => head::length(&bytes).max(BEFORE),
    };
    let checksum = Checksum::of(&bytes[BEFORE..end]).to_le_bytes();
    bytes[8..BEFORE].copy_from_slice(&checksum);
    bytes
}

/// True when the bytes are a record; holds that it is then written as it was read.
fn is_record(bytes: &[u8]) -> bool {
    // They read what doesn't check, too.
    let (brief, key) = (head::brief(bytes), head::key_of(bytes).map(<[u8]>::to_vec));
    let bytes = Bytes::copy_from_slice(bytes);
    let Ok((found, end)) = head::decode(&bytes) else {
        return false;
    };
    assert_eq!(
        head::encode(&found).unwrap(),
        bytes[..end],
        "read, then written"
    );
    let brief = brief.expect("of what checks");
    assert_eq!((brief.order, brief.place), (found.order, found.place));
    assert_eq!(brief.content, found.content);
    assert_eq!(key.as_deref(), Some(&found.meta.key.text()[..]));
    true
}

/// True when the bytes are a list of variants; holds the same.
fn is_list(bytes: &[u8]) -> bool {
    let list = VariantList::decode(&Bytes::copy_from_slice(bytes));
    list.is_some_and(|list| {
        assert_eq!(list.encode().as_deref(), Some(bytes), "read, then written");
        true
    })
}

#[test]
fn records_and_lists() {
    let trailers: Fields = [(&b"Digest"[..], &b"x"[..])].into_iter().collect();
    let mut list = VariantList::new(Bytes::from_static(b"GET http://deb.example/a"));
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    list.add(names(&["accept"]), [1; 16], |_| 0);
    list.add(names(&["accept", "accept-language"]), [2; 16], |_| 0);
    let record = |trailers| [&head::encode(&sample(trailers)).unwrap()[..], b"content"].concat();
    let seeds = vec![
        record(Fields::default()),
        record(trailers),
        list.encode().unwrap(),
    ];
    fuzz("record", seeds, &[b"cp-list4", b"\x04\0\0\0"], |input| {
        let hold = |bytes: &[u8]| is_record(bytes) || is_list(bytes);
        let raw = hold(input);
        hold(&sealed(input)) || raw
    });
}

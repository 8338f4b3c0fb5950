//! What the store reads: the heads of records, and lists of variants. Half of the inputs get checksums that fit again, as
//! a hostile writer's would, because otherwise nothing behind the checksums is ever reached.

use bytes::Bytes;
use cacheproxy::cache::extent::Extent;
use cacheproxy::cache::key::{Key, Variant};
use cacheproxy::cache::provenance::{Access, BootTime, Class, Digest, DigestAlgorithm, Provenance};
use cacheproxy::cache::stored::Meta;
use cacheproxy::cache::time::Timestamp;
use cacheproxy::http::fields::Fields;
use cacheproxy::store::Checksum;
use cacheproxy::store::record::head::{self, ContentPlace, RecordHead};
use cacheproxy::store::record::variants::VariantList;

use crate::fuzz;

/// The length and the checksum before what that is of, in heads and in lists.
const CHECKED_FROM: usize = 24;

fn fields(lines: &[(&[u8], &[u8])]) -> Fields {
    lines.iter().copied().collect()
}

fn plain() -> RecordHead {
    RecordHead {
        meta: Meta {
            key: Key::new("GET http://deb.example/a"),
            variant: Variant::none(),
            request_time: Timestamp::from_millis(1),
            response_time: Timestamp::from_millis(2),
            local: true,
            extent: Extent::Whole,
            provenance: Provenance::default(),
            status: 200,
            reason: Bytes::from_static(b"OK"),
            fields: fields(&[(b"ETag", b"\"1\""), (b"Empty", b"")]),
            trailers: fields(&[(b"Trailing", b"yes")]),
        },
        order: 1,
        content: 7,
        content_checksum: Checksum::of(b"content"),
        place: ContentPlace::Here,
    }
}

fn part() -> RecordHead {
    let mut head = plain();
    head.meta.key = head.meta.key.part();
    head.meta.variant = Variant::new("accept: a\n");
    head.meta.status = 206;
    head.meta.extent = Extent::Part {
        first: 5,
        length: 20,
    };
    head.meta.fields = fields(&[(b"Vary", b"accept"), (b"Content-Range", b"bytes 5-11/20")]);
    head.meta.provenance = Provenance {
        received: BootTime {
            boot: [7; 16],
            millis: 8,
        },
        digest: Digest::new(DigestAlgorithm::Sha256, vec![9; 32]),
        access: Access::Authorized,
        class: Class::Versioned,
    };
    head.place = ContentPlace::File([3; 16]);
    head
}

/// The input with a checksum that fits what it is of, as long as `end` says.
fn sealed(input: &[u8], end: usize) -> Vec<u8> {
    let mut bytes = input.to_vec();
    if let Some(checked) = input.get(CHECKED_FROM..end) {
        bytes[8..CHECKED_FROM].copy_from_slice(&Checksum::of(checked).to_le_bytes());
    }
    bytes
}

/// True when it begins with a head; holds that this is what would be written of what was read.
fn holds_head(input: &[u8]) -> bool {
    // They read what doesn't check, too.
    let checksum = head::checksum_of_content(input);
    let bytes = Bytes::copy_from_slice(input);
    match head::decode(&bytes) {
        Ok((found, end)) => {
            assert_eq!(head::encode(&found).unwrap(), input[..end], "encoded again");
            assert_eq!(checksum, Some(found.content_checksum));
            let of_key = head::decode_of(&bytes, &found.meta.key);
            assert_eq!(of_key, Ok((found, end)), "by its key");
            true
        }
        Err(why) => {
            assert!(!why.is_empty());
            false
        }
    }
}

/// The length of the head that these bytes begin with, as it says, and no more than they are.
fn length(input: &[u8]) -> usize {
    let length = input.get(4..).and_then(|bytes| bytes.first_chunk::<4>());
    let length = length.map_or(0, |length| u32::from_le_bytes(*length));
    (length as usize).min(input.len())
}

#[test]
fn heads_of_records() {
    let mut seeds: Vec<Vec<u8>> = [plain(), part()]
        .map(|head| head::encode(&head).unwrap())
        .to_vec();
    seeds[0].extend_from_slice(b"content");
    let tokens: [&[u8]; 4] = [b"\x04\0\0\0name", b"\0\0\0\0", b"\xff\xff\xff\xff", b"GET "];
    fuzz("record", seeds, &tokens, |input| {
        let raw = holds_head(input);
        holds_head(&sealed(input, length(input))) || raw
    });
}

fn holds_list(input: &[u8]) -> bool {
    let Some(list) = VariantList::decode(&Bytes::copy_from_slice(input)) else {
        return false;
    };
    assert_eq!(list.encode().as_deref(), Some(input), "encoded again");
    let requests: [&[(&[u8], &[u8])]; 2] = [&[], &[(b"Accept", b"a"), (b":client", b"all")]];
    for request in requests {
        let selected = list.selected(&fields(request));
        for variant in selected {
            assert!(list.variants().any(|listed| listed == variant.hash()));
        }
    }
    true
}

#[test]
fn lists_of_variants() {
    let mut list = VariantList::new(Bytes::from_static(b"GET http://deb.example/a"));
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    list.add(names(&["accept"]), [1; 16], |_| 0);
    list.add(names(&["accept", "accept-language"]), [2; 16], |_| 0);
    list.add(names(&[":client"]), [3; 16], |_| 0);
    let seeds = vec![list.encode().unwrap()];
    fuzz(
        "variants",
        seeds,
        &[b"\x04\0\0\0name", b"cp-list4"],
        |input| {
            let raw = holds_list(input);
            holds_list(&sealed(input, input.len())) || raw
        },
    );
}

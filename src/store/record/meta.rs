//! Metadata as bytes and back. Reading trusts no length and copies nothing: fields are spans of what was read.

use bytes::{Buf, Bytes};

use super::MOST_META;
use super::text::{decode_fields, put, put_fields, take};
use crate::cache::extent::Extent;
use crate::cache::key::{Key, Variant};
use crate::cache::provenance::Provenance;
use crate::cache::stored::Meta;
use crate::cache::time::Timestamp;
use crate::http::fields::Fields;
use crate::store::error::StoreError;

/// The metadata without the trailers, encoded.
pub fn encode(meta: &Meta) -> Result<Vec<u8>, StoreError> {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(&meta.request_time.millis().to_le_bytes());
    out.extend_from_slice(&meta.response_time.millis().to_le_bytes());
    out.extend_from_slice(&meta.status.to_le_bytes());
    out.push(meta.local.into());
    for text in [meta.key.text(), meta.variant.text(), &meta.reason] {
        put(&mut out, text);
    }
    put_fields(&mut out, &meta.fields);
    bounded(out)
}

/// Trailers, encoded; empty when there are none.
pub fn encode_trailers(trailers: &Fields) -> Result<Vec<u8>, StoreError> {
    let mut out = Vec::new();
    if !trailers.is_empty() {
        put_fields(&mut out, trailers);
    }
    bounded(out)
}

fn bounded(out: Vec<u8>) -> Result<Vec<u8>, StoreError> {
    if out.len() > MOST_META {
        return Err(StoreError::MetaTooLarge(out.len()));
    }
    Ok(out)
}

/// The metadata in `bytes`, with no trailers; None when it is not all there and nothing more.
pub fn decode(mut bytes: Bytes) -> Option<Meta> {
    let request_time = Timestamp::from_millis(bytes.try_get_u64_le().ok()?);
    let response_time = Timestamp::from_millis(bytes.try_get_u64_le().ok()?);
    let status = bytes.try_get_u16_le().ok()?;
    let local = match bytes.try_get_u8().ok()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let (key, variant) = (take(&mut bytes)?, take(&mut bytes)?);
    let reason = take(&mut bytes)?;
    let fields = decode_fields(&bytes)?;
    Some(Meta {
        request_time,
        response_time,
        local,
        status,
        extent: Extent::of(status, &fields),
        provenance: Provenance::default(),
        key: Key::new(key),
        variant: Variant::new(variant),
        reason,
        fields,
        trailers: Fields::default(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn meta() -> Meta {
        Meta {
            key: Key::new("GET http://deb.example/a"),
            variant: Variant::new("accept: a\n"),
            request_time: Timestamp::from_millis(1),
            response_time: Timestamp::from_millis(u64::MAX),
            local: true,
            extent: Extent::Whole,
            provenance: Provenance::default(),
            status: 200,
            reason: Bytes::from_static(b"OK"),
            fields: [(&b"ETag"[..], &b"\"1\""[..]), (b"Empty", b"")]
                .into_iter()
                .collect(),
            trailers: Fields::default(),
        }
    }

    #[test]
    fn round_trip() {
        assert_eq!(decode(encode(&meta()).unwrap().into()), Some(meta()));
        let trailers: Fields = [(&b"Digest"[..], &b"x"[..])].into_iter().collect();
        let bytes = encode_trailers(&trailers).unwrap().into();
        assert_eq!(decode_fields(&bytes), Some(trailers));
        assert!(encode_trailers(&Fields::default()).unwrap().is_empty());
    }

    #[test]
    fn every_length_short_is_refused_or_has_fewer_fields() {
        let whole = Bytes::from(encode(&meta()).unwrap());
        for length in 0..whole.len() {
            if let Some(read) = decode(whole.slice(..length)) {
                let (read, whole) = (read.fields.iter(), meta().fields);
                assert!(read.count() < whole.iter().count(), "{length}");
            }
        }
    }

    #[test]
    fn lengths_are_not_trusted() {
        let whole = encode(&meta()).unwrap();
        for at in 0..whole.len() {
            for value in [0, 0x7f, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                let _ = decode(damaged.into());
            }
        }
    }

    #[test]
    fn too_much_is_refused() {
        let mut meta = meta();
        let value = vec![b'x'; MOST_META];
        meta.fields = [(&b"Large"[..], &value[..])].into_iter().collect();
        assert!(matches!(encode(&meta), Err(StoreError::MetaTooLarge(_))));
    }
}

//! A stored response as columns, and back.
//!
//! Text of HTTP messages is bytes: each becomes the character with its number (Latin-1), so that nothing is
//! lost and a person can read it.

use std::borrow::Cow;
use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{BufMut, Bytes, BytesMut};
use postgres::Row;
use postgres::types::{IsNull, ToSql, Type, accepts, to_sql_checked};

use crate::cache::extent::Extent;
use crate::cache::key::{Key, Variant};
use crate::cache::provenance::{Access, BootTime, Class, Digest, DigestAlgorithm, Provenance};
use crate::cache::stored::Meta;
use crate::cache::time::Timestamp;
use crate::http::fields::{Fields, FieldsBuilder};
use crate::store::StoreError;
use crate::store::record::MOST_META;

/// The columns that [`meta`] reads, in its order, at the beginning of a statement.
macro_rules! columns {
    () => {
        "SELECT method, uri, variant, local, status, reason, fields, trailers, request_time, response_time, \
        first_byte, whole_length, boot, boot_millis, digest_algorithm, digest, authorized, class"
    };
}
/// The number of the first column after those.
pub const NEXT: usize = 18;
pub(super) use columns;

/// The bytes that a row takes besides its texts and its content, about.
const OVERHEAD: u64 = 460;
/// A little less than the latest time that the database knows.
const LATEST: Timestamp = Timestamp::from_seconds(9_000_000_000_000);

/// Bytes as text.
#[derive(Debug, Clone)]
pub struct Text<'a>(Cow<'a, [u8]>);

impl<'a> From<&'a [u8]> for Text<'a> {
    fn from(bytes: &'a [u8]) -> Text<'a> {
        Text(Cow::Borrowed(bytes))
    }
}

impl ToSql for Text<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        if self.0.is_ascii() {
            out.put_slice(&self.0);
        } else {
            for byte in self.0.iter() {
                let mut character = [0; 2];
                out.put_slice(char::from(*byte).encode_utf8(&mut character).as_bytes());
            }
        }
        Ok(IsNull::No)
    }

    accepts!(TEXT);
    to_sql_checked!();
}

/// The bytes that a text stands for.
fn bytes(text: &str) -> Cow<'_, [u8]> {
    if text.is_ascii() {
        return Cow::Borrowed(text.as_bytes());
    }
    // Rows that somebody else wrote may have others; they can't be in a message.
    text.chars()
        .map(|character| u8::try_from(u32::from(character)).unwrap_or(b'?'))
        .collect()
}

/// The columns of a response's metadata.
#[derive(Debug)]
pub struct Columns<'a> {
    pub key_hash: &'a [u8],
    pub method: Text<'a>,
    pub uri: Text<'a>,
    /// The hash of the variant; zero without `Vary`.
    pub variant_hash: &'a [u8],
    pub variant: Text<'a>,
    /// The names of the selecting fields.
    pub vary: Vec<String>,
    /// True for a response from the proxy's own machine.
    pub local: bool,
    pub status: i16,
    pub reason: Text<'a>,
    /// The fields, a line each.
    pub fields: Vec<Text<'a>>,
    /// The trailer fields, a line each.
    pub trailers: Vec<Text<'a>>,
    /// `ETag`, for who looks into the database.
    pub etag: Option<Text<'a>>,
    /// `Last-Modified`, likewise.
    pub last_modified: Option<Text<'a>>,
    /// When the request was sent.
    pub request_time: SystemTime,
    /// When the response was received.
    pub response_time: SystemTime,
    /// The first byte of a part.
    pub first_byte: i64,
    /// The length of the representation that it is a part of.
    pub whole_length: Option<i64>,
    pub boot: &'a [u8],
    pub boot_millis: i64,
    pub digest_algorithm: Option<&'static str>,
    pub digest: Option<&'a [u8]>,
    /// True when it was fetched with credentials or a signature.
    pub authorized: bool,
    pub class: &'static str,
    /// The bytes that it takes without its content.
    pub size: u64,
}

impl<'a> Columns<'a> {
    /// The columns of this metadata. Refused when no request could select it, or when it is too large.
    pub fn of(meta: &'a Meta) -> Result<Columns<'a>, StoreError> {
        let names = meta.selecting().ok_or(StoreError::Unselectable)?;
        if names.is_empty() != (meta.variant == Variant::none()) {
            return Err(StoreError::Unselectable);
        }
        let size = measure(meta)?;
        let (method, uri) = split(meta.key.text());
        let from = &meta.provenance;
        let whole_length = match meta.extent {
            Extent::Whole => None,
            Extent::Part { length, .. } => Some(number(length)),
        };
        Ok(Columns {
            key_hash: meta.key.hash(),
            method: method.into(),
            uri: uri.into(),
            variant_hash: meta.variant.hash(),
            variant: (&meta.variant.text()[..]).into(),
            vary: names,
            local: meta.local,
            status: i16::try_from(meta.status).unwrap_or(i16::MAX),
            reason: (&meta.reason[..]).into(),
            fields: lines(&meta.fields),
            trailers: lines(&meta.trailers),
            etag: meta.fields.first("etag").map(Text::from),
            last_modified: meta.fields.first("last-modified").map(Text::from),
            request_time: time(meta.request_time),
            response_time: time(meta.response_time),
            first_byte: number(meta.extent.first()),
            whole_length,
            boot: &from.received.boot,
            boot_millis: number(from.received.millis),
            digest_algorithm: (from.digest.as_ref()).map(|digest| digest.algorithm().name()),
            digest: from.digest.as_ref().map(|digest| &digest.bytes()[..]),
            authorized: from.access == Access::Authorized,
            class: from.class.name(),
            size: size as u64 + OVERHEAD,
        })
    }

    /// The parameters by which a response is given its metadata: from the key's hash to the class.
    pub fn parameters(&self) -> [&(dyn ToSql + Sync); 23] {
        [
            &self.key_hash,
            &self.method,
            &self.uri,
            &self.variant_hash,
            &self.variant,
            &self.vary,
            &self.local,
            &self.status,
            &self.reason,
            &self.fields,
            &self.trailers,
            &self.etag,
            &self.last_modified,
            &self.request_time,
            &self.response_time,
            &self.first_byte,
            &self.whole_length,
            &self.boot,
            &self.boot_millis,
            &self.digest_algorithm,
            &self.digest,
            &self.authorized,
            &self.class,
        ]
    }
}

/// The bytes that the metadata has; refused when there are too many.
pub fn measure(meta: &Meta) -> Result<usize, StoreError> {
    let of = |fields: &Fields| -> usize {
        let lines = fields.iter();
        lines
            .map(|(name, value)| name.len() + value.len() + 8)
            .sum()
    };
    let texts = [meta.key.text(), meta.variant.text(), &meta.reason];
    let texts: usize = texts.iter().map(|text| text.len()).sum();
    let size = texts + of(&meta.fields) + of(&meta.trailers);
    if size > MOST_META {
        return Err(StoreError::MetaTooLarge(size));
    }
    Ok(size)
}

/// The method and the URI of a key.
pub fn split(key: &[u8]) -> (&[u8], &[u8]) {
    match key.iter().position(|byte| *byte == b' ') {
        Some(space) => (&key[..space], &key[space + 1..]),
        None => (b"", key),
    }
}

/// The key of this method and URI.
pub fn key(method: &str, uri: &str) -> Key {
    let (method, uri) = (bytes(method), bytes(uri));
    Key::new(match &method[..] {
        b"" => uri.into_owned(),
        method => [method, b" ", &uri].concat(),
    })
}

fn lines(fields: &Fields) -> Vec<Text<'_>> {
    let line = |(name, value): (&[u8], &[u8])| Text(Cow::Owned([name, b": ", value].concat()));
    fields.iter().map(line).collect()
}

fn fields(lines: &[&str]) -> Fields {
    let mut fields = FieldsBuilder::default();
    for line in lines {
        let line = bytes(line);
        let colon = line.iter().position(|byte| *byte == b':');
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        fields.push(name, value.get(2..).unwrap_or_default());
    }
    fields.build()
}

fn time(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(at.min(LATEST).millis())
}

/// The metadata in a row that begins with these columns.
pub fn meta(row: &Row) -> Result<Meta, postgres::Error> {
    let text = |at: usize| -> Result<Bytes, postgres::Error> {
        Ok(Bytes::copy_from_slice(&bytes(row.try_get(at)?)))
    };
    let status = u16::try_from(row.try_get::<_, i16>(4)?).unwrap_or(0);
    let (lines, trailers) = (
        row.try_get::<_, Vec<&str>>(6)?,
        row.try_get::<_, Vec<&str>>(7)?,
    );
    let (fields, trailers) = (fields(&lines), fields(&trailers));
    Ok(Meta {
        key: key(row.try_get(0)?, row.try_get(1)?),
        variant: Variant::new(text(2)?),
        local: row.try_get(3)?,
        status,
        extent: extent(row)?,
        provenance: provenance(row)?,
        reason: text(5)?,
        fields,
        trailers,
        request_time: row.try_get::<_, SystemTime>(8)?.into(),
        response_time: row.try_get::<_, SystemTime>(9)?.into(),
    })
}

fn extent(row: &Row) -> Result<Extent, postgres::Error> {
    let length: Option<i64> = row.try_get(11)?;
    let first = unsigned(row.try_get(10)?);
    Ok(length.map_or(Extent::Whole, |length| Extent::Part {
        first,
        length: unsigned(length),
    }))
}

/// What says nothing that is known here counts as none.
fn provenance(row: &Row) -> Result<Provenance, postgres::Error> {
    let boot: &[u8] = row.try_get(12)?;
    let algorithm: Option<&str> = row.try_get(14)?;
    let digest: Option<&[u8]> = row.try_get(15)?;
    let named = algorithm.and_then(DigestAlgorithm::named);
    let digest = named.zip(digest);
    let class: &str = row.try_get(17)?;
    Ok(Provenance {
        received: BootTime {
            boot: boot.try_into().unwrap_or_default(),
            millis: unsigned(row.try_get(13)?),
        },
        digest: digest.and_then(|(named, bytes)| Digest::new(named, bytes.to_vec())),
        access: match row.try_get(16)? {
            true => Access::Authorized,
            false => Access::Public,
        },
        class: Class::named(class).unwrap_or_default(),
    })
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The count of a slot's invalidations, as shared memory has it.
pub fn invalidation_count(count: i64) -> u32 {
    u32::try_from(count.max(0)).unwrap_or(u32::MAX)
}

//! A stored response made ready to be sent: its head rendered but for what changes with time, its
//! freshness worked out. What the memory tier keeps, and what a lookup in the store becomes.

use bytes::{Bytes, BytesMut};

use crate::cache::freshness::Facts;
use crate::cache::policy::Policy;
use crate::cache::range::ByteRange;
use crate::cache::stored::Meta;
use crate::http::forward::{ResponseAs, write_response_head};
use crate::http::framing::Framing;
use crate::http::head::Version;
use crate::store::{Content, Object};

/// A stored response, ready to be sent.
#[derive(Debug)]
pub struct Stored {
    /// The object as the store gave it.
    pub object: Object,
    /// The facts of its freshness.
    pub facts: Facts,
    /// The head as far as it is always the same: status line, fields and `Content-Length`, not the
    /// empty line.
    pub rendered: Bytes,
}

impl Stored {
    /// Makes an object ready for whoever may have it. One from an earlier release, or from an archive, can have what is
    /// for one client.
    pub fn new(mut object: Object, policy: &Policy, pseudonym: &str) -> Stored {
        let facts = Facts::of(&object.meta, policy);
        let meta = &mut object.meta;
        if let Some((fields, trailers)) = meta.without_personal(&policy.targeted) {
            (meta.fields, meta.trailers) = (fields, trailers);
        }
        Stored::rendered(object, facts, pseudonym)
    }

    /// Makes an object ready for the one client that may have all of its fields.
    pub fn for_one_client(object: Object, policy: &Policy, pseudonym: &str) -> Stored {
        let facts = Facts::of(&object.meta, policy);
        Stored::rendered(object, facts, pseudonym)
    }

    fn rendered(object: Object, facts: Facts, pseudonym: &str) -> Stored {
        let rendered = render(&object.meta, &object.content, pseudonym);
        Stored {
            object,
            facts,
            rendered,
        }
    }

    /// All of its content.
    pub fn whole(&self) -> ByteRange {
        let (first, len) = (0, self.object.content.len());
        ByteRange { first, len }
    }

    /// The framing of all of its content.
    pub fn framing(&self) -> Framing {
        framing(&self.object.meta, &self.object.content)
    }

    /// Its weight in the memory tier, in bytes: of all that it holds, texts twice, as their buffers may be that large.
    /// Content in a file weighs its descriptor, so that their number is bounded too.
    pub fn weight(&self) -> u64 {
        let meta = &self.object.meta;
        let texts = [
            meta.key.text(),
            meta.variant.text(),
            &meta.reason,
            &self.rendered,
        ];
        let texts: usize = texts.iter().map(|text| 2 * text.len()).sum();
        let head = texts + meta.fields.footprint() + meta.trailers.footprint() + 512;
        let content = match &self.object.content {
            Content::Memory(bytes) => bytes.len(),
            Content::File { .. } | Content::Pieces(_) => 64 << 10,
        };
        (head + content) as u64
    }
}

fn framing(meta: &Meta, content: &Content) -> Framing {
    match meta.key.is_for_head() || matches!(meta.status, 204 | 304) {
        true => Framing::None,
        false => Framing::Length(content.len()),
    }
}

/// The head without its last line, so that Age, Cache-Status and Connection can follow.
fn render(meta: &Meta, content: &Content, pseudonym: &str) -> Bytes {
    let how = ResponseAs {
        framing: framing(meta, content),
        keep_alive: true,
        client: Version::Http11,
        via: Some((Version::Http11, pseudonym)),
        extra: &[],
        without: &["age"],
        named_as: None,
    };
    let mut out = BytesMut::with_capacity(512);
    write_response_head(&mut out, meta.status, &meta.reason, &meta.fields, &how);
    out.truncate(out.len() - 2);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::key::{Key, Variant};
    use crate::cache::testing::{fields, stored};
    use crate::store::Checksum;

    /// This stored response, with content in memory.
    fn with_content(meta: Meta) -> Stored {
        let content = Bytes::from_static(b"content");
        let object = Object {
            generation: 0,
            meta,
            checksum: Checksum::of(&content),
            content: Content::Memory(content),
        };
        Stored::new(object, &Policy::default(), "test")
    }

    #[test]
    fn all_that_is_held_is_weighed() {
        let long = "x".repeat(10_000);
        let weight = |change: fn(&mut Meta, &str)| {
            let mut meta = stored(200, &[]);
            change(&mut meta, &long);
            with_content(meta).weight()
        };
        let plain = weight(|_, _| {});
        assert!(plain < 2048, "{plain}");
        let changes: [fn(&mut Meta, &str); 5] = [
            |meta, long| meta.key = Key::new(long.to_owned()),
            |meta, long| meta.variant = Variant::new(long.to_owned()),
            |meta, long| meta.reason = long.to_owned().into(),
            |meta, long| meta.fields = fields(&[("A", long)]),
            |meta, long| meta.trailers = fields(&[("A", long)]),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let long = weight(change);
            assert!(long > plain + 9_000, "{number}: {long}, not {plain}");
        }
        let many = weight(|meta, _| meta.fields = fields(&[("A", ""); 500]));
        assert!(many > plain + 500 * 16, "{many}, not {plain}");
    }

    /// A record of a release that stored cookies, or of a forged archive.
    #[test]
    fn what_is_for_one_client_is_not_served_from_a_record() {
        let cookie = ("Set-Cookie", "a=b");
        #[rustfmt::skip]
        let table: &[(&[(&str, &str)], bool)] = &[
            (&[("Cache-Control", "max-age=60")], true),
            (&[("Last-Modified", "Sun, 06 Nov 1904 08:49:37 GMT")], false),
        ];
        for (lines, is_usable) in table {
            let mut meta = stored(200, lines);
            meta.fields = meta.fields.iter().chain(fields(&[cookie]).iter()).collect();
            meta.trailers = fields(&[cookie, ("X-Sum", "1")]);
            let stored = with_content(meta);
            let rendered = String::from_utf8_lossy(&stored.rendered);
            assert!(!rendered.contains("Set-Cookie"), "{rendered}");
            assert!(!stored.object.meta.fields.has("set-cookie"));
            assert_eq!(stored.object.meta.trailers, fields(&[("X-Sum", "1")]));
            assert_eq!(stored.facts.no_cache, !is_usable, "{lines:?}");
        }
    }
}

//! The metadata that is kept of a response (RFC 9111 §3.1).
//!
//! The decision to keep it at all is in `storing`.

use bytes::Bytes;

use super::directives::TargetList;
use super::extent::Extent;
use super::key::{Key, Variant};
use super::personal::PersonalFields;
use super::provenance::Provenance;
use super::time::{FetchTimes, Timestamp};
use super::vary;
use crate::http::connection::HopByHop;
use crate::http::date;
use crate::http::fields::Fields;
use crate::http::framing::stated_length;
use crate::http::head::{Method, RequestHead, ResponseHead};

/// The field that is left of a response whose content ended with the connection. It never goes out, as none of a
/// connection does.
pub(super) const UNTIL_CLOSE: (&[u8], &[u8]) = (b"Connection", b"close");

/// The metadata of a stored response. Its fields are those that may be stored: hop-by-hop fields
/// and the framing are gone (RFC 9111 §3.1), but for [`Meta::until_close`], and there is a valid `Date`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Meta {
    pub key: Key,
    /// The value of the selecting fields in the request that led to this response.
    pub variant: Variant,
    /// When the request was sent (RFC 9111 §4.2.3, request_time).
    pub request_time: Timestamp,
    /// When the response was received (RFC 9111 §4.2.3, response_time).
    pub response_time: Timestamp,
    /// True when it came from the proxy's own machine or link: only clients on loopback may have it.
    pub local: bool,
    /// The whole of a representation, or a part: as its status and its Content-Range say.
    pub extent: Extent,
    pub provenance: Provenance,
    pub status: u16,
    pub reason: Bytes,
    pub fields: Fields,
    pub trailers: Fields,
}

impl Meta {
    /// The metadata of this response to this request, which came from elsewhere. Trailers are not known yet.
    pub fn of(
        key: Key,
        request: &RequestHead,
        response: &ResponseHead,
        times: FetchTimes,
        targets: &TargetList,
    ) -> Meta {
        let names = vary::names(&response.fields).unwrap_or_default();
        let mut fields = storable(&response.fields, targets);
        if request.method == Method::Head {
            // Without content, its length is known from this field alone.
            if let Some(length) = stated_length(&response.fields) {
                let length = length.to_string();
                let stated = (&b"Content-Length"[..], length.as_bytes());
                fields = fields.iter().chain([stated]).collect();
            }
        }
        Meta {
            key,
            variant: vary::variant_of(&names, &request.fields),
            request_time: times.request,
            response_time: times.response,
            local: false,
            extent: Extent::of(response.status, &fields),
            provenance: Provenance {
                received: times.received,
                ..Provenance::default()
            },
            status: response.status,
            // The head's buffer is much larger.
            reason: Bytes::copy_from_slice(&response.reason),
            fields: dated(fields, times.response),
            trailers: Fields::default(),
        }
    }

    /// True where the selecting fields are too long to be kept with every response that they select.
    pub fn has_long_variant(&self) -> bool {
        self.variant.text().len() > vary::MOST_TEXT
    }

    /// The same, for those alone that this request's field [`super::owner::CLIENT`] names.
    pub fn apart(self, request: &Fields) -> Meta {
        let names = vary::selecting(&self.fields, true).unwrap_or_default();
        let variant = vary::variant_of(&names, request);
        Meta { variant, ..self }
    }

    /// The same, of content that ended with the connection: nothing proves that it is all there (RFC 9112 §8).
    pub fn until_close(self) -> Meta {
        let fields = self.fields.iter().chain([UNTIL_CLOSE]).collect();
        Meta { fields, ..self }
    }

    /// True when its content ended with the connection.
    pub fn is_until_close(&self) -> bool {
        self.fields.has("connection")
    }

    /// True when it takes the place of another one of its key, once it is stored: of the same variant, but of parts only
    /// one that begins with the same byte; and of those with `Vary`, where it has none, as they of its. What is kept apart
    /// takes no other variant's place, and gives none.
    pub fn takes_place_of(&self, other: &Meta) -> bool {
        if self.variant == other.variant {
            return self.extent.first() == other.extent.first();
        }
        let has_none = |meta: &Meta| meta.variant == Variant::none();
        let is_apart = self.variant.is_apart() || other.variant.is_apart();
        !is_apart && (has_none(self) || has_none(other))
    }

    /// The names of the fields by which a request selects it; `None` when none can.
    pub fn selecting(&self) -> Option<Vec<String>> {
        vary::selecting(&self.fields, self.variant.is_apart())
    }

    /// True when a request with these fields selects it.
    pub fn is_selected_by(&self, request: &Fields) -> bool {
        self.selecting()
            .is_some_and(|names| vary::variant_of(&names, request) == self.variant)
    }

    /// Its fields and trailers less those that are for one client, where there are any.
    pub fn without_personal(&self, targets: &TargetList) -> Option<(Fields, Fields)> {
        let personal = PersonalFields::of(&self.fields, targets);
        let mut lines = self.fields.iter().chain(self.trailers.iter());
        let has_any = lines.any(|(name, _)| personal.has(name));
        let less = |section| personal.absent_from(section);
        has_any.then(|| (less(&self.fields), less(&self.trailers)))
    }
}

/// The fields of a received header section that may be stored: those that others may see, but not those of
/// the connection it came on, nor the proxy's own.
/// Content-Length is left out since the content's length is known better by who stores it; the response
/// to a HEAD request, which comes without its content, gets it back.
pub fn storable(fields: &Fields, targets: &TargetList) -> Fields {
    let (hop, personal) = (HopByHop::of(fields), PersonalFields::of(fields, targets));
    let is_dropped = |name: &[u8]| {
        name.eq_ignore_ascii_case(b"content-length") || hop.drops(name) || personal.has(name)
    };
    let lines = fields.iter().filter(|(name, _)| !is_dropped(name));
    lines.collect()
}

/// The fields with a `Date`: a response without a valid one was made when it was received
/// (RFC 9110 §6.6.1).
pub(super) fn dated(fields: Fields, received: Timestamp) -> Fields {
    if fields.first("date").and_then(date::parse).is_some() {
        return fields;
    }
    let date = date::format(received.seconds());
    let is_other = |(name, _): &(&[u8], _)| !name.eq_ignore_ascii_case(b"date");
    let others = fields.iter().filter(is_other);
    others.chain([(&b"Date"[..], &date[..])]).collect()
}

#[cfg(test)]
#[allow(clippy::type_complexity)]
mod tests {
    use super::*;
    use crate::cache::owner::CLIENT;
    use crate::cache::testing::{DATE, TIMES, fields, lines, request, response};

    #[test]
    fn fields_that_are_stored() {
        #[rustfmt::skip]
        let table: &[(&[(&str, &str)], &[&str])] = &[
            (&[("Foo", "1"), ("Content-Type", "a/b")], &["Foo: 1", "Content-Type: a/b"]),
            (&[("Set-Cookie", "a"), ("A", "1"), ("SET-COOKIE", "b"), ("Set-Cookie2", "c"), ("Authentication-Info", "d")], &["A: 1"]),
            (&[("Connection", "a, close"), ("A", "1"), ("B", "2")], &["B: 2"]),
            (&[("Keep-Alive", "a"), ("Proxy-Connection", "a"), ("Upgrade", "a"), ("TE", "a")], &[]),
            (&[("Transfer-Encoding", "chunked"), ("Content-Length", "5")], &[]),
            (&[("Proxy-Authenticate", "a"), ("Proxy-Authentication-Info", "a"), ("Proxy-Authorization", "a")], &[]),
            (&[("Cache-Control", "private=\"A\""), ("A", "1"), ("B", "2")], &["Cache-Control: private=\"A\"", "B: 2"]),
            (&[("Cache-Control", "no-cache=a"), ("A", "1")], &["Cache-Control: no-cache=a"]),
            (&[("Connection", "vary"), ("Vary", "a")], &["Vary: a"]),
            (&[("ETag", "\"a\""), ("Age", "5"), ("Via", "1.1 x")], &["ETag: \"a\"", "Age: 5", "Via: 1.1 x"]),
        ];
        for (received, expected) in table {
            assert_eq!(
                lines(&storable(&fields(received), &TargetList::NONE)),
                *expected,
                "{received:?}"
            );
        }
    }

    #[test]
    fn every_stored_response_has_a_date() {
        let date = format!("Date: {DATE}");
        let old = "Sun, 06 Nov 1994 08:00:00 GMT";
        let table: &[(&[(&str, &str)], &str)] = &[
            (&[], &date),
            (&[("Date", "today")], &date),
            (&[("Date", old)], "Date: Sun, 06 Nov 1994 08:00:00 GMT"),
        ];
        for (received, expected) in table {
            let meta = Meta::of(
                Key::new(&b"k"[..]),
                &request("GET", &[]),
                &response(200, received),
                TIMES,
                &TargetList::NONE,
            );
            assert_eq!(lines(&meta.fields), [*expected], "{received:?}");
        }
    }

    #[test]
    fn only_a_response_to_head_keeps_its_length() {
        for (method, expected) in [("HEAD", Some(&b"5"[..])), ("GET", None)] {
            let meta = Meta::of(
                Key::new(&b"k"[..]),
                &request(method, &[]),
                &response(200, &[("Content-Length", "5")]),
                TIMES,
                &TargetList::NONE,
            );
            assert_eq!(meta.fields.first("content-length"), expected, "{method}");
        }
    }

    #[test]
    fn what_is_for_one_client_is_left_out_for_others() {
        let of = |header: &[(&str, &str)], trailers: &[(&str, &str)]| {
            let meta = Meta {
                fields: fields(header),
                trailers: fields(trailers),
                ..crate::cache::testing::stored(200, &[])
            };
            meta.without_personal(&TargetList::NONE)
        };
        assert_eq!(of(&[("A", "1")], &[("B", "2")]), None);
        let private = ("Cache-Control", "private=\"X\"");
        let others = of(&[private, ("X", "1")], &[("B", "2")]).expect("X in the header");
        assert!(!others.0.has("x") && others.0.has("cache-control"));
        assert_eq!(lines(&others.1), ["B: 2"]);
        let others = of(&[private, ("A", "1")], &[("X", "2")]).expect("X in the trailers");
        assert!(others.0.has("a") && others.1.is_empty());
    }

    #[test]
    fn the_variant_is_that_of_the_request() {
        let meta = Meta::of(
            Key::new(&b"k"[..]),
            &request("GET", &[("Accept-Encoding", "gzip")]),
            &response(200, &[("Vary", "Accept-Encoding, Foo")]),
            TIMES,
            &TargetList::NONE,
        );
        assert_eq!(meta.variant.text(), "accept-encoding: gzip\nfoo\n");
    }

    #[test]
    fn whose_place_a_response_takes() {
        let plain = crate::cache::testing::stored(200, &[]);
        let varying = |value: &str| Meta {
            variant: Variant::new(format!("a: {value}\n")),
            ..plain.clone()
        };
        let own = |client: &str| Meta {
            variant: Variant::new(format!("{CLIENT}: {client}\n")),
            ..plain.clone()
        };
        let part = |meta: &Meta, first: u64| Meta {
            extent: Extent::Part { first, length: 9 },
            ..meta.clone()
        };
        let (one, two) = (varying("1"), varying("2"));
        #[rustfmt::skip]
        let table = [
            (&plain, &plain, true), (&plain, &one, true), (&one, &plain, true), (&one, &one, true),
            (&one, &two, false), (&own("x"), &own("x"), true), (&own("x"), &own("y"), false),
            (&own("x"), &plain, false), (&plain, &own("x"), false), (&one, &own("x"), false),
            (&own("all"), &plain, false), (&plain, &own("all"), false),
            (&part(&plain, 1), &part(&plain, 1), true), (&part(&plain, 1), &part(&plain, 2), false),
            (&part(&plain, 1), &part(&one, 2), true), (&part(&one, 1), &part(&two, 1), false),
            (&part(&own("x"), 1), &part(&plain, 1), false),
        ];
        for (row, (new, other, expected)) in table.into_iter().enumerate() {
            assert_eq!(new.takes_place_of(other), expected, "row {row}");
        }
    }
}

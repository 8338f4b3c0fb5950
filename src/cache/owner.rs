//! The client that a response is stored for alone, where a rule's `store = "always"` stores what others may not have: by
//! its address, and the Authorization and Cookie fields of its request.
//!
//! It counts as one more selecting field, with a name that no field can have, so that whatever compares variants keeps
//! clients apart. The field is added to the request that comes in, and never goes out.

use std::net::IpAddr;

use crate::http::fields::Fields;

/// The name of the field: a colon begins no name that can be received.
pub const CLIENT: &str = ":client";

/// The request's fields, and the one that says whose they are. Credentials aren't stored as they are, nor alike for two
/// URIs.
pub fn identified(
    request: &Fields,
    uri: &[u8],
    address: Option<IpAddr>,
    ignore_cookies: bool,
) -> Fields {
    let mut hasher = blake3::Hasher::new_derive_key("cacheproxy client of a stored response");
    let mut add = |text: &[u8]| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text);
    };
    add(uri);
    add(address
        .map(|it| it.to_string())
        .unwrap_or_default()
        .as_bytes());
    for (name, counts) in [("authorization", true), ("cookie", !ignore_cookies)] {
        add(name.as_bytes());
        request.all(name).filter(|_| counts).for_each(&mut add);
    }
    let identity = hasher.finalize().to_hex();
    let ours = (CLIENT.as_bytes(), identity.as_bytes());
    request.iter().chain([ours]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::fields;

    #[test]
    fn one_client_is_told_from_another() {
        type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, Option<[u8; 4]>);
        let home = Some([192, 0, 2, 1]);
        #[rustfmt::skip]
        let table: &[Row<'_>] = &[
            (&[], "http://a/", home),
            (&[], "http://b/", home),
            (&[], "http://a/", Some([192, 0, 2, 2])),
            (&[], "http://a/", None),
            (&[("Authorization", "a")], "http://a/", home),
            (&[("Authorization", "b")], "http://a/", home),
            (&[("Authorization", "a"), ("Authorization", "b")], "http://a/", home),
            (&[("Cookie", "a")], "http://a/", home),
            (&[("Authorization", "a"), ("Cookie", "a")], "http://a/", home),
        ];
        let identity = |(lines, uri, address): &Row<'_>, ignore_cookies| {
            let address = address.map(IpAddr::from);
            let all = identified(&fields(lines), uri.as_bytes(), address, ignore_cookies);
            String::from_utf8_lossy(all.first(CLIENT).unwrap_or_default()).into_owned()
        };
        for (at, one) in table.iter().enumerate() {
            for (other_at, other) in table.iter().enumerate() {
                let same = identity(one, false) == identity(other, false);
                assert_eq!(same, at == other_at, "{one:?} {other:?}");
            }
        }
        assert_eq!(identity(&table[0], true), identity(&table[7], true));
        assert_eq!(identity(&table[4], true), identity(&table[8], true));
        // Other fields, and how names are spelled, make no difference.
        let spelled = (
            &[("authorization", "a"), ("Accept", "b")][..],
            "http://a/",
            home,
        );
        assert_eq!(identity(&spelled, false), identity(&table[4], false));
    }
}

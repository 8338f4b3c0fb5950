//! Offers to switch to HTTP/2 or TLS (RFC 9110 §7.8), which clients make wherever they go: the cache answers without.

use crate::common::origin::fresh;
use crate::common::{Client, Origin, Proxy};

/// Offers to speak HTTP/2 or TLS from now on, as curl --http2 and cargo, Java and Apache HttpClient make them, and the
/// protocols that go on of each.
const OFFERS: [(&str, &str); 6] = [
    (
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
        "",
    ),
    (
        "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAA\r\nUpgrade: H2C\r\n",
        "",
    ),
    ("Upgrade: TLS/1.2\r\nConnection: Upgrade\r\n", ""),
    (
        "Upgrade: h2c, TLS/1.3\r\nConnection: keep-alive, upgrade\r\n",
        "",
    ),
    (
        "Upgrade: h2c, websocket\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA\r\n",
        "websocket",
    ),
    (
        "Upgrade: TLS/1.2\r\nUpgrade: other/1\r\nConnection: Upgrade\r\n",
        "other/1",
    ),
];

#[test]
fn offers_of_http2_and_tls_are_answered_as_if_they_were_not_there() {
    let origin = Origin::answering(|request| {
        let fields = ["upgrade", "connection", "http2-settings"];
        let shown = fields.map(|name| request.head.first(name).unwrap_or_default());
        fresh(shown.join("|"))
    });
    let proxy = Proxy::start("");
    for (number, (offer, goes_on)) in OFFERS.iter().enumerate() {
        let uri = origin.uri(&format!("/{number}"));
        let mut client = Client::of(&proxy);
        let first = client.request("GET", &uri, offer);
        let passed = !goes_on.is_empty();
        let expected = match passed {
            true => format!("{goes_on}|Upgrade|"),
            false => "||".to_owned(),
        };
        assert_eq!(first.text(), expected, "{offer}");
        let again = client.request("GET", &uri, offer);
        assert_eq!(again.is_hit(), !passed, "{offer}: {}", again.cache_status());
        // It is the same to those who make no offer, and to one of HEAD.
        assert_eq!(proxy.get(&uri).is_hit(), !passed, "{offer}");
        let head = proxy.request("HEAD", &uri, OFFERS[0].0);
        assert!(head.is_hit(), "{offer}");
        let posted = format!("{offer}Content-Length: 0\r\n");
        assert_eq!(
            client.request("POST", &uri, &posted).text(),
            expected,
            "{offer}"
        );
    }
}

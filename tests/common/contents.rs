//! Contents of every size and in several languages, for tests of what is done with all that is stored.

use super::origin::{fresh, ok};
use super::{Origin, Proxy, pattern};

/// Paths and the lengths of their contents.
pub const PATHS: [(&str, usize); 4] = [
    ("/empty", 0),
    ("/small", 1000),
    ("/middle", 300_000),
    ("/large", 5_000_000),
];

/// An origin server with these, and with `/vary` in each language.
pub fn origin() -> Origin {
    Origin::answering(|request| match request.target() {
        "/vary" => ok(
            "Cache-Control: max-age=600\r\nVary: accept-language\r\n",
            request.head.first("accept-language").unwrap_or("none"),
        ),
        path => {
            let known = PATHS.iter().find(|(known, _)| *known == path);
            fresh(pattern(known.map_or(10, |(_, size)| *size)))
        }
    })
}

/// Has a proxy fetch all of them, and `/vary` in two languages: six responses.
pub fn fetch(proxy: &Proxy, origin: &Origin) {
    for (path, _) in PATHS {
        proxy.get(&origin.uri(path));
    }
    for language in ["de", "en"] {
        let field = format!("Accept-Language: {language}\r\n");
        proxy.request("GET", &origin.uri("/vary"), &field);
    }
}

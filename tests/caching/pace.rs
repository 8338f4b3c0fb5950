//! Clients of one fetch whose content can't be kept, each at its own pace: the quick one is through as if it were
//! alone, and the slow one gets all of it too, where the origin server can say what is the same.

use std::sync::Arc;

use crate::common::message::Framing;
use crate::common::origin::Received;
use crate::common::{self, Client, Conn, Ended, Gate, Origin, Proxy};

/// More than what sockets take for a client that doesn't read.
const LENGTH: usize = 24 << 20;
/// The content is too large to be kept, which only its end shows; or there is no room.
const TOO_LARGE: &str = "largest_object = \"1MiB\"\n";
const NO_ROOM: &str = "min_free_disk = \"1000000TiB\"\n";

/// What the origin server makes of the request for the rest.
#[derive(Clone, Copy, PartialEq)]
enum Rest {
    /// A 206.
    Part,
    /// A 200, as it has no ranges.
    All,
    /// Another representation by now.
    Other,
}

/// A response to be sent, and when.
struct Script {
    validator: String,
    chunked: bool,
    rest: Rest,
    all: Arc<Vec<u8>>,
    /// Held until both clients have the head.
    gate: Gate,
}

impl Script {
    fn answer(&self, conn: &mut Conn, request: &Received) {
        let length = self.all.len();
        let range = request.head.first("range").map(|range| {
            let first = range.strip_prefix("bytes=").unwrap().strip_suffix('-');
            first.unwrap().parse().unwrap()
        });
        let (status, first, validator) = match (range, self.rest) {
            (Some(first), Rest::Part) => ("206 Partial Content", first, &*self.validator),
            (Some(_), Rest::Other) => ("200 OK", 0, "ETag: \"other\"\r\n"),
            (None, _) | (_, Rest::All) => ("200 OK", 0, &*self.validator),
        };
        let (date, content) = (common::date(0), &self.all[first..]);
        let framing = match (first, self.chunked) {
            (0, true) => "Transfer-Encoding: chunked".to_owned(),
            (0, false) => format!("Content-Length: {length}"),
            (first, _) => format!(
                "Content-Range: bytes {first}-{}/{length}\r\nContent-Length: {}",
                length - 1,
                content.len()
            ),
        };
        conn.send(format!(
            "HTTP/1.1 {status}\r\nDate: {date}\r\nCache-Control: max-age=60\r\n{validator}{framing}\r\n\r\n"
        ));
        if range.is_none() {
            self.gate.wait();
        }
        if !framing.ends_with("chunked") {
            conn.send(content);
            return;
        }
        for piece in content.chunks(50_000) {
            conn.send(format!("{:x}\r\n", piece.len()));
            conn.send(piece);
            conn.send("\r\n");
        }
        conn.send("0\r\n\r\n");
    }
}

#[test]
fn a_slow_client_of_what_cannot_be_kept_holds_up_nobody() {
    let old = format!("Last-Modified: {}\r\n", common::date(-100_000));
    let tag = "ETag: \"a\"\r\n";
    // (why it isn't kept, the validator, chunked, the answer to the request for the rest, all of it comes)
    let rows = [
        (TOO_LARGE, tag, true, Rest::Part, true),
        (TOO_LARGE, &old, true, Rest::Part, true),
        (TOO_LARGE, tag, true, Rest::All, true),
        (TOO_LARGE, tag, true, Rest::Other, false),
        (TOO_LARGE, "ETag: W/\"a\"\r\n", true, Rest::Part, false),
        (TOO_LARGE, "", true, Rest::Part, false),
        (NO_ROOM, tag, true, Rest::Part, true),
        (NO_ROOM, tag, false, Rest::Part, true),
        (NO_ROOM, tag, false, Rest::All, true),
        (NO_ROOM, tag, false, Rest::Other, false),
        (NO_ROOM, "", false, Rest::Part, false),
    ];
    let all = Arc::new(common::pattern(LENGTH));
    common::each(rows, |(config, validator, chunked, rest, whole)| {
        let gate = Gate::new();
        let script = Script {
            validator: validator.to_owned(),
            chunked,
            rest,
            all: all.clone(),
            gate: gate.clone(),
        };
        let origin = Origin::scripted(move |mut conn| {
            while let Ok(request) = conn.request() {
                script.answer(&mut conn, &request);
            }
        });
        let proxy = Proxy::start(config);
        let (mut slow, mut quick) = (Client::of(&proxy), Client::of(&proxy));
        let [head, _] = [&mut slow, &mut quick].map(|client| {
            client.ask("GET", &origin.uri("/"), "");
            client.response_head("GET")
        });
        gate.open();
        let mut content = Vec::new();
        let done = quick.content(head.framing, &mut |piece| content.extend_from_slice(piece));
        assert!(
            done.is_ok() && content == *all,
            "{config} {validator} {done:?}"
        );
        assert!(origin.count() <= 2, "one fetch for both, and the rest");
        let mut content = Vec::new();
        let ended = slow.content(head.framing, &mut |piece| content.extend_from_slice(piece));
        assert!(
            all.starts_with(&content),
            "{config} {validator}: content of another"
        );
        assert_eq!(ended.is_ok(), whole, "{config} {validator} {ended:?}");
        if whole {
            assert!(content.len() == LENGTH);
            // Which of them is the slow one may change on a busy machine.
            assert!((2..=3).contains(&origin.count()), "{}", origin.count());
            let value = validator.trim_end().split_once(": ").unwrap().1;
            assert_eq!(origin.last().head.first("if-range"), Some(value));
        } else {
            assert!(
                matches!(ended, Err(Ended::Partial(_) | Ended::Reset)),
                "{ended:?}"
            );
        }
        assert!(matches!(head.framing, Framing::Chunked) == chunked);
    });
}

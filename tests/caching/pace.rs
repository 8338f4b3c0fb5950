//! Clients of one fetch whose content can't be kept, each at its own pace: the quick one is through as if it were
//! alone, and the slow one gets all of it too, where the origin server can say what is the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::common::origin::Received;
use crate::common::{self, Client, Conn, Ended, Gate, Origin, Proxy};

/// More than what sockets take for a client that doesn't read.
const LENGTH: usize = 24 << 20;
/// The origin server sends so many bytes at a time.
const PIECE: usize = 100_000;
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
    /// Another representation by now, which has another tag.
    Other,
    /// Another representation, which only its content shows.
    Changed,
}

/// A representation, and what is answered when it is asked for again.
struct Script {
    validator: String,
    chunked: bool,
    rest: Rest,
    all: Arc<Vec<u8>>,
    /// Each piece of the first response waits for it.
    gate: Gate,
}

impl Script {
    fn first(&self, conn: &mut Conn) {
        let framing = match self.chunked {
            true => "Transfer-Encoding: chunked".to_owned(),
            false => format!("Content-Length: {LENGTH}"),
        };
        conn.send(head("200 OK", &self.validator, &framing));
        for piece in self.all.chunks(PIECE) {
            self.gate.wait();
            match self.chunked {
                true => conn
                    .send([format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat()),
                false => conn.send(piece),
            };
        }
        if self.chunked {
            conn.send("0\r\n\r\n");
        }
    }

    fn again(&self, conn: &mut Conn, request: &Received) {
        let length = format!("Content-Length: {LENGTH}");
        let mut all = self.all.to_vec();
        match self.rest {
            Rest::Part => {
                let range = request.head.first("range").unwrap();
                let first = range
                    .strip_prefix("bytes=")
                    .unwrap()
                    .strip_suffix('-')
                    .unwrap();
                let part = &all[first.parse().unwrap()..];
                let framing = format!(
                    "Content-Range: bytes {first}-{}/{LENGTH}\r\nContent-Length: {}",
                    LENGTH - 1,
                    part.len()
                );
                conn.send(head("206 Partial Content", &self.validator, &framing));
                conn.send(part);
                return;
            }
            Rest::All => _ = conn.send(head("200 OK", &self.validator, &length)),
            Rest::Other => _ = conn.send(head("200 OK", "ETag: \"other\"\r\n", &length)),
            Rest::Changed => {
                all[100_000] ^= 1;
                conn.send(head("200 OK", &self.validator, &length));
            }
        }
        conn.send(all);
    }
}

fn head(status: &str, validator: &str, framing: &str) -> String {
    let date = common::date(0);
    format!(
        "HTTP/1.1 {status}\r\nDate: {date}\r\nCache-Control: max-age=60\r\n{validator}{framing}\r\n\r\n"
    )
}

#[test]
fn a_slow_client_of_what_cannot_be_kept_holds_up_nobody() {
    let old = &format!("Last-Modified: {}\r\n", common::date(-100_000));
    let (tag, weak) = ("ETag: \"a\"\r\n", "ETag: W/\"a\"\r\n");
    // (why it isn't kept, the validator, chunked, the answer to the request for the rest, all of it comes)
    let rows = [
        (TOO_LARGE, tag, true, Rest::Part, true),
        (TOO_LARGE, tag, true, Rest::All, true),
        (TOO_LARGE, tag, true, Rest::Other, false),
        (TOO_LARGE, old, true, Rest::Part, true),
        (TOO_LARGE, weak, true, Rest::All, true),
        (TOO_LARGE, "", true, Rest::All, true),
        (TOO_LARGE, "", true, Rest::Changed, false),
        (NO_ROOM, tag, false, Rest::Part, true),
        (NO_ROOM, "", false, Rest::All, true),
        (NO_ROOM, "", false, Rest::Changed, false),
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
        let is_first = AtomicBool::new(true);
        let origin = Origin::scripted(move |mut conn| {
            while let Ok(request) = conn.request() {
                match is_first.swap(false, SeqCst) {
                    true => script.first(&mut conn),
                    false => script.again(&mut conn, &request),
                }
            }
        });
        let proxy = Proxy::start(config);
        let (mut slow, mut quick) = (Client::of(&proxy), Client::of(&proxy));
        let [framing, _] = [&mut slow, &mut quick].map(|client| {
            client.ask("GET", &origin.uri("/"), "");
            client.response_head("GET").framing
        });
        gate.open();
        let (mut content, mut pieces) = (Vec::new(), 1);
        let done = quick.content(framing, &mut |piece| {
            content.extend_from_slice(piece);
            // The quick one is never far behind, however busy the machine is.
            while content.len() / PIECE >= pieces {
                gate.open();
                pieces += 1;
            }
        });
        let row = format!("{config} {validator} {chunked} {whole}");
        assert!(done.is_ok() && content == *all, "{row} {done:?}");
        assert_eq!(origin.count(), 1, "one fetch for both");
        let mut content = Vec::new();
        let ended = slow.content(framing, &mut |piece| content.extend_from_slice(piece));
        assert!(all.starts_with(&content), "{row}: content of another");
        assert_eq!(ended.is_ok(), whole, "{row} {ended:?}");
        assert_eq!(origin.count(), 2, "the rest for the slow one");
        let strong = [tag, old].into_iter().find(|strong| *strong == validator);
        let value = strong.map(|field| field.trim_end().split_once(": ").unwrap().1);
        assert_eq!(origin.last().head.first("if-range"), value, "{row}");
        if whole {
            assert!(content.len() == LENGTH, "{row}");
        } else {
            assert!(
                matches!(ended, Err(Ended::Partial(_) | Ended::Reset)),
                "{ended:?}"
            );
        }
    });
}

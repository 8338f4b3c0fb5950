//! The hit path: a hit of the memory tier is answered at the first poll, so that it waits for nothing, and with no
//! more allocations than it needs.

use std::future::Future;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::*;
use crate::cache::directives::TargetList;
use crate::cache::key::Key;
use crate::cache::stored::Meta;
use crate::cache::testing::{request, response};
use crate::cache::time::FetchTimes;
use crate::ipc::{Assigned, Peer};
use crate::store::{Checksum, Content, Object};
use crate::sys::shared::Shared;
use crate::worker::fetch;

fn worker() -> Rc<Worker> {
    let shared = Arc::new(Shared::create().unwrap());
    let settings = Settings {
        access_log: false,
        ..Settings::default()
    };
    Rc::new(Worker::new(1, settings, shared, "test".to_owned()))
}

/// Has a fresh response to a plain GET in the memory tier.
fn remember(worker: &Worker) {
    let uri = Uri::parse(&Bytes::from_static(b"http://a.example/")).unwrap();
    let key = Key::of(&uri);
    let fresh = response(200, &[("Cache-Control", "max-age=60"), ("ETag", "\"a\"")]);
    let content = Bytes::from_static(b"content");
    let object = Object {
        generation: worker.shared.generation(key.hash()),
        meta: Meta::of(
            key,
            &request("GET", &[]),
            &fresh,
            FetchTimes {
                request: now(),
                response: now(),
                ..FetchTimes::default()
            },
            &TargetList::NONE,
        ),
        checksum: Checksum::of(&content),
        content: Content::Memory(content),
    };
    fetch::remember(worker, &worker.settings().policy(uri.as_bytes()), object);
}

#[tokio::test(flavor = "current_thread")]
async fn a_hit_waits_for_nothing_and_allocates_little() {
    let worker = worker();
    remember(&worker);
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let mut client = Client::new(Assigned {
        id: 1,
        peer: Peer::Unix,
        handed: false,
        read: Bytes::new(),
        fd: OwnedFd::from(ours),
    })
    .unwrap();
    let settings = worker.settings();
    // The fields of a request, and the allocations: one for the text of its key, one for the tags of its condition.
    #[rustfmt::skip]
    let table: &[(&[(&str, &str)], u64)] = &[
        (&[("Host", "a.example")], 1),
        (&[("Host", "a.example"), ("User-Agent", "x"), ("Accept", "*/*")], 1),
        (&[("Host", "a.example"), ("Cache-Control", "max-age=60")], 1),
        (&[("Host", "a.example"), ("If-None-Match", "\"b\"")], 2),
    ];
    // Twice, so that the buffer has its size.
    for (round, (lines, most)) in (0..2).flat_map(|round| table.iter().map(move |row| (round, row)))
    {
        client.out.clear();
        let head = request("GET", lines);
        let mut answered = None;
        let allocated = allocation_counter::measure(|| {
            let mut serving = pin!(serve(&worker, &mut client, head, settings.clone()));
            answered = Some(
                serving
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop())),
            );
        });
        assert_eq!(answered, Some(Poll::Ready(After::Keep)), "{lines:?}");
        assert!(client.out.ends_with(b"\r\n\r\ncontent"), "{lines:?}");
        let count = allocated.count_total;
        assert!(
            round == 0 || count <= *most,
            "{lines:?}: {count} allocations"
        );
    }
}

//! Hits through a proxy of the built binary: from memory, and from the store where the memory tier is off.

use std::time::Duration;

use super::cpu::{self, Used};
use crate::common::message::Framing;
use crate::common::postgres::Server;
use crate::common::{Client, Origin, Proxy};

/// Lengths of content and how often each is asked for.
const SIZES: [(usize, usize); 3] = [(1 << 10, 10_000), (64 << 10, 3_000), (4 << 20, 60)];
const ROUNDS: usize = 3;

/// Prints a line for each size and place.
pub fn run(server: &Server) {
    println!("\nhits through a proxy: processor time of its worker + server, in microseconds");
    println!(
        "{:22} {:>22} {:>22} {:>7}",
        "", "postgres", "filesystem", "ratio"
    );
    for (name, config) in [
        ("memory", "access_log = false\n"),
        ("store", "access_log = false\nmemory = \"0B\"\n"),
    ] {
        let origin = Origin::sized();
        let connection = server.database();
        let proxies = [
            Proxy::with(config).database(&connection).start(),
            Proxy::with(config).start(),
        ];
        for (len, count) in SIZES {
            if name == "memory" && len > 64 << 10 {
                continue;
            }
            let mut spent = [(0.0, 0.0); 2];
            let mut clients: Vec<Client> = proxies.iter().map(Client::of).collect();
            for client in &mut clients {
                warm(client, &origin, len);
            }
            for _ in 0..ROUNDS {
                for ((proxy, client), spent) in proxies.iter().zip(&mut clients).zip(&mut spent) {
                    let workers = proxy.workers();
                    let used = Used::by(&workers, server, || {
                        for _ in 0..count {
                            assert!(ask(client, &origin, len));
                        }
                    });
                    spent.0 += cpu::micros(used.client, count * ROUNDS);
                    spent.1 += cpu::micros(used.server, count * ROUNDS);
                }
            }
            let [(ours, database), (files, _)] = spent;
            let both = format!("{ours:.1} + {database:.1}");
            let ratio = (ours + database) / files;
            println!(
                "{name:6} {:>11} KiB {both:>24} {files:>22.1} {ratio:>7.2}",
                len >> 10
            );
        }
    }
}

/// Asks until it is stored and, where it may be, in memory.
fn warm(client: &mut Client, origin: &Origin, len: usize) {
    let mut hits = 0;
    while hits < 20 {
        hits += usize::from(ask(client, origin, len));
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// One request; whether it was a hit.
fn ask(client: &mut Client, origin: &Origin, len: usize) -> bool {
    client.ask("GET", &origin.uri(&format!("/{len}")), "");
    let head = client.response_head("GET");
    let mut seen = 0;
    client
        .content(Framing::Length(len as u64), &mut |piece| {
            seen += piece.len()
        })
        .unwrap();
    assert_eq!(seen, len);
    head.is_hit()
}

//! Shared by the tests of the PostgreSQL store: a database with proxies on it, and clients that keep asking while something
//! happens to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::common::postgres::Server;
use crate::common::{Client, Proxy, TIMEOUT, wait_until};

/// A lookup waits no longer for the database than this, as its deadline says, and a busy machine's share.
pub const BOUND: Duration = Duration::from_millis(2_000 + 2_000);

/// The name of the database in a connection string of the server's.
pub fn name(connection: &str) -> &str {
    connection.rsplit("dbname=").next().unwrap()
}

/// A proxy with one worker on this database.
#[track_caller]
pub fn proxy(connection: &str) -> Proxy {
    Proxy::with("access_log = false\npurge_allow = [\"127.0.0.1\"]\n")
        .database(connection)
        .start()
}

/// The number of stored responses whose URI ends so; none while there is no schema.
pub fn stored(server: &Server, connection: &str, path: &str) -> usize {
    let count = format!("SELECT count(*) FROM cacheproxy.response WHERE uri LIKE '%{path}'");
    let count = server.try_sql(name(connection), &count);
    count.map_or(0, |count| count.parse().unwrap())
}

/// Waits until so many responses are stored whose URI ends so: the client has its answer before.
#[track_caller]
pub fn wait_until_stored(server: &Server, connection: &str, path: &str, count: usize) {
    let what = format!("{count} of {path} stored");
    wait_until(&what, TIMEOUT, || stored(server, connection, path) == count);
}

/// Asks for what was not asked for before, until some of it is stored: the proxy has found its database again.
#[track_caller]
pub fn wait_until_storing(proxy: &Proxy, server: &Server, connection: &str, uri: &str) {
    let mut number = 0;
    let path = uri.rsplit('/').next().unwrap();
    wait_until("something is stored", TIMEOUT * 2, || {
        number += 1;
        assert_eq!(proxy.get(&format!("{uri}/{number}")).status, 200);
        std::thread::sleep(Duration::from_millis(100));
        stored_within(server, connection, path) > 0
    });
}

/// The number of stored responses whose URI has this path as a part.
pub fn stored_within(server: &Server, connection: &str, path: &str) -> usize {
    let count = format!("SELECT count(*) FROM cacheproxy.response WHERE uri LIKE '%/{path}/%'");
    let count = server.try_sql(name(connection), &count);
    count.map_or(0, |count| count.parse().unwrap())
}

/// One request of a load.
#[derive(Debug)]
pub struct Asked {
    /// The URI that was asked for.
    pub uri: String,
    /// The time that the whole answer took.
    pub took: Duration,
    /// The answer's status and whether it was a hit, or why there is none.
    pub answer: Result<(u16, bool), String>,
}

/// Clients that ask one request after another: for a few responses again and again, and between them for new ones.
pub struct Load {
    over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Asked>>>,
}

impl Load {
    /// Begins to ask for URIs that begin so.
    pub fn start(proxy: SocketAddr, uri: &str, clients: usize) -> Load {
        let over = Arc::new(AtomicBool::new(false));
        let client = |number: usize| {
            let (over, uri) = (over.clone(), uri.to_owned());
            std::thread::spawn(move || ask_on(proxy, &uri, number, &over))
        };
        Load {
            clients: (0..clients).map(client).collect(),
            over,
        }
    }

    /// Ends it and gives what was asked.
    pub fn finish(self) -> Vec<Asked> {
        self.over.store(true, Ordering::SeqCst);
        let asked = self
            .clients
            .into_iter()
            .map(|client| client.join().unwrap());
        asked.flatten().collect()
    }

    /// Ends it; every request must have been answered by 200, and none later than `bound`.
    #[track_caller]
    pub fn finish_well(self, what: &str, bound: Duration) -> Vec<Asked> {
        let asked = self.finish();
        let hits = asked
            .iter()
            .filter(|one| matches!(one.answer, Ok((200, true))));
        let (count, hits) = (asked.len(), hits.count());
        if let Some(Asked { took, uri, .. }) = asked.iter().max_by_key(|one| one.took) {
            eprintln!("{what}: {count} requests, {hits} hits, slowest {took:?} for {uri}");
        }
        let bad = |one: &&Asked| !matches!(one.answer, Ok((200, _))) || one.took > bound;
        let bad: Vec<&Asked> = asked.iter().filter(bad).take(5).collect();
        assert!(bad.is_empty(), "{what}: {bad:#?}");
        asked
    }
}

fn ask_on(proxy: SocketAddr, uri: &str, client: usize, over: &AtomicBool) -> Vec<Asked> {
    let mut asked = Vec::new();
    let mut connection = Client::to(proxy);
    let mut number = 0;
    while !over.load(Ordering::SeqCst) {
        number += 1;
        let uri = match number % 2 {
            0 => format!("{uri}/often/{}", number / 2 % 8),
            _ => format!("{uri}/new/{client}/{number}"),
        };
        let at = Instant::now();
        connection.ask("GET", &uri, "");
        let answer = connection.try_response("GET");
        if answer.is_err() {
            connection = Client::to(proxy);
        }
        asked.push(Asked {
            uri,
            took: at.elapsed(),
            answer: answer
                .map(|answer| (answer.status, answer.is_hit()))
                .map_err(|ended| format!("{ended:?}")),
        });
        std::thread::sleep(Duration::from_millis(2));
    }
    asked
}

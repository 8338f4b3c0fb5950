//! Large content whose database is lost while it is sent: the rest comes from the origin server, or the client is cut
//! off where that has another representation by now.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use common::origin::reply;
use common::postgres::Server;
use common::proxy::command;
use common::{Origin, PATIENCE, pattern, wait_until};

/// More than sockets hold.
const LARGE: usize = 24 << 20;

/// A proxy on a database.
struct Running {
    child: Child,
    address: String,
    /// Kept open, so that what it says has somewhere to go.
    _said: BufReader<std::process::ChildStderr>,
}

impl Running {
    fn start(dir: &Path, database: &str) -> Running {
        let spool = dir.join("spool");
        let config = format!(
            "store = \"postgres\"\ndatabase = \"{database}\"\nstore_path = {spool:?}\naccess_log = false\n"
        );
        std::fs::write(dir.join("the.toml"), config).unwrap();
        let mut child = command(dir)
            .args([
                "run",
                "--listen",
                "127.0.0.1:0",
                "--workers",
                "1",
                "--config",
            ])
            .arg(dir.join("the.toml"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "it ended");
            if let Some((_, address)) = line.split_once("listening on http://") {
                break address.trim().to_owned();
            }
        };
        Running {
            child,
            address,
            _said: said,
        }
    }

    /// Asks for this, and reads the head.
    fn ask(&self, uri: &str, fields: &str) -> (String, BufReader<TcpStream>) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let host = uri.split('/').nth(2).unwrap();
        write!(stream, "GET {uri} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n").unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
        }
        (head, reader)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How the origin server answers the second request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Part,
    Whole,
    Another,
    Error,
}

/// The origin server: whole content at first, then as it is to be.
fn origin(then: Then, tag: &'static str) -> Origin {
    let asked = AtomicUsize::new(0);
    Origin::answering(move |request| {
        let content = pattern(LARGE);
        let fields = format!("Cache-Control: max-age=600\r\n{tag}");
        if asked.fetch_add(1, SeqCst) == 0 || then == Then::Whole {
            return reply("200 OK", &fields, content);
        }
        let range = request.head.first("range").unwrap_or_default();
        let range = range.trim_start_matches("bytes=").trim_end_matches('-');
        let from: usize = range.parse().unwrap_or(0);
        match then {
            Then::Part => {
                let part = format!(
                    "{fields}Content-Range: bytes {from}-{}/{LARGE}\r\n",
                    LARGE - 1
                );
                reply("206 Partial Content", &part, &content[from..])
            }
            Then::Another => reply("200 OK", "ETag: \"new\"\r\n", content),
            Then::Whole | Then::Error => reply("500 Oh", "", "no"),
        }
    })
}

#[test]
fn what_a_killed_server_had_comes_from_the_origin_server() {
    let tag = "ETag: \"one\"\r\n";
    let rows = [
        (Then::Part, tag, "", true),
        (Then::Whole, tag, "", true),
        (Then::Part, tag, "Range: bytes=1000-\r\n", true),
        (Then::Another, tag, "", false),
        (Then::Error, tag, "", false),
        (Then::Part, "", "", false),
    ];
    let mut server = Server::start();
    for (then, tag, fields, whole) in rows {
        let row = format!("{then:?} {tag:?} {fields:?}");
        let origin = origin(then, tag);
        let dir = tempfile::tempdir().unwrap();
        let database = server.database();
        let proxy = Running::start(dir.path(), &database);
        let uri = origin.uri("/large");
        let (_, mut first) = proxy.ask(&uri, "Connection: close\r\n");
        std::io::copy(&mut first, &mut std::io::sink()).unwrap();
        let name = database.rsplit("dbname=").next().unwrap();
        wait_until("it is stored", PATIENCE, || {
            server.sql(name, "SELECT count(*) FROM cacheproxy.response") == "1"
        });
        // Until then the fetch itself would answer.
        std::thread::sleep(std::time::Duration::from_secs(1));

        let (head, mut reader) = proxy.ask(&uri, &format!("{fields}Connection: close\r\n"));
        assert!(head.contains("; hit"), "{row}: {head}");
        let mut content = vec![0; 100_000];
        reader.read_exact(&mut content).unwrap();
        server.kill();
        let ended = reader.read_to_end(&mut content);
        let skipped = if fields.is_empty() { 0 } else { 1000 };
        assert!(pattern(LARGE)[skipped..].starts_with(&content), "{row}");
        let is_whole = content.len() == LARGE - skipped;
        assert_eq!(is_whole, whole, "{row}: {} bytes, {ended:?}", content.len());
        let asked = origin.requests();
        let again = asked
            .get(1)
            .map(|request| request.head.first("if-range").map(str::to_owned));
        match tag.is_empty() {
            true => assert_eq!(again, None, "{row}"),
            false => assert_eq!(again, Some(Some("\"one\"".to_owned())), "{row}"),
        }
        server.start_again();
    }
}

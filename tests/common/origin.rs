//! Origin servers that do exactly what a test says, byte by byte.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::message::{Framing, Head, read_content};
use super::wire::{Ended, Wire};
use super::{Gate, TIMEOUT, date, pattern, wait_until};

/// A request as the origin got it.
#[derive(Debug, Clone)]
pub struct Received {
    /// Which connection it came on, from 0.
    pub connection: usize,
    /// The head.
    pub head: Head,
    /// The content.
    pub content: Vec<u8>,
    /// The trailer fields.
    pub trailers: Vec<(String, String)>,
}

impl Received {
    /// The request's method.
    pub fn method(&self) -> &str {
        self.head.line.split(' ').next().unwrap_or_default()
    }

    /// The request target.
    pub fn target(&self) -> &str {
        self.head.line.split(' ').nth(1).unwrap_or_default()
    }
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: Mutex<Vec<Received>>,
    stopping: AtomicBool,
}

/// One accepted connection, in the hands of a script.
pub struct Conn {
    /// The connection itself.
    pub wire: Wire,
    /// Which connection this is, from 0.
    pub number: usize,
    seen: Arc<Seen>,
}

impl Conn {
    /// Reads a request's head and records it.
    pub fn head(&mut self) -> Result<Head, Ended> {
        self.wire.allow(TIMEOUT * 4);
        let head = Head::read(&mut self.wire)?;
        let received = Received {
            connection: self.number,
            head: head.clone(),
            content: Vec::new(),
            trailers: Vec::new(),
        };
        self.seen.requests.lock().unwrap().push(received);
        Ok(head)
    }

    /// Reads a whole request and records it.
    pub fn request(&mut self) -> Result<Received, Ended> {
        self.wire.allow(TIMEOUT * 4);
        let head = Head::read(&mut self.wire)?;
        let mut content = Vec::new();
        let framing = Framing::of_request(&head)?;
        let trailers = read_content(&mut self.wire, framing, &mut |piece| {
            content.extend_from_slice(piece)
        })?;
        let received = Received {
            connection: self.number,
            head,
            content,
            trailers,
        };
        self.seen.requests.lock().unwrap().push(received.clone());
        Ok(received)
    }

    /// Sends bytes; false when the proxy is gone.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.wire.send(bytes.as_ref()).is_ok()
    }

    /// Waits until the proxy ends the connection.
    pub fn hold(&mut self) {
        self.wire.allow(TIMEOUT * 4);
        let _ = self.wire.rest();
    }

    /// Ends the connection with RST.
    pub fn reset(self) {
        self.wire.reset();
    }
}

/// A listening origin server.
pub struct Origin {
    address: SocketAddr,
    seen: Arc<Seen>,
    accepting: Option<JoinHandle<()>>,
}

impl Origin {
    /// Runs a script, in a thread of its own, on each connection.
    pub fn scripted(script: impl Fn(Conn) + Send + Sync + 'static) -> Origin {
        Origin::on(TcpListener::bind("127.0.0.1:0").unwrap(), script)
    }

    /// The same, on a listener of the test's.
    pub fn on(listener: TcpListener, script: impl Fn(Conn) + Send + Sync + 'static) -> Origin {
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let script = Arc::new(script);
        let accepting = std::thread::spawn({
            let seen = seen.clone();
            move || {
                for stream in listener.incoming() {
                    if seen.stopping.load(Ordering::SeqCst) {
                        break;
                    }
                    let number = seen.connections.fetch_add(1, Ordering::SeqCst);
                    let wire = Wire::of(stream.unwrap());
                    let conn = Conn {
                        wire,
                        number,
                        seen: seen.clone(),
                    };
                    let script = script.clone();
                    std::thread::spawn(move || script(conn));
                }
            }
        });
        Origin {
            address,
            seen,
            accepting: Some(accepting),
        }
    }

    /// Answers each request with these bytes, on connections that persist.
    pub fn answering(answer: impl Fn(&Received) -> Vec<u8> + Send + Sync + 'static) -> Origin {
        Origin::scripted(move |mut conn| {
            while let Ok(request) = conn.request() {
                if !conn.send(answer(&request)) {
                    return;
                }
            }
        })
    }

    /// Answers each request with what the script sends, which may wait for the gate on its way.
    pub fn gated(
        gate: &Gate,
        answer: impl Fn(&mut Conn, Received, &Gate) + Send + Sync + 'static,
    ) -> Origin {
        let gate = gate.clone();
        Origin::scripted(move |mut conn| {
            while let Ok(request) = conn.request() {
                answer(&mut conn, request, &gate);
            }
        })
    }

    /// Answers each request with this, when the gate lets it.
    pub fn held(gate: &Gate, answer: impl Fn() -> Vec<u8> + Send + Sync + 'static) -> Origin {
        Origin::gated(gate, move |conn, _, gate| {
            gate.wait();
            conn.send(answer());
        })
    }

    /// Answers each request with a fresh `first half`, whose second one waits for the gate.
    pub fn halved(gate: &Gate) -> Origin {
        Origin::gated(gate, |conn, _, gate| {
            let fields = "Cache-Control: max-age=60\r\nContent-Length: 10";
            conn.send(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\nfirst"));
            gate.wait();
            conn.send(" half");
        })
    }

    /// Answers each request with fresh content of the length that its path ends in.
    pub fn sized() -> Origin {
        Origin::answering(|request| {
            let length = request.target().rsplit('/').next().unwrap();
            fresh(pattern(length.parse().unwrap()))
        })
    }

    /// Answers the first request of each connection with these bytes and closes.
    pub fn closing(answer: impl Into<Vec<u8>>) -> Origin {
        let answer = answer.into();
        Origin::scripted(move |mut conn| {
            if conn.request().is_ok() {
                conn.send(&answer);
            }
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The authority of its URIs.
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// A URI of it.
    pub fn uri(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Everything it was asked so far.
    pub fn requests(&self) -> Vec<Received> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// The number of requests so far.
    pub fn count(&self) -> usize {
        self.seen.requests.lock().unwrap().len()
    }

    /// The number of requests so far for a path.
    pub fn count_of(&self, path: &str) -> usize {
        self.requests()
            .iter()
            .filter(|request| request.target() == path)
            .count()
    }

    /// The request that came last.
    #[track_caller]
    pub fn last(&self) -> Received {
        self.requests().pop().expect("the origin was asked nothing")
    }

    /// The number of connections accepted so far.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Waits until so many requests came.
    #[track_caller]
    pub fn wait_for(&self, requests: usize) {
        wait_until("requests at the origin", TIMEOUT, || {
            self.count() >= requests
        });
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.seen.stopping.store(true, Ordering::SeqCst);
        // Wakes accept(); a failure means that it is already gone.
        let _ = std::net::TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// A whole response: the status line's end, more fields (each with CRLF), content by length.
pub fn reply(status: &str, fields: &str, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let (date, length) = (date(0), content.len());
    let mut bytes =
        format!("HTTP/1.1 {status}\r\nDate: {date}\r\nContent-Length: {length}\r\n{fields}\r\n")
            .into_bytes();
    bytes.extend_from_slice(content);
    bytes
}

/// A 200 with these fields.
pub fn ok(fields: &str, content: impl AsRef<[u8]>) -> Vec<u8> {
    reply("200 OK", fields, content)
}

/// A 200 that stays fresh for a minute.
pub fn fresh(content: impl AsRef<[u8]>) -> Vec<u8> {
    ok("Cache-Control: max-age=60\r\n", content)
}

/// A 200 that is never stored.
pub fn passing(content: impl AsRef<[u8]>) -> Vec<u8> {
    ok("Cache-Control: no-store\r\n", content)
}

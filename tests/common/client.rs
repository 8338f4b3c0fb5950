//! A client that sends raw bytes and reads strictly.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::message::{Framing, Response, read_content};
use super::wire::{Ended, Wire};
use super::{Proxy, TIMEOUT};

/// A connection to the proxy.
pub struct Client {
    /// The connection itself.
    pub wire: Wire,
}

impl Client {
    /// Connects to the proxy.
    pub fn of(proxy: &Proxy) -> Client {
        Client::to(proxy.address())
    }

    /// Connects to the proxy and sends a GET for this.
    pub fn asking(proxy: &Proxy, uri: &str) -> Client {
        let mut client = Client::of(proxy);
        client.ask("GET", uri, "");
        client
    }

    /// Connects to an address.
    pub fn to(address: SocketAddr) -> Client {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT).unwrap();
        Client {
            wire: Wire::of(stream),
        }
    }

    /// Connects to the proxy from this address of the machine's.
    pub fn from(source: IpAddr, proxy: &Proxy) -> Client {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(source, 0).into()).unwrap();
        socket.connect(&proxy.address().into()).unwrap();
        Client {
            wire: Wire::of(socket.into()),
        }
    }

    /// This end's port, by which the proxy's own socket can be found.
    pub fn port(&self) -> u16 {
        self.wire.local().port()
    }

    /// Sends bytes; the proxy may already have closed, which the next read shows.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.wire.send(bytes.as_ref());
    }

    /// Reads a whole response to a request with this method.
    pub fn try_response(&mut self, method: &str) -> Result<Response, Ended> {
        self.wire.allow(TIMEOUT);
        Response::read(&mut self.wire, method)
    }

    /// Reads a whole response to a request with this method.
    #[track_caller]
    pub fn response(&mut self, method: &str) -> Response {
        match self.try_response(method) {
            Ok(response) => response,
            Err(ended) => panic!("no response: {ended:?}"),
        }
    }

    /// Reads a response's head only.
    #[track_caller]
    pub fn response_head(&mut self, method: &str) -> Response {
        self.wire.allow(TIMEOUT);
        match Response::read_head(&mut self.wire, method) {
            Ok(response) => response,
            Err(ended) => panic!("no response: {ended:?}"),
        }
    }

    /// Reads content into a sink, for what is too long to keep.
    pub fn content(&mut self, framing: Framing, sink: &mut dyn FnMut(&[u8])) -> Result<(), Ended> {
        read_content(&mut self.wire, framing, sink).map(|_| ())
    }

    /// Sends one request without content.
    pub fn ask(&mut self, method: &str, uri: &str, fields: &str) {
        let authority = uri.strip_prefix("http://").unwrap_or(uri);
        let authority = authority.split('/').next().unwrap_or_default();
        self.send(format!(
            "{method} {uri} HTTP/1.1\r\nHost: {authority}\r\n{fields}\r\n"
        ));
    }

    /// One GET and its response.
    #[track_caller]
    pub fn get(&mut self, uri: &str) -> Response {
        self.request("GET", uri, "")
    }

    /// One request without content and its response.
    #[track_caller]
    pub fn request(&mut self, method: &str, uri: &str, fields: &str) -> Response {
        self.ask(method, uri, fields);
        self.response(method)
    }

    /// Everything until the proxy closes, and how it closed.
    pub fn rest(&mut self) -> (Vec<u8>, Ended) {
        self.wire.allow(TIMEOUT);
        self.wire.rest()
    }

    /// True when nothing more comes for a short while and the connection stays open.
    pub fn is_quiet(&mut self, time: Duration) -> bool {
        self.wire.allow(time);
        matches!(self.wire.some(1), Err(Ended::Late))
    }
}

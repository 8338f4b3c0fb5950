//! Both directions of a request at once, over TLS: an origin server that sends content back as it comes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::common::{Client, Expected, Proxy, pattern, send_pattern};
use crate::origin::{Authority, Version};

const ROUNDS: usize = 10;
const MUCH: u64 = 8 << 20;

fn echo(server: Arc<ServerConfig>, length: u64) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let session = ServerConnection::new(server.clone()).unwrap();
            let mut tls = StreamOwned::new(session, stream);
            std::thread::spawn(move || answer(&mut tls, length));
        }
    });
    address
}

fn answer(tls: &mut (impl Read + Write), length: u64) -> std::io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        tls.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    tls.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes())?;
    let (mut left, mut room) = (length, vec![0; 64 << 10]);
    while left > 0 {
        let read = tls.read(&mut room)?;
        if read == 0 {
            break;
        }
        tls.write_all(&room[..read])?;
        left -= read as u64;
    }
    Ok(())
}

#[test]
fn content_goes_both_ways_at_once() {
    let authority = Authority::new();
    let proxy = Proxy::start(&authority.config());
    for version in [Version::Both, Version::Tls12] {
        let server = authority.server(&["localhost", "127.0.0.1"], true, version);
        let round = pattern(100);
        let length = (ROUNDS * round.len()) as u64 + MUCH;
        let address = echo(server, length);
        let mut client = Client::of(&proxy);
        client.send(format!(
            "POST http://HTTPS///localhost:{}/ HTTP/1.1\r\nHost: HTTPS\r\nContent-Length: {length}\r\n\r\n",
            address.port()
        ));
        assert_eq!(client.response_head("POST").status, 200);
        for _ in 0..ROUNDS {
            client.send(&round);
            assert_eq!(client.wire.exactly(round.len()).unwrap(), round);
        }
        let mut writer = client.wire.writer();
        let sent = std::thread::spawn(move || {
            send_pattern(&mut |piece| writer.write_all(piece).is_ok(), MUCH);
        });
        let mut expected = Expected::new();
        let framing = crate::common::message::Framing::Length(MUCH);
        client
            .content(framing, &mut |piece| expected.take(piece))
            .unwrap();
        assert_eq!(expected.seen(), MUCH);
        sent.join().unwrap();
    }
}

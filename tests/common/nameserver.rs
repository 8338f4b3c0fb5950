//! A name server inside the namespace of a test: it answers by what a name begins with.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A, of the types of records.
const A: u16 = 1;
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

/// A name server at 127.0.0.1. `hang…` and, while it is silent, all names get no answer, `broken…` SERVFAIL, `none…`
/// NXDOMAIN, `two…` two addresses of this machine's own, and others 127.0.0.1.
pub struct NameServer {
    asked: Arc<Mutex<Vec<String>>>,
    silent: Arc<AtomicBool>,
}

impl NameServer {
    /// Answers until the process ends.
    pub fn start() -> NameServer {
        let socket = UdpSocket::bind("127.0.0.1:53").unwrap();
        let server = NameServer {
            asked: Arc::default(),
            silent: Arc::default(),
        };
        let (asked, silent) = (server.asked.clone(), server.silent.clone());
        std::thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((len, from)) = socket.recv_from(&mut query) {
                let Some((name, kind, end)) = question(&query[..len]) else {
                    continue;
                };
                if kind == A {
                    asked.lock().unwrap().push(name.clone());
                }
                if !silent.load(Ordering::SeqCst) && !name.starts_with("hang") {
                    let _ = socket.send_to(&answer(&query[..end], &name, kind), from);
                }
            }
        });
        server
    }

    /// From now on no name gets an answer.
    pub fn fall_silent(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }

    /// How often the address of this name was asked for.
    pub fn count(&self, name: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|asked| *asked == name).count()
    }
}

/// The name and the type asked for, and where the question ends.
fn question(query: &[u8]) -> Option<(String, u16, usize)> {
    let (mut labels, mut at) = (Vec::new(), 12);
    loop {
        let len = usize::from(*query.get(at)?);
        at += 1;
        if len == 0 {
            break;
        }
        let label = query.get(at..at + len)?;
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        at += len;
    }
    let kind = u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]);
    Some((labels.join("."), kind, at + 4))
}

fn answer(question: &[u8], name: &str, kind: u16) -> Vec<u8> {
    let addresses: &[[u8; 4]] = match name {
        _ if kind != A || name.starts_with("broken") || name.starts_with("none") => &[],
        _ if name.starts_with("two") => &[[192, 0, 2, 1], [192, 0, 2, 2]],
        _ => &[[127, 0, 0, 1]],
    };
    let code = match name {
        _ if name.starts_with("broken") => SERVFAIL,
        _ if name.starts_with("none") => NXDOMAIN,
        _ => 0,
    };
    let mut answer = question.to_vec();
    // A response, recursion desired and available; one question, and the answers.
    answer[2] = 0x81;
    answer[3] = 0x80 | code;
    answer[4..12].copy_from_slice(&[0, 1, 0, addresses.len() as u8, 0, 0, 0, 0]);
    for address in addresses {
        // The question's name, A, IN, a TTL of a minute, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address);
    }
    answer
}

//! A way to the server that a test can cut, hold up and open again.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The fate of bytes on their way.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Open,
    /// Each piece waits so long.
    Slow(Duration),
    /// New connections are closed at once; those there were are reset.
    Cut,
    /// All that is sent disappears, and nothing is closed.
    Lost,
}

struct Shared {
    way: Mutex<Way>,
    open: Mutex<Vec<TcpStream>>,
}

/// A listening relay to one port of this machine.
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Relay {
    /// Relays to this port.
    pub fn to(port: u16) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            way: Mutex::new(Way::Open),
            open: Mutex::new(Vec::new()),
        });
        let relayed = shared.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if *relayed.way.lock().unwrap() == Way::Cut {
                    continue;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
                    continue;
                };
                let both = [client.try_clone().unwrap(), server.try_clone().unwrap()];
                relayed.open.lock().unwrap().extend(both);
                pass(&client, &server, &relayed);
                pass(&server, &client, &relayed);
            }
        });
        Relay { address, shared }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    fn set(&self, way: Way) {
        *self.shared.way.lock().unwrap() = way;
    }

    /// Lets everything through again.
    pub fn open(&self) {
        self.set(Way::Open);
    }

    /// Ends all connections, and every new one at once.
    pub fn cut(&self) {
        self.set(Way::Cut);
        for stream in self.shared.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Whatever is sent is lost, as when a cable is pulled. What was lost once makes its connection useless.
    pub fn lose(&self) {
        self.set(Way::Lost);
    }

    /// Everything takes this much longer, each way.
    pub fn delay(&self, time: Duration) {
        self.set(Way::Slow(time));
    }
}

fn pass(from: &TcpStream, to: &TcpStream, shared: &Arc<Shared>) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    let shared = shared.clone();
    std::thread::spawn(move || {
        let mut room = vec![0; 64 * 1024];
        let mut lost = false;
        while let Ok(len @ 1..) = from.read(&mut room) {
            let way = *shared.way.lock().unwrap();
            lost |= way == Way::Lost;
            if let Way::Slow(time) = way {
                std::thread::sleep(time);
            }
            if !lost && to.write_all(&room[..len]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    });
}

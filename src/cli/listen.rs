//! Addresses to listen on, as they are written on the command line.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use crate::supervisor::ListenAddr;

/// The address that this text means: `IP:PORT`, `[IPv6]:PORT`, `localhost:PORT`, `:PORT` for all
/// addresses of the machine, or the absolute path of a Unix socket.
pub(super) fn parse(text: &str) -> Result<ListenAddr, String> {
    if text.starts_with('/') {
        return Ok(ListenAddr::Unix(PathBuf::from(text)));
    }
    let named = |(host, port): (&str, &str)| {
        let port = port.parse::<u16>().ok()?;
        match host {
            "" => Some(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))),
            "localhost" => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
            _ => None,
        }
    };
    let address = text.parse::<SocketAddr>().ok();
    address
        .or_else(|| text.rsplit_once(':').and_then(named))
        .map(ListenAddr::Tcp)
        .ok_or_else(|| {
            "expected 127.0.0.1:3128, [::1]:3128, :3128 for all addresses, or /path/to/a.sock"
                .to_string()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let tcp = |text: &str| text.parse().ok().map(ListenAddr::Tcp);
        let table = [
            ("127.0.0.1:3128", tcp("127.0.0.1:3128")),
            ("[::1]:3128", tcp("[::1]:3128")),
            (":3128", tcp("[::]:3128")),
            ("localhost:80", tcp("127.0.0.1:80")),
            ("0.0.0.0:0", tcp("0.0.0.0:0")),
            (
                "/run/p.sock",
                Some(ListenAddr::Unix(PathBuf::from("/run/p.sock"))),
            ),
            ("3128", None),
            ("::1:3128", None),
            ("host:3128", None),
            ("127.0.0.1:70000", None),
            ("p.sock", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text).ok(), expected, "{text}");
        }
    }
}

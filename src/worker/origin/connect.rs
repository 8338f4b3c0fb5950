//! Connecting to an origin server: its name resolved, its addresses raced as RFC 8305 says, IPv6 and IPv4
//! in turn, each a little after the one before, the first connection wins.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::guard::is_local;
use super::resolve::Resolver;
use crate::sys::stream::Stream;

/// The Connection Attempt Delay of RFC 8305 §5: from one attempt to the next beside it.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

#[derive(Debug, thiserror::Error)]
pub(crate) enum ReachError {
    #[error(
        "{host} is an address of the proxy's own machine or link, which only clients on that machine may reach"
    )]
    NotAllowed { host: String },
    #[error("{host} can't be resolved: {why}")]
    Unresolved { host: String, why: String },
    #[error("{host} was not resolved within {seconds} s: does the system's name server answer?")]
    NoAnswer { host: String, seconds: u64 },
    /// Every address refused, or was unreachable; the last one's error.
    #[error("{host} can't be reached: {why}")]
    Unreachable { host: String, why: io::Error },
    /// There is a connection, but no TLS session on it.
    #[error("no TLS connection to {host}: {why}")]
    Tls { host: String, why: String },
    #[error("{host} did not accept a connection within {seconds} s")]
    TimedOut { host: String, seconds: u64 },
}

/// Resolves and connects, all within `limit`; the connection and the address it is to. Local addresses
/// are left out unless `local_allowed`.
pub(crate) async fn reach(
    resolver: &Resolver,
    host: &str,
    port: u16,
    local_allowed: bool,
    limit: Duration,
) -> Result<(Stream, IpAddr), ReachError> {
    let deadline = Instant::now() + limit;
    let seconds = limit.as_secs();
    let addresses = match timeout_at(deadline, resolver.addresses(host)).await {
        Ok(Ok(addresses)) => addresses,
        Ok(Err(why)) => {
            let (host, why) = (host.into(), why.to_string());
            return Err(ReachError::Unresolved { host, why });
        }
        Err(_) => {
            let host = host.into();
            return Err(ReachError::NoAnswer { host, seconds });
        }
    };
    let allowed: Vec<SocketAddr> = interleave(&addresses)
        .filter(|address| local_allowed || !is_local(*address))
        .map(|address| SocketAddr::new(address, port))
        .collect();
    let connected = if allowed.is_empty() {
        Err(ReachError::NotAllowed { host: host.into() })
    } else {
        let raced = timeout_at(deadline, race(&allowed)).await;
        let host = format!("{host}:{port}");
        match raced {
            Ok(Ok((stream, address))) => Ok((stream, address.ip())),
            Ok(Err(why)) => Err(ReachError::Unreachable { host, why }),
            Err(_) => Err(ReachError::TimedOut { host, seconds }),
        }
    };
    connected.inspect_err(|_| resolver.forget(host))
}

async fn race(addresses: &[SocketAddr]) -> io::Result<(Stream, SocketAddr)> {
    if let [only] = addresses {
        return Stream::connect(*only).await.map(|stream| (stream, *only));
    }
    let mut attempts = JoinSet::new();
    let mut untried = addresses.iter().copied();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let mut next_start = Instant::now();
    loop {
        let more = untried.len() > 0;
        if attempts.is_empty() && !more {
            return Err(last);
        }
        tokio::select! {
            () = sleep_until(next_start), if more => {
                if let Some(address) = untried.next() {
                    attempts.spawn_local(async move { (Stream::connect(address).await, address) });
                }
                next_start = Instant::now() + ATTEMPT_DELAY;
            }
            Some(done) = attempts.join_next() => match done {
                Ok((Ok(stream), address)) => return Ok((stream, address)),
                Ok((Err(error), _)) => {
                    last = error;
                    // A refusal frees the next one to start at once.
                    next_start = Instant::now();
                }
                Err(lost) => last = io::Error::other(lost),
            },
        }
    }
}

/// The addresses, families in turn, beginning with the family of the first (RFC 8305 §4).
fn interleave(addresses: &[IpAddr]) -> impl Iterator<Item = IpAddr> {
    let first_is_v6 = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (first, second): (Vec<IpAddr>, Vec<IpAddr>) = addresses
        .iter()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let longer = first.len().max(second.len());
    (0..longer)
        .flat_map(move |at| [first.get(at).copied(), second.get(at).copied()])
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let addresses: Vec<IpAddr> = ["2001:db8::1", "2001:db8::2", "192.0.2.1", "2001:db8::3"]
            .iter()
            .map(|text| text.parse().expect("an address"))
            .collect();
        let order: Vec<String> = interleave(&addresses).map(|a| a.to_string()).collect();
        assert_eq!(
            order,
            ["2001:db8::1", "192.0.2.1", "2001:db8::2", "2001:db8::3"]
        );
    }
}

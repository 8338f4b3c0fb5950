//! Connecting to an origin server: its name resolved, its addresses raced as RFC 8305 says, IPv6 and IPv4
//! in turn, each a little after the one before, the first connection wins.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::course::{Course, Step};
use super::guard::{Destination, Guard, Requester};
use super::hung::HungOrigins;
use super::resolve::{ResolveError, Resolver};
use super::special::Purpose;
use super::turns::Busy;
use crate::config::display_duration;
use crate::sys::stream::Stream;

/// The Connection Attempt Delay of RFC 8305 §5: from one attempt to the next beside it.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

#[derive(Debug, thiserror::Error)]
pub(crate) enum ReachError {
    #[error(
        "{host} ({address}) is {purpose}, which only clients on the proxy's machine may reach: its operator can allow it with \"own_destinations\" in the configuration"
    )]
    NotAllowed {
        host: String,
        address: SocketAddr,
        purpose: Purpose,
    },
    #[error("{host} can't be resolved: {why}")]
    Unresolved { host: String, why: String },
    #[error("{host} was not looked up: {why}")]
    Busy { host: String, why: Busy },
    #[error("{host} was not resolved within {}: does the system's name server answer?", display_duration(*limit))]
    NoAnswer { host: String, limit: Duration },
    /// Every address refused, or was unreachable; the last one's error.
    #[error("{host} can't be reached: {why}")]
    Unreachable { host: String, why: io::Error },
    /// There is a connection, but no TLS session on it.
    #[error("no TLS connection to {host}: {why}")]
    Tls { host: String, why: String },
    #[error("{host} did not accept a connection within {}", display_duration(*limit))]
    TimedOut { host: String, limit: Duration },
}

impl ReachError {
    /// True when others who ask for the same would fail alike; false when it was this client's share of look-ups.
    pub(crate) fn is_of_the_destination(&self) -> bool {
        match self {
            ReachError::Busy { why, .. } => *why == Busy::All,
            ReachError::NotAllowed { .. }
            | ReachError::Unresolved { .. }
            | ReachError::NoAnswer { .. }
            | ReachError::Unreachable { .. }
            | ReachError::Tls { .. }
            | ReachError::TimedOut { .. } => true,
        }
    }
}

/// An origin server to be reached, and for whom.
pub(crate) struct Wanted<'a> {
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) requester: Requester,
    /// The addresses that the operator has named as for all clients, though they are this machine's own.
    pub(crate) own_destinations: &'a [SocketAddr],
    /// The time for all of it.
    pub(crate) limit: Duration,
    /// The origin as in a URI, or none.
    pub(crate) origin: &'a str,
    pub(crate) hung: &'a HungOrigins,
    pub(crate) course: &'a Course,
}

/// Resolves and connects; the connection and the address it is to. No other is tried than the client may reach.
pub(crate) async fn reach(
    resolver: &Resolver,
    guard: &Guard,
    wanted: &Wanted<'_>,
) -> Result<(Stream, Destination), ReachError> {
    let deadline = Instant::now() + wanted.limit;
    let (host, limit) = (wanted.host, wanted.limit);
    let resolving = resolver.addresses(host, wanted.requester);
    let addresses = match timeout_at(deadline, resolving).await {
        Ok(Ok(addresses)) => addresses,
        Ok(Err(ResolveError::Failed(why))) => {
            let (host, why) = (host.into(), why.to_string());
            return Err(ReachError::Unresolved { host, why });
        }
        Ok(Err(ResolveError::Busy(why))) => {
            let host = host.into();
            return Err(ReachError::Busy { host, why });
        }
        Err(_) => {
            let host = host.into();
            return Err(ReachError::NoAnswer { host, limit });
        }
    };
    let connected = match allowed(guard, wanted, &addresses) {
        Err(refused) => Err(refused),
        Ok(allowed) => {
            let allowed = hung_last(wanted, allowed);
            let raced = timeout_at(deadline, race(&allowed, wanted.course)).await;
            let host = format!("{host}:{}", wanted.port);
            match raced {
                Ok(Ok(connected)) => Ok(connected),
                Ok(Err(why)) => Err(ReachError::Unreachable { host, why }),
                Err(_) => Err(ReachError::TimedOut { host, limit }),
            }
        }
    };
    connected.inspect_err(|_| resolver.doubt(host))
}

/// The destinations, families in turn, that the client may reach; an error where there is none.
fn allowed(
    guard: &Guard,
    wanted: &Wanted<'_>,
    addresses: &[IpAddr],
) -> Result<Vec<Destination>, ReachError> {
    let mut allowed = Vec::with_capacity(addresses.len());
    let mut refused = None;
    for address in interleave(addresses) {
        let host = || wanted.host.to_owned();
        let address = SocketAddr::new(address, wanted.port);
        let judged = guard.judge(address);
        let destination = judged.map_err(|why| ReachError::Unreachable { host: host(), why })?;
        match destination.reserved(wanted.own_destinations) {
            Some(purpose) if !wanted.requester.is_local() => {
                refused.get_or_insert_with(|| ReachError::NotAllowed {
                    host: host(),
                    address,
                    purpose,
                });
            }
            _ => allowed.push(destination),
        }
    }
    match refused {
        Some(refused) if allowed.is_empty() => Err(refused),
        _ => Ok(allowed),
    }
}

/// The destinations with those last that hang.
fn hung_last(wanted: &Wanted<'_>, mut destinations: Vec<Destination>) -> Vec<Destination> {
    if destinations.len() > 1 {
        let hangs = |it: &Destination| wanted.hung.has_address(wanted.origin, it.address);
        destinations.sort_by_cached_key(hangs);
    }
    wanted
        .course
        .begins(destinations.iter().map(|it| it.address));
    destinations
}

/// Connects to one of them, and notes how far each has come.
async fn race(destinations: &[Destination], course: &Course) -> io::Result<(Stream, Destination)> {
    if let [only] = destinations {
        course.takes(only.address, Step::Connecting);
        let begun = Instant::now();
        let connected = Stream::connect(only.address).await;
        course.takes(only.address, step(&connected, begun));
        return connected.map(|stream| (stream, *only));
    }
    let mut attempts = JoinSet::new();
    let mut untried = destinations.iter().copied();
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let mut next_start = Instant::now();
    loop {
        let more = untried.len() > 0;
        if attempts.is_empty() && !more {
            return Err(last);
        }
        tokio::select! {
            () = sleep_until(next_start), if more => {
                if let Some(next) = untried.next() {
                    course.takes(next.address, Step::Connecting);
                    let begun = Instant::now();
                    attempts.spawn_local(async move {
                        (Stream::connect(next.address).await, next, begun)
                    });
                }
                next_start = Instant::now() + ATTEMPT_DELAY;
            }
            Some(done) = attempts.join_next() => match done {
                Ok((connected, destination, begun)) => {
                    course.takes(destination.address, step(&connected, begun));
                    match connected {
                        Ok(stream) => return Ok((stream, destination)),
                        Err(error) => last = error,
                    }
                    // A refusal frees the next one to start at once.
                    next_start = Instant::now();
                }
                Err(lost) => last = io::Error::other(lost),
            },
        }
    }
}

fn step(connected: &io::Result<Stream>, begun: Instant) -> Step {
    match connected {
        Ok(_) => Step::Connected,
        Err(_) => Step::Failed(begun.elapsed()),
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
    fn a_share_of_look_ups_is_one_clients() {
        let busy = |why| ReachError::Busy {
            host: String::new(),
            why,
        };
        assert!(!busy(Busy::Client).is_of_the_destination());
        assert!(busy(Busy::All).is_of_the_destination());
    }

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

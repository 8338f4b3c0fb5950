//! Origin servers: their addresses, which of them may be reached, connecting, and the connections kept.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use connect::{ConnectError, connect};
use resolve::Resolver;

use crate::sys::stream::Stream;

pub mod connect;
pub mod guard;
pub mod pool;
pub mod resolve;
pub mod tls;
pub mod transport;

/// Resolves and connects, all within `limit`. Local addresses are left out unless `local_allowed`.
pub async fn reach(
    resolver: &Resolver,
    host: &str,
    port: u16,
    local_allowed: bool,
    limit: Duration,
) -> Result<(Stream, IpAddr), ConnectError> {
    let deadline = Instant::now() + limit;
    let resolved = timeout_at(deadline, resolver.addresses(host)).await;
    let addresses = match resolved {
        Ok(Ok(addresses)) => addresses,
        Ok(Err(why)) => {
            return Err(ConnectError::Unresolved {
                host: host.into(),
                why: why.to_string(),
            });
        }
        Err(_) => {
            return Err(ConnectError::NoAnswer {
                host: host.into(),
                seconds: limit.as_secs(),
            });
        }
    };
    let connected = connect(host, port, &addresses, local_allowed, deadline, limit).await;
    if connected.is_err() {
        resolver.forget(host);
    }
    connected
}

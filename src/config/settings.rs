//! The validated settings, and their built-in defaults.
//!
//! `packaging/cacheproxy.toml` shows each of these defaults; a test holds the two together.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::database::Database;
use super::rules::Rules;
use crate::cache::directives::TargetList;
use crate::cache::policy::{Policy, Ttl};
use crate::http::parse::HeadLimits;
use crate::http::target::HostPatterns;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The number of workers: 1 to 16, "auto" already resolved.
    pub workers: usize,
    /// The networks whose clients may use the proxy. Clients on Unix sockets always may.
    pub allow: Vec<IpNet>,
    /// The networks whose clients may remove what is stored, by PURGE.
    pub purge_allow: Vec<IpNet>,
    /// The ports of the origin servers of http and https URIs.
    pub http_ports: Ports,
    pub connect_ports: Ports,
    /// The destinations that clients of other machines may reach though they are this machine's own; never IPv4-mapped.
    pub own_destinations: Vec<SocketAddr>,
    /// The hosts that are also served where they are named in the path of a request to the proxy itself.
    pub mirror_hosts: HostPatterns,
    pub store: StoreChoice,
    /// The largest content that is stored, in bytes; never more than the store's size.
    pub largest_object: u64,
    /// Content of which less than this lacks, in bytes, is fetched to its end though every client has left.
    pub quick_abort_min: u64,
    /// The memory tier's size in each worker, in bytes.
    pub memory: u64,
    /// The authorities, in PEM, whose certificates are believed of https origin servers.
    pub ca_file: PathBuf,
    pub rules: Rules,
    /// The targeted fields that are obeyed in place of Cache-Control.
    pub targeted: TargetList,
    /// The freshness lifetime of responses that say nothing of their own freshness.
    pub ttl: Ttl,
    /// The longest freshness lifetime of any response, in seconds.
    pub max_ttl: Option<u64>,
    /// The time for which a response that says nothing of it may be served stale while it is validated, in seconds.
    pub stale_while_revalidate: u64,
    /// The time for which one that says nothing of it may be served stale instead of an error, in seconds.
    /// `None`: only when there is no answer at all.
    pub stale_if_error: Option<u64>,
    pub times: Times,
    /// True when each request leaves a line in the journal.
    pub access_log: bool,
    /// The largest heads of requests and responses.
    pub heads: HeadLimits,
    /// The most clients connected at once; beyond it, new ones wait in the listen queue.
    pub max_clients: usize,
    /// The most of them from one address, "auto" already resolved; beyond it, new ones are closed.
    pub max_clients_per_address: usize,
}

impl Settings {
    pub fn allows(&self, client: IpAddr) -> bool {
        contains(&self.allow, client)
    }

    pub fn allows_purge(&self, client: IpAddr) -> bool {
        contains(&self.purge_allow, client)
    }

    pub fn policy(&self, uri: &[u8]) -> Policy {
        let rules = self.rules.of(uri);
        let while_revalidate = rules.first(|rule| rule.stale_while_revalidate);
        let if_error = rules.first(|rule| rule.stale_if_error);
        Policy {
            targeted: self.targeted.clone(),
            ttl: self.ttl,
            max_ttl: self.max_ttl,
            rule: rules.first(|rule| rule.freshness),
            store: rules.first(|rule| rule.store).unwrap_or_default(),
            stale_while_revalidate: while_revalidate.unwrap_or(self.stale_while_revalidate),
            stale_if_error: if_error.unwrap_or(self.stale_if_error),
            ignore_cookies: rules.first(|rule| rule.ignore_cookies) == Some(true),
        }
    }
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            workers: cores(),
            allow: loopback(),
            purge_allow: Vec::new(),
            http_ports: Ports(vec![80..=80, 443..=443, 1024..=65535]),
            connect_ports: Ports(vec![80..=80, 443..=443]),
            own_destinations: Vec::new(),
            mirror_hosts: HostPatterns::default(),
            store: StoreChoice {
                kind: StoreKind::Filesystem,
                path: PathBuf::from("/var/cache/cacheproxy"),
                size: 10 << 30,
                min_free: 512 << 20,
            },
            largest_object: 4 << 30,
            quick_abort_min: 1 << 20,
            memory: 64 << 20,
            ca_file: PathBuf::from("/etc/ssl/certs/ca-certificates.crt"),
            rules: Rules::built_in(),
            targeted: TargetList::NONE,
            ttl: Ttl::Heuristic,
            max_ttl: None,
            stale_while_revalidate: 0,
            stale_if_error: None,
            times: Times::default(),
            access_log: true,
            heads: HeadLimits::default(),
            max_clients: 20_000,
            max_clients_per_address: 5_000,
        }
    }
}

fn contains(networks: &[IpNet], client: IpAddr) -> bool {
    let client = client.to_canonical();
    networks.iter().any(|network| network.contains(&client))
}

fn loopback() -> Vec<IpNet> {
    vec![
        IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
        IpNet::V6(Ipv6Net::from(Ipv6Addr::LOCALHOST)),
    ]
}

/// The number of "auto" workers: one for each core, at most 16.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(16))
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreChoice {
    pub kind: StoreKind,
    /// The directory of the store, or of content on its way into a database; absolute.
    pub path: PathBuf,
    /// The most the store may hold, in bytes.
    pub size: u64,
    /// The free space on the directory's disk that is left alone, in bytes.
    pub min_free: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreKind {
    Filesystem,
    Postgres(DatabaseSettings),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabaseSettings {
    pub database: Database,
    /// Absolute.
    pub password_file: Option<PathBuf>,
    /// True when what is stored survives a crash of the server.
    pub logged: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports(pub Vec<RangeInclusive<u16>>);

impl Ports {
    pub fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|range| range.contains(&port))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// For a client to send a whole request head.
    pub client_header: Duration,
    /// For an idle client, parked, until it is closed.
    pub client_idle: Duration,
    /// For an idle client in a worker, until it is returned to the supervisor.
    pub worker_idle: Duration,
    /// For a connection to an origin server to be made.
    pub connect: Duration,
    /// For an origin server to begin its response, or to take more of its request's content before that.
    pub origin_response: Duration,
    /// For an origin server to be connected to and send the first byte of a response: after that it counts as unreachable
    /// where something stored may answer instead.
    pub origin_hang: Duration,
    /// For an idle connection to an origin server, until it is closed.
    pub origin_idle: Duration,
    /// For a tunnel that is silent in both directions.
    pub tunnel_idle: Duration,
    /// For content that stalls: that a client doesn't take or doesn't begin to send, or that an origin server doesn't send
    /// while others than one client wait for it.
    pub body_stall: Duration,
    /// For a fetch that others wait for, to show progress: then one of them asks the origin server too.
    pub collapsed_wait: Duration,
    /// For running requests to finish when a worker is told to stop.
    pub drain: Duration,
}

impl Default for Times {
    fn default() -> Times {
        Times {
            client_header: Duration::from_secs(30),
            client_idle: Duration::from_secs(5 * 60),
            worker_idle: Duration::from_millis(250),
            connect: Duration::from_secs(10),
            origin_response: Duration::from_secs(5 * 60),
            origin_hang: Duration::from_secs(3),
            origin_idle: Duration::from_secs(30),
            tunnel_idle: Duration::from_secs(60 * 60),
            body_stall: Duration::from_secs(60),
            collapsed_wait: Duration::from_secs(2),
            drain: Duration::from_secs(20),
        }
    }
}

//! The sockets that clients connect to: those that systemd hands over, or those bound here.

use std::fmt::Display;
use std::io;
use std::os::fd::OwnedFd;

use super::start::{Listen, ListenAddr};
use crate::sys::exit::Failure;
use crate::sys::{activation, clients};

/// The name of the shared memory among what systemd keeps.
pub(super) const SHARED: &str = "shared";

#[derive(Debug)]
pub(super) struct Passed {
    pub(super) listeners: Vec<OwnedFd>,
    /// The shared memory of the supervisor before.
    pub(super) shared: Option<OwnedFd>,
}

pub(super) fn sockets(listen: &Listen) -> Result<Passed, Failure> {
    match listen {
        Listen::Inherited => inherited(),
        Listen::Bind(addresses) => Ok(Passed {
            listeners: addresses.iter().map(bound).collect::<Result<_, _>>()?,
            shared: None,
        }),
    }
}

/// Says on stderr where clients are accepted, for a person who started this by hand.
pub(super) fn announce(sockets: &[OwnedFd], listen: &Listen) {
    let Listen::Bind(addresses) = listen else {
        return;
    };
    for (socket, asked) in sockets.iter().zip(addresses) {
        let address = match asked {
            ListenAddr::Tcp(asked) => {
                let bound = clients::local_address(socket).ok().flatten();
                format!("http://{}", bound.unwrap_or(*asked))
            }
            ListenAddr::Unix(path) => path.display().to_string(),
        };
        eprintln!("cacheproxy: listening on {address}");
    }
}

fn inherited() -> Result<Passed, Failure> {
    let sockets = activation::sockets()
        .map_err(|error| Failure::unavailable(format!("can't take systemd's sockets: {error}")))?;
    let (mut listeners, mut shared) = (Vec::new(), None);
    for (name, fd) in sockets.into_iter().filter(|(name, _)| name != "worker") {
        if name == SHARED {
            shared = Some(fd);
            continue;
        }
        clients::adopt_listener(&fd).map_err(|error| {
            Failure::unavailable(format!("the socket {name:?} from systemd: {error}"))
        })?;
        listeners.push(fd);
    }
    if listeners.is_empty() {
        return Err(Failure::unavailable(
            "systemd passed no socket for clients: start cacheproxy.socket, \
             or use `cacheproxy run` to try it without systemd",
        ));
    }
    Ok(Passed { listeners, shared })
}

fn bound(address: &ListenAddr) -> Result<OwnedFd, Failure> {
    match address {
        ListenAddr::Tcp(address) => {
            clients::listen_tcp(*address).map_err(|error| cannot_listen(address, &error))
        }
        ListenAddr::Unix(path) => {
            clients::listen_unix(path).map_err(|error| cannot_listen(&path.display(), &error))
        }
    }
}

fn cannot_listen(address: &dyn Display, error: &io::Error) -> Failure {
    let (problem, kind) = (format!("can't listen on {address}"), error.kind());
    if kind == io::ErrorKind::AddrInUse {
        let advice = "choose another with --listen";
        Failure::unavailable(format!("{problem}: another program does already; {advice}"))
    } else if kind == io::ErrorKind::PermissionDenied {
        let advice = "ports below 1024 are for root";
        Failure::no_permission(format!("{problem}: {error}; {advice}"))
    } else {
        Failure::unavailable(format!("{problem}: {error}"))
    }
}

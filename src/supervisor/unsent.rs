//! Messages that wait until a channel has room. They borrow their fds when they are sent, so that what is sent is
//! what is in force then.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::token::ClientId;
use crate::ipc::{MAX_ITEMS, ToWorker, VERSION};

/// A message that is to be sent, without the fds it borrows then.
#[derive(Debug)]
pub(super) enum Unsent {
    Hello,
    Settings,
    ReturnsTaken {
        tokens: Vec<u64>,
        clients: Vec<ClientId>,
    },
    HandOverRefused(Vec<u64>),
    Maintain {
        channel: OwnedFd,
    },
    Stop,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct SharedFds<'a> {
    pub settings: BorrowedFd<'a>,
    pub shared: BorrowedFd<'a>,
}

impl Unsent {
    /// The message with its fds.
    pub(super) fn lend<'a>(&'a self, fds: SharedFds<'a>) -> ToWorker<BorrowedFd<'a>> {
        let SharedFds { settings, shared } = fds;
        match self {
            Unsent::Hello => ToWorker::Hello {
                version: VERSION,
                settings,
                shared,
            },
            Unsent::Settings => ToWorker::Settings { settings },
            Unsent::ReturnsTaken { tokens, .. } => {
                debug_assert!(tokens.len() <= MAX_ITEMS);
                ToWorker::ReturnsTaken {
                    tokens: tokens.clone(),
                }
            }
            Unsent::HandOverRefused(tokens) => ToWorker::HandOverRefused {
                tokens: tokens.clone(),
            },
            Unsent::Maintain { channel } => ToWorker::Maintain {
                channel: channel.as_fd(),
            },
            Unsent::Stop => ToWorker::Stop,
        }
    }
}

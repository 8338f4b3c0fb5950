//! Origin servers: their addresses, which of them may be reached, connecting, and the connections kept.

pub(super) mod connect;
pub(super) mod course;
pub(super) mod guard;
pub(super) mod hung;
mod idle;
mod names;
pub(super) mod pinned;
pub(super) mod pool;
pub(super) mod resolve;
mod special;
pub(super) mod tls;
pub(super) mod transport;
mod turns;

pub(super) use connect::{Wanted, reach};

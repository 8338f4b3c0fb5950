//! Origin servers: their addresses, which of them may be reached, connecting, and the connections kept.

pub mod connect;
pub mod guard;
pub mod pool;
pub mod resolve;

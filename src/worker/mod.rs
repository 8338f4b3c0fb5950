//! The process that speaks HTTP: clients on one side, origin servers and the store on the other.
#![forbid(unsafe_code)]

use crate::sys::exit::Failure;

/// What a worker begins with. Its channel's listener is inherited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    /// Which worker it is, from 1.
    pub index: u16,
}

/// Serves until it is told to stop.
pub fn serve(start: Start) -> Result<(), Failure> {
    Err(Failure::unavailable(format!(
        "worker {} isn't written yet",
        start.index
    )))
}

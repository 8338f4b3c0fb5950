//! The process that speaks HTTP: clients on one side, origin servers and the store on the other.
#![forbid(unsafe_code)]

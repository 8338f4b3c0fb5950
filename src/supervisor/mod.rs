//! The process that accepts, dispatches to workers, parks idle clients and evicts. It parses nothing.
#![forbid(unsafe_code)]

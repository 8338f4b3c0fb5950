//! Where stored responses are kept: the trait, the record format, the filesystem store, the spool.
#![forbid(unsafe_code)]

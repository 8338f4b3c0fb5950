//! The configuration: TOML as written, refused with file, line and key, or validated settings.
#![forbid(unsafe_code)]

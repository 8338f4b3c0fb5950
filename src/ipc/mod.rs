//! The two message enums between supervisor and worker, and the typed channel that carries them.
#![forbid(unsafe_code)]

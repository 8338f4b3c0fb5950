//! Storing, reuse, validation and invalidation, seen from outside (RFC 9111, RFC 9211).
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod always;
mod apart;
mod blocks;
mod classes;
mod conditions;
mod content;
mod cookies;
mod damage;
mod hung;
mod keys;
mod long_run;
mod methods;
mod pace;
mod room;
mod seconds;
mod settings;
mod slow;
mod status;
mod storing;
mod table;
mod together;
mod validation;
mod workers;

use std::sync::atomic::{AtomicUsize, Ordering};

use common::Origin;
use common::origin::ok;

/// An origin that gives each request a content of its own, so that a reuse shows.
fn numbered(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Origin {
    let count = AtomicUsize::new(0);
    Origin::answering(move |request| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        ok(&answer(request.target()), format!("answer {number}"))
    })
}

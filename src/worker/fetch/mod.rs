//! A fetch being made: one request to an origin server and its response, as a task of its own, from the request
//! to what it leaves in the store. Clients see it by its waiting list and their tickets.
//!
//! That no stored response answers instead was decided before.

mod around;
mod claim;
mod connection;
mod content;
mod context;
mod hang;
mod known_parts;
mod lease;
mod partial;
mod precedent;
mod publish;
mod publish_part;
mod received;
mod request;
mod response;
mod resume;
mod round_trip;
mod run;
mod send;
mod silence;
mod storable;
mod unasked;
mod variant_parts;

pub use claim::{Claim, claim, received_elsewhere};
pub use known_parts::{Ask, KnownParts};
pub use precedent::precedent;
pub use publish::{invalidate, remember};
pub use request::{FetchRequest, Known, Purpose, RequestContent};
pub use run::{Visibility, begin};

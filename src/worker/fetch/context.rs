//! The context that the steps of one fetch share.

use std::rc::Rc;

use super::request::FetchRequest;
use crate::worker::state::Worker;
use crate::worker::waiting_list::Fetch;

/// A fetch on its way: who makes it, what is asked, and where its clients see it.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    pub worker: &'a Rc<Worker>,
    pub request: &'a FetchRequest,
    pub fetch: &'a Rc<Fetch>,
}

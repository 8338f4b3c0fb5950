//! `cacheproxy supervisor` and `cacheproxy worker N`: the two roles as systemd starts them.

use std::path::PathBuf;

use crate::config::{self, ConfigSource, DROPINS, MAIN};
use crate::supervisor::{self, Listen, Spawn};
use crate::sys::exit::Failure;
use crate::sys::journal::{self, Identity};
use crate::worker;

pub(super) const RUNTIME_DIR: &str = "/run/cacheproxy";

/// Accept clients and give them to workers; started by systemd as cacheproxy.service.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Start it with `systemctl start cacheproxy.socket`; by hand, use `cacheproxy run` instead."
)]
pub(super) struct SupervisorArgs {
    #[arg(long, hide = true, default_value = MAIN)]
    config: PathBuf,
    #[arg(long, hide = true, default_value = DROPINS)]
    dropins: PathBuf,
    #[arg(long, hide = true, default_value = RUNTIME_DIR)]
    runtime_dir: PathBuf,
}

/// Serve clients that a supervisor assigns; started by systemd as cacheproxy@N.service.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The supervisor has it started when it needs it; by hand, use `cacheproxy run` instead."
)]
pub(super) struct WorkerArgs {
    /// The worker's number, from 1
    #[arg(value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    index: u16,
}

pub(super) fn supervisor(args: SupervisorArgs) -> Result<(), Failure> {
    let _journal = journal::start(Identity::Supervisor);
    let source = ConfigSource {
        main: Some(args.config),
        dropins: Some(args.dropins),
        ..ConfigSource::default()
    };
    let configuration = config::load(&source).map_err(Failure::config)?;
    supervisor::serve(supervisor::Start {
        configuration,
        listen: Listen::Inherited,
        dir: args.runtime_dir,
        workers: Spawn::Sockets,
    })
}

pub(super) fn worker(args: WorkerArgs) -> Result<(), Failure> {
    let _journal = journal::start(Identity::Worker(args.index));
    worker::serve(args.index)
}

//! `cacheproxy man DIR`: writes the manual pages, for the package's build.

use std::path::PathBuf;

use crate::sys::exit::Failure;

/// Write the manual pages into a directory.
#[derive(Debug, clap::Args)]
pub(super) struct ManArgs {
    /// The directory, which must be there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(super) fn man(args: &ManArgs, program: clap::Command) -> Result<(), Failure> {
    clap_mangen::generate_to(program, &args.directory).map_err(|error| {
        let directory = args.directory.display();
        Failure::unavailable(format!(
            "can't write the manual pages into {directory}: {error}"
        ))
    })
}

//! `cacheproxy run`: the whole proxy in the foreground, without systemd and without root.

use std::env;
use std::path::{self, PathBuf};

use super::listen;
use super::runtime_dir::{RuntimeDir, place};
use super::store_args::name_store;
use crate::config::{self, ConfigSource, Overrides, Workers};
use crate::supervisor::{self, Listen, ListenAddr, Spawn, Start};
use crate::sys::exit::Failure;
use crate::sys::journal::{self, Identity};

const AFTER_HELP: &str = "\
Without --config, the file cacheproxy/cacheproxy.toml in $XDG_CONFIG_HOME (~/.config) is read if it is there.
Without --store and without store_path in the file, responses are stored in cacheproxy in $XDG_CACHE_HOME (~/.cache).
Only clients on this machine may use the proxy unless the file's `allow` says otherwise.
Commands such as `cacheproxy status`, given by the same user, are about this proxy while it runs.

Examples:
  cacheproxy run
  cacheproxy run --listen :8080 --store /srv/cache --workers 2
  cacheproxy run --store postgresql://cache@db.example/cacheproxy    (see database_password_file)
  http_proxy=http://127.0.0.1:3128 curl -sI http://example.com/";

/// Run the whole proxy in the foreground, without systemd and without root. Ctrl-C ends it.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct RunArgs {
    /// Listen on 127.0.0.1:3128, [::1]:3128, :3128 (all addresses) or /path/to/a.sock; may be given several times
    #[arg(long, value_name = "ADDR", value_parser = listen::parse, default_value = "127.0.0.1:3128")]
    listen: Vec<ListenAddr>,
    /// Store responses in this directory, which is made if it isn't there, or in the database postgresql://…
    #[arg(long, value_name = "DIR|URL")]
    store: Option<PathBuf>,
    /// The number of worker processes: "auto", one for each core, or 1 to 16
    #[arg(long, value_name = "N", value_parser = workers)]
    workers: Option<Workers>,
    /// Read this configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

fn workers(text: &str) -> Result<Workers, String> {
    match text.parse() {
        Ok(number) if (1..=16).contains(&number) => Ok(Workers::Exactly(number)),
        Err(_) if text == "auto" => Ok(Workers::Auto),
        _ => Err("expected auto or a number from 1 to 16".to_string()),
    }
}

pub(super) fn run(args: RunArgs) -> Result<(), Failure> {
    let program = env::current_exe()
        .map_err(|error| Failure::unavailable(format!("can't find the program itself: {error}")))?;
    let configuration = config::load(&source(&args)?).map_err(Failure::config)?;
    let runtime = RuntimeDir::make()?;
    let _journal = journal::start(Identity::Supervisor);
    log::info!(
        "storing in {}; `cacheproxy status --runtime-dir {}` tells how it goes",
        place(&configuration.settings),
        runtime.path().display()
    );
    supervisor::serve(Start {
        configuration,
        listen: Listen::Bind(args.listen),
        dir: runtime.path().to_owned(),
        workers: Spawn::Children(program),
    })
}

fn source(args: &RunArgs) -> Result<ConfigSource, Failure> {
    let mut overrides = Overrides {
        workers: args.workers,
        ..Overrides::default()
    };
    if let Some(given) = &args.store {
        name_store(given, &mut overrides)?;
    }
    let default_store = home("XDG_CACHE_HOME", ".cache").map(|cache| cache.join("cacheproxy"));
    let own = home("XDG_CONFIG_HOME", ".config")
        .map(|config| config.join("cacheproxy/cacheproxy.toml"))
        .filter(|file| file.exists());
    // Commands that ask for it have another working directory.
    let named = args.config.as_ref().map(path::absolute).transpose();
    let named = named.map_err(|error| Failure::usage(format!("--config: {error}")))?;
    Ok(ConfigSource {
        main: named.or(own),
        default_store,
        dropins: None,
        overrides,
    })
}

/// A directory of the XDG base directory specification, which ignores relative ones.
fn home(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(below_home)))
}

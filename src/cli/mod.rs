//! The command line: one file per subcommand, exit codes as in sysexits(3).
//!
//! A subcommand reads its options, calls the role that does the work and reports. It decides nothing
//! about HTTP, caching or processes.
#![forbid(unsafe_code)]

mod check;
mod config_args;
mod control;
mod database;
mod db;
mod described;
mod explain;
mod explained_parts;
mod export;
mod import;
mod importer;
mod list;
mod listen;
mod man;
mod output;
mod progress;
mod purge;
mod run;
mod runtime_dir;
mod service;
mod status;
mod store_args;
mod store_directory;
mod store_handle;
mod summary;
mod url;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::sys::exit::{Exit, Failure};
use crate::sys::printable::printable_lines;
use crate::sys::{inspection, journal};

const AFTER_HELP: &str = "\
Examples:
  cacheproxy run                          a proxy on 127.0.0.1:3128, for this terminal
  http_proxy=http://127.0.0.1:3128 curl -sI http://example.com/
                                          try it: the second time, Cache-Status says \"hit\"
  systemctl start cacheproxy.socket       the installed service
  cacheproxy check                        is /etc/cacheproxy right?
  journalctl -u 'cacheproxy@*' -f         what the service serves

Root's commands are about the installed service. Those of others, and root's where it isn't installed, are about the proxy
that this user has started with `cacheproxy run`: they ask it for its store and configuration. Where several run,
--runtime-dir says which one is meant.

CACHEPROXY_LOG=debug in the environment makes it log more.
Exit codes: 64 wrong command line, 65 damaged input, 69 something isn't available, 77 no permission, 78 wrong configuration.";

/// A caching HTTP proxy for a machine, an office, a lab or a CI farm.
#[derive(Debug, Parser)]
#[command(name = "cacheproxy", version, arg_required_else_help = true, disable_help_subcommand = true, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Supervisor(service::SupervisorArgs),
    Worker(service::WorkerArgs),
    Check(check::CheckArgs),
    /// Tell how the running proxy does: workers, clients, requests, hits.
    Status(status::ControlArgs),
    /// Read the configuration again, in the supervisor and every worker; if it is wrong, nothing changes.
    #[command(
        after_help = "For the installed service, `systemctl reload cacheproxy` does the same."
    )]
    Reload(status::ControlArgs),
    Purge(purge::PurgeArgs),
    List(list::ListArgs),
    Explain(explain::ExplainArgs),
    Export(export::ExportArgs),
    Import(import::ImportArgs),
    Db(db::DbArgs),
    #[command(hide = true)]
    Man(man::ManArgs),
}

/// Does what the command line says, and returns the exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let text = error.render().to_string();
            let fit = printable_lines(&text);
            // Where help or a complaint can't be printed there is nobody to read it. One that repeats what a terminal
            // would obey goes without its colours.
            let _ = match fit == text {
                true => error.print(),
                false => io::stderr().write_all(fit.as_bytes()),
            };
            return match error.use_stderr() {
                true => Exit::Usage.into(),
                // Help was asked for.
                false => ExitCode::SUCCESS,
            };
        }
    };
    match perform(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            journal::last_words(&failure.message);
            failure.exit.into()
        }
    }
}

fn perform(command: Command) -> Result<(), Failure> {
    match command {
        Command::Run(args) => uninspected(|| run::run(args)),
        Command::Supervisor(args) => uninspected(|| service::supervisor(args)),
        Command::Worker(args) => uninspected(|| service::worker(args)),
        Command::Check(args) => check::check(&args),
        Command::Status(args) => status::status(&args),
        Command::Reload(args) => status::reload(&args),
        Command::Purge(args) => purge::purge(&args),
        Command::List(args) => list::list(&args),
        Command::Explain(args) => explain::explain(&args),
        Command::Export(args) => export::export(&args),
        Command::Import(args) => import::import(&args),
        Command::Db(args) => db::db(&args),
        Command::Man(args) => man::man(&args, Cli::command()),
    }
}

/// Goes on where no other process of the same user can look: before a password or a client's byte is in memory.
fn uninspected(role: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    inspection::forbid().map_err(|error| {
        Failure::unavailable(format!("this process can't be closed to others: {error}"))
    })?;
    role()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn command_lines_are_taken_or_refused() {
        let table = [
            ("run", true),
            ("run --listen :8080 --listen /tmp/p.sock --workers 2", true),
            ("run --store /x --config f.toml", true),
            ("run --listen 8080", false),
            ("run --workers 0", false),
            ("run --workers 17", false),
            ("run --workers auto", true),
            ("supervisor", true),
            ("worker 1", true),
            ("worker 0", false),
            ("worker", false),
            ("check --config a --dropins b", true),
            ("status --runtime-dir /run/x", true),
            ("reload", true),
            ("purge http://a/ http://b/x", true),
            ("purge --prefix http://a/ --host b --store /x", true),
            ("purge", false),
            ("list --host a --sort hits", true),
            ("list --sort name", false),
            ("explain http://a/ -H a:b", true),
            ("explain http://a/ -H a", false),
            ("export", true),
            ("export /tmp/x --store /y", true),
            ("import - --config f", true),
            ("db init --store postgresql://h/d", true),
            ("db status", true),
            ("db", false),
            ("purge a/b", false),
            ("man /tmp", true),
            ("serve", false),
            ("", false),
        ];
        for (line, taken) in table {
            let words = ["cacheproxy"].into_iter().chain(line.split_whitespace());
            assert_eq!(Cli::try_parse_from(words).is_ok(), taken, "{line}");
        }
    }
}

//! `cacheproxy status` and `cacheproxy reload`: what the running proxy is asked or told to do.

use super::runtime_dir::RuntimeArgs;
use super::{control, output};
use crate::sys::exit::Failure;

#[derive(Debug, clap::Args)]
pub(super) struct ControlArgs {
    #[command(flatten)]
    runtime: RuntimeArgs,
}

pub(super) fn status(args: &ControlArgs) -> Result<(), Failure> {
    let text = control::ask(&args.runtime.find()?, "status")?.map_err(Failure::unavailable)?;
    output::print(&text)
}

pub(super) fn reload(args: &ControlArgs) -> Result<(), Failure> {
    match control::ask(&args.runtime.find()?, "reload")? {
        Ok(text) if text.is_empty() => output::print("reloaded\n"),
        Ok(text) => output::print(&text),
        Err(reason) => Err(Failure::config(format!(
            "not reloaded, the old settings stay: {reason}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::{BufRead, BufReader, Write};
    use std::os::unix::net::UnixListener;
    use std::thread;

    use clap::Parser;

    use super::*;
    use crate::sys::exit::Exit;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        args: ControlArgs,
    }

    fn of(dir: &tempfile::TempDir) -> ControlArgs {
        let words = ["reload", "--runtime-dir", dir.path().to_str().unwrap()];
        CommandLine::try_parse_from(words).unwrap().args
    }

    #[test]
    fn asks_one_line_and_reads_to_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join("control.sock")).unwrap();
        let server = thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&client).read_line(&mut line).unwrap();
            client.write_all(b"error: bad file\n").unwrap();
            line
        });
        let failure = reload(&of(&dir)).unwrap_err();
        assert_eq!(server.join().unwrap(), "reload\n");
        assert_eq!(
            failure,
            Failure::config("not reloaded, the old settings stay: bad file")
        );
    }

    #[test]
    fn nobody_there() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(status(&of(&dir)).unwrap_err().exit, Exit::Unavailable);
    }
}

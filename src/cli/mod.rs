//! The command line: one file per subcommand, exit codes as in sysexits(3).
#![forbid(unsafe_code)]

//! Parses the command line, takes the role it names and turns the outcome into an exit code.

fn main() {}

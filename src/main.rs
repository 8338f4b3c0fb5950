//! Parses the command line, takes the role it names and turns the outcome into an exit code.

use std::process::ExitCode;

/// Many small buffers are made and freed on several threads, which this allocator does best.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cacheproxy::main()
}

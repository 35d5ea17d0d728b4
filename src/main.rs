//! The command line: arguments, logs, load, serve, exit code. Everything else is in the library.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}

//! `gatepost suggest`: rules from the audit log of routes that report.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::process::ExitCode;

use gatepost::config;
use gatepost::survey::suggest::Seen;

/// Runs it: 78 for a routing file that cannot be used, 1 for a log that cannot be read.
pub(super) fn run(config: Option<&Path>, log: &Path) -> ExitCode {
    let default = || super::DEFAULT_FILES.map(Path::new).into_iter().find(|path| path.exists());
    let settings = match config.or_else(default).map(config::load) {
        None => None,
        Some(Ok(settings)) => Some(settings),
        Some(Err(errors)) => {
            eprintln!("{errors}");
            return ExitCode::from(super::EX_CONFIG);
        }
    };
    let mut seen = Seen::default();
    let read = if log == Path::new("-") {
        seen.read(io::stdin().lock())
    } else {
        File::open(log).and_then(|file| seen.read(BufReader::new(file)))
    };
    if let Err(error) = read {
        eprintln!("error: the audit log {} cannot be read: {error}; name a readable file, or `-`", log.display());
        return ExitCode::FAILURE;
    }
    super::print_out(&seen.proposal(settings.as_ref()))
}

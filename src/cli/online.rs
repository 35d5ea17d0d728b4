//! `gatepost check --online`: the offline check, then what issuers and servers answer.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use gatepost::gateway::Prepared;
use gatepost::gateway::fetch::HttpFetch;
use gatepost::gateway::settings::Settings;
use gatepost::survey::online;
use gatepost::token::clock::Clock;

/// Runs it. Warnings alone end with 0, what will not work with 1.
pub(super) fn run(path: &Path, settings: &Settings) -> ExitCode {
    let (summary, warnings) = (super::summary(path, settings), super::warnings(settings));
    if let Err(error) = Prepared::new(settings.clone()) {
        return super::unusable(path, &error);
    }
    let asked = HttpFetch::new().and_then(|fetch| {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("no threads: {error}"))?;
        let found = runtime.block_on(online::check(settings, Arc::new(fetch), Clock::system().now()));
        // A name server that does not answer holds a thread.
        runtime.shutdown_background();
        found
    });
    let found = match asked {
        Ok(found) => found,
        Err(error) => return super::unusable(path, &error),
    };
    if let Err(error) = super::write_out(format!("{summary}\n{}", online::text(&found)).as_bytes()) {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    for warning in warnings.iter().chain(&found.warnings) {
        eprintln!("{}: warning: {warning}", path.display());
    }
    for failure in &found.failures {
        eprintln!("{}: failure: {failure}", path.display());
    }
    if found.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

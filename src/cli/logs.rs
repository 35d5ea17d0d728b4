//! The log, on standard error. Who reads it may stop reading: then lines are dropped and counted, and nothing that serves
//! waits.

use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;
use std::time::Duration;

use gatepost::gateway::audit::lane::{Bound, Lane};
use gatepost::gateway::audit::output::Output;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::LogFormat;

/// The way to the log. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Logs(Arc<Lane>);

/// Takes one line.
#[derive(Debug)]
pub(crate) struct Line<'a>(&'a Lane);

impl Logs {
    /// Starts the log of the process.
    pub(crate) fn start(format: LogFormat, level: LevelFilter) -> Result<Self, String> {
        let output = Output::descriptor(&io::stderr()).map_err(|error| format!("standard error: {error}"))?;
        let logs = Self(Arc::new(Lane::start("stderr", output, false)?));
        let subscriber = tracing_subscriber::fmt()
            .with_writer(logs.clone())
            .with_max_level(level)
            .with_target(false)
            .with_ansi(io::stderr().is_terminal());
        match format {
            LogFormat::Text => subscriber.init(),
            LogFormat::Json => subscriber.json().init(),
        }
        Ok(logs)
    }

    /// Waits until all lines are written, a second at most.
    pub(crate) fn flush(&self) {
        let dropped = self.0.stats().dropped;
        if dropped > 0 {
            tracing::warn!(dropped, "lines of this log were dropped: nobody read them in time");
        }
        // Where nobody reads them still, there is nowhere to say so.
        let _left = self.0.flush(Duration::from_secs(1));
    }
}

impl<'a> MakeWriter<'a> for Logs {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

/// A line comes whole, in one call.
impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.offer(bytes.into(), BOUND);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const BOUND: Bound = Bound { lines: 4096, bytes: 4 << 20 };

//! The shell that does IO: listeners, the pipeline, forwarding, streams. It decides nothing that `token` and `policy`
//! decide, and knows no file format.

pub mod admin;
pub mod answer;
pub mod audit;
pub mod body;
mod changes;
mod cors;
pub mod fetch;
pub mod filter;
mod forward;
pub mod http_sse;
mod inspect;
mod keep_alive;
pub mod listener;
pub mod metrics;
mod pipeline;
mod places;
pub(crate) mod rates;
mod recent;
pub mod rehearsal;
pub mod reload;
mod respond;
pub mod route;
pub mod secret;
mod serving;
pub mod session;
pub mod settings;
pub mod shutdown;
pub mod stage;
mod stream;
pub mod telemetry;
pub mod tls;
pub mod trail;
pub mod upstream;

use std::sync::Arc;

use ipnet::IpNet;

use crate::token::Validator;
use crate::token::clock::Clock;
use admin::Described;
use audit::AuditSink;
use body::BodyBudget;
use http_sse::Streams;
use listener::Terms;
use metrics::{Meters, Metrics};
use places::{Places, Requests, Whose};
use rates::Rates;
use route::Table;
use secret::SecretKey;
use session::SessionSeal;
use settings::{Limits, Settings, Timeouts};
use telemetry::Telemetry;
use tls::Contents;

pub use serving::{Around, Prepared, Serving};

/// The gateway as one file has it: everything that the stages need, and nothing that changes. What outlives the file is
/// shared with the generation before and the one after.
pub struct Gateway {
    settings: Settings,
    table: Table,
    tokens: Validator,
    sessions: SessionSeal,
    /// Seals where the file names no key.
    own_session_key: SecretKey,
    streams: Streams,
    bodies: BodyBudget,
    taken: Taken,
    audit: AuditSink,
    telemetry: Option<Telemetry>,
    /// Of this file's routes, as parts of the metrics of the process.
    meters: Arc<Meters>,
    described: Described,
    clock: Clock,
    limits: Limits,
    timeouts: Timeouts,
    trusted_proxies: Vec<IpNet>,
    public_https: bool,
    tls: Option<TlsEnd>,
}

/// What callers have taken up of what there is. It outlives every file.
#[derive(Clone, Default)]
struct Taken {
    /// Streams that last, by principal.
    streams: Places<Whose>,
    /// Requests that servers work on, by route.
    on_route: Places<Arc<str>>,
    /// Requests under way.
    requests: Requests,
    rates: Rates,
}

/// Our end of TLS, and of which contents of its files it was made.
#[derive(Clone)]
struct TlsEnd {
    config: Arc<rustls::ServerConfig>,
    contents: Contents,
}

impl Gateway {
    /// What is counted, in the life of the process.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        self.meters.metrics()
    }

    /// What it was made of.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where spans go, if they go anywhere: for who must wait for the last of them, and who counts them.
    #[must_use]
    pub fn telemetry(&self) -> Option<&Telemetry> {
        self.telemetry.as_ref()
    }

    /// What holds for connections that are accepted under it.
    fn terms(&self) -> Terms {
        let tls = self.tls.as_ref().map(|tls| Arc::clone(&tls.config));
        Terms::new(tls, &self.limits, self.timeouts).behind(self.trusted_proxies.clone())
    }
}

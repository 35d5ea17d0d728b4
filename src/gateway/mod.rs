//! The shell that does IO: listeners, the pipeline, forwarding, streams. It decides nothing that `token` and `policy`
//! decide, and knows no file format.

pub mod admin;
pub mod answer;
pub mod audit;
pub mod body;
mod cors;
pub mod fetch;
pub mod filter;
mod forward;
pub mod http_sse;
mod inspect;
mod keep_alive;
mod lasting;
pub mod listener;
pub mod metrics;
mod pipeline;
mod recent;
pub mod reload;
mod respond;
pub mod route;
pub mod session;
pub mod settings;
pub mod shutdown;
pub mod stage;
mod stream;
pub mod tls;
pub mod trail;
pub mod upstream;

use std::sync::Arc;

use ipnet::IpNet;
use tokio::net::TcpListener;

use crate::token::Validator;
use crate::token::clock::Clock;
use admin::Described;
use audit::AuditSink;
use body::BodyBudget;
use fetch::HttpFetch;
use http_sse::Streams;
use lasting::Lasting;
use metrics::{Meters, Metrics, Open};
use route::Table;
use session::SessionSeal;
use settings::{Limits, Settings, Timeouts, Tls};
use shutdown::Shutdown;

/// The gateway, ready to serve: everything that the stages need, and nothing that changes.
pub struct Gateway {
    table: Table,
    tokens: Validator,
    sessions: SessionSeal,
    streams: Streams,
    bodies: BodyBudget,
    lasting: Lasting,
    audit: AuditSink,
    /// Of this file's routes, as parts of the metrics of the process.
    meters: Arc<Meters>,
    described: Described,
    clock: Clock,
    limits: Limits,
    timeouts: Timeouts,
    trusted_proxies: Vec<IpNet>,
    public_https: bool,
    tls: Option<Arc<rustls::ServerConfig>>,
}

/// What can be found out about settings before anything is started: the files they name are read, and nothing is
/// connected to. `gatepost check` stops here.
pub struct Prepared {
    settings: Settings,
    table: Table,
    sessions: SessionSeal,
    tls: Option<Arc<rustls::ServerConfig>>,
}

impl Prepared {
    /// Reads certificates and keys and builds the route table.
    pub fn new(settings: Settings) -> Result<Self, String> {
        let tls = match &settings.tls {
            Tls::Off | Tls::External => None,
            Tls::Files { certificate, private_key } => Some(tls::server_config(certificate, private_key)?),
        };
        let table = Table::new(&settings)?;
        let sessions = SessionSeal::new(&settings.session_keys)?;
        Ok(Self { settings, table, sessions, tls })
    }

    /// Starts fetching keys. Must be called within a tokio runtime.
    pub fn start(self, audit: AuditSink, clock: Clock) -> Result<Gateway, String> {
        let Self { settings, table, sessions, tls } = self;
        let described = Described::new(&settings);
        let metrics = Metrics::new()?;
        if settings.admin.is_some() {
            metrics.recent().keep();
        }
        let meters = Arc::new(Meters::new(Arc::new(metrics), &settings.routes));
        let tokens = Validator::start(
            settings.authorization_servers,
            Arc::new(HttpFetch::new()?),
            clock.clone(),
            settings.limits.token_cache_bytes_max,
        )?;
        Ok(Gateway {
            table,
            tokens,
            sessions,
            streams: Streams::default(),
            bodies: BodyBudget::new(settings.limits.bodies_in_flight_bytes_max),
            lasting: Lasting::new(settings.limits.streams_per_principal_max),
            audit,
            meters,
            described,
            clock,
            limits: settings.limits,
            timeouts: settings.timeouts,
            trusted_proxies: settings.trusted_proxies,
            public_https: settings.public_url.is_https(),
            tls,
        })
    }
}

impl Gateway {
    /// What is counted, in the life of the process.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        self.meters.metrics()
    }

    /// Serves on `listener` until `shutdown`, and then until the requests under way have ended.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, shutdown: Shutdown) {
        let (tls, limits, timeouts) = (self.tls.clone(), self.limits, self.timeouts);
        let stopping = shutdown.clone();
        let open = Open::counting(self.metrics());
        let service = move |request, peer| {
            let _counted = &open;
            let (gateway, stopping) = (Arc::clone(&self), stopping.clone());
            async move { gateway.handle(request, peer, &stopping).await }
        };
        listener::serve(listener, tls, limits, timeouts, shutdown, service).await;
    }
}

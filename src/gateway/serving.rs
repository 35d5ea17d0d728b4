//! What serves: the generation of the file that is in force, and how another takes its place. A generation is one
//! `Gateway`, made of one file and never changed; each request takes the one in force when it begins, and keeps it to its end.
//! So no request is decided half by one file and half by another.

use std::fmt;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::admin::Described;
use super::audit::AuditSink;
use super::body::{Body, BodyBudget};
use super::fetch::HttpFetch;
use super::http_sse::Streams;
use super::listener::{self, Peer, Terms};
use super::metrics::{Meters, Metrics, Open};
use super::reload::Reloads;
use super::route::{Route, Table};
use super::secret::SecretKey;
use super::session::{self, SessionSeal};
use super::settings::{Settings, Tls};
use super::shutdown::Shutdown;
use super::telemetry::Exporter;
use super::tls::{self, Contents};
use super::{Gateway, Taken, TlsEnd};
use crate::oauth::ids::Issuer;
use crate::token::Validator;
use crate::token::clock::Clock;

/// The generation in force.
pub struct Serving {
    current: watch::Sender<Arc<Gateway>>,
    terms: watch::Sender<Arc<Terms>>,
    reloads: Arc<Reloads>,
}

/// What goes on around a request while it lasts.
#[derive(Clone)]
pub struct Around {
    /// Whether the gateway stops.
    pub(super) shutdown: Shutdown,
    current: watch::Receiver<Arc<Gateway>>,
}

/// What can be found out about settings before anything is started: the files they name are read, and nothing is
/// connected to. `gatepost check` stops here.
pub struct Prepared {
    settings: Settings,
    table: Table,
    sessions: SessionSeal,
    own_session_key: SecretKey,
    exporter: Option<Exporter>,
    tls: Option<TlsEnd>,
}

/// What a generation has of the one before it, or as the process starts.
struct Inherited {
    metrics: Arc<Metrics>,
    tokens: Validator,
    streams: Streams,
    bodies: BodyBudget,
    taken: Taken,
    audit: AuditSink,
    clock: Clock,
}

impl Prepared {
    /// Reads certificates and keys and builds the route table.
    pub fn new(settings: Settings) -> Result<Self, String> {
        Self::read(settings, None)
    }

    /// The same, and what stays as it is in `before` is taken from there: connections to servers, the certificate with the TLS
    /// sessions of clients, the session key that nobody configured.
    fn read(settings: Settings, before: Option<&Gateway>) -> Result<Self, String> {
        let tls = match &settings.tls {
            Tls::Off | Tls::External => None,
            Tls::Files { certificate, private_key } => {
                let contents = Contents::of([certificate.as_path(), private_key]);
                let kept = before.and_then(|before| before.tls.clone()).filter(|before| before.contents == contents);
                Some(match kept {
                    Some(kept) => kept,
                    None => TlsEnd { config: tls::server_config(certificate, private_key)?, contents },
                })
            }
        };
        let table = Table::new(&settings, before.map(|before| &before.table))?;
        let own_session_key = before.map_or_else(session::random_key, |before| Ok(before.own_session_key.clone()))?;
        let sessions = SessionSeal::new(&settings.session_keys, &own_session_key)?;
        let exporting = before.and_then(Gateway::telemetry);
        let exporter = settings.telemetry.as_ref().map(|telemetry| Exporter::new(telemetry, exporting)).transpose()?;
        Ok(Self { settings, table, sessions, own_session_key, exporter, tls })
    }

    /// Starts fetching keys. Must be called within a tokio runtime.
    pub fn start(self, audit: AuditSink, clock: Clock) -> Result<Serving, String> {
        let (issuers, limits) = (self.settings.authorization_servers.clone(), self.settings.limits);
        let fetch = Arc::new(HttpFetch::new()?);
        let audit = audit.with_settings(&self.settings.audit);
        let tokens = Validator::start(issuers, fetch, clock.clone(), limits.token_cache_bytes_max)?;
        let gateway = self.gateway(Inherited {
            metrics: Arc::new(Metrics::new()?),
            tokens,
            streams: Streams::default(),
            bodies: BodyBudget::new(limits.bodies_in_flight_bytes_max),
            taken: Taken::default(),
            audit,
            clock,
        })?;
        let terms = watch::Sender::new(Arc::new(gateway.terms()));
        Ok(Serving { current: watch::Sender::new(Arc::new(gateway)), terms, reloads: Arc::default() })
    }

    fn gateway(self, inherited: Inherited) -> Result<Gateway, String> {
        let Inherited { metrics, tokens, streams, bodies, taken, audit, clock } = inherited;
        let Self { settings, table, sessions, own_session_key, exporter, tls } = self;
        if settings.admin.is_some() {
            metrics.recent().keep();
        }
        Ok(Gateway {
            // Nobody looks where no operator can.
            described: settings.admin.map(|_| Described::new(&settings)).unwrap_or_default(),
            meters: Arc::new(Meters::new(metrics, &settings.routes)),
            table,
            tokens,
            sessions,
            own_session_key,
            streams,
            bodies,
            taken,
            audit,
            telemetry: exporter.map(Exporter::start).transpose()?,
            clock,
            limits: settings.limits,
            timeouts: settings.timeouts,
            trusted_proxies: settings.trusted_proxies.clone(),
            public_https: settings.public_url.is_https(),
            tls,
            settings,
        })
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Serving")
    }
}

impl Serving {
    /// Serves on `listener` until `shutdown`, and then until the requests under way have ended.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, shutdown: Shutdown) {
        let terms = self.terms.subscribe();
        let around = Around { shutdown: shutdown.clone(), current: self.current.subscribe() };
        let open = Open::counting(self.current().metrics());
        let service = move |request: Request<Incoming>, peer: Peer| {
            let _counted = &open;
            let around = around.clone();
            // What it keeps in mind is large, and would be moved several times on its way into the connection.
            Box::pin(async move { around.answer(request, peer).await })
        };
        listener::serve(listener, terms, shutdown, service).await;
    }

    /// The generation in force.
    #[must_use]
    pub fn current(&self) -> Arc<Gateway> {
        Arc::clone(&self.current.borrow())
    }

    /// How reading the file again went so far.
    #[must_use]
    pub fn reloads(&self) -> &Arc<Reloads> {
        &self.reloads
    }

    /// Where the generation in force sends its audit records.
    #[must_use]
    pub fn audit(&self) -> AuditSink {
        self.current.borrow().audit.clone()
    }

    /// Opens audit files again by their names: they were renamed.
    pub fn reopen_audit(&self) {
        self.current.borrow().audit.reopen();
    }

    /// Puts `settings` in force, or changes nothing. Reads files, so not for a thread that serves; must be called within a
    /// tokio runtime.
    pub(super) fn renew(&self, settings: Settings) -> Result<(), String> {
        let before = self.current();
        let (issuers, limits) = (settings.authorization_servers.clone(), settings.limits);
        let audit = settings.audit.clone();
        let prepared = Prepared::read(settings, Some(&before))?;
        let gateway = prepared.gateway(Inherited {
            metrics: before.meters.shared(),
            tokens: before.tokens.renewed(issuers, limits.token_cache_bytes_max)?,
            streams: before.streams.clone(),
            bodies: before.bodies.of_size(limits.bodies_in_flight_bytes_max),
            taken: before.taken.clone(),
            audit: before.audit.with_outputs(&audit)?,
            clock: before.clock.clone(),
        })?;
        gateway.tokens.read_key_files();
        self.terms.send_replace(Arc::new(gateway.terms()));
        self.current.send_replace(Arc::new(gateway));
        Ok(())
    }
}

impl Around {
    /// The answer of the generation that is in force now.
    async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Response<Body> {
        let gateway = Arc::clone(&self.current.borrow());
        gateway.handle(request, peer, self).await
    }

    /// Whether `route` still stands in the file, and serves tokens of `issuer`.
    pub(super) fn serves(&self, route: &Route, issuer: &Issuer) -> bool {
        self.current.borrow().table.serves_on(route, issuer)
    }

    /// Waits until the generation in force has no place for a stream that `route` opened for a token of `issuer`.
    pub(super) async fn gone(&self, route: &Route, issuer: &Issuer) {
        let mut current = self.current.clone();
        if current.wait_for(|gateway| !gateway.table.serves_on(route, issuer)).await.is_err() {
            // No other generation will come.
            std::future::pending::<()>().await;
        }
    }
}

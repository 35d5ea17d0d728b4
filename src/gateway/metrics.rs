//! Numbers for the operator, in Prometheus' text format. One value for the life of the process, whatever file it serves.
//! Requests are counted in one place, where their audit record is written (`tally`), so that totals agree with the audit
//! log. No label comes from a client; on the way of a request a count is one addition.

mod open;
mod process;
mod route;
mod scrape;
mod table;
mod tally;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use prometheus::core::Collector;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::recent::Recent;
use super::settings::RouteSettings;
use crate::mcp::operation;
pub(super) use open::Open;
pub(super) use route::RouteMeter;
use scrape::Scraped;
pub use table::{METRICS, Metric, document};
pub(super) use tally::Tally;

/// What is counted as it happens, and the room for what is looked up when somebody asks.
pub struct Metrics {
    registry: Registry,
    /// The values of `operation`.
    words: Vec<&'static str>,
    requests: IntCounterVec,
    decisions: IntCounterVec,
    would_deny: IntCounterVec,
    decision_seconds: HistogramVec,
    head_seconds: HistogramVec,
    upstream_errors: IntCounterVec,
    tools_changed: IntCounterVec,
    streams: IntGaugeVec,
    bytes_in: IntCounterVec,
    bytes_out: IntCounterVec,
    connections: IntGauge,
    panics: IntCounter,
    scraped: Scraped,
    recent: Recent,
}

/// The meters of the routes of one file.
pub(super) struct Meters {
    metrics: Arc<Metrics>,
    by_route: HashMap<Arc<str>, Arc<RouteMeter>>,
    /// For requests to no route.
    none: Arc<RouteMeter>,
}

impl Metrics {
    /// Everything registered, and zero.
    pub fn new() -> Result<Self, String> {
        Self::registered().map_err(|error| format!("metrics cannot be registered: {error}"))
    }

    fn registered() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let new = New(&registry);
        Ok(Self {
            words: operation::words().chain(NO_OPERATIONS).collect(),
            requests: new.counters(&table::REQUESTS)?,
            decisions: new.counters(&table::DECISIONS)?,
            would_deny: new.counters(&table::WOULD_DENY)?,
            decision_seconds: new.histograms(&table::DECISION_SECONDS, &DECISION_BUCKETS)?,
            head_seconds: new.histograms(&table::HEAD_SECONDS, &HEAD_BUCKETS)?,
            upstream_errors: new.counters(&table::UPSTREAM_ERRORS)?,
            tools_changed: new.counters(&table::TOOLS_CHANGED)?,
            streams: new.gauges(&table::STREAMS)?,
            bytes_in: new.counters(&table::BYTES_IN)?,
            bytes_out: new.counters(&table::BYTES_OUT)?,
            connections: new.gauges(&table::CONNECTIONS)?.get_metric_with_label_values::<&str>(&[])?,
            panics: new.counters(&table::PANICS)?.get_metric_with_label_values::<&str>(&[])?,
            scraped: Scraped::new(&new)?,
            recent: Recent::default(),
            registry,
        })
    }

    /// A request ended in a bug of ours.
    pub(super) fn panicked(&self) {
        self.panics.inc();
    }

    /// How many connections clients have.
    pub(super) fn connections(&self) -> i64 {
        self.connections.get()
    }

    /// The last decisions.
    pub(super) fn recent(&self) -> &Recent {
        &self.recent
    }

    /// The place of a word among the values of `operation`; the last, `none`, for what is not there.
    fn operation(&self, word: &str) -> usize {
        let place = self.words.iter().position(|known| *known == word);
        place.unwrap_or_else(|| self.words.len().saturating_sub(1))
    }

    fn encode(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Meters {
    /// Meters for these routes. What was counted for a route of the same name before goes on.
    pub(super) fn new(metrics: Arc<Metrics>, routes: &[RouteSettings]) -> Self {
        let meter = |route: &RouteSettings| {
            let tools = route.policy.exact_tools().map(Into::into);
            (Arc::clone(&route.name), Arc::new(RouteMeter::new(&metrics, &route.name, tools)))
        };
        let by_route = routes.iter().map(meter).collect();
        let none = Arc::new(RouteMeter::new(&metrics, "none", std::iter::empty()));
        Self { metrics, by_route, none }
    }

    /// The meter of a route of the file; of no route for every other name.
    pub(super) fn of(&self, route: &str) -> &Arc<RouteMeter> {
        self.by_route.get(route).unwrap_or(&self.none)
    }

    /// The same, for the meters of another file.
    pub(super) fn shared(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// What they are part of.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

impl fmt::Debug for Meters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meters")
    }
}

/// Makes metrics of rows of the table, and registers them.
struct New<'a>(&'a Registry);

impl New<'_> {
    fn counters(&self, metric: &Metric) -> prometheus::Result<IntCounterVec> {
        self.register(IntCounterVec::new(Opts::new(metric.name, metric.help), metric.labels)?)
    }

    fn gauges(&self, metric: &Metric) -> prometheus::Result<IntGaugeVec> {
        self.register(IntGaugeVec::new(Opts::new(metric.name, metric.help), metric.labels)?)
    }

    fn histograms(&self, metric: &Metric, buckets: &[f64]) -> prometheus::Result<HistogramVec> {
        let options = HistogramOpts::new(metric.name, metric.help).buckets(buckets.to_vec());
        self.register(HistogramVec::new(options, metric.labels)?)
    }

    fn register<C: Collector + Clone + 'static>(&self, collector: C) -> prometheus::Result<C> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }
}

/// What a request may be counted under besides operations; the last for one that was refused before it was read.
const NO_OPERATIONS: [&str; 4] = ["batch", "metadata", "preflight", NONE];
/// The label of what is not there. An empty one could not be told from none at all.
const NONE: &str = "none";
/// Ours takes microseconds, but for a key that must be waited for.
const DECISION_BUCKETS: [f64; 14] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0];
/// A server takes its time.
const HEAD_BUCKETS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_registered_and_nothing_else() {
        let metrics = Metrics::new().unwrap();
        // What has labels shows once it has a value.
        let meters = Meters::new(Arc::new(metrics), &[]);
        let again: Vec<_> = METRICS
            .iter()
            .filter(|row| {
                let twice = IntCounterVec::new(Opts::new(row.name, row.help), row.labels).unwrap();
                meters.metrics.registry.register(Box::new(twice)).is_ok()
            })
            .map(|row| row.name)
            .collect();
        assert_eq!(again, [""; 0], "not registered");
        let registered = meters.metrics.encode().unwrap();
        for line in registered.lines().filter(|line| line.starts_with("# TYPE ")) {
            let known = METRICS.iter().any(|row| line == format!("# TYPE {} {}", row.name, row.kind.as_str()));
            assert!(known, "{line}");
        }
    }
}

//! What is looked up only when somebody asks: how things stand at that moment, in the gateway and in the process.

use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::{IntCounterVec, IntGaugeVec};

use super::{Metrics, New, process, table};
use crate::gateway::Gateway;
use crate::gateway::audit::QUEUE_BYTES_MAX;
use crate::gateway::reload::Reloads;
use crate::gateway::telemetry::Telemetry;
use crate::token::clock;

/// Set anew each time. What is not there any more (an issuer that the file has lost) is then gone here, too.
pub(super) struct Scraped {
    /// One at a time: between the setting and the reading nothing may come.
    turn: Mutex<()>,
    started: SystemTime,
    counters: Vec<IntCounterVec>,
    gauges: Vec<IntGaugeVec>,
}

impl Scraped {
    pub(super) fn new(new: &New<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            turn: Mutex::new(()),
            started: clock::wall_time(),
            counters: COUNTERS.into_iter().map(|row| new.counters(row)).collect::<Result<_, _>>()?,
            gauges: GAUGES.into_iter().map(|row| new.gauges(row)).collect::<Result<_, _>>()?,
        })
    }

    fn reset(&self) {
        self.counters.iter().for_each(prometheus::core::MetricVec::reset);
        self.gauges.iter().for_each(prometheus::core::MetricVec::reset);
    }

    fn counter(&self, metric: &table::Metric, labels: &[&str], value: u64) {
        let place = COUNTERS.iter().position(|row| row.name == metric.name);
        if let Some(Ok(counter)) =
            place.and_then(|at| self.counters.get(at)).map(|all| all.get_metric_with_label_values(labels))
        {
            counter.inc_by(value);
        }
    }

    fn gauge(&self, metric: &table::Metric, labels: &[&str], value: impl TryInto<i64>) {
        let place = GAUGES.iter().position(|row| row.name == metric.name);
        if let Some(Ok(gauge)) =
            place.and_then(|at| self.gauges.get(at)).map(|all| all.get_metric_with_label_values(labels))
        {
            gauge.set(value.try_into().unwrap_or(i64::MAX));
        }
    }
}

impl Metrics {
    /// Everything, as Prometheus reads it (text format 0.0.4).
    pub(in crate::gateway) fn text(&self, gateway: &Gateway, reloads: &Reloads, ready: bool) -> Result<String, String> {
        let _turn = self.scraped.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.scraped.reset();
        self.look_at_keys(gateway);
        self.look_at_limits(gateway);
        self.look_at_reloads(reloads);
        self.look_at_process();
        self.scraped.gauge(&table::READY, &[], u8::from(ready));
        self.encode().map_err(|error| error.to_string())
    }

    fn look_at_keys(&self, gateway: &Gateway) {
        let to = &self.scraped;
        for (issuer, keys) in gateway.tokens.keys() {
            let issuer = issuer.as_str();
            to.gauge(&table::KEYS_USABLE, &[issuer], keys.usable);
            if let Some(age) = keys.age {
                to.gauge(&table::KEYS_AGE, &[issuer], age.as_secs());
            }
            to.gauge(&table::KEYS_AGE_MAX, &[issuer], keys.age_max.as_secs());
            to.counter(&table::KEY_FETCHES, &[issuer, "ok"], keys.fetched);
            to.counter(&table::KEY_FETCHES, &[issuer, "failed"], keys.failed);
        }
        let cache = gateway.tokens.cache();
        to.counter(&table::CACHE_HITS, &[], cache.hits);
        to.counter(&table::CACHE_MISSES, &[], cache.misses);
        to.gauge(&table::CACHE_ENTRIES, &[], cache.entries);
        to.gauge(&table::CACHE_BYTES, &[], cache.bytes);
    }

    fn look_at_limits(&self, gateway: &Gateway) {
        let to = &self.scraped;
        to.gauge(&table::CONNECTIONS_MAX, &[], gateway.limits.connections_max);
        to.gauge(&table::BODIES, &[], gateway.bodies.in_use());
        to.gauge(&table::BODIES_MAX, &[], gateway.limits.bodies_in_flight_bytes_max);
        let audit = gateway.audit.stats();
        to.counter(&table::AUDIT_UNRECORDED, &[], audit.unrecorded);
        if let Some(spans) = gateway.telemetry().map(Telemetry::counts) {
            to.counter(&table::SPANS, &["delivered"], spans.delivered);
            to.counter(&table::SPANS, &["dropped"], spans.dropped);
            to.counter(&table::SPANS, &["lost"], spans.lost);
        }
        for output in audit.outputs {
            to.gauge(&table::AUDIT_QUEUE, &[output.output], output.queued);
            to.gauge(&table::AUDIT_QUEUE_BYTES, &[output.output], output.queued_bytes);
            to.counter(&table::AUDIT_RECORDS, &[output.output, "written"], output.written);
            to.counter(&table::AUDIT_RECORDS, &[output.output, "lost"], output.dropped);
        }
        to.gauge(&table::AUDIT_QUEUE_MAX, &[], gateway.settings.audit.queue_records_max);
        to.gauge(&table::AUDIT_QUEUE_BYTES_MAX, &[], QUEUE_BYTES_MAX);
    }

    fn look_at_reloads(&self, reloads: &Reloads) {
        let to = &self.scraped;
        to.counter(&table::RELOADS, &["ok"], reloads.succeeded());
        to.counter(&table::RELOADS, &["failed"], reloads.failed());
        to.gauge(&table::RELOADED, &[], since_1970(reloads.last_success()));
        to.gauge(&table::RELOAD_FAILED, &[], u8::from(reloads.error().is_some()));
    }

    fn look_at_process(&self) {
        let to = &self.scraped;
        to.gauge(&table::BUILD, &[env!("CARGO_PKG_VERSION")], 1);
        to.gauge(&table::STARTED, &[], since_1970(self.scraped.started));
        for (metric, value) in [
            (&table::MEMORY, process::resident_bytes()),
            (&table::FDS, process::open_fds()),
            (&table::FDS_MAX, process::max_fds()),
        ] {
            if let Some(value) = value {
                to.gauge(metric, &[], value);
            }
        }
    }
}

fn since_1970(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

const COUNTERS: [&table::Metric; 7] = [
    &table::CACHE_HITS,
    &table::CACHE_MISSES,
    &table::KEY_FETCHES,
    &table::AUDIT_RECORDS,
    &table::AUDIT_UNRECORDED,
    &table::SPANS,
    &table::RELOADS,
];

const GAUGES: [&table::Metric; 20] = [
    &table::CONNECTIONS_MAX,
    &table::BODIES,
    &table::BODIES_MAX,
    &table::CACHE_ENTRIES,
    &table::CACHE_BYTES,
    &table::KEYS_USABLE,
    &table::KEYS_AGE,
    &table::KEYS_AGE_MAX,
    &table::READY,
    &table::AUDIT_QUEUE,
    &table::AUDIT_QUEUE_MAX,
    &table::AUDIT_QUEUE_BYTES,
    &table::AUDIT_QUEUE_BYTES_MAX,
    &table::RELOADED,
    &table::RELOAD_FAILED,
    &table::BUILD,
    &table::STARTED,
    &table::MEMORY,
    &table::FDS,
    &table::FDS_MAX,
];

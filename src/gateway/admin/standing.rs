//! How things stand now, for whoever looks: readiness, issuers, routes, limits, the last decisions. No key, no token and no
//! argument is in it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::gateway::Gateway;
use crate::gateway::reload::Reloads;
use crate::gateway::route::Route;
use crate::token::clock;

impl Gateway {
    /// Whether requests can be served: some issuer has usable keys. (A file is loaded: this is made of one.)
    pub(super) fn is_ready(&self) -> bool {
        self.tokens.keys().iter().any(|(_, keys)| keys.usable > 0)
    }

    /// What `/readyz` says, whatever its status: which issuers have no keys, since when, and why.
    pub(super) fn readiness(&self, ready: bool, draining: bool) -> Value {
        let now = clock::wall_time();
        let lacking = self.tokens.keys().into_iter().filter_map(|(issuer, keys)| {
            let since = now - keys.lacking?;
            Some(json!({"issuer": issuer.as_str(), "since": time(since), "last_error": keys.fault}))
        });
        json!({"ready": ready, "draining": draining, "issuers_without_keys": lacking.collect::<Vec<_>>()})
    }

    /// What the status page shows.
    pub(super) fn standing(&self, reloads: &Reloads, ready: bool, draining: bool) -> Value {
        let mut routes: Vec<&Arc<Route>> = self.table.routes().collect();
        routes.sort_unstable_by_key(|route| &route.name);
        let cache = self.tokens.cache();
        let audit = self.audit.stats();
        let waiting = audit.outputs.iter().map(|output| output.queued).max().unwrap_or_default();
        let lost: u64 = audit.outputs.iter().map(|output| output.dropped).sum();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "now": time(clock::wall_time()),
            "ready": ready,
            "draining": draining,
            "file": {
                "generation": reloads.succeeded(),
                "loaded": time(reloads.last_success()),
                "failed": reloads.failed(),
                "last_error": reloads.error(),
            },
            "issuers": self.issuers(),
            "routes": routes.into_iter().map(|route| self.route(route)).collect::<Vec<_>>(),
            "limits": [
                limit("connections", self.metrics().connections(), self.limits.connections_max),
                limit("body bytes", self.bodies.in_use(), self.limits.bodies_in_flight_bytes_max),
                limit("token cache bytes", cache.bytes, self.limits.token_cache_bytes_max),
                limit("audit records waiting", waiting, self.settings.audit.queue_records_max),
            ],
            "audit_lost": lost,
            "decisions": self.metrics().recent().all(),
        })
    }

    fn issuers(&self) -> Vec<Value> {
        let now = clock::wall_time();
        let shown = self.tokens.keys().into_iter().map(|(issuer, keys)| {
            json!({
                "issuer": issuer.as_str(),
                "usable": keys.usable,
                "age_secs": keys.age.as_ref().map(Duration::as_secs),
                "age_max_secs": keys.age_max.as_secs(),
                "lacking_since": keys.lacking.map(|lacking| time(now - lacking)),
                "last_error": keys.fault,
                "fetched": keys.fetched,
                "failed": keys.failed,
            })
        });
        shown.collect()
    }

    fn route(&self, route: &Route) -> Value {
        let meter = self.meters.of(&route.name);
        let (answered, fault) = meter.upstream();
        let state = match (&answered, &fault) {
            (None, None) => "unused",
            (Some(answered), Some(fault)) if fault.at <= *answered => "answers",
            (Some(_), None) => "answers",
            (_, Some(_)) => "fails",
        };
        let fault = fault.map(|fault| json!({"at": time(fault.at), "reason": fault.reason, "detail": fault.detail}));
        json!({
            "name": &*route.name,
            "state": state,
            "answered": answered.map(time),
            "fault": fault,
            "streams": meter.streams_open(),
        })
    }
}

fn limit(name: &str, used: impl Into<Value>, max: impl Into<Value>) -> Value {
    json!({"name": name, "used": used.into(), "max": max.into()})
}

fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

//! What is measured: each metric with its type, its labels and its meaning. `deploy/metrics.md` is this table, and nothing is
//! registered that does not stand in it. Labels are words of ours or of the file, never a client's.

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// As Prometheus knows it; the unit, a base unit, ends it.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// As it is now.
    Gauge,
    /// How many were how large.
    Histogram,
}

impl Kind {
    /// As `# TYPE` names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, labels, help }
}

const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Histogram, labels, help }
}

macro_rules! metrics {
    ($($id:ident: $metric:expr;)*) => {
        $(pub(super) const $id: Metric = $metric;)*
        /// All of them, in the order of the document.
        pub const METRICS: &[Metric] = &[$($id),*];
    };
}

metrics! {
    REQUESTS: counter("gatepost_requests_total", &["route", "operation", "reason"],
        "Requests by what they asked for and why they were refused or failed (none: neither); as many as audit records, where a stream has two");
    DECISIONS: counter("gatepost_decisions_total", &["route", "operation", "tool", "decision"],
        "What the rules said of each message: allowed or refused");
    WOULD_DENY: counter("gatepost_would_deny_total", &["route", "operation", "tool", "reason"],
        "Messages that passed because the route only reports, by the refusal that it would have given");
    DECISION_SECONDS: histogram("gatepost_decision_duration_seconds", &["route"],
        "Our part of a request: from its head until it is sent to the server or refused, without the time its body took to arrive");
    HEAD_SECONDS: histogram("gatepost_upstream_head_duration_seconds", &["route"],
        "The server's part: from when it is asked until the head of its answer");
    UPSTREAM_ERRORS: counter("gatepost_upstream_errors_total", &["route", "reason"],
        "Requests that failed at the server, by reason word; cut: its answer broke off after its head had gone to the client");
    TOOLS_CHANGED: counter("gatepost_upstream_tools_changed_total", &["route"],
        "Tools that the server describes otherwise than the last time; where lists are filtered");
    STREAMS: gauge("gatepost_streams_open", &["route"],
        "Event streams that are open");
    BYTES_IN: counter("gatepost_request_body_bytes_total", &["route"],
        "Bytes of request bodies that were read");
    BYTES_OUT: counter("gatepost_answer_body_bytes_total", &["route"],
        "Bytes of answers' bodies that were handed to the client's connection");
    CONNECTIONS: gauge("gatepost_connections_open", &[],
        "Connections of clients");
    CONNECTIONS_MAX: gauge("gatepost_connections_max", &[],
        "limits.connections_max: beyond it nobody is accepted");
    BODIES: gauge("gatepost_bodies_in_flight_bytes", &[],
        "Bytes of request bodies in memory");
    BODIES_MAX: gauge("gatepost_bodies_in_flight_max_bytes", &[],
        "limits.bodies_in_flight_bytes_max: beyond it requests are answered with overloaded");
    CACHE_HITS: counter("gatepost_token_cache_hits_total", &[],
        "Tokens whose signature and claims were verified before");
    CACHE_MISSES: counter("gatepost_token_cache_misses_total", &[],
        "Tokens that had to be verified, good or not");
    CACHE_ENTRIES: gauge("gatepost_token_cache_entries", &[],
        "Verified tokens that are kept");
    CACHE_BYTES: gauge("gatepost_token_cache_bytes", &[],
        "What they take, estimated upwards");
    KEYS_USABLE: gauge("gatepost_keys_usable", &["issuer"],
        "Keys of an issuer that tokens are verified with; 0: every token of this issuer is answered with keys_unavailable");
    KEYS_AGE: gauge("gatepost_keys_age_seconds", &["issuer"],
        "Since its keys were last fetched; absent before the first time");
    KEYS_AGE_MAX: gauge("gatepost_keys_age_max_seconds", &["issuer"],
        "keys.stale_secs_max: keys that are older are not used");
    KEY_FETCHES: counter("gatepost_key_fetches_total", &["issuer", "outcome"],
        "Rounds of fetching its keys: ok or failed");
    READY: gauge("gatepost_ready", &[],
        "What /readyz says: 1 for 200");
    AUDIT_RECORDS: counter("gatepost_audit_records_total", &["output", "outcome"],
        "Audit records by what became of them: written or lost");
    AUDIT_UNRECORDED: counter("gatepost_audit_unrecorded_requests_total", &[],
        "Requests that were answered with 503 and left no record, since none could be kept");
    SPANS: counter("gatepost_spans_total", &["outcome"],
        "Spans by what became of them, since traces are sent: delivered, dropped (the queue was full), lost (not taken)");
    AUDIT_QUEUE: gauge("gatepost_audit_queue_records", &["output"],
        "Audit records that wait to be written");
    AUDIT_QUEUE_MAX: gauge("gatepost_audit_queue_max_records", &[],
        "How many may wait: beyond it the log is stalled");
    AUDIT_QUEUE_BYTES: gauge("gatepost_audit_queue_bytes", &["output"],
        "Bytes of audit records that wait to be written");
    AUDIT_QUEUE_BYTES_MAX: gauge("gatepost_audit_queue_max_bytes", &[],
        "How many bytes may wait: beyond it the log is stalled, too");
    RELOADS: counter("gatepost_reloads_total", &["outcome"],
        "Attempts to load the file again: ok or failed");
    RELOADED: gauge("gatepost_last_reload_success_timestamp_seconds", &[],
        "When the file that is served was loaded, in seconds since 1970");
    RELOAD_FAILED: gauge("gatepost_last_reload_failed", &[],
        "Whether the last attempt to load the file again failed: the file before it is served");
    PANICS: counter("gatepost_panics_total", &[],
        "Requests that ended in a bug of ours, with 500");
    BUILD: gauge("gatepost_build_info", &["version"],
        "Always 1");
    STARTED: gauge("process_start_time_seconds", &[],
        "When the process started, in seconds since 1970");
    MEMORY: gauge("process_resident_memory_bytes", &[],
        "Memory of the process; Linux only");
    FDS: gauge("process_open_fds", &[],
        "File descriptors of the process; Linux only");
    FDS_MAX: gauge("process_max_fds", &[],
        "How many it may have; Linux only");
}

/// The table as a document.
#[must_use]
pub fn document() -> String {
    let mut text = DOCUMENT_HEAD.to_owned();
    for Metric { name, kind, labels, help } in METRICS {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let row = ["| `", name, "` | ", kind.as_str(), " | ", &labels.join(", "), " | ", help, " |\n"];
        text.extend(row);
    }
    text
}

const DOCUMENT_HEAD: &str = "# Metrics

What `/metrics` of the admin listener (`admin.listen`) serves, in Prometheus' text format. A test holds this table against
what is registered. [`prometheus-rules.yaml`](prometheus-rules.yaml) has the alerts, [`grafana-dashboard.json`](grafana-dashboard.json)
a dashboard.

Labels are bounded by the file, whatever clients send: `route` and `issuer` are those of the file (`none`: no route of it),
`operation` is a method that MCP defines, or `GET`, `DELETE`, `response`, `batch`, `metadata`, `preflight`, `other` (a method
that only a `methods` rule could name) or `none` (refused before it was read), `tool` is a name that a rule of the route
names exactly, else `other` (`none`: not a tool), `reason` a word of the [runbook](runbook.md) or `none`. A batch is one
request, and as many decisions as it has messages. With `transport: http_sse` an answer is counted by the stream that it
comes on.

| name | type | labels | meaning |
|---|---|---|---|
";

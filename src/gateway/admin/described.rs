//! What a file amounts to: its settings with every default, as a file would say them, and its policies as tables. No secret
//! is in it: of session keys their number, of a URL what stands before its query.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::gateway::settings::{
    AuditSettings, AuditTo, Limits, OnStall, OtlpProtocol, Rate, RouteLimits, RouteSettings, Settings, Telemetry,
    Timeouts, Tls, Transport, UpstreamSettings,
};
use crate::oauth::ids::{Audience, Issuer};
use crate::oauth::scope::{Scope, ScopeSet};
use crate::policy::pattern::Pattern;
use crate::policy::rule::{Default as Otherwise, Effect, Mode, Rule, Target, Visibility};
use crate::token::{ALGORITHMS, ClaimPath, IssuerSettings, KeySource};

/// The texts, made once for each file.
#[derive(Debug, Default)]
pub struct Described {
    config: Bytes,
    policy: Bytes,
}

impl Described {
    /// The texts for these settings.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let policy: Vec<Value> = settings.routes.iter().map(policy).collect();
        Self { config: super::pretty(&config(settings)), policy: Value::from(policy).to_string().into() }
    }

    /// The settings, as JSON: a routing file, but for `sessions`, in which the keys are left out.
    #[must_use]
    pub fn config(&self) -> Bytes {
        self.config.clone()
    }

    /// The policies, as JSON.
    pub(super) fn policy(&self) -> Bytes {
        self.policy.clone()
    }
}

fn config(settings: &Settings) -> Value {
    let Settings { listen, admin, tls, public_url, hosts, threads, .. } = settings;
    let mut all = json!({
        "listen": listen.to_string(),
        "public_url": public_url.as_str(),
        "hosts": hosts,
        "authorization_servers": settings.authorization_servers.iter().map(issuer).collect::<Vec<_>>(),
        "scope_hierarchy": scope_hierarchy(settings),
        "routes": settings.routes.iter().map(route).collect::<Vec<_>>(),
        "sessions": {"keys": vec![NOT_SHOWN; settings.session_keys.len()]},
        "limits": limits(&settings.limits),
        "timeouts": timeouts(&settings.timeouts),
        "drain": {"delay_secs": secs(settings.drain.delay), "grace_secs": secs(settings.drain.grace)},
        "audit": audit(&settings.audit),
        "trusted_proxies": settings.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    let tls = match tls {
        Tls::Off => None,
        Tls::External => Some(Value::from("external")),
        Tls::Files { certificate, private_key } => {
            Some(json!({"certificate": path(certificate), "private_key": path(private_key)}))
        }
    };
    put(&mut all, "tls", tls);
    put(&mut all, "admin", admin.map(|admin| json!({"listen": admin.to_string()})));
    put(&mut all, "telemetry", settings.telemetry.as_ref().map(telemetry));
    put(&mut all, "threads", threads.map(Value::from));
    all
}

fn issuer(server: &IssuerSettings) -> Value {
    let algorithms = server.algorithms.iter().filter_map(|algorithm| {
        let named = ALGORITHMS.iter().find(|(_, known)| known == algorithm);
        named.map(|(name, _)| *name)
    });
    let mut all = json!({
        "issuer": server.issuer.as_str(),
        "algorithms": algorithms.collect::<Vec<_>>(),
        "scope_claims": scope_claims(server),
        "leeway_secs": server.leeway_secs,
        "keys": {"stale_secs_max": server.keys_stale_secs_max, "cooldown_secs": server.keys_cooldown_secs},
    });
    match &server.keys {
        KeySource::Discovered => {}
        KeySource::Uri(uri) => put(&mut all, "jwks_uri", Some(without_query(uri).into())),
        KeySource::File(file) => put(&mut all, "jwks_file", Some(path(file))),
    }
    all
}

fn scope_claims(server: &IssuerSettings) -> Value {
    let claims: Vec<&str> = server.scope_claims.iter().map(ClaimPath::as_str).collect();
    if server.scope_claims_merged { json!({"merge": claims}) } else { claims.into() }
}

/// Every route has the same one.
fn scope_hierarchy(settings: &Settings) -> Value {
    let Some(route) = settings.routes.first() else { return json!({}) };
    let edges = route.policy.settings().hierarchy.iter();
    edges.map(|(broad, narrow)| (broad.as_str().to_owned(), narrow.map(Scope::as_str).collect::<Value>())).collect()
}

fn route(route: &RouteSettings) -> Value {
    let policy = route.policy.settings();
    let rates = route.limits.rules.iter().copied().chain(std::iter::repeat(None));
    let mut all = json!({
        "name": &*route.name,
        "public_url": route.public_url.as_str(),
        "path": &*route.path,
        "upstream": upstream(&route.upstream),
        "challenge_scopes": scopes(&route.challenge_scopes),
        "scopes_supported": scopes(&route.scopes_supported),
        "authorization_servers": route.issuers.iter().map(Issuer::as_str).collect::<Vec<_>>(),
        "resource": route.resource.as_str(),
        "audiences": route.audiences.iter().map(Audience::as_str).collect::<Vec<_>>(),
        "allowed_origins": route.allowed_origins,
        "required_scopes": scopes(&policy.required_scopes),
        "mode": mode(policy.mode),
        "denial": if policy.hides { "hide" } else { "challenge" },
        "visibility": visibility(policy.visibility),
        "default": otherwise(policy.default),
        "limits": route_limits(&route.limits),
        "rules": policy.rules.iter().zip(rates).map(|(one, rate)| rule(one, rate)).collect::<Vec<_>>(),
    });
    let (transport, message_path) = match &route.transport {
        Transport::StreamableHttp => ("streamable_http", None),
        Transport::HttpSse { message_path } => ("http_sse", Some(message_path)),
    };
    put(&mut all, "transport", Some(transport.into()));
    put(&mut all, "message_path", message_path.map(|path| Value::from(&**path)));
    all
}

fn upstream(upstream: &UpstreamSettings) -> Value {
    let tls = &upstream.tls;
    let mut shown = json!({});
    put(&mut shown, "ca", tls.ca.as_deref().map(path));
    put(&mut shown, "certificate", tls.client.as_ref().map(|(certificate, _)| path(certificate)));
    put(&mut shown, "private_key", tls.client.as_ref().map(|(_, key)| path(key)));
    put(&mut shown, "server_name", tls.server_name.as_deref().map(Value::from));
    let headers = upstream.identity.iter().map(|(name, claim)| (name.to_string(), Value::from(claim.as_str())));
    json!({
        "url": url(upstream),
        "tls": shown,
        "timeouts": {"connect_secs": secs(upstream.connect_timeout), "answer_secs": secs(upstream.answer_timeout)},
        "identity": {"headers": headers.collect::<Map<_, _>>()},
    })
}

fn rule(rule: &Rule, of_each: Option<Rate>) -> Value {
    let (target, names) = target(&rule.target);
    let (effect, _) = effect(&rule.effect);
    let mut all = json!({target: names});
    let value = match &rule.effect {
        Effect::AllOf(scopes) | Effect::AnyOf(scopes) => scopes.iter().map(ToString::to_string).collect::<Value>(),
        Effect::Allow | Effect::Deny => true.into(),
    };
    put(&mut all, effect, Some(value));
    put(&mut all, "rate_per_principal", of_each.map(rate));
    put(&mut all, "message", rule.message.as_deref().map(Value::from));
    put(&mut all, "mode", rule.enforced.then(|| "enforce".into()));
    all
}

/// One route for the page: which names its rules are about, and which scopes they need.
fn policy(route: &RouteSettings) -> Value {
    let policy = route.policy.settings();
    let rules = policy.rules.iter().enumerate().map(|(place, rule)| {
        let (target, names) = target(&rule.target);
        let scopes = rule.effect.scopes().iter().map(ToString::to_string).collect::<Vec<_>>();
        json!({
            "rule": route.policy.rule_id(place).to_string(),
            "line": rule.line,
            "about": target,
            "names": names,
            "effect": effect(&rule.effect).1,
            "scopes": scopes,
            "enforced": rule.enforced || policy.mode == Mode::Enforce,
        })
    });
    json!({
        "route": &*route.name,
        "url": format!("{}{}", route.public_url.as_str(), route.path),
        "upstream": url(&route.upstream),
        "issuers": route.issuers.iter().map(Issuer::as_str).collect::<Vec<_>>(),
        "resource": route.resource.as_str(),
        "required_scopes": scopes(&policy.required_scopes),
        "mode": mode(policy.mode),
        "denial": if policy.hides { "hide" } else { "challenge" },
        "visibility": visibility(policy.visibility),
        "default": otherwise(policy.default),
        "rules": rules.collect::<Vec<_>>(),
    })
}

fn target(target: &Target) -> (&'static str, Vec<&str>) {
    match target {
        Target::Tools(patterns) => ("tools", patterns.iter().map(Pattern::as_str).collect()),
        Target::Prompts(patterns) => ("prompts", patterns.iter().map(Pattern::as_str).collect()),
        Target::Resources(patterns) => ("resources", patterns.iter().map(Pattern::as_str).collect()),
        Target::Methods(methods) => ("methods", methods.iter().map(String::as_str).collect()),
    }
}

/// Its key in the file, and its word on the page.
fn effect(effect: &Effect) -> (&'static str, &'static str) {
    match effect {
        Effect::AllOf(_) => ("scopes", "all"),
        Effect::AnyOf(_) => ("any_scope", "any"),
        Effect::Allow => ("allow", "allow"),
        Effect::Deny => ("deny", "deny"),
    }
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Report => "report",
    }
}

fn visibility(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Grantable => "grantable",
        Visibility::Granted => "granted",
        Visibility::All => "all",
    }
}

fn otherwise(default: Otherwise) -> &'static str {
    match default {
        Otherwise::Deny => "deny",
        Otherwise::Allow => "allow",
    }
}

fn limits(limits: &Limits) -> Value {
    let Limits {
        head_bytes_max,
        headers_max,
        body_bytes_max,
        bodies_in_flight_bytes_max,
        json_depth_max,
        batch_messages_max,
        token_bytes_max,
        answer_bytes_max,
        connections_max,
        connections_per_address_max,
        requests_max,
        rate_per_principal,
        streams_per_principal_max,
        h2_streams_max,
        token_cache_bytes_max,
    } = limits;
    let mut all = json!({
        "head_bytes_max": head_bytes_max,
        "headers_max": headers_max,
        "body_bytes_max": body_bytes_max,
        "bodies_in_flight_bytes_max": bodies_in_flight_bytes_max,
        "json_depth_max": json_depth_max,
        "batch_messages_max": batch_messages_max,
        "token_bytes_max": token_bytes_max,
        "answer_bytes_max": answer_bytes_max,
        "connections_max": connections_max,
        "connections_per_address_max": connections_per_address_max,
        "requests_max": requests_max,
        "streams_per_principal_max": streams_per_principal_max,
        "h2_streams_max": h2_streams_max,
        "token_cache_bytes_max": token_cache_bytes_max,
    });
    put(&mut all, "rate_per_principal", rate_per_principal.map(rate));
    all
}

fn route_limits(limits: &RouteLimits) -> Value {
    let mut all = json!({});
    put(&mut all, "requests_max", limits.requests_max.map(Value::from));
    put(&mut all, "rate", limits.rate.map(rate));
    put(&mut all, "rate_per_principal", limits.rate_per_principal.map(rate));
    all
}

fn rate(rate: Rate) -> Value {
    json!({"requests": rate.requests, "per_secs": secs(rate.per), "burst": rate.burst})
}

fn audit(audit: &AuditSettings) -> Value {
    let (sink, file) = match &audit.to {
        AuditTo::Stdout => ("stdout", None),
        AuditTo::File(file) => ("file", Some(file)),
        AuditTo::Both(file) => ("both", Some(file)),
    };
    let on_stall = match audit.on_stall {
        OnStall::Block => "block",
        OnStall::Drop => "drop",
    };
    let mut all = json!({
        "sink": sink,
        "arguments": audit.arguments,
        "on_stall": on_stall,
        "queue_records_max": audit.queue_records_max,
    });
    put(&mut all, "file", file.map(|file| path(file)));
    put(&mut all, "digest_key", audit.digest_key.as_ref().map(|_| NOT_SHOWN.into()));
    all
}

fn telemetry(telemetry: &Telemetry) -> Value {
    let protocol = match telemetry.protocol {
        OtlpProtocol::Grpc => "grpc",
        OtlpProtocol::Http => "http",
    };
    let headers = telemetry.headers.keys().map(|name| (name.to_string(), Value::from(NOT_SHOWN)));
    let mut otlp = json!({
        "endpoint": without_query(&telemetry.endpoint.to_string()),
        "protocol": protocol,
        "headers": headers.collect::<Map<_, _>>(),
        "sample_ratio": telemetry.sample_ratio(),
        "timeout_secs": secs(telemetry.timeout),
    });
    put(&mut otlp, "ca", telemetry.ca.as_deref().map(path));
    json!({"service_name": telemetry.service_name, "otlp": otlp})
}

fn timeouts(timeouts: &Timeouts) -> Value {
    let Timeouts { handshake, head, idle, body, write_stall, keep_alive, connect, answer } = timeouts;
    json!({
        "handshake_secs": secs(*handshake),
        "head_secs": secs(*head),
        "idle_secs": secs(*idle),
        "body_secs": secs(*body),
        "write_stall_secs": secs(*write_stall),
        "keep_alive_secs": keep_alive.map_or(0, secs),
        "connect_secs": secs(*connect),
        "answer_secs": secs(*answer),
    })
}

fn put(map: &mut Value, key: &str, value: Option<Value>) {
    if let (Some(map), Some(value)) = (map.as_object_mut(), value) {
        map.insert(key.to_owned(), value);
    }
}

fn scopes(scopes: &ScopeSet) -> Vec<&str> {
    scopes.iter().map(Scope::as_str).collect()
}

fn url(upstream: &UpstreamSettings) -> String {
    let scheme = if upstream.https { "https" } else { "http" };
    format!("{scheme}://{}{}", upstream.authority, upstream.path.path())
}

/// A query may hold a key for the other end.
fn without_query(url: &str) -> &str {
    url.split_once('?').map_or(url, |(before, _)| before)
}

fn path(path: &Path) -> Value {
    path.display().to_string().into()
}

fn secs(duration: Duration) -> u64 {
    duration.as_secs()
}

/// In the place of a secret.
const NOT_SHOWN: &str = "(not shown)";

//! What differs between two generations, in a line for the log.

use std::collections::HashMap;
use std::sync::Arc;

use super::Gateway;
use super::settings::Settings;

/// What is in force now and was not before, by name.
pub(super) fn between(before: &Gateway, now: &Gateway) -> String {
    let (old, new) = (before.settings(), now.settings());
    let mut parts = Vec::new();
    let routes = |settings: &Settings| -> Vec<_> {
        settings.routes.iter().map(|route| (route.name.to_string(), route.clone())).collect()
    };
    let issuers = |settings: &Settings| -> Vec<_> {
        settings
            .authorization_servers
            .iter()
            .map(|issuer| (issuer.issuer.as_str().to_owned(), issuer.clone()))
            .collect()
    };
    named("routes", &routes(old), &routes(new), &mut parts);
    named("issuers", &issuers(old), &issuers(new), &mut parts);
    let certificate = |gateway: &Gateway| gateway.tls.as_ref().map(|tls| Arc::as_ptr(&tls.config));
    let others = [
        ("public_url", old.public_url != new.public_url),
        ("hosts", old.hosts != new.hosts),
        ("tls", old.tls != new.tls || certificate(before) != certificate(now)),
        ("sessions", old.session_keys != new.session_keys),
        ("limits", old.limits != new.limits),
        ("timeouts", old.timeouts != new.timeouts),
        ("audit", old.audit != new.audit),
        ("drain", old.drain != new.drain),
        // Its file with roots may have changed alone.
        ("telemetry", before.telemetry != now.telemetry),
        ("trusted_proxies", old.trusted_proxies != new.trusted_proxies),
    ];
    let others: Vec<&str> = others.iter().filter(|(_, differs)| *differs).map(|(key, _)| *key).collect();
    if !others.is_empty() {
        parts.push(format!("changed: {}", others.join(", ")));
    }
    if parts.is_empty() { "nothing in it has changed".to_owned() } else { parts.join("; ") }
}

/// Which of the named things came, went, or are not as they were.
fn named<'t, T: PartialEq>(what: &str, old: &'t [(String, T)], new: &'t [(String, T)], parts: &mut Vec<String>) {
    let by_name = |list: &'t [(String, T)]| -> HashMap<&'t str, &'t T> {
        list.iter().map(|(name, value)| (&**name, value)).collect()
    };
    let (before, now) = (by_name(old), by_name(new));
    let names = |list: &'t [(String, T)], which: &dyn Fn(&str, &T) -> bool| -> Vec<&'t str> {
        list.iter().filter(|(name, value)| which(name, value)).map(|(name, _)| &**name).collect()
    };
    let added = names(new, &|name, _| !before.contains_key(name));
    let removed = names(old, &|name, _| !now.contains_key(name));
    let changed = names(new, &|name, value| before.get(name).is_some_and(|before| *before != value));
    for (how, names) in [("added", added), ("removed", removed), ("changed", changed)] {
        if !names.is_empty() {
            let more = names.len().saturating_sub(NAMES_MAX);
            let shown = names.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(", ");
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            parts.push(format!("{what} {how}: {shown}{rest}"));
        }
    }
}

/// Names that are written out.
const NAMES_MAX: usize = 20;

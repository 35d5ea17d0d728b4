//! `limits`, `timeouts` and `drain`: sizes, counts and times. Zero where it would stop everything, and numbers that would bound
//! nothing, are refused.

use std::num::NonZeroU32;
use std::time::Duration;

use super::checks::Checks;
use super::place::KeyPath;
use super::{raw, routes};
use crate::gateway::rates::PER_MAX;
use crate::gateway::settings::{Drain, Limits, Rate, RouteLimits, Timeouts};

/// `limits`: each as written, else its default.
pub(super) fn limits(raw: &raw::Limits, checks: &mut Checks<'_>) -> Limits {
    let path = KeyPath::default().key("limits");
    let default = Limits::default();
    let at = |key| path.key(key);
    let limits = Limits {
        // hyper reads no head in less than 8 KiB.
        head_bytes_max: checks.size(
            &at("head_bytes_max"),
            raw.head_bytes_max,
            8 << 10..=1 << 20,
            default.head_bytes_max,
        ),
        headers_max: checks.size(&at("headers_max"), raw.headers_max, 16..=1000, default.headers_max),
        body_bytes_max: checks.size(
            &at("body_bytes_max"),
            raw.body_bytes_max,
            1 << 10..=1 << 30,
            default.body_bytes_max,
        ),
        bodies_in_flight_bytes_max: checks.size(
            &at("bodies_in_flight_bytes_max"),
            raw.bodies_in_flight_bytes_max,
            1 << 10..=1 << 36,
            default.bodies_in_flight_bytes_max,
        ),
        // Reading is recursive: the stack bounds the depth.
        json_depth_max: checks.size(&at("json_depth_max"), raw.json_depth_max, 8..=128, default.json_depth_max),
        batch_messages_max: checks.size(
            &at("batch_messages_max"),
            raw.batch_messages_max,
            1..=1000,
            default.batch_messages_max,
        ),
        token_bytes_max: checks.size(
            &at("token_bytes_max"),
            raw.token_bytes_max,
            1 << 8..=1 << 16,
            default.token_bytes_max,
        ),
        answer_bytes_max: checks.size(
            &at("answer_bytes_max"),
            raw.answer_bytes_max,
            1 << 10..=1 << 30,
            default.answer_bytes_max,
        ),
        connections_max: checks.size(
            &at("connections_max"),
            raw.connections_max,
            1..=1_000_000,
            default.connections_max,
        ),
        connections_per_address_max: checks.size(
            &at("connections_per_address_max"),
            raw.connections_per_address_max,
            1..=1_000_000,
            default.connections_per_address_max,
        ),
        requests_max: checks.size(&at("requests_max"), raw.requests_max, 1..=1_000_000, default.requests_max),
        rate_per_principal: rate(raw.rate_per_principal.as_ref(), &at("rate_per_principal"), checks),
        streams_per_principal_max: checks.size(
            &at("streams_per_principal_max"),
            raw.streams_per_principal_max,
            1..=1_000_000,
            default.streams_per_principal_max,
        ),
        h2_streams_max: checks.size(&at("h2_streams_max"), raw.h2_streams_max, 1..=10_000, default.h2_streams_max),
        token_cache_bytes_max: checks.size(
            &at("token_cache_bytes_max"),
            raw.token_cache_bytes_max,
            0..=1 << 36,
            default.token_cache_bytes_max,
        ),
    };
    if limits.bodies_in_flight_bytes_max < limits.body_bytes_max {
        let found = format!("{} is less than one body may have", limits.bodies_in_flight_bytes_max);
        let expected = format!("at least body_bytes_max, which is {}", limits.body_bytes_max);
        checks.refuse(&path.key("bodies_in_flight_bytes_max"), found, expected);
    }
    if limits.token_bytes_max >= limits.head_bytes_max {
        let found =
            format!("{} bytes of token do not fit into a head of {}", limits.token_bytes_max, limits.head_bytes_max);
        checks.refuse(&path.key("token_bytes_max"), found, "less than head_bytes_max");
    }
    limits
}

/// `routes[].limits`; the rates of the rules are added where those are read.
pub(super) fn of_route(raw: &raw::RouteLimits, path: &KeyPath, checks: &mut Checks<'_>) -> RouteLimits {
    let requests_max = checks.number(&path.key("requests_max"), raw.requests_max, 1..=1_000_000);
    RouteLimits {
        requests_max: requests_max.and_then(|number| usize::try_from(number).ok()),
        rate: rate(raw.rate.as_ref(), &path.key("rate"), checks),
        rate_per_principal: rate(raw.rate_per_principal.as_ref(), &path.key("rate_per_principal"), checks),
        rules: Vec::new(),
    }
}

/// A rate, where one is written.
pub(super) fn rate(raw: Option<&raw::Rate>, path: &KeyPath, checks: &mut Checks<'_>) -> Option<Rate> {
    let raw = raw?;
    let number = |number: Option<u64>| number.and_then(|number| u32::try_from(number).ok()).and_then(NonZeroU32::new);
    let requests = number(checks.number(&path.key("requests"), Some(raw.requests), 1..=1_000_000))?;
    let per = checks.duration(&path.key("per_secs"), raw.per_secs, PER_MAX.as_secs(), Duration::from_secs(1));
    let burst = number(checks.number(&path.key("burst"), raw.burst, 1..=u64::from(requests.get())));
    Some(Rate { requests, per, burst: burst.unwrap_or(requests) })
}

/// `timeouts`: each as written, else its default.
pub(super) fn timeouts(raw: &raw::Timeouts, checks: &mut Checks<'_>) -> Timeouts {
    let path = KeyPath::default().key("timeouts");
    let default = Timeouts::default();
    let keep_alive = checks.number(&path.key("keep_alive_secs"), raw.keep_alive_secs, 0..=3600);
    let mut time = |key, value, secs_max, default| checks.duration(&path.key(key), value, secs_max, default);
    Timeouts {
        handshake: time("handshake_secs", raw.handshake_secs, 300, default.handshake),
        head: time("head_secs", raw.head_secs, 300, default.head),
        idle: time("idle_secs", raw.idle_secs, 3600, default.idle),
        body: time("body_secs", raw.body_secs, 3600, default.body),
        write_stall: time("write_stall_secs", raw.write_stall_secs, 3600, default.write_stall),
        keep_alive: keep_alive.map_or(default.keep_alive, |secs| (secs > 0).then(|| Duration::from_secs(secs))),
        connect: time("connect_secs", raw.connect_secs, routes::CONNECT_SECS_MAX, default.connect),
        answer: time("answer_secs", raw.answer_secs, routes::ANSWER_SECS_MAX, default.answer),
    }
}

/// `drain`: each as written, else its default.
pub(super) fn drain(raw: &raw::Drain, checks: &mut Checks<'_>) -> Drain {
    let (path, default) = (KeyPath::default().key("drain"), Drain::default());
    let delay = checks.number(&path.key("delay_secs"), raw.delay_secs, 0..=300);
    let grace = checks.number(&path.key("grace_secs"), raw.grace_secs, 1..=3600);
    Drain {
        delay: delay.map_or(default.delay, Duration::from_secs),
        grace: grace.map_or(default.grace, Duration::from_secs),
    }
}

//! `limits`, `timeouts` and `drain`: sizes, counts and times. Zero where it would stop everything, and numbers that would bound
//! nothing, are refused.

use std::time::Duration;

use super::checks::Checks;
use super::place::KeyPath;
use super::{raw, routes};
use crate::gateway::settings::{Drain, Limits, Timeouts};

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

/// `timeouts`: each as written, else its default.
pub(super) fn timeouts(raw: &raw::Timeouts, checks: &mut Checks<'_>) -> Timeouts {
    let path = KeyPath::default().key("timeouts");
    let default = Timeouts::default();
    let keep_alive = checks.number(&path.key("keep_alive_secs"), raw.keep_alive_secs, 0..=3600);
    let mut time = |key, value, secs_max, default| checks.duration(&path.key(key), value, secs_max, default);
    Timeouts {
        handshake: time("handshake_secs", raw.handshake_secs, 300, default.handshake),
        head: time("head_secs", raw.head_secs, 300, default.head),
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

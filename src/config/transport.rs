//! `routes[].transport` and `message_path`: how a server speaks to clients, and at which paths.

use super::checks::Checks;
use super::place::KeyPath;
use super::raw;
use super::routes::endpoint_path;
use crate::gateway::settings::Transport;

/// Where the clients of a route with `http_sse` post to.
pub(super) fn message_path(route: &raw::Route) -> String {
    let default = || format!("{}/message", route.path.trim_end_matches('/'));
    route.message_path.clone().unwrap_or_else(default)
}

/// The transport, and where clients post to.
pub(super) fn transport(route: &raw::Route, path: &KeyPath, checks: &mut Checks<'_>) -> Option<Transport> {
    if route.transport == raw::Transport::HttpSse && route.denial == raw::Denial::Hide {
        let found = "hide answers like the server, which in http_sse answers on its stream";
        checks.refuse(&path.key("denial"), found, "`denial: challenge` beside `transport: http_sse`");
    }
    match (route.transport, &route.message_path) {
        (raw::Transport::HttpSse, written) => {
            let text = message_path(route);
            // What is wrong with the path that it is made of by default is reported there.
            let read = endpoint_path(&text);
            let read = if written.is_some() { checks.value(&path.key(MESSAGE_PATH), &text, read) } else { read.ok() };
            read.map(|message_path| Transport::HttpSse { message_path })
        }
        (raw::Transport::StreamableHttp, None) => Some(Transport::StreamableHttp),
        (raw::Transport::StreamableHttp, Some(_)) => {
            let found = "there is none in streamable_http, where clients post to `path`";
            checks.refuse_key(&path.key(MESSAGE_PATH), found, "`transport: http_sse` beside it, or no `message_path`");
            None
        }
    }
}

const MESSAGE_PATH: &str = "message_path";

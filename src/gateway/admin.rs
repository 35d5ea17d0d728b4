//! The listener for operators: health, metrics, what the file amounts to, and a page that shows it. It reads and changes
//! nothing, and shows no secret; whom it may be reached by is for the network to say. None of it is on the public listener.

mod described;
mod standing;

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use serde_json::Value;
use tokio::net::TcpListener;

use super::body::{self, Body};
use super::listener::{self, Terms};
use super::reload::Reloads;
use super::settings::Limits;
use super::shutdown::Shutdown;
use super::{Gateway, respond};
pub use described::Described;

/// Serves until `shutdown`. `gateway` gives the one that serves clients now, `reloads` how it came to that; `draining` says
/// that it will stop, which `/readyz` tells whoever sends clients here.
pub async fn serve<G>(listener: TcpListener, gateway: G, reloads: Arc<Reloads>, draining: Shutdown, shutdown: Shutdown)
where
    G: Fn() -> Arc<Gateway> + Clone + Send + 'static,
{
    let current = gateway();
    let limits = Limits { connections_max: CONNECTIONS_MAX, ..current.limits };
    let terms = Terms::new(None, &limits, current.timeouts).for_ever();
    drop(current);
    let service = move |request: Request<Incoming>, _| {
        let (gateway, reloads, draining) = (gateway(), Arc::clone(&reloads), draining.is_draining());
        async move {
            let (parts, body) = request.into_parts();
            respond::drain(body, &parts.headers);
            answer(&parts, &gateway, &reloads, draining)
        }
    };
    listener::serve(listener, terms, shutdown, service).await;
}

/// What stands at a path.
#[derive(Clone, Copy)]
enum Place {
    Livez,
    Readyz,
    Metrics,
    Config,
    Policy,
    Status,
    Page,
    Style,
    Script,
    Icon,
}

impl Place {
    fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/livez" => Self::Livez,
            "/readyz" => Self::Readyz,
            "/metrics" => Self::Metrics,
            "/config" => Self::Config,
            "/policy.json" => Self::Policy,
            "/status.json" => Self::Status,
            "/" => Self::Page,
            "/page.css" => Self::Style,
            "/page.js" => Self::Script,
            "/icon.svg" => Self::Icon,
            _ => return None,
        })
    }

    /// Whether a web page could read it whose name leads here (DNS rebinding). Probes come by whatever name they like, and
    /// what they get says nothing of callers.
    fn is_for_probes(self) -> bool {
        matches!(self, Self::Livez | Self::Readyz | Self::Metrics)
    }
}

fn answer(parts: &Parts, gateway: &Gateway, reloads: &Reloads, draining: bool) -> Response<Body> {
    let Some(place) = Place::at(parts.uri.path()) else {
        return plain(parts, StatusCode::NOT_FOUND, "There is nothing at this path.\n");
    };
    if !place.is_for_probes() && !is_address(parts) {
        return plain(parts, StatusCode::MISDIRECTED_REQUEST, "Come by an IP address, or by localhost.\n");
    }
    if parts.method != Method::GET && parts.method != Method::HEAD {
        let mut refused = plain(parts, StatusCode::METHOD_NOT_ALLOWED, "GET and HEAD, nothing else.\n");
        refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    let ready = gateway.is_ready() && !draining;
    let (status, media_type, body) = match place {
        Place::Livez => (StatusCode::OK, TEXT, Bytes::from_static(b"ok\n")),
        Place::Readyz => {
            let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            (status, JSON, pretty(&gateway.readiness(ready, draining)))
        }
        Place::Metrics => match gateway.metrics().text(gateway, reloads, ready) {
            Ok(text) => (StatusCode::OK, METRICS, text.into()),
            Err(error) => {
                tracing::error!(error, "metrics could not be written");
                (StatusCode::INTERNAL_SERVER_ERROR, TEXT, Bytes::from_static(b"see the log\n"))
            }
        },
        Place::Config => (StatusCode::OK, JSON, gateway.described.config()),
        Place::Policy => (StatusCode::OK, JSON, gateway.described.policy()),
        Place::Status => (StatusCode::OK, JSON, gateway.standing(reloads, ready, draining).to_string().into()),
        Place::Page => (StatusCode::OK, "text/html; charset=utf-8", PAGE.into()),
        Place::Style => (StatusCode::OK, "text/css; charset=utf-8", STYLE.into()),
        Place::Script => (StatusCode::OK, "text/javascript; charset=utf-8", SCRIPT.into()),
        Place::Icon => (StatusCode::OK, "image/svg+xml", ICON.into()),
    };
    respond(parts, status, media_type, body)
}

fn plain(parts: &Parts, status: StatusCode, text: &'static str) -> Response<Body> {
    respond(parts, status, TEXT, text.into())
}

/// `HEAD` gets the head of what `GET` gets. Nothing is kept by anybody, framed, or guessed to be something else.
fn respond(parts: &Parts, status: StatusCode, media_type: &'static str, content: Bytes) -> Response<Body> {
    let length = HeaderValue::from(content.len());
    let content = if parts.method == Method::HEAD { body::empty() } else { body::full(content) };
    let mut response = Response::new(content);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CONTENT_LENGTH, length);
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Whether the client came by an address or by `localhost`: a name that somebody else owns can be made to lead here, and
/// then a page of that name may read what we answer.
fn is_address(parts: &Parts) -> bool {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let host = match (parts.uri.authority(), hosts.next(), hosts.next()) {
        (Some(authority), None, None) => authority.as_str(),
        // The target of a request to an origin server names no authority; one that does and a Host may differ.
        (None, Some(host), None) => host.to_str().unwrap_or_default(),
        (_, _, _) => return false,
    };
    let Ok(authority) = host.parse::<http::uri::Authority>() else { return false };
    let name = authority.host();
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    !host.contains('@') && (name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok())
}

fn pretty(value: &Value) -> Bytes {
    // What is made of strings and numbers always serializes.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text.into()
}

const HEADERS: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
         require-trusted-types-for 'script'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
];

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
/// The classic text format, which every version of Prometheus reads.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

const PAGE: &str = include_str!("admin/page.html");
const STYLE: &str = include_str!("admin/page.css");
const SCRIPT: &str = include_str!("admin/page.js");
const ICON: &str = include_str!("admin/icon.svg");

/// Operators and probes are few.
const CONNECTIONS_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(target: &str, hosts: &[&str], expect: bool) {
        let mut request = Request::get(target);
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        assert_eq!(is_address(&request.body(()).unwrap().into_parts().0), expect, "{target} {hosts:?}");
    }

    #[test]
    fn only_addresses_and_localhost_are_no_name_of_somebody_elses() {
        for host in ["127.0.0.1", "127.0.0.1:9090", "10.1.2.3:9090", "[::1]:9090", "localhost", "LocalHost:9090"] {
            check("/", &[host], true);
        }
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "evil.localhost",
            "127.0.0.1@evil.example",
            "evil@127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "[::1",
            "",
        ] {
            check("/", &[host], false);
        }
        check("/", &[], false);
        check("/", &["127.0.0.1", "127.0.0.1"], false);
        check("http://127.0.0.1/", &[], true);
        check("http://evil.example/", &[], false);
        check("http://127.0.0.1/", &["evil.example"], false);
    }
}

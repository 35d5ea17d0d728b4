//! `telemetry`: where spans go. What goes there in the clear, and what would make the gateway trace itself, is refused here.

use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::checks::Checks;
use super::error::shown;
use super::place::KeyPath;
use super::{raw, routes, secret};
use crate::gateway::settings::{OtlpProtocol, Telemetry};
use crate::oauth::ids::is_loopback_host;

/// Where spans go; `None` without `otlp`, and when something in it is wrong and reported.
pub(super) fn telemetry(
    written: &raw::Telemetry,
    listen: Option<SocketAddr>,
    checks: &mut Checks<'_>,
) -> Option<Telemetry> {
    let path = KeyPath::default().key("telemetry");
    let service_name = written.service_name.clone().unwrap_or_else(|| "gatepost".to_owned());
    if service_name.trim().is_empty() || service_name.chars().count() > 255 {
        let found = format!("{} is not accepted", shown(&service_name));
        checks.refuse(&path.key("service_name"), found, "a name of at most 255 characters, such as gatepost");
    }
    let otlp = written.otlp.as_ref()?;
    let path = path.key("otlp");
    let protocol = match otlp.protocol {
        raw::OtlpProtocol::Grpc => OtlpProtocol::Grpc,
        raw::OtlpProtocol::Http => OtlpProtocol::Http,
    };
    let endpoint = checks.value(&path.key("endpoint"), &otlp.endpoint, endpoint(&otlp.endpoint, protocol, listen));
    let headers = headers(otlp, &path.key("headers"), checks);
    let sample_ratio = otlp.sample_ratio.unwrap_or(1.0);
    if !(0.0..=1.0).contains(&sample_ratio) {
        let found = format!("{sample_ratio} is out of range");
        checks.refuse(
            &path.key("sample_ratio"),
            found,
            "a number from 0 (no trace that begins here) to 1 (all of them)",
        );
    }
    let timeout = checks.duration(&path.key("timeout_secs"), otlp.timeout_secs, 60, Duration::from_secs(10));
    let ca = otlp.ca.as_ref().map(|name| checks.file(&path.key("ca"), name));
    if ca.is_some() && otlp.endpoint.starts_with("http://") {
        let found = format!("{} is plain http, so nothing of this would be used", shown(&otlp.endpoint));
        checks.refuse_key(&path.key("ca"), found, "an `endpoint` that begins with https://, or no `ca`");
    }
    Some(Telemetry {
        service_name,
        endpoint: endpoint?,
        protocol,
        headers: headers?,
        sample_below: threshold(sample_ratio),
        timeout,
        ca: ca.flatten(),
    })
}

/// The URL that batches are posted to. Plain http may go anywhere: collectors stand beside what they collect from, seldom
/// with a certificate, and a span holds no credential.
fn endpoint(text: &str, protocol: OtlpProtocol, listen: Option<SocketAddr>) -> Result<Uri, &'static str> {
    let expected = "an http or https URL with a host, such as http://127.0.0.1:4317; without query and fragment";
    let uri: Uri = text.parse().map_err(|_| expected)?;
    let authority = uri.authority().ok_or(expected)?;
    if authority.as_str().contains('@') {
        return Err(
            "a URL without user information: a secret does not stand in the file, but in `headers` by its place",
        );
    }
    let port_is_well = authority.as_str() == authority.host() || authority.port_u16().is_some_and(|port| port > 0);
    let scheme_is_well = matches!(uri.scheme_str(), Some("http" | "https"));
    if authority.host().is_empty() || !port_is_well || !scheme_is_well || uri.query().is_some() || text.contains('#') {
        return Err(expected);
    }
    let https = uri.scheme_str() == Some("https");
    if listen.is_some_and(|listen| routes::is_own_listener(authority, https, listen)) {
        return Err("the URL of a collector; at this one the gateway itself listens, and would trace its own traces");
    }
    let base = uri.path().trim_end_matches('/');
    let path = match protocol {
        OtlpProtocol::Grpc if !base.is_empty() => {
            return Err("a URL without a path, which gRPC does not have; or `protocol: http`");
        }
        OtlpProtocol::Grpc => GRPC_METHOD.to_owned(),
        OtlpProtocol::Http if base.ends_with(HTTP_PATH) => return Err("the URL without /v1/traces, which is added"),
        OtlpProtocol::Http => format!("{base}{HTTP_PATH}"),
    };
    let mut parts = uri.into_parts();
    parts.path_and_query = Some(path.parse().map_err(|_| expected)?);
    Uri::from_parts(parts).map_err(|_| expected)
}

/// Every header that can be read; `None` when one cannot.
fn headers(otlp: &raw::Otlp, path: &KeyPath, checks: &mut Checks<'_>) -> Option<HeaderMap> {
    let mut headers = Some(HeaderMap::new());
    for (name, source) in &otlp.headers {
        let at = path.key(name);
        let read = checks.key(&at, name, header_name(name)).zip(header_value(source, &at, checks));
        headers = headers.zip(read).map(|(mut headers, (name, value))| {
            headers.insert(name, value);
            headers
        });
    }
    if !otlp.headers.is_empty() && crosses_the_network_in_the_clear(&otlp.endpoint) {
        let found = format!("these would reach {} in the clear", shown(&otlp.endpoint));
        checks.refuse_key(
            path,
            found,
            "an `endpoint` that begins with https://, a collector on this machine, or no `headers`",
        );
    }
    headers
}

fn crosses_the_network_in_the_clear(endpoint: &str) -> bool {
    let uri = endpoint.parse::<Uri>().ok();
    uri.is_some_and(|uri| uri.scheme_str() == Some("http") && !uri.host().is_some_and(is_loopback_host))
}

fn header_name(text: &str) -> Result<HeaderName, &'static str> {
    let name: HeaderName = text.parse().map_err(|_| "the name of a header, such as authorization")?;
    if OURS.contains(&name.as_str()) || name.as_str().starts_with("grpc-") {
        return Err("a header that the protocol does not set itself, such as authorization");
    }
    Ok(name)
}

fn header_value(source: &raw::SecretSource, path: &KeyPath, checks: &mut Checks<'_>) -> Option<HeaderValue> {
    let (path, name, read) = match (&source.file, &source.env) {
        (Some(file), None) => (path.key("file"), file, secret::header_from_file(&checks.resolve(path, file))),
        (None, Some(name)) => (path.key("env"), name, secret::header_from_env(name)),
        (Some(_), Some(_)) | (None, None) => {
            checks.refuse(path, "a value comes from one place", "exactly one of `file:` and `env:`");
            return None;
        }
    };
    read.map_err(|fault| checks.refuse(&path, format!("{} {fault}", shown(name)), secret::HEADER_FORMS)).ok()
}

/// So much of 2⁶³.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "of a ratio from 0 to 1; `as` saturates")]
fn threshold(ratio: f64) -> u64 {
    (ratio * 2_f64.powi(63)) as u64
}

/// What the protocol sets.
const OURS: [&str; 8] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "te",
    "transfer-encoding",
    "user-agent",
];
/// OTLP/gRPC: the method of the trace service.
const GRPC_METHOD: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// OTLP/HTTP: what stands behind the base URL.
const HTTP_PATH: &str = "/v1/traces";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        let check = |text: &str, protocol, expect: Result<&str, &str>| {
            let read = endpoint(text, protocol, "127.0.0.1:8080".parse().ok());
            match (read, expect) {
                (Ok(uri), Ok(expect)) => assert_eq!(uri.to_string(), expect),
                (Err(error), Err(expect)) => assert!(error.contains(expect), "{text}: {error}"),
                (read, _) => panic!("{text}: {read:?}"),
            }
        };
        let (grpc, http) = (OtlpProtocol::Grpc, OtlpProtocol::Http);
        check("http://127.0.0.1:4317", grpc, Ok(&format!("http://127.0.0.1:4317{GRPC_METHOD}")));
        check("https://otel.example/", grpc, Ok(&format!("https://otel.example{GRPC_METHOD}")));
        check("http://otel:4318", http, Ok("http://otel:4318/v1/traces"));
        check("http://[::1]:4318/", http, Ok("http://[::1]:4318/v1/traces"));
        check("https://otel.example/otlp/", http, Ok("https://otel.example/otlp/v1/traces"));
        check("http://otel:4318/v1/traces", http, Err("is added"));
        check("http://otel:4317/v1/traces", grpc, Err("without a path"));
        check("http://127.0.0.1:8080", http, Err("gateway itself listens"));
        check("http://joe:hunter2@otel", http, Err("without user information"));
        for text in
            ["otel:4317", "grpc://otel:4317", "http://", "http://otel:0", "http://otel?a=b", "http://otel#a", "/x", ""]
        {
            check(text, http, Err("an http or https URL"));
        }
    }

    #[test]
    fn secrets_stay_on_this_machine_or_go_by_https() {
        for safe in ["http://127.0.0.1:4317", "http://localhost:4318/otlp", "http://[::1]:1", "https://otel"] {
            assert!(!crosses_the_network_in_the_clear(safe), "{safe}");
        }
        assert!(crosses_the_network_in_the_clear("http://otel:4317"));
    }
}

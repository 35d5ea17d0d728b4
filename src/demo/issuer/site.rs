//! Which request goes where, within limits; metadata (RFC 8414) and keys. No request reaches anything unless it names this
//! server's own authority: a name that somebody pointed at this machine does not.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::json;

use super::answer::{self, Fault};
use super::{Issuer, TIMEOUT, authorize, client, exchange};
use crate::gateway::body::{self, Body, ReadFault, read_limited};

/// Answers one request, within the time for one.
pub(super) async fn answer<B>(issuer: &Issuer, request: Request<B>) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
{
    let (parts, body) = request.into_parts();
    // DNS rebinding: a page whose name now leads here would read what is ours as its own.
    if !is_addressed_to(issuer.origin.authority(), &parts) {
        return answer::text(StatusCode::MISDIRECTED_REQUEST, "This request is meant for another host.");
    }
    let answered = tokio::time::timeout(TIMEOUT, route(issuer, &parts, body)).await;
    answered.unwrap_or_else(|_| answer::text(StatusCode::REQUEST_TIMEOUT, "This took too long."))
}

async fn route<B>(issuer: &Issuer, parts: &Parts, body: B) -> Response<Body>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
{
    match parts.uri.path() {
        "/.well-known/oauth-authorization-server" | "/.well-known/openid-configuration" => {
            for_every_page(parts, "GET, HEAD", document(parts, metadata(issuer)))
        }
        "/jwks" => for_every_page(parts, "GET, HEAD", document(parts, issuer.key.jwks().to_string())),
        "/register" => {
            let answer = match posted(parts, body, "application/json").await {
                Ok(bytes) => client::register(issuer, &bytes),
                Err(refusal) => refusal,
            };
            for_every_page(parts, "POST", answer)
        }
        "/token" => {
            let answer = match posted(parts, body, FORM).await {
                Ok(bytes) => exchange::answer(issuer, &parts.headers, &bytes),
                Err(refusal) => refusal,
            };
            for_every_page(parts, "POST", answer)
        }
        // Not for other pages: who answers the consent page must have seen it.
        "/authorize" if parts.method == Method::GET => {
            authorize::ask(issuer, parts.uri.query().unwrap_or_default()).await
        }
        "/authorize" if parts.method == Method::POST => match posted(parts, body, FORM).await {
            Ok(bytes) => authorize::decide(issuer, &parts.headers, &bytes),
            Err(refusal) => refusal,
        },
        "/authorize" => answer::method_not_allowed("GET, POST"),
        _ => answer::text(StatusCode::NOT_FOUND, "There is nothing here: the authorization server of `gatepost demo`."),
    }
}

/// Whether every authority that the request names is ours; it must name one.
fn is_addressed_to(ours: &str, parts: &Parts) -> bool {
    let in_target = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let in_headers = parts.headers.get_all(header::HOST).iter().map(HeaderValue::as_bytes);
    let mut named = in_target.into_iter().chain(in_headers).peekable();
    named.peek().is_some() && named.all(|authority| authority.eq_ignore_ascii_case(ours.as_bytes()))
}

/// The body of a POST of this media type, or the refusal.
async fn posted<B>(parts: &Parts, mut body: B, media_type: &str) -> Result<Bytes, Response<Body>>
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
{
    if parts.method != Method::POST {
        return Err(answer::method_not_allowed("POST"));
    }
    let given = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !given.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media_type) {
        return Err(Fault::new("invalid_request", "another Content-Type is expected here").to_json());
    }
    match read_limited(&mut body, BODY_BYTES_MAX).await {
        Ok(bytes) => Ok(bytes),
        Err(ReadFault::TooLarge) => {
            // A client that waits for `100 Continue` must not be invited to send it.
            if !parts.headers.contains_key(header::EXPECT) {
                body::drain(body);
            }
            Err(answer::text(StatusCode::PAYLOAD_TOO_LARGE, "The body is over 64 KiB."))
        }
        Err(ReadFault::Broken) => Err(answer::text(StatusCode::BAD_REQUEST, "The body was cut short.")),
    }
}

/// RFC 8414 §2, RFC 9207 §3, draft-ietf-oauth-client-id-metadata-document §5.
fn metadata(issuer: &Issuer) -> String {
    let own = issuer.origin.as_str();
    let scopes: Vec<_> = issuer.options.scopes.iter().map(|(scope, _)| scope).collect();
    json!({
        "issuer": own,
        "authorization_endpoint": format!("{own}/authorize"),
        "token_endpoint": format!("{own}/token"),
        "registration_endpoint": format!("{own}/register"),
        "jwks_uri": format!("{own}/jwks"),
        "scopes_supported": scopes,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": true,
    })
    .to_string()
}

/// A document to read. `HEAD` gets the head of what `GET` gets. Nobody keeps it: after a restart the keys are others.
fn document(parts: &Parts, json: String) -> Response<Body> {
    let length = HeaderValue::from(json.len());
    let mut response = match parts.method {
        Method::GET => answer::of_type(StatusCode::OK, "application/json", json),
        Method::HEAD => answer::of_type(StatusCode::OK, "application/json", String::new()),
        _ => return answer::method_not_allowed("GET, HEAD"),
    };
    response.headers_mut().insert(header::CONTENT_LENGTH, length);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Lets pages of any origin read an answer: clients that run in a browser. None of them is sent a cookie, and nothing here is
/// given to a browser for what it holds.
fn for_every_page(parts: &Parts, methods: &'static str, answer: Response<Body>) -> Response<Body> {
    let preflight = parts.method == Method::OPTIONS;
    let mut response = if preflight { Response::new(body::empty()) } else { answer };
    if preflight {
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(header::ALLOW, HeaderValue::from_static(methods));
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
        let allowed = HeaderValue::from_static("Authorization, Content-Type, Accept, MCP-Protocol-Version");
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
    }
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

const FORM: &str = "application/x-www-form-urlencoded";
const BODY_BYTES_MAX: usize = 64 << 10;

//! Answers that the gateway gives itself: refusals with their challenge, and discovery documents.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, Version, header};

use hyper::body::Incoming;

use super::body::{self, Body};
use super::cors;
use super::route::Route;
use crate::oauth::challenge::Challenge;
use crate::rejection::{Cause, Denial, Failure, Rejection};

/// The answer to a refused request on a connection of this version: status, reason word, challenge where one helps, JSON-RPC
/// error. The page at `origin` may read it.
pub(super) fn refusal(
    rejection: &Rejection,
    route: Option<&Route>,
    origin: Option<HeaderValue>,
    version: Version,
) -> Response<Bytes> {
    let mut response = Response::new(rejection.to_json_rpc().into());
    *response.status_mut() = rejection.status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if !rejection.is_hidden() {
        headers.insert(REASON, HeaderValue::from_static(rejection.reason()));
    }
    if let Some(challenge) = challenge(&rejection.cause, route) {
        headers.insert(header::WWW_AUTHENTICATE, challenge.render());
    }
    if let Cause::Failure(failure) = &rejection.cause {
        if let Failure::MethodNotAllowed { allow } = failure {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if let Failure::RateLimited { retry_after_secs, .. }
        | Failure::KeysUnavailable { retry_after_secs }
        | Failure::Overloaded { retry_after_secs, .. }
        | Failure::ShuttingDown { retry_after_secs } = failure
        {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(*retry_after_secs));
        }
    }
    if route.is_some() {
        // Refused for its origin, a page is told nothing: `origin` is not set then.
        cors::expose(headers, origin);
    }
    if version < Version::HTTP_2 && rejection.reason() == "malformed_request" {
        // Where the framing is in doubt, so is where the next request would begin.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A discovery document: readable by every page, and cacheable. `HEAD` gets the head of what `GET` gets.
pub(super) fn document(method: &Method, json: Bytes) -> Response<Body> {
    let length = HeaderValue::from(json.len());
    let mut response = Response::new(if method == Method::HEAD { body::empty() } else { body::full(json) });
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_LENGTH, length);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// Lets a client that is still sending find its answer. One that waits for `100 Continue` sends nothing, and must not be
/// invited to.
pub(super) fn drain(body: Incoming, headers: &HeaderMap) {
    drain_up_to(body, headers, body::DRAIN_BYTES_MAX);
}

/// The same for a client that may send so much more.
pub(super) fn drain_up_to(body: Incoming, headers: &HeaderMap, bytes_max: usize) {
    if !headers.contains_key(header::EXPECT) {
        body::drain_up_to(body, bytes_max);
    }
}

/// The one Bearer challenge of a refusal. Its `error_description` is the same for every fault of a token: what is wrong
/// with it would help whoever forged it.
fn challenge<'a>(cause: &'a Cause, route: Option<&'a Route>) -> Option<Challenge<'a>> {
    let route = route?;
    let resource_metadata = Some(route.metadata_url.as_str());
    let login = Challenge { scope: Some(&route.challenge_scopes), resource_metadata, ..Challenge::default() };
    match cause {
        Cause::Failure(Failure::MissingToken) => Some(login),
        Cause::Failure(Failure::InvalidToken(_)) => Some(Challenge {
            error: Some("invalid_token"),
            error_description: Some("The access token is malformed, expired, or not meant for this resource"),
            ..login
        }),
        Cause::Failure(Failure::InvalidRequest) => Some(Challenge {
            error: Some("invalid_request"),
            error_description: Some("Send exactly one Authorization header with one bearer token"),
            ..Challenge::default()
        }),
        Cause::Denial(Denial::InsufficientScope { challenge, .. }) => Some(Challenge {
            error: Some("insufficient_scope"),
            error_description: Some("The access token lacks a scope that this operation needs"),
            scope: Some(challenge),
            resource_metadata,
        }),
        Cause::Denial(Denial::NotPermitted { .. } | Denial::Hidden { .. }) | Cause::Failure(_) => None,
    }
}

/// Carries the reason word.
pub(super) const REASON: HeaderName = HeaderName::from_static("gatepost-reason");

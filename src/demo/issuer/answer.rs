//! Answers as they go out: JSON, errors, redirects, each with the headers that its kind needs. They repeat nothing of what
//! a request said.

use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::gateway::body::{self, Body};

/// Why a request was refused (RFC 6749 §4.1.2.1 and §5.2, RFC 7591 §3.2.2, RFC 8707 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    /// The word of the standard.
    pub(super) error: &'static str,
    /// In words: ASCII without quotes and backslashes.
    pub(super) description: &'static str,
}

impl Fault {
    pub(super) const fn new(error: &'static str, description: &'static str) -> Self {
        Self { error, description }
    }

    /// As JSON. A client that failed to show who it is gets 401, everybody else 400.
    pub(super) fn to_json(self) -> Response<Body> {
        let unknown = self.error == "invalid_client";
        let status = if unknown { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
        let mut response = json(status, &json!({"error": self.error, "error_description": self.description}));
        if unknown {
            let challenge = HeaderValue::from_static("Basic realm=\"gatepost demo\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// A JSON document that nobody may keep.
pub(super) fn json(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = of_type(status, "application/json", value.to_string());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A plain sentence.
pub(super) fn text(status: StatusCode, sentence: &'static str) -> Response<Body> {
    let mut response = of_type(status, "text/plain; charset=utf-8", format!("{sentence}\n"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// 405, and what is allowed instead.
pub(super) fn method_not_allowed(allow: &'static str) -> Response<Body> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "This method is not for this place.");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    response
}

/// 302 to `uri`, which was checked. The browser does not tell it where it comes from: that address holds the request.
pub(super) fn redirect(uri: &str) -> Response<Body> {
    let Ok(location) = HeaderValue::from_str(uri) else {
        return text(StatusCode::INTERNAL_SERVER_ERROR, "The redirect cannot be written.");
    };
    let mut response = Response::new(body::empty());
    *response.status_mut() = StatusCode::FOUND;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Any document. The browser takes it for nothing but what it says it is.
pub(super) fn of_type(status: StatusCode, content_type: &'static str, document: String) -> Response<Body> {
    let mut response = Response::new(body::full(document));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

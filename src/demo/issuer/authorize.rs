//! The authorization endpoint (OAuth 2.1 §4.1): asks a person, and leads back with a code or an error. It never leads to
//! where the client did not say beforehand that logins end; until that is known, errors are pages.

use std::borrow::Cow;
use std::collections::HashSet;

use http::{HeaderMap, Response, StatusCode, header};

use super::answer::{self, Fault};
use super::client::{self, Client};
use super::exchange::Code;
use super::form::{Form, with_query};
use super::{Issuer, key, page};
use crate::gateway::body::Body;

/// A request that a person is being asked about.
pub(super) struct Pending {
    pub(super) client: Client,
    pub(super) redirect_uri: String,
    state: Option<String>,
    /// `code_challenge`: of S256.
    pub(super) challenge: String,
    /// Asked for.
    pub(super) scopes: Vec<String>,
}

/// Shows the consent page to a request (`GET`).
pub(super) async fn ask(issuer: &Issuer, query: &str) -> Response<Body> {
    let (form, client, redirect_uri) = match identify(issuer, query).await {
        Ok(known) => known,
        Err(reason) => return page::refusal(StatusCode::BAD_REQUEST, &reason),
    };
    // Of two states neither is the client's.
    let state = form.one("state").ok().flatten().map(str::to_owned);
    let read = read(issuer, &form, &client).and_then(|(challenge, scopes)| {
        let id = key::secret().map_err(|_| SERVER_ERROR)?;
        Ok((id, Pending { client, redirect_uri: redirect_uri.clone(), state: state.clone(), challenge, scopes }))
    });
    let (id, pending) = match read {
        Ok(read) => read,
        Err(fault) => return lead_back(issuer, &redirect_uri, state.as_deref(), &Err(fault)),
    };
    let page = page::consent(issuer, &id, &pending);
    let now = issuer.clock.now();
    issuer.state().pending.insert(id, pending, now.saturating_add(PENDING_SECS), now);
    page
}

/// Takes the answer to the consent page (`POST`).
pub(super) fn decide(issuer: &Issuer, headers: &HeaderMap, body: &[u8]) -> Response<Body> {
    if !is_from_own_page(issuer, headers) {
        return page::refusal(StatusCode::FORBIDDEN, "This answer was sent by a page of another site.");
    }
    let Ok(form) = Form::parse(body) else {
        return page::refusal(StatusCode::BAD_REQUEST, "This is not what the form on the consent page sends.");
    };
    let now = issuer.clock.now();
    // Taken: an answer counts once. Nobody but who was shown the page knows the id.
    let id = form.one("request").ok().flatten().unwrap_or_default();
    let Some(pending) = issuer.state().pending.take(id, now) else {
        return page::refusal(
            StatusCode::BAD_REQUEST,
            "This request was answered already, or is too old. Start again from the client.",
        );
    };
    let (Ok(decision), Ok(person)) = (form.one("decision"), form.one("person")) else {
        return page::refusal(StatusCode::BAD_REQUEST, "This is not what the form on the consent page sends.");
    };
    let outcome = match (decision, person.and_then(|name| issuer.person(name))) {
        (Some("deny"), _) => Err(Fault::new("access_denied", "the person refused")),
        (Some("allow"), Some(person)) => {
            let checked: HashSet<&str> = form.all("scope").collect();
            let granted = |scope: &&String| checked.contains(scope.as_str()) && person.scopes.contains(scope);
            let scopes: Vec<String> = pending.scopes.iter().filter(granted).cloned().collect();
            if scopes.is_empty() {
                Err(Fault::new("access_denied", "nothing is left that this person may grant"))
            } else {
                issue_code(issuer, &pending, &person.name, scopes)
            }
        }
        (Some(_) | None, _) => {
            return page::refusal(
                StatusCode::BAD_REQUEST,
                "Choose a person to log in as. Start again from the client.",
            );
        }
    };
    lead_back(issuer, &pending.redirect_uri, pending.state.as_deref(), &outcome)
}

/// The client, and where its login leads to: what must be known before anything is sent there.
async fn identify(issuer: &Issuer, query: &str) -> Result<(Form, Client, String), Cow<'static, str>> {
    let in_words = |fault: Fault| Cow::Borrowed(fault.description);
    let form = Form::parse(query.as_bytes()).map_err(in_words)?;
    let id = form.required("client_id", "The request names no client (client_id).").map_err(in_words)?;
    let asked = form.required("redirect_uri", "The request does not say where it leads to (redirect_uri).");
    let asked = asked.map_err(in_words)?.to_owned();
    let client = client::find(issuer, id).await?;
    // Whoever could have the code sent elsewhere would log in with it (RFC 9700 §4.1).
    if !client.leads_to(&asked) {
        return Err("The client did not register this redirect_uri. Nothing is sent there.".into());
    }
    Ok((form, client, asked))
}

/// The challenge and the scopes of a good request.
fn read(issuer: &Issuer, form: &Form, client: &Client) -> Result<(String, Vec<String>), Fault> {
    form.one("state")?;
    match form.required("response_type", "response_type is missing")? {
        "code" => {}
        _ => return Err(Fault::new("unsupported_response_type", "the response type is code")),
    }
    if !client.grants.code {
        return Err(Fault::new("unauthorized_client", "the client did not register for authorization_code"));
    }
    if form.one("request")?.is_some() {
        return Err(Fault::new("request_not_supported", "request objects are not supported"));
    }
    if form.one("request_uri")?.is_some() {
        return Err(Fault::new("request_uri_not_supported", "request objects are not supported"));
    }
    if form.one("response_mode")?.is_some_and(|mode| mode != "query") {
        return Err(Fault::new("invalid_request", "the response mode is query"));
    }
    let challenge = form.required("code_challenge", "PKCE is required: code_challenge is missing")?;
    // Left out, it means plain (RFC 7636 §4.3): whoever reads the request could then use the code.
    if form.one("code_challenge_method")? != Some("S256") {
        return Err(Fault::new("invalid_request", "code_challenge_method must be S256"));
    }
    if challenge.len() != 43 || !challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        return Err(Fault::new("invalid_request", "code_challenge is not the base64url form of a SHA-256 hash"));
    }
    issuer.accept_resource(form)?;
    let scopes = issuer.scopes(form.one("scope")?);
    let scopes = scopes.ok_or(Fault::new("invalid_scope", "a scope is asked for that does not exist"))?;
    Ok((challenge.to_owned(), scopes))
}

/// Another site's page cannot know the request's id; should one learn it, it still cannot answer for the person.
fn is_from_own_page(issuer: &Issuer, headers: &HeaderMap) -> bool {
    let all = |name, expect: &[u8]| headers.get_all(name).iter().all(|value| value.as_bytes() == expect);
    all(header::ORIGIN.as_str(), issuer.origin.as_str().as_bytes()) && all("sec-fetch-site", b"same-origin")
}

fn issue_code(issuer: &Issuer, pending: &Pending, person: &str, scopes: Vec<String>) -> Result<String, Fault> {
    let code = key::secret().map_err(|_| SERVER_ERROR)?;
    let now = issuer.clock.now();
    let granted = Code::new(pending, person, scopes);
    issuer.state().codes.insert(code.clone(), granted, now.saturating_add(CODE_SECS), now);
    Ok(code)
}

/// Back to the client with a code or an error, with its `state`, and with `iss`: a client of several servers sees which one
/// answered (RFC 9207).
fn lead_back(issuer: &Issuer, uri: &str, state: Option<&str>, outcome: &Result<String, Fault>) -> Response<Body> {
    let mut parameters = match outcome {
        Ok(code) => vec![("code", code.as_str())],
        Err(fault) => vec![("error", fault.error), ("error_description", fault.description)],
    };
    parameters.extend(state.map(|state| ("state", state)));
    parameters.push(("iss", issuer.origin.as_str()));
    answer::redirect(&with_query(uri, &parameters))
}

impl Issuer {
    /// The one resource may be named, once or more; no other (RFC 8707 §2).
    pub(super) fn accept_resource(&self, form: &Form) -> Result<(), Fault> {
        if form.all("resource").all(|resource| resource.is_empty() || resource == self.options.resource) {
            Ok(())
        } else {
            Err(Fault::new("invalid_target", "tokens of this server are for another resource"))
        }
    }
}

const SERVER_ERROR: Fault = Fault::new("server_error", "no random numbers");
const PENDING_SECS: u64 = 600;
const CODE_SECS: u64 = 120;

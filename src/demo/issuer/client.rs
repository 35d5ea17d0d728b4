//! Clients: those that register (RFC 7591) and those whose id is the URL of their metadata (client ID metadata documents).
//! Both say of themselves whatever they like; only where a login leads back to is held against them.

use std::borrow::Cow;

use http::{Response, StatusCode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::answer::{self, Fault};
use super::{Issuer, key, uri};
use crate::gateway::body::Body;
use crate::mcp::strict;
use crate::token::Fetched;

/// A client.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) id: String,
    /// What it calls itself.
    pub(super) name: Option<String>,
    pub(super) redirect_uris: Vec<String>,
    /// Of a confidential client.
    pub(super) secret: Option<String>,
    pub(super) grants: Grants,
}

/// What a client said that it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grants {
    pub(super) code: bool,
    pub(super) refresh: bool,
    pub(super) credentials: bool,
}

/// What a client says of itself (RFC 7591 §2). What is not here is not used.
#[derive(Deserialize)]
struct Metadata {
    client_id: Option<String>,
    client_name: Option<String>,
    #[serde(default)]
    redirect_uris: Vec<String>,
    token_endpoint_auth_method: Option<String>,
    grant_types: Option<Vec<String>>,
    response_types: Option<Vec<String>>,
    client_secret: Option<IgnoredAny>,
}

/// Registers a client (RFC 7591 §3).
pub(super) fn register(issuer: &Issuer, body: &[u8]) -> Response<Body> {
    let registered = Metadata::read(body).and_then(|metadata| {
        let method = metadata.token_endpoint_auth_method.as_deref().unwrap_or("client_secret_basic");
        let confidential = match method {
            "none" => false,
            "client_secret_basic" | "client_secret_post" => true,
            _ => return Err(Fault::new(BAD_METADATA, "token_endpoint_auth_method is not supported")),
        };
        let method = method.to_owned();
        let random = || key::secret().map_err(|_| Fault::new(BAD_METADATA, "no random numbers"));
        let secret = if confidential { Some(random()?) } else { None };
        Ok((metadata.into_client(random()?, secret)?, method))
    });
    let (client, method) = match registered {
        Ok(registered) => registered,
        Err(fault) => return fault.to_json(),
    };
    let now = issuer.clock.now();
    let answer = client.to_json(&method, now);
    let id = client.id.clone();
    issuer.state().clients.insert(id, client, now.saturating_add(REGISTERED_SECS), now);
    answer::json(StatusCode::CREATED, &answer)
}

/// The client of this id: a registered one, or one whose document is fetched; otherwise why there is none, in words for a
/// person.
pub(super) async fn find(issuer: &Issuer, id: &str) -> Result<Client, Cow<'static, str>> {
    if uri::document_host(id).is_none() {
        let registered = issuer.state().clients.get(id, issuer.clock.now()).cloned();
        return registered.ok_or(Cow::Borrowed(
            "No client of this id is registered. This server forgets everything when it stops: let the client forget this \
             login as well, and log in again.",
        ));
    }
    // A page can send a browser here again and again; it must not make this machine a flood.
    let Ok(_turn) = issuer.fetches.try_acquire() else {
        return Err("The documents of too many clients are being fetched. Try again.".into());
    };
    let fetched = issuer.fetch.get(id).await.map_err(|error| error.0);
    let fetched = fetched.map_err(|error| format!("The client's metadata document cannot be fetched. {error}"))?;
    read_document(id, &fetched)
        .map_err(|fault| format!("The client's metadata document cannot be used: {}.", fault.description).into())
}

/// A client ID metadata document (draft-ietf-oauth-client-id-metadata-document §4).
fn read_document(id: &str, fetched: &Fetched) -> Result<Client, Fault> {
    if fetched.status != 200 || fetched.body.len() > DOCUMENT_BYTES_MAX {
        return Err(Fault::new(BAD_METADATA, "it is not there, or larger than 64 KiB"));
    }
    let metadata = Metadata::read(&fetched.body)?;
    // Somebody else's document in this one's place would lend it that one's name.
    if metadata.client_id.as_deref() != Some(id) {
        return Err(Fault::new(BAD_METADATA, "its client_id is not its own URL"));
    }
    // Everybody can read it: what it holds is no secret.
    let public = metadata.token_endpoint_auth_method.as_deref().is_none_or(|method| method == "none");
    if !public || metadata.client_secret.is_some() {
        return Err(Fault::new(BAD_METADATA, "expected a public client: token_endpoint_auth_method none, no secret"));
    }
    let client = metadata.into_client(id.to_owned(), None)?;
    if !client.grants.code {
        return Err(Fault::new(BAD_METADATA, "expected the grant type authorization_code"));
    }
    Ok(client)
}

impl Metadata {
    fn read(json: &[u8]) -> Result<Self, Fault> {
        let fault = Fault::new(BAD_METADATA, "expected a JSON object with the members of RFC 7591, none twice");
        strict::check(json, DEPTH_MAX).map_err(|_| fault)?;
        serde_json::from_slice(json).map_err(|_| fault)
    }

    fn into_client(self, id: String, secret: Option<String>) -> Result<Client, Fault> {
        let grants = self.grants();
        if grants.credentials && secret.is_none() {
            return Err(Fault::new(BAD_METADATA, "client_credentials is for clients with a secret"));
        }
        if !grants.code && !grants.credentials {
            return Err(Fault::new(BAD_METADATA, "none of the grant types is supported"));
        }
        let codes = self.response_types.is_none_or(|types| types.iter().any(|each| each == "code"));
        if grants.code && !codes {
            return Err(Fault::new(BAD_METADATA, "the response type is code"));
        }
        let uris = &self.redirect_uris;
        if uris.len() > REDIRECT_URIS_MAX || (grants.code && uris.is_empty()) {
            return Err(Fault::new(BAD_REDIRECT, "expected one redirect URI at least and twenty at most"));
        }
        if !uris.iter().all(|each| uri::is_redirect_uri(each)) {
            return Err(Fault::new(
                BAD_REDIRECT,
                "expected https, http on loopback, or an app scheme with a dot; no fragment",
            ));
        }
        if self.client_name.as_ref().is_some_and(|name| name.len() > NAME_BYTES_MAX) {
            return Err(Fault::new(BAD_METADATA, "client_name is too long"));
        }
        let name = self.client_name.filter(|name| !name.trim().is_empty());
        Ok(Client { id, name, redirect_uris: self.redirect_uris, secret, grants })
    }

    /// Those that are supported; others are left out (RFC 7591 §2).
    fn grants(&self) -> Grants {
        let uses = |grant: &str| match &self.grant_types {
            Some(types) => types.iter().any(|each| each == grant),
            None => grant == "authorization_code",
        };
        let (code, credentials) = (uses("authorization_code"), uses("client_credentials"));
        Grants { code, refresh: code && uses("refresh_token"), credentials }
    }
}

impl Client {
    /// Whether a login may lead to `asked`.
    pub(super) fn leads_to(&self, asked: &str) -> bool {
        self.redirect_uris.iter().any(|registered| uri::is_same(registered, asked))
    }

    /// RFC 7591 §3.2.1.
    fn to_json(&self, method: &str, now: u64) -> Value {
        let Grants { code, refresh, credentials } = self.grants;
        let grants = [("authorization_code", code), ("refresh_token", refresh), ("client_credentials", credentials)];
        let grants: Vec<_> = grants.iter().filter(|(_, used)| *used).map(|(grant, _)| *grant).collect();
        let mut answer = json!({
            "client_id": self.id,
            "client_id_issued_at": now,
            "redirect_uris": self.redirect_uris,
            "token_endpoint_auth_method": method,
            "grant_types": grants,
            "response_types": if code { vec!["code"] } else { vec![] },
        });
        if let Some(members) = answer.as_object_mut() {
            if let Some(name) = &self.name {
                members.insert("client_name".to_owned(), json!(name));
            }
            if let Some(secret) = &self.secret {
                members.insert("client_secret".to_owned(), json!(secret));
                members.insert("client_secret_expires_at".to_owned(), json!(0));
            }
        }
        answer
    }
}

const BAD_METADATA: &str = "invalid_client_metadata";
const BAD_REDIRECT: &str = "invalid_redirect_uri";
const REGISTERED_SECS: u64 = 30 * 24 * 3600;
const DOCUMENT_BYTES_MAX: usize = 64 << 10;
const DEPTH_MAX: usize = 16;
const REDIRECT_URIS_MAX: usize = 20;
const NAME_BYTES_MAX: usize = 200;

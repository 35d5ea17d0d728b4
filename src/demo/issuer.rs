//! A development authorization server: loopback only, people without passwords. It must never be reachable from elsewhere.
//!
//! It holds clients to the standards all the same (OAuth 2.1, PKCE, RFC 7591, 8414, 8707, 9068, 9207, client ID metadata
//! documents), so that what logs in here logs in elsewhere. Everything it knows is gone with the process.

mod answer;
mod authorize;
mod client;
mod exchange;
mod form;
mod key;
mod page;
mod site;
mod store;
#[cfg(test)]
mod tests;
mod uri;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::gateway::fetch::HttpFetch;
use crate::gateway::listener::{self, Terms};
use crate::gateway::settings::{Limits, Timeouts};
use crate::gateway::shutdown::Shutdown;
use crate::oauth::ids::{Audience, PublicOrigin};
use crate::oauth::scope::Scope;
use crate::token::Fetch;
use crate::token::clock::Clock;
use authorize::Pending;
use client::Client;
use exchange::{Code, Family};
use key::{Claims, SigningKey};
use store::Store;

/// What it is told.
#[derive(Debug, Clone)]
pub struct Options {
    /// The issuer identifier: its own origin, `http://127.0.0.1:9000`.
    pub issuer: String,
    /// The resource identifier that tokens may be for (RFC 8707).
    pub resource: String,
    /// Every scope, with a sentence on what it opens, in the order in which the consent page lists them.
    pub scopes: Vec<(String, String)>,
    /// Who can log in.
    pub people: Vec<Person>,
}

/// Somebody who can log in.
#[derive(Debug, Clone)]
pub struct Person {
    /// `sub`, and the value of the form's `person`: `reader`, `writer`, `admin`.
    pub name: String,
    /// The scopes that this person may grant.
    pub scopes: Vec<String>,
}

/// The authorization server.
pub struct Issuer {
    options: Options,
    origin: PublicOrigin,
    key: SigningKey,
    fetch: Box<dyn Fetch>,
    /// How many documents of clients are fetched at once.
    fetches: Semaphore,
    clock: Clock,
    state: Mutex<State>,
}

/// What it remembers.
struct State {
    /// Registered, by client id.
    clients: Store<Client>,
    /// Consent pages that were shown and not answered, by their single-use id.
    pending: Store<Pending>,
    /// Authorization codes.
    codes: Store<Code>,
    /// Refresh tokens: one entry for all that follow from one login.
    families: Store<Family>,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The rest holds secrets.
        f.debug_struct("Issuer").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Issuer {
    /// Makes its key. Refused: an issuer that is no http origin on loopback, a resource that is none, scopes that are none or
    /// occur twice, people without a name or with scopes that nobody described.
    pub fn new(options: Options) -> Result<Arc<Self>, String> {
        Self::with(options, Box::new(HttpFetch::public()?), Clock::system())
    }

    fn with(options: Options, fetch: Box<dyn Fetch>, clock: Clock) -> Result<Arc<Self>, String> {
        let origin = PublicOrigin::parse(&options.issuer).map_err(|error| format!("issuer: expected {error}"))?;
        if origin.is_https() {
            return Err("issuer: expected http on loopback: this server is for development alone".to_owned());
        }
        Audience::parse(&options.resource).map_err(|error| format!("resource: expected {error}"))?;
        check_scopes(&options)?;
        let state = State {
            clients: Store::new(CLIENTS_MAX),
            pending: Store::new(PENDING_MAX),
            codes: Store::new(CODES_MAX),
            families: Store::new(FAMILIES_MAX),
        };
        let (key, fetches) = (SigningKey::generate()?, Semaphore::new(FETCHES_MAX));
        Ok(Arc::new(Self { options, origin, key, fetch, fetches, clock, state: Mutex::new(state) }))
    }

    /// Serves until `shutdown`. A listener that is not on loopback is not served: everybody in reach could log in as anybody.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, shutdown: Shutdown) {
        if !listener.local_addr().is_ok_and(|address| address.ip().is_loopback()) {
            tracing::error!("the development authorization server serves on loopback alone");
            return;
        }
        let limits = Limits { connections_max: CONNECTIONS_MAX, ..Limits::default() };
        let timeouts = Timeouts { head: TIMEOUT, write_stall: TIMEOUT, ..Timeouts::default() };
        let service = move |request, _| {
            let issuer = Arc::clone(&self);
            async move { site::answer(&issuer, request).await }
        };
        let terms = Terms::new(None, &limits, timeouts).for_ever();
        listener::serve(listener, terms, shutdown, service).await;
    }

    /// A ready-made access token for a person, with all the scopes that this person may grant, for the one resource. It is
    /// good for twelve hours: it is pasted by hand, and its key ends with the process.
    pub fn token_for(&self, person: &str) -> Result<String, String> {
        let person = self.person(person).ok_or("nobody of this name can log in")?;
        self.access_token(&person.name, READY_MADE_CLIENT, &person.scopes, READY_MADE_SECS)
    }

    fn access_token(&self, sub: &str, client_id: &str, scopes: &[String], secs: u64) -> Result<String, String> {
        let iat = self.clock.now();
        self.key.sign(&Claims {
            iss: self.origin.as_str(),
            sub,
            aud: &self.options.resource,
            client_id,
            iat,
            exp: iat.saturating_add(secs),
            jti: &key::secret()?,
            scope: &scopes.join(" "),
        })
    }

    fn person(&self, name: &str) -> Option<&Person> {
        self.options.people.iter().find(|person| person.name == name)
    }

    /// The scopes that `asked` names, in our order; all of them when it names none. `None` when one is unknown.
    fn scopes(&self, asked: Option<&str>) -> Option<Vec<String>> {
        let asked: HashSet<&str> = asked.unwrap_or_default().split(' ').filter(|scope| !scope.is_empty()).collect();
        let known = self.options.scopes.iter().map(|(scope, _)| scope);
        let named: Vec<String> = known.clone().filter(|scope| asked.contains(scope.as_str())).cloned().collect();
        match asked.len() {
            0 => Some(known.cloned().collect()),
            asked => (named.len() == asked).then_some(named),
        }
    }

    /// No code that can panic holds the lock, so a poisoned one holds what it should.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check_scopes(options: &Options) -> Result<(), String> {
    let mut known = HashSet::new();
    for (scope, _) in &options.scopes {
        Scope::parse(scope).map_err(|error| format!("scopes: expected {error}"))?;
        if !known.insert(scope) {
            return Err(format!("scopes: {scope} occurs twice"));
        }
    }
    let mut names = HashSet::new();
    for person in &options.people {
        if person.name.is_empty() || !names.insert(&person.name) {
            return Err("people: expected names that differ".to_owned());
        }
        if let Some(scope) = person.scopes.iter().find(|scope| !known.contains(scope)) {
            return Err(format!("people: {} may grant {scope}, which is not described", person.name));
        }
    }
    if known.is_empty() || names.is_empty() {
        return Err("expected at least one scope and one person".to_owned());
    }
    Ok(())
}

/// `client_id` of ready-made tokens.
const READY_MADE_CLIENT: &str = "gatepost-demo";
const READY_MADE_SECS: u64 = 12 * 3600;
/// One request, and each silence on a connection.
const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECTIONS_MAX: usize = 256;
const CLIENTS_MAX: usize = 1000;
const PENDING_MAX: usize = 500;
const CODES_MAX: usize = 1000;
const FAMILIES_MAX: usize = 1000;
const FETCHES_MAX: usize = 4;

//! A development authorization server: loopback only, people without passwords. It must never be reachable from elsewhere.

use std::sync::Arc;

use tokio::net::TcpListener;

use crate::gateway::shutdown::Shutdown;

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
#[derive(Debug)]
pub struct Issuer {}

impl Issuer {
    /// Makes its key. Everything it knows is gone with the process.
    pub fn new(options: Options) -> Result<Arc<Self>, String> {
        drop(options);
        Err("not built yet".to_owned())
    }
    /// Serves until `shutdown`.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, shutdown: Shutdown) {
        drop((listener, shutdown));
    }
    /// A ready-made access token for a person, with all the scopes that this person may grant, for the one resource.
    pub fn token_for(&self, person: &str) -> Result<String, String> {
        Err(person.to_owned())
    }
}

//! The stages of a request. Each is made only by consuming the one before, none can be cloned, and none can be made
//! elsewhere: to skip a check, to forward a request twice, or to let the permit of one request travel with another
//! does not compile.
//!
//! A request goes through the stages in order:
//!
//! ```
//! use gatepost::gateway::{Gateway, stage::{Forwarded, Routed}, trail::Trail};
//! # use gatepost::rejection::Rejection;
//! async fn through(gateway: &Gateway, routed: Routed, trail: &mut Trail) -> Result<Forwarded, Rejection> {
//!     let authenticated = routed.authenticate(gateway, trail).await?;
//!     let inspected = authenticated.inspect(gateway, trail).await?;
//!     let authorized = inspected.authorize(trail)?;
//!     authorized.forward(gateway, trail).await
//! }
//! ```
//!
//! Leaving one out does not compile:
//!
//! ```compile_fail
//! use gatepost::gateway::{Gateway, stage::{Forwarded, Routed}, trail::Trail};
//! # use gatepost::rejection::Rejection;
//! async fn through(gateway: &Gateway, routed: Routed, trail: &mut Trail) -> Result<Forwarded, Rejection> {
//!     let authenticated = routed.authenticate(gateway, trail).await?;
//!     let inspected = authenticated.inspect(gateway, trail).await?;
//!     let authorized = inspected;
//!     authorized.forward(gateway, trail).await
//! }
//! ```
//!
//! Nor does forwarding a request twice:
//!
//! ```compile_fail
//! use gatepost::gateway::{Gateway, stage::{Forwarded, Routed}, trail::Trail};
//! # use gatepost::rejection::Rejection;
//! async fn through(gateway: &Gateway, routed: Routed, trail: &mut Trail) -> Result<Forwarded, Rejection> {
//!     let authenticated = routed.authenticate(gateway, trail).await?;
//!     let inspected = authenticated.inspect(gateway, trail).await?;
//!     let authorized = inspected.authorize(trail)?;
//!     authorized.forward(gateway, trail).await?;
//!     authorized.forward(gateway, trail).await
//! }
//! ```

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use hyper::body::Incoming;

use super::Gateway;
use super::body::Claim;
use super::http_sse::Address;
use super::listener::Peer;
use super::places::Held;
use super::respond;
use super::route::{Part, Route};
use super::telemetry::Stage;
use super::trail::Trail;
use crate::mcp::operation::Asked;
use crate::mcp::revision::Revision;
use crate::oauth::bearer::AccessToken;
use crate::oauth::scope::ScopeSet;
use crate::policy::Permit;
use crate::rejection::{Denial, Failure, Rejection};
use crate::token::{Presented, Principal};

/// The head of a request to an MCP endpoint.
#[derive(Debug)]
pub struct Head {
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    pub(super) peer: Peer,
    /// The authority that the client used; one of ours.
    pub(super) authority: String,
    /// What of its transport the endpoint is.
    pub(super) part: Part,
    /// The query, where it is the address of a message. All others are dropped.
    pub(super) query: Option<String>,
}

/// A request to a known MCP endpoint, by an allowed method, from an allowed origin.
#[derive(Debug)]
#[must_use]
pub struct Routed {
    pub(super) route: Arc<Route>,
    pub(super) head: Head,
    pub(super) body: Incoming,
}

/// A request of a known principal. Its headers hold no access token any more.
#[derive(Debug)]
#[must_use]
pub struct Authenticated {
    pub(super) route: Arc<Route>,
    pub(super) principal: Principal,
    pub(super) head: Head,
    pub(super) body: Incoming,
}

/// A request whose body was read once, whole and strictly. It keeps the very bytes that were read.
#[derive(Debug)]
#[must_use]
pub struct Inspected {
    pub(super) route: Arc<Route>,
    pub(super) principal: Principal,
    pub(super) head: Head,
    pub(super) payload: Payload,
    pub(super) revision: Option<Revision>,
    pub(super) session: Option<Session>,
    /// Where a message goes that came to a message path.
    pub(super) address: Option<Address>,
    pub(super) asked: Asked,
}

/// A request that policy permits, with a permit for each of its messages.
#[derive(Debug)]
#[must_use]
pub struct Authorized {
    pub(super) inspected: Inspected,
    pub(super) _permits: Vec<Permit>,
}

/// A request that was sent to the server, and the head of the server's answer.
#[derive(Debug)]
#[must_use]
pub struct Forwarded {
    pub(super) route: Arc<Route>,
    pub(super) part: Part,
    pub(super) principal: Principal,
    pub(super) revision: Option<Revision>,
    pub(super) session: Option<Session>,
    pub(super) asked: Asked,
    pub(super) place: Held,
    pub(super) answer: Response<Incoming>,
}

/// The inspected bytes, and their share of the budget for bodies in flight.
#[derive(Debug)]
pub struct Payload {
    pub(super) bytes: Bytes,
    pub(super) _budget: Option<Claim>,
}

/// A session id that unsealed for this principal on this route.
#[derive(Debug)]
pub struct Session {
    /// As the client has it.
    pub(super) sealed: String,
    /// As the server has it.
    pub(super) upstream: String,
}

impl Routed {
    /// Takes the access token out of the head and validates it for this route.
    pub async fn authenticate(mut self, gateway: &Gateway, trail: &mut Trail) -> Result<Authenticated, Rejection> {
        trail.stage(Stage::Authenticate);
        let counted = match self.principal(gateway, trail).await {
            Ok(principal) => {
                trail.principal(&principal);
                gateway.count_request(&principal, &self.route).map(|()| principal)
            }
            Err(failure) => Err(failure),
        };
        match counted {
            Ok(principal) => {
                let Self { route, head, body } = self;
                Ok(Authenticated { route, principal, head, body })
            }
            Err(failure) => {
                respond::drain(self.body, &self.head.headers);
                Err(failure.into())
            }
        }
    }

    async fn principal(&mut self, gateway: &Gateway, trail: &mut Trail) -> Result<Principal, Failure> {
        let token = Presented::from(AccessToken::take(&mut self.head.headers, gateway.limits.token_bytes_max)?);
        trail.token(token.digest_prefix());
        Ok(gateway.tokens.validate(token, &self.route.recipient).await?)
    }
}

impl Inspected {
    /// Asks policy about each message; one that is refused refuses all. The permits stay with the request that they were
    /// given for.
    pub fn authorize(self, trail: &mut Trail) -> Result<Authorized, Rejection> {
        trail.stage(Stage::Authorize);
        let decided = decided(&self.route, self.principal.scopes(), &self.asked);
        trail.decided(&decided);
        let permits = permits(decided, &self.asked)?;
        Ok(Authorized { inspected: self, _permits: permits })
    }
}

/// What the route's policy says to each message that is asked, for a caller with these scopes. It is what `authorize` goes
/// by, and what can be said of a request that nobody sent: a permit alone sends none.
pub(super) fn decided(route: &Route, held: &ScopeSet, asked: &Asked) -> Vec<Result<Permit, Denial>> {
    route.policy.decide_each(held, asked.each().iter().map(|ask| &ask.operation))
}

/// A permit for each message, or the refusal of them all.
pub(super) fn permits(decided: Vec<Result<Permit, Denial>>, asked: &Asked) -> Result<Vec<Permit>, Rejection> {
    if decided.iter().all(Result::is_ok) {
        return Ok(decided.into_iter().flatten().collect());
    }
    Err(Rejection::of_denials(decided.into_iter().map(Result::err).collect(), asked))
}

//! What would become of a request that nobody sent: read, decided and answered by the functions of the pipeline, for
//! `gatepost explain` and `gatepost test`. It makes no stage of a request, knows no server, and nothing leaves it but words.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, Version, header};

use super::inspect::{read_bodiless, read_message};
use super::respond;
use super::route::{Part, Route, Table};
use super::settings::{Limits, Settings, Transport};
use super::stage;
use crate::mcp::operation::{Asked, Operation};
use crate::mcp::sample::Sample;
use crate::oauth::bearer::AccessToken;
use crate::oauth::scope::ScopeSet;
use crate::policy::Permit;
use crate::rejection::{Cause, Denial, Failure, Rejection};

/// The routes of one file, to be asked.
pub struct Rehearsal {
    routes: HashMap<Arc<str>, Arc<Route>>,
    limits: Limits,
}

/// What would become of one request.
#[derive(Debug)]
#[must_use]
pub struct Rehearsed {
    /// What it asks for and what policy says to that; `None` where it is refused before.
    pub decided: Option<(Operation, Result<Permit, Denial>)>,
    /// The refusal, and the whole answer that a client gets; `None`: it goes on to the server.
    pub refused: Option<(Rejection, Response<Bytes>)>,
}

impl Rehearsal {
    /// Reads the files that upstreams name, as `run` does, and connects to nothing.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        let table = Table::new(settings, None)?;
        let routes = table.routes().map(|route| (Arc::clone(&route.name), Arc::clone(route))).collect();
        Ok(Self { routes, limits: settings.limits })
    }

    /// The route of this name.
    #[must_use]
    pub fn route(&self, name: &str) -> Option<&Arc<Route>> {
        self.routes.get(name)
    }

    /// What becomes of `sample` on `route` from a caller whose token carries `held`: an allowed origin, a good session, and no
    /// rate that is used up.
    pub fn ask(&self, route: &Route, held: &ScopeSet, sample: Sample) -> Rehearsed {
        let asked = match self.asked(route, sample) {
            Ok(asked) => asked,
            Err(rejection) => return Rehearsed { decided: None, refused: Some(answered(rejection, route)) },
        };
        let decided = stage::permits(stage::decided(route, held, &asked), &asked);
        let operation = asked.each().first().map(|ask| ask.operation.clone());
        let (decided, refused) = match decided {
            Ok(permits) => (permits.into_iter().next().map(Ok), None),
            Err(rejection) => match &rejection.cause {
                Cause::Denial(denial) => (Some(Err(denial.clone())), Some(rejection)),
                Cause::Failure(_) => (None, Some(rejection)),
            },
        };
        Rehearsed { decided: operation.zip(decided), refused: refused.map(|refused| answered(refused, route)) }
    }

    /// The token of a request whose one Authorization header is `Bearer` and these bytes.
    pub fn token(&self, bytes: &[u8]) -> Result<AccessToken, Failure> {
        let credentials = [b"Bearer ".as_slice(), bytes].concat();
        let mut headers = HeaderMap::new();
        // What no header can hold never arrives as a token.
        let mut value =
            HeaderValue::from_maybe_shared(Bytes::from(credentials)).map_err(|_| Failure::InvalidRequest)?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
        Ok(AccessToken::take(&mut headers, self.limits.token_bytes_max)?)
    }

    /// What becomes of a request to `route` that is refused for its token.
    pub fn refuse(&self, route: &Route, failure: Failure) -> Rehearsed {
        Rehearsed { decided: None, refused: Some(answered(failure.into(), route)) }
    }

    fn asked(&self, route: &Route, sample: Sample) -> Result<Asked, Rejection> {
        let Sample { method, mut headers, body } = sample;
        let part = match (&route.transport, method == Method::POST) {
            (Transport::StreamableHttp, _) => Part::Whole,
            (Transport::HttpSse { .. }, true) => Part::Messages,
            (Transport::HttpSse { .. }, false) => Part::Stream,
        };
        if !part.allows(&method) {
            return Err(Failure::MethodNotAllowed { allow: part.allow() }.into());
        }
        let (_, asked) = if method == Method::POST {
            read_message(&mut headers, &body, part, &self.limits)?
        } else {
            read_bodiless(&headers, &method)?
        };
        Ok(asked)
    }
}

/// A refusal with its answer, on a connection of HTTP/1.1.
fn answered(rejection: Rejection, route: &Route) -> (Rejection, Response<Bytes>) {
    let answer = respond::refusal(&rejection, Some(route), None, Version::HTTP_11);
    (rejection, answer)
}

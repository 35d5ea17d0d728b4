//! The whole gateway on one screen: which surface a request is for, and the stages of a request to an MCP endpoint.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, Version, header};
use hyper::body::{Body as _, Incoming};

use super::answer::Answer;
use super::body::{self, Body};
use super::listener::Peer;
use super::places::Held;
use super::route::{self, Endpoint, Part, Route};
use super::serving::Around;
use super::stage::{Head, Routed};
use super::trail::{End, Trail};
use super::{Gateway, cors, respond, stream};
use crate::rejection::{Failure, Level, Rejection, TokenFault};

/// What a request is for. Only `Mcp` leads to a server, and there is no way round its stages.
enum Surface {
    /// A discovery document.
    Document(Bytes),
    /// OPTIONS on a discovery document.
    DocumentOptions,
    /// OPTIONS on an MCP endpoint.
    Preflight(Part),
    /// A request to an MCP endpoint, by this authority.
    Mcp(Arc<Route>, Part, String),
}

/// What an answer must know of its request, as far as that was found out.
struct Reply {
    route: Option<Arc<Route>>,
    /// The route that a discovery document is about.
    document_of: Option<Arc<str>>,
    /// The allowed origin of the page that called.
    origin: Option<HeaderValue>,
    version: Version,
}

impl Gateway {
    /// Answers one request. A panic ends this request alone, with 500.
    pub async fn handle(&self, request: Request<Incoming>, peer: Peer, around: &Around) -> Response<Body> {
        let mut answered = pin!(self.answer(request, peer, around));
        std::future::poll_fn(|context| {
            std::panic::catch_unwind(AssertUnwindSafe(|| answered.as_mut().poll(context))).unwrap_or_else(|_| {
                self.meters.metrics().panicked();
                tracing::error!("a request ended in a panic: please report this");
                let refused = Failure::Internal { detail: "panic" }.into();
                Poll::Ready(respond::refusal(&refused, None, None, Version::HTTP_11).map(body::full))
            })
        })
        .await
    }

    async fn answer(&self, request: Request<Incoming>, peer: Peer, around: &Around) -> Response<Body> {
        let room = self.audit.room().await;
        let mut trail = Trail::begin(self.audit.clone(), Arc::clone(&self.meters), peer, request.method());
        let (parts, body) = request.into_parts();
        trail.traced(self.telemetry.as_ref().and_then(|telemetry| telemetry.begin(&parts, peer)));
        let mut reply = Reply { route: None, document_of: None, origin: None, version: parts.version };
        if let Err(failure) = room {
            trail.unrecorded();
            respond::drain(body, &parts.headers);
            return reply.refuse(&failure.into(), trail);
        }
        if around.shutdown.is_requested() {
            respond::drain(body, &parts.headers);
            return reply.refuse(&Failure::ShuttingDown { retry_after_secs: RETRY_AFTER_SECS }.into(), trail);
        }
        let surface = match self.surface(&parts, &body, &mut reply) {
            Ok(surface) => surface,
            Err(failure) => {
                respond::drain(body, &parts.headers);
                return reply.refuse(&failure.into(), trail);
            }
        };
        trail.path(parts.uri.path());
        match surface {
            Surface::Document(json) => reply.public("metadata", respond::document(&parts.method, json), trail, around),
            Surface::DocumentOptions => reply.public("preflight", cors::public_preflight(), trail, around),
            Surface::Preflight(part) => {
                let mut response = cors::preflight(&parts.headers, part);
                cors::expose(response.headers_mut(), reply.origin.clone());
                reply.public("preflight", response, trail, around)
            }
            Surface::Mcp(route, part, authority) => {
                let query = parts.uri.query().filter(|_| part == Part::Messages).map(ToOwned::to_owned);
                let head = Head { method: parts.method, headers: parts.headers, peer, authority, part, query };
                match self.mcp(Routed { route, head, body }, &mut trail, around).await {
                    Ok(mut answer) => {
                        cors::expose(answer.response.headers_mut(), reply.origin);
                        stream::audited(answer, trail, around)
                    }
                    Err(rejection) => reply.refuse(&rejection, trail),
                }
            }
        }
    }

    /// The stages of a request to an MCP endpoint.
    async fn mcp(&self, routed: Routed, trail: &mut Trail, around: &Around) -> Result<Answer, Rejection> {
        trail.route(&routed.route.name);
        let Some(under_way) = self.taken.requests.begin(self.limits.requests_max) else {
            respond::drain(routed.body, &routed.head.headers);
            return Err(Failure::Overloaded { retry_after_secs: 1, limit: "limits.requests_max" }.into());
        };
        let authenticated = routed.authenticate(self, trail).await?; // the token leaves the headers
        let inspected = authenticated.inspect(self, trail).await?; // the body is read once
        // A body may take its time: what was taken out of the file meanwhile decides nothing any more.
        if !around.serves(&inspected.route, inspected.principal.issuer()) {
            return Err(Rejection::from(Failure::InvalidToken(TokenFault::Issuer)).answering(&inspected.asked));
        }
        let authorized = inspected.authorize(trail)?; // pure
        let forwarded = authorized.forward(self, trail).await?;
        let mut answer = forwarded.filter(self, trail).await?;
        // A stream that lasts has its place among those of its principal.
        answer.under_way = answer.lives.is_none().then_some(under_way);
        Ok(answer)
    }

    /// Which surface a request is for: by its head, its authority, its path, its method and its origin, in this order.
    fn surface(&self, parts: &Parts, body: &Incoming, reply: &mut Reply) -> Result<Surface, Failure> {
        route::check_head(parts, self.limits.headers_max)?;
        let (authority, site) = self.table.authority(parts)?;
        let json = match site.find(parts.uri.path())? {
            Endpoint::Mcp(route, part) => {
                reply.route = Some(Arc::clone(route));
                let bodiless = parts.method != Method::POST;
                if !part.allows(&parts.method) {
                    // A page that tries Streamable HTTP first must see this, to go on with HTTP+SSE.
                    reply.origin = cors::allowed_origin(&parts.headers, route).ok().flatten();
                    return Err(Failure::MethodNotAllowed { allow: part.allow() });
                }
                reply.origin = cors::allowed_origin(&parts.headers, route)?;
                // A body that we passed over could be read as a second request by a server behind us.
                if bodiless && (!body.is_end_stream() || parts.headers.contains_key(header::TRANSFER_ENCODING)) {
                    return Err(route::malformed("GET, DELETE and OPTIONS carry no body"));
                }
                return Ok(match parts.method {
                    Method::OPTIONS => Surface::Preflight(*part),
                    _ => Surface::Mcp(Arc::clone(route), *part, authority),
                });
            }
            Endpoint::ResourceMetadata(route, json) => {
                reply.document_of = Some(Arc::clone(route));
                Some(json.clone())
            }
            Endpoint::ServerMetadata(issuer) => self.tokens.metadata(issuer),
        };
        match (json, &parts.method) {
            // Clients take 401 or 5xx here for the end; 404 lets them go on to the next document.
            (None, _) => Err(Failure::NoRoute),
            (Some(json), &Method::GET | &Method::HEAD) => Ok(Surface::Document(json)),
            (Some(_), &Method::OPTIONS) => Ok(Surface::DocumentOptions),
            (Some(_), _) => Err(Failure::MethodNotAllowed { allow: "GET, HEAD, OPTIONS" }),
        }
    }
}

impl Reply {
    /// An answer that needs no token.
    fn public(
        &self,
        surface: &'static str,
        response: Response<Body>,
        mut trail: Trail,
        around: &Around,
    ) -> Response<Body> {
        trail.surface(surface);
        if let Some(name) = self.route.as_ref().map(|route| &route.name).or(self.document_of.as_ref()) {
            trail.route(name);
        }
        stream::audited(
            Answer { response, is_stream: false, lives: None, place: Held::Nothing, under_way: None },
            trail,
            around,
        )
    }

    /// The answer to a refused request. Its record is written before it goes out.
    fn refuse(self, rejection: &Rejection, mut trail: Trail) -> Response<Body> {
        let route = self.route.as_deref();
        if let Some(route) = route {
            trail.route(&route.name);
        }
        let response = respond::refusal(rejection, route, self.origin, self.version).map(body::full);
        log(rejection, route);
        trail.rejected(rejection);
        trail.status(response.status());
        trail.sent(usize::try_from(response.body().size_hint().lower()).unwrap_or_default());
        trail.finish(End::Complete);
        response
    }
}

/// The audit record has every refusal. The log has what the operator must hear of, and the rest for who looks for it.
fn log(rejection: &Rejection, route: Option<&Route>) {
    let (route, reason, detail) = (route.map(|route| &*route.name), rejection.reason(), rejection.detail());
    match rejection.level() {
        Level::Debug => tracing::debug!(route, reason, ?detail, "refused"),
        Level::Warn => tracing::warn!(route, reason, ?detail, "refused"),
        Level::Error => tracing::error!(route, reason, ?detail, "refused"),
    }
}

/// By then another process answers.
const RETRY_AFTER_SECS: u64 = 1;

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use super::*;

    /// A place where logs go, for a test to read.
    #[derive(Clone, Default)]
    struct Logs(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Logs {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn trouble_behind_us_is_logged_as_a_warning_and_a_clients_is_not() {
        let logs = Logs::default();
        let writer = logs.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
        tracing::subscriber::with_default(subscriber, || {
            log(&Failure::MissingToken.into(), None);
            log(&Failure::UpstreamUnreachable { detail: "connection refused" }.into(), None);
        });
        let text = String::from_utf8(logs.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("WARN") && text.contains("upstream_unreachable"), "{text}");
        assert!(text.contains("connection refused"), "{text}");
        assert!(!text.contains("missing_token"), "{text}");
    }
}

//! Every reason to refuse a request, as facts; and the one table that maps each to its reason word, status and
//! JSON-RPC code. The reason word is a public contract (header `Gatepost-Reason`, audit field, metric label). Nothing here
//! tells a client what is wrong with its token: that goes to the audit record alone.

mod json_rpc;
mod rule_id;

use std::borrow::Cow;
use std::sync::Arc;

use http::StatusCode;

pub use self::rule_id::RuleId;
use crate::mcp::message::{INVALID_PARAMS, MessageId};
use crate::mcp::operation::Asked;
use crate::oauth::bearer::BearerFault;
use crate::oauth::scope::ScopeSet;

/// A refusal: why, and what it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Why.
    pub cause: Cause,
    /// The requests that it answers.
    pub answers: Answers,
}

/// The requests that a refusal answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answers {
    /// None, or one whose id was not read.
    Nothing,
    /// One.
    Request(MessageId),
    /// Those of a batch, each with its own refusal; `None`: it would have been permitted alone.
    Batch(Vec<(MessageId, Option<Denial>)>),
}

/// A decision of policy, or anything else that ends a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Policy said no.
    Denial(Denial),
    /// The request, the token, or something behind us is at fault.
    Failure(Failure),
}

/// Policy said no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// A scope is missing, and would help.
    InsufficientScope {
        /// All scopes that the operation needs, in a fixed order: the route's, then the rule's.
        needed: ScopeSet,
        /// What the challenge asks for: `needed`, then the scopes of this route that the token already has.
        challenge: ScopeSet,
        /// The rule that decided, for the audit record.
        rule: RuleId,
        /// What that rule has people told.
        message: Option<Arc<str>>,
    },
    /// No scope would help.
    NotPermitted {
        /// The rule that decided.
        rule: RuleId,
        /// What that rule has people told.
        message: Option<Arc<str>>,
        /// The revision does not define the method: 404 -32601.
        undefined_method: bool,
    },
    /// Denied as if there were no such thing (`denial: hide`).
    Hidden {
        /// What there is none of.
        unknown: Unknown,
        /// Why, for the audit record alone.
        denial: Box<Denial>,
    },
}

/// What a server does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the kinds of names that MCP has")]
pub enum Unknown {
    Tool,
    Prompt,
    Resource,
}

/// The fault of an access token: for the audit record, not for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of DESIGN §3, one for one")]
pub enum TokenFault {
    Malformed,
    Algorithm,
    UnknownKey,
    Signature,
    Expired,
    NotYetValid,
    Issuer,
    Audience,
    Type,
    Claim,
}

/// Anything but policy that ends a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the rows of DESIGN §3, one for one")]
pub enum Failure {
    /// Head or framing: 400, 411, 414, 417 or 431.
    MalformedRequest {
        status: StatusCode,
        detail: &'static str,
    },
    Misdirected,
    NoRoute,
    MethodNotAllowed {
        allow: &'static str,
    },
    OriginNotAllowed,
    MissingToken,
    InvalidRequest,
    InvalidToken(TokenFault),
    SessionNotFound,
    BodyTooLarge,
    BodyTimeout,
    MediaType {
        detail: &'static str,
    },
    MalformedMessage {
        code: i32,
        detail: &'static str,
    },
    HeaderMismatch {
        detail: &'static str,
    },
    UnsupportedRevision {
        requested: String,
    },
    /// `limit`: the key of the file that says how much, for the audit record.
    RateLimited {
        retry_after_secs: u64,
        limit: &'static str,
    },
    KeysUnavailable {
        retry_after_secs: u64,
    },
    /// `limit`: the key of the file that says how much, for the audit record.
    Overloaded {
        retry_after_secs: u64,
        limit: &'static str,
    },
    ShuttingDown {
        retry_after_secs: u64,
    },
    UpstreamUnreachable {
        detail: &'static str,
    },
    UpstreamTimeout {
        detail: &'static str,
    },
    /// `location`: that of a redirect, for the audit record alone.
    UpstreamProtocol {
        detail: &'static str,
        location: Option<String>,
    },
    UpstreamUnauthorized,
    Internal {
        detail: &'static str,
    },
}

impl From<Denial> for Cause {
    fn from(denial: Denial) -> Self {
        Self::Denial(denial)
    }
}

impl From<Failure> for Cause {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<BearerFault> for Failure {
    fn from(fault: BearerFault) -> Self {
        match fault {
            BearerFault::Missing => Self::MissingToken,
            BearerFault::Invalid => Self::InvalidRequest,
            BearerFault::TooLong => Self::InvalidToken(TokenFault::Malformed),
        }
    }
}

impl<T: Into<Cause>> From<T> for Rejection {
    fn from(cause: T) -> Self {
        Self { cause: cause.into(), answers: Answers::Nothing }
    }
}

impl Rejection {
    /// The same refusal, answering the request `id`.
    #[must_use]
    pub fn with_id(self, id: Option<MessageId>) -> Self {
        Self { answers: id.map_or(Answers::Nothing, Answers::Request), ..self }
    }

    /// The same refusal, answering every request of what was asked.
    #[must_use]
    pub fn answering(self, asked: &Asked) -> Self {
        let answers = match asked {
            Asked::One(ask) => ask.id.clone().map_or(Answers::Nothing, Answers::Request),
            Asked::Batch(asks) => Answers::Batch(asks.iter().filter_map(|ask| Some((ask.id.clone()?, None))).collect()),
        };
        Self { answers, ..self }
    }

    /// The refusal of what was asked, from the denial of each message (`None`: permitted); at least one is denied. Of a
    /// batch the worst denial gives the status, each request gets its own, and a challenge names the scopes of all: with
    /// them none would be denied.
    #[must_use]
    pub fn of_denials(denials: Vec<Option<Denial>>, asked: &Asked) -> Self {
        let worst = denials.iter().flatten().max_by_key(|denial| denial.gravity()).cloned();
        let cause = match worst {
            Some(Denial::InsufficientScope { mut needed, mut challenge, rule, message }) => {
                for denial in denials.iter().flatten() {
                    if let Denial::InsufficientScope { needed: more, challenge: wider, .. } = denial {
                        needed.extend(more.iter());
                        challenge.extend(wider.iter());
                    }
                }
                Denial::InsufficientScope { needed, challenge, rule, message }.into()
            }
            Some(denial) => denial.into(),
            None => Failure::Internal { detail: "a refusal without a denial" }.into(),
        };
        match asked {
            Asked::One(ask) => Self { cause, answers: Answers::Nothing }.with_id(ask.id.clone()),
            Asked::Batch(asks) => {
                let answers = asks.iter().zip(denials).filter_map(|(ask, denial)| Some((ask.id.clone()?, denial)));
                Self { cause, answers: Answers::Batch(answers.collect()) }
            }
        }
    }

    /// The reason word: header, audit field, metric label.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.row().reason
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.row().status
    }

    /// The JSON-RPC error code: that of the fault where JSON-RPC or MCP has one, else the HTTP status.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.row().json_rpc_code()
    }

    /// Whether the answer must not show that the gateway refuses (`denial: hide`).
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        matches!(self.cause, Cause::Denial(Denial::Hidden { .. }))
    }

    /// How loud the log is about it.
    #[must_use]
    pub fn level(&self) -> Level {
        self.row().level
    }

    /// What happened and what to do next, in words for people. Says nothing of the token and holds nothing that the client
    /// sent.
    #[must_use]
    pub fn message(&self) -> Cow<'static, str> {
        match &self.cause {
            Cause::Denial(denial) => denial.message(),
            Cause::Failure(failure) => failure.row().message(),
        }
    }

    /// What the audit record says beyond the reason word: the token's fault, the rule's place is in a field of its own.
    /// Empty where the reason word says all.
    #[must_use]
    pub fn detail(&self) -> String {
        match &self.cause {
            Cause::Denial(denial) => denial.detail().to_owned(),
            Cause::Failure(failure) => failure.detail(),
        }
    }

    fn row(&self) -> Row {
        match &self.cause {
            Cause::Denial(denial) => denial.row(),
            Cause::Failure(failure) => failure.row(),
        }
    }
}

/// How loud the log is about a refusal: the audit record has them all, whatever the level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The client's affair.
    Debug,
    /// Something that we depend on is in trouble, or we are.
    Warn,
    /// A bug of ours.
    Error,
}

/// One row of the table of answers.
struct Row {
    reason: &'static str,
    status: StatusCode,
    /// The JSON-RPC code where it is not the status.
    code: Option<i32>,
    level: Level,
    message: &'static str,
    /// What was expected, for a client that sent something malformed.
    expected: Option<&'static str>,
}

impl Row {
    /// A refusal that is the client's affair.
    const fn client(reason: &'static str, status: StatusCode, message: &'static str) -> Self {
        Self { reason, status, code: None, level: Level::Debug, message, expected: None }
    }
    /// A refusal that the operator should hear of.
    const fn warn(reason: &'static str, status: StatusCode, message: &'static str) -> Self {
        Self { level: Level::Warn, ..Self::client(reason, status, message) }
    }
    const fn code(self, code: i32) -> Self {
        Self { code: Some(code), ..self }
    }
    const fn expected(self, expected: &'static str) -> Self {
        Self { expected: Some(expected), ..self }
    }

    fn message(&self) -> Cow<'static, str> {
        match self.expected {
            Some(expected) => format!("{}: {expected}", self.message).into(),
            None => self.message.into(),
        }
    }

    /// The code of the fault where JSON-RPC or MCP has one, else the HTTP status.
    fn json_rpc_code(&self) -> i32 {
        self.code.unwrap_or_else(|| i32::from(self.status.as_u16()))
    }
}

impl Denial {
    fn row(&self) -> Row {
        match self {
            Self::InsufficientScope { .. } => Row::client(
                "insufficient_scope",
                StatusCode::FORBIDDEN,
                "The access token lacks a scope that this needs. Get a token with the scopes listed, then repeat the request",
            ),
            Self::NotPermitted { undefined_method: false, .. } => Row::client(
                "not_permitted",
                StatusCode::FORBIDDEN,
                "This is not permitted here, and no scope would change that. Ask whoever runs this gateway for a rule",
            ),
            Self::NotPermitted { undefined_method: true, .. } => Row::client(
                "not_permitted",
                StatusCode::NOT_FOUND,
                "Method not found: this revision of MCP does not define it, and no rule of this gateway names it",
            )
            .code(METHOD_NOT_FOUND),
            Self::Hidden { unknown, denial } => {
                Row { status: StatusCode::OK, message: unknown.message(), ..denial.row() }.code(INVALID_PARAMS)
            }
        }
    }

    fn detail(&self) -> &'static str {
        match self {
            Self::NotPermitted { undefined_method: true, .. } => "the revision does not define the method",
            Self::InsufficientScope { .. } | Self::NotPermitted { .. } => "",
            Self::Hidden { denial, .. } => denial.detail(),
        }
    }

    /// The reason word.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.row().reason
    }

    /// What the rule that decided has people told. What is hidden is answered without.
    fn told(&self) -> Option<&str> {
        match self {
            Self::InsufficientScope { message, .. } | Self::NotPermitted { message, .. } => message.as_deref(),
            Self::Hidden { .. } => None,
        }
    }

    /// That, then the standard words: clients show the beginning.
    fn message(&self) -> Cow<'static, str> {
        let standard = self.row().message();
        match self.told() {
            Some(told) => {
                let end = if told.ends_with(['.', '!', '?', ':']) { "" } else { "." };
                format!("{told}{end} {standard}").into()
            }
            None => standard,
        }
    }

    /// The rule that decided.
    #[must_use]
    pub fn rule(&self) -> &RuleId {
        match self {
            Self::InsufficientScope { rule, .. } | Self::NotPermitted { rule, .. } => rule,
            Self::Hidden { denial, .. } => denial.rule(),
        }
    }

    /// All scopes that the operation needs, where they would help.
    #[must_use]
    pub fn needed(&self) -> Option<&ScopeSet> {
        match self {
            Self::InsufficientScope { needed, .. } => Some(needed),
            Self::NotPermitted { .. } => None,
            Self::Hidden { denial, .. } => denial.needed(),
        }
    }

    /// How far it is from being permitted.
    pub(crate) fn gravity(&self) -> u8 {
        match self {
            Self::Hidden { .. } => 0,
            Self::InsufficientScope { .. } => 1,
            Self::NotPermitted { .. } => 2,
        }
    }
}

impl Unknown {
    /// What servers say (MCP 2026-07-28, Tools, Prompts and Resources, Error Handling).
    fn message(self) -> &'static str {
        match self {
            Self::Tool => "Unknown tool",
            Self::Prompt => "Unknown prompt",
            Self::Resource => "Resource not found",
        }
    }
}

impl Failure {
    #[expect(clippy::too_many_lines, reason = "the table of answers, row by row; parts of it would be harder to check")]
    fn row(&self) -> Row {
        match self {
            Self::MalformedRequest { status, detail } => {
                Row::client("malformed_request", *status, "The HTTP request is malformed").expected(detail)
            }
            Self::Misdirected => Row::client(
                "misdirected",
                StatusCode::MISDIRECTED_REQUEST,
                "This gateway does not serve that host. Use the URL that its operator gave out",
            ),
            Self::NoRoute => Row::client(
                "no_route",
                StatusCode::NOT_FOUND,
                "There is no MCP server at this path. Check the path of the URL",
            ),
            Self::MethodNotAllowed { .. } => Row::client(
                "method_not_allowed",
                StatusCode::METHOD_NOT_ALLOWED,
                "This path does not take that HTTP method. Use one that the Allow header lists",
            ),
            Self::OriginNotAllowed => Row::client(
                "origin_not_allowed",
                StatusCode::FORBIDDEN,
                "Web pages of this origin may not call this server. Its operator can add it to `allowed_origins`",
            ),
            Self::MissingToken => Row::client(
                "missing_token",
                StatusCode::UNAUTHORIZED,
                "An access token is needed. Log in at the authorization server that the resource metadata names",
            ),
            Self::InvalidRequest => Row::client(
                "invalid_request",
                StatusCode::BAD_REQUEST,
                "Send exactly one Authorization header: `Bearer`, a space, the access token",
            ),
            // One text for every fault: which check failed first would help whoever forges tokens.
            Self::InvalidToken(_) => Row::client(
                "invalid_token",
                StatusCode::UNAUTHORIZED,
                "The access token is malformed, expired, or not meant for this server. Get a new one and repeat the request",
            ),
            // One text whether the session never was or is another's: its existence is nobody else's business.
            Self::SessionNotFound => Row::client(
                "session_not_found",
                StatusCode::NOT_FOUND,
                "There is no such session. Start a new one with `initialize`",
            ),
            Self::BodyTooLarge => Row::client(
                "body_too_large",
                StatusCode::PAYLOAD_TOO_LARGE,
                "The body is larger than this gateway takes. Send less at once",
            ),
            Self::BodyTimeout => Row::client(
                "body_timeout",
                StatusCode::REQUEST_TIMEOUT,
                "The body took too long to arrive. Repeat the request",
            ),
            Self::MediaType { detail } => Row::client(
                "media_type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body must be plain `application/json` in UTF-8",
            )
            .expected(detail),
            Self::MalformedMessage { code, detail } => Row::client(
                "malformed_message",
                StatusCode::BAD_REQUEST,
                "The body is not the JSON-RPC message that was expected",
            )
            .code(*code)
            .expected(detail),
            Self::HeaderMismatch { detail } => {
                Row::client("header_mismatch", StatusCode::BAD_REQUEST, "The headers do not say what the body says")
                    .code(HEADER_MISMATCH)
                    .expected(detail)
            }
            Self::UnsupportedRevision { .. } => Row::client(
                "unsupported_revision",
                StatusCode::BAD_REQUEST,
                "This revision of MCP is not spoken here. Use one of those listed",
            )
            .code(UNSUPPORTED_REVISION),
            Self::RateLimited { .. } => Row::client(
                "rate_limited",
                StatusCode::TOO_MANY_REQUESTS,
                "You ask for more here than you may at a time. Wait, or close streams that you no longer need",
            ),
            Self::KeysUnavailable { .. } => Row::warn(
                "keys_unavailable",
                StatusCode::SERVICE_UNAVAILABLE,
                "The authorization server's keys cannot be had at the moment. Repeat the request later",
            ),
            Self::Overloaded { .. } => Row::warn(
                "overloaded",
                StatusCode::SERVICE_UNAVAILABLE,
                "This gateway has too much to do. Repeat the request later",
            ),
            Self::ShuttingDown { .. } => Row::client(
                "shutting_down",
                StatusCode::SERVICE_UNAVAILABLE,
                "This gateway is shutting down. Repeat the request on a new connection",
            ),
            Self::UpstreamUnreachable { .. } => Row::warn(
                "upstream_unreachable",
                StatusCode::BAD_GATEWAY,
                "The MCP server cannot be reached. Repeat the request later",
            ),
            Self::UpstreamTimeout { .. } => Row::warn(
                "upstream_timeout",
                StatusCode::GATEWAY_TIMEOUT,
                "The MCP server took too long to answer. The request may have had its effect",
            ),
            Self::UpstreamProtocol { .. } => Row::warn(
                "upstream_protocol",
                StatusCode::BAD_GATEWAY,
                "The MCP server gave an answer that cannot be passed on. Tell whoever runs this gateway",
            ),
            Self::UpstreamUnauthorized => Row::warn(
                "upstream_unauthorized",
                StatusCode::BAD_GATEWAY,
                "The MCP server refused this gateway. A new access token will not help; tell whoever runs the gateway",
            ),
            Self::Internal { .. } => Row {
                level: Level::Error,
                ..Row::client(
                    "internal",
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "This gateway has a bug. Tell whoever runs it, with the time of this answer",
                )
            },
        }
    }

    /// The same for a failure by itself.
    #[must_use]
    pub fn detail(&self) -> String {
        match self {
            Self::MalformedRequest { detail, .. }
            | Self::MediaType { detail }
            | Self::MalformedMessage { detail, .. }
            | Self::HeaderMismatch { detail }
            | Self::UpstreamUnreachable { detail }
            | Self::UpstreamTimeout { detail }
            | Self::UpstreamProtocol { detail, location: None }
            | Self::Internal { detail } => (*detail).to_owned(),
            Self::UpstreamProtocol { detail, location: Some(location) } => {
                // What follows may be a secret of the server's login page.
                let place = location.split(['?', '#']).next().unwrap_or_default();
                format!("{detail}: {}", place.chars().take(LOCATION_CHARS_MAX).collect::<String>())
            }
            Self::RateLimited { limit, .. } | Self::Overloaded { limit, .. } => (*limit).to_owned(),
            Self::InvalidToken(fault) => fault.as_str().to_owned(),
            Self::UnsupportedRevision { requested } => requested.clone(),
            Self::Misdirected
            | Self::NoRoute
            | Self::MethodNotAllowed { .. }
            | Self::OriginNotAllowed
            | Self::MissingToken
            | Self::InvalidRequest
            | Self::SessionNotFound
            | Self::BodyTooLarge
            | Self::BodyTimeout
            | Self::KeysUnavailable { .. }
            | Self::ShuttingDown { .. }
            | Self::UpstreamUnauthorized => String::new(),
        }
    }
}

impl TokenFault {
    /// The word of the audit record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Type => "type",
            Self::Claim => "claim",
        }
    }
}

/// Every reason word with the statuses that it comes with, for the documents that list them.
pub const REASONS: [(&str, &[u16]); 26] = [
    ("malformed_request", &[400, 411, 414, 417, 431]),
    ("misdirected", &[421]),
    ("no_route", &[404]),
    ("method_not_allowed", &[405]),
    ("origin_not_allowed", &[403]),
    ("missing_token", &[401]),
    ("invalid_request", &[400]),
    ("invalid_token", &[401]),
    ("session_not_found", &[404]),
    ("body_too_large", &[413]),
    ("body_timeout", &[408]),
    ("media_type", &[415]),
    ("malformed_message", &[400]),
    ("header_mismatch", &[400]),
    ("unsupported_revision", &[400]),
    ("insufficient_scope", &[403]),
    ("not_permitted", &[403, 404]),
    ("rate_limited", &[429]),
    ("keys_unavailable", &[503]),
    ("overloaded", &[503]),
    ("shutting_down", &[503]),
    ("upstream_unreachable", &[502]),
    ("upstream_timeout", &[504]),
    ("upstream_protocol", &[502]),
    ("upstream_unauthorized", &[502]),
    ("internal", &[500]),
];

/// Of where a server redirects to, in logs.
const LOCATION_CHARS_MAX: usize = 256;

/// JSON-RPC 2.0 §5.1.
const METHOD_NOT_FOUND: i32 = -32601;
/// MCP 2026-07-28, Streamable HTTP, Server Validation.
const HEADER_MISMATCH: i32 = -32020;
/// MCP 2026-07-28, Versioning.
const UNSUPPORTED_REVISION: i32 = -32022;

#[cfg(test)]
mod tests;

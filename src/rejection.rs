//! Every reason to refuse a request, as facts; and the one table that maps each to its reason word, status and
//! JSON-RPC code. The reason word is a public contract (header `Gatepost-Reason`, audit field, metric label).

use std::fmt;

use http::StatusCode;

use crate::mcp::message::MessageId;
use crate::oauth::scope::ScopeSet;

/// A refusal: why, and the id of the request it answers where that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Why.
    pub cause: Cause,
    /// The JSON-RPC `id` to answer with.
    pub id: Option<MessageId>,
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
    },
    /// No scope would help.
    NotPermitted {
        /// The rule that decided.
        rule: RuleId,
        /// The revision does not define the method: 404 -32601.
        undefined_method: bool,
    },
}

/// Which rule decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleId {
    /// `required_scopes` of the route.
    Required,
    /// `rules[n]`, counted from 0.
    Rule(usize),
    /// `default`.
    Default,
    /// Built in: no rule can permit it (an unnamed method, a name that no wildcard may match).
    BuiltIn,
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Required => f.write_str("required_scopes"),
            Self::Rule(place) => write!(f, "rules[{place}]"),
            Self::Default => f.write_str("default"),
            Self::BuiltIn => f.write_str("built_in"),
        }
    }
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
    KeysUnavailable {
        retry_after_secs: u64,
    },
    Overloaded {
        retry_after_secs: u64,
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

impl<T: Into<Cause>> From<T> for Rejection {
    fn from(cause: T) -> Self {
        Self { cause: cause.into(), id: None }
    }
}

impl Rejection {
    /// The same refusal, answering the request `id`.
    #[must_use]
    pub fn with_id(self, id: Option<MessageId>) -> Self {
        Self { id, ..self }
    }
}

impl Rejection {
    /// stub
    pub fn reason(&self) -> &'static str {
        "stub"
    }
    /// stub
    pub fn status(&self) -> StatusCode {
        StatusCode::FORBIDDEN
    }
    /// stub
    pub fn detail(&self) -> String {
        String::new()
    }
    /// stub
    pub fn to_json_rpc(&self) -> Vec<u8> {
        Vec::new()
    }
}
impl std::fmt::Display for RuleId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}

//! The names that MCP defines, over all its revisions: the members of a message that decisions rest on or that a
//! lookalike could stand for, and the methods.
//!
//! A name missing here weakens a check: the tables are the union of the published schemas and of the tasks extension.

use std::borrow::Cow;

use super::strict;

/// Where a value stands in a message, as far as inspection cares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Place {
    /// The whole document: a message, or a batch.
    #[default]
    Document,
    /// An element of a batch.
    Element,
    Jsonrpc,
    Id,
    Method,
    Params,
    Result,
    Error,
    /// `params.name`.
    Name,
    /// `params.uri`.
    Uri,
    /// `params.taskId`.
    TaskId,
    /// `params.protocolVersion`.
    ProtocolVersion,
    /// `params.ref`.
    Reference,
    /// `params.ref.type`.
    ReferenceKind,
    /// `params.ref.name`.
    ReferenceName,
    /// `params.ref.uri`.
    ReferenceUri,
    /// `params.notifications`.
    Notifications,
    /// `params.notifications.resourceSubscriptions`.
    Subscriptions,
    /// An element of it.
    Subscription,
    /// `params.notifications.taskIds`.
    TaskIds,
    /// `params._meta`.
    Meta,
    /// `params._meta["io.modelcontextprotocol/protocolVersion"]`.
    MetaProtocolVersion,
    /// `params._meta.traceparent`.
    TraceParent,
    /// `params._meta.tracestate`.
    TraceState,
    /// Anywhere else: read strictly, and left alone.
    Elsewhere,
}

/// A member that is not one MCP defines but that a lenient parser takes for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lookalike;

impl Place {
    /// The place of the member `name` of an object at this place.
    pub(super) fn member(self, name: &str) -> Result<Self, Lookalike> {
        let defined = match self {
            Self::Document | Self::Element => ENVELOPE,
            Self::Params => PARAMS,
            Self::Reference => REFERENCE,
            Self::Notifications => NOTIFICATIONS,
            Self::Meta => META,
            Self::Jsonrpc
            | Self::Id
            | Self::Method
            | Self::Result
            | Self::Error
            | Self::Name
            | Self::Uri
            | Self::TaskId
            | Self::ProtocolVersion
            | Self::ReferenceKind
            | Self::ReferenceName
            | Self::ReferenceUri
            | Self::Subscriptions
            | Self::Subscription
            | Self::TaskIds
            | Self::MetaProtocolVersion
            | Self::TraceParent
            | Self::TraceState
            | Self::Elsewhere => return Ok(Self::Elsewhere),
        };
        if let Some((_, place)) = defined.iter().find(|(defined, _)| *defined == name) {
            return Ok(*place);
        }
        // Folded once and cut, not once per defined name, and visible ASCII not at all but for its case: a body may hold
        // very many members, and long ones.
        let folded = if name.bytes().all(|byte| byte.is_ascii_graphic()) {
            Cow::Borrowed(name)
        } else {
            strict::folded(name).take(NAME_CHARS_MAX + 1).collect::<String>().into()
        };
        // Go's encoding/json lets `Name` and `paramſ` overwrite `name` and `params`: the server would act on what was
        // never authorized.
        let is_folded = defined.iter().any(|(defined, _)| defined.eq_ignore_ascii_case(&folded));
        // pydantic and the JSON form of protobuf take `resource_subscriptions` for `resourceSubscriptions`. Where no
        // decision rests on the member, the other spelling is some extension's own.
        let open = [Self::Elsewhere, Self::TraceParent, Self::TraceState];
        let decisive = defined.iter().filter(|(_, place)| !open.contains(place));
        let is_respelt = decisive.into_iter().any(|(defined, _)| strict::same_words(defined, &folded));
        // A server in JavaScript that copies members one by one makes those inside `__proto__` the message's own.
        let is_prototype = folded == "__proto__";
        if is_folded || is_respelt || is_prototype {
            return Err(Lookalike);
        }
        Ok(Self::Elsewhere)
    }

    /// The place of an element of an array at this place.
    pub(super) fn element(self) -> Self {
        if self == Self::Document {
            Self::Element
        } else if self == Self::Subscriptions {
            Self::Subscription
        } else {
            Self::Elsewhere
        }
    }
}

/// Members of a message (JSON-RPC 2.0 §4, §5).
const ENVELOPE: &[(&str, Place)] = &[
    ("jsonrpc", Place::Jsonrpc),
    ("id", Place::Id),
    ("method", Place::Method),
    ("params", Place::Params),
    ("result", Place::Result),
    ("error", Place::Error),
];

/// Members of `params` of every request and notification that a client sends, in any revision and in the tasks extension.
const PARAMS: &[(&str, Place)] = &[
    ("_meta", Place::Meta),
    ("name", Place::Name),
    ("arguments", Place::Elsewhere),
    ("uri", Place::Uri),
    ("taskId", Place::TaskId),
    ("ref", Place::Reference),
    ("notifications", Place::Notifications),
    ("protocolVersion", Place::ProtocolVersion),
    ("argument", Place::Elsewhere),
    ("capabilities", Place::Elsewhere),
    ("clientInfo", Place::Elsewhere),
    ("context", Place::Elsewhere),
    ("createdAt", Place::Elsewhere),
    ("cursor", Place::Elsewhere),
    ("inputResponses", Place::Elsewhere),
    ("lastUpdatedAt", Place::Elsewhere),
    ("level", Place::Elsewhere),
    ("message", Place::Elsewhere),
    ("pollInterval", Place::Elsewhere),
    ("progress", Place::Elsewhere),
    ("progressToken", Place::Elsewhere),
    ("reason", Place::Elsewhere),
    ("requestId", Place::Elsewhere),
    ("requestState", Place::Elsewhere),
    ("status", Place::Elsewhere),
    ("statusMessage", Place::Elsewhere),
    ("task", Place::Elsewhere),
    ("total", Place::Elsewhere),
    ("ttl", Place::Elsewhere),
];

/// Members of `params.ref` (`PromptReference`, `ResourceTemplateReference`).
const REFERENCE: &[(&str, Place)] = &[
    ("type", Place::ReferenceKind),
    ("name", Place::ReferenceName),
    ("uri", Place::ReferenceUri),
    ("title", Place::Elsewhere),
];

/// Members of `params.notifications` (`SubscriptionFilter`; `taskIds` is the tasks extension's).
const NOTIFICATIONS: &[(&str, Place)] = &[
    ("resourceSubscriptions", Place::Subscriptions),
    ("taskIds", Place::TaskIds),
    ("toolsListChanged", Place::Elsewhere),
    ("promptsListChanged", Place::Elsewhere),
    ("resourcesListChanged", Place::Elsewhere),
];

/// Members of `params._meta` that MCP reserves in what a client sends (MCP 2026-07-28, Overview, `_meta`).
const META: &[(&str, Place)] = &[
    ("io.modelcontextprotocol/protocolVersion", Place::MetaProtocolVersion),
    ("io.modelcontextprotocol/clientInfo", Place::Elsewhere),
    ("io.modelcontextprotocol/clientCapabilities", Place::Elsewhere),
    ("io.modelcontextprotocol/logLevel", Place::Elsewhere),
    ("io.modelcontextprotocol/subscriptionId", Place::Elsewhere),
    ("io.modelcontextprotocol/related-task", Place::Elsewhere),
    ("progressToken", Place::Elsewhere),
    ("traceparent", Place::TraceParent),
    ("tracestate", Place::TraceState),
    ("baggage", Place::Elsewhere),
];

/// No defined name is longer.
const NAME_CHARS_MAX: usize = 64;

/// Requests that need `required_scopes` alone: lifecycle, ping, `logging/setLevel`, the lists.
pub(super) const CORE_REQUESTS: &[&str] = &[
    "initialize",
    "server/discover",
    "ping",
    "logging/setLevel",
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
];

/// Notifications that a client sends, in any revision.
pub(super) const CORE_NOTIFICATIONS: &[&str] = &[
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
    "notifications/roots/list_changed",
    "notifications/tasks/status",
];

/// Requests that are policed by what they name.
pub(super) const NAMING_REQUESTS: &[&str] = &[
    "tools/call",
    "prompts/get",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "subscriptions/listen",
    "completion/complete",
];

/// Further requests of some revision or of the tasks extension, whichever side sends them.
pub(super) const OTHER_REQUESTS: &[&str] = &[
    "tasks/get",
    "tasks/update",
    "tasks/cancel",
    "tasks/result",
    "tasks/list",
    "roots/list",
    "sampling/createMessage",
    "elicitation/create",
];

/// The requests of a client that 2026-07-28 defines (its schema's `ClientRequest`).
pub(super) const REQUESTS_2026_07_28: &[&str] = &[
    "server/discover",
    "tools/list",
    "tools/call",
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "subscriptions/listen",
    "completion/complete",
];

/// What the method of every notification that MCP defines begins with.
pub(super) const NOTIFICATION_PREFIX: &str = "notifications/";

/// Whether MCP defines `method` as a request.
pub(super) fn is_request(method: &str) -> bool {
    [CORE_REQUESTS, NAMING_REQUESTS, OTHER_REQUESTS].iter().any(|methods| methods.contains(&method))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_bounds_of_the_cut() {
        for (name, _) in [ENVELOPE, PARAMS, REFERENCE, NOTIFICATIONS, META].concat() {
            assert!(name.is_ascii() && name.len() <= NAME_CHARS_MAX, "{name}");
        }
    }

    #[test]
    fn every_defined_member_has_no_lookalike_beside_it() {
        let tables = [
            (Place::Document, ENVELOPE),
            (Place::Element, ENVELOPE),
            (Place::Params, PARAMS),
            (Place::Reference, REFERENCE),
            (Place::Notifications, NOTIFICATIONS),
            (Place::Meta, META),
        ];
        for (parent, defined) in tables {
            for (name, place) in defined {
                assert_eq!(parent.member(name), Ok(*place), "{parent:?} {name}");
                let variants = [
                    name.to_ascii_uppercase(),
                    name.replacen('s', "\u{17F}", 1),
                    name.replacen('k', "\u{212A}", 1),
                    format!("{name}\0"),
                    format!("{name}\0x"),
                    format!("{}\0{name}", name.to_ascii_uppercase()),
                    format!("{name} "),
                    format!("\u{FEFF}{name}"),
                ];
                for variant in variants.iter().filter(|variant| variant != name) {
                    assert_eq!(parent.member(variant), Err(Lookalike), "{parent:?} {variant:?}");
                }
            }
        }
    }

    #[test]
    fn members_have_their_places() {
        use Place::{Document, Element, Elsewhere, Meta, Notifications, Params, Reference};
        let check = |parent: Place, name: &str, expect: Result<Place, Lookalike>| {
            assert_eq!(parent.member(name), expect, "{parent:?} {name:?}");
        };
        check(Document, "method", Ok(Place::Method));
        check(Element, "method", Ok(Place::Method));
        check(Document, "Method", Err(Lookalike));
        check(Document, "name", Ok(Elsewhere));
        check(Document, "Name", Ok(Elsewhere));
        check(Params, "name", Ok(Place::Name));
        check(Params, "NAME", Err(Lookalike));
        check(Params, "argument\u{17F}", Err(Lookalike));
        check(Params, "tas\u{212A}Id", Err(Lookalike));
        check(Params, "names", Ok(Elsewhere));
        check(Params, "method", Ok(Elsewhere));
        check(Reference, "type", Ok(Place::ReferenceKind));
        check(Reference, "Type", Err(Lookalike));
        check(Notifications, "resourcesubscriptions", Err(Lookalike));
        check(Notifications, "resource_subscriptions", Err(Lookalike));
        check(Notifications, "Resource-Subscriptions", Err(Lookalike));
        check(Notifications, "task_ids", Err(Lookalike));
        check(Notifications, "tools_list_changed", Ok(Elsewhere));
        check(Params, "meta", Err(Lookalike));
        check(Params, "task_id", Err(Lookalike));
        check(Params, "request_id", Ok(Elsewhere));
        check(Params, "__proto__", Err(Lookalike));
        check(Elsewhere, "__proto__", Ok(Elsewhere));
        check(Meta, "io.modelcontextprotocol/ProtocolVersion", Err(Lookalike));
        check(Meta, "com.example/Anything", Ok(Elsewhere));
        check(Meta, &"x".repeat(100_000), Ok(Elsewhere));
        check(Elsewhere, "Name", Ok(Elsewhere));
        check(Place::Name, "name", Ok(Elsewhere));
    }

    #[test]
    fn a_request_of_2026_07_28_is_known_as_a_request() {
        assert!(REQUESTS_2026_07_28.iter().all(|method| is_request(method)));
        assert!(!is_request("notifications/initialized"));
        assert!(!is_request("acme/reindex"));
    }
}

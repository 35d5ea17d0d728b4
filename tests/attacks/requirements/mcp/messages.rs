//! What the base protocol demands of messages: versions, lifecycle, patterns and their older forms.

use super::super::HeldBy::{NotOurs, Test};
use super::super::Row;

pub(super) const ROWS: &[Row] = &[
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Base Protocol",
        says: "base protocol and lifecycle (versioning, since 2026-07-28) are supported",
        held_by: Test("tests/it/tools.rs#the_core_methods_need_the_routes_scopes_alone"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Base Protocol, Messages",
        says: "messages follow JSON-RPC 2.0: what comes in",
        held_by: Test("tests/it/bodies.rs#json_that_is_no_message"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Base Protocol, Messages",
        says: "messages follow JSON-RPC 2.0: what we answer",
        held_by: Test("src/rejection/tests.rs#bodies_are_json_rpc_errors"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Base Protocol, Requests",
        says: "a request has an id, a string or an integer, and not null",
        held_by: Test("tests/attacks/c_bodies.rs#c13_ids"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Base Protocol, Requests",
        says: "an id is not used twice",
        held_by: NotOurs("falls on who sends requests; equal ids of two callers do not mix (row D7)"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Base Protocol, Responses",
        says: "a response has the id of its request, unless that could not be read",
        held_by: Test("tests/it/bodies.rs#the_id_is_returned_where_it_was_read"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Base Protocol, Responses",
        says: "so has the error in the place of an event that does not pass",
        held_by: Test(
            "tests/it/lists.rs#what_is_not_understood_on_a_listening_stream_is_an_error_with_the_id_of_its_response",
        ),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Base Protocol, Responses",
        says: "a response has a result or an error, never both",
        held_by: Test("tests/attacks/c_bodies.rs#c14_hybrids"),
    },
    Row {
        source: "MCP 2026-07-28, Base Protocol, ResultType",
        says: "a result says its `resultType`; unknown ones are invalid, an absent one is `complete`",
        held_by: NotOurs("falls on servers and clients; the gateway makes no results"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Base Protocol, Error Responses",
        says: "an error has a code, an integer, and a message",
        held_by: Test("src/rejection/tests.rs#bodies_are_json_rpc_errors"),
    },
    Row {
        source: "MCP 2026-07-28, Base Protocol, Error Codes",
        says: "codes of the reserved ranges are used as defined, and no others of them",
        held_by: Test("tests/attacks/d_headers.rs#d4_reserved_codes"),
    },
    Row {
        source: "MCP 2026-07-28, Base Protocol, Error Codes",
        says: "codes of earlier revisions are not used: what is hidden is -32602, never -32002",
        held_by: Test("tests/it/modes.rs#a_denied_name_cannot_be_told_from_one_that_does_not_exist"),
    },
    Row {
        source: "MCP 2026-07-28, Base Protocol, Error Codes",
        says: "codes for what MCP does not define stand outside of the reserved range",
        held_by: Test("tests/attacks/d_headers.rs#d4_reserved_codes"),
    },
    Row {
        source: "MCP 2026-07-28, Base Protocol, Error Codes",
        says: "no meaning is assumed of codes between -32000 and -32019",
        held_by: Test("tests/it/answers.rs#what_the_server_refuses_itself_passes_as_it_is"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Base Protocol, Notifications",
        says: "a notification gets no response",
        held_by: Test("tests/it/specification.rs#a_notification_that_is_refused_gets_a_status_and_no_response"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Base Protocol, Notifications",
        says: "a notification has no id",
        held_by: Test("src/mcp/message.rs#a_request_without_id_and_a_notification_with_one_are_refused"),
    },
    Row {
        source: "MCP 2026-07-28, Base Protocol, Statelessness",
        says: "nothing is known from earlier requests of a connection: not who, not which revision",
        held_by: Test("tests/it/specification.rs#a_connection_lends_no_identity_to_the_next_request"),
    },
    Row {
        source: "MCP 2026-07-28, Base Protocol, Statelessness",
        says: "requests of many tasks come together",
        held_by: Test("tests/it/streams.rs#many_streams_are_open_at_once_and_do_not_mix"),
    },
    Row {
        source: "MCP 2026-07-28, Base Protocol, Statelessness",
        says: "no request needs the connection of another, nor the same process",
        held_by: Test("tests/it/sessions.rs#replicas_share_sessions_until_the_key_is_rotated_out"),
    },
    Row {
        source: "MCP 2026-07-28, Base Protocol, Statelessness",
        says: "state is referred to by explicit handles; processes outlive tasks",
        held_by: NotOurs("falls on servers and clients; the gateway keeps no state of theirs"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Base Protocol, Auth",
        says: "HTTP implementations conform to the authorization chapter, stdio ones do not",
        held_by: Test("tests/it/answers.rs#missing_token"),
    },
    Row {
        source: "MCP 2025-11-25, 2026-07-28, Base Protocol, JSON Schema Usage",
        says: "dialects, validation, `$ref`, and bounds of what a schema may cost",
        held_by: NotOurs("falls on servers and clients; the gateway validates by no schema and fetches none"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Base Protocol, _meta",
        says: "nothing is assumed of reserved keys: what is not ours to read passes",
        held_by: Test("tests/attacks/c_bodies.rs#c16_false_positives"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Base Protocol, _meta",
        says: "how keys are named",
        held_by: NotOurs("falls on who invents keys; the gateway invents none"),
    },
    Row {
        source: "MCP 2026-07-28, Base Protocol, Request _meta",
        says: "a request without its protocol version is answered with 400 and -32602",
        held_by: Test("tests/it/tools.rs#the_newest_revision_says_itself_twice"),
    },
    Row {
        source: "MCP 2026-07-28, Base Protocol, Request _meta",
        says: "a request without its client capabilities is, too",
        held_by: NotOurs("falls on the server, whose affair capabilities are: it gets the request and its 400 passes"),
    },
    Row {
        source: "MCP 2026-07-28, Base Protocol, Request _meta",
        says: "only declared capabilities are relied on, else MissingRequiredClientCapabilityError",
        held_by: NotOurs("falls on the server; its 400 passes"),
    },
    Row {
        source: "MCP 2026-07-28, Base Protocol, Request _meta",
        says: "clients say who they are, servers too; neither is believed where it matters",
        held_by: NotOurs("falls on servers and clients; no decision reads clientInfo or serverInfo"),
    },
    Row {
        source: "MCP 2026-07-28, Base Protocol, Notification _meta",
        says: "what comes on a subscription says which",
        held_by: Test("tests/it/specification.rs#a_subscription_begins_and_ends_as_the_server_says"),
    },
    Row {
        source: "MCP 2026-07-28, Base Protocol, Trace Context",
        says: "traceparent, tracestate and baggage have the forms of W3C",
        held_by: Test("src/mcp/trace.rs#a_traceparent_is_read_as_w3c_says"),
    },
    Row {
        source: "MCP 2025-11-25, 2026-07-28, Base Protocol, icons",
        says: "media types, schemes and precautions",
        held_by: NotOurs("falls on clients"),
    },
    Row {
        source: "MCP 2026-07-28, Versioning, Protocol Version Negotiation",
        says: "a revision that is not spoken is answered with UnsupportedProtocolVersionError and a list",
        held_by: Test("tests/it/answers.rs#unsupported_revision"),
    },
    Row {
        source: "MCP 2026-07-28, Versioning, Protocol Version Negotiation",
        says: "the client picks one of the list",
        held_by: NotOurs("falls on clients"),
    },
    Row {
        source: "MCP 2026-07-28, Versioning, Protocol Version Negotiation",
        says: "`server/discover` is implemented: it goes on to the server",
        held_by: Test("tests/it/tools.rs#the_newest_revision_says_itself_twice"),
    },
    Row {
        source: "MCP 2026-07-28, Versioning, Extension Negotiation",
        says: "an extension that one side lacks is rejected or left out: its methods pass by a rule alone",
        held_by: Test("tests/it/tools.rs#a_named_method_is_decided_by_its_rule"),
    },
    Row {
        source: "MCP 2026-07-28, Versioning, Extension Negotiation",
        says: "keys of extensions are named like those of `_meta`; fallbacks are documented",
        held_by: NotOurs("falls on who writes extensions"),
    },
    Row {
        source: "MCP 2026-07-28, Versioning, Backward Compatibility",
        says: "clients remember what a server speaks; servers name their revisions to `initialize`",
        held_by: NotOurs("falls on clients and servers; `initialize` goes on to the server"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Lifecycle, Initialization",
        says: "`initialize` is first, is answered with capabilities, and is followed by `initialized`",
        held_by: NotOurs("falls on clients and servers; all three pass"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Lifecycle, Initialization",
        says: "the three pass, each by the route's scopes alone",
        held_by: Test("tests/it/tools.rs#the_core_methods_need_the_routes_scopes_alone"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Lifecycle, Version Negotiation",
        says: "both sides offer what they support, at best the latest, or part",
        held_by: NotOurs("falls on clients and servers; the answer to `initialize` passes as it is"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Lifecycle, Version Negotiation",
        says: "by HTTP the header follows on every request",
        held_by: Test("tests/it/tools.rs#unknown_revisions_are_refused_and_the_spoken_ones_pass"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Lifecycle, Operation",
        says: "the negotiated version and capabilities are respected",
        held_by: NotOurs("falls on clients and servers"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Lifecycle, Shutdown",
        says: "how a stdio server is ended",
        held_by: NotOurs("the gateway does not speak stdio"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Lifecycle, Timeouts",
        says: "every request that is sent has a timeout",
        held_by: Test("tests/it/answers.rs#upstream_timeout"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Lifecycle, Timeouts",
        says: "who gives up sends a cancellation",
        held_by: NotOurs("falls on who sent the request, the client; the gateway closes its connection to the server"),
    },
    Row {
        source: "MCP 2026-07-28, Cancellation, Timeouts",
        says: "every request that is sent has a timeout; who gives up closes its stream",
        held_by: Test("tests/it/answers.rs#upstream_timeout"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Lifecycle, Timeouts, and 2026-07-28, Cancellation, Timeouts",
        says: "SDKs let timeouts be set for each request",
        held_by: NotOurs("falls on SDKs; here each upstream has its own"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Lifecycle, Timeouts, and 2026-07-28, Cancellation, Timeouts",
        says: "a maximum holds whatever progress is reported",
        held_by: NotOurs("falls on who waits, the client; here a stream that nobody reads is cut"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Lifecycle, Error Handling",
        says: "mismatched versions, failed negotiation and timeouts are prepared for",
        held_by: Test("tests/it/answers.rs#unsupported_revision"),
    },
    Row {
        source: "MCP 2026-07-28, Cancellation",
        says: "a server that tears down a subscription says so by `notifications/cancelled`",
        held_by: NotOurs("speaks of stdio, as the schema has it; by HTTP the stream is closed"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Cancellation",
        says: "what may be cancelled, how, what then stops, and what is ignored or logged",
        held_by: NotOurs("falls on clients and servers; `notifications/cancelled` passes in both directions"),
    },
    Row {
        source: "MCP 2026-07-28, Cancellation, Transport-Specific Cancellation",
        says: "by HTTP a client's disconnection is the cancellation",
        held_by: Test("tests/it/streams.rs#a_client_that_leaves_is_noticed_by_the_server"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Ping",
        says: "a ping is answered promptly and sent now and then",
        held_by: NotOurs("falls on clients and servers; `ping` goes on to the server"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Progress",
        says: "tokens are unique, progress grows and stops",
        held_by: NotOurs("falls on clients and servers"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Progress",
        says: "what is reported arrives as it is reported",
        held_by: Test("tests/it/streams.rs#progress_events_arrive_one_by_one"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Progress, Implementation Notes",
        says: "both sides limit the rate of it",
        held_by: NotOurs("falls on who sends it; a client that cannot follow makes the server wait (row I6)"),
    },
    Row {
        source: "MCP 2026-07-28, Patterns",
        says: "servers initiate no requests",
        held_by: NotOurs("falls on the server; what it sends besides passes, since older revisions have them"),
    },
    Row {
        source: "MCP 2026-07-28, Multi Round-Trip Requests",
        says: "a retry is a request of its own, decided anew",
        held_by: Test("tests/attacks/c_bodies.rs#c17_other_roads_to_a_tool"),
    },
    Row {
        source: "MCP 2026-07-28, Multi Round-Trip Requests",
        says: "what may be asked for, by which keys, and how `requestState` is protected, echoed and checked",
        held_by: NotOurs("falls on servers and clients; both members pass as they are"),
    },
    Row {
        source: "MCP 2026-07-28, Multi Round-Trip Requests",
        says: "`requestState` is bound to the principal",
        held_by: NotOurs("falls on the server, which learns by `identity` who calls"),
    },
    Row {
        source: "MCP 2026-07-28, Subscriptions",
        says: "no kind of notification is sent that was not asked for; asked for is only what is permitted",
        held_by: Test("tests/it/tools.rs#every_uri_that_is_listened_to_is_decided"),
    },
    Row {
        source: "MCP 2026-07-28, Subscriptions, Acknowledgment",
        says: "the acknowledgment is the first message",
        held_by: Test("tests/it/specification.rs#a_subscription_begins_and_ends_as_the_server_says"),
    },
    Row {
        source: "MCP 2026-07-28, Subscriptions, Acknowledgment",
        says: "clients compare it with what they asked for, and tell subscriptions apart",
        held_by: NotOurs("falls on clients"),
    },
    Row {
        source: "MCP 2026-07-28, Subscriptions, Graceful Closure",
        says: "a server that ends a subscription answers it first",
        held_by: Test("tests/it/specification.rs#a_subscription_begins_and_ends_as_the_server_says"),
    },
    Row {
        source: "MCP 2026-07-28, Subscriptions, Graceful Closure",
        says: "so does who ends it for another reason: the token's end, a gateway that stops",
        held_by: NotOurs(
            "not followed: it is the way to the server that ends; a client that meets no response may listen anew",
        ),
    },
];

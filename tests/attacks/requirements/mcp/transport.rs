//! What the transports demand of an HTTP server, of what stands between, and towards the server behind.

use super::super::HeldBy::{NotOurs, Test};
use super::super::Row;

pub(super) const ROWS: &[Row] = &[
    Row {
        source: "MCP 2026-07-28, Transports, Messages",
        says: "messages are UTF-8",
        held_by: Test("tests/it/bodies.rs#bytes_that_are_no_utf8"),
    },
    Row {
        source: "MCP 2026-07-28, Transports, Messages",
        says: "a client's requests and notifications are delivered as they are",
        held_by: Test("tests/it/tools.rs#a_permitted_call_arrives_byte_for_byte"),
    },
    Row {
        source: "MCP 2026-07-28, Transports, Messages",
        says: "a server's responses and notifications are delivered as they are",
        held_by: Test("tests/it/tools.rs#the_answer_arrives_byte_for_byte"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Transports, Custom Transports",
        says: "custom transports preserve message format and lifecycle, and are documented",
        held_by: NotOurs("there is none"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Transports, stdio",
        says: "framing, standard streams, shutdown and probing",
        held_by: NotOurs("the gateway does not speak stdio"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Streamable HTTP",
        says: "there is one endpoint path, which takes POST",
        held_by: Test("tests/it/tools.rs#a_permitted_call_arrives_byte_for_byte"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Streamable HTTP",
        says: "the endpoint takes GET as well",
        held_by: Test("tests/it/streams.rs#a_get_stream_carries_the_servers_own_messages"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Streamable HTTP, Security Warning",
        says: "Origin is validated on everything that comes in",
        held_by: Test("tests/attacks/d_headers.rs#d8_dns_rebinding"),
    },
    Row {
        source: "MCP 2025-11-25, 2026-07-28, Streamable HTTP, Security Warning",
        says: "an Origin that is present and wrong is answered with 403",
        held_by: Test("tests/it/answers.rs#origin_not_allowed"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Streamable HTTP, Security Warning",
        says: "what runs locally is bound to loopback alone",
        held_by: Test("tests/files.rs#the_minimal_example_serves_on_loopback"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Streamable HTTP, Security Warning",
        says: "all connections are authenticated",
        held_by: Test("tests/attacks/b_authorization.rs#b1_no_credentials"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Streamable HTTP, Sending Messages",
        says: "each message is a POST of its own, which accepts JSON and event streams",
        held_by: NotOurs("falls on clients; each is sent on as one POST, with their Accept"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Streamable HTTP, Sending Messages",
        says: "towards the server the client's Accept stands",
        held_by: Test("tests/it/specification.rs#what_is_mirrored_of_arguments_goes_on_as_it_is"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Streamable HTTP, Sending Messages",
        says: "a body is one message, no batch",
        held_by: Test("tests/attacks/c_bodies.rs#c6_batches"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Sending Messages",
        says: "a client sends no responses",
        held_by: Test("tests/attacks/c_bodies.rs#c15_responses"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Streamable HTTP, Sending Messages",
        says: "an accepted notification (or response) gets 202 and no body",
        held_by: Test("tests/it/tools.rs#the_core_methods_need_the_routes_scopes_alone"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Streamable HTTP, Sending Messages",
        says: "one that is not accepted gets an HTTP error status",
        held_by: Test("tests/it/specification.rs#a_notification_that_is_refused_gets_a_status_and_no_response"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Streamable HTTP, Sending Messages",
        says: "a request is answered by JSON or an event stream: anything else does not pass where lists are filtered",
        held_by: Test("tests/it/answers.rs#upstream_protocol"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Streamable HTTP, Sending Messages",
        says: "who sends a request understands both kinds of answer",
        held_by: Test("tests/it/lists.rs#on_every_road_nothing_changes_but_hidden_entries_and_the_cache_scope"),
    },
    Row {
        source: "MCP 2025-11-25, Streamable HTTP, Sending Messages",
        says: "a stream begins with an event that has an id and no data; one that ends early says `retry`",
        held_by: Test("tests/it/lists.rs#on_every_road_nothing_changes_but_hidden_entries_and_the_cache_scope"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Streamable HTTP, Sending Messages",
        says: "clients reconnect and respect `retry`",
        held_by: NotOurs("falls on clients"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Streamable HTTP, Sending Messages",
        says: "a stream brings its response in the end and is not closed before",
        held_by: Test("tests/it/streams.rs#a_get_stream_ends_with_its_token_and_an_answer_does_not"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Streamable HTTP, Sending Messages",
        says: "messages before the response relate to the request",
        held_by: NotOurs("falls on the server; they pass as they are"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Streamable HTTP, Sending Messages",
        says: "the response ends the stream",
        held_by: Test("tests/it/streams.rs#progress_events_arrive_one_by_one"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Streamable HTTP, Sending Messages",
        says: "a disconnection is no cancellation: the server meets it and no message of ours, and decides",
        held_by: Test("tests/it/streams.rs#a_client_that_leaves_is_noticed_by_the_server"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Streamable HTTP, Sending Messages",
        says: "who cancels sends a notification, which passes",
        held_by: Test("tests/it/tools.rs#the_core_methods_need_the_routes_scopes_alone"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Receiving Messages",
        says: "no requests of the server's on a stream",
        held_by: NotOurs("falls on the server; what it sends besides passes, since older revisions have them"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Receiving Messages",
        says: "an event stream has X-Accel-Buffering: no",
        held_by: Test("tests/it/specification.rs#a_subscription_begins_and_ends_as_the_server_says"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Streamable HTTP, Listening for Messages from the Server",
        says: "a client's GET accepts event streams",
        held_by: NotOurs("falls on clients; their Accept goes on"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Streamable HTTP, Listening for Messages from the Server",
        says: "a GET is answered by an event stream",
        held_by: Test("tests/it/streams.rs#a_get_stream_carries_the_servers_own_messages"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Streamable HTTP, Listening for Messages from the Server",
        says: "or by 405, where the server has none",
        held_by: Test("tests/it/streams.rs#a_server_without_a_get_stream_says_so_itself"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Streamable HTTP, Listening for Messages from the Server",
        says: "messages there are unrelated to requests; responses only where a stream is resumed",
        held_by: NotOurs("falls on the server; lists in them are filtered whatever they answer (row E3)"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Streamable HTTP, Multiple Connections",
        says: "a message goes out on one stream alone",
        held_by: Test("tests/it/streams.rs#many_streams_are_open_at_once_and_do_not_mix"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Streamable HTTP, Resumability and Redelivery",
        says: "event ids are unique and tell their stream",
        held_by: NotOurs("falls on the server; its ids pass as they are"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Streamable HTTP, Resumability and Redelivery",
        says: "who resumes sends GET with Last-Event-ID, which goes on",
        held_by: Test("tests/it/sessions.rs#an_event_id_goes_on_only_beside_its_session"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Streamable HTTP, Resumability and Redelivery",
        says: "messages of another stream are not replayed",
        held_by: Test("tests/it/sessions.rs#an_event_id_goes_on_only_beside_its_session"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Streamable HTTP, Session Management",
        says: "session ids are unique and cryptographically secure",
        held_by: Test("tests/it/sessions.rs#an_id_that_was_tampered_with_is_unknown"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Streamable HTTP, Session Management",
        says: "session ids are visible ASCII",
        held_by: Test("tests/it/sessions.rs#the_server_gets_its_own_id_back"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Streamable HTTP, Session Management",
        says: "clients guard the id, send it with every request, start anew after a 404, and end it with DELETE",
        held_by: NotOurs("falls on clients; a DELETE goes on to the server"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Streamable HTTP, Session Management",
        says: "a request without the id that the server requires gets 400",
        held_by: Test("tests/it/answers.rs#what_the_server_refuses_itself_passes_as_it_is"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Streamable HTTP, Session Management",
        says: "an id whose session has ended gets 404 from the server, which passes",
        held_by: Test("tests/it/answers.rs#what_the_server_refuses_itself_passes_as_it_is"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Streamable HTTP, Session Management",
        says: "an id that is not the caller's gets 404",
        held_by: Test("tests/it/answers.rs#session_not_found"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Streamable HTTP, Protocol Version Header",
        says: "every request after the first has the header",
        held_by: NotOurs("falls on clients; it goes on to the server"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Streamable HTTP, Protocol Version Header",
        says: "the header names the revision that was negotiated",
        held_by: NotOurs("falls on clients; who negotiated what is between client and server"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Streamable HTTP, Protocol Version Header",
        says: "without it 2025-03-26 is assumed",
        held_by: Test("tests/it/batches.rs#a_permitted_batch_arrives_byte_for_byte_and_is_one_record"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Streamable HTTP, Protocol Version Header",
        says: "an invalid or unsupported one is answered with 400",
        held_by: Test("tests/it/answers.rs#unsupported_revision"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Protocol Version Header",
        says: "header and `_meta` name the same revision, else 400 and HeaderMismatch",
        held_by: Test("tests/it/tools.rs#unknown_revisions_are_refused_and_the_spoken_ones_pass"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Protocol Version Header",
        says: "a revision that is not spoken is answered with 400 and UnsupportedProtocolVersionError",
        held_by: Test("tests/it/answers.rs#unsupported_revision"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Protocol Version Header",
        says: "a method that is not implemented is answered with 404 and -32601",
        held_by: Test("tests/it/answers.rs#not_permitted_where_the_revision_lacks_the_method"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Protocol Version Header",
        says: "a request of this revision without the header is rejected",
        held_by: Test("tests/it/tools.rs#mirrored_headers_agree_with_the_body"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Standard Request Headers",
        says: "Mcp-Method is on every request, Mcp-Name where something is named",
        held_by: Test("tests/it/tools.rs#mirrored_headers_agree_with_the_body"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Standard Request Headers",
        says: "Mcp-Name mirrors name or URI, by method",
        held_by: Test("src/mcp/headers.rs#each_method_mirrors_its_own_member"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Standard Request Headers",
        says: "what no header can hold is sent in the base64 form",
        held_by: NotOurs("falls on clients"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Custom Headers from Tool Parameters",
        says: "`x-mcp-header` names what may be mirrored, once, of primitive and reachable parameters",
        held_by: NotOurs(
            "falls on servers that write schemas and clients that reject them; a shown tool's bytes do not change",
        ),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Custom Headers from Tool Parameters",
        says: "clients support it, mirror, omit, and fetch the list anew",
        held_by: NotOurs("falls on clients"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Value Encoding",
        says: "values are encoded safely",
        held_by: NotOurs("falls on clients"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Value Encoding",
        says: "the marks of the base64 form have one spelling",
        held_by: Test("src/mcp/headers.rs#mcp_name_is_decoded"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Value Encoding",
        says: "who inspects a value decodes it before it is compared",
        held_by: Test("tests/attacks/d_headers.rs#d1_mirrored_headers"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Server Behavior for Custom Headers",
        says: "an Mcp-Param header that is not recognized is forwarded and otherwise ignored",
        held_by: Test("tests/it/specification.rs#what_is_mirrored_of_arguments_goes_on_as_it_is"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Server Behavior for Custom Headers",
        says: "a recognized one is validated and compared, numbers as numbers",
        held_by: NotOurs(
            "none is recognized: which arguments are mirrored stands in a schema that the gateway does not read",
        ),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Case Sensitivity",
        says: "names of headers are compared without case, values with it",
        held_by: Test("tests/it/specification.rs#headers_are_found_in_any_case_and_their_values_have_one"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Server Validation",
        says: "headers that do not match the body are rejected",
        held_by: Test("tests/attacks/d_headers.rs#d1_mirrored_headers"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Server Validation",
        says: "the rejection is 400 with a JSON-RPC error -32020",
        held_by: Test("tests/it/answers.rs#header_mismatch"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Server Validation",
        says: "an intermediary rejects with an HTTP error status",
        held_by: Test("tests/attacks/d_headers.rs#d1_mirrored_headers"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Server Validation",
        says: "an intermediary trusts no mirrored header of a revision that does not compare it",
        held_by: Test("tests/attacks/d_headers.rs#d3_old_versions_with_mirrored_headers"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Cancellation",
        says: "a stream that is closed is a request that is cancelled: the server meets it at once",
        held_by: Test("tests/it/streams.rs#a_client_that_leaves_is_noticed_by_the_server"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Cancellation",
        says: "also before the answer has begun, and nothing more is sent for it",
        held_by: Test("tests/it/streams.rs#a_client_that_leaves_before_the_answer_is_noticed_too"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Backward Compatibility",
        says: "the body of a 400 is looked at before falling back",
        held_by: NotOurs("falls on clients"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Earlier Streamable HTTP Revisions",
        says: "GET and DELETE get 405",
        held_by: NotOurs("speaks of servers of this revision alone; here the server behind says it"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Earlier Streamable HTTP Revisions",
        says: "Mcp-Session-Id and Last-Event-ID of a request are ignored",
        held_by: Test("tests/it/sessions.rs#the_newest_revision_has_no_sessions"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, Earlier Streamable HTTP Revisions",
        says: "no session id is minted or echoed",
        held_by: Test("tests/it/specification.rs#the_newest_revision_is_given_no_session"),
    },
    Row {
        source: "MCP 2026-07-28, Streamable HTTP, HTTP+SSE Transport",
        says: "it is not adopted anew",
        held_by: NotOurs("not followed: a route may ask for it, for the sake of servers that speak nothing else"),
    },
];

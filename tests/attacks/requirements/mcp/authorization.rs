//! What the chapter on authorization demands of a protected resource, revision by revision.

use super::super::HeldBy::{NotOurs, Test};
use super::super::Row;

pub(super) const ROWS: &[Row] = &[
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Protocol Requirements",
        says: "HTTP implementations conform to the chapter: without a token nothing passes",
        held_by: Test("tests/attacks/b_authorization.rs#b1_no_credentials"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Protocol Requirements",
        says: "another transport follows the practices of its own protocol",
        held_by: Test("tests/it/sse_transport.rs#nobody_else_posts_to_a_stream"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Protocol Requirements",
        says: "stdio takes its credentials from the environment instead",
        held_by: NotOurs("the gateway does not speak stdio"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Overview",
        says: "authorization servers implement OAuth 2.1, metadata, and registration",
        held_by: NotOurs(
            "falls on authorization servers; the gateway is none and answers none of their endpoints (row J1)",
        ),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Overview",
        says: "clients use the resource's metadata, and both ways of finding the authorization server's",
        held_by: NotOurs("falls on clients"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Overview",
        says: "a server has protected resource metadata (RFC 9728)",
        held_by: Test("tests/it/discovery.rs#the_document_says_what_clients_need"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Authorization Server Location",
        says: "the document is there and names an authorization server",
        held_by: Test("tests/it/discovery.rs#the_document_says_what_clients_need"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Authorization Server Location",
        says: "never does a document name none: a file without an issuer is refused",
        held_by: Test("tests/attacks/k_configuration.rs#k1_files_that_open_doors"),
    },
    Row {
        source: "MCP 2025-06-18, Authorization, Authorization Server Location",
        says: "every 401 says in WWW-Authenticate where the metadata is",
        held_by: Test("tests/attacks/b_authorization.rs#b1_no_credentials"),
    },
    Row {
        source: "MCP 2025-11-25, 2026-07-28, Authorization, Protected Resource Metadata Discovery",
        says: "the metadata is found by the header of a 401",
        held_by: Test("tests/it/answers.rs#missing_token"),
    },
    Row {
        source: "MCP 2025-11-25, 2026-07-28, Authorization, Protected Resource Metadata Discovery",
        says: "the metadata is found at the well-known places of the endpoint and the root",
        held_by: Test("tests/it/discovery.rs#the_document_says_what_clients_need"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Protected Resource Metadata Discovery",
        says: "both ways are tried, WWW-Authenticate is parsed, a 401 is answered by a login",
        held_by: NotOurs("falls on clients"),
    },
    Row {
        source: "MCP 2026-07-28, Authorization, Authorization Server Location",
        says: "what was registered at one authorization server is not used at another",
        held_by: NotOurs("falls on clients"),
    },
    Row {
        source: "MCP 2025-11-25, 2026-07-28, Authorization, Scope Selection Strategy",
        says: "the challenge of a 401 has a scope parameter",
        held_by: Test("tests/it/answers.rs#missing_token"),
    },
    Row {
        source: "MCP 2025-11-25, 2026-07-28, Authorization, Scope Selection Strategy",
        says: "scope sets are made alike each time",
        held_by: Test("tests/it/answers.rs#insufficient_scope"),
    },
    Row {
        source: "MCP 2025-11-25, 2026-07-28, Authorization, Scope Selection Strategy",
        says: "the challenged scopes are authoritative; the fewest are asked for, in the order of the list",
        held_by: NotOurs("falls on clients"),
    },
    Row {
        source: "MCP 2025-11-25, 2026-07-28, Authorization, Authorization Server Metadata Discovery",
        says: "each well-known form is tried, in order (here: on the way to the keys)",
        held_by: Test("src/token/discovery.rs#metadata_is_looked_for_where_the_standards_put_it"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Authorization Server Metadata Discovery",
        says: "either form leads to what is needed",
        held_by: Test("tests/it/keys.rs#either_form_of_metadata_leads_to_the_keys"),
    },
    Row {
        source: "MCP 2026-07-28, Authorization, Authorization Server Metadata Discovery",
        says: "metadata that names another issuer is not used",
        held_by: Test("tests/it/keys.rs#metadata_is_believed_only_from_the_issuer_itself"),
    },
    Row {
        source: "MCP 2025-11-25, 2026-07-28, Authorization, Client Registration",
        says: "Client ID Metadata Documents, pre-registration, Dynamic Client Registration",
        held_by: NotOurs(
            "falls on clients and authorization servers; the gateway registers nobody and is nobody's client",
        ),
    },
    Row {
        source: "MCP 2025-06-18, Authorization, Dynamic Client Registration",
        says: "clients and authorization servers support RFC 7591",
        held_by: NotOurs("falls on clients and authorization servers"),
    },
    Row {
        source: "MCP 2026-07-28, Authorization, Authorization Server Binding",
        says: "credentials are kept by the issuer that gave them",
        held_by: NotOurs("falls on clients"),
    },
    Row {
        source: "MCP 2026-07-28, Authorization, Authorization Response Validation",
        says: "`iss` of an authorization response is recorded, sent, advertised and compared as it is",
        held_by: NotOurs("falls on clients and authorization servers; no authorization response comes here (row J1)"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Resource Parameter Implementation",
        says: "`resource` is in every authorization and token request and is the server's canonical URI",
        held_by: NotOurs("falls on clients; the URI that they send is the one of our document"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Canonical Server URI",
        says: "the most specific URI is given",
        held_by: NotOurs("falls on clients; each route's identifier is that of its endpoint"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Canonical Server URI",
        says: "a host in upper case is accepted, in requests",
        held_by: Test("tests/it/discovery.rs#the_host_is_one_of_ours"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Canonical Server URI",
        says: "scheme and host in upper case are accepted, in `aud`",
        held_by: NotOurs(
            "not followed: identifiers are compared byte for byte, as RFC 9728 §3.3 has it; clients copy ours",
        ),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Canonical Server URI",
        says: "the form without a slash at the end is the one that is used",
        held_by: Test("src/oauth/metadata.rs#documents"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Token Requirements",
        says: "tokens are used as OAuth 2.1 §5 says: in the Authorization header and nowhere else",
        held_by: Test("tests/attacks/b_authorization.rs#b2_tokens_elsewhere"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Token Requirements",
        says: "every request has one, also within a session",
        held_by: Test("tests/attacks/d_headers.rs#d5_session_hijack"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Token Requirements",
        says: "every request has one, also on a connection that brought one",
        held_by: Test("tests/it/specification.rs#a_connection_lends_no_identity_to_the_next_request"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Token Requirements",
        says: "none is in the query",
        held_by: Test("tests/attacks/b_authorization.rs#b2_tokens_elsewhere"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Token Handling",
        says: "tokens are validated as OAuth 2.1 §5.2 says",
        held_by: Test("tests/it/answers.rs#invalid_token"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Token Handling",
        says: "a token was issued for this server: its audience is this resource",
        held_by: Test("tests/attacks/a_tokens.rs#a10_audiences"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Token Handling",
        says: "what fails is answered as OAuth 2.1 §5.3 says, an invalid token with 401",
        held_by: Test("tests/it/answers.rs#invalid_token"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Token Handling",
        says: "an expired token is answered with 401",
        held_by: Test("tests/attacks/a_tokens.rs#a9_times"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Token Handling",
        says: "no tokens are sent but those that the server's authorization server issued",
        held_by: NotOurs("falls on clients; one of another issuer is refused (row A11)"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Token Handling",
        says: "only tokens that are good for this very resource are accepted",
        held_by: Test("tests/it/discovery.rs#a_token_for_one_route_is_worthless_on_another"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Token Handling",
        says: "no other token is accepted",
        held_by: Test("tests/attacks/a_tokens.rs#a8_other_tokens"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Token Handling",
        says: "no other token is passed on, nor this one",
        held_by: Test("tests/attacks/b_authorization.rs#b5_passthrough"),
    },
    Row {
        source: "MCP 2026-07-28, Authorization, Refresh Tokens",
        says: "neither challenge nor document names `offline_access`",
        held_by: Test("tests/it/specification.rs#no_client_is_asked_for_offline_access"),
    },
    Row {
        source: "MCP 2026-07-28, Authorization, Refresh Tokens",
        says: "refresh tokens are kept confidential, registered for, and not counted on",
        held_by: NotOurs("falls on clients"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Error Handling",
        says: "401 where authorization is needed or the token is invalid",
        held_by: Test("tests/it/answers.rs#missing_token"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Error Handling",
        says: "403 where scopes do not suffice",
        held_by: Test("tests/it/answers.rs#insufficient_scope"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Error Handling",
        says: "403 where nothing would suffice",
        held_by: Test("tests/it/answers.rs#not_permitted"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Error Handling",
        says: "400 where the credentials are malformed",
        held_by: Test("tests/it/answers.rs#invalid_request"),
    },
    Row {
        source: "MCP 2025-11-25, 2026-07-28, Authorization, Runtime Insufficient Scope Errors",
        says: "403 with a Bearer challenge: error, scope, resource_metadata",
        held_by: Test("tests/it/answers.rs#insufficient_scope"),
    },
    Row {
        source: "MCP 2025-11-25, 2026-07-28, Authorization, Runtime Insufficient Scope Errors",
        says: "the scope parameter has what the operation needs, all of it at once",
        held_by: Test("tests/it/tools.rs#scopes_decide_which_tool_may_be_called"),
    },
    Row {
        source: "MCP 2025-11-25, 2026-07-28, Authorization, Runtime Insufficient Scope Errors",
        says: "a batch, too, is challenged once",
        held_by: Test("tests/it/batches.rs#the_challenge_has_the_scopes_of_all_unless_one_is_never_permitted"),
    },
    Row {
        source: "MCP 2025-11-25, 2026-07-28, Authorization, Runtime Insufficient Scope Errors",
        says: "scopes are included by one strategy: the same refusal is the same challenge",
        held_by: Test("tests/it/answers.rs#insufficient_scope"),
    },
    Row {
        source: "MCP 2025-11-25, 2026-07-28, Authorization, Runtime Insufficient Scope Errors",
        says: "the scopes in it spare people logins: nothing held is lost by stepping up",
        held_by: Test("src/policy/decide/tests.rs#a_challenge_keeps_what_the_token_has"),
    },
    Row {
        source: "MCP 2025-11-25, 2026-07-28, Authorization, Step-Up Authorization Flow",
        says: "clients step up, unite scopes, and limit their attempts",
        held_by: NotOurs("falls on clients"),
    },
    Row {
        source: "MCP 2026-07-28, Authorization, Step-Up Authorization Flow",
        says: "a broader scope implies narrower ones when it is decided",
        held_by: Test("tests/it/tools.rs#scopes_decide_which_tool_may_be_called"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Security Considerations",
        says: "the security considerations of OAuth 2.1 §7 are followed",
        held_by: NotOurs("what of them falls on a protected resource has its rows under RFC 9700 and RFC 6750"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Token Audience Binding and Validation",
        says: "a token was issued for this server's use",
        held_by: Test("tests/attacks/a_tokens.rs#a10_audiences"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Token Audience Binding and Validation",
        says: "`resource` is sent",
        held_by: NotOurs("falls on clients"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Token Theft",
        says: "tokens are stored securely: no token can be printed",
        held_by: Test("src/oauth/bearer.rs#debug_is_masked"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Token Theft",
        says: "tokens are stored securely: what is kept of one lets in no other",
        held_by: Test("tests/attacks/a_tokens_2.rs#a21_cached_verdicts"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Token Theft",
        says: "tokens are short-lived, refresh tokens rotate",
        held_by: NotOurs("falls on authorization servers"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Communication Security",
        says: "OAuth 2.1 §1.5: what is not on loopback is https",
        held_by: Test("tests/attacks/k_configuration.rs#k1_files_that_open_doors"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Communication Security",
        says: "OAuth 2.1 §1.5: over https, all that is said of us is https",
        held_by: Test("tests/it/tls.rs#everything_that_is_said_begins_with_https"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Communication Security",
        says: "an authorization server is reached by https alone",
        held_by: Test("tests/it/keys.rs#keys_are_never_fetched_by_plain_http_from_elsewhere"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Communication Security",
        says: "redirect URIs are https or local",
        held_by: NotOurs("falls on clients and authorization servers"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Authorization Code Protection",
        says: "PKCE with S256, and looking for it in the metadata",
        held_by: NotOurs("falls on clients and authorization servers; the gateway sees no code"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Open Redirection",
        says: "redirect URIs are registered and compared exactly, `state` is verified",
        held_by: NotOurs("falls on clients and authorization servers; the gateway redirects nobody"),
    },
    Row {
        source: "MCP 2025-11-25, 2026-07-28, Authorization, Client ID Metadata Document Security",
        says: "fetching such documents and showing where they lead",
        held_by: NotOurs("falls on authorization servers"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Confused Deputy Problem",
        says: "a proxy with a client id of its own gets consent for each client",
        held_by: Test("tests/attacks/j_discovery.rs#j1_no_authorization_server"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Access Token Privilege Restriction",
        says: "the token is validated before anything of the request is looked at",
        held_by: Test("tests/it/bodies.rs#nothing_of_the_body_is_read_for_who_has_no_token"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Access Token Privilege Restriction",
        says: "no data is returned to who may not have it",
        held_by: Test("tests/attacks/e_answers.rs#e2_hidden_tools_in_answers"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Access Token Privilege Restriction",
        says: "OAuth 2.1 §5.2 is followed for what comes in",
        held_by: Test("tests/it/answers.rs#invalid_token"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Access Token Privilege Restriction",
        says: "a token without this resource in its audience is rejected",
        held_by: Test("tests/attacks/a_tokens.rs#a10_audiences"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Authorization, Access Token Privilege Restriction",
        says: "the client's token is not passed through to what stands behind",
        held_by: Test("tests/attacks/b_authorization.rs#b5_passthrough"),
    },
];

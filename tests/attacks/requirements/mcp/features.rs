//! What the chapters on features and the schema demand, where that falls on what stands before a server.

use super::super::HeldBy::{NotOurs, Test};
use super::super::Row;

pub(super) const ROWS: &[Row] = &[
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Specification, Implementation Guidelines",
        says: "access controls and data protection are implemented",
        held_by: Test("tests/it/tools.rs#scopes_decide_which_tool_may_be_called"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Specification, Implementation Guidelines",
        says: "consent, documentation, privacy",
        held_by: NotOurs("falls on applications"),
    },
    Row {
        source: "MCP 2026-07-28, Deprecated Features",
        says: "what is deprecated is not adopted anew",
        held_by: NotOurs("falls on clients and servers; what they use of it is theirs"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Tools, Capabilities",
        says: "the capability is declared, changes are notified",
        held_by: NotOurs("falls on the server"),
    },
    Row {
        source: "MCP 2026-07-28, Discovery",
        says: "`server/discover` is there and says who answers",
        held_by: Test("tests/it/tools.rs#the_newest_revision_says_itself_twice"),
    },
    Row {
        source: "MCP 2026-07-28, Tools, Capabilities",
        says: "a list has what the caller may use and depends on no connection and no other request",
        held_by: Test("tests/it/specification.rs#a_list_depends_on_the_caller_alone"),
    },
    Row {
        source: "MCP 2026-07-28, Tools, Capabilities",
        says: "a list keeps its order",
        held_by: Test("tests/it/lists.rs#on_every_road_nothing_changes_but_hidden_entries_and_the_cache_scope"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Tools, User Interaction Model",
        says: "a human can deny a call, and sees what is exposed",
        held_by: NotOurs("falls on clients"),
    },
    Row {
        source: "MCP 2025-11-25, 2026-07-28, Tools, Tool Names",
        says: "names have 1 to 128 plain characters: no wildcard and no default permits another",
        held_by: Test("tests/it/tools.rs#a_default_that_allows_does_not_allow_every_name"),
    },
    Row {
        source: "MCP 2025-11-25, 2026-07-28, Tools, Tool Names",
        says: "names are compared with their case",
        held_by: Test("tests/it/tools.rs#no_scope_opens_what_no_rule_names"),
    },
    Row {
        source: "MCP 2025-11-25, 2026-07-28, Tools, Tool Names",
        says: "names are unique; who joins several servers tells theirs apart",
        held_by: NotOurs("falls on the server; a route is one server, and no two are joined"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Tools, Data Types",
        says: "schemas, annotations, content, structured results",
        held_by: NotOurs("falls on servers and clients; a shown tool and a result pass as they are"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Tools, Data Types",
        says: "they do pass as they are",
        held_by: Test("tests/it/tools.rs#a_filtered_list_keeps_every_other_byte"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Tools, Error Handling",
        says: "errors of a tool are given to the model",
        held_by: NotOurs("falls on clients"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Tools, Security Considerations",
        says: "access to tools is controlled",
        held_by: Test("tests/it/tools.rs#scopes_decide_which_tool_may_be_called"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Tools, Security Considerations",
        says: "inputs are validated, outputs sanitized",
        held_by: NotOurs("falls on the server; the gateway holds the form of a message and looks at no argument"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Tools, Security Considerations",
        says: "calls are limited in their rate",
        held_by: NotOurs("falls on the server; the gateway limits what is open at once, not calls in a time"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Tools, Security Considerations",
        says: "clients confirm, show, validate, time out and log",
        held_by: NotOurs("falls on clients; the gateway leaves one audit record of every call"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Prompts, Capabilities",
        says: "the capability is declared, changes are notified",
        held_by: NotOurs("falls on the server"),
    },
    Row {
        source: "MCP 2026-07-28, Prompts, Capabilities",
        says: "a list depends on the caller, on no connection and no other request",
        held_by: Test("tests/it/specification.rs#a_list_depends_on_the_caller_alone"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Prompts, Data Types",
        says: "content has its media type and is encoded",
        held_by: NotOurs("falls on the server"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Prompts, Implementation Considerations",
        says: "errors, arguments, pages and capabilities",
        held_by: NotOurs("falls on servers and clients"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Prompts, Security",
        says: "no prompt leads to what the caller may not have",
        held_by: Test("tests/it/tools.rs#prompts_resources_and_completions_are_decided_like_tools"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Prompts, Security",
        says: "inputs and outputs are validated",
        held_by: NotOurs("falls on the server"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Resources, Capabilities",
        says: "the capability is declared, changes are notified",
        held_by: NotOurs("falls on the server"),
    },
    Row {
        source: "MCP 2026-07-28, Resources, Capabilities",
        says: "a list depends on the caller, on no connection and no other request",
        held_by: Test("tests/it/specification.rs#a_list_depends_on_the_caller_alone"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Resources, Common URI Schemes",
        says: "which scheme is for what",
        held_by: NotOurs("falls on the server"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Resources, Common URI Schemes",
        says: "URIs are those of RFC 3986: where patterns tell them apart, in its normal form alone",
        held_by: Test("src/policy/uri.rs#not_normal"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, Resources, Error Handling",
        says: "unknown resources are -32002, failures -32603",
        held_by: NotOurs("falls on the server; what a route hides is -32602 in every revision, as the newest demands"),
    },
    Row {
        source: "MCP 2026-07-28, Resources, Error Handling",
        says: "unknown resources are -32602: so is what a route hides",
        held_by: Test("tests/it/modes.rs#a_denied_name_cannot_be_told_from_one_that_does_not_exist"),
    },
    Row {
        source: "MCP 2026-07-28, Resources, Error Handling",
        says: "no empty contents stand for an unknown resource; clients accept -32002",
        held_by: NotOurs("falls on servers and clients"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Resources, Security Considerations",
        says: "all resource URIs are validated",
        held_by: Test("tests/it/tools.rs#no_scope_opens_what_no_rule_names"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Resources, Security Considerations",
        says: "access to resources is controlled, before anything is done",
        held_by: Test("tests/it/tools.rs#prompts_resources_and_completions_are_decided_like_tools"),
    },
    Row {
        source: "MCP 2026-07-28, Resources, Security Considerations",
        says: "paths do not lead out of what is served",
        held_by: Test("tests/attacks/c_bodies.rs#c17_other_roads_to_a_tool"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Resources, Security Considerations",
        says: "binary data is encoded",
        held_by: NotOurs("falls on the server"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Completion",
        says: "the capability is declared; suggestions are sorted, few, and validated",
        held_by: NotOurs("falls on the server"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Completion, Security",
        says: "access to suggestions is controlled, and they disclose nothing",
        held_by: Test("tests/it/tools.rs#prompts_resources_and_completions_are_decided_like_tools"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Completion, Security",
        says: "completion is hidden with what it completes",
        held_by: Test("tests/it/modes.rs#a_denied_name_cannot_be_told_from_one_that_does_not_exist"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Completion, Security",
        says: "inputs are validated, their rate is limited",
        held_by: NotOurs("falls on the server; the gateway has no limit of calls in a time"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Logging",
        says: "levels, what is logged, and that no secret is",
        held_by: NotOurs("falls on the server; its messages pass as they are"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Pagination",
        says: "cursors are opaque: what stands between changes none",
        held_by: Test("tests/it/lists.rs#on_every_road_nothing_changes_but_hidden_entries_and_the_cache_scope"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Pagination",
        says: "cursors are stable, invalid ones -32602, a missing one ends the list",
        held_by: NotOurs("falls on servers and clients"),
    },
    Row {
        source: "MCP 2026-07-28, Caching",
        says: "results have hints, `ttlMs` is none below 0",
        held_by: NotOurs("falls on the server; `ttlMs` passes as it is"),
    },
    Row {
        source: "MCP 2026-07-28, Caching, Cache Key",
        says: "what was cached is served for the same request alone, retries never",
        held_by: NotOurs("falls on clients; the gateway caches no result (row D7)"),
    },
    Row {
        source: "MCP 2026-07-28, Caching, Time-to-Live",
        says: "how long a result is fresh, and how it is fetched anew",
        held_by: NotOurs("falls on clients"),
    },
    Row {
        source: "MCP 2026-07-28, Caching, Cache Scope",
        says: "a private result is not shared between callers: nothing is kept for another",
        held_by: Test("tests/attacks/d_headers.rs#d7_cross_talk"),
    },
    Row {
        source: "MCP 2026-07-28, Caching, Cache Scope",
        says: "whether a result is public: none is, behind a gateway that decides by caller",
        held_by: Test("tests/attacks/e_answers.rs#e4_shared_caches"),
    },
    Row {
        source: "MCP 2026-07-28, Caching, Cache Scope",
        says: "this holds of all results, not of lists alone",
        held_by: Test("tests/it/lists.rs#no_result_is_anybody_elses_to_cache"),
    },
    Row {
        source: "MCP 2026-07-28, Caching, Interaction with Pagination",
        says: "all pages of a list have one scope",
        held_by: Test("tests/it/lists.rs#on_every_road_nothing_changes_but_hidden_entries_and_the_cache_scope"),
    },
    Row {
        source: "MCP 2026-07-28, Caching, Interaction with Pagination",
        says: "pages are fetched anew",
        held_by: NotOurs("falls on clients"),
    },
    Row {
        source: "MCP 2026-07-28, Caching, Security Considerations",
        says: "access is controlled by more than the scope of a cache",
        held_by: Test("tests/attacks/e_answers.rs#e1_one_policy_for_lists_and_calls"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Elicitation",
        says: "modes, consent, forms, URLs, and who may complete one",
        held_by: NotOurs("falls on clients and servers; both directions pass"),
    },
    Row {
        source: "MCP 2025-11-25, 2026-07-28, Elicitation, Identifying the User",
        says: "state is kept by who the authorized caller is, not by session alone",
        held_by: NotOurs("falls on the server, which learns by `identity` who calls"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Roots",
        says: "capability, URIs, consent, validation",
        held_by: NotOurs("falls on clients and servers; both directions pass"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Sampling",
        says: "capability, consent, tools, contents, limits",
        held_by: NotOurs("falls on clients and servers; both directions pass"),
    },
    Row {
        source: "MCP 2025-11-25, Tasks",
        says: "statuses, results, related-task metadata, lifetimes, logs",
        held_by: NotOurs("falls on who runs tasks"),
    },
    Row {
        source: "MCP 2025-11-25, Tasks, Task Isolation and Access Control",
        says: "a task is reached by who made it: behind a gateway the server cannot tell, so that no rule means no",
        held_by: Test("tests/attacks/c_bodies.rs#c17_other_roads_to_a_tool"),
    },
    Row {
        source: "MCP 2025-11-25, Tasks, Task Isolation and Access Control",
        says: "an operator who names the methods in a rule decides otherwise",
        held_by: Test("tests/it/tools.rs#a_named_method_is_decided_by_its_rule"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Schema",
        says: "a message of an error is one concise sentence",
        held_by: NotOurs("not followed: ours are two short ones, what is wrong and what to do"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Schema",
        says: "errors of a tool stand in its result; hints, choices and ids of sampling; icons",
        held_by: NotOurs("falls on clients and servers"),
    },
    Row {
        source: "MCP 2026-07-28, Schema",
        says: "HeaderMismatch is answered with 400",
        held_by: Test("tests/it/answers.rs#header_mismatch"),
    },
    Row {
        source: "MCP 2026-07-28, Schema",
        says: "UnsupportedProtocolVersionError is answered with 400",
        held_by: Test("tests/it/answers.rs#unsupported_revision"),
    },
    Row {
        source: "MCP 2026-07-28, Schema",
        says: "MissingRequiredClientCapabilityError is answered with 400",
        held_by: Test("tests/it/answers.rs#what_the_server_refuses_itself_passes_as_it_is"),
    },
];

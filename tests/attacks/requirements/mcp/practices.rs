//! What the security best practices demand; they are the same beside each revision.

use super::super::HeldBy::{NotOurs, Test};
use super::super::Row;

pub(super) const ROWS: &[Row] = &[
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Security Best Practices, Confused Deputy Problem",
        says: "proxies to other authorization servers ask for consent, check redirect URIs and `state`, guard cookies",
        held_by: Test("tests/attacks/j_discovery.rs#j1_no_authorization_server"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Security Best Practices, Token Passthrough",
        says: "no token is accepted that was not issued for this server",
        held_by: Test("tests/attacks/a_tokens.rs#a10_audiences"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Security Best Practices, Server-Side Request Forgery",
        says: "addresses named by metadata are looked at before they are fetched",
        held_by: Test("tests/attacks/h_keys.rs#h3_ssrf_by_metadata"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Security Best Practices, Server-Side Request Forgery",
        says: "https for all that has to do with OAuth",
        held_by: Test("tests/it/keys.rs#keys_are_never_fetched_by_plain_http_from_elsewhere"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Security Best Practices, Server-Side Request Forgery",
        says: "a redirect leads nowhere",
        held_by: Test("tests/it/answers.rs#an_issuer_that_fails_in_any_way_is_keys_unavailable"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Security Best Practices, Server-Side Request Forgery",
        says: "private and reserved addresses are blocked",
        held_by: NotOurs(
            "not followed: issuers stand in the file and may be inside; nothing that a client names is fetched",
        ),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Security Best Practices, Server-Side Request Forgery",
        says: "requests go out through a proxy that holds a policy of its own",
        held_by: NotOurs("falls on who operates it"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Security Best Practices, State Handle Hijacking",
        says: "every request is verified, and a handle is no authentication",
        held_by: Test("tests/attacks/d_headers.rs#d5_session_hijack"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Security Best Practices, State Handle Hijacking",
        says: "handles cannot be guessed",
        held_by: Test("src/gateway/session.rs#every_flipped_bit_of_the_sealed_bytes_is_refused"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Security Best Practices, State Handle Hijacking",
        says: "handles are bound to whose they are",
        held_by: Test("tests/it/sessions.rs#a_stolen_session_is_answered_like_one_that_never_was"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Security Best Practices, Local MCP Server Compromise",
        says: "a server that runs locally is no open door: HTTP needs a token",
        held_by: Test("tests/attacks/b_authorization.rs#b1_no_credentials"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Security Best Practices, Local MCP Server Compromise",
        says: "consent before commands are run, sandboxes, warnings",
        held_by: NotOurs("falls on clients; the gateway starts no server"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Security Best Practices, OAuth Authorization URL Validation",
        says: "authorization URLs are validated and opened without a shell",
        held_by: NotOurs("falls on clients"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Security Best Practices, stdio Transport Security",
        says: "proxies from HTTP to stdio authenticate, restrict and sandbox",
        held_by: NotOurs("the gateway does not speak stdio"),
    },
    Row {
        source: "MCP 2025-06-18, 2025-11-25, 2026-07-28, Security Best Practices, Scope Minimization",
        says: "granted and challenged scopes are united",
        held_by: NotOurs("falls on clients"),
    },
];

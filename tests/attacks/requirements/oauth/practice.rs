//! What RFC 9700, best practice for OAuth 2.0, demands of a protected resource and of a reverse proxy before it.

use crate::requirements::HeldBy::{NotOurs, Test};
use crate::requirements::Row;

pub(crate) const ROWS: &[Row] = &[
    Row {
        source: "RFC 9700 §2.1",
        says: "redirect URIs compared exactly, CSRF and mix-up prevented, credentials not redirected",
        held_by: NotOurs("falls on clients and authorization servers; there is no redirection endpoint"),
    },
    Row {
        source: "RFC 9700 §2.1",
        says: "nothing forwards a browser to where a parameter says",
        held_by: Test("tests/attacks/j_discovery.rs#j1_no_authorization_server"),
    },
    Row {
        source: "RFC 9700 §2.1.1",
        says: "PKCE or a nonce for authorization codes",
        held_by: NotOurs("falls on clients and authorization servers"),
    },
    Row { source: "RFC 9700 §2.1.2", says: "no implicit grant", held_by: NotOurs("falls on clients") },
    Row {
        source: "RFC 9700 §2.2.1",
        says: "resource servers use sender-constrained tokens (mutual TLS, DPoP)",
        held_by: NotOurs("departed from: neither is offered yet"),
    },
    Row {
        source: "RFC 9700 §2.2.1",
        says: "a token that is bound to its sender is not taken as a bearer token",
        held_by: Test("tests/attacks/a_tokens_2.rs#a16_bound_tokens"),
    },
    Row {
        source: "RFC 9700 §2.2.2",
        says: "refresh tokens are bound or rotated",
        held_by: NotOurs(
            "falls on authorization servers; no scope for them is advertised (tests/attacks/f_surface.rs#f12_metadata)",
        ),
    },
    Row {
        source: "RFC 9700 §2.3",
        says: "a token has the fewest privileges that its use needs: no more is asked for",
        held_by: Test("tests/it/answers.rs#insufficient_scope"),
    },
    Row {
        source: "RFC 9700 §2.3",
        says: "a token is for one resource server or few",
        held_by: NotOurs("falls on authorization servers; that we insist is the next row"),
    },
    Row {
        source: "RFC 9700 §2.3",
        says: "every request whose token is for another resource server is refused, whatever was verified before",
        held_by: Test("tests/attacks/a_tokens_2.rs#a21_cached_verdicts"),
    },
    Row {
        source: "RFC 9700 §2.3",
        says: "tokens are restricted to resources and actions",
        held_by: NotOurs("falls on authorization servers; that we insist is the next row"),
    },
    Row {
        source: "RFC 9700 §2.3",
        says: "every request whose token is not for that action on that resource is refused",
        held_by: Test("tests/it/tools.rs#scopes_decide_which_tool_may_be_called"),
    },
    Row {
        source: "RFC 9700 §2.4",
        says: "no grant by the resource owner's password",
        held_by: NotOurs(
            "falls on clients and authorization servers; nothing but a bearer token is taken for a credential",
        ),
    },
    Row {
        source: "RFC 9700 §2.5",
        says: "clients are authenticated, by asymmetric keys",
        held_by: NotOurs("falls on authorization servers; we are no client of them"),
    },
    Row {
        source: "RFC 9700 §2.6",
        says: "metadata is published, and is what others configure themselves by",
        held_by: Test("tests/it/keys.rs#either_form_of_metadata_leads_to_the_keys"),
    },
    Row {
        source: "RFC 9700 §2.6",
        says: "clients cannot choose an identifier that is a resource owner's",
        held_by: NotOurs("falls on authorization servers (§4.15)"),
    },
    Row {
        source: "RFC 9700 §2.6",
        says: "TLS from the client to the resource server",
        held_by: Test("tests/it/tls.rs#everything_that_is_said_begins_with_https"),
    },
    Row {
        source: "RFC 9700 §2.6",
        says: "authorization responses are encrypted, messages between windows checked",
        held_by: NotOurs("falls on clients and authorization servers"),
    },
    Row {
        source: "RFC 9700 §2.6",
        says: "no CORS at the authorization endpoint",
        held_by: NotOurs("there is none here (tests/attacks/j_discovery.rs#j1_no_authorization_server)"),
    },
    Row {
        source: "RFC 9700 §3",
        says: "every kind of attacker in the surroundings is taken into account",
        held_by: NotOurs(
            "no test says that a list is whole: this binary fires the catalogue of those that were thought of",
        ),
    },
    Row {
        source: "RFC 9700 §4.1",
        says: "redirect URIs are validated, and their hosts redirect to nowhere else",
        held_by: NotOurs(
            "falls on clients and authorization servers; what a server redirects to is not passed on \
             (tests/attacks/e_answers.rs#e6_the_servers_own_challenges)",
        ),
    },
    Row {
        source: "RFC 9700 §4.2",
        says: "pages of authorization have nothing of third parties in them, codes and state are good once",
        held_by: NotOurs("falls on clients and authorization servers; we have no pages"),
    },
    Row {
        source: "RFC 9700 §4.3",
        says: "no access token in the query of a URL",
        held_by: NotOurs(
            "falls on clients; one that comes so is no token, and gets into no record \
             (tests/attacks/f_surface.rs#f13_log_injection)",
        ),
    },
    Row {
        source: "RFC 9700 §4.4",
        says: "mix-up is prevented",
        held_by: NotOurs("falls on clients; that two issuers of ours are not mixed up is RFC 8725 §3.8"),
    },
    Row {
        source: "RFC 9700 §4.5",
        says: "codes cannot be injected",
        held_by: NotOurs("falls on clients and authorization servers"),
    },
    Row {
        source: "RFC 9700 §4.6",
        says: "access tokens cannot be injected into a client",
        held_by: NotOurs("falls on clients and authorization servers"),
    },
    Row {
        source: "RFC 9700 §4.7",
        says: "CSRF is prevented at the redirection endpoint",
        held_by: NotOurs(
            "falls on clients; no cookie authenticates here (tests/attacks/b_authorization.rs#b2_tokens_elsewhere)",
        ),
    },
    Row {
        source: "RFC 9700 §4.8",
        says: "PKCE cannot be left out by an attacker",
        held_by: NotOurs("falls on authorization servers"),
    },
    Row {
        source: "RFC 9700 §4.9.3",
        says: "sender-constrained tokens are used against replay elsewhere",
        held_by: NotOurs("departed from: they are not offered yet (§2.2.1)"),
    },
    Row {
        source: "RFC 9700 §4.9.3",
        says: "audience restriction is used against replay elsewhere",
        held_by: Test("tests/attacks/a_tokens.rs#a10_audiences"),
    },
    Row {
        source: "RFC 9700 §4.9.3",
        says: "a resource server does not pass tokens on",
        held_by: Test("tests/attacks/b_authorization.rs#b5_passthrough"),
    },
    Row {
        source: "RFC 9700 §4.9.3",
        says: "a resource server neither stores nor shows tokens as they are: not in what it prints",
        held_by: Test("src/oauth/bearer.rs#debug_is_masked"),
    },
    Row {
        source: "RFC 9700 §4.9.3",
        says: "nor in its records, which the harness reads in every test",
        held_by: Test("tests/it/answers.rs#invalid_token"),
    },
    Row {
        source: "RFC 9700 §4.10",
        says: "tokens are sender-constrained and audience-restricted",
        held_by: NotOurs("falls on authorization servers"),
    },
    Row {
        source: "RFC 9700 §4.10.1",
        says: "a proof of possession is checked and cannot be replayed (no capitals there)",
        held_by: NotOurs(
            "none is checked, so a bound token is refused whatever stands beside it \
             (tests/attacks/a_tokens_2.rs#a17_dpop)",
        ),
    },
    Row {
        source: "RFC 9700 §4.10.2",
        says: "the audience is the URL that the client sends requests to (no capitals there)",
        held_by: Test("tests/it/standards.rs#a_challenge_leads_to_the_document_of_what_was_asked_for"),
    },
    Row {
        source: "RFC 9700 §4.11",
        says: "neither client nor authorization server redirects openly",
        held_by: NotOurs("falls on them; we redirect nobody (tests/attacks/j_discovery.rs#j1_no_authorization_server)"),
    },
    Row {
        source: "RFC 9700 §4.12",
        says: "no 307 for what may hold credentials",
        held_by: NotOurs(
            "falls on authorization servers; a server's 307 becomes 502 \
             (tests/attacks/e_answers.rs#e6_the_servers_own_challenges)",
        ),
    },
    Row {
        source: "RFC 9700 §4.13",
        says: "a reverse proxy sanitizes every header that the security of the server rests on",
        held_by: Test("tests/attacks/b_authorization.rs#b6_identity_headers"),
    },
    Row {
        source: "RFC 9700 §4.13",
        says: "so it does with what says where a request comes from, unless a proxy it trusts says so",
        held_by: Test("tests/attacks/b_authorization.rs#b10_trusted_proxies"),
    },
    Row {
        source: "RFC 9700 §4.13",
        says: "the link to the server is protected against eavesdropping, injection and replay: by TLS that checks \
               who it is",
        held_by: Test("tests/it/tls.rs#a_server_with_a_certificate_of_somebody_else_gets_nothing"),
    },
    Row {
        source: "RFC 9700 §4.13",
        says: "the same where the server is reached by plain http",
        held_by: NotOurs(
            "falls on whoever writes `http://` into the file: loopback, or a network that protects the link by \
             itself; no token goes over it",
        ),
    },
    Row {
        source: "RFC 9700 §4.14",
        says: "refresh tokens are bound, rotated and expire",
        held_by: NotOurs("falls on authorization servers"),
    },
    Row {
        source: "RFC 9700 §4.15",
        says: "a client's tokens can be told from a resource owner's",
        held_by: NotOurs(
            "falls on authorization servers; no rule decides by `sub`, and a session belongs to issuer, subject and \
             client together (src/gateway/session.rs#opens_for_its_owner_alone)",
        ),
    },
    Row {
        source: "RFC 9700 §4.16",
        says: "clickjacking is prevented",
        held_by: NotOurs("falls on authorization servers; we have no pages"),
    },
    Row {
        source: "RFC 9700 §4.17",
        says: "messages between windows name their receiver and are checked",
        held_by: NotOurs("falls on clients and authorization servers"),
    },
];

//! What RFC 6750, bearer tokens, demands of a protected resource.

use crate::requirements::HeldBy::{NotOurs, Test};
use crate::requirements::Row;

pub(crate) const ROWS: &[Row] = &[
    Row {
        source: "RFC 6750 §2",
        says: "a client uses one method of sending its token in each request",
        held_by: NotOurs("falls on clients; what is answered to two is §3.1"),
    },
    Row {
        source: "RFC 6750 §2.1",
        says: "a resource server takes the token from the Authorization header with the scheme Bearer",
        held_by: Test("tests/attacks/b_authorization.rs#b4_case_of_the_scheme"),
    },
    Row {
        source: "RFC 6750 §2.1",
        says: "what follows the scheme is one b64token and nothing else",
        held_by: Test("src/oauth/bearer.rs#anything_but_one_b64token_is_invalid"),
    },
    Row {
        source: "RFC 6750 §2.1",
        says: "clients should use this method",
        held_by: NotOurs("falls on clients; the metadata names no other (RFC 9728 §2)"),
    },
    Row {
        source: "RFC 6750 §2.2",
        says: "when and how a client may put the token into a form (not with GET, ASCII, one part, `&` between \
               parameters)",
        held_by: NotOurs("falls on clients, and supporting the method is left to the resource server: we do not"),
    },
    Row {
        source: "RFC 6750 §2.2",
        says: "a form should carry the token only for clients that cannot set the header",
        held_by: Test("tests/attacks/b_authorization.rs#b2_tokens_elsewhere"),
    },
    Row {
        source: "RFC 6750 §2.3",
        says: "the query should not carry the token unless neither header nor body can",
        held_by: Test("tests/attacks/b_authorization.rs#b2_tokens_elsewhere"),
    },
    Row {
        source: "RFC 6750 §2.3",
        says: "caches are told no-store by clients, and private by a server, where the token came in the query",
        held_by: NotOurs(
            "only where that method is supported: a token in the query is none here, and no answer follows from it",
        ),
    },
    Row {
        source: "RFC 6750 §3",
        says: "a request without credentials is answered with WWW-Authenticate",
        held_by: Test("tests/it/answers.rs#missing_token"),
    },
    Row {
        source: "RFC 6750 §3",
        says: "a request whose token does not open the resource is answered with WWW-Authenticate",
        held_by: Test("tests/it/standards.rs#every_challenge_is_one_of_rfc_6750"),
    },
    Row {
        source: "RFC 6750 §3",
        says: "the same where policy denies whatever the token is (`not_permitted`)",
        held_by: NotOurs(
            "departed from: no token would open it, §3.1 has no code for that, and clients take a challenge for an \
             invitation to log in again, for ever (ARCHITECTURE, Decisions)",
        ),
    },
    Row {
        source: "RFC 6750 §3",
        says: "the same where a request is refused before anybody asks who sends it (400, 403, 404, 405, 421)",
        held_by: NotOurs(
            "no request for a protected resource: another authority, path, method or page, or no HTTP that is understood; \
             credentials would not help",
        ),
    },
    Row {
        source: "RFC 6750 §3",
        says: "a challenge has the scheme Bearer and at least one parameter",
        held_by: Test("tests/it/standards.rs#every_challenge_is_one_of_rfc_6750"),
    },
    Row {
        source: "RFC 6750 §3",
        says: "realm comes once at most",
        held_by: Test("tests/it/standards.rs#every_challenge_is_one_of_rfc_6750"),
    },
    Row {
        source: "RFC 6750 §3",
        says: "scope comes once at most",
        held_by: Test("tests/it/standards.rs#every_challenge_is_one_of_rfc_6750"),
    },
    Row {
        source: "RFC 6750 §3",
        says: "a token that fails is answered with `error`",
        held_by: Test("tests/it/answers.rs#invalid_token"),
    },
    Row {
        source: "RFC 6750 §3",
        says: "error, error_description and error_uri come once at most",
        held_by: Test("tests/it/standards.rs#every_challenge_is_one_of_rfc_6750"),
    },
    Row {
        source: "RFC 6750 §3",
        says: "scope holds scope characters with single spaces between",
        held_by: Test("tests/it/standards.rs#every_challenge_is_one_of_rfc_6750"),
    },
    Row {
        source: "RFC 6750 §3",
        says: "error and error_description hold visible ASCII and spaces without quote and backslash",
        held_by: Test("tests/it/standards.rs#every_challenge_is_one_of_rfc_6750"),
    },
    Row { source: "RFC 6750 §3", says: "error_uri is a URI reference", held_by: NotOurs("it is never sent") },
    Row {
        source: "RFC 6750 §3.1",
        says: "a malformed request, or one with more than one token, is invalid_request with 400",
        held_by: Test("tests/it/answers.rs#invalid_request"),
    },
    Row {
        source: "RFC 6750 §3.1",
        says: "more than one method of sending a token is invalid_request with 400",
        held_by: NotOurs(
            "there is one method: a token in query, form or cookie is not looked for, and a good one in the header is \
             not spoilt by it; it goes no further (tests/attacks/b_authorization.rs#b5_passthrough)",
        ),
    },
    Row {
        source: "RFC 6750 §3.1",
        says: "an expired, malformed or otherwise invalid token is invalid_token with 401",
        held_by: Test("tests/it/answers.rs#invalid_token"),
    },
    Row {
        source: "RFC 6750 §3.1",
        says: "a revoked token is invalid_token with 401",
        held_by: NotOurs(
            "that one token was revoked is known to its issuer alone, whom nobody asks (introspection is not \
             offered); a withdrawn key ends all its tokens (tests/attacks/h_keys.rs#h4_rotation)",
        ),
    },
    Row {
        source: "RFC 6750 §3.1",
        says: "a token that lacks a scope is insufficient_scope with 403",
        held_by: Test("tests/it/answers.rs#insufficient_scope"),
    },
    Row {
        source: "RFC 6750 §3.1",
        says: "who did not try to authenticate, or by another scheme, gets no error code",
        held_by: Test("tests/it/answers.rs#missing_token"),
    },
    Row {
        source: "RFC 6750 §4",
        says: "how a token is handed to a client",
        held_by: NotOurs("falls on authorization servers; the section is an example"),
    },
    Row {
        source: "RFC 6750 §5.2",
        says: "a token that is a reference cannot be guessed",
        held_by: NotOurs(
            "falls on authorization servers; a token that is no JWT is refused \
             (tests/attacks/a_tokens_2.rs#a18_opaque_tokens)",
        ),
    },
    Row {
        source: "RFC 6750 §5.2",
        says: "a token cannot be changed without being noticed",
        held_by: Test("src/token/tests/tokens.rs#no_other_text_is_the_token"),
    },
    Row {
        source: "RFC 6750 §5.2",
        says: "tokens are restricted to a scope and short-lived, and an authorization server has TLS",
        held_by: NotOurs(
            "falls on authorization servers; that we keep to scope and time is RFC 9700 §2.3 and RFC 9068 §4",
        ),
    },
    Row {
        source: "RFC 6750 §5.2",
        says: "tokens travel to the resource server in TLS alone",
        held_by: Test("tests/attacks/k_configuration.rs#k1_files_that_open_doors"),
    },
    Row {
        source: "RFC 6750 §5.2",
        says: "the cipher suites give confidentiality and integrity",
        held_by: Test("tests/attacks/g_http2.rs#g3_tls"),
    },
    Row {
        source: "RFC 6750 §5.2",
        says: "a token that its client must not read is encrypted",
        held_by: NotOurs("falls on authorization servers; no encryption is negotiated (RFC 9068 §4)"),
    },
    Row {
        source: "RFC 6750 §5.2",
        says: "a client checks the certificate and the identity of the resource server",
        held_by: NotOurs("falls on clients"),
    },
    Row {
        source: "RFC 6750 §5.2",
        says: "tokens are not kept in cookies that may travel in the clear",
        held_by: Test("tests/attacks/b_authorization.rs#b2_tokens_elsewhere"),
    },
    Row {
        source: "RFC 6750 §5.2",
        says: "where TLS ends before the server, the token is protected on the way from there: it does not go there \
               at all",
        held_by: Test("tests/attacks/b_authorization.rs#b5_passthrough"),
    },
    Row {
        source: "RFC 6750 §5.2",
        says: "the same where something before the gateway ends TLS",
        held_by: NotOurs(
            "falls on whoever writes `tls: external` into the file; without that word no listener off loopback lacks \
             TLS",
        ),
    },
    Row {
        source: "RFC 6750 §5.2",
        says: "the lifetime of a token is limited",
        held_by: Test("tests/attacks/a_tokens.rs#a9_times"),
    },
    Row {
        source: "RFC 6750 §5.3",
        says: "clients guard tokens, check certificates, use TLS always",
        held_by: NotOurs("falls on clients"),
    },
    Row {
        source: "RFC 6750 §5.3",
        says: "who keeps tokens in cookies guards against requests of other sites",
        held_by: NotOurs("no cookie is set, read or passed on"),
    },
    Row {
        source: "RFC 6750 §5.3",
        says: "token servers issue short-lived tokens with an audience",
        held_by: NotOurs("falls on authorization servers; a token without either is refused (RFC 9068 §4)"),
    },
    Row {
        source: "RFC 6750 §5.3",
        says: "tokens stand in headers or bodies and not in the URLs of pages",
        held_by: Test("tests/it/discovery.rs#the_document_says_what_clients_need"),
    },
];

//! What RFC 8707, resource indicators, and RFC 9728, protected resource metadata, demand of a protected resource.

use crate::requirements::HeldBy::{NotOurs, Test};
use crate::requirements::Row;

pub(crate) const ROWS: &[Row] = &[
    Row {
        source: "RFC 8707 §2",
        says: "a resource is an absolute URI without fragment, and should have no query",
        held_by: Test("src/config/tests.rs#routes"),
    },
    Row {
        source: "RFC 8707 §2",
        says: "a client names the most specific URI that it can, the base of what it uses: the one that we publish",
        held_by: Test("tests/it/discovery.rs#the_document_says_what_clients_need"),
    },
    Row {
        source: "RFC 8707 §2",
        says: "a token's audience is restricted to the resource that was asked for",
        held_by: NotOurs("falls on authorization servers; that we insist is RFC 9068 §4"),
    },
    Row {
        source: "RFC 8707 §2.1, §2.2",
        says: "what an authorization server makes of the parameter in requests for authorization and tokens",
        held_by: NotOurs("falls on authorization servers; the sections have no capitals but for what it may do"),
    },
    Row {
        source: "RFC 8707 §3",
        says: "a token for one tenant's resource is not good at another's (no capitals there)",
        held_by: Test("tests/it/discovery.rs#a_token_for_one_route_is_worthless_on_another"),
    },
    Row {
        source: "RFC 9728 §1.2",
        says: "a resource identifier is https, without fragment, and should have no query",
        held_by: Test("src/config/tests.rs#routes"),
    },
    Row {
        source: "RFC 9728 §1.2",
        says: "it is https off loopback",
        held_by: Test("tests/attacks/k_configuration.rs#k1_files_that_open_doors"),
    },
    Row {
        source: "RFC 9728 §1.2",
        says: "it is https on loopback, too",
        held_by: NotOurs(
            "departed from: without a certificate nobody could try it on one machine; what is reachable from \
             elsewhere is https",
        ),
    },
    Row {
        source: "RFC 9728 §2",
        says: "the document has `resource`",
        held_by: Test("tests/it/discovery.rs#the_document_says_what_clients_need"),
    },
    Row {
        source: "RFC 9728 §2",
        says: "jwks_uri is https, and its keys say what they are for",
        held_by: NotOurs("optional and left out: no answer is signed"),
    },
    Row {
        source: "RFC 9728 §2",
        says: "the document has `scopes_supported`",
        held_by: Test("tests/it/discovery.rs#the_document_says_what_clients_need"),
    },
    Row {
        source: "RFC 9728 §2",
        says: "resource_signing_alg_values_supported does not have `none`",
        held_by: NotOurs("optional and left out: no answer is signed"),
    },
    Row {
        source: "RFC 9728 §2",
        says: "the document has `resource_name`",
        held_by: Test("tests/it/discovery.rs#the_document_says_what_clients_need"),
    },
    Row {
        source: "RFC 9728 §2.1",
        says: "what is for people to read is there without a language tag",
        held_by: Test("tests/it/discovery.rs#the_document_says_what_clients_need"),
    },
    Row {
        source: "RFC 9728 §2.1",
        says: "language tags are spelled as registered and read without case, text without one is used as it is",
        held_by: NotOurs("falls on who writes or reads them: we do not use any"),
    },
    Row {
        source: "RFC 9728 §2.2",
        says: "signed metadata is a JWS with `iss`, takes precedence, and does not hold itself",
        held_by: NotOurs("optional and left out"),
    },
    Row {
        source: "RFC 9728 §3",
        says: "the document is where the well-known part stands between host and path",
        held_by: Test("tests/it/standards.rs#a_challenge_leads_to_the_document_of_what_was_asked_for"),
    },
    Row {
        source: "RFC 9728 §3",
        says: "the well-known part is a registered one, which the application names",
        held_by: NotOurs(
            "falls on MCP, which takes the default one; no other is served (tests/attacks/f_surface.rs#f12_metadata)",
        ),
    },
    Row {
        source: "RFC 9728 §3.1",
        says: "the document is asked for by GET",
        held_by: Test("tests/attacks/f_surface.rs#f12_metadata"),
    },
    Row {
        source: "RFC 9728 §3.1",
        says: "a slash behind the host goes before the well-known part is put in",
        held_by: Test("src/oauth/metadata.rs#paths"),
    },
    Row {
        source: "RFC 9728 §3.2",
        says: "the answer is 200, application/json, an object",
        held_by: Test("tests/it/discovery.rs#the_document_says_what_clients_need"),
    },
    Row {
        source: "RFC 9728 §3.2",
        says: "parameters that are not understood are ignored",
        held_by: NotOurs("falls on who reads the document"),
    },
    Row {
        source: "RFC 9728 §3.2",
        says: "a parameter without values is left out",
        held_by: Test("src/oauth/metadata.rs#documents"),
    },
    Row {
        source: "RFC 9728 §3.3",
        says: "`resource` is the identifier that the document's place was made of",
        held_by: Test("tests/it/standards.rs#a_challenge_leads_to_the_document_of_what_was_asked_for"),
    },
    Row {
        source: "RFC 9728 §3.3",
        says: "of a document that a challenge led to, `resource` is the URL that was asked",
        held_by: Test("tests/it/standards.rs#a_challenge_leads_to_the_document_of_what_was_asked_for"),
    },
    Row {
        source: "RFC 9728 §3.3",
        says: "the same where a route's `resource` stands above its path",
        held_by: NotOurs(
            "departed from on such a route alone, by whoever writes the file: one identifier for several endpoints \
             cannot be the URL of each",
        ),
    },
    Row {
        source: "RFC 9728 §3.3",
        says: "who gets a document does not use one that differs, and checks the signature of a signed one",
        held_by: NotOurs("falls on clients"),
    },
    Row {
        source: "RFC 9728 §4",
        says: "an authorization server lists its resources",
        held_by: NotOurs("optional, and falls on authorization servers"),
    },
    Row {
        source: "RFC 9728 §5.1",
        says: "a challenge names the document's URL (left to us there, demanded by MCP)",
        held_by: Test("tests/it/answers.rs#missing_token"),
    },
    Row {
        source: "RFC 9728 §5.2",
        says: "a client that gets a new challenge fetches the document anew",
        held_by: NotOurs("falls on clients; the document may be kept for five minutes (§7.10)"),
    },
    Row {
        source: "RFC 9728 §5.3, §5.4",
        says: "how clients are known, and further schemes",
        held_by: NotOurs("no capitals but for what may be done; there is one scheme"),
    },
    Row {
        source: "RFC 9728 §6",
        says: "texts are compared by code points, with the escapes of JSON undone and no normal form made",
        held_by: Test("tests/it/standards.rs#texts_are_compared_by_their_code_points"),
    },
    Row {
        source: "RFC 9728 §7.1",
        says: "TLS is supported, as BCP 195 has it",
        held_by: Test("tests/attacks/g_http2.rs#g3_tls"),
    },
    Row {
        source: "RFC 9728 §7.2",
        says: "a client asks for as few scopes as it can: the challenge says which",
        held_by: Test("tests/it/answers.rs#insufficient_scope"),
    },
    Row {
        source: "RFC 9728 §7.3",
        says: "a client checks the certificate, and `resource` against what it asked for",
        held_by: NotOurs("falls on clients; that they agree is §3.3"),
    },
    Row {
        source: "RFC 9728 §7.4",
        says: "tokens with an audience are asked for, issued and used: no other is taken",
        held_by: Test("tests/attacks/a_tokens.rs#a10_audiences"),
    },
    Row {
        source: "RFC 9728 §7.7",
        says: "who fetches metadata guards against being sent to internal addresses",
        held_by: NotOurs(
            "falls on clients; we fetch that of configured issuers alone, and not from everywhere \
             (tests/attacks/h_keys.rs#h3_ssrf_by_metadata)",
        ),
    },
    Row {
        source: "RFC 9728 §7.10",
        says: "the document may be cached for a while (no capitals there)",
        held_by: Test("tests/it/discovery.rs#the_document_says_what_clients_need"),
    },
];

//! What RFC 8725, JSON Web Tokens, and RFC 9068, access tokens in their form, demand of who validates them.

use crate::requirements::HeldBy::{NotOurs, Test};
use crate::requirements::Row;

pub(crate) const ROWS: &[Row] = &[
    Row {
        source: "RFC 8725 §2.8",
        says: "one kind of token is not taken for another",
        held_by: Test("tests/attacks/a_tokens.rs#a8_other_tokens"),
    },
    Row {
        source: "RFC 8725 §3.1",
        says: "the caller names the algorithms",
        held_by: Test("src/config/tests.rs#authorization_servers"),
    },
    Row {
        source: "RFC 8725 §3.1",
        says: "no other algorithm is used",
        held_by: Test("src/token/tests/tokens.rs#headers"),
    },
    Row {
        source: "RFC 8725 §3.1",
        says: "`alg` says what the signature is checked with",
        held_by: Test("tests/attacks/a_tokens.rs#a2_algorithm_confusion"),
    },
    Row {
        source: "RFC 8725 §3.1",
        says: "a key is used with exactly one algorithm, and that is checked at each use",
        held_by: Test("tests/it/standards.rs#rs256_is_accepted_and_a_key_is_used_with_one_algorithm"),
    },
    Row {
        source: "RFC 8725 §3.2",
        says: "a token of an algorithm that is not acceptable is invalid, however good its signature",
        held_by: Test("src/token/tests/tokens.rs#headers"),
    },
    Row {
        source: "RFC 8725 §3.2",
        says: "only algorithms that are cryptographically current are allowed",
        held_by: Test("tests/attacks/k_configuration.rs#k1_files_that_open_doors"),
    },
    Row {
        source: "RFC 8725 §3.2",
        says: "algorithms can be replaced as they age",
        held_by: Test("src/config/tests.rs#authorization_servers"),
    },
    Row {
        source: "RFC 8725 §3.2",
        says: "`none` is neither generated nor consumed unless the caller asks for it",
        held_by: Test("tests/attacks/a_tokens.rs#a1_alg_none"),
    },
    Row {
        source: "RFC 8725 §3.2",
        says: "no encryption by RSA-PKCS1 v1.5",
        held_by: Test("tests/attacks/a_tokens.rs#a1_alg_none"),
    },
    Row {
        source: "RFC 8725 §3.2",
        says: "ECDSA signs deterministically",
        held_by: NotOurs(
            "falls on who signs; nothing is signed here but by the demo, with the random numbers of aws-lc",
        ),
    },
    Row {
        source: "RFC 8725 §3.3",
        says: "every cryptographic operation is validated, and the whole token refused when one fails",
        held_by: Test("tests/attacks/a_tokens.rs#a3_psychic_signatures"),
    },
    Row {
        source: "RFC 8725 §3.3",
        says: "of a nested token, the outer and the inner one are validated: neither is accepted",
        held_by: Test("tests/attacks/a_tokens.rs#a7_extensions"),
    },
    Row {
        source: "RFC 8725 §3.4",
        says: "points that are not on their curve are refused",
        held_by: Test("tests/attacks/a_tokens.rs#a4_weak_keys"),
    },
    Row {
        source: "RFC 8725 §3.4",
        says: "ephemeral keys of ECDH-ES are validated",
        held_by: NotOurs(
            "nothing is decrypted: an encrypted token is refused before any key is looked at \
             (tests/attacks/a_tokens.rs#a7_extensions)",
        ),
    },
    Row {
        source: "RFC 8725 §3.5",
        says: "no password is the key of a MAC: no MAC is accepted, whatever the issuer publishes",
        held_by: Test("tests/attacks/a_tokens.rs#a2_algorithm_confusion"),
    },
    Row {
        source: "RFC 8725 §3.5",
        says: "keys have enough entropy",
        held_by: Test("tests/attacks/a_tokens.rs#a4_weak_keys"),
    },
    Row {
        source: "RFC 8725 §3.6",
        says: "what is encrypted is padded and not compressed",
        held_by: NotOurs(
            "nothing is encrypted; a token that says that it is compressed is refused \
             (tests/attacks/a_tokens.rs#a7_extensions)",
        ),
    },
    Row {
        source: "RFC 8725 §3.7",
        says: "header and claims are UTF-8 and nothing else",
        held_by: Test("tests/attacks/a_tokens_2.rs#a13_base64url"),
    },
    Row {
        source: "RFC 8725 §3.8",
        says: "the key belongs to the issuer that the token names, else it is refused",
        held_by: Test("tests/attacks/a_tokens.rs#a11_issuers"),
    },
    Row {
        source: "RFC 8725 §3.8",
        says: "the subject is one that the application can take, else the token is refused",
        held_by: Test("src/token/tests/tokens.rs#claims"),
    },
    Row {
        source: "RFC 8725 §3.9",
        says: "a token of an issuer for several recipients has an audience",
        held_by: Test("tests/attacks/a_tokens.rs#a10_audiences"),
    },
    Row {
        source: "RFC 8725 §3.9",
        says: "an audience that is missing or not ours is refused",
        held_by: Test("tests/attacks/a_tokens.rs#a10_audiences"),
    },
    Row {
        source: "RFC 8725 §3.10",
        says: "a received `kid` injects nothing (no capitals there)",
        held_by: Test("tests/attacks/a_tokens.rs#a5_kid_injection"),
    },
    Row {
        source: "RFC 8725 §3.10",
        says: "a received `jku` or `x5u` is not followed (no capitals there)",
        held_by: Test("tests/attacks/a_tokens.rs#a6_keys_in_the_token"),
    },
    Row {
        source: "RFC 8725 §3.11",
        says: "issuers type their tokens, without the prefix application/, in the inner one of nested tokens",
        held_by: NotOurs(
            "falls on issuers and on who defines a kind of token; what we do with the type is RFC 9068 §4",
        ),
    },
    Row {
        source: "RFC 8725 §3.12",
        says: "the rules for each kind of token exclude the other kinds",
        held_by: Test("tests/attacks/a_tokens.rs#a8_other_tokens"),
    },
    Row {
        source: "RFC 8725 §3.12",
        says: "new kinds of tokens are typed",
        held_by: NotOurs("falls on who defines a kind of token"),
    },
    Row {
        source: "RFC 9068 §2.1",
        says: "a token is signed, and `none` is no signature",
        held_by: Test("tests/attacks/a_tokens.rs#a1_alg_none"),
    },
    Row {
        source: "RFC 9068 §2.1",
        says: "a resource server supports RS256",
        held_by: Test("tests/it/standards.rs#rs256_is_accepted_and_a_key_is_used_with_one_algorithm"),
    },
    Row {
        source: "RFC 9068 §2.1",
        says: "`typ` is at+jwt, without the prefix",
        held_by: NotOurs("falls on authorization servers; ours is §4"),
    },
    Row {
        source: "RFC 9068 §2.2",
        says: "iss, exp and aud are there, and a subject or a client",
        held_by: Test("src/token/tests/tokens.rs#claims"),
    },
    Row {
        source: "RFC 9068 §2.2",
        says: "client_id beside sub, iat and jti are there",
        held_by: NotOurs(
            "falls on authorization servers: nothing of §4 rests on them, and common issuers leave them out",
        ),
    },
    Row {
        source: "RFC 9068 §2.2",
        says: "sub says who the resource owner is, or else the client",
        held_by: NotOurs("falls on authorization servers"),
    },
    Row {
        source: "RFC 9068 §2.2.1",
        says: "when and how a subject authenticated",
        held_by: NotOurs("optional claims, which fall on authorization servers"),
    },
    Row {
        source: "RFC 9068 §2.2.2",
        says: "attributes have their registered names",
        held_by: NotOurs("falls on authorization servers"),
    },
    Row {
        source: "RFC 9068 §2.2.3",
        says: "there is a scope claim where scopes were asked for, and each of them means something for the audience",
        held_by: NotOurs("falls on authorization servers; a scope that no rule names opens nothing"),
    },
    Row {
        source: "RFC 9068 §2.2.3.1",
        says: "groups, roles and entitlements are as in SCIM",
        held_by: NotOurs("falls on authorization servers; `scope_claims` reads them where the file says so"),
    },
    Row {
        source: "RFC 9068 §3",
        says: "aud is the resource that was asked for or a default, and no token is ambiguous",
        held_by: NotOurs("falls on authorization servers"),
    },
    Row {
        source: "RFC 9068 §4",
        says: "signatures are asymmetric, and keys and issuer are in consistent metadata",
        held_by: NotOurs(
            "falls on authorization servers; other signatures are refused, and either form of metadata leads to the \
             keys (tests/it/keys.rs#either_form_of_metadata_leads_to_the_keys)",
        ),
    },
    Row {
        source: "RFC 9068 §4",
        says: "a `typ` that is another than at+jwt, application/at+jwt is refused",
        held_by: Test("tests/attacks/a_tokens.rs#a8_other_tokens"),
    },
    Row {
        source: "RFC 9068 §4",
        says: "so is the `typ` JWT, and a token without one",
        held_by: NotOurs(
            "departed from: widespread issuers type their access tokens so; such a token is told from others of its \
             issuer by audience, exp and the claims that only those have (DESIGN, Authenticated)",
        ),
    },
    Row {
        source: "RFC 9068 §4",
        says: "an encrypted token is decrypted, and one that is not is refused where encryption was negotiated",
        held_by: NotOurs(
            "it never is negotiated; an encrypted token is refused (tests/attacks/a_tokens.rs#a7_extensions)",
        ),
    },
    Row {
        source: "RFC 9068 §4",
        says: "iss is exactly the issuer's identifier",
        held_by: Test("tests/attacks/a_tokens.rs#a11_issuers"),
    },
    Row {
        source: "RFC 9068 §4",
        says: "aud names this resource, else the token is refused",
        held_by: Test("tests/attacks/a_tokens.rs#a10_audiences"),
    },
    Row {
        source: "RFC 9068 §4",
        says: "the signature is validated by the algorithm of `alg`",
        held_by: Test("tests/attacks/a_tokens.rs#a3_psychic_signatures"),
    },
    Row { source: "RFC 9068 §4", says: "`none` is refused", held_by: Test("tests/attacks/a_tokens.rs#a1_alg_none") },
    Row {
        source: "RFC 9068 §4",
        says: "the keys are those that the authorization server provides",
        held_by: Test("tests/attacks/a_tokens.rs#a6_keys_in_the_token"),
    },
    Row {
        source: "RFC 9068 §4",
        says: "now is before exp, give or take a small leeway",
        held_by: Test("src/token/tests/tokens.rs#claims"),
    },
    Row {
        source: "RFC 9068 §4",
        says: "errors are those of RFC 6750 §3.1",
        held_by: Test("tests/it/standards.rs#every_challenge_is_one_of_rfc_6750"),
    },
    Row {
        source: "RFC 9068 §4",
        says: "whichever check fails, the code is invalid_token",
        held_by: Test("tests/it/answers.rs#invalid_token"),
    },
    Row {
        source: "RFC 9068 §4",
        says: "also where the keys cannot be had",
        held_by: NotOurs(
            "no check failed, and a client that throws its token away for that would log in again for nothing: 503 \
             (tests/it/answers.rs#keys_unavailable)",
        ),
    },
    Row {
        source: "RFC 9068 §4",
        says: "authorization claims decide",
        held_by: Test("tests/it/tools.rs#scopes_decide_which_tool_may_be_called"),
    },
    Row {
        source: "RFC 9068 §4",
        says: "groups, roles or entitlements decide where they are the scopes",
        held_by: Test("src/token/tests/tokens.rs#scopes_at_a_json_pointer"),
    },
    Row {
        source: "RFC 9068 §5",
        says: "every resource has an audience of its own",
        held_by: NotOurs(
            "falls on authorization servers; that routes differ in theirs is seen to here \
             (tests/it/discovery.rs#a_token_for_one_route_is_worthless_on_another)",
        ),
    },
    Row {
        source: "RFC 9068 §6",
        says: "clients do not look into tokens",
        held_by: NotOurs(
            "falls on clients; the rest of the section has no capitals and speaks to authorization servers",
        ),
    },
];

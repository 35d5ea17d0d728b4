//! The catalogue of threats: the rows, and the parts of rows, that no attack of this binary holds.

use super::HeldBy::{NotOurs, Test};
use super::Row;

/// Where a row has an attack as well, this is about the part of it that the attack leaves out.
pub(super) const ROWS: &[Row] = &[
    Row {
        source: "THREATS A17",
        says: "DPoP proofs are checked: htm, htu, iat, ath, jti, nonce",
        held_by: NotOurs(
            "DPoP is not offered: a bound token is refused whatever stands beside it, and no proof is read",
        ),
    },
    Row {
        source: "THREATS A18",
        says: "introspection answers are checked and cached briefly",
        held_by: NotOurs(
            "introspection is not offered: a token that is no JWT is refused, and nobody is asked about it",
        ),
    },
    Row {
        source: "THREATS A19",
        says: "a failed token exchange never falls back to passthrough",
        held_by: NotOurs("tokens are not exchanged; an access token has no way into a header"),
    },
    Row {
        source: "THREATS A21",
        says: "the cache of verified tokens is bounded, and only verified ones enter",
        held_by: Test("src/token/cache.rs#the_cache_is_bounded_in_bytes"),
    },
    Row {
        source: "THREATS A22",
        says: "secrets are compared in constant time",
        held_by: NotOurs(
            "no secret is compared: keys are public, tokens are looked up by SHA-256, and the session seal is AES-GCM",
        ),
    },
    Row {
        source: "THREATS E10",
        says: "a changed list of tools is logged and counted",
        held_by: NotOurs("what a description says is between client and server; there are no metrics yet"),
    },
    Row {
        source: "THREATS G1",
        says: "memory stays flat under floods of frames",
        held_by: NotOurs(
            "hyper and h2 bound what they keep; that the process stays small is measured under load, not here",
        ),
    },
    Row {
        source: "THREATS G4",
        says: "rustls and webpki without known holes, brotli off, no blocking `complete_io`, certificates reloaded",
        held_by: NotOurs(
            "nothing can be sent: versions and features stand in Cargo.toml; certificates are not reloaded yet",
        ),
    },
    Row {
        source: "THREATS I6",
        says: "a silent stream carries comments, and one whose client is gone is cut",
        held_by: Test("tests/it/lasting.rs#a_client_that_does_not_read_is_cut_and_the_server_waits_meanwhile"),
    },
    Row {
        source: "THREATS K2",
        says: "a reload is atomic, and a bad file leaves the old one serving",
        held_by: NotOurs("there is no reload yet: a changed file needs a restart"),
    },
    Row {
        source: "THREATS K4",
        says: "no unsafe code, dependencies watched, no unwrap on input, a panic ends one request",
        held_by: NotOurs(
            "nothing can be sent: the lints of Cargo.toml, deny.toml and `.ci/run` hold it at every build",
        ),
    },
];

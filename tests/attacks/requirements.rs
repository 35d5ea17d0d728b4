//! What is demanded of us and not held by an attack of this binary: where it is held instead, or why it is not ours. A row of
//! the catalogue is either an attack or stands here.

use std::collections::BTreeSet;
use std::path::Path;

use HeldBy::{NotOurs, Test};

/// A demand.
#[derive(Debug)]
pub(crate) struct Row {
    /// Where it stands.
    pub(crate) source: &'static str,
    /// What it says.
    pub(crate) says: &'static str,
    pub(crate) held_by: HeldBy,
}

/// What holds a demand.
#[derive(Debug)]
pub(crate) enum HeldBy {
    /// The test of this name in this file: `tests/it/cli.rs#name`.
    Test(&'static str),
    /// Nothing here, for this reason.
    NotOurs(&'static str),
}

/// The sections of the catalogue and how many rows each has.
const CATALOGUE: &[(char, usize)] = &[
    ('A', 22),
    ('B', 10),
    ('C', 17),
    ('D', 8),
    ('E', 10),
    ('F', 13),
    ('G', 5),
    ('H', 6),
    ('I', 8),
    ('J', 5),
    ('K', 4),
];

/// Where a row has an attack as well, this is about the part of it that the attack leaves out.
const ROWS: &[Row] = &[
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

/// Rows of the catalogue that are held nowhere or twice, and tests that are not there.
pub(crate) fn faults(attacks: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    let fired: Vec<String> = attacks.iter().map(|name| id_of(name)).collect();
    let distinct: BTreeSet<_> = fired.iter().collect();
    if distinct.len() != fired.len() {
        faults.push("a row of the catalogue has two functions".to_owned());
    }
    let stated: BTreeSet<_> = ROWS.iter().filter_map(|row| row.source.strip_prefix("THREATS ")).collect();
    let all: Vec<String> =
        CATALOGUE.iter().flat_map(|(section, rows)| (1..=*rows).map(move |row| format!("{section}{row}"))).collect();
    for id in &all {
        if !fired.contains(id) && !stated.contains(id.as_str()) {
            faults.push(format!("{id} is neither an attack nor in requirements.rs"));
        }
    }
    for id in fired.iter().map(String::as_str).chain(stated) {
        if !all.iter().any(|each| each == id) {
            faults.push(format!("{id} is no row of the catalogue"));
        }
    }
    for row in ROWS {
        if let Test(place) = row.held_by
            && !exists(place)
        {
            faults.push(format!("{}: there is no test {place}", row.source));
        }
    }
    faults
}

/// What stands here and not above.
pub(crate) fn print() {
    println!();
    for row in ROWS {
        match row.held_by {
            Test(place) => println!("{}: {}: held by {place}", row.source, row.says),
            NotOurs(reason) => println!("{}: {}: {reason}", row.source, row.says),
        }
    }
}

/// `a1_alg_none` is of row A1.
fn id_of(attack: &str) -> String {
    attack.split('_').next().unwrap_or_default().to_ascii_uppercase()
}

fn exists(place: &str) -> bool {
    let Some((file, name)) = place.split_once('#') else { return false };
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap_or_default();
    text.contains(&format!("fn {name}("))
}

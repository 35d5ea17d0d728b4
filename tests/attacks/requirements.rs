//! What is demanded of us: which test holds it, or why nothing here does. A row of the catalogue of threats is an attack of
//! this binary, or stands in `catalogue`; what the standards demand stands in `mcp` and `oauth`, sentence by sentence.

use std::collections::BTreeSet;
use std::path::Path;

use HeldBy::{NotOurs, Test};

mod catalogue;
mod mcp;
mod oauth;

/// A demand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// Where it stands.
    pub(crate) source: &'static str,
    /// What it says.
    pub(crate) says: &'static str,
    pub(crate) held_by: HeldBy,
}

/// What holds a demand.
#[derive(Debug, Clone, Copy)]
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

/// Every table, in the order in which they are printed.
const TABLES: &[&[Row]] = &[catalogue::ROWS, mcp::ROWS, oauth::BEARER, oauth::TOKENS, oauth::PRACTICE, oauth::METADATA];

/// Rows of the catalogue that are held nowhere or twice, and tests that are not there.
pub(crate) fn faults(attacks: &[&str]) -> Vec<String> {
    let mut faults = Vec::new();
    let fired: Vec<String> = attacks.iter().map(|name| id_of(name)).collect();
    let distinct: BTreeSet<_> = fired.iter().collect();
    if distinct.len() != fired.len() {
        faults.push("a row of the catalogue has two functions".to_owned());
    }
    let stated: BTreeSet<_> =
        TABLES.iter().copied().flatten().filter_map(|row| row.source.strip_prefix("THREATS ")).collect();
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
    for row in TABLES.iter().copied().flatten() {
        if let Test(place) = row.held_by
            && !exists(place)
        {
            faults.push(format!("{}: there is no test {place}", row.source));
        }
    }
    faults
}

/// What stands here and not above: each row of the catalogue, and of each document of the standards how much holds it.
pub(crate) fn print() {
    println!();
    let mut documents: Vec<(String, usize, usize)> = Vec::new();
    for row in TABLES.iter().copied().flatten() {
        if row.source.starts_with("THREATS ") {
            match row.held_by {
                Test(place) => println!("{}: {}: held by {place}", row.source, row.says),
                NotOurs(reason) => println!("{}: {}: {reason}", row.source, row.says),
            }
            continue;
        }
        let name = document(row.source);
        let at = documents.iter().position(|(each, ..)| *each == name).unwrap_or_else(|| {
            documents.push((name, 0, 0));
            documents.len() - 1
        });
        match row.held_by {
            Test(_) => documents[at].1 += 1,
            NotOurs(_) => documents[at].2 += 1,
        }
    }
    for (name, held, not_ours) in documents {
        println!("{name}: {} demands, {held} held by a test, {not_ours} not ours", held + not_ours);
    }
}

/// `RFC 6750` of `RFC 6750 §3.1`; of MCP the page, whatever the revisions.
fn document(source: &str) -> String {
    let mut parts = source.split(", ");
    let standard: Vec<&str> = parts.next().unwrap_or_default().split(' ').take(2).collect();
    let is_revision = |part: &&str| part.starts_with(|first: char| first.is_ascii_digit());
    match standard.as_slice() {
        ["MCP", ..] => format!("MCP, {}", parts.find(|part| !is_revision(part)).unwrap_or_default()),
        standard => standard.join(" "),
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

//! The corpora of `fuzz/`, replayed with the stable toolchain: what once was found, or leads to a branch of its own, holds
//! on every change.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a fault in a test, and in what it calls, ends the test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "the targets of fuzz/ call it too")]
mod properties;

use properties::{challenge, envelope, jwks, list, metadata, normal_form, pattern, readers, sse, token, yaml};

type Check = fn(&[u8]);

/// What a target checks. Readers that only `fuzz/` depends on stay out: they take part where the targets run.
const TARGETS: [(&str, Check); 11] = [
    ("challenge", challenge::check),
    ("envelope", envelope::check),
    ("jwks", jwks::check),
    ("list", list::check),
    ("metadata", metadata::check),
    ("normal_form", |bytes| normal_form::check(bytes, |_| None)),
    ("pattern", pattern::check),
    ("readers", |bytes| readers::check(bytes, &[])),
    ("sse", sse::check),
    ("token", token::check),
    ("yaml", yaml::check),
];

const FILE_BYTES_MAX: usize = 4 << 10;
const CORPORA_BYTES_MAX: usize = 1 << 20;

#[test]
fn every_corpus_is_replayed() {
    let corpora = folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus"));
    let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(corpora.keys().collect::<Vec<_>>(), names, "a corpus for each target");
    let mut bytes_in_all = 0;
    for (name, check) in TARGETS {
        let corpus = folder(&corpora[name]);
        assert!(corpus.len() >= 10, "{name}: {} files", corpus.len());
        for (file, path) in corpus {
            let bytes = fs::read(path).expect("readable");
            assert!(bytes.len() <= FILE_BYTES_MAX, "{name}/{file} is too long for a corpus");
            bytes_in_all += bytes.len();
            // The name of the file stands in the output of a test that fails.
            println!("{name}/{file}");
            check(&bytes);
        }
    }
    assert!(bytes_in_all <= CORPORA_BYTES_MAX, "{bytes_in_all} bytes are too much for corpora");
}

/// What is in a folder, by name.
fn folder(path: &Path) -> BTreeMap<String, std::path::PathBuf> {
    fs::read_dir(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .map(|entry| entry.expect("an entry").path())
        .map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), path))
        .collect()
}

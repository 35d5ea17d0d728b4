//! The files that the project ships and the files that it must refuse. Every example in `config/` loads and decides as
//! its comments say; every file in `tests/broken/` is refused with exactly the message beside it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gatepost::config;
use gatepost::gateway::settings::Settings;

/// The files of a folder with this ending, by name.
fn files(folder: &str, ending: &str) -> BTreeMap<String, PathBuf> {
    fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == ending))
        .map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), path))
        .collect()
}

fn example(name: &str) -> Settings {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
    config::load(&path).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn every_example_loads() {
    let examples = files("config", "yaml");
    for name in examples.keys() {
        example(name);
    }
    let names: Vec<&str> = examples.keys().map(String::as_str).collect();
    let expect = [
        "analytics.yaml",
        "full.yaml",
        "internal-audit.yaml",
        "many-servers.yaml",
        "minimal.yaml",
        "per-tool-scopes.yaml",
    ];
    assert_eq!(names, expect);
}

#[test]
fn every_broken_file_is_refused_with_its_message() {
    let broken = files("tests/broken", "yaml");
    assert!(broken.len() >= 12);
    let mut different = Vec::new();
    for (name, path) in broken {
        let text = fs::read_to_string(&path).expect("readable");
        let base = path.parent().expect("a folder");
        let got = match config::parse(&text, &name, base) {
            Ok(_) => "(accepted)".to_owned(),
            Err(errors) => errors.to_string(),
        };
        let expect = fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        if got != expect.trim_end() {
            different.push(format!("{name} gives:\n{got}\n"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn every_message_has_its_file() {
    let stems = |ending| {
        let names = files("tests/broken", ending).into_values();
        names.map(|path| path.with_extension("")).collect::<Vec<_>>()
    };
    assert_eq!(stems("yaml"), stems("txt"));
}

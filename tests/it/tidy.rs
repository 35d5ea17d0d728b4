//! The shape of the source: layers that point down, a first line that says what a file is for, lengths that can be read,
//! crates that stay where they belong, example files that load, links that lead somewhere.

use std::fs;
use std::path::{Path, PathBuf};

/// The layers, from the top. A module may name those that stand below it, and never one beside it.
const LAYERS: &[(&str, &[&str])] = &[
    ("cli", &["demo", "survey", "config", "gateway", "token", "policy", "oauth", "mcp", "rejection"]),
    ("demo", &["config", "gateway", "token", "policy", "oauth", "mcp", "rejection"]),
    ("survey", &["config", "gateway", "token", "policy", "oauth", "mcp", "rejection"]),
    ("config", &["gateway", "token", "policy", "oauth", "mcp", "rejection"]),
    ("gateway", &["token", "policy", "oauth", "mcp", "rejection"]),
    ("token", &["oauth", "mcp", "rejection"]),
    ("policy", &["oauth", "mcp", "rejection"]),
    ("rejection", &["oauth", "mcp"]),
    ("oauth", &[]),
    ("mcp", &[]),
];

/// Crates that few places hide, so that a successor is a change there and nowhere else.
const HIDDEN: &[(&str, &[&str])] = &[
    ("serde_yaml", &["src/config/yaml.rs"]),
    ("saphyr_parser", &["src/config/place.rs"]),
    // The demo's authorization server signs what `token` validates.
    ("jsonwebtoken", &["src/token/", "src/demo/"]),
    ("governor", &["src/gateway/rates.rs"]),
    ("moka", &["src/token/", "src/gateway/rates.rs"]),
    ("rmcp", &["src/demo/"]),
    ("hyper", &["src/gateway/"]),
    ("prometheus", &["src/gateway/metrics"]),
];

const LINES_MAX: usize = 700;

#[test]
fn layers_point_down() {
    for file in rust_files("src") {
        let Some(module) = module_of(&file) else { continue };
        let (_, below) = LAYERS
            .iter()
            .find(|(name, _)| *name == module)
            .unwrap_or_else(|| panic!("{}: a module without a layer", file.display()));
        let code = code_of(&file);
        for named in named_modules(&code) {
            let fine = named == module || below.contains(&named.as_str());
            assert!(fine, "{}: {module} names {named}, which does not stand below it", file.display());
        }
        let deep = file.components().count() > Path::new(env!("CARGO_MANIFEST_DIR")).components().count() + 3;
        assert!(deep || !code.contains("super::super"), "{}: a way round `crate::`", file.display());
    }
}

#[test]
fn the_reading_of_layers_sees_every_form() {
    let code =
        "use crate::{oauth::ids, token, mcp::{sse, message}};\nlet x = crate::policy::decide();\npub(crate) fn f()";
    assert_eq!(named_modules(code), ["oauth", "token", "mcp", "policy"]);
}

#[test]
fn hidden_crates_stay_hidden() {
    let mut strays = Vec::new();
    for file in rust_files("src") {
        let code = code_of(&file);
        let place = file.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display().to_string();
        for (name, homes) in HIDDEN {
            let used = code.contains(&format!("{name}::")) || code.contains(&format!("use {name};"));
            if used && !homes.iter().any(|home| place.starts_with(home)) {
                strays.push(format!("{place}: {name} belongs to {homes:?}"));
            }
        }
    }
    assert!(strays.is_empty(), "{strays:#?}");
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    let mut faults = Vec::new();
    for file in rust_files("src").into_iter().chain(rust_files("tests")) {
        let text = fs::read_to_string(&file).unwrap();
        let lines = text.lines().count();
        if !text.starts_with("//! ") || lines > LINES_MAX {
            faults.push(format!("{}: {lines} lines, the first {:?}", file.display(), text.lines().next()));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_example_file_loads() {
    let mut loaded = 0;
    for file in files("config").into_iter().filter(|file| file.extension().is_some_and(|ending| ending == "yaml")) {
        // A table of what such a file is expected to say; `tests/files.rs` holds it against that file.
        if file.to_str().unwrap().ends_with(".test.yaml") {
            continue;
        }
        if let Err(errors) = gatepost::config::load(&file) {
            panic!("{errors}");
        }
        loaded += 1;
    }
    assert!(loaded > 0, "config/ holds example files");
}

#[test]
fn links_in_documents_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let at_the_root = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let documents = at_the_root.chain(["config", "deploy", "docs"].into_iter().flat_map(files));
    let mut read = 0;
    for document in documents.filter(|path| path.extension().is_some_and(|ending| ending == "md")) {
        read += 1;
        let folder = document.parent().unwrap_or(root);
        for link in links(&fs::read_to_string(&document).unwrap()) {
            let (path, _) = link.split_once('#').unwrap_or((&link, ""));
            let leads = path.is_empty() || path.contains("://") || folder.join(path).exists();
            assert!(leads, "{}: {link} leads nowhere", document.display());
        }
    }
    assert!(read > 10, "there are documents");
}

#[test]
fn every_reason_word_has_a_test_of_its_name() {
    let tests = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/answers.rs")).unwrap();
    let words = gatepost::rejection::REASONS.iter().map(|(word, _)| *word);
    let untested: Vec<_> = words.filter(|word| !tests.contains(&format!("async fn {word}()"))).collect();
    // It comes with the limits that lead to it.
    assert_eq!(untested, ["overloaded"]);
}

/// The top-level module that a file of `src` belongs to; `None` for `lib.rs` and `main.rs`.
fn module_of(file: &Path) -> Option<String> {
    let inside = file.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    let module = first.strip_suffix(".rs").unwrap_or(first);
    (module != "lib" && module != "main").then(|| module.to_owned())
}

/// The code of a file: without comments, and without its tests, which may use what they like.
fn code_of(file: &Path) -> String {
    if file.ends_with("tests.rs") {
        return String::new();
    }
    let text = fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The first segments of all paths that begin with `crate::`, braces looked into.
fn named_modules(code: &str) -> Vec<String> {
    let word = |text: &str| -> String { text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let mut named = Vec::new();
    for after in code.split("crate::").skip(1) {
        let Some(group) = after.strip_prefix('{') else {
            named.push(word(after));
            continue;
        };
        let (mut depth, mut fresh) = (0, true);
        for (at, byte) in group.char_indices() {
            match byte {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => fresh = true,
                byte if fresh && byte.is_alphabetic() => {
                    named.push(word(&group[at..]));
                    fresh = false;
                }
                _ => {}
            }
        }
    }
    named
}

/// The targets of Markdown links and images.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|after| after.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

fn rust_files(folder: &str) -> Vec<PathBuf> {
    files(folder).into_iter().filter(|file| file.extension().is_some_and(|ending| ending == "rs")).collect()
}

/// Every file below a folder of the package, in a fixed order; what is hidden or installed is not the package's.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with('.') || name == "node_modules" {
                continue;
            }
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

#[test]
fn the_runbook_has_a_row_for_every_reason_and_its_statuses() {
    let runbook = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/runbook.md")).unwrap();
    let rows: Vec<(String, String)> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .map(|(word, rest)| (word.to_owned(), rest.split(" |").next().unwrap().to_owned()))
        .collect();
    let expected: Vec<(String, String)> = gatepost::rejection::REASONS
        .iter()
        .map(|(word, statuses)| {
            let statuses: Vec<String> = statuses.iter().map(ToString::to_string).collect();
            ((*word).to_owned(), statuses.join(", "))
        })
        .collect();
    assert_eq!(rows, expected);
}

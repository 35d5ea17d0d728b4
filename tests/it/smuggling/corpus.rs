//! The rows of `tests/smuggling/`, and the bytes that each of them is. `tests/smuggling/README.md` says what the fields mean.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// One case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    pub(super) id: String,
    /// What is between the readers, where the views do not say it.
    #[serde(default)]
    pub(super) note: String,
    #[serde(default)]
    pub(super) answer: Expected,
    /// Refused on this route alone: where every tool but the forbidden one is permitted, the names are others.
    #[serde(default)]
    only: Option<Route>,
    #[serde(default = "post")]
    method: String,
    #[serde(default)]
    query: String,
    #[serde(default = "json")]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: Body,
    pub(super) views: BTreeMap<String, Vec<String>>,
}

/// What a gateway must answer.
#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Expected {
    /// A status of 400 to 499 with a JSON-RPC error.
    #[default]
    Refused,
    /// The same, or no body where the HTTP parser ends the connection.
    Broken,
    /// The server's answer, as there is no forbidden reading of what a gateway sends on.
    Passed,
}

/// A route of the test's gateway.
#[derive(Debug, Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Route {
    /// Permits what is allowed.
    Closed,
    /// Permits all but what is forbidden.
    Open,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Body {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Part {
    Text(String),
    Base64 { base64: String },
    Repeated { text: String, times: usize },
}

impl Default for Body {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl Row {
    /// On which routes it is sent.
    pub(super) fn routes(&self) -> impl Iterator<Item = Route> + '_ {
        [Route::Closed, Route::Open].into_iter().filter(|route| self.only.is_none_or(|only| only == *route))
    }

    /// The whole request.
    pub(super) fn request(&self, host: &str, path: &str, token: &str) -> Vec<u8> {
        let body = self.body();
        let mut head = format!(
            "{} {path}{} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nAccept: application/json, text/event-stream\r\n",
            self.method, self.query
        );
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        let frames =
            |name: &str| ["content-length", "transfer-encoding"].contains(&name.trim().to_ascii_lowercase().as_str());
        if !self.headers.iter().any(|(name, _)| frames(name)) {
            head.extend(["Content-Length: ", &body.len().to_string(), "\r\n"]);
        }
        head.push_str("\r\n");
        [head.as_bytes(), &body].concat()
    }

    /// What stands after the head.
    fn body(&self) -> Vec<u8> {
        match &self.body {
            Body::Text(text) => text.as_bytes().to_vec(),
            Body::Parts(parts) => parts.iter().flat_map(Part::bytes).collect(),
        }
    }
}

impl Part {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Base64 { base64 } => STANDARD.decode(base64).expect("base64 in a row"),
            Self::Repeated { text, times } => text.repeat(*times).into_bytes(),
        }
    }
}

/// Every row, by the name of its family.
pub(super) fn families() -> BTreeMap<String, Vec<Row>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/smuggling");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut ids = BTreeSet::new();
    let read = |path: std::path::PathBuf| {
        let family = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let rows = text.lines().enumerate().map(|(line, row)| {
            let row: Row = serde_json::from_str(row).unwrap_or_else(|error| panic!("{family}:{}: {error}", line + 1));
            assert!(ids.insert(row.id.clone()), "{family}:{}: {} is there twice", line + 1, row.id);
            row
        });
        (family.clone(), rows.collect())
    };
    paths.filter(|path| path.extension().is_some_and(|ending| ending == "jsonl")).map(read).collect()
}

fn post() -> String {
    "POST".to_owned()
}

fn json() -> Vec<(String, String)> {
    vec![("Content-Type".to_owned(), "application/json".to_owned())]
}

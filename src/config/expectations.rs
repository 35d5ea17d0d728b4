//! What a policy is expected to say: a table of cases that `gatepost test` runs. It is read as strictly as the routing file,
//! and a mistake in it is reported as one there, with its place: a case that says something else than its writer believes
//! proves nothing.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::checks::{Checks, Source};
use super::error::{ConfigErrors, Problem, closest, one_of, shown};
use super::place::{KeyPath, Node};
use super::{read_text, routes, text_of, yaml};
use crate::gateway::settings::{RouteSettings, Settings};
use crate::mcp::revision::{self, Revision};
use crate::mcp::sample::{Named, Wish};
use crate::oauth::ids::Issuer;
use crate::oauth::scope::ScopeSet;
use crate::rejection::{REASONS, TokenFault};
use crate::token::examine::scopes_of;

/// A table as written.
#[derive(Debug)]
pub struct Expectations {
    name: String,
    base: PathBuf,
    tree: Node,
    file: File,
}

/// One case, as meant.
#[derive(Debug)]
pub struct Expectation {
    /// Its line in the table.
    pub line: usize,
    /// The route.
    pub route: Arc<str>,
    /// The caller's scopes; the fault of a token whose claims hold none that can be read.
    pub held: Result<ScopeSet, TokenFault>,
    /// What it asks for.
    pub wish: Wish,
    /// In which revision, if the client says so.
    pub revision: Option<Revision>,
    /// What becomes of it.
    pub expect: Expected,
    /// All scopes that it needs, where the case says.
    pub needed: Option<ScopeSet>,
    /// Whether lists show it, where the case says.
    pub listed: Option<bool>,
    /// What would become of it if the route did more than report, where the case says.
    pub would_deny: Option<Expected>,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// It goes on to the server.
    Forwarded,
    /// It is refused, for this reason.
    Refused(&'static str),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    config: Option<String>,
    cases: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    route: Option<String>,
    scopes: Option<Vec<String>>,
    claims: Option<Map<String, Value>>,
    tool: Option<String>,
    prompt: Option<String>,
    resource: Option<String>,
    method: Option<String>,
    revision: Option<String>,
    expect: String,
    needed: Option<Vec<String>>,
    listed: Option<bool>,
    would_deny: Option<String>,
}

impl Expectations {
    /// Reads the table in a file.
    pub fn read(path: &Path) -> Result<Self, ConfigErrors> {
        let name = path.display().to_string();
        let text = read_text(path, "a readable file of expectations, or - for standard input");
        let base = path.parent().unwrap_or_else(|| Path::new(""));
        text.map_err(|problem| vec![problem]).and_then(|text| Self::parse(&text, &name, base)).map_err(of_file(&name))
    }

    /// Reads the table that `source` yields. Names of files in it are relative to where the process runs.
    pub fn read_from(source: impl Read, name: &str) -> Result<Self, ConfigErrors> {
        let text = text_of(source, "a table of expectations");
        text.map_err(|problem| vec![problem])
            .and_then(|text| Self::parse(&text, name, Path::new("")))
            .map_err(of_file(name))
    }

    fn parse(text: &str, name: &str, base: &Path) -> Result<Self, Vec<Problem>> {
        let (file, tree) = yaml::read_expectations(text)?;
        Ok(Self { name: name.to_owned(), base: base.to_owned(), tree, file })
    }

    /// The routing file that it is about, if it names one.
    #[must_use]
    pub fn config(&self) -> Option<PathBuf> {
        self.file.config.as_ref().map(|name| self.base.join(name))
    }

    /// The cases, for the routes and issuers of `settings`.
    pub fn of(self, settings: &Settings) -> Result<Vec<Expectation>, ConfigErrors> {
        let Self { name, base, tree, file } = self;
        let mut files = Vec::new();
        let mut checks = Checks::new(Source { name, base, tree: Some(tree) }, &mut files);
        let list = KeyPath::default().key("cases");
        if file.cases.is_empty() {
            checks.refuse(&list, "there is no case: nothing would be proved", "at least one");
        }
        let routes: HashMap<&str, &RouteSettings> = settings.routes.iter().map(|route| (&*route.name, route)).collect();
        let cases = file.cases.iter().enumerate();
        let read: Vec<Expectation> = cases
            .filter_map(|(index, case)| case.expectation(&list.index(index), &routes, settings, &mut checks))
            .collect();
        match checks.into_problems() {
            (_, problems) if problems.is_empty() => Ok(read),
            (names, problems) => Err(ConfigErrors::new(names, problems)),
        }
    }
}

impl Case {
    fn expectation(
        &self,
        path: &KeyPath,
        routes: &HashMap<&str, &RouteSettings>,
        settings: &Settings,
        checks: &mut Checks<'_>,
    ) -> Option<Expectation> {
        let route = self.route(path, routes, settings, checks);
        let held = route.and_then(|route| self.held(path, route, settings, checks));
        let wish = self.wish(path, checks);
        let revision = self.revision(path, checks);
        let expect = word(&self.expect, "allow", &path.key("expect"), checks);
        // What is refused in these refuses the whole table.
        let needed = self.needed.as_deref().and_then(|list| scopes(list, &path.key("needed"), checks));
        let would_deny = self.would_deny.as_deref();
        let would_deny = would_deny.and_then(|text| word(text, "nothing", &path.key("would_deny"), checks));
        if self.listed.is_some() && wish.as_ref().is_some_and(|wish| wish.named().is_none()) {
            let found = "this names nothing that stands in a list";
            checks.refuse_key(&path.key("listed"), found, "`listed` beside `tool`, `prompt` or `resource` alone");
        }
        Some(Expectation {
            line: checks.line_number(path),
            route: Arc::clone(&route?.name),
            held: held?,
            wish: wish?,
            revision,
            expect: expect?,
            needed,
            listed: self.listed,
            would_deny,
        })
    }

    fn route<'s>(
        &self,
        path: &KeyPath,
        routes: &HashMap<&str, &'s RouteSettings>,
        settings: &'s Settings,
        checks: &mut Checks<'_>,
    ) -> Option<&'s RouteSettings> {
        match (&self.route, settings.routes.as_slice()) {
            (Some(name), _) => {
                let known = routes.get(name.as_str()).copied();
                if known.is_none() {
                    let (meant, names) = among(name, routes.keys().copied());
                    let found = format!("{} is not a route of the routing file{meant}", shown(name));
                    checks.refuse(&path.key("route"), found, format!("the `name` of a route: {names}"));
                }
                known
            }
            (None, [only]) => Some(only),
            (None, _) => {
                checks.refuse(path, "the key \"route\" is missing, and there are several", "`route:` and its name");
                None
            }
        }
    }

    fn held(
        &self,
        path: &KeyPath,
        route: &RouteSettings,
        settings: &Settings,
        checks: &mut Checks<'_>,
    ) -> Option<Result<ScopeSet, TokenFault>> {
        let claims = match (&self.scopes, &self.claims) {
            (Some(list), None) => return scopes(list, &path.key("scopes"), checks).map(Ok),
            (None, Some(claims)) => claims,
            (None, None) => {
                let expected = "`scopes: [...]` (`[]` for a token without any), or `claims:` of a token";
                checks.refuse(path, "nothing says what the caller's token holds", expected);
                return None;
            }
            (Some(_), Some(_)) => {
                checks.refuse_key(&path.key("claims"), "both `scopes` and `claims`", "one of the two");
                return None;
            }
        };
        let at = path.key("claims");
        let named = match (claims.get("iss"), route.issuers.as_slice()) {
            (None, [only]) => only.as_str(),
            (None, _) => {
                let expected = "`iss` among the claims, and in it one of the route's issuers";
                checks.refuse_key(
                    &at,
                    "the route has several issuers, and scopes may stand elsewhere in each",
                    expected,
                );
                return None;
            }
            (Some(issuer), _) => issuer.as_str().unwrap_or_default(),
        };
        let serves = route.issuers.iter().any(|issuer| issuer.as_str() == named);
        let issuer = settings.authorization_servers.iter().find(|issuer| issuer.issuer.as_str() == named);
        let Some(issuer) = issuer.filter(|_| serves) else {
            let (hint, known) = among(named, route.issuers.iter().map(Issuer::as_str));
            let found = format!("{} is no issuer of this route{hint}", checks.shown(&at.key("iss")));
            checks.refuse(&at.key("iss"), found, format!("exactly one of {known}"));
            return None;
        };
        Some(scopes_of(&Value::Object(claims.clone()), issuer))
    }

    fn wish(&self, path: &KeyPath, checks: &mut Checks<'_>) -> Option<Wish> {
        let named = [
            self.tool.clone().map(|name| ("tool", Named::Tool(name))),
            self.prompt.clone().map(|name| ("prompt", Named::Prompt(name))),
            self.resource.clone().map(|uri| ("resource", Named::Resource(uri))),
        ];
        let mut named = named.into_iter().flatten();
        let (first, second) = (named.next(), named.next());
        if let Some((key, _)) = second {
            checks.refuse_key(&path.key(key), "this case names several things", "one of them; write a case for each");
            return None;
        }
        let wish = Wish::new(self.method.as_deref(), first.map(|(_, named)| named));
        wish.map_err(|expected| {
            let at = if self.method.is_some() { path.key("method") } else { path.clone() };
            checks.refuse(&at, "this is no request of MCP", expected);
        })
        .ok()
    }

    fn revision(&self, path: &KeyPath, checks: &mut Checks<'_>) -> Option<Revision> {
        let text = self.revision.as_ref()?;
        let read = Revision::parse(text).ok_or_else(|| one_of(revision::ALL.map(Revision::as_str)));
        checks.value(&path.key("revision"), text, read)
    }
}

/// A reason word, or `none` for no refusal.
fn word(text: &str, none: &'static str, path: &KeyPath, checks: &mut Checks<'_>) -> Option<Expected> {
    let words = || REASONS.iter().map(|(word, _)| *word);
    if text == none {
        return Some(Expected::Forwarded);
    }
    if let Some(word) = words().find(|word| *word == text) {
        return Some(Expected::Refused(word));
    }
    let meant = closest(text, words().chain([none])).map_or(String::new(), |word| format!("; did you mean {word}?"));
    let expected = format!("{none}, or a reason word: insufficient_scope, not_permitted, …");
    checks.refuse(path, format!("{} is no answer{meant}", shown(text)), expected);
    None
}

fn scopes(list: &[String], path: &KeyPath, checks: &mut Checks<'_>) -> Option<ScopeSet> {
    checks.list(path, list, routes::token_scope).map(ScopeSet::from_iter)
}

/// What `name` was meant to be, and which names there are.
fn among<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> (String, String) {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    let meant = closest(name, names.iter().copied());
    let meant = meant.map_or(String::new(), |meant| format!("; did you mean {}?", shown(meant)));
    (meant, one_of(names.into_iter().take(NAMES_MAX)))
}

fn of_file(name: &str) -> impl FnOnce(Vec<Problem>) -> ConfigErrors {
    let names = vec![name.to_owned()];
    |problems| ConfigErrors::new(names, problems)
}

/// So many names are listed.
const NAMES_MAX: usize = 20;

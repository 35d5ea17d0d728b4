//! Rules from an audit log: what somebody asked for on routes that report and no rule names, by exact name and for a scope that
//! nobody has yet. What a rule denies stays denied, and nothing is ever proposed for everybody. Memory is bounded whatever
//! the log holds, and what clients wrote into it never becomes YAML or a pattern.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, Read as _};

use serde::Deserialize;

use super::Lines;
use super::text::{check_name, line, quoted};
use crate::gateway::settings::{RouteSettings, Settings};
use crate::oauth::scope::Scope;
use crate::policy::is_normal_uri;
use crate::policy::pattern::{Dialect, Pattern};
use crate::policy::rule::{Effect, Rule, Target};
use crate::rejection::RuleId;

/// A record as far as it matters here. Other fields may come and go.
#[derive(Debug, Deserialize)]
struct Record {
    schema: u64,
    event: String,
    route: Option<String>,
    principal: Option<Caller>,
    scopes_held: Option<String>,
    #[serde(flatten)]
    only: Part,
    #[serde(default)]
    operations: Vec<Part>,
}

/// One operation.
#[derive(Debug, Default, Deserialize)]
struct Part {
    method: Option<String>,
    name: Option<String>,
    would_deny: Option<String>,
    rule: Option<String>,
    rule_line: Option<usize>,
    scopes_needed: Option<String>,
}

#[derive(Debug, Hash, Deserialize)]
struct Caller {
    issuer: String,
    subject: Option<String>,
    client: Option<String>,
}

/// What a log said, counted.
#[derive(Debug, Default)]
pub struct Seen {
    records: u64,
    foreign: u64,
    /// What did not fit into the bounds.
    beyond: u64,
    routes: BTreeMap<String, OfRoute>,
    entries: usize,
    callers: RandomState,
}

#[derive(Debug, Default)]
struct OfRoute {
    records: u64,
    would_deny: u64,
    callers: Few,
    /// How often each of `rules` decided, and at which line of the file it stood last.
    rules: BTreeMap<String, (u64, Option<usize>)>,
    /// What no rule names.
    unnamed: BTreeMap<(What, String), Asked>,
    /// By the scopes that were needed.
    lacking: BTreeMap<String, Asked>,
    /// By the rule that denies.
    denied: BTreeMap<String, u64>,
    /// Scopes that somebody held: none of them is a new one.
    held: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Asked {
    times: u64,
    callers: Few,
    /// The scopes that all of them held; `None` before the first.
    held: Option<BTreeSet<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Tool,
    Prompt,
    Resource,
    Method,
}

/// A count of different things, exact up to a bound.
#[derive(Debug, Default)]
struct Few {
    hashes: HashSet<u64>,
    more: bool,
}

impl Record {
    /// Whether its texts are as short as those of a gateway.
    fn is_bounded(&self) -> bool {
        let mut texts = [&self.route, &self.scopes_held].into_iter().chain(
            self.operations
                .iter()
                .chain([&self.only])
                .flat_map(|part| [&part.method, &part.name, &part.rule, &part.scopes_needed]),
        );
        texts.all(|text| text.as_ref().is_none_or(|text| text.len() <= TEXT_BYTES_MAX))
    }
}

impl Few {
    fn add(&mut self, hash: u64) {
        if self.hashes.len() < CALLERS_MAX {
            self.hashes.insert(hash);
        } else {
            self.more |= !self.hashes.contains(&hash);
        }
    }

    fn shown(&self) -> String {
        match (self.hashes.len(), self.more) {
            (1, _) => "1 caller".to_owned(),
            (count, false) => format!("{count} callers"),
            (count, true) => format!("over {count} callers"),
        }
    }
}

impl Seen {
    /// Reads records, one a line. What is none is counted and passed over.
    pub fn read(&mut self, mut log: impl BufRead) -> io::Result<()> {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            if log.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)? == 0 {
                return Ok(());
            }
            let whole = bytes.ends_with(b"\n") || (bytes.len() as u64) < LINE_BYTES_MAX;
            if !whole {
                self.foreign += 1;
                skip_line(&mut log)?;
            } else if !bytes.trim_ascii().is_empty() {
                match serde_json::from_slice::<Record>(&bytes) {
                    Ok(record) if record.schema == SCHEMA && record.is_bounded() => self.count(&record),
                    Ok(_) | Err(_) => self.foreign += 1,
                }
            }
        }
    }

    fn count(&mut self, record: &Record) {
        self.records += 1;
        // A stream says what was decided when it opens, and again when it closes.
        let Some(route) = record.route.as_deref().filter(|_| record.event != "closed") else { return };
        if !self.routes.contains_key(route) && self.routes.len() == ROUTES_MAX {
            self.beyond += 1;
            return;
        }
        let caller = record.principal.as_ref().map(|caller| self.callers.hash_one(caller));
        let of_route = self.routes.entry(route.to_owned()).or_default();
        of_route.records += 1;
        if let Some(caller) = caller {
            of_route.callers.add(caller);
        }
        let parts = if record.operations.is_empty() { std::slice::from_ref(&record.only) } else { &record.operations };
        for part in parts {
            of_route.decided(part);
            if let Some(denial) = &part.would_deny {
                of_route.would_deny += 1;
                let held = record.scopes_held.as_deref().unwrap_or_default();
                if !of_route.asked(part, denial, caller, held, &mut self.entries) {
                    self.beyond += 1;
                }
            }
        }
    }

    /// The proposal, as rules to paste with comments. `settings` are those of the file, to say which rules nobody needed.
    #[must_use]
    pub fn proposal(&self, settings: Option<&Settings>) -> String {
        let mut out = Lines::default();
        out.push(format_args!("# From {} audit records; {} other lines were passed over.", self.records, self.foreign));
        if self.beyond > 0 {
            out.push(format_args!("# {} more could not be kept apart: too many different names.", self.beyond));
        }
        let reporting = self.routes.iter().filter(|(_, seen)| seen.would_deny > 0);
        let mut any = false;
        for (name, seen) in reporting {
            any = true;
            seen.propose(name, settings, &mut out);
        }
        if !any {
            out.push(
                "# No record says `would_deny`: nothing to propose. Only routes with `mode: report` have such records.",
            );
        }
        match settings {
            Some(settings) => self.unused(settings, &mut out),
            None => {
                out.push("\n# Without a routing file (--config FILE) nothing is said of rules that were never used.");
            }
        }
        out.0
    }

    fn unused(&self, settings: &Settings, out: &mut Lines) {
        out.push("\n# Rules of the file that decided nothing:");
        let (mut unused, mut moved) = (0_usize, false);
        for route in &settings.routes {
            let rules = &route.policy.settings().rules;
            let Some(seen) = self.routes.get(&*route.name) else {
                if !rules.is_empty() {
                    out.push(format_args!("#   route {}: no record at all", route.name));
                }
                continue;
            };
            let mut known = 0;
            for (place, rule) in rules.iter().enumerate() {
                let id = RuleId::Rule { place, line: rule.line, policy: rule.policy.clone() }.to_string();
                let used = seen.rules.get(&id);
                known += usize::from(used.is_some());
                match used {
                    None => {
                        unused += 1;
                        out.push(format_args!(
                            "#   route {}: {id} (line {}; {}) in {} records",
                            route.name,
                            rule.line,
                            about(rule),
                            seen.records
                        ));
                    }
                    Some((_, line)) => moved |= line.is_some_and(|line| line != rule.line),
                }
            }
            moved |= seen.rules.len() > known;
        }
        if unused == 0 {
            out.push("#   none, of those routes that have records");
        }
        if moved {
            out.push("#   Careful: some records were written with another file, whose rules stood elsewhere.");
        }
    }
}

impl OfRoute {
    fn decided(&mut self, part: &Part) {
        if let Some(rule) = part.rule.as_deref().filter(|rule| is_written(rule))
            && (self.rules.contains_key(rule) || self.rules.len() < RULES_MAX)
        {
            let used = self.rules.entry(rule.to_owned()).or_default();
            *used = (used.0 + 1, part.rule_line);
        }
    }

    /// False where there is no room for one more name.
    fn asked(&mut self, part: &Part, denial: &str, caller: Option<u64>, held: &str, entries: &mut usize) -> bool {
        let rule = part.rule.as_deref().unwrap_or_default();
        let (method, name) = (part.method.as_deref().unwrap_or_default(), part.name.as_deref());
        if denial == "not_permitted" && is_written(rule) {
            let at = part.rule_line.map_or_else(|| rule.to_owned(), |line| format!("{rule} (line {line})"));
            return counted(&mut self.denied, at, entries).map(|times| *times += 1).is_some();
        }
        let asked = if denial == "insufficient_scope" {
            counted(&mut self.lacking, part.scopes_needed.clone().unwrap_or_default(), entries)
        } else {
            let what = match (method, name) {
                ("tools/call", Some(name)) => (What::Tool, name),
                ("prompts/get", Some(name)) => (What::Prompt, name),
                (
                    "resources/read" | "resources/subscribe" | "resources/unsubscribe" | "subscriptions/listen",
                    Some(uri),
                ) => (What::Resource, uri),
                // What is completed is asked for by one of those, too.
                ("completion/complete", _) => return true,
                (method, _) => (What::Method, method),
            };
            counted(&mut self.unnamed, (what.0, what.1.to_owned()), entries)
        };
        let Some(asked) = asked else { return false };
        asked.times += 1;
        if let Some(caller) = caller {
            asked.callers.add(caller);
        }
        let held = held.split(' ').filter(|scope| !scope.is_empty());
        for scope in held.clone() {
            if self.held.len() < SCOPES_MAX && !self.held.contains(scope) {
                self.held.insert(scope.to_owned());
            }
        }
        asked.held = Some(match asked.held.take() {
            None => held.take(HELD_MAX).map(str::to_owned).collect(),
            Some(before) => {
                let held: HashSet<&str> = held.collect();
                before.into_iter().filter(|scope| held.contains(scope.as_str())).collect()
            }
        });
        true
    }

    fn propose(&self, route: &str, settings: Option<&Settings>, out: &mut Lines) {
        out.push(format_args!(
            "\n# Route {}: {} records of {}; a route that enforces would have refused {} operations.",
            quoted(&cut(route)),
            self.records,
            self.callers.shown(),
            self.would_deny
        ));
        if !self.lacking.is_empty() {
            out.push("# For want of a scope. That needs no rule: give the scope to those who should have it.");
            for (needed, asked) in &self.lacking {
                out.push(format_args!("#   needed {}: {}", line(needed, 200), asked.shown()));
            }
        }
        if !self.denied.is_empty() {
            out.push("# By a rule that denies, which stays.");
            for (rule, times) in &self.denied {
                out.push(format_args!("#   {}: {times} times", line(rule, 80)));
            }
        }
        self.rules_for(route, settings, out);
    }

    fn rules_for(&self, route: &str, settings: Option<&Settings>, out: &mut Lines) {
        let mut left_out = Vec::new();
        let mut kinds: BTreeMap<What, Vec<(&str, &Asked)>> = BTreeMap::new();
        for ((what, name), asked) in &self.unnamed {
            let proposable = check_route(route).and_then(|()| what.check(route, name));
            let of_kind = kinds.entry(*what).or_default();
            match proposable {
                Err(why) => left_out.push((what.word(), name, asked, why)),
                Ok(()) if of_kind.len() == PROPOSED_MAX => {
                    left_out.push((what.word(), name, asked, "too many; see the log"));
                }
                Ok(()) => of_kind.push((name, asked)),
            }
        }
        kinds.retain(|_, of_kind| !of_kind.is_empty());
        if !kinds.is_empty() {
            out.push("# No rule names these. Who asked for something need not be entitled to it: take out what nobody should have.");
            out.push("# Their scopes are new, so that nobody has them yet. Add to the end of this route's `rules`:");
        }
        for (what, of_kind) in &kinds {
            let (key, scope) = match what {
                // No scope of a kind of tools is called so, whatever a tool is called: one called `read` must not open with
                // the scope of those that read.
                What::Tool => ("tools", format!("{route}:tool:{{tool}}")),
                What::Prompt => ("prompts", self.new_scope(&format!("{route}:new-prompts"), settings)),
                What::Resource | What::Method => {
                    ("resources", self.new_scope(&format!("{route}:new-resources"), settings))
                }
            };
            out.push(format_args!("      - {key}:"));
            for (name, asked) in of_kind {
                out.push(format_args!("          # {}", asked.shown()));
                out.push(format_args!("          - {}", quoted(name)));
            }
            out.push(format_args!("        scopes: [{}]", quoted(&scope)));
        }
        if !left_out.is_empty() {
            out.push("# Not proposed, and denied as before:");
        }
        for (word, name, asked, why) in left_out.iter().take(LEFT_OUT_SHOWN) {
            out.push(format_args!("#   {word} {} ({}): {why}", quoted(&cut(name)), asked.shown()));
        }
        if left_out.len() > LEFT_OUT_SHOWN {
            out.push(format_args!("#   … and {} more", left_out.len() - LEFT_OUT_SHOWN));
        }
    }
}

impl OfRoute {
    /// A scope that begins so, and that neither the file names nor somebody holds: what was proposed before is taken.
    fn new_scope(&self, begin: &str, settings: Option<&Settings>) -> String {
        let is_taken = |scope: &String| {
            let named = |route: &RouteSettings| route.policy.scopes_named().iter().any(|named| named.as_str() == scope);
            self.held.contains(scope) || settings.is_some_and(|settings| settings.routes.iter().any(named))
        };
        let mut names =
            std::iter::once(begin.to_owned()).chain((2..=TRIES_MAX).map(|number| format!("{begin}-{number}")));
        names.find(|scope| !is_taken(scope)).unwrap_or_else(|| format!("{begin}-unused"))
    }
}

impl Asked {
    fn shown(&self) -> String {
        let times = if self.times == 1 { "once".to_owned() } else { format!("{} times", self.times) };
        let held: Vec<&str> = self.held.iter().flatten().map(String::as_str).collect();
        let held = match held.as_slice() {
            [] => "no scope that all of them hold".to_owned(),
            held => format!("all of them hold {}", line(&held.join(" "), 200)),
        };
        format!("{times}, {}; {held}", self.callers.shown())
    }
}

impl What {
    fn word(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Prompt => "prompt",
            Self::Resource => "resource",
            Self::Method => "method",
        }
    }

    /// Whether a rule can name it, and nothing else by it.
    fn check(self, route: &str, name: &str) -> Result<(), &'static str> {
        // The log cuts what is longer, and a rule for the beginning would be for something else.
        if name.chars().count() >= LOGGED_CHARS_MAX {
            return Err("the log has but its beginning");
        }
        match self {
            Self::Tool => {
                check_name(name)?;
                // Such a tool has no scope of its own, and the rule would let nobody call it.
                Scope::parse(&format!("{route}:{name}"))
                    .map_err(|_| "a scope cannot hold its name; write a rule by hand")?;
                Pattern::parse(name, Dialect::Name).map(drop)
            }
            Self::Prompt => check_name(name).and_then(|()| Pattern::parse(name, Dialect::Name).map(drop)),
            Self::Resource if name.contains('*') => Err("`*` in a rule is a pattern"),
            Self::Resource if !is_normal_uri(name) => Err("not one URI in normal form (RFC 3986)"),
            Self::Resource => Pattern::parse(name, Dialect::Uri).map(drop),
            Self::Method => Err("nobody can tell what it does; write a `methods` rule by hand where it is wanted"),
        }
    }
}

/// The entry of `map` at `key`, made if there is room for one more.
fn counted<'m, K: Ord, V: Default>(map: &'m mut BTreeMap<K, V>, key: K, entries: &mut usize) -> Option<&'m mut V> {
    if !map.contains_key(&key) {
        if *entries == ENTRIES_MAX {
            return None;
        }
        *entries += 1;
    }
    Some(map.entry(key).or_default())
}

/// Whether a log names a route as a file can: else it is no route of a gateway's.
fn check_route(route: &str) -> Result<(), &'static str> {
    crate::config::check_route_name(route).map_err(|_| "no file has a route of this name")
}

/// Whether a record's `rule` is one that stands in a file: `rules[n]` or `policies.name[n]`.
fn is_written(rule: &str) -> bool {
    let list_and_place = rule.strip_suffix(']').and_then(|rule| rule.split_once('['));
    list_and_place.is_some_and(|(list, place)| {
        (list == "rules" || list.starts_with("policies.")) && place.parse::<usize>().is_ok()
    })
}

fn about(rule: &Rule) -> String {
    let patterns = |patterns: &[Pattern]| patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect();
    let (key, names): (_, Vec<String>) = match &rule.target {
        Target::Tools(of) => ("tools", patterns(of)),
        Target::Prompts(of) => ("prompts", patterns(of)),
        Target::Resources(of) => ("resources", patterns(of)),
        Target::Methods(of) => ("methods", of.clone()),
    };
    let denies = if rule.effect == Effect::Deny { ", deny" } else { "" };
    format!("{key} {}{denies}", line(&names.join(" "), 60))
}

/// Passes over what is left of a line.
fn skip_line(log: &mut impl BufRead) -> io::Result<()> {
    loop {
        let bytes = log.fill_buf()?;
        if bytes.is_empty() {
            return Ok(());
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let length = end.map_or(bytes.len(), |end| end + 1);
        log.consume(length);
        if end.is_some() {
            return Ok(());
        }
    }
}

fn cut(name: &str) -> String {
    name.chars().take(80).collect()
}

/// `schema` of the records that are understood.
const SCHEMA: u64 = 1;
/// No record is longer, not one of a batch with all its arguments.
const LINE_BYTES_MAX: u64 = 8 << 20;
/// No text of a record that is kept here is longer.
const TEXT_BYTES_MAX: usize = 16 << 10;
const ROUTES_MAX: usize = 10_000;
const RULES_MAX: usize = 4096;
/// Different names, over all routes.
const ENTRIES_MAX: usize = 5000;
const CALLERS_MAX: usize = 100;
const HELD_MAX: usize = 50;
/// Different scopes that are remembered, of one route.
const SCOPES_MAX: usize = 1000;
const TRIES_MAX: usize = 100;
/// After so many characters the log cuts a name.
const LOGGED_CHARS_MAX: usize = 256;
/// Of one kind on one route.
const PROPOSED_MAX: usize = 500;
const LEFT_OUT_SHOWN: usize = 50;

//! The beginning of a file, from what a server says it has: least privilege, exact names, a scope for each kind of tool, and a
//! comment wherever somebody should look. What cannot be written safely is left out, and so denied. The text is read back as
//! the gateway would read it before anybody gets it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use super::Lines;
use super::kind::Kind;
use super::server::{Entry, Inventory};
use super::text::{check_name, line, quoted};
use crate::config;
use crate::policy::is_normal_uri;
use crate::policy::pattern::{Dialect, Pattern};

/// What the command line says.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// The URL of the server.
    pub upstream: String,
    /// The route's name; by default the server's own.
    pub name: Option<String>,
    /// The issuer; by default one to be replaced.
    pub issuer: Option<String>,
    /// How clients reach the gateway; by default loopback.
    pub public_url: Option<String>,
}

/// A file, and what to say of it.
#[derive(Debug, Clone)]
pub struct Written {
    /// The file.
    pub text: String,
    /// What is in it, in one line.
    pub summary: String,
    /// What was left out, a line each.
    pub left_out: Vec<String>,
}

/// The file for `inventory`. The error says why there is none.
pub fn write(plan: &Plan, inventory: &Inventory) -> Result<Written, String> {
    let proposal = Proposal::of(inventory);
    let mut written = proposal.file(plan, inventory, true);
    if written.text.len() > FILE_BYTES_MAX {
        written = proposal.file(plan, inventory, false);
    }
    // Whatever a server is called: what comes out is what `check` accepts, or nothing does.
    match config::parse(&written.text, "the new file", Path::new("")) {
        Ok(_) => Ok(written),
        Err(errors) => Err(format!("the file would not be accepted:\n{errors}")),
    }
}

/// What the rules are made of.
#[derive(Debug, Default)]
struct Proposal<'a> {
    tools: BTreeMap<Kind, Vec<Item<'a>>>,
    prompts: Vec<Item<'a>>,
    resources: Vec<Item<'a>>,
    /// Patterns, each beside the template that it stands for.
    templates: Vec<(String, &'a Entry)>,
    left_out: Vec<String>,
}

#[derive(Debug)]
struct Item<'a> {
    entry: &'a Entry,
    notes: Vec<&'static str>,
}

impl<'a> Proposal<'a> {
    fn of(inventory: &'a Inventory) -> Self {
        let mut proposal = Self::default();
        proposal.tools(&inventory.tools);
        proposal.prompts = proposal.named("prompt", &inventory.prompts, PROMPTS_MAX);
        proposal.templates(&inventory.templates);
        proposal.resources(&inventory.resources);
        proposal
    }

    fn tools(&mut self, tools: &'a [Entry]) {
        // The strictest of those that a server lists under one name counts, in the place of the first.
        let mut kinds: BTreeMap<&str, (Kind, Vec<&'static str>, usize)> = BTreeMap::new();
        for entry in tools {
            let (kind, notes) = Kind::of(&entry.name, entry.hints);
            let known = kinds.entry(&entry.name).or_insert((kind, notes.clone(), 0));
            known.2 += 1;
            if kind > known.0 {
                (known.0, known.1) = (kind, notes);
            }
        }
        for item in self.named("tool", tools, TOOLS_MAX) {
            let Some((kind, notes, times)) = kinds.get(item.entry.name.as_str()) else { continue };
            let mut notes = [item.notes, notes.clone()].concat();
            if *times > 1 {
                notes.push("listed more than once; the strictest counts");
            }
            self.tools.entry(*kind).or_default().push(Item { notes, ..item });
        }
    }

    /// The entries whose names a rule can hold, each name once.
    fn named(&mut self, what: &str, entries: &'a [Entry], max: usize) -> Vec<Item<'a>> {
        let mut seen = std::collections::BTreeSet::new();
        let mut items = Vec::new();
        for entry in entries {
            match check_name(&entry.name).and_then(|()| Pattern::parse(&entry.name, Dialect::Name)) {
                Err(why) => self.leave_out(what, &entry.name, why),
                Ok(_) if !seen.insert(entry.name.as_str()) => {}
                Ok(_) if items.len() == max => self.leave_out(what, &entry.name, "the file would have too many"),
                Ok(_) => {
                    let notes = if entry.name.is_ascii() { vec![] } else { vec![NOT_ASCII] };
                    items.push(Item { entry, notes });
                }
            }
        }
        items
    }

    fn templates(&mut self, templates: &'a [Entry]) {
        let mut patterns: Vec<Pattern> = Vec::new();
        for entry in templates {
            let pattern = pattern_of(&entry.name).and_then(|text| Pattern::parse(&text, Dialect::Uri));
            match pattern {
                Err(why) => self.leave_out("resource template", &entry.name, why),
                Ok(pattern) if patterns.iter().any(|earlier| earlier.covers(&pattern)) => {}
                Ok(_) if patterns.len() == TEMPLATES_MAX => {
                    self.leave_out("resource template", &entry.name, "the file would have too many");
                }
                Ok(pattern) => {
                    self.templates.push((pattern.as_str().to_owned(), entry));
                    patterns.push(pattern);
                }
            }
        }
    }

    /// Where there are few, by exact URI; of many those alone that no template stands for.
    fn resources(&mut self, resources: &'a [Entry]) {
        let patterns: Vec<Pattern> =
            self.templates.iter().filter_map(|(pattern, _)| Pattern::parse(pattern, Dialect::Uri).ok()).collect();
        let many = resources.len() > RESOURCES_FEW;
        let mut seen = std::collections::BTreeSet::new();
        for entry in resources {
            let uri = entry.name.as_str();
            match check_uri(uri) {
                Err(why) => self.leave_out("resource", uri, why),
                Ok(()) if many && patterns.iter().any(|pattern| pattern.matches(uri)) => {}
                Ok(()) if !seen.insert(uri) => {}
                Ok(()) if self.resources.len() == RESOURCES_MAX => {
                    self.leave_out("resource", uri, "the file would have too many; write a pattern");
                }
                Ok(()) => self.resources.push(Item { entry, notes: vec![] }),
            }
        }
    }

    fn leave_out(&mut self, what: &str, name: &str, why: &str) {
        self.left_out.push(format!("{what} {}: {why}", quoted(&cut(name))));
    }

    fn count(&self, kind: Kind) -> usize {
        self.tools.get(&kind).map_or(0, Vec::len)
    }

    fn summary(&self) -> String {
        let tools: Vec<String> = Kind::ALL
            .into_iter()
            .filter(|kind| self.count(*kind) > 0)
            .map(|kind| format!("{} {}", self.count(kind), kind.scope()))
            .collect();
        let all: usize = Kind::ALL.into_iter().map(|kind| self.count(kind)).sum();
        let which = if tools.is_empty() { String::new() } else { format!(" ({})", tools.join(", ")) };
        let (prompts, resources, templates) = (self.prompts.len(), self.resources.len(), self.templates.len());
        format!("tools: {all}{which}; prompts: {prompts}; resources: {resources}; resource templates: {templates}")
    }

    fn file(&self, plan: &Plan, inventory: &Inventory, described: bool) -> Written {
        let name = plan.name.clone().unwrap_or_else(|| route_name(inventory.server.as_deref().unwrap_or_default()));
        let summary = self.summary();
        let mut out = Lines::default();
        head(plan, inventory, &name, &summary, &mut out);
        let rules = self.rules(&name, described);
        out.push(if rules.is_empty() { "    rules: []" } else { RULES });
        out.0.push_str(&rules);
        let left_out: Vec<String> =
            inventory.missing.iter().map(|text| line(text, 300)).chain(self.left_out.iter().cloned()).collect();
        if !left_out.is_empty() {
            out.push("\n# Left out, and so denied. Write a rule by hand for what somebody needs:");
            for text in left_out.iter().take(LEFT_OUT_SHOWN) {
                out.push(format_args!("#   {text}"));
            }
            if left_out.len() > LEFT_OUT_SHOWN {
                out.push(format_args!("#   … and {} more", left_out.len() - LEFT_OUT_SHOWN));
            }
        }
        Written { text: out.0, summary, left_out }
    }

    fn rules(&self, name: &str, described: bool) -> String {
        let mut out = Lines::default();
        for kind in Kind::ALL {
            if let Some(items) = self.tools.get(&kind) {
                rule(about(kind), "tools", items, &format!("{name}:{}", kind.scope()), described, &mut out);
            }
        }
        if !self.prompts.is_empty() {
            rule("Prompts.", "prompts", &self.prompts, &format!("{name}:prompts"), described, &mut out);
        }
        let scope = format!("{name}:resources");
        if !self.resources.is_empty() {
            rule("Resources, by their exact URIs.", "resources", &self.resources, &scope, described, &mut out);
        }
        if !self.templates.is_empty() {
            out.push("      # What the templates make: `*` stands for what a caller fills in, and stops at `/`.");
            out.push("      - resources:");
            for (pattern, entry) in &self.templates {
                out.push(format_args!("          # of the template {}", line(&entry.name, 200)));
                out.push(format_args!("          - {}", quoted(pattern)));
            }
            out.push(format_args!("        scopes: [{}]", quoted(&scope)));
        }
        out.0
    }
}

fn rule(about: &str, key: &str, items: &[Item<'_>], scope: &str, described: bool, out: &mut Lines) {
    out.push(format_args!("      # {about}"));
    out.push(format_args!("      - {key}:"));
    for Item { entry, notes } in items {
        for note in notes {
            out.push(format_args!("          # ! {note}"));
        }
        if described && !entry.description.is_empty() {
            out.push(format_args!("          # {}", line(&entry.description, 80)));
        }
        out.push(format_args!("          - {}", quoted(&entry.name)));
    }
    out.push(format_args!("        scopes: [{}]", quoted(scope)));
}

fn about(kind: Kind) -> &'static str {
    match kind {
        Kind::Read => "Say that they change nothing (readOnlyHint), and no name denies it.",
        Kind::ReadOpen => "The same, and reach beyond the server (openWorldHint): what they are asked for leaves it.",
        Kind::Write => "Say that they destroy nothing (destructiveHint: false).",
        Kind::Destroy => "All others, which may do anything: for those alone who need them.",
    }
}

fn head(plan: &Plan, inventory: &Inventory, name: &str, summary: &str, out: &mut Lines) {
    let who = inventory.server.as_deref().map_or_else(String::new, |who| {
        let version = inventory.version.as_deref().unwrap_or_default();
        format!(", which calls itself {}", line(&format!("{who} {version}"), 80))
    });
    // A query may hold a key; it has to stand at `upstream` and nowhere else.
    let shown = plan.upstream.split('?').next().unwrap_or_default();
    out.push(format_args!("# Written by `gatepost init` for {}{who}", line(shown, 200)));
    out.push(format_args!("# (MCP {}). {summary}.", line(&inventory.revision, 20)));
    out.push("#");
    out.push("# What a server says of its tools is its own word, which nobody checks: read the rules before they decide anything.");
    out.push("# A line with `!` says why a tool counts for more than it says. Then: `gatepost check --config FILE`.");
    out.push("");
    let (listen, public_url) = listen(plan);
    out.push(format_args!("listen: {listen}"));
    if let Some(url) = public_url {
        out.push(format_args!("public_url: {}", quoted(url)));
    } else {
        out.push(
            "# public_url: https://mcp.example.com   # how clients reach the gateway, where they are on other machines",
        );
    }
    out.push("\nauthorization_servers:");
    match &plan.issuer {
        Some(issuer) => out.push(format_args!("  - issuer: {}", quoted(issuer))),
        None => out.push("  - issuer: https://auth.example.com    # set yours, exactly as it writes `iss` into tokens"),
    }
    out.push("\n# Each scope stands alone. Where a broader one should imply the narrower, say so:");
    out.push("# scope_hierarchy:");
    for (broad, narrow) in [(Kind::Destroy, Kind::Write), (Kind::Write, Kind::Read)] {
        out.push(format_args!(
            "#   {}: [{}]",
            quoted(&format!("{name}:{}", broad.scope())),
            quoted(&format!("{name}:{}", narrow.scope()))
        ));
    }
    out.push("\nroutes:");
    out.push(format_args!("  - name: {}", quoted(name)));
    out.push(format_args!("    path: {}", quoted(&format!("/{name}/mcp"))));
    out.push(format_args!("    upstream: {}", quoted(&plan.upstream)));
    out.push("    default: deny");
}

/// Where to listen: where clients come by plain http, else on a port that the server does not have.
fn listen(plan: &Plan) -> (SocketAddr, Option<&str>) {
    let public_url = plan.public_url.as_deref();
    if let Some(address) = public_url.and_then(|url| url.strip_prefix("http://")).and_then(|at| at.parse().ok()) {
        return (address, public_url);
    }
    let server = plan.upstream.parse::<http::Uri>().ok().and_then(|url| url.port_u16());
    let port = if server == Some(8080) { 8090 } else { 8080 };
    (SocketAddr::from(([127, 0, 0, 1], port)), public_url)
}

/// A word for the route, from what a server calls itself.
fn route_name(server: &str) -> String {
    let word = server.rsplit(['/', '@']).find(|part| !part.is_empty()).unwrap_or_default().to_lowercase();
    let mut name = String::new();
    for char in word.chars().take(40) {
        match char {
            'a'..='z' | '0'..='9' => name.push(char),
            _ if !name.is_empty() && !name.ends_with('-') => name.push('-'),
            _ => {}
        }
    }
    name.truncate(name.trim_end_matches('-').len());
    if name.is_empty() { "mcp".to_owned() } else { name }
}

/// Whether a rule can name this URI, and no other by it.
fn check_uri(uri: &str) -> Result<(), &'static str> {
    if uri.len() > URI_BYTES_MAX {
        return Err("the URI is longer than 1024 bytes");
    }
    if uri.contains('*') {
        return Err("`*` in a rule is a pattern, and would name other things too");
    }
    if !is_normal_uri(uri) {
        return Err("the URI is not in normal form (RFC 3986), so a server may read it as another one");
    }
    Pattern::parse(uri, Dialect::Uri).map(drop)
}

/// The pattern for what a template makes, where it can be as narrow: each `{name}` is a whole segment behind what tells this
/// server's resources from others.
fn pattern_of(template: &str) -> Result<String, &'static str> {
    if template.len() > URI_BYTES_MAX {
        return Err("the template is longer than 1024 bytes");
    }
    if template.contains('*') {
        return Err("`*` in a rule is a pattern, and would name other things too");
    }
    let (scheme, rest) = template.split_once("://").ok_or("the template does not begin with scheme://")?;
    let mut segments = Vec::new();
    for (place, segment) in rest.split('/').enumerate() {
        let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        match name {
            Some(name) if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') => {
                if place <= usize::from(scheme == "file") && WIDE_SCHEMES.contains(&scheme) {
                    return Err("the template leaves open where it leads");
                }
                segments.push("*");
            }
            _ if segment.contains(['{', '}']) => {
                return Err("an expression of the template is more than one whole segment");
            }
            _ => segments.push(segment),
        }
    }
    let pattern = format!("{scheme}://{}", segments.join("/"));
    if !pattern.contains('*') {
        return Err("the template has no expression");
    }
    // The pattern may match nothing that the template does not make.
    if !is_normal_uri(&pattern.replace('*', "a")) {
        return Err("what the template makes is not in normal form (RFC 3986)");
    }
    Ok(pattern)
}

fn cut(name: &str) -> String {
    let mut cut: String = name.chars().take(60).collect();
    if cut.len() < name.len() {
        cut.push('…');
    }
    cut
}

const RULES: &str =
    "    rules:                               # the first that matches decides; what none names is denied";
const NOT_ASCII: &str = "letters beyond ASCII: some look like others";
/// Schemes whose first segment says whose a resource is.
const WIDE_SCHEMES: [&str; 7] = ["http", "https", "ws", "wss", "ftp", "file", "data"];
/// Together fewer than the patterns that a route may have.
const TOOLS_MAX: usize = 2000;
const PROMPTS_MAX: usize = 500;
const TEMPLATES_MAX: usize = 100;
const RESOURCES_MAX: usize = 500;
/// Beyond so many, templates stand for what they make.
const RESOURCES_FEW: usize = 100;
const URI_BYTES_MAX: usize = 1024;
const LEFT_OUT_SHOWN: usize = 100;
/// What a file may have.
const FILE_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests;

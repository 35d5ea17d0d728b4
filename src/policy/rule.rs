//! The rules of one route, as meant, and the one search that finds the rule for a name. What follows from the rule is
//! decided in `decide`; nothing here permits anything.

use std::fmt;
use std::sync::Arc;

use super::pattern::{Dialect, Pattern};
use crate::mcp::operation;
use crate::mcp::strict::folds_to;
use crate::oauth::scope::{Scope, ScopeError, ScopeHierarchy, ScopeSet};
use crate::rejection::RuleId;

/// What one route demands. Made by `Policy::new` from settings that were checked when the file was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub(super) settings: PolicySettings,
    /// Every scope that the rules name, found once.
    pub(super) named: ScopeSet,
    /// Whether resource URIs must be in normal form: there is a pattern that a URI in another spelling could get round.
    pub(super) normal_uris: bool,
}

/// The parts of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySettings {
    /// The route's name, for `{route}`.
    pub route: Arc<str>,
    /// Needed for any request on the route.
    pub required_scopes: ScopeSet,
    /// The first rule that matches decides.
    pub rules: Vec<Rule>,
    /// For tools, prompts and resources that no rule names.
    pub default: Default,
    /// What lists show.
    pub visibility: Visibility,
    /// Whether what is decided is enforced.
    pub mode: Mode,
    /// Whether names that are denied are answered like names that do not exist.
    pub hides: bool,
    /// Which scopes imply which.
    pub hierarchy: Arc<ScopeHierarchy>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What it is about.
    pub target: Target,
    /// What it demands.
    pub effect: Effect,
    /// What people are told whom it refuses.
    pub message: Option<Arc<str>>,
    /// Whether it is enforced where the route only reports.
    pub enforced: bool,
    /// Its line in the file, counted from 1; 0 where it stands in none.
    pub line: usize,
    /// The file, as messages name it; empty where it stands in none.
    pub file: Arc<str>,
    /// The policy that it stands in, by name, and where in it, counted from 0; `None`: among the rules of its route.
    pub policy: Option<(Arc<str>, usize)>,
}

/// What a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Tool names.
    Tools(Vec<Pattern>),
    /// Prompt names.
    Prompts(Vec<Pattern>),
    /// Resource URIs.
    Resources(Vec<Pattern>),
    /// JSON-RPC methods, exact.
    Methods(Vec<String>),
}

/// What a rule demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// All of the scopes.
    AllOf(Vec<ScopeTemplate>),
    /// One of the scopes.
    AnyOf(Vec<ScopeTemplate>),
    /// Nothing beyond `required_scopes`.
    Allow,
    /// Nobody.
    Deny,
}

/// A scope of a rule, which may hold `{tool}` and `{route}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeTemplate {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Tool,
    Route,
}

/// What a name is the name of: the kinds that `default` speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Tool,
    Prompt,
    Resource,
}

/// What the rules say about one name, before anybody's scopes are looked at.
pub(super) enum Verdict<'a> {
    /// This rule decides.
    Rule(usize, &'a Effect),
    /// No rule names it, and `default` permits it.
    Open,
    /// No rule names it, and nothing permits it.
    Closed(RuleId),
}

/// `default`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// `deny`.
    Deny,
    /// `allow`.
    Allow,
}

/// `mode` of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// What is denied is refused.
    Enforce,
    /// What is denied is recorded, and refused by rules that are enforced themselves alone.
    Report,
}

/// `visibility`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    /// What the caller may use now or after a step-up.
    Grantable,
    /// What the caller may use now.
    Granted,
    /// Everything: lists are not filtered.
    All,
}

impl ScopeTemplate {
    /// Reads a scope with optional `{tool}` and `{route}`.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or(PLACEHOLDERS)?;
            parts.extend(Part::text(before));
            parts.push(match name {
                "tool" => Part::Tool,
                "route" => Part::Route,
                _ => return Err(PLACEHOLDERS),
            });
            rest = after;
        }
        if rest.contains('}') {
            return Err(PLACEHOLDERS);
        }
        parts.extend(Part::text(rest));
        let template = Self { parts };
        match template.render("x", Some("x")) {
            Ok(_) => Ok(template),
            Err(ScopeError) => Err("a scope: visible ASCII without space, quote and backslash (RFC 6749 §3.3)"),
        }
    }

    /// Whether it holds `{tool}`, which only a rule about tools can fill.
    #[must_use]
    pub fn names_tool(&self) -> bool {
        self.parts.contains(&Part::Tool)
    }

    /// Whether it holds `{route}`: then the route's name must be one that a scope may hold.
    #[must_use]
    pub fn names_route(&self) -> bool {
        self.parts.contains(&Part::Route)
    }

    /// The scope, each placeholder filled once: a tool that is called `{route}` stays that. Refused where a name has a
    /// character that no scope may have, or no tool is there to fill in.
    pub fn render(&self, route: &str, tool: Option<&str>) -> Result<Scope, ScopeError> {
        let mut text = String::new();
        for part in &self.parts {
            text.push_str(part.fill(route, tool).ok_or(ScopeError)?);
        }
        Scope::parse(&text)
    }

    /// The tool for which this renders as `scope`, if it names a tool and there is one.
    pub(super) fn tool_of<'a>(&self, route: &str, scope: &'a Scope) -> Option<&'a str> {
        let text = scope.as_str();
        let tools = self.parts.iter().filter(|part| **part == Part::Tool).count();
        if tools == 0 {
            return None;
        }
        let fixed: usize = self.parts.iter().filter_map(|part| part.fill(route, Some(""))).map(str::len).sum();
        let tool_bytes = text.len().checked_sub(fixed)?.checked_div(tools)?;
        let before: usize = self
            .parts
            .iter()
            .take_while(|part| **part != Part::Tool)
            .filter_map(|part| part.fill(route, None))
            .map(str::len)
            .sum();
        let tool = text.get(before..before + tool_bytes)?;
        (self.render(route, Some(tool)).ok()? == *scope).then_some(tool)
    }
}

/// As the file has it.
impl fmt::Display for ScopeTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Tool => f.write_str("{tool}"),
            Part::Route => f.write_str("{route}"),
        })
    }
}

impl Part {
    fn text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::Text(text.into()))
    }

    fn fill<'a>(&'a self, route: &'a str, tool: Option<&'a str>) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Tool => tool,
            Self::Route => Some(route),
        }
    }
}

impl Effect {
    /// The scopes it names, all or alternatives.
    #[must_use]
    pub fn scopes(&self) -> &[ScopeTemplate] {
        match self {
            Self::AllOf(scopes) | Self::AnyOf(scopes) => scopes,
            Self::Allow | Self::Deny => &[],
        }
    }
}

impl Target {
    /// The patterns over names of this kind; none where the rule is about something else.
    pub(super) fn patterns(&self, kind: Kind) -> &[Pattern] {
        match (self, kind) {
            (Self::Tools(patterns), Kind::Tool)
            | (Self::Prompts(patterns), Kind::Prompt)
            | (Self::Resources(patterns), Kind::Resource) => patterns,
            (Self::Tools(_) | Self::Prompts(_) | Self::Resources(_) | Self::Methods(_), _) => &[],
        }
    }

    /// The methods it names.
    fn methods(&self) -> &[String] {
        match self {
            Self::Methods(methods) => methods,
            Self::Tools(_) | Self::Prompts(_) | Self::Resources(_) => &[],
        }
    }
}

impl Kind {
    fn dialect(self) -> Dialect {
        match self {
            Self::Tool | Self::Prompt => Dialect::Name,
            Self::Resource => Dialect::Uri,
        }
    }
}

impl Policy {
    /// A policy of these parts.
    #[must_use]
    pub fn new(settings: PolicySettings) -> Self {
        let named = scopes_named(&settings, true);
        let normal_uris = settings
            .rules
            .iter()
            .flat_map(|rule| rule.target.patterns(Kind::Resource))
            .any(|pattern| !pattern.is_any_uri());
        Self { settings, named, normal_uris }
    }

    /// What it was made of, to be shown.
    #[must_use]
    pub fn settings(&self) -> &PolicySettings {
        &self.settings
    }

    /// The tools that rules name exactly, in file order.
    pub fn exact_tools(&self) -> impl Iterator<Item = &str> {
        let patterns = self.settings.rules.iter().flat_map(|rule| rule.target.patterns(Kind::Tool));
        patterns.filter(|pattern| pattern.is_exact()).map(Pattern::as_str)
    }

    /// Every scope that the rules name, in file order after `required_scopes`: the default of `scopes_supported`. Templates
    /// count for exactly named tools alone, and not at all where names are hidden: everybody may read the list.
    #[must_use]
    pub fn scopes_named(&self) -> ScopeSet {
        if self.settings.hides { scopes_named(&self.settings, false) } else { self.named.clone() }
    }

    /// Whether lists are filtered on this route at all: not with `visibility: all`, nor where it only reports.
    #[must_use]
    pub fn filters_lists(&self) -> bool {
        self.settings.visibility != Visibility::All && self.enforces()
    }

    /// Whether what is decided is enforced: `mode` is not `report`.
    #[must_use]
    pub fn enforces(&self) -> bool {
        self.settings.mode == Mode::Enforce
    }

    /// Whether a rule about this kind of name is enforced where the route only reports.
    pub(super) fn has_enforced(&self, kind: Kind) -> bool {
        self.settings.rules.iter().any(|rule| rule.enforced && !rule.target.patterns(kind).is_empty())
    }

    /// The name of the rule at `place`.
    #[must_use]
    pub fn rule_id(&self, place: usize) -> RuleId {
        let rule = self.settings.rules.get(place);
        let (line, policy) = rule.map_or((0, None), |rule| (rule.line, rule.policy.clone()));
        RuleId::Rule { place, line, policy }
    }

    /// What people are told whom this rule refuses.
    pub(super) fn message(&self, rule: &RuleId) -> Option<Arc<str>> {
        match rule {
            RuleId::Rule { place, .. } => self.settings.rules.get(*place)?.message.clone(),
            RuleId::Required | RuleId::Default | RuleId::BuiltIn => None,
        }
    }

    /// Whether the rule is enforced where the route only reports.
    pub(super) fn is_enforced(&self, place: usize) -> bool {
        self.settings.rules.get(place).is_some_and(|rule| rule.enforced)
    }

    /// Whether a server could take a method that no rule names for one that an enforced rule is about: that the revision
    /// lacks it, or that it is in another case or ends in a NUL, keeps no server from running it.
    pub(super) fn resembles_enforced(&self, method: &str, defined: bool) -> bool {
        let mut enforced = self.settings.rules.iter().filter(|rule| rule.enforced).peekable();
        (enforced.peek().is_some() && operation::resembles_naming(method, defined))
            || enforced.flat_map(|rule| rule.target.methods()).any(|named| folds_to(method, named))
    }

    /// What whoever runs the route should know of it, a line each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.enforces() {
            let also =
                if self.settings.rules.iter().any(|rule| rule.enforced) { ", but by its enforced rules" } else { "" };
            warnings.push(format!("mode: report: nothing is refused for want of a scope or of a rule{also}"));
        }
        if self.settings.hides
            && let Some((wide, narrow)) = self.tellable()
        {
            warnings.push(format!(
                "denial: hide: what {wide} permits and the server lacks gets the server's own answer, by which {narrow} \
                 can be told to exist; name tools exactly, or without overlap"
            ));
        }
        warnings
    }

    /// A wildcard that permits, and an earlier pattern that shares names with it: a denied one of these gets our answer, and
    /// one that the server does not have its own.
    fn tellable(&self) -> Option<(&str, &str)> {
        let rules = &self.settings.rules;
        [Kind::Tool, Kind::Prompt, Kind::Resource].into_iter().find_map(|kind| {
            rules.iter().enumerate().filter(|(_, rule)| !matches!(rule.effect, Effect::Deny)).find_map(
                |(place, rule)| {
                    let wide = rule.target.patterns(kind).iter().filter(|pattern| !pattern.is_exact());
                    wide.into_iter().find_map(|wide| {
                        // Whom the wildcard lets in, `allow` lets in too.
                        let deniable = rules.iter().take(place).filter(|rule| !matches!(rule.effect, Effect::Allow));
                        let mut earlier = deniable.flat_map(|rule| rule.target.patterns(kind));
                        earlier.find(|narrow| wide.overlaps(narrow)).map(|narrow| (wide.as_str(), narrow.as_str()))
                    })
                },
            )
        })
    }

    /// What the rules say about the tool, prompt or resource `name`: the first rule that matches, else `default`.
    pub(super) fn find(&self, kind: Kind, name: &str) -> Verdict<'_> {
        let matches = |rule: &Rule| rule.target.patterns(kind).iter().any(|pattern| pattern.matches(name));
        match self.first_rule(matches) {
            Some((place, effect)) => Verdict::Rule(place, effect),
            // A name that looks like another one, or hides a line break, must be named by a rule to be anybody's.
            None if !kind.dialect().admits(name) => Verdict::Closed(RuleId::BuiltIn),
            None => match self.settings.default {
                Default::Allow => Verdict::Open,
                Default::Deny => Verdict::Closed(RuleId::Default),
            },
        }
    }

    /// What the rules say about a JSON-RPC method outside the core set. `default: allow` does not speak of methods: nobody
    /// can know what a method does that does not exist yet.
    pub(super) fn find_method(&self, method: &str) -> Verdict<'_> {
        match self.first_rule(|rule| rule.target.methods().iter().any(|named| named == method)) {
            Some((place, effect)) => Verdict::Rule(place, effect),
            None => Verdict::Closed(RuleId::BuiltIn),
        }
    }

    fn first_rule(&self, matches: impl Fn(&Rule) -> bool) -> Option<(usize, &Effect)> {
        let mut rules = self.settings.rules.iter().enumerate();
        rules.find(|(_, rule)| matches(rule)).map(|(place, rule)| (place, &rule.effect))
    }
}

/// `of_tools`: with those that hold the name of a tool.
fn scopes_named(settings: &PolicySettings, of_tools: bool) -> ScopeSet {
    let mut named = settings.required_scopes.clone();
    for rule in &settings.rules {
        let exact =
            || rule.target.patterns(Kind::Tool).iter().filter(|pattern| pattern.is_exact()).map(Pattern::as_str);
        for template in rule.effect.scopes().iter().filter(|template| of_tools || !template.names_tool()) {
            if template.names_tool() {
                let rendered = exact().filter_map(|tool| template.render(&settings.route, Some(tool)).ok());
                rendered.for_each(|scope| named.insert(scope));
            } else {
                named.extend(template.render(&settings.route, None).ok().as_ref());
            }
        }
    }
    named
}

const PLACEHOLDERS: &str = "no braces but those of `{tool}` and `{route}`";

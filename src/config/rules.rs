//! `routes[].rules` and the rules of `policies`: what each rule is about and what it demands. A rule that says two things, or
//! nothing, or that can never decide, is refused: its writer believes in a protection that is not there.

use std::sync::Arc;

use super::checks::Checks;
use super::error::{one_of, shown};
use super::place::KeyPath;
use super::{limits, raw, yaml};
use crate::gateway::settings::Rate;
use crate::policy::pattern::{Dialect, Pattern};
use crate::policy::rule::{Effect, Rule, ScopeTemplate, Target};

/// Methods that a `methods` rule cannot name, since it would never decide: `required_scopes` or another kind of rule
/// does. In 2026-07-28, which lacks them, one for `resources/subscribe` would decide, past the rules for resources.
/// `subscriptions/listen` is not among them: listening to tasks takes a `methods` rule.
const DECIDED_ELSEWHERE: [(&str, &str); 19] = [
    ("completion/complete", "`prompts` or `resources`"),
    ("initialize", "required_scopes"),
    ("logging/setLevel", "required_scopes"),
    ("notifications/cancelled", "required_scopes"),
    ("notifications/initialized", "required_scopes"),
    ("notifications/progress", "required_scopes"),
    ("notifications/roots/list_changed", "required_scopes"),
    ("notifications/tasks/status", "required_scopes"),
    ("ping", "required_scopes"),
    ("prompts/get", "`prompts`"),
    ("prompts/list", "required_scopes"),
    ("resources/list", "required_scopes"),
    ("resources/read", "`resources`"),
    ("resources/subscribe", "`resources`"),
    ("resources/templates/list", "required_scopes"),
    ("resources/unsubscribe", "`resources`"),
    ("server/discover", "required_scopes"),
    ("tools/call", "`tools`"),
    ("tools/list", "required_scopes"),
];

/// Every pattern is compared with every earlier one.
const PATTERNS_MAX: usize = 4096;

const TOO_MANY: &str = "at most 4096 in the rules of one route, those of its policies among them; use patterns";

const TARGETS: [&str; 4] = ["tools", "prompts", "resources", "methods"];
const EFFECTS: [&str; 4] = ["scopes", "any_scope", "allow", "deny"];

/// The longest message for people, in characters.
const MESSAGE_MAX: usize = 500;

/// All of them, in order, none of which an `earlier` one covers, and to which they are added; `None` when one is refused, which is
/// reported. They are those of the policy of this name, or a route's own.
pub(super) fn rules(
    written: &[raw::Rule],
    list: &KeyPath,
    policy: Option<&Arc<str>>,
    earlier: &mut Earlier,
    checks: &mut Checks<'_>,
) -> Option<Vec<Rule>> {
    let mut rules = Some(Vec::new());
    let file: Arc<str> = checks.file_name(list).into();
    for (index, rule) in written.iter().enumerate() {
        let path = list.index(index);
        let target = target(rule, &path, earlier, checks);
        let effect = effect(rule, &path, checks);
        let message = message(rule, &path.key("message"), checks);
        match (target.zip(effect), &mut rules) {
            (Some((target, effect)), Some(rules)) => rules.push(Rule {
                target,
                effect,
                message,
                enforced: rule.mode.is_some(),
                line: checks.line_number(&path),
                file: Arc::clone(&file),
                policy: policy.map(|policy| (Arc::clone(policy), index)),
            }),
            (Some(_), None) => {}
            (None, _) => rules = None,
        }
    }
    rules
}

/// What people are told; `None`, too, where it is refused, which is reported.
fn message(rule: &raw::Rule, path: &KeyPath, checks: &mut Checks<'_>) -> Option<Arc<str>> {
    let text = rule.message.as_ref()?;
    if rule.allow == Some(true) {
        checks.refuse_key(
            path,
            "this rule refuses nobody, so nobody would read it",
            "no `message` beside `allow: true`",
        );
        return None;
    }
    let visible = !text.chars().any(yaml::is_hidden) && !text.contains(['\t', '\n']);
    let length = text.chars().count();
    // It goes to terminals, and to models that read it: what is hidden there is read by one of the two.
    let read = if visible && text.trim() == text && (1..=MESSAGE_MAX).contains(&length) {
        Ok(Arc::from(text.as_str()))
    } else {
        Err("one line of 1 to 500 characters that can be seen, without white space around it")
    };
    checks.value(path, text, read)
}

/// The rate of each rule, in order. One that permits nothing has none: its writer believes that it permits.
pub(super) fn rates(written: &[raw::Rule], list: &KeyPath, checks: &mut Checks<'_>) -> Vec<Option<Rate>> {
    let mut rates = Vec::new();
    for (index, rule) in written.iter().enumerate() {
        let path = list.index(index).key("rate_per_principal");
        if rule.rate_per_principal.is_some() && rule.deny == Some(true) {
            checks.refuse(&path, "this rule permits nothing that could be counted", "no rate beside `deny: true`");
        }
        rates.push(limits::rate(rule.rate_per_principal.as_ref(), &path, checks));
    }
    rates
}

/// The patterns of earlier rules and where they stand, by kind.
#[derive(Default)]
pub(super) struct Earlier {
    tools: Vec<(Pattern, KeyPath)>,
    prompts: Vec<(Pattern, KeyPath)>,
    resources: Vec<(Pattern, KeyPath)>,
    methods: Vec<(String, KeyPath)>,
}

impl Earlier {
    fn count(&self) -> usize {
        self.tools.len() + self.prompts.len() + self.resources.len() + self.methods.len()
    }

    /// Adds those of a policy that a route takes in, at `at`: there is reported what of it can never decide on this route, since
    /// in the policy itself nothing is wrong.
    pub(super) fn follow(&mut self, policy: &Self, at: &KeyPath, checks: &mut Checks<'_>) {
        if self.count().saturating_add(policy.count()) > PATTERNS_MAX {
            checks.refuse(at, "with these rules the route has too many names and patterns", TOO_MANY);
            return;
        }
        for (ours, theirs) in [
            (&mut self.tools, &policy.tools),
            (&mut self.prompts, &policy.prompts),
            (&mut self.resources, &policy.resources),
        ] {
            meet(ours, theirs, Pattern::covers, at, checks);
            ours.extend(theirs.iter().cloned());
        }
        meet(&self.methods, &policy.methods, |method, other| method == other, at, checks);
        self.methods.extend(policy.methods.iter().cloned());
    }
}

/// Reports what of a policy an earlier rule of the route covers, at the place where the route takes it in.
fn meet<T>(
    earlier: &[(T, KeyPath)],
    policy: &[(T, KeyPath)],
    covers: impl Fn(&T, &T) -> bool,
    at: &KeyPath,
    checks: &mut Checks<'_>,
) {
    for (pattern, place) in policy {
        let Some((_, other)) = earlier.iter().find(|(other, _)| covers(other, pattern)) else { continue };
        let found = format!(
            "{} of this policy ({}) is covered by the earlier pattern {} ({}): on this route it can never decide",
            checks.shown(place),
            checks.line(place, at),
            checks.shown(other),
            checks.line(other, at)
        );
        let expected = "a policy that no earlier rule of this route covers; make that one narrower, change the order of \
                        `policies`, or leave this one out";
        checks.refuse(at, found, expected);
    }
}

fn target(rule: &raw::Rule, path: &KeyPath, earlier: &mut Earlier, checks: &mut Checks<'_>) -> Option<Target> {
    let written = [&rule.tools, &rule.prompts, &rule.resources, &rule.methods];
    let given: Vec<(&str, &[String])> =
        TARGETS.into_iter().zip(written).filter_map(|(key, list)| Some((key, list.as_deref()?))).collect();
    let [(key, list)] = given.as_slice() else {
        let keys = given.iter().map(|(key, _)| *key);
        refuse_choice(path, "is about", keys, &TARGETS, checks);
        return None;
    };
    let at = path.key(key);
    if list.is_empty() {
        checks.refuse(&at, "the list is empty: this rule can never decide", "at least one name, or no such rule");
        return None;
    }
    if list.len().saturating_add(earlier.count()) > PATTERNS_MAX {
        checks.refuse(&at, "these are too many names and patterns", TOO_MANY);
        return None;
    }
    match *key {
        "tools" => patterns(list, &at, Dialect::Name, &mut earlier.tools, checks).map(Target::Tools),
        "prompts" => patterns(list, &at, Dialect::Name, &mut earlier.prompts, checks).map(Target::Prompts),
        "resources" => patterns(list, &at, Dialect::Uri, &mut earlier.resources, checks).map(Target::Resources),
        _ => methods(list, &at, &mut earlier.methods, checks).map(Target::Methods),
    }
}

fn refuse_choice<'k>(
    path: &KeyPath,
    verb: &str,
    given: impl ExactSizeIterator<Item = &'k str>,
    keys: &[&str],
    checks: &mut Checks<'_>,
) {
    let one = format!("exactly one of {}", one_of(keys.iter().copied()));
    if given.len() == 0 {
        checks.refuse(path, format!("nothing says what this rule {verb}"), one);
    } else {
        let given = given.collect::<Vec<_>>().join(" and ");
        let found = format!("this rule {verb} several things at once: {given}");
        checks.refuse(path, found, format!("{one}; write a rule for each"));
    }
}

fn patterns(
    list: &[String],
    path: &KeyPath,
    dialect: Dialect,
    earlier: &mut Vec<(Pattern, KeyPath)>,
    checks: &mut Checks<'_>,
) -> Option<Vec<Pattern>> {
    let patterns = checks.list(path, list, |text| Pattern::parse(text, dialect));
    for (index, pattern) in patterns.iter().flatten().enumerate() {
        let at = path.index(index);
        if let Some((_, other)) = earlier.iter().find(|(other, _)| other.covers(pattern)) {
            refuse_covered(&at, other, checks);
        }
    }
    let places = (0..).map(|index| path.index(index));
    earlier.extend(patterns.iter().flatten().cloned().zip(places));
    patterns
}

/// The pattern at `path` never decides, since the one at `other` does.
fn refuse_covered(path: &KeyPath, other: &KeyPath, checks: &mut Checks<'_>) {
    let found = format!(
        "{} is covered by the earlier pattern {} ({}): it can never decide",
        checks.shown(path),
        checks.shown(other),
        checks.line(other, path)
    );
    checks.refuse(path, found, "a pattern that no earlier rule covers; move this rule above that one, or remove it");
}

fn methods(
    list: &[String],
    path: &KeyPath,
    earlier: &mut Vec<(String, KeyPath)>,
    checks: &mut Checks<'_>,
) -> Option<Vec<String>> {
    let mut methods = checks.list(path, list, method);
    for (index, name) in list.iter().enumerate() {
        let at = path.index(index);
        if let Some((_, by)) = DECIDED_ELSEWHERE.iter().find(|(method, _)| method == name) {
            let found = format!("{} is decided by {by}, not by a `methods` rule", shown(name));
            checks.refuse(&at, found, "a JSON-RPC method outside the core of MCP, such as acme/reindex or tasks/get");
            methods = None;
        } else if let Some((_, other)) = earlier.iter().find(|(other, _)| other == name) {
            refuse_covered(&at, other, checks);
        }
    }
    earlier.extend(list.iter().enumerate().map(|(index, name)| (name.clone(), path.index(index))));
    methods
}

fn method(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.contains('*') || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("the exact name of a JSON-RPC method; patterns are for tools, prompts and resources");
    }
    Ok(text.to_owned())
}

fn effect(rule: &raw::Rule, path: &KeyPath, checks: &mut Checks<'_>) -> Option<Effect> {
    let written = [rule.scopes.is_some(), rule.any_scope.is_some(), rule.allow.is_some(), rule.deny.is_some()];
    let given: Vec<&str> = EFFECTS.into_iter().zip(written).filter_map(|(key, is)| is.then_some(key)).collect();
    if given.len() != 1 {
        refuse_choice(path, "demands", given.into_iter(), &EFFECTS, checks);
        return None;
    }
    if let Some(list) = &rule.scopes {
        return templates(list, &path.key("scopes"), rule, checks).map(Effect::AllOf);
    }
    if let Some(list) = &rule.any_scope {
        return templates(list, &path.key("any_scope"), rule, checks).map(Effect::AnyOf);
    }
    let (key, effect) = if rule.allow.is_some() { ("allow", Effect::Allow) } else { ("deny", Effect::Deny) };
    if rule.allow == Some(false) || rule.deny == Some(false) {
        let found = format!("`{key}: false` says nothing");
        checks.refuse(&path.key(key), found, format!("`{key}: true`, or one of {}", one_of(EFFECTS)));
        return None;
    }
    Some(effect)
}

fn templates(list: &[String], path: &KeyPath, rule: &raw::Rule, checks: &mut Checks<'_>) -> Option<Vec<ScopeTemplate>> {
    if list.is_empty() {
        let expected = "at least one scope; `allow: true` for none, `deny: true` for nobody";
        checks.refuse(path, "the list is empty", expected);
        return None;
    }
    checks.list(path, list, |text| {
        let template = ScopeTemplate::parse(text)?;
        if template.names_tool() && rule.tools.is_none() {
            return Err("a scope without {tool}, which only a `tools` rule has");
        }
        Ok(template)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::message::{Body, ReadLimits, read};
    use crate::mcp::operation::Operation;

    #[test]
    fn what_is_decided_elsewhere_is_never_left_to_a_methods_rule() {
        for (method, _) in DECIDED_ELSEWHERE {
            let id = if method.starts_with("notifications/") { "" } else { r#""id":1,"# };
            let text = format!(r#"{{"jsonrpc":"2.0",{id}"method":"{method}","params":{{"name":"x","uri":"x:y"}}}}"#);
            let body = read(text.as_bytes(), ReadLimits { depth_max: 8, batch_max: 1 }).expect(method);
            let Body::One(message) = body else { panic!("{method}: a batch") };
            let operation = Operation::of(&message, None);
            assert!(!matches!(operation, Ok(Operation::Other { .. })), "{method}: {operation:?}");
        }
    }
}

//! Decisions in words, as `explain` and `test` print them, and texts that are safe on a terminal.

use std::collections::HashMap;

use gatepost::config::error::closest;
use gatepost::gateway::settings::{RouteSettings, Settings};
use gatepost::mcp::operation::Operation;
use gatepost::mcp::sample::{Named, Wish};
use gatepost::policy::explain::Explanation;
use gatepost::policy::pattern::Pattern;
use gatepost::policy::rule::{Effect, Policy, Rule, Target, Visibility};
use gatepost::rejection::RuleId;

/// Which rule, and where it stands: `rules[1], gatepost.yaml:17`.
pub(super) fn rule_and_place(explanation: &Explanation<'_>) -> String {
    match place(explanation) {
        Some(place) => format!("{}, {place}", explanation.rule()),
        None => explanation.rule().to_string(),
    }
}

/// The file and the line that the rule stands in.
pub(super) fn place(explanation: &Explanation<'_>) -> Option<String> {
    let rule = explanation.written().filter(|rule| rule.line > 0)?;
    Some(format!("{}:{}", plain(&rule.file), rule.line))
}

/// What the rule that decided `operation` says, or why there is none.
pub(super) fn said(explanation: &Explanation<'_>, policy: &Policy, operation: &Operation) -> String {
    match (explanation.rule(), explanation.written()) {
        (_, Some(rule)) => written(rule),
        (RuleId::Required, None) => format!("required_scopes of the route: [{}]", policy.settings().required_scopes),
        (RuleId::Default, None) => match policy.settings().default {
            gatepost::policy::rule::Default::Allow => "no rule names it, and `default: allow`".to_owned(),
            gatepost::policy::rule::Default::Deny => "no rule names it, and `default: deny`".to_owned(),
        },
        (RuleId::BuiltIn, None) => match operation {
            Operation::Other { .. } => "no rule names it, and a method outside the core of MCP takes a `methods` rule",
            Operation::UseResource { .. } | Operation::CompleteResource(_) | Operation::Listen(_) => {
                "a URI that is not in normal form (RFC 3986 \u{a7}6.2.2), or that no wildcard and no default may match"
            }
            Operation::CallTool(_)
            | Operation::GetPrompt(_)
            | Operation::CompletePrompt(_)
            | Operation::Core(_)
            | Operation::Response
            | Operation::OpenStream
            | Operation::EndSession => {
                "no rule names it exactly, and a name outside [A-Za-z0-9_./-]{1,128} is matched by no wildcard and no default"
            }
        }
        .to_owned(),
        (RuleId::Rule { .. }, None) => "a rule that is not there".to_owned(),
    }
}

fn written(rule: &Rule) -> String {
    let (key, names): (_, Vec<&str>) = match &rule.target {
        Target::Tools(patterns) => ("tools", patterns.iter().map(Pattern::as_str).collect()),
        Target::Prompts(patterns) => ("prompts", patterns.iter().map(Pattern::as_str).collect()),
        Target::Resources(patterns) => ("resources", patterns.iter().map(Pattern::as_str).collect()),
        Target::Methods(methods) => ("methods", methods.iter().map(String::as_str).collect()),
    };
    let scopes = |key: &str, effect: &Effect| {
        let scopes: Vec<String> = effect.scopes().iter().map(ToString::to_string).collect();
        format!("{key}: [{}]", scopes.join(", "))
    };
    let effect = match &rule.effect {
        effect @ Effect::AllOf(_) => scopes("scopes", effect),
        effect @ Effect::AnyOf(_) => scopes("any_scope", effect),
        Effect::Allow => "allow: true".to_owned(),
        Effect::Deny => "deny: true".to_owned(),
    };
    let more = names.len().saturating_sub(NAMES_MAX);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    let names: Vec<String> = names.into_iter().take(NAMES_MAX).map(plain).collect();
    let enforced = if rule.enforced { ", mode: enforce" } else { "" };
    format!("{key}: [{}{more}], {effect}{enforced}", names.join(", "))
}

/// What is asked for: `tool echo`, `prompt x by completion/complete`, `method acme/x`.
pub(super) fn operation(wish: &Wish) -> String {
    let (kind, name, usual) = match wish.named() {
        None => return format!("method {}", plain(wish.method())),
        Some(Named::Tool(name)) => ("tool", name, "tools/call"),
        Some(Named::Prompt(name)) => ("prompt", name, "prompts/get"),
        Some(Named::Resource(uri)) => ("resource", uri, "resources/read"),
    };
    let by = if wish.method() == usual { String::new() } else { format!(" by {}", plain(wish.method())) };
    // Letters that look like others are told apart by their numbers.
    let letters = if name.is_ascii() { String::new() } else { format!(" (\"{}\")", name.escape_default()) };
    format!("{kind} {}{letters}{by}", plain(name))
}

pub(super) fn visibility(policy: &Policy) -> &'static str {
    match policy.settings().visibility {
        Visibility::Grantable => "grantable",
        Visibility::Granted => "granted",
        Visibility::All => "all",
    }
}

/// The route of this name, or the only one. The error says which there are.
pub(super) fn route<'s>(name: Option<&str>, settings: &'s Settings) -> Result<&'s RouteSettings, String> {
    let routes: HashMap<&str, &RouteSettings> = settings.routes.iter().map(|route| (&*route.name, route)).collect();
    let mut names: Vec<&str> = routes.keys().copied().collect();
    names.sort_unstable();
    let all = names.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(", ");
    let more = if names.len() > NAMES_MAX { ", …" } else { "" };
    match (name, settings.routes.as_slice()) {
        (Some(name), _) => routes.get(name).copied().ok_or_else(|| {
            let meant = closest(name, names.iter().copied());
            let meant = meant.map_or(String::new(), |meant| format!("; did you mean {meant}?"));
            format!("--route: there is no route {:?}{meant}\n  expected: one of {all}{more}", plain(name))
        }),
        (None, [only]) => Ok(only),
        (None, _) => Err(format!("--route: the file has several routes\n  expected: `--route` and one of {all}{more}")),
    }
}

/// A text that moves no cursor and turns no line round: what tokens, names and files hold may be chosen to.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        let hidden = matches!(letter, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}');
        if letter.is_control() || hidden {
            out.extend(letter.escape_unicode());
        } else {
            out.push(letter);
        }
    }
    out
}

/// So many names of a list are shown.
const NAMES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_safe_on_a_terminal() {
        let check = |text: &str, expect: &str| assert_eq!(plain(text), expect);
        check("get_x caf\u{e9}", "get_x caf\u{e9}");
        check("\x1b[2J", "\\u{1b}[2J");
        check("a\u{9b}b\nc", "a\\u{9b}b\\u{a}c");
        check("a\u{202e}b\u{200b}", "a\\u{202e}b\\u{200b}");
    }
}

//! `policies`: rules that routes share. Each is checked once, whoever takes it in; what is wrong only where two meet is reported
//! at the route that brings them together. One that no route takes in decides nothing, which is said, and is no fault: a file
//! may hold more than it needs today.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::checks::Checks;
use super::error::{closest, one_of, shown};
use super::place::KeyPath;
use super::rules::{self, Earlier};
use super::{raw, routes};
use crate::gateway::settings::Rate;
use crate::policy::rule::Rule;

/// All of them, by name.
#[derive(Default)]
pub(super) struct Policies(HashMap<Arc<str>, Shared>);

struct Shared {
    path: KeyPath,
    /// `None`: one is refused, which is reported.
    rules: Option<Vec<Rule>>,
    rates: Vec<Option<Rate>>,
    patterns: Earlier,
    used: bool,
}

/// The rules of a route, in the order in which they decide, and the rate of each.
#[derive(Default)]
pub(super) struct Ruled {
    pub(super) rules: Vec<Rule>,
    pub(super) rates: Vec<Option<Rate>>,
}

impl Policies {
    /// Those that could be read; what is wrong with the others is reported.
    pub(super) fn read(written: &BTreeMap<String, Vec<raw::Rule>>, checks: &mut Checks<'_>) -> Self {
        let all = KeyPath::default().key("policies");
        let mut policies = HashMap::new();
        for (text, written) in written {
            let path = all.key(text);
            let Some(name) = checks.key(&path, text, policy_name(text)) else { continue };
            if written.is_empty() {
                checks.refuse(
                    &path,
                    "the list is empty: nothing is decided by it",
                    "at least one rule, or no such policy",
                );
            }
            let mut patterns = Earlier::default();
            let rules = rules::rules(written, &path, Some(&name), &mut patterns, checks);
            let rates = rules::rates(written, &path, checks);
            policies.insert(name, Shared { path, rules, rates, patterns, used: false });
        }
        Self(policies)
    }

    /// The rules of a route: its own, then those of the policies that it names. `None` when one is refused, which is reported.
    pub(super) fn of_route(&mut self, route: &raw::Route, path: &KeyPath, checks: &mut Checks<'_>) -> Option<Ruled> {
        let mut earlier = Earlier::default();
        let own = rules::rules(&route.rules, &path.key("rules"), None, &mut earlier, checks);
        let rates = rules::rates(&route.rules, &path.key("rules"), checks);
        let mut all = own.map(|rules| Ruled { rules, rates });
        for (index, name) in route.policies.iter().enumerate() {
            let at = path.key("policies").index(index);
            if route.policies.iter().take(index).any(|earlier| earlier == name) {
                checks.refuse(
                    &at,
                    format!("{} stands here twice", shown(name)),
                    "each policy once; remove one of the two",
                );
                continue;
            }
            let Some(shared) = self.0.get_mut(name.as_str()) else {
                self.unknown(name, &at, checks);
                all = None;
                continue;
            };
            shared.used = true;
            earlier.follow(&shared.patterns, &at, checks);
            match (&mut all, &shared.rules) {
                (Some(all), Some(rules)) => {
                    all.rules.extend(rules.iter().cloned());
                    all.rates.extend(&shared.rates);
                }
                (_, None) => all = None,
                (None, Some(_)) => {}
            }
        }
        all
    }

    fn unknown(&self, name: &str, at: &KeyPath, checks: &mut Checks<'_>) {
        let mut names: Vec<&str> = self.0.keys().map(|name| &**name).collect();
        names.sort_unstable();
        let meant = closest(name, names.iter().copied());
        let meant = meant.map_or(String::new(), |word| format!("; did you mean {}?", shown(word)));
        let found = format!("{} is not one of this file's `policies`{meant}", shown(name));
        let expected = match names.as_slice() {
            [] => "a name of the top-level map `policies`, of which there is none".to_owned(),
            names => format!("a name of the top-level map `policies`: {}", one_of(names.iter().copied())),
        };
        checks.refuse(at, found, expected);
    }

    /// Says which of them no route takes in.
    pub(super) fn mention_unused(&self, checks: &mut Checks<'_>) {
        let mut unused: Vec<&KeyPath> =
            self.0.values().filter(|shared| !shared.used).map(|shared| &shared.path).collect();
        unused.sort_by_key(|path| checks.line_number(path));
        for path in unused {
            checks.mention(path, "no route names it in its `policies`, so it decides nothing");
        }
    }
}

/// A name as rules are known by: `policies.NAME[0]` says which one it is.
fn policy_name(text: &str) -> Result<Arc<str>, &'static str> {
    match routes::route_name(text) {
        Ok(name) if !text.contains('.') => Ok(name),
        Ok(_) | Err(_) => Err("1 to 64 letters, digits, `-` and `_`"),
    }
}

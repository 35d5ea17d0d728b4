//! The one place where a request is permitted. Lists show an entry by the same rules, found by the same search; there is
//! no other road from a name to a yes.

use std::cell::OnceCell;

use super::rule::{Effect, Kind, Policy, Verdict, Visibility};
use super::uri;
use crate::mcp::listing::Entry;
use crate::mcp::operation::Operation;
use crate::oauth::scope::{Scope, ScopeSet};
use crate::rejection::{Denial, RuleId, Unknown};

/// That one operation may go on. Not `Clone`; its fields are private and nothing outside this file makes one.
///
/// A permit cannot be written down:
///
/// ```compile_fail
/// use gatepost::policy::Permit;
/// use gatepost::{oauth::scope::ScopeSet, rejection::RuleId};
/// let permit = Permit { rule: RuleId::Required, needed: ScopeSet::default(), would_deny: None };
/// ```
///
/// it can only be got:
///
/// ```
/// use gatepost::policy::Permit;
/// use gatepost::{oauth::scope::ScopeSet, rejection::RuleId};
/// fn parts(permit: &Permit) -> (&RuleId, &ScopeSet) { (permit.rule(), permit.needed()) }
/// ```
///
/// And there is one for each decision, not more:
///
/// ```compile_fail
/// use gatepost::policy::Permit;
/// fn twice(permit: Permit) -> (Permit, Permit) { (permit.clone(), permit) }
/// ```
///
/// ```
/// use gatepost::policy::Permit;
/// fn once(permit: Permit) -> Permit { permit }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Permit {
    rule: RuleId,
    needed: ScopeSet,
    would_deny: Option<Denial>,
}

impl Permit {
    /// Which rule permitted it; of several URIs, the rule of the first.
    #[must_use]
    pub fn rule(&self) -> &RuleId {
        &self.rule
    }
    /// The scopes it needed: the route's, then the rule's; of alternatives the one that the token has.
    #[must_use]
    pub fn needed(&self) -> &ScopeSet {
        &self.needed
    }
    /// What the route would answer if it did more than report (`mode: report`).
    #[must_use]
    pub fn would_deny(&self) -> Option<&Denial> {
        self.would_deny.as_ref()
    }
}

/// What an operation names, and rules decide by.
#[derive(Clone, Copy)]
enum Named<'a> {
    /// A tool, a prompt, or a template.
    Name(Kind, &'a str),
    /// Resources.
    Uris(&'a [String]),
    /// A method outside the core set, and whether the revision defines it.
    Method(&'a str, bool),
    /// Nothing: `required_scopes` decide.
    Nothing,
}

impl<'a> Named<'a> {
    fn by(operation: &'a Operation) -> Self {
        match operation {
            Operation::CallTool(name) => Self::Name(Kind::Tool, name),
            Operation::GetPrompt(name) | Operation::CompletePrompt(name) => Self::Name(Kind::Prompt, name),
            Operation::UseResource { method: _, uri } => Self::Uris(std::slice::from_ref(uri)),
            Operation::CompleteResource(text) => Self::Name(Kind::Resource, text),
            Operation::Other { method, defined } => Self::Method(method, *defined),
            Operation::Listen(uris) => Self::Uris(uris),
            Operation::Core(_) | Operation::Response | Operation::OpenStream | Operation::EndSession => Self::Nothing,
        }
    }

    /// What a server says to a name that it does not have.
    fn unknown(self) -> Option<Unknown> {
        match self {
            Self::Name(Kind::Tool, _) => Some(Unknown::Tool),
            Self::Name(Kind::Prompt, _) => Some(Unknown::Prompt),
            Self::Name(Kind::Resource, _) | Self::Uris([_, ..]) => Some(Unknown::Resource),
            Self::Uris([]) | Self::Method(..) | Self::Nothing => None,
        }
    }
}

impl Policy {
    /// Decides `operation` for a caller whose token carries `held`.
    pub fn decide(&self, held: &ScopeSet, operation: &Operation) -> Result<Permit, Denial> {
        self.decide_one(held, &Kept::new(), operation)
    }

    /// Decides each operation of one request as if alone.
    pub fn decide_each<'o>(
        &self,
        held: &ScopeSet,
        operations: impl Iterator<Item = &'o Operation>,
    ) -> Vec<Result<Permit, Denial>> {
        let kept = Kept::new();
        operations.map(|operation| self.decide_one(held, &kept, operation)).collect()
    }

    fn decide_one(&self, held: &ScopeSet, kept: &Kept, operation: &Operation) -> Result<Permit, Denial> {
        let named = Named::by(operation);
        self.judge(held, kept, named).or_else(|denial| {
            if self.enforces() || self.is_enforced_for(named) {
                return Err(match self.hidden(named) {
                    Some(unknown) => Denial::Hidden { unknown, denial: Box::new(denial) },
                    None => denial,
                });
            }
            let (rule, needed) = (denial.rule().clone(), denial.needed().cloned().unwrap_or_default());
            Ok(Permit { rule, needed, would_deny: Some(denial) })
        })
    }

    /// What the rules say, whether or not it is enforced.
    fn judge(&self, held: &ScopeSet, kept: &Kept, named: Named<'_>) -> Result<Permit, Denial> {
        let mut needed = self.settings.required_scopes.clone();
        let mut lacking = (!self.grants_all(held, &needed)).then_some(RuleId::Required);
        let mut decided_by = None;
        for demand in self.demands(named) {
            // A denial counts more than a lack of scope, found before it or not: no step-up would help.
            let demand = demand?;
            let met = demand.met(|scope| self.settings.hierarchy.grants(held, scope));
            needed.extend(met.unwrap_or_else(|| demand.canonical()));
            if met.is_none() && lacking.is_none() {
                lacking = Some(demand.rule.clone());
            }
            decided_by = decided_by.or(Some(demand.rule));
        }
        match lacking {
            None => Ok(Permit { rule: decided_by.unwrap_or(RuleId::Required), needed, would_deny: None }),
            Some(rule) => {
                // Where it is hidden nobody gets a challenge, and the time to make one would tell that there is something.
                let hidden = self.hidden(named).is_some();
                let challenge = if hidden { needed.clone() } else { self.challenge(held, kept, &needed) };
                Err(Denial::InsufficientScope { needed, challenge, message: self.message(&rule), rule })
            }
        }
    }

    /// What there is said to be none of, where the route hides what it denies.
    fn hidden(&self, named: Named<'_>) -> Option<Unknown> {
        named.unknown().filter(|_| self.settings.hides)
    }

    /// Whether a list shows `entry` to a caller whose token carries `held`. The same rules as `decide`.
    #[must_use]
    pub fn shows(&self, held: &ScopeSet, entry: Entry<'_>) -> bool {
        if self.settings.visibility == Visibility::All {
            return true;
        }
        let demand = match entry {
            Entry::Tool(name) => self.demand(Kind::Tool, name),
            Entry::Prompt(name) => self.demand(Kind::Prompt, name),
            Entry::Resource(uri) => self.resource(uri),
            Entry::ResourceTemplate(template) => self.demand(Kind::Resource, template),
        };
        match (demand, self.settings.visibility) {
            (Err(_), _) => false,
            (Ok(_), Visibility::All | Visibility::Grantable) => true,
            (Ok(demand), Visibility::Granted) => {
                self.grants_all(held, &self.settings.required_scopes)
                    && demand.met(|scope| self.settings.hierarchy.grants(held, scope)).is_some()
            }
        }
    }

    /// Whether a rule that decides one of these names is enforced where the route only reports. A name in a form that no
    /// wildcard matches, a URI in another than the normal one, or a method that is nearly one of those that name things could
    /// be meant to get round such a rule.
    fn is_enforced_for(&self, named: Named<'_>) -> bool {
        let enforced = |kind, name: &str| match self.find(kind, name) {
            Verdict::Rule(place, _) => self.is_enforced(place),
            Verdict::Closed(RuleId::BuiltIn) => self.has_enforced(kind),
            Verdict::Closed(_) | Verdict::Open => false,
        };
        let evades = |uri: &str| !self.is_readable(uri) && self.has_enforced(Kind::Resource);
        match named {
            // The expressions of a template are in braces, which no URI has.
            Named::Name(Kind::Resource, text) => {
                enforced(Kind::Resource, text) || evades(&text.replace(['{', '}'], "a"))
            }
            Named::Name(kind, name) => enforced(kind, name),
            Named::Uris(uris) => uris.iter().any(|uri| enforced(Kind::Resource, uri) || evades(uri)),
            Named::Method(method, defined) => match self.find_method(method) {
                Verdict::Rule(place, _) => self.is_enforced(place),
                Verdict::Closed(_) | Verdict::Open => self.resembles_enforced(method, defined),
            },
            Named::Nothing => false,
        }
    }

    /// What an operation demands beyond `required_scopes`, one thing after the other.
    fn demands<'a>(&'a self, named: Named<'a>) -> impl Iterator<Item = Result<Demand, Denial>> + 'a {
        let mut uris: &[String] = &[];
        let demand = match named {
            Named::Name(kind, name) => Some(self.demand(kind, name)),
            Named::Method(method, defined) => Some(self.method(method, defined)),
            Named::Uris(listed) => {
                uris = listed;
                None
            }
            Named::Nothing => None,
        };
        demand.into_iter().chain(uris.iter().map(|uri| self.resource(uri)))
    }

    /// A resource by its URI, which must have one spelling only where a pattern tells URIs apart: else the server may read
    /// `repo://a/%73ecret` as what a rule denies.
    fn resource(&self, uri: &str) -> Result<Demand, Denial> {
        if !self.is_readable(uri) {
            return Err(never(RuleId::BuiltIn));
        }
        self.demand(Kind::Resource, uri)
    }

    fn is_readable(&self, uri: &str) -> bool {
        !self.normal_uris || uri::is_normal(uri)
    }

    fn method(&self, method: &str, defined: bool) -> Result<Demand, Denial> {
        match self.find_method(method) {
            Verdict::Closed(rule) => Err(Denial::NotPermitted { rule, message: None, undefined_method: !defined }),
            verdict @ (Verdict::Rule(..) | Verdict::Open) => self.weigh(&verdict, None),
        }
    }

    fn demand(&self, kind: Kind, name: &str) -> Result<Demand, Denial> {
        let tool = (kind == Kind::Tool).then_some(name);
        self.weigh(&self.find(kind, name), tool)
    }

    /// What the rule that was found demands, its templates filled in.
    fn weigh(&self, verdict: &Verdict<'_>, tool: Option<&str>) -> Result<Demand, Denial> {
        let (rule, effect) = match verdict {
            Verdict::Closed(rule) => return Err(never(rule.clone())),
            Verdict::Open => return Ok(Demand { rule: RuleId::Default, scopes: Scopes::All(Vec::new()) }),
            Verdict::Rule(place, effect) => (self.rule_id(*place), effect),
        };
        let scopes = || {
            let rendered = effect.scopes().iter().map(|template| template.render(&self.settings.route, tool));
            let rendered = rendered.collect::<Result<Vec<Scope>, _>>().map_err(|_| self.refused_by(&rule))?;
            // Nothing named is nothing permitted: an empty list must not turn into `allow`.
            if rendered.is_empty() { Err(self.refused_by(&rule)) } else { Ok(rendered) }
        };
        let scopes = match effect {
            Effect::Deny => return Err(self.refused_by(&rule)),
            Effect::Allow => Scopes::All(Vec::new()),
            Effect::AllOf(_) => Scopes::All(scopes()?),
            Effect::AnyOf(_) => Scopes::Any(scopes()?),
        };
        Ok(Demand { rule, scopes })
    }

    /// No scope would help with this rule.
    fn refused_by(&self, rule: &RuleId) -> Denial {
        Denial::NotPermitted { rule: rule.clone(), message: self.message(rule), undefined_method: false }
    }

    fn grants_all(&self, held: &ScopeSet, scopes: &ScopeSet) -> bool {
        scopes.iter().all(|scope| self.settings.hierarchy.grants(held, scope))
    }

    /// What a client must ask for to get further without losing what it has: `needed`, then the scopes of this route that
    /// the token has. Its order comes from the file, not from the token: clients take a challenge that changes for
    /// progress, and one that stays for a loop.
    fn challenge(&self, held: &ScopeSet, kept: &Kept, needed: &ScopeSet) -> ScopeSet {
        let mut challenge = needed.clone();
        challenge.extend(kept.get_or_init(|| self.kept(held)).iter());
        // A token whose broad scope this route does not name has the narrower ones that it does name.
        for scope in self.named.iter().filter(|scope| self.settings.hierarchy.grants(held, scope)) {
            if !self.settings.hierarchy.grants(&challenge, scope) {
                challenge.insert(scope.clone());
            }
        }
        challenge
    }

    /// The scopes of this route that the token has.
    fn kept(&self, held: &ScopeSet) -> ScopeSet {
        let mut of_tools: Vec<&Scope> = held.iter().filter(|scope| self.is_of_a_tool(scope)).collect();
        of_tools.sort_unstable_by_key(|scope| scope.as_str());
        self.named.iter().filter(|scope| held.contains(scope)).chain(of_tools).cloned().collect()
    }

    /// Whether a rule demands `scope` of some tool by a template with `{tool}`.
    fn is_of_a_tool(&self, scope: &Scope) -> bool {
        self.settings.rules.iter().enumerate().any(|(place, rule)| {
            let tools =
                rule.effect.scopes().iter().filter_map(|template| template.tool_of(&self.settings.route, scope));
            tools
                .into_iter()
                .any(|tool| matches!(self.find(Kind::Tool, tool), Verdict::Rule(found, _) if found == place))
        })
    }
}

/// The scopes of the route that the token has, found once for a request: a token may have very many.
type Kept = OnceCell<ScopeSet>;

/// What one rule demands of a caller beyond `required_scopes`.
struct Demand {
    rule: RuleId,
    scopes: Scopes,
}

enum Scopes {
    All(Vec<Scope>),
    Any(Vec<Scope>),
}

impl Demand {
    /// The scopes by which a caller meets the demand; `None` if it does not.
    fn met(&self, holds: impl Fn(&Scope) -> bool) -> Option<&[Scope]> {
        match &self.scopes {
            Scopes::All(scopes) => scopes.iter().all(holds).then_some(scopes),
            Scopes::Any(scopes) => scopes.iter().position(holds).and_then(|place| scopes.get(place..=place)),
        }
    }

    /// The scopes to ask for: all, or the first of the alternatives.
    fn canonical(&self) -> &[Scope] {
        match &self.scopes {
            Scopes::All(scopes) => scopes,
            Scopes::Any(scopes) => scopes.get(..1).unwrap_or_default(),
        }
    }
}

/// No scope would help.
fn never(rule: RuleId) -> Denial {
    Denial::NotPermitted { rule, message: None, undefined_method: false }
}

#[cfg(test)]
mod tests;

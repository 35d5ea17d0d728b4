//! A decision in facts, for people: which rule made it, what it needs, what of that is missing, and what lists show. Decides
//! nothing: it says again what `decide` and `shows` said.

use super::Permit;
use super::rule::{Policy, Rule};
use crate::mcp::listing::Entry;
use crate::mcp::operation::Operation;
use crate::oauth::scope::ScopeSet;
use crate::rejection::{Denial, RuleId};

/// Why a decision is as it is.
#[derive(Debug, Clone, Copy)]
pub struct Explanation<'p> {
    policy: &'p Policy,
    decided: Result<&'p Permit, &'p Denial>,
}

/// Whether lists show what an operation names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// They do.
    Shown,
    /// They do not.
    Hidden,
    /// They are not filtered: `visibility: all`, or a route that only reports.
    Unfiltered,
}

impl Listed {
    /// Whether a caller sees it, where the server has it.
    #[must_use]
    pub fn is_seen(self) -> bool {
        match self {
            Self::Shown | Self::Unfiltered => true,
            Self::Hidden => false,
        }
    }
}

impl Policy {
    /// What there is to say of a decision of this policy.
    #[must_use]
    pub fn explain<'p>(&'p self, decided: &'p Result<Permit, Denial>) -> Explanation<'p> {
        Explanation { policy: self, decided: decided.as_ref() }
    }

    /// Whether lists show what `operation` names to a caller whose token carries `held`; `None` where it names nothing that
    /// stands in one.
    #[must_use]
    pub fn listed(&self, held: &ScopeSet, operation: &Operation) -> Option<Listed> {
        let entry = match operation {
            Operation::CallTool(name) => Entry::Tool(name),
            Operation::GetPrompt(name) | Operation::CompletePrompt(name) => Entry::Prompt(name),
            Operation::UseResource { method: _, uri } => Entry::Resource(uri),
            Operation::CompleteResource(template) => Entry::ResourceTemplate(template),
            Operation::Listen(uris) => match uris.as_slice() {
                [uri] => Entry::Resource(uri),
                _ => return None,
            },
            Operation::Core(_)
            | Operation::Response
            | Operation::OpenStream
            | Operation::EndSession
            | Operation::Other { .. } => return None,
        };
        if !self.filters_lists() {
            return Some(Listed::Unfiltered);
        }
        Some(if self.shows(held, entry) { Listed::Shown } else { Listed::Hidden })
    }
}

impl<'p> Explanation<'p> {
    /// Which rule decided.
    #[must_use]
    pub fn rule(&self) -> &'p RuleId {
        self.decided.map_or_else(Denial::rule, Permit::rule)
    }

    /// That rule as it stands in the file, where it is one of `rules`.
    #[must_use]
    pub fn written(&self) -> Option<&'p Rule> {
        match self.rule() {
            RuleId::Rule { place, .. } => self.policy.settings.rules.get(*place),
            RuleId::Required | RuleId::Default | RuleId::BuiltIn => None,
        }
    }

    /// What the route would answer if it did more than report.
    #[must_use]
    pub fn would_deny(&self) -> Option<&'p Denial> {
        self.decided.ok().and_then(Permit::would_deny)
    }

    /// All scopes that it needs, of alternatives one; `None` where no scope would help.
    #[must_use]
    pub fn needed(&self) -> Option<&'p ScopeSet> {
        match (self.decided, self.would_deny()) {
            (Err(denial), _) | (Ok(_), Some(denial)) => denial.needed(),
            (Ok(permit), None) => Some(permit.needed()),
        }
    }

    /// Those of them that neither stand in `held` nor are implied by one that does.
    #[must_use]
    pub fn missing(&self, held: &ScopeSet) -> ScopeSet {
        let granted = |scope| self.policy.settings.hierarchy.grants(held, scope);
        self.needed().into_iter().flat_map(ScopeSet::iter).filter(|scope| !granted(scope)).cloned().collect()
    }
}

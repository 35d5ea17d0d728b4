//! The one place where a request is permitted.

use super::rule::Policy;
use crate::mcp::listing::Entry;
use crate::mcp::operation::Operation;
use crate::oauth::scope::ScopeSet;
use crate::rejection::{Denial, RuleId};

/// That policy permits one operation. Not `Clone`; its fields are private and nothing outside this file makes one.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    rule: RuleId,
    needed: ScopeSet,
}

impl Permit {
    /// Which rule permitted it.
    #[must_use]
    pub fn rule(&self) -> RuleId {
        self.rule
    }
    /// The scopes it needed.
    #[must_use]
    pub fn needed(&self) -> &ScopeSet {
        &self.needed
    }
}

impl Policy {
    /// Decides `operation` for a caller whose token carries `held`.
    pub fn decide(&self, held: &ScopeSet, operation: &Operation) -> Result<Permit, Denial> {
        let _ = (held, operation);
        Ok(Permit { rule: RuleId::Required, needed: ScopeSet::default() })
    }

    /// Whether a list shows `entry` to a caller whose token carries `held`. The same rules as `decide`.
    #[must_use]
    pub fn shows(&self, held: &ScopeSet, entry: Entry<'_>) -> bool {
        let _ = (held, entry);
        false
    }
}

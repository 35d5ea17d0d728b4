//! The rules of one route, as meant.

use std::sync::Arc;

use super::pattern::Pattern;
use crate::oauth::scope::{ScopeHierarchy, ScopeSet};

/// What one route demands. Made by `Policy::new` from settings that were checked when the file was read.
#[derive(Debug, Clone)]
pub struct Policy {
    #[expect(dead_code, reason = "skeleton")]
    settings: PolicySettings,
}

/// The parts of a policy.
#[derive(Debug, Clone)]
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
    /// Which scopes imply which.
    pub hierarchy: Arc<ScopeHierarchy>,
}

/// One rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// What it is about.
    pub target: Target,
    /// What it demands.
    pub effect: Effect,
}

/// What a rule is about.
#[derive(Debug, Clone)]
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
#[derive(Debug, Clone)]
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
pub struct ScopeTemplate {}

/// `default`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Default {
    /// `deny`.
    Deny,
    /// `allow`.
    Allow,
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
        let _ = text;
        Ok(Self {})
    }
}

impl Policy {
    /// A policy of these parts.
    #[must_use]
    pub fn new(settings: PolicySettings) -> Self {
        Self { settings }
    }
    /// Every scope that the rules name, in file order after `required_scopes`: the default of `scopes_supported`. Templates
    /// count for exactly named tools alone.
    #[must_use]
    pub fn scopes_named(&self) -> ScopeSet {
        ScopeSet::default()
    }
    /// Whether lists are filtered on this route at all (`visibility` is not `all`).
    #[must_use]
    pub fn filters_lists(&self) -> bool {
        true
    }
}

//! Tables of decisions, and properties that hold for all of them.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::oauth::scope::ScopeHierarchy;
use crate::policy::pattern::{Dialect, Pattern};
use crate::policy::rule::{Default, Mode, PolicySettings, Rule, ScopeTemplate, Target};

fn set(text: &str) -> ScopeSet {
    text.split_whitespace().map(|scope| Scope::parse(scope).unwrap()).collect()
}

/// `tools get_* list_* : github:read`, `… : any a b`, `… : deny`, `… : allow`.
fn rule(text: &str) -> Rule {
    let (text, enforced) = text.strip_suffix(" enforced").map_or((text, false), |text| (text, true));
    let (target, effect) = text.split_once(" : ").unwrap();
    let (kind, names) = target.split_once(' ').unwrap();
    let patterns = |dialect| names.split(' ').map(|name| Pattern::parse(name, dialect).unwrap()).collect();
    let templates = |text: &str| text.split_whitespace().map(|scope| ScopeTemplate::parse(scope).unwrap()).collect();
    Rule {
        target: match kind {
            "tools" => Target::Tools(patterns(Dialect::Name)),
            "prompts" => Target::Prompts(patterns(Dialect::Name)),
            "resources" => Target::Resources(patterns(Dialect::Uri)),
            _ => Target::Methods(names.split(' ').map(str::to_owned).collect()),
        },
        effect: match effect.split_once(' ').unwrap_or((effect, "")) {
            ("deny", "") => Effect::Deny,
            ("allow", "") => Effect::Allow,
            ("any", alternatives) => Effect::AnyOf(templates(alternatives)),
            ("none", "") => Effect::AllOf(Vec::new()),
            _ => Effect::AllOf(templates(effect)),
        },
        message: None,
        enforced,
        line: 0,
        file: "".into(),
        policy: None,
    }
}

fn policy(default: Default, visibility: Visibility, rules: &[&str]) -> Policy {
    policy_that(Mode::Enforce, false, default, visibility, rules)
}

fn policy_that(mode: Mode, hides: bool, default: Default, visibility: Visibility, rules: &[&str]) -> Policy {
    let edges = [("github:admin", "github:write"), ("github:write", "github:read")];
    let edges = edges.map(|(broad, narrow)| (Scope::parse(broad).unwrap(), vec![Scope::parse(narrow).unwrap()]));
    Policy::new(PolicySettings {
        route: "github".into(),
        required_scopes: set("mcp"),
        rules: rules.iter().map(|text| rule(text)).collect(),
        default,
        visibility,
        mode,
        hides,
        hierarchy: Arc::new(ScopeHierarchy::new(edges).unwrap()),
    })
}

const RULES: &[&str] = &[
    "tools get_* list_* search_* : github:read",
    "tools create_issue : github:write",
    "tools delete_repository : deny",
    "tools merge : any github:merge github:admin",
    "tools ping : allow",
    "tools both : x:two x:one",
    "tools empty : none",
    "tools anyone's : github:read",
    "prompts * : github:read",
    "resources repo://public/** : allow",
    "resources repo://secret/** : deny",
    "resources repo://** : github:read",
    "methods acme/reindex tasks/get : github:admin",
    "methods acme/wipe : deny",
];

/// What came of it: `permit <rule>: <needed>`, `lack <rule>: <needed> | <challenge>`, `never <rule>`, `undefined <rule>`;
/// before it `report: ` where it is not enforced, `unknown <what>: ` where it is hidden.
fn outcome(policy: &Policy, held: &str, operation: &Operation) -> String {
    fn denied(denial: &Denial) -> String {
        match denial {
            Denial::InsufficientScope { needed, challenge, rule, .. } => format!("lack {rule}: {needed} | {challenge}"),
            Denial::NotPermitted { rule, message: _, undefined_method: false } => format!("never {rule}"),
            Denial::NotPermitted { rule, message: _, undefined_method: true } => format!("undefined {rule}"),
            Denial::Hidden { unknown, denial } => format!("unknown {unknown:?}: {}", denied(denial)),
        }
    }
    match policy.decide(&set(held), operation) {
        Ok(permit) => match permit.would_deny() {
            None => format!("permit {}: {}", permit.rule(), permit.needed()),
            Some(denial) => format!("report: {}", denied(denial)),
        },
        Err(denial) => denied(&denial),
    }
}

fn tool(name: &str) -> Operation {
    Operation::CallTool(name.to_owned())
}

fn resource(uri: &str) -> Operation {
    Operation::UseResource { method: "resources/read", uri: uri.to_owned() }
}

fn other(method: &str, defined: bool) -> Operation {
    Operation::Other { method: method.to_owned(), defined }
}

fn complete(uri: &str) -> Operation {
    Operation::CompleteResource(uri.to_owned())
}

fn listen(uris: &[&str]) -> Operation {
    Operation::Listen(uris.iter().map(|uri| (*uri).to_owned()).collect())
}

#[test]
fn tools() {
    let policy = policy(Default::Deny, Visibility::Grantable, RULES);
    let check =
        |held: &str, name: &str, expect: &str| assert_eq!(outcome(&policy, held, &tool(name)), expect, "{name}");
    check("mcp github:read", "get_issue", "permit rules[0]: mcp github:read");
    check("mcp github:admin", "get_issue", "permit rules[0]: mcp github:read");
    check("github:read mcp", "search_", "permit rules[0]: mcp github:read");
    check("mcp", "get_issue", "lack rules[0]: mcp github:read | mcp github:read");
    check("github:read", "get_issue", "lack required_scopes: mcp github:read | mcp github:read");
    check("", "get_issue", "lack required_scopes: mcp github:read | mcp github:read");
    check("mcp GITHUB:READ", "get_issue", "lack rules[0]: mcp github:read | mcp github:read");
    check("mcp github:read", "create_issue", "lack rules[1]: mcp github:write | mcp github:write github:read");
    check("mcp github:write", "create_issue", "permit rules[1]: mcp github:write");
    check("mcp github:admin", "delete_repository", "never rules[2]");
    check("", "delete_repository", "never rules[2]");
    check("mcp", "ping", "permit rules[4]: mcp");
    check("", "ping", "lack required_scopes: mcp | mcp");
    check("mcp x:one x:two", "both", "permit rules[5]: mcp x:two x:one");
    check("mcp x:one", "both", "lack rules[5]: mcp x:two x:one | mcp x:two x:one");
    check("mcp github:admin", "empty", "never rules[6]");
    check("mcp github:admin", "unknown", "never default");
    check("", "unknown", "never default");
    check("mcp github:read", "Get_issue", "never default");
    // Names that a wildcard does not speak of.
    check("mcp github:read", "get_issue\u{200b}", "never built_in");
    check("mcp github:read", "get_a b", "never built_in");
    check("mcp github:read", "", "never built_in");
    check("mcp github:read", "anyone's", "permit rules[7]: mcp github:read");
}

#[test]
fn one_of_several_scopes() {
    let policy = policy(Default::Deny, Visibility::Grantable, RULES);
    let check = |held: &str, expect: &str| assert_eq!(outcome(&policy, held, &tool("merge")), expect, "{held}");
    check("mcp github:merge", "permit rules[3]: mcp github:merge");
    check("mcp github:admin", "permit rules[3]: mcp github:admin");
    check("mcp github:admin github:merge", "permit rules[3]: mcp github:merge");
    check("mcp", "lack rules[3]: mcp github:merge | mcp github:merge");
    check("github:admin", "lack required_scopes: mcp github:admin | mcp github:admin");
}

#[test]
fn a_challenge_keeps_what_the_token_has() {
    let policy = policy(Default::Deny, Visibility::Grantable, RULES);
    let check = |held: &str, expect: &str| {
        assert_eq!(
            outcome(&policy, held, &tool("both")),
            format!("lack rules[5]: mcp x:two x:one | {expect}"),
            "{held}"
        );
    };
    check("mcp", "mcp x:two x:one");
    check("mcp github:read", "mcp x:two x:one github:read");
    // The order is the file's, whatever the token's.
    check("github:merge mcp x:one github:read", "mcp x:two x:one github:read github:merge");
    check("github:read x:one github:merge mcp", "mcp x:two x:one github:read github:merge");
    // Scopes of other resources are nobody's business here.
    check("mcp openid mail:send", "mcp x:two x:one");
    // A broad scope says more than the narrow ones that it implies.
    check("mcp github:admin", "mcp x:two x:one github:admin");
    check("mcp github:admin github:read", "mcp x:two x:one github:read github:admin");
}

#[test]
fn a_challenge_keeps_what_a_scope_of_elsewhere_implies() {
    let policy = policy(Default::Deny, Visibility::Grantable, &["tools get : github:read", "tools put : x"]);
    assert_eq!(outcome(&policy, "mcp github:admin", &tool("put")), "lack rules[1]: mcp x | mcp x github:read");
}

#[test]
fn scopes_named_by_tool_and_route() {
    let policy = policy(
        Default::Deny,
        Visibility::Grantable,
        &[
            "tools plain : {route}:plain",
            "tools * a:b c{route} d\u{20ac} : tool:{tool}:execute",
            "prompts p : x:{tool}",
        ],
    );
    let check = |held: &str, operation: &Operation, expect: &str| assert_eq!(outcome(&policy, held, operation), expect);
    check("mcp github:plain", &tool("plain"), "permit rules[0]: mcp github:plain");
    check("mcp tool:add:execute", &tool("add"), "permit rules[1]: mcp tool:add:execute");
    check("mcp tool:*:execute", &tool("add"), "lack rules[1]: mcp tool:add:execute | mcp tool:add:execute");
    check(
        "mcp tool:add:execute",
        &tool("sub"),
        "lack rules[1]: mcp tool:sub:execute | mcp tool:sub:execute tool:add:execute",
    );
    // In an order that is not the token's, and only for tools that the rule decides.
    check(
        "mcp tool:b:execute tool:plain:execute tool:a:execute tool:a:executer github:plain",
        &tool("c"),
        "lack rules[1]: mcp tool:c:execute | mcp tool:c:execute github:plain tool:a:execute tool:b:execute",
    );
    // A name is filled in once; one that is no part of a scope is nobody's.
    check("mcp tool:c{route}:execute", &tool("c{route}"), "permit rules[1]: mcp tool:c{route}:execute");
    check("mcp", &tool("d\u{20ac}"), "never rules[1]");
    // `{tool}` where there is none.
    check("mcp x:p", &Operation::GetPrompt("p".to_owned()), "never rules[2]");
    assert_eq!(policy.scopes_named().to_string(), "mcp github:plain tool:a:b:execute tool:c{route}:execute");
}

#[test]
fn templates() {
    let check = |text: &str, expect: Option<(bool, bool)>| {
        let parsed = ScopeTemplate::parse(text).ok();
        assert_eq!(parsed.map(|template| (template.names_tool(), template.names_route())), expect, "{text}");
    };
    check("github:read", Some((false, false)));
    check("tool:{tool}:execute", Some((true, false)));
    check("{route}:{tool}{tool}", Some((true, true)));
    check("", None);
    check("a b", None);
    check("a\"b", None);
    check("{name}", None);
    check("{Tool}", None);
    check("{tool", None);
    check("tool}", None);
    check("{{tool}}", None);
    check("{}", None);
}

#[test]
fn a_tool_is_found_in_its_scope() {
    let check = |template: &str, scope: &str, expect: Option<&str>| {
        let scope = Scope::parse(scope).unwrap();
        assert_eq!(ScopeTemplate::parse(template).unwrap().tool_of("r", &scope), expect, "{template} {scope}");
    };
    check("tool:{tool}:execute", "tool:add:execute", Some("add"));
    check("{route}/{tool}", "r/add", Some("add"));
    check("{tool}", "add", Some("add"));
    check("{tool}:{tool}", "add:add", Some("add"));
    check("{tool}:{tool}", "add:sub", None);
    check("{tool}:{tool}", "adds:ub", None);
    check("{tool}{tool}", "aaa", None);
    check("tool:{tool}", "tool", None);
    check("tool:{tool}", "pool:a", None);
    check("tool:x", "tool:x", None);
    check("tool:{tool}", "tool:", Some(""));
}

#[test]
fn default_allow_speaks_of_plain_names_only() {
    let policy =
        policy(Default::Allow, Visibility::Grantable, &["tools del* : deny", "resources repo://secret/** : deny"]);
    let check = |operation: &Operation, expect: &str| assert_eq!(outcome(&policy, "mcp", operation), expect);
    check(&tool("get"), "permit default: mcp");
    check(&tool("delete"), "never rules[0]");
    check(&tool("\u{200b}delete"), "never built_in");
    check(&tool("delete it"), "never built_in");
    check(&tool(&"a".repeat(129)), "never built_in");
    check(&Operation::GetPrompt("p".to_owned()), "permit default: mcp");
    check(&Operation::GetPrompt("p q".to_owned()), "never built_in");
    check(&resource("note://a"), "permit default: mcp");
    check(&resource("repo://secret/a"), "never rules[1]");
    check(&resource("REPO://secret/a"), "never built_in");
    check(&resource("repo://x/../secret/a"), "never built_in");
    check(&resource("repo://s%65cret/a"), "never built_in");
    check(&resource(&format!("repo://{}", "a".repeat(9000))), "never built_in");
    check(&Operation::CompleteResource("a".repeat(9000)), "never built_in");
    // Methods have no default.
    check(&other("acme/reindex", true), "never built_in");
    assert_eq!(outcome(&policy, "", &tool("get")), "lack required_scopes: mcp | mcp");
}

#[test]
fn prompts_and_completion() {
    let policy = policy(Default::Deny, Visibility::Grantable, RULES);
    let check = |held: &str, operation: &Operation, expect: &str| assert_eq!(outcome(&policy, held, operation), expect);
    let complete = |text: &str| Operation::CompleteResource(text.to_owned());
    check("mcp github:read", &Operation::GetPrompt("review".to_owned()), "permit rules[8]: mcp github:read");
    check("mcp github:read", &Operation::CompletePrompt("review".to_owned()), "permit rules[8]: mcp github:read");
    check("mcp", &Operation::CompletePrompt("review".to_owned()), "lack rules[8]: mcp github:read | mcp github:read");
    check("mcp", &complete("repo://public/{name}"), "permit rules[9]: mcp");
    check("mcp", &complete("repo://secret/{name}"), "never rules[10]");
    check("mcp github:read", &complete("repo://{owner}/{name}"), "permit rules[11]: mcp github:read");
    check("mcp github:read", &complete("file://{path}"), "never default");
}

#[test]
fn resources() {
    let policy = policy(Default::Deny, Visibility::Grantable, RULES);
    let check = |uri: &str, expect: &str| assert_eq!(outcome(&policy, "mcp", &resource(uri)), expect, "{uri}");
    check("repo://public/a", "permit rules[9]: mcp");
    check("repo://secret/a", "never rules[10]");
    check("repo://acme/a", "lack rules[11]: mcp github:read | mcp github:read");
    check("file:///a", "never default");
    check("repo://public/../secret/a", "never built_in");
    check("repo://public/%2e%2e/secret/a", "never built_in");
    check("repo://me@public/a", "never built_in");
    check("public", "never built_in");
}

#[test]
fn a_route_without_patterns_but_the_bare_one_takes_any_uri() {
    let policy = policy(Default::Deny, Visibility::Grantable, &["tools get_* : x", "resources ** : allow"]);
    let check = |uri: &str, expect: &str| assert_eq!(outcome(&policy, "mcp", &resource(uri)), expect, "{uri}");
    check("repo://a/../b", "permit rules[1]: mcp");
    check("no uri at all", "permit rules[1]: mcp");
    check("", "permit rules[1]: mcp");
}

#[test]
fn listening_needs_every_uri() {
    let policy = policy(Default::Deny, Visibility::Grantable, RULES);
    let check = |held: &str, uris: &[&str], expect: &str| assert_eq!(outcome(&policy, held, &listen(uris)), expect);
    check("mcp", &[], "permit required_scopes: mcp");
    check("", &[], "lack required_scopes: mcp | mcp");
    check("mcp", &["repo://public/a", "repo://public/b"], "permit rules[9]: mcp");
    check("mcp github:read", &["repo://public/a", "repo://b"], "permit rules[9]: mcp github:read");
    check("mcp", &["repo://public/a", "repo://b"], "lack rules[11]: mcp github:read | mcp github:read");
    check("mcp", &["repo://b", "repo://secret/a"], "never rules[10]");
    check("mcp", &["repo://public/a", "repo://public/./a"], "never built_in");
}

#[test]
fn methods_and_what_needs_required_scopes_alone() {
    let policy = policy(Default::Deny, Visibility::Grantable, RULES);
    let check = |held: &str, operation: &Operation, expect: &str| assert_eq!(outcome(&policy, held, operation), expect);
    check("mcp github:admin", &other("acme/reindex", false), "permit rules[12]: mcp github:admin");
    check("mcp", &other("acme/reindex", false), "lack rules[12]: mcp github:admin | mcp github:admin");
    check("mcp", &other("acme/wipe", false), "never rules[13]");
    check("mcp", &other("acme/unknown", false), "undefined built_in");
    check("", &other("acme/unknown", false), "undefined built_in");
    check("mcp", &other("tasks/list", true), "never built_in");
    check("mcp", &other("acme/Reindex", true), "never built_in");
    // A method's name is no tool's.
    check("mcp", &other("ping", true), "never built_in");
    check("mcp", &tool("acme/reindex"), "never default");
    for operation in [Operation::Core("tools/list"), Operation::Response, Operation::OpenStream, Operation::EndSession]
    {
        check("mcp", &operation, "permit required_scopes: mcp");
        check("github:read", &operation, "lack required_scopes: mcp | mcp github:read");
    }
}

#[test]
fn no_rules_permit_nothing() {
    let policy = policy(Default::Deny, Visibility::Granted, &[]);
    assert_eq!(outcome(&policy, "mcp", &tool("a")), "never default");
    assert_eq!(outcome(&policy, "mcp", &resource("a:b")), "never default");
    assert!(!policy.shows(&set("mcp"), Entry::Tool("a")));
}

#[test]
fn lists_show() {
    let check = |held: &str, entry: Entry<'_>, grantable: bool, granted: bool| {
        for (visibility, expect) in
            [(Visibility::Grantable, grantable), (Visibility::Granted, granted), (Visibility::All, true)]
        {
            let policy = policy(Default::Deny, visibility, RULES);
            assert_eq!(policy.shows(&set(held), entry), expect, "{entry:?} {visibility:?}");
            assert_eq!(policy.filters_lists(), visibility != Visibility::All);
        }
    };
    check("mcp github:read", Entry::Tool("get_issue"), true, true);
    check("mcp", Entry::Tool("get_issue"), true, false);
    check("github:read", Entry::Tool("get_issue"), true, false);
    check("mcp github:read", Entry::Tool("delete_repository"), false, false);
    check("mcp github:read", Entry::Tool("unknown"), false, false);
    check("mcp github:read", Entry::Tool("get_a b"), false, false);
    check("mcp github:admin", Entry::Tool("merge"), true, true);
    check("mcp", Entry::Prompt("review"), true, false);
    check("mcp", Entry::Resource("repo://public/a"), true, true);
    check("mcp", Entry::Resource("repo://secret/a"), false, false);
    check("mcp", Entry::Resource("repo://public/../secret/a"), false, false);
    check("mcp", Entry::ResourceTemplate("repo://public/{name}"), true, true);
    check("mcp github:read", Entry::ResourceTemplate("repo://{owner}/{name}"), true, true);
    check("mcp", Entry::ResourceTemplate("file:///{path}"), false, false);
}

#[test]
fn scopes_named_are_those_of_the_file_in_its_order() {
    let named = policy(Default::Deny, Visibility::All, RULES).scopes_named().to_string();
    assert_eq!(named, "mcp github:read github:write github:merge github:admin x:two x:one");
}

#[test]
fn a_route_that_hides_names_no_tool_in_its_scopes() {
    let rules = ["tools launch : tool:{tool}", "tools look : x:look"];
    let policy = policy_that(Mode::Enforce, true, Default::Deny, Visibility::Granted, &rules);
    assert_eq!(policy.scopes_named().to_string(), "mcp x:look");
}

proptest! {
    /// What a list shows as granted is what a call gets, and what it shows as grantable is what some scope opens.
    #[test]
    fn lists_and_decisions_agree(
        rules in prop::collection::vec(
            ("(tools|resources) [ab*]{1,3}", prop::sample::select(vec!["a", "b c", "any b c", "deny", "allow", "x:{tool}"])),
            0..5,
        ),
        held in prop::sample::subsequence(vec!["mcp", "a", "b", "c", "x:a", "x:ab"], 0..6),
        name in "[ab]{1,3}| |a:b",
        allow in any::<bool>(),
    ) {
        let rules: Vec<String> = rules
            .into_iter()
            .filter(|(target, effect)| !target.contains("**") && (target.starts_with('t') || !effect.contains('{')))
            .map(|(target, effect)| format!("{target} : {effect}"))
            .collect();
        let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
        let default = if allow { Default::Allow } else { Default::Deny };
        let held = set(&held.join(" "));
        for (operation, entry) in [(tool(&name), Entry::Tool(&name)), (resource(&name), Entry::Resource(&name))] {
            let granted = policy(default, Visibility::Granted, &rules);
            let grantable = policy(default, Visibility::Grantable, &rules);
            let decision = granted.decide(&held, &operation);
            prop_assert_eq!(granted.shows(&held, entry), decision.is_ok());
            prop_assert_eq!(
                grantable.shows(&held, entry),
                !matches!(decision, Err(Denial::NotPermitted { .. }))
            );
            if let Err(Denial::InsufficientScope { needed, challenge, .. }) = decision {
                // The challenge leads out of the refusal, repeats itself, and takes nothing away.
                prop_assert!(granted.decide(&needed, &operation).is_ok());
                prop_assert!(needed.is_subset(&challenge));
                prop_assert!(granted.decide(&challenge, &operation).is_ok());
                for other in ["a", "b", "ab", "ba"] {
                    let before = granted.decide(&held, &tool(other)).is_ok();
                    prop_assert!(!before || granted.decide(&challenge, &tool(other)).is_ok(), "loses {}", other);
                }
            }
        }
    }
}

#[test]
fn a_route_that_reports_passes_on_what_its_rules_refuse() {
    let rules = [
        "tools get_* : github:read",
        "tools wipe_* : deny enforced",
        "tools pay : x:pay enforced",
        "resources repo://a/secret : deny enforced",
        "methods acme/wipe : deny enforced",
        "methods acme/reindex : x:index",
    ];
    let policy = policy_that(Mode::Report, false, Default::Deny, Visibility::Granted, &rules);
    let check = |held: &str, operation: Operation, expect: &str| {
        assert_eq!(outcome(&policy, held, &operation), expect, "{operation:?}");
    };
    check("mcp github:read", tool("get_x"), "permit rules[0]: mcp github:read");
    check("mcp", tool("get_x"), "report: lack rules[0]: mcp github:read | mcp github:read");
    check("", Operation::Core("tools/list"), "report: lack required_scopes: mcp | mcp");
    check("mcp", tool("other"), "report: never default");
    check("mcp", Operation::GetPrompt("p\u{e9}".to_owned()), "report: never built_in");
    check("mcp", other("acme/other", true), "report: never built_in");
    check("mcp", other("acme/reindex", true), "report: lack rules[5]: mcp x:index | mcp x:index");
    // An enforced rule is enforced, with all that an operation it decides needs.
    check("mcp", tool("wipe_x"), "never rules[1]");
    check("mcp", tool("pay"), "lack rules[2]: mcp x:pay | mcp x:pay");
    check("x:pay", tool("pay"), "lack required_scopes: mcp x:pay | mcp x:pay");
    check("mcp x:pay", tool("pay"), "permit rules[2]: mcp x:pay");
    check("mcp", other("acme/wipe", true), "never rules[4]");
    check("mcp", resource("repo://a/secret"), "never rules[3]");
    check("mcp", resource("repo://a/open"), "report: never default");
    check("mcp", listen(&["repo://a/open", "repo://a/secret"]), "never default");
    // Spellings that could get round one.
    check("mcp", tool("wipe_\u{451}"), "never built_in");
    check("mcp", resource("repo://a/%73ecret"), "never built_in");
    check("mcp", resource("repo://a/x/../secret"), "never built_in");
    check("mcp", complete("REPO://a/secret"), "never default");
    check("mcp", complete("repo://a/{b}/../secret"), "never default");
    check("mcp", complete("repo://a/{b}"), "report: never default");
    check("mcp", other("acme/Wipe", true), "never built_in");
    check("mcp", other("acme/wipe\0", true), "never built_in");
    // So could a call that this revision, or we, do not take for one: a server may.
    check("mcp", other("resources/subscribe", false), "undefined built_in");
    for method in ["Tools/Call", "tools/call\0x", " tools/call", "tools/\u{200b}call", "prompt\u{17f}/get"] {
        check("mcp", other(method, true), "never built_in");
    }
    // It names tasks alone.
    check("mcp", other("subscriptions/listen", true), "report: never built_in");
    assert!(!policy.filters_lists());
    let lax = policy_that(Mode::Report, false, Default::Deny, Visibility::Granted, &["tools wipe_* : deny"]);
    assert_eq!(outcome(&lax, "mcp", &other("Tools/Call", true)), "report: never built_in");
}

#[test]
fn a_route_that_hides_denies_named_things_as_unknown() {
    let rules =
        ["tools get_* : github:read", "tools wipe : deny", "prompts p : x:p", "resources repo://** : github:read"];
    let policy = policy_that(Mode::Enforce, true, Default::Deny, Visibility::Granted, &rules);
    let check = |held: &str, operation: Operation, expect: &str| {
        assert_eq!(outcome(&policy, held, &operation), expect, "{operation:?}");
    };
    check("mcp github:read", tool("get_x"), "permit rules[0]: mcp github:read");
    check("mcp", tool("get_x"), "unknown Tool: lack rules[0]: mcp github:read | mcp github:read");
    // Nobody sees what to ask for, and finding it out would take time that a name without a rule does not.
    check("mcp x:p", tool("get_x"), "unknown Tool: lack rules[0]: mcp github:read | mcp github:read");
    check("mcp", tool("wipe"), "unknown Tool: never rules[1]");
    check("mcp", tool("no_such"), "unknown Tool: never default");
    check("mcp", Operation::GetPrompt("p".to_owned()), "unknown Prompt: lack rules[2]: mcp x:p | mcp x:p");
    check("mcp", Operation::CompletePrompt("q".to_owned()), "unknown Prompt: never default");
    check("mcp", resource("repo://a"), "unknown Resource: lack rules[3]: mcp github:read | mcp github:read");
    check("mcp", resource("repo://a/../b"), "unknown Resource: never built_in");
    check("mcp", listen(&["file:///x"]), "unknown Resource: never default");
    // No list shows methods, and the whole route is no secret.
    check("mcp", other("acme/x", true), "never built_in");
    check("", Operation::Core("tools/list"), "lack required_scopes: mcp | mcp");
    check("", listen(&[]), "lack required_scopes: mcp | mcp");
}

#[test]
fn what_is_not_quite_enforced_or_hidden_is_said() {
    let check = |mode, hides, rules: &[&str], expect: &[&str]| {
        let warnings = policy_that(mode, hides, Default::Deny, Visibility::Granted, rules).warnings();
        assert_eq!(warnings.len(), expect.len(), "{warnings:?}");
        assert!(warnings.iter().zip(expect).all(|(warning, begins)| warning.starts_with(begins)), "{warnings:?}");
    };
    let report = "mode: report: nothing is refused for want of a scope or of a rule";
    check(Mode::Enforce, false, &["tools wipe : deny", "tools * : allow"], &[]);
    check(Mode::Report, false, &["tools wipe : deny"], &[report]);
    check(Mode::Report, false, &["tools wipe : deny enforced"], &[&format!("{report}, but by its enforced rules")]);
    check(Mode::Enforce, true, &["tools wipe : deny", "tools get_* : github:read"], &[]);
    check(Mode::Enforce, true, &["tools get_* : github:read", "tools * : deny"], &[]);
    check(Mode::Enforce, true, &["tools x_*_secret : deny", "tools get_* : github:read"], &[]);
    check(Mode::Enforce, true, &["tools get_x : allow", "tools get_* : github:read"], &[]);
    let hide =
        "denial: hide: what * permits and the server lacks gets the server's own answer, by which wipe can be told";
    check(Mode::Enforce, true, &["tools wipe : deny", "tools * : allow"], &[hide]);
    // Neither lies within the other, but some names are of both.
    let hide =
        "denial: hide: what get_* permits and the server lacks gets the server's own answer, by which *_secret can";
    check(Mode::Enforce, true, &["tools *_secret : deny", "tools get_* : github:read"], &[hide]);
}

//! What routes share, and what they have for themselves: policies, origins of their own, words for people, merged claims.

use super::*;
use crate::rejection::Rejection;

/// The rules of a route with these policies: name, line and what a caller without scopes is told of this tool.
fn decided(top: &str, route: &str, tool: &str) -> (String, Option<usize>, String) {
    let policy = accepted(top, route).routes.remove(0).policy;
    match policy.decide(
        &"nothing".split(' ').map(|scope| Scope::parse(scope).expect("a scope")).collect(),
        &Operation::CallTool(tool.to_owned()),
    ) {
        Ok(permit) => (permit.rule().to_string(), permit.rule().line(), "permitted".to_owned()),
        Err(denial) => {
            let (rule, line) = (denial.rule().to_string(), denial.rule().line());
            (rule, line, Rejection::from(denial).message().into_owned())
        }
    }
}

const POLICIES: &str = "policies:
  readers:
    - tools: [get_*]
      scopes: [\"{route}:read\"]
    - tools: [list_*]
      allow: true
  never:
    - tools: [\"*\"]
      deny: true
      message: Nobody does
";

#[test]
fn own_rules_come_first_then_those_of_the_policies_in_order() {
    let route = "rules:\n  - tools: [get_secret]\n    deny: true\npolicies: [readers, never]";
    let check = |tool: &str, rule: &str, line| {
        let (by, at, _) = decided(POLICIES, route, tool);
        assert_eq!((by.as_str(), at), (rule, Some(line)), "{tool}");
    };
    let first = file(POLICIES, "").lines().count() + 2;
    check("get_secret", "rules[0]", first);
    check("get_it", "policies.readers[0]", 3);
    check("list_it", "policies.readers[1]", 5);
    check("wipe", "policies.never[0]", 8);
    let settings = accepted(POLICIES, route);
    assert_eq!(settings.routes[0].scopes_supported.to_string(), "github:read", "by the name of each route");
    assert_eq!(settings.routes[0].limits.rules.len(), 4, "a rate for each rule");
    assert!(settings.warnings.is_empty(), "{:?}", settings.warnings);
}

#[test]
fn a_policy_that_nobody_takes_in_is_mentioned() {
    let warnings = accepted(POLICIES, "policies: [readers]").warnings;
    assert_eq!(warnings, ["line 7: policies.never: no route names it in its `policies`, so it decides nothing"]);
}

#[test]
fn two_policies_meet_where_a_route_takes_both_in() {
    let late = "policies: [never, readers]";
    let errors = read(&file(POLICIES, late)).expect_err(late);
    assert!(errors.contains("routes[0].policies[1]: \"get_*\" of this policy (line 3) is covered by"), "{errors}");
    assert!(errors.contains("\"*\" (line 8): on this route it can never decide"), "{errors}");
    assert_eq!(errors.lines().count(), 4, "{errors}");
    let many = (0..4096).map(|tool| format!("t{tool}")).collect::<Vec<_>>().join(", ");
    let top = format!("policies: {{many: [{{tools: [{many}], deny: true}}]}}");
    refused(&top, "policies: [many]\nrules: [{tools: [one_more], deny: true}]", "routes[0].policies[0]", "too many");
}

#[test]
fn a_fault_of_a_policy_is_reported_once() {
    let top = "policies: {one: [{tools: [a], scopes: []}]}";
    let route = "policies: [one]\n  - {name: b, path: /b, upstream: http://127.0.0.1:1/, policies: [one]}";
    let text = file(top, "policies: [one]") + route.split_once('\n').expect("lines").1 + "\n";
    let errors = read(&text).expect_err(&text);
    assert!(errors.contains("policies.one[0].scopes: the list is empty"), "{errors}");
    assert_eq!(errors.lines().count(), 2, "{errors}");
}

#[test]
fn a_refusal_says_first_what_its_rule_has_people_told() {
    let check = |message: &str, rule: &str, expect: &str| {
        let rules = format!("rules: [{{tools: [a], {rule}, message: \"{message}\"}}]");
        let (_, _, told) = decided("", &rules, "a");
        assert!(told.starts_with(expect), "{told}");
        let (_, _, other) = decided("", &rules, "b");
        assert!(other.starts_with("This is not permitted here"), "{other}");
    };
    check("Ask platform", "deny: true", "Ask platform. This is not permitted here");
    check("Frag das Büro!", "scopes: [x]", "Frag das Büro! The access token lacks a scope");
}

#[test]
fn messages_are_short_and_can_be_seen() {
    let check = |message: &str, fits: bool| {
        let route = format!("rules: [{{tools: [a], deny: true, message: \"{message}\"}}]");
        if fits {
            accepted("", &route);
        } else {
            refused("", &route, "routes[0].rules[0].message", "not accepted");
        }
    };
    check(&"ä".repeat(500), true);
    check(&"a".repeat(501), false);
    check("", false);
    check(" a", false);
    check("a ", false);
    check("a\\tb", false);
    check("a\\nb", false);
    check("a\\u200bb", false);
    check("a\\u202eb", false);
    check("a\\eb", false);
    refused("", "rules: [{tools: [a], allow: true, message: b}]", "routes[0].rules[0].message", "refuses nobody");
}

#[test]
fn a_route_has_an_origin_of_its_own() {
    let top = "public_url: https://mcp.example.com\nhosts: [mcp.internal]";
    let route = accepted(top, "public_url: https://github.example.com:8443").routes.remove(0);
    assert_eq!(route.public_url.as_str(), "https://github.example.com:8443");
    assert_eq!(route.resource.as_str(), "https://github.example.com:8443/github/mcp");
    let own = "public_url: https://github.example.com\nresource: https://github.example.com/github";
    assert_eq!(accepted(top, own).routes[0].resource.as_str(), "https://github.example.com/github");
    assert_eq!(accepted(top, "").routes[0].public_url.as_str(), "https://mcp.example.com");
    accepted(&format!("{top}\nthreads: 2"), "public_url: https://mcp.example.com");
    let refused = |url: &str, found: &str| {
        refused(top, &format!("public_url: {url}"), "routes[0].public_url", found);
    };
    refused("http://localhost", "another scheme");
    refused("https://mcp.internal", "is one of `hosts`");
    refused("https://github.example.com/", "not accepted");
    refused("https://github.example.com:443", "not accepted");
    refused("\"*\"", "not accepted");
    // The same host on another port is another origin.
    accepted(top, "public_url: https://mcp.internal:8443");
}

#[test]
fn scopes_of_several_claims() {
    let claims = |written: &str| {
        let server = format!(
            "authorization_servers: [{{issuer: https://a.example, scope_claims: {written}}}]\nroutes: [{{name: a, path: /a, \
             upstream: http://127.0.0.1:1/}}]\n"
        );
        let server = read(&server).expect(written).authorization_servers.remove(0);
        let names: Vec<String> = server.scope_claims.iter().map(|claim| claim.as_str().to_owned()).collect();
        (names.join(" "), server.scope_claims_merged)
    };
    assert_eq!(claims("[scope, /realm/roles]"), ("scope /realm/roles".to_owned(), false));
    assert_eq!(claims("{merge: [scope, /realm/roles]}"), ("scope /realm/roles".to_owned(), true));
}

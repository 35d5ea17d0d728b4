//! Whatever a server says: the file is one that loads, it opens nothing wider than it says, and nobody without a scope gets
//! anything.

use proptest::prelude::*;

use super::super::kind::Hints;
use super::*;
use crate::gateway::settings::Settings;
use crate::mcp::operation::Operation;
use crate::oauth::scope::ScopeSet;
use crate::policy::rule::{Default as Otherwise, Effect, Target};

fn plan() -> Plan {
    Plan { upstream: "http://127.0.0.1:3000/mcp".to_owned(), ..Plan::default() }
}

fn entry(name: &str) -> Entry {
    Entry { name: name.to_owned(), ..Entry::default() }
}

fn tool(name: &str, read_only: Option<bool>, destructive: Option<bool>) -> Entry {
    let hints = Hints { read_only_hint: read_only, destructive_hint: destructive, ..Hints::default() };
    Entry { hints, ..entry(name) }
}

fn inventory(tools: Vec<Entry>) -> Inventory {
    Inventory { server: Some("acme".to_owned()), revision: "2025-11-25".to_owned(), tools, ..Inventory::default() }
}

fn written(inventory: &Inventory) -> (Written, Settings) {
    let written = write(&plan(), inventory).unwrap();
    let settings = config::parse(&written.text, "file", Path::new("")).unwrap();
    (written, settings)
}

fn holding(scopes: &[&str]) -> ScopeSet {
    scopes.iter().map(|scope| crate::oauth::scope::Scope::parse(scope).unwrap()).collect()
}

fn may(settings: &Settings, scopes: &[&str], operation: &Operation) -> bool {
    settings.routes[0].policy.decide(&holding(scopes), operation).is_ok()
}

fn call(name: &str) -> Operation {
    Operation::CallTool(name.to_owned())
}

fn read_uri(uri: &str) -> Operation {
    Operation::UseResource { method: "resources/read", uri: uri.to_owned() }
}

/// The texts that rules hold, by kind.
fn named(settings: &Settings) -> Vec<(&'static str, &Pattern)> {
    let rules = settings.routes[0].policy.settings().rules.iter();
    let all = rules.flat_map(|rule| match &rule.target {
        Target::Tools(patterns) => patterns.iter().map(|pattern| ("tool", pattern)).collect::<Vec<_>>(),
        Target::Prompts(patterns) => patterns.iter().map(|pattern| ("prompt", pattern)).collect(),
        Target::Resources(patterns) => patterns.iter().map(|pattern| ("resource", pattern)).collect(),
        Target::Methods(_) => panic!("nothing proposes methods"),
    });
    all.collect()
}

#[test]
fn kinds_of_tools_do_not_open_one_another() {
    let (_, settings) = written(&inventory(vec![
        tool("list", Some(true), None),
        tool("add", Some(false), Some(false)),
        tool("get_x", None, None),
        tool("delete_x", Some(true), None),
    ]));
    for (name, scope) in
        [("list", "acme:read"), ("add", "acme:write"), ("get_x", "acme:destroy"), ("delete_x", "acme:destroy")]
    {
        for held in
            ["acme:read", "acme:read-open", "acme:write", "acme:destroy", "acme:prompts", "acme:resources", "acme"]
        {
            assert_eq!(may(&settings, &[held], &call(name)), held == scope, "{name} with {held}");
        }
        assert!(!may(&settings, &[], &call(name)), "{name}");
    }
    assert!(!may(&settings, &["acme:read", "acme:destroy"], &call("other")));
}

#[test]
fn the_strictest_of_one_name_counts() {
    let (written, settings) = written(&inventory(vec![tool("x", Some(true), None), tool("x", None, None)]));
    assert!(!may(&settings, &["acme:read"], &call("x")) && may(&settings, &["acme:destroy"], &call("x")));
    assert!(written.text.contains("listed more than once"), "{}", written.text);
}

#[test]
fn names_that_are_no_plain_names_are_left_out_or_quoted() {
    let injected = "x\"]\n        allow: true\n      - tools: [\"*\"]\n        allow: true";
    let names = [
        "*",
        "get_*",
        injected,
        "a\nb",
        "# x",
        "- x",
        "x: y",
        "null",
        "007",
        "{a}",
        "\"",
        "\\",
        "a\u{202e}b",
        "",
        "🦀",
    ];
    let mut tools: Vec<Entry> = names.iter().map(|name| tool(name, Some(true), None)).collect();
    for tool in &mut tools {
        tool.description = format!("{}\nrules: []", tool.name);
    }
    let (written, settings) = written(&inventory(tools));
    let found: Vec<&str> = named(&settings).iter().map(|(_, pattern)| pattern.as_str()).collect();
    assert_eq!(found, ["# x", "- x", "x: y", "null", "007", "{a}", "\"", "\\"]);
    assert_eq!(written.left_out.len(), 7, "{:?}", written.left_out);
    assert!(written.text.contains("#   tool \"get_*\": `*` in a rule is a pattern"), "{}", written.text);
}

#[test]
fn ten_thousand_tools_are_no_file_that_does_not_load() {
    let tools: Vec<Entry> = (0..10_000).map(|number| tool(&format!("{number:0>128}"), None, None)).collect();
    let (written, settings) = written(&inventory(tools));
    assert_eq!(named(&settings).len(), TOOLS_MAX);
    assert_eq!(written.left_out.len(), 10_000 - TOOLS_MAX);
    assert!(written.text.contains("… and 7900 more"), "the list of what is left out ends, too");
}

#[test]
fn a_file_that_would_be_too_long_has_no_descriptions() {
    let long = |number: usize| Entry {
        description: "語".repeat(80),
        hints: Hints { idempotent_hint: Some(true), open_world_hint: Some(true), ..Hints::default() },
        ..entry(&format!("{}{number:0>4}", "\"".repeat(124)))
    };
    let (written, settings) = written(&inventory((0..TOOLS_MAX).map(long).collect()));
    assert_eq!(named(&settings).len(), TOOLS_MAX);
    assert!(!written.text.contains('語'));
}

#[test]
fn few_resources_are_named_exactly_and_many_by_their_templates() {
    let of = |count: usize| Inventory {
        resources: (0..count).map(|number| entry(&format!("note://{number}"))).collect(),
        templates: vec![entry("note://{id}"), entry("note://{name}"), entry("note://{+path}"), entry("file:///{path}")],
        ..inventory(vec![])
    };
    let (few, settings) = written(&of(3));
    let found: Vec<&str> = named(&settings).iter().map(|(_, pattern)| pattern.as_str()).collect();
    assert_eq!(found, ["note://0", "note://1", "note://2", "note://*"]);
    assert_eq!(few.left_out.len(), 2, "{:?}", few.left_out);
    let scopes = ["acme:resources"];
    assert!(may(&settings, &scopes, &read_uri("note://77")) && !may(&settings, &scopes, &read_uri("note://7/7")));
    assert!(!may(&settings, &["acme:read"], &read_uri("note://0")) && !may(&settings, &[], &read_uri("note://0")));
    let (_, settings) = written(&of(5000));
    assert_eq!(named(&settings).len(), 1);
}

#[test]
fn a_template_is_a_pattern_where_that_is_no_wider() {
    let check =
        |template: &str, expect: Option<&str>| assert_eq!(pattern_of(template).ok().as_deref(), expect, "{template}");
    check("note://{id}", Some("note://*"));
    check("repo://acme/{repo}/issues/{number}", Some("repo://acme/*/issues/*"));
    check("https://api.example/{id}", Some("https://api.example/*"));
    check("file:///logs/{name}", Some("file:///logs/*"));
    for wide in [
        "file:///{path}",
        "file://{host}/x",
        "https://{host}/x",
        "{scheme}://x",
        "{+all}",
        "note:{id}",
        "note://{id}.md",
        "note://{+path}",
        "note://{id*}",
        "note://{a,b}",
        "note://{id}/..",
        "note://*/{id}",
        "note://**",
        "NOTE://{id}",
        "note://x",
        "note://{}",
        "note://{a}{b}",
        "note://x?{q}",
        "note://%2e/{id}",
        "",
    ] {
        check(wide, None);
    }
}

#[test]
fn what_was_asked_for_stands_in_the_file() {
    let plan = Plan {
        upstream: "https://mcp.internal:8443/a?key=x".to_owned(),
        name: Some("files".to_owned()),
        issuer: Some("https://as.example/".to_owned()),
        public_url: Some("https://mcp.example.com".to_owned()),
    };
    let text = write(&plan, &inventory(vec![])).unwrap().text;
    assert_eq!(text.matches("key=x").count(), 1, "{text}");
    let settings = config::parse(&text, "file", Path::new("")).unwrap();
    assert_eq!(settings.routes[0].resource.as_str(), "https://mcp.example.com/files/mcp");
    assert_eq!(settings.authorization_servers[0].issuer.as_str(), "https://as.example/");
    for name in ["..", "a b", "x:y", ".well-known"] {
        let refused = write(&Plan { name: Some(name.to_owned()), ..plan.clone() }, &inventory(vec![]));
        assert!(refused.is_err(), "{name}");
    }
    let on = |upstream: &str, public_url: Option<&str>| {
        let plan = Plan { upstream: upstream.to_owned(), public_url: public_url.map(str::to_owned), ..Plan::default() };
        let text = write(&plan, &inventory(vec![])).unwrap().text;
        config::parse(&text, "file", Path::new("")).unwrap().listen.to_string()
    };
    assert_eq!(on("http://localhost:8080/mcp", None), "127.0.0.1:8090", "not where the server listens");
    assert_eq!(on("http://localhost:3000/mcp", Some("http://127.0.0.1:9000")), "127.0.0.1:9000");
}

#[test]
fn a_server_may_call_itself_anything() {
    let check = |server: &str, expect: &str| assert_eq!(route_name(server), expect, "{server:?}");
    check("mcp-servers/everything", "everything");
    check("@acme/Git Hub", "git-hub");
    check("..", "mcp");
    check("", "mcp");
    check(".well-known", "well-known");
    check("名前", "mcp");
    check("a\nb: c", "a-b-c");
    check(&"x".repeat(500), &"x".repeat(40));
}

/// Names as a hostile server makes them: YAML, patterns, what cannot be seen, and ordinary ones.
fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[a-z_]{1,12}",
        "(get|list|delete|drop|set)[_-]?[A-Za-z]{0,8}",
        "[\\[\\]{}:,#&*!|>'\"%@`\\\\ \n\t\r-]{1,20}",
        Just("x\"]\n        allow: true\n      - tools: [\"*\"]".to_owned()),
        Just("~".to_owned()),
        "[a-z]{1,8}://([a-z{}*?#%./:@-]|\\{[a-z]{1,3}\\}){0,20}",
    ]
}

fn any_hint() -> impl Strategy<Value = Option<bool>> {
    prop_oneof![Just(None), Just(Some(true)), Just(Some(false))]
}

fn any_entry() -> impl Strategy<Value = Entry> {
    (any_name(), any::<String>(), any_hint(), any_hint(), any_hint(), any_hint()).prop_map(
        |(name, description, read_only_hint, destructive_hint, idempotent_hint, open_world_hint)| Entry {
            name,
            description,
            hints: Hints { read_only_hint, destructive_hint, idempotent_hint, open_world_hint },
        },
    )
}

fn any_entries() -> impl Strategy<Value = Vec<Entry>> {
    proptest::collection::vec(any_entry(), 0..12)
}

fn any_inventory() -> impl Strategy<Value = Inventory> {
    let texts = (proptest::option::of(any_name()), proptest::option::of(any_name()), any_name());
    let missing = proptest::collection::vec(any::<String>(), 0..3);
    (texts, any_entries(), any_entries(), any_entries(), any_entries(), missing).prop_map(
        |((server, version, revision), tools, prompts, resources, templates, missing)| Inventory {
            server,
            version,
            revision,
            has_session: false,
            tools,
            prompts,
            resources,
            templates,
            missing,
        },
    )
}

proptest! {
    #[test]
    fn whatever_a_server_says_the_file_loads_and_is_no_wider(inventory in any_inventory()) {
        let (_, settings) = written(&inventory);
        let [route] = settings.routes.as_slice() else { panic!("one route") };
        let policy = route.policy.settings();
        prop_assert_eq!(policy.default, Otherwise::Deny);
        prop_assert_eq!(settings.authorization_servers.len(), 1);
        prop_assert_eq!(route.upstream.authority.as_str(), "127.0.0.1:3000");
        for rule in &policy.rules {
            let Effect::AllOf(scopes) = &rule.effect else { panic!("a rule without scopes: {rule:?}") };
            prop_assert_eq!(scopes.len(), 1);
        }
        let templates: Vec<String> = inventory.templates.iter().filter_map(|entry| pattern_of(&entry.name).ok()).collect();
        for (kind, pattern) in named(&settings) {
            let entries = match kind {
                "tool" => &inventory.tools,
                "prompt" => &inventory.prompts,
                _ => &inventory.resources,
            };
            let is_exact = pattern.is_exact() && entries.iter().any(|entry| entry.name == pattern.as_str());
            prop_assert!(is_exact || kind == "resource" && templates.contains(&pattern.as_str().to_owned()), "{pattern:?}");
        }
        let scope = |kind: &str| format!("{}:{kind}", route.name);
        let reading = ["read", "read-open", "prompts", "resources"].map(scope);
        let reading: Vec<&str> = reading.iter().map(String::as_str).collect();
        for entry in &inventory.tools {
            prop_assert!(!may(&settings, &[], &call(&entry.name)), "without a scope: {entry:?}");
            let strictest = inventory.tools.iter().filter(|other| other.name == entry.name);
            let strictest = strictest.map(|other| Kind::of(&other.name, other.hints).0).max();
            if strictest > Some(Kind::ReadOpen) {
                prop_assert!(!may(&settings, &reading, &call(&entry.name)), "with a reading scope: {entry:?}");
            }
            if entry.hints.read_only_hint != Some(true) && entry.hints.destructive_hint != Some(false) {
                let write = scope("write");
                let all: Vec<&str> = reading.iter().copied().chain([write.as_str()]).collect();
                prop_assert!(!may(&settings, &all, &call(&entry.name)), "without `destroy`: {entry:?}");
            }
        }
        for entry in inventory.resources.iter().chain(&inventory.templates) {
            prop_assert!(!may(&settings, &[], &read_uri(&entry.name)), "without a scope: {entry:?}");
        }
        for entry in &inventory.prompts {
            prop_assert!(!may(&settings, &[], &Operation::GetPrompt(entry.name.clone())), "without a scope: {entry:?}");
        }
    }
}

//! What the files of this folder do together: the reference against the types, the defaults, and input of every kind.

pub(super) mod schema;
mod shared;

use proptest::prelude::*;

use super::*;
use crate::gateway::settings::{AuditTo, OnStall, RouteSettings, Transport};
use crate::mcp::operation::Operation;
use crate::token::KeySource;

const FULL: &str = include_str!("../../config/full.yaml");
/// An example of RFC 7517 §A.1.
const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
    "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","use":"sig","kid":"1"}]}"#;
const RAW: &str = include_str!("raw.rs");

/// The smallest file, with `top` before it and `route` at the end of its route.
fn file(top: &str, route: &str) -> String {
    format!(
        "{top}\nauthorization_servers:\n  - issuer: https://auth.example.com\nroutes:\n  - name: github\n    path: \
         /github/mcp\n    upstream: http://127.0.0.1:3000/mcp\n{}",
        route.lines().flat_map(|line| ["    ", line, "\n"]).collect::<String>()
    )
}

fn read(text: &str) -> Result<Settings, String> {
    parse(text, "test.yaml", Path::new(env!("CARGO_MANIFEST_DIR"))).map_err(|errors| errors.to_string())
}

fn accepted(top: &str, route: &str) -> Settings {
    let text = file(top, route);
    read(&text).unwrap_or_else(|errors| panic!("{text}{errors}"))
}

fn accepted_route(route: &str) -> RouteSettings {
    accepted("", route).routes.remove(0)
}

/// One error, which names `path` and `found`.
fn refused(top: &str, route: &str, path: &str, found: &str) {
    let text = file(top, route);
    let errors = read(&text).err().unwrap_or_else(|| panic!("accepted:\n{text}"));
    assert_eq!(errors.lines().count(), 2, "{text}{errors}");
    assert!(errors.contains(&format!(": {path}: ")) && errors.contains(found), "{text}{errors}");
}

/// The keys of the types, by the source that the reference is made of.
fn keys_of_the_types() -> Vec<&'static str> {
    let fields = RAW.lines().filter_map(|line| line.trim().strip_prefix("pub(super) ")?.split_once(": "));
    fields
        .map(|(key, _)| key)
        .filter(|key| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'2'))
        .collect()
}

#[test]
fn the_full_example_has_every_key() {
    let keys = keys_of_the_types();
    assert!(keys.len() > 60, "{keys:?}");
    for key in keys {
        let written = FULL.lines().any(|line| {
            let line = line.trim_start_matches([' ', '#', '-']);
            line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':'))
        });
        assert!(written, "config/full.yaml lacks {key}");
    }
}

#[test]
fn a_line_that_only_yaml_sees_is_refused() {
    let errors = read("a: 1 # one line\rb: 2\r\nc: 3\n").unwrap_err();
    assert!(errors.starts_with("test.yaml:1:16: the character U+000D"), "{errors}");
    assert!(read(&file("", "").replace('\n', "\r\n")).is_ok());
}

#[test]
fn what_ends_too_early_is_reported_where_it_ends() {
    let check = |text: &str, place: &str| {
        let errors = read(text).unwrap_err();
        assert!(errors.starts_with(&format!("test.yaml:{place}: ")), "{text:?}: {errors}");
    };
    check("accepted:\n{text}", "2:7");
    check("accepted:\r\n{text}", "2:7");
    check("accepted:\n{text}\n", "3:1");
    check("\u{feff}{", "1:2");
}

#[test]
fn every_key_of_the_types_is_described() {
    let mut before = "";
    for line in RAW.lines().map(str::trim) {
        if line.starts_with("pub(super) ") && line.contains(": ") {
            assert!(before.starts_with("///"), "{line}");
        }
        if !line.starts_with("#[") {
            before = line;
        }
    }
}

#[test]
fn the_full_example_is_at_the_defaults() {
    let rules = FULL.split_once("    rules:").and_then(|(_, rest)| rest.split_once("\nsessions:")).expect("rules").0;
    let bare = format!(
        "authorization_servers:\n  - issuer: https://auth.example.com/realms/acme\nroutes:\n  - name: github\n    path: \
         /github/mcp\n    upstream: http://127.0.0.1:3000/mcp\n    rules:{rules}\n"
    );
    let (full, bare) = (read(FULL).expect("full"), read(&bare).expect("bare"));
    // A rule stands in another line here.
    let shown = |settings: &Settings| {
        let text = format!("{settings:#?}");
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("line: "));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(shown(&full), shown(&bare));
    assert_eq!(full.limits, crate::gateway::settings::Limits::default());
    assert_eq!(full.timeouts, crate::gateway::settings::Timeouts::default());
    assert_eq!(full.drain, crate::gateway::settings::Drain::default());
}

#[test]
fn the_documented_defaults_are_those_of_the_types() {
    // "Default: `32768`." in the reference, the same number in the example.
    let mut default = None;
    let mut compared = 0;
    for line in RAW.lines().map(str::trim) {
        if let Some((_, rest)) = line.split_once("Default: `") {
            default = rest.split_once('`').map(|(value, _)| value);
        }
        let field = line.strip_prefix("pub(super) ").and_then(|rest| rest.split_once(": Option<u64>"));
        if let (Some((key, _)), Some(default)) = (field, default)
            && default.bytes().all(|b| b.is_ascii_digit())
        {
            let written =
                FULL.lines().any(|line| line.trim_start_matches([' ', '#']).starts_with(&format!("{key}: {default} ")));
            assert!(written, "{key}: {default}");
            compared += 1;
        }
        if line.is_empty() || field.is_some() {
            default = None;
        }
    }
    assert_eq!(compared, 30);
}

#[test]
fn the_public_url_of_a_loopback_listener() {
    let check = |top: &str, expect: &str| assert_eq!(accepted(top, "").public_url.as_str(), expect, "{top}");
    check("", "http://127.0.0.1:8080");
    check("listen: 127.0.0.2:9000", "http://127.0.0.2:9000");
    check("listen: 127.0.0.1:80", "http://127.0.0.1");
    check("listen: \"[::1]:8080\"", "http://[::1]:8080");
    check("listen: \"[::1]:80\"", "http://[::1]");
    check("tls: {certificate: Cargo.toml, private_key: Cargo.toml}", "https://127.0.0.1:8080");
    check("public_url: https://mcp.example.com", "https://mcp.example.com");
    check("listen: 127.0.0.1:0\npublic_url: http://127.0.0.1", "http://127.0.0.1");
    check("listen: 0.0.0.0:1\ntls: external\npublic_url: https://mcp.example.com", "https://mcp.example.com");
    refused("listen: 127.0.0.1:0", "", "public_url", "missing");
    refused("tls: external", "", "public_url", "missing");
    refused("listen: 10.0.0.1:1\npublic_url: https://a.example", "", "listen", "no `tls`");
    refused("listen: \"[::]:1\"\npublic_url: https://a.example", "", "listen", "no `tls`");
    refused("public_url: http://127.0.0.1:8080\ntls: external", "", "public_url", "plain http, but `tls`");
    refused("public_url: https://a.example/", "", "public_url", "not accepted");
    refused("public_url: https://a.example#x", "", "public_url", "not accepted");
    refused("tls: internal", "", "tls", "\"internal\" is not the word `external` or a map");
    refused("tls: {certificate: src, private_key: Cargo.toml}", "", "tls.certificate", "is a folder");
    refused("tls: {certificate: Cargo.toml}", "", "tls", "\"private_key\" is missing");
}

#[test]
fn top_level_values() {
    let settings = accepted("hosts: [MCP.internal, \"mcp.internal:8443\", \"[::1]:80\"]\nthreads: 2", "");
    assert_eq!(settings.hosts, ["mcp.internal", "mcp.internal:8443", "[::1]:80"]);
    assert_eq!(settings.threads, Some(2));
    for host in ["https://a", "a/b", "u@a", "a:0", "\"a:\"", "\"*.a\"", "\"\"", "a b", "\"::1\"", "a:65536"] {
        refused(&format!("hosts: [{host}]"), "", "hosts[0]", "not accepted");
    }
    refused("threads: 0", "", "threads", "out of range");
    refused("threads: -1", "", "threads", "whole number");
    refused("threads: \"2\"", "", "threads", "\"2\" is not a whole number");
    let settings = accepted("trusted_proxies: [10.0.0.0/8, 10.1.2.3, \"fd00::/8\"]", "");
    let networks: Vec<String> = settings.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "10.1.2.3/32", "fd00::/8"]);
    refused("trusted_proxies: [10.1.2.3/8]", "", "trusted_proxies[0]", "prefix");
    refused("trusted_proxies: [ingress]", "", "trusted_proxies[0]", "network");
    refused("limits: {body_bytes_max: 100000000}", "", "limits.bodies_in_flight_bytes_max", "less than one body");
    refused("limits: {token_bytes_max: 50000}", "", "limits.token_bytes_max", "do not fit");
    refused("limits: {json_depth_max: 1000}", "", "limits.json_depth_max", "out of range");
    refused("timeouts: {head_secs: 0}", "", "timeouts.head_secs", "out of range");
    refused("timeouts: {head: 1}", "", "timeouts.head", "unknown key \"head\"");
    refused("scope_hierarchy: {\"a b\": [c]}", "", "scope_hierarchy.\"a b\"", "a scope");
    refused("scope_hierarchy: {a: [\"b c\"]}", "", "scope_hierarchy.a[0]", "a scope");
    refused("scope_hierarchy: {a: [a]}", "", "scope_hierarchy.a", "a → a");
}

#[test]
fn keys_of_later_versions_are_unknown() {
    refused("upstream: {}", "", "upstream", "unknown key");
    refused("", "rules: [{tools: [a], deny: true, when: x}]", "routes[0].rules[0].when", "unknown key");
}

#[test]
fn the_hierarchy_is_of_scopes_as_tokens_have_them() {
    let whole = "scope_hierarchy: {\"tool:{tool}:admin\": [\"tool:{tool}:execute\"]}";
    let errors = read(&file(whole, "")).expect_err(whole);
    assert!(
        errors.contains("scope_hierarchy.\"tool:{tool}:admin\": ") && errors.contains("in rules alone"),
        "{errors}"
    );
    refused("scope_hierarchy: {a: [\"x:{route}\"]}", "", "scope_hierarchy.a[0]", "in rules alone");
}

#[test]
fn numbers_and_words_of_yaml_are_no_texts() {
    for scope in ["1", "007", "-1", "+1", "1.5", "1e3", "0x1F", "0o17", "0b1", ".nan", "-.inf", "true", "True", "FALSE"]
    {
        let differ = ["007", "+1", "0x1F", "0o17", "0b1"].contains(&scope);
        let found = if differ { "readers of YAML differ" } else { "is not a text" };
        refused("", &format!("required_scopes: [{scope}]"), "routes[0].required_scopes[0]", found);
        let errors = read(&file(&format!("scope_hierarchy: {{{scope}: [a]}}"), "")).expect_err(scope);
        assert!(errors.contains("1:19: ") && errors.contains("needs quotes"), "{errors}");
    }
    for scope in ["\"1\"", "'true'", "no", "on", "y", "2024-01-01", "12:30", "1.2.3", "0xg", "1_000", "nan", "inf", "+"]
    {
        accepted("", &format!("required_scopes: [x, {scope}]"));
    }
    for (number, found) in [
        ("010", "readers of YAML differ"),
        ("0x10", "readers of YAML differ"),
        ("0o10", "readers of YAML differ"),
        ("+8", "readers of YAML differ"),
        ("8.0", "is not a whole number"),
        ("8e0", "is not a whole number"),
        ("1_0", "is not a whole number"),
    ] {
        refused(&format!("threads: {number}"), "", "threads", found);
    }
}

#[test]
fn what_cannot_be_seen_does_not_stand_in_a_file() {
    // To one reader the comment goes on, to another a rule begins that no one saw.
    let hidden = "rules:\n  - tools: [a]\n    deny: true # x\u{2028}      - tools: [\"*\"]\u{2028}        allow: true";
    let errors = read(&file("", hidden)).expect_err("a line separator");
    assert!(errors.starts_with("test.yaml:10:23: ") && errors.contains("U+2028"), "{errors}");
    for letter in ['\u{1b}', '\u{85}', '\u{ad}', '\u{200b}', '\u{200d}', '\u{202e}', '\u{2066}', '\u{2060}', '\u{feff}']
    {
        let errors = read(&file(&format!("threads: 2 #{letter}"), "")).err();
        assert!(errors.as_ref().is_some_and(|errors| errors.contains("1:13: ")), "{letter:?}: {errors:?}");
        let name = format!("rules: [{{tools: [\"delete{letter}_repository\"], deny: true}}]");
        assert!(read(&file("", &name)).is_err(), "{letter:?}");
    }
    accepted("# größer → 仕様\u{3000}⚠\u{fe0f}\r", "rules: [{tools: [\"\\u200b\", \"gét it\"], deny: true}]\r");
    assert!(read(&format!("\u{feff}{}", file("", ""))).is_ok(), "some editors begin every file so");
}

#[test]
fn authorization_servers() {
    let server = |keys: &str| {
        format!(
            "authorization_servers: [{{issuer: https://a.example, {keys}}}]\nroutes: [{{name: a, path: /a, upstream: \
             http://127.0.0.1:1/}}]\n"
        )
    };
    let check =
        |keys: &str| read(&server(keys)).unwrap_or_else(|errors| panic!("{errors}")).authorization_servers.remove(0);
    assert!(matches!(check("").keys, KeySource::Discovered));
    assert!(
        matches!(check("jwks_uri: \"https://a.example/jwks?v=1\"").keys, KeySource::Uri(uri) if uri.ends_with("?v=1"))
    );
    let key_file = std::env::temp_dir().join(format!("gatepost-config-{}.json", std::process::id()));
    std::fs::write(&key_file, KEYS).expect("written");
    let key_file = key_file.display();
    assert!(matches!(check(&format!("jwks_file: {key_file}")).keys, KeySource::File(_)));
    assert_eq!(check("algorithms: [ES256]").algorithms, [crate::token::Algorithm::ES256]);
    assert_eq!(check("").algorithms.len(), 9);
    assert_eq!(check("leeway_secs: 0").leeway_secs, 0);
    assert_eq!(check("").leeway_secs, 30);
    let refused = |keys: &str, key: &str, found: &str| {
        let errors = read(&server(keys)).expect_err(keys);
        assert!(errors.contains(&format!("authorization_servers[0].{key}: ")) && errors.contains(found), "{errors}");
    };
    refused("jwks_uri: https://a.example/, jwks_file: Cargo.toml", "jwks_file", "beside a jwks_uri");
    refused("jwks_uri: http://a.example/jwks", "jwks_uri", "not accepted");
    refused("jwks_uri: https://joe:hunter2@a.example/jwks", "jwks_uri", "https://…@a.example");
    refused("jwks_uri: /jwks", "jwks_uri", "not accepted");
    refused("jwks_file: Cargo.toml", "jwks_file", "is not a key set");
    refused(&format!("jwks_file: {key_file}, algorithms: [RS256]"), "jwks_file", "no algorithm that is allowed");
    refused("jwks_file: none", "jwks_file", "cannot be read");
    for algorithm in ["none", "HS256", "HS384", "HS512", "es256", "\"\"", "ES512"] {
        refused(&format!("algorithms: [{algorithm}]"), "algorithms[0]", "never accepted");
    }
    refused("algorithms: []", "algorithms", "no algorithm");
    refused("scope_claims: []", "scope_claims", "no claim");
    refused("leeway_secs: 61", "leeway_secs", "from 0 to 60");
    refused("keys: {cooldown_secs: 0}", "keys.cooldown_secs", "out of range");
    refused("keys: {stale_secs_max: 99999999}", "keys.stale_secs_max", "out of range");
    let twice = "authorization_servers: [{issuer: https://a.example}, {issuer: https://a.example}]\nroutes: [{name: a, \
                 path: /a, upstream: http://127.0.0.1:1/}]\n";
    assert!(read(twice).expect_err("twice").contains("given twice"));
    std::fs::remove_file(key_file.to_string()).expect("removed");
}

#[test]
fn routes() {
    let route = accepted_route("required_scopes: [mcp]");
    assert_eq!(route.challenge_scopes.to_string(), "mcp");
    assert_eq!(route.issuers.len(), 1);
    assert_eq!(route.resource.as_str(), "http://127.0.0.1:8080/github/mcp");
    assert_eq!(accepted_route("required_scopes: [mcp]\nchallenge_scopes: []").challenge_scopes.to_string(), "");
    assert_eq!(accepted_route("scopes_supported: [b, a]").scopes_supported.to_string(), "b a");
    let check = |resource: &str, expect: &str| {
        let route = accepted_route(&format!("resource: http://127.0.0.1:8080{resource}"));
        assert_eq!(route.resource.as_str(), format!("http://127.0.0.1:8080{expect}"));
    };
    check("", "");
    check("/github", "/github");
    check("/github/mcp", "/github/mcp");
    for resource in ["/", "/github/", "/git", "/github/mcp/x", "/GitHub", "#x", "?x", "0/github"] {
        let route = format!("resource: \"http://127.0.0.1:8080{resource}\"");
        refused("", &route, "routes[0].resource", "not a resource");
    }
    refused("", "resource: https://evil.example/github/mcp", "routes[0].resource", "not a resource");
    refused("", "authorization_servers: []", "routes[0].authorization_servers", "no issuer");
    refused("", "allowed_origins: [\"*\"]", "routes[0].allowed_origins[0]", "neither `*` nor `null`");
    refused("", "allowed_origins: [\"null\"]", "routes[0].allowed_origins[0]", "neither `*` nor `null`");
    refused("", "audiences: [\"\"]", "routes[0].audiences[0]", "an audience");
    refused("", "challenge_scopes: [\"a\\\"b\"]", "routes[0].challenge_scopes[0]", "a scope");
    refused("", "required_scopes: [\"x:{route}\"]", "routes[0].required_scopes[0]", "in rules alone");
    refused("", "default: maybe", "routes[0].default", "deny or allow");
    refused("", "visibility: 5", "routes[0].visibility", "5 is not one word");
}

#[test]
fn transports() {
    let sse = |path: &str| Transport::HttpSse { message_path: path.into() };
    assert_eq!(accepted_route("").transport, Transport::StreamableHttp);
    assert_eq!(accepted_route("transport: streamable_http").transport, Transport::StreamableHttp);
    assert_eq!(accepted_route("transport: http_sse").transport, sse("/github/mcp/message"));
    assert_eq!(accepted_route("transport: http_sse\nmessage_path: /m").transport, sse("/m"));
    for (path, expect) in [("/", "/message"), ("/sse/", "/sse/message")] {
        let settings = read(&file("", "transport: http_sse").replace("/github/mcp", path)).expect(path);
        assert_eq!(settings.routes[0].transport, sse(expect), "{path}");
    }
    for path in ["message", "/a//b", "/a/../b", "/a%2Fb", "/a;b", "/a?b", "/.well-known/x", "\"\""] {
        let route = format!("transport: http_sse\nmessage_path: {path}");
        refused("", &route, "routes[0].message_path", "not accepted");
    }
    refused("", "transport: sse", "routes[0].transport", "not a known word");
    refused("", "transport: http_sse\ndenial: hide\nvisibility: granted", "routes[0].denial", "answers on its stream");
    refused("", "message_path: /m", "routes[0].message_path", "none in streamable_http");
    refused("", "transport: http_sse\nmessage_path: /github/mcp", "routes[0].message_path", "the path in line");
    // The default is no accident of another route's.
    let taken = |second: &str| {
        let text = format!("{}  - {{name: second, upstream: http://a/, {second}}}\n", file("", "transport: http_sse"));
        read(&text).expect_err(second)
    };
    let errors = taken("path: /github/mcp/message");
    assert!(errors.contains("routes[1].path: ") && errors.contains("the message_path in line 8"), "{errors}");
    let errors = taken("path: /b, transport: http_sse, message_path: /github/mcp/message");
    assert!(errors.contains("routes[1].message_path: "), "{errors}");
    let errors = taken("path: /github/mcp/message/x, transport: http_sse, message_path: /github/mcp");
    assert!(errors.contains("the message_path here and the path in line 6"), "{errors}");
}

#[test]
fn the_bare_origin_is_a_resource() {
    let text = file("", "").replace("/github/mcp", "/");
    let settings = read(&text).expect("the path /");
    assert_eq!(settings.routes[0].resource.as_str(), "http://127.0.0.1:8080");
}

#[test]
fn upstreams() {
    let with = |upstream: &str| file("", "").replace("http://127.0.0.1:3000/mcp", upstream);
    let check =
        |upstream: &str| read(&with(upstream)).unwrap_or_else(|errors| panic!("{errors}")).routes.remove(0).upstream;
    let upstream =
        check("{url: https://a:8443/mcp, tls: {ca: Cargo.toml, server_name: b.example}, timeouts: {answer_secs: 5}}");
    assert!(upstream.https && upstream.tls.ca.is_some() && upstream.tls.client.is_none());
    assert_eq!(upstream.tls.server_name.as_deref(), Some("b.example"));
    assert_eq!((upstream.connect_timeout.as_secs(), upstream.answer_timeout.as_secs()), (2, 5));
    let upstream = check("{url: http://a/, identity: {headers: {X-Auth-Subject: sub, X-Roles: /realm/roles}}}");
    let identity: Vec<_> = upstream.identity.iter().map(|(name, claim)| (name.as_str(), claim.as_str())).collect();
    assert_eq!(identity, [("x-auth-subject", "sub"), ("x-roles", "/realm/roles")]);
    let refused = |upstream: &str, path: &str, found: &str| {
        let errors = read(&with(upstream)).expect_err(upstream);
        assert!(errors.contains(&format!("upstream{path}: ")) && errors.contains(found), "{errors}");
    };
    refused("{url: http://a/, tls: {server_name: b}}", ".tls", "plain http");
    refused("{url: https://a/, tls: {certificate: Cargo.toml}}", ".tls.certificate", "stands alone");
    refused("{url: https://a/, tls: {server_name: \"b:1\"}}", ".tls.server_name", "not accepted");
    refused("{url: https://a/, tls: {insecure: true}}", ".tls.insecure", "unknown key");
    refused("{url: https://a/, credentials: x}", ".credentials", "unknown key");
    refused("{url: https://a/, timeouts: {connect_secs: 0}}", ".timeouts.connect_secs", "out of range");
    refused("{tls: {}}", "", "\"url\" is missing");
    refused("{url: http://a/, identity: {headers: {X-A: a, x-a: b}}}", ".identity.headers.x-a", "twice");
    refused("[a]", "", "a list is not the URL");
    refused("5", "", "5 is not the URL");
}

#[test]
fn the_gateway_is_not_its_own_upstream() {
    let check = |listen: &str, upstream: &str, own: bool| {
        let text = file(listen, "").replace("http://127.0.0.1:3000/mcp", upstream);
        match (read(&text), own) {
            (Ok(_), false) => {}
            (Err(errors), true) => {
                assert!(errors.contains("upstream") && errors.contains("gateway itself"), "{errors}");
            }
            (got, _) => panic!("{listen} {upstream}: {:?}", got.err()),
        }
    };
    let everywhere =
        |address: &str| format!("listen: \"{address}:8443\"\ntls: external\npublic_url: https://a.example");
    check("", "http://127.0.0.1:8080/mcp", true);
    check("", "http://localhost:8080/mcp", true);
    check("", "{url: http://127.0.0.1:8080/mcp}", true);
    check("listen: \"[::1]:80\"", "http://[::1]/mcp", true);
    check(&everywhere("0.0.0.0"), "http://127.0.0.1:8443/", true);
    check(&everywhere("[::]"), "http://localhost:8443/", true);
    check("", "http://127.0.0.1:8081/mcp", false);
    check("", "http://127.0.0.2:8080/mcp", false);
    check("", "http://mcp.internal:8080/mcp", false);
    check(&everywhere("0.0.0.0"), "http://10.0.0.1:8443/", false);
}

#[test]
fn a_pattern_that_no_request_can_match_is_refused() {
    let check = |kind: &str, text: &str, found: &str| {
        let path = format!("routes[0].rules[0].{kind}[0]");
        refused("", &format!("rules: [{{{kind}: [\"{text}\"], deny: true}}]"), &path, found);
    };
    check("tools", "delete ", "white space");
    check("prompts", " p", "white space");
    check("resources", "repo://x ", "white space");
    check("resources", "https://Example.com/**", "normal form");
    check("resources", "https://example.com:443/*", "normal form");
    check("resources", "repo://a/../b", "normal form");
    check("resources", "repo://a/%7Ejoe/*", "normal form");
    check("resources", "repo://a/%2e%2e/*", "normal form");
    check("resources", "repo://a b", "normal form");
    check("resources", "repo://ü/**", "normal form");
    for text in [
        "repo://**",
        "**",
        "*",
        "*://**",
        "https://*:*/x",
        "https://[2001:db8::1]/*",
        "file:///a/.*",
        "note://a%20b/*",
        "note://%*",
        "repo://{Owner}/{+path}",
        "repo://a/*.MD",
        "urn:isbn:*",
        "https://*.example.com/**",
        "https://10.*.1/**",
        "https://[2001:db8:*]/**",
    ] {
        accepted("", &format!("rules: [{{resources: [\"{text}\"], deny: true}}]"));
    }
}

#[test]
fn rules() {
    let route = accepted_route("");
    assert!(route.scopes_supported.is_empty());
    let check = |rule: &str, key: &str, found: &str| {
        refused("", &format!("rules: [{rule}]"), &format!("routes[0].rules[0]{key}"), found);
    };
    check("{scopes: [a]}", "", "nothing says what this rule is about");
    check("{tools: [a], prompts: [b], deny: true}", "", "is about several things at once: tools and prompts");
    check("{tools: [a]}", "", "nothing says what this rule demands");
    check("{tools: [a], scopes: [b], any_scope: [c]}", "", "several things at once: scopes and any_scope");
    check("{tools: [a], allow: true, deny: true}", "", "several things at once: allow and deny");
    check("{tools: [a], deny: false}", ".deny", "says nothing");
    check("{tools: [a], allow: false}", ".allow", "says nothing");
    check("{tools: [], deny: true}", ".tools", "the list is empty");
    check("{tools: [a], scopes: []}", ".scopes", "the list is empty");
    check("{tools: [a], any_scope: []}", ".any_scope", "the list is empty");
    check("{tools: [\"\"], deny: true}", ".tools[0]", "not empty");
    check("{tools: [\"gét_*\"], deny: true}", ".tools[0]", "not accepted");
    check("{prompts: [p], scopes: [\"p:{tool}\"]}", ".scopes[0]", "only a `tools` rule");
    check("{methods: [\"acme/*\"], allow: true}", ".methods[0]", "exact name");
    check("{methods: [resources/read], allow: true}", ".methods[0]", "`resources`");
    check("{methods: [initialize], allow: true}", ".methods[0]", "required_scopes");
    accepted("", "rules: [{tools: [\"gét it\"], deny: true}, {prompts: [p], scopes: [\"{route}:p\"]}]");
    check(&format!("{{tools: [{}], deny: true}}", "a, ".repeat(4097)), ".tools", "too many");
    accepted("", "rules: [{methods: [tasks/get, acme/reindex], any_scope: [a, b]}]");
}

#[test]
fn covered_patterns() {
    let check = |first: &str, second: &str, covered: bool| {
        let rules = format!("rules: [{{{first}, allow: true}}, {{{second}, deny: true}}]");
        let errors = read(&file("", &rules)).err().unwrap_or_default();
        assert_eq!(errors.contains("it can never decide"), covered, "{rules}: {errors}");
        assert_eq!(errors.is_empty(), !covered, "{errors}");
    };
    check("tools: [get_*]", "tools: [get_secret]", true);
    check("tools: [a, b]", "tools: [c, b]", true);
    check("tools: [\"*\"]", "tools: [get_*]", true);
    check("tools: [get_*]", "tools: [\"*\"]", false);
    check("tools: [get_*]", "prompts: [get_secret]", false);
    check("tools: [\"*\"]", "tools: [\"gét it\"]", false);
    check("resources: [\"repo://**\"]", "resources: [\"repo://a/*\"]", true);
    check("resources: [\"repo://*\"]", "resources: [\"repo://a/b\"]", false);
    check("methods: [acme/a]", "methods: [acme/a]", true);
    check("methods: [acme/a]", "methods: [acme/b]", false);
}

#[test]
fn rules_know_their_lines() {
    let route =
        accepted_route("rules:\n  - tools: [a]\n    deny: true\n\n  # and\n  -\n    prompts: [a]\n    allow: true");
    let lines = |held: &str, operation| {
        let held = held.split_whitespace().map(|scope| Scope::parse(scope).unwrap()).collect();
        route.policy.decide(&held, &operation).map_or_else(|denial| denial.rule().line(), |permit| permit.rule().line())
    };
    let text = file("", "");
    let before = text.lines().count();
    assert_eq!(lines("", Operation::CallTool("a".to_owned())), Some(before + 2));
    assert_eq!(lines("", Operation::GetPrompt("a".to_owned())), Some(before + 7));
    assert_eq!(lines("", Operation::CallTool("b".to_owned())), None);
}

#[test]
fn the_audit_log_goes_where_the_file_says() {
    let check = |audit: &str| accepted(&format!("audit: {{{audit}}}"), "").audit;
    let read = check("");
    assert_eq!((read.to, read.arguments, read.on_stall), (AuditTo::Stdout, false, OnStall::Block));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert_eq!(check("sink: file, file: audit.log").to, AuditTo::File(root.join("audit.log")));
    assert_eq!(check("sink: both, file: /tmp/audit.log").to, AuditTo::Both("/tmp/audit.log".into()));
    let read = check("arguments: true, on_stall: drop, queue_records_max: 16");
    assert_eq!((read.arguments, read.on_stall, read.queue_records_max), (true, OnStall::Drop, 16));
    let refused = |audit: &str, path, found| refused(&format!("audit: {{{audit}}}"), "", path, found);
    refused("sink: file", "audit.sink", "nothing says which file");
    refused("sink: both", "audit.sink", "nothing says which file");
    refused("file: audit.log", "audit.file", "`sink` is stdout");
    refused("sink: stdout, file: audit.log", "audit.file", "`sink` is stdout");
    refused("sink: file, file: src", "audit.file", "\"src\" is a folder");
    refused("sink: file, file: \"\"", "audit.file", "is a folder");
    refused("sink: file, file: none/audit.log", "audit.file", "the folder of \"none/audit.log\" is not there");
    refused("sink: syslog", "audit.sink", "\"syslog\" is not a known word");
    refused("on_stall: wait", "audit.on_stall", "\"wait\" is not a known word");
    refused("queue_records_max: 1", "audit.queue_records_max", "out of range");
    refused("digest_key: {env: GATEPOST_NO_SUCH_VARIABLE}", "audit.digest_key.env", "is not set");
    refused("digest_key: secret", "audit.digest_key", "not a map that says where");
    refused("digest_key: {}", "audit.digest_key", "one place");
}

#[test]
fn session_keys_are_read_and_never_shown() {
    let refused = |keys: &str, path: &str, found: &str| {
        refused(&format!("sessions: {{keys: {keys}}}"), "", &format!("sessions.keys{path}"), found);
    };
    refused("[{file: none}]", "[0].file", "cannot be read");
    refused("[{file: Cargo.toml}]", "[0].file", "does not hold a key");
    refused("[{env: GATEPOST_NO_SUCH_VARIABLE}]", "[0].env", "is not set");
    refused("[{env: A, file: b}]", "[0]", "one place");
    refused("[{}]", "[0]", "one place");
    refused("[{value: hunter2}]", "[0].value", "unknown key");
    for inline in
        ["hunter2", "[hunter2]", "[[hunter2]]", "[{file: {hunter2: 1}}]", "[{env: [hunter2]}]", "{hunter2: 1}"]
    {
        let text = file(&format!("sessions: {{keys: {inline}}}"), "");
        let errors = read(&text).expect_err(inline);
        assert!(!errors.contains("hunter2"), "{errors}");
    }
    // A secret that was taken for the name of its place is not shown either.
    for key in ["file", "env"] {
        let secret = "abcdef0123456789".repeat(4);
        let errors = read(&file(&format!("sessions: {{keys: [{{{key}: {secret}}}]}}"), "")).expect_err(key);
        assert!(errors.contains("the secret itself") && !errors.contains("abcdef"), "{errors}");
    }
}

#[test]
fn files_that_cannot_be_read() {
    let folder = std::env::temp_dir().join(format!("gatepost-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let check = |name: &str, content: Option<&[u8]>, expect: &str| {
        let path = folder.join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).expect("written");
        }
        let errors = load(&path).expect_err(name).to_string();
        assert!(errors.contains(expect), "{errors}");
    };
    check("none.yaml", None, "cannot be read");
    check("latin.yaml", Some(b"a: 1\nb: \xe4\n"), "latin.yaml:2:4: this is not UTF-8");
    check("long.yaml", Some(&vec![b'#'; (1 << 20) + 1]), "longer than 1 MiB");
    assert!(load(&folder).expect_err("a folder").to_string().contains("cannot be read"));
    std::fs::remove_dir_all(&folder).expect("removed");
}

#[test]
fn a_file_of_a_megabyte_is_answered_soon_and_briefly() {
    for piece in [
        "- ", "? ", "[", "{", "a: 1\n", "\"\\", "'", "#", "\n", "x", "&a ", "*a ", "!", "|\n", "[],", "---\n", "{a: ",
        "a:\n  b", "\u{feff}",
    ] {
        for before in ["", "a: {"] {
            let text = before.to_owned() + &piece.repeat(((1 << 20) - 64) / piece.len());
            let errors = parse(&text, "test.yaml", Path::new("")).expect_err("no file");
            let (length, shown) = (errors.to_string().len(), errors.to_string().chars().take(300).collect::<String>());
            assert!(length < 20_000, "{before:?} {piece:?}: {length}: {shown}");
        }
    }
}

/// `text` with a piece of it replaced.
fn mutated(text: &str, at: usize, length: usize, by: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = at % chars.len();
    let end = (at + length).min(chars.len());
    chars[..at].iter().copied().chain(by.chars()).chain(chars[end..].iter().copied()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever stands in a file, reading it ends, and says something when it is refused.
    #[test]
    fn no_file_stops_it(
        at in any::<usize>(),
        length in 0_usize..40,
        by in prop_oneof![
            "[ -~\\n\\t]{0,12}",
            "\\PC{0,6}",
            Just("*a".to_owned()),
            Just("- [{".to_owned()),
            Just("? ".to_owned()),
            Just("|\n".to_owned()),
            Just("\u{feff}".to_owned()),
            Just("99999999999999999999".to_owned()),
        ],
    ) {
        let text = mutated(FULL, at, length, &by);
        if let Err(errors) = parse(&text, "test.yaml", Path::new("")) {
            prop_assert!(errors.count() > 0);
            prop_assert!(errors.to_string().contains("\n  expected: "));
        }
    }

    #[test]
    fn no_text_stops_it(text in "[-a-c:\\[\\]{}&*!|>'\"%@,?#~ \\n\\t]{0,60}") {
        prop_assert!(parse(&text, "test.yaml", Path::new("")).is_err());
    }
}

#[test]
fn telemetry() {
    let otlp = |of_it: &str| format!("telemetry:\n  otlp: {{endpoint: \"http://127.0.0.1:4317\"{of_it}}}");
    let settings = |top: &str| accepted(top, "").telemetry;
    assert_eq!(settings(""), None);
    assert_eq!(settings("telemetry: {service_name: edge}"), None);
    let default = settings(&otlp("")).expect("a collector");
    assert_eq!((default.service_name.as_str(), default.sample_below), ("gatepost", 1 << 63));
    assert_eq!((default.timeout, default.headers.len()), (std::time::Duration::from_secs(10), 0));
    let ratio = |text: &str| settings(&otlp(&format!(", sample_ratio: {text}"))).expect("a collector").sample_below;
    for (text, expect) in [
        ("0", 0),
        ("1", 1 << 63),
        ("1.0", 1 << 63),
        ("0.25", 1 << 61),
        (".5", 1 << 62),
        ("1e-3", 9_223_372_036_854_776),
    ] {
        assert_eq!(ratio(text), expect, "{text}");
    }
    let at = |of_it: &str, key: &str, found: &str| refused(&otlp(of_it), "", &format!("telemetry.otlp{key}"), found);
    at(", sample_ratio: 1.5", ".sample_ratio", "1.5 is out of range");
    at(", sample_ratio: -1", ".sample_ratio", "out of range");
    at(", sample_ratio: .inf", ".sample_ratio", "out of range");
    at(", sample_ratio: .nan", ".sample_ratio", "out of range");
    at(", sample_ratio: \"0.5\"", ".sample_ratio", "is not a number");
    at(", timeout_secs: 61", ".timeout_secs", "out of range");
    at(", protocol: thrift", ".protocol", "not a known word");
    at(", ca: Cargo.toml", ".ca", "plain http");
    at(", headers: {authorization: {}}", ".headers.authorization", "one place");
    at(", headers: {authorization: {env: GATEPOST_NO_SUCH_VARIABLE}}", ".headers.authorization.env", "is not set");
    at(", headers: {authorization: {file: Cargo.toml}}", ".headers.authorization.file", "does not hold the value");
    at(", headers: {content-type: {env: HOME}}", ".headers.content-type", "not accepted");
    at(", headers: {\"a b\": {env: CARGO_PKG_NAME}}", ".headers.\"a b\"", "not accepted");
    let held = settings(&otlp(", headers: {X-Tenant: {env: CARGO_PKG_NAME}}")).expect("a collector");
    assert_eq!(held.headers["x-tenant"], "gatepost");
    assert!(!format!("{:?}", held.headers).contains("gatepost"), "sensitive");
    refused("telemetry: {service_name: \"\"}", "", "telemetry.service_name", "not accepted");
    refused("telemetry: {otlp: {}}", "", "telemetry.otlp", "\"endpoint\" is missing");
}

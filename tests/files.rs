//! The files that the project ships and the files that it must refuse. Every example in `config/`, and every one within a
//! document in `docs/`, loads; those with rules of their own decide as their comments say. Every file in `tests/broken/` is
//! refused with exactly the message beside it.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a fault in a test, and in what it calls, ends the test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use gatepost::config;
use gatepost::config::expectations::Expectations;
use gatepost::gateway::settings::{Settings, Tls};
use gatepost::mcp::operation::Operation;
use gatepost::oauth::scope::{Scope, ScopeSet};
use gatepost::rejection::Denial;

/// Broken tables of expectations.
const TABLES: &str = "tests/broken/tables";

/// The files of a folder with this ending, by name.
fn files(folder: &str, ending: &str) -> BTreeMap<String, PathBuf> {
    fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == ending))
        .map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), path))
        .collect()
}

/// The names of such files, without the ending.
fn stems(folder: &str, ending: &str) -> Vec<String> {
    files(folder, ending).into_keys().map(|name| name.trim_end_matches(ending).to_owned()).collect()
}

fn example(name: &str) -> Settings {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
    config::load(&path).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn every_example_loads() {
    let (tables, examples): (BTreeMap<_, _>, BTreeMap<_, _>) =
        files("config", "yaml").into_iter().partition(|(name, _)| name.ends_with(".test.yaml"));
    assert_eq!(tables.keys().collect::<Vec<_>>(), ["minimal.test.yaml"]);
    for name in examples.keys() {
        example(name);
    }
    let names: Vec<&str> = examples.keys().map(String::as_str).collect();
    let expect = [
        "analytics.yaml",
        "full.yaml",
        "internal-audit.yaml",
        "many-servers.yaml",
        "minimal.yaml",
        "per-tool-scopes.yaml",
    ];
    assert_eq!(names, expect);
}

#[test]
fn every_issuer_has_a_page_and_an_example_that_loads() {
    let call = Operation::CallTool("get_issue".to_owned());
    for name in files("config/issuers", "yaml").keys() {
        let settings = example(&format!("issuers/{name}"));
        let open = settings.routes.iter().find(|route| route.policy.decide(&ScopeSet::default(), &call).is_ok());
        assert!(open.is_none(), "{name}: a caller without any scope may call a tool");
    }
    let pages = stems("docs/issuers", "md").into_iter().filter(|page| page != "README.").collect::<Vec<_>>();
    assert_eq!(pages, stems("config/issuers", "yaml"));
    assert!(pages.len() >= 7);
}

#[test]
fn every_file_within_a_document_loads() {
    let mut loaded = 0;
    for (name, path) in ["docs/issuers", "docs/migration"].into_iter().flat_map(|folder| files(folder, "md")) {
        let text = fs::read_to_string(&path).expect("readable");
        for block in text.split("```yaml\n# gatepost.yaml\n").skip(1) {
            let (file, _) = block.split_once("```").expect("the end of the block");
            if let Err(errors) = config::parse(file, &name, Path::new("")) {
                panic!("{errors}");
            }
            loaded += 1;
        }
    }
    assert_eq!(loaded, 2);
}

#[test]
fn every_broken_file_is_refused_with_its_message() {
    let broken = files("tests/broken", "yaml");
    assert!(broken.len() >= 12);
    let mut different = Vec::new();
    for (name, path) in broken {
        let text = fs::read_to_string(&path).expect("readable");
        let base = path.parent().expect("a folder");
        let got = match config::parse(&text, &name, base) {
            Ok(_) => "(accepted)".to_owned(),
            Err(errors) => errors.to_string(),
        };
        let expect = fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        if got != expect.trim_end() {
            different.push(format!("{name} gives:\n{got}\n"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// Tables of expectations, against `config/many-servers.yaml`.
#[test]
fn every_broken_table_is_refused_with_its_message() {
    let broken = files(TABLES, "yaml");
    assert!(broken.len() >= 4);
    let settings = example("many-servers.yaml");
    let mut different = Vec::new();
    for (name, path) in broken {
        let text = fs::read(&path).expect("readable");
        let read = Expectations::read_from(text.as_slice(), &name).and_then(|table| table.of(&settings));
        let got = read.map_or_else(|errors| errors.to_string(), |_| "(accepted)".to_owned());
        let expect = fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        if got != expect.trim_end() {
            different.push(format!("{name} gives:\n{got}\n"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn every_message_has_its_file() {
    for folder in ["tests/broken", TABLES] {
        let stems = |ending| {
            let names = files(folder, ending).into_values();
            names.map(|path| path.with_extension("")).collect::<Vec<_>>()
        };
        assert_eq!(stems("yaml"), stems("txt"));
    }
}

/// What the first route of an example says to a caller with these scopes: `permit`, `never`, or the scopes it asks for.
struct Says(Settings);

impl Says {
    fn check(&self, scopes: &str, operation: &Operation, expect: &str) {
        let scope = |text| Scope::parse(text).expect("a scope");
        let held: ScopeSet = scopes.split_whitespace().map(scope).collect();
        let got = match self.0.routes[0].policy.decide(&held, operation) {
            Ok(_) => "permit".to_owned(),
            Err(Denial::NotPermitted { .. } | Denial::Hidden { .. }) => "never".to_owned(),
            Err(Denial::InsufficientScope { needed, .. }) => needed.to_string(),
        };
        assert_eq!(got, expect, "{operation:?} with {scopes:?}");
    }
    fn tool(&self, scopes: &str, name: &str, expect: &str) {
        self.check(scopes, &Operation::CallTool(name.to_owned()), expect);
    }
    fn resource(&self, scopes: &str, uri: &str, expect: &str) {
        self.check(scopes, &Operation::UseResource { method: "resources/read", uri: uri.to_owned() }, expect);
    }
}

#[test]
fn the_minimal_example_serves_on_loopback() {
    let settings = example("minimal.yaml");
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.tls, Tls::Off);
    assert_eq!(settings.routes[0].resource.as_str(), "http://127.0.0.1:8080/mcp");
    assert_eq!(settings.routes[0].scopes_supported.to_string(), "mcp:read mcp:write");
    let says = Says(settings);
    says.tool("mcp:read", "get_note", "permit");
    says.tool("mcp:read", "echo", "mcp:write");
    says.tool("mcp:read mcp:write", "echo", "permit");
    says.tool("mcp:read mcp:write", "\u{435}cho", "never");
    says.resource("", "note://1", "mcp:read");
    says.check("", &Operation::Core("tools/list"), "permit");
}

#[test]
fn many_servers_keep_their_issuers_and_scopes_apart() {
    let settings = example("many-servers.yaml");
    let issuers: Vec<usize> = settings.routes.iter().map(|route| route.issuers.len()).collect();
    assert_eq!(issuers, [1, 2, 2]);
    assert_eq!(settings.tls, Tls::External);
    assert_eq!(settings.routes[0].scopes_supported.to_string(), "mcp github:read github:write github:admin");
    let says = Says(settings);
    says.tool("mcp github:read", "get_issue", "permit");
    says.tool("mcp github:admin", "get_issue", "permit");
    says.tool("mcp github:read", "create_issue", "mcp github:write");
    says.tool("github:write", "create_issue", "mcp github:write");
    says.tool("mcp github:admin", "delete_repository", "never");
    says.tool("mcp github:write", "fork_repository", "mcp github:admin");
    says.resource("mcp github:read", "repo://acme/gatepost/README.md", "permit");
    says.resource("mcp github:read", "file:///etc/passwd", "never");
}

#[test]
fn each_tool_has_a_scope_of_its_own() {
    let settings = example("per-tool-scopes.yaml");
    let supported = settings.routes[0].scopes_supported.to_string();
    assert_eq!(supported, "mcp tool:get_weather:execute tool:send_mail:execute");
    let says = Says(settings);
    says.tool("mcp tool:get_weather:execute", "get_weather", "permit");
    says.tool("mcp tool:get_weather:execute", "send_mail", "mcp tool:send_mail:execute");
    says.tool("mcp tool:get_weather:execute", "get_weather2", "mcp tool:get_weather2:execute");
    says.tool("mcp tool:{tool}:execute tool:*:execute", "new_tool", "mcp tool:new_tool:execute");
    says.tool("mcp tool:new_tool:execute", "new_tool", "permit");
    says.tool("mcp tool:shutdown:execute", "shutdown", "never");
    says.tool("tool:get_weather:execute", "get_weather", "mcp tool:get_weather:execute");
}

#[test]
fn who_edits_views_does_not_read_usage_logs() {
    let says = Says(example("analytics.yaml"));
    says.tool("dashboard:modify", "update_view", "permit");
    says.tool("dashboard:modify", "list_views", "permit");
    says.tool("dashboard:modify", "get_usage_logs", "analytics:data:read");
    says.tool("dashboard:modify", "query_data", "analytics:data:read");
    says.tool("analytics:data:read", "get_usage_logs", "permit");
    says.tool("analytics:data:read", "get_view", "permit");
    says.tool("analytics:data:read", "update_view", "dashboard:modify");
    says.tool("analytics:data:read dashboard:modify", "drop_table", "never");
    says.resource("dashboard:modify", "views://sales/today", "permit");
    says.resource("dashboard:modify", "logs://usage/today", "analytics:data:read");
    says.tool("", "get_view", "analytics:data:read");
}

#[test]
fn auditors_read_accounts_and_change_none() {
    let says = Says(example("internal-audit.yaml"));
    says.tool("audit:account:view", "view_account", "permit");
    says.tool("audit:account:view", "create_report", "audit:account:view audit:report:create");
    says.tool("audit:report:create", "create_report", "audit:account:view audit:report:create");
    says.tool("audit:account:view audit:report:create", "create_report", "permit");
    says.tool("audit:report:create", "view_account", "audit:account:view");
    says.tool("audit:account:view audit:report:create", "update_account", "never");
    says.tool("audit:account:view audit:report:create", "delete_report", "never");
    says.tool("audit:account:view audit:report:create", "transfer_money", "never");
    says.resource("audit:account:view", "account://4711", "permit");
    says.resource("audit:account:view", "account://4711/pin", "never");
    says.resource("audit:report:create", "report://2026/q3", "permit");
}

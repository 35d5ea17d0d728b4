//! The routing file of the demo, as a person would write it: what `--write` writes is what the demo itself runs with.
//! Whatever stands in it that came from the command line is quoted.

use std::net::SocketAddr;

use super::issuer::{self, Person};

/// What stands before what.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where the gateway listens.
    pub listen: SocketAddr,
    /// The issuer identifier.
    pub issuer: String,
    /// The MCP server behind it.
    pub upstream: Upstream,
}

/// The MCP server behind the gateway.
#[derive(Debug, Clone)]
pub enum Upstream {
    /// The demo's own, at this URL.
    Notes(String),
    /// Somebody's, at this URL.
    Own(String),
}

impl Plan {
    /// What clients are given, and the resource identifier.
    #[must_use]
    pub fn mcp_url(&self) -> String {
        match self.listen.port() {
            // Origins leave the default port out.
            80 => format!("http://{}{PATH}", host(self.listen)),
            port => format!("http://{}:{port}{PATH}", host(self.listen)),
        }
    }

    /// The file.
    #[must_use]
    pub fn text(&self) -> String {
        let (url, rest) = match &self.upstream {
            Upstream::Notes(url) => (url, NOTES_RULES),
            Upstream::Own(url) => (url, OWN_RULES),
        };
        let (hierarchy, rules) = rest;
        format!(
            "\
# What `gatepost demo` runs with. Its authorization server lets anybody log in as anybody, and ends with it.
#
# The step to your own: set `upstream` and the rules; then `issuer`, and `public_url` and `tls` where clients are on other
# machines. `gatepost check --config FILE` says what is wrong, `gatepost run --config FILE` serves it.

listen: {listen:<36}# clients are given {mcp_url}

authorization_servers:
  - issuer: {issuer:<32}# the demo's; yours: https://auth.example.com

scope_hierarchy:                            # a broader scope implies the narrower ones
{hierarchy}
routes:
  - name: {name}
    path: {PATH}
    upstream: {upstream:<30}# your MCP server, as it is
    challenge_scopes: []                    # a first login asks for every scope; who logs in takes away what they don't grant
    visibility: granted                     # lists show what is open now; `grantable`: what a step-up would open, too
    allowed_origins: [\"http://localhost:6274\", \"http://127.0.0.1:6274\"]     # the page of MCP Inspector
    rules:                                  # the first that matches decides; what none names is denied
{rules}",
            listen = quoted(&self.listen.to_string()),
            mcp_url = self.mcp_url(),
            issuer = quoted(&self.issuer),
            name = self.name(),
            upstream = quoted(url),
        )
    }

    /// The word for the server in files and commands.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.upstream {
            Upstream::Notes(_) => "notes",
            Upstream::Own(_) => "demo",
        }
    }

    /// What the authorization server is told.
    #[must_use]
    pub fn issuer_options(&self) -> issuer::Options {
        let scopes = self.scopes();
        let first = |count: usize| scopes.iter().take(count).map(|(scope, _)| (*scope).to_owned()).collect();
        let person = |name: &str, scopes| Person { name: name.to_owned(), scopes };
        issuer::Options {
            issuer: self.issuer.clone(),
            resource: self.mcp_url(),
            people: vec![person("reader", first(1)), person("writer", first(2)), person("admin", first(3))],
            scopes: scopes.iter().map(|(scope, opens)| ((*scope).to_owned(), (*opens).to_owned())).collect(),
        }
    }

    /// The scopes, narrowest first, and what each opens.
    fn scopes(&self) -> &'static [(&'static str, &'static str)] {
        match self.upstream {
            Upstream::Notes(_) => &[
                ("notes:read", "Read, search and export notes."),
                ("notes:write", "Write new notes and change those that are there."),
                ("notes:admin", "Delete notes, one or all of them."),
            ],
            Upstream::Own(_) => &[
                ("mcp:read", "Use what reads: tools called get, list, search and the like, prompts and resources."),
                ("mcp:write", "Use every other tool."),
            ],
        }
    }
}

fn host(address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    }
}

/// A JSON string is a YAML string: nothing in it can become another key.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

const PATH: &str = "/mcp";

/// The hierarchy and the rules.
const NOTES_RULES: (&str, &str) = (
    "  notes:admin: [notes:write]
  notes:write: [notes:read]
",
    "      - tools: [list_notes, get_note, search_notes, export_notes]
        scopes: [notes:read]
      - tools: [create_note, edit_note]
        scopes: [notes:write]
      - tools: [delete_note, purge_notes]
        scopes: [notes:admin]
      - prompts: [\"*\"]
        scopes: [notes:read]
      - resources: [\"note://*\"]
        scopes: [notes:read]
",
);
const OWN_RULES: (&str, &str) = (
    "  mcp:write: [mcp:read]
",
    "      - tools: [\"get_*\", \"list_*\", \"search_*\", \"read_*\", \"find_*\", \"describe_*\", \"query_*\"]
        scopes: [mcp:read]
      - tools: [\"*\"]
        scopes: [mcp:write]
      - prompts: [\"*\"]
        scopes: [mcp:read]
      - resources: [\"**\"]
        scopes: [mcp:read]
",
);

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    fn plan(listen: &str, upstream: Upstream) -> Plan {
        Plan { listen: listen.parse().unwrap(), issuer: "http://127.0.0.1:9000".to_owned(), upstream }
    }

    #[test]
    fn each_file_loads_and_means_what_the_demo_says() {
        let notes = Upstream::Notes("http://127.0.0.1:3000/mcp".to_owned());
        let own = Upstream::Own("https://mcp.example.com/mcp".to_owned());
        for (listen, upstream) in [("127.0.0.1:8080", notes.clone()), ("[::1]:8080", own), ("127.0.0.1:80", notes)] {
            let plan = plan(listen, upstream);
            let settings = config::parse(&plan.text(), "gatepost.yaml", Path::new(""))
                .unwrap_or_else(|errors| panic!("{errors}\n{}", plan.text()));
            let route = &settings.routes[0];
            assert_eq!(route.resource.as_str(), plan.mcp_url());
            assert_eq!(route.issuers[0].as_str(), plan.issuer);
            let known: Vec<String> = plan.issuer_options().scopes.into_iter().map(|(scope, _)| scope).collect();
            for scope in route.scopes_supported.to_string().split(' ') {
                assert!(known.contains(&scope.to_owned()), "{scope}");
            }
            assert!(route.challenge_scopes.is_empty(), "clients ask for all, and the person decides");
        }
    }

    #[test]
    fn an_upstream_cannot_write_keys() {
        let hostile = "http://127.0.0.1:1/mcp\"\ndefault: allow\n#";
        let plan = plan("127.0.0.1:8080", Upstream::Own(hostile.to_owned()));
        assert!(!plan.text().lines().any(|line| line.starts_with("default")), "{}", plan.text());
        assert!(config::parse(&plan.text(), "gatepost.yaml", Path::new("")).is_err());
    }

    #[test]
    fn each_person_has_what_the_one_before_has() {
        let notes = plan("127.0.0.1:8080", Upstream::Notes("http://127.0.0.1:3000/mcp".to_owned()));
        let people: Vec<String> = notes.issuer_options().people.iter().map(|person| person.scopes.join(" ")).collect();
        assert_eq!(people, ["notes:read", "notes:read notes:write", "notes:read notes:write notes:admin"]);
    }
}

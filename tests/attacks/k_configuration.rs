//! Section K: files that would open a door. None of them is served: exit status 78, with the place of the fault, before any
//! socket is opened. Here `reached` means that the file was taken.

use std::process::{Command, Stdio};

use crate::run::rows;
use crate::scene::Tally;
use crate::support::gateway::write_file;

rows![k1_files_that_open_doors, k3_secrets];

/// A file that is good.
const GOOD: &str = "\
listen: 127.0.0.1:0
public_url: http://127.0.0.1:8080
authorization_servers:
  - issuer: https://auth.example.com
routes:
  - name: standard
    path: /mcp
    upstream: http://127.0.0.1:3000/mcp
    rules:
      - tools: [get_x]
        scopes: [tools:read]
";

/// Whether the program takes this file; and what it says.
fn check(text: &str) -> (Option<i32>, String) {
    let file = write_file(text);
    let output = Command::new(env!("CARGO_BIN_EXE_gatepost"))
        .arg("check")
        .arg("--config")
        .arg(&file)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// The same for `run`, which must not get as far as to serve.
fn run(text: &str) -> (Option<i32>, String) {
    let file = write_file(text);
    let output = Command::new(env!("CARGO_BIN_EXE_gatepost"))
        .arg("run")
        .arg("--config")
        .arg(&file)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[expect(clippy::too_many_lines, reason = "a table: one attack a line")]
async fn k1_files_that_open_doors() -> Tally {
    let mut tally = Tally::default();
    let (status, said) = check(GOOD);
    if status != Some(0) {
        tally.wrong.push(format!("the good file: {status:?} {said}"));
    }
    let changed = |from: &str, to: &str| {
        assert!(GOOD.contains(from), "{from}");
        GOOD.replacen(from, to, 1)
    };
    let issuer = "  - issuer: https://auth.example.com\n";
    for (what, text) in [
        ("an unknown key", format!("{GOOD}allow_anonymous: true\n")),
        ("an unknown key of a route", changed("    path: /mcp\n", "    path: /mcp\n    auth: off\n")),
        (
            "an unknown key of a rule",
            changed("        scopes: [tools:read]\n", "        scopes: [tools:read]\n        optional: true\n"),
        ),
        ("a misspelt key", changed("scopes:", "scope:")),
        ("a key in another case", changed("rules:", "Rules:")),
        ("a key twice", format!("{GOOD}listen: 127.0.0.1:1\n")),
        ("a route's key twice", changed("    path: /mcp\n", "    path: /mcp\n    path: /other\n")),
        ("a merge key", changed("    path: /mcp\n", "    path: /mcp\n    <<: {default: allow}\n")),
        ("two documents", format!("{GOOD}---\n{GOOD}")),
        ("nothing", String::new()),
        ("no routes", changed("routes:\n", "routes: []\nx:\n")),
        ("no issuer", changed(&format!("authorization_servers:\n{issuer}"), "")),
        ("no issuers", changed(&format!("authorization_servers:\n{issuer}"), "authorization_servers: []\n")),
        ("an issuer of http off loopback", changed("https://auth", "http://auth")),
        ("an issuer with a query", changed("auth.example.com", "auth.example.com?x")),
        ("an issuer with a fragment", changed("auth.example.com", "auth.example.com#x")),
        ("a leeway of an hour", changed(issuer, &format!("{issuer}    leeway_secs: 3600\n"))),
        ("a leeway of 61 s", changed(issuer, &format!("{issuer}    leeway_secs: 61\n"))),
        ("alg none", changed(issuer, &format!("{issuer}    algorithms: [none]\n"))),
        ("HS256", changed(issuer, &format!("{issuer}    algorithms: [ES256, HS256]\n"))),
        ("no algorithms", changed(issuer, &format!("{issuer}    algorithms: []\n"))),
        ("keys by http off loopback", changed(issuer, &format!("{issuer}    jwks_uri: http://keys.example/jwks\n"))),
        ("a listener off loopback without TLS", changed("listen: 127.0.0.1:0", "listen: 0.0.0.0:8080")),
        ("a public URL of http off loopback", changed("http://127.0.0.1:8080", "http://mcp.example.com")),
        ("a public URL with a path", changed("http://127.0.0.1:8080", "http://127.0.0.1:8080/x")),
        ("a rule without a condition", changed("        scopes: [tools:read]\n", "")),
        ("a rule without scopes", changed("scopes: [tools:read]", "scopes: []")),
        ("a rule with null", changed("scopes: [tools:read]", "scopes:")),
        ("a rule of nothing", changed("tools: [get_x]", "tools: []")),
        ("a rule that allows and denies", changed("scopes: [tools:read]", "allow: true\n        deny: true")),
        ("allow: false", changed("scopes: [tools:read]", "allow: false")),
        ("deny: false", changed("scopes: [tools:read]", "deny: false")),
        ("allow: yes", changed("scopes: [tools:read]", "allow: yes please")),
        ("default: maybe", changed("    path: /mcp\n", "    path: /mcp\n    default: maybe\n")),
        ("default: true", changed("    path: /mcp\n", "    path: /mcp\n    default: true\n")),
        ("mode: off", changed("    path: /mcp\n", "    path: /mcp\n    mode: off\n")),
        ("a scope of two words", changed("tools:read]", "\"tools:read mcp\"]")),
        ("a core method as a rule", changed("tools: [get_x]", "methods: [tools/call]")),
        ("a path without a slash", changed("path: /mcp", "path: mcp")),
        ("a path with dot segments", changed("path: /mcp", "path: /x/../mcp")),
        ("a path of discovery", changed("path: /mcp", "path: /.well-known/oauth-protected-resource")),
        (
            "a resource of another origin",
            changed("    path: /mcp\n", "    path: /mcp\n    resource: https://other.example/mcp\n"),
        ),
        ("an upstream of another scheme", changed("http://127.0.0.1:3000/mcp", "ftp://127.0.0.1/mcp")),
        ("an upstream by http off loopback", changed("http://127.0.0.1:3000/mcp", "http://")),
        ("an origin of everybody", changed("    path: /mcp\n", "    path: /mcp\n    allowed_origins: [\"*\"]\n")),
        ("an origin of nobody", changed("    path: /mcp\n", "    path: /mcp\n    allowed_origins: [\"null\"]\n")),
        (
            "an identity header that is Authorization",
            changed(
                "upstream: http://127.0.0.1:3000/mcp",
                "upstream: {url: http://127.0.0.1:3000/mcp, identity: {headers: {Authorization: sub}}}",
            ),
        ),
        ("a body without a limit", format!("{GOOD}limits: {{body_bytes_max: 0}}\n")),
        ("a limit that bounds nothing", format!("{GOOD}limits: {{body_bytes_max: 99999999999999}}\n")),
        ("no timeout", format!("{GOOD}timeouts: {{head_secs: 0}}\n")),
        ("a timeout of for ever", format!("{GOOD}timeouts: {{head_secs: 99999999}}\n")),
        ("everybody a trusted proxy, misspelt", format!("{GOOD}trusted_proxies: [all]\n")),
        (
            "an alias bomb",
            format!(
                "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n{GOOD}"
            ),
        ),
        ("a tab", changed("    path: /mcp\n", "\tpath: /mcp\n")),
        ("binary", "\u{0}\u{1}\u{2}".to_owned()),
    ] {
        tally.attacks.insert(what.to_owned());
        let (status, said) = check(&text);
        if status == Some(0) {
            tally.reached.push(format!("{what}: taken"));
        } else if status != Some(78) {
            tally.wrong.push(format!("{what}: {status:?} {said}"));
        }
        // `file:line:column`, unless there is no line to name.
        let placed = said.lines().any(|line| line.contains(".yaml:"));
        if !placed && !text.is_empty() {
            tally.wrong.push(format!("{what}: no place in {said}"));
        }
    }
    // What `check` refuses, `run` does not serve either.
    for text in [format!("{GOOD}allow_anonymous: true\n"), GOOD.replace("https://auth", "http://auth"), String::new()] {
        tally.attacks.insert(format!("run with {text}"));
        let (status, said) = run(&text);
        if status != Some(78) {
            tally.wrong.push(format!("run: {status:?} {said}"));
        }
    }
    tally
}

async fn k3_secrets() -> Tally {
    let mut tally = Tally::default();
    let secret = "5e9c0ffee5e9c0ffee5e9c0ffee5e9c0ffee5e9c0ffee5e9c0ffee5e9c0ffee0";
    let key_file = write_file(secret);
    let good = format!("{GOOD}sessions: {{keys: [{{file: \"{}\"}}]}}\n", key_file.display());
    let (status, said) = check(&good);
    tally.attacks.insert("a key by its file".to_owned());
    if status != Some(0) {
        tally.wrong.push(format!("a key by its file: {status:?} {said}"));
    }
    if said.contains(secret) {
        tally.reached.push("check prints a key".to_owned());
    }
    tally.attacks.insert("the settings as text".to_owned());
    let settings = gatepost::config::load(&write_file(&good)).unwrap();
    let shown = format!("{settings:?} {:?}", settings.session_keys);
    let bytes = format!("{:?}", secret.as_bytes());
    if shown.contains(secret) || shown.contains(&bytes) || shown.contains("94, 156, 15") {
        tally.reached.push("the settings print a key".to_owned());
    }
    for (what, lines) in [
        ("a key in the file itself", format!("sessions: {{keys: [{secret}]}}\n")),
        ("a key in the file itself, named", format!("sessions: {{keys: [{{value: {secret}}}]}}\n")),
        (
            "a key that is too short",
            format!("sessions: {{keys: [{{file: \"{}\"}}]}}\n", write_file("abcdef").display()),
        ),
        ("a key file that is not there", "sessions: {keys: [{file: not-there.key}]}\n".to_owned()),
        ("a key in a variable that is not there", "sessions: {keys: [{env: GATEPOST_NOT_THERE}]}\n".to_owned()),
        ("a password in a URL", format!("hosts: [\"user:{secret}@x\"]\n")),
    ] {
        tally.attacks.insert(what.to_owned());
        let (status, said) = check(&format!("{GOOD}{lines}"));
        if status == Some(0) {
            tally.reached.push(format!("{what}: taken"));
        } else if status != Some(78) {
            tally.wrong.push(format!("{what}: {status:?} {said}"));
        }
        if said.contains(secret) && !what.contains("password") {
            tally.reached.push(format!("{what}: printed: {said}"));
        }
    }
    tally
}

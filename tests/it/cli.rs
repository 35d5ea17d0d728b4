//! The command line as a person has it: the binary as a process, its output and its exit codes; and the commands of the
//! README.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// What `demo --check` goes through, in its order.
#[cfg(feature = "demo")]
const STEPS: [&str; 18] = [
    "POST initialize without a token: 401 and a challenge",
    "protected resource metadata: this resource, its issuer, its scopes",
    "authorization server metadata: the same issuer, PKCE S256",
    "dynamic client registration",
    "log in as writer, grant notes:read: a code; state and iss are right",
    "code and PKCE verifier: an access token",
    "initialize: a session",
    "notifications/initialized: accepted",
    "tools/list: the reading tools, no others",
    "tools/call list_notes: allowed",
    "tools/call create_note: 403, insufficient_scope names notes:write",
    "step up: log in again for the scope of the challenge",
    "code and PKCE verifier: a token with notes:write",
    "tools/call create_note, in the same session: allowed",
    "tools/list: the writing tools, too",
    "tools/call purge_notes: still refused",
    "tools/call export_notes: progress arrives event by event",
    "DELETE: the session ends, and is unknown afterwards",
];

/// The serving process, killed when the test ends early.
pub(crate) struct Served {
    process: Child,
    address: String,
}

impl Served {
    /// `gatepost run` with `config/minimal.yaml` on a free port; returns once it says on which.
    fn minimal() -> Self {
        Self::with("")
    }

    /// The same with these top-level lines.
    pub(crate) fn with(lines: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let minimal = std::fs::read_to_string(root().join("config/minimal.yaml")).unwrap();
        let file = temporary(
            &format!("minimal-{port}.yaml"),
            &format!("listen: {address}\ndrain: {{delay_secs: 0}}\n{lines}{minimal}"),
        );
        let mut command = gatepost(&["run", "--log-format", "json", "--config", file.to_str().unwrap()]);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut logs = BufReader::new(process.stderr.take().unwrap()).lines();
        // It listens by the time it says so.
        let says_where = logs.find(|line| line.as_ref().unwrap().contains(&address)).unwrap().unwrap();
        assert!(serde_json::from_str::<Value>(&says_where).unwrap()["level"] == "INFO", "{says_where}");
        std::thread::spawn(move || logs.for_each(drop));
        Self { process, address }
    }

    pub(crate) fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[cfg(feature = "demo")]
    fn interrupt(&self) {
        assert!(Command::new("kill").args(["-INT", &self.process.id().to_string()]).status().unwrap().success());
    }

    /// SIGTERM, then what it wrote and how it ended.
    pub(crate) fn stop(mut self) -> (Option<i32>, String) {
        let killed = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let mut audit = String::new();
        self.process.stdout.take().unwrap().read_to_string(&mut audit).unwrap();
        (self.process.wait().unwrap().code(), audit)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It has ended already where `stop` was called.
        drop(self.process.kill());
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn gatepost(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    command.args(arguments).current_dir(root()).stdin(Stdio::null());
    command
}

fn temporary(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cli-{}-{name}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

fn check(arguments: &[&str], code: i32, expect: &[&str]) {
    let Output { status, stdout, stderr } = gatepost(arguments).output().unwrap();
    let said = format!("{}{}", String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!(status.code(), Some(code), "{said}");
    for text in expect {
        assert!(said.contains(text), "{text:?} is not in\n{said}");
    }
}

#[test]
fn check_says_what_a_good_file_amounts_to() {
    let lines = ["config/minimal.yaml: ok", "http://127.0.0.1:8080/mcp -> http://127.0.0.1:3000/mcp", "127.0.0.1:9000"];
    check(&["check", "--config", "config/minimal.yaml"], 0, &lines);
}

#[test]
fn schema_prints_the_schema_that_is_made_of_the_types() {
    let Output { status, stdout, .. } = gatepost(&["schema"]).output().unwrap();
    assert!(status.success());
    assert_eq!(stdout, std::fs::read(root().join("config/gatepost.schema.json")).unwrap());
    assert_eq!(serde_json::from_slice::<Value>(&stdout).unwrap()["title"], "Routing file of Gatepost");
}

#[test]
fn check_says_which_policies_decide_nothing() {
    let minimal = std::fs::read_to_string("config/minimal.yaml").unwrap();
    let unused = temporary("unused.yaml", &format!("policies:\n  spare: [{{tools: [a], allow: true}}]\n{minimal}"));
    let warning = "warning: line 2: policies.spare: no route names it";
    check(&["check", "--config", unused.to_str().unwrap()], 0, &[warning, ": ok; listen "]);
}

#[test]
fn check_warns_of_what_is_not_enforced_or_not_hidden() {
    let minimal = std::fs::read_to_string("config/minimal.yaml").unwrap();
    let (head, rules) = minimal.split_once("    rules:").unwrap();
    let report = temporary("report.yaml", &format!("{head}    mode: report\n    rules:{rules}"));
    check(
        &["check", "--config", report.to_str().unwrap()],
        0,
        &["warning: route ", "mode: report: nothing is refused"],
    );
    let hide = format!(
        "{head}    denial: hide\n    visibility: granted\n    rules: [{{tools: [wipe], deny: true}}, {{tools: [\"*\"], allow: true}}]\n"
    );
    let hide = temporary("hide.yaml", &hide);
    check(
        &["check", "--config", hide.to_str().unwrap()],
        0,
        &["warning: route ", "denial: hide: what * permits", "wipe"],
    );
}

#[test]
fn check_says_where_messages_of_the_old_transport_go() {
    let minimal = std::fs::read_to_string(root().join("config/minimal.yaml")).unwrap();
    let file = temporary("sse.yaml", &minimal.replace("    upstream:", "    transport: http_sse\n    upstream:"));
    let lines = ["http_sse, messages to http://127.0.0.1:8080/mcp/message"];
    check(&["check", "--config", file.to_str().unwrap()], 0, &lines);
}

#[test]
fn check_and_run_refuse_a_broken_file_alike() {
    let file = temporary("typo.yaml", "listn: 127.0.0.1:1\nauthorization_servers: []\nroutes: []\n");
    let path = file.to_str().unwrap();
    for command in ["check", "run"] {
        check(&[command, "--config", path], 78, &[&format!("{path}:1:1"), "listn", "listen"]);
        check(&[command, "--config", "config/absent.yaml"], 78, &["config/absent.yaml"]);
    }
}

#[test]
fn files_that_the_file_names_are_read_before_a_socket_opens() {
    let pem = temporary("no.pem", "no certificate");
    let tls = format!("tls: {{certificate: {0}, private_key: {0}}}\n", pem.display());
    let minimal = std::fs::read_to_string(root().join("config/minimal.yaml")).unwrap();
    let file = temporary("no-certificate.yaml", &format!("{tls}public_url: https://mcp.example.com\n{minimal}"));
    for command in ["check", "run"] {
        check(&[command, "--config", file.to_str().unwrap()], 78, &[pem.to_str().unwrap()]);
    }
}

#[test]
fn wrong_arguments_end_with_2_and_help_with_0() {
    check(&["serve"], 2, &["serve", "Usage"]);
    check(&["run", "--log-level", "loud"], 2, &["loud"]);
    check(&["--help"], 0, &["run", "check"]);
    check(&["run", "--help"], 0, &["--config", "/etc/gatepost/gatepost.yaml", "--log-format", "standard output"]);
    check(&["--version"], 0, &[env!("CARGO_PKG_VERSION")]);
}

#[test]
fn a_port_that_is_taken_is_said_and_ends_with_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let minimal = std::fs::read_to_string(root().join("config/minimal.yaml")).unwrap();
    let file = temporary("taken.yaml", &format!("listen: {address}\n{minimal}"));
    check(&["run", "--config", file.to_str().unwrap()], 1, &["cannot listen", &address]);
}

#[test]
fn the_readme_says_how_to_serve_and_what_answers() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let commands: Vec<&str> = readme.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    let expected = [
        "cargo run -- demo",
        "cargo run -- demo --upstream http://127.0.0.1:3000/mcp --write gatepost.yaml",
        "cargo run -- run --config config/minimal.yaml",
        "curl -i http://127.0.0.1:8080/mcp",
        "curl http://127.0.0.1:8080/.well-known/oauth-protected-resource/mcp",
        "cargo run -- test config/minimal.test.yaml",
        "cargo test",
    ];
    assert_eq!(commands, expected, "each of them is run here or by the gate");

    let served = Served::minimal();
    let refused = served.get("/mcp");
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    assert!(refused.contains("/.well-known/oauth-protected-resource/mcp"), "{refused}");
    let document = served.get("/.well-known/oauth-protected-resource/mcp");
    assert!(document.starts_with("HTTP/1.1 200 "), "{document}");
    assert!(document.contains(&format!("\"resource\":\"http://{}/mcp\"", served.address)), "{document}");

    let (code, audit) = served.stop();
    assert_eq!(code, Some(0));
    let records: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 2, "{audit}");
    assert_eq!((&records[0]["reason"], &records[0]["status"]), (&"missing_token".into(), &401.into()));
    assert_eq!((&records[1]["surface"], &records[1]["status"]), (&"metadata".into(), &200.into()));
}

#[cfg(feature = "demo")]
#[test]
fn the_demo_checks_itself_and_prints_every_step() {
    let Output { status, stdout, stderr } = gatepost(&["demo", "--check"]).output().unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!(status.code(), Some(0), "{stdout}{stderr}");
    let lines: Vec<&str> = stdout.lines().collect();
    let (last, steps) = lines.split_last().unwrap();
    assert_eq!(steps.len(), STEPS.len(), "{stdout}");
    for (line, step) in steps.iter().zip(STEPS) {
        assert!(line.contains("  ok ") && line.contains(" ms  ") && line.ends_with(step), "{step:?} is not {line:?}");
    }
    assert!(last.starts_with("all 18 steps held, in "), "{last}");
    assert_eq!(stderr, "", "nothing is logged");
}

#[cfg(feature = "demo")]
#[test]
fn the_demo_writes_a_file_that_serves_and_overwrites_none() {
    let file = temporary("demo.yaml", "");
    let path = file.to_str().unwrap();
    check(&["demo", "--check", "--write", path], 1, &[path, "exists already", "--write FILE"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "");
    std::fs::remove_file(&file).unwrap();
    check(&["demo", "--check", "--write", path], 0, &["steps held"]);
    check(&["check", "--config", path], 0, &["ok; listen 127.0.0.1:", "route notes: "]);
}

#[cfg(feature = "demo")]
#[test]
fn the_demo_says_how_to_connect_and_ends_when_told() {
    let arguments = ["demo", "--listen", "127.0.0.1:0", "--issuer-listen", "127.0.0.1:0"];
    let mut process = gatepost(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    let mut welcome = lines.by_ref().take_while(|line| !line.contains("Each decision")).collect::<Vec<_>>();
    welcome.retain(|line| !line.is_empty());
    let url =
        welcome.iter().find_map(|line| line.strip_prefix("  Claude Code   claude mcp add --transport http notes "));
    let address = url.unwrap().strip_prefix("http://").unwrap().strip_suffix("/mcp").unwrap().to_owned();
    let served = Served { process, address };
    assert!(served.get("/mcp").starts_with("HTTP/1.1 401 "));
    let decision = lines.find(|line| !line.is_empty()).unwrap();
    assert!(decision.contains("GET event stream") && decision.ends_with("missing_token: the client is sent to log in"));
    assert!(!decision.contains('\x1b'), "plain when piped");
    let mut served = served;
    served.interrupt();
    assert_eq!(served.process.wait().unwrap().code(), Some(0));
}

#[cfg(feature = "demo")]
#[test]
fn the_demo_stands_before_another_server() {
    let file = temporary("own.yaml", "");
    std::fs::remove_file(&file).unwrap();
    let path = file.to_str().unwrap();
    let upstream = "http://127.0.0.1:3000/mcp";
    let mut arguments = vec!["demo", "--upstream", upstream, "--write", path];
    arguments.extend(["--listen", "127.0.0.1:0", "--issuer-listen", "127.0.0.1:0"]);
    let mut process = gatepost(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(|line| line.unwrap());
    let says_where = lines.find(|line| line.starts_with("  MCP server ")).unwrap();
    let address = says_where.rsplit_once("http://").unwrap().1.strip_suffix("/mcp").unwrap().to_owned();
    assert!(lines.any(|line| line.starts_with("Each decision")));
    let mut served = Served { process, address };
    // The server need not be up for the client to be sent to log in.
    assert!(served.get("/mcp").starts_with("HTTP/1.1 401 "));
    check(&["check", "--config", path], 0, &["ok; listen", &format!("http://{}/mcp -> {upstream}", served.address)]);
    served.interrupt();
    assert_eq!(served.process.wait().unwrap().code(), Some(0));
}

#[cfg(feature = "demo")]
#[test]
fn the_demo_refuses_what_it_must() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    check(&["demo", "--listen", &taken], 1, &["cannot listen", &taken, "--listen 127.0.0.1:PORT"]);
    let port = ["--listen", "127.0.0.1:0"];
    check(
        &["demo", port[0], port[1], "--issuer-listen", &taken],
        1,
        &["cannot listen", "--issuer-listen 127.0.0.1:PORT"],
    );
    check(&["demo", "--listen", "0.0.0.0:8080"], 1, &["reachable from outside", "loopback"]);
    check(&["demo", "--listen", "nowhere"], 2, &["--listen"]);
    check(&["demo", "--check", "--upstream", "http://127.0.0.1:1/mcp"], 2, &["--upstream", "--check"]);
    check(&["demo", "--help"], 0, &["--listen", "--issuer-listen", "--upstream", "--write", "--check", "production"]);
}

//! `explain`, `test`, `token decode`, `completions` and `man` as processes: what they print and how they end.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::gateway::write_file;
use crate::support::token::{Key, Token};

/// Where every answer of these routes can be made, and nothing runs.
const FILE: &str = r#"
public_url: https://mcp.example
tls: external
authorization_servers:
  - {issuer: "https://as.example", jwks_file: "{jwks}", scope_claims: [scope]}
  - {issuer: "http://127.0.0.1:9", scope_claims: [/realm/roles]}
scope_hierarchy: {admin: [write]}
routes:
  - name: main
    path: /main
    upstream: http://127.0.0.1:3000/mcp
    required_scopes: [mcp]
    rules:
      - tools: [get_*]
        scopes: ["tool:{tool}:run", "{route}:use"]
      - tools: [either]
        any_scope: [first, second]
      - tools: [wipe]
        deny: true
      - prompts: ["*"]
        scopes: [write]
      - resources: ["repo://a/**"]
        scopes: [write]
      - methods: [acme/x]
        scopes: [admin]
  - name: hiding
    path: /hiding
    upstream: http://127.0.0.1:3000/mcp
    visibility: granted
    denial: hide
    rules: [{tools: [get_x], scopes: [read]}]
  - name: reporting
    path: /reporting
    upstream: http://127.0.0.1:3000/mcp
    mode: report
    rules: [{tools: [get_x], scopes: [read]}, {tools: [wipe], deny: true, mode: enforce}]
  - name: open
    path: /open
    upstream: http://127.0.0.1:3000/mcp
    default: allow
    visibility: all
  - name: old
    path: /old
    upstream: http://127.0.0.1:3000/sse
    transport: http_sse
    rules: [{tools: [get_x], scopes: [read]}]
"#;

/// The file, with a key of its first issuer.
struct Scene {
    key: Key,
    file: PathBuf,
}

/// What a process said, and how it ended.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Scene {
    fn new() -> Self {
        let key = Key::generate("k-1");
        let jwks = write_file(&json!({"keys": [key.jwk()]}).to_string());
        let file = write_file(&FILE.replace("{jwks}", jwks.to_str().unwrap()));
        Self { key, file }
    }

    fn token(&self) -> Token {
        Token::new("https://as.example", &self.key).aud("https://mcp.example/main")
    }

    fn explain(&self, arguments: &[&str], input: &str) -> Said {
        let file = self.file.to_str().unwrap();
        gatepost(&[&["explain", "--config", file], arguments].concat(), input.as_bytes())
    }

    fn decode(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Said {
        let file = self.file.to_str().unwrap();
        gatepost(&[&["token", "decode", "--config", file], arguments].concat(), input.as_ref())
    }
}

impl Said {
    /// Ended with `code`, and said all of this.
    fn check(&self, code: i32, expect: &[&str]) -> &Self {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        let said = format!("{}{}", self.out, self.err);
        for text in expect {
            assert!(said.contains(text), "{text:?} is not in\n{said}");
        }
        self
    }

    fn lacks(&self, text: &str) {
        assert!(!self.out.contains(text) && !self.err.contains(text), "{text:?} is in\n{}{}", self.out, self.err);
    }
}

fn gatepost(arguments: &[&str], input: &[u8]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Whoever refuses its arguments reads nothing.
    drop(process.stdin.take().unwrap().write_all(input));
    let Output { status, stdout, stderr } = process.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: status.code(), out: text(stdout), err: text(stderr) }
}

/// The line of the file in which this text stands first.
fn line(file: &Path, text: &str) -> usize {
    let file = std::fs::read_to_string(file).unwrap();
    file.lines().position(|line| line.contains(text)).unwrap() + 1
}

#[test]
fn explain_names_the_rule_its_place_and_the_whole_answer() {
    let scene = Scene::new();
    let place = format!("rules[0], {}:{}", scene.file.display(), line(&scene.file, "get_*"));
    let asked = ["--route", "main", "--tool", "get_x", "--scopes", "mcp other main:use"];
    let said = scene.explain(&asked, "");
    said.check(
        0,
        &[
            "tool get_x on route main",
            &place,
            "tools: [get_*], scopes: [tool:{tool}:run, {route}:use]",
            "needs    mcp tool:get_x:run main:use",
            "lacks    tool:get_x:run\n",
            "lists    show it, where the server has it (visibility: grantable)",
            "refused: insufficient_scope",
            "HTTP/1.1 403 Forbidden\ncontent-type: application/json\n",
            "gatepost-reason: insufficient_scope\n",
            "www-authenticate: Bearer error=\"insufficient_scope\", ",
            "scope=\"mcp tool:get_x:run main:use\", \
         resource_metadata=\"https://mcp.example/.well-known/oauth-protected-resource/main\"\n",
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":403,",
        ],
    );
    let json = scene.explain(&[&asked[..], &["--json"]].concat(), "");
    let json: Value = serde_json::from_str(&json.check(0, &[]).out).unwrap();
    assert_eq!((&json["forwarded"], &json["answer"]["status"]), (&json!(false), &json!(403)));
    assert_eq!(json["policy"]["missing"], json!(["tool:get_x:run"]));
    assert_eq!(json["policy"]["place"], json!(place.strip_prefix("rules[0], ").unwrap()));
}

#[test]
fn explain_says_what_becomes_of_every_kind_of_request() {
    let scene = Scene::new();
    let check = |route: &str, asked: &[&str], scopes: &str, expect: &[&str]| {
        scene.explain(&[&["--route", route, "--scopes", scopes], asked].concat(), "").check(0, expect);
    };
    let forwarded = "answer   the server's own: the request is forwarded";
    check("main", &["--tool", "get_x"], "mcp tool:get_x:run main:use", &[forwarded, "lacks    none of them"]);
    check("main", &["--tool", "get_x"], "tool:get_x:run main:use", &["decides  required_scopes", "lacks    mcp\n"]);
    check("main", &["--tool", "either"], "mcp second", &[forwarded, "needs    mcp second"]);
    check("main", &["--tool", "either"], "mcp", &["lacks    first\n", "any_scope: [first, second]"]);
    check("main", &["--tool", "wipe"], "mcp", &["no scope would help", "deny: true", "lists    do not show it"]);
    check("main", &["--tool", "other"], "mcp", &["decides  default", "`default: deny`", "not_permitted"]);
    check("main", &["--tool", "g\u{435}t_x"], "mcp", &["built_in", "g\\u{435}t_x", "matched by no wildcard"]);
    check("main", &["--prompt", "p"], "mcp admin", &[forwarded]);
    check("main", &["--prompt", "p", "--method", "completion/complete"], "mcp", &["lacks    write\n"]);
    check("main", &["--resource", "repo://a/x"], "mcp write", &[forwarded]);
    check("main", &["--resource", "repo://a/../b"], "mcp write", &["built_in", "not in normal form"]);
    check("main", &["--resource", "repo://a/{id}", "--method", "completion/complete"], "mcp write", &[forwarded]);
    check("main", &["--method", "acme/x"], "mcp write", &["lacks    admin\n", "methods: [acme/x]"]);
    check("main", &["--method", "acme/y"], "mcp", &["HTTP/1.1 403", "takes a `methods` rule"]);
    let modern = ["--method", "acme/y", "--revision", "2026-07-28"];
    check("main", &modern, "mcp", &["HTTP/1.1 404 Not Found", "\"code\":-32601"]);
    check("main", &["--method", "tools/list"], "mcp", &[forwarded]);
    check("main", &["--method", "GET"], "", &["required_scopes", "lacks    mcp\n"]);
    let hidden = ["HTTP/1.1 200 OK", "hidden from the client", "\"code\":-32602,\"message\":\"Unknown tool\"}"];
    check("hiding", &["--tool", "get_x"], "", &[&hidden[..], &["lists    do not show it"]].concat());
    check("hiding", &["--tool", "none"], "read", &hidden);
    check("hiding", &["--tool", "get_x"], "read", &[forwarded]);
    let reported = [forwarded, "would be refused: insufficient_scope (mode: report)", "are not filtered here"];
    check("reporting", &["--tool", "get_x"], "", &reported);
    check("reporting", &["--tool", "wipe"], "", &["HTTP/1.1 403", "deny: true, mode: enforce"]);
    check("open", &["--tool", "any"], "", &[forwarded, "`default: allow`"]);
    check("old", &["--tool", "get_x"], "", &["HTTP/1.1 403"]);
    check("old", &["--method", "DELETE"], "", &["HTTP/1.1 405", "allow: GET, OPTIONS"]);
}

#[test]
fn a_rule_of_an_included_file_is_said_to_stand_there() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("commands-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("teams")).unwrap();
    let team = "routes:\n  - name: team\n    path: /team\n    upstream: http://127.0.0.1:3000/mcp\n    rules:\n      \
                - tools: [x]\n        scopes: [read]\n";
    std::fs::write(folder.join("teams/one.yaml"), team).unwrap();
    let file = folder.join("gatepost.yaml");
    std::fs::write(&file, "authorization_servers: [{issuer: \"https://as.example\"}]\ninclude: teams\n").unwrap();
    let said = gatepost(&["explain", "--config", file.to_str().unwrap(), "--tool", "x", "--scopes", ""], b"");
    said.check(0, &[&format!("rules[0], {}:6", folder.join("teams/one.yaml").display())]);
}

#[test]
fn explain_takes_a_token_from_standard_input_alone() {
    let scene = Scene::new();
    let asked = ["--route", "main", "--tool", "either", "--token"];
    let with = |token: &str| scene.explain(&[&asked[..], &["-"]].concat(), token);
    let good = scene.token().scope("mcp second").mint();
    for copied in [good.clone(), format!("{good}\n"), format!("  Bearer {good}\r\n"), format!("bearer {good}")] {
        with(&copied).check(0, &["token    valid for this route", "holds    mcp second", "is forwarded"]).lacks(&good);
    }
    let expired = scene.token().scope("mcp second").expired(100).mint();
    with(&expired).check(
        0,
        &[
            "refused here: expired",
            "rules[1], ",
            ", if the token were good",
            "HTTP/1.1 401 Unauthorized",
            "error=\"invalid_token\"",
            "refused: invalid_token (expired)",
        ],
    );
    with("not a token").check(0, &["HTTP/1.1 400", "invalid_request"]);
    with(&"a".repeat(9000)).check(0, &["HTTP/1.1 401", "invalid_token (malformed)"]);
    with("").check(2, &["standard input is empty"]);
    with(&"a".repeat(100_000)).check(2, &["this is no token"]);
    // Nothing listens at that issuer.
    let away = Token::new("http://127.0.0.1:9", &scene.key).aud("https://mcp.example/main");
    let away = away.claim("realm", json!({"roles": ["mcp", "first"]})).mint();
    with(&away).check(0, &["not checked, the keys of its issuer cannot be had: ", "127.0.0.1:9", "is forwarded"]);
    let argued = scene.explain(&[&asked[..], &[&good]].concat(), "");
    argued.check(2, &["--token -", "standard input"]).lacks(&good);
}

#[test]
fn explain_says_what_is_wrong_with_its_arguments() {
    let scene = Scene::new();
    let check = |arguments: &[&str], code: i32, expect: &[&str]| {
        scene.explain(arguments, "").check(code, expect);
    };
    check(&["--tool", "x", "--scopes", ""], 2, &["several routes", "hiding, main, old, open, reporting"]);
    check(&["--route", "mainn", "--tool", "x", "--scopes", ""], 2, &["\"mainn\"; did you mean main?"]);
    check(&["--route", "main", "--scopes", ""], 2, &["--tool", "--method"]);
    check(&["--route", "main", "--tool", "x"], 2, &["--scopes", "--token"]);
    check(&["--route", "main", "--tool", "x", "--prompt", "y", "--scopes", ""], 2, &["cannot be used with"]);
    check(&["--route", "main", "--method", "tools/call", "--scopes", ""], 2, &["tools/call with a tool"]);
    check(&["--route", "main", "--tool", "x", "--scopes", "a \"b\""], 2, &["--scopes", "visible ASCII"]);
    check(&["--route", "main", "--tool", "x", "--scopes", "", "--revision", "1"], 2, &["2025-11-25, 2026-07-28"]);
    check(&["--help"], 0, &["exact answer", "--token <->", "standard input", "--json"]);
    gatepost(&["explain", "--config", "none.yaml", "--tool", "x", "--scopes", ""], b"").check(78, &["none.yaml"]);
}

#[test]
fn the_example_table_holds() {
    let said = gatepost(&["test", "config/minimal.test.yaml"], b"");
    said.check(0, &["config/minimal.test.yaml: 13 of 13 hold, of config/minimal.yaml"]);
}

#[test]
fn test_prints_a_table_of_what_differs() {
    let table = "cases:
  - {scopes: [mcp:read], tool: get_x, expect: allow}
  - {scopes: [mcp:read], tool: echo, expect: allow}
  - {scopes: [mcp:read], tool: echo, expect: insufficient_scope, needed: [mcp:admin], listed: false}
  - {claims: {scope: 7}, tool: get_x, expect: allow}
  - {scopes: [], method: tools/list, expect: allow, would_deny: not_permitted}
";
    let said = gatepost(&["test", "-", "--config", "config/minimal.yaml"], table.as_bytes());
    let wildcard = line(Path::new("config/minimal.yaml"), "\"*\"");
    said.check(1, &["standard input: 4 of 5 differ, of config/minimal.yaml"]);
    let rows: Vec<Vec<&str>> = said.out.lines().map(|row| row.split("  ").map(str::trim).collect()).collect();
    let row = |place: usize| rows[place].iter().copied().filter(|cell| !cell.is_empty()).collect::<Vec<_>>();
    assert_eq!(row(0), ["CASE", "ROUTE", "OPERATION", "WITH", "EXPECTED", "GOT", "BY"]);
    let by = format!("rules[1], config/minimal.yaml:{wildcard}");
    assert_eq!(row(1), ["standard input:3", "local", "tool echo", "mcp:read", "allow", "insufficient_scope", &by]);
    let (wanted, got) = ("needs mcp:admin; not listed", "needs mcp:write; listed");
    assert_eq!(row(2), ["standard input:4", "local", "tool echo", "mcp:read", wanted, got, &by]);
    assert_eq!(row(3)[3..6], ["unreadable claims", "allow", "invalid_token"]);
    assert_eq!(row(4)[4..6], ["would_deny not_permitted", "would_deny nothing"]);
}

#[test]
fn test_refuses_what_it_cannot_read_like_a_routing_file() {
    let check = |arguments: &[&str], input: &str, expect: &[&str]| {
        gatepost(&[&["test"], arguments].concat(), input.as_bytes()).check(78, expect);
    };
    check(&["none.test.yaml"], "", &["none.test.yaml: cannot be read", "expected: a readable file"]);
    let minimal = ["-", "--config", "config/minimal.yaml"];
    check(
        &minimal,
        "cases:\n  - {scopes: [], tool: x, expct: allow}\n",
        &["standard input:2:27: cases[0].expct: unknown key \"expct\"; did you mean \"expect\"?"],
    );
    check(&minimal, "", &["standard input:1:1: the file is empty", "config/minimal.test.yaml"]);
    check(&["-"], "config: none.yaml\ncases: [{scopes: [], tool: x, expect: allow}]\n", &["none.yaml: cannot be read"]);
    check(&["-", "--config", "none.yaml"], "cases: [{scopes: [], tool: x, expect: allow}]\n", &["none.yaml"]);
    gatepost(&["test"], b"").check(2, &["<FILE>"]);
    gatepost(&["test", "--help"], b"").check(0, &["table of what differs", "standard input"]);
}

#[test]
fn decode_shows_header_and_claims_and_the_check_that_fails() {
    let scene = Scene::new();
    let good = scene.token().scope("mcp");
    let signature = |token: &str| token.rsplit('.').next().unwrap().to_owned();
    let token = good.mint();
    let said = scene.decode(&[], &token);
    said.check(
        0,
        &["\"alg\": \"ES256\"", "\"sub\": \"alice\"", "route main, https://mcp.example/main", "=> taken", "mcp"],
    );
    said.lacks(&signature(&token));
    said.lacks("route open");
    said.lacks("FAIL");
    let check = |token: String, expect: &[&str]| {
        let said = scene.decode(&["--route", "main"], &token);
        said.check(1, expect).lacks(&signature(&token));
    };
    let elsewhere = good.clone().aud("https://mcp.example/elsewhere");
    check(
        elsewhere.mint(),
        &[
            "FAIL for this route      audience: `aud` is \"https://mcp.example/elsewhere\", and this route is \
         https://mcp.example/main; let the client ask with resource=https://mcp.example/main (RFC 8707)",
            "=> refused: 401 invalid_token, detail audience in the audit record",
        ],
    );
    check(
        good.clone().expired(7200).mint(),
        &["FAIL not expired         expired: it expired 20", "ago); get a new one"],
    );
    check(
        good.clone().forged_with(&Key::generate("k-1")).mint(),
        &["FAIL signature           signature: it was not signed"],
    );
    check(good.clone().header("kid", "k-2").mint(), &["FAIL key                 unknown_key: ", "`kid` \"k-2\""]);
    check(
        good.clone().hs256(b"secret").mint(),
        &["FAIL form                algorithm: `alg` is \"HS256\"; let the issuer"],
    );
    check(
        good.clone().claim("iss", "https://as.example/").mint(),
        &["issuer: `iss` is \"https://as.example/\"; this route"],
    );
    check(
        good.clone().header("typ", "logout+jwt").mint(),
        &["type of header      type: `typ` of the header is \"logout+jwt\""],
    );
    check(good.clone().claim("exp", "soon").mint(), &["times               claim: `exp` is missing, or"]);
    // All that is wrong, not the first fault alone.
    check(elsewhere.expired(100).mint(), &["expired: ", "audience: ", "detail expired in"]);
    // Of two routes the one that its audience names, and without such a one all of its issuer's.
    scene
        .decode(&[], good.clone().aud("https://mcp.example/open").mint())
        .check(0, &["route open"])
        .lacks("route main");
    scene.decode(&[], good.aud("x").mint()).check(1, &["route main", "route hiding", "route old"]);
    let away = Token::new("http://127.0.0.1:9", &scene.key).aud("https://mcp.example/main").mint();
    scene.decode(&["--route", "main"], away).check(1, &["=> not known", "127.0.0.1:9", "jwks_file"]);
    scene.decode(&["--route", "none"], "x").check(2, &["there is no route \"none\""]);
}

#[test]
fn decode_takes_any_bytes() {
    let scene = Scene::new();
    let token = scene.token().mint();
    let (header, rest) = token.split_once('.').unwrap();
    let opaque = "c2VjcmV0LXRva2Vu";
    let mut inputs: Vec<Vec<u8>> = [
        "",
        " ",
        ".",
        "..",
        "...",
        "a.b.c",
        "eyJ",
        "e30.e30.",
        "=",
        "Bearer",
        "Bearer ",
        opaque,
        "\u{1b}[2J",
        "a b",
        "a,b",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    inputs.extend([vec![0], vec![255; 100], b"a\0b".to_vec(), vec![b'a'; 70_000], vec![b'.'; 8000]]);
    inputs.extend([format!("{header}.{header}.{rest}").into_bytes(), token.as_bytes()[..token.len() - 9].to_vec()]);
    for cut in (0..token.len()).step_by(37) {
        inputs.push(token.as_bytes()[..cut].to_vec());
    }
    for input in inputs {
        let said = scene.decode(&[], &input);
        assert!(matches!(said.code, Some(1 | 2)), "{:?}: {:?} {}{}", input, said.code, said.out, said.err);
        assert!(!said.out.contains('\x1b') && !said.err.contains('\x1b'));
        said.lacks("secret-token");
        said.lacks(opaque);
    }
    // What a token says is not what the terminal does.
    let said = scene.decode(&[], scene.token().claim("name", "\u{1b}[2J\u{9b}\u{202e}").mint());
    said.check(0, &["\\u001b", "\\u{9b}", "\\u{202e}"]).lacks("\u{9b}");
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let commands = ["run", "check", "explain", "test", "token", "completions", "man"];
    for shell in ["bash", "zsh", "fish"] {
        let said = gatepost(&["completions", shell], b"");
        said.check(0, &commands).check(0, &["decode", "scopes"]);
        assert!(!said.out.contains('\x1b'));
    }
    let bash = gatepost(&["completions", "bash"], b"").out;
    let file = write_file(&bash);
    if let Ok(status) = Command::new("bash").args(["-n", file.to_str().unwrap()]).status() {
        assert!(status.success(), "bash reads its completions");
    }
    gatepost(&["completions", "tcsh"], b"").check(2, &["bash, zsh, fish"]);
    gatepost(&["man"], b"").check(0, &[".TH gatepost 1", "gatepost\\-explain(1)"]);
    for command in commands {
        gatepost(&["man", command], b"").check(0, &[&format!(".TH gatepost-{command} 1"), ".SH SYNOPSIS"]);
    }
    gatepost(&["man", "token", "decode"], b"").check(0, &["gatepost\\-token\\-decode", "audit record"]);
    gatepost(&["man", "tokn"], b"").check(2, &["\"tokn\" is no command here", "explain"]);
}

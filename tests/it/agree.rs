//! `explain`, `test`, `token decode` and the running gateway agree: over random files, tokens and operations, each seed the same
//! every time. What the gateway does on its sockets is the measure; the three are asked as processes, as a person asks them.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use gatepost::config;
use gatepost::mcp::revision::Revision;
use gatepost::mcp::sample::{Named, Wish};
use serde_json::{Map, Value, json};

use crate::support::gateway::PATH;
use crate::support::token::{Key, Token};
use crate::support::{Answer, Reply, World};

/// Files, each with a gateway of its own.
const SEEDS: std::ops::Range<u64> = 0..8;
/// Callers of each file, the last with a bad token.
const CALLERS: usize = 3;
/// Operations of each caller.
const OPERATIONS: usize = 6;

const SCOPES: [&str; 8] =
    ["mcp", "read", "write", "admin", "tool:get_x:run", "tool:set_x:run", "standard:use", "elsewhere"];
const TOOLS: [&str; 9] = ["get_x", "get_y", "set_x", "wipe", "g\u{435}t_x", "with space", "", "a\"b", "no_such"];
const PROMPTS: [&str; 4] = ["p_one", "p_two", "other", "p\u{202e}"];
const URIS: [&str; 7] =
    ["repo://a/x", "repo://a/x/y", "repo://b/x", "repo://a/../b", "REPO://a/x", "repo://{id}/x", "file:///etc/x"];
const METHODS: [&str; 12] = [
    "ping",
    "tools/list",
    "initialize",
    "server/discover",
    "logging/setLevel",
    "notifications/initialized",
    "acme/x",
    "Tools/Call",
    "tasks/get",
    "subscriptions/listen",
    "GET",
    "DELETE",
];
const REVISIONS: [Option<Revision>; 4] =
    [None, Some(Revision::V2025_06_18), Some(Revision::V2025_11_25), Some(Revision::V2026_07_28)];

/// Numbers that are the same for the same seed (xorshift).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn some<T: Clone>(&mut self, of: &[T], most: usize) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| self.one(of)).collect()
    }

    /// One time in `many`.
    fn rarely(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }
}

/// The claim that holds scopes, and how the file names it.
#[derive(Clone, Copy)]
enum ScopeClaim {
    Text,
    List,
    Deep,
}

impl ScopeClaim {
    fn named(self) -> &'static str {
        match self {
            Self::Text => "scope",
            Self::List => "scp",
            Self::Deep => "/realm/roles",
        }
    }

    /// The claims that hold these scopes.
    fn claims(self, scopes: &[&str]) -> Map<String, Value> {
        let claims = match self {
            Self::Text => json!({"scope": scopes.join(" ")}),
            Self::List => json!({"scp": scopes}),
            Self::Deep => json!({"realm": {"roles": scopes}}),
        };
        claims.as_object().unwrap().clone()
    }
}

/// A file of one route, perhaps one that is refused: a pattern may be covered by an earlier one.
fn file(dice: &mut Dice, claim: ScopeClaim) -> String {
    let hides = dice.rarely(4);
    let (visibility, default, mode) = if hides {
        ("granted", "deny", "enforce")
    } else {
        let mode = if dice.rarely(4) { "report" } else { "enforce" };
        (dice.one(&["grantable", "granted", "all"]), dice.one(&["deny", "deny", "allow"]), mode)
    };
    let required = dice.some(&["mcp", "mcp", "read"], 1);
    let rules: Vec<Value> = (0..dice.below(8)).map(|_| rule(dice)).collect();
    let hierarchy = dice.some(&[("admin", "write"), ("write", "read"), ("admin", "tool:set_x:run")], 2);
    let hierarchy: Map<String, Value> =
        hierarchy.into_iter().map(|(broad, narrow)| (broad.to_owned(), json!([narrow]))).collect();
    let mut route = json!({
        "name": "standard", "path": "/mcp", "upstream": "{upstream}", "required_scopes": required,
        "visibility": visibility, "default": default, "mode": mode, "rules": rules,
        "denial": if hides { "hide" } else { "challenge" },
    });
    if dice.rarely(4) {
        route["challenge_scopes"] = json!(dice.some(&SCOPES, 2));
    }
    let file = json!({
        "listen": "{listen}", "public_url": "http://{listen}",
        "authorization_servers": [{"issuer": "{issuer}", "scope_claims": [claim.named()]}],
        "scope_hierarchy": hierarchy, "routes": [route],
    });
    // One line for each rule, so that a place that is off by one is seen.
    file.to_string().replace("{\"any_scope\"", "\n{\"any_scope\"").replace("{\"scopes\"", "\n{\"scopes\"")
}

fn rule(dice: &mut Dice) -> Value {
    let (about, names) = match dice.below(6) {
        0..3 => {
            ("tools", dice.one(&[&["get_*"][..], &["get_x", "a\"b"], &["wipe"], &["*"], &["set_*", "g\u{435}t_x"]]))
        }
        3 => ("prompts", dice.one(&[&["p_*"][..], &["p_one"], &["*"]])),
        4 => ("resources", dice.one(&[&["repo://a/*"][..], &["repo://**"], &["**"], &["repo://{id}/x"]])),
        _ => ("methods", dice.one(&[&["acme/x"][..], &["tasks/get", "Tools/Call"], &["subscriptions/listen"]])),
    };
    let mut scopes = dice.some(&["read", "write", "admin", "{route}:use"], 2);
    scopes.push(if about == "tools" { dice.one(&["tool:{tool}:run", "write"]) } else { "read" });
    let mut rule = match dice.below(5) {
        0 => json!({about: names, "deny": true}),
        1 => json!({about: names, "allow": true}),
        2 => json!({about: names, "any_scope": scopes}),
        _ => json!({about: names, "scopes": scopes}),
    };
    if dice.rarely(3) {
        rule["mode"] = json!("enforce");
    }
    rule
}

fn wish(dice: &mut Dice) -> Wish {
    let named = match dice.below(8) {
        0..3 => Some(Named::Tool(dice.one(&TOOLS).to_owned())),
        3 => Some(Named::Prompt(dice.one(&PROMPTS).to_owned())),
        4 | 5 => Some(Named::Resource(dice.one(&URIS).to_owned())),
        _ => None,
    };
    let method = match &named {
        None => Some(dice.one(&METHODS)),
        Some(Named::Prompt(_)) if dice.rarely(2) => Some("completion/complete"),
        Some(Named::Resource(_)) => dice.one(&[
            None,
            Some("resources/subscribe"),
            Some("resources/unsubscribe"),
            Some("completion/complete"),
            Some("subscriptions/listen"),
        ]),
        Some(_) => None,
    };
    Wish::new(method, named).unwrap()
}

/// A token of these claims that is wrong in some way.
fn spoiled(dice: &mut Dice, good: Token) -> String {
    let other = Key::generate("k-1");
    let token = match dice.below(14) {
        0 => good.expired(4000),
        1 => good.aud("https://elsewhere.example"),
        2 => good.without("aud"),
        3 => good.forged_with(&other),
        4 => good.unsigned(),
        5 => good.hs256(b"secret"),
        6 => good.header("typ", "logout+jwt"),
        7 => good.claim("iss", "https://evil.example"),
        8 => good.claim("cnf", json!({"jkt": "x"})),
        9 => good.without("sub").without("client_id"),
        10 => good.claim("exp", "soon"),
        11 => good.header("kid", "nobody's"),
        12 => good.claim("scope", 7).claim("scp", 7).claim("realm", json!({"roles": 7})),
        _ => good.claim("nbf", 4_000_000_000_u64).aud(7),
    };
    token.mint()
}

/// The binary, with `input` on standard input; it must not take the runtime's thread, which serves the keys.
async fn gatepost(arguments: Vec<String>, input: String) -> (Option<i32>, String) {
    let run = move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
        command.args(&arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let Output { status, stdout, stderr } = process.wait_with_output().unwrap();
        assert_ne!(status.code(), Some(101), "{arguments:?} {}", String::from_utf8_lossy(&stderr));
        let said = [stdout, if status.success() { Vec::new() } else { stderr }].concat();
        (status.code(), String::from_utf8(said).unwrap())
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// What `explain` says to a caller with this token.
async fn explained(path: &str, asked: &[String], token: &str) -> Value {
    let mut arguments = ["explain", "--json", "--token=-", "--config", path].map(str::to_owned).to_vec();
    arguments.extend_from_slice(asked);
    let (code, said) = gatepost(arguments, token.to_owned()).await;
    assert_eq!(code, Some(0), "{asked:?} {said}");
    serde_json::from_str(&said).unwrap()
}

/// How the command line says what is asked for.
fn arguments(wish: &Wish, revision: Option<Revision>) -> Vec<String> {
    let mut arguments = match wish.named() {
        None => Vec::new(),
        Some(Named::Tool(name)) => vec![format!("--tool={name}")],
        Some(Named::Prompt(name)) => vec![format!("--prompt={name}")],
        Some(Named::Resource(uri)) => vec![format!("--resource={uri}")],
    };
    arguments.push(format!("--method={}", wish.method()));
    arguments.extend(revision.map(|revision| format!("--revision={}", revision.as_str())));
    arguments
}

/// How a table says it.
fn case(wish: &Wish, revision: Option<Revision>) -> Value {
    let mut case = json!({"method": wish.method()});
    match wish.named() {
        None => {}
        Some(Named::Tool(name)) => case["tool"] = json!(name),
        Some(Named::Prompt(name)) => case["prompt"] = json!(name),
        Some(Named::Resource(uri)) => case["resource"] = json!(uri),
    }
    if let Some(revision) = revision {
        case["revision"] = json!(revision.as_str());
    }
    case
}

async fn send(world: &World, wish: &Wish, revision: Option<Revision>, token: &str, forwarded: bool) -> Reply {
    let sample = wish.sample(revision);
    let mut request = world.client.request(sample.method.as_str(), PATH).token(token);
    for (name, value) in &sample.headers {
        request = request.header(name.as_str(), value.to_str().unwrap());
    }
    if sample.method == "POST" {
        request = request.body(&sample.body);
    }
    if forwarded { request.passed_through() } else { request }.send().await
}

/// What of an answer does not depend on the time.
fn told(headers: impl IntoIterator<Item = (String, String)>) -> Vec<(String, String)> {
    let by_the_way = ["date", "content-length"];
    let mut headers: Vec<_> = headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    headers.retain(|(name, _)| !by_the_way.contains(&name.as_str()));
    headers.sort();
    headers
}

fn words(value: &Value) -> String {
    let words = value.as_array().into_iter().flatten();
    words.map(|word| word.as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

/// `explain` said what the gateway did.
fn compare(explained: &Value, reply: &Reply, record: &Value, path: &Path) {
    let forwarded = record["decision"] == "allowed";
    assert_eq!(explained["forwarded"], forwarded, "{record}");
    if !forwarded {
        let answer = &explained["answer"];
        assert_eq!(answer["status"], reply.status);
        assert_eq!((&answer["reason"], &record["reason"]), (&record["reason"], &answer["reason"]));
        assert_eq!(answer["detail"].as_str().unwrap(), record["detail"].as_str().unwrap_or_default());
        let pair = |header: &Value| (header[0].as_str().unwrap().to_owned(), header[1].as_str().unwrap().to_owned());
        let headers = answer["headers"].as_array().unwrap().iter().map(pair);
        assert_eq!(told(headers), told(reply.head.headers.clone()));
        assert_eq!(answer["body"], reply.json());
    }
    // A token that is refused never meets the policy.
    if explained["token"]["valid"] == true && !record["rule"].is_null() {
        let policy = &explained["policy"];
        assert_eq!(policy["permitted"], forwarded);
        assert_eq!(policy["rule"], record["rule"]);
        assert_eq!(policy["would_deny"], record["would_deny"]);
        let place = record["rule_line"].as_u64().map(|line| format!("{}:{line}", path.display()));
        assert_eq!(policy["place"].as_str(), place.as_deref());
        assert_eq!(words(&policy["needed"]), record["scopes_needed"].as_str().unwrap_or_default());
        assert_eq!(words(&explained["held"]), record["scopes_held"].as_str().unwrap_or_default());
    }
}

/// What lists of tools show to a token; `None` where it gets no list.
async fn listed(world: &mut World, token: &str) -> Option<Vec<String>> {
    let entries: Vec<Value> = TOOLS.iter().map(|name| json!({"name": name})).collect();
    let list = json!({"jsonrpc": "2.0", "id": 7, "result": {"tools": entries}});
    let path = world.path.to_str().unwrap().to_owned();
    if explained(&path, &["--method=tools/list".to_owned()], token).await["forwarded"] != true {
        return None;
    }
    world.mcp.permit(1);
    world.mcp.answer(Answer::json(&list));
    let reply = world.client.call(PATH, "tools/list", &json!({})).token(token).send().await;
    world.record().await;
    let tools = reply.passed().json()["result"]["tools"].as_array().unwrap().clone();
    Some(tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect())
}

/// A table that holds, and one in which every case is wrong.
async fn tables(cases: &[Value], path: &str) {
    let test = async |cases: &[Value]| {
        let table = json!({"config": path, "cases": cases}).to_string();
        // What cannot be seen does not stand in a file as it is.
        let table = table.replace('\u{202e}', "\\u202e");
        gatepost(vec!["test".to_owned(), "-".to_owned()], table).await
    };
    let (code, said) = test(cases).await;
    assert_eq!(code, Some(0), "{said}");
    let mut wrong = cases.to_vec();
    for case in &mut wrong {
        case["expect"] = if case["expect"] == "allow" { json!("not_permitted") } else { json!("allow") };
    }
    let (code, said) = test(&wrong).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&format!("{0} of {0} differ", cases.len())), "{said}");
}

/// `token decode` said what the audit record says of a token that was refused.
async fn decoded(path: &str, token: &str, record: &Value) {
    let decode = vec!["token".to_owned(), "decode".to_owned(), format!("--config={path}")];
    let (code, said) = gatepost(decode, token.to_owned()).await;
    assert_eq!(code, Some(1), "{said}");
    let detail = record["detail"].as_str().unwrap();
    let first = said.lines().find_map(|line| line.strip_prefix("  FAIL ")).unwrap();
    let verdict = said.lines().find(|line| line.starts_with("  => ")).unwrap();
    assert!(first.contains(&format!("  {detail}: ")), "{detail} {said}");
    assert!(verdict.contains(&format!("detail {detail} ")), "{detail} {said}");
    let signature = token.rsplit('.').next().unwrap();
    assert!(signature.is_empty() || !said.contains(signature), "{said}");
}

/// What came of all of it, to see that every kind did.
#[derive(Debug, Default)]
struct Counts {
    forwarded: usize,
    refused: usize,
    hidden: usize,
    reported: usize,
    bad_tokens: usize,
}

/// One caller and its operations, each asked of `explain` and of the gateway.
async fn caller(world: &mut World, dice: &mut Dice, claim: ScopeClaim, is_good: bool, counts: &mut Counts) {
    let path = world.path.to_str().unwrap().to_owned();
    let scopes = dice.some(&SCOPES, 4);
    let claims = claim.claims(&scopes);
    let good = claims.iter().fold(world.good(), |token, (name, value)| token.claim(name, value.clone()));
    let token = if is_good { good.mint() } else { spoiled(dice, good) };
    let shown = if is_good { listed(world, &token).await } else { None };
    let mut cases = Vec::new();
    let mut last = Value::Null;
    for _ in 0..OPERATIONS {
        let (wish, revision) = (wish(dice), dice.one(&REVISIONS));
        let explained = explained(&path, &arguments(&wish, revision), &token).await;
        let goes_on = explained["forwarded"] == true;
        world.mcp.permit(usize::from(goes_on));
        let reply = send(world, &wish, revision, &token, goes_on).await;
        let record = world.record().await;
        eprintln!("{wish:?} {revision:?}\n{explained}\n{record}");
        compare(&explained, &reply, &record, &world.path);
        let listed = match (&shown, wish.named()) {
            (Some(shown), Some(Named::Tool(name))) => Some(shown.contains(name)),
            _ => None,
        };
        if let Some(listed) = listed {
            assert_eq!(explained["listed"], listed);
        }
        let would_deny = &record["would_deny"];
        counts.forwarded += usize::from(goes_on);
        counts.refused += usize::from(!goes_on);
        counts.hidden += usize::from(reply.status == 200 && record["decision"] == "refused");
        counts.reported += usize::from(!would_deny.is_null());
        let mut case = case(&wish, revision);
        case["claims"] = json!(claims);
        case["expect"] = if goes_on { json!("allow") } else { record["reason"].clone() };
        case["would_deny"] = if would_deny.is_null() { json!("nothing") } else { would_deny.clone() };
        if let Some(needed) = record["scopes_needed"].as_str().filter(|_| would_deny != "not_permitted") {
            case["needed"] = needed.split(' ').filter(|scope| !scope.is_empty()).collect();
        }
        if let Some(listed) = listed {
            case["listed"] = json!(listed);
        }
        cases.push(case);
        last = record;
    }
    if is_good {
        tables(&cases, &path).await;
    } else {
        decoded(&path, &token, &last).await;
        counts.bad_tokens += 1;
    }
}

#[tokio::test]
async fn explain_test_and_token_decode_say_what_the_gateway_does() {
    let mut counts = Counts::default();
    for seed in SEEDS {
        let mut dice = Dice::new(seed);
        let claim = dice.one(&[ScopeClaim::Text, ScopeClaim::List, ScopeClaim::Deep]);
        let file = loop {
            let file = file(&mut dice, claim);
            let filled = file.replace("{listen}", "127.0.0.1:8080").replace("{issuer}", "https://as.example");
            let filled = filled.replace("{upstream}", "http://127.0.0.1:3000/mcp");
            if config::parse(&filled, "", Path::new("")).is_ok() {
                break file;
            }
        };
        eprintln!("seed {seed}\n{file}");
        let mut world = World::start(&file).await;
        for place in 0..CALLERS {
            caller(&mut world, &mut dice, claim, place + 1 < CALLERS, &mut counts).await;
        }
        world.finish().await;
    }
    let Counts { forwarded, refused, hidden, reported, bad_tokens } = counts;
    assert!([forwarded, refused, hidden, reported, bad_tokens].iter().all(|count| *count > 0), "{counts:?}");
}

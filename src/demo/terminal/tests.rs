//! Each kind of audit record as a line, plain and coloured; what a client cannot do to the screen.

use serde_json::{Value, json};

use super::*;

const PLAIN: Screen = Screen { coloured: false };
const COLOURED: Screen = Screen { coloured: true };

fn record(more: &Value) -> Vec<u8> {
    let mut record = json!({
        "time": "2026-03-04T12:03:44.123Z", "event": "request", "request_id": "x-1", "peer": "127.0.0.1:1",
        "http_method": "POST", "surface": "mcp", "decision": "allowed", "status": 200, "end": "complete",
        "principal": {"issuer": "http://127.0.0.1:9000", "subject": "reader", "client": "c"},
    });
    for (key, value) in more.as_object().unwrap() {
        record[key] = value.clone();
    }
    let mut line = serde_json::to_vec(&record).unwrap();
    line.push(b'\n');
    line
}

fn written(bytes: &[u8], screen: Screen) -> String {
    let mut live = Live::new(Vec::new(), screen);
    live.write_all(bytes).unwrap();
    String::from_utf8(live.out).unwrap()
}

fn check(more: &Value, expect: &str) {
    let expect = if expect.is_empty() { String::new() } else { format!("12:03:44  {expect}\n") };
    assert_eq!(written(&record(more), PLAIN), expect);
}

#[test]
fn each_kind_of_record_has_its_line() {
    let tool = |name: &str| json!({"method": "tools/call", "name": name});
    check(&tool("list_notes"), "reader    tools/call list_notes               allowed");
    check(&json!({"method": "tools/list"}), "reader    tools/list                          allowed");
    check(
        &json!({"method": "tools/call", "name": "create_note", "decision": "refused", "reason": "insufficient_scope",
            "scopes_held": "notes:read", "scopes_needed": "notes:write notes:read", "status": 403}),
        "reader    tools/call create_note              insufficient_scope: lacks notes:write",
    );
    check(
        &json!({"principal": null, "decision": "refused", "reason": "missing_token", "status": 401}),
        "-         POST                                missing_token: the client is sent to log in",
    );
    check(
        &json!({"principal": null, "decision": "refused", "reason": "invalid_token", "detail": "expired", "status": 401}),
        "-         POST                                refused: invalid_token (expired)",
    );
    check(
        &json!({"method": "tools/call", "name": "x", "reason": "upstream_unreachable", "status": 502}),
        "reader    tools/call x                        allowed, then 502 upstream_unreachable",
    );
    check(
        &json!({"decision": "refused", "end": "client_gone", "status": 0}),
        "reader    POST                                no answer: client_gone",
    );
    check(
        &json!({"http_method": "GET", "method": "GET", "event": "opened"}),
        "reader    GET event stream                    allowed",
    );
    check(
        &json!({"http_method": "DELETE", "method": "DELETE"}),
        "reader    DELETE session                      allowed",
    );
    check(
        &json!({"http_method": "GET", "surface": "metadata", "principal": null}),
        "-         GET discovery document              allowed",
    );
    check(
        &json!({"http_method": "GET", "method": "GET", "event": "closed", "end": "token_expired"}),
        "reader    GET event stream                    stream ended: token_expired",
    );
    check(
        &json!({"principal": {"issuer": "i", "client": "robot"}, "method": "ping"}),
        "robot     ping                                allowed",
    );
    check(&json!({"event": "closed"}), "");
    check(&json!({"event": "closed", "end": "client_gone"}), "");
    check(&json!({"surface": "preflight", "http_method": "OPTIONS"}), "");
}

#[test]
fn a_colour_says_the_verdict_and_ceremony_is_dim() {
    let colours = |more| -> Vec<String> {
        let line = written(&record(&more), COLOURED);
        line.split("\x1b[")
            .skip(1)
            .map(|part| part.split('m').next().unwrap().to_owned())
            .filter(|code| code != "0")
            .collect()
    };
    assert_eq!(colours(json!({"method": "tools/call", "name": "x"})), ["2", "32"]);
    assert_eq!(colours(json!({"method": "initialize"})), ["2", "2", "2", "2"]);
    let refused = |reason| json!({"method": "tools/call", "name": "x", "decision": "refused", "reason": reason});
    assert_eq!(colours(refused("insufficient_scope")), ["2", "33"]);
    assert_eq!(colours(refused("not_permitted")), ["2", "31"]);
    assert_eq!(colours(json!({"method": "tools/call", "reason": "upstream_timeout"})), ["2", "35"]);
    assert_eq!(colours(json!({"method": "ping", "decision": "refused", "reason": "session_not_found"})), ["2", "31"]);
}

#[test]
fn what_a_client_chose_cannot_act_on_the_screen() {
    for hostile in [
        "\x1b[2J\x1b[1;1H",
        "\r\n12:00:00  admin",
        "\u{9b}31m",
        "a\u{202e}b",
        "\u{200b}",
        "\u{2028}",
        "\u{7f}\u{8}",
        "\u{85}",
        "\u{e0041}",
        "\u{feff}",
    ] {
        for key in ["method", "name", "scopes_needed", "detail", "time", "http_method", "reason", "end"] {
            for base in [
                json!({}),
                json!({"decision": "refused", "reason": "insufficient_scope"}),
                json!({"reason": "internal"}),
            ] {
                let mut more = base;
                more[key] = hostile.into();
                let line = written(&record(&more), PLAIN);
                let text = line.strip_suffix('\n').unwrap();
                let fine = |char: char| char.is_alphanumeric() || char.is_ascii_graphic() || " …".contains(char);
                assert!(text.chars().all(fine), "{key}: {line:?}");
            }
        }
        let principal = json!({"principal": {"subject": hostile}, "name": hostile.repeat(100), "method": "tools/call"});
        let line = written(&record(&principal), PLAIN);
        assert_eq!(line.lines().count(), 1, "{line:?}");
        assert_eq!(line.find("allowed").map(|at| line[..at].chars().count()), Some(56), "columns stay: {line:?}");
    }
}

#[test]
fn records_may_come_in_pieces_and_may_be_no_records() {
    let bytes = [record(&json!({"method": "ping"})), b"no json\n\n".to_vec(), record(&json!({"method": "tools/list"}))]
        .concat();
    let mut live = Live::new(Vec::new(), PLAIN);
    for byte in &bytes {
        live.write_all(&[*byte]).unwrap();
    }
    live.write_all(&vec![b'x'; RECORD_BYTES_MAX * 2]).unwrap();
    assert!(live.pending.len() <= RECORD_BYTES_MAX);
    live.write_all(b"\n").unwrap();
    let text = String::from_utf8(live.out).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
}

#[test]
fn the_welcome_holds_what_is_to_be_pasted() {
    let tokens = [("reader", "r.r.r".to_owned()), ("admin", "a.a.a".to_owned())];
    for (upstream, name) in [
        (Upstream::Notes("http://127.0.0.1:1/mcp".into()), "notes"),
        (Upstream::Own("http://127.0.0.1:1/x".into()), "demo"),
    ] {
        let plan = Plan { listen: "127.0.0.1:8080".parse().unwrap(), issuer: "http://127.0.0.1:9000".into(), upstream };
        let text = Welcome { plan: &plan, tokens: &tokens, written: None }.text(PLAIN);
        for expect in [
            &format!("claude mcp add --transport http {name} http://127.0.0.1:8080/mcp\n"),
            &format!(
                "code --add-mcp '{{\"name\":\"{name}\",\"type\":\"http\",\"url\":\"http://127.0.0.1:8080/mcp\"}}'\n"
            ),
            "npx @modelcontextprotocol/inspector --transport http --server-url http://127.0.0.1:8080/mcp\n",
            "\nREADER=r.r.r\nADMIN=a.a.a\ncurl -s http://127.0.0.1:8080/mcp -H \"Authorization: Bearer $READER\"",
            "--write gatepost.yaml",
            "For development on this machine only",
        ] {
            assert!(text.contains(expect), "{expect:?} is not in\n{text}");
        }
        assert!(!text.contains('\x1b'));
        assert!(Welcome { plan: &plan, tokens: &tokens, written: None }.text(COLOURED).contains("\x1b[1mGatepost"));
        assert!(text.lines().count() < 30);
    }
}

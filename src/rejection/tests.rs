//! The table of answers, row by row.

use serde_json::{Value, json};

use super::*;
use crate::mcp::message;
use crate::oauth::scope::Scope;

fn set(text: &str) -> ScopeSet {
    text.split_whitespace().map(|scope| Scope::parse(scope).unwrap()).collect()
}

fn insufficient() -> Denial {
    Denial::InsufficientScope {
        needed: set("mcp b"),
        challenge: set("mcp b a"),
        rule: RuleId::Rule { place: 1, line: 0, policy: None },
        message: None,
    }
}

fn never(undefined_method: bool) -> Denial {
    Denial::NotPermitted { rule: RuleId::Default, message: None, undefined_method }
}

fn id(json: &str) -> MessageId {
    let limits = message::ReadLimits { depth_max: 8, batch_max: 8 };
    let body = format!(r#"{{"jsonrpc":"2.0","method":"ping","id":{json}}}"#);
    match message::read(body.as_bytes(), limits).unwrap() {
        message::Body::One(message) => message.id.unwrap(),
        message::Body::Batch(_) => panic!("no batch"),
    }
}

/// One refusal of every kind, with what each must say: reason, status, code, level, detail.
fn rows() -> Vec<(Rejection, &'static str, u16, i32, Level, &'static str)> {
    use Failure as F;
    use Level::{Debug, Error, Warn};
    let bad = StatusCode::BAD_REQUEST;
    let detail = "why";
    let location = Some("https://elsewhere.example/".to_owned());
    vec![
        (F::MalformedRequest { status: bad, detail }.into(), "malformed_request", 400, 400, Debug, "why"),
        (
            F::MalformedRequest { status: StatusCode::URI_TOO_LONG, detail }.into(),
            "malformed_request",
            414,
            414,
            Debug,
            "why",
        ),
        (F::Misdirected.into(), "misdirected", 421, 421, Debug, ""),
        (F::NoRoute.into(), "no_route", 404, 404, Debug, ""),
        (F::MethodNotAllowed { allow: "POST" }.into(), "method_not_allowed", 405, 405, Debug, ""),
        (F::OriginNotAllowed.into(), "origin_not_allowed", 403, 403, Debug, ""),
        (F::MissingToken.into(), "missing_token", 401, 401, Debug, ""),
        (F::InvalidRequest.into(), "invalid_request", 400, 400, Debug, ""),
        (F::InvalidToken(TokenFault::Signature).into(), "invalid_token", 401, 401, Debug, "signature"),
        (F::SessionNotFound.into(), "session_not_found", 404, 404, Debug, ""),
        (F::BodyTooLarge.into(), "body_too_large", 413, 413, Debug, ""),
        (F::BodyTimeout.into(), "body_timeout", 408, 408, Debug, ""),
        (F::MediaType { detail }.into(), "media_type", 415, 415, Debug, "why"),
        (F::MalformedMessage { code: -32700, detail }.into(), "malformed_message", 400, -32700, Debug, "why"),
        (F::HeaderMismatch { detail }.into(), "header_mismatch", 400, -32020, Debug, "why"),
        (
            F::UnsupportedRevision { requested: "2031-01-01".to_owned() }.into(),
            "unsupported_revision",
            400,
            -32022,
            Debug,
            "2031-01-01",
        ),
        (insufficient().into(), "insufficient_scope", 403, 403, Debug, ""),
        (never(false).into(), "not_permitted", 403, 403, Debug, ""),
        (never(true).into(), "not_permitted", 404, -32601, Debug, "the revision does not define the method"),
        (F::RateLimited { retry_after_secs: 10, limit: "key" }.into(), "rate_limited", 429, 429, Debug, "key"),
        (F::KeysUnavailable { retry_after_secs: 5 }.into(), "keys_unavailable", 503, 503, Warn, ""),
        (F::Overloaded { retry_after_secs: 1, limit: "key" }.into(), "overloaded", 503, 503, Warn, "key"),
        (F::ShuttingDown { retry_after_secs: 1 }.into(), "shutting_down", 503, 503, Debug, ""),
        (F::UpstreamUnreachable { detail }.into(), "upstream_unreachable", 502, 502, Warn, "why"),
        (F::UpstreamTimeout { detail }.into(), "upstream_timeout", 504, 504, Warn, "why"),
        (F::UpstreamProtocol { detail, location: None }.into(), "upstream_protocol", 502, 502, Warn, "why"),
        (
            F::UpstreamProtocol { detail, location }.into(),
            "upstream_protocol",
            502,
            502,
            Warn,
            "why: https://elsewhere.example/",
        ),
        (F::UpstreamUnauthorized.into(), "upstream_unauthorized", 502, 502, Warn, ""),
        (F::Internal { detail }.into(), "internal", 500, 500, Error, "why"),
    ]
}

#[test]
fn every_refusal_has_its_row() {
    for (rejection, reason, status, code, level, detail) in rows() {
        assert_eq!(rejection.reason(), reason);
        assert_eq!(rejection.status().as_u16(), status, "{reason}");
        assert_eq!(rejection.code(), code, "{reason}");
        assert_eq!(rejection.level(), level, "{reason}");
        assert_eq!(rejection.detail(), detail, "{reason}");
    }
}

#[test]
fn the_list_of_reasons_is_the_table() {
    let rows = rows();
    for (reason, _) in REASONS {
        assert!(rows.iter().any(|row| row.1 == reason), "{reason} is listed but never given");
    }
    for (rejection, reason, status, ..) in &rows {
        let listed = REASONS.iter().find(|(listed, _)| listed == reason);
        assert!(listed.is_some_and(|(_, statuses)| statuses.contains(status)), "{reason} {status} is not listed");
        // A header value and a metric label.
        assert!(reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{reason}");
        assert!(rejection.status().is_client_error() || rejection.status().is_server_error());
    }
}

#[test]
fn bodies_are_json_rpc_errors() {
    for (rejection, reason, _, code, ..) in rows() {
        let body: Value = serde_json::from_slice(&rejection.to_json_rpc()).unwrap();
        assert_eq!(body["jsonrpc"], "2.0");
        assert_eq!(body["error"]["code"], code, "{reason}");
        assert_eq!(body["error"]["data"]["reason"], reason);
        assert_eq!(body["error"]["message"], &*rejection.message());
        assert!(body.get("id").is_none(), "{reason}");
        let members = body["error"]["data"].as_object().unwrap().len();
        let expect = match reason {
            "insufficient_scope" => 2,
            "unsupported_revision" => 3,
            _ => 1,
        };
        assert_eq!(members, expect, "{reason}");
    }
}

#[test]
fn what_the_code_asks_for_is_in_data() {
    let body: Value = serde_json::from_slice(&Rejection::from(insufficient()).to_json_rpc()).unwrap();
    assert_eq!(body["error"]["data"], json!({"reason": "insufficient_scope", "scopes": ["mcp", "b", "a"]}));

    let requested = "2031-01-01\"\n".to_owned();
    let rejection = Rejection::from(Failure::UnsupportedRevision { requested: requested.clone() });
    let body: Value = serde_json::from_slice(&rejection.to_json_rpc()).unwrap();
    let expect = json!({"reason": "unsupported_revision", "supported": ["2026-07-28"], "requested": requested});
    assert_eq!(body["error"]["data"], expect);
}

#[test]
fn the_id_is_given_back_as_written() {
    for json in ["1", "-7", "12345678901234567890", "\"a\"", "\"a\\n\\\"\"", "\"\""] {
        let rejection = Rejection::from(Failure::SessionNotFound).with_id(Some(id(json)));
        let body = String::from_utf8(rejection.to_json_rpc()).unwrap();
        assert!(body.starts_with(&format!(r#"{{"jsonrpc":"2.0","id":{json},"error":"#)), "{body}");
    }
}

#[test]
fn messages_say_what_to_do_and_nothing_of_the_token() {
    let faults = [
        (TokenFault::Malformed, "malformed"),
        (TokenFault::Algorithm, "algorithm"),
        (TokenFault::UnknownKey, "unknown_key"),
        (TokenFault::Signature, "signature"),
        (TokenFault::Expired, "expired"),
        (TokenFault::NotYetValid, "not_yet_valid"),
        (TokenFault::Issuer, "issuer"),
        (TokenFault::Audience, "audience"),
        (TokenFault::Type, "type"),
        (TokenFault::Claim, "claim"),
    ];
    let body = |fault| Rejection::from(Failure::InvalidToken(fault)).to_json_rpc();
    for (fault, word) in faults {
        assert_eq!(fault.as_str(), word);
        assert_eq!(body(fault), body(TokenFault::Malformed), "{word}");
    }
    for (rejection, reason, ..) in rows() {
        let message = rejection.message();
        assert!(message.len() > 30 && message.is_ascii(), "{reason}: {message}");
        // Clients search an answer for this text.
        assert!(!message.contains("scope="), "{reason}: {message}");
        assert!(!message.contains("elsewhere.example"), "{reason}: {message}");
    }
    let malformed = Failure::MalformedMessage { code: -32600, detail: "`method` must be a string" };
    assert_eq!(
        Rejection::from(malformed).message(),
        "The body is not the JSON-RPC message that was expected: `method` must be a string"
    );
}

#[test]
fn rules_are_named_as_in_the_file() {
    let check = |rule: RuleId, expect: &str| assert_eq!(rule.to_string(), expect);
    check(RuleId::Required, "required_scopes");
    check(RuleId::Rule { place: 3, line: 0, policy: None }, "rules[3]");
    check(RuleId::Rule { place: 3, line: 0, policy: Some(("readers".into(), 1)) }, "policies.readers[1]");
    check(RuleId::Default, "default");
    check(RuleId::BuiltIn, "built_in");
}

fn batch(json: &str) -> Asked {
    let limits = message::ReadLimits { depth_max: 8, batch_max: 8 };
    Asked::of(&message::read(json.as_bytes(), limits).unwrap(), None).unwrap()
}

/// Three messages, the middle one without an id.
const BATCH: &str = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/initialized"},
    {"jsonrpc":"2.0","id":"b","method":"ping"}]"#;

#[test]
fn a_batch_is_refused_by_its_worst_message_and_each_request_is_answered() {
    let other = || Denial::InsufficientScope {
        needed: set("mcp z"),
        challenge: set("mcp z"),
        rule: RuleId::Rule { place: 2, line: 0, policy: None },
        message: None,
    };
    let check = |denials: Vec<Option<Denial>>, reason: &str, codes: [i32; 2]| {
        let rejection = Rejection::of_denials(denials, &batch(BATCH));
        assert_eq!(rejection.reason(), reason);
        let body: Value = serde_json::from_slice(&rejection.to_json_rpc()).unwrap();
        let got: Vec<_> =
            body.as_array().unwrap().iter().map(|part| (part["id"].clone(), part["error"]["code"].clone())).collect();
        assert_eq!(got, [(json!(1), json!(codes[0])), (json!("b"), json!(codes[1]))]);
        rejection
    };
    let of_all = check(vec![Some(insufficient()), None, Some(other())], "insufficient_scope", [403, 403]);
    let Cause::Denial(Denial::InsufficientScope { needed, challenge, .. }) = &of_all.cause else { panic!() };
    let both = [needed, challenge].map(|set| set.iter().map(Scope::as_str).collect::<Vec<_>>().join(" "));
    assert_eq!(
        both.map(|text| text.split(' ').map(str::to_owned).collect::<std::collections::BTreeSet<_>>()),
        [["b", "mcp", "z"].map(str::to_owned).into(), ["a", "b", "mcp", "z"].map(str::to_owned).into()]
    );
    check(vec![Some(insufficient()), None, Some(never(false))], "not_permitted", [403, 403]);
    let not_sent = check(vec![None, None, Some(never(false))], "not_permitted", [403, 403]);
    let body: Value = serde_json::from_slice(&not_sent.to_json_rpc()).unwrap();
    assert_eq!(body[0]["error"]["message"], "Not sent on: another message of this batch was refused");
    check(vec![None, Some(never(false)), None], "not_permitted", [403, 403]);
    let hidden = || Denial::Hidden { unknown: Unknown::Tool, denial: Box::new(never(false)) };
    let hidden = check(vec![None, None, Some(hidden())], "not_permitted", [-32600, -32602]);
    assert_eq!(hidden.status(), 200);
    assert!(!String::from_utf8(hidden.to_json_rpc()).unwrap().contains("reason"));
}

#[test]
fn a_failure_answers_every_request_of_a_batch() {
    let answers = |json: &str| {
        let rejection = Rejection::from(Failure::SessionNotFound).answering(&batch(json));
        serde_json::from_slice::<Value>(&rejection.to_json_rpc()).unwrap()
    };
    let body = answers(BATCH);
    assert_eq!(
        body.as_array().unwrap().iter().map(|part| part["id"].clone()).collect::<Vec<_>>(),
        [json!(1), json!("b")]
    );
    let silent = answers(r#"[{"jsonrpc":"2.0","method":"notifications/initialized"}]"#);
    assert_eq!((&silent["id"], &silent["error"]["data"]["reason"]), (&Value::Null, &json!("session_not_found")));
}

#[test]
fn what_is_hidden_is_answered_as_by_a_server_that_lacks_it() {
    let check = |unknown: Unknown, denial: Denial, message: &str| {
        let rejection = Rejection::from(Denial::Hidden { unknown, denial: Box::new(denial) }).with_id(Some(id("7")));
        let expect = format!(r#"{{"jsonrpc":"2.0","id":7,"error":{{"code":-32602,"message":"{message}"}}}}"#);
        assert_eq!(String::from_utf8(rejection.to_json_rpc()).unwrap(), expect);
        assert_eq!(rejection.status(), 200);
    };
    check(Unknown::Tool, never(false), "Unknown tool");
    check(Unknown::Tool, insufficient(), "Unknown tool");
    check(Unknown::Prompt, never(false), "Unknown prompt");
    check(Unknown::Resource, insufficient(), "Resource not found");
}

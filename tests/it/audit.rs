//! What a record says: the rule and its line, the token without the token, the arguments without the arguments; and that
//! what a client sends stays within its string.

use aws_lc_rs::{digest, hmac};
use serde_json::{Value, json};

use crate::support::gateway::{HEAD, PATH, ROUTE, file, write_file};
use crate::support::{Reply, World, schema};

fn hex(bytes: impl AsRef<[u8]>) -> String {
    let digits = bytes.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from_digit(digit.into(), 16).unwrap()).collect()
}

/// A file with these lines under `audit`.
fn audited(lines: &str) -> String {
    format!("{HEAD}audit: {{{lines}}}\n{ROUTE}")
}

/// A call with these arguments, as text.
fn call(tool: &str, arguments: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments": {arguments} }}}}"#
    )
}

async fn post(world: &World, body: &str) -> Reply {
    world.client.post(PATH, body).token(&world.token("mcp tools:read")).send().await
}

#[tokio::test]
async fn a_record_names_the_rule_and_its_line_in_the_file() {
    let mut world = World::standard().await;
    let text = file("");
    let line = |of: &str| text.lines().position(|line| line.contains(of)).unwrap() + 1;
    let mut check = async |tool: &str, rule: &str, at: Option<usize>| {
        world.mcp.permit(usize::from(rule == "rules[0]"));
        world.call_tool("mcp tools:read", tool).await;
        let record = world.record().await;
        assert_eq!((&record["rule"], &record["rule_line"]), (&json!(rule), &json!(at)), "{record}");
    };
    check("get_x", "rules[0]", Some(line("[get_*, list_*]"))).await;
    check("create_issue", "rules[1]", Some(line("[create_issue]"))).await;
    check("delete_everything", "rules[3]", Some(line("[delete_everything]"))).await;
    check("unheard_of", "default", None).await;
    let batch = format!("[{},{}]", call("get_x", "{}"), call("delete_everything", "{}"));
    post(&world, &batch).await;
    let record = world.record().await;
    assert_eq!(record["rule_line"], line("[delete_everything]"));
    let lines = [0, 1].map(|place| record["operations"][place]["rule_line"].clone());
    assert_eq!(lines, [line("[get_*, list_*]"), line("[delete_everything]")].map(Value::from));
    world.mcp.next().await;
    world.finish().await;
}

#[tokio::test]
async fn a_record_says_which_token_it_was_and_helps_nobody_to_one() {
    let mut world = World::standard().await;
    let prefix = |token: &str| hex(digest::digest(&digest::SHA256, token.as_bytes()))[..16].to_owned();
    let good = world.issuer.token().aud(world.url(PATH)).scope("mcp");
    let mut check = async |token: &str, reason: &str, jti: Option<&str>| {
        world.client.get(PATH).header("Mcp-Session-Id", "none").token(token).send().await;
        let record = world.record().await;
        let mut expect = json!({"digest": prefix(token)});
        if let Some(jti) = jti {
            expect["jti"] = json!(jti);
        }
        assert_eq!((&record["reason"], &record["token"]), (&json!(reason), &expect), "{record}");
        assert_eq!(record["principal"].is_object(), reason == "session_not_found");
    };
    check(&good.clone().mint(), "session_not_found", Some("t-1")).await;
    check(&good.clone().claim("jti", "\u{9b}x").mint(), "session_not_found", Some("\u{9b}x")).await;
    check(&good.clone().claim("jti", 7).mint(), "session_not_found", None).await;
    // What is not validated says nothing of itself.
    check(&good.clone().claim("exp", 1).mint(), "invalid_token", None).await;
    check("x.y", "invalid_token", None).await;
    world.client.get(PATH).send().await;
    assert_eq!(world.record().await["token"], Value::Null);
    world.finish().await;
}

#[tokio::test]
async fn arguments_are_digested_as_they_were_sent_and_not_written() {
    let key = write_file(&hex([7_u8; 32]));
    let mut world = World::start(&audited(&format!("digest_key: {{file: {}}}", key.display()))).await;
    let keyed = |text: &str| hex(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[7; 32]), text.as_bytes()));
    let sent = ["{}", "{\"owner\":  \"acme\"}", "{\"owner\":\"\\u0061cme\"}", "{ \"deep\": [{\"a\":1e5}]\n}"];
    for arguments in sent {
        world.mcp.permit(1);
        assert_eq!(post(&world, &call("get_x", arguments)).await.status, 200);
        let record = world.record().await;
        assert_eq!(record["arguments_digest"], keyed(arguments), "{arguments}");
        assert!(record.get("arguments").is_none() && !record.to_string().contains("acme"), "{record}");
        world.mcp.next().await;
    }
    world.mcp.permit(1);
    post(&world, &format!("[{},{}]", call("get_x", sent[0]), call("get_y", sent[1]))).await;
    let record = world.record().await;
    assert_eq!(record["operations"][0]["arguments_digest"], keyed(sent[0]));
    assert_eq!(record["operations"][1]["arguments_digest"], keyed(sent[1]));
    assert!(record.get("arguments_digest").is_none());
    world.mcp.next().await;
    world.mcp.permit(1);
    world.message("mcp", "tools/list", json!({})).await;
    assert!(world.record().await.get("arguments_digest").is_none(), "none were given");
    world.mcp.next().await;
    world.finish().await;
}

#[tokio::test]
async fn a_key_that_is_made_at_start_tells_equal_arguments_from_others() {
    let mut world = World::standard().await;
    let mut digests = Vec::new();
    for arguments in ["{\"a\":1}", "{\"a\":1}", "{\"a\":2}"] {
        world.mcp.permit(1);
        post(&world, &call("get_x", arguments)).await;
        digests.push(world.record().await["arguments_digest"].as_str().unwrap().to_owned());
        world.mcp.next().await;
    }
    assert_eq!(digests[0], digests[1]);
    assert_ne!(digests[0], digests[2]);
    assert_ne!(digests[0], hex(digest::digest(&digest::SHA256, b"{\"a\":1}")), "nobody can find them by guessing");
    world.finish().await;
}

#[tokio::test]
async fn arguments_are_written_where_the_file_asks_for_them_and_stay_within_their_line() {
    let mut world = World::start(&audited("arguments: true")).await;
    let evil = "{\"a\":\"x\\n{\\\"event\\\":1}\u{9b}2J\u{2028}\u{202e}\",\r\n\"b\":\"\u{7f}\"}";
    let long = format!("{{\"a\":\"{}\"}}", "\u{e9}".repeat(20_000));
    for (arguments, cut) in [("{}", false), (evil, false), (&long, true)] {
        world.mcp.permit(1);
        post(&world, &call("get_x", arguments)).await;
        let record = world.record().await;
        let written = record["arguments"].as_str().unwrap();
        assert!(arguments.starts_with(written) && (written.len() == arguments.len()) != cut, "{record}");
        assert!(!cut || (16_380..=16_384).contains(&written.len()), "{}", written.len());
        assert_eq!(record.get("arguments_cut"), cut.then_some(&json!(true)));
        assert!(record["arguments_digest"].is_string());
        world.mcp.next().await;
    }
    // A refused call has them too: what was tried matters most.
    post(&world, &call("delete_everything", "{\"really\":true}")).await;
    assert_eq!(world.record().await["arguments"], "{\"really\":true}");
    world.finish().await;
}

#[tokio::test]
async fn the_schema_refuses_what_is_no_record() {
    let mut world = World::standard().await;
    world.client.get(PATH).send().await;
    let record = world.record().await;
    let check = |change: &dyn Fn(&mut Value)| {
        let mut record = record.clone();
        change(&mut record);
        assert!(std::panic::catch_unwind(|| schema::check(&record)).is_err(), "{record}");
    };
    check(&|record| record["unheard_of"] = json!(1));
    check(&|record| record["decision"] = json!("maybe"));
    check(&|record| record["reason"] = json!("because"));
    check(&|record| record["status"] = json!("401"));
    check(&|record| record["bytes_in"] = json!(-1));
    check(&|record| record["schema"] = json!(2));
    check(&|record| record["route"] = Value::Null);
    check(&|record| record["token"] = json!({"jti": "x"}));
    check(&|record| record["operations"] = json!([{"method": "ping", "more": 1}]));
    check(&|record| drop(record.as_object_mut().unwrap().remove("request_id")));
    world.finish().await;
}

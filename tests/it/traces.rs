//! Traces: what a collector and the MCP server see of a request, and that no request waits for a collector.

use std::collections::BTreeMap;

use gatepost::gateway::telemetry::{ATTRIBUTES, Counts};
use gatepost::token::clock::Clock;
use serde_json::json;

use crate::cli::Served;
use crate::support::collector::{Collector, Seen, Verdict};
use crate::support::gateway::{PATH, file, write_file};
use crate::support::tls::Identity;
use crate::support::{Answer, AuthorizationServer, McpServer, World};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// The standard file with this telemetry.
async fn world(telemetry: &str) -> World {
    World::start(&format!("{telemetry}{}", file(""))).await
}

fn parent(flags: &str) -> String {
    format!("00-{TRACE}-{CALLER}-{flags}")
}

/// The spans below the request's, by name.
fn stages(spans: &[Seen]) -> Vec<&str> {
    let [request, stages @ ..] = spans else { panic!("no spans") };
    let mut ids: Vec<&str> = spans.iter().map(|span| span.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), spans.len(), "each span has an id of its own: {spans:#?}");
    let (mut now, end) = request.times;
    for stage in stages {
        assert_eq!((&stage.parent, stage.flags), (&request.id, 0x101), "{stage:?}");
        assert!(now <= stage.times.0 && stage.times.0 <= stage.times.1 && stage.times.1 <= end, "{spans:#?}");
        now = stage.times.1;
    }
    stages.iter().map(|stage| stage.name.as_str()).collect()
}

#[tokio::test]
async fn a_call_is_seen_whole_by_the_collector_and_by_the_server() {
    for protocol in ["grpc", "http"] {
        let mut collector = Collector::up();
        let mut world = world(&collector.telemetry(protocol, "")).await;
        world.mcp.permit(1);
        let call = world.client.tool(PATH, "get_x").token(&world.token("mcp tools:read"));
        let call = call.header("traceparent", &parent("01")).header("tracestate", "vendor=1");
        call.send().await.passed();
        let record = world.record().await;
        assert_eq!(record["trace_id"], TRACE);

        let spans = collector.trace(TRACE).await;
        assert_eq!(stages(&spans), ["authenticate", "inspect", "authorize", "forward", "filter"]);
        let (request, forward) = (&spans[0], &spans[4]);
        assert_eq!((request.name.as_str(), request.kind, &request.error), ("tools/call get_x", "SERVER", &None));
        assert_eq!((request.parent.as_str(), request.flags, request.state.as_str()), (CALLER, 0x301, "vendor=1"));
        let client = record["peer"].as_str().unwrap().rsplit_once(':').unwrap();
        let upstream = world.mcp.address();
        let caller = &record["principal"];
        let expect = [
            ("mcp.method.name", "tools/call"),
            ("gen_ai.operation.name", "execute_tool"),
            ("gen_ai.tool.name", "get_x"),
            ("jsonrpc.request.id", "7"),
            ("http.request.method", "POST"),
            ("http.route", PATH),
            ("http.response.status_code", "200"),
            ("network.protocol.name", "http"),
            ("network.protocol.version", "1.1"),
            ("network.transport", "tcp"),
            ("client.address", client.0),
            ("client.port", client.1),
            ("enduser.id", caller["subject"].as_str().unwrap()),
            ("gatepost.client", caller["client"].as_str().unwrap()),
            ("gatepost.request_id", record["request_id"].as_str().unwrap()),
            ("gatepost.route", "standard"),
            ("gatepost.surface", "mcp"),
            ("gatepost.decision", "allowed"),
            ("gatepost.rule", record["rule"].as_str().unwrap()),
        ];
        let expect: BTreeMap<String, String> = expect.map(|(key, text)| (key.to_owned(), text.to_owned())).into();
        assert_eq!(request.attributes, expect);
        let port = upstream.port().to_string();
        let expect = [
            ("http.request.method", "POST"),
            ("http.response.status_code", "200"),
            ("server.address", "127.0.0.1"),
            ("server.port", &port),
        ];
        let expect: BTreeMap<String, String> = expect.map(|(key, text)| (key.to_owned(), text.to_owned())).into();
        assert_eq!((forward.kind, &forward.attributes), ("CLIENT", &expect));
        assert!(spans[1..4].iter().all(|span| span.kind == "INTERNAL" && span.attributes.is_empty()), "{spans:#?}");

        let seen = world.mcp.next().await;
        assert_eq!(seen.header("traceparent").unwrap(), format!("00-{TRACE}-{}-01", forward.id));
        assert_eq!(seen.header("tracestate"), Some("vendor=1"));
        world.finish().await;
    }
}

#[tokio::test]
async fn the_context_of_meta_is_a_parent_too_and_stays_in_the_body_as_it_was() {
    let mut collector = Collector::up();
    let world = world(&collector.telemetry("grpc", "")).await;
    let other = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01";
    let params = json!({"name": "get_x", "_meta": {"traceparent": other, "tracestate": "a=1"}});
    let call = || world.client.call(PATH, "tools/call", &params).token(&world.token("mcp tools:read"));
    world.mcp.permit(2);
    call().send().await.passed();
    let seen = world.mcp.next().await;
    assert_eq!(seen.json()["params"]["_meta"]["traceparent"], other);
    let spans = collector.trace(&"a".repeat(32)).await;
    assert_eq!((spans[0].parent.as_str(), spans[0].state.as_str()), ("bbbbbbbbbbbbbbbb", "a=1"));
    assert_eq!(seen.header("traceparent").unwrap(), format!("00-{}-{}-01", "a".repeat(32), spans[4].id));
    assert_eq!(seen.header("tracestate"), Some("a=1"));

    // A header goes before it.
    call().header("traceparent", &parent("01")).send().await.passed();
    assert_eq!(collector.trace(TRACE).await[0].parent, CALLER);
    world.finish().await;
}

#[tokio::test]
async fn a_refused_request_says_why_and_where() {
    let mut collector = Collector::up();
    let mut world = world(&collector.telemetry("http", "")).await;
    let reply = world.call_tool("mcp tools:read", "delete_everything").await;
    let (_, record) = world.refused(&reply, 403, "not_permitted").await;
    let spans = collector.trace(record["trace_id"].as_str().unwrap()).await;
    assert_eq!(stages(&spans), ["authenticate", "inspect", "authorize"]);
    // Denied names are the caller's own: as names of spans there would be any number of them.
    assert_eq!((spans[0].name.as_str(), spans[0].says("gen_ai.tool.name")), ("tools/call", "delete_everything"));
    assert_eq!((spans[0].parent.as_str(), spans[0].flags), ("", 0x101));
    for (key, text) in [
        ("error.type", "not_permitted"),
        ("gatepost.reason", "not_permitted"),
        ("gatepost.decision", "refused"),
        ("gatepost.rule", record["rule"].as_str().unwrap()),
        ("rpc.response.status_code", &reply.json()["error"]["code"].to_string()),
        ("http.response.status_code", "403"),
    ] {
        assert_eq!(spans[0].says(key), text, "{key}");
    }
    let errors: Vec<Option<&str>> = spans.iter().map(|span| span.error.as_deref()).collect();
    assert_eq!(errors, [Some("not_permitted"), None, None, Some("not_permitted")]);
    assert_eq!(spans[3].says("error.type"), "not_permitted");

    let check = async |world: &mut World, collector: &mut Collector, name: &str, error: &str| {
        let record = world.record().await;
        let spans = collector.trace(record["trace_id"].as_str().unwrap()).await;
        assert_eq!((spans[0].name.as_str(), spans[0].says("error.type")), (name, error), "{spans:#?}");
        spans
    };
    world.client.tool(PATH, "get_x").send().await.refused(401, "missing_token");
    check(&mut world, &mut collector, "POST /mcp", "missing_token").await;
    world.client.tool("/nowhere", "get_x").send().await.refused(404, "no_route");
    let spans = check(&mut world, &mut collector, "POST", "no_route").await;
    assert_eq!((spans.len(), spans[0].says("http.route")), (1, ""));
    world.message("mcp", "made/up", json!({})).await.refused(403, "not_permitted");
    let spans = check(&mut world, &mut collector, "POST /mcp", "not_permitted").await;
    assert_eq!(spans[0].says("mcp.method.name"), "made/up");
    assert_eq!(world.client.get("/.well-known/oauth-protected-resource/mcp").send().await.status, 200);
    let spans = check(&mut world, &mut collector, "GET /.well-known/oauth-protected-resource/mcp", "").await;
    assert_eq!((spans.len(), spans[0].says("gatepost.surface")), (1, "metadata"));
    world.finish().await;
}

#[tokio::test]
async fn what_fails_behind_us_is_an_error_of_forward() {
    let mut collector = Collector::up();
    let mut world = world(&collector.telemetry("grpc", "")).await;
    world.mcp.permit(3);
    let check = async |world: &mut World, collector: &mut Collector, request: &str, forward: &str| {
        let record = world.record().await;
        let spans = collector.trace(record["trace_id"].as_str().unwrap()).await;
        assert_eq!((spans[0].says("error.type"), spans[4].says("error.type")), (request, forward), "{spans:#?}");
        assert_eq!(spans[4].name, "forward");
        spans
    };
    world.mcp.answer(Answer::vanish());
    world.call_tool("mcp tools:read", "get_x").await.refused(502, "upstream_protocol");
    check(&mut world, &mut collector, "upstream_protocol", "upstream_protocol").await;
    world.mcp.answer(Answer::status(503));
    let call = world.client.tool(PATH, "get_x").token(&world.token("mcp tools:read"));
    assert_eq!(call.clone().passed_through().send().await.status, 503);
    check(&mut world, &mut collector, "503", "503").await;
    world.mcp.answer(Answer::text("text/event-stream", "data: {}\n\n").cut_short());
    drop(call.send().await);
    assert_eq!(world.record().await["event"], "opened");
    let spans = check(&mut world, &mut collector, "upstream_cut", "").await;
    assert_eq!((spans[0].says("gatepost.end"), spans[0].error.as_deref()), ("upstream_cut", Some("upstream_cut")));
    world.finish().await;
}

#[tokio::test]
async fn the_callers_word_and_the_ratio_say_what_is_recorded() {
    let mut collector = Collector::up();
    let mut world = world(&collector.telemetry("http", ", sample_ratio: 0")).await;
    let call = || world.client.tool(PATH, "get_x").token(&world.token("mcp tools:read"));
    world.mcp.permit(4);
    // Not recorded by the caller: not by us, and the server hears of it.
    call().header("traceparent", &parent("00")).send().await.passed();
    let carried = world.mcp.next().await;
    let carried = carried.header("traceparent").unwrap();
    assert!(carried.starts_with(&format!("00-{TRACE}-")) && carried.ends_with("-00"), "{carried}");
    assert!(!carried.contains(CALLER), "{carried}");
    // Begun here, with a ratio of nothing; what is no context is not passed on as one.
    for wrong in ["00-0-0-01".to_owned(), parent("01").to_uppercase()] {
        call().header("traceparent", &wrong).header("tracestate", "a=1").send().await.passed();
        let seen = world.mcp.next().await;
        let carried = seen.header("traceparent").unwrap();
        assert!(carried.len() == 55 && carried.ends_with("-00") && !carried.contains(TRACE), "{carried}");
        assert_eq!(seen.header("tracestate"), None);
    }
    let recorded = "c".repeat(32);
    call().header("traceparent", &format!("00-{recorded}-{CALLER}-01")).send().await.passed();
    let ids =
        [world.record().await, world.record().await, world.record().await].map(|record| record["trace_id"].clone());
    assert_eq!(ids[0], TRACE);
    assert!(ids[1].as_str().unwrap().len() == 32 && ids[1] != ids[2], "{ids:?}");
    collector.trace(&recorded).await;
    assert_eq!(collector.traces(), [&recorded]);
    world.finish().await;
}

#[tokio::test]
async fn without_telemetry_contexts_pass_as_they_came_and_none_is_made_up() {
    let mut world = World::standard().await;
    let call = || world.client.tool(PATH, "get_x").token(&world.token("mcp tools:read"));
    world.mcp.permit(2);
    call().header("traceparent", &parent("01")).header("tracestate", "a=1").send().await.passed();
    let seen = world.mcp.next().await;
    assert_eq!((seen.header("traceparent"), seen.header("tracestate")), (Some(parent("01").as_str()), Some("a=1")));
    call().send().await.passed();
    assert_eq!(world.mcp.next().await.header("traceparent"), None);
    assert!(world.telemetry().is_none());
    assert_eq!(world.record().await["trace_id"], TRACE);
    assert!(world.record().await.get("trace_id").is_none());
    world.finish().await;
}

#[tokio::test]
async fn a_dead_collector_costs_no_request_and_gets_what_was_kept_when_it_is_back() {
    for protocol in ["grpc", "http"] {
        let mut collector = Collector::down();
        let mut world = world(&collector.telemetry(protocol, "")).await;
        world.mcp.permit(20);
        for _ in 0..20 {
            world.call_tool("mcp tools:read", "get_x").await.passed();
        }
        let mut id = String::new();
        for _ in 0..20 {
            world.record().await["trace_id"].as_str().unwrap().clone_into(&mut id);
        }
        assert_eq!(world.telemetry().unwrap().counts(), Counts::default());
        collector.come_up();
        collector.trace(&id).await;
        world.finish().await;
    }
}

#[tokio::test]
async fn a_batch_is_sent_again_where_that_may_help_and_is_counted_where_not() {
    for protocol in ["grpc", "http"] {
        let mut collector = Collector::up();
        // None before: what the beginning of a world sends may be one batch or several.
        let mut world = World::start_with(
            &format!("{}{}", collector.telemetry(protocol, ""), file("")),
            AuthorizationServer::down(),
            McpServer::up(),
            Clock::system(),
        )
        .await;
        let telemetry = world.telemetry().unwrap();
        let mut refuse = async |verdicts: &[Verdict], collector: &mut Collector| {
            for verdict in verdicts {
                collector.answer(*verdict);
            }
            world.client.get("/nowhere").send().await.refused(404, "no_route");
            let id = world.record().await["trace_id"].as_str().unwrap().to_owned();
            for _ in verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Later)) {
                collector.batch().await;
            }
            collector.trace(&id).await;
        };
        refuse(&[Verdict::Later, Verdict::AllBut(0)], &mut collector).await;
        refuse(&[Verdict::No], &mut collector).await;
        refuse(&[Verdict::AllBut(1)], &mut collector).await;
        refuse(&[], &mut collector).await;
        let task = tokio::task::spawn_blocking(move || {
            telemetry.flush();
            telemetry.counts()
        });
        assert_eq!(task.await.unwrap(), Counts { delivered: 2, dropped: 0, lost: 2 }, "{protocol}");
        world.finish().await;
    }
}

#[tokio::test]
async fn a_connection_on_which_nothing_comes_back_is_not_used_again() {
    for protocol in ["grpc", "http"] {
        let mut collector = Collector::up();
        collector.answer(Verdict::Hang);
        let world = world(&collector.telemetry(protocol, ", timeout_secs: 1")).await;
        let (first, again) = (collector.batch().await, collector.batch().await);
        assert_ne!(first.connection, again.connection, "{protocol}");
        world.finish().await;
    }
}

#[tokio::test]
async fn a_collector_behind_https_is_checked_and_shown_its_headers() {
    let identity = Identity::new();
    for protocol in ["grpc", "http"] {
        let mut collector = Collector::up();
        let relay = identity.in_front_of(collector.address()).await;
        let secret = write_file("Bearer of-a-collector\n");
        let path = if protocol == "http" { "/otlp" } else { "" };
        let telemetry = format!(
            "telemetry:\n  service_name: edge\n  otlp:\n    endpoint: https://{}{path}\n    protocol: {protocol}\n    ca: {}\n    \
             headers: {{authorization: {{file: {}}}}}\n",
            relay.address,
            identity.certificate.display(),
            secret.display(),
        );
        let world = world(&telemetry).await;
        let batch = collector.batch().await;
        assert_eq!(batch.headers["authorization"], "Bearer of-a-collector");
        assert_eq!(batch.headers["user-agent"], concat!("gatepost/", env!("CARGO_PKG_VERSION")));
        let resource: Vec<&str> = batch.resource.keys().map(String::as_str).collect();
        assert_eq!(resource, ["service.instance.id", "service.name", "service.version"]);
        assert_eq!(batch.resource["service.name"], "edge");
        world.finish().await;
    }
    // Somebody else's certificate gets nothing.
    let collector = Collector::up();
    let relay = identity.in_front_of(collector.address()).await;
    let endpoint = format!("https://{}", relay.address);
    let ca = Identity::new().certificate;
    let world = world(&format!("telemetry: {{otlp: {{endpoint: \"{endpoint}\", ca: \"{}\"}}}}\n", ca.display())).await;
    let telemetry = world.telemetry().unwrap();
    let counts = tokio::task::spawn_blocking(move || {
        telemetry.flush();
        telemetry.counts()
    });
    let counts = counts.await.unwrap();
    assert!(counts.lost > 0 && counts.delivered == 0, "{counts:?}");
    world.finish().await;
    assert!(collector.traces().is_empty());
}

#[tokio::test]
async fn a_reload_keeps_the_way_to_the_collector_unless_the_file_names_another() {
    let (mut first, mut second) = (Collector::up(), Collector::up());
    let mut world = world(&first.telemetry("grpc", "")).await;
    let before = world.telemetry();
    let instance = first.batch().await.resource["service.instance.id"].clone();
    let changed = format!("{}limits: {{headers_max: 99}}\n{}", first.telemetry("grpc", ""), file(""));
    world.reload(&changed).await.unwrap();
    assert_eq!(world.telemetry(), before);

    let refuse = async |world: &mut World| {
        world.client.get("/nowhere").send().await.refused(404, "no_route");
        world.record().await["trace_id"].as_str().map(str::to_owned)
    };
    let for_the_first = refuse(&mut world).await.unwrap();
    world.reload(&format!("{}{}", second.telemetry("http", ""), file(""))).await.unwrap();
    assert_ne!(world.telemetry(), before);
    let for_the_second = refuse(&mut world).await.unwrap();
    // What is queued goes where it was meant to, and the process is the same.
    drop(before);
    first.trace(&for_the_first).await;
    assert_eq!(second.batch().await.resource["service.instance.id"], instance);
    second.trace(&for_the_second).await;
    assert!(!first.traces().contains(&for_the_second.as_str()));

    world.reload(&file("")).await.unwrap();
    assert_eq!((refuse(&mut world).await, world.telemetry()), (None, None));
    world.finish().await;
}

#[tokio::test]
async fn what_is_queued_when_the_process_stops_is_still_sent() {
    let mut collector = Collector::up();
    let telemetry = collector.telemetry("grpc", "");
    let ran = tokio::task::spawn_blocking(move || {
        let served = Served::with(&telemetry);
        assert!(served.get("/nowhere").starts_with("HTTP/1.1 404"));
        served.stop()
    });
    let (code, audit) = ran.await.unwrap();
    assert_eq!(code, Some(0));
    let record: serde_json::Value = serde_json::from_str(audit.trim_end()).unwrap();
    assert_eq!(collector.trace(record["trace_id"].as_str().unwrap()).await[0].name, "GET");
}

#[test]
fn the_table_of_attributes_is_the_documented_one() {
    let page = include_str!("../../docs/traces.md");
    let rows: Vec<&str> =
        page.lines().filter(|line| line.starts_with("| `") && line.matches(" | ").count() == 2).collect();
    let expect: Vec<String> =
        ATTRIBUTES.iter().map(|(key, spans, meaning)| format!("| `{key}` | {spans} | {meaning} |")).collect();
    assert_eq!(rows, expect);
}

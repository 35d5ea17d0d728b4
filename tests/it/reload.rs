//! Another file takes over: no request is lost or decided by halves, what it does not concern lives on, and what is gone ends.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gatepost::token::clock::Clock;
use serde_json::{Value, json};

use crate::support::gateway::{HEAD, PATH, ROUTE, file, filled, write_file};
use crate::support::mcp_server::event;
use crate::support::tls::Identity;
use crate::support::{Answer, AuthorizationServer, End, McpServer, Program, World, within};

/// A route beside the standard one.
const OTHER: &str = "
  - name: other
    path: /other
    upstream: {upstream}
    rules: [{tools: [\"*\"], allow: true}]
";

fn two_routes() -> String {
    format!("{HEAD}{ROUTE}{}", OTHER.trim_start_matches('\n'))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_files_come_and_go() {
    let world = World::standard().await;
    world.mcp.permit(1_000_000);
    let token = world.token("mcp tools:read");
    let (done, mut calls) = (Arc::new(AtomicBool::new(false)), tokio::task::JoinSet::new());
    for by_h2 in [false, false, true, false] {
        let (client, token, done) = (world.client.clone(), token.clone(), Arc::clone(&done));
        calls.spawn(async move {
            let mut count = 0;
            while !done.load(Ordering::SeqCst) {
                let call = client.tool(PATH, "get_x").token(&token);
                let reply = if by_h2 { call.send_h2().await } else { call.send().await };
                assert_eq!((reply.status, reply.end), (200, End::Clean), "{reply:?}");
                count += 1;
            }
            count
        });
    }
    let connection = world.client.wire().await;
    let mut kept = Some(connection);
    for n in 0..50 {
        let good =
            if n % 4 == 0 { two_routes() } else { format!("{}limits: {{headers_max: {}}}\n", file(""), 100 + n) };
        assert_eq!(world.reload(&good).await, Ok(()));
        assert!(world.reload("listen: [").await.is_err());
        let call = world.client.tool(PATH, "get_x").token(&token);
        let (reply, wire) = call.send_on(kept.take().unwrap()).await;
        reply.passed();
        kept = Some(wire);
    }
    done.store(true, Ordering::SeqCst);
    while let Some(count) = calls.join_next().await {
        assert!(count.unwrap() > 0);
    }
    let reloads = world.serving().reloads();
    assert_eq!((reloads.succeeded(), reloads.failed()), (50, 50));
    drop(kept);
    world.finish().await;
}

#[tokio::test]
async fn what_is_under_way_keeps_the_file_it_began_with() {
    let mut world = World::standard().await;
    let (answer, stream) = Answer::stream();
    let (lasting, messages) = Answer::stream();
    world.mcp.permit(2);
    world.mcp.answer(answer);
    let token = world.token("mcp tools:read");
    let mut call = world.client.tool(PATH, "get_x").token(&token).open().await;
    world.mcp.answer(lasting);
    let mut opened = world.client.get(PATH).token(&token).open().await;
    // Its body is not there before the file that denies it is.
    let held = world.client.tool(PATH, "get_x").token(&token);
    world.mcp.permit(1);
    let held = held.send_all_but(5).await;
    world.client.tool(PATH, "delete_everything").token(&token).send().await.refused(403, "not_permitted");

    let denied =
        file("").replace("tools: [get_*, list_*]\n        scopes: [tools:read]", "tools: [get_*]\n        deny: true");
    assert_eq!(world.reload(&denied).await, Ok(()));
    world.client.tool(PATH, "get_x").token(&token).send().await.refused(403, "not_permitted");
    held.finish().await.passed();
    let result = json!({"jsonrpc": "2.0", "id": 7, "result": {"content": []}});
    stream.event(&result).await;
    assert_eq!(call.event().await.unwrap(), event(&result));
    stream.end().await;
    assert_eq!(call.end().await, End::Clean);
    let note = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": 1}});
    messages.event(&note).await;
    assert_eq!(opened.event().await.unwrap(), event(&note));
    messages.end().await;
    assert_eq!(opened.end().await, End::Clean);
    for _ in 0..4 {
        world.record().await;
    }
    world.finish().await;
}

#[tokio::test]
async fn what_is_not_decided_yet_when_its_route_goes_is_refused() {
    let mut world = World::standard().await;
    let token = world.token("mcp tools:read");
    let held = world.client.tool(PATH, "get_x").token(&token).send_all_but(5).await;
    world.client.tool(PATH, "delete_everything").token(&token).send().await.refused(403, "not_permitted");
    assert_eq!(world.reload(&file("").replace("path: /mcp", "path: /elsewhere")).await, Ok(()));
    held.finish().await.refused(401, "invalid_token");
    assert_eq!(world.mcp.arrived(), 0);
    for _ in 0..2 {
        world.record().await;
    }
    world.finish().await;
}

/// A stream that the client opens with GET, on the route at `path`.
async fn listen(world: &World, path: &str, token: &str) -> crate::support::client::Opened {
    let (answer, control) = Answer::stream();
    world.mcp.permit(1);
    world.mcp.answer(answer);
    let opened = world.client.get(path).token(token).open().await;
    assert_eq!(opened.status, 200);
    std::mem::forget(control);
    opened
}

/// The `closed` among the next records.
async fn closed(world: &mut World) -> Value {
    loop {
        let record = world.record().await;
        if record["event"] == "closed" {
            return record;
        }
    }
}

#[tokio::test]
async fn a_route_that_is_gone_is_not_found_and_its_streams_end() {
    let mut world = World::start(&two_routes()).await;
    let stays = world.token("mcp");
    let goes = world.issuer.token().aud(world.url("/other")).scope("mcp").mint();
    let (mut kept, ends) = (listen(&world, PATH, &stays).await, listen(&world, "/other", &goes).await);
    assert_eq!(world.reload(&file("")).await, Ok(()));
    assert_eq!(ends.end().await, End::Clean);
    let record = closed(&mut world).await;
    assert_eq!((&record["end"], &record["route"]), (&json!("reloaded"), &json!("other")));
    let reply = world.client.tool("/other", "x").token(&goes).send().await;
    world.refused(&reply, 404, "no_route").await;

    // Under another path it is another resource.
    assert_eq!(world.reload(&file("").replace("path: /mcp", "path: /elsewhere")).await, Ok(()));
    assert_eq!(kept.event().await, None);
    assert_eq!(closed(&mut world).await["end"], "reloaded");
    world.finish().await;
}

#[tokio::test]
async fn an_issuer_that_is_gone_is_not_believed_and_its_streams_end() {
    let second = AuthorizationServer::up();
    let both = file("")
        .replace("  - issuer: {issuer}\n", &format!("  - issuer: {{issuer}}\n  - issuer: {}\n", second.issuer()));
    let mut world = World::start(&both).await;
    let token = second.token().aud(world.url(PATH)).scope("mcp tools:read").mint();
    world.keys_arrived_with(&token).await;
    let ends = listen(&world, PATH, &token).await;
    let stays = listen(&world, PATH, &world.token("mcp")).await;
    world.mcp.permit(1);
    world.client.tool(PATH, "get_x").token(&token).send().await.passed();

    assert_eq!(world.reload(&file("")).await, Ok(()));
    assert_eq!(ends.end().await, End::Clean);
    assert_eq!(closed(&mut world).await["end"], "reloaded");
    let reply = world.client.tool(PATH, "get_x").token(&token).send().await;
    world.refused(&reply, 401, "invalid_token").await;
    drop(stays);
    assert_eq!(closed(&mut world).await["end"], "client_gone");
    world.finish().await;
}

#[tokio::test]
async fn what_a_reload_does_not_concern_lives_on() {
    let mut world = World::standard().await;
    world.mcp.permit(3);
    let token = world.token("mcp tools:read");
    let opened =
        world.client.call(PATH, "initialize", &json!({"protocolVersion": "2025-06-18"})).token(&token).send().await;
    let session = opened.passed().header("mcp-session-id").unwrap().to_owned();
    let (fetches, connections) = (world.issuer.fetches(), world.mcp.connections());
    // With its issuer down, it is down for whoever must fetch.
    world.issuer.go_down().await;
    assert_eq!(world.reload(&two_routes()).await, Ok(()));
    world.client.tool(PATH, "get_x").header("Mcp-Session-Id", &session).token(&token).send().await.passed();
    world.mcp.next().await;
    assert_eq!(world.mcp.next().await.header("mcp-session-id"), Some("session-of-the-server-1"));
    assert_eq!((world.issuer.fetches(), world.mcp.connections()), (fetches, connections));

    let other =
        two_routes().replace("upstream: {upstream}", "upstream: {url: \"{upstream}\", timeouts: {connect_secs: 3}}");
    assert_eq!(world.reload(&other).await, Ok(()));
    world.client.tool(PATH, "get_x").token(&token).send().await.passed();
    assert_eq!(world.mcp.connections(), connections + 1);
    // One that is configured otherwise is another one, and its verdicts are made anew, with the keys that it had.
    let issuer =
        |key: &str| two_routes().replace("  - issuer: {issuer}\n", &format!("  - issuer: {{issuer}}\n    {key}\n"));
    world.mcp.permit(1);
    assert_eq!(world.reload(&issuer("leeway_secs: 5")).await, Ok(()));
    world.client.tool(PATH, "get_x").token(&token).send().await.passed();
    // Which keys are usable depends on the algorithms.
    assert_eq!(world.reload(&issuer("algorithms: [ES256, RS256, EdDSA]")).await, Ok(()));
    let reply = world.client.tool(PATH, "get_x").token(&token).send().await;
    for _ in 0..4 {
        world.record().await;
    }
    world.refused(&reply, 503, "keys_unavailable").await;
    world.finish().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_used_changes_nothing_and_says_where() {
    let world = World::standard().await;
    world.mcp.permit(1);
    let broken = file("requird_scopes: [x]");
    let error = world.reload(&broken).await.unwrap_err();
    let line = broken.lines().position(|line| line.contains("requird")).unwrap() + 1;
    assert!(error.starts_with(&format!("{}:{line}:5: ", world.path.display())), "{error}");
    assert!(error.contains("did you mean \"required_scopes\"?"), "{error}");
    world.call_tool("mcp tools:read", "get_x").await.passed();
    let reloads = world.serving().reloads();
    assert_eq!((reloads.succeeded(), reloads.failed(), reloads.error()), (0, 1, Some(error)));
    assert_eq!(world.reload(&file("")).await, Ok(()));
    assert_eq!((world.serving().reloads().succeeded(), world.serving().reloads().error()), (1, None));
    world.finish().await;
}

#[tokio::test]
async fn an_address_that_has_moved_waits_for_a_restart_and_strands_nobody() {
    let world = World::standard().await;
    world.mcp.permit(1);
    let moved = file("").replace("listen: {listen}", "listen: 127.0.0.1:1\nthreads: 3\nhosts: [also.example]");
    assert_eq!(world.reload(&moved).await, Ok(()));
    let reply = world.client.tool(PATH, "get_x").token(&world.token("mcp tools:read")).with("Host", "also.example");
    world.mcp.ours("x-forwarded-host", "also.example");
    world.mcp.ours("forwarded", "for=127.0.0.1;host=\"also.example\";proto=http");
    reply.send().await.passed();
    assert_eq!(world.serving().current().settings().listen, world.address);
    let error = world.reload(&moved.replace("public_url: http://{listen}", "")).await.unwrap_err();
    assert!(error.contains("clients are sent to http://127.0.0.1:1"), "{error}");
    assert_eq!(world.serving().current().settings().hosts, ["also.example"]);
    world.finish().await;
}

#[tokio::test]
async fn a_certificate_that_was_replaced_is_shown_to_whoever_connects_next() {
    let (old, new) = (Identity::new(), Identity::new());
    let (certificate, private_key) = (write_file(""), write_file(""));
    let place = |identity: &Identity| {
        std::fs::copy(&identity.certificate, &certificate).unwrap();
        std::fs::copy(&identity.private_key, &private_key).unwrap();
    };
    place(&old);
    let text = file("").replace("http://{listen}", "https://{listen}");
    let text = format!(
        "{text}tls: {{certificate: \"{}\", private_key: \"{}\"}}\n",
        certificate.display(),
        private_key.display()
    );
    let mut world = World::start_with(&text, AuthorizationServer::up(), McpServer::up(), Clock::system()).await;
    let (client, front) = (world.client.clone(), old.towards(world.address).await);
    world.client = client.through(front.address);
    let token = world.issuer.token().aud(format!("https://{}{PATH}", world.address)).scope("mcp").mint();
    world.keys_arrived_with(&token).await;
    world.mcp.ours("x-forwarded-proto", "https");
    world.mcp.ours("forwarded", &format!("for=127.0.0.1;host=\"{}\";proto=https", world.address));
    let mut stays = listen(&world, PATH, &token).await;

    // A key without its certificate: nothing changes.
    std::fs::copy(&new.private_key, &private_key).unwrap();
    assert!(world.reload(&text).await.unwrap_err().contains("does not belong"));
    assert_eq!(world.client.get("/nothing").send().await.status, 404);
    place(&new);
    assert_eq!(world.reload(&text).await, Ok(()));
    let behind = new.towards(world.address).await;
    assert_eq!(client.through(behind.address).get("/nothing").send().await.status, 404);
    assert_eq!(world.reload(&text).await, Ok(()));
    assert_eq!(client.through(behind.address).get("/nothing").send().await.status, 404);
    // Who is connected stays so.
    world.stop();
    assert_eq!(stays.event().await, None);
    world.finish().await;
}

#[tokio::test]
async fn a_key_file_that_was_replaced_is_read() {
    let issuer = AuthorizationServer::up();
    let jwks = |keys: &[Value]| json!({ "keys": keys }).to_string();
    let keys = write_file(&jwks(&[issuer.key().jwk()]));
    let text = file("")
        .replace("  - issuer: {issuer}\n", &format!("  - issuer: {{issuer}}\n    jwks_file: \"{}\"\n", keys.display()));
    let mut world = World::start_with(&text, issuer, McpServer::up(), Clock::system()).await;
    let old = world.token("mcp tools:read");
    world.mcp.permit(2);
    world.client.tool(PATH, "get_x").token(&old).send().await.passed();
    let key = world.issuer.rotate("k-2");
    std::fs::write(&keys, jwks(&[key.jwk()])).unwrap();
    assert_eq!(world.reload(&text).await, Ok(()));
    let renewed = world.token("mcp tools:read");
    let arrives = async {
        while world.client.get(PATH).header("Mcp-Session-Id", "none").token(&renewed).send().await.status != 404 {}
    };
    within("the new key is used", arrives).await;
    world.client.tool(PATH, "get_x").token(&renewed).send().await.passed();
    let reply = world.client.tool(PATH, "get_x").token(&old).send().await;
    reply.refused(401, "invalid_token");
    std::fs::write(&keys, "{}").unwrap();
    assert!(world.reload(&text).await.unwrap_err().contains("is not a key set"));
    while world.record().await["reason"] != "invalid_token" {}
    world.finish().await;
}

#[tokio::test]
async fn sighup_and_a_file_that_changed_have_it_read_once() {
    let at_once = format!("{}drain: {{delay_secs: 0}}\n", file(""));
    let mut program = Program::start(&at_once).await;
    program.mcp.permit(1);
    program.signal("HUP");
    program.logged("read again: nothing in it has changed").await;
    let other = format!("{}drain: {{delay_secs: 0}}\n", two_routes());
    program.write(&other);
    let line = program.logged("read again").await;
    assert!(line.contains("INFO") && line.contains("routes added: other"), "{line}");
    let token = program.issuer.token().aud(format!("http://{}/other", program.address)).mint();
    program.client.tool("/other", "x").token(&token).send().await.passed();
    program.write("routes: 7\n");
    let line = program.logged("read again").await;
    assert!(line.contains("ERROR") && line.contains(&format!("{}:1:9: routes", program.path.display())), "{line}");
    program.write(&at_once.replace("listen: {listen}", "listen: 127.0.0.1:1"));
    assert!(program.logged("needs a restart").await.contains("WARN"));
    program.logged("routes removed: other").await;
    let unlooked = program.logs();
    assert!(!unlooked.iter().any(|line| line.contains("ERROR")), "said once: {unlooked:?}");
    program.client.tool("/other", "x").token(&token).send().await.refused(404, "no_route");
    program.signal("TERM");
    let sent = program.client.sent();
    let (code, audit) = program.ended().await;
    assert_eq!((code, audit.len()), (Some(0), sent));
}

#[tokio::test]
async fn what_was_wrong_beside_the_file_is_tried_again_until_it_is_mended() {
    let at_once = format!("{}drain: {{delay_secs: 0}}\n", file(""));
    let mut program = Program::start(&at_once).await;
    let (folder, link) = (program.path.with_extension("audit"), program.path.with_extension("link"));
    symlink(folder.join("log"), &link).unwrap();
    program.write(&format!("{at_once}audit: {{sink: file, file: {}}}\n", link.display()));
    assert!(program.logged("cannot be appended to").await.contains("ERROR"));
    std::fs::create_dir(&folder).unwrap();
    assert!(program.logged("read again").await.contains("INFO"));
    let unlooked = program.logs();
    assert!(!unlooked.iter().any(|line| line.contains("ERROR")), "said once: {unlooked:?}");
    std::fs::remove_file(&link).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    program.signal("TERM");
    assert_eq!(program.ended().await.0, Some(0));
}

/// A folder as Kubernetes mounts one: what is in it leads through `..data`, which is swapped in one step.
struct Mounted(PathBuf);

impl Mounted {
    fn new() -> Self {
        let folder = write_file("").with_extension("mounted");
        std::fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn swap(&self, version: &str, files: &[(&str, &str)]) {
        let data = self.0.join(format!("..{version}"));
        std::fs::create_dir(&data).unwrap();
        for (name, text) in files {
            std::fs::write(data.join(name), text).unwrap();
            let link = self.0.join(name);
            if !link.exists() {
                symlink(Path::new("..data").join(name), link).unwrap();
            }
        }
        symlink(format!("..{version}"), self.0.join("..data_tmp")).unwrap();
        std::fs::rename(self.0.join("..data_tmp"), self.0.join("..data")).unwrap();
    }
}

#[tokio::test]
async fn the_swap_of_a_mounted_folder_is_one_change() {
    let mounted = Mounted::new();
    mounted.swap("1", &[("gatepost.yaml", "")]);
    let head = format!("{HEAD}drain: {{delay_secs: 0}}\nsessions: {{keys: [{{file: session.key}}]}}\n");
    let path = mounted.0.join("..1/gatepost.yaml");
    std::fs::write(mounted.0.join("..1/session.key"), "ab".repeat(32)).unwrap();
    symlink("..data/session.key", mounted.0.join("session.key")).unwrap();
    let mut program = Program::start_in(&format!("{head}{ROUTE}"), path, mounted.0.join("gatepost.yaml")).await;
    let text = filled(
        &format!("{head}{ROUTE}{}", OTHER.trim_start_matches('\n')),
        program.address,
        &program.issuer,
        &program.mcp,
    );
    mounted.swap("2", &[("gatepost.yaml", &text), ("session.key", &"cd".repeat(32))]);
    let line = program.logged("read again").await;
    assert!(line.contains("routes added: other; changed: sessions"), "{line}");
    // A secret that is broken, and then repaired, though the file that names it stays as it is.
    mounted.swap("3", &[("gatepost.yaml", &text), ("session.key", "hunter2")]);
    let line = program.logged("read again").await;
    assert!(line.contains("does not hold a key") && !line.contains("hunter2"), "{line}");
    mounted.swap("4", &[("gatepost.yaml", &text), ("session.key", &"cd".repeat(32))]);
    program.logged("read again: nothing in it has changed").await;
    program.signal("TERM");
    assert_eq!(program.ended().await.0, Some(0));
}

#[tokio::test]
async fn each_team_has_its_own_file() {
    let folder = write_file("").with_extension("teams");
    std::fs::create_dir(&folder).unwrap();
    let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
    let text = format!("{}drain: {{delay_secs: 0}}\ninclude: [{name}]\n", file(""));
    let mut program = Program::start(&text).await;
    program.mcp.permit(1);
    let routes = |program: &Program, lines: &str| {
        let text = filled(
            &format!("routes:\n{}{lines}", OTHER.trim_start_matches('\n')),
            program.address,
            &program.issuer,
            &program.mcp,
        );
        write_file(&text)
    };
    std::fs::rename(routes(&program, ""), folder.join("other.yaml")).unwrap();
    program.logged("routes added: other").await;
    let token = program.issuer.token().aud(format!("http://{}/other", program.address)).mint();
    program.client.tool("/other", "x").token(&token).send().await.passed();
    // Another team's fault is everybody's until it is repaired, and says whose it is.
    std::fs::rename(routes(&program, "    denail: hide\n"), folder.join("third.yml")).unwrap();
    let line = program.logged("cannot be used").await;
    assert!(line.contains(&format!("{name}/third.yml:6:5: routes[0].denail: unknown key")), "{line}");
    std::fs::write(folder.join(".swap.yaml"), "?").unwrap();
    program.logged("third.yml:6:5").await;
    std::fs::remove_file(folder.join("third.yml")).unwrap();
    program.logged("nothing in it has changed").await;
    std::fs::remove_file(folder.join("other.yaml")).unwrap();
    program.logged("routes removed: other").await;
    program.signal("TERM");
    assert_eq!(program.ended().await.0, Some(0));
}

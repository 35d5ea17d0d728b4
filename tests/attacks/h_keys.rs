//! Section H: keys and where they come from.

use gatepost::token::clock::Clock;
use serde_json::json;

use crate::run::rows;
use crate::scene::{Scene, Tally};
use crate::support::gateway::file;
use crate::support::token::Key;
use crate::support::{AuthorizationServer, Mode};

rows![
    h1_unknown_key_flood,
    h2_broken_key_endpoints,
    h3_ssrf_by_metadata,
    h4_rotation,
    h5_poisoning,
    h6_abandoned_fetches,
];

/// The standard file with these settings of the issuer's keys.
pub(crate) fn with_keys(settings: &str) -> String {
    file("").replace("issuer: {issuer}\n", &format!("issuer: {{issuer}}\n    keys: {settings}\n"))
}

async fn h1_unknown_key_flood() -> Tally {
    let mut scene = Scene::start(&with_keys("{cooldown_secs: 3600}")).await;
    let before = scene.world.issuer.fetches().keys;
    for n in 0..100 {
        let token = scene.good().header("kid", format!("unknown-{n}")).mint();
        scene.bad_token("an unknown key", &token).await;
    }
    let mut at_once = tokio::task::JoinSet::new();
    for n in 0..100 {
        let token = scene.good().header("kid", format!("at-once-{n}")).mint();
        at_once.spawn(scene.call().token(&token).send());
    }
    for reply in at_once.join_all().await {
        scene.expect(reply.status == 401, format!("an unknown key among many: {}", reply.status));
        scene.settle("an unknown key among many", 0);
    }
    let spent = scene.world.issuer.fetches().keys - before;
    scene.expect(spent <= 1, format!("{spent} fetches for 200 unknown keys"));
    // The same while the endpoint gives nothing (an empty set must not open the door to more fetches).
    let issuer = AuthorizationServer::up();
    let mut empty = Scene::with_issuer(&with_keys("{cooldown_secs: 3600}"), issuer).await;
    empty.world.issuer.answer(Mode::NoKeys);
    let before = empty.world.issuer.fetches().keys;
    for n in 0..50 {
        let token = empty.good().header("kid", format!("unknown-{n}")).mint();
        empty.refused("an unknown key of an empty set", &empty.call().token(&token), &[401, 503]).await;
    }
    let spent = empty.world.issuer.fetches().keys - before;
    // One for the unknown keys; after a failure the refresher tries again by itself, ever more rarely.
    empty.expect(spent <= 5, format!("{spent} fetches for 50 unknown keys of an empty set"));
    scene.end().await.and(empty.end().await)
}

async fn h2_broken_key_endpoints() -> Tally {
    let many: Vec<_> = (0..101).map(|n| Key::generate(&format!("many-{n}")).jwk()).collect();
    let huge = format!("{{\"keys\":[],\"pad\":\"{}\"}}", "x".repeat(600 << 10));
    let deep = format!("{{\"keys\":[{}{}]}}", "[".repeat(100_000), "]".repeat(100_000));
    let modes = [
        ("500", Mode::Status(500)),
        ("404", Mode::Status(404)),
        ("401", Mode::Status(401)),
        ("204", Mode::Status(204)),
        ("hanging", Mode::Hang),
        ("no JSON", Mode::Garbage),
        ("no keys", Mode::NoKeys),
        ("a redirect", Mode::Redirect),
        ("nothing", Mode::Keys("")),
        ("null", Mode::Keys("null")),
        ("an array", Mode::Keys("[]")),
        ("an object", Mode::Keys("{}")),
        ("keys: null", Mode::Keys(r#"{"keys":null}"#)),
        ("keys: an object", Mode::Keys(r#"{"keys":{"kty":"EC"}}"#)),
        ("keys of all types", Mode::Keys(r#"{"keys":[null,1,"x",[],{},{"kty":1},{"kty":"EC","crv":[]}]}"#)),
        ("keys twice", Mode::Keys(r#"{"keys":[],"keys":[]}"#)),
        ("an open end", Mode::Keys(r#"{"keys":[{"kty":"EC""#)),
        ("two values", Mode::Keys(r#"{"keys":[]}{"keys":[]}"#)),
        ("101 keys", Mode::Keys(json!({"keys": many}).to_string().leak())),
        ("600 KiB", Mode::Keys(huge.leak())),
        ("100 000 deep", Mode::Keys(deep.leak())),
    ];
    let mut all = Tally::default();
    for (what, mode) in modes {
        let mut scene = Scene::start(&with_keys("{cooldown_secs: 3600}")).await;
        scene.world.issuer.answer(mode);
        for n in 0..3 {
            let token = scene.good().header("kid", format!("unknown-{n}")).mint();
            // The key cannot be looked for: 503 says so, and only of keys.
            let answers =
                scene.refused(format!("an unknown key: {what}"), &scene.call().token(&token), &[401, 503]).await;
            let reason = answers.first().header("gatepost-reason").unwrap_or_default().to_owned();
            scene.expect(["invalid_token", "keys_unavailable"].contains(&reason.as_str()), format!("{what}: {reason}"));
        }
        all = all.and(scene.end().await);
    }
    all
}

async fn h3_ssrf_by_metadata() -> Tally {
    let mut all = Tally::default();
    let trap = AuthorizationServer::up();
    let trapped = format!("{}/jwks", trap.issuer());
    let foreign = [
        ("the metadata of another issuer", json!("https://auth.example"), json!(trapped)),
        ("the issuer with a slash", json!(null), json!(trapped)),
        ("no issuer", json!(0), json!(trapped)),
        ("keys by plain http from elsewhere", json!(true), json!("http://keys.example/jwks")),
        ("keys in a file", json!(true), json!("file:///etc/passwd")),
        ("keys by ftp", json!(true), json!("ftp://127.0.0.1/jwks")),
        ("keys by gopher", json!(true), json!("gopher://127.0.0.1:6379/_x")),
        ("keys by data", json!(true), json!("data:application/json,{\"keys\":[]}")),
        ("keys at a relative place", json!(true), json!("/jwks")),
        ("keys at a number", json!(true), json!(1)),
        ("keys in an array", json!(true), json!([trapped])),
        ("keys at nothing", json!(true), json!("")),
        ("keys with a password", json!(true), json!(trapped.replace("http://", "http://user:password@"))),
        ("CRLF in the place of the keys", json!(true), json!(format!("{trapped} HTTP/1.1\r\nX: y"))),
    ];
    for (what, of, uri) in foreign {
        let issuer = AuthorizationServer::up();
        let own = issuer.issuer().to_owned();
        issuer.change_metadata(|metadata| {
            metadata["issuer"] = if of == json!(true) {
                json!(own)
            } else if of.is_null() {
                json!(format!("{own}/"))
            } else {
                of
            };
            metadata["jwks_uri"] = uri;
        });
        let mut scene = Scene::unready(&file(""), issuer, Clock::system()).await;
        scene.world.issuer.fetched("the metadata is looked at", |fetches| fetches.metadata > 0).await;
        let token = scene.good().mint();
        let reply = scene.call().token(&token).send().await;
        scene.expect(reply.status == 503, format!("{what}: {}", reply.status));
        scene.settle(what, 0);
        let forged = scene.good().forged_with(&trap.key()).mint();
        let reply = scene.call().token(&forged).send().await;
        scene.expect(reply.status == 503, format!("{what}, with the key of the trap: {}", reply.status));
        scene.settle(what, 0);
        all = all.and(scene.end().await);
    }
    if trap.fetches() != AuthorizationServer::down().fetches() {
        all.wrong.push(format!("the trap was visited: {:?}", trap.fetches()));
    }
    all
}

async fn h4_rotation() -> Tally {
    let mut scene = Scene::standard().await;
    let old = scene.good().claim("jti", "old").mint();
    scene.control("the old key", &scene.call().token(&old)).await;
    scene.world.issuer.rotate("k-2");
    let new = scene.good().mint();
    scene.control("the first token of the new key", &scene.call().token(&new)).await;
    scene.control("the old key beside the new one", &scene.call().token(&old)).await;
    scene.token = new;
    let mut gone = Scene::standard().await;
    let kept = gone.good().claim("jti", "kept").mint();
    gone.control("a token of the first key", &gone.call().token(&kept)).await;
    gone.world.issuer.rotate("k-2");
    gone.world.issuer.withdraw("k-1");
    gone.token = gone.good().mint();
    gone.served("the second key").await;
    gone.bad_token("a kept verdict of a withdrawn key", &kept).await;
    let fresh = gone.good().header("kid", "k-1").mint();
    gone.bad_token("a new token under the withdrawn name", &fresh).await;
    // Another key under the old name takes the old tokens with it.
    let mut changed = Scene::standard().await;
    let before = changed.good().claim("jti", "before").mint();
    changed.control("a token of the first key", &changed.call().token(&before)).await;
    changed.world.issuer.withdraw("k-1");
    changed.world.issuer.publish(Key::generate("k-1").jwk());
    changed.world.issuer.rotate("k-2");
    changed.token = changed.good().mint();
    changed.served("the second key").await;
    changed.bad_token("a token of the key that had this name before", &before).await;
    scene.end().await.and(gone.end().await).and(changed.end().await)
}

async fn h5_poisoning() -> Tally {
    let other = AuthorizationServer::up();
    let text = file("")
        .replace("  - issuer: {issuer}\n", &format!("  - issuer: {{issuer}}\n  - issuer: {}\n", other.issuer()));
    let mut scene = Scene::start(&text).await;
    let of_other = scene.good().claim("iss", other.issuer()).forged_with(&other.key());
    scene.world.keys_arrived_with(&of_other.mint()).await;
    // The other issuer publishes our key's name, our key itself, and then says that it is us.
    other.publish(scene.world.issuer.key().jwk());
    let rotated = other.rotate("k-9");
    let visit = scene.good().claim("iss", other.issuer()).header("kid", "k-9").forged_with(&rotated).mint();
    scene.control("the other issuer's set is read again", &scene.call().token(&visit)).await;
    for (what, token) in [
        ("our issuer, its key", scene.good().forged_with(&other.key())),
        ("our issuer, its new key under its name", scene.good().header("kid", "k-9").forged_with(&rotated)),
        ("our issuer, its new key without a name", scene.good().without_header("kid").forged_with(&rotated)),
        ("our issuer, its key of the same name", scene.good().header("kid", "k-1").forged_with(&rotated)),
    ] {
        scene.bad_token(what, &token.mint()).await;
    }
    let metadata = other.metadata();
    other.change_metadata(|metadata| metadata["issuer"] = json!(scene.world.issuer.issuer()));
    scene.expect(metadata != other.metadata(), "the metadata changed");
    let still = scene.good().forged_with(&rotated).header("kid", "k-9").mint();
    scene.bad_token("after it says that it is our issuer", &still).await;
    scene.end().await
}

async fn h6_abandoned_fetches() -> Tally {
    let mut scene = Scene::start(&with_keys("{cooldown_secs: 1}")).await;
    scene.world.issuer.answer(Mode::Hang);
    for round in 0..5 {
        // Clients that wait for a fetch and leave in the middle of it.
        let mut waiting = Vec::new();
        for n in 0..20 {
            let token = scene.good().header("kid", format!("unknown-{round}-{n}")).mint();
            let mut stream = tokio::net::TcpStream::connect(scene.front).await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, &scene.call().token(&token).bytes()).await.unwrap();
            waiting.push(stream);
        }
        scene.served("clients wait for a fetch").await;
        drop(waiting);
        scene.fired("20 clients leave in the middle of a fetch", 0).await;
    }
    // The next fetch is made, and finds what is new.
    scene.world.issuer.answer(Mode::Up);
    scene.world.issuer.rotate("k-2");
    let new = scene.good().mint();
    let arrival = async {
        loop {
            scene.permit(1);
            let reply = scene.call().token(&new).send().await;
            if reply.status == 200 {
                break;
            }
            scene.unused(1);
        }
    };
    crate::support::within("the new key is found", arrival).await;
    drop(scene.recorder.take());
    scene.end().await
}

//! Section A, the second half: tokens with two readings, of the wrong size, bound to somebody else, or used again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use gatepost::token::clock::Clock;
use serde_json::json;

use crate::run::rows;
use crate::scene::{Expect, Scene, Tally};
use crate::support::AuthorizationServer;
use crate::support::gateway::{HEAD, PATH, ROUTE, file};
use crate::support::token::{Key, now};

rows![
    a12_members_given_twice,
    a13_base64url,
    a14_sizes,
    a15_scopes,
    a16_bound_tokens,
    a17_dpop,
    a18_opaque_tokens,
    a19_delegation,
    a20_replay,
    a21_cached_verdicts,
    a22_one_answer_for_every_fault,
];

async fn a12_members_given_twice() -> Tally {
    let mut scene = Scene::standard().await;
    let key = scene.world.issuer.key();
    let (header, claims) = scene.good().texts();
    let first = |json: &str, member: &str| json.replacen('{', &format!("{{{member},"), 1);
    let last = |json: &str, member: &str| format!("{},{member}}}", json.strip_suffix('}').unwrap());
    for member in [
        r#""alg":"none""#,
        r#""alg":"ES256""#,
        r#""kid":"other""#,
        r#""kid":"k-1""#,
        r#""typ":"ID""#,
        r#""\u0061lg":"none""#,
        r#""x":{"a":1,"a":2}"#,
    ] {
        for header in [first(&header, member), last(&header, member)] {
            scene.bad_token(format!("header {header}"), &key.sign(&header, &claims)).await;
        }
    }
    let (ours, later) = (scene.world.url(PATH), now() + 7200);
    for member in [
        format!(r#""aud":"{ours}""#),
        r#""aud":"https://other.example""#.to_owned(),
        r#""iss":"https://other.example""#.to_owned(),
        r#""sub":"f0rged""#.to_owned(),
        r#""client_id":"f0rged""#.to_owned(),
        r#""scope":"mcp""#.to_owned(),
        format!(r#""exp":{later}"#),
        r#""exp":1"#.to_owned(),
        r#""\u0065xp":1"#.to_owned(),
        r#""s\u0075b":"f0rged""#.to_owned(),
        r#""nested":[{"a":1,"\u0061":2}]"#.to_owned(),
    ] {
        for claims in [first(&claims, &member), last(&claims, &member)] {
            scene.bad_token(format!("claims with {member} again"), &key.sign(&header, &claims)).await;
        }
    }
    for claims in [
        format!("{claims}{claims}"),
        format!("{claims} x"),
        format!("{claims}\u{0}"),
        format!("\u{feff}{claims}"),
        format!("[{claims}]"),
        claims.replace('"', "'"),
        claims.replace('}', ",}"),
        format!("/**/{claims}"),
        String::new(),
        "null".to_owned(),
    ] {
        scene.bad_token("claims that are no one JSON object", &key.sign(&header, &claims)).await;
    }
    scene.end().await
}

async fn a13_base64url() -> Tally {
    let mut scene = Scene::standard().await;
    let key = scene.world.issuer.key();
    let token = scene.token.clone();
    let parts: Vec<&str> = token.split('.').collect();
    let (header, claims) = scene.good().claim("pad", "\u{ff}\u{3ff}?>~").texts();
    // Each signed as it is spelled, so that the spelling alone is wrong.
    let pad = |text: &str| URL_SAFE.encode(text);
    let spelled = |text: &str| {
        // A length that needs padding.
        let mut text = text.to_owned();
        while text.len().is_multiple_of(3) {
            text.push(' ');
        }
        text
    };
    let (header, claims) = (spelled(&header), spelled(&claims));
    let plain = (URL_SAFE_NO_PAD.encode(&header), URL_SAFE_NO_PAD.encode(&claims));
    let signed = [
        ("a padded header", key.sign_text(&format!("{}.{}", pad(&header), plain.1))),
        ("padded claims", key.sign_text(&format!("{}.{}", plain.0, pad(&claims)))),
        ("the other alphabet", key.sign_text(&format!("{}.{}", plain.0, STANDARD.encode(&claims)))),
        ("spare bits in the header", key.sign_text(&format!("{}.{}", spare(&plain.0), plain.1))),
        ("spare bits in the claims", key.sign_text(&format!("{}.{}", plain.0, spare(&plain.1)))),
        ("a header of one character", key.sign_text(&format!("e.{}", plain.1))),
        ("claims that are no UTF-8", key.sign(&header, [claims.as_bytes(), b"\xff"].concat())),
        ("UTF-16 claims", key.sign(&header, claims.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>())),
        ("an empty header", key.sign_text(&format!(".{}", plain.1))),
        ("empty claims", key.sign_text(&format!("{}.", plain.0))),
    ];
    for (what, token) in signed {
        scene.fire(what, &scene.call().token(&token).bytes(), Expect::Refused(&[400, 401])).await;
    }
    let changed = [
        ("a padded signature", format!("{token}==")),
        ("spare bits in the signature", spare(&token)),
        ("a dot more", format!("{token}.")),
        ("a dot before", format!(".{token}")),
        ("two dots", token.replacen('.', "..", 1)),
        ("a part more", format!("{token}.{}", parts[2])),
        ("a part less", parts[1..].join(".")),
        ("one part", parts[0].to_owned()),
        ("dots alone", "..".to_owned()),
        ("the parts in another order", format!("{}.{}.{}", parts[1], parts[0], parts[2])),
        ("a tilde", format!("{token}~")),
        ("a slash in the signature", format!("{}/{}", &token[..token.len() - 1], "A")),
    ];
    for (what, token) in changed {
        scene.fire(what, &scene.call().token(&token).bytes(), Expect::Refused(&[401, 400])).await;
    }
    // What is no b64token is no token at all.
    for (what, byte) in [
        ("a space", " "),
        ("a tab", "\t"),
        ("a comma", ","),
        ("a quote", "\""),
        ("a percent sign", "%2e"),
        ("Latin-1", "\u{e9}"),
        ("a zero-width space", "\u{200b}"),
        ("a colon", ":"),
        ("a semicolon", ";"),
    ] {
        let spoilt = token.replacen('.', &format!("{byte}."), 1);
        scene.fire(format!("{what} within"), &scene.call().token(&spoilt).bytes(), Expect::Refused(&[400])).await;
    }
    scene.end().await
}

/// The same bits with other ones that the decoder throws away.
fn spare(part: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = part.bytes().last().unwrap();
    let at = ALPHABET.iter().position(|each| *each == last).unwrap();
    format!("{}{}", &part[..part.len() - 1], char::from(ALPHABET[at ^ 1]))
}

async fn a14_sizes() -> Tally {
    let mut scene = Scene::standard().await;
    let sized = |scene: &Scene, bytes: usize| scene.good().claim("pad", "x".repeat(bytes * 3 / 4)).mint();
    for bytes in [8 << 10, 16 << 10, 24 << 10] {
        let token = sized(&scene, bytes);
        scene
            .fire(format!("{} bytes", token.len()), &scene.call().token(&token).bytes(), Expect::Refused(&[401, 431]))
            .await;
    }
    for bytes in [64 << 10, 1 << 20] {
        let token = sized(&scene, bytes);
        scene
            .fire(format!("{} bytes", token.len()), &scene.call().token(&token).bytes(), Expect::Refused(&[431]))
            .await;
    }
    let key = scene.world.issuer.key();
    let (header, claims) = scene.good().texts();
    for depth in [65, 200, 2500] {
        let deep =
            format!("{},\"deep\":{}{}}}", claims.strip_suffix('}').unwrap(), "[".repeat(depth), "]".repeat(depth));
        scene.bad_token(format!("claims {depth} deep"), &key.sign(&header, &deep)).await;
        let deep =
            format!("{},\"deep\":{}{}}}", header.strip_suffix('}').unwrap(), "[".repeat(depth), "]".repeat(depth));
        scene.bad_token(format!("a header {depth} deep"), &key.sign(&deep, &claims)).await;
        let objects = format!(
            "{},\"deep\":{}1{}}}",
            claims.strip_suffix('}').unwrap(),
            "{\"\":".repeat(depth.min(1000)),
            "}".repeat(depth.min(1000))
        );
        scene.bad_token(format!("claims {depth} objects deep"), &key.sign(&header, &objects)).await;
    }
    let long_number = claims.replace("\"iat\":", &format!("\"n\":1{},\"iat\":", "0".repeat(4000)));
    scene.bad_token("a number of 4000 digits", &key.sign(&header, &long_number)).await;
    let dots = ".".repeat(8000);
    scene.bad_token("8000 dots", &dots).await;
    scene.end().await
}

async fn a15_scopes() -> Tally {
    let mut scene = Scene::standard().await;
    for scope in [
        json!(""),
        json!(null),
        json!(7),
        json!(true),
        json!({"mcp": true, "tools:read": true}),
        json!([]),
        json!(["mcp tools:read"]),
        json!([["mcp", "tools:read"]]),
        json!(["mcp", 1, "tools:read"]),
        json!(["mcp", null]),
        json!("mcp,tools:read"),
        json!("mcp;tools:read"),
        json!("mcp+tools:read"),
        json!("mcp%20tools:read"),
        json!("mcp\u{a0}tools:read"),
        json!("mcp\u{2003}tools:read"),
        json!("mcp\u{3000}tools:read"),
        json!("mcp\ttools:read"),
        json!("mcp\ntools:read"),
        json!("mcp\u{0}tools:read"),
        json!("MCP TOOLS:READ"),
        json!("mcp Tools:Read"),
        json!("mcp tools:rea"),
        json!("mcp tools:reads"),
        json!("mcp tools:read/x"),
        json!("mcp tools:"),
        json!("mcp tools"),
        json!("mcp tools:*"),
        json!("mcp *"),
        json!("*"),
        json!("mcp .*"),
        json!("mcp \"tools:read\""),
        json!("mcp t\u{43e}ols:read"),
        json!("mcp \u{ff54}ools:read"),
        json!("mcp tools:read\u{200b}"),
        json!("mcp xtools:read"),
        json!("tools:read"),
        json!("mcpx tools:read"),
        json!("admin root superuser"),
    ] {
        let token = scene.good().claim("scope", scope.clone()).mint();
        scene.fire(format!("scope {scope}"), &scene.call().token(&token).bytes(), Expect::Refused(&[401, 403])).await;
    }
    for claim in ["scopes", "permissions", "roles", "authorities", "Scope", "SCOPE"] {
        let token = scene.good().without("scope").claim(claim, "mcp tools:read").mint();
        scene
            .fire(format!("scopes in {claim}"), &scene.call().token(&token).bytes(), Expect::Refused(&[401, 403]))
            .await;
    }
    // The first claim that is there counts, empty or not.
    let both = scene.good().claim("scope", "").claim("scp", "mcp tools:read").mint();
    scene.fire("scp beside an empty scope", &scene.call().token(&both).bytes(), Expect::Refused(&[401, 403])).await;
    // Nothing implies its broader scope.
    let narrow = scene.good().claim("scope", "mcp tools:read").mint();
    let broad = scene.world.client.tool(PATH, "create_issue").token(&narrow);
    scene.refused("a broader tool with the narrower scope", &broad, &[403]).await;
    scene.end().await
}

async fn a16_bound_tokens() -> Tally {
    let mut scene = Scene::standard().await;
    for cnf in [
        json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
        json!({"x5t#S256": "bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}),
        json!({"jwk": {}}),
        json!({"kid": "k-1"}),
        json!({}),
        json!(null),
        json!(""),
        json!([]),
        json!(true),
    ] {
        let token = scene.good().claim("cnf", cnf.clone()).mint();
        scene.bad_token(format!("cnf {cnf} as a bearer token"), &token).await;
        let proven = scene.call().token(&token).header("DPoP", "a.proof.of-nothing");
        scene.refused(format!("cnf {cnf} with a proof of nothing"), &proven, &[401]).await;
        let certified = scene
            .call()
            .token(&token)
            .header("X-Client-Cert", "f0rged")
            .header("X-Forwarded-Client-Cert", "f0rged")
            .header("X-SSL-Client-Cert", "f0rged");
        scene.refused(format!("cnf {cnf} with a certificate in a header"), &certified, &[401]).await;
    }
    scene.end().await
}

async fn a17_dpop() -> Tally {
    let mut scene = Scene::standard().await;
    let key = Key::generate("proof");
    let claims = json!({"htm": "POST", "htu": scene.world.url(PATH), "iat": now(), "jti": "p-1"}).to_string();
    let proof = key.sign(json!({"alg": "ES256", "typ": "dpop+jwt", "jwk": key.jwk()}).to_string(), &claims);
    let bound = scene.good().claim("cnf", json!({"jkt": "x"})).mint();
    for (what, token) in [("a bound token", bound), ("a plain token", scene.token.clone())] {
        for scheme in ["DPoP", "dpop", "DPOP"] {
            let request = scene.call().header("Authorization", &format!("{scheme} {token}")).header("DPoP", &proof);
            scene.refused(format!("{what} by {scheme}"), &request, &[401]).await;
            let twice = request.header("DPoP", &proof);
            scene.refused(format!("{what} by {scheme}, two proofs"), &twice, &[400, 401]).await;
        }
    }
    scene.bad_token("the proof as the token", &proof).await;
    // A proof is a credential of the client's and made for us.
    let beside = scene.call().token(&scene.token).header("DPoP", &proof);
    scene.fire("a proof beside a bearer token", &beside.bytes(), Expect::Either(&[400, 401])).await;
    scene.end().await
}

async fn a18_opaque_tokens() -> Tally {
    let mut scene = Scene::standard().await;
    let before = scene.world.issuer.fetches();
    for token in [
        "0",
        "opaque",
        "7Fjfp0ZBr1KtDRbnfVdmIw",
        "b0e4c9f2-7d3c-4c7e-9d43-0b8f9f6e2c11",
        "gho_16C7e42F292c6912E7710c838347Ae178B4a",
        "ya29.a0AfH6SMBx",
        "true",
        "active",
        "null",
        "eyJhY3RpdmUiOnRydWV9",
        "a.b",
        "a.b.c",
        "a.b.c.d.e",
    ] {
        scene.bad_token(format!("the opaque {token}"), token).await;
    }
    scene.expect(scene.world.issuer.fetches() == before, "somebody was asked about an opaque token");
    scene.end().await
}

async fn a19_delegation() -> Tally {
    let text = file("").replace(
        "upstream: {upstream}",
        "upstream: {url: \"{upstream}\", identity: {headers: {X-Auth-Subject: sub, X-Auth-Actor: act}}}",
    );
    let mut scene = Scene::start(&text).await;
    scene.world.mcp.ours("x-auth-subject", "alice");
    scene.world.mcp.never("x-auth-actor");
    for (name, value) in [
        ("act", json!({"sub": "f0rged"})),
        ("act", json!({"sub": "f0rged", "act": {"sub": "f0rged"}})),
        ("act", json!({"sub": "f0rged", "iss": "https://other.example"})),
        ("may_act", json!({"sub": "f0rged"})),
        ("on_behalf_of", json!("f0rged")),
        ("obo", json!({"sub": "f0rged"})),
        ("sub_id", json!({"format": "opaque", "id": "f0rged"})),
        ("preferred_username", json!("f0rged")),
        ("username", json!("f0rged")),
        ("email", json!("f0rged@example.com")),
        ("upn", json!("f0rged")),
    ] {
        let token = scene.good().claim(name, value.clone()).mint();
        let request = scene.call().token(&token);
        scene.fire(format!("{name} {value}"), &request.bytes(), Expect::Either(&[401])).await;
    }
    scene.end().await
}

async fn a20_replay() -> Tally {
    let time = Arc::new(AtomicU64::new(now()));
    let shown = time.clone();
    let clock = Clock::from_fn(move || shown.load(Ordering::SeqCst));
    let mut scene = Scene::at(&file(""), AuthorizationServer::up(), clock).await;
    let start = now();
    let short = scene.good().claim("jti", "short").claim("exp", start + 60).mint();
    let request = scene.call().token(&short);
    scene.control("a token that lives a minute", &request).await;
    // Past its end and the leeway; the verdict on its signature was kept.
    for later in [90, 91, 600, 3000] {
        time.store(start + later, Ordering::SeqCst);
        scene.bad_token(format!("a token that expired, {later} s later"), &short).await;
    }
    time.store(start, Ordering::SeqCst);
    let stolen = scene.good().claim("jti", "stolen").mint();
    let request = scene.call().token(&stolen);
    scene.control("a token of the old key", &request).await;
    scene.world.issuer.rotate("k-2");
    scene.world.issuer.withdraw("k-1");
    scene.token = scene.good().mint();
    scene.served("the new key").await;
    scene.bad_token("a token whose key was withdrawn", &stolen).await;
    let another = scene.good().header("kid", "k-1").mint();
    scene.bad_token("another one under the withdrawn name", &another).await;
    scene.end().await
}

async fn a21_cached_verdicts() -> Tally {
    let second =
        ROUTE.replace("routes:\n", "").replace("name: standard", "name: second").replace("path: /mcp", "path: /second");
    let mut scene = Scene::start(&format!("{HEAD}{ROUTE}{second}")).await;
    let token = scene.token.clone();
    scene.served("the verdict is kept").await;
    // On another route the verdict on the signature is good, and the audience is not.
    let elsewhere = scene.world.client.tool("/second", "get_x").token(&token);
    scene.refused("a verified token on another route", &elsewhere, &[401]).await;
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    for at in [0, 31, 32, 63] {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        scene
            .bad_token(
                format!("byte {at} of the signature changed"),
                &format!("{signed}.{}", URL_SAFE_NO_PAD.encode(flipped)),
            )
            .await;
    }
    let more = scene.world.issuer.token().aud(scene.world.url(PATH)).scope("mcp tools:read tools:write").mint();
    let body = more.split('.').nth(1).unwrap();
    let header = token.split('.').next().unwrap();
    scene.bad_token("other claims under a verified signature", &format!("{header}.{body}.{signature}")).await;
    // The end of a verified token under the head of another: the cache goes by the whole.
    let prefix = format!("{}.{}.{}", token.split('.').next().unwrap(), body, signature);
    scene.bad_token("again", &prefix).await;
    for n in 0..50 {
        let forged = scene.good().claim("jti", n).forged_with(&Key::generate("k-1")).mint();
        scene.bad_token("a forged one, once", &forged).await;
        scene.bad_token("a forged one, twice", &forged).await;
    }
    scene.end().await
}

async fn a22_one_answer_for_every_fault() -> Tally {
    let mut scene = Scene::standard().await;
    let other = Key::generate("k-1");
    let good = || scene.good();
    let tokens = [
        ("malformed", "no.token".to_owned()),
        ("opaque", "opaque".to_owned()),
        ("too long", "x".repeat(9000)),
        ("alg none", good().unsigned().mint()),
        ("HMAC", good().hs256(b"secret").mint()),
        ("forged", good().forged_with(&other).mint()),
        ("unknown key", good().header("kid", "unknown").mint()),
        ("expired", good().expired(120).mint()),
        ("not yet valid", good().claim("nbf", now() + 600).mint()),
        ("another issuer", good().claim("iss", "https://other.example").mint()),
        ("another audience", good().aud("https://other.example").mint()),
        ("another type", good().header("typ", "dpop+jwt").mint()),
        ("no exp", good().without("exp").mint()),
        ("bound", good().claim("cnf", json!({})).mint()),
    ];
    let mut seen: Option<(String, String)> = None;
    for (what, token) in tokens {
        let answers = scene.bad_token(what, &token).await;
        let answer = answers.first();
        let head: Vec<&str> =
            answer.head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("date:")).collect();
        let said = (head.join("\n"), answer.text());
        let same = seen.get_or_insert_with(|| said.clone()) == &said;
        scene.expect(same, format!("{what}: another answer: {said:?}"));
    }
    scene.end().await
}

//! Section A, the first half: tokens that were forged, taken for something else, or spelled in two ways.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::run::rows;
use crate::scene::{Scene, Tally};
use crate::support::AuthorizationServer;
use crate::support::gateway::file;
use crate::support::token::{Key, now};

rows![
    a1_alg_none,
    a2_algorithm_confusion,
    a3_psychic_signatures,
    a4_weak_keys,
    a5_kid_injection,
    a6_keys_in_the_token,
    a7_extensions,
    a8_other_tokens,
    a9_times,
    a10_audiences,
    a11_issuers,
];

/// The first two parts of a token.
fn signed_part(token: &str) -> &str {
    token.rsplit_once('.').unwrap().0
}

/// The token with another signature.
fn with_signature(token: &str, signature: &[u8]) -> String {
    format!("{}.{}", signed_part(token), URL_SAFE_NO_PAD.encode(signature))
}

async fn a1_alg_none() -> Tally {
    let mut scene = Scene::standard().await;
    let spellings = [
        json!("none"),
        json!("None"),
        json!("NONE"),
        json!("nOnE"),
        json!("none "),
        json!(" none"),
        json!("none\u{0}"),
        json!("n\u{f6}ne"),
        json!(""),
        json!(null),
        json!(["none"]),
        json!(["ES256"]),
        json!({"alg": "ES256"}),
        json!(0),
        json!(true),
        json!("es256"),
        json!("ES256 "),
        json!("ES256\u{0}"),
        json!("ES256\nnone"),
        json!("ES256K"),
        json!("ES"),
        json!("dir"),
        json!("RSA1_5"),
    ];
    for alg in spellings {
        let unsigned = scene.good().unsigned().header("alg", alg.clone()).mint();
        scene.bad_token(format!("alg {alg}, no signature"), &unsigned).await;
        let signed = scene.good().header("alg", alg.clone()).mint();
        scene.bad_token(format!("alg {alg}, a good signature"), &signed).await;
    }
    let missing = scene.good().without_header("alg").mint();
    scene.bad_token("alg missing", &missing).await;
    let missing = scene.good().unsigned().without_header("alg").mint();
    scene.bad_token("alg missing, no signature", &missing).await;
    let stripped = format!("{}.", signed_part(&scene.token));
    scene.bad_token("the signature cut off", &stripped).await;
    let cut = signed_part(&scene.token).to_owned();
    scene.bad_token("the signature and its dot cut off", &cut).await;
    scene.end().await
}

async fn a2_algorithm_confusion() -> Tally {
    let issuer = AuthorizationServer::up();
    let secret = b"a secret that the issuer publishes by mistake";
    let oct = |kid: &str, alg: &str| json!({"kty": "oct", "kid": kid, "alg": alg, "k": URL_SAFE_NO_PAD.encode(secret)});
    issuer.publish(oct("oct-hs256", "HS256"));
    issuer.publish(oct("oct-es256", "ES256"));
    let mut scene = Scene::with_issuer(&file(""), issuer).await;
    let jwk = scene.world.issuer.key().jwk();
    let point = scene.world.issuer.key().public_bytes();
    let der = [SPKI_P256, point.as_slice()].concat();
    let base64 = STANDARD.encode(&der);
    let lines: Vec<&str> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let pem =
        |end: &str| format!("-----BEGIN PUBLIC KEY-----{end}{}{end}-----END PUBLIC KEY-----{end}", lines.join(end));
    let secrets: Vec<(&str, Vec<u8>)> = vec![
        ("the point", point.clone()),
        ("x and y", point[1..].to_vec()),
        ("x", point[1..33].to_vec()),
        ("DER", der.clone()),
        ("DER in base64", base64.clone().into_bytes()),
        ("PEM", pem("\n").into_bytes()),
        ("PEM with CRLF", pem("\r\n").into_bytes()),
        ("PEM trimmed", pem("\n").trim_end().as_bytes().to_vec()),
        ("the JWK", jwk.to_string().into_bytes()),
        ("the set", json!({"keys": [jwk]}).to_string().into_bytes()),
        ("x as text", jwk["x"].as_str().unwrap().as_bytes().to_vec()),
        ("nothing", Vec::new()),
        ("a NUL", vec![0]),
        ("a common one", b"secret".to_vec()),
    ];
    for (what, secret) in &secrets {
        for alg in ["HS256", "HS384", "HS512", "ES256"] {
            let token = scene.good().hs256(secret).header("alg", alg).mint();
            scene.bad_token(format!("{alg} with {what} as the secret"), &token).await;
        }
        let nameless = scene.good().hs256(secret).without_header("kid").mint();
        scene.bad_token(format!("HS256 with {what} as the secret, no kid"), &nameless).await;
    }
    for kid in ["oct-hs256", "oct-es256"] {
        for alg in ["HS256", "ES256"] {
            let token = scene.good().header("kid", kid).hs256(secret).header("alg", alg).mint();
            scene.bad_token(format!("{alg} with the published {kid}"), &token).await;
        }
    }
    for alg in ["RS256", "PS256", "EdDSA", "ES384", "ES512", "RS1", "HS1"] {
        let token = scene.good().header("alg", alg).mint();
        scene.bad_token(format!("{alg} with a key for ES256"), &token).await;
    }
    scene.end().await
}

async fn a3_psychic_signatures() -> Tally {
    let issuer = AuthorizationServer::up();
    let ed = Ed25519KeyPair::generate().unwrap();
    let x = URL_SAFE_NO_PAD.encode(ed.public_key().as_ref());
    issuer.publish(json!({"kty": "OKP", "crv": "Ed25519", "kid": "ed-1", "alg": "EdDSA", "use": "sig", "x": x}));
    let mut scene = Scene::with_issuer(&file(""), issuer).await;
    let token = scene.token.clone();
    let good = URL_SAFE_NO_PAD.decode(token.rsplit('.').next().unwrap()).unwrap();
    let (r, s) = good.split_at(32);
    let (zero, one) = ([0_u8; 32], [&[0_u8; 31][..], &[1]].concat());
    let over = |value: &[u8]| {
        let mut sum = value.to_vec();
        let mut carry = 0_u16;
        for (digit, more) in sum.iter_mut().rev().zip(ORDER_P256.iter().rev()) {
            let total = u16::from(*digit) + u16::from(*more) + carry;
            *digit = u8::try_from(total & 0xff).unwrap();
            carry = total >> 8;
        }
        sum
    };
    let signatures: Vec<(&str, Vec<u8>)> = vec![
        ("r = s = 0", vec![0; 64]),
        ("r = 0", [&zero, s].concat()),
        ("s = 0", [r, &zero].concat()),
        ("r = s = n", [ORDER_P256, ORDER_P256].concat()),
        ("r = n, s = 1", [ORDER_P256, &one].concat()),
        ("r = 1, s = n", [&one[..], ORDER_P256].concat()),
        ("r = s = 1", [one.clone(), one.clone()].concat()),
        ("r + n", [over(r), s.to_vec()].concat()),
        ("s + n", [r.to_vec(), over(s)].concat()),
        ("all ones", vec![0xff; 64]),
        ("r and s changed about", [s, r].concat()),
        ("r twice", [r, r].concat()),
        ("DER", der_signature(r, s)),
        ("DER of 0 and 0", der_signature(&[0], &[0])),
        ("nothing", Vec::new()),
        ("one byte", vec![0]),
        ("one byte short", good[..63].to_vec()),
        ("one byte more", [&good[..], &[0]].concat()),
        ("a zero before each half", [&[0], r, &[0], s].concat()),
        ("ES384's length", vec![0; 96]),
        ("ES512's length", vec![0; 132]),
    ];
    for (what, signature) in signatures {
        scene.bad_token(format!("ES256: {what}"), &with_signature(&token, &signature)).await;
        let nameless = with_signature(&scene.good().without_header("kid").mint(), &signature);
        scene.bad_token(format!("ES256 without kid: {what}"), &nameless).await;
    }
    let ed_token = scene.good().header("kid", "ed-1").header("alg", "EdDSA").mint();
    let genuine = ed.sign(signed_part(&ed_token).as_bytes());
    let genuine = genuine.as_ref();
    let mut over_l = genuine.to_vec();
    add_little_endian(&mut over_l[32..], &ORDER_ED25519);
    let identity = [&[1_u8][..], &[0; 31]].concat();
    let signatures: Vec<(&str, Vec<u8>)> = vec![
        ("zeros", vec![0; 64]),
        ("the neutral element and 0", [identity, vec![0; 32]].concat()),
        ("s + l", over_l),
        ("s = 0", [&genuine[..32], &[0; 32]].concat()),
        ("all ones", vec![0xff; 64]),
        ("of another text", ed.sign(b"another text").as_ref().to_vec()),
        ("of ES256", good),
    ];
    for (what, signature) in signatures {
        scene.bad_token(format!("Ed25519: {what}"), &with_signature(&ed_token, &signature)).await;
    }
    // The key is good, so that it was the signature that was refused.
    let control = scene.call().token(&with_signature(&ed_token, genuine));
    scene.control("Ed25519: the genuine one", &control).await;
    scene.end().await
}

async fn a4_weak_keys() -> Tally {
    let issuer = AuthorizationServer::up();
    let modulus = |bytes: usize| {
        let mut modulus = vec![0xd5; bytes];
        modulus[bytes - 1] = 0x0b;
        URL_SAFE_NO_PAD.encode(modulus)
    };
    let rsa = |kid: &str, bytes: usize, e: &str| json!({"kty": "RSA", "kid": kid, "alg": "RS256", "use": "sig", "n": modulus(bytes), "e": e});
    // With e = 1 everybody can sign.
    issuer.publish(rsa("rsa-2048-e1", 256, "AQ"));
    issuer.publish(rsa("rsa-2048-e1-padded", 256, "AAAB"));
    issuer.publish(rsa("rsa-1024-e1", 128, "AQ"));
    issuer.publish(rsa("rsa-512-e1", 64, "AQ"));
    let changed = |kid: &str, change: &dyn Fn(&mut Value)| {
        let key = Key::generate(kid);
        let mut jwk = key.jwk();
        change(&mut jwk);
        issuer.publish(jwk);
        key
    };
    let keys = [
        ("use: enc", changed("enc", &|jwk| jwk["use"] = json!("enc"))),
        ("use: null", changed("use-null", &|jwk| jwk["use"] = json!(null))),
        ("key_ops: encrypt", changed("ops", &|jwk| jwk["key_ops"] = json!(["encrypt"]))),
        ("key_ops: sign", changed("ops-sign", &|jwk| jwk["key_ops"] = json!(["sign"]))),
        ("alg: ES384", changed("alg", &|jwk| jwk["alg"] = json!("ES384"))),
        ("alg: HS256", changed("alg-hs", &|jwk| jwk["alg"] = json!("HS256"))),
        ("alg: none", changed("alg-none", &|jwk| jwk["alg"] = json!("none"))),
        ("alg: a number", changed("alg-number", &|jwk| jwk["alg"] = json!(1))),
        ("kty: RSA", changed("kty-rsa", &|jwk| jwk["kty"] = json!("RSA"))),
        ("kty: unknown", changed("kty", &|jwk| jwk["kty"] = json!("XX"))),
        ("kty missing", changed("kty-none", &|jwk| drop(jwk.as_object_mut().unwrap().remove("kty")))),
        ("crv: P-384", changed("crv", &|jwk| jwk["crv"] = json!("P-384"))),
        ("a point beside the curve", changed("off-curve", &|jwk| jwk["y"] = jwk["x"].clone())),
        ("a private key", changed("private", &|jwk| jwk["d"] = jwk["x"].clone())),
        ("kid: a number", changed("1", &|jwk| jwk["kid"] = json!(1))),
        ("two keys of one kid, the first", changed("twice", &|_| {})),
        ("two keys of one kid, the second", changed("twice", &|_| {})),
    ];
    let mut scene = Scene::with_issuer(&file(""), issuer).await;
    for (what, key) in &keys {
        let token = scene.good().header("kid", key.kid.as_str()).forged_with(key).mint();
        scene.bad_token(what, &token).await;
        let nameless = scene.good().without_header("kid").forged_with(key).mint();
        scene.bad_token(format!("{what}, no kid"), &nameless).await;
    }
    for (kid, bytes) in [("rsa-2048-e1", 256), ("rsa-2048-e1-padded", 256), ("rsa-1024-e1", 128), ("rsa-512-e1", 64)] {
        let token = scene.good().header("kid", kid).header("alg", "RS256").mint();
        let hash = digest(&SHA256, signed_part(&token).as_bytes());
        let info = [SHA256_INFO, hash.as_ref()].concat();
        // EMSA-PKCS1-v1_5 (RFC 8017 §9.2): to the power of one it is its own signature.
        let padding = vec![0xff; bytes - 3 - info.len()];
        let forged = [&[0, 1][..], &padding, &[0], &info].concat();
        scene
            .bad_token(format!("a signature that everybody can make for {kid}"), &with_signature(&token, &forged))
            .await;
    }
    scene.end().await
}

async fn a5_kid_injection() -> Tally {
    let mut scene = Scene::start(&crate::h_keys::with_keys("{cooldown_secs: 3600}")).await;
    let before = scene.world.issuer.fetches().keys;
    // No fetch may come of what cannot be a kid.
    for kid in [
        json!("k".repeat(4096)),
        json!("../".repeat(300)),
        json!(1),
        json!(null),
        json!(true),
        json!(["k-1"]),
        json!({"k-1": 1}),
        json!(1.5),
    ] {
        let token = scene.good().header("kid", kid.clone()).mint();
        scene.bad_token(format!("kid {}", &kid.to_string()[..kid.to_string().len().min(40)]), &token).await;
    }
    let fetches = scene.world.issuer.fetches().keys;
    scene.expect(fetches == before, "a fetch for what cannot be a kid");
    for kid in [
        "",
        "K-1",
        " k-1",
        "k-1 ",
        "k-1\u{0}",
        "k-1\u{0}x",
        "k\u{2010}1",
        "\u{ff4b}-1",
        "k-1\r\nX-Forged: f0rged",
        "../../../../dev/null",
        "/dev/null",
        "file:///dev/null",
        "..\\..\\windows\\win.ini",
        "' OR '1'='1",
        "k-1'; DROP TABLE keys; --",
        "k-1' UNION SELECT 'secret",
        "${jndi:ldap://127.0.0.1:1/x}",
        "{{7*7}}",
        "| cat /etc/passwd",
        "$(id)",
        "k-1;k-1",
        "k-1,k-1",
        "http://127.0.0.1:1/jwks",
        "*",
        ".*",
        "%6b-1",
        "\u{1b}[31mk-1",
        "__proto__",
        "constructor",
        "null",
    ] {
        let token = scene.good().header("kid", kid).mint();
        scene.bad_token(format!("kid {kid:?}"), &token).await;
    }
    let fetches = scene.world.issuer.fetches().keys;
    scene.expect(fetches <= before + 1, format!("{} fetches for unknown kids", fetches - before));
    scene.end().await
}

async fn a6_keys_in_the_token() -> Tally {
    let mut scene = Scene::standard().await;
    let trap = AuthorizationServer::up();
    let key = trap.key();
    let pem = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----";
    let uri = format!("{}/jwks", trap.issuer());
    let headers = [
        ("jku", json!(uri)),
        ("jku", json!([uri])),
        ("JKU", json!(uri)),
        ("x5u", json!(uri)),
        ("jwk", key.jwk()),
        ("jwk", json!(key.jwk().to_string())),
        ("jwks", json!({"keys": [key.jwk()]})),
        ("x5c", json!([STANDARD.encode([SPKI_P256, key.public_bytes().as_slice()].concat())])),
        ("x5t", json!("AAAAAAAAAAAAAAAAAAAAAAAAAAA")),
        ("x5t#S256", json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
        ("kid", json!(uri)),
        ("epk", key.jwk()),
        ("key", json!(pem)),
    ];
    for (name, value) in headers {
        let forged = scene.good().forged_with(&key);
        let named = forged.clone().header(name, value.clone()).mint();
        scene.bad_token(format!("{name} beside our kid"), &named).await;
        let other = forged.clone().header("kid", "k-trap").header(name, value.clone()).mint();
        scene.bad_token(format!("{name} beside another kid"), &other).await;
        let nameless = forged.without_header("kid").header(name, value).mint();
        scene.bad_token(format!("{name} without kid"), &nameless).await;
    }
    let claims = scene.good().forged_with(&key).claim("jwks_uri", uri.as_str()).claim("jku", uri.as_str()).mint();
    scene.bad_token("jwks_uri in the claims", &claims).await;
    let of_trap = scene.good().claim("iss", trap.issuer()).forged_with(&key).mint();
    scene.bad_token("iss of the trap", &of_trap).await;
    let fetches = trap.fetches();
    scene.expect((fetches.keys, fetches.metadata) == (0, 0), format!("the trap was visited: {fetches:?}"));
    scene.end().await
}

async fn a7_extensions() -> Tally {
    let mut scene = Scene::standard().await;
    for crit in [
        json!(["exp"]),
        json!(["b64"]),
        json!(["http://example.com/unknown"]),
        json!([]),
        json!(["alg"]),
        json!(["exp", "exp"]),
        json!([1]),
        json!([""]),
        json!("exp"),
        json!(null),
        json!({}),
        json!(true),
    ] {
        let token = scene.good().header("crit", crit.clone()).header("exp", now() + 60).mint();
        scene.bad_token(format!("crit {crit}"), &token).await;
    }
    for (name, value) in [("b64", json!(false)), ("b64", json!(true)), ("zip", json!("DEF")), ("zip", json!(null))] {
        let token = scene.good().header(name, value.clone()).mint();
        scene.bad_token(format!("{name} {value}"), &token).await;
    }
    let key = scene.world.issuer.key();
    let (header, claims) = scene.good().texts();
    // An unencoded payload (RFC 7797), where the server would read other bytes than were verified.
    let unencoded = key.sign_text(&format!("{}.{}", URL_SAFE_NO_PAD.encode(&header), "payload"));
    scene.bad_token("an unencoded payload", &unencoded).await;
    let nested = key.sign(header.replace("at+jwt", "JWT").replace('}', ",\"cty\":\"JWT\"}"), scene.token.as_bytes());
    scene.bad_token("a token within a token", &nested).await;
    let quoted = key.sign(&header, format!("\"{}\"", scene.token));
    scene.bad_token("a token within a token, as JSON text", &quoted).await;
    for jwe in [
        format!("{}.AAAA.AAAA.AAAA.AAAA", URL_SAFE_NO_PAD.encode(r#"{"alg":"dir","enc":"A128GCM","kid":"k-1"}"#)),
        format!("{}..AAAA.AAAA.AAAA", URL_SAFE_NO_PAD.encode(r#"{"alg":"ECDH-ES","enc":"A128GCM"}"#)),
        format!("{}.AAAA.AAAA.AAAA", scene.token),
        format!("{}....", URL_SAFE_NO_PAD.encode(&header)),
    ] {
        scene.bad_token("a JWE", &jwe).await;
    }
    let parts: Vec<String> = scene.token.split('.').map(str::to_owned).collect();
    let flattened = json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]}).to_string();
    let general =
        json!({"payload": parts[1], "signatures": [{"protected": parts[0], "signature": parts[2]}]}).to_string();
    for text in [flattened, general] {
        let plain = scene.call().token(&text);
        scene.refused("JSON serialisation", &plain, &[400]).await;
        let encoded = URL_SAFE_NO_PAD.encode(&text);
        scene.bad_token("JSON serialisation in base64url", &encoded).await;
    }
    let detached = format!("{}..{}", parts[0], parts[2]);
    scene.bad_token("a detached payload", &detached).await;
    let of_claims = key.sign("{}", claims);
    scene.bad_token("an empty header", &of_claims).await;
    scene.end().await
}

async fn a8_other_tokens() -> Tally {
    let mut scene = Scene::standard().await;
    for typ in [
        json!("ID"),
        json!("id_token"),
        json!("logout+jwt"),
        json!("secevent+jwt"),
        json!("dpop+jwt"),
        json!("oauth-authz-req+jwt"),
        json!("token-introspection+jwt"),
        json!("client-authentication+jwt"),
        json!("vc+jwt"),
        json!("refresh+jwt"),
        json!("application/JWT"),
        json!("JWT "),
        json!("JWT\u{0}"),
        json!("at+jwt;x=y"),
        json!("xat+jwt"),
        json!("JOSE"),
        json!(""),
        json!(null),
        json!(1),
        json!(["at+jwt"]),
    ] {
        let token = scene.good().header("typ", typ.clone()).mint();
        scene.bad_token(format!("typ {typ}"), &token).await;
    }
    for (name, value) in [
        ("at_hash", json!("x")),
        ("c_hash", json!("x")),
        ("at_hash", json!(null)),
        ("events", json!({"http://schemas.openid.net/event/backchannel-logout": {}})),
        ("token_use", json!("id")),
        ("token_use", json!("ID")),
        ("token_use", json!(1)),
        ("typ", json!("ID")),
        ("typ", json!("Refresh")),
        ("typ", json!("Logout")),
        ("typ", json!("refresh")),
        ("typ", json!(["Refresh"])),
    ] {
        for typ in ["JWT", "at+jwt"] {
            let token = scene.good().header("typ", typ).claim(name, value.clone()).mint();
            scene.bad_token(format!("{typ} with the claim {name} {value}"), &token).await;
        }
    }
    scene.end().await
}

async fn a9_times() -> Tally {
    let mut scene = Scene::standard().await;
    let key = scene.world.issuer.key();
    let (header, claims) = scene.good().claim("exp", 424_242).claim("nbf", 1).texts();
    let now = now();
    let times = [
        ("a string", format!("\"{}\"", now + 3600)),
        ("null", "null".to_owned()),
        ("true", "true".to_owned()),
        ("an array", format!("[{}]", now + 3600)),
        ("an object", "{}".to_owned()),
        ("NaN", "NaN".to_owned()),
        ("Infinity", "Infinity".to_owned()),
        ("1e400", "1e400".to_owned()),
        ("-1", "-1".to_owned()),
        ("-1e308", "-1e308".to_owned()),
        ("a leading zero", format!("0{}", now + 3600)),
        ("a plus", format!("+{}", now + 3600)),
        ("hexadecimal", "0xffffffff".to_owned()),
    ];
    for (what, text) in &times {
        let exp = key.sign(&header, claims.replace("424242", text));
        scene.bad_token(format!("exp {what}"), &exp).await;
        let good = claims.replace("424242", &(now + 3600).to_string());
        let nbf = key.sign(&header, good.replace("\"nbf\":1", &format!("\"nbf\":{text}")));
        scene.bad_token(format!("nbf {what}"), &nbf).await;
        let iat = key.sign(&header, good.replace(&format!("\"iat\":{}", scene_iat(&good)), &format!("\"iat\":{text}")));
        scene.bad_token(format!("iat {what}"), &iat).await;
    }
    for exp in [json!(0), json!(1), json!(0.5), json!(now - 3600), json!(now - 61), json!(1e3)] {
        let token = scene.good().claim("exp", exp.clone()).mint();
        scene.bad_token(format!("exp {exp}"), &token).await;
    }
    for late in ["nbf", "iat"] {
        for secs in [120_u64, 3600, 1 << 40, u64::MAX - now] {
            let token = scene.good().claim(late, now + secs).mint();
            scene.bad_token(format!("{late} in {secs} s"), &token).await;
        }
    }
    let never = scene.good().without("exp").mint();
    scene.bad_token("no exp", &never).await;
    let spelled = scene.good().without("exp").claim("EXP", now + 3600).claim("expires", now + 3600).mint();
    scene.bad_token("exp by another name", &spelled).await;
    scene.end().await
}

fn scene_iat(claims: &str) -> String {
    serde_json::from_str::<Value>(claims).unwrap()["iat"].to_string()
}

async fn a10_audiences() -> Tally {
    let mut scene = Scene::standard().await;
    let ours = scene.world.url("/mcp");
    let address = scene.world.address;
    let audiences = [
        json!(null),
        json!(""),
        json!(1),
        json!(true),
        json!({}),
        json!({"aud": ours}),
        json!([]),
        json!([1]),
        json!([null]),
        json!([[ours]]),
        json!([ours, 1]),
        json!([ours, null]),
        json!(["other", "another"]),
        json!(scene.world.url("")),
        json!(scene.world.url("/")),
        json!(scene.world.url("/mcp/")),
        json!(scene.world.url("/mcp/child")),
        json!(scene.world.url("/mcpx")),
        json!(scene.world.url("/mc")),
        json!(scene.world.url("/MCP")),
        json!(scene.world.url("/%6dcp")),
        json!(scene.world.url("/./mcp")),
        json!(scene.world.url("//mcp")),
        json!(scene.world.url("/mcp?x")),
        json!(scene.world.url("/mcp#x")),
        json!(scene.world.url("/mcp\u{0}")),
        json!(scene.world.url("/mcp ")),
        json!(format!(" {ours}")),
        json!(format!("{ours} other")),
        json!(format!("{ours},other")),
        json!(ours.replace("http:", "https:")),
        json!(ours.replace("http:", "HTTP:")),
        json!(ours.replace("127.0.0.1", "localhost")),
        json!(ours.replace("127.0.0.1", "127.0.0.1.")),
        json!(ours.replace("127.0.0.1", "user@127.0.0.1")),
        json!(ours.replace("127.0.0.1", "[::1]")),
        json!(format!("http://127.0.0.1.evil.example:{}/mcp", address.port())),
        json!(format!("http://evil.example/{ours}")),
        json!("/mcp"),
        json!("mcp"),
        json!("standard"),
        json!("inspector"),
        json!(scene.world.issuer.issuer()),
        json!("*"),
        json!(".*"),
        json!("http://*"),
    ];
    for audience in audiences {
        let token = scene.good().claim("aud", audience.clone()).mint();
        scene.bad_token(format!("aud {audience}"), &token).await;
    }
    let missing = scene.good().without("aud").mint();
    scene.bad_token("no aud", &missing).await;
    for claim in ["resource", "AUD", "azp", "audience"] {
        let token = scene.good().without("aud").claim(claim, ours.as_str()).mint();
        scene.bad_token(format!("the resource in {claim}"), &token).await;
    }
    scene.end().await
}

async fn a11_issuers() -> Tally {
    let other = AuthorizationServer::up();
    let text = file("")
        .replace("  - issuer: {issuer}\n", &format!("  - issuer: {{issuer}}\n  - issuer: {}\n", other.issuer()));
    let mut scene = Scene::start(&text).await;
    let of_other = scene.good().claim("iss", other.issuer()).header("kid", "k-1").forged_with(&other.key());
    scene.world.keys_arrived_with(&of_other.mint()).await;
    let ours = scene.world.issuer.issuer().to_owned();
    for issuer in [
        json!(null),
        json!(""),
        json!(1),
        json!([ours]),
        json!([ours, other.issuer()]),
        json!({"iss": ours}),
        json!(format!("{ours}/")),
        json!(format!("{ours} ")),
        json!(format!(" {ours}")),
        json!(format!("{ours}\u{0}")),
        json!(format!("{ours}#x")),
        json!(format!("{ours}?x")),
        json!(format!("{ours}/.")),
        json!(format!("{ours}.evil.example")),
        json!(ours.replace("http", "HTTP")),
        json!(ours.replace("http", "https")),
        json!(ours.replace("127.0.0.1", "localhost")),
        json!(ours.replace("127.0.0.1", "user@127.0.0.1")),
        json!(ours.trim_start_matches("http://")),
        json!("https://evil.example"),
    ] {
        let token = scene.good().claim("iss", issuer.clone()).mint();
        scene.bad_token(format!("iss {issuer}"), &token).await;
    }
    let missing = scene.good().without("iss").mint();
    scene.bad_token("no iss", &missing).await;
    // The mix-up: both are known, and both call their key k-1.
    let ours_by_other = scene.good().forged_with(&other.key()).mint();
    scene.bad_token("our issuer with the key of the other", &ours_by_other).await;
    let other_by_ours = scene.good().claim("iss", other.issuer()).mint();
    scene.bad_token("the other issuer with our key", &other_by_ours).await;
    let nameless = scene.good().forged_with(&other.key()).without_header("kid").mint();
    scene.bad_token("our issuer with the key of the other, no kid", &nameless).await;
    let in_the_header = scene.good().without("iss").header("iss", ours).mint();
    scene.bad_token("iss in the header", &in_the_header).await;
    let both = scene.call().token(&of_other.mint());
    scene.control("the other issuer with its own key", &both).await;
    scene.end().await
}

/// `SEQUENCE { INTEGER r, INTEGER s }`.
fn der_signature(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |value: &[u8]| {
        let value = [&[0], value].concat();
        [&[2, u8::try_from(value.len()).unwrap()], value.as_slice()].concat()
    };
    let body = [integer(r), integer(s)].concat();
    [&[0x30, u8::try_from(body.len()).unwrap()], body.as_slice()].concat()
}

fn add_little_endian(to: &mut [u8], more: &[u8]) {
    let mut carry = 0_u16;
    for (digit, more) in to.iter_mut().zip(more) {
        let total = u16::from(*digit) + u16::from(*more) + carry;
        *digit = u8::try_from(total & 0xff).unwrap();
        carry = total >> 8;
    }
}

/// `SubjectPublicKeyInfo` of a P-256 key, up to the point.
const SPKI_P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// `DigestInfo` of SHA-256, up to the hash.
const SHA256_INFO: &[u8] =
    &[0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];

/// n of P-256.
const ORDER_P256: &[u8] = &[
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// l of Ed25519, the least significant byte first.
const ORDER_ED25519: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

//! Tokens that must be refused, by the way in which they are wrong, and the good ones beside them.

use super::*;
use crate::rejection::TokenFault::*;

/// Asserts what becomes of a good token changed by these patches of header and claims.
async fn check(world: &World, signer: &Signer, header: Value, claims: Value, expect: Option<TokenFault>) {
    let token = signer.token(&header, &claims);
    let fault = world.fault(&token).await;
    assert_eq!(fault, expect.map(TokenError::Invalid), "header {header}, claims {claims}");
    // The second time it may come from the cache: the answer is the same.
    assert_eq!(world.fault(&token).await, fault, "again: header {header}, claims {claims}");
}

macro_rules! table {
    ($world:expr, $signer:expr; $( $header:tt, $claims:tt => $expect:expr; )*) => {
        $( check($world, $signer, json!($header), json!($claims), $expect).await; )*
    };
}

#[tokio::test(start_paused = true)]
async fn a_good_token_is_a_principal() {
    for signer in [Signer::es256("k"), Signer::ed25519("k")] {
        let world = World::with_keys(&[&signer]);
        let principal = world.say(&signer.good()).await.unwrap();
        assert_eq!(principal.issuer().as_str(), ISSUER);
        assert_eq!(principal.subject(), Some("ada"));
        assert_eq!(principal.client(), Some("cli"));
        assert_eq!(principal.scopes().to_string(), "mcp github:read");
        assert_eq!(principal.expires_at(), NOW + 300);
        assert_eq!(principal.claim(&ClaimPath::parse("sub").unwrap()), Some(vec!["ada".to_owned()]));
    }
}

#[tokio::test(start_paused = true)]
async fn headers() {
    let signer = Signer::es256("k1");
    let world = World::with_keys(&[&signer]);
    table! { &world, &signer;
        {}, {} => None;
        // A1: the algorithm is never the token's choice.
        {"alg": "none"}, {} => Some(Algorithm);
        {"alg": "None"}, {} => Some(Algorithm);
        {"alg": "es256"}, {} => Some(Algorithm);
        {"alg": "ES256 "}, {} => Some(Algorithm);
        {"alg": ""}, {} => Some(Algorithm);
        {"alg": null}, {} => Some(Algorithm);
        {"alg": ["ES256"]}, {} => Some(Algorithm);
        {"alg": ABSENT}, {} => Some(Algorithm);
        {"alg": "HS256"}, {} => Some(Algorithm);
        {"alg": "ES512"}, {} => Some(Algorithm);
        {"alg": "RS512"}, {} => Some(Algorithm);
        {"alg": "RS256"}, {} => Some(Algorithm);
        {"alg": "ES384"}, {} => Some(Algorithm);
        // A5: the key identifier is a text and nothing else.
        {"kid": "K1"}, {} => Some(UnknownKey);
        {"kid": "k1\0"}, {} => Some(UnknownKey);
        {"kid": "../../k1"}, {} => Some(UnknownKey);
        {"kid": "' OR 1=1 --"}, {} => Some(UnknownKey);
        {"kid": ""}, {} => Some(UnknownKey);
        {"kid": 1}, {} => Some(Malformed);
        {"kid": null}, {} => Some(Malformed);
        {"kid": ["k1"]}, {} => Some(Malformed);
        {"kid": ABSENT}, {} => None;
        // A6: keys and places of keys in a token are not read.
        {"jku": "https://evil.example/jwks"}, {} => None;
        {"x5u": "https://evil.example/cert"}, {} => None;
        {"jwk": {"kty": "EC"}}, {} => None;
        {"x5c": ["MIIB"]}, {} => None;
        // A7: extensions.
        {"crit": ["exp"]}, {} => Some(Malformed);
        {"crit": []}, {} => Some(Malformed);
        {"crit": null}, {} => Some(Malformed);
        {"b64": false}, {} => Some(Malformed);
        {"b64": true}, {} => Some(Malformed);
        {"zip": "DEF"}, {} => Some(Malformed);
        // A8: kinds of tokens.
        {"typ": "application/at+jwt"}, {} => None;
        {"typ": "AT+JWT"}, {} => None;
        {"typ": "JWT"}, {} => None;
        {"typ": ABSENT}, {} => None;
        {"typ": "dpop+jwt"}, {} => Some(Type);
        {"typ": "logout+jwt"}, {} => Some(Type);
        {"typ": "secevent+jwt"}, {} => Some(Type);
        {"typ": "id_token+jwt"}, {} => Some(Type);
        {"typ": "at+jwt "}, {} => Some(Type);
        {"typ": ""}, {} => Some(Type);
        {"typ": null}, {} => Some(Malformed);
        {"typ": ["at+jwt"]}, {} => Some(Malformed);
    }
    check(&world, &signer, json!({"kid": "k".repeat(257)}), json!({}), Some(Malformed)).await;
    check(&world, &signer, json!({"kid": "k".repeat(256)}), json!({}), Some(UnknownKey)).await;
    let known = [JWKS_URL, "https://as.example/.well-known/"];
    let strange: Vec<_> =
        world.fetch.fetched().into_iter().filter(|url| !known.iter().any(|k| url.starts_with(k))).collect();
    assert_eq!(strange, [""; 0], "a token made us fetch");
}

#[tokio::test(start_paused = true)]
async fn claims() {
    let signer = Signer::es256("k1");
    let world = World::with_keys(&[&signer]);
    table! { &world, &signer;
        // A8: other tokens of the same issuer.
        {}, {"at_hash": "x"} => Some(Type);
        {}, {"c_hash": "x"} => Some(Type);
        {}, {"events": {}} => Some(Type);
        {}, {"token_use": "id"} => Some(Type);
        {}, {"token_use": "ID"} => Some(Type);
        {}, {"token_use": "access"} => None;
        {}, {"token_use": 1} => Some(Claim);
        {}, {"typ": "ID"} => Some(Type);
        {}, {"typ": "Refresh"} => Some(Type);
        {}, {"typ": "Logout"} => Some(Type);
        {}, {"typ": "Bearer"} => None;
        {}, {"typ": null} => Some(Claim);
        // A9: times.
        {}, {"exp": ABSENT} => Some(Claim);
        {}, {"exp": "1900000000"} => Some(Claim);
        {}, {"exp": null} => Some(Claim);
        {}, {"exp": true} => Some(Claim);
        {}, {"exp": [NOW + 300]} => Some(Claim);
        {}, {"exp": -1} => Some(Claim);
        {}, {"exp": -0.5} => Some(Claim);
        {}, {"exp": 1e300} => None;
        {}, {"exp": u64::MAX} => None;
        {}, {"exp": 0} => Some(Expired);
        {}, {"exp": NOW - 29} => None;
        {}, {"exp": NOW - 30} => Some(Expired);
        {}, {"exp": 1_799_999_970.9} => Some(Expired);
        {}, {"exp": 1_799_999_971.1} => None;
        {}, {"nbf": NOW + 30} => None;
        {}, {"nbf": NOW + 31} => Some(NotYetValid);
        {}, {"nbf": 1_800_000_030.1} => Some(NotYetValid);
        {}, {"nbf": "0"} => Some(Claim);
        {}, {"nbf": null} => Some(Claim);
        {}, {"nbf": false} => Some(Claim);
        {}, {"nbf": []} => Some(Claim);
        {}, {"nbf": ABSENT, "iat": ABSENT} => None;
        {}, {"iat": NOW + 31} => Some(NotYetValid);
        {}, {"iat": "now"} => Some(Claim);
        {}, {"iat": null} => Some(Claim);
        // A10: audiences.
        {}, {"aud": [RESOURCE]} => None;
        {}, {"aud": ["https://other.example", RESOURCE]} => None;
        {}, {"aud": ABSENT} => Some(Audience);
        {}, {"aud": []} => Some(Audience);
        {}, {"aud": ""} => Some(Audience);
        {}, {"aud": "*"} => Some(Audience);
        {}, {"aud": "cli"} => Some(Audience);
        {}, {"aud": "https://mcp.example"} => Some(Audience);
        {}, {"aud": "https://mcp.example/github"} => Some(Audience);
        {}, {"aud": "https://mcp.example/github/mcp/"} => Some(Audience);
        {}, {"aud": "https://mcp.example/github/mcp/x"} => Some(Audience);
        {}, {"aud": "https://mcp.example/GitHub/mcp"} => Some(Audience);
        {}, {"aud": "http://mcp.example/github/mcp"} => Some(Audience);
        {}, {"aud": "https://mcp.example:443/github/mcp"} => Some(Audience);
        {}, {"aud": "https://x@mcp.example/github/mcp"} => Some(Audience);
        {}, {"aud": "https://mcp.example/github/mcp#x"} => Some(Audience);
        {}, {"aud": "https://mcp.example/github/mcp\0"} => Some(Audience);
        {}, {"aud": [[RESOURCE]]} => Some(Claim);
        {}, {"aud": [RESOURCE, 1]} => Some(Claim);
        {}, {"aud": null} => Some(Claim);
        {}, {"aud": {"0": RESOURCE}} => Some(Claim);
        {}, {"aud": true} => Some(Claim);
        // A11: issuers.
        {}, {"iss": ABSENT} => Some(Issuer);
        {}, {"iss": "https://as.example/"} => Some(Issuer);
        {}, {"iss": "https://AS.example"} => Some(Issuer);
        {}, {"iss": "https://as.example.evil.example"} => Some(Issuer);
        {}, {"iss": "https://as.example\0"} => Some(Issuer);
        {}, {"iss": ""} => Some(Issuer);
        {}, {"iss": [ISSUER]} => Some(Claim);
        {}, {"iss": null} => Some(Claim);
        // A16: tokens bound to a key of the sender.
        {}, {"cnf": {"jkt": "x"}} => Some(Type);
        {}, {"cnf": {"x5t#S256": "x"}} => Some(Type);
        {}, {"cnf": null} => Some(Type);
        // Who it is.
        {}, {"sub": ABSENT} => None;
        {}, {"client_id": ABSENT} => None;
        {}, {"sub": ABSENT, "client_id": ABSENT} => Some(Claim);
        {}, {"sub": ""} => Some(Claim);
        {}, {"sub": null} => Some(Claim);
        {}, {"sub": 7} => Some(Claim);
        {}, {"client_id": ["cli"]} => Some(Claim);
        {}, {"azp": 1} => Some(Claim);
        {}, {"cid": null} => Some(Claim);
        {}, {"appid": {}} => Some(Claim);
    }
}

#[tokio::test(start_paused = true)]
async fn scopes() {
    let signer = Signer::es256("k1");
    let world = World::with_keys(&[&signer]);
    let check = async |claims: Value, expect: Result<&str, TokenFault>| {
        let said = world.say(&signer.token(&json!({}), &claims)).await;
        let scopes = said.map(|principal| principal.scopes().to_string());
        assert_eq!(scopes, expect.map(str::to_owned).map_err(TokenError::Invalid), "{claims}");
    };
    check(json!({"scope": "a b"}), Ok("a b")).await;
    check(json!({"scope": "a a"}), Ok("a")).await;
    check(json!({"scope": ""}), Ok("")).await;
    check(json!({"scope": " a  b "}), Ok("a b")).await;
    check(json!({"scope": ["a", "b"]}), Ok("a b")).await;
    check(json!({"scope": ["a b", "c"]}), Ok("c")).await;
    check(json!({"scope": []}), Ok("")).await;
    check(json!({"scope": ABSENT}), Ok("")).await;
    check(json!({"scope": ABSENT, "scp": ["c"]}), Ok("c")).await;
    check(json!({"scope": "a", "scp": ["c"]}), Ok("a")).await;
    // The first present one counts, even if it is empty.
    check(json!({"scope": "", "scp": ["c"]}), Ok("")).await;
    check(json!({"scope": "A"}), Ok("A")).await;
    check(json!({"scope": "a,b"}), Ok("a,b")).await;
    check(json!({"scope": "a\tb"}), Ok("")).await;
    check(json!({"scope": "a\nb c"}), Ok("c")).await;
    check(json!({"scope": "a\u{a0}b"}), Ok("")).await;
    check(json!({"scope": "a\"b"}), Ok("")).await;
    check(json!({"scope": "a\\b"}), Ok("")).await;
    check(json!({"scope": null}), Err(Claim)).await;
    check(json!({"scope": 1}), Err(Claim)).await;
    check(json!({"scope": true}), Err(Claim)).await;
    check(json!({"scope": {"a": true}}), Err(Claim)).await;
    check(json!({"scope": ["a", 1]}), Err(Claim)).await;
    check(json!({"scope": [["a"]]}), Err(Claim)).await;
    check(json!({"scope": null, "scp": ["c"]}), Err(Claim)).await;
}

#[tokio::test(start_paused = true)]
async fn scopes_at_a_json_pointer() {
    let signer = Signer::es256("k1");
    let mut settings = issuer(ISSUER);
    settings.scope_claims = vec![ClaimPath::parse("/realm_access/roles").unwrap()];
    let world = World::start(vec![settings], &[(JWKS_URL, Answer::Body(jwks(&[&signer])))]);
    let token = signer.token(&json!({}), &json!({"realm_access": {"roles": ["admin", "default roles"]}}));
    assert_eq!(world.say(&token).await.unwrap().scopes().to_string(), "admin");
}

#[tokio::test(start_paused = true)]
async fn the_client_is_the_first_of_its_names() {
    let signer = Signer::es256("k1");
    let world = World::with_keys(&[&signer]);
    let all = json!({"client_id": "1", "azp": "2", "cid": "3", "appid": "4"});
    for (place, name) in ["client_id", "azp", "cid", "appid"].iter().enumerate() {
        let mut claims = all.clone();
        for earlier in &["client_id", "azp", "cid", "appid"][..place] {
            claims[*earlier] = json!(ABSENT);
        }
        let principal = world.say(&signer.token(&json!({}), &claims)).await.unwrap();
        assert_eq!(principal.client(), Some((place + 1).to_string().as_str()), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_issuer_signed_must_be_one_strict_object() {
    let signer = Signer::es256("k1");
    let world = World::with_keys(&[&signer]);
    let header = r#"{"alg":"ES256","kid":"k1"}"#;
    let claims = good_claims().to_string();
    let deep = format!("{}{}", "[".repeat(3000), "]".repeat(3000));
    let check = async |header: &str, payload: &str, expect: Option<TokenFault>| {
        let token = signer.sign(header, payload);
        assert_eq!(world.fault(&token).await, expect.map(TokenError::Invalid), "{header}.{payload}");
    };
    check(header, &claims, None).await;
    check(r#"{"alg":"ES256","kid":"k1","alg":"ES256"}"#, &claims, Some(Malformed)).await;
    check(r#"{"alg":"none","alg":"ES256","kid":"k1"}"#, &claims, Some(Malformed)).await;
    check(r#"{"alg":"ES256","kid":"k1","\u0061lg":"none"}"#, &claims, Some(Malformed)).await;
    check(r#"["ES256","k1"]"#, &claims, Some(Malformed)).await;
    check(r#""ES256""#, &claims, Some(Malformed)).await;
    check("", &claims, Some(Malformed)).await;
    check("{", &claims, Some(Malformed)).await;
    check(header, "", Some(Malformed)).await;
    check(header, "[]", Some(Malformed)).await;
    check(header, "null", Some(Malformed)).await;
    check(header, "foo", Some(Malformed)).await;
    check(header, &format!("{claims} x"), Some(Malformed)).await;
    check(header, &format!("\u{feff}{claims}"), Some(Malformed)).await;
    check(header, &claims.replacen('{', r#"{"scope":"admin","#, 1), Some(Malformed)).await;
    check(header, &claims.replacen('{', r#"{"x":{"y":1,"y":2},"#, 1), Some(Malformed)).await;
    check(header, &claims.replacen('{', r#"{"x":1e400,"#, 1), Some(Malformed)).await;
    check(header, &claims.replacen('{', r#"{"x":NaN,"#, 1), Some(Malformed)).await;
    check(header, &claims.replacen('{', r#"{"x":"\ud800","#, 1), Some(Malformed)).await;
    check(header, &claims.replacen('{', r#"{"x":1e3,"#, 1), None).await;
    assert_eq!(jwt::read_object(claims.replacen('{', &format!(r#"{{"x":{deep},"#), 1).as_bytes()), Err(Malformed));
    // A nested token: what was signed is another token.
    check(header, &signer.good(), Some(Malformed)).await;
}

/// Spellings of a token below the syntax of the header field, so they are read here directly.
#[test]
fn a_token_has_one_spelling() {
    let signer = Signer::es256("k1");
    let document = jwks(&[&signer]);
    let keys = jwks::read(document.as_bytes(), &[jsonwebtoken::Algorithm::ES256], None).unwrap().set;
    let good = signer.good();
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let check = |token: &str, ok: bool| assert_eq!(jwt::verify_jws(token, &keys).is_ok(), ok, "{token:?}");
    check(&good, true);
    check("", false);
    check(".", false);
    check("..", false);
    check("...", false);
    check(&format!("{header}.{payload}"), false);
    check(&format!("{header}.{payload}."), false);
    check(&format!("{header}..{signature}"), false);
    check(&format!(".{payload}.{signature}"), false);
    check(&format!("{good}."), false);
    check(&format!(".{good}"), false);
    check(&format!("{header}.{payload}.{signature}.{signature}"), false);
    check(&format!("{header}.{payload}.x.y.{signature}"), false);
    check(&format!("{good}="), false);
    check(&format!("{good}=="), false);
    check(&format!("{good} "), false);
    check(&format!("{good}\n"), false);
    check(&format!(" {good}"), false);
    check(&format!("{header}.{payload}.{signature}A"), false);
    check(&format!("{header}.{payload}.{}", &signature[..85]), false);
    check(&good.replacen("eyJ", "eyJ\u{e9}", 1), false);
    check(&format!(r#"{{"protected":"{header}","payload":"{payload}","signature":"{signature}"}}"#), false);
    // 64 bytes are 85 characters and one of which four bits are spare.
    let last = signature.chars().last().unwrap();
    for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/".chars() {
        check(&format!("{header}.{payload}.{}{other}", &signature[..85]), other == last);
    }
}

#[test]
fn signatures_that_verify_nothing() {
    for signer in [Signer::es256("k1"), Signer::ed25519("k1")] {
        let allowed = [jsonwebtoken::Algorithm::ES256, jsonwebtoken::Algorithm::EdDSA];
        let keys = jwks::read(jwks(&[&signer]).as_bytes(), &allowed, None).unwrap().set;
        let good = signer.good();
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let check = |signature: &[u8]| {
            let verified = jwt::verify_jws(&format!("{signed}.{}", b64(signature)), &keys);
            assert_eq!(verified, Err(Signature), "{signature:?}");
        };
        check(&[]);
        check(&[0; 64]);
        check(&[0xff; 64]);
        check(&[[0; 32], [1; 32]].concat());
        check(&signature[..63]);
        check(&[signature.as_slice(), &[0]].concat());
        check(&[&[0], signature.as_slice()].concat());
        check(&signer.signature(b"another message"));
        check(&Signer::es256("k1").signature(signed.as_bytes()));
        // The same signature in DER, as other standards write it.
        let der: Vec<u8> = [&[0x30, 68, 2, 32], &signature[..32], &[2, 32], &signature[32..]].concat();
        check(&der);
        for bit in 0..signature.len() * 8 {
            let mut flipped = signature.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            check(&flipped);
        }
    }
}

#[test]
fn a_public_key_is_no_secret() {
    use aws_lc_rs::hmac;
    let signer = Signer::es256("k1");
    let document = jwks(&[&signer]);
    let every = [jsonwebtoken::Algorithm::ES256, jsonwebtoken::Algorithm::HS256];
    let keys = jwks::read(document.as_bytes(), &every, None).unwrap().set;
    let SigningKey::Es256(pair) = &signer.key else { panic!("ES256") };
    let point = pair.public_key().as_ref();
    for secret in [document.as_bytes(), point, &point[1..], signer.jwk().to_string().as_bytes(), b""] {
        let message = format!("{}.{}", b64(r#"{"alg":"HS256","kid":"k1"}"#), b64(good_claims().to_string()));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
        assert_eq!(jwt::verify_jws(&format!("{message}.{}", b64(tag)), &keys), Err(Algorithm));
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_verified_on_one_route_proves_nothing_on_another() {
    let signer = Signer::es256("k1");
    let world = World::with_keys(&[&signer]);
    let good = signer.good();
    let name = || crate::oauth::ids::Issuer::parse(ISSUER).unwrap();
    let other_name = || crate::oauth::ids::Issuer::parse(OTHER_ISSUER).unwrap();
    let check = async |recipient: Recipient, expect: Option<TokenFault>| {
        let fault = world.say_to(&good, &recipient).await.err();
        assert_eq!(fault, expect.map(TokenError::Invalid), "{recipient:?}");
    };
    check(recipient(vec![name()], "/github/mcp", &[]), None).await;
    check(recipient(vec![name()], "/other/mcp", &[]), Some(Audience)).await;
    check(recipient(vec![name()], "/other/mcp", &[RESOURCE]), None).await;
    check(recipient(vec![other_name()], "/github/mcp", &[]), Some(Issuer)).await;
    check(recipient(vec![], "/github/mcp", &[]), Some(Issuer)).await;
    check(recipient(vec![other_name(), name()], "/github/mcp", &[]), None).await;
}

#[tokio::test(start_paused = true)]
async fn a_bare_origin_is_accepted_with_and_without_its_slash() {
    let signer = Signer::es256("k1");
    let world = World::with_keys(&[&signer]);
    let name = || vec![crate::oauth::ids::Issuer::parse(ISSUER).unwrap()];
    let check = async |path: &str, audience: &str, expect: Option<TokenFault>| {
        let token = signer.token(&json!({}), &json!({"aud": audience}));
        let fault = world.say_to(&token, &recipient(name(), path, &[])).await.err();
        assert_eq!(fault, expect.map(TokenError::Invalid), "{path:?} {audience}");
    };
    check("", "https://mcp.example", None).await;
    check("", "https://mcp.example/", None).await;
    check("/", "https://mcp.example", None).await;
    check("/", "https://mcp.example/", None).await;
    check("", "https://mcp.example//", Some(Audience)).await;
    check("", "https://mcp.example/x", Some(Audience)).await;
    check("", "https://mcp.example.evil.example", Some(Audience)).await;
    check("/a", "https://mcp.example/a/", Some(Audience)).await;
}

#[tokio::test(start_paused = true)]
async fn a_cached_token_expires() {
    let signer = Signer::es256("k1");
    let world = World::with_keys(&[&signer]);
    let token = signer.good();
    assert_eq!(world.fault(&token).await, None);
    world.now.store(NOW + 329, Ordering::Relaxed);
    assert_eq!(world.fault(&token).await, None);
    world.now.store(NOW + 330, Ordering::Relaxed);
    assert_eq!(world.fault(&token).await, invalid(Expired));
    // A clock that was set back makes the token good again, but only by validating it from the beginning.
    world.now.store(NOW - 36, Ordering::Relaxed);
    assert_eq!(world.fault(&token).await, invalid(NotYetValid));
}

#[tokio::test(start_paused = true)]
async fn only_verified_tokens_are_cached() {
    let signer = Signer::es256("k1");
    let world = World::with_keys(&[&signer]);
    let count = || world.validator.cache.count();
    let forged = Signer::es256("k1").good();
    for _ in 0..3 {
        assert_eq!(world.fault(&forged).await, invalid(Signature));
        assert_eq!(world.fault(&signer.token(&json!({}), &json!({"exp": 1}))).await, invalid(Expired));
        assert_eq!(world.fault(&signer.token(&json!({}), &json!({"exp": "1"}))).await, invalid(Claim));
        assert_eq!(world.fault(&signer.token(&json!({}), &json!({"iss": OTHER_ISSUER}))).await, invalid(Issuer));
    }
    assert_eq!(count(), 0);
    let good = signer.good();
    for _ in 0..3 {
        assert_eq!(world.fault(&good).await, None);
        assert_eq!(count(), 1);
    }
    world.now.store(NOW + 400, Ordering::Relaxed);
    assert_eq!(world.fault(&good).await, invalid(Expired));
    assert_eq!(count(), 0);
}

proptest::proptest! {
    #[test]
    fn nothing_makes_reading_panic(text in "\\PC{0,200}", part in "[A-Za-z0-9_-]{0,80}") {
        for token in [text.clone(), format!("{part}.{part}.{part}"), format!("{}.{part}.{part}", b64(&text))] {
            proptest::prop_assert!(jwt::verify_jws(&token, &jwks::KeySet::default()).is_err());
        }
        drop(jwks::read(text.as_bytes(), &[], None));
        drop(Claims::read(text.as_bytes()));
    }

    #[test]
    fn no_other_text_is_the_token(place in 0_usize..400, byte in 0x21_u8..0x7f) {
        // Made once: ECDSA keys are costly for so many cases.
        static GOOD: std::sync::OnceLock<(String, String)> = std::sync::OnceLock::new();
        let (document, good) = GOOD.get_or_init(|| {
            let signer = Signer::es256("k1");
            (jwks(&[&signer]), signer.good())
        });
        let keys = jwks::read(document.as_bytes(), &[jsonwebtoken::Algorithm::ES256], None).unwrap().set;
        let mut other = good.clone().into_bytes();
        let place = place % other.len();
        other[place] = byte;
        let other = String::from_utf8(other).unwrap();
        proptest::prop_assert_eq!(jwt::verify_jws(&other, &keys).is_ok(), other == *good);
    }
}

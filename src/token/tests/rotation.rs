//! Keys over time: issuers that are down, keys that come and go, floods of keys that do not exist. Time is tokio's paused
//! clock, which runs as fast as everybody waits.

use std::path::PathBuf;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::*;
use crate::rejection::TokenFault::{Signature, UnknownKey};

const METADATA_URL: &str = "https://as.example/.well-known/oauth-authorization-server";
const OPENID_URL: &str = "https://as.example/.well-known/openid-configuration";

fn keys(keys: &[&Signer]) -> Answer {
    Answer::Body(jwks(keys))
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn is_unavailable(fault: Option<TokenError>) -> bool {
    matches!(fault, Some(TokenError::KeysUnavailable { retry_after_secs: 1.. }))
}

/// Tokens of one key under many identifiers that the issuer does not have.
fn unknown(signer: &Signer, number: usize) -> String {
    signer.token(&json!({"kid": format!("unknown-{number}")}), &json!({}))
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_down_at_start_recovers_by_itself() {
    let signer = Signer::es256("k1");
    let world = World::start(vec![issuer(ISSUER)], &[(JWKS_URL, Answer::Down)]);
    assert!(is_unavailable(world.fault(&signer.good()).await));
    assert!(is_unavailable(world.fault(&signer.token(&json!({"kid": ABSENT}), &json!({}))).await));
    sleep(secs(3600)).await;
    assert!(world.fetch.count(JWKS_URL) < 3600 / 8 + 10, "the pause grows");
    world.fetch.answer(JWKS_URL, keys(&[&signer]));
    sleep(secs(10)).await;
    let fetches = world.fetch.count(JWKS_URL);
    assert_eq!(world.fault(&signer.good()).await, None);
    assert_eq!(world.fetch.count(JWKS_URL), fetches, "it was there before anybody asked");
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_goes_down_later_is_not_missed_until_its_keys_are_stale() {
    let signer = Signer::es256("k1");
    let world = World::with_keys(&[&signer]);
    let cached = signer.good();
    assert_eq!(world.fault(&cached).await, None);
    world.fetch.answer(JWKS_URL, Answer::Down);
    sleep(secs(86_400 - 301)).await;
    let before = Instant::now();
    assert_eq!(world.fault(&cached).await, None);
    assert_eq!(world.fault(&signer.good()).await, None);
    assert_eq!(before.elapsed(), secs(0), "nobody waits for the issuer");
    sleep(secs(601)).await;
    assert!(is_unavailable(world.fault(&cached).await));
    assert!(is_unavailable(world.fault(&signer.good()).await));
    world.fetch.answer(JWKS_URL, keys(&[&signer]));
    sleep(secs(10)).await;
    assert_eq!(world.fault(&cached).await, None);
}

#[tokio::test(start_paused = true)]
async fn the_first_token_with_a_new_key_is_accepted() {
    let (old, new) = (Signer::es256("old"), Signer::es256("new"));
    let world = World::with_keys(&[&old]);
    assert_eq!(world.fault(&old.good()).await, None);
    world.fetch.answer(JWKS_URL, keys(&[&old, &new]));
    let fetches = world.fetch.count(JWKS_URL);
    assert_eq!(world.fault(&new.good()).await, None);
    assert_eq!(world.fault(&old.good()).await, None);
    assert_eq!(world.fetch.count(JWKS_URL), fetches + 1);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_first_fetch_does_not_use_up_the_cooldown() {
    let (old, new) = (Signer::es256("old"), Signer::es256("new"));
    let slow = Answer::Slow(jwks(&[&old]), secs(1));
    let world = World::start(vec![issuer(ISSUER)], &[(JWKS_URL, slow)]);
    assert_eq!(world.fault(&old.good()).await, None);
    world.fetch.answer(JWKS_URL, keys(&[&old, &new]));
    assert_eq!(world.fault(&new.good()).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_removed_key_is_refused_after_the_next_refresh() {
    let (old, new) = (Signer::es256("old"), Signer::es256("new"));
    let world = World::with_keys(&[&old]);
    let cached = old.good();
    assert_eq!(world.fault(&cached).await, None);
    world.fetch.answer(JWKS_URL, keys(&[&new]));
    assert_eq!(world.fault(&cached).await, None);
    sleep(secs(300)).await;
    assert_eq!(world.fault(&cached).await, invalid(UnknownKey));
    assert_eq!(world.fault(&old.good()).await, invalid(UnknownKey));
    assert_eq!(world.fault(&new.good()).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_key_replaced_under_its_name_takes_the_cached_tokens_with_it() {
    let (old, new) = (Signer::es256("same"), Signer::es256("same"));
    let world = World::with_keys(&[&old]);
    let cached = old.good();
    assert_eq!(world.fault(&cached).await, None);
    world.fetch.answer(JWKS_URL, keys(&[&new]));
    sleep(secs(300)).await;
    assert_eq!(world.fault(&cached).await, invalid(Signature));
    assert_eq!(world.fault(&new.good()).await, None);
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_unknown_keys_cost_one_fetch_in_a_cooldown() {
    let signer = Signer::es256("k1");
    let world = World::with_keys(&[&signer]);
    assert_eq!(world.fault(&signer.good()).await, None);
    for cooldown in 1..=3 {
        let fetches = world.fetch.count(JWKS_URL);
        for number in 0..10_000 {
            assert_eq!(world.fault(&unknown(&signer, number % 50)).await, invalid(UnknownKey));
        }
        assert_eq!(world.fetch.count(JWKS_URL), fetches + 1, "in cool-down {cooldown}");
        assert_eq!(world.fault(&signer.good()).await, None);
        sleep(secs(11)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_unknown_keys_at_once_cost_one_fetch_and_a_hundred_waiters() {
    let signer = Signer::es256("k1");
    let world = Arc::new(World::with_keys(&[&signer]));
    assert_eq!(world.fault(&signer.good()).await, None);
    world.fetch.answer(JWKS_URL, Answer::Slow(jwks(&[&signer]), secs(1)));
    let fetches = world.fetch.count(JWKS_URL);
    let mut requests = JoinSet::new();
    let token = unknown(&signer, 0);
    for _ in 0..10_000 {
        let (world, token) = (Arc::clone(&world), token.clone());
        requests.spawn(async move {
            let began = Instant::now();
            (world.fault(&token).await, began.elapsed())
        });
    }
    let answers = requests.join_all().await;
    assert_eq!(world.fetch.count(JWKS_URL), fetches + 1);
    let (waited, turned_away): (Vec<_>, Vec<_>) = answers.into_iter().partition(|(_, time)| *time > secs(0));
    assert_eq!((waited.len(), turned_away.len()), (100, 9_900));
    assert!(waited.iter().all(|(fault, _)| *fault == invalid(UnknownKey)));
    assert!(turned_away.iter().all(|(fault, _)| is_unavailable(*fault)));
}

#[tokio::test(start_paused = true)]
async fn a_hanging_issuer_holds_a_request_for_three_seconds() {
    let signer = Signer::es256("k1");
    let world = World::with_keys(&[&signer]);
    assert_eq!(world.fault(&signer.good()).await, None);
    world.fetch.answer(JWKS_URL, Answer::Hangs);
    let began = Instant::now();
    assert!(is_unavailable(world.fault(&unknown(&signer, 0)).await));
    assert_eq!(began.elapsed(), secs(3));
    let began = Instant::now();
    assert_eq!(world.fault(&signer.good()).await, None);
    assert_eq!(began.elapsed(), secs(0), "a known key does not wait");
    // The fetch is given up, and then the answer is at once that nobody can say.
    sleep(secs(3)).await;
    let (began, fetches) = (Instant::now(), world.fetch.count(JWKS_URL));
    assert_eq!(world.fault(&unknown(&signer, 1)).await, Some(TokenError::KeysUnavailable { retry_after_secs: 9 }));
    assert_eq!((began.elapsed(), world.fetch.count(JWKS_URL)), (secs(0), fetches));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_goes_away_frees_its_place() {
    let signer = Signer::es256("k1");
    let world = World::with_keys(&[&signer]);
    assert_eq!(world.fault(&signer.good()).await, None);
    world.fetch.answer(JWKS_URL, Answer::Slow(jwks(&[&signer]), secs(2)));
    let token = unknown(&signer, 0);
    for _ in 0..1_000 {
        assert!(tokio::time::timeout(Duration::from_millis(1), world.fault(&token)).await.is_err());
    }
    assert_eq!(world.fault(&token).await, invalid(UnknownKey));
}

#[tokio::test(start_paused = true)]
async fn keys_of_one_issuer_verify_no_token_of_another() {
    let (ours, theirs) = (Signer::es256("same"), Signer::es256("same"));
    let (our_other, their_other) = (Signer::es256("ours"), Signer::es256("theirs"));
    let world = World::start(
        vec![issuer(ISSUER), issuer(OTHER_ISSUER)],
        &[(JWKS_URL, keys(&[&ours, &our_other])), ("https://other.example/jwks", keys(&[&theirs, &their_other]))],
    );
    let of = |signer: &Signer, issuer: &str| signer.token(&json!({}), &json!({"iss": issuer}));
    assert_eq!(world.fault(&of(&ours, ISSUER)).await, None);
    assert_eq!(world.fault(&of(&theirs, OTHER_ISSUER)).await, None);
    assert_eq!(world.fault(&of(&ours, OTHER_ISSUER)).await, invalid(Signature));
    assert_eq!(world.fault(&of(&theirs, ISSUER)).await, invalid(Signature));
    assert_eq!(world.fault(&of(&our_other, OTHER_ISSUER)).await, invalid(UnknownKey));
    let without_kid = |signer: &Signer, issuer: &str| signer.token(&json!({"kid": ABSENT}), &json!({"iss": issuer}));
    assert_eq!(world.fault(&without_kid(&our_other, ISSUER)).await, None);
    assert_eq!(world.fault(&without_kid(&our_other, OTHER_ISSUER)).await, invalid(Signature));
}

#[tokio::test(start_paused = true)]
async fn a_token_without_kid_is_tried_against_eight_keys_and_starts_no_fetch() {
    let signers = ["1", "2", "3", "4", "5", "6", "7", "8", "9"].map(Signer::es256);
    let edwards = Signer::ed25519("10");
    let world = World::with_keys(&signers.iter().chain([&edwards]).collect::<Vec<_>>());
    let without_kid = |signer: &Signer| signer.token(&json!({"kid": ABSENT}), &json!({}));
    assert_eq!(world.fault(&signers[0].good()).await, None);
    let fetches = world.fetch.count(JWKS_URL);
    assert_eq!(world.fault(&without_kid(&signers[0])).await, None);
    assert_eq!(world.fault(&without_kid(&signers[7])).await, None);
    assert_eq!(world.fault(&without_kid(&signers[8])).await, invalid(Signature));
    assert_eq!(world.fault(&without_kid(&edwards)).await, None);
    assert_eq!(world.fault(&without_kid(&Signer::es256("new"))).await, invalid(Signature));
    assert_eq!(world.fetch.count(JWKS_URL), fetches);
}

#[tokio::test(start_paused = true)]
async fn bad_answers_do_not_replace_good_keys() {
    let signer = Signer::es256("k1");
    let weak = json!({"keys": [patched(signer.jwk(), &json!({"use": "enc"}))]}).to_string();
    let bad = [
        Answer::Body(r#"{"keys":[]}"#.to_owned()),
        Answer::Body(weak),
        Answer::Body(String::new()),
        Answer::Body("<html>".to_owned()),
        Answer::Body(format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(512 * 1024))),
        Answer::Status(302, jwks(&[&Signer::es256("k1")])),
        Answer::Status(201, jwks(&[&Signer::es256("k1")])),
        Answer::Status(500, jwks(&[&Signer::es256("k1")])),
    ];
    for answer in bad {
        let world = World::with_keys(&[&signer]);
        assert_eq!(world.fault(&signer.good()).await, None);
        world.fetch.answer(JWKS_URL, answer.clone());
        sleep(secs(600)).await;
        assert_eq!(world.fault(&signer.good()).await, None);
        assert!(is_unavailable(world.fault(&unknown(&signer, 0)).await), "no answer of the issuer: nobody can say");
        // The same at start: no key, and no verdict on the token.
        let world = World::start(vec![issuer(ISSUER)], &[(JWKS_URL, answer)]);
        assert!(is_unavailable(world.fault(&signer.good()).await));
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_refreshed_ahead_of_expiry_and_not_too_often() {
    let signer = Signer::es256("k1");
    let check = async |max_age: Option<u64>, at_least: usize, at_most: usize| {
        let body = jwks(&[&signer]);
        let answer = max_age.map_or(Answer::Body(body.clone()), |age| Answer::Aged(body, secs(age)));
        let world = World::start(vec![issuer(ISSUER)], &[(JWKS_URL, answer)]);
        sleep(secs(7200)).await;
        let fetches = world.fetch.count(JWKS_URL);
        assert!((at_least..=at_most).contains(&fetches), "{max_age:?}: {fetches}");
    };
    check(None, 25, 35).await;
    check(Some(0), 130, 170).await;
    check(Some(600), 13, 18).await;
    check(Some(86_400), 3, 3).await;
}

#[tokio::test(start_paused = true)]
async fn keys_do_not_go_stale_while_refreshing_succeeds() {
    let signer = Signer::es256("k1");
    let settings = IssuerSettings { keys_stale_secs_max: 60, ..issuer(ISSUER) };
    let world = World::start(vec![settings], &[(JWKS_URL, Answer::Aged(jwks(&[&signer]), secs(3600)))]);
    assert_eq!(world.fault(&signer.good()).await, None);
    // Without `kid`, so that no request brings the keys back.
    let without_kid = signer.token(&json!({"kid": ABSENT}), &json!({"exp": NOW + 7200}));
    for minute in 1..60 {
        sleep(secs(61)).await;
        assert_eq!(world.fault(&without_kid).await, None, "in minute {minute}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_validator_fetches_no_more() {
    let signer = Signer::es256("k1");
    let world = World::with_keys(&[&signer]);
    assert_eq!(world.fault(&signer.good()).await, None);
    let (fetch, fetches) = (Arc::clone(&world.fetch), world.fetch.fetched().len());
    drop(world);
    sleep(secs(7200)).await;
    assert_eq!(fetch.fetched().len(), fetches);
}

fn discovered() -> Vec<IssuerSettings> {
    vec![IssuerSettings { keys: KeySource::Discovered, ..issuer(ISSUER) }]
}

fn metadata(issuer: &str, jwks_uri: &str) -> String {
    json!({"issuer": issuer, "jwks_uri": jwks_uri, "token_endpoint": "https://as.example/token"}).to_string()
}

fn relayed(world: &World) -> Option<String> {
    let name = Issuer::parse(ISSUER).unwrap();
    world.validator.metadata(&name).map(|document| String::from_utf8(document.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn keys_are_found_through_the_metadata() {
    let signer = Signer::es256("k1");
    let document = metadata(ISSUER, "https://keys.example/1");
    let with_other_issuer = Answer::Body(metadata(OTHER_ISSUER, "https://evil.example/jwks"));
    let without_keys = Answer::Body(json!({"issuer": ISSUER}).to_string());
    let good = Answer::Body(document.clone());
    for (first, second) in [
        (good.clone(), Answer::Down),
        (Answer::Down, good.clone()),
        (with_other_issuer, good.clone()),
        (without_keys, good),
    ] {
        let answers = [(METADATA_URL, first), (OPENID_URL, second), ("https://keys.example/1", keys(&[&signer]))];
        let world = World::start(discovered(), &answers);
        assert_eq!(world.fault(&signer.good()).await, None);
        assert_eq!(relayed(&world), Some(document.clone()));
        assert_eq!(world.fetch.count("https://evil.example/jwks"), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn metadata_in_another_name_gives_no_keys() {
    let signer = Signer::es256("k1");
    let other = metadata("https://as.example/", "https://keys.example/1");
    let answers = [(METADATA_URL, Answer::Body(other)), ("https://keys.example/1", keys(&[&signer]))];
    let world = World::start(discovered(), &answers);
    assert!(is_unavailable(world.fault(&signer.good()).await));
    assert_eq!((relayed(&world), world.fetch.count("https://keys.example/1")), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn keys_that_move_are_followed() {
    let (old, new) = (Signer::es256("old"), Signer::es256("new"));
    let at = |url: &str| Answer::Body(metadata(ISSUER, url));
    let answers = [(METADATA_URL, at("https://keys.example/1")), ("https://keys.example/1", keys(&[&old]))];
    let world = World::start(discovered(), &answers);
    assert_eq!(world.fault(&old.good()).await, None);
    // To another place, while the old one still answers.
    world.fetch.answer(METADATA_URL, at("https://keys.example/2"));
    world.fetch.answer("https://keys.example/2", keys(&[&new]));
    sleep(secs(600)).await;
    assert_eq!(world.fault(&new.good()).await, None);
    assert_eq!(world.fault(&old.good()).await, invalid(UnknownKey));
    // To a third, while the old one is gone: found on the next attempt.
    world.fetch.answer(METADATA_URL, at("https://keys.example/3"));
    world.fetch.answer("https://keys.example/2", Answer::Down);
    world.fetch.answer("https://keys.example/3", keys(&[&old]));
    sleep(secs(600)).await;
    assert_eq!(world.fault(&old.good()).await, None);
    // The metadata is gone, but not the keys.
    world.fetch.answer(METADATA_URL, Answer::Down);
    world.fetch.answer("https://keys.example/3", Answer::Down);
    sleep(secs(600)).await;
    world.fetch.answer("https://keys.example/3", keys(&[&new]));
    sleep(secs(10)).await;
    assert_eq!(world.fault(&new.good()).await, None);
}

#[tokio::test(start_paused = true)]
async fn metadata_for_the_relay_comes_beside_configured_keys() {
    let signer = Signer::es256("k1");
    let document = metadata(ISSUER, "https://elsewhere.example/jwks");
    let world = World::start(vec![issuer(ISSUER)], &[(JWKS_URL, keys(&[&signer])), (METADATA_URL, Answer::Hangs)]);
    assert_eq!(world.fault(&signer.good()).await, None);
    assert_eq!(relayed(&world), None);
    world.fetch.answer(METADATA_URL, Answer::Body(document.clone()));
    sleep(secs(120)).await;
    assert_eq!(relayed(&world), Some(document));
    assert_eq!(world.fetch.count("https://elsewhere.example/jwks"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_relay_does_not_hold_up_a_request_for_a_key() {
    let (old, new) = (Signer::es256("old"), Signer::es256("new"));
    let answers = [(JWKS_URL, keys(&[&old])), (METADATA_URL, Answer::Hangs), (OPENID_URL, Answer::Hangs)];
    let world = World::start(vec![issuer(ISSUER)], &answers);
    assert_eq!(world.fault(&old.good()).await, None);
    world.fetch.answer(JWKS_URL, keys(&[&old, &new]));
    let began = Instant::now();
    assert_eq!(world.fault(&new.good()).await, None);
    assert_eq!(began.elapsed(), secs(0));
}

/// A file that is removed again.
struct KeyFile(PathBuf);

impl KeyFile {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("gatepost-test-{}-{name}.json", std::process::id())))
    }
    fn write(&self, text: &str) {
        std::fs::write(&self.0, text).unwrap();
    }
    fn settings(&self) -> Vec<IssuerSettings> {
        vec![IssuerSettings { keys: KeySource::File(self.0.clone()), ..issuer(ISSUER) }]
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_file_is_read_at_start_and_again_when_it_changes() {
    let (old, new) = (Signer::es256("old"), Signer::es256("new"));
    let file = KeyFile::new("changes");
    file.write(&jwks(&[&old]));
    let world = World::start(file.settings(), &[]);
    assert_eq!(world.fault(&old.good()).await, None);
    file.write("{broken");
    sleep(secs(60)).await;
    assert_eq!(world.fault(&old.good()).await, None);
    file.write(&jwks(&[&new]));
    sleep(secs(60)).await;
    assert_eq!(world.fault(&new.good()).await, None);
    assert_eq!(world.fault(&old.good()).await, invalid(UnknownKey));
    assert_eq!(world.fetch.fetched(), [""; 0], "nothing is fetched for an issuer with a key file");
}

#[tokio::test(start_paused = true)]
async fn a_key_file_that_cannot_be_used_is_an_error_at_start() {
    let check = |name: &str, text: Option<&str>, reason: &str| {
        let file = KeyFile::new(name);
        if let Some(text) = text {
            file.write(text);
        }
        let error = World::try_start(file.settings(), &[]).err().unwrap();
        assert!(error.contains(&file.0.display().to_string()) && error.contains(reason), "{error}");
    };
    check("missing", None, "No such file");
    check("broken", Some("{"), "");
    check("empty", Some(r#"{"keys":[]}"#), "no usable key");
    check("no-set", Some("{}"), "no array `keys`");
    check("large", Some(&" ".repeat(600 * 1024)), "over 512 KiB");
}

#[test]
fn starting_outside_a_runtime_is_an_error() {
    let fetch = Arc::new(FakeFetch::default());
    assert!(Validator::start(vec![issuer(ISSUER)], fetch, Clock::system(), 0).is_err());
}

//! Validators that follow one another: what stays as it is configured keeps its keys, its tasks and its verdicts, and nothing
//! of what was changed does.

use super::*;

async fn verified(validator: &Validator, token: &str, recipient: &Recipient) -> bool {
    validator.validate(access_token(token), recipient).await.is_ok()
}

fn is_cached(validator: &Validator, token: &str) -> bool {
    validator.cached(&cache::token_digest(token)).is_some()
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_as_it_was_keeps_everything_and_a_changed_one_nothing() {
    let (signer, other) = (Signer::es256("k"), Signer::es256("o"));
    let answers =
        [(JWKS_URL, Answer::Body(jwks(&[&signer]))), ("https://other.example/jwks", Answer::Body(jwks(&[&other])))];
    let world = World::start(vec![issuer(ISSUER), issuer(OTHER_ISSUER)], &answers);
    let (first, second) = (signer.good(), other.token(&json!({}), &json!({"iss": OTHER_ISSUER})));
    for token in [&first, &second] {
        assert!(world.say(token).await.is_ok());
    }
    let fetches = world.fetch.count(JWKS_URL);

    let changed = IssuerSettings { algorithms: vec![Algorithm::EdDSA], ..issuer(OTHER_ISSUER) };
    let next = world.validator.renewed(vec![issuer(ISSUER), changed], 1 << 20).unwrap();
    assert!(is_cached(&next, &first) && !is_cached(&next, &second));
    assert!(verified(&next, &first, &world.recipient).await);
    assert_eq!(world.fetch.count(JWKS_URL), fetches);
    // The same key, no algorithm that is accepted any more: the old verdict must not speak for it.
    let fault = next.validate(access_token(&second), &world.recipient).await.err();
    assert_eq!(fault, invalid(TokenFault::Algorithm));
    // Whoever still has the old validator keeps to it.
    assert!(verified(&world.validator, &second, &world.recipient).await);

    // Gone, and back again: nobody vouches for what was between.
    let without = next.renewed(vec![issuer(ISSUER)], 1 << 20).unwrap();
    assert_eq!(without.validate(access_token(&second), &world.recipient).await.err(), invalid(TokenFault::Issuer));
    let back = without.renewed(vec![issuer(ISSUER), issuer(OTHER_ISSUER)], 1 << 20).unwrap();
    assert!(!is_cached(&back, &second) && is_cached(&back, &first));
    assert!(
        !is_cached(&back.renewed(vec![issuer(ISSUER)], 1 << 10).unwrap(), &first),
        "a cache of another size is new"
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_read_of_a_token_under_other_settings_does_not_count() {
    let signer = Signer::es256("k");
    let world = World::with_keys(&[&signer]);
    let token = |jti: &str| signer.token(&json!({}), &json!({"jti": jti, "scope": "old", "roles": "new"}));
    let (first, second) = (token("first"), token("second"));
    let scopes = async |validator: &Validator, token: &str| {
        let principal = validator.validate(access_token(token), &world.recipient).await;
        principal.map(|principal| principal.scopes().to_string())
    };
    assert_eq!(scopes(&world.validator, &first).await, Ok("old".to_owned()));
    let changed = IssuerSettings { scope_claims: vec![ClaimPath::parse("roles").unwrap()], ..issuer(ISSUER) };
    let next = world.validator.renewed(vec![changed], 1 << 20).unwrap();
    assert_eq!(scopes(&next, &second).await, Ok("new".to_owned()));
    assert_eq!(scopes(&next, &first).await, Ok("new".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_changed_issuer_keeps_its_keys_for_as_long_as_they_may_be_kept() {
    let signer = Signer::es256("k");
    let world = World::with_keys(&[&signer]);
    let token = |jti: &str| signer.token(&json!({}), &json!({"jti": jti, "exp": NOW + 1_000_000}));
    assert!(world.say(&token("first")).await.is_ok());
    let known =
        |validator: &Validator| validator.keys().into_iter().map(|(_, standing)| standing.usable).sum::<usize>();
    world.fetch.answer(JWKS_URL, Answer::Down);
    let changed = IssuerSettings { leeway_secs: 1, keys_stale_secs_max: 100, ..issuer(ISSUER) };
    tokio::time::advance(Duration::from_secs(90)).await;
    let next = world.validator.renewed(vec![changed.clone()], 1 << 20).unwrap();
    assert_eq!(known(&next), 1, "the issuer is down, and its keys are ninety seconds old");
    assert!(verified(&next, &token("second"), &world.recipient).await);
    tokio::time::advance(Duration::from_secs(11)).await;
    assert_eq!(known(&next), 0, "a hundred and one");
    assert_eq!(known(&world.validator), 1, "the old file lets them be older");
    // Other algorithms make other keys of the same document, and another place may be another's.
    for other in [
        IssuerSettings { algorithms: vec![Algorithm::ES256], ..issuer(ISSUER) },
        IssuerSettings { keys: KeySource::Uri("https://as.example/others".to_owned()), ..issuer(ISSUER) },
    ] {
        assert_eq!(known(&world.validator.renewed(vec![other], 1 << 20).unwrap()), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_task_of_an_issuer_ends_with_the_last_validator_that_knows_it() {
    let signer = Signer::es256("k");
    let world = World::with_keys(&[&signer]);
    let task = world.validator.issuers[ISSUER].refresher.clone();
    let kept = world.validator.renewed(vec![issuer(ISSUER)], 1 << 20).unwrap();
    drop(world);
    tokio::task::yield_now().await;
    assert!(!task.is_finished());
    let changed = IssuerSettings { leeway_secs: 1, ..issuer(ISSUER) };
    let next = kept.renewed(vec![changed], 1 << 20).unwrap();
    drop(kept);
    tokio::task::yield_now().await;
    assert!(task.is_finished() && !next.issuers[ISSUER].refresher.is_finished());
}

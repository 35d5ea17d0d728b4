//! Clients that register, and clients that are known by their document.

use super::*;

#[tokio::test]
async fn clients_register() {
    let world = World::start().await;
    let reply = world.register(&public_client()).await;
    assert_eq!((reply.status, reply.header("cache-control")), (201, "no-store"));
    assert_eq!(reply.header("access-control-allow-origin"), "*");
    let answer = reply.json();
    assert_eq!((&answer["client_name"], answer.get("client_secret")), (&json!("Inspector"), None));
    assert_eq!((&answer["redirect_uris"], &answer["client_id_issued_at"]), (&json!([REDIRECT]), &json!(NOW)));
    assert_eq!(answer["grant_types"], json!(["authorization_code", "refresh_token"]));
    // Without a method of its own a client has a secret (RFC 7591 §2).
    let answer = world.register(&json!({"redirect_uris": [REDIRECT]})).await.json();
    assert_eq!(answer["token_endpoint_auth_method"], "client_secret_basic");
    assert!(answer["client_secret"].as_str().unwrap().len() > 40);
    assert_eq!(
        (&answer["client_secret_expires_at"], &answer["grant_types"]),
        (&json!(0), &json!(["authorization_code"]))
    );
    world.later(30 * 24 * 3600);
    let forgotten = answer["client_id"].as_str().unwrap();
    world.ask(forgotten, &[]).await.refused_with("forgets everything");
}

#[tokio::test]
async fn what_a_client_may_not_say() {
    let world = World::start().await;
    let check = async |change: Value, error: Option<&str>| {
        let mut metadata = public_client();
        metadata.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let reply = world.register(&metadata).await;
        match error {
            None => assert_eq!(reply.status, 201, "{change}"),
            Some(error) => assert_eq!(reply.fault(), bad(error), "{change}"),
        }
    };
    let (uri, other) = (Some("invalid_redirect_uri"), Some("invalid_client_metadata"));
    check(json!({"redirect_uris": ["https://client.example/cb", "com.example.app:/cb"]}), None).await;
    check(json!({"redirect_uris": []}), uri).await;
    check(json!({"redirect_uris": ["http://client.example/cb"]}), uri).await;
    check(json!({"redirect_uris": [REDIRECT, "javascript:alert(1)"]}), uri).await;
    check(json!({"redirect_uris": ["data:text/html,x"]}), uri).await;
    check(json!({"redirect_uris": ["https://client.example/#x"]}), uri).await;
    check(json!({"redirect_uris": vec![REDIRECT; 20]}), None).await;
    check(json!({"redirect_uris": vec![REDIRECT; 21]}), uri).await;
    check(json!({"redirect_uris": REDIRECT}), other).await;
    check(json!({"redirect_uris": [1]}), other).await;
    check(json!({"client_name": "x".repeat(200)}), None).await;
    check(json!({"client_name": "x".repeat(201)}), other).await;
    check(json!({"client_name": 7}), other).await;
    check(json!({"token_endpoint_auth_method": "private_key_jwt"}), other).await;
    check(json!({"grant_types": ["client_credentials"]}), other).await;
    check(json!({"grant_types": ["implicit"]}), other).await;
    check(json!({"grant_types": ["authorization_code", "implicit"]}), None).await;
    check(json!({"response_types": ["token"]}), other).await;
    check(json!({"software_id": {"any": "thing"}, "contacts": null}), None).await;
    let twice = r#"{"redirect_uris":[],"redirect_uris":["https://client.example/"]}"#;
    for body in [twice, "", "[]", "{", "null", &"[".repeat(1000)] {
        assert_eq!(world.post("/register", &[JSON], body).await.fault(), bad("invalid_client_metadata"), "{body}");
    }
    assert_eq!(world.post("/register", &[FORM], "a=b").await.fault(), bad("invalid_request"));
}

const ID: &str = "https://client.example/metadata.json";

fn document(change: &Value) -> String {
    let mut document = public_client();
    document["client_id"] = json!(ID);
    document.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    document.to_string()
}

#[tokio::test]
async fn a_client_known_by_its_document_logs_in() {
    let world = World::with(Box::new(Documents(HashMap::from([(ID, (200, document(&json!({}))))])))).await;
    let page = world.ask(ID, &[]).await;
    assert!(page.body.contains("client.example, which publishes its metadata"), "{}", page.body);
    let code = world.code(ID, "reader", &["notes:read"]).await;
    let reply = world.redeem(ID, &code, &[]).await;
    assert_eq!(reply.text("scope"), "notes:read");
    assert_eq!(world.refresh(ID, &reply.text("refresh_token"), &[]).await.status, 200);
    let with_secret = world.redeem(ID, &code, &[("client_secret", "x")]).await;
    assert_eq!(with_secret.fault(), (401, "invalid_client".to_owned()));
    world.ask(ID, &[("redirect_uri", "https://evil.example/")]).await.refused_with("did not register");
}

#[tokio::test]
async fn documents_that_are_not_used() {
    let check = async |status: u16, document: String, words: &str| {
        let world = World::with(Box::new(Documents(HashMap::from([(ID, (status, document))])))).await;
        world.ask(ID, &[]).await.refused_with(words);
    };
    check(404, document(&json!({})), "it is not there").await;
    check(302, document(&json!({})), "it is not there").await;
    check(200, document(&json!({"x": "x".repeat(64 << 10)})), "larger than").await;
    check(200, "<html>".to_owned(), "expected a JSON object").await;
    check(200, document(&json!({"client_id": "https://other.example/metadata.json"})), "not its own URL").await;
    check(200, document(&json!({"client_id": null})), "not its own URL").await;
    check(200, document(&json!({"client_secret": "x"})), "expected a public client").await;
    check(200, document(&json!({"token_endpoint_auth_method": "private_key_jwt"})), "expected a public client").await;
    check(200, document(&json!({"redirect_uris": ["javascript:alert(1)"]})), "app scheme with a dot").await;
    check(200, document(&json!({"grant_types": ["client_credentials"]})), "with a secret").await;
}

/// With the fetcher that is really used: nothing on this machine or its network is asked.
#[tokio::test]
async fn documents_at_private_addresses_are_not_fetched() {
    let world = World::with(Box::new(HttpFetch::public().unwrap())).await;
    // It would answer.
    let trap = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = trap.local_addr().unwrap().port();
    for id in [
        format!("https://127.0.0.1:{port}/client"),
        format!("https://localhost:{port}/client"),
        format!("https://[::1]:{port}/client"),
        format!("https://[::ffff:127.0.0.1]:{port}/client"),
        "https://10.0.0.1/client".to_owned(),
        "https://192.168.1.1/client".to_owned(),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://[fd00::1]/client".to_owned(),
    ] {
        world.ask(&id, &[]).await.refused_with("connected to");
    }
    for id in [format!("http://127.0.0.1:{port}/client"), format!("{}/client", world.origin())] {
        world.ask(&id, &[]).await.refused_with("No client of this id");
    }
    let nobody = tokio::time::timeout(Duration::ZERO, trap.accept()).await;
    assert!(nobody.is_err(), "something connected");
}

//! The harness sees what it promises to see. Here the fakes and the client meet without a gateway between them.

use serde_json::json;

use crate::support::client::Client;
use crate::support::{Answer, AuthorizationServer, End, McpServer, Mode};

/// One request straight to the fake server, which must find `fault` in it.
async fn faulty(header: (&str, &str), fault: &str) {
    let server = McpServer::up();
    server.permit(1);
    server.ours("x-auth-subject", "alice");
    server.ours("x-forwarded-for", "127.0.0.1");
    Client::new(server.address()).get("/").header(header.0, header.1).passed_through().send().await;
    let faults = server.take_faults();
    assert!(faults.iter().any(|each| each.contains(fault)), "{header:?} gave {faults:?}");
}

#[tokio::test]
async fn the_server_finds_every_header_that_must_not_arrive() {
    faulty(("Authorization", "Basic x"), "Authorization").await;
    faulty(("Proxy_Authorization", "Basic x"), "Proxy_Authorization").await;
    faulty(("Cookie", "a=b"), "Cookie").await;
    faulty(("X-Token", "Bearer eyJhbGciOiJub25lIn0.e30."), "a token in").await;
    faulty(("X-Auth-Subject", "mallory"), "not the gateway's").await;
    faulty(("X_Auth.Subject", "alice"), "not the gateway's").await;
    faulty(("X-Forwarded-For", "10.0.0.1"), "not the gateway's").await;
    faulty(("X-Forwarded-User", "alice"), "not the gateway's").await;
    faulty(("Host", "second"), "not exactly one Host").await;
}

#[tokio::test]
async fn the_server_finds_a_request_that_no_test_permitted() {
    let server = McpServer::up();
    Client::new(server.address()).get("/").passed_through().send().await;
    assert_eq!(server.take_faults(), ["no test permitted GET /"]);
}

#[tokio::test]
async fn the_client_sees_how_a_stream_goes_and_ends() {
    let server = McpServer::up();
    server.permit(3);
    let client = Client::new(server.address());

    let (answer, stream) = Answer::stream();
    server.answer(answer);
    let mut opened = client.get("/").open().await;
    for n in 0..3 {
        stream.event(&json!(n)).await;
        assert_eq!(opened.event().await.unwrap(), format!("event: message\ndata: {n}\n\n"));
    }
    stream.end().await;
    assert_eq!(opened.end().await, End::Clean);

    let (answer, stream) = Answer::stream();
    server.answer(answer);
    let opened = client.get("/").open().await;
    stream.die().await;
    assert_eq!(opened.end().await, End::Cut);

    let (answer, _stream) = Answer::stream();
    server.answer(answer);
    drop(client.get("/").open().await);
    server.left(1).await;
}

#[tokio::test]
async fn bodies_pass_both_ways_and_are_cut_where_they_are_cut() {
    let server = McpServer::up();
    server.permit(3);
    let client = Client::new(server.address());
    let large = "x".repeat(1 << 20);
    server.answer(Answer::text("text/plain", &large));
    assert_eq!(client.post("/", &large).send().await.text(), large);
    assert_eq!(server.next().await.body, large.as_bytes());
    server.answer(Answer::text("text/plain", "half").cut_short());
    let reply = client.get("/").send().await;
    assert_eq!((reply.text(), reply.end), ("half", End::Cut));
    server.answer(Answer::raw(b"HTTP/1.1 200 Fine\r\n\r\nuntil the end"));
    assert_eq!(client.get("/").send().await.text(), "until the end");
}

#[tokio::test]
async fn the_authorization_server_breaks_as_told() {
    let mut issuer = AuthorizationServer::down();
    let address = issuer.issuer().strip_prefix("http://").unwrap().parse().unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "reserved, and refusing");
    issuer.come_up();
    let client = Client::new(address);
    let metadata = client.get("/.well-known/oauth-authorization-server").send().await;
    assert_eq!(metadata.text(), issuer.metadata());
    let first = issuer.key();
    issuer.rotate("k-2");
    let keys = || async { client.get("/jwks").passed_through().send().await };
    assert_eq!(keys().await.json()["keys"].as_array().unwrap().len(), 2);
    issuer.withdraw(&first.kid);
    assert_eq!(keys().await.json()["keys"][0]["kid"], "k-2");
    issuer.answer(Mode::Status(500));
    assert_eq!(keys().await.status, 500);
    issuer.answer(Mode::Garbage);
    assert!(serde_json::from_slice::<serde_json::Value>(&keys().await.body).is_err());
    issuer.answer(Mode::Keys("no key set"));
    assert_eq!(keys().await.text(), "no key set");
    assert_eq!((issuer.fetches().metadata, issuer.fetches().keys), (1, 5));
    issuer.go_down().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "refusing again");
}

#[tokio::test]
async fn the_client_finds_what_no_answer_may_hold() {
    let token = "a-token-that-is-long-enough";
    for (answer, good) in [
        (Answer::status(200), true),
        (Answer::status(403).header("Gatepost-Reason", "x"), true),
        (Answer::status(403), false),
        (Answer::status(200).header("Gatepost-Reason", "x"), false),
        (Answer::status(200).header("X-Echo", token), false),
        (Answer::text("text/plain", token), false),
        (Answer::status(200).header("Set-Cookie", "a=b"), false),
        (Answer::status(200).header("WWW-Authenticate", "Bearer"), false),
        (Answer::status(401).header("Gatepost-Reason", "x").header("WWW-Authenticate", "Bearer, Bearer"), false),
        (Answer::status(401).header("Gatepost-Reason", "x").header("WWW-Authenticate", "Basic"), false),
    ] {
        let server = McpServer::up();
        server.permit(1);
        let what = format!("{answer:?}");
        server.answer(answer);
        let request = Client::new(server.address()).get("/").token(token);
        let sent = tokio::spawn(request.send()).await;
        assert_eq!(sent.is_ok(), good, "{what}");
        assert_eq!(server.take_faults().len(), 1, "the Authorization that was sent");
    }
}

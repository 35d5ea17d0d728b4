//! The server over real sockets: what a client and a browser send, byte for byte, and what comes back.

mod flow;
mod registration;
mod requests;
mod tokens;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::form::{Form, with_query};
use super::*;
use crate::gateway::shutdown::Trigger;
use crate::token::{FetchError, Fetched};

const NOW: u64 = 1_800_000_000;
const RESOURCE: &str = "http://127.0.0.1:8080/mcp";
const REDIRECT: &str = "http://127.0.0.1:33418/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const FORM: (&str, &str) = ("Content-Type", "application/x-www-form-urlencoded");
const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A server on a port of its own, with a clock that the test sets.
struct World {
    issuer: Arc<Issuer>,
    address: SocketAddr,
    now: Arc<AtomicU64>,
    _serving: Trigger,
}

/// An answer, whole.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: HeaderMap,
    body: String,
}

/// Documents of clients, by URL.
struct Documents(HashMap<&'static str, (u16, String)>);

impl Fetch for Documents {
    fn get<'a>(&'a self, url: &'a str) -> Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'a>> {
        let answer = self.0.get(url).cloned();
        Box::pin(async move {
            let (status, body) = answer.ok_or(FetchError("no such host".to_owned()))?;
            Ok(Fetched { status, body: Bytes::from(body), max_age: None })
        })
    }
}

fn options(issuer: &str) -> Options {
    let owned = |scopes: &[&str]| scopes.iter().map(|scope| (*scope).to_owned()).collect();
    let person = |name: &str, scopes: &[&str]| Person { name: name.to_owned(), scopes: owned(scopes) };
    Options {
        issuer: issuer.to_owned(),
        resource: RESOURCE.to_owned(),
        scopes: ["notes:read", "notes:write", "notes:admin"]
            .map(|scope| (scope.to_owned(), format!("<{scope}>")))
            .into(),
        people: vec![
            person("reader", &["notes:read"]),
            person("writer", &["notes:read", "notes:write"]),
            person("admin", &["notes:read", "notes:write", "notes:admin"]),
        ],
    }
}

impl World {
    async fn start() -> Self {
        Self::with(Box::new(Documents(HashMap::new()))).await
    }

    async fn with(fetch: Box<dyn Fetch>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let now = Arc::new(AtomicU64::new(NOW));
        let clock = Arc::clone(&now);
        let clock = Clock::from_fn(move || clock.load(Ordering::Relaxed));
        let issuer = Issuer::with(options(&format!("http://{address}")), fetch, clock).unwrap();
        let (serving, shutdown) = Shutdown::new();
        tokio::spawn(Arc::clone(&issuer).serve(listener, shutdown));
        Self { issuer, address, now, _serving: serving }
    }

    fn later(&self, secs: u64) {
        self.now.fetch_add(secs, Ordering::Relaxed);
    }

    fn origin(&self) -> &str {
        self.issuer.origin.as_str()
    }

    /// Sends exactly these headers, and `Connection: close`.
    async fn raw(&self, start: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut head = format!("{start} HTTP/1.1\r\nConnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&[name, ": ", value, "\r\n"].concat());
        }
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        Reply::read(&String::from_utf8(answer).unwrap())
    }

    async fn get(&self, target: &str) -> Reply {
        self.raw(&format!("GET {target}"), &[("Host", &self.address.to_string())], "").await
    }

    async fn post(&self, target: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let (host, length) = (self.address.to_string(), body.len().to_string());
        let headers = [&[("Host", host.as_str()), ("Content-Length", &length)], headers].concat();
        self.raw(&format!("POST {target}"), &headers, body).await
    }

    async fn register(&self, metadata: &Value) -> Reply {
        self.post("/register", &[JSON], &metadata.to_string()).await
    }

    /// A public client that uses refresh tokens; its id.
    async fn client(&self) -> String {
        let reply = self.register(&public_client()).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.json()["client_id"].as_str().unwrap().to_owned()
    }

    /// A confidential client of every grant; its id and secret.
    async fn confidential(&self) -> (String, String) {
        let grants = ["authorization_code", "refresh_token", "client_credentials"];
        let reply = self.register(&json!({"redirect_uris": [REDIRECT], "grant_types": grants})).await;
        let text = |name: &str| reply.json()[name].as_str().unwrap().to_owned();
        (text("client_id"), text("client_secret"))
    }

    /// A good authorization request, but for `changes`; an empty value leaves a parameter out.
    async fn ask(&self, client: &str, changes: &[(&str, &str)]) -> Reply {
        let challenge = challenge(VERIFIER);
        let good = [
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", REDIRECT),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("resource", RESOURCE),
            ("state", "s t&1"),
        ];
        self.get(&with_query("/authorize", &changed(&good, changes))).await
    }

    /// Answers a consent page as a browser does.
    async fn answer(&self, page: &Reply, person: &str, scopes: &[&str], decision: &str) -> Reply {
        let request = page.input("request");
        let mut answers = vec![("request", request.as_str()), ("person", person), ("decision", decision)];
        answers.extend(scopes.iter().map(|scope| ("scope", *scope)));
        self.decide(&form(&answers), &[("Origin", self.origin()), ("Sec-Fetch-Site", "same-origin")]).await
    }

    async fn decide(&self, form: &str, headers: &[(&str, &str)]) -> Reply {
        self.post("/authorize", &[&[FORM], headers].concat(), form).await
    }

    /// Logs a person in; the code.
    async fn code(&self, client: &str, person: &str, scopes: &[&str]) -> String {
        let page = self.ask(client, &[]).await;
        let reply = self.answer(&page, person, scopes, "allow").await;
        reply.led_back()["code"].clone()
    }

    /// A good exchange of a code, but for `changes`.
    async fn redeem(&self, client: &str, code: &str, changes: &[(&str, &str)]) -> Reply {
        let good = [
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
            ("resource", RESOURCE),
        ];
        self.token(&changed(&good, changes), &[]).await
    }

    async fn refresh(&self, client: &str, token: &str, changes: &[(&str, &str)]) -> Reply {
        let good = [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)];
        self.token(&changed(&good, changes), &[]).await
    }

    async fn token(&self, parameters: &[(&str, &str)], headers: &[(&str, &str)]) -> Reply {
        let reply = self.post("/token", &[&[FORM], headers].concat(), &form(parameters)).await;
        assert_eq!(reply.header("cache-control"), "no-store", "{reply:?}");
        assert_eq!(reply.header("access-control-allow-origin"), "*", "{reply:?}");
        reply
    }
}

impl Reply {
    fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (HeaderName::try_from(name).unwrap(), HeaderValue::from_str(value).unwrap())
        });
        Self { status, headers: headers.collect(), body: body.to_owned() }
    }

    /// Empty when it is not there.
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        serde_json::from_str(&self.body).unwrap()
    }

    /// The value of a hidden input.
    fn input(&self, name: &str) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        let start = format!("<input type=\"hidden\" name=\"{name}\" value=\"");
        let (_, after) = self.body.split_once(&start).expect("the input is there");
        after.split_once('"').unwrap().0.to_owned()
    }

    /// The parameters of a redirect to the client.
    fn led_back(&self) -> HashMap<&'static str, String> {
        assert_eq!(self.status, 302, "{self:?}");
        assert_eq!((self.header("cache-control"), self.header("referrer-policy")), ("no-store", "no-referrer"));
        let location = self.header("location");
        let query = location.strip_prefix(REDIRECT).and_then(|rest| rest.strip_prefix('?')).expect("it leads back");
        let form = Form::parse(query.as_bytes()).unwrap();
        let names = ["code", "error", "state", "iss"].into_iter();
        names.filter_map(|name| Some((name, form.one(name).unwrap()?.to_owned()))).collect()
    }

    /// A page that leads nowhere and says this.
    fn refused_with(&self, words: &str) {
        assert!((400..500).contains(&self.status) && self.body.contains(words), "{words}: {self:?}");
        assert!(self.header("location").is_empty() && !self.body.contains("<form"), "{self:?}");
        assert!(self.header("content-security-policy").contains("form-action 'none'"), "{self:?}");
    }

    /// An error of the token or the registration endpoint.
    fn fault(&self) -> (u16, String) {
        let error = self.json()["error"].as_str().unwrap_or("none").to_owned();
        (self.status, error)
    }

    fn text(&self, name: &str) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()[name].as_str().unwrap().to_owned()
    }
}

fn public_client() -> Value {
    json!({"client_name": "Inspector", "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"]})
}

fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()).as_ref())
}

fn changed<'a>(good: &[(&'a str, &'a str)], changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = good.iter().filter(|(name, _)| !changes.iter().any(|(change, _)| change == name));
    kept.chain(changes.iter().filter(|(_, value)| !value.is_empty())).copied().collect()
}

fn form(parameters: &[(&str, &str)]) -> String {
    with_query("", parameters).trim_start_matches('?').to_owned()
}

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

fn bad(error: &str) -> (u16, String) {
    (400, error.to_owned())
}

#[test]
fn what_it_is_told_must_make_sense() {
    let check = |change: &dyn Fn(&mut Options), expect: bool| {
        let mut options = options("http://127.0.0.1:9000");
        change(&mut options);
        let made = Issuer::with(options.clone(), Box::new(Documents(HashMap::new())), Clock::system());
        assert_eq!(made.is_ok(), expect, "{options:?}");
    };
    let issuer = |issuer: &'static str, expect| check(&move |options| issuer.clone_into(&mut options.issuer), expect);
    issuer("http://127.0.0.1:9000", true);
    issuer("http://localhost:9000", true);
    issuer("http://[::1]:9000", true);
    issuer("https://127.0.0.1:9000", false);
    issuer("https://auth.example.com", false);
    issuer("http://auth.example.com", false);
    issuer("http://0.0.0.0:9000", false);
    issuer("http://192.168.0.1:9000", false);
    issuer("http://127.0.0.1:9000/", false);
    issuer("http://127.0.0.1:9000/issuer", false);
    issuer("", false);
    check(&|options| options.resource.clear(), false);
    check(&|options| options.scopes.clear(), false);
    check(&|options| options.people.clear(), false);
    check(&|options| options.scopes[0].0 = "a b".to_owned(), false);
    check(&|options| options.scopes[0].0 = options.scopes[1].0.clone(), false);
    check(&|options| options.people[0].name.clear(), false);
    check(&|options| options.people[0].name = "admin".to_owned(), false);
    check(&|options| options.people[0].scopes.push("other".to_owned()), false);
}

#[tokio::test]
async fn only_loopback_is_served() {
    let issuer =
        Issuer::with(options("http://127.0.0.1:9000"), Box::new(Documents(HashMap::new())), Clock::system()).unwrap();
    assert!(!format!("{issuer:?}").contains("key"), "no secret is shown: {issuer:?}");
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let (_trigger, shutdown) = Shutdown::new();
    let served = tokio::time::timeout(Duration::from_secs(20), issuer.serve(listener, shutdown)).await;
    assert_eq!(served, Ok(()), "it returns at once");
}

//! The fake authorization server: metadata (RFC 8414, OpenID Connect Discovery) and keys over real sockets, on a port that
//! is its own before it listens. It counts what is fetched and breaks in the ways that a test asks for. It never refuses to
//! mint: what a token says is the test's business.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::port::Port;
use super::token::{Key, Token};
use super::wire::{Framing, Wire};
use super::within;

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Up,
    /// This status, with a JSON body.
    Status(u16),
    /// Takes the request and says nothing.
    Hang,
    /// 200 with something that is no JSON.
    Garbage,
    /// 200 with an empty key set; the metadata as ever.
    NoKeys,
    /// 200 with this for the key set; the metadata as ever.
    Keys(&'static str),
    /// A redirect to where the document really is.
    Redirect,
}

/// What was fetched so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Fetches {
    pub(crate) metadata: usize,
    pub(crate) keys: usize,
}

/// The fake.
#[derive(Debug)]
pub(crate) struct AuthorizationServer {
    port: Port,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    issuer: String,
    state: Mutex<State>,
    fetches: watch::Sender<Fetches>,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    published: Vec<Value>,
    signing: Key,
    metadata: Value,
    /// Which of the two well-known documents exist.
    serves_oauth: bool,
    serves_openid: bool,
}

impl AuthorizationServer {
    /// Its port is reserved and refuses connections until `come_up`.
    pub(crate) fn down() -> Self {
        let port = Port::reserve();
        let issuer = format!("http://{}", port.address());
        let signing = Key::generate("k-1");
        let metadata = json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "registration_endpoint": format!("{issuer}/register"),
            "jwks_uri": format!("{issuer}/jwks"),
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "x_unknown_member": "kept by a relay that changes nothing",
        });
        let state = State {
            mode: Mode::Up,
            published: vec![signing.jwk()],
            signing,
            metadata,
            serves_oauth: true,
            serves_openid: true,
        };
        let shared = Shared { issuer, state: Mutex::new(state), fetches: watch::Sender::default() };
        Self { port, shared: Arc::new(shared), task: None }
    }

    pub(crate) fn up() -> Self {
        let mut server = Self::down();
        server.come_up();
        server
    }

    pub(crate) fn come_up(&mut self) {
        assert!(self.task.is_none(), "already up");
        self.task = Some(tokio::spawn(serve(self.port.listen(), self.shared.clone())));
    }

    /// Connections are refused from now on, and those that are open end.
    pub(crate) async fn go_down(&mut self) {
        let task = self.task.take().expect("it is up");
        task.abort();
        within("the authorization server goes down", task).await.unwrap_err();
    }

    pub(crate) fn answer(&self, mode: Mode) {
        self.state(|state| state.mode = mode);
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// The metadata, byte for byte as it is served.
    pub(crate) fn metadata(&self) -> String {
        self.state(|state| state.metadata.to_string())
    }

    pub(crate) fn change_metadata(&self, change: impl FnOnce(&mut Value)) {
        self.state(|state| change(&mut state.metadata));
    }

    /// Only one of the two well-known documents exists.
    pub(crate) fn serve_metadata(&self, oauth: bool, openid: bool) {
        self.state(|state| (state.serves_oauth, state.serves_openid) = (oauth, openid));
    }

    pub(crate) fn fetches(&self) -> Fetches {
        *self.shared.fetches.borrow()
    }

    /// Waits until the fetches are as `enough` says.
    pub(crate) async fn fetched(&self, what: &str, enough: impl FnMut(&Fetches) -> bool) {
        let mut fetches = self.shared.fetches.subscribe();
        within(what, fetches.wait_for(enough)).await.unwrap();
    }

    /// A good token of the key in use.
    pub(crate) fn token(&self) -> Token {
        Token::new(self.issuer(), &self.key())
    }

    /// The key that signs now.
    pub(crate) fn key(&self) -> Key {
        self.state(|state| state.signing.clone())
    }

    /// A new key signs from now on; the old ones stay published.
    pub(crate) fn rotate(&self, kid: &str) -> Key {
        let key = Key::generate(kid);
        self.state(|state| {
            state.published.push(key.jwk());
            state.signing = key.clone();
        });
        key
    }

    pub(crate) fn withdraw(&self, kid: &str) {
        self.state(|state| state.published.retain(|jwk| jwk["kid"] != kid));
    }

    /// Publishes any JWK, usable or not.
    pub(crate) fn publish(&self, jwk: Value) {
        self.state(|state| state.published.push(jwk));
    }

    fn state<T>(&self, use_it: impl FnOnce(&mut State) -> T) -> T {
        use_it(&mut self.shared.state.lock().unwrap())
    }
}

impl Drop for AuthorizationServer {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // Dropping the set, with this task, ends every connection.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(Wire::new(stream), shared.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(mut wire: Wire, shared: Arc<Shared>) {
    while let Some(head) = wire.head().await {
        if wire.body(head.framing(Framing::Length(0))).await.is_err() {
            return;
        }
        let path = head.start.split(' ').nth(1).unwrap_or_default();
        shared.fetches.send_modify(|fetches| match path {
            "/jwks" => fetches.keys += 1,
            _ => fetches.metadata += 1,
        });
        let Some((status, body)) = shared.answer(path) else {
            // Says nothing until the other end gives up.
            while wire.fill().await.is_ok_and(|read| read > 0) {}
            return;
        };
        let location =
            if status == 307 { format!("Location: {}/elsewhere{path}\r\n", shared.issuer) } else { String::new() };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} Answer\r\nContent-Type: application/json\r\n{location}Content-Length: {length}\r\n\r\n{body}"
        );
        if wire.write(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

impl Shared {
    /// Status and body; `None` to hang.
    fn answer(&self, path: &str) -> Option<(u16, String)> {
        let state = self.state.lock().unwrap();
        let keys = |keys: &[Value]| json!({ "keys": keys }).to_string();
        match (state.mode, path) {
            (Mode::Status(status), _) => return Some((status, r#"{"error":"temporarily_unavailable"}"#.to_owned())),
            (Mode::Hang, _) => return None,
            (Mode::Garbage, _) => return Some((200, "<html>maintenance</html>".to_owned())),
            (Mode::Redirect, path) if !path.starts_with("/elsewhere") => return Some((307, String::new())),
            (Mode::NoKeys, "/jwks") => return Some((200, keys(&[]))),
            (Mode::Keys(text), "/jwks") => return Some((200, text.to_owned())),
            (Mode::Up | Mode::NoKeys | Mode::Keys(_) | Mode::Redirect, _) => {}
        }
        let found = match path.strip_prefix("/elsewhere").unwrap_or(path) {
            "/.well-known/oauth-authorization-server" if state.serves_oauth => state.metadata.to_string(),
            "/.well-known/openid-configuration" if state.serves_openid => state.metadata.to_string(),
            "/jwks" => keys(&state.published),
            _ => return Some((404, "{}".to_owned())),
        };
        Some((200, found))
    }
}

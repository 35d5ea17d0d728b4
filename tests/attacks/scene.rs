//! A gateway under attack: the world of tests/it with the recorder in front of its server, and the account of what was fired,
//! what reached the server and what was answered wrongly. After every attack a well-behaved client must be served.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::SocketAddr;

use gatepost::token::clock::Clock;
use serde_json::json;

use crate::exchange::{self, Answers};
use crate::readings;
use crate::recorder::Recorder;
use crate::support::client::Request;
use crate::support::gateway::{PATH, file};
use crate::support::tls::{Identity, Relay};
use crate::support::token::Token;
use crate::support::{AuthorizationServer, McpServer, World};

/// What came of a row.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// By name: one that was sent again and again is one.
    pub(crate) attacks: BTreeSet<String>,
    /// Those that reached the server (in section E: what reached the client).
    pub(crate) reached: Vec<String>,
    /// Answers that were not the right ones, and good clients that were not served.
    pub(crate) wrong: Vec<String>,
}

/// A gateway, what stands around it, and the account.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) recorder: Recorder,
    pub(crate) tally: Tally,
    /// Where attackers connect.
    pub(crate) front: SocketAddr,
    /// What must never reach the server, besides what is forbidden everywhere.
    pub(crate) secrets: Vec<String>,
    /// The well-behaved client's token.
    pub(crate) token: String,
    /// What the strict server permits and nobody used.
    spare: usize,
    _relay: Option<Relay>,
}

/// What must come of an attack.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Expect<'a> {
    /// One of these statuses (0: the connection ends without an answer), and nothing arrives.
    Refused(&'a [u16]),
    /// It is served, and what arrives is harmless.
    Defused,
    /// Either of the two.
    Either(&'a [u16]),
}

impl Tally {
    /// The two together.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.attacks.extend(other.attacks);
        self.reached.extend(other.reached);
        self.wrong.extend(other.wrong);
        self
    }
}

impl Scene {
    /// The standard route.
    pub(crate) async fn standard() -> Self {
        Self::start(&file("")).await
    }

    /// A file of the test's, with short timeouts unless it has its own.
    pub(crate) async fn start(text: &str) -> Self {
        Self::with_issuer(text, AuthorizationServer::up()).await
    }

    pub(crate) async fn with_issuer(text: &str, issuer: AuthorizationServer) -> Self {
        Self::at(text, issuer, Clock::system()).await
    }

    /// With https: `own` is the gateway's certificate, and everybody's requests go through a relay that speaks TLS with it.
    pub(crate) async fn secured(text: &str, own: &Identity) -> Self {
        let mcp = McpServer::up();
        let recorder = Recorder::in_front_of(mcp.address()).await;
        let text = text.replace("{upstream}", &recorder.url());
        let mut world = World::start_with(&text, AuthorizationServer::up(), mcp, Clock::system()).await;
        let relay = own.towards(world.address).await;
        world.client = world.client.through(relay.address);
        world.mcp.ours("x-forwarded-proto", "https");
        world.mcp.ours("forwarded", &format!("for=127.0.0.1;host=\"{}\";proto=https", world.address));
        let resource = format!("https://{}{PATH}", world.address);
        let token = world.issuer.token().aud(resource).scope("mcp tools:read").mint();
        world.keys_arrived_with(&token).await;
        let (tally, secrets) = (Tally::default(), Vec::new());
        Self { world, recorder, tally, front: relay.address, secrets, token, spare: 0, _relay: Some(relay) }
    }

    pub(crate) async fn at(text: &str, issuer: AuthorizationServer, clock: Clock) -> Self {
        let mut scene = Self::unready(text, issuer, clock).await;
        scene.world.keys_arrived().await;
        scene
    }

    /// The issuer's keys may not have arrived, so that nobody may be served.
    pub(crate) async fn unready(text: &str, issuer: AuthorizationServer, clock: Clock) -> Self {
        let mcp = McpServer::up();
        let recorder = Recorder::in_front_of(mcp.address()).await;
        let mut text = text.replace("{upstream}", &recorder.url());
        if !text.contains("timeouts:") {
            text.push_str(TIMEOUTS);
        }
        let world = World::start_with(&text, issuer, mcp, clock).await;
        let (front, token) = (world.address, world.token("mcp tools:read"));
        let (tally, secrets) = (Tally::default(), Vec::new());
        Self { world, recorder, tally, front, secrets, token, spare: 0, _relay: None }
    }

    /// A token that may do all that the rules allow, to be changed.
    pub(crate) fn good(&self) -> Token {
        self.world.good().scope("mcp tools:read tools:write prompts:read repo:read")
    }

    /// A permitted call, without a token.
    pub(crate) fn call(&self) -> Request {
        self.world.client.tool(PATH, "get_x")
    }

    /// A POST of this body with a good token.
    pub(crate) fn post(&self, body: impl AsRef<[u8]>) -> Request {
        self.world.client.post(PATH, body).token(&self.token)
    }

    /// A permitted call with this access token: refused with 401.
    pub(crate) async fn bad_token(&mut self, what: impl Display, token: &str) -> Answers {
        let request = self.call().token(token);
        self.refused(what, &request, &[401]).await
    }

    /// One attack that must be refused with one of these statuses.
    pub(crate) async fn refused(&mut self, what: impl Display, request: &Request, statuses: &[u16]) -> Answers {
        self.fire(what, &request.bytes(), Expect::Refused(statuses)).await
    }

    /// One attack that is served without harm.
    pub(crate) async fn defused(&mut self, what: impl Display, request: &Request) -> Answers {
        self.fire(what, &request.bytes(), Expect::Defused).await
    }

    /// No attack, but the good request that an attack is a variation of: it is served.
    pub(crate) async fn control(&mut self, what: impl Display, request: &Request) -> Answers {
        let what = what.to_string();
        let answers = self.defused(&what, request).await;
        self.tally.attacks.remove(&what);
        answers
    }

    /// One attack, as these bytes on a connection of their own.
    pub(crate) async fn fire(&mut self, what: impl Display, bytes: &[u8], expect: Expect<'_>) -> Answers {
        let what = what.to_string();
        let may_arrive = usize::from(!matches!(expect, Expect::Refused(_)));
        self.permit(may_arrive);
        let before = self.world.mcp.arrived();
        let host = self.world.address.to_string();
        let answers = exchange::exchange(self.front, &host, bytes).await;
        let arrived = self.world.mcp.arrived() - before;
        self.spare += may_arrive.saturating_sub(arrived);
        // One fault is enough: the strict server need not mind those that come after it.
        self.world.mcp.permit(arrived.saturating_sub(may_arrive));
        self.settle(&what, may_arrive);
        self.check(&what, &answers, expect);
        self.served(&what).await;
        answers
    }

    /// Something else than one request: counts as one attack, of which `meant` requests may have reached the server.
    pub(crate) async fn fired(&mut self, what: impl Display, meant: usize) {
        let what = what.to_string();
        self.settle(&what, meant);
        self.served(&what).await;
    }

    /// Looks at what reached the server since the last time.
    pub(crate) fn settle(&mut self, what: &str, meant: usize) {
        self.tally.attacks.insert(what.to_owned());
        let sent = self.recorder.take();
        let faults = readings::faults(&sent, meant, &self.secrets);
        self.tally.reached.extend(faults.first().map(|_| format!("{what}: {}", faults.join("; "))));
    }

    /// So many more requests may arrive.
    pub(crate) fn permit(&mut self, requests: usize) {
        let spare = self.spare.min(requests);
        self.spare -= spare;
        self.world.mcp.permit(requests - spare);
    }

    /// So many of them did not.
    pub(crate) fn unused(&mut self, requests: usize) {
        self.spare += requests;
    }

    /// A well-behaved client is served.
    pub(crate) async fn served(&mut self, what: &str) {
        self.permit(1);
        let reply = self.world.client.tool(PATH, "get_x").token(&self.token).send().await;
        if reply.status != 200 {
            self.wrong(format!(
                "{what}: then a good client got {} {}",
                reply.status,
                String::from_utf8_lossy(&reply.body)
            ));
        }
        let sent = self.recorder.take();
        let faults = readings::faults(&sent, 1, &self.secrets);
        self.tally.reached.extend(faults.first().map(|_| format!("{what}: with a good client: {}", faults.join("; "))));
    }

    /// What must hold.
    pub(crate) fn expect(&mut self, holds: bool, what: impl Display) {
        if !holds {
            self.wrong(what.to_string());
        }
    }

    pub(crate) fn wrong(&mut self, what: String) {
        self.tally.wrong.push(what);
    }

    /// Stops everything and returns the account.
    pub(crate) async fn end(mut self) -> Tally {
        // The stricter server's own view: framings, credentials, headers of the gateway's, requests that nobody permitted.
        let faults = self.world.mcp.take_faults();
        self.tally.reached.extend(faults);
        self.world.finish_whatever_was_audited().await;
        let late = readings::faults(&self.recorder.take(), 0, &self.secrets);
        self.tally.reached.extend(late.into_iter().map(|fault| format!("after the end: {fault}")));
        self.tally
    }

    fn check(&mut self, what: &str, answers: &Answers, expect: Expect<'_>) {
        let status = answers.status();
        let fine = match expect {
            Expect::Refused(statuses) => statuses.contains(&status),
            Expect::Defused => (200..300).contains(&status),
            Expect::Either(statuses) => statuses.contains(&status) || (200..300).contains(&status),
        };
        if !fine || answers.open || !answers.rest.is_empty() {
            self.wrong(format!(
                "{what}: {expect:?} gave {:?} open={} {:?}",
                answers.statuses(),
                answers.open,
                answers.rest
            ));
        }
        // What was hidden behind the first request is the client's own next one, or garbage.
        if answers.all.iter().skip(1).any(|answer| !(400..500).contains(&answer.status)) {
            self.wrong(format!("{what}: further answers: {:?}", answers.statuses()));
        }
        for answer in &answers.all {
            let text = format!("{} {}", answer.head, answer.text());
            if text.contains("eyJ") || answer.header("set-cookie").is_some() {
                self.wrong(format!("{what}: a secret came back: {text}"));
            }
        }
    }
}

/// A `tools/call` of the forbidden tool.
pub(crate) fn forbidden_call() -> String {
    json!({"jsonrpc": "2.0", "id": 8, "method": "tools/call", "params": {"name": readings::FORBIDDEN, "arguments": {}}})
        .to_string()
}

/// Short, so that an attack that waits is soon over.
pub(crate) const TIMEOUTS: &str =
    "timeouts: {handshake_secs: 1, head_secs: 1, idle_secs: 1, body_secs: 1, write_stall_secs: 1, answer_secs: 5}\n";

//! The parts that decide and do no IO, each by itself: `cargo bench`, or `cargo bench -- NAME`.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use gatepost::gateway::secret::SecretKey;
use gatepost::gateway::session::{Owner, SessionSeal};
use gatepost::mcp::listing::{self, Entry};
use gatepost::mcp::message::{self, ReadLimits};
use gatepost::mcp::operation::{Asked, Operation};
use gatepost::mcp::sse::Parser;
use gatepost::oauth::challenge::Challenge;
use gatepost::oauth::scope::{Scope, ScopeHierarchy, ScopeSet};
use gatepost::policy::pattern::{Dialect, Pattern};
use gatepost::policy::rule::{Default as Otherwise, Effect, Mode, Rule, ScopeTemplate, Target, Visibility};
use gatepost::policy::{Policy, PolicySettings};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for part in [reading, deciding, filtering, challenging, events, sessions, tokens] {
        part(&mut criterion);
    }
}

/// The strict reading of a body, and what it asks for.
fn reading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read");
    for (name, bytes) in [("256 B", 256), ("64 KiB", 64 << 10), ("1 MiB", 1 << 20)] {
        let body = call("get_thing", bytes);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let read = message::read(black_box(body.as_bytes()), LIMITS).expect("a message");
                Asked::of(&read, None).expect("a call")
            });
        });
    }
    group.finish();
}

/// The last of so many rules decides: exact names, and names with a wildcard.
fn deciding(criterion: &mut Criterion) {
    let held = scopes("mcp things:read");
    for (kind, wildcard) in [("exact", ""), ("wildcard", "_*")] {
        let mut group = criterion.benchmark_group(format!("decide, {kind}"));
        for count in [1, 10, 100, 1000, 10_000] {
            let policy = policy(count, wildcard);
            let called = Operation::CallTool(format!("tool_{}{}", count - 1, wildcard.replace('*', "now")));
            let unknown = Operation::CallTool("unknown".to_owned());
            group.bench_function(BenchmarkId::new("permitted", count), |bencher| {
                bencher.iter(|| policy.decide(black_box(&held), black_box(&called)).expect("a permit"));
            });
            group.bench_function(BenchmarkId::new("no rule", count), |bencher| {
                bencher.iter(|| policy.decide(black_box(&held), black_box(&unknown)).expect_err("a denial"));
            });
        }
        group.finish();
    }
}

/// A list of 200 tools, of which a caller may see half.
fn filtering(criterion: &mut Criterion) {
    let tool = |number: usize| {
        let kind = if number.is_multiple_of(2) { "get" } else { "put" };
        format!(
            r#"{{"name":"{kind}_thing_{number}","description":"Does thing number {number} to the place that is named.","inputSchema":{{"type":"object","properties":{{"place":{{"type":"string"}}}},"required":["place"]}}}}"#
        )
    };
    let tools: Vec<String> = (0..200).map(tool).collect();
    let list = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":[{}]}}}}"#, tools.join(","));
    let held = scopes("mcp things:read");
    let policy = Policy::new(settings(vec![rule("get_*")]));
    let mut group = criterion.benchmark_group("list");
    group.throughput(Throughput::Bytes(list.len() as u64));
    group.bench_function("200 tools, 100 shown", |bencher| {
        let shows = |entry: Entry<'_>, _: &str| policy.shows(&held, entry);
        bencher.iter(|| listing::filter(black_box(list.as_bytes()), &shows).expect("a list"));
    });
    group.bench_function("an answer without a list", |bencher| {
        let answer = br#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"done"}]}}"#;
        bencher.iter(|| listing::filter(black_box(answer), &|_, _| true).expect("an answer"));
    });
    group.finish();
}

fn challenging(criterion: &mut Criterion) {
    let needed = scopes("mcp github:read github:write");
    criterion.bench_function("challenge", |bencher| {
        bencher.iter(|| {
            Challenge {
                error: Some("insufficient_scope"),
                error_description: Some("the token lacks a scope"),
                scope: Some(black_box(&needed)),
                resource_metadata: Some("https://mcp.example.com/.well-known/oauth-protected-resource/mcp"),
            }
            .render()
        });
    });
}

/// A hundred events, as they come in one piece and in pieces of 1,000 bytes.
fn events(criterion: &mut Criterion) {
    let event = |number: usize| format!("id: {number}\nevent: message\ndata: {}\n\n", call("get_thing", 256));
    let stream: String = (0..100).map(event).collect();
    let mut group = criterion.benchmark_group("events");
    group.throughput(Throughput::Bytes(stream.len() as u64));
    for size in [stream.len(), 1000] {
        group.bench_function(BenchmarkId::new("pieces of", size), |bencher| {
            bencher.iter_batched(
                || (Parser::new(1 << 20), Vec::with_capacity(100)),
                |(mut parser, mut events)| {
                    for piece in black_box(stream.as_bytes()).chunks(size) {
                        parser.push(piece, &mut events).expect("small events");
                    }
                    events
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn sessions(criterion: &mut Criterion) {
    let seal = SessionSeal::new(&[], &SecretKey::new(&[7; 32])).expect("a key");
    let (subject, client) = (Some("auth0|5f7c8ec7c33c6c004bbafe82"), Some("desktop-assistant"));
    let owner = Owner { issuer: "https://auth.example.com/realms/acme", subject, client, route: "things" };
    let sealed = seal.seal("0191e8f2-7a2b-7cc3-98c4-dc0c0c07398f", owner).expect("an id");
    criterion.bench_function("session, opened", |bencher| {
        bencher.iter(|| seal.open(black_box(&sealed), black_box(owner)).expect("ours"));
    });
}

/// A token that was verified before: what is left is to find it, and to look at issuer, audience and time.
fn tokens(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let issued = issued::Issued::new();
    let (validator, recipient) = runtime.block_on(async { issued.validator() });
    let token = || issued.token();
    runtime.block_on(validator.validate(token(), &recipient)).expect("a good token");
    criterion.bench_function("token, seen before", |bencher| {
        bencher.iter_batched(
            token,
            |token| runtime.block_on(validator.validate(token, &recipient)).expect("a good token"),
            BatchSize::SmallInput,
        );
    });
}

/// An issuer, and one token of it.
mod issued {
    use std::future::Future;
    use std::path::PathBuf;
    use std::pin::Pin;
    use std::sync::Arc;

    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use gatepost::oauth::bearer::AccessToken;
    use gatepost::oauth::ids::{Audience, Issuer, PublicOrigin, ResourceUri};
    use gatepost::token::clock::Clock;
    use gatepost::token::{
        Algorithm, ClaimPath, Fetch, FetchError, Fetched, IssuerSettings, KeySource, Recipient, Validator,
    };
    use http::{HeaderMap, HeaderValue, header};

    const ISSUER: &str = "https://auth.example.com/realms/acme";
    const NOW: u64 = 1_800_000_000;

    pub(super) struct Issued {
        header: HeaderValue,
        jwks_file: PathBuf,
    }

    struct Nothing;

    impl Fetch for Nothing {
        fn get<'a>(&'a self, _: &'a str) -> Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'a>> {
            Box::pin(async { Err(FetchError("nothing is fetched here".to_owned())) })
        }
    }

    impl Issued {
        pub(super) fn new() -> Self {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
            let point = pair.public_key().as_ref();
            let jwk = format!(
                r#"{{"keys":[{{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"1","x":"{}","y":"{}"}}]}}"#,
                URL_SAFE_NO_PAD.encode(&point[1..33]),
                URL_SAFE_NO_PAD.encode(&point[33..])
            );
            let jwks_file = std::env::temp_dir().join(format!("gatepost-bench-{}.jwks", std::process::id()));
            std::fs::write(&jwks_file, jwk).expect("a file");
            let claims = format!(
                r#"{{"iss":"{ISSUER}","aud":"https://mcp.example.com/mcp","exp":{},"iat":{NOW},"jti":"1","sub":"auth0|5f7c8ec7c33c6c004bbafe82","client_id":"desktop-assistant","scope":"mcp things:read"}}"#,
                NOW + 3600
            );
            let signed = [r#"{"alg":"ES256","typ":"at+jwt","kid":"1"}"#, &claims]
                .map(|part| URL_SAFE_NO_PAD.encode(part))
                .join(".");
            let signature = pair.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
            let token = format!("Bearer {signed}.{}", URL_SAFE_NO_PAD.encode(signature));
            Self { header: HeaderValue::try_from(token).expect("ASCII"), jwks_file }
        }

        pub(super) fn token(&self) -> AccessToken {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, self.header.clone());
            AccessToken::take(&mut headers, 8192).expect("a token")
        }

        pub(super) fn validator(&self) -> (Validator, Recipient) {
            let issuer = Issuer::parse(ISSUER).expect("an issuer");
            let settings = IssuerSettings {
                issuer: issuer.clone(),
                keys: KeySource::File(self.jwks_file.clone()),
                algorithms: vec![Algorithm::ES256],
                scope_claims: vec![ClaimPath::parse("scope").expect("a claim")],
                leeway_secs: 30,
                keys_stale_secs_max: 86_400,
                keys_cooldown_secs: 10,
            };
            let origin = PublicOrigin::parse("https://mcp.example.com").expect("an origin");
            let resource = ResourceUri::of(&origin, "/mcp");
            let audiences: Vec<Audience> = Vec::new();
            let clock = Clock::from_fn(|| NOW + 1);
            let validator = Validator::start(vec![settings], Arc::new(Nothing), clock, 32 << 20).expect("a validator");
            (validator, Recipient { issuers: vec![issuer], resource, audiences })
        }
    }
}

const LIMITS: ReadLimits = ReadLimits { depth_max: 64, batch_max: 50 };

/// A call whose body takes about so many bytes: prose with an escape and a letter outside ASCII now and then.
fn call(tool: &str, bytes: usize) -> String {
    let line =
        r#"The committee went through what was left over; “nothing” was \"open\", and so the meeting was closed.\n"#;
    let head =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{{"text":""#);
    let room = bytes.saturating_sub(head.len() + 4);
    let text = if room < line.len() { "x".repeat(room) } else { line.repeat(room / line.len()) };
    format!(r#"{head}{text}"}}}}}}"#)
}

fn policy(count: usize, wildcard: &str) -> Policy {
    Policy::new(settings((0..count).map(|number| rule(&format!("tool_{number}{wildcard}"))).collect()))
}

fn rule(pattern: &str) -> Rule {
    Rule {
        target: Target::Tools(vec![Pattern::parse(pattern, Dialect::Name).expect("a pattern")]),
        effect: Effect::AllOf(vec![ScopeTemplate::parse("things:read").expect("a scope")]),
        enforced: false,
        line: 0,
    }
}

fn settings(rules: Vec<Rule>) -> PolicySettings {
    PolicySettings {
        route: "things".into(),
        required_scopes: scopes("mcp"),
        rules,
        default: Otherwise::Deny,
        visibility: Visibility::Granted,
        mode: Mode::Enforce,
        hides: false,
        hierarchy: Arc::new(ScopeHierarchy::default()),
    }
}

fn scopes(text: &str) -> ScopeSet {
    text.split(' ').map(|scope| Scope::parse(scope).expect("a scope")).collect()
}

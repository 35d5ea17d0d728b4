//! `gatepost token decode`: what a token says, and which check it would fail, for the person who holds it. It reads the token
//! from standard input and prints header and claims, never its signature and never the whole.

use std::io::Read as _;
use std::ops::Deref;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use clap::{Args, Subcommand};
use gatepost::gateway::fetch::HttpFetch;
use gatepost::gateway::rehearsal::Rehearsal;
use gatepost::gateway::route::Route;
use gatepost::gateway::settings::Settings;
use gatepost::oauth::bearer::AccessToken;
use gatepost::oauth::ids::{Audience, Issuer};
use gatepost::rejection::{Rejection, TokenFault};
use gatepost::token::clock::Clock;
use gatepost::token::examine::{self, Check, Examined, Outcome, Part};
use gatepost::token::{ALGORITHMS, ClaimPath, IssuerSettings, Recipient, TokenError, Validator};
use serde_json::Value;
use zeroize::Zeroizing;

use super::{File, print_out, refused_argument, unusable, with_file, words};

#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Print what an access token says, and which check it would fail. The token comes from standard input.
    ///
    /// Every check of validation in its order, each fault with the word that the audit record has for it and what to do about
    /// it; for one route, or for each that could be meant. Keys are read from `jwks_file`, or fetched. Prints no signature.
    /// Ends with 0 if a route would take the token, else with 1.
    Decode(Decode),
}

#[derive(Debug, Args)]
pub(super) struct Decode {
    #[command(flatten)]
    file: File,
    /// The route that the token is for, by its name [default: each that could be meant]
    #[arg(long, short, value_name = "NAME")]
    route: Option<String>,
}

/// The bytes of a token as they came, wiped when dropped.
pub(super) struct Presented(Zeroizing<Vec<u8>>);

impl Presented {
    /// Reads standard input: without white space around it, and without the scheme if it was copied along.
    pub(super) fn read() -> Result<Self, String> {
        // Room for all of it: what a buffer that grows leaves behind is not wiped.
        let mut bytes = Zeroizing::new(Vec::with_capacity(INPUT_BYTES_MAX + 1));
        let limit = u64::try_from(INPUT_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
        let read = std::io::stdin().lock().take(limit).read_to_end(&mut bytes);
        read.map_err(|error| format!("standard input cannot be read: {error}"))?;
        if bytes.len() > INPUT_BYTES_MAX {
            return Err(format!("standard input has more than {INPUT_BYTES_MAX} bytes: this is no token"));
        }
        let trimmed = bytes.trim_ascii();
        let trimmed = match trimmed.split_at_checked(SCHEME.len()) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(SCHEME) => token.trim_ascii(),
            Some(_) | None => trimmed,
        };
        if trimmed.is_empty() {
            return Err("standard input is empty: expected an access token".to_owned());
        }
        Ok(Self(Zeroizing::new(trimmed.to_vec())))
    }
}

impl Deref for Presented {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// What each check says of `token`, for each recipient; and why the keys of its issuer are not there, if so. Fetches the keys
/// of that issuer alone, and only if it is one of the file.
pub(super) fn examine(
    token: &AccessToken,
    settings: &Settings,
    recipients: &[&Recipient],
) -> Result<(Vec<Examined>, Option<String>), String> {
    let named = examine::named_issuer(token);
    let is_named = |issuer: &&IssuerSettings| Some(issuer.issuer.as_str()) == named.as_deref();
    let issuers = settings.authorization_servers.iter().filter(is_named).cloned().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| format!("no threads: {error}"))?;
    let examined = runtime.block_on(async {
        let fetch = Arc::new(HttpFetch::new()?);
        let validator = Validator::start(issuers, fetch, Clock::system(), CACHE_BYTES)?;
        let mut examined = Vec::new();
        for recipient in recipients {
            examined.push(validator.examine(token, recipient).await);
        }
        let keys = validator.keys();
        Ok((examined, keys.into_iter().find_map(|(_, standing)| standing.fault)))
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    examined
}

pub(super) fn decode(options: &Decode) -> ExitCode {
    with_file(&options.file, |path, settings, _| {
        let rehearsal = match Rehearsal::new(&settings) {
            Ok(rehearsal) => rehearsal,
            Err(error) => return unusable(path, &error),
        };
        if let Some(Err(error)) = options.route.as_deref().map(|name| words::route(Some(name), &settings)) {
            return refused_argument(&error);
        }
        let presented = match Presented::read() {
            Ok(presented) => presented,
            Err(error) => return refused_argument(&error),
        };
        match decoded(&presented, &settings, &rehearsal, options.route.as_deref()) {
            Ok((text, is_good)) => match (print_out(&text), is_good) {
                (ExitCode::SUCCESS, false) => ExitCode::FAILURE,
                (code, _) => code,
            },
            Err(error) => unusable(path, &error),
        }
    })
}

/// All that is printed, and whether a route takes the token.
fn decoded(
    presented: &Presented,
    settings: &Settings,
    rehearsal: &Rehearsal,
    route: Option<&str>,
) -> Result<(String, bool), String> {
    let token = match rehearsal.token(presented) {
        Ok(token) => token,
        Err(failure) => return Ok((no_token(&failure.into()), false)),
    };
    let shown = examine::shown(&token);
    let mut text = format!("header\n{}\nclaims\n{}\n", part(&shown.header), part(&shown.claims));
    let issuer = examine::named_issuer(&token);
    let routes: Vec<&Route> = meant(settings, rehearsal, route, issuer.as_deref());
    let recipients: Vec<&Recipient> = routes.iter().map(|route| &route.recipient).collect();
    let (examined, keys) = examine(&token, settings, &recipients)?;
    let mut pairs: Vec<(&Route, Examined)> = routes.into_iter().zip(examined).collect();
    if pairs.iter().any(|(_, examined)| is_for(examined)) {
        pairs.retain(|(_, examined)| is_for(examined));
    }
    let is_good = pairs.iter().any(|(_, examined)| examined.verdict.is_ok());
    let more = pairs.len().saturating_sub(ROUTES_MAX);
    pairs.truncate(ROUTES_MAX);
    for (route, examined) in &pairs {
        let issuer =
            settings.authorization_servers.iter().find(|known| Some(known.issuer.as_str()) == issuer.as_deref());
        let said = Said { route, issuer, header: &shown.header, claims: &shown.claims, now: examined.now };
        text.push_str(&said.of(examined, keys.as_deref()));
    }
    if more > 0 {
        text.extend(["… and ", &more.to_string(), " more routes; name one with --route\n"]);
    }
    Ok((text, is_good))
}

/// The routes that a token may be for: the one that is named, those of its issuer, or one to show the checks by.
fn meant<'r>(
    settings: &Settings,
    rehearsal: &'r Rehearsal,
    route: Option<&str>,
    issuer: Option<&str>,
) -> Vec<&'r Route> {
    let served = |name: &str| rehearsal.route(name).map(|route| &**route);
    if let Some(name) = route {
        return served(name).into_iter().collect();
    }
    let routes = settings.routes.iter();
    let of_issuer = routes.filter(|route| route.issuers.iter().any(|known| Some(known.as_str()) == issuer));
    let of_issuer: Vec<&Route> = of_issuer.filter_map(|route| served(&route.name)).collect();
    if of_issuer.is_empty() {
        return settings.routes.first().and_then(|first| served(&first.name)).into_iter().collect();
    }
    of_issuer
}

fn is_for(examined: &Examined) -> bool {
    examined.checks.iter().any(|(check, outcome)| *check == Check::Audience && *outcome == Outcome::Passed)
}

/// What never becomes a token: no b64token, or too long.
fn no_token(rejection: &Rejection) -> String {
    let (status, reason) = (rejection.status().as_u16(), rejection.reason());
    let detail = Some(rejection.detail()).filter(|detail| !detail.is_empty());
    let detail = detail.map_or(String::new(), |detail| format!(" ({detail})"));
    format!(
        "this is no token that a request can carry: refused with {status} {reason}{detail}\n  expected: one access token \
         in the letters of base64url, with dots between its three parts, of at most `limits.token_bytes_max`\n"
    )
}

fn part(part: &Part) -> String {
    match part {
        Part::Json(json) => format!("{}\n", indented(&format!("{json:#}"))),
        Part::Text(text) => {
            let begins: String = text.chars().take(TEXT_CHARS_MAX).collect();
            format!("  (no strict JSON) {}\n", words::plain(&begins))
        }
        Part::Unreadable => "  (cannot be read)\n".to_owned(),
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {}", words::plain(line))).collect::<Vec<_>>().join("\n")
}

/// What the checks of one route are said by.
struct Said<'a> {
    route: &'a Route,
    /// The issuer that the token names, if it is one of the file.
    issuer: Option<&'a IssuerSettings>,
    header: &'a Part,
    claims: &'a Part,
    now: u64,
}

impl Said<'_> {
    fn of(&self, examined: &Examined, keys: Option<&str>) -> String {
        let mut lines = vec![format!("route {}, {}", self.route.name, self.route.recipient.resource.as_str())];
        for (check, outcome) in &examined.checks {
            let (word, rest) = match outcome {
                Outcome::Passed => ("ok", String::new()),
                Outcome::Failed(fault) => ("FAIL", format!("  {}: {}", fault.as_str(), self.remedy(*check, *fault))),
                Outcome::Unknown(fault) => ("?", format!("  {}", words::plain(fault))),
            };
            lines.push(format!("  {word:<5}{:<18}{rest}", question(*check)).trim_end().to_owned());
        }
        lines.push(match &examined.verdict {
            Ok(principal) => format!("  => taken, with the scopes: {}", principal.scopes()),
            Err(TokenError::Invalid(fault)) => {
                format!("  => refused: 401 invalid_token, detail {} in the audit record", fault.as_str())
            }
            Err(TokenError::KeysUnavailable { .. }) => {
                let fault = words::plain(keys.unwrap_or("no answer in time"));
                format!(
                    "  => not known: the keys of its issuer cannot be had ({fault}); a gateway without them answers 503 \
                     keys_unavailable\n     run this where the issuer can be reached, or give the keys by `jwks_file`"
                )
            }
        });
        lines.push(String::new());
        lines.join("\n")
    }

    fn remedy(&self, check: Check, fault: TokenFault) -> String {
        let resource = self.route.recipient.resource.as_str();
        match (check, fault) {
            (Check::Form, TokenFault::Algorithm) => format!(
                "`alg` is {}; let the issuer sign with one of {}",
                member(self.header, "alg"),
                ALGORITHMS.map(|(name, _)| name).join(", ")
            ),
            (Check::Form, _) => {
                "no JWT of three parts, or a header that cannot be relied on; opaque tokens are not read, \
                                 let the issuer give out JWT access tokens (RFC 9068)"
                    .to_owned()
            }
            (Check::HeaderType, _) => format!(
                "`typ` of the header is {}, an access token's is at+jwt or JWT; this may be another kind of token",
                member(self.header, "typ")
            ),
            (Check::Payload, _) => "the payload is not one strict JSON object; a member may be there twice".to_owned(),
            (Check::Issuer, TokenFault::Claim) => "`iss` is no text".to_owned(),
            (Check::Issuer, _) => format!(
                "`iss` is {}; this route takes {}, compared byte for byte, so a slash at the end counts",
                member(self.claims, "iss"),
                joined(self.route.recipient.issuers.iter().map(Issuer::as_str))
            ),
            (Check::Algorithm, _) => format!(
                "`alg` is {}, which is none of this issuer's `algorithms` in the file",
                member(self.header, "alg")
            ),
            (Check::Key, _) => format!(
                "the issuer has no usable key for `kid` {}; it may be of another realm or environment, or withdrawn",
                member(self.header, "kid")
            ),
            (Check::Signature, TokenFault::Algorithm) => {
                format!("the key is not one for `alg` {}", member(self.header, "alg"))
            }
            (Check::Signature, _) => {
                "it was not signed by the key that it names: it was changed, cut, or is of another \
                                      environment"
                    .to_owned()
            }
            (Check::Kind, TokenFault::Claim) => "`token_use` or `typ` among the claims is no text".to_owned(),
            (Check::Kind, _) => {
                "it says that it is an ID, refresh or logout token, or it is bound to its sender (`cnf`); \
                                 send the access token, as a plain bearer token"
                    .to_owned()
            }
            (Check::Caller, _) => {
                "neither `sub` nor `client_id`, `azp`, `cid`, `appid` names anybody, or one of them is \
                                   no text or empty"
                    .to_owned()
            }
            (Check::Times, _) => "`exp` is missing, or one of `exp`, `nbf`, `iat` is no time".to_owned(),
            (Check::AudienceForm, TokenFault::Audience) => {
                format!("there is no `aud`; let the client ask for a token with resource={resource} (RFC 8707)")
            }
            (Check::AudienceForm, _) => "`aud` is neither a text nor a list of texts".to_owned(),
            (Check::Scopes, _) => {
                let paths = self.issuer.map(|issuer| joined(issuer.scope_claims.iter().map(ClaimPath::as_str)));
                format!(
                    "the claim with the scopes ({}) is neither a text nor a list of texts",
                    paths.unwrap_or_default()
                )
            }
            (Check::Expiry, _) => format!("it expired {}; get a new one", self.when("exp")),
            (Check::Start, _) => format!(
                "it is not valid yet: `nbf` is {}, `iat` is {}; compare the clocks, `leeway_secs` allows for a little",
                self.when("nbf"),
                self.when("iat")
            ),
            (Check::Audience, _) => {
                let further: Vec<&str> = self.route.recipient.audiences.iter().map(Audience::as_str).collect();
                let further =
                    if further.is_empty() { String::new() } else { format!(" or {}", joined(further.into_iter())) };
                format!(
                    "`aud` is {}, and this route is {resource}{further}; let the client ask with resource={resource} \
                     (RFC 8707), or where the issuer cannot, add its value to `audiences`",
                    member(self.claims, "aud")
                )
            }
        }
    }

    /// When a claim is, in words.
    fn when(&self, claim: &str) -> String {
        let value = json(self.claims).and_then(|claims| claims.get(claim));
        let Some(seconds) = value.and_then(Value::as_f64).filter(|seconds| (0.0..TIME_MAX).contains(seconds)) else {
            return member(self.claims, claim);
        };
        let time = Duration::from_secs_f64(seconds.floor());
        let at = UNIX_EPOCH.checked_add(time).map(|time| humantime::format_rfc3339_seconds(time).to_string());
        let apart = humantime::format_duration(Duration::from_secs(time.as_secs().abs_diff(self.now))).to_string();
        let direction = if time.as_secs() > self.now { "ahead" } else { "ago" };
        format!("{} ({apart} {direction})", at.unwrap_or_default())
    }
}

/// A member of a part, as JSON.
fn member(part: &Part, name: &str) -> String {
    let value = json(part).and_then(|json| json.get(name)).map(ToString::to_string);
    let text: String = value.unwrap_or_else(|| "missing".to_owned()).chars().take(TEXT_CHARS_MAX).collect();
    words::plain(&text)
}

fn json(part: &Part) -> Option<&Value> {
    match part {
        Part::Json(json) => Some(json),
        Part::Text(_) | Part::Unreadable => None,
    }
}

fn joined<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    words::plain(&texts.collect::<Vec<_>>().join(", "))
}

fn question(check: Check) -> &'static str {
    match check {
        Check::Form => "form",
        Check::HeaderType => "type of header",
        Check::Payload => "payload",
        Check::Issuer => "issuer",
        Check::Algorithm => "algorithm",
        Check::Key => "key",
        Check::Signature => "signature",
        Check::Kind => "kind of token",
        Check::Caller => "subject or client",
        Check::Times => "times",
        Check::AudienceForm => "audience",
        Check::Scopes => "scopes",
        Check::Expiry => "not expired",
        Check::Start => "already valid",
        Check::Audience => "for this route",
    }
}

const SCHEME: &[u8] = b"Bearer ";
/// No token is that long.
const INPUT_BYTES_MAX: usize = 64 << 10;
/// Routes that are shown.
const ROUTES_MAX: usize = 10;
/// Of a text that is no JSON, and of a member in a sentence.
const TEXT_CHARS_MAX: usize = 256;
/// The end of the year 9999.
const TIME_MAX: f64 = 253_402_300_799.0;
/// For one token.
const CACHE_BYTES: u64 = 1 << 20;

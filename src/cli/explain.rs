//! `gatepost explain`: which rule decides one operation for one caller, and the answer that a client would get, made by the
//! functions that answer it. Prints no part of a token.

use std::process::ExitCode;

use bytes::Bytes;
use clap::{ArgGroup, Args};
use gatepost::gateway::rehearsal::{Rehearsal, Rehearsed};
use gatepost::gateway::route::Route;
use gatepost::gateway::settings::Settings;
use gatepost::mcp::revision::{ALL, Revision};
use gatepost::mcp::sample::{Named, Wish};
use gatepost::oauth::scope::{Scope, ScopeSet};
use gatepost::policy::explain::Listed;
use gatepost::rejection::{Denial, Failure, Rejection};
use gatepost::token::TokenError;
use http::Response;
use serde_json::{Value, json};

use super::token::{self, Presented};
use super::{File, print_out, refused_argument, unusable, with_file, words};

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("operation").required(true).multiple(true))]
#[command(group = ArgGroup::new("caller").required(true))]
pub(super) struct Explain {
    #[command(flatten)]
    file: File,
    /// The route, by its name; may be left out where the file has one alone
    #[arg(long, short, value_name = "NAME")]
    route: Option<String>,
    /// A tool to be called
    #[arg(long, value_name = "NAME", group = "operation", conflicts_with_all = ["prompt", "resource"])]
    tool: Option<String>,
    /// A prompt to be got
    #[arg(long, value_name = "NAME", group = "operation", conflicts_with = "resource")]
    prompt: Option<String>,
    /// A resource to be read; with `--method completion/complete` a template, too
    #[arg(long, value_name = "URI", group = "operation")]
    resource: Option<String>,
    /// A JSON-RPC method, or GET or DELETE; beside a name another method than the usual one (resources/subscribe,
    /// subscriptions/listen, completion/complete)
    #[arg(long, value_name = "METHOD", group = "operation")]
    method: Option<String>,
    /// The scopes that the caller's token holds, with spaces between; "" for none
    #[arg(long, value_name = "SCOPES", group = "caller")]
    scopes: Option<String>,
    /// `-`: read the caller's access token from standard input, say whether it is valid, and take its scopes
    #[arg(long, value_name = "-", group = "caller", allow_hyphen_values = true)]
    token: Option<String>,
    /// The revision of MCP that the client speaks, such as 2026-07-28 [default: it names none]
    #[arg(long, value_name = "DATE", value_parser = revision)]
    revision: Option<Revision>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What there is to print.
struct Explained<'a> {
    route: &'a Route,
    wish: &'a Wish,
    revision: Option<Revision>,
    /// The scopes that policy goes by.
    held: ScopeSet,
    /// What came of the token, where one was given.
    token: Option<Result<(), Failure>>,
    /// Why its issuer's keys are not there.
    keys: Option<String>,
    /// What policy says to these scopes.
    policy: Rehearsed,
    /// What the client gets, where that is not policy's answer.
    refused: Option<(Rejection, Response<Bytes>)>,
}

pub(super) fn explain(options: &Explain) -> ExitCode {
    let named = [
        options.tool.clone().map(Named::Tool),
        options.prompt.clone().map(Named::Prompt),
        options.resource.clone().map(Named::Resource),
    ];
    let wish = match Wish::new(options.method.as_deref(), named.into_iter().flatten().next()) {
        Ok(wish) => wish,
        Err(expected) => return refused_argument(&format!("this is no request of MCP\n  expected: {expected}")),
    };
    // The value may be a token that somebody meant to give: it is not repeated.
    if options.token.as_ref().is_some_and(|value| value != "-") {
        return refused_argument(
            "--token: a token is not taken from the command line, where every process here can read it\n  expected: \
             `--token -`, and the token on standard input; withdraw the one that stood here",
        );
    }
    let scopes = match options.scopes.as_deref().map(scopes).transpose() {
        Ok(scopes) => scopes,
        Err(error) => return refused_argument(&error),
    };
    with_file(&options.file, |path, settings, _| {
        let rehearsal = match Rehearsal::new(&settings) {
            Ok(rehearsal) => rehearsal,
            Err(error) => return unusable(path, &error),
        };
        let name = match words::route(options.route.as_deref(), &settings) {
            Ok(route) => &route.name,
            Err(error) => return refused_argument(&error),
        };
        let Some(route) = rehearsal.route(name) else { return unusable(path, "the route is not served") };
        let explained = match scopes {
            Some(held) => Ok(with_scopes(&rehearsal, route, &wish, options.revision, held)),
            None => match Presented::read() {
                Ok(presented) => with_token(&presented, &settings, &rehearsal, route, &wish, options.revision),
                Err(error) => return refused_argument(&error),
            },
        };
        match explained {
            Ok(explained) if options.json => print_out(&format!("{:#}\n", explained.to_json())),
            Ok(explained) => print_out(&explained.to_text()),
            Err(error) => unusable(path, &error),
        }
    })
}

fn with_scopes<'a>(
    rehearsal: &Rehearsal,
    route: &'a Route,
    wish: &'a Wish,
    revision: Option<Revision>,
    held: ScopeSet,
) -> Explained<'a> {
    let policy = rehearsal.ask(route, &held, wish.sample(revision));
    Explained { route, wish, revision, held, token: None, keys: None, policy, refused: None }
}

fn with_token<'a>(
    presented: &Presented,
    settings: &Settings,
    rehearsal: &Rehearsal,
    route: &'a Route,
    wish: &'a Wish,
    revision: Option<Revision>,
) -> Result<Explained<'a>, String> {
    let refuse = |failure: Failure| rehearsal.refuse(route, failure).refused;
    let token = match rehearsal.token(presented) {
        Ok(token) => token,
        Err(failure) => {
            let refused = refuse(failure.clone());
            let nothing = with_scopes(rehearsal, route, wish, revision, ScopeSet::default());
            return Ok(Explained { token: Some(Err(failure)), refused, ..nothing });
        }
    };
    let (mut examined, keys) = token::examine(&token, settings, &[&route.recipient])?;
    let Some(examined) = examined.pop() else { return Err("no route to examine the token for".to_owned()) };
    let (held, verdict) = match examined.verdict {
        Ok(principal) => (principal.scopes().clone(), Ok(())),
        Err(error) => (examined.claimed.unwrap_or_default(), Err(error)),
    };
    let refused = match verdict {
        Err(error @ TokenError::Invalid(_)) => refuse(error.into()),
        // Here they could not be fetched; where the gateway runs they may well be there.
        Ok(()) | Err(TokenError::KeysUnavailable { .. }) => None,
    };
    let verdict = verdict.map_err(Failure::from);
    Ok(Explained { token: Some(verdict), keys, refused, ..with_scopes(rehearsal, route, wish, revision, held) })
}

impl Explained<'_> {
    /// Whether the keys to verify the token could not be had.
    fn is_unverified(&self) -> bool {
        matches!(&self.token, Some(Err(Failure::KeysUnavailable { .. })))
    }

    /// The refusal that the client gets, if it gets one.
    fn refusal(&self) -> Option<&(Rejection, Response<Bytes>)> {
        self.refused.as_ref().or(self.policy.refused.as_ref())
    }

    fn listed(&self) -> Option<Listed> {
        let (operation, _) = self.policy.decided.as_ref()?;
        self.route.policy.listed(&self.held, operation)
    }

    fn to_json(&self) -> Value {
        let policy = self.policy.decided.as_ref().map(|(operation, decided)| {
            let explanation = self.route.policy.explain(decided);
            json!({
                "permitted": decided.is_ok(),
                "rule": explanation.rule().to_string(),
                "place": words::place(&explanation),
                "says": words::said(&explanation, &self.route.policy, operation),
                "needed": explanation.needed().map(list),
                "missing": list(&explanation.missing(&self.held)),
                "would_deny": explanation.would_deny().map(Denial::reason),
            })
        });
        let answer = self.refusal().map(|(rejection, answer)| {
            let headers = answer.headers().iter();
            let headers =
                headers.map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]));
            json!({
                "reason": rejection.reason(),
                "detail": rejection.detail(),
                "status": answer.status().as_u16(),
                "headers": headers.collect::<Vec<_>>(),
                "body": serde_json::from_slice::<Value>(answer.body()).unwrap_or_default(),
            })
        });
        let token = self.token.as_ref().map(|verdict| match verdict {
            Ok(()) => json!({"valid": true}),
            Err(Failure::KeysUnavailable { .. }) => json!({"valid": null, "keys": self.keys}),
            Err(failure) => json!({"valid": false, "fault": fault(failure)}),
        });
        json!({
            "route": &*self.route.name,
            "method": self.wish.method(),
            "revision": self.revision.map(Revision::as_str),
            "held": list(&self.held),
            "token": token,
            "policy": policy,
            "listed": self.listed().map(Listed::is_seen),
            // A token that nobody could verify is no promise.
            "forwarded": (!self.is_unverified()).then_some(answer.is_none()),
            "answer": answer,
        })
    }

    fn to_text(&self) -> String {
        let mut lines = vec![format!("{} on route {}", words::operation(self.wish), self.route.name)];
        let mut row = |name: &str, text: &str| lines.push(format!("  {name:<9}{text}"));
        match &self.token {
            None => {}
            Some(Ok(())) => row("token", "valid for this route"),
            Some(Err(Failure::KeysUnavailable { .. })) => {
                let fault = words::plain(self.keys.as_deref().unwrap_or("no answer in time"));
                row("token", &format!("not checked, the keys of its issuer cannot be had: {fault}"));
                row("", "a gateway without them answers 503 keys_unavailable; what follows is for a good token");
            }
            Some(Err(failure)) => {
                row("token", &format!("refused here: {}; `gatepost token decode` says more", fault(failure)));
            }
        }
        row("holds", &scopes_or(&self.held, "no scope"));
        if let Some((operation, decided)) = &self.policy.decided {
            let explanation = self.route.policy.explain(decided);
            row(
                "decides",
                &format!(
                    "{}{}",
                    words::rule_and_place(&explanation),
                    if self.refused.is_some() { ", if the token were good" } else { "" }
                ),
            );
            row("", &words::said(&explanation, &self.route.policy, operation));
            match explanation.needed() {
                Some(needed) => {
                    row("needs", &scopes_or(needed, "no scope"));
                    row("lacks", &scopes_or(&explanation.missing(&self.held), "none of them"));
                }
                None => row("needs", "no scope would help"),
            }
            if let Some(denial) = explanation.would_deny() {
                row("reports", &format!("would be refused: {} (mode: report)", denial.reason()));
            }
        }
        let visibility = words::visibility(&self.route.policy);
        match self.listed() {
            None => {}
            Some(Listed::Shown) => {
                row("lists", &format!("show it, where the server has it (visibility: {visibility})"));
            }
            Some(Listed::Hidden) => row("lists", &format!("do not show it (visibility: {visibility})")),
            Some(Listed::Unfiltered) => row("lists", "are not filtered here"),
        }
        match self.refusal() {
            None => row("answer", "the server's own: the request is forwarded"),
            Some((rejection, answer)) => {
                let hidden = if rejection.is_hidden() { ", hidden from the client" } else { "" };
                let detail = Some(rejection.detail()).filter(|detail| !detail.is_empty());
                let detail = detail.map_or(String::new(), |detail| format!(" ({})", words::plain(&detail)));
                row(
                    "answer",
                    &format!(
                        "refused: {}{detail}{hidden}; beside what is said of the connection, Content-Length and Date:",
                        rejection.reason()
                    ),
                );
                lines.push(String::new());
                lines.push(wire(answer));
            }
        }
        lines.push(String::new());
        lines.join("\n")
    }
}

/// The word that the audit record has for what is wrong with a token.
fn fault(failure: &Failure) -> String {
    let rejection = Rejection::from(failure.clone());
    let detail = rejection.detail();
    if detail.is_empty() { rejection.reason().to_owned() } else { detail }
}

/// An answer as HTTP/1.1 writes it.
fn wire(answer: &Response<Bytes>) -> String {
    let status = answer.status();
    let mut text = format!("HTTP/1.1 {} {}\n", status.as_u16(), status.canonical_reason().unwrap_or_default());
    for (name, value) in answer.headers() {
        text.extend([name.as_str(), ": ", &words::plain(&String::from_utf8_lossy(value.as_bytes())), "\n"]);
    }
    format!("{text}\n{}", words::plain(&String::from_utf8_lossy(answer.body())))
}

fn list(scopes: &ScopeSet) -> Vec<&str> {
    scopes.iter().map(Scope::as_str).collect()
}

fn scopes_or(scopes: &ScopeSet, none: &str) -> String {
    if scopes.is_empty() { none.to_owned() } else { scopes.to_string() }
}

fn scopes(text: &str) -> Result<ScopeSet, String> {
    let scope = |text: &str| {
        Scope::parse(text)
            .map_err(|error| format!("--scopes: {:?} is no scope\n  expected: {error}", words::plain(text)))
    };
    text.split(' ').filter(|text| !text.is_empty()).map(scope).collect()
}

fn revision(text: &str) -> Result<Revision, String> {
    Revision::parse(text).ok_or_else(|| format!("expected one of {}", ALL.map(Revision::as_str).join(", ")))
}

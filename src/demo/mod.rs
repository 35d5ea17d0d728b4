//! `gatepost demo`: everything in one process, to see it work: a development authorization server, a demo MCP server, and
//! the gateway before it, from a file that the demo can write out. Loopback only, never for production; not in a
//! container image. The gateway here is the one that `gatepost run` serves, started from the text of a file.

pub mod check;
pub mod file;
pub mod issuer;
pub mod notes;
pub mod terminal;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use crate::config;
use crate::gateway::Prepared;
use crate::gateway::audit::AuditSink;
use crate::gateway::shutdown::Shutdown;
use crate::token::clock::Clock;
use file::Plan;
use issuer::Issuer;
use terminal::{Live, Screen, Welcome};

/// What the command line says.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where clients reach the gateway.
    pub listen: SocketAddr,
    /// Where the authorization server is.
    pub issuer_listen: SocketAddr,
    /// An MCP server to stand before, instead of the demo's own.
    pub upstream: Option<String>,
    /// Where to write the routing file.
    pub write: Option<PathBuf>,
    /// Go through the whole flow, say how it went, and end.
    pub check: bool,
}

/// Runs the demo until SIGINT or SIGTERM; with `check` until the flow is through. The error is for the person at the
/// terminal.
pub async fn run(options: Options) -> Result<(), String> {
    let sockets = Sockets::bind(&options).await?;
    let plan = sockets.plan(options.upstream.as_deref())?;
    let text = plan.text();
    if let Some(path) = &options.write {
        write_new(path, &text)?;
    }
    let settings = config::parse(&text, "gatepost.yaml", Path::new("")).map_err(|errors| errors.to_string())?;
    let url = plan.mcp_url();
    let issuer = Issuer::new(plan.issuer_options())?;
    let prepared = Prepared::new(settings)?;

    let screen = Screen::of_stdout();
    let audit = if options.check {
        AuditSink::start(std::io::sink())?
    } else {
        let tokens = ["reader", "writer", "admin"].map(|person| issuer.token_for(person).map(|token| (person, token)));
        let tokens = tokens.into_iter().collect::<Result<Vec<_>, _>>()?;
        let welcome = Welcome { plan: &plan, tokens: &tokens, written: options.write.as_deref() };
        // Nobody reads a terminal that is gone; the demo serves all the same.
        drop(std::io::stdout().write_all(welcome.text(screen).as_bytes()));
        AuditSink::start(Live::new(std::io::stdout(), screen))?
    };

    let catch = |kind| signal(kind).map_err(|error| format!("cannot catch signals: {error}"));
    // Before anything is served: whoever meets an answer may tell it to stop.
    let signals =
        if options.check { None } else { Some((catch(SignalKind::terminate())?, catch(SignalKind::interrupt())?)) };
    let (trigger, shutdown) = Shutdown::new();
    let mut serving = JoinSet::new();
    serving.spawn(issuer.serve(sockets.issuer, shutdown.clone()));
    if let Some(listener) = sockets.notes {
        serving.spawn(notes::serve(listener, shutdown.clone()));
    }
    let gateway = prepared.start(audit.clone(), Clock::system())?;
    serving.spawn(Arc::new(gateway).serve(sockets.gateway, shutdown));

    let outcome = tokio::select! {
        outcome = task(signals, &url) => outcome,
        Some(ended) = serving.join_next() => Err(match ended {
            Ok(()) => "one of the listeners ended".to_owned(),
            Err(error) => format!("one of the listeners ended: {error}"),
        }),
    };
    trigger.request();
    let all_ended = async { while serving.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, all_ended).await.is_err() {
        tracing::debug!("some streams did not end in time and are cut");
    }
    audit.flush();
    outcome
}

/// What the demo is there for: the check, or to serve until it is told to stop.
async fn task(signals: Option<(Signal, Signal)>, url: &str) -> Result<(), String> {
    let Some((mut terminate, mut interrupt)) = signals else { return check::run(url).await };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// The listeners, all bound before anything starts: what one of them is called stands in the others' settings.
#[derive(Debug)]
struct Sockets {
    gateway: TcpListener,
    issuer: TcpListener,
    notes: Option<TcpListener>,
}

impl Sockets {
    async fn bind(options: &Options) -> Result<Self, String> {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (listen, issuer_listen) =
            if options.check { (free, free) } else { (options.listen, options.issuer_listen) };
        let gateway = bind(listen, "--listen").await?;
        let issuer = bind(issuer_listen, "--issuer-listen").await?;
        let notes = if options.upstream.is_none() { Some(bind(free, "--upstream").await?) } else { None };
        Ok(Self { gateway, issuer, notes })
    }

    fn plan(&self, upstream: Option<&str>) -> Result<Plan, String> {
        let address = |listener: &TcpListener| listener.local_addr().map_err(|error| error.to_string());
        let upstream = match (&self.notes, upstream) {
            (Some(notes), _) => file::Upstream::Notes(format!("http://{}{}", address(notes)?, notes::PATH)),
            (None, Some(url)) => file::Upstream::Own(url.to_owned()),
            (None, None) => return Err("there is no MCP server to stand before".to_owned()),
        };
        Ok(Plan { listen: address(&self.gateway)?, issuer: format!("http://{}", address(&self.issuer)?), upstream })
    }
}

async fn bind(address: SocketAddr, flag: &str) -> Result<TcpListener, String> {
    // Whoever reaches the issuer may log in as anybody.
    if !address.ip().is_loopback() {
        return Err(format!(
            "{flag} {address} is reachable from outside, and the demo lets anybody log in: it listens on a loopback \
             address only, such as 127.0.0.1:{}",
            address.port()
        ));
    }
    TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}; choose another with {flag} 127.0.0.1:PORT"))
}

/// Writes a file that is not there yet.
fn write_new(path: &Path, text: &str) -> Result<(), String> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            format!(
                "{} exists already, and the demo overwrites no file; name another with --write FILE",
                path.display()
            )
        } else {
            format!("cannot write {}: {error}", path.display())
        }
    })?;
    file.write_all(text.as_bytes()).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// How long requests under way may take once the demo is told to stop. Streams wait longer than a person does.
const GRACE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn options(listen: &str, issuer_listen: &str) -> Options {
        let (listen, issuer_listen) = (listen.parse().unwrap(), issuer_listen.parse().unwrap());
        Options { listen, issuer_listen, upstream: None, write: None, check: false }
    }

    #[tokio::test]
    async fn only_loopback_is_listened_on() {
        for (listen, issuer, flag) in [
            ("0.0.0.0:0", "127.0.0.1:0", "--listen 0.0.0.0:0 is reachable from outside"),
            ("127.0.0.1:0", "[::]:0", "--issuer-listen [::]:0 is reachable from outside"),
            ("192.0.2.1:8080", "127.0.0.1:0", "such as 127.0.0.1:8080"),
        ] {
            let refused = Sockets::bind(&options(listen, issuer)).await.unwrap_err();
            assert!(refused.contains(flag), "{refused}");
        }
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_said_with_its_flag() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap().to_string();
        for (options, flag) in [
            (options(&address, "127.0.0.1:0"), "--listen 127.0.0.1:PORT"),
            (options("127.0.0.1:0", &address), "--issuer-listen 127.0.0.1:PORT"),
        ] {
            let refused = Sockets::bind(&options).await.unwrap_err();
            assert!(refused.contains(&address) && refused.ends_with(flag), "{refused}");
            let check = Options { check: true, ..options };
            assert!(Sockets::bind(&check).await.is_ok(), "the check takes free ports");
        }
    }

    #[tokio::test]
    async fn with_an_own_server_the_notes_are_not_served() {
        let options =
            Options { upstream: Some("http://127.0.0.1:3000/mcp".to_owned()), ..options("127.0.0.1:0", "127.0.0.1:0") };
        let sockets = Sockets::bind(&options).await.unwrap();
        assert!(sockets.notes.is_none());
        let plan = sockets.plan(options.upstream.as_deref()).unwrap();
        assert!(plan.text().contains("upstream: \"http://127.0.0.1:3000/mcp\""), "{}", plan.text());
    }
}

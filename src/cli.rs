//! What each command does. Exit codes: 0, 1 for a failure at run time, 2 for wrong arguments, 78 (`EX_CONFIG`) for a file
//! that cannot be used; with 78 no socket was opened.

mod explain;
mod init;
mod logs;
mod online;
mod schema;
mod shells;
mod suggest;
mod test;
mod token;
mod words;

use std::io::Write as _;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use gatepost::config;
#[cfg(feature = "demo")]
use gatepost::demo;
use gatepost::gateway::audit::AuditSink;
use gatepost::gateway::reload::{Loaded, Watched};
use gatepost::gateway::settings::{Drain, RouteSettings, Settings, Tls, Transport, UpstreamSettings};
use gatepost::gateway::shutdown::{Shutdown, Trigger};
use gatepost::gateway::{Prepared, Serving};
use gatepost::gateway::{admin, listener};
use gatepost::oauth::ids::Issuer;
use gatepost::token::clock::Clock;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::{sleep, timeout};
use tracing::level_filters::LevelFilter;

use self::explain::Explain;
use self::logs::Logs;
use self::shells::{Completions, Man};
use self::test::Test;
use self::token::Token;

/// The auth gateway in front of unmodified MCP servers.
///
/// It answers discovery and challenges, validates access tokens, decides each tool call by scope, and streams what is
/// allowed to the server. One YAML file drives it.
#[derive(Debug, Parser)]
#[command(name = "gatepost", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT. Audit records go to standard output or where the file says, logs to standard error.
    Run {
        #[command(flatten)]
        file: File,
        /// The form of the logs. Audit records are JSON, one a line, in either.
        #[arg(long, value_enum, default_value = "text")]
        log_format: LogFormat,
        /// The least level that is logged: error, warn, info, debug, trace, off.
        #[arg(long, default_value = "info", value_name = "LEVEL")]
        log_level: LevelFilter,
    },
    /// Say whether the file can be used, and what clients will see. Opens no socket.
    Check {
        #[command(flatten)]
        file: File,
        /// Also ask: fetch metadata and keys of each issuer, ask each server what it has, and warn of what will bite. Sends no
        /// credentials. Exit code 1 when something would not work; warnings alone are no failure.
        #[arg(long)]
        online: bool,
    },
    /// Ask a running MCP server for its tools, and write a least-privilege file to start from.
    ///
    /// Tools get scopes by what the server says of them (readOnlyHint, destructiveHint, openWorldHint): a tool that says
    /// nothing counts as destructive, and a name makes it stricter, never looser. Everything is named exactly; what cannot be
    /// written safely is left out, and so denied. Nothing is called, and no secret is written.
    Init(init::Init),
    /// Propose rules from the audit log of routes in `mode: report`.
    ///
    /// Reads records and prints rules for what no rule names and somebody asked for, with who asked and how often; never
    /// `allow`, never a pattern. Also says which rules of the file nobody needed.
    Suggest {
        /// The routing file, to say which of its rules were never used [default: gatepost.yaml, then
        /// /etc/gatepost/gatepost.yaml, where one is there]
        #[arg(long, short, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Audit records, one JSON object a line; `-` for standard input
        #[arg(value_name = "AUDIT-LOG", default_value = "-")]
        log: PathBuf,
    },
    /// Say which rule decides one operation for one caller, and print the exact answer that a client would get.
    ///
    /// Nothing is sent: the file is read, and the request is decided and answered by the functions that `run` uses. Sessions,
    /// origins and rates are taken to be in order.
    Explain(Explain),
    /// Hold the file against a table of what it is expected to permit and refuse; for a pipeline.
    ///
    /// Ends with 0 if all of it holds, with 1 and a table of what differs, or with 78 if a file cannot be used.
    /// config/minimal.test.yaml is a table to start from.
    Test(Test),
    /// Look at access tokens.
    Token {
        #[command(subcommand)]
        command: Token,
    },
    /// Print the completions for a shell, to be sourced by it.
    Completions(Completions),
    /// Print a manual page, for `man -l -` or a folder of manual pages.
    Man(Man),
    /// Print the JSON Schema of the file (draft 2020-12), for editors: every key with its default and its range.
    Schema,
    /// See it work: a development authorization server, an MCP server and the gateway in one process, on this machine.
    ///
    /// Prints what to paste into clients, and then each decision as it is made. Nothing of it is for production: its login
    /// asks for no password, and everything is gone when it ends.
    #[cfg(feature = "demo")]
    Demo(Demo),
}

#[cfg(feature = "demo")]
#[derive(Debug, Args)]
struct Demo {
    /// Where clients reach the gateway; a loopback address
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where the authorization server listens; a loopback address
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000")]
    issuer_listen: SocketAddr,
    /// Stand before your own MCP server instead of the demo's, by its URL
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// Also write the routing file, for your own changes; never over a file that is there
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Go through the whole flow as a client would, print each step, and end: 0 if all of it held, else 1. Takes free ports
    #[arg(long, conflicts_with_all = ["listen", "issuer_listen", "upstream"])]
    check: bool,
}

#[derive(Debug, Args)]
struct File {
    /// The routing file [default: gatepost.yaml, then /etc/gatepost/gatepost.yaml]
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// Reads the arguments and runs the command.
pub(crate) fn run() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { file, log_format, log_level } => logged(log_format, log_level, || with_file(&file, serve)),
        Command::Init(options) => init::run(&options),
        Command::Suggest { config, log } => suggest::run(config.as_deref(), &log),
        Command::Check { file, online: true } => with_file(&file, |path, settings, _| online::run(path, &settings)),
        Command::Check { file, online: false } => with_file(&file, |path, settings, _| {
            let summary = summary(path, &settings);
            for warning in warnings(&settings) {
                eprintln!("{}: warning: {warning}", path.display());
            }
            match Prepared::new(settings) {
                Ok(_) => print_out(&summary),
                Err(error) => unusable(path, &error),
            }
        }),
        Command::Explain(options) => explain::explain(&options),
        Command::Test(options) => test::test(&options),
        Command::Token { command: Token::Decode(options) } => token::decode(&options),
        Command::Completions(options) => shells::completions(&options),
        Command::Man(options) => shells::man(&options),
        Command::Schema => print_out(schema::TEXT),
        #[cfg(feature = "demo")]
        Command::Demo(options) => logged(LogFormat::Text, LevelFilter::WARN, || show(options)),
    }
}

#[cfg(feature = "demo")]
fn show(Demo { listen, issuer_listen, upstream, write, check }: Demo) -> ExitCode {
    let options = demo::Options { listen, issuer_listen, upstream, write, check };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let shown = runtime.map_err(|error| format!("no threads: {error}")).and_then(|runtime| {
        let shown = runtime.block_on(demo::run(options));
        runtime.shutdown_timeout(Duration::from_secs(1));
        shown
    });
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Does `work` with a log, all of which is written before this returns.
fn logged(format: LogFormat, level: LevelFilter, work: impl FnOnce() -> ExitCode) -> ExitCode {
    let logs = match Logs::start(format, level) {
        Ok(logs) => logs,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = work();
    logs.flush();
    code
}

fn with_file(file: &File, then: impl FnOnce(&Path, Settings, Vec<Watched>) -> ExitCode) -> ExitCode {
    let default = || DEFAULT_FILES.map(Path::new).into_iter().find(|path| path.exists());
    let Some(path) = file.config.as_deref().or_else(default) else {
        eprintln!(
            "error: no routing file: neither {} exists; name one with --config FILE",
            DEFAULT_FILES.join(" nor ")
        );
        return ExitCode::from(EX_CONFIG);
    };
    match config::load_and_watch(path) {
        (Ok(settings), files) => then(path, settings, files),
        (Err(errors), _) => {
            eprintln!("{errors}");
            ExitCode::from(EX_CONFIG)
        }
    }
}

fn print_out(text: &str) -> ExitCode {
    print_bytes(text.as_bytes())
}

fn print_bytes(bytes: &[u8]) -> ExitCode {
    match write_out(bytes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// An argument that cannot be right, which only the file or standard input could tell.
fn refused_argument(error: &str) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(EX_USAGE)
}

fn write_out(text: &[u8]) -> Result<(), String> {
    let mut out = std::io::stdout();
    let written = out.write_all(text).and_then(|()| out.flush());
    written.map_err(|error| format!("cannot write to standard output: {error}"))
}

fn unusable(path: &Path, error: &str) -> ExitCode {
    eprintln!("{}: {error}", path.display());
    ExitCode::from(EX_CONFIG)
}

fn serve(path: &Path, settings: Settings, files: Vec<Watched>) -> ExitCode {
    let mut runtime = runtime(settings.threads);
    let (listen, admin, summary, warnings) =
        (settings.listen, settings.admin, summary(path, &settings), warnings(&settings));
    let audit = settings.audit.clone();
    let ready = Prepared::new(settings).and_then(|prepared| Ok((prepared, AuditSink::open(&audit)?)));
    let (prepared, audit) = match ready {
        Ok(ready) => ready,
        Err(error) => return unusable(path, &error),
    };
    let served = runtime.enable_all().build().map_err(|error| format!("no threads: {error}")).and_then(|runtime| {
        let mut records = None;
        let mut telemetry = None;
        let served = runtime.block_on(async {
            let serving = Arc::new(prepared.start(audit, Clock::system())?);
            let bind = |address: SocketAddr| {
                listener::bind(address).map_err(|error| format!("cannot listen on {address}: {error}"))
            };
            let (listener, admin) = (bind(listen)?, admin.map(bind).transpose()?);
            for line in summary.lines().take(SUMMARY_LINES_MAX) {
                tracing::info!("{line}");
            }
            if let more @ 1.. = summary.lines().count().saturating_sub(SUMMARY_LINES_MAX) {
                tracing::info!("and {more} lines more: `gatepost check` says them all");
            }
            for warning in warnings {
                tracing::warn!("{warning}");
            }
            tokio::spawn(Clock::system().report_steps());
            let reloading = reload_on_change(path, files, Arc::clone(&serving))?;
            let served = until_signalled(Arc::clone(&serving), listener, admin).await;
            reloading.abort();
            records = Some(serving.audit());
            telemetry = serving.current().telemetry().cloned();
            served
        });
        runtime.shutdown_timeout(Duration::from_secs(1));
        // Only now: requests that were cut wrote their records as the runtime dropped them.
        if let Some(records) = records {
            records.flush();
        }
        if let Some(telemetry) = telemetry {
            telemetry.flush();
        }
        served
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the file again on SIGHUP, which opens audit files again, too, and when a file that was read has changed.
fn reload_on_change(path: &Path, files: Vec<Watched>, serving: Arc<Serving>) -> Result<AbortHandle, String> {
    let mut hangup = catch(SignalKind::hangup())?;
    let asked = Arc::new(Notify::new());
    let path = path.to_owned();
    let load = move || {
        let (settings, files) = config::load_and_watch(&path);
        let warnings = settings.as_ref().map(warnings).unwrap_or_default();
        Loaded { settings: settings.map_err(|errors| errors.to_string()), warnings, files }
    };
    let reopened = Arc::clone(&serving);
    let reloading = serving.reload_on_change(files, Arc::clone(&asked), load);
    let task = tokio::spawn(async move {
        let asking = async {
            while hangup.recv().await.is_some() {
                reopened.reopen_audit();
                asked.notify_one();
            }
        };
        tokio::join!(asking, reloading);
    });
    Ok(task.abort_handle())
}

/// One for so many threads; with one alone, nothing is handed from thread to thread.
fn runtime(threads: Option<usize>) -> tokio::runtime::Builder {
    let threads = threads.or_else(|| available_parallelism().ok().map(NonZero::get));
    if threads == Some(1) {
        return tokio::runtime::Builder::new_current_thread();
    }
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = threads {
        runtime.worker_threads(threads);
    }
    runtime
}

/// Serves until SIGTERM or SIGINT, and then as `drain` says; a second signal ends it at once. Operators are answered to the last.
async fn until_signalled(
    gateway: Arc<Serving>,
    listener: TcpListener,
    admin: Option<TcpListener>,
) -> Result<(), String> {
    let (trigger, shutdown) = Shutdown::new();
    let (_until_the_end, end) = Shutdown::new();
    if let Some(listener) = admin {
        let (serving, reloads) = (Arc::clone(&gateway), Arc::clone(gateway.reloads()));
        tokio::spawn(admin::serve(listener, move || serving.current(), reloads, shutdown.clone(), end));
    }
    let (mut terminate, mut interrupt) = (catch(SignalKind::terminate())?, catch(SignalKind::interrupt())?);
    let mut serving = tokio::spawn(Arc::clone(&gateway).serve(listener, shutdown));
    let mut signalled = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::select! {
        () = signalled() => {}
        ended = &mut serving => return ended.map_err(|error| format!("the listener ended: {error}")),
    }
    // As the file has it now.
    let Drain { delay, grace } = gateway.current().settings().drain;
    tracing::info!("stopping: clients are accepted for {delay:?} more, requests under way then have {grace:?} to end");
    tokio::select! {
        () = drain(&trigger, delay, grace, &mut serving) => {}
        () = signalled() => tracing::warn!("a second signal: what is under way is cut"),
    }
    Ok(())
}

/// The phases of the end, up to the moment at which what still runs is cut.
async fn drain(trigger: &Trigger, delay: Duration, grace: Duration, serving: &mut JoinHandle<()>) {
    if !delay.is_zero() {
        trigger.drain();
        sleep(delay).await;
        // Requests that were sent before the listener closed are still on their way from the system to us.
        trigger.close();
        sleep(LAST_ARRIVALS).await;
    }
    trigger.request();
    if timeout(grace, &mut *serving).await.is_ok() {
        return;
    }
    trigger.end();
    if timeout(LAST_CHUNKS, serving).await.is_err() {
        tracing::warn!("some requests did not end in time and are cut");
    }
}

fn catch(kind: SignalKind) -> Result<Signal, String> {
    signal(kind).map_err(|error| format!("cannot catch signals: {error}"))
}

/// What the file amounts to, a line each: what operators compare with what clients are given.
fn summary(path: &Path, settings: &Settings) -> String {
    let scheme = match settings.tls {
        Tls::Off => "http",
        Tls::External => "http, TLS is ended in front",
        Tls::Files { .. } => "https",
    };
    let mut lines = vec![format!("{}: ok; listen {} ({scheme})", path.display(), settings.listen)];
    lines.extend(settings.admin.map(|admin| format!("admin: http://{admin}")));
    for route in &settings.routes {
        let UpstreamSettings { https, authority, path, .. } = &route.upstream;
        // A query may hold a key for the server.
        let (scheme, query) = (if *https { "https" } else { "http" }, path.query().map_or("", |_| "?…"));
        let upstream = format!("{scheme}://{authority}{}{query}", path.path());
        lines.push(format!("route {}: {}{} -> {upstream}", route.name, route.public_url.as_str(), route.path));
        if let Transport::HttpSse { message_path } = &route.transport {
            lines.push(format!("  http_sse, messages to {}{message_path}", route.public_url.as_str()));
        }
        let tokens = |issuer: &Issuer| format!("  tokens of {} for {}", issuer.as_str(), route.resource.as_str());
        lines.extend(route.issuers.iter().map(tokens));
    }
    lines.join("\n")
}

/// What the file permits that its writer may not mean, a line each.
fn warnings(settings: &Settings) -> Vec<String> {
    let of_route = |route: &RouteSettings| {
        let name = Arc::clone(&route.name);
        route.policy.warnings().into_iter().map(move |warning| format!("route {name}: {warning}"))
    };
    let open = settings.admin.filter(|admin| !admin.ip().is_loopback()).map(|admin| {
        format!(
            "admin: whoever reaches {admin} is shown policy, decisions and who made them, and nothing asks who that is"
        )
    });
    let unused = settings.warnings.iter().cloned();
    unused.chain(open).chain(settings.routes.iter().flat_map(of_route)).collect()
}

const DEFAULT_FILES: [&str; 2] = ["gatepost.yaml", "/etc/gatepost/gatepost.yaml"];
/// `sysexits.h`: something was found in a configuration file.
const EX_CONFIG: u8 = 78;
/// As for arguments that cannot be read.
const EX_USAGE: u8 = 2;
/// Of what the file amounts to, in the log of a start.
const SUMMARY_LINES_MAX: usize = 300;
/// From closing the listener until requests are refused.
const LAST_ARRIVALS: Duration = Duration::from_millis(100);
/// For the clean end of streams that did not end by themselves.
const LAST_CHUNKS: Duration = Duration::from_millis(500);

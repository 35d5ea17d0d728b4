//! `gatepost init`: asks a running server what it has, and writes the beginning of a file.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use gatepost::config::{self, SecretFrom, secret_header};
use gatepost::gateway::settings::UpstreamSettings;
use gatepost::oauth::ids::{Issuer, PublicOrigin, is_loopback_host};
use gatepost::survey::file::{self, Plan, Written};
use gatepost::survey::server::{Fault, Inventory, Server};
use http::{HeaderMap, HeaderName, HeaderValue, header};

#[derive(Debug, Args)]
pub(super) struct Init {
    /// The URL of the running MCP server (Streamable HTTP), as the gateway will reach it
    #[arg(long, value_name = "URL")]
    upstream: String,
    /// Show the server this bearer token: `-` reads it from standard input, `env:NAME` from a variable
    #[arg(long, value_name = "-|env:NAME", conflicts_with = "token_file")]
    token: Option<String>,
    /// Show the server the bearer token in this file
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A further header for the server, `Name: value`; `Name: env:VARIABLE` and `Name: file:FILE` for secrets. Repeatable
    #[arg(long = "header", value_name = "HEADER")]
    headers: Vec<String>,
    /// The route's name, and the beginning of its scopes [default: what the server calls itself]
    #[arg(long)]
    name: Option<String>,
    /// The issuer of access tokens, exactly as it writes itself
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// How clients reach the gateway: scheme and host, without a path
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Where to write the file; never over one that is there [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Runs it. What was given wrong ends with 2, everything else that fails with 1.
pub(super) fn run(options: &Init) -> ExitCode {
    let (settings, credentials) = match asked(options) {
        Ok(asked) => asked,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(USAGE);
        }
    };
    let written = inventory(&settings, credentials, &options.upstream).and_then(|inventory| {
        let plan = Plan {
            upstream: options.upstream.clone(),
            name: options.name.clone(),
            issuer: options.issuer.clone(),
            public_url: options.public_url.clone(),
        };
        let written = file::write(&plan, &inventory)?;
        match &options.output {
            Some(path) => write_new(path, &written.text)?,
            None => super::write_out(written.text.as_bytes())?,
        }
        Ok(written)
    });
    match written {
        Ok(written) => {
            report(&written, options.output.as_deref());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The server and what it is shown, as far as the arguments can be read.
fn asked(options: &Init) -> Result<(UpstreamSettings, HeaderMap), String> {
    let settings = config::upstream(&options.upstream).map_err(|error| format!("--upstream: {error}"))?;
    if let Some(issuer) = &options.issuer {
        Issuer::parse(issuer).map_err(|error| format!("--issuer {issuer:?}: expected {error}"))?;
    }
    if let Some(url) = &options.public_url {
        PublicOrigin::parse(url).map_err(|error| format!("--public-url {url:?}: expected {error}"))?;
    }
    if let Some(name) = &options.name {
        config::check_route_name(name).map_err(|error| format!("--name {name:?}: expected {error}"))?;
    }
    if let Some(path) = options.output.as_deref().filter(|path| path.exists()) {
        return Err(exists(path));
    }
    let credentials = credentials(options)?;
    let (host, secret) = (settings.authority.host(), credentials.values().any(HeaderValue::is_sensitive));
    if secret && !settings.https && !is_loopback_host(host) {
        return Err(format!(
            "--upstream: a secret would cross the network to {host} in the clear; expected an https URL"
        ));
    }
    Ok((settings, credentials))
}

fn credentials(options: &Init) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let token = match (&options.token, &options.token_file) {
        (Some(token), _) => Some(match (token.as_str(), token.strip_prefix("env:")) {
            ("-", _) => (SecretFrom::Stdin, "standard input".to_owned()),
            (_, Some(name)) => (SecretFrom::Env(name), name.to_owned()),
            // Everybody on this machine sees the arguments of a process.
            (_, None) => {
                return Err(
                    "--token: expected `-` (from standard input) or `env:NAME`; never the token itself".to_owned()
                );
            }
        }),
        (None, Some(path)) => Some((SecretFrom::File(path), path.display().to_string())),
        (None, None) => None,
    };
    if let Some((from, place)) = token {
        let value = secret_header("Bearer ", from).map_err(|error| format!("the token: {place} {error}"))?;
        headers.insert(header::AUTHORIZATION, value);
    }
    for written in &options.headers {
        let (name, value) = written.split_once(':').ok_or("--header: expected `Name: value`")?;
        let name: HeaderName =
            name.trim().parse().map_err(|_| format!("--header: {:?} is no name of a header", name.trim()))?;
        if OURS.contains(&name.as_str()) || name.as_str().starts_with("mcp-") {
            return Err(format!("--header: {name} is for HTTP and MCP to say"));
        }
        let value = header_value(&name, value.trim())?;
        if headers.insert(name.clone(), value).is_some() {
            return Err(format!("--header: {name} is given twice"));
        }
    }
    Ok(headers)
}

fn header_value(name: &HeaderName, text: &str) -> Result<HeaderValue, String> {
    let from = match (text.strip_prefix("env:"), text.strip_prefix("file:")) {
        (Some(name), _) => Some(SecretFrom::Env(name)),
        (None, Some(path)) => Some(SecretFrom::File(Path::new(path))),
        (None, None) => None,
    };
    if let Some(from) = from {
        return secret_header("", from).map_err(|error| format!("--header: what {name} names {error}"));
    }
    if SECRET_WORDS.iter().any(|word| name.as_str().contains(word)) {
        return Err(format!(
            "--header: {name} is a secret, and everybody on this machine sees arguments; expected \
             '{name}: env:VARIABLE' or '{name}: file:FILE'"
        ));
    }
    HeaderValue::from_str(text).map_err(|_| format!("--header: the value of {name} is no visible ASCII on one line"))
}

fn inventory(settings: &UpstreamSettings, credentials: HeaderMap, url: &str) -> Result<Inventory, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no threads: {error}"))?;
    // A query may hold a key.
    let shown = url.split('?').next().unwrap_or_default();
    let asked = runtime.block_on(async {
        let mut server = Server::new(settings, credentials)?;
        match server.inventory().await {
            Ok(inventory) => Ok(inventory),
            Err(Fault::Status(..) | Fault::NotMcp(_) | Fault::Refused(..)) if server.is_http_sse().await => Err(format!(
                "{shown} speaks HTTP+SSE (MCP 2024-11-05), which `init` does not read\n  write the file by hand, with \
                 `transport: http_sse`"
            )),
            Err(fault) => Err(format!("{shown} {fault}\n  {}", fault.remedy())),
        }
    });
    runtime.shutdown_background();
    asked
}

/// Writes a file that is not there yet.
fn write_new(path: &Path, text: &str) -> Result<(), String> {
    let opened = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = opened.map_err(|error| {
        let is_there = error.kind() == std::io::ErrorKind::AlreadyExists;
        if is_there { exists(path) } else { format!("cannot write {}: {error}", path.display()) }
    })?;
    file.write_all(text.as_bytes()).map_err(|error| {
        // Half a file is none; it is ours, since it was not there.
        drop(std::fs::remove_file(path));
        format!("cannot write {}: {error}", path.display())
    })
}

fn exists(path: &Path) -> String {
    format!("{} exists already, and `init` overwrites no file; name another with --output FILE", path.display())
}

fn report(written: &Written, output: Option<&Path>) {
    eprintln!("{}", written.summary);
    let more = written.left_out.len();
    if more > 0 {
        eprintln!("{more} left out, and so denied: the end of the file says which and why");
    }
    if let Some(path) = output {
        let path = path.display();
        eprintln!("{path} is written; read its rules, then: gatepost check --config {path}");
    }
}

/// Headers that say how a message is sent.
const OURS: [&str; 12] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
const SECRET_WORDS: [&str; 8] =
    ["authorization", "cookie", "key", "token", "secret", "password", "credential", "session"];
/// As for arguments that clap refuses.
const USAGE: u8 = 2;

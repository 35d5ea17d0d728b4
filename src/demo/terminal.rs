//! What the demo prints: how to connect, and each decision live, one line each, made of the audit records. What a client
//! chose (names, methods, subjects) is shown escaped: it must never move the cursor, colour a line or begin another one.

use std::io::{self, IsTerminal as _, Write};
use std::path::Path;

use serde::Deserialize;

use super::file::{Plan, Upstream};

/// How the screen is to be written on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// With colours, or plain.
    pub coloured: bool,
}

impl Screen {
    /// Colours where standard output is a terminal and `NO_COLOR` does not ask for none.
    #[must_use]
    pub fn of_stdout() -> Self {
        #[expect(clippy::disallowed_methods, reason = "https://no-color.org: a wish, not a secret")]
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { coloured: io::stdout().is_terminal() && !unwanted }
    }

    fn paint(self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::None => return text.to_owned(),
            _ if !self.coloured => return text.to_owned(),
            Colour::Bold => "1",
            Colour::Dim => "2",
            Colour::Red => "31",
            Colour::Green => "32",
            Colour::Yellow => "33",
            Colour::Magenta => "35",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    None,
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Magenta,
}

/// What is said at the start.
#[derive(Debug)]
pub struct Welcome<'a> {
    /// What stands before what.
    pub plan: &'a Plan,
    /// People, and an access token for each.
    pub tokens: &'a [(&'a str, String)],
    /// Where the file was written.
    pub written: Option<&'a Path>,
}

impl Welcome<'_> {
    /// All of it.
    #[must_use]
    pub fn text(&self, screen: Screen) -> String {
        let (url, name) = (self.plan.mcp_url(), self.plan.name());
        let bold = |text: &str| screen.paint(Colour::Bold, text);
        let dim = |text: &str| screen.paint(Colour::Dim, text);
        let loud =
            "For development on this machine only: its login asks for no password, and all is gone when it ends.";
        let loud = screen.paint(Colour::Yellow, loud);
        let vs_code = serde_json::json!({"name": name, "type": "http", "url": url});
        let clients = [
            ("Claude Code  ", format!("claude mcp add --transport http {name} {url}")),
            ("VS Code      ", format!("code --add-mcp '{vs_code}'")),
            ("MCP Inspector", format!("npx @modelcontextprotocol/inspector --transport http --server-url {url}")),
        ];
        let clients = clients.map(|(client, command)| format!("  {} {command}\n", dim(client))).concat();
        let tokens = self.tokens.iter().map(|(person, token)| format!("{}={}\n", person.to_uppercase(), dim(token)));
        let file = match self.written {
            Some(path) => format!("The routing file is {}.", path.display()),
            None => "The routing file: add --write gatepost.yaml.".to_owned(),
        };
        [
            format!("{}\n{loud}\n\n", bold("Gatepost demo")),
            format!("  {} {}\n{clients}\n", dim("MCP server   "), bold(&url)),
            "Your client opens a page to log in: as reader, writer or admin. Or paste into another terminal:\n\n"
                .to_owned(),
            tokens.collect(),
            self.curl(&url),
            format!("\n{file} Ctrl-C ends the demo.\nEach decision, as it is made (times are UTC):\n\n"),
        ]
        .concat()
    }

    /// One request that works by itself: the newest revision needs no session. Servers that do not speak it answer at
    /// least `initialize`.
    fn curl(&self, url: &str) -> String {
        let head = |token: &str, more: &str| {
            format!(
                "curl -s {url} -H \"Authorization: Bearer ${token}\" -H 'Content-Type: application/json' \\\n  -H 'Accept: \
                 application/json, text/event-stream' {more}\\\n"
            )
        };
        match self.plan.upstream {
            Upstream::Notes(_) => {
                let meta = serde_json::json!({
                    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientInfo": {"name": "curl", "version": "8"},
                    "io.modelcontextprotocol/clientCapabilities": {},
                });
                let params = serde_json::json!({"name": "list_notes", "arguments": {}, "_meta": meta});
                let call = serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
                let more = "-H 'MCP-Protocol-Version: 2026-07-28' \\\n  -H 'Mcp-Method: tools/call' -H 'Mcp-Name: list_notes' ";
                format!("{}  -d '{call}'\n", head("READER", more))
            }
            Upstream::Own(_) => {
                let client = serde_json::json!({"name": "curl", "version": "8"});
                let params =
                    serde_json::json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
                let call = serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
                format!("{}  -d '{call}'\n", head("READER", ""))
            }
        }
    }
}

/// Takes audit records, one JSON object a line, and writes a line for people to `out` for those that say something.
#[derive(Debug)]
pub struct Live<W> {
    out: W,
    screen: Screen,
    pending: Vec<u8>,
}

impl<W: Write> Live<W> {
    /// Nothing is written yet.
    pub fn new(out: W, screen: Screen) -> Self {
        Self { out, screen, pending: Vec::new() }
    }
}

impl<W: Write> Write for Live<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            // A record is far smaller; what is not must not fill the memory.
            if self.pending.len().saturating_add(part.len()) <= RECORD_BYTES_MAX {
                self.pending.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                let record = serde_json::from_slice::<Record>(&self.pending);
                self.pending.clear();
                if let Some(line) = record.ok().and_then(|record| record.line(self.screen)) {
                    // Nobody reads a terminal that is gone; the demo serves all the same.
                    drop(self.out.write_all(line.as_bytes()));
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        drop(self.out.flush());
        Ok(())
    }
}

/// What a line needs of an audit record.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Record {
    time: String,
    event: String,
    http_method: String,
    surface: String,
    decision: String,
    reason: Option<String>,
    detail: Option<String>,
    principal: Option<Caller>,
    method: Option<String>,
    name: Option<String>,
    scopes_held: Option<String>,
    scopes_needed: Option<String>,
    status: u16,
    end: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Caller {
    subject: Option<String>,
    client: Option<String>,
}

impl Record {
    /// The line; `None` for what would only be noise: the end of a stream whose beginning had its line, and what browsers
    /// ask before each request.
    fn line(&self, screen: Screen) -> Option<String> {
        let closed = self.event == "closed";
        let cut = matches!(self.end.as_deref(), Some("upstream_cut" | "token_expired"));
        if self.surface == "preflight" || (closed && !cut) {
            return None;
        }
        let (verdict, colour) = self.verdict(closed);
        let dim = colour == Colour::Green && self.is_ceremony();
        let (what, colour) = if dim { (Colour::Dim, Colour::Dim) } else { (Colour::None, colour) };
        Some(format!(
            "{}  {}  {}  {}\n",
            screen.paint(Colour::Dim, &shown(self.time.get(11..19).unwrap_or(""), 8)),
            screen.paint(what, &shown(self.person(), PERSON_CHARS)),
            screen.paint(what, &shown(&self.what(), WHAT_CHARS)),
            screen.paint(colour, &verdict),
        ))
    }

    fn person(&self) -> &str {
        let caller = self.principal.as_ref();
        caller.and_then(|caller| caller.subject.as_deref().or(caller.client.as_deref())).unwrap_or("-")
    }

    /// The method of the message; a request without one has that of HTTP in its place.
    fn rpc_method(&self) -> Option<&str> {
        self.method.as_deref().filter(|method| *method != self.http_method)
    }

    /// What was asked for.
    fn what(&self) -> String {
        match (self.surface.as_str(), self.rpc_method(), self.name.as_deref()) {
            ("metadata", ..) => format!("{} discovery document", self.http_method),
            (_, Some(method), Some(name)) => format!("{method} {name}"),
            (_, Some(method), None) => method.to_owned(),
            (_, None, _) => match self.http_method.as_str() {
                "GET" => "GET event stream".to_owned(),
                "DELETE" => "DELETE session".to_owned(),
                other => other.to_owned(),
            },
        }
    }

    /// The decision in words, nothing of it a client's but the scopes that it holds.
    fn verdict(&self, closed: bool) -> (String, Colour) {
        let end = self.end.as_deref().unwrap_or("");
        match (self.decision.as_str(), self.reason.as_deref()) {
            _ if closed => (format!("stream ended: {end}"), Colour::Magenta),
            ("allowed", None) => ("allowed".to_owned(), Colour::Green),
            ("allowed", Some(failure)) => {
                (words(&["allowed, then", &self.status.to_string(), failure], self.detail.as_deref()), Colour::Magenta)
            }
            (_, Some("insufficient_scope")) => {
                (words(&["insufficient_scope: lacks", &self.missing()], None), Colour::Yellow)
            }
            (_, Some("missing_token")) => ("missing_token: the client is sent to log in".to_owned(), Colour::Yellow),
            (_, Some(reason)) => (words(&["refused:", reason], self.detail.as_deref()), Colour::Red),
            (_, None) => (words(&["no answer:", end], None), Colour::Magenta),
        }
    }

    /// The scopes that are needed and not held.
    fn missing(&self) -> String {
        let held: Vec<&str> = self.scopes_held.as_deref().unwrap_or("").split(' ').collect();
        let needed = self.scopes_needed.as_deref().unwrap_or("").split(' ');
        needed.filter(|scope| !held.contains(scope)).collect::<Vec<_>>().join(" ")
    }

    /// Whether it belongs to every connection and says little when it is allowed.
    fn is_ceremony(&self) -> bool {
        match self.rpc_method() {
            Some(method) => {
                matches!(method, "initialize" | "server/discover" | "ping" | "logging/setLevel")
                    || method.starts_with("notifications/")
            }
            None => true,
        }
    }
}

/// Words with a space between, escaped, and a detail in brackets.
fn words(words: &[&str], detail: Option<&str>) -> String {
    let text = escaped(&words.join(" "), VERDICT_CHARS_MAX);
    match detail {
        Some(detail) => format!("{text} ({})", escaped(detail, VERDICT_CHARS_MAX)),
        None => text,
    }
}

/// Escaped, and exactly `chars` wide, so that lines stand in columns.
fn shown(text: &str, chars: usize) -> String {
    format!("{:<chars$}", escaped(text, chars))
}

/// At most `chars_max` characters, each of which takes one place and does nothing. Control characters would write the screen
/// anew, and characters that turn the direction of writing would make a line read as another.
fn escaped(text: &str, chars_max: usize) -> String {
    let mut out = String::new();
    for char in text.chars().take(chars_max.saturating_add(1)) {
        if char.is_alphanumeric() || char.is_ascii_graphic() || char == ' ' {
            out.push(char);
        } else {
            out.extend(char.escape_unicode());
        }
    }
    if out.chars().count() > chars_max {
        out = out.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect();
    }
    out
}

const RECORD_BYTES_MAX: usize = 64 << 10;
const PERSON_CHARS: usize = 8;
const WHAT_CHARS: usize = 34;
const VERDICT_CHARS_MAX: usize = 120;

#[cfg(test)]
mod tests;

//! The readers of the corpus: each is one way in which servers, libraries or proxies read a request, and says what a server that
//! reads so would run. `tests/smuggling/README.md` names whom each stands for.

use std::collections::HashSet;

use super::bytes;
use super::json::{After, Grammar, Json, values};

/// A request as it arrived: what follows its head is kept as it travelled.
#[derive(Debug, Clone)]
pub(super) struct Arrived {
    pub(super) method: String,
    /// Path and query.
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) wire: Vec<u8>,
}

/// One way of reading.
#[derive(Clone, Copy)]
pub(super) struct Reader {
    pub(super) name: &'static str,
    source: Source,
    text: Encoding,
    grammar: Grammar,
    after: After,
    winner: Winner,
    /// The form in which names of members are compared.
    member: fn(&str) -> String,
    /// The form in which methods, names and URIs are compared.
    value: fn(&str) -> String,
    shape: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Body,
    /// What a content coding was taken off.
    Inflated,
    /// A form's fields, or the part of a multipart body that is JSON.
    Form,
    /// `Mcp-Method` and `Mcp-Name`, the first or the last, a trailer's too.
    FirstHeaders,
    LastHeaders,
    Query,
    /// By Content-Length whatever else is there; the rest is a second request.
    Length,
}

#[derive(Debug, Clone, Copy)]
enum Encoding {
    Utf8,
    Sniffed,
    Charset,
    Dropped,
    Overlong,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Winner {
    First,
    Last,
    /// A second object adds to the first one.
    Merged,
    /// Nobody: a duplicate is refused.
    Neither,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// One message, whatever else is in it.
    Plain,
    /// One JSON-RPC 2.0 request, and nothing about it that a standard does not allow.
    Correct,
    /// A message with a result is a response.
    ResponseFirst,
    /// Arrays of messages, however nested; a message within `params` or any envelope round it.
    Batch,
    /// Members inside `__proto__` are inherited.
    Inherited,
    /// A string is what an array of one string holds, and any other scalar.
    Coerced,
    /// A string where an object should be is read as JSON.
    Twice,
    /// `params` by position, or its members beside `method`.
    Positional,
}

const ORDINARY: Reader = Reader {
    name: "ordinary",
    source: Source::Body,
    text: Encoding::Utf8,
    grammar: Grammar::Exact,
    after: After::Refused,
    winner: Winner::Last,
    member: str::to_owned,
    value: str::to_owned,
    shape: Shape::Plain,
};

/// Every reader. All but the named difference is `ordinary`.
pub(super) const READERS: &[Reader] = &[
    Reader { name: "strict", grammar: Grammar::Pure, winner: Winner::Neither, shape: Shape::Correct, ..ORDINARY },
    ORDINARY,
    Reader { name: "first", winner: Winner::First, ..ORDINARY },
    Reader { name: "merge", winner: Winner::Merged, ..ORDINARY },
    Reader { name: "fold", member: str::to_ascii_lowercase, ..ORDINARY },
    Reader { name: "fold-first", winner: Winner::First, member: str::to_ascii_lowercase, ..ORDINARY },
    Reader { name: "fold-unicode", member: fold_unicode, ..ORDINARY },
    Reader { name: "alias", member: words, ..ORDINARY },
    Reader { name: "nul", member: cut, value: cut, ..ORDINARY },
    Reader { name: "trim", member: visible, value: visible, ..ORDINARY },
    Reader { name: "compat", value: compat, ..ORDINARY },
    Reader { name: "router", value: routed, ..ORDINARY },
    Reader { name: "inherit", shape: Shape::Inherited, ..ORDINARY },
    Reader { name: "relaxed", grammar: Grammar::Relaxed, ..ORDINARY },
    Reader { name: "prefix", after: After::Ignored, ..ORDINARY },
    Reader { name: "stream", after: After::Read, ..ORDINARY },
    Reader { name: "batch", shape: Shape::Batch, ..ORDINARY },
    Reader { name: "response-first", shape: Shape::ResponseFirst, ..ORDINARY },
    Reader { name: "coerce", shape: Shape::Coerced, ..ORDINARY },
    Reader { name: "twice", shape: Shape::Twice, ..ORDINARY },
    Reader { name: "positional", shape: Shape::Positional, ..ORDINARY },
    Reader { name: "sniff", text: Encoding::Sniffed, ..ORDINARY },
    Reader { name: "charset", text: Encoding::Charset, ..ORDINARY },
    Reader { name: "drop", text: Encoding::Dropped, grammar: Grammar::Dropping, ..ORDINARY },
    Reader { name: "overlong", text: Encoding::Overlong, ..ORDINARY },
    Reader { name: "inflate", source: Source::Inflated, ..ORDINARY },
    Reader { name: "form", source: Source::Form, ..ORDINARY },
    Reader { name: "header-first", source: Source::FirstHeaders, ..ORDINARY },
    Reader { name: "header-last", source: Source::LastHeaders, ..ORDINARY },
    Reader { name: "query", source: Source::Query, ..ORDINARY },
    Reader { name: "length", source: Source::Length, ..ORDINARY },
];

impl Reader {
    /// What a server that reads so runs, each once: tools, prompts, resources and tasks by their names, other methods by theirs.
    pub(super) fn runs(&self, request: &Arrived) -> Vec<String> {
        let mut names = HashSet::new();
        self.all_runs(request).into_iter().filter(|name| names.insert(name.clone())).collect()
    }

    fn all_runs(&self, request: &Arrived) -> Vec<String> {
        match self.source {
            Source::FirstHeaders => self.by_headers(request, |values| values.first().cloned()),
            Source::LastHeaders => self.by_headers(request, |values| values.last().cloned()),
            Source::Query => self.or_body(
                request,
                self.by_fields(&fields(request.target.split_once('?').map_or("", |(_, query)| query))),
            ),
            Source::Form => self.or_body(request, self.by_form(&request.body())),
            Source::Length => self.by_length(request),
            Source::Inflated => {
                bytes::inflated(&request.body()).map_or_else(Vec::new, |body| self.by_body(request, &body))
            }
            Source::Body if self.shape == Shape::Correct && !is_correct_head(request) => Vec::new(),
            Source::Body => self.by_body(request, &request.body()),
        }
    }

    /// What was found elsewhere, or else what the body says.
    fn or_body(&self, request: &Arrived, ran: Vec<String>) -> Vec<String> {
        if ran.is_empty() { self.by_body(request, &request.body()) } else { ran }
    }

    fn by_body(&self, request: &Arrived, body: &[u8]) -> Vec<String> {
        let text = match self.text {
            Encoding::Utf8 => std::str::from_utf8(body).ok().map(str::to_owned),
            Encoding::Sniffed => bytes::sniffed(body),
            Encoding::Charset => bytes::decoded(body, &request.charset()),
            Encoding::Dropped => Some(bytes::dropped(body)),
            Encoding::Overlong => Some(bytes::overlong(body)),
        };
        let messages = text.and_then(|text| values(&text, self.grammar, self.after)).unwrap_or_default();
        if self.shape == Shape::Correct
            && !messages.iter().all(|message| is_correct(message) && mirrors(request, message))
        {
            return Vec::new();
        }
        messages.iter().flat_map(|message| self.messages(message)).collect()
    }

    fn messages(&self, json: &Json) -> Vec<String> {
        match (json, self.shape) {
            (Json::Array(elements), Shape::Batch) => {
                elements.iter().flat_map(|element| self.messages(element)).collect()
            }
            (Json::Object(members), Shape::Batch) => {
                let ran = self.message(json);
                if !ran.is_empty() {
                    return ran;
                }
                let inner = members.iter().map(|(_, value)| value);
                inner
                    .filter(|value| matches!(value, Json::Object(_) | Json::Array(_)))
                    .flat_map(|value| self.messages(value))
                    .collect()
            }
            (Json::Text(text), Shape::Twice) => {
                let inner = values(text, self.grammar, self.after).unwrap_or_default();
                inner.iter().flat_map(|message| self.message(message)).collect()
            }
            _ => self.message(json),
        }
    }

    /// What one message runs.
    fn message(&self, message: &Json) -> Vec<String> {
        if self.shape == Shape::ResponseFirst
            && ["result", "error"].iter().any(|name| self.get(message, name).is_some())
        {
            return Vec::new();
        }
        let Some(method) = self.text(message, "method") else { return Vec::new() };
        let mut params = self.get(message, "params").unwrap_or(Json::Null);
        if let (Json::Text(text), Shape::Twice) = (&params, self.shape) {
            params = values(text, self.grammar, self.after).and_then(|mut inner| inner.pop()).unwrap_or(Json::Null);
        }
        if self.shape == Shape::Positional {
            params = match params {
                Json::Array(elements) => {
                    Json::Object(["name", "arguments"].map(str::to_owned).into_iter().zip(elements).collect())
                }
                Json::Null => message.clone(),
                other @ (Json::Bool | Json::Number(_) | Json::Text(_) | Json::Object(_)) => other,
            };
        }
        let named =
            |name: &str, things: &[&str]| self.text(&params, name).filter(|text| things.contains(&text.as_str()));
        match method.as_str() {
            "tools/call" => named("name", TOOLS).into_iter().collect(),
            "prompts/get" => named("name", PROMPTS).into_iter().collect(),
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
                named("uri", RESOURCES).into_iter().collect()
            }
            "tasks/get" | "tasks/result" | "tasks/cancel" | "tasks/update" => {
                named("taskId", TASKS).into_iter().collect()
            }
            "completion/complete" => self.completes(&params).into_iter().collect(),
            "subscriptions/listen" => self.listens(&params),
            other if CORE.contains(&other) => vec![other.to_owned()],
            _ => Vec::new(),
        }
    }

    fn completes(&self, params: &Json) -> Option<String> {
        let reference = self.get(params, "ref")?;
        let (name, things) = match self.text(&reference, "type")?.as_str() {
            "ref/prompt" => ("name", PROMPTS),
            "ref/resource" => ("uri", RESOURCES),
            _ => return None,
        };
        self.text(&reference, name).filter(|text| things.contains(&text.as_str()))
    }

    fn listens(&self, params: &Json) -> Vec<String> {
        let Some(notifications) = self.get(params, "notifications") else { return Vec::new() };
        let listed = |name: &str, things: &[&str]| {
            let elements = match self.get(&notifications, name) {
                Some(Json::Array(elements)) => elements,
                Some(one @ Json::Text(_)) if self.shape == Shape::Coerced => vec![one],
                _ => Vec::new(),
            };
            let texts = elements.into_iter().filter_map(|element| match element {
                Json::Text(text) => Some((self.value)(&text)),
                Json::Null | Json::Bool | Json::Number(_) | Json::Array(_) | Json::Object(_) => None,
            });
            texts.filter(|text| things.contains(&text.as_str())).collect::<Vec<_>>()
        };
        [listed("resourceSubscriptions", RESOURCES), listed("taskIds", TASKS)].concat()
    }

    /// The member `name`, by the way this reader compares names and settles duplicates.
    fn get(&self, object: &Json, name: &str) -> Option<Json> {
        let Json::Object(members) = object else { return None };
        let wanted = (self.member)(name);
        let mut all = members.iter().filter(|(each, _)| (self.member)(each) == wanted).map(|(_, value)| value);
        let found = match self.winner {
            Winner::First => all.next().cloned(),
            Winner::Last | Winner::Neither => all.next_back().cloned(),
            Winner::Merged => all.cloned().reduce(|one, other| match (one, other) {
                (Json::Object(one), Json::Object(other)) => Json::Object([one, other].concat()),
                // Nothing is no reason to give up what was there.
                (one, Json::Null) => one,
                (_, other) => other,
            }),
        };
        let prototype =
            || members.iter().find(|(each, _)| each == "__proto__").and_then(|(_, inner)| self.get(inner, name));
        if found.is_none() && self.shape == Shape::Inherited { prototype() } else { found }
    }

    fn text(&self, object: &Json, name: &str) -> Option<String> {
        match (self.get(object, name)?, self.shape) {
            (Json::Text(text), _) => Some((self.value)(&text)),
            (Json::Array(elements), Shape::Coerced) => match elements.as_slice() {
                [Json::Text(text)] => Some(text.clone()),
                _ => None,
            },
            (Json::Object(members), Shape::Coerced) => match members.as_slice() {
                [(_, Json::Text(text))] => Some(text.clone()),
                _ => None,
            },
            _ => None,
        }
    }

    fn by_headers(&self, request: &Arrived, pick: fn(&[String]) -> Option<String>) -> Vec<String> {
        let (_, trailers, _) = bytes::dechunked(if request.is_chunked() { &request.wire } else { b"" });
        let header = |name: &str| {
            let all = request.headers.iter().chain(&trailers);
            let values: Vec<_> = all
                .filter(|(each, _)| each.replace(['_', '.'], "-").eq_ignore_ascii_case(name))
                .flat_map(|(_, value)| value.split(',').map(|value| mirrored(value.trim())))
                .collect();
            pick(&values)
        };
        // A header that is not there is made up for by the body.
        let body = self.by_body(request, &request.body());
        match (header("mcp-method"), header("mcp-name")) {
            (None, None) => body,
            (method, name) => {
                let field = |name: &str, value: Option<String>| Some((name.to_owned(), value?));
                self.by_fields(
                    &[field("method", method.or(Some("tools/call".to_owned()))), field("name", name)]
                        .into_iter()
                        .flatten()
                        .collect::<Vec<_>>(),
                )
            }
        }
    }

    fn by_fields(&self, fields: &[(String, String)]) -> Vec<String> {
        let last = |names: &[&str]| {
            let found = fields.iter().rev().find(|(name, _)| names.contains(&name.as_str()));
            found.map(|(_, value)| Json::Text(value.clone()))
        };
        let member = |name: &str, value: Option<Json>| Some((name.to_owned(), value?));
        let named = last(&["name", "params[name]", "params.name", "tool"]);
        let params = [member("name", named.clone()), member("uri", named)].into_iter().flatten().collect();
        let method = member("method", last(&["method"]));
        self.message(&Json::Object(method.into_iter().chain([("params".to_owned(), Json::Object(params))]).collect()))
    }

    fn by_form(&self, body: &[u8]) -> Vec<String> {
        let text = String::from_utf8_lossy(body).into_owned();
        if text.starts_with("--") {
            let json =
                text.split_once("\r\n\r\n").map_or("", |(_, part)| part.split("\r\n--").next().unwrap_or_default());
            let messages = values(json, self.grammar, self.after).unwrap_or_default();
            return messages.iter().flat_map(|message| self.message(message)).collect();
        }
        let fields = fields(&text);
        // A form whose one field is called by the whole message.
        let whole = fields.iter().flat_map(|(name, value)| [name, value]).filter(|text| text.starts_with('{'));
        let whole = whole.flat_map(|text| values(text, self.grammar, self.after).unwrap_or_default());
        let ran: Vec<_> = whole.flat_map(|message| self.message(&message)).collect();
        if ran.is_empty() { self.by_fields(&fields) } else { ran }
    }

    fn by_length(&self, request: &Arrived) -> Vec<String> {
        let length = request.all("content-length").last().and_then(|length| length.trim().parse().ok());
        let Some(length) = length.filter(|_| request.is_chunked()) else {
            return self.by_body(request, &request.body());
        };
        let (body, rest) = request.wire.split_at(usize::min(length, request.wire.len()));
        let mut ran = self.by_body(request, body);
        let next = String::from_utf8_lossy(rest).into_owned();
        if let Some((head, _)) = next.split_once("\r\n\r\n").filter(|_| next.starts_with("POST ")) {
            ran.extend(self.by_body(request, &rest[head.len() + 4..]));
        }
        ran
    }
}

impl Arrived {
    /// A request from its bytes.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let end = crate::support::wire::find(bytes, b"\r\n\r\n").expect("a head");
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let mut start = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
        let (method, target) = (start.next().unwrap_or_default(), start.next().unwrap_or_default());
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
        Self { method, target, headers, wire: bytes[end + 4..].to_vec() }
    }

    /// The body as most take it: by the chunks where there is a transfer coding.
    fn body(&self) -> Vec<u8> {
        if self.is_chunked() { bytes::dechunked(&self.wire).0 } else { self.wire.clone() }
    }

    fn is_chunked(&self) -> bool {
        self.all("transfer-encoding").any(|coding| coding.to_ascii_lowercase().contains("chunked"))
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers
            .iter()
            .filter(move |(each, _)| each.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The last `charset` in any Content-Type.
    fn charset(&self) -> String {
        let types = self.all("content-type").collect::<Vec<_>>().join(";").to_ascii_lowercase();
        let charset = types.rsplit("charset=").next().filter(|_| types.contains("charset="));
        charset.unwrap_or("utf-8").split([';', ',', ' ']).next().unwrap_or_default().trim_matches('"').to_owned()
    }
}

/// Whether the head is one that RFC 9112 and MCP allow: POST, one framing, one media type, no content coding, nothing twice.
fn is_correct_head(request: &Arrived) -> bool {
    let types: Vec<_> = request.all("content-type").map(|one| one.to_ascii_lowercase().replace('"', "")).collect();
    let json = matches!(types.as_slice(), [one] if ["application/json", "application/json; charset=utf-8"].contains(&one.as_str()));
    let codings: Vec<_> = request.all("transfer-encoding").collect();
    let lengths: Vec<_> = request.all("content-length").collect();
    let framed = match (codings.as_slice(), lengths.as_slice()) {
        (["chunked"], []) => bytes::is_well_chunked(&request.wire),
        ([], [length]) => **length == request.wire.len().to_string(),
        // As the gateway sends it on, which framed it anew.
        ([], []) => true,
        _ => false,
    };
    let once = ["host", "authorization", "mcp-method", "mcp-name", "mcp-protocol-version", "mcp-session-id"];
    let names = request.headers.iter().all(|(name, value)| name.trim() == name && !value.contains('\0'));
    let session = request.all("mcp-session-id").all(|id| id.bytes().all(|byte| byte.is_ascii_graphic()));
    let plain = request.all("content-encoding").all(|coding| coding == "identity");
    let folded = request.headers.iter().any(|(name, _)| name.starts_with(' '));
    request.method == "POST"
        && json
        && framed
        && names
        && session
        && plain
        && !folded
        && once.iter().all(|name| request.all(name).count() <= 1)
}

/// Whether the headers that mirror the body say what it says, and are there where revision 2026-07-28 wants them.
fn mirrors(request: &Arrived, message: &Json) -> bool {
    let params = ORDINARY.get(message, "params").unwrap_or(Json::Null);
    let said = |name: &str| request.all(name).map(mirrored).next();
    let method = ORDINARY.text(message, "method");
    let named = ["name", "uri", "taskId"].into_iter().find_map(|member| ORDINARY.text(&params, member));
    let meta =
        ORDINARY.get(&params, "_meta").and_then(|meta| ORDINARY.get(&meta, "io.modelcontextprotocol/protocolVersion"));
    let revision = match (&meta, said("mcp-protocol-version")) {
        (Some(Json::Text(meta)), header) => header.as_ref() == Some(meta),
        (Some(_), _) => false,
        (None, header) => header.as_deref() != Some("2026-07-28"),
    };
    let spoken = said("mcp-protocol-version").is_none_or(|header| REVISIONS.contains(&header.as_str()));
    let required = said("mcp-protocol-version").as_deref() == Some("2026-07-28");
    let agrees = |said: Option<String>, body: &Option<String>| {
        if said.is_none() { !required || body.is_none() } else { said == *body }
    };
    revision && spoken && agrees(said("mcp-method"), &method) && agrees(said("mcp-name"), &named)
}

/// One JSON-RPC 2.0 request or notification of MCP without a duplicate member.
fn is_correct(message: &Json) -> bool {
    let get = |name: &str| ORDINARY.get(message, name);
    let Some(Json::Text(method)) = get("method") else { return false };
    let id = match get("id") {
        Some(Json::Text(_)) => Some(true),
        Some(Json::Number(number)) => Some(number.parse::<i128>().is_ok()),
        Some(_) => Some(false),
        None => None,
    };
    let params = matches!(get("params"), None | Some(Json::Object(_)));
    let identified = if method.starts_with("notifications/") { id.is_none() } else { id == Some(true) };
    let version = get("jsonrpc") == Some(Json::Text("2.0".to_owned()));
    version && identified && params && get("result").is_none() && get("error").is_none() && !has_duplicates(message)
}

fn has_duplicates(json: &Json) -> bool {
    match json {
        Json::Object(members) => {
            let mut names = HashSet::new();
            members.iter().any(|(name, value)| !names.insert(name) || has_duplicates(value))
        }
        Json::Array(elements) => elements.iter().any(has_duplicates),
        Json::Null | Json::Bool | Json::Number(_) | Json::Text(_) => false,
    }
}

/// A mirrored header out of its base64 form, whatever the alphabet, the padding and the case of the marks.
fn mirrored(value: &str) -> String {
    let lower = value.to_ascii_lowercase();
    let marks = [("=?base64?", "?="), ("=?utf-8?b?", "?=")];
    let Some((begin, end)) = marks.into_iter().find(|(begin, end)| lower.starts_with(begin) && lower.ends_with(end))
    else {
        return value.to_owned();
    };
    let inside = value.get(begin.len()..value.len() - end.len()).unwrap_or_default();
    let plain: String =
        inside.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_')).collect();
    let plain = plain.replace('-', "+").replace('_', "/");
    let engine = base64::engine::GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        base64::engine::GeneralPurposeConfig::new()
            .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    let decoded = base64::Engine::decode(&engine, plain).unwrap_or_default();
    String::from_utf8_lossy(&decoded).into_owned()
}

/// The fields of a form or a query.
fn fields(text: &str) -> Vec<(String, String)> {
    let decode =
        |text: &str| percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = text.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

/// Simple case folding as Go's encoding/json and Java's `equalsIgnoreCase` know it.
fn fold_unicode(name: &str) -> String {
    let fold = |c| match c {
        '\u{17F}' => 's',
        '\u{212A}' => 'k',
        '\u{130}' | '\u{131}' => 'i',
        other => other,
    };
    name.chars().map(fold).collect::<String>().to_ascii_lowercase()
}

/// Without case and without what joins words; `meta` is `_meta`.
fn words(name: &str) -> String {
    name.replace(['_', '-'], "").to_ascii_lowercase()
}

/// A C string.
fn cut(name: &str) -> String {
    name.split('\0').next().unwrap_or_default().to_owned()
}

/// Without blanks, controls and what shows nothing.
fn visible(name: &str) -> String {
    let shows = |c: &char| {
        !c.is_whitespace()
            && !c.is_control()
            && !matches!(c, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2064}' | '\u{FE0F}' | '\u{FEFF}' | '\u{E0000}'..='\u{E007F}')
    };
    name.chars().filter(shows).collect()
}

/// Compatibility forms (Unicode NFKD without marks), as far as the corpus has them.
fn compat(name: &str) -> String {
    let mut plain = String::new();
    for c in name.chars() {
        match c {
            '\u{FF01}'..='\u{FF5E}' => plain.extend(char::from_u32(u32::from(c) - 0xFEE0)),
            '\u{1D41A}'..='\u{1D433}' => plain.extend(char::from_u32(u32::from(c) - 0x1D41A + u32::from('a'))),
            '\u{24D0}'..='\u{24E9}' => plain.extend(char::from_u32(u32::from(c) - 0x24D0 + u32::from('a'))),
            '\u{FB01}' => plain.push_str("fi"),
            '\u{2071}' => plain.push('i'),
            '\u{2097}' | '\u{217C}' => plain.push('l'),
            '\u{2105}' => plain.push_str("c/o"),
            '\u{300}'..='\u{36F}' | '\u{FE00}'..='\u{FE0F}' | '\u{AD}' => {}
            '\u{2092}' | '\u{F2}' | '\u{F3}' | '\u{F6}' => plain.push('o'),
            other => plain.push(other),
        }
    }
    plain
}

/// As a router of paths compares: without case, escapes, empty and dot segments, parameters, query and fragment.
fn routed(name: &str) -> String {
    let decoded =
        percent_encoding::percent_decode_str(name).decode_utf8_lossy().replace('\\', "/").to_ascii_lowercase();
    let path = decoded.split(['?', '#', ';']).next().unwrap_or_default();
    let (scheme, path) =
        path.split_once("://").map_or((String::new(), path), |(scheme, path)| (format!("{scheme}://"), path));
    let mut segments = Vec::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty() && *segment != ".") {
        if segment == ".." {
            segments.pop();
        } else {
            segments.push(segment);
        }
    }
    scheme + &segments.join("/")
}

const TOOLS: &[&str] = &["allowed_tool", "forbidden_tool"];
const PROMPTS: &[&str] = &["allowed_prompt", "forbidden_prompt"];
const RESOURCES: &[&str] = &["note://allowed", "note://forbidden"];
const REVISIONS: &[&str] = &["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];
const TASKS: &[&str] = &["forbidden_task"];
const CORE: &[&str] =
    &["initialize", "server/discover", "ping", "tools/list", "notifications/initialized", "notifications/cancelled"];

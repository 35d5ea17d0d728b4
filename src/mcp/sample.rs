//! One message as a correct client of a revision sends it, to be asked what would become of it. Nothing here is read from a
//! client, and nothing here decides.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Map, Value, json};

use super::revision::Revision;

/// What is asked for: a method, and what it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    method: String,
    named: Option<Named>,
}

/// What a method names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// A tool.
    Tool(String),
    /// A prompt.
    Prompt(String),
    /// A resource's URI, or a template of URIs.
    Resource(String),
}

/// A request, as far as it is asked about.
#[derive(Debug, Clone)]
pub struct Sample {
    /// POST, or GET and DELETE without a body.
    pub method: Method,
    /// The headers that go with the message.
    pub headers: HeaderMap,
    /// The message.
    pub body: Vec<u8>,
}

impl Wish {
    /// A method and what it names, if they go together; without a method the one that uses what is named. The error says what
    /// does.
    pub fn new(method: Option<&str>, named: Option<Named>) -> Result<Self, String> {
        let method = match (method, &named) {
            (Some(method), _) => method,
            (None, Some(Named::Tool(_))) => "tools/call",
            (None, Some(Named::Prompt(_))) => "prompts/get",
            (None, Some(Named::Resource(_))) => "resources/read",
            (None, None) => return Err("one of a tool, a prompt, a resource and a method".to_owned()),
        };
        let (fits, wants) = match (method, &named) {
            ("tools/call", named) => (matches!(named, Some(Named::Tool(_))), "a tool"),
            ("prompts/get", named) => (matches!(named, Some(Named::Prompt(_))), "a prompt"),
            ("resources/read" | "resources/subscribe" | "resources/unsubscribe", named) => {
                (matches!(named, Some(Named::Resource(_))), "a resource")
            }
            ("completion/complete", named) => {
                (matches!(named, Some(Named::Prompt(_) | Named::Resource(_))), "a prompt or a resource")
            }
            ("subscriptions/listen", named) => {
                (matches!(named, None | Some(Named::Resource(_))), "a resource, or nothing")
            }
            (_, named) => (named.is_none(), "no tool, prompt or resource"),
        };
        if fits { Ok(Self { method: method.to_owned(), named }) } else { Err(format!("{method} with {wants}")) }
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// What it names.
    #[must_use]
    pub fn named(&self) -> Option<&Named> {
        self.named.as_ref()
    }

    /// The request, with 1 for its id. GET and DELETE are the HTTP methods; what begins with `notifications/` has no id.
    #[must_use]
    pub fn sample(&self, revision: Option<Revision>) -> Sample {
        let mut headers = HeaderMap::new();
        if let Some(revision) = revision {
            headers.insert("mcp-protocol-version", HeaderValue::from_static(revision.as_str()));
        }
        let bodiless = [Method::GET, Method::DELETE].into_iter().find(|method| method.as_str() == self.method);
        if let Some(method) = bodiless {
            return Sample { method, headers, body: Vec::new() };
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        let mut params = self.params();
        if revision == Some(Revision::V2026_07_28) {
            let meta = json!({"io.modelcontextprotocol/protocolVersion": Revision::V2026_07_28.as_str()});
            params.insert("_meta".to_owned(), meta);
            // A client that cannot put a text into a header leaves it out; blanks around it are lost on the way.
            if let Ok(method) = HeaderValue::from_bytes(self.method.trim_matches([' ', '\t']).as_bytes()) {
                headers.insert("mcp-method", method);
            }
            if let Some(Ok(name)) = self.mirrored(&params).map(|name| HeaderValue::from_str(&in_header(name))) {
                headers.insert("mcp-name", name);
            }
        }
        let mut message = json!({"jsonrpc": "2.0", "method": self.method, "params": params});
        if let Some(message) = message.as_object_mut().filter(|_| !self.method.starts_with("notifications/")) {
            message.insert("id".to_owned(), 1.into());
        }
        Sample { method: Method::POST, headers, body: message.to_string().into_bytes() }
    }

    fn params(&self) -> Map<String, Value> {
        let params = match (self.method.as_str(), &self.named) {
            ("completion/complete", Some(Named::Prompt(name))) => {
                json!({"ref": {"type": "ref/prompt", "name": name}, "argument": {"name": "argument", "value": ""}})
            }
            ("completion/complete", Some(Named::Resource(uri))) => {
                json!({"ref": {"type": "ref/resource", "uri": uri}, "argument": {"name": "argument", "value": ""}})
            }
            ("subscriptions/listen", Some(Named::Resource(uri))) => {
                json!({"notifications": {"resourceSubscriptions": [uri]}})
            }
            ("subscriptions/listen", _) => json!({"notifications": {}}),
            (method, None) if METHODS_OF_TASKS.contains(&method) => json!({"taskId": "task"}),
            (_, Some(Named::Tool(name))) => json!({"name": name, "arguments": {}}),
            (_, Some(Named::Prompt(name))) => json!({"name": name}),
            (_, Some(Named::Resource(uri))) => json!({"uri": uri}),
            (_, None) => json!({}),
        };
        match params {
            Value::Object(params) => params,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
        }
    }

    /// What `Mcp-Name` repeats (MCP 2026-07-28, Streamable HTTP, Standard Headers).
    fn mirrored<'p>(&self, params: &'p Map<String, Value>) -> Option<&'p str> {
        let member = match self.method.as_str() {
            "tools/call" | "prompts/get" => "name",
            "resources/read" => "uri",
            method if METHODS_OF_TASKS.contains(&method) => "taskId",
            _ => return None,
        };
        params.get(member)?.as_str()
    }
}

/// A text as a header holds it: as it is where that is plain, else in the base64 form (MCP 2026-07-28, Streamable HTTP, Value
/// Encoding).
fn in_header(text: &str) -> String {
    let plain = text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && text.trim_matches(' ') == text;
    if plain && !text.starts_with("=?base64?") {
        return text.to_owned();
    }
    format!("=?base64?{}?=", STANDARD.encode(text))
}

/// Of the tasks extension: they name a task.
const METHODS_OF_TASKS: [&str; 3] = ["tasks/get", "tasks/update", "tasks/cancel"];

#[cfg(test)]
mod tests {
    use super::super::headers;
    use super::super::message::{ReadLimits, read};
    use super::super::operation::{Asked, Operation};
    use super::super::revision::ALL;
    use super::*;

    fn tool(name: &str) -> Named {
        Named::Tool(name.to_owned())
    }

    fn prompt(name: &str) -> Named {
        Named::Prompt(name.to_owned())
    }

    fn resource(uri: &str) -> Named {
        Named::Resource(uri.to_owned())
    }

    /// What the inspection of a request makes of it.
    fn read_back(wish: &Wish, revision: Option<Revision>) -> Operation {
        let sample = wish.sample(revision);
        let body = read(&sample.body, ReadLimits { depth_max: 64, batch_max: 1 }).unwrap();
        assert_eq!(headers::check(&sample.headers, &body, true), Ok(revision), "{wish:?}");
        let asked = Asked::of(&body, revision).unwrap();
        asked.each()[0].operation.clone()
    }

    #[test]
    fn what_is_asked_for_is_what_is_read() {
        let check = |method: Option<&str>, named: Option<Named>, expect: Operation| {
            let wish = Wish::new(method, named).unwrap();
            for revision in ALL.into_iter().map(Some).chain([None]) {
                assert_eq!(read_back(&wish, revision), expect, "{wish:?} {revision:?}");
            }
        };
        for name in ["get_x", " padded ", "caf\u{e9}", "=?base64?eA==?=", "a\nb", "\0", ""] {
            check(None, Some(tool(name)), Operation::CallTool(name.to_owned()));
            check(None, Some(prompt(name)), Operation::GetPrompt(name.to_owned()));
            let uri = name.to_owned();
            check(None, Some(resource(name)), Operation::UseResource { method: "resources/read", uri });
            check(Some("completion/complete"), Some(prompt(name)), Operation::CompletePrompt(name.to_owned()));
            check(Some("completion/complete"), Some(resource(name)), Operation::CompleteResource(name.to_owned()));
            check(Some("subscriptions/listen"), Some(resource(name)), Operation::Listen(vec![name.to_owned()]));
        }
        check(Some("tools/call"), Some(tool("x")), Operation::CallTool("x".to_owned()));
        check(Some("subscriptions/listen"), None, Operation::Listen(Vec::new()));
        check(Some("tools/list"), None, Operation::Core("tools/list"));
        check(Some("notifications/initialized"), None, Operation::Core("notifications/initialized"));
    }

    #[test]
    fn a_method_and_what_it_names_go_together() {
        let check = |method: Option<&str>, named: Option<Named>, expect: &str| {
            assert_eq!(Wish::new(method, named).unwrap_err(), expect);
        };
        check(None, None, "one of a tool, a prompt, a resource and a method");
        check(Some("tools/call"), None, "tools/call with a tool");
        check(Some("tools/call"), Some(prompt("x")), "tools/call with a tool");
        check(Some("resources/subscribe"), None, "resources/subscribe with a resource");
        check(Some("completion/complete"), Some(tool("x")), "completion/complete with a prompt or a resource");
        check(Some("subscriptions/listen"), Some(tool("x")), "subscriptions/listen with a resource, or nothing");
        check(Some("tools/list"), Some(tool("x")), "tools/list with no tool, prompt or resource");
    }
}

//! A demo MCP server on the official SDK: a small store of notes. It knows nothing of tokens or scopes: whoever reaches it
//! may do everything, which is why the gateway stands before it. Nothing in it grows without a bound.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{
    ErrorData, Implementation, ListResourceTemplatesResult, ListResourcesResult, PaginatedRequestParams,
    ProgressNotificationParam, PromptMessage, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult,
    RequestMetaObject, Resource, ResourceContents, ResourceTemplate, Role, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{
    Peer, RoleServer, ServerHandler, prompt, prompt_handler, prompt_router, schemars, tool, tool_handler, tool_router,
};
use serde::Deserialize;
use tokio::net::TcpListener;

use crate::gateway::body::{Body, full};
use crate::gateway::listener::{self, Terms};
use crate::gateway::settings::{Limits, Timeouts};
use crate::gateway::shutdown::Shutdown;

/// Where the MCP endpoint is.
pub const PATH: &str = "/mcp";

/// Serves the notes at [`PATH`] until `shutdown`.
pub async fn serve(listener: TcpListener, shutdown: Shutdown) {
    let notes = Notes { store: Arc::new(Mutex::new(Store::with_examples())) };
    let mut sessions = LocalSessionManager::default();
    sessions.session_config.keep_alive = Some(SESSION_IDLE_MAX);
    let sessions = Arc::new(sessions);
    // A page that a browser shows could reach this listener round the gateway: no foreign Host (the default) and no Origin
    // at all is let in. The gateway sends none.
    let config = StreamableHttpServerConfig::default().enforce_origin_validation();
    let stop = config.cancellation_token.clone();
    let mcp = StreamableHttpService::new(move || Ok(notes.clone()), Arc::clone(&sessions), config);
    let service = move |request, _| {
        let (mcp, sessions) = (mcp.clone(), Arc::clone(&sessions));
        async move { answer(&mcp, &sessions, request).await }
    };
    let terms = Terms::new(None, &Limits::default(), Timeouts::default()).for_ever();
    let serving = listener::serve(listener, terms, shutdown.clone(), service);
    tokio::pin!(serving);
    tokio::select! {
        () = &mut serving => {}
        () = shutdown.requested() => {
            // Streams that wait for events would hold the listener open.
            stop.cancel();
            serving.await;
        }
    }
}

async fn answer<B>(
    mcp: &StreamableHttpService<Notes, LocalSessionManager>,
    sessions: &LocalSessionManager,
    request: Request<B>,
) -> Response<Body>
where
    B: http_body::Body + Send + 'static,
    B::Error: std::fmt::Display,
    B::Data: Send + 'static,
{
    if request.uri().path() != PATH {
        return plain(StatusCode::NOT_FOUND, "not found: the MCP endpoint is /mcp");
    }
    let opens_session = !request.headers().contains_key("mcp-session-id");
    if opens_session && sessions.sessions.read().await.len() >= SESSIONS_MAX {
        return plain(StatusCode::SERVICE_UNAVAILABLE, "too many sessions");
    }
    mcp.handle(request).await.map(|body| body.map_err(|never| match never {}).boxed_unsync())
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(full(text));
    *response.status_mut() = status;
    response
}

/// One session's way to the store, which all sessions share.
#[derive(Debug, Clone)]
struct Notes {
    store: Arc<Mutex<Store>>,
}

#[derive(Debug, Clone)]
struct Note {
    title: String,
    text: String,
}

#[derive(Debug, Default)]
struct Store {
    notes: BTreeMap<u64, Note>,
    last_id: u64,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
struct ById {
    /// The number of the note, as `list_notes` gives it.
    id: u64,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
struct Search {
    /// What the title or the text must contain; upper and lower case are the same.
    text: String,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
struct Create {
    /// At most 100 characters.
    title: String,
    /// At most 4000 characters.
    text: String,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
struct Edit {
    /// The number of the note, as `list_notes` gives it.
    id: u64,
    /// The new text; at most 4000 characters.
    text: String,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[schemars(crate = "rmcp::schemars")]
struct Summarize {
    /// In how many sentences.
    sentences: Option<String>,
}

#[tool_router]
impl Notes {
    /// Lists all notes: numbers and titles.
    #[tool(annotations(title = "List notes", read_only_hint = true, open_world_hint = false))]
    async fn list_notes(&self) -> String {
        self.store().list(|_| true)
    }

    /// Reads one note.
    #[tool(annotations(title = "Read a note", read_only_hint = true, open_world_hint = false))]
    async fn get_note(&self, Parameters(ById { id }): Parameters<ById>) -> Result<String, String> {
        self.store().get(id).map(Note::in_full).ok_or_else(|| no_note(id))
    }

    /// Finds the notes that contain a text.
    #[tool(annotations(title = "Search notes", read_only_hint = true, open_world_hint = false))]
    async fn search_notes(&self, Parameters(Search { text }): Parameters<Search>) -> String {
        let text = text.to_lowercase();
        self.store().list(|note| note.title.to_lowercase().contains(&text) || note.text.to_lowercase().contains(&text))
    }

    /// Writes a new note.
    #[tool(annotations(
        title = "Write a note",
        read_only_hint = false,
        destructive_hint = false,
        open_world_hint = false
    ))]
    async fn create_note(&self, Parameters(Create { title, text }): Parameters<Create>) -> Result<String, String> {
        let id = self.store().create(title, text)?;
        Ok(format!("Note {id} is written."))
    }

    /// Replaces the text of a note.
    #[tool(annotations(
        title = "Edit a note",
        read_only_hint = false,
        destructive_hint = true,
        idempotent_hint = true,
        open_world_hint = false
    ))]
    async fn edit_note(&self, Parameters(Edit { id, text }): Parameters<Edit>) -> Result<String, String> {
        self.store().edit(id, text)?;
        Ok(format!("Note {id} has a new text."))
    }

    /// Removes one note for good.
    #[tool(annotations(
        title = "Delete a note",
        read_only_hint = false,
        destructive_hint = true,
        idempotent_hint = true,
        open_world_hint = false
    ))]
    async fn delete_note(&self, Parameters(ById { id }): Parameters<ById>) -> Result<String, String> {
        self.store().notes.remove(&id).map(|_| format!("Note {id} is gone.")).ok_or_else(|| no_note(id))
    }

    /// Removes every note for good.
    #[tool(annotations(
        title = "Delete all notes",
        read_only_hint = false,
        destructive_hint = true,
        idempotent_hint = true,
        open_world_hint = false
    ))]
    async fn purge_notes(&self) -> String {
        let notes = std::mem::take(&mut self.store().notes);
        format!("{} notes are gone.", notes.len())
    }

    /// Exports all notes as one text. Takes a second, and tells how far it is.
    #[tool(annotations(title = "Export notes", read_only_hint = true, open_world_hint = false))]
    async fn export_notes(&self, meta: RequestMetaObject, client: Peer<RoleServer>) -> String {
        let token = meta.get_progress_token();
        for step in 1..=EXPORT_STEPS {
            tokio::time::sleep(EXPORT_STEP).await;
            let Some(token) = &token else { continue };
            let progress = ProgressNotificationParam::new(token.clone(), f64::from(step))
                .with_total(f64::from(EXPORT_STEPS))
                .with_message(format!("part {step} of {EXPORT_STEPS}"));
            if client.notify_progress(progress).await.is_err() {
                tracing::debug!("nobody listens to the progress of the export");
            }
        }
        self.store().notes.values().map(Note::in_full).collect::<Vec<_>>().join("\n\n")
    }
}

#[prompt_router]
impl Notes {
    /// Asks for a summary of all notes.
    #[prompt(name = "summarize")]
    async fn summarize(&self, Parameters(Summarize { sentences }): Parameters<Summarize>) -> Vec<PromptMessage> {
        let notes = self.store().notes.values().map(Note::in_full).collect::<Vec<_>>().join("\n\n");
        let length = sentences.map_or_else(|| "a few sentences".to_owned(), |count| format!("{count} sentences"));
        vec![PromptMessage::new_text(Role::User, format!("Summarize these notes in {length}.\n\n{notes}"))]
    }
}

#[tool_handler]
#[prompt_handler]
impl ServerHandler for Notes {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_prompts().enable_resources().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("gatepost-demo-notes", env!("CARGO_PKG_VERSION")))
            .with_instructions(
                "A small store of notes, to see Gatepost work. Everything in it is gone with the process.",
            )
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let store = self.store();
        let resources = store.notes.iter().map(|(id, note)| {
            Resource::new(format!("note://{id}"), format!("note-{id}"))
                .with_title(note.title.clone())
                .with_mime_type("text/plain")
        });
        Ok(ListResourcesResult::with_all_items(resources.collect()))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let template = ResourceTemplate::new("note://{id}", "note")
            .with_description("One note, by its number.")
            .with_mime_type("text/plain");
        Ok(ListResourceTemplatesResult::with_all_items(vec![template]))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let id = request.uri.strip_prefix("note://").and_then(|id| id.parse().ok());
        let text = id.and_then(|id| self.store().get(id).map(Note::in_full));
        match text {
            Some(text) => Ok(ReadResourceResult::new(vec![ResourceContents::text(text, request.uri)]).into()),
            None => Err(ErrorData::resource_not_found("there is no such note", None)),
        }
    }
}

impl Notes {
    fn store(&self) -> MutexGuard<'_, Store> {
        // No method of the store leaves it half changed.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Note {
    fn in_full(&self) -> String {
        format!("# {}\n{}", self.title, self.text)
    }
}

impl Store {
    fn with_examples() -> Self {
        let mut store = Self::default();
        for (title, text) in EXAMPLES {
            store.insert(Note { title: title.to_owned(), text: text.to_owned() });
        }
        store
    }

    fn insert(&mut self, note: Note) -> u64 {
        self.last_id += 1;
        self.notes.insert(self.last_id, note);
        self.last_id
    }

    fn get(&self, id: u64) -> Option<&Note> {
        self.notes.get(&id)
    }

    fn list(&self, which: impl Fn(&Note) -> bool) -> String {
        let found = self.notes.iter().filter(|(_, note)| which(note));
        let lines: Vec<String> = found.map(|(id, note)| format!("{id}: {}", note.title)).collect();
        if lines.is_empty() { "No notes.".to_owned() } else { lines.join("\n") }
    }

    fn create(&mut self, title: String, text: String) -> Result<u64, String> {
        if self.notes.len() >= NOTES_MAX {
            return Err(format!("there are {NOTES_MAX} notes already: delete some"));
        }
        short_enough("title", &title, TITLE_CHARS_MAX)?;
        short_enough("text", &text, TEXT_CHARS_MAX)?;
        Ok(self.insert(Note { title, text }))
    }

    fn edit(&mut self, id: u64, text: String) -> Result<(), String> {
        short_enough("text", &text, TEXT_CHARS_MAX)?;
        self.notes.get_mut(&id).ok_or_else(|| no_note(id))?.text = text;
        Ok(())
    }
}

fn short_enough(what: &str, text: &str, chars_max: usize) -> Result<(), String> {
    if text.chars().count() > chars_max {
        return Err(format!("the {what} is longer than {chars_max} characters"));
    }
    Ok(())
}

fn no_note(id: u64) -> String {
    format!("there is no note {id}")
}

const EXAMPLES: [(&str, &str); 3] = [
    ("Welcome", "These notes live in an ordinary MCP server. It checks no token: the gateway before it does."),
    ("Shopping", "Coffee, lamp oil, chalk."),
    ("Ideas", "Ask for a new note: the gateway answers that a scope is missing, and the client steps up."),
];

const NOTES_MAX: usize = 200;
const TITLE_CHARS_MAX: usize = 100;
const TEXT_CHARS_MAX: usize = 4000;
const SESSIONS_MAX: usize = 100;
/// Somebody who tries the demo goes for a coffee in between.
const SESSION_IDLE_MAX: Duration = Duration::from_hours(1);
const EXPORT_STEPS: u32 = 5;
const EXPORT_STEP: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    #[test]
    fn the_store_is_bounded_and_says_what_is_wrong() {
        let mut store = Store::with_examples();
        assert_eq!(store.list(|_| true), "1: Welcome\n2: Shopping\n3: Ideas");
        assert_eq!(store.list(|note| note.title == "Ideas"), "3: Ideas");
        assert_eq!(
            store.create("t".repeat(101), String::new()).unwrap_err(),
            "the title is longer than 100 characters"
        );
        assert_eq!(
            store.create(String::new(), "é".repeat(4001)).unwrap_err(),
            "the text is longer than 4000 characters"
        );
        assert_eq!(store.edit(9, String::new()).unwrap_err(), "there is no note 9");
        for id in 4..=200 {
            assert_eq!(store.create("t".to_owned(), "é".repeat(4000)), Ok(id));
        }
        assert_eq!(store.create(String::new(), String::new()).unwrap_err(), "there are 200 notes already: delete some");
        store.notes.clear();
        assert_eq!(store.list(|_| true), "No notes.");
        assert_eq!(store.create("new".to_owned(), String::new()), Ok(201), "numbers are not used again");
    }

    #[test]
    fn every_tool_says_what_it_does_and_whether_it_changes_anything() {
        let reading: Vec<_> = Notes::tool_router()
            .list_all()
            .into_iter()
            .filter(|tool| {
                assert!(tool.description.is_some(), "{}", tool.name);
                tool.annotations.as_ref().unwrap().read_only_hint == Some(true)
            })
            .map(|tool| tool.name.to_string())
            .collect();
        assert_eq!(reading, ["export_notes", "get_note", "list_notes", "search_notes"]);
        assert_eq!(Notes::tool_router().list_all().len(), 8);
    }

    /// Sends a request with the headers `more`, and returns the answer as it came.
    async fn post(address: &str, path: &str, more: &str, body: &Value) -> String {
        let body = body.to_string();
        let length = body.len();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "POST {path} HTTP/1.1\r\nAccept: application/json, text/event-stream\r\nContent-Type: application/json\r\n\
             Connection: close\r\nContent-Length: {length}\r\n{more}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn it_speaks_both_revisions_and_to_no_page() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (trigger, shutdown) = Shutdown::new();
        let serving = tokio::spawn(serve(listener, shutdown));
        let host = format!("Host: {address}\r\n");

        let client = json!({"name": "test", "version": "1"});
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
        let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
        let answer = post(&address, PATH, &host, &hello).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\r\nmcp-session-id: "), "{answer}");
        assert!(answer.contains("\"protocolVersion\":\"2025-11-25\""), "{answer}");

        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": client,
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let call = |name: &str| {
            let params = json!({"name": name, "arguments": {"id": 1}, "_meta": meta});
            let more =
                format!("{host}MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {name}\r\n");
            (more, json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}))
        };
        for (tool, says) in
            [("get_note", "# Welcome"), ("delete_note", "Note 1 is gone."), ("get_note", "there is no note 1")]
        {
            let (more, body) = call(tool);
            let answer = post(&address, PATH, &more, &body).await;
            assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(says), "{answer}");
            assert!(!answer.contains("mcp-session-id"), "{answer}");
        }

        for (path, more, status) in [
            ("/", host.clone(), "404"),
            (PATH, "Host: attacker.example\r\n".to_owned(), "403"),
            (PATH, format!("{host}Origin: http://attacker.example\r\n"), "403"),
            (PATH, format!("{host}Origin: http://{address}\r\n"), "403"),
        ] {
            let answer = post(&address, path, &more, &hello).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        }
        trigger.request();
        serving.await.unwrap();
    }
}

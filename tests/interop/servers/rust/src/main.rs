//! The conformance suite's fixtures (`fixtures.json`) on the Rust SDK: revision 2026-07-28 and those before it. It knows
//! nothing of authorization. Arguments: PORT. See `README.md`.

// The older revisions' notifications and requests are marked as such; they are what is tested.
#![allow(deprecated)]

use std::error::Error;
use std::io::Write as _;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rmcp::handler::server::ServerHandler;
use rmcp::model::*;
use rmcp::service::{RequestContext, ServiceError, SubscriptionContext};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::broadcast;

static FIXTURES: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../fixtures.json")).expect("the fixtures are JSON"));

const REST: Duration = Duration::from_millis(50);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("PORT is missing")?.parse()?;
    let fixtures = Fixtures {
        changes: broadcast::channel(16).0,
        states: RequestStateCodec::try_new(b"for loopback, and for tests, alone".to_vec())?,
    };
    let origins = ["127.0.0.1", "localhost", "[::1]"].map(|host| format!("http://{host}:{port}"));
    let config = StreamableHttpServerConfig::default()
        .with_allowed_origins(origins)
        .with_sse_retry(Some(Duration::from_millis(100)));
    let sessions = Arc::new(LocalSessionManager::default());
    let mcp = StreamableHttpService::new(move || Ok(fixtures.clone()), sessions, config);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    axum::serve(listener, axum::Router::new().nest_service("/mcp", mcp)).await?;
    Ok(())
}

/// What every session shares.
#[derive(Clone)]
struct Fixtures {
    changes: broadcast::Sender<Change>,
    states: RequestStateCodec,
}

/// The list that has changed.
#[derive(Clone, Copy)]
enum Change {
    Tools,
    Prompts,
}

impl ServerHandler for Fixtures {
    fn get_info(&self) -> ServerConfig {
        let capabilities = json!({
            "tools": {"listChanged": true},
            "prompts": {"listChanged": true},
            "resources": {"subscribe": true},
            "completions": {},
            "logging": {},
        });
        ServerConfig::new(read(capabilities).expect("these are capabilities"))
            .with_server_info(Implementation::new("rust", "1"))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        result(json!({"tools": tools()}))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        read(tools().into_iter().find(|tool| tool["name"] == name)?).ok()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        record(&request.name);
        if FIXTURES["rounds"].get(&*request.name).is_some() {
            let (given, state) = (request.input_responses, request.request_state);
            return Ok(match self.asked(&request.name, given, state, &context)? {
                Asked::More(more) => CallToolResponse::InputRequired(more),
                Asked::Enough(words) => CallToolResponse::Complete(text(&words)),
            });
        }
        let given = Value::Object(request.arguments.unwrap_or_default());
        self.call(&request.name, &given, &context).await.map(CallToolResponse::Complete)
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let mut prompts = list("prompts");
        prompts.extend(asking(true).map(|name| json!({"name": name, "description": "Asks first."})));
        result(json!({"prompts": prompts}))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let said = |content: Value| json!({"role": "user", "content": content});
        let name = request.name.as_str();
        let messages: Vec<Value> = if FIXTURES["rounds"].get(name).is_some() {
            match self.asked(name, request.input_responses, request.request_state, &context)? {
                Asked::More(more) => return Ok(GetPromptResponse::InputRequired(more)),
                Asked::Enough(words) => vec![said(json!({"type": "text", "text": words}))],
            }
        } else {
            let found = FIXTURES["messages"].get(name).ok_or_else(|| refusal("no such prompt", None))?;
            let given = Value::Object(request.arguments.unwrap_or_default());
            filled(found, &given).as_array().into_iter().flatten().cloned().map(said).collect()
        };
        Ok(GetPromptResponse::Complete(result(json!({"messages": messages}))?))
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        result(json!({"resources": list("resources")}))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        result(json!({"resourceTemplates": list("templates")}))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri.as_str();
        let id = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
        let key = if id.is_some() { "test://template/${id}/data" } else { uri };
        let missing = || refusal("Resource not found", Some(json!({"uri": uri})));
        let mut found = filled(FIXTURES["contents"].get(key).ok_or_else(missing)?, &json!({"id": id}));
        found["uri"] = json!(uri);
        Ok(ReadResourceResponse::Complete(result(json!({"contents": [found]}))?))
    }

    async fn subscribe(&self, _: SubscribeRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(&self, _: UnsubscribeRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn set_level(&self, _: SetLevelRequestParams, _: RequestContext<RoleServer>) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn complete(
        &self,
        _: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        result(json!({"completion": {"values": ["paris", "park"], "total": 2, "hasMore": false}}))
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        let mut changes = self.changes.subscribe();
        loop {
            let change = tokio::select! {
                () = context.cancelled() => return Ok(()),
                change = changes.recv() => change.map_err(|_| refusal("too many changes", None))?,
            };
            // One that nobody asked for is not sent: that is the SDK's to see to.
            let _ = match change {
                Change::Tools => context.sink().notify_tool_list_changed().await,
                Change::Prompts => context.sink().notify_prompt_list_changed().await,
            };
        }
    }
}

/// What a fixture that asks first has to say.
enum Asked {
    More(InputRequiredResult),
    Enough(String),
}

impl Fixtures {
    async fn call(
        &self,
        name: &str,
        given: &Value,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let peer = &context.peer;
        let newest = context.protocol_version() == Some(ProtocolVersion::V_2026_07_28);
        let log = async |words: &str| {
            if !newest || context.meta.log_level().is_some() {
                let params = LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(words));
                peer.notify_logging_message(params).await?;
            }
            Ok::<_, ServiceError>(())
        };
        let elicit = async |message: &Value| {
            let schema = &FIXTURES["elicitations"][name];
            let params = json!({"mode": "form", "message": message, "requestedSchema": schema});
            let answer = peer.create_elicitation(read(params)?).await.map_err(failed)?;
            serde_json::to_value(answer).map_err(failed)
        };
        match name {
            "test_tool_with_logging" => {
                log("Tool execution started").await.map_err(failed)?;
                tokio::time::sleep(REST).await;
                log("Tool processing data").await.map_err(failed)?;
                tokio::time::sleep(REST).await;
                log("Tool execution completed").await.map_err(failed)?;
                Ok(text("logged"))
            }
            "test_logging_tool" => {
                log("logging").await.map_err(failed)?;
                Ok(text("logged"))
            }
            "test_error_handling" => {
                let words = "This tool intentionally returns an error for testing";
                result(json!({"content": [{"type": "text", "text": words}], "isError": true}))
            }
            "test_tool_with_progress" => {
                for progress in [0.0, 50.0, 100.0] {
                    if progress > 0.0 {
                        tokio::time::sleep(REST).await;
                    }
                    if let Some(token) = context.meta.get_progress_token() {
                        let params = ProgressNotificationParam::new(token, progress).with_total(100.0);
                        peer.notify_progress(params).await.map_err(failed)?;
                    }
                }
                Ok(text("done"))
            }
            "test_sampling" => {
                let content = json!({"type": "text", "text": given["prompt"]});
                let params = json!({"messages": [{"role": "user", "content": content}], "maxTokens": 100});
                let answer = peer.create_message(read(params)?).await.map_err(failed)?;
                let answer = serde_json::to_value(answer).map_err(failed)?;
                Ok(text(&format!("LLM response: {}", answer["content"]["text"])))
            }
            "test_elicitation" => Ok(text(&format!("User response: {}", elicit(&given["message"]).await?))),
            "test_elicitation_sep1034_defaults" | "test_elicitation_sep1330_enums" => {
                let answer = elicit(&json!("Please choose")).await?;
                let (action, content) = (answer["action"].as_str().unwrap_or_default(), &answer["content"]);
                Ok(text(&format!("Elicitation completed: action={action}, content={content}")))
            }
            // The SDK gives a tool no way to close its stream.
            "test_reconnection" => {
                tokio::time::sleep(REST).await;
                Ok(text("reconnected"))
            }
            "test_trigger_tool_change" => {
                let _ = self.changes.send(Change::Tools);
                if !newest {
                    peer.notify_tool_list_changed().await.map_err(failed)?;
                }
                Ok(text("changed"))
            }
            "test_trigger_prompt_change" => {
                let _ = self.changes.send(Change::Prompts);
                if !newest {
                    peer.notify_prompt_list_changed().await.map_err(failed)?;
                }
                Ok(text("changed"))
            }
            _ => result(FIXTURES["answers"].get(name).ok_or_else(|| refusal("no such tool", None))?.clone()),
        }
    }

    /// Asks, round after round, for what the fixture says.
    fn asked(
        &self,
        name: &str,
        given: Option<InputResponses>,
        state: Option<String>,
        context: &RequestContext<RoleServer>,
    ) -> Result<Asked, ErrorData> {
        let fixture = &FIXTURES["rounds"][name];
        let sealed = fixture["sealed"] == json!(true);
        let given = json!(given.unwrap_or_default());
        let mut round: usize = match state {
            Some(state) => self.states.open_json(&state).map_err(|_| refusal("the state is not ours", None))?,
            None => 0,
        };
        let asks = |round: usize| fixture["asks"].get(round).and_then(Value::as_object);
        if asks(round).is_some_and(|asks| asks.keys().all(|key| is_answer(&given[key]))) {
            round += 1;
        }
        let Some(asks) = asks(round) else {
            return Ok(Asked::Enough(format!("{}{given}", if sealed { "state-ok " } else { "" })));
        };

        let can = json!(context.client_capabilities());
        let need =
            |ask: &Value| ask["method"].as_str().and_then(|name| name.split('/').next()).unwrap_or_default().to_owned();
        let (asks, missing): (Vec<_>, Vec<_>) = asks.iter().partition(|(_, ask)| can.get(need(ask)).is_some());
        if !missing.is_empty() && fixture["declared"] != json!(true) {
            let needed: serde_json::Map<_, _> = missing.into_iter().map(|(_, ask)| (need(ask), json!({}))).collect();
            let data = json!({"requiredCapabilities": needed});
            let code = ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY;
            return Err(ErrorData::new(code, "a capability is missing", Some(data)));
        }
        let asks: serde_json::Map<_, _> = asks.into_iter().map(|(key, ask)| (key.clone(), ask.clone())).collect();
        let state = sealed.then(|| self.states.seal_json(&round)).transpose().map_err(failed)?;
        Ok(Asked::More(InputRequiredResult::new(Some(read(Value::Object(asks))?), state)))
    }
}

fn tools() -> Vec<Value> {
    let mut tools = list("tools");
    let described = |name: &String| json!({"name": name, "description": "Asks before it answers.", "inputSchema": {"type": "object"}});
    tools.extend(asking(false).map(described));
    tools
}

/// The names of the prompts, or of the tools, that ask before they answer.
fn asking(prompt: bool) -> impl Iterator<Item = &'static String> {
    let rounds = FIXTURES["rounds"].as_object().into_iter().flatten();
    rounds.filter(move |(_, fixture)| (fixture["prompt"] == json!(true)) == prompt).map(|(name, _)| name)
}

fn list(name: &str) -> Vec<Value> {
    FIXTURES[name].as_array().cloned().unwrap_or_default()
}

fn is_answer(response: &Value) -> bool {
    match response.get("action") {
        Some(action) => action == "accept" && response["content"].is_object(),
        None => response.get("content").is_some() || response["roots"].is_array(),
    }
}

/// The value with each `${name}` in its strings replaced.
fn filled(value: &Value, given: &Value) -> Value {
    match value {
        Value::String(text) => {
            let mut text = text.clone();
            for (name, replacement) in given.as_object().into_iter().flatten() {
                text = text.replace(&format!("${{{name}}}"), replacement.as_str().unwrap_or_default());
            }
            Value::String(text)
        }
        Value::Array(values) => values.iter().map(|each| filled(each, given)).collect(),
        Value::Object(members) => {
            Value::Object(members.iter().map(|(name, each)| (name.clone(), filled(each, given))).collect())
        }
        other => other.clone(),
    }
}

/// Writes down that a tool runs.
fn record(tool: &str) {
    if let Some(path) = std::env::var_os("CALLS_FILE") {
        let mut calls = std::fs::OpenOptions::new().create(true).append(true).open(path).expect("CALLS_FILE opens");
        calls.write_all(format!("{tool}\n").as_bytes()).expect("CALLS_FILE takes a line");
    }
}

fn text(words: &str) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(words)])
}

fn read<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(failed)
}

/// A result as every revision may have it: complete, and for nobody else.
fn result<T: DeserializeOwned>(mut members: Value) -> Result<T, ErrorData> {
    members["resultType"] = json!("complete");
    members["ttlMs"] = json!(0);
    members["cacheScope"] = json!("private");
    read(members)
}

fn failed(error: impl std::fmt::Display) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

fn refusal(why: &'static str, data: Option<Value>) -> ErrorData {
    ErrorData::invalid_params(why, data)
}

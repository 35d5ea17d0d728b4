//! Removes entries from list results in a JSON-RPC response, keeping every other byte. It must never pass a document
//! that another parser could read as a list which this one did not see: that is `NotUnderstood`.

mod document;

use std::ops::Range;

use self::document::{Edits, JSON_SPACE, Members, elements, members, string};
use super::message::MessageId;
use super::strict::{self, Token};

/// An entry of a list result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry<'a> {
    /// `tools[].name`.
    Tool(&'a str),
    /// `prompts[].name`.
    Prompt(&'a str),
    /// `resources[].uri`.
    Resource(&'a str),
    /// `resourceTemplates[].uriTemplate`.
    ResourceTemplate(&'a str),
}

/// What became of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filtered {
    /// Not one byte changed.
    Unchanged,
    /// The new bytes.
    Changed(Vec<u8>),
}

/// A body that cannot be understood, and so must not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotUnderstood {
    /// Why, for the audit record.
    pub detail: &'static str,
    /// The `id` of the response it seemed to be, if one could be read.
    pub id: Option<MessageId>,
}

/// Filters one JSON document: a message or a batch of them. In every JSON-RPC response whose `result` has an array
/// `tools`, `prompts`, `resources` or `resourceTemplates`, the entries for which `shows` is false go, whatever the id;
/// `result.cacheScope`, where present, becomes `"private"`, with or without a list (MCP 2026-07-28, Caching). Messages with
/// a `method`, errors, and all other results stay as they are.
pub fn filter(json: &[u8], shows: &dyn Fn(Entry<'_>) -> bool) -> Result<Filtered, NotUnderstood> {
    strict::check(json, DEPTH_MAX).map_err(|fault| NotUnderstood { detail: fault.0, id: only_id(json) })?;
    let text = std::str::from_utf8(json).map_err(|_| NotUnderstood { detail: "the answer must be UTF-8", id: None })?;
    let mut edits = Edits::of(text);
    match text.trim_start_matches(JSON_SPACE).as_bytes().first() {
        Some(b'{') => edit_message(text, shows, &mut edits)?,
        Some(b'[') => {
            let batch = elements(text).map_err(|detail| NotUnderstood { detail, id: None })?;
            if batch.is_empty() {
                return Err(NotUnderstood { detail: "the answer is an empty batch", id: None });
            }
            for message in batch {
                edit_message(message.get(), shows, &mut edits)?;
            }
        }
        _ => {
            return Err(NotUnderstood { detail: "the answer must be a JSON-RPC message or a batch of them", id: None });
        }
    }
    let changed = edits.apply().map_err(|detail| NotUnderstood { detail, id: None })?;
    Ok(changed.map_or(Filtered::Unchanged, Filtered::Changed))
}

/// The id of the one response there is, as far as it can be read: whoever waits for it must learn that it does not come.
fn only_id(json: &[u8]) -> Option<MessageId> {
    match <[MessageId; 1]>::try_from(answered(json)) {
        Ok([id]) => Some(id),
        Err(_) => None,
    }
}

/// The ids of the responses in one JSON document, a message or a batch of them; none where it cannot be read.
#[must_use]
pub fn answered(json: &[u8]) -> Vec<MessageId> {
    let Ok(text) = std::str::from_utf8(json) else { return Vec::new() };
    let id = |message: &str| response_id(&members(message).ok()?);
    match elements(text) {
        Ok(batch) => batch.into_iter().filter_map(|message| id(message.get())).collect(),
        Err(_) => id(text).into_iter().collect(),
    }
}

/// Edits one message.
fn edit_message<'a>(
    message: &'a str,
    shows: &dyn Fn(Entry<'_>) -> bool,
    edits: &mut Edits<'a>,
) -> Result<(), NotUnderstood> {
    let envelope = members(message).map_err(|detail| NotUnderstood { detail, id: None })?;
    let result = response_result(&envelope);
    let edited = result.and_then(|result| result.map_or(Ok(()), |result| edit_result(&result, shows, edits)));
    edited.map_err(|detail| NotUnderstood { detail, id: response_id(&envelope) })
}

/// The members of a response's `result`; `None` when the message has none, or one that is no object.
fn response_result<'a>(envelope: &Members<'a>) -> Result<Option<Members<'a>>, &'static str> {
    if envelope.has_lookalike("result") {
        // A client whose parser ignores case would read a list here.
        return Err("the answer has a member that looks like `result`");
    }
    let Some(result) = envelope.get("result") else { return Ok(None) };
    if envelope.get("method").is_some() {
        return Err("the answer has both `method` and `result`");
    }
    if !result.starts_with('{') {
        return Ok(None);
    }
    members(result).map(Some)
}

/// Removes what `shows` does not show from every list of a result.
fn edit_result<'a>(
    result: &Members<'a>,
    shows: &dyn Fn(Entry<'_>) -> bool,
    edits: &mut Edits<'a>,
) -> Result<(), &'static str> {
    if result.has_lookalike(CACHE_SCOPE) || LISTS.iter().any(|list| result.has_lookalike(list.member)) {
        return Err("the result has a member that looks like a list or `cacheScope`");
    }
    for list in &LISTS {
        if let Some(array) = result.get(list.member).filter(|value| value.starts_with('[')) {
            edit_list(list, array, shows, edits)?;
        }
    }
    if let Some(scope) = result.get(CACHE_SCOPE) {
        // A shared cache would hand one caller's list, or a resource that takes a scope, to another. Clients take a value
        // they do not know, `null` among them, for "public": only what is already private may stay.
        if string(scope).as_deref() != Some("private") {
            edits.replace(scope, "\"private\"")?;
        }
    }
    Ok(())
}

/// Removes the hidden entries of one list, each with one comma beside it.
fn edit_list<'a>(
    list: &List,
    array: &'a str,
    shows: &dyn Fn(Entry<'_>) -> bool,
    edits: &mut Edits<'a>,
) -> Result<(), &'static str> {
    let mut before: Option<Range<usize>> = None;
    let mut any_kept = false;
    for entry in elements(array)? {
        let place = edits.place(entry.get())?;
        let keep = shows((list.entry)(&entry_key(list, entry.get())?));
        match &before {
            // Behind an entry that stays, the comma in front goes too.
            Some(before) if any_kept && !keep => edits.cut(before.end..place.end),
            // Ahead of every entry that stays, the comma behind goes with what it followed.
            Some(before) if !any_kept => edits.cut(before.start..place.start),
            Some(_) | None => {}
        }
        any_kept |= keep;
        before = Some(place);
    }
    if !any_kept && let Some(only) = before {
        edits.cut(only);
    }
    Ok(())
}

/// The name or URI of an entry.
fn entry_key(list: &List, entry: &str) -> Result<String, &'static str> {
    if !entry.starts_with('{') {
        return Err("an entry of a list is no object");
    }
    let entry = members(entry)?;
    if entry.has_lookalike(list.key) {
        return Err("an entry of a list has a member that looks like its name or URI");
    }
    entry.get(list.key).and_then(string).ok_or("an entry of a list has no name or URI that is a string")
}

/// The id of a message that may be a response, to answer with. That of a request of the server's is no id of the client's.
fn response_id(envelope: &Members<'_>) -> Option<MessageId> {
    if envelope.get("method").is_some() {
        return None;
    }
    let id = envelope.get("id")?;
    let text = string(id);
    let token = match (&text, id.parse(), id.parse()) {
        (Some(text), ..) => Token::Text(text),
        (None, Ok(number), _) => Token::Unsigned(number),
        (None, Err(_), Ok(number)) => Token::Signed(number),
        (None, Err(_), Err(_)) => return None,
    };
    MessageId::from_token(token)
}

/// A member of a result that is a list.
struct List {
    member: &'static str,
    /// The member of each entry that a rule decides by.
    key: &'static str,
    entry: for<'a> fn(&'a str) -> Entry<'a>,
}

/// Every list of MCP.
const LISTS: [List; 4] = [
    List { member: "tools", key: "name", entry: |text| Entry::Tool(text) },
    List { member: "prompts", key: "name", entry: |text| Entry::Prompt(text) },
    List { member: "resources", key: "uri", entry: |text| Entry::Resource(text) },
    List { member: "resourceTemplates", key: "uriTemplate", entry: |text| Entry::ResourceTemplate(text) },
];

/// Says who may share a cached result.
const CACHE_SCOPE: &str = "cacheScope";

/// Nesting of an answer. A tool's result may be deeper than a request; the parser's own limit is just above.
const DEPTH_MAX: usize = 127;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// Shows what does not begin with `x`.
    fn shows(entry: Entry<'_>) -> bool {
        let (Entry::Tool(key) | Entry::Prompt(key) | Entry::Resource(key) | Entry::ResourceTemplate(key)) = entry;
        !key.starts_with('x')
    }

    fn filtered(json: &str) -> String {
        match filter(json.as_bytes(), &shows) {
            Ok(Filtered::Unchanged) => json.to_owned(),
            Ok(Filtered::Changed(bytes)) => String::from_utf8(bytes).unwrap(),
            Err(fault) => panic!("{fault:?} in {json}"),
        }
    }

    #[track_caller]
    fn check(json: &str, expect: &str) {
        assert_eq!(filtered(json), expect);
    }

    /// The same, for a response with this result.
    #[track_caller]
    fn check_result(result: &str, expect: &str) {
        let response = |result: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
        check(&response(result), &response(expect));
    }

    #[track_caller]
    fn unchanged(json: &str) {
        assert_eq!(filter(json.as_bytes(), &shows), Ok(Filtered::Unchanged));
    }

    #[track_caller]
    fn not_understood(json: impl AsRef<[u8]>) {
        let json = json.as_ref();
        let outcome = filter(json, &|_| true);
        assert!(outcome.is_err(), "{outcome:?} for {}", String::from_utf8_lossy(json));
    }

    #[test]
    fn the_ids_of_responses_are_read() {
        let check = |json: &str, expect: &[&str]| {
            let ids = answered(json.as_bytes());
            assert_eq!(ids.iter().map(MessageId::as_json).collect::<Vec<_>>(), expect, "{json}");
        };
        check(r#"{"jsonrpc":"2.0","id":7,"result":{}}"#, &["7"]);
        check(r#"{"jsonrpc":"2.0","id":"\u0061","error":{}}"#, &["\"a\""]);
        check(r#" [{"id":-1,"result":{}},{"method":"m"},{"id":"b","error":{}}] "#, &["-1", "\"b\""]);
        check(r#"{"jsonrpc":"2.0","id":7,"method":"roots/list"}"#, &[]);
        for nothing in ["", "x", "{", "7", "[]", "[1]", "{}", r#"{"id":null,"result":{}}"#, r#"{"id":1.5,"result":{}}"#]
        {
            check(nothing, &[]);
        }
        assert!(answered(b"\xff").is_empty());
    }

    #[test]
    fn hidden_entries_go() {
        check_result(r#"{"tools":[{"name":"x"}]}"#, r#"{"tools":[]}"#);
        check_result(r#"{"tools":[{"name":"a"},{"name":"x"}]}"#, r#"{"tools":[{"name":"a"}]}"#);
        check_result(r#"{"tools":[{"name":"x"},{"name":"a"}]}"#, r#"{"tools":[{"name":"a"}]}"#);
        check_result(
            r#"{"tools":[{"name":"x1"},{"name":"x2"},{"name":"a"},{"name":"x3"},{"name":"b"},{"name":"x4"}]}"#,
            r#"{"tools":[{"name":"a"},{"name":"b"}]}"#,
        );
        check_result(r#"{"tools":[{"name":"x1"},{"name":"x2"},{"name":"x3"}]}"#, r#"{"tools":[]}"#);
        check_result(r#"{"prompts":[{"name":"x"},{"name":"a"}]}"#, r#"{"prompts":[{"name":"a"}]}"#);
        check_result(
            r#"{"resources":[{"uri":"x:1","name":"a"},{"uri":"a:1","name":"x"}]}"#,
            r#"{"resources":[{"uri":"a:1","name":"x"}]}"#,
        );
        check_result(
            r#"{"resourceTemplates":[{"uriTemplate":"x:{a}"},{"uriTemplate":"a:{x}"}]}"#,
            r#"{"resourceTemplates":[{"uriTemplate":"a:{x}"}]}"#,
        );
        check_result(
            r#"{"tools":[{"name":"x"}],"prompts":[{"name":"x"}],"nextCursor":"x"}"#,
            r#"{"tools":[],"prompts":[],"nextCursor":"x"}"#,
        );
    }

    #[test]
    fn names_are_unescaped_and_bytes_kept() {
        check_result(
            r#"{"\u0074ools":[{"n\u0061me":"\u0078"},{"name":"\u0061"}]}"#,
            r#"{"\u0074ools":[{"name":"\u0061"}]}"#,
        );
        check_result(
            r#"{"tools":[{"name":"\/x"},{"name":"é"}],"n":1.50e1}"#,
            r#"{"tools":[{"name":"\/x"},{"name":"é"}],"n":1.50e1}"#,
        );
        check(
            "\r\n{ \"result\" :\t{ \"tools\" : [ {\"name\" : \"x\"} , {\"name\":\"a\"}\n, {\"name\":\"x\"} ] } , \"id\":null } ",
            "\r\n{ \"result\" :\t{ \"tools\" : [ {\"name\":\"a\"} ] } , \"id\":null } ",
        );
        check_result("{\"tools\":[ {\"name\":\"x\"}\n]}", "{\"tools\":[ \n]}");
    }

    #[test]
    fn the_cache_scope_becomes_private() {
        check_result(r#"{"tools":[],"cacheScope":"public"}"#, r#"{"tools":[],"cacheScope":"private"}"#);
        check_result(r#"{"cacheScope": "public" ,"tools":[]}"#, r#"{"cacheScope": "private" ,"tools":[]}"#);
        check_result(r#"{"tools":[],"cacheScope":"p\u0075blic"}"#, r#"{"tools":[],"cacheScope":"private"}"#);
        check_result(r#"{"tools":[],"cacheScope":"shared"}"#, r#"{"tools":[],"cacheScope":"private"}"#);
        check_result(r#"{"tools":[],"cacheScope":null}"#, r#"{"tools":[],"cacheScope":"private"}"#);
        check_result(r#"{"tools":[],"cacheScope":["public"]}"#, r#"{"tools":[],"cacheScope":"private"}"#);
        check_result(
            r#"{"cacheScope":"public","resources":[{"uri":"x:"}]}"#,
            r#"{"cacheScope":"private","resources":[]}"#,
        );
        unchanged(r#"{"result":{"tools":[],"cacheScope":"private"}}"#);
        unchanged(r#"{"result":{"tools":[],"cacheScope":"priv\u0061te"}}"#);
        unchanged(r#"{"result":{"tools":[{"name":"a"}],"ttlMs":5}}"#);
        check_result(r#"{"contents":[],"cacheScope":"public"}"#, r#"{"contents":[],"cacheScope":"private"}"#);
        unchanged(r#"{"result":{"tools":[{"name":"a","cacheScope":"public"}]}}"#);
    }

    #[test]
    fn every_other_message_stays() {
        unchanged(r#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"x"}]}}"#);
        unchanged(r#"{"jsonrpc":"2.0","id":1,"result":{"structuredContent":{"tools":[{"name":"x"}],"Tools":["x"]}}}"#);
        unchanged(r#"{"jsonrpc":"2.0","id":1,"result":{"capabilities":{"tools":{},"prompts":{}}}}"#);
        unchanged(r#"{"jsonrpc":"2.0","id":1,"result":{"tools":{"name":"x"}}}"#);
        unchanged(r#"{"jsonrpc":"2.0","id":1,"result":{"tools":null}}"#);
        unchanged(r#"{"jsonrpc":"2.0","id":1,"result":["tools"]}"#);
        unchanged(r#"{"jsonrpc":"2.0","id":1,"result":"tools"}"#);
        unchanged(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"x","data":{"tools":[{"name":"x"}]}}}"#);
        unchanged(r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1,"tools":[1]}}"#);
        unchanged(r#"{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{"tools":[{"name":"x"}]}}"#);
        unchanged(r#"{"detail":"not found"}"#);
    }

    #[test]
    fn whatever_the_id_and_the_version() {
        for rest in
            [r#""id":null"#, r#""id":"é""#, r#""id":1.5"#, r#""id":{"a":[]}"#, r#""jsonrpc":"1.0""#, r#""error":null"#]
        {
            check(
                &format!(r#"{{{rest},"result":{{"tools":[{{"name":"x"}}]}}}}"#),
                &format!(r#"{{{rest},"result":{{"tools":[]}}}}"#),
            );
        }
        check(r#"{"result":{"tools":[{"name":"x"}]}}"#, r#"{"result":{"tools":[]}}"#);
    }

    #[test]
    fn every_message_of_a_batch() {
        check(
            r#"[ {"id":1,"result":{"tools":[{"name":"x"}]}},{"method":"m"} ,{"id":2,"result":{"tools":[{"name":"x"},{"name":"a"}],"cacheScope":"public"}}]"#,
            r#"[ {"id":1,"result":{"tools":[]}},{"method":"m"} ,{"id":2,"result":{"tools":[{"name":"a"}],"cacheScope":"private"}}]"#,
        );
        not_understood("[]");
        not_understood("[1]");
        not_understood("[[]]");
        not_understood(r#"[[{"result":{"tools":[{"name":"x"}]}}]]"#);
        not_understood(r#"[{"id":1,"result":{}},null]"#);
    }

    #[test]
    fn what_another_parser_reads_differently_is_not_understood() {
        not_understood("");
        not_understood(" ");
        not_understood("tools");
        not_understood("1");
        not_understood("null");
        not_understood(r#""x""#);
        not_understood(r#"{"result":{"tools":[{"name":"x"}]}"#);
        not_understood(r#"{"result":{}}{"result":{"tools":[]}}"#);
        not_understood("\u{FEFF}{\"result\":{}}");
        not_understood(b"{\"result\":\"\xFF\"}");
        not_understood(r#"{"result":{},"result":{"tools":[]}}"#);
        not_understood(r#"{"result":{},"r\u0065sult":{"tools":[]}}"#);
        not_understood(r#"{"result":{"tools":[],"tools":[]}}"#);
        not_understood(r#"{"result":{"tools":[{"name":"a","name":"x"}]}}"#);
        not_understood(r#"{"result":{"tools":[{"name":"a","inputSchema":{"a":1,"a":2}}]}}"#);
        not_understood(r#"{"Result":{"tools":[]}}"#);
        not_understood(r#"{"result":{},"re\u017Fult":{"tools":[]}}"#);
        not_understood(r#"{"result\u0000":{"tools":[]}}"#);
        not_understood(r#"{"method":"m","RESULT":{"tools":[]}}"#);
        not_understood(r#"{"method":"m","result":{"tools":[]}}"#);
        not_understood(r#"{"method":"m","result":null}"#);
        not_understood(r#"{"result":{"Tools":[]}}"#);
        not_understood(r#"{"result":{"tools":[],"PROMPTS":1}}"#);
        not_understood(r#"{"result":{"re\u017Fources":[]}}"#);
        not_understood(r#"{"result":{"resourcetemplates":[]}}"#);
        not_understood(r#"{"result":{"tools\u0000x":[]}}"#);
        not_understood(r#"{"result":{"tools":[],"cachescope":"public"}}"#);
        not_understood(r#"{"result":{"tools":[],"cache_scope":"public"}}"#);
        not_understood(r#"{"result":{"resource_templates":[{"uriTemplate":"x:{y}"}]}}"#);
        not_understood(r#"{"result":{"resourceTemplates":[{"uriTemplate":"a:{y}","uri_template":"x:{y}"}]}}"#);
        not_understood(format!(r#"{{"result":{}1{}}}"#, "[".repeat(200), "]".repeat(200)));
    }

    #[test]
    fn an_entry_that_no_rule_can_decide_is_not_understood() {
        not_understood(r#"{"result":{"tools":["x"]}}"#);
        not_understood(r#"{"result":{"tools":[null]}}"#);
        not_understood(r#"{"result":{"tools":[[{"name":"x"}]]}}"#);
        not_understood(r#"{"result":{"tools":[{}]}}"#);
        not_understood(r#"{"result":{"tools":[{"title":"x"}]}}"#);
        not_understood(r#"{"result":{"tools":[{"name":1}]}}"#);
        not_understood(r#"{"result":{"tools":[{"name":null}]}}"#);
        not_understood(r#"{"result":{"tools":[{"name":["x"]}]}}"#);
        not_understood(r#"{"result":{"tools":[{"name":"a"},{"name":"b","Name":"x"}]}}"#);
        not_understood(r#"{"result":{"prompts":[{"name":"a","name\u0000":"x"}]}}"#);
        not_understood(r#"{"result":{"resources":[{"name":"a"}]}}"#);
        not_understood(r#"{"result":{"resources":[{"uri":"a:","URI":"x:"}]}}"#);
        not_understood(r#"{"result":{"resourceTemplates":[{"uri":"a:"}]}}"#);
        not_understood(r#"{"result":{"resourceTemplates":[{"uriTemplate":"a:","uritemplate":"x:"}]}}"#);
    }

    #[test]
    fn the_id_of_the_response_is_told() {
        fn check(json: &str, expect: Option<&str>) {
            let fault = filter(json.as_bytes(), &shows).unwrap_err();
            assert_eq!(fault.id.as_ref().map(MessageId::as_json), expect, "{json}");
        }
        check(r#"{"id":7,"result":{"tools":[1]}}"#, Some("7"));
        check(r#"{"id":-7,"result":{"tools":[1]}}"#, Some("-7"));
        check(r#"{"result":{"tools":[1]},"id": "a\"\u00e9" }"#, Some(r#""a\"é""#));
        check(r#"[{"id":1,"result":{}},{"id":2,"result":{"tools":[1]}}]"#, Some("2"));
        check(r#"{"id":null,"result":{"tools":[1]}}"#, None);
        check(r#"{"id":1.5,"result":{"tools":[1]}}"#, None);
        check(r#"{"id":[1],"result":{"tools":[1]}}"#, None);
        check(r#"{"result":{"tools":[1]}}"#, None);
        // A request of the server's has an id of its own.
        check(r#"{"id":7,"method":"m","result":{}}"#, None);
        check(r#"{"id":7,"#, None);
    }

    #[test]
    fn a_deep_result_of_a_tool_passes() {
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        unchanged(&format!(r#"{{"id":1,"result":{{"structuredContent":{deep}}}}}"#));
    }

    /// A response with lists, some of its members before and after them, and white space; `{}` stands for the cache scope.
    fn responses() -> impl Strategy<Value = String> {
        let space = || prop_oneof![Just(""), Just(" "), Just("\n\t")];
        let name = prop_oneof!["[abx]{1,2}", Just("\\u0078".to_owned()), Just("é\\n".to_owned())];
        let entry = (name, prop_oneof![Just(""), Just(r#","inputSchema":{"x":[1, {}]}"#)], space()).prop_map(
            |(name, more, space)| {
                let key = format!(r#"{{"name":"{name}","uri":"{name}",{space}"uriTemplate":{space}"{name}"{more}}}"#);
                format!("{space}{key}{space}")
            },
        );
        let list = proptest::collection::vec(entry, 0..6).prop_map(|entries| format!("[{}]", entries.join(",")));
        let members = proptest::sample::subsequence(
            vec![
                r#""tools""#,
                r#""prompts""#,
                r#""resources""#,
                r#""resourceTemplates""#,
                r#""\u0074oolz""#,
                r#""_meta""#,
            ],
            1..=6,
        );
        (members.prop_shuffle(), proptest::collection::vec(list, 6), space(), any::<bool>()).prop_map(
            |(members, lists, space, scope_first)| {
                let mut all: Vec<_> =
                    members.iter().zip(&lists).map(|(member, list)| format!("{member}{space}:{list}")).collect();
                let scope = format!(r#""cacheScope":{space}SCOPE"#);
                if scope_first {
                    all.insert(0, scope);
                } else {
                    all.push(scope);
                }
                format!(r#"{{"jsonrpc":"2.0",{space}"result":{{{space}{}}},"id":1}}"#, all.join(","))
            },
        )
    }

    /// The document as the slow and obvious way filters it.
    fn reference(json: &str, shows: &dyn Fn(&str) -> bool) -> Value {
        let mut document: Value = serde_json::from_str(json).unwrap();
        let result = document["result"].as_object_mut().unwrap();
        for (member, key) in
            [("tools", "name"), ("prompts", "name"), ("resources", "uri"), ("resourceTemplates", "uriTemplate")]
        {
            if let Some(list) = result.get_mut(member) {
                list.as_array_mut().unwrap().retain(|entry| shows(entry[key].as_str().unwrap()));
            }
        }
        result["cacheScope"] = json!("private");
        document
    }

    fn order(json: &str) -> Vec<Vec<String>> {
        let names = |members: &Members<'_>| members.names().map(str::to_owned).collect();
        let envelope = members(json).unwrap();
        vec![names(&envelope), names(&members(envelope.get("result").unwrap()).unwrap())]
    }

    proptest! {
        #[test]
        fn what_is_shown_stays_and_the_rest_goes(response in responses(), hidden in "[abx\n]{0,3}") {
            let response = response.replace("SCOPE", "\"public\"");
            let shows = |key: &str| !key.contains(|letter| hidden.contains(letter));
            let outcome = filter(response.as_bytes(), &|entry| {
                let (Entry::Tool(key) | Entry::Prompt(key) | Entry::Resource(key) | Entry::ResourceTemplate(key)) = entry;
                shows(key)
            });
            let out = match outcome.unwrap() {
                Filtered::Unchanged => response.clone(),
                Filtered::Changed(bytes) => String::from_utf8(bytes).unwrap(),
            };
            prop_assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), reference(&response, &shows));
            prop_assert_eq!(order(&out), order(&response));
        }

        #[test]
        fn with_everything_shown_only_the_cache_scope_changes(response in responses()) {
            let before = response.replace("SCOPE", "\"public\"");
            let after = response.replace("SCOPE", "\"private\"");
            let outcome = filter(before.as_bytes(), &|_| true).unwrap();
            prop_assert_eq!(outcome, Filtered::Changed(after.clone().into()));
            prop_assert_eq!(filter(after.as_bytes(), &|_| true).unwrap(), Filtered::Unchanged);
        }

        #[test]
        fn hiding_twice_hides_no_more(response in responses()) {
            let once = filtered(&response.replace("SCOPE", "\"public\""));
            prop_assert_eq!(filter(once.as_bytes(), &shows).unwrap(), Filtered::Unchanged);
        }

        #[test]
        fn any_bytes_are_understood_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if serde_json::from_slice::<Value>(&bytes).is_err() {
                prop_assert!(filter(&bytes, &shows).is_err());
            }
        }
    }
}

//! Removes entries from list results in a JSON-RPC response, keeping every other byte. It must never pass a document
//! that another parser could read as a list which this one did not see: that is `NotUnderstood`.

mod document;
#[cfg(test)]
mod properties;

use std::ops::Range;

use self::document::{DEPTH_MAX, Edits, JSON_SPACE, Members, elements, members, string};
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

/// Whether an entry is shown; it is given with its JSON as it stands in the list.
pub type Shows<'a> = &'a dyn Fn(Entry<'_>, &str) -> bool;

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
pub fn filter(json: &[u8], shows: Shows<'_>) -> Result<Filtered, NotUnderstood> {
    let text = document::readable(json).map_err(|detail| NotUnderstood { detail, id: only_id(json) })?;
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
fn edit_message<'a>(message: &'a str, shows: Shows<'_>, edits: &mut Edits<'a>) -> Result<(), NotUnderstood> {
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
    let told_by = ["jsonrpc", "id", "method"].into_iter().filter_map(|name| envelope.get(name));
    if told_by.into_iter().any(|value| strict::check(value.as_bytes(), DEPTH_MAX).is_err()) {
        return Err("the answer has a lone surrogate or a number beyond a double in what tells its kind");
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
fn edit_result<'a>(result: &Members<'a>, shows: Shows<'_>, edits: &mut Edits<'a>) -> Result<(), &'static str> {
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
fn edit_list<'a>(list: &List, array: &'a str, shows: Shows<'_>, edits: &mut Edits<'a>) -> Result<(), &'static str> {
    let mut before: Option<Range<usize>> = None;
    let mut any_kept = false;
    for entry in elements(array)? {
        let place = edits.place(entry.get())?;
        let keep = shows((list.entry)(&entry_key(list, entry.get())?), entry.get());
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Shows what does not begin with `x`.
    fn shows(entry: Entry<'_>, _: &str) -> bool {
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
        let outcome = filter(json, &|_, _| true);
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
        not_understood(r#"{"\u0000result":{"tools":[]}}"#);
        not_understood(r#"{" \u0000 result\u0000x":{"tools":[]}}"#);
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

    /// What JavaScript servers make of text that they cut off, and numbers that some parsers read as infinite.
    const ODD: [&str; 9] = [
        r#""\ud83d""#,
        r#""a \uDE00 b""#,
        r#""\\\ud83d\\""#,
        r#""\ud83d\ud83d\ude00""#,
        r#""\ud83d\n\"{[,:""#,
        "1e400",
        "-1.5E+400",
        "1E0309",
        "-1000000e999999999999999999999",
    ];

    #[test]
    fn odd_values_that_decide_nothing_pass() {
        for odd in ODD.into_iter().chain([&*"9".repeat(400)]) {
            for result in [
                format!(r#"{{"tools":[ {{"name":"x"}},{{"name":"a","description":{odd}}}],"nextCursor":{odd}}}"#),
                format!(
                    r#"{{"tools":[ {{"name":"x","n":[{odd}]}},{{"a":[{{"b": {odd} }}],"name":"a"}}],"_meta":{odd}}}"#
                ),
                format!(r#"{{"prompts":{odd},"tools":[ {{"name":"x"}},{{"name":"a"}}],"ttlMs":[[{odd}],{odd}]}}"#),
            ] {
                let from = result.find(r#"{"name":"x""#).unwrap();
                let to = result.find('}').map(|end| end + 2).unwrap();
                check_result(&result, &format!("{}{}", &result[..from], &result[to..]));
            }
            unchanged(&format!(r#"{{"id":1,"result":{{"structuredContent":[{odd} ,{{"tools":{odd}}}]}}}}"#));
            unchanged(&format!(r#"[{{"id":1,"result":{odd}}},{{"id":1,"error":{{"message":{odd}}}}}]"#));
            unchanged(&format!(r#"{{"method":"notifications/message","params":{{"data":{odd}}}}}"#));
            check_result(&format!(r#"{{"cacheScope":{odd}}}"#), r#"{"cacheScope":"private"}"#);
        }
    }

    #[test]
    fn odd_values_that_decide_something_are_not_understood() {
        for odd in ODD {
            not_understood(odd);
            not_understood(format!("[{odd}]"));
            for told_by in ["jsonrpc", "id", "method"] {
                not_understood(format!(r#"{{"{told_by}":{odd},"result":{{}}}}"#));
                not_understood(format!(r#"{{"{told_by}":{odd},"params":{{}}}}"#));
            }
            not_understood(format!(r#"{{"result":{{"tools":[{odd}]}}}}"#));
            not_understood(format!(r#"{{"result":{{"tools":[{{"name":{odd}}}]}}}}"#));
            not_understood(format!(r#"{{"result":{{"resources":[{{"name":"a","uri":{odd}}}]}}}}"#));
            not_understood(format!(r#"{{"result":{{"resourceTemplates":[{{"uriTemplate":{odd}}}]}}}}"#));
            // As a name, wherever: some parsers leave out what they cannot read, and what is left is another name.
            not_understood(format!(r#"{{{odd}:1,"result":{{}}}}"#));
            not_understood(format!(r#"{{"result":{{{odd} :1}}}}"#));
            not_understood(format!(
                r#"{{"result":{{"tools":[{{"name":"a",{odd}
:1}}]}}}}"#
            ));
            not_understood(format!(r#"{{"result":{{"_meta":{{{odd}:1}}}}}}"#));
            // Beside one, everything else is as strict as ever.
            not_understood(format!(r#"{{"result":{{"_meta":{odd}}},"result":{{"_meta":{odd}}}}}"#));
            not_understood(format!(r#"{{"result":{{"_meta":{{"a":{odd},"\u0061":{odd}}}}}}}"#));
            not_understood(format!(r#"{{"result":{{"_meta":{odd}}},"Result":1}}"#));
            not_understood(format!(r#"{{"result":{{"_meta":{odd},"Tools":[]}}}}"#));
            not_understood(format!(r#"{{"result":{{"_meta":{odd}}}}}{{}}"#));
            not_understood(format!("\u{FEFF}{{\"result\":{odd}}}"));
            not_understood(format!(r#"{{"result":{}{odd}{}}}"#, "[".repeat(127), "]".repeat(127)));
            for broken in
                ["1e400.", "01e400", "+1e400", "1e400x", "1e", ".1e400", r#""\ud83""#, r#""\ud83d"#, "\"\\ud83d\n\""]
            {
                not_understood(format!(r#"{{"result":[{odd},{broken}]}}"#));
                assert!(document::readable(format!("[{odd},{broken}]").as_bytes()).is_err(), "{odd} {broken}");
                not_understood(format!(r#"{{"result":{odd}{broken}}}"#));
                not_understood(format!(r#"{{"result":{broken}{odd}}}"#));
            }
        }
        not_understood(b"{\"result\":[\"\\ud83d\",\"\xED\xA0\xBD\"]}");
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

    proptest! {
        #[test]
        fn any_bytes_are_understood_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if serde_json::from_slice::<&serde_json::value::RawValue>(&bytes).is_err() {
                prop_assert!(filter(&bytes, &shows).is_err());
            }
        }
    }
}

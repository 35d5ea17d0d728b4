//! What holds of the filter whatever the document: generated answers in odd spelling, beside what the slow and obvious way
//! makes of them. Nothing here reads a document by the filter's own means.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Entry, Filtered, filter};

/// A part of an answer.
#[derive(Debug, Clone)]
enum Part {
    /// Must stay to the byte.
    Text(String),
    /// The array of a list.
    List { text: String, entries: Vec<Listed> },
    /// The value of a result's `cacheScope`.
    Scope(&'static str),
}

#[derive(Debug, Clone)]
struct Listed {
    key: &'static str,
    text: String,
}

/// Each list with how its member and its key may be written.
const LISTS: [(&str, [&str; 2], &str, [&str; 2]); 4] = [
    ("tools", ["tools", r"\u0074ools"], "name", ["name", r"n\u0061me"]),
    ("prompts", ["prompts", r"prompt\u0073"], "name", ["name", r"\u006e\u0061\u006D\u0065"]),
    ("resources", ["resources", r"r\u0065sources"], "uri", ["uri", r"\u0075ri"]),
    (
        "resourceTemplates",
        ["resourceTemplates", r"resource\u0054emplates"],
        "uriTemplate",
        ["uriTemplate", r"uri\u0054emplate"],
    ),
];

/// Keys of entries, as written and as meant.
const KEYS: [(&str, &str); 9] = [
    ("a", "a"),
    ("x", "x"),
    (r"\u0078", "x"),
    (r"\/b", "/b"),
    (r#"\""#, "\""),
    (r"é\n", "é\n"),
    ("]},{[", "]},{["),
    (r"\ud83d\ude42", "🙂"),
    ("", ""),
];

/// The members of a result that mean nothing to the filter, and of an entry.
const OTHER: [&str; 7] = [r"\u005fmeta", "nextCursor", "ttlMs", "structuredContent", "toolz", "arguments", "name"];
const OF_ENTRY: [&str; 6] = ["description", "inputSchema", "_meta", "tools", "cacheScope", r"\u0061rguments"];
const ANYWHERE: [&str; 8] = ["tools", "prompts", "resources", "cacheScope", "result", "method", r"\u0041", "é"];

/// What `serde_json::Value` refuses, and what the reference reads instead.
const ODD: [(&str, &str); 2] = [(r#""cut \ud83d""#, r#""cut""#), ("-1E400", "-7")];

fn space() -> impl Strategy<Value = &'static str> {
    select(vec!["", "", "", " ", "\n\t", " \r\n"])
}

/// Any value that decides nothing.
fn value() -> impl Strategy<Value = String> {
    let scalar = select(vec![
        "null",
        "true",
        "0",
        "-0",
        "1.0e+10",
        "1E-400",
        "0.10",
        "123456789012345678901234567890",
        r#""""#,
        r#""\u0041\/\\\"""#,
        r#""\\""#,
        r#""é\ud83d\ude42]},{[\"tools\":""#,
        ODD[0].0,
        ODD[1].0,
    ]);
    scalar.prop_map(str::to_owned).prop_recursive(3, 16, 3, |inner| {
        let gaps = (space(), space());
        let array = (vec(inner.clone(), 0..3), gaps).prop_map(|(elements, (before, after))| {
            format!("[{before}{}{after}]", elements.join(&format!("{before},{after}")))
        });
        prop_oneof![array, members(&ANYWHERE, inner).prop_map(|members| format!("{{{}}}", members.join(",")))]
    })
}

/// Some members of these names, as written.
fn members(names: &'static [&'static str], value: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<String>> {
    let names = subsequence(names, 0..=4.min(names.len())).prop_shuffle();
    (names, vec(value, 4), space(), space()).prop_map(|(names, values, before, after)| {
        let member = |(name, value): (&&str, String)| format!("{before}\"{name}\"{after}:{before}{value}{after}");
        names.iter().zip(values).map(member).collect()
    })
}

fn list(of: usize) -> impl Strategy<Value = Part> {
    let (_, _, _, key_names) = LISTS[of];
    let entry =
        (select(KEYS.to_vec()), select(key_names.to_vec()), members(&OF_ENTRY, value()), any::<usize>(), space())
            .prop_map(|((written, key), name, mut members, at, space)| {
                members.insert(at % (members.len() + 1), format!("\"{name}\"{space}:{space}\"{written}\""));
                Listed { key, text: format!("{{{space}{}{space}}}", members.join(",")) }
            });
    (vec((entry, space(), space()), 0..5), space()).prop_map(|(entries, space)| {
        let written: Vec<_> =
            entries.iter().map(|(entry, before, after)| format!("{before}{}{after}", entry.text)).collect();
        let text = format!("[{space}{}]", written.join(","));
        Part::List { text, entries: entries.into_iter().map(|(entry, ..)| entry).collect() }
    })
}

/// A response with some lists, perhaps a `cacheScope`, and other members before, between and after.
fn response() -> impl Strategy<Value = Vec<Part>> {
    let lists = LISTS.map(|(_, names, ..)| select(names.to_vec()));
    let scope = (
        select(vec!["cacheScope", r"cache\u0053cope"]),
        select(vec![r#""public""#, r#""p\u0075blic""#, "null", r#"["private"]"#, "1e400"]),
    );
    let lists = (lists, [list(0), list(1), list(2), list(3)]).prop_map(|(names, lists)| {
        names
            .into_iter()
            .zip(lists)
            .map(|(name, list)| vec![Part::Text(format!("\"{name}\" :")), list])
            .collect::<Vec<_>>()
    });
    let scope = scope.prop_map(|(name, scope)| vec![Part::Text(format!("\"{name}\":\t")), Part::Scope(scope)]);
    let other = members(&OTHER, value());
    let whole = (lists, scope, other).prop_map(|(mut all, scope, other)| {
        all.push(scope);
        all.extend(other.into_iter().map(|member| vec![Part::Text(member)]));
        all
    });
    let some = whole.prop_flat_map(|all| {
        (1..=all.len()).prop_flat_map(move |count| subsequence(all.clone(), count).prop_shuffle())
    });
    (some, space(), any::<bool>()).prop_map(|(members, space, id_first)| {
        let (before, after) = if id_first { ("\"id\":1,", "") } else { ("", ",\"id\":\"\\u0061\"") };
        let mut parts = vec![Part::Text(format!("{{{space}{before}\"result\"{space}:{{{space}"))];
        for (index, member) in members.into_iter().enumerate() {
            parts.extend((index > 0).then(|| Part::Text(format!("{space},"))));
            parts.extend(member);
        }
        parts.push(Part::Text(format!("{space}}}{after}}}")));
        parts
    })
}

/// One response, or a batch of some, a notification among them.
fn answer() -> impl Strategy<Value = Vec<Part>> {
    let batch = (vec(response(), 1..3), space()).prop_map(|(responses, space)| {
        let mut parts = vec![Part::Text(format!("{space}[{{\"method\":\"m\",\"params\":{{\"tools\":[1]}}}}"))];
        for response in responses {
            parts.push(Part::Text(format!("{space},{space}")));
            parts.extend(response);
        }
        parts.push(Part::Text(format!("]{space}")));
        parts
    });
    prop_oneof![3 => response(), 1 => batch]
}

/// The answer as text, its scopes as they are or `"private"`.
fn written(parts: &[Part], private: bool) -> String {
    let part = |part: &Part| match part {
        Part::Text(text) | Part::List { text, .. } => text.clone(),
        Part::Scope(scope) => (if private { r#""private""# } else { scope }).to_owned(),
    };
    parts.iter().map(part).collect()
}

fn filtered(json: &str, shows: &dyn Fn(&str) -> bool) -> String {
    let outcome = filter(json.as_bytes(), &|entry, _| {
        let (Entry::Tool(key) | Entry::Prompt(key) | Entry::Resource(key) | Entry::ResourceTemplate(key)) = entry;
        shows(key)
    });
    match outcome.unwrap_or_else(|fault| panic!("{fault:?} in {json}")) {
        Filtered::Unchanged => json.to_owned(),
        Filtered::Changed(bytes) => String::from_utf8(bytes).unwrap(),
    }
}

/// The meaning of a document that may have odd values.
fn meaning(json: &str) -> Value {
    let json = ODD.iter().fold(json.replace("1e400", "7"), |json, (odd, plain)| json.replace(odd, plain));
    serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error} in {json}"))
}

/// The meaning of the document as the slow and obvious way filters it.
fn reference(json: &str, shows: &dyn Fn(&str) -> bool) -> Value {
    let mut document = meaning(json);
    let messages =
        if document.is_array() { document.as_array_mut().unwrap().iter_mut().collect() } else { vec![&mut document] };
    for result in messages.into_iter().filter_map(|message| message.get_mut("result")) {
        for (member, _, key, _) in LISTS {
            if let Some(list) = result.get_mut(member) {
                list.as_array_mut().unwrap().retain(|entry| shows(entry[key].as_str().unwrap()));
            }
        }
        if let Some(scope) = result.get_mut("cacheScope") {
            *scope = json!("private");
        }
    }
    document
}

/// The JSON array that `text` begins with, and what follows it.
fn array(text: &str) -> (Vec<&str>, &str) {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let array = values.next().expect("a value").expect("JSON").get();
    let elements: Vec<&RawValue> = serde_json::from_str(array).expect("an array");
    (elements.into_iter().map(RawValue::get).collect(), text.split_at(values.byte_offset()).1)
}

proptest! {
    #[test]
    fn with_everything_shown_nothing_changes_but_the_cache_scope(answer in answer()) {
        let out = filtered(&written(&answer, false), &|_| true);
        prop_assert_eq!(&out, &written(&answer, true));
        prop_assert_eq!(filter(out.as_bytes(), &|_, _| true), Ok(Filtered::Unchanged));
    }

    #[test]
    fn what_is_hidden_goes_and_every_other_byte_stays(
        answer in answer(),
        hidden in subsequence(KEYS.map(|(_, key)| key).to_vec(), 0..KEYS.len()),
    ) {
        let shows = |key: &str| !hidden.contains(&key);
        let before = written(&answer, false);
        let out = filtered(&before, &shows);
        prop_assert_eq!(meaning(&out), reference(&before, &shows));
        let mut rest = out.as_str();
        for part in &answer {
            let expected = match part {
                Part::Text(text) => text,
                Part::Scope(_) => r#""private""#,
                Part::List { entries, .. } => {
                    let (left, after) = array(rest);
                    let shown: Vec<_> = entries.iter().filter(|entry| shows(entry.key)).map(|entry| &entry.text).collect();
                    prop_assert_eq!(left, shown);
                    rest = after;
                    continue;
                }
            };
            prop_assert!(rest.starts_with(expected), "{:?} at {:?}", expected, rest);
            rest = &rest[expected.len()..];
        }
        prop_assert_eq!(rest, "");
        prop_assert_eq!(filtered(&out, &shows), out, "hiding twice hides no more");
    }
}

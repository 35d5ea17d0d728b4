//! What a message gives to what it calls, as the very text that was sent: for who must say later what it was. Nothing is
//! decided by it.

use serde::Deserialize;
use serde_json::value::RawValue;

/// `params.arguments` of each message of `body`, as sent. `body` was read strictly before: no member is there twice, and
/// every reader takes the same text for it.
#[must_use]
pub fn sent(body: &[u8]) -> Vec<Option<&str>> {
    let is_batch = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let messages = if is_batch {
        serde_json::from_slice::<Vec<Message<'_>>>(body)
    } else {
        serde_json::from_slice::<Message<'_>>(body).map(|message| vec![message])
    };
    messages.unwrap_or_default().into_iter().map(|message| Some(message.params?.arguments?.get())).collect()
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    params: Option<Params<'a>>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_found_as_they_were_sent() {
        let check = |body: &str, expect: &[Option<&str>]| assert_eq!(sent(body.as_bytes()), expect, "{body}");
        check(r#"{"id":1,"method":"tools/call","params":{"name":"x","arguments":{"a": 1 }}}"#, &[Some(r#"{"a": 1 }"#)]);
        check("{\"params\":{\"arguments\":\n {\"a\":\"\\u0041\"} \n}}", &[Some(r#"{"a":"\u0041"}"#)]);
        check(r#"{"p\u0061rams":{"\u0061rguments":[1]}}"#, &[Some("[1]")]);
        check(r#"{"params":{"name":"arguments"}}"#, &[None]);
        check(r#"{"params":{"x":{"arguments":1}},"arguments":2}"#, &[None]);
        check(r#"{"method":"ping"}"#, &[None]);
        check(
            r#" [{"params":{"arguments":1}},{"result":{}},{"params":{"arguments":"b"}}]"#,
            &[Some("1"), None, Some("\"b\"")],
        );
        check("", &[]);
    }
}

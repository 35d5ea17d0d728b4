//! Trace context (W3C Trace Context): MCP 2026-07-28 lets it travel in `_meta` (Overview, `_meta`), where no proxy and no HTTP
//! server looks for it. Nothing is decided by it.

use http::{HeaderMap, HeaderValue};

use super::message::{Body, Params};

/// Puts the context of a message's `_meta` into the headers, unless they have one; what is malformed is left out.
pub fn propagate(headers: &mut HeaderMap, body: &Body) {
    // A batch has as many contexts as messages.
    let Body::One(message) = body else { return };
    let Params { trace_parent, trace_state, .. } = &message.params;
    if headers.contains_key(TRACEPARENT) || headers.contains_key(TRACESTATE) {
        return;
    }
    let parent = trace_parent.text().filter(|text| text.len() <= PARENT_BYTES_MAX && trace_id(text).is_some());
    let Some(parent) = parent else { return };
    if let Ok(parent) = HeaderValue::from_str(parent) {
        headers.insert(TRACEPARENT, parent);
    }
    if let Some(state) = trace_state.text().filter(|text| text.len() <= STATE_BYTES_MAX && text.is_ascii())
        && let Ok(state) = HeaderValue::from_str(state)
    {
        headers.insert(TRACESTATE, state);
    }
}

/// The trace that a request belongs to, by its one well-formed `traceparent`.
#[must_use]
pub fn trace_of(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => trace_id(value.to_str().ok()?),
        _ => None,
    }
}

/// The trace id of a `traceparent` (§3.2): version, trace, parent and flags in lower-case hexadecimal; of later versions,
/// more behind.
fn trace_id(text: &str) -> Option<&str> {
    let mut parts = text.split('-');
    let mut part = |digits: usize| {
        let is_hex = |text: &&str| text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        parts.next().filter(is_hex)
    };
    let (version, trace, parent, _flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
    let is_zero = |text: &str| text.bytes().all(|b| b == b'0');
    let whole = version != "00" || parts.next().is_none();
    (version != "ff" && whole && !is_zero(trace) && !is_zero(parent)).then_some(trace)
}

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// Of version 00 it has 55 (§3.2); what comes out of a body, which may be large, must fit into a head.
const PARENT_BYTES_MAX: usize = 256;

/// Whoever passes one on must pass on this many (§3.3.1.5); nobody sends more.
const STATE_BYTES_MAX: usize = 512;

#[cfg(test)]
mod tests {
    use super::super::message::{ReadLimits, read};
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
    }

    /// The two headers after the message was looked at.
    fn propagated(before: &[(&'static str, &str)], meta: &str) -> (Option<String>, Option<String>) {
        let json = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"_meta":{meta}}}}}"#);
        let body = read(json.as_bytes(), ReadLimits { depth_max: 8, batch_max: 1 }).unwrap();
        let mut headers = headers(before);
        propagate(&mut headers, &body);
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        (header(TRACEPARENT), header(TRACESTATE))
    }

    #[test]
    fn a_traceparent_is_read_as_w3c_says() {
        let trace = Some("0af7651916cd43dd8448eb211c80319c");
        let check = |text: &str, expect| assert_eq!(trace_id(text), expect, "{text}");
        check(PARENT, trace);
        check(&PARENT.replacen("00", "cc", 1), trace);
        check(&format!("{}-more", PARENT.replacen("00", "cc", 1)), trace);
        for malformed in [
            "",
            &PARENT.replacen("00", "ff", 1),
            &format!("{PARENT}-more"),
            &PARENT.to_ascii_uppercase(),
            &PARENT[..54],
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            &PARENT.replace('-', "_"),
            &format!(" {PARENT}"),
        ] {
            check(malformed, None);
        }
        assert_eq!(trace_of(&headers(&[("traceparent", PARENT)])), trace);
        assert_eq!(trace_of(&headers(&[("traceparent", PARENT), ("traceparent", PARENT)])), None);
    }

    #[test]
    fn the_context_of_meta_becomes_headers_where_there_are_none() {
        let meta = format!(r#"{{"traceparent":"{PARENT}","tracestate":"a=1,b=2"}}"#);
        let parent = || Some(PARENT.to_owned());
        let state = |text: &str| Some(text.to_owned());
        assert_eq!(propagated(&[], &meta), (parent(), state("a=1,b=2")));
        assert_eq!(propagated(&[], &format!(r#"{{"traceparent":"{PARENT}"}}"#)), (parent(), None));
        assert_eq!(propagated(&[("traceparent", "other")], &meta), (state("other"), None));
        assert_eq!(propagated(&[("tracestate", "c=3")], &meta), (None, state("c=3")));
        assert_eq!(propagated(&[], r#"{"tracestate":"a=1"}"#), (None, None));
        assert_eq!(propagated(&[], r#"{"traceparent":5}"#), (None, None));
        assert_eq!(propagated(&[], &meta.replace("a=1", "a=\\r\\nX: y")), (parent(), None));
        assert_eq!(propagated(&[], &meta.replace("a=1", &"a".repeat(512))), (parent(), None));
        assert_eq!(propagated(&[], r#"{"traceparent":"00-\r\n"}"#), (None, None));
        // A later version may have more behind, but a body's bytes are no head's.
        let later = |more: usize| format!("{}-{}", PARENT.replacen("00", "cc", 1), "x".repeat(more));
        let meta = |parent: &str| format!(r#"{{"traceparent":"{parent}"}}"#);
        assert_eq!(propagated(&[], &meta(&later(100))), (Some(later(100)), None));
        assert_eq!(propagated(&[], &meta(&later(100_000))), (None, None));
    }
}

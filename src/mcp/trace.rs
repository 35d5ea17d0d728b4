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
    let parent = trace_parent.text().filter(|text| text.len() <= PARENT_BYTES_MAX && parse(text).is_some());
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

/// The span that a request came from (§3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// The trace; not zero.
    pub trace_id: u128,
    /// The span; not zero.
    pub span_id: u64,
    /// Whether the caller may have recorded it.
    pub sampled: bool,
}

impl Parent {
    /// The value of a `traceparent` that names this span.
    #[must_use]
    pub fn header(&self) -> Option<HeaderValue> {
        let Self { trace_id, span_id, sampled } = self;
        HeaderValue::try_from(format!("00-{trace_id:032x}-{span_id:016x}-{:02x}", u8::from(*sampled))).ok()
    }
}

/// What the one well-formed `traceparent` of a request says.
#[must_use]
pub fn parent_of(headers: &HeaderMap) -> Option<Parent> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => parse(value.to_str().ok()?),
        _ => None,
    }
}

/// The trace id of this number, as it is written.
#[must_use]
pub fn written(trace_id: u128) -> String {
    format!("{trace_id:032x}")
}

/// A `traceparent` (§3.2): version, trace, parent and flags in lower-case hexadecimal; of later versions, more behind.
fn parse(text: &str) -> Option<Parent> {
    let mut parts = text.split('-');
    let mut part = |digits: usize| {
        let is_hex = |text: &&str| text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        parts.next().filter(is_hex)
    };
    let (version, trace, parent, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
    let whole = version != "00" || parts.next().is_none();
    let trace_id = u128::from_str_radix(trace, 16).ok()?;
    let span_id = u64::from_str_radix(parent, 16).ok()?;
    let sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
    (version != "ff" && whole && trace_id != 0 && span_id != 0).then_some(Parent { trace_id, span_id, sampled })
}

/// The header that names trace and parent.
pub const TRACEPARENT: &str = "traceparent";
/// The header that belongs to it; it means nothing without.
pub const TRACESTATE: &str = "tracestate";

/// Of version 00 it has 55 (§3.2); what comes out of a body, which may be large, must fit into a head.
const PARENT_BYTES_MAX: usize = 256;

/// Whoever passes one on must pass on this many (§3.3.1.5); nobody sends more.
pub const STATE_BYTES_MAX: usize = 512;

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
        let sampled = Parent {
            trace_id: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c,
            span_id: 0xb7ad_6b71_6920_3331,
            sampled: true,
        };
        let trace = Some(sampled);
        let check = |text: &str, expect| assert_eq!(parse(text), expect, "{text}");
        check(PARENT, trace);
        check(&PARENT.replacen("00", "cc", 1), trace);
        check(&format!("{}-more", PARENT.replacen("00", "cc", 1)), trace);
        check(&PARENT.replace("-01", "-03"), trace);
        check(&PARENT.replace("-01", "-00"), Some(Parent { sampled: false, ..sampled }));
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
        assert_eq!(parent_of(&headers(&[("traceparent", PARENT)])), trace);
        assert_eq!(sampled.header().unwrap(), PARENT);
        assert_eq!(
            Parent { trace_id: 1, span_id: 2, sampled: false }.header().unwrap(),
            format!("00-{:032}-{:016}-00", 1, 2)
        );
        assert_eq!(parent_of(&headers(&[("traceparent", PARENT), ("traceparent", PARENT)])), None);
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

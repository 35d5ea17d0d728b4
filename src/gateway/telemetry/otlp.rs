//! Spans as OTLP (1.x) writes them: the messages of `opentelemetry/proto/trace/v1` and `collector/trace/v1` that spans need, in
//! protobuf's encoding; and what a collector says of them. It knows no network and nothing of requests.

use std::borrow::Cow;

/// The spans of one request.
#[derive(Debug)]
pub(super) struct Traced {
    /// Not zero.
    pub(super) trace_id: u128,
    /// `tracestate`; empty: none.
    pub(super) trace_state: String,
    /// The first is the request's own.
    pub(super) spans: Vec<Span>,
}

/// One span.
#[derive(Debug)]
pub(super) struct Span {
    /// Not zero.
    pub(super) id: u64,
    /// The span it is part of; `None`: the trace begins with it.
    pub(super) parent: Option<u64>,
    /// Whether that one is another process's.
    pub(super) parent_is_remote: bool,
    pub(super) name: Cow<'static, str>,
    pub(super) kind: Kind,
    /// Nanoseconds since 1970.
    pub(super) begin: u64,
    /// Nanoseconds since 1970.
    pub(super) end: u64,
    pub(super) attributes: Attributes,
    /// What went wrong, in a word; `None`: nothing.
    pub(super) error: Option<Cow<'static, str>>,
}

/// Keys and values.
pub(super) type Attributes = Vec<(&'static str, Value)>;

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::gateway) enum Value {
    Text(Cow<'static, str>),
    Whole(u32),
}

/// Which side of what a span is (`Span.SpanKind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Internal,
    Server,
    Client,
}

/// An `ExportTraceServiceRequest` with all of these, from the process that `resource` describes.
pub(super) fn request(resource: &Attributes, requests: &[Traced]) -> Vec<u8> {
    let mut out = Writer::default();
    out.message(1, |resource_spans| {
        resource_spans.message(1, |of| of.attributes(1, resource));
        resource_spans.message(2, |scope_spans| {
            scope_spans.message(1, |scope| {
                scope.text(1, "gatepost");
                scope.text(2, env!("CARGO_PKG_VERSION"));
            });
            for Traced { trace_id, trace_state, spans } in requests {
                for span in spans {
                    scope_spans.message(2, |out| out.span(*trace_id, trace_state, span));
                }
            }
        });
    });
    out.0
}

/// How many spans an `ExportTraceServiceResponse` says were not taken. What is no such message says of none.
pub(super) fn rejected(response: &[u8]) -> u64 {
    let number = |(field, value)| match (field, value) {
        (1, Field::Number(number)) => Some(number),
        (_, _) => None,
    };
    let partial_success = |(field, value)| match (field, value) {
        (1, Field::Bytes(message)) => Fields(message).filter_map(number).last(),
        (_, _) => None,
    };
    Fields(response).filter_map(partial_success).last().unwrap_or(0)
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Whole(number.into())
    }
}

/// Protobuf as it is written: a key (field number and wire type), then the value.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn span(&mut self, trace_id: u128, trace_state: &str, span: &Span) {
        self.bytes(1, &trace_id.to_be_bytes());
        self.bytes(2, &span.id.to_be_bytes());
        if !trace_state.is_empty() {
            self.text(3, trace_state);
        }
        if let Some(parent) = span.parent {
            self.bytes(4, &parent.to_be_bytes());
        }
        self.text(5, &span.name);
        self.number(
            6,
            match span.kind {
                Kind::Internal => 1,
                Kind::Server => 2,
                Kind::Client => 3,
            },
        );
        self.fixed64(7, span.begin);
        self.fixed64(8, span.end);
        self.attributes(9, &span.attributes);
        if let Some(error) = &span.error {
            self.message(15, |status| {
                status.text(2, error);
                status.number(3, STATUS_ERROR);
            });
        }
        self.fixed32(16, SAMPLED | PARENT_IS_KNOWN | if span.parent_is_remote { PARENT_IS_REMOTE } else { 0 });
    }

    /// A list of `KeyValue`.
    fn attributes(&mut self, field: u64, attributes: &Attributes) {
        for (key, value) in attributes {
            self.message(field, |pair| {
                pair.text(1, key);
                pair.message(2, |any| match value {
                    Value::Text(text) => any.text(1, text),
                    Value::Whole(number) => any.number(3, u64::from(*number)),
                });
            });
        }
    }

    fn message(&mut self, field: u64, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }

    fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | LENGTH);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn number(&mut self, field: u64, number: u64) {
        self.varint(field << 3 | VARINT);
        self.varint(number);
    }

    fn fixed64(&mut self, field: u64, number: u64) {
        self.varint(field << 3 | FIXED_64);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn fixed32(&mut self, field: u64, number: u32) {
        self.varint(field << 3 | FIXED_32);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    /// Seven bits a byte, the lowest first; all but the last have the highest bit set.
    fn varint(&mut self, mut number: u64) {
        loop {
            let [low, ..] = number.to_le_bytes();
            if number < 0x80 {
                return self.0.push(low);
            }
            self.0.push(low | 0x80);
            number >>= 7;
        }
    }
}

/// The fields of a message, in order; it ends where what is left is none.
struct Fields<'a>(&'a [u8]);

/// The value of a field.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Fixed,
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Field<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.varint()?;
        let value = match key & 7 {
            VARINT => Field::Number(self.varint()?),
            LENGTH => {
                let bytes = self.varint().and_then(|length| usize::try_from(length).ok())?;
                Field::Bytes(self.take(bytes)?)
            }
            FIXED_64 => self.take(8).map(|_| Field::Fixed)?,
            FIXED_32 => self.take(4).map(|_| Field::Fixed)?,
            _ => return None,
        };
        Some((key >> 3, value))
    }
}

impl<'a> Fields<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for place in 0..10 {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

/// Wire types.
const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED_32: u64 = 5;

/// `Status.StatusCode`.
const STATUS_ERROR: u64 = 2;

/// `Span.flags`: the trace flags of W3C, and what is known of the parent.
const SAMPLED: u32 = 1;
const PARENT_IS_KNOWN: u32 = 0x100;
const PARENT_IS_REMOTE: u32 = 0x200;

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
    };
    use opentelemetry_proto::tonic::common::v1::any_value;
    use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status::StatusCode};
    use prost::Message as _;

    use super::*;

    #[test]
    fn the_official_definitions_read_what_is_written() {
        let name = "tools/call gr\u{fc}n ".to_owned() + &"x".repeat(300);
        let span = Span {
            id: 0x0102_0304_0506_0708,
            parent: Some(9),
            parent_is_remote: true,
            name: name.clone().into(),
            kind: Kind::Server,
            begin: u64::MAX,
            end: 1_800_000_000_000_000_000,
            attributes: vec![("a", "text".into()), ("n", 65535.into()), ("empty", String::new().into())],
            error: Some("not_permitted".into()),
        };
        let child = Span {
            id: 1,
            parent: Some(span.id),
            parent_is_remote: false,
            name: "authorize".into(),
            kind: Kind::Internal,
            begin: 0,
            end: 0,
            attributes: vec![],
            error: None,
        };
        let trace_id = 0xfedc_ba98_7654_3210_0123_4567_89ab_cdef;
        let spans = Traced { trace_id, trace_state: "a=1,b=2".to_owned(), spans: vec![span, child] };
        let resource: Attributes = vec![("service.name", "gate".into())];
        let read = ExportTraceServiceRequest::decode(request(&resource, &[spans]).as_slice()).unwrap();

        let [of_resource] = read.resource_spans.as_slice() else { panic!("{read:?}") };
        assert_eq!(of_resource.resource.as_ref().unwrap().attributes[0].key, "service.name");
        let [of_scope] = of_resource.scope_spans.as_slice() else { panic!("{read:?}") };
        assert_eq!(of_scope.scope.as_ref().unwrap().name, "gatepost");
        let [span, child] = of_scope.spans.as_slice() else { panic!("{read:?}") };
        assert_eq!(
            (span.trace_id.as_slice(), span.span_id.as_slice()),
            (&trace_id.to_be_bytes()[..], &[1, 2, 3, 4, 5, 6, 7, 8][..])
        );
        assert_eq!((span.trace_state.as_str(), &span.name), ("a=1,b=2", &name));
        assert_eq!((span.parent_span_id.as_slice(), span.kind()), (&9_u64.to_be_bytes()[..], SpanKind::Server));
        assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (u64::MAX, 1_800_000_000_000_000_000));
        assert_eq!((span.flags, child.flags), (0x301, 0x101));
        let status = span.status.as_ref().unwrap();
        assert_eq!((status.message.as_str(), status.code()), ("not_permitted", StatusCode::Error));
        let value = |at: usize| span.attributes[at].value.clone().unwrap().value.unwrap();
        assert_eq!(value(0), any_value::Value::StringValue("text".to_owned()));
        assert_eq!(value(1), any_value::Value::IntValue(65535));
        assert_eq!(value(2), any_value::Value::StringValue(String::new()));
        assert_eq!((child.parent_span_id.as_slice(), child.kind()), (span.span_id.as_slice(), SpanKind::Internal));
        assert!(child.status.is_none());
    }

    #[test]
    fn what_a_collector_did_not_take_is_read() {
        let check = |response: &[u8], expect| assert_eq!(rejected(response), expect, "{response:?}");
        let partial = |rejected_spans| {
            let error_message = "too many".to_owned();
            let partial_success = Some(ExportTracePartialSuccess { rejected_spans, error_message });
            ExportTraceServiceResponse { partial_success }.encode_to_vec()
        };
        check(&partial(300), 300);
        check(&partial(0), 0);
        check(&ExportTraceServiceResponse::default().encode_to_vec(), 0);
        for no_message in
            [&b""[..], b"\xff", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x0a\x05\x08", b"<html>"]
        {
            check(no_message, 0);
        }
        check(&[0x80; 100], 0);
        check(b"\x0d\0\0\0\0\x11\0\0\0\0\0\0\0\0\x0a\x02\x08\x07", 7);
    }
}

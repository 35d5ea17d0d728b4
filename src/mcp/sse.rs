//! Server-sent events: an incremental parser that keeps the bytes of each event, and the rewriting of an event's
//! data. No IO. It must never hold more than one unfinished event, wait for bytes that cannot change an event that is
//! complete, or change a byte of a line that is not `data`.

use bytes::{BufMut as _, Bytes, BytesMut};

/// One event as it came, bytes and meaning. The `raw` bytes of all events, joined, are the stream up to the end of its
/// last complete event.
#[derive(Debug, Clone)]
pub struct Event {
    /// Everything from the event's first line to the blank line that ends it, as received. A byte order mark at the
    /// stream's start is an event of its own, without data, and so is the LF of a CRLF that arrives when its CR has
    /// already completed an event.
    pub raw: Bytes,
    /// The `data` lines joined by `\n`; `None` when the event has none (comments, a bare `id`).
    pub data: Option<Bytes>,
}

/// An event grew over the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventTooLarge;

/// The incremental parser. Bytes may be split anywhere; CR, LF and CRLF end lines (WHATWG HTML, 9.2.6).
#[derive(Debug)]
pub struct Parser {
    event_bytes_max: usize,
    /// The unfinished event.
    pending: BytesMut,
    /// Where the unfinished event's last line begins.
    line_start: usize,
    /// The last byte was a CR: an LF that follows belongs to the same line end.
    after_cr: bool,
    /// All that came so far is a prefix of a byte order mark.
    at_start: bool,
    /// The limit was hit: where the next event begins is no longer known.
    too_large: bool,
}

impl Parser {
    /// A parser that holds at most `event_bytes_max` bytes of an unfinished event.
    #[must_use]
    pub fn new(event_bytes_max: usize) -> Self {
        Self {
            event_bytes_max,
            pending: BytesMut::new(),
            line_start: 0,
            after_cr: false,
            at_start: true,
            too_large: false,
        }
    }

    /// Takes the next bytes and appends every event they complete to `events`, those before one that is too large
    /// included. After `EventTooLarge` every further call fails: what follows cannot be told apart from the event's rest.
    pub fn push(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), EventTooLarge> {
        if self.too_large {
            return Err(EventTooLarge);
        }
        let mut rest = if self.at_start { self.take_mark(bytes, events) } else { bytes };
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            if let Some(after) = rest.strip_prefix(b"\n") {
                self.hold(b"\n")?;
                rest = after;
                if self.line_start == 0 {
                    events.push(self.complete());
                } else {
                    self.line_start = self.pending.len();
                }
            }
        }
        while let Some((content, ending)) = line_end(rest) {
            let blank = content == 0 && self.line_start == self.pending.len();
            let (line, after) = rest.split_at(content + ending);
            self.hold(line)?;
            rest = after;
            if blank {
                events.push(self.complete());
            } else {
                self.line_start = self.pending.len();
            }
            self.after_cr = rest.is_empty() && line.ends_with(b"\r");
        }
        self.hold(rest)
    }

    /// Takes the byte order mark, or as much of it as came, and returns what is not part of it.
    fn take_mark<'a>(&mut self, bytes: &'a [u8], events: &mut Vec<Event>) -> &'a [u8] {
        let mut rest = bytes;
        while let Some((&first, after)) = rest.split_first() {
            if BYTE_ORDER_MARK.get(self.pending.len()) != Some(&first) {
                self.at_start = false;
                break;
            }
            self.pending.put_u8(first);
            rest = after;
            if self.pending.len() == BYTE_ORDER_MARK.len() {
                self.at_start = false;
                events.push(Event { raw: self.pending.split().freeze(), data: None });
                break;
            }
        }
        rest
    }

    /// Appends to the unfinished event.
    fn hold(&mut self, bytes: &[u8]) -> Result<(), EventTooLarge> {
        if bytes.len() > self.event_bytes_max.saturating_sub(self.pending.len()) {
            self.too_large = true;
            self.pending = BytesMut::new();
            return Err(EventTooLarge);
        }
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    /// The pending bytes are a whole event.
    fn complete(&mut self) -> Event {
        self.line_start = 0;
        let raw = self.pending.split().freeze();
        let data = data_of(&raw);
        Event { raw, data }
    }
}

impl Event {
    /// Whether a client could take the event for one of this type (ASCII, lower case): an `event` line says so, in any case
    /// and with any space about it.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        lines(&self.raw).any(|line| line.named().is_some_and(|named| named.eq_ignore_ascii_case(name.as_bytes())))
    }

    /// Whether the event is nothing to a client: comments, an `id`, a `retry`, but neither data nor a type.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.data.is_none() && !lines(&self.raw).any(|line| line.named().is_some())
    }

    /// The event with its data replaced, every other line (`id`, `event`, `retry`, comments) kept as it was, in its
    /// place. Each line of the new data stands where a line of the old data stood, and keeps how that was written; old
    /// lines beyond the new are dropped, new lines beyond the old follow the last one. CR, LF and CRLF in `data` all end a
    /// line, so that no data can become another field; the client reads them as LF.
    #[must_use]
    pub fn with_data(&self, data: &[u8]) -> Bytes {
        let mut new = DataLines { rest: Some(data) };
        let mut old_left = lines(&self.raw).filter(|line| line.data().is_some()).count();
        let had_data = old_left > 0;
        let mut out = BytesMut::with_capacity(self.raw.len() + data.len());
        for line in lines(&self.raw) {
            if line.data().is_some() {
                old_left -= 1;
                let place = if old_left == 0 { usize::MAX } else { 1 };
                new.by_ref().take(place).for_each(|text| line.write_data(text, &mut out));
                continue;
            }
            if line.content.is_empty() {
                if !had_data {
                    let like = Line { content: b"data: ", ending: b"\n" };
                    new.by_ref().for_each(|text| like.write_data(text, &mut out));
                }
                if line.ending == b"\n" && out.ends_with(b"\r") {
                    // A dropped line stood between: CR and LF would now be one line end, the event would lose its
                    // blank line and swallow the next event.
                    out.put_u8(b'\n');
                }
            }
            out.extend_from_slice(line.content);
            out.extend_from_slice(line.ending);
        }
        out.freeze()
    }
}

/// A line of a complete event, and the bytes that ended it.
#[derive(Debug, Clone, Copy)]
struct Line<'a> {
    content: &'a [u8],
    ending: &'a [u8],
}

impl<'a> Line<'a> {
    /// The value, if the field is `data`.
    fn data(self) -> Option<&'a [u8]> {
        self.value(b"data")
    }

    /// The event's type, if the field is `event`, without any space about it.
    fn named(self) -> Option<&'a [u8]> {
        self.value(b"event").map(<[u8]>::trim_ascii)
    }

    /// The value of the field: after the colon and at most one space; empty without a colon.
    fn value(self, field: &[u8]) -> Option<&'a [u8]> {
        let rest = self.content.strip_prefix(field)?;
        match rest.split_first() {
            None => Some(rest),
            Some((b':', value)) => Some(value.strip_prefix(b" ").unwrap_or(value)),
            Some(_) => None,
        }
    }

    /// Writes `text` as a data line, the way this one was written.
    fn write_data(self, text: &[u8], out: &mut BytesMut) {
        if self.content.starts_with(b"data:") && !self.content.starts_with(b"data: ") && !text.starts_with(b" ") {
            out.extend_from_slice(b"data:");
        } else {
            out.extend_from_slice(b"data: ");
        }
        out.extend_from_slice(text);
        out.extend_from_slice(self.ending);
    }
}

/// The lines of a complete event.
fn lines(raw: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut rest = raw;
    std::iter::from_fn(move || {
        let (content, ending) = line_end(rest)?;
        let (content, after) = rest.split_at(content);
        let (ending, after) = after.split_at(ending);
        rest = after;
        Some(Line { content, ending })
    })
}

/// The lines of new data: at least one, the last without an end.
struct DataLines<'a> {
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for DataLines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.take()?;
        let Some((content, ending)) = line_end(rest) else { return Some(rest) };
        let (line, after) = rest.split_at(content);
        self.rest = after.get(ending..);
        Some(line)
    }
}

/// The lengths of the first line and of its end, if it has ended.
fn line_end(bytes: &[u8]) -> Option<(usize, usize)> {
    let content = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'))?;
    let ending = if bytes.get(content..)?.starts_with(b"\r\n") { 2 } else { 1 };
    Some((content, ending))
}

/// The data of a complete event; shares its bytes where there is one line.
fn data_of(raw: &Bytes) -> Option<Bytes> {
    let mut values = lines(raw).filter_map(Line::data);
    let first = values.next()?;
    let Some(second) = values.next() else { return Some(raw.slice_ref(first)) };
    let mut joined = BytesMut::with_capacity(raw.len());
    joined.extend_from_slice(first);
    for value in std::iter::once(second).chain(values) {
        joined.put_u8(b'\n');
        joined.extend_from_slice(value);
    }
    Some(joined.freeze())
}

/// UTF-8's byte order mark; a stream may begin with one.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The events of a stream that comes in one piece.
    fn parse(stream: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        Parser::new(1 << 20).push(stream, &mut events).expect("under the limit");
        events
    }

    fn data(events: &[Event]) -> Vec<String> {
        events.iter().filter_map(|event| event.data.as_ref()).map(|data| String::from_utf8_lossy(data).into()).collect()
    }

    fn raw(events: &[Event]) -> Vec<u8> {
        events.iter().flat_map(|event| event.raw.clone()).collect()
    }

    /// The data as the standard's algorithm says it, on the whole stream.
    fn reference(stream: &[u8]) -> Vec<String> {
        let text = String::from_utf8_lossy(stream).replace("\r\n", "\n").replace('\r', "\n");
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
        let mut found = Vec::new();
        let mut buffer: Option<String> = None;
        let mut lines: Vec<&str> = text.split('\n').collect();
        lines.pop();
        for line in lines {
            if line.is_empty() {
                found.extend(buffer.take().map(|data| data[..data.len() - 1].to_owned()));
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            if field == "data" {
                let buffer = buffer.get_or_insert_default();
                buffer.push_str(value.strip_prefix(' ').unwrap_or(value));
                buffer.push('\n');
            }
        }
        found
    }

    #[test]
    fn an_events_type_and_idleness_are_read_as_any_client_might() {
        let check = |stream: &str, named: bool, idle: bool| {
            let [event] = parse(stream.as_bytes()).try_into().expect("one event");
            assert_eq!((event.is_named("endpoint"), event.is_idle()), (named, idle), "{stream:?}");
        };
        for named in [
            "event: endpoint\ndata: /m\n\n",
            "event:endpoint\n\n",
            "event:  EndPoint \r\n\r\n",
            "event: endpoint\nevent: message\n\n",
            "data: x\revent: message\revent: endpoint\r\r",
        ] {
            check(named, true, false);
        }
        for other in
            ["event: endpoints\n\n", "event\n\n", "data: event: endpoint\n\n", "data\n\n", "event: message\n\n"]
        {
            check(other, false, false);
        }
        for idle in [
            ": event: endpoint\n\n",
            "id: endpoint\nretry: 5\n\n",
            "\n",
            "events: endpoint\n\n",
            " event: endpoint\n\n",
        ] {
            check(idle, false, true);
        }
    }

    #[test]
    fn reads_data_as_the_standard_says() {
        fn check(stream: &str, expect: &[&str]) {
            assert_eq!(data(&parse(stream.as_bytes())), expect, "{stream:?}");
            assert_eq!(reference(stream.as_bytes()), expect, "{stream:?}");
        }
        check("data: a\n\n", &["a"]);
        check("data: a\r\r", &["a"]);
        check("data: a\r\n\r\n", &["a"]);
        check("data: a\n\r\n", &["a"]);
        check("data: a\r\n\r", &["a"]);
        check("data: a\r\ndata: b\r\r", &["a\nb"]);
        check("data: a\n\rdata: b\n\n", &["a", "b"]);
        check("data:a\n\n", &["a"]);
        check("data:  a\n\n", &[" a"]);
        check("data:\ta\n\n", &["\ta"]);
        check("data\n\n", &[""]);
        check("data:\n\n", &[""]);
        check("data: \n\n", &[""]);
        check("data\ndata\n\n", &["\n"]);
        check("data: a\nid: 1\ndata: b\n\n", &["a\nb"]);
        check("data: a:b\n\n", &["a:b"]);
        check("\u{FEFF}data: a\n\n", &["a"]);
        check("\u{FEFF}\u{FEFF}data: a\n\n", &[]);
        check("data: a\n\n\u{FEFF}data: b\n\n", &["a"]);
        check("\n\n\ndata: a\n\n\n\n", &["a"]);
        check(": data: a\n\n", &[]);
        check(" data: a\n\n", &[]);
        check("data : a\n\n", &[]);
        check("Data: a\n\n", &[]);
        check("database: a\n\n", &[]);
        check("id: 1\n\n", &[]);
        check("data: a\n", &[]);
        check("data: a", &[]);
        check("", &[]);
        check("data: a\u{2028}data: b\u{85}\n\n", &["a\u{2028}data: b\u{85}"]);
    }

    #[test]
    fn keeps_the_bytes_of_each_event() {
        fn check(stream: &str, expect: &[&str]) {
            let events = parse(stream.as_bytes());
            let raw: Vec<_> = events.iter().map(|event| std::str::from_utf8(&event.raw).unwrap()).collect();
            assert_eq!(raw, expect, "{stream:?}");
        }
        check("id: 1\ndata: a\n\ndata:b\r\n\r\n", &["id: 1\ndata: a\n\n", "data:b\r\n\r\n"]);
        check(": keep-alive\n\ndata: a\n\n", &[": keep-alive\n\n", "data: a\n\n"]);
        check("\n\n", &["\n", "\n"]);
        check("\u{FEFF}data: a\n\n", &["\u{FEFF}", "data: a\n\n"]);
        check("data: a\n\ndata: b", &["data: a\n\n"]);
        check("data: a\r\r\ndata: b\n\n", &["data: a\r\r\n", "data: b\n\n"]);
    }

    #[test]
    fn a_complete_event_waits_for_nothing() {
        fn check(pieces: &[(&str, usize)]) {
            let mut parser = Parser::new(1024);
            for (piece, expect) in pieces {
                let mut events = Vec::new();
                parser.push(piece.as_bytes(), &mut events).unwrap();
                assert_eq!(events.len(), *expect, "{piece:?} of {pieces:?}");
            }
        }
        check(&[("data: a\n", 0), ("\n", 1), ("data: b\n\n", 1)]);
        check(&[(": keep-alive\n", 0), ("\n", 1)]);
        check(&[("data: a\r", 0), ("\r", 1), ("data: b\r\r", 1)]);
        // The LF of a CRLF may come later: the event is out, the LF goes by itself.
        check(&[("data: a\r\n\r", 1), ("\n", 1), ("data: b\r", 0), ("\n", 0), ("\r", 1), ("\ndata: c\n\n", 2)]);
        check(&[("data: a\r", 0), ("\n", 0), ("\n", 1), ("\n", 1)]);
        check(&[("\u{FEFF}", 1), ("data: a\n\n", 1)]);
    }

    #[test]
    fn an_event_over_the_limit_ends_the_stream() {
        fn check(max: usize, pieces: &[&str], expect: Result<usize, usize>) {
            let mut parser = Parser::new(max);
            let mut events = Vec::new();
            let outcome = pieces.iter().try_for_each(|piece| parser.push(piece.as_bytes(), &mut events));
            let outcome = outcome.map(|()| events.len()).map_err(|EventTooLarge| events.len());
            assert_eq!(outcome, expect, "{max} {pieces:?}");
            if outcome.is_err() {
                assert_eq!(parser.push(b"\n\ndata: a\n\n", &mut events), Err(EventTooLarge));
                assert_eq!(parser.push(b"", &mut events), Err(EventTooLarge));
            }
        }
        check(9, &["data: a\n\n"], Ok(1));
        check(8, &["data: a\n\n"], Err(0));
        check(9, &["data: a\n\ndata: b\n\ndata: cc\n\n"], Err(2));
        check(9, &["data: a\n", "\ndata: ", "b\n\n"], Ok(2));
        check(9, &["data: abc", "d"], Err(0));
        check(9, &["data: abc"], Ok(0));
        check(9, &["data: abc", "\n"], Err(0));
        check(8, &["data: a\r", "\n"], Err(0));
        check(0, &["\n"], Err(0));
    }

    #[test]
    fn a_long_event_in_single_bytes_is_read_once() {
        let event = format!("data: {}\n\n", "a".repeat(1 << 20));
        let (mut parser, mut events) = (Parser::new(event.len()), Vec::new());
        for byte in event.as_bytes() {
            parser.push(std::slice::from_ref(byte), &mut events).expect("under the limit");
        }
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].raw, event);
    }

    #[test]
    fn data_is_replaced_and_nothing_else() {
        fn check(event: &str, data: &str, expect: &str) {
            let events = parse(event.as_bytes());
            assert_eq!(events.len(), 1, "{event:?}");
            let out = events[0].with_data(data.as_bytes());
            assert_eq!(std::str::from_utf8(&out).unwrap(), expect, "{event:?} with {data:?}");
        }
        check("data: a\n\n", "b", "data: b\n\n");
        check("data:a\r\n\r\n", "b", "data:b\r\n\r\n");
        check("data:a\n\n", " b", "data:  b\n\n");
        check("data\n\n", "b", "data: b\n\n");
        check("data: a\n\n", "", "data: \n\n");
        check(": c\nid: 1\nevent: e\ndata: a\nretry: 5\n\n", "b", ": c\nid: 1\nevent: e\ndata: b\nretry: 5\n\n");
        check("data: a\nid: 1\ndata:b\n\n", "c\nd", "data: c\nid: 1\ndata:d\n\n");
        check("data: a\nid: 1\ndata: b\n\n", "c", "data: c\nid: 1\n\n");
        check("data: a\nid: 1\ndata: b\r\n: c\n\n", "1\n2\n3", "data: 1\nid: 1\ndata: 2\r\ndata: 3\r\n: c\n\n");
        check("data: a\n\n", "b\nid: 9\r\n\rdata: c", "data: b\ndata: id: 9\ndata: \ndata: data: c\n\n");
        check("id: 1\r\r", "a\nb", "id: 1\rdata: a\ndata: b\n\r");
        // The dropped line's LF kept CR and LF apart.
        check("data: a\rdata: b\n\n", "c", "data: c\r\n\n");
        check(": c\rid: 1\rdata: a\rdata: b\n\n", "c", ": c\rid: 1\rdata: c\r\n\n");
    }

    /// Streams made of what matters to the parser.
    fn streams() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just("\n"),
            Just("\r"),
            Just("\r\n"),
            Just("\n\n"),
            Just("data"),
            Just("data:"),
            Just("data: "),
            Just(":"),
            Just(" "),
            Just("id: 1"),
            Just("\u{FEFF}"),
            Just("{}"),
        ];
        proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn agrees_with_the_reference(stream in streams()) {
            prop_assert_eq!(data(&parse(&stream)), reference(&stream));
        }

        #[test]
        fn raw_bytes_are_the_stream_without_its_unfinished_end(stream in streams()) {
            let kept = raw(&parse(&stream));
            prop_assert!(stream.starts_with(&kept));
            let left = [b"\n", &stream[kept.len()..]].concat();
            prop_assert_eq!(raw(&parse(&left)), b"\n", "left: {:?}", left);
        }

        #[test]
        fn splits_change_nothing(stream in streams(), cuts in proptest::collection::vec(0usize..64, 0..6)) {
            let whole = parse(&stream);
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(stream.len())).chain([stream.len()]).collect();
            cuts.sort_unstable();
            let (mut parser, mut events, mut from) = (Parser::new(1 << 20), Vec::new(), 0);
            for cut in cuts {
                parser.push(&stream[from..cut], &mut events).expect("under the limit");
                from = cut;
            }
            prop_assert_eq!(data(&events), data(&whole));
            prop_assert_eq!(raw(&events), raw(&whole));
        }

        #[test]
        fn replaced_data_is_what_a_client_reads(stream in streams(), text in "[a-c :\r\n]{0,8}") {
            let read = text.replace("\r\n", "\n").replace('\r', "\n");
            for event in parse(&stream).iter().filter(|event| event.data.is_some()) {
                let out = event.with_data(text.as_bytes());
                // Not at the stream's start: there, a byte order mark would be one.
                prop_assert_eq!(reference(&[b"\n", &out[..]].concat()), vec![read.clone()], "{:?}", out);
                let other = |raw: &[u8]| -> Vec<Vec<u8>> {
                    lines(raw).filter(|line| line.data().is_none()).map(|line| line.content.to_vec()).collect()
                };
                prop_assert_eq!(other(&out), other(&event.raw));
            }
        }

        #[test]
        fn its_own_data_changes_nothing(stream in streams()) {
            for event in parse(&stream) {
                let Some(data) = &event.data else { continue };
                let bare = lines(&event.raw).any(|line| line.content == b"data");
                prop_assert!(bare || event.with_data(data) == event.raw);
            }
        }
    }
}

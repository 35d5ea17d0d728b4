//! Server-sent events: no byte is lost, no split changes an event, the data is what the standard says (WHATWG HTML, 9.2.6),
//! and new data changes nothing else.

use gatepost::mcp::sse::{Event, Parser};

/// Bytes that a stream may begin with.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// The first two bytes say where the rest, a stream, is split, and how long an event may be.
///
/// # Panics
/// Where events depend on splits, bytes are lost, or data differs from the standard's.
pub fn check(bytes: &[u8]) {
    let [at, step, stream @ ..] = bytes else { return };
    let whole = parse([stream]);
    let expect = reference(stream);
    assert_eq!(data(&whole), expect);
    assert!(stream.starts_with(&raw(&whole)), "the bytes of events are the stream");
    let rest = stream.get(raw(&whole).len()..).expect("a prefix");
    assert_eq!(reference(rest), Vec::<Vec<u8>>::new(), "no event is held back");

    let (before, after) = stream.split_at(usize::from(*at) % (stream.len() + 1));
    let step = usize::from(*step) % 8 + 1;
    for pieces in [vec![before, after], stream.chunks(step).collect()] {
        let events = parse(pieces);
        assert_eq!(data(&events), expect);
        assert_eq!(raw(&events), raw(&whole));
    }
    check_limit(stream, usize::from(*at), step, &whole);
    check_new_data(&whole, before);
}

/// Events within the limit come before one that is over it, and nothing comes after.
fn check_limit(stream: &[u8], max: usize, step: usize, whole: &[Event]) {
    let mut parser = Parser::new(max);
    let mut events = Vec::new();
    let outcome = stream.chunks(step).try_for_each(|piece| parser.push(piece, &mut events));
    let too_long = |event: &Event| event.raw.len() > max && event.raw != MARK;
    assert!(!events.iter().any(too_long));
    assert!(raw(whole).starts_with(&raw(&events)));
    if outcome.is_ok() {
        assert_eq!(raw(&events), raw(whole));
    } else {
        let mut more = Vec::new();
        assert!(parser.push(b"\n\ndata: a\n\n", &mut more).is_err() && more.is_empty());
    }
}

/// A stream whose data is replaced has as many events, with the new data, and every other line as it was.
fn check_new_data(whole: &[Event], new: &[u8]) {
    let mut stream = Vec::new();
    let mut expect = Vec::new();
    for event in whole {
        match &event.data {
            Some(_) => {
                let changed = event.with_data(new);
                assert_eq!(other_lines(&changed), other_lines(&event.raw));
                stream.extend_from_slice(&changed);
                expect.push(normal(new));
            }
            None => stream.extend_from_slice(&event.raw),
        }
    }
    let events = parse([&stream[..]]);
    assert_eq!(data(&events), expect);
    assert_eq!(raw(&events), stream);
}

fn parse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
    let mut parser = Parser::new(1 << 20);
    let mut events = Vec::new();
    for piece in pieces {
        let before = events.len();
        parser.push(piece, &mut events).expect("under the limit");
        assert!(events.get(before..).is_some_and(|new| new.iter().all(|event| !event.raw.is_empty())));
    }
    events
}

fn raw(events: &[Event]) -> Vec<u8> {
    events.iter().flat_map(|event| event.raw.clone()).collect()
}

fn data(events: &[Event]) -> Vec<Vec<u8>> {
    events.iter().filter_map(|event| event.data.as_ref()).map(|data| data.to_vec()).collect()
}

/// The lines that are not data; an empty one for the end.
fn other_lines(raw: &[u8]) -> Vec<Vec<u8>> {
    let text = normal(raw);
    text.split(|byte| *byte == b'\n').filter(|line| !is_data(line)).map(<[u8]>::to_vec).collect()
}

fn is_data(line: &[u8]) -> bool {
    line == b"data" || line.starts_with(b"data:")
}

/// The bytes with every line end as LF.
fn normal(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (place, byte) in bytes.iter().enumerate() {
        match byte {
            b'\r' if bytes.get(place + 1) == Some(&b'\n') => {}
            b'\r' => out.push(b'\n'),
            other => out.push(*other),
        }
    }
    out
}

/// The data of a stream as the standard's algorithm says it.
fn reference(stream: &[u8]) -> Vec<Vec<u8>> {
    let text = normal(stream.strip_prefix(MARK).unwrap_or(stream));
    let mut found = Vec::new();
    let mut buffer: Option<Vec<Vec<u8>>> = None;
    let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    lines.pop();
    for line in lines {
        if line.is_empty() {
            found.extend(buffer.take().map(|values| values.join(&b'\n')));
        } else if is_data(line) {
            let value = line.get(5..).unwrap_or_default();
            buffer.get_or_insert_default().push(value.strip_prefix(b" ").unwrap_or(value).to_vec());
        }
    }
    found
}

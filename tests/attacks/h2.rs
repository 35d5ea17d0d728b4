//! HTTP/2 frame by frame (RFC 9113), as no library would send it.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// A connection of an attacker's.
#[derive(Debug)]
pub(crate) struct H2 {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A frame as it came.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Status(u16),
    /// `RST_STREAM` with this code.
    Reset(u32),
    /// GOAWAY with this code, or the end of the connection (`u32::MAX`).
    Closed(u32),
}

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

impl H2 {
    /// Preface and SETTINGS. The table of the other end's compression is empty, so that its answers can be read simply.
    pub(crate) async fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut connection = Self { stream, buffer: Vec::new() };
        let all: Vec<(u16, u32)> = [(1, 0)].into_iter().chain(settings.iter().copied()).collect();
        let mut hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        hello.extend(settings_frame(&all));
        connection.send(&hello).await;
        connection
    }

    /// False when the connection is gone.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        // What the other end says meanwhile is taken in: it may stop reading until it has said it.
        let mut left = bytes;
        while !left.is_empty() {
            let ready = self.stream.ready(tokio::io::Interest::READABLE | tokio::io::Interest::WRITABLE);
            let Ok(Ok(ready)) = tokio::time::timeout(NOTHING, ready).await else { return false };
            if ready.is_readable() {
                match self.stream.try_read_buf(&mut self.buffer) {
                    Ok(0) => return false,
                    Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return false,
                    Ok(_) | Err(_) => {}
                }
            }
            if ready.is_writable() {
                match self.stream.try_write(left) {
                    Ok(written) => left = &left[written..],
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => return false,
                }
            }
        }
        true
    }

    /// The next frame; `None` at the end, or after a long silence.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take() {
                return Some(frame);
            }
            let read = tokio::time::timeout(NOTHING, self.stream.read_buf(&mut self.buffer)).await;
            if !matches!(read, Ok(Ok(1..))) {
                return None;
            }
        }
    }

    /// What comes of a stream.
    pub(crate) async fn outcome(&mut self, stream: u32) -> Outcome {
        let mut goaway = None;
        while let Some(frame) = self.frame().await {
            let code = frame.payload.get(..4).map_or(0, |code| u32::from_be_bytes(code.try_into().unwrap()));
            match frame.kind {
                HEADERS if frame.stream == stream => return Outcome::Status(status_of(&frame.payload)),
                RST_STREAM if frame.stream == stream => return Outcome::Reset(code),
                GOAWAY => {
                    let code = frame.payload.get(4..8).map_or(0, |code| u32::from_be_bytes(code.try_into().unwrap()));
                    goaway = Some(code);
                }
                SETTINGS if frame.flags & 1 == 0 => drop(self.send(&frame_of(SETTINGS, 1, 0, &[])).await),
                _ => {}
            }
        }
        goaway.map_or(Outcome::Closed(u32::MAX), Outcome::Closed)
    }

    /// Reads to the end of the connection. Returns how many frames came, and the code of the last GOAWAY.
    pub(crate) async fn ended(&mut self) -> (usize, Option<u32>) {
        let (mut frames, mut goaway) = (0, None);
        while let Some(frame) = self.frame().await {
            frames += 1;
            if frame.kind == GOAWAY {
                goaway = frame.payload.get(4..8).map(|code| u32::from_be_bytes(code.try_into().unwrap()));
            }
        }
        (frames, goaway)
    }

    fn take(&mut self) -> Option<Frame> {
        let head: [u8; 9] = self.buffer.get(..9)?.try_into().unwrap();
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let payload = self.buffer.get(9..9 + length)?.to_vec();
        self.buffer.drain(..9 + length);
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }
}

/// A frame as it travels.
pub(crate) fn frame_of(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

pub(crate) fn settings_frame(settings: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> =
        settings.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect();
    frame_of(SETTINGS, 0, 0, &payload)
}

/// Headers as HPACK without any compression (RFC 7541 §6.2.2).
pub(crate) fn block(headers: &[(impl AsRef<[u8]>, impl AsRef<[u8]>)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(0);
        for text in [name.as_ref(), value.as_ref()] {
            integer(&mut block, text.len());
            block.extend_from_slice(text);
        }
    }
    block
}

/// An integer with a prefix of seven bits (RFC 7541 §5.1).
fn integer(to: &mut Vec<u8>, value: usize) {
    if value < 127 {
        to.push(u8::try_from(value).unwrap());
        return;
    }
    to.push(127);
    let mut rest = value - 127;
    while rest >= 128 {
        to.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    to.push(u8::try_from(rest).unwrap());
}

/// `:status`, which comes first (RFC 9113 §8.3.2): from the static table, or a literal of three digits.
fn status_of(block: &[u8]) -> u16 {
    let block = &block[block.iter().take_while(|byte| **byte & 0xe0 == 0x20).count()..];
    match block {
        [indexed @ 0x88..=0x8e, ..] => [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)],
        [0x08 | 0x18 | 0x48, length, rest @ ..] => {
            let text = &rest[..usize::from(length & 0x7f)];
            let digits = if length & 0x80 == 0 { text.to_vec() } else { huffman_digits(text) };
            String::from_utf8_lossy(&digits).parse().unwrap_or(0)
        }
        _ => 0,
    }
}

/// Digits alone (RFC 7541, Appendix B).
fn huffman_digits(bytes: &[u8]) -> Vec<u8> {
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let mut digits = Vec::new();
    let mut rest = bits.as_slice();
    while digits.len() < 3 && rest.len() >= 5 {
        let five = rest[..5].iter().fold(0, |code, bit| code << 1 | bit);
        if five < 3 {
            digits.push(b'0' + five);
            rest = &rest[5..];
        } else {
            let Some(six) = rest.get(..6) else { break };
            let six = six.iter().fold(0, |code, bit| code << 1 | bit);
            digits.push((b'3' + six).saturating_sub(0b01_1001));
            rest = &rest[6..];
        }
    }
    digits
}

/// Above every timeout of a gateway under attack.
const NOTHING: Duration = Duration::from_secs(8);

//! HTTP/1.1 as bytes on a socket, for both ends: heads, framings, chunks. A second reading of the protocol, independent of
//! the one under test, so that it sees what actually travelled.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A connection with a read buffer.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A start line and headers, in order, names as they were spelled.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    pub(crate) start: String,
    pub(crate) headers: Vec<(String, String)>,
}

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

/// A body while it is being read.
#[derive(Debug)]
pub(crate) struct BodyReader {
    framing: Framing,
    ended: bool,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Writes until everything is sent or the other end begins to answer: it may refuse a body that it has not read.
    pub(crate) async fn write_until_answered(&mut self, bytes: &[u8]) {
        let mut left = bytes;
        while !left.is_empty() {
            tokio::select! {
                biased;
                _ = self.stream.readable() => match self.stream.try_read_buf(&mut self.buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {},
                    Ok(_) | Err(_) => return,
                },
                _ = self.stream.writable() => match self.stream.try_write(left) {
                    Ok(written) => left = &left[written..],
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {},
                    Err(_) => return,
                },
            }
        }
    }

    /// Reads what is there; `Ok(0)` at the end of the connection. Safe to drop while it waits.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.buffer).await
    }

    /// The next head; `None` when the connection ends (or ended in the middle of one).
    pub(crate) async fn head(&mut self) -> Option<Head> {
        let length = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at;
            }
            if self.fill().await.ok()? == 0 {
                return None;
            }
        };
        let text = String::from_utf8_lossy(&self.buffer[..length]).into_owned();
        self.buffer.drain(..length + 4);
        let mut lines = text.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let headers = lines
            .map(|line| {
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                (name.to_owned(), value.trim().to_owned())
            })
            .collect();
        Some(Head { start, headers })
    }

    /// The next piece of a body, `None` at its proper end; an error when the connection ended before that.
    pub(crate) async fn piece(&mut self, body: &mut BodyReader) -> io::Result<Option<Vec<u8>>> {
        if body.ended {
            return Ok(None);
        }
        match body.framing {
            Framing::Length(0) => {
                body.ended = true;
                Ok(None)
            }
            Framing::Length(left) => {
                if self.buffer.is_empty() {
                    self.fill_or_cut().await?;
                }
                let taken = left.min(self.buffer.len());
                body.framing = Framing::Length(left - taken);
                Ok(Some(self.buffer.drain(..taken).collect()))
            }
            Framing::UntilClose => {
                if self.buffer.is_empty() && self.fill().await? == 0 {
                    body.ended = true;
                    return Ok(None);
                }
                Ok(Some(std::mem::take(&mut self.buffer)))
            }
            Framing::Chunked => {
                // Nothing is taken from the buffer before the chunk is complete: dropping this future loses no byte.
                loop {
                    if let Some((piece, used)) = chunk(&self.buffer)? {
                        self.buffer.drain(..used);
                        if piece.is_empty() {
                            body.ended = true;
                            return Ok(None);
                        }
                        return Ok(Some(piece));
                    }
                    self.fill_or_cut().await?;
                }
            }
        }
    }

    /// A whole body.
    pub(crate) async fn body(&mut self, framing: Framing) -> io::Result<Vec<u8>> {
        let mut reader = BodyReader::new(framing);
        let mut whole = Vec::new();
        while let Some(piece) = self.piece(&mut reader).await? {
            whole.extend_from_slice(&piece);
        }
        Ok(whole)
    }

    /// Takes nothing from now on, not even to acknowledge it: as if the machine at this end had lost its power.
    #[cfg(target_os = "linux")]
    pub(crate) fn vanish(&self) {
        // `ret #0`: of every packet nothing passes.
        let nothing = socket2::SockFilter::new(0x06, 0, 0, 0);
        socket2::SockRef::from(&self.stream).attach_filter(&[nothing]).unwrap();
    }

    /// Whether bytes arrived that nobody asked for yet.
    pub(crate) fn has_unread(&self) -> bool {
        !self.buffer.is_empty()
    }

    async fn fill_or_cut(&mut self) -> io::Result<()> {
        if self.fill().await? == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "cut short"));
        }
        Ok(())
    }
}

impl BodyReader {
    pub(crate) fn new(framing: Framing) -> Self {
        Self { framing, ended: false }
    }
}

impl Head {
    /// The one value of a header; a second one fails the test.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.all(name);
        let first = values.next();
        assert!(values.next().is_none(), "{name} occurs more than once: {:?}", self.headers);
        first
    }

    pub(crate) fn all<'h>(&'h self, name: &str) -> impl Iterator<Item = &'h str> {
        self.headers.iter().filter(move |(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// How a body after this head ends: `absent` when the head does not say.
    pub(crate) fn framing(&self, absent: Framing) -> Framing {
        match (self.header("transfer-encoding"), self.header("content-length")) {
            (Some(coding), None) => {
                assert_eq!(coding, "chunked", "the only transfer coding");
                Framing::Chunked
            }
            (None, Some(length)) => Framing::Length(length.parse().expect("a Content-Length is a number")),
            (None, None) => absent,
            (Some(_), Some(_)) => panic!("Transfer-Encoding beside Content-Length: {:?}", self.headers),
        }
    }
}

/// One chunk as it travels.
pub(crate) fn to_chunk(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// The end of a chunked body.
pub(crate) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Where `needle` begins.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// The first chunk's bytes and how long it was on the wire; empty for the last chunk; `None` while it is incomplete.
fn chunk(buffer: &[u8]) -> io::Result<Option<(Vec<u8>, usize)>> {
    let Some(line) = find(buffer, b"\r\n") else { return Ok(None) };
    let size = std::str::from_utf8(&buffer[..line]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
    let size = size.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no chunk size"))?;
    let end = line + 2 + size + 2;
    if buffer.len() < end {
        return Ok(None);
    }
    if &buffer[end - 2..end] != b"\r\n" {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a chunk without its end"));
    }
    Ok(Some((buffer[line + 2..end - 2].to_vec(), end)))
}

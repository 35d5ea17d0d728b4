//! Bytes on a connection of their own, as an attacker writes them, and every answer up to the end of the connection. Behind
//! them goes a last request that asks for the end, so that the end comes; whatever was hidden in front of it is answered too.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::wire::find;

/// An answer as it came.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// Everything that came back on a connection.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// In order; the interim ones (1xx) are not among them.
    pub(crate) all: Vec<Answer>,
    /// The statuses of interim answers.
    pub(crate) interim: Vec<u16>,
    /// What is no answer, or only a part of one.
    pub(crate) rest: Vec<u8>,
    /// Whether the gateway left the connection open for ever.
    pub(crate) open: bool,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.lines().filter_map(|line| line.split_once(':'));
        headers.filter(|(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Answers {
    /// Status of the first answer; 0 when the connection ended without one.
    pub(crate) fn status(&self) -> u16 {
        self.all.first().map_or(0, |answer| answer.status)
    }

    /// The first answer.
    pub(crate) fn first(&self) -> &Answer {
        self.all.first().expect("an answer")
    }

    pub(crate) fn statuses(&self) -> Vec<u16> {
        self.all.iter().map(|answer| answer.status).collect()
    }

    /// All that came, for somebody who looks for a word in it.
    pub(crate) fn everything(&self) -> Vec<u8> {
        let answers = self.all.iter().flat_map(|answer| [answer.head.as_bytes(), b"\n", &answer.body].concat());
        answers.chain(self.rest.iter().copied()).collect()
    }

    /// Takes apart what came back, where the first answer may be to HEAD.
    pub(crate) fn parse(bytes: &[u8], first_to_head: bool) -> Self {
        let mut answers = Self::default();
        let mut rest = bytes;
        while let Some((answer, left)) = parse_one(rest, first_to_head && answers.all.is_empty()) {
            rest = left;
            if answer.status < 200 {
                answers.interim.push(answer.status);
            } else {
                answers.all.push(answer);
            }
        }
        answers.rest = rest.to_vec();
        answers
    }
}

/// Sends `bytes` and then the request that asks for the end, and reads to the end.
pub(crate) async fn exchange(address: SocketAddr, host: &str, bytes: &[u8]) -> Answers {
    let last = format!("GET /the-end HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    to_the_end(address, &[bytes, last.as_bytes()].concat()).await
}

/// Sends `bytes` alone, and reads to the end.
pub(crate) async fn to_the_end(address: SocketAddr, bytes: &[u8]) -> Answers {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut from, mut to) = stream.into_split();
    let mut read = Vec::new();
    let sending = async {
        // The gateway may refuse before it has read everything.
        drop(to.write_all(bytes).await);
        std::future::pending::<()>().await;
    };
    let reading = async { while matches!(from.read_buf(&mut read).await, Ok(1..)) {} };
    let ended = tokio::time::timeout(OPEN_MAX, async {
        tokio::select! {
            () = sending => {}
            () = reading => {}
        }
    });
    let open = ended.await.is_err();
    let mut answers = Answers::parse(&read, bytes.starts_with(b"HEAD "));
    answers.open = open;
    answers
}

fn parse_one(bytes: &[u8], to_head: bool) -> Option<(Answer, &[u8])> {
    let end = find(bytes, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.strip_prefix("HTTP/1.1 ").or(head.strip_prefix("HTTP/1.0 "))?.get(..3)?.parse().ok()?;
    let mut answer = Answer { status, head, body: Vec::new() };
    let mut rest = &bytes[end + 4..];
    if to_head || status < 200 || status == 204 || status == 304 {
        return Some((answer, rest));
    }
    if let Some(length) = answer.header("content-length") {
        let length = length.parse().ok()?;
        answer.body = rest.get(..length)?.to_vec();
        return Some((answer, &rest[length..]));
    }
    if answer.header("transfer-encoding").is_none() {
        answer.body = rest.to_vec();
        return Some((answer, &[]));
    }
    loop {
        let line = find(rest, b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?, 16).ok()?;
        let chunk = rest.get(line + 2..line + 2 + size)?;
        rest = rest.get(line + 2 + size + 2..)?;
        if size == 0 {
            return Some((answer, rest));
        }
        answer.body.extend_from_slice(chunk);
    }
}

/// Far above every timeout of a gateway under attack.
const OPEN_MAX: Duration = Duration::from_secs(25);

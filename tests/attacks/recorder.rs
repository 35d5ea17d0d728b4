//! Stands between the gateway and the server and keeps every byte that the gateway sends, whatever the server made of it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// The recorder. Dropping it ends every connection.
#[derive(Debug)]
pub(crate) struct Recorder {
    address: SocketAddr,
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
    task: JoinHandle<()>,
}

impl Recorder {
    /// Records on the way to `server`.
    pub(crate) async fn in_front_of(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let log = sent.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let number = {
                    let mut log = log.lock().unwrap();
                    log.push(Vec::new());
                    log.len() - 1
                };
                connections.spawn(pass(stream, server, log.clone(), number));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, sent, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/upstream/mcp", self.address)
    }

    /// What was sent since this was asked last, connection by connection.
    pub(crate) fn take(&self) -> Vec<Vec<u8>> {
        let mut sent = self.sent.lock().unwrap();
        sent.iter_mut().map(std::mem::take).filter(|bytes| !bytes.is_empty()).collect()
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(gateway: TcpStream, server: SocketAddr, log: Arc<Mutex<Vec<Vec<u8>>>>, number: usize) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    drop((gateway.set_nodelay(true), server.set_nodelay(true)));
    let (mut from_gateway, mut to_gateway) = gateway.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = async {
        let mut buffer = Vec::with_capacity(BUFFER_BYTES);
        while matches!(from_gateway.read_buf(&mut buffer).await, Ok(1..)) {
            // Kept before the server can answer it: whoever saw the answer finds it here.
            log.lock().unwrap()[number].extend_from_slice(&buffer);
            if to_server.write_all(&buffer).await.is_err() {
                return;
            }
            buffer.clear();
        }
    };
    let answers = async {
        let mut buffer = Vec::with_capacity(BUFFER_BYTES);
        while matches!(from_server.read_buf(&mut buffer).await, Ok(1..)) {
            if to_gateway.write_all(&buffer).await.is_err() {
                return;
            }
            buffer.clear();
        }
    };
    tokio::select! {
        () = requests => {}
        () = answers => {}
    }
}

const BUFFER_BYTES: usize = 64 << 10;

//! The program itself, as a process, before the same fakes: its logs line by line, its audit log at the end, and signals.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tokio::sync::mpsc;

use super::gateway::{PATH, filled, replace, write_file};
use super::{AuthorizationServer, Client, McpServer, within};

/// `gatepost run`, killed when the test ends early.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) issuer: AuthorizationServer,
    pub(crate) mcp: McpServer,
    pub(crate) client: Client,
    pub(crate) address: SocketAddr,
    pub(crate) path: PathBuf,
    process: Child,
    logs: mpsc::Receiver<String>,
}

impl Program {
    /// Serves `file` with its issuer's keys. With `{listen}` for its address, as in `World::start`.
    pub(crate) async fn start(file: &str) -> Self {
        let path = write_file("");
        Self::start_in(file, path.clone(), path).await
    }

    /// The same with the file at `to`, which the process knows as `path`.
    pub(crate) async fn start_in(file: &str, to: PathBuf, path: PathBuf) -> Self {
        let (issuer, mcp) = (AuthorizationServer::up(), McpServer::up());
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        replace(&to, &filled(file, address, &issuer, &mcp));
        let host = address.to_string();
        mcp.ours("x-forwarded-for", "127.0.0.1");
        mcp.ours("x-forwarded-host", &host);
        mcp.ours("x-forwarded-proto", "http");
        mcp.ours("forwarded", &format!("for=127.0.0.1;host=\"{host}\";proto=http"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatepost"));
        command.args(["run", "--log-format", "json", "--config"]).arg(&path);
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let (sender, logs) = mpsc::channel(10_000);
        std::thread::spawn(move || lines.map_while(Result::ok).all(|line| sender.blocking_send(line).is_ok()));
        let mut program = Self { issuer, mcp, client: Client::new(address), address, path, process, logs };
        program.logged("listen ").await;
        let ready = async {
            let request = || program.client.get(PATH).header("Mcp-Session-Id", "none").token(&program.token("mcp"));
            while request().send().await.header("gatepost-reason") == Some("keys_unavailable") {}
        };
        within("the issuer's keys arrive", ready).await;
        program
    }

    /// Puts another file in the place of the one that it reads.
    pub(crate) fn write(&self, file: &str) {
        replace(&self.path, &filled(file, self.address, &self.issuer, &self.mcp));
    }

    /// A good token for the route at `PATH`.
    pub(crate) fn token(&self, scope: &str) -> String {
        self.issuer.token().aud(format!("http://{}{PATH}", self.address)).scope(scope).mint()
    }

    /// The next line of the log that holds `text`.
    pub(crate) async fn logged(&mut self, text: &str) -> String {
        let found = async {
            loop {
                let line = self.logs.recv().await.expect("the log goes on");
                if line.contains(text) {
                    return line;
                }
            }
        };
        within(text, found).await
    }

    /// What was logged and not looked at so far.
    pub(crate) fn logs(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.logs.try_recv().ok()).collect()
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.process.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for its end: the exit code, and the audit records.
    pub(crate) async fn ended(mut self) -> (Option<i32>, Vec<Value>) {
        let mut audit = self.process.stdout.take().unwrap();
        let read = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            audit.read_to_string(&mut text).map(|_| text)
        });
        let text = within("the process ends", read).await.unwrap().unwrap();
        let code = self.process.wait().unwrap().code();
        (code, text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already where `ended` was called.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

//! Where records and log lines go, by the binary as a process: files that are rotated, disks that are full, pipes that
//! nobody reads. Whatever happens, a record is whole, in order and in a line of its own.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{WAIT_MAX, schema};

/// A folder of a test's own.
struct Folder(PathBuf);

/// The serving process, killed when the test ends early.
struct Served {
    process: Child,
    address: String,
    client: Option<BufReader<TcpStream>>,
    /// What it logs, after the line that says where it listens.
    logs: Option<BufReader<ChildStderr>>,
}

/// An answer, as far as these tests look at it.
struct Answer {
    status: u16,
    head: String,
}

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("audit-{name}-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Served {
    /// `gatepost run` with the minimal example, a few records that may wait, and this under `audit`.
    fn start(folder: &Folder, audit: &str) -> Self {
        Self::start_as(folder, audit, &[env!("CARGO_BIN_EXE_gatepost")], "info")
    }

    fn start_as(folder: &Folder, audit: &str, program: &[&str], log_level: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let minimal = include_str!("../../config/minimal.yaml");
        let file = folder.file("gatepost.yaml");
        let audit = format!("audit: {{queue_records_max: {QUEUE}, {audit}}}");
        fs::write(&file, format!("listen: {address}\n{audit}\n{minimal}")).unwrap();
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).args(["run", "--log-format", "json", "--log-level", log_level, "--config"]);
        let command = command.arg(&file).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut logs = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("ok; listen") {
            line.clear();
            assert!(logs.read_line(&mut line).unwrap() > 0, "it ended");
        }
        Self { process, address, client: None, logs: Some(logs) }
    }

    /// A request that is refused, on the connection of the one before.
    fn request(&mut self) -> Answer {
        let address = &self.address;
        let client = self.client.get_or_insert_with(|| {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(WAIT_MAX)).unwrap();
            stream.set_nodelay(true).unwrap();
            BufReader::new(stream)
        });
        client.get_mut().write_all(format!("GET /mcp HTTP/1.1\r\nHost: {address}\r\n\r\n").as_bytes()).unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(client.read_line(&mut head).unwrap() > 0, "no answer: {head}");
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        client.read_exact(&mut vec![0; length.parse().unwrap()]).unwrap();
        Answer { status: head[9..12].parse().unwrap(), head }
    }

    /// As many requests, each of which is answered as if nothing were wrong.
    fn requests(&mut self, count: usize) {
        for number in 0..count {
            let answer = self.request();
            assert_eq!(answer.status, 401, "request {number}: {}", answer.head);
        }
    }

    /// Requests until one finds no room for its record; says how many were answered before.
    fn requests_until_full(&mut self) -> usize {
        for answered in 0..10_000 {
            let began = Instant::now();
            let answer = self.request();
            if answer.status == 401 {
                continue;
            }
            assert_eq!(answer.status, 503, "{}", answer.head);
            assert!(answer.head.contains("gatepost-reason: overloaded\r\nretry-after: 5\r\n"), "{}", answer.head);
            assert!(began.elapsed() >= Duration::from_secs(5), "it waited {:?}", began.elapsed());
            return answered;
        }
        panic!("ten thousand records found room");
    }

    fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.process.id().to_string()]).status().unwrap().success());
    }

    /// Begins to read standard output, to its end.
    fn read_output(&mut self) -> mpsc::Receiver<String> {
        let mut output = self.process.stdout.take().unwrap();
        let (whole, read) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let mut text = String::new();
            output.read_to_string(&mut text).unwrap();
            whole.send(text).unwrap();
        });
        read
    }

    /// SIGTERM; it ends well. Returns the rest of its log.
    fn stop(mut self) -> String {
        self.client = None;
        self.signal("-TERM");
        let mut logs = String::new();
        self.logs.take().unwrap().read_to_string(&mut logs).unwrap();
        assert_eq!(self.process.wait().unwrap().code(), Some(0), "{logs}");
        logs
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It has ended already where `stop` was called.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The numbers of the requests in a log of whole records, in its order.
fn numbers(log: &str) -> Vec<u64> {
    assert!(log.is_empty() || log.ends_with('\n'), "the last record is cut: {log}");
    let number = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        schema::check(&record);
        let (_, number) = record["request_id"].as_str().unwrap().split_once('-').unwrap();
        u64::from_str_radix(number, 16).unwrap()
    };
    log.lines().map(number).collect()
}

/// All requests from the first on, but for those that were refused for want of room.
fn all_but(count: usize, unrecorded: &[usize]) -> Vec<u64> {
    (0..count).filter(|number| !unrecorded.contains(number)).map(|number| number as u64).collect()
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < WAIT_MAX, "{what}: not within {WAIT_MAX:?}");
    }
}

#[test]
fn records_go_to_both_outputs_and_a_file_is_followed() {
    let folder = Folder::new("both");
    let log = folder.file("audit.log");
    let mut served = Served::start(&folder, "sink: both, file: audit.log");
    let output = served.read_output();
    let mut sent = 3;
    served.requests(sent);
    assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
    wait_until("the first record", || fs::metadata(&log).unwrap().len() > 0);
    // Rotated and told so; then rotated without a word; then removed.
    for (name, tell) in [("audit.log.1", true), ("audit.log.2", false)] {
        fs::rename(&log, folder.file(name)).unwrap();
        if tell {
            served.signal("-HUP");
        }
        wait_until("a new file", || {
            served.requests(1);
            sent += 1;
            log.exists()
        });
    }
    served.requests(2);
    sent += 2;
    served.stop();
    let files = ["audit.log.1", "audit.log.2", "audit.log"];
    let files = files.map(|name| numbers(&fs::read_to_string(folder.file(name)).unwrap()));
    assert!(files.iter().all(|file| !file.is_empty()));
    assert_eq!(files.concat(), all_but(sent, &[]), "each record is in one file, in order");
    assert_eq!(numbers(&output.recv_timeout(WAIT_MAX).unwrap()), all_but(sent, &[]));
}

#[test]
fn a_file_is_appended_to_and_standard_output_stays_empty() {
    let folder = Folder::new("append");
    fs::write(folder.file("audit.log"), "{\"cut by a cra").unwrap();
    for _ in 0..2 {
        let mut served = Served::start(&folder, "sink: file, file: audit.log");
        let output = served.read_output();
        served.requests(2);
        served.stop();
        assert_eq!(output.recv_timeout(WAIT_MAX).unwrap(), "");
    }
    let log = fs::read_to_string(folder.file("audit.log")).unwrap();
    let records = log.strip_prefix("{\"cut by a cra\n").unwrap();
    assert_eq!(numbers(records), [0, 1, 0, 1]);
}

#[test]
fn a_file_that_cannot_be_opened_is_said_before_a_socket_opens() {
    let folder = Folder::new("closed");
    let file = folder.file("gatepost.yaml");
    let minimal = include_str!("../../config/minimal.yaml");
    fs::write(&file, format!("audit: {{sink: file, file: socket}}\n{minimal}")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.file("socket")).unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_gatepost")).arg("run").arg("--config").arg(&file).output().unwrap();
    let said = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(78), "{said}");
    assert!(said.contains("audit.file: ") && said.contains("/socket cannot be appended to: "), "{said}");
}

#[test]
fn a_full_disk_costs_no_record() {
    let folder = Folder::new("full");
    let log = folder.file("audit.log");
    symlink("/dev/full", &log).unwrap();
    let mut served = Served::start(&folder, "sink: file, file: audit.log");
    served.requests(QUEUE);
    assert_eq!(served.requests_until_full(), 0);
    // There is room again, under the same name.
    symlink(folder.file("disk"), folder.file("next")).unwrap();
    fs::rename(folder.file("next"), &log).unwrap();
    served.requests(5);
    let logs = served.stop();
    let expect = all_but(QUEUE + 1 + 5, &[QUEUE]);
    assert_eq!(numbers(&fs::read_to_string(folder.file("disk")).unwrap()), expect);
    let told = ["audit records cannot be written; they are kept", "No space left", "audit records are written again"];
    assert!(told.iter().all(|words| logs.contains(words)), "{logs}");
    assert_eq!(logs.matches("cannot be written").count(), 1, "once, not at every attempt: {logs}");
}

#[test]
fn a_full_disk_costs_records_alone_where_the_file_says_drop() {
    let folder = Folder::new("drop");
    let log = folder.file("audit.log");
    symlink("/dev/full", &log).unwrap();
    let mut served = Served::start(&folder, "sink: file, file: audit.log, on_stall: drop");
    served.requests(5 * QUEUE);
    symlink(folder.file("disk"), folder.file("next")).unwrap();
    fs::rename(folder.file("next"), &log).unwrap();
    let disk = folder.file("disk");
    wait_until("what was kept", || fs::read_to_string(&disk).is_ok_and(|log| log.lines().count() == QUEUE));
    served.requests(3);
    let logs = served.stop();
    let expect = [all_but(QUEUE, &[]), all_but(5 * QUEUE + 3, &[]).split_off(5 * QUEUE)].concat();
    assert_eq!(numbers(&fs::read_to_string(disk).unwrap()), expect, "the oldest are kept");
    assert!(logs.contains("too many audit records wait: those to come are dropped"), "{logs}");
}

#[test]
fn a_record_that_a_full_disk_cuts_is_completed() {
    let folder = Folder::new("cut");
    let limited = "trap '' XFSZ; exec prlimit --fsize=1000:unlimited \"$0\" \"$@\"";
    let program = ["sh", "-c", limited, env!("CARGO_BIN_EXE_gatepost")];
    let mut served = Served::start_as(&folder, "sink: file, file: audit.log", &program, "info");
    served.requests(8);
    let log = folder.file("audit.log");
    wait_until("a cut", || fs::metadata(&log).unwrap().len() == 1000);
    assert!(!fs::read_to_string(&log).unwrap().ends_with('\n'), "in the middle of a record");
    let id = served.process.id().to_string();
    assert!(Command::new("prlimit").args(["--pid", &id, "--fsize=unlimited"]).status().unwrap().success());
    served.requests(1);
    served.stop();
    assert_eq!(numbers(&fs::read_to_string(&log).unwrap()), all_but(9, &[]));
}

#[test]
fn requests_wait_for_a_pipe_that_nobody_reads_and_then_go_on() {
    let folder = Folder::new("pipe");
    let mut served = Served::start(&folder, "on_stall: block");
    let answered = served.requests_until_full();
    assert!(answered > QUEUE);
    let output = served.read_output();
    served.requests(5);
    served.stop();
    let log = output.recv_timeout(WAIT_MAX).unwrap();
    assert_eq!(numbers(&log), all_but(answered + 1 + 5, &[answered]));
}

#[test]
fn a_pipe_that_nobody_reads_keeps_no_record_from_the_file() {
    let folder = Folder::new("both-stalled");
    let mut served = Served::start(&folder, "sink: both, file: audit.log");
    let answered = served.requests_until_full();
    let log = folder.file("audit.log");
    wait_until("the file has all", || numbers(&fs::read_to_string(&log).unwrap()) == all_but(answered, &[]));
    let output = served.read_output();
    served.requests(1);
    served.stop();
    let expect = all_but(answered + 2, &[answered]);
    assert_eq!(numbers(&fs::read_to_string(&log).unwrap()), expect);
    assert_eq!(numbers(&output.recv_timeout(WAIT_MAX).unwrap()), expect);
}

#[test]
fn requests_go_on_beside_a_pipe_that_nobody_reads_where_the_file_says_drop() {
    let folder = Folder::new("pipe-drop");
    let mut served = Served::start(&folder, "on_stall: drop");
    served.requests(1000);
    let output = served.read_output();
    let logs = served.stop();
    let kept = numbers(&output.recv_timeout(WAIT_MAX).unwrap());
    assert!((QUEUE..1000).contains(&kept.len()), "{}", kept.len());
    assert!(kept.is_sorted());
    assert!(logs.contains("those to come are dropped"), "{logs}");
}

/// THREATS R17.
#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    let folder = Folder::new("stderr");
    let program = [env!("CARGO_BIN_EXE_gatepost")];
    let mut served = Served::start_as(&folder, "on_stall: block", &program, "trace");
    let output = served.read_output();
    // Each logs some lines: the pipe and the queue are full long before the end.
    served.requests(3000);
    served.client = None;
    served.signal("-TERM");
    let began = Instant::now();
    assert_eq!(served.process.wait().unwrap().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(numbers(&output.recv_timeout(WAIT_MAX).unwrap()).len(), 3000);
    let mut logs = String::new();
    served.logs.take().unwrap().read_to_string(&mut logs).unwrap();
    // What does not fit whole is not begun, and leaves room in the pipe's pages.
    assert!(logs.len() > 1 << 15, "the pipe was full: {}", logs.len());
}

/// Records that may wait.
const QUEUE: usize = 16;

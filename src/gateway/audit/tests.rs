//! What waits and what is dropped while an output stalls.

use std::sync::mpsc::{Receiver, sync_channel};

use super::*;
use crate::gateway::secret::SecretKey;

/// Takes nothing until it is let go.
struct Stuck(Receiver<()>);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // An error says that it was let go for good.
        let _let_go = self.0.recv();
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const RECORDS_MAX: usize = 64;

fn settings(on_stall: OnStall) -> AuditSettings {
    AuditSettings { on_stall, queue_records_max: RECORDS_MAX, ..AuditSettings::default() }
}

fn stuck(on_stall: OnStall) -> (std::sync::mpsc::SyncSender<()>, AuditSink) {
    let (let_go, stuck) = sync_channel(0);
    (let_go, AuditSink::start(Stuck(stuck)).unwrap().with_settings(&settings(on_stall)))
}

#[test]
fn an_output_that_stalls_blocks_no_thread() {
    let (let_go, sink) = stuck(OnStall::Block);
    let (done, finished) = sync_channel(1);
    std::thread::spawn(move || {
        for _ in 0..2 * RECORDS_MAX {
            sink.write(vec![b'x'; 64]);
        }
        done.send(()).unwrap();
    });
    assert!(finished.recv_timeout(Duration::from_secs(10)).is_ok(), "a thread waits for the output");
    drop(let_go);
}

#[tokio::test(start_paused = true)]
async fn requests_wait_for_an_output_that_stalls_and_are_refused_after_a_while() {
    let (let_go, sink) = stuck(OnStall::Block);
    assert_eq!(sink.room().await, Ok(()));
    for _ in 0..2 * RECORDS_MAX {
        sink.write(vec![b'x'; 64]);
    }
    let began = tokio::time::Instant::now();
    assert_eq!(sink.room().await, Err(Failure::Overloaded { retry_after_secs: 5, limit: "audit.queue_records_max" }));
    assert_eq!(began.elapsed().as_secs(), 5);
    let sent = sink.stats().outputs[0];
    assert_eq!((sent.queued, sent.written, sent.dropped), (2 * RECORDS_MAX, 0, 0), "what was let in is kept");
    drop(let_go);
    sink.flush();
    assert_eq!(sink.room().await, Ok(()));
    assert_eq!(sink.stats().outputs[0].written, 2 * RECORDS_MAX as u64);
}

#[tokio::test(start_paused = true)]
async fn few_records_fill_the_queue_if_they_are_long() {
    let (let_go, sink) = stuck(OnStall::Block);
    for _ in 0..QUEUE_BYTES_MAX / (1 << 20) {
        assert_eq!(sink.room().await, Ok(()));
        sink.write(vec![b'x'; 1 << 20]);
    }
    assert!(sink.room().await.is_err());
    drop(let_go);
}

#[tokio::test]
async fn records_are_dropped_and_counted_where_the_file_says_so() {
    let (let_go, sink) = stuck(OnStall::Drop);
    for _ in 0..2 * RECORDS_MAX {
        assert_eq!(sink.room().await, Ok(()));
        sink.write(vec![b'x'; 64]);
    }
    let sent = sink.stats().outputs[0];
    assert_eq!((sent.queued, sent.dropped), (RECORDS_MAX, RECORDS_MAX as u64));
    drop(let_go);
    sink.flush();
    let sent = sink.stats().outputs[0];
    assert_eq!((sent.queued, sent.written), (0, RECORDS_MAX as u64));
}

/// Of two outputs.
#[tokio::test(start_paused = true)]
async fn an_output_that_stalls_keeps_no_record_from_the_other() {
    let (let_go, stuck) = sync_channel(0);
    let (fine, lines) = sync_channel(1000);
    let outputs = [Output::stream(Stuck(stuck)), Output::stream(Lines(fine))];
    let both = |lanes: &Lanes| {
        let names = ["stuck", "fine"].into_iter();
        names.zip(outputs).map(|(name, output)| lanes.add(Lane::start(name, output, true))).collect()
    };
    let sink = AuditSink::new(both).unwrap().with_settings(&settings(OnStall::Block));
    for number in 0..RECORDS_MAX {
        assert_eq!(sink.room().await, Ok(()));
        sink.write(number.to_string().into_bytes());
    }
    assert!(sink.room().await.is_err(), "a record that one of them cannot keep is no record");
    let expect = (0..RECORDS_MAX).map(|number| format!("{number}\n")).collect::<Vec<_>>().concat();
    let mut read = String::new();
    while read.len() < expect.len() {
        read += &lines.recv().unwrap();
    }
    assert_eq!(read, expect);
    while sink.stats().outputs[1].queued > 0 {
        std::thread::yield_now();
    }
    let dropping = sink.clone().with_settings(&settings(OnStall::Drop));
    assert_eq!(dropping.room().await, Ok(()));
    dropping.write(b"one more".to_vec());
    assert_eq!(lines.recv().unwrap(), "one more\n");
    assert_eq!(sink.stats().outputs.iter().map(|output| output.dropped).collect::<Vec<_>>(), [1, 0]);
    drop(let_go);
}

struct Lines(std::sync::mpsc::SyncSender<String>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(String::from_utf8(bytes.to_vec()).unwrap()).map_err(io::Error::other)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn outputs_that_stay_are_kept_when_the_file_changes() {
    let folder = std::env::temp_dir().join(format!("gatepost-audit-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let to = |to| AuditSettings { to, ..AuditSettings::default() };
    let path = folder.join("a.log");
    let sink = AuditSink::open(&to(AuditTo::File(path.clone()))).unwrap();
    let both = sink.with_outputs(&to(AuditTo::Both(path))).unwrap();
    assert!(sink.lanes[0].is(&both.lanes[1]));
    assert!(sink.next_request_id() != both.next_request_id(), "ids go on");
    assert_eq!(sink.digest("{}"), both.digest("{}"), "and so does the key");
    let other = both.with_outputs(&to(AuditTo::Both(folder.join("b.log")))).unwrap();
    assert!(both.lanes[0].is(&other.lanes[0]));
    assert!(!both.lanes[1].is(&other.lanes[1]));
    let back = other.with_outputs(&to(AuditTo::File(folder.join("a.log")))).unwrap();
    assert!(sink.lanes[0].is(&back.lanes[0]), "a request that began with it still has it");
    let refused = both.with_outputs(&to(AuditTo::File(folder.join("none/c.log")))).unwrap_err();
    assert!(refused.contains("c.log cannot be appended to: No such file"), "{refused}");
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn what_waits_for_an_output_of_an_old_file_is_still_written() {
    let (let_go, stuck) = sync_channel(0);
    let (fine, written) = sync_channel(1000);
    let lanes = Lanes::default();
    let old = lanes.add(Lane::start("old", Output::stream(Reluctant(stuck, Lines(fine))), true)).unwrap();
    old.push(Arc::from(*b"one\n"));
    old.push(Arc::from(*b"two\n"));
    drop(old);
    assert_eq!(lanes.flush(Duration::from_millis(1)), [("old", 2)], "nobody has it, and it goes on");
    // A write that fails is tried again.
    let_go.send(()).unwrap();
    let_go.send(()).unwrap();
    let again = lanes.to(None).expect("what another file names again is the same");
    again.push(Arc::from(*b"three\n"));
    drop((again, let_go));
    assert_eq!(written.iter().collect::<String>(), "one\ntwo\nthree\n");
    while !lanes.stats().is_empty() {
        std::thread::yield_now();
    }
    assert!(lanes.to(None).is_none(), "its thread is done");
}

/// Fails each time it is let go, and works once it is let go for good.
struct Reluctant(Receiver<()>, Lines);

impl Write for Reluctant {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.recv() {
            Ok(()) => Err(io::ErrorKind::StorageFull.into()),
            Err(_) => self.1.write(bytes),
        }
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_digest_of_arguments_is_what_anybody_with_the_key_computes() {
    let key = Some(SecretKey::new(&[b'k'; 32]));
    let sink = AuditSink::start(io::sink()).unwrap();
    let keyed = sink.clone().with_settings(&AuditSettings { digest_key: key, ..AuditSettings::default() });
    // printf '{"id":1}' | openssl dgst -sha256 -hmac kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk
    assert_eq!(keyed.digest(r#"{"id":1}"#), "c0d36ce9197b201815049c0224cc620eb1eb305e592f0faaa2428ff668dd977c");
    assert_ne!(sink.digest(r#"{"id":1}"#), keyed.digest(r#"{"id":1}"#));
}

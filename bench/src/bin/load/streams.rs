//! Event streams that stay open, and how late their events come.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gatepost_bench::account;
use http_body_util::BodyExt as _;
use tokio::sync::Semaphore;
use tokio::task::LocalSet;

use crate::client::{Client, Requests, Sender};
use crate::{Failed, Specification, Tally};

pub(crate) async fn run(specification: Specification) -> Result<Tally, Failed> {
    let client = Arc::new(Client::new(&specification)?);
    let requests = Rc::new(RefCell::new(Requests::new(&specification)?));
    let tally = Rc::new(RefCell::new(Tally::default()));
    let Specification { connections, status, millis, pids, .. } = specification;
    tally.borrow_mut().before_kib = account::held_kib(&pids);
    let opened = Rc::new(Semaphore::new(0));
    let opening = Rc::new(Semaphore::new(OPENING_MAX));
    let tasks = LocalSet::new();
    for _ in 0..connections {
        let (client, requests, tally) = (Arc::clone(&client), Rc::clone(&requests), Rc::clone(&tally));
        let (opened, opening) = (Rc::clone(&opened), Rc::clone(&opening));
        tasks.spawn_local(async move {
            let stream = async {
                let permit = opening.acquire().await?;
                let (mut sender, _) = client.connect().await?;
                let request = requests.borrow_mut().make().ok_or("no request")?;
                let answer = sender.send(request).await?;
                if answer.status() != status {
                    return Err(answer.status().to_string().into());
                }
                drop(permit);
                opened.add_permits(1);
                read(sender, answer.into_body(), &tally).await
            };
            if let Err(error) = stream.await {
                tally.borrow_mut().fail(&error);
                opened.add_permits(1);
            }
        });
    }
    tasks
        .run_until(async {
            let all = u32::try_from(connections)?;
            let _all = opened.acquire_many(all).await?;
            // Every stream has had an event by then.
            tokio::time::sleep(SETTLED).await;
            tally.borrow_mut().begin(&pids);
            tokio::time::sleep(Duration::from_millis(millis)).await;
            let mut tally = tally.borrow_mut();
            tally.end(&pids);
            tally.with_kib = account::held_kib(&pids);
            Ok(std::mem::take(&mut *tally))
        })
        .await
}

/// Reads to the end, which is a fault.
async fn read(_connected: Sender, mut body: hyper::body::Incoming, tally: &RefCell<Tally>) -> Result<(), Failed> {
    let mut line = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?;
        for byte in data {
            if byte != b'\n' {
                line.push(byte);
                continue;
            }
            if let Some(sent) = sent(&line) {
                tally.borrow_mut().times.record(now.saturating_sub(sent));
            }
            line.clear();
        }
    }
    Err("a stream ended".into())
}

/// When the event of this line was sent.
fn sent(line: &[u8]) -> Option<u64> {
    let line = std::str::from_utf8(line).ok()?;
    let (_, after) = line.split_once("\"sent_ns\":")?;
    after.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

/// Streams that are being opened at a time.
const OPENING_MAX: usize = 64;
/// From the opening of the last stream until counting begins.
const SETTLED: Duration = Duration::from_secs(3);

//! Requests that are answered: in a closed loop, at a fixed rate, or each on a connection of its own.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{Response, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::{Mutex, mpsc};
use tokio::task::LocalSet;
use tokio::time::Instant;

use crate::client::{Client, Requests, Sender, Shared};
use crate::{Failed, Specification, Tally, Way};

/// What all connections share. One thread: no lock is ever waited for.
struct Course {
    specification: Specification,
    requests: RefCell<Requests>,
    tally: RefCell<Tally>,
    answered: RefCell<u64>,
    over: RefCell<bool>,
}

pub(crate) async fn run(specification: Specification) -> Result<Tally, Failed> {
    let client = Arc::new(Client::new(&specification)?);
    let course = Rc::new(Course {
        requests: RefCell::new(Requests::new(&specification)?),
        tally: RefCell::default(),
        answered: RefCell::new(0),
        over: RefCell::new(false),
        specification,
    });
    if course.specification.warm_requests == 0 {
        course.begin();
    }
    let tasks = LocalSet::new();
    match course.specification.way {
        Way::Connect => {
            for _ in 0..course.specification.connections {
                tasks.spawn_local(connect_each(Rc::clone(&course), Arc::clone(&client)));
            }
        }
        Way::Closed | Way::Rate | Way::Streams => {
            let due = course.pace();
            for _ in 0..course.specification.connections {
                let (mut sender, _) = client.connect().await?;
                for _ in 1..course.specification.streams {
                    let Some(another) = sender.share() else { break };
                    let sender = std::mem::replace(&mut sender, another);
                    tasks.spawn_local(Rc::clone(&course).send(Arc::clone(&client), sender, due.clone()));
                }
                tasks.spawn_local(Rc::clone(&course).send(Arc::clone(&client), sender, due.clone()));
            }
        }
    }
    tasks.await;
    if !*course.over.borrow() {
        course.end();
    }
    let tally = course.tally.take();
    Ok(tally)
}

/// When requests are due, for whoever is free to send the next.
type Due = Option<Rc<Mutex<mpsc::UnboundedReceiver<Instant>>>>;

impl Course {
    /// At a fixed rate a thread of its own says when each request is due: the runtime's timers are a millisecond coarse.
    fn pace(&self) -> Due {
        if self.specification.way != Way::Rate {
            return None;
        }
        let (due, dues) = mpsc::unbounded_channel();
        let period = Duration::from_secs_f64(1.0 / self.specification.rate);
        std::thread::spawn(move || {
            let began = Instant::now();
            for number in 0_u32.. {
                let next = began + period * number;
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
                if due.send(next).is_err() {
                    return;
                }
            }
        });
        Some(Rc::new(Mutex::new(dues)))
    }

    async fn send(self: Rc<Self>, client: Shared, mut sender: Sender, due: Due) {
        while !*self.over.borrow() {
            let since = match &due {
                None => Instant::now(),
                Some(due) => match due.lock().await.recv().await {
                    Some(due) => due,
                    None => return,
                },
            };
            if *self.over.borrow() {
                return;
            }
            let Some(request) = self.requests.borrow_mut().make() else { return };
            let answer = sender.send(request).await;
            // Some close the connection after a refusal: what that costs is a part of their refusals.
            let closes = answer
                .as_ref()
                .is_ok_and(|answer| answer.headers().get(header::CONNECTION).is_some_and(|it| it == "close"));
            if !self.answered(answer, since).await {
                return;
            }
            if closes {
                sender = match client.connect().await {
                    Ok((connected, _)) => connected,
                    Err(error) => return self.tally.borrow_mut().fail(&error),
                };
            }
        }
    }

    /// Counts an answer, when all of it is there; whether the connection can go on.
    async fn answered(&self, answer: Result<Response<Incoming>, Failed>, since: Instant) -> bool {
        let whole = match answer {
            Ok(answer) => read(answer).await,
            Err(error) => Err(error),
        };
        let mut tally = self.tally.borrow_mut();
        if *self.over.borrow() {
            return false;
        }
        match whole {
            Ok(status) if status == self.specification.status => tally.time(since),
            Ok(status) => tally.fail(&status),
            Err(error) => {
                tally.fail(&error);
                return false;
            }
        }
        drop(tally);
        self.count();
        true
    }

    fn count(&self) {
        let Specification { warm_requests, requests, millis, .. } = self.specification;
        let mut answered = self.answered.borrow_mut();
        *answered += 1;
        if *answered == warm_requests {
            self.begin();
        }
        // A connection that was slow to connect must not count as warm.
        let began = self.tally.borrow().span.as_ref().map(|span| span.began);
        let out_of_time = began.is_some_and(|began| began.elapsed() >= Duration::from_millis(millis));
        if out_of_time || requests.is_some_and(|requests| *answered >= warm_requests + requests) {
            self.end();
        }
    }

    fn begin(&self) {
        self.tally.borrow_mut().begin(&self.specification.pids);
    }

    fn end(&self) {
        self.tally.borrow_mut().end(&self.specification.pids);
        *self.over.borrow_mut() = true;
    }
}

async fn connect_each(course: Rc<Course>, client: Shared) {
    while !*course.over.borrow() {
        let since = Instant::now();
        let (mut sender, resumed) = match client.connect().await {
            Ok(connected) => connected,
            Err(error) => {
                course.tally.borrow_mut().fail(&error);
                return;
            }
        };
        let Some(request) = course.requests.borrow_mut().make() else { return };
        let answer = sender.send(request).await;
        if !course.answered(answer, since).await {
            return;
        }
        course.tally.borrow_mut().resumed += u64::from(resumed);
    }
}

/// Reads all of an answer.
async fn read(answer: Response<Incoming>) -> Result<u16, Failed> {
    let (head, mut body) = answer.into_parts();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    Ok(head.status.as_u16())
}

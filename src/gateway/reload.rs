//! Reads the file again, when it is told to and when a file that was read has changed, and puts what it says in force. All
//! or nothing: a file that cannot be used changes nothing, and is reported once.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::serving::Serving;
use super::settings::{Settings, Tls};
use super::{Gateway, changes};
use crate::token::clock;

/// What reading the file led to.
#[derive(Debug)]
pub struct Loaded {
    /// What it says, or all that is wrong with it, for the log.
    pub settings: Result<Settings, String>,
    /// What in it may not be meant, a line each.
    pub warnings: Vec<String>,
    /// Every file that was read, or should have been.
    pub files: Vec<Watched>,
}

/// A file or folder that is read, and how it looked before it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    path: PathBuf,
    /// `None`: it was not there.
    look: Option<Look>,
}

/// What differs after a file was written, replaced, or swapped by a symbolic link on the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Look {
    /// Device and inode.
    which: (u64, u64),
    length: u64,
    /// Of its content and of what is said about it, in seconds and nanoseconds.
    changed: [(i64, i64); 2],
}

/// How reloading went so far; what the process started with counts as its first success.
#[derive(Debug)]
pub struct Reloads {
    succeeded: AtomicU64,
    failed: AtomicU64,
    last: Mutex<Last>,
}

#[derive(Debug)]
struct Last {
    success: SystemTime,
    /// Of the last attempt, if it failed.
    error: Option<String>,
}

impl Watched {
    /// This file as it looks now.
    #[must_use]
    pub fn now(path: &Path) -> Self {
        let look = fs::metadata(path).ok().map(|file| Look {
            which: (file.dev(), file.ino()),
            length: file.len(),
            changed: [(file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec())],
        });
        Self { path: path.to_owned(), look }
    }
}

impl Default for Reloads {
    fn default() -> Self {
        let last = Last { success: clock::wall_time(), error: None };
        Self { succeeded: AtomicU64::new(0), failed: AtomicU64::new(0), last: Mutex::new(last) }
    }
}

impl Reloads {
    /// How often a file was read again and put in force.
    #[must_use]
    pub fn succeeded(&self) -> u64 {
        self.succeeded.load(Ordering::Relaxed)
    }

    /// How often one was read again and could not be used.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// When what is in force was read.
    #[must_use]
    pub fn last_success(&self) -> SystemTime {
        self.last().success
    }

    /// Why the last attempt failed; `None` if it did not.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        self.last().error.clone()
    }

    fn note(&self, outcome: &Result<String, String>) {
        let (count, mut last) = match outcome {
            Ok(_) => (&self.succeeded, Last { success: clock::wall_time(), error: None }),
            Err(error) => (&self.failed, Last { success: clock::wall_time(), error: Some(error.clone()) }),
        };
        count.fetch_add(1, Ordering::Relaxed);
        let mut kept = self.last();
        if last.error.is_some() {
            last.success = kept.success;
        }
        *kept = last;
    }

    /// No code that can panic holds the lock, so a poisoned one holds what it should.
    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Serving {
    /// Reads again with `load` whenever it is `asked` to, and when one of `files`, or of those that were read later, has
    /// changed and then stayed as it is for a moment: nobody reads a file that is being written. One that cannot be used is
    /// tried again now and then, and silently while what is wrong is the same: it may not be the file (no descriptors are
    /// left, a disk does not answer). Never ends.
    pub async fn reload_on_change(
        self: Arc<Self>,
        mut files: Vec<Watched>,
        asked: Arc<Notify>,
        load: impl Fn() -> Loaded + Send + Sync + 'static,
    ) {
        let load = Arc::new(load);
        let mut before = files.clone();
        let mut read_at = Instant::now();
        let mut polls = interval(POLL);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut again = false;
            tokio::select! {
                () = asked.notified() => {}
                _ = polls.tick() => {
                    let paths = files.clone();
                    let look = move || paths.iter().map(|file| Watched::now(&file.path)).collect();
                    let now: Vec<Watched> = tokio::task::spawn_blocking(look).await.unwrap_or_else(|_| files.clone());
                    let settled = now == before;
                    before = now;
                    again = before == files;
                    if !settled || (again && !(self.reloads().error().is_some() && read_at.elapsed() >= RETRY)) {
                        continue;
                    }
                }
            }
            let (serving, load) = (Arc::clone(&self), Arc::clone(&load));
            read_at = Instant::now();
            match tokio::task::spawn_blocking(move || serving.attempt(load(), again)).await {
                Ok(read) => (files, before) = (read.clone(), read),
                Err(error) => {
                    self.reloads().note(&Err(format!("this is a bug, please report it: {error}")));
                    tracing::error!(%error, "the file could not be read again: please report this");
                    files.clone_from(&before);
                }
            }
        }
    }

    /// Puts what was read in force, or changes nothing, and says which in the log. Returns the files that were read. Reads
    /// files itself: not for a thread that serves. One call at a time; within a tokio runtime.
    pub fn take(&self, loaded: Loaded) -> Vec<Watched> {
        self.attempt(loaded, false)
    }

    /// The same; where it is tried `again`, and nothing has come of it but what is known, nothing is said.
    fn attempt(&self, loaded: Loaded, again: bool) -> Vec<Watched> {
        let Loaded { settings, warnings, files } = loaded;
        let outcome = settings.and_then(|settings| self.put_in_force(settings));
        if again && outcome.as_ref().err() == self.reloads().error().as_ref() {
            return files;
        }
        self.reloads().note(&outcome);
        match outcome {
            Ok(changes) => {
                tracing::info!("the file was read again: {changes}");
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
            }
            Err(error) => {
                tracing::error!("the file was read again and cannot be used; what was read before serves on: {error}");
            }
        }
        files
    }

    fn put_in_force(&self, mut settings: Settings) -> Result<String, String> {
        let before = self.current();
        stays_reachable(&settings, &before)?;
        let now = before.settings();
        for (key, differs) in [
            ("listen", settings.listen != now.listen),
            ("admin.listen", settings.admin != now.admin),
            ("threads", settings.threads != now.threads),
        ] {
            if differs {
                tracing::warn!("`{key}` has changed, which needs a restart; the rest of the file is in force without");
            }
        }
        (settings.listen, settings.admin, settings.threads) = (now.listen, now.admin, now.threads);
        self.renew(settings)?;
        Ok(changes::between(&before, &self.current()))
    }
}

/// Refuses what would be right on the new address alone.
fn stays_reachable(settings: &Settings, before: &Gateway) -> Result<(), String> {
    let listening = before.settings().listen;
    if settings.listen == listening {
        return Ok(());
    }
    let restart = "restart to take it, or give the keys one by one";
    if settings.tls == Tls::Off && !listening.ip().is_loopback() {
        // Tokens would cross the network in the clear.
        return Err(format!(
            "`listen` has moved to loopback and `tls` is gone, but {listening} is still served; {restart}"
        ));
    }
    let listen = settings.listen.to_string();
    let mut urls = std::iter::once(&settings.public_url).chain(settings.routes.iter().map(|route| &route.public_url));
    if let Some(url) = urls.find(|url| url.authority() == listen) {
        return Err(format!("clients are sent to {}, where nobody listens before a restart; {restart}", url.as_str()));
    }
    Ok(())
}

/// How often files are looked at. What changed must look the same twice.
const POLL: Duration = Duration::from_millis(250);
/// How often one that cannot be used is tried again.
const RETRY: Duration = Duration::from_secs(5);

//! Refreshes the keys of one issuer in the background: at once at start, ahead of expiry, when a request asks, and with a
//! growing pause after a failure. One task for each issuer makes every fetch, so there is never more than one under way.
//! A failure never takes usable keys away.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::jwks::{self, Fingerprint, KeySet};
use super::keys::IssuerKeys;
use super::{Algorithm, Fetch, IssuerSettings, KeySource, discovery};

/// Bounds of how long an answer counts as fresh, whatever it says of itself.
const FRESH_MIN: Duration = Duration::from_mins(1);
const FRESH_MAX: Duration = Duration::from_hours(1);
const FRESH_DEFAULT: Duration = Duration::from_mins(5);
/// How often a key file is read again.
const FILE_PERIOD: Duration = Duration::from_secs(10);
/// The pause after a failure doubles from the first to the second.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// The pause after a failure to fetch metadata that only the relay needs.
const METADATA_PAUSE: Duration = Duration::from_mins(1);

/// The task's own state.
pub(super) struct Refresher {
    settings: IssuerSettings,
    keys: Arc<IssuerKeys>,
    fetch: Arc<dyn Fetch>,
    /// Where the metadata says that the keys are.
    discovered: Option<String>,
    /// The keys were not there: the metadata is asked again.
    moved: bool,
    keys_due: Instant,
    /// `None`: never, the keys come from a file.
    metadata_due: Option<Instant>,
    failures: u32,
    /// What was logged last, so that a lasting fault is not logged on every round.
    logged: String,
    /// SHA-256 of the last document: unchanged bytes are not read again.
    document: Option<Fingerprint>,
}

impl Refresher {
    /// Prepares refreshing. A key file is read here and now, and must hold a usable key.
    pub(super) fn new(settings: IssuerSettings, keys: Arc<IssuerKeys>, fetch: Arc<dyn Fetch>) -> Result<Self, String> {
        let now = Instant::now();
        let mut refresher = Self {
            keys,
            fetch,
            discovered: None,
            moved: false,
            keys_due: now,
            metadata_due: matches!(settings.keys, KeySource::Uri(_)).then_some(now),
            failures: 0,
            logged: String::new(),
            document: None,
            settings,
        };
        if let KeySource::File(path) = &refresher.settings.keys {
            let path = path.clone();
            let document = read_file(&path).map_err(|reason| format!("{}: {reason}", path.display()))?;
            let set = refresher.import(&document).map_err(|reason| format!("{}: {reason}", path.display()))?;
            refresher.keys.end_round(Ok(set));
            refresher.keys_due = now + FILE_PERIOD;
        }
        Ok(refresher)
    }

    /// Refreshes for ever; ends when its task is aborted.
    pub(super) async fn run(mut self) {
        loop {
            let now = Instant::now();
            let keys = Arc::clone(&self.keys);
            if keys.is_wanted() || self.keys_due <= now {
                self.refresh_keys().await;
                continue;
            }
            match self.metadata_due {
                // A request that waits for a key goes before the relay.
                Some(due) if due <= now => tokio::select! {
                    () = self.refresh_metadata() => {}
                    () = keys.wanted() => {}
                },
                due => {
                    let next = due.map_or(self.keys_due, |due| due.min(self.keys_due));
                    tokio::select! {
                        () = tokio::time::sleep_until(next) => {}
                        () = keys.wanted() => {}
                    }
                }
            }
        }
    }

    /// One round: ends with new keys or leaves the old ones.
    async fn refresh_keys(&mut self) {
        self.keys.begin_round();
        let outcome = self.fetch_keys().await;
        let now = Instant::now();
        match outcome {
            Ok((set, fresh)) => {
                if self.failures > 0 {
                    tracing::info!(issuer = self.settings.issuer.as_str(), keys = set.len(), "keys refreshed again");
                    self.logged.clear();
                }
                self.failures = 0;
                self.keys_due = now + ahead(fresh);
                self.keys.end_round(Ok(set));
            }
            Err(reason) => {
                self.keys_due = now + pause(self.failures);
                self.failures = self.failures.saturating_add(1);
                self.moved = true;
                self.log(format!("keys could not be refreshed: {reason}"));
                self.keys.end_round(Err(reason));
            }
        }
    }

    async fn fetch_keys(&mut self) -> Result<(Arc<KeySet>, Duration), String> {
        let source = self.settings.keys.clone();
        let url = match source {
            KeySource::File(path) => {
                let name = path.display().to_string();
                let document = tokio::task::spawn_blocking(move || read_file(&path)).await;
                let document = document.unwrap_or_else(|_| Err("reading was cut short".to_owned()));
                let set = document.and_then(|document| self.import(&document));
                return Ok((set.map_err(|reason| format!("{name}: {reason}"))?, FILE_PERIOD));
            }
            KeySource::Uri(url) => url,
            KeySource::Discovered => self.key_url().await?,
        };
        let answer = discovery::get(self.fetch.as_ref(), &url).await?;
        let set = self.import(&answer.body).map_err(|reason| format!("{}: {reason}", discovery::shown(&url)))?;
        // However fresh they say they are, the keys are fetched again before they count as stale.
        let stale_max = Duration::from_secs(self.settings.keys_stale_secs_max);
        Ok((set, fresh(answer.max_age).min(stale_max)))
    }

    /// Where the keys are; where they were, if the metadata cannot be had.
    async fn key_url(&mut self) -> Result<String, String> {
        if let Some(url) = self.discovered.clone().filter(|_| !self.moved) {
            return Ok(url);
        }
        match (self.discover(true).await, self.discovered.clone()) {
            (Ok(()) | Err(_), Some(url)) => Ok(url),
            (Err(reason), None) => Err(reason),
            (Ok(()), None) => Err("the metadata names no `jwks_uri`".to_owned()),
        }
    }

    /// Fetches the metadata for the relay, and to learn whether the keys have moved.
    async fn refresh_metadata(&mut self) {
        let keys_wanted = matches!(self.settings.keys, KeySource::Discovered);
        let before = self.discovered.clone();
        if let Err(reason) = self.discover(keys_wanted).await {
            self.metadata_due = Some(Instant::now() + METADATA_PAUSE);
            tracing::debug!(issuer = self.settings.issuer.as_str(), reason, "metadata could not be refreshed");
        } else if self.discovered != before {
            self.keys_due = Instant::now();
        }
    }

    async fn discover(&mut self, keys_wanted: bool) -> Result<(), String> {
        let issuer = self.settings.issuer.clone();
        let metadata = discovery::discover(self.fetch.as_ref(), issuer.as_str(), keys_wanted).await?;
        self.metadata_due = Some(Instant::now() + ahead(fresh(metadata.max_age)));
        self.keys.set_metadata(metadata.document);
        if keys_wanted {
            self.discovered = metadata.jwks_uri;
        }
        self.moved = false;
        Ok(())
    }

    /// The usable keys of a document. A document without any is a failure: it must not replace good keys.
    fn import(&mut self, document: &[u8]) -> Result<Arc<KeySet>, String> {
        let digest = jwks::sha256_bytes(&aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, document));
        let known = self.keys.last_known();
        if let Some(known) = known.as_ref().filter(|_| self.document == Some(digest)) {
            return Ok(Arc::clone(known));
        }
        let (set, ignored) = read_set(document, &self.settings.algorithms, known.as_deref())?;
        if !ignored.is_empty() {
            self.log(format!("keys ignored: {ignored}"));
        }
        self.document = Some(digest);
        Ok(Arc::new(set))
    }

    fn log(&mut self, message: String) {
        if self.logged != message {
            tracing::warn!(issuer = self.settings.issuer.as_str(), "{message}");
            self.logged = message;
        }
    }
}

/// The usable keys of a document, at least one, and which others were ignored.
fn read_set(document: &[u8], algorithms: &[Algorithm], previous: Option<&KeySet>) -> Result<(KeySet, String), String> {
    let import = jwks::read(document, algorithms, previous)?;
    // Places and reasons only: what the document says of itself does not belong in a log line.
    let ignored: Vec<String> =
        import.ignored.iter().map(|(place, reason)| format!("keys[{place}]: {reason}")).collect();
    let ignored = ignored.join("; ");
    if import.set.is_empty() {
        return Err(format!("the key set has no usable key ({ignored})"));
    }
    Ok((import.set, ignored))
}

/// Whether a key file holds a usable key; the error says why not.
pub(super) fn check_file(path: &Path, algorithms: &[Algorithm]) -> Result<(), String> {
    read_set(&read_file(path)?, algorithms, None).map(drop)
}

/// A key file's bytes.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let limit = jwks::DOCUMENT_BYTES_MAX as u64 + 1;
    let mut document = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut document));
    read.map_err(|error| error.to_string())?;
    Ok(document)
}

/// How long an answer counts as fresh.
fn fresh(max_age: Option<Duration>) -> Duration {
    max_age.unwrap_or(FRESH_DEFAULT).clamp(FRESH_MIN, FRESH_MAX)
}

/// When to refresh what is fresh for so long: a little before its end.
fn ahead(fresh: Duration) -> Duration {
    less_jitter(fresh * 9 / 10)
}

/// The pause after so many failures before this one.
fn pause(failures: u32) -> Duration {
    less_jitter(PAUSE_MIN.saturating_mul(1 << failures.min(4)).min(PAUSE_MAX))
}

/// Up to a fifth less: a fleet that was started at once must not fetch at once for ever.
fn less_jitter(duration: Duration) -> Duration {
    let mut random = [0; 2];
    if aws_lc_rs::rand::fill(&mut random).is_err() {
        return duration;
    }
    duration.saturating_sub(duration / (5 * 65_536) * u32::from(u16::from_be_bytes(random)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn freshness_is_bounded() {
        let check = |max_age: Option<u64>, secs: u64| {
            assert_eq!(fresh(max_age.map(Duration::from_secs)), Duration::from_secs(secs));
        };
        check(None, 300);
        check(Some(0), 60);
        check(Some(59), 60);
        check(Some(600), 600);
        check(Some(u64::MAX), 3600);
    }

    #[test]
    fn the_pause_grows_to_ten_seconds() {
        for (failures, longest) in [(0, 1), (1, 2), (2, 4), (3, 8), (4, 10), (5, 10), (u32::MAX, 10)] {
            let (pause, longest) = (pause(failures), Duration::from_secs(longest));
            assert!(pause <= longest && pause >= longest * 4 / 5, "{failures}: {pause:?}");
        }
    }
}

//! The keys of one issuer: what requests see of them, and how a request waits for a key that is not known yet. Requests
//! never fetch: `refresh` does, one fetch at a time, and a request can only ask for one, once in a cool-down.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout_at};

use super::TokenError;
use super::jwks::{Fingerprint, Key, KeySet};
use crate::rejection::TokenFault;

/// How long a request waits for a key.
const WAIT_MAX: Duration = Duration::from_secs(3);
/// How many requests may wait for keys of one issuer.
const WAITERS_MAX: usize = 100;
/// For Retry-After, where nothing better is known.
const RETRY_AFTER_SECS: u64 = 1;

/// What requests see of an issuer's keys.
#[derive(Debug)]
pub(super) struct IssuerKeys {
    state: watch::Sender<State>,
    waiters: Semaphore,
    cooldown: Duration,
    stale_max: Duration,
    begun: Instant,
}

/// How an issuer's keys stand, for the operator.
#[derive(Debug, Clone)]
pub struct KeyStanding {
    /// How many may be used now.
    pub usable: usize,
    /// Since they were fetched; `None`: never yet.
    pub age: Option<Duration>,
    /// The age beyond which they may not be used.
    pub age_max: Duration,
    /// For how long there have been none to use.
    pub lacking: Option<Duration>,
    /// Why the last round brought none, if it did not.
    pub fault: Option<String>,
    /// Rounds that brought keys.
    pub fetched: u64,
    /// Rounds that brought none.
    pub failed: u64,
}

#[derive(Debug, Default)]
struct State {
    /// The last good set, never an empty one, and until when it may be used.
    keys: Option<(Arc<KeySet>, Instant)>,
    metadata: Option<Bytes>,
    /// What is under way.
    round: Round,
    /// A request asked for a round that has not begun.
    wanted: bool,
    /// When the last round that a request had asked for ended, and whether it brought keys.
    last_demand: Option<(Instant, bool)>,
    /// Why the last round brought no keys.
    fault: Option<String>,
    fetched: u64,
    failed: u64,
}

/// A round of refreshing: from its first fetch until its outcome is known.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Round {
    Idle,
    /// Begun by the timer. So is the first, which is due at once: requests that find no keys yet wait for it.
    #[default]
    Timed,
    /// Begun by a request with an unknown key.
    Demanded,
}

/// Where a request with an unknown key stands.
enum Step {
    Found(Arc<Key>),
    Refused(TokenError),
    Wait,
}

impl IssuerKeys {
    /// No keys yet.
    pub(super) fn new(cooldown: Duration, stale_max: Duration) -> Self {
        Self {
            state: watch::Sender::new(State::default()),
            waiters: Semaphore::new(WAITERS_MAX),
            // Without any cool-down every unknown key would cost a fetch.
            cooldown: cooldown.max(Duration::from_secs(1)),
            stale_max,
            begun: Instant::now(),
        }
    }

    /// Begins with the keys of `before`, of the same issuer from the same place, which are as old as they are there; so nobody
    /// waits for the first round, nor for an issuer that is down.
    pub(super) fn take_over(&self, before: &Self) {
        let before_state = before.state.borrow();
        let keys = before_state.keys.as_ref().and_then(|(keys, until)| {
            let fetched = until.checked_sub(before.stale_max)?;
            Some((Arc::clone(keys), fetched + self.stale_max))
        });
        let metadata = before_state.metadata.clone();
        self.state.send_modify(|state| (state.keys, state.metadata) = (keys, metadata));
    }

    /// How they stand.
    pub(super) fn standing(&self) -> KeyStanding {
        let (state, now) = (self.state.borrow(), Instant::now());
        let usable = state.usable(now).map_or(0, |keys| keys.len());
        let until = state.keys.as_ref().map(|(_, until)| *until);
        KeyStanding {
            usable,
            age: until.map(|until| {
                self.stale_max.saturating_sub(until.saturating_duration_since(now))
                    + now.saturating_duration_since(until)
            }),
            age_max: self.stale_max,
            lacking: (usable == 0).then(|| now.saturating_duration_since(until.unwrap_or(self.begun))),
            fault: state.fault.clone(),
            fetched: state.fetched,
            failed: state.failed,
        }
    }

    /// The keys that may be used now.
    pub(super) fn current(&self) -> Result<Arc<KeySet>, TokenError> {
        self.state.borrow().usable(Instant::now()).cloned().ok_or(unavailable(RETRY_AFTER_SECS))
    }

    /// Whether a key is among those that may be used now.
    pub(super) fn holds(&self, key: &Fingerprint) -> bool {
        self.state.borrow().usable(Instant::now()).is_some_and(|keys| keys.holds(key))
    }

    /// The issuer's metadata document, if it was ever fetched.
    pub(super) fn metadata(&self) -> Option<Bytes> {
        self.state.borrow().metadata.clone()
    }

    /// The key of this identifier. If it is not known, waits for the refresh that is under way or asks for one: at most
    /// 3 s, and not at all within the cool-down or where 100 requests wait already.
    pub(super) async fn find(&self, kid: &str) -> Result<Arc<Key>, TokenError> {
        if let Some(key) = self.state.borrow().usable(Instant::now()).and_then(|keys| keys.by_kid(kid)) {
            return Ok(Arc::clone(key));
        }
        let mut changes = self.state.subscribe();
        let waited = timeout_at(Instant::now() + WAIT_MAX, async {
            let mut place = None;
            loop {
                if place.is_none() {
                    // The place is taken before anything is asked for: whoever cannot wait starts no fetch.
                    place = self.waiters.try_acquire().ok();
                }
                match self.step(kid, place.is_some()) {
                    Step::Found(key) => return Ok(key),
                    Step::Refused(error) => return Err(error),
                    Step::Wait => {}
                }
                if changes.changed().await.is_err() {
                    return Err(unavailable(RETRY_AFTER_SECS));
                }
            }
        });
        waited.await.unwrap_or(Err(unavailable(RETRY_AFTER_SECS)))
    }

    /// Decides, and asks for a round where one may be begun, in one step: of 10,000 requests at once, one asks.
    fn step(&self, kid: &str, may_wait: bool) -> Step {
        let mut step = Step::Wait;
        self.state.send_if_modified(|state| {
            let now = Instant::now();
            let usable = state.usable(now);
            if let Some(key) = usable.and_then(|keys| keys.by_kid(kid)) {
                step = Step::Found(Arc::clone(key));
                return false;
            }
            let demand_under_way = state.wanted || state.round == Round::Demanded;
            if let Some(error) = self.cooling_down(state, now).filter(|_| !demand_under_way) {
                step = Step::Refused(error);
                return false;
            }
            if !may_wait {
                step = Step::Refused(unavailable(RETRY_AFTER_SECS));
                return false;
            }
            let ask = !state.wanted && state.round == Round::Idle;
            state.wanted |= ask;
            ask
        });
        step
    }

    /// The answer within the cool-down: a key that the issuer did not have a moment ago does not exist, but without a
    /// recent answer of the issuer nobody can say so.
    fn cooling_down(&self, state: &State, now: Instant) -> Option<TokenError> {
        let (ended, brought_keys) = state.last_demand?;
        let rest = (ended + self.cooldown).checked_duration_since(now).filter(|rest| !rest.is_zero())?;
        if brought_keys && state.usable(now).is_some() {
            return Some(TokenError::Invalid(TokenFault::UnknownKey));
        }
        Some(unavailable(rest.as_secs().max(RETRY_AFTER_SECS)))
    }

    /// Asks for a round, unless one is under way.
    pub(super) fn want(&self) {
        self.state.send_if_modified(|state| {
            let ask = !state.wanted && state.round == Round::Idle;
            state.wanted |= ask;
            ask
        });
    }

    /// Waits until a round has ended, for well or ill.
    pub(super) async fn tried(&self) {
        drop(self.state.subscribe().wait_for(|state| state.fetched + state.failed > 0).await);
    }

    /// Waits until a request asks for a round.
    pub(super) async fn wanted(&self) {
        // The sender is ours, so the channel cannot be closed.
        drop(self.state.subscribe().wait_for(|state| state.wanted).await);
    }

    /// Whether a request has asked for a round that has not begun.
    pub(super) fn is_wanted(&self) -> bool {
        self.state.borrow().wanted
    }

    /// A round begins, and takes up what was asked for.
    pub(super) fn begin_round(&self) {
        self.state.send_modify(|state| {
            state.round = if state.wanted { Round::Demanded } else { Round::Timed };
            state.wanted = false;
        });
    }

    /// A round ends: with new keys, or without for this reason, and then the old ones stay.
    pub(super) fn end_round(&self, keys: Result<Arc<KeySet>, String>) {
        let now = Instant::now();
        self.state.send_modify(|state| {
            if state.round == Round::Demanded {
                state.last_demand = Some((now, keys.is_ok()));
            }
            state.round = Round::Idle;
            match keys {
                Ok(keys) => {
                    state.keys = Some((keys, now + self.stale_max));
                    state.fault = None;
                    state.fetched += 1;
                }
                Err(reason) => {
                    state.fault = Some(reason);
                    state.failed += 1;
                }
            }
        });
    }

    /// The last good keys, perhaps no longer usable.
    pub(super) fn last_known(&self) -> Option<Arc<KeySet>> {
        self.state.borrow().keys.as_ref().map(|(keys, _)| Arc::clone(keys))
    }

    /// Keeps a metadata document.
    pub(super) fn set_metadata(&self, document: Bytes) {
        self.state.send_modify(|state| state.metadata = Some(document));
    }
}

impl State {
    fn usable(&self, now: Instant) -> Option<&Arc<KeySet>> {
        self.keys.as_ref().filter(|(_, until)| now <= *until).map(|(keys, _)| keys)
    }
}

fn unavailable(retry_after_secs: u64) -> TokenError {
    TokenError::KeysUnavailable { retry_after_secs }
}

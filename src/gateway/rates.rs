//! How often: what one principal, one route, or one principal under one rule may ask for in a time. The rates are the
//! file's; that memory is bounded is ours.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use governor::clock::{Clock as _, MonotonicClock};
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use moka::sync::Cache;

use super::Gateway;
use super::route::Route;
use super::session::Owner;
use super::settings::Rate;
use crate::policy::Permit;
use crate::rejection::{Failure, RuleId};
use crate::token::Principal;

/// What was asked for lately, by whom. Cheap to clone; it outlives a reload: a rate that stays keeps its state.
///
/// At most 100,000 states are kept, the least used give way: a caller with more principals than that is not held to its
/// rates, but takes no memory either.
#[derive(Debug, Clone)]
pub(super) struct Rates(Cache<Key, Arc<RateLimiter<NotKeyed, InMemoryState, MonotonicClock>>>);

/// SHA-256 of what is counted, and of its rate: another rate begins anew.
type Key = [u8; 32];

/// What a rate is of.
#[derive(Debug, Clone, Copy)]
enum Counted<'a> {
    /// One principal, on every route.
    Principal(Owner<'a>),
    /// One principal on its route.
    PrincipalOnRoute(Owner<'a>),
    /// Everybody on one route.
    Route(&'a str),
    /// One principal under one rule of its route.
    Rule(Owner<'a>, usize),
}

impl Default for Rates {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(STATES_MAX).time_to_idle(PER_MAX).build())
    }
}

impl Gateway {
    /// Counts one request of this principal on this route.
    pub(super) fn count_request(&self, principal: &Principal, route: &Route) -> Result<(), Failure> {
        self.count(principal, route, 1)
    }

    /// Counts what a request asks for: each message but the first, which counted with the request, and each by its rule.
    pub(super) fn count_operations(
        &self,
        principal: &Principal,
        route: &Route,
        permits: &[Permit],
    ) -> Result<(), Failure> {
        let more = u32::try_from(permits.len().saturating_sub(1)).unwrap_or(u32::MAX);
        if more > 0 {
            self.count(principal, route, more)?;
        }
        for permit in permits {
            let RuleId::Rule { place, .. } = permit.rule() else { continue };
            if let Some(Some(rate)) = route.limits.rules.get(*place) {
                let counted = Counted::Rule(Owner::of(principal, &route.name), *place);
                self.taken
                    .rates
                    .take(counted, *rate, 1)
                    .map_err(|wait| limited(wait, "routes[].rules[].rate_per_principal"))?;
            }
        }
        Ok(())
    }

    fn count(&self, principal: &Principal, route: &Route, requests: u32) -> Result<(), Failure> {
        let owner = Owner::of(principal, &route.name);
        for (rate, counted, limit) in [
            (self.limits.rate_per_principal, Counted::Principal(owner), "limits.rate_per_principal"),
            (route.limits.rate_per_principal, Counted::PrincipalOnRoute(owner), "routes[].limits.rate_per_principal"),
            (route.limits.rate, Counted::Route(&route.name), "routes[].limits.rate"),
        ] {
            if let Some(rate) = rate {
                self.taken.rates.take(counted, rate, requests).map_err(|wait| limited(wait, limit))?;
            }
        }
        Ok(())
    }
}

fn limited(wait: Duration, limit: &'static str) -> Failure {
    let secs = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Failure::RateLimited { retry_after_secs: secs.max(1), limit }
}

impl Rates {
    /// Counts so many requests; the error says how long to wait before the next.
    fn take(&self, counted: Counted<'_>, rate: Rate, requests: u32) -> Result<(), Duration> {
        let state = self
            .0
            .get_with(key(counted, rate), || Arc::new(RateLimiter::direct_with_clock(quota(rate), MonotonicClock)));
        let Some(requests) = std::num::NonZeroU32::new(requests) else { return Ok(()) };
        match state.check_n(requests) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(until.wait_time_from(MonotonicClock.now())),
            // More at once than the rate ever allows.
            Err(_) => Err(rate.per),
        }
    }
}

fn quota(rate: Rate) -> Quota {
    // A period of zero would be no limit, and is none that the file can say.
    let period = (rate.per / rate.requests.get()).max(Duration::from_nanos(1));
    Quota::with_period(period).unwrap_or_else(|| Quota::per_second(rate.requests)).allow_burst(rate.burst)
}

fn key(counted: Counted<'_>, rate: Rate) -> Key {
    let (kind, owner, route, rule) = match counted {
        Counted::Principal(owner) => (0, Some(owner), None, 0),
        Counted::PrincipalOnRoute(owner) => (1, Some(owner), Some(owner.route), 0),
        Counted::Route(route) => (2, None, Some(route), 0),
        Counted::Rule(owner, rule) => (3, Some(owner), Some(owner.route), rule),
    };
    let mut digest = Context::new(&SHA256);
    let numbers = [kind, rule as u64, u64::from(rate.requests.get()), rate.per.as_secs(), u64::from(rate.burst.get())];
    for number in numbers {
        digest.update(&number.to_be_bytes());
    }
    let owner = owner.map(|owner| [Some(owner.issuer), owner.subject, owner.client]).unwrap_or_default();
    for text in owner.into_iter().chain([route]) {
        // A length before each text, and none for none: no two principals give the same bytes.
        digest.update(&text.map_or(u64::MAX, |text| text.len() as u64).to_be_bytes());
        digest.update(text.unwrap_or_default().as_bytes());
    }
    let mut key = [0; 32];
    key.copy_from_slice(digest.finish().as_ref());
    key
}

/// States that are kept.
const STATES_MAX: u64 = 100_000;

/// The longest time of a rate: after so long without a request its state is as new.
pub(crate) const PER_MAX: Duration = Duration::from_hours(24);

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    const OWNER: Owner<'static> =
        Owner { issuer: "https://as.example", subject: Some("ada"), client: Some("cli"), route: "github" };

    fn rate(requests: u32, secs: u64, burst: u32) -> Rate {
        let number = |number| NonZeroU32::new(number).unwrap();
        Rate { requests: number(requests), per: Duration::from_secs(secs), burst: number(burst) }
    }

    #[test]
    fn a_burst_passes_and_the_next_waits() {
        let (rates, rate) = (Rates::default(), rate(2, 3600, 3));
        let take = |requests| rates.take(Counted::Principal(OWNER), rate, requests);
        assert!(take(1).is_ok() && take(2).is_ok());
        let wait = take(1).unwrap_err();
        assert!(wait > Duration::from_mins(29) && wait <= Duration::from_mins(30), "{wait:?}");
        assert_eq!(take(4), Err(Duration::from_hours(1)), "more than ever fits");
    }

    #[test]
    fn each_is_counted_alone() {
        let (rates, rate) = (Rates::default(), rate(1, 3600, 1));
        let no_subject = Owner { subject: None, ..OWNER };
        let all = [
            Counted::Principal(OWNER),
            Counted::Principal(Owner { client: Some(""), ..OWNER }),
            Counted::Principal(Owner { client: None, ..OWNER }),
            Counted::Principal(Owner { subject: Some("adac"), client: Some("li"), ..OWNER }),
            Counted::Principal(no_subject),
            Counted::Principal(Owner { subject: None, client: Some("ada"), ..OWNER }),
            Counted::PrincipalOnRoute(OWNER),
            Counted::PrincipalOnRoute(Owner { route: "jira", ..OWNER }),
            Counted::Route("github"),
            Counted::Route("jira"),
            Counted::Rule(OWNER, 0),
            Counted::Rule(OWNER, 1),
            Counted::Rule(Owner { route: "jira", ..OWNER }, 1),
        ];
        for counted in all {
            assert!(rates.take(counted, rate, 1).is_ok(), "{counted:?}");
        }
        for counted in all {
            assert!(rates.take(counted, rate, 1).is_err(), "{counted:?}");
        }
        // On every route the same.
        assert!(rates.take(Counted::Principal(Owner { route: "jira", ..OWNER }), rate, 1).is_err());
    }

    #[test]
    fn another_rate_begins_anew() {
        let rates = Rates::default();
        assert!(rates.take(Counted::Route("github"), rate(1, 3600, 1), 1).is_ok());
        assert!(rates.take(Counted::Route("github"), rate(1, 3600, 1), 1).is_err());
        assert!(rates.take(Counted::Route("github"), rate(2, 3600, 1), 1).is_ok());
    }
}

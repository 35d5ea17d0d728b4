//! `check --online`: asks issuers and servers what a file rests on, and says what clients will see and what will bite. It shows
//! nobody a credential, changes nothing, and is bounded in time. A failure is what will not work; a warning, what may not, or
//! works for others than it should.

mod issuer;
mod upstream;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Lines;
use crate::gateway::route::Table;
use crate::gateway::settings::{RouteSettings, Settings, Tls};
use crate::gateway::tls;
use crate::oauth::ids::{Audience, Issuer};
use crate::token::Fetch;
use crate::token::look::look;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// What there is, a line each.
    pub lines: Vec<String>,
    /// What may bite.
    pub warnings: Vec<String>,
    /// What will not work.
    pub failures: Vec<String>,
}

impl Findings {
    fn add(&mut self, other: Self) {
        self.lines.extend(other.lines);
        self.warnings.extend(other.warnings);
        self.failures.extend(other.failures);
    }

    fn line(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    fn fail(&mut self, failure: impl Into<String>) {
        self.failures.push(failure.into());
    }
}

/// Looks at everything that `settings` name, at many at a time. `now` is in seconds since 1970.
pub async fn check(settings: &Settings, fetch: Arc<dyn Fetch>, now: u64) -> Result<Findings, String> {
    let mut found = addresses(settings)?;
    found.add(certificate(&settings.tls, now));
    let places = Arc::new(Semaphore::new(AT_ONCE_MAX));
    let mut asking: JoinSet<(usize, Findings)> = JoinSet::new();
    let mut asked = Vec::new();
    for issuer in &settings.authorization_servers {
        let serves = |route: &&RouteSettings| route.issuers.contains(&issuer.issuer);
        let routes: Vec<_> = settings.routes.iter().filter(serves).cloned().collect();
        let (place, places, fetch, issuer) = (asked.len(), Arc::clone(&places), Arc::clone(&fetch), issuer.clone());
        asked.push(format!("issuer {}", issuer.issuer.as_str()));
        asking.spawn(async move {
            let Ok(_place) = places.acquire().await else { return (place, Findings::default()) };
            let seen = tokio::time::timeout(ONE_MAX, look(&issuer, fetch.as_ref())).await;
            let found = seen.map_or_else(|_| late(&issuer.issuer), |seen| issuer::judge(&issuer, &routes, &seen));
            (place, found)
        });
    }
    for route in &settings.routes {
        let (place, places, route) = (asked.len(), Arc::clone(&places), route.clone());
        asked.push(format!("route {}", route.name));
        asking.spawn(async move {
            let Ok(_place) = places.acquire().await else { return (place, Findings::default()) };
            let probe = tokio::time::timeout(ONE_MAX, upstream::probe(&route)).await;
            (place, upstream::judge(&route, &probe.unwrap_or_default()))
        });
    }
    let mut answers: Vec<Option<Findings>> = asked.iter().map(|_| None).collect();
    let all = async {
        while let Some(answered) = asking.join_next().await {
            if let Ok((place, found)) = answered
                && let Some(slot) = answers.get_mut(place)
            {
                *slot = Some(found);
            }
        }
    };
    let in_time = tokio::time::timeout(ALL_MAX, all).await.is_ok();
    for (name, answer) in asked.into_iter().zip(answers) {
        match answer {
            Some(answer) => found.add(answer),
            None if in_time => found.fail(format!("{name}: could not be asked")),
            None => found.fail(format!("{name}: not asked within {} s", ALL_MAX.as_secs())),
        }
    }
    Ok(found)
}

/// Every URL that a client finds something at, as the gateway itself has them.
fn addresses(settings: &Settings) -> Result<Findings, String> {
    let table = Table::new(settings, None)?;
    let mut found = Findings::default();
    found.line("clients will see:");
    for (url, what, whose) in table.addresses() {
        found.line(format!("  {url}  {what} of {whose}"));
    }
    for route in &settings.routes {
        found.line(format!(
            "  {}  resource identifier of {} (`aud` of its tokens)",
            route.resource.as_str(),
            route.name
        ));
        if !route.audiences.is_empty() {
            let audiences: Vec<&str> = route.audiences.iter().map(Audience::as_str).collect();
            found.line(format!("    or {}", audiences.join(", ")));
        }
    }
    Ok(found)
}

fn late(issuer: &Issuer) -> Findings {
    let mut found = Findings::default();
    found.fail(format!("issuer {}: no answer within {} s", issuer.as_str(), ONE_MAX.as_secs()));
    found
}

/// Whether clients will soon meet a certificate that has ended.
fn certificate(tls: &Tls, now: u64) -> Findings {
    let mut found = Findings::default();
    let Tls::Files { certificate, .. } = tls else { return found };
    let name = certificate.display();
    match tls::expires(certificate) {
        Ok(end) if end <= now => found.fail(format!("tls: {name} has ended {} days ago; renew it", (now - end) / DAY)),
        Ok(end) if end - now < EXPIRY_NEAR => {
            found.warn(format!("tls: {name} ends in {} days; renew it before", (end - now) / DAY));
        }
        Ok(end) => found.line(format!("tls: {name} ends in {} days", (end - now) / DAY)),
        Err(error) => found.warn(format!("tls: {error}")),
    }
    found
}

/// The findings as text: what there is.
#[must_use]
pub fn text(found: &Findings) -> String {
    let mut out = Lines::default();
    for line in &found.lines {
        out.push(line);
    }
    out.0
}

/// One issuer, one server.
const ONE_MAX: Duration = Duration::from_secs(10);
/// All of them.
const ALL_MAX: Duration = Duration::from_mins(1);
const AT_ONCE_MAX: usize = 32;
const DAY: u64 = 86_400;
const EXPIRY_NEAR: u64 = 14 * DAY;

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn a_certificate_that_ends_soon_is_a_warning_and_one_that_has_ended_a_failure() {
        let mut params = CertificateParams::new(vec!["a".to_owned()]).unwrap();
        params.not_after = date_time_ymd(2030, 1, 1);
        let pem = params.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
        let path = std::env::temp_dir().join(format!("gatepost-online-{}.pem", std::process::id()));
        std::fs::write(&path, pem).unwrap();
        let end = 1_893_456_000;
        let tls = Tls::Files { certificate: path.clone(), private_key: path.clone() };
        let check = |now: u64, expect: (usize, usize, usize), says: &str| {
            let found = certificate(&tls, now);
            assert_eq!((found.lines.len(), found.warnings.len(), found.failures.len()), expect, "{found:?}");
            assert!(format!("{found:?}").contains(says), "{found:?}");
        };
        check(end - 14 * DAY, (1, 0, 0), "ends in 14 days");
        check(end - 14 * DAY + 1, (0, 1, 0), "ends in 13 days");
        check(end, (0, 0, 1), "has ended 0 days ago");
        std::fs::remove_file(&path).unwrap();
        check(end, (0, 1, 0), "cannot be read");
        assert_eq!(certificate(&Tls::External, end), Findings::default());
    }
}

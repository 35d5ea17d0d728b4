//! One look at an issuer, for who asks whether it will do: its metadata and its keys as they are now, fetched and judged as
//! for validation. It changes nothing, and no token meets what is found here.

use serde_json::Value;

use super::{ALGORITHMS, Algorithm, Fetch, IssuerSettings, KeySource, discovery, jwks, refresh};

/// What an issuer shows.
#[derive(Debug, Clone)]
pub struct Look {
    /// Where its metadata is, and what it says; or why there is none.
    pub metadata: Result<(String, Value), String>,
    /// Whom metadata at its place speaks for, if that is somebody else.
    pub other_issuer: Option<String>,
    /// Its keys, or why there are none.
    pub keys: Result<Keys, String>,
}

/// What a key set holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// Where it was found; without the query of a URL.
    pub place: String,
    /// The algorithm of each key that can be used.
    pub usable: Vec<&'static str>,
    /// The places of the other keys, and why they cannot be.
    pub ignored: Vec<(usize, &'static str)>,
}

/// Looks once. Each fetch is bounded in size and time.
pub async fn look(settings: &IssuerSettings, fetch: &dyn Fetch) -> Look {
    let issuer = settings.issuer.as_str();
    let keys_wanted = matches!(settings.keys, KeySource::Discovered);
    let found = discovery::discover(fetch, issuer, keys_wanted).await;
    let mut other_issuer = None;
    if let Err(reason) = &found
        && reason.contains(discovery::OTHER_ISSUER)
    {
        for url in discovery::well_known(issuer) {
            let Ok(answer) = discovery::get(fetch, &url).await else { continue };
            let document: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            other_issuer = other_issuer.or_else(|| document.get("issuer")?.as_str().map(str::to_owned));
        }
    }
    let jwks_uri = found.as_ref().ok().and_then(|metadata| metadata.jwks_uri.clone());
    let keys = match (&settings.keys, &jwks_uri) {
        (KeySource::File(path), _) => {
            let read = refresh::read_file(path).and_then(|document| keys_of(&document, settings));
            read.map(|keys| Keys { place: path.display().to_string(), ..keys })
        }
        (KeySource::Uri(url), _) | (KeySource::Discovered, Some(url)) => {
            let fetched = discovery::get(fetch, url).await;
            let read = fetched.and_then(|answer| keys_of(&answer.body, settings));
            read.map(|keys| Keys { place: discovery::shown(url).to_owned(), ..keys })
        }
        (KeySource::Discovered, None) => Err("there is no metadata that names its keys".to_owned()),
    };
    let metadata = found.and_then(|metadata| {
        let document = serde_json::from_slice(&metadata.document).map_err(|error| error.to_string())?;
        Ok((metadata.url, document))
    });
    Look { metadata, other_issuer, keys }
}

fn keys_of(document: &[u8], settings: &IssuerSettings) -> Result<Keys, String> {
    let import = jwks::read(document, &settings.algorithms, None)?;
    let usable = import.set.algorithms().map(name).collect();
    Ok(Keys { place: String::new(), usable, ignored: import.ignored })
}

/// The name of an algorithm.
#[must_use]
pub fn name(algorithm: Algorithm) -> &'static str {
    ALGORITHMS.iter().find(|(_, known)| *known == algorithm).map_or("", |(name, _)| name)
}

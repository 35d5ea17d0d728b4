//! Where routes are found: `public_url`, names, paths and resources. No two routes have one of them in common: which of the two a
//! request, or a token, is for must not be a guess. What is the same under two `public_url`s is not the same.

use std::collections::HashMap;

use super::checks::Checks;
use super::error::shown;
use super::place::KeyPath;
use super::routes::Common;
use super::{raw, transport};
use crate::oauth::ids::{PublicOrigin, ResourceUri};

/// A route as written, where, and the origin that it is found under; `None`: that cannot be read, which is reported.
pub(super) struct At<'a> {
    pub(super) route: &'a raw::Route,
    pub(super) path: &'a KeyPath,
    pub(super) public_url: Option<&'a PublicOrigin>,
}

/// What earlier routes have, and where. Looked up and never searched: there may be thousands.
#[derive(Default)]
pub(super) struct Taken {
    names: HashMap<String, KeyPath>,
    /// By origin and path; each with the key that it is the value of.
    paths: HashMap<(Option<PublicOrigin>, String), Vec<Endpoint>>,
    resources: HashMap<ResourceUri, KeyPath>,
    /// By the resource without slashes at its end.
    audiences: HashMap<String, Vec<KeyPath>>,
}

type Endpoint = (KeyPath, &'static str);

/// The origin of a route: its own `public_url`, else the file's. A host of its own is nobody's but that of routes which name it:
/// were it one of `hosts`, too, requests to it would be for two origins.
pub(super) fn public_url(
    route: &raw::Route,
    path: &KeyPath,
    common: &Common<'_>,
    checks: &mut Checks<'_>,
) -> Option<PublicOrigin> {
    let Some(text) = &route.public_url else { return common.public_url.cloned() };
    let at = path.key("public_url");
    let origin = checks.value(&at, text, PublicOrigin::parse(text))?;
    let Some(of_file) = common.public_url.filter(|of_file| **of_file != origin) else { return Some(origin) };
    if origin.is_https() != of_file.is_https() {
        let found = format!("{} has another scheme than the file's public_url, {}", shown(text), of_file.as_str());
        checks.refuse(&at, found, "one scheme for all: one listener speaks either TLS or not");
        return None;
    }
    if common.hosts.iter().any(|host| origin.canonical(host) == origin.authority()) {
        let found =
            format!("{} is one of `hosts`, which are names of the file's public_url", shown(origin.authority()));
        checks.refuse(&at, found, "a host that is not in `hosts`; remove it there");
        return None;
    }
    Some(origin)
}

impl Taken {
    /// Refuses the name of an earlier route.
    pub(super) fn name(&mut self, at: &At<'_>, checks: &mut Checks<'_>) {
        let place = at.path.key("name");
        match self.names.get(&at.route.name) {
            Some(first) => {
                let line = checks.line(first, at.path);
                let found = format!("{} is the name of an earlier route ({line})", shown(&at.route.name));
                checks.refuse(&place, found, "a name that no other route has");
            }
            None => drop(self.names.insert(at.route.name.clone(), place)),
        }
    }

    /// Refuses paths that an earlier endpoint of the same origin has.
    pub(super) fn paths(&mut self, at: &At<'_>, checks: &mut Checks<'_>) {
        let route = at.route;
        let mut own = vec![(route.path.clone(), at.path.key(PATH), PATH)];
        if route.transport == raw::Transport::HttpSse {
            let key = if route.message_path.is_some() { MESSAGE_PATH } else { "transport" };
            own.push((transport::message_path(route), at.path.key(key), MESSAGE_PATH));
        }
        for (text, place, what) in own {
            let earlier = self.paths.entry((at.public_url.cloned(), text.clone())).or_default();
            if let Some((first, _)) = earlier.iter().find(|(_, other)| (*other, what) == (PATH, PATH)) {
                let line = checks.line(first, at.path);
                let found = format!("{} is the path of an earlier route ({line})", shown(&text));
                checks.refuse(&place, found, "a path that no other route has");
            }
            if let Some((first, other)) = earlier.iter().find(|(_, other)| (*other, what) != (PATH, PATH)) {
                let line = checks.line(first, at.path);
                let found = format!("{} is the {what} here and the {other} in {line}", shown(&text));
                checks.refuse(&place, found, "a `path` and a `message_path` that nothing else has");
            }
            earlier.push((place, what));
        }
    }

    /// Refuses the resource of an earlier route: a token for one of the two would open the other.
    pub(super) fn resource(&mut self, at: &At<'_>, resource: Option<&ResourceUri>, checks: &mut Checks<'_>) {
        let Some(resource) = resource else { return };
        let place = at.path.key(if at.route.resource.is_some() { "resource" } else { PATH });
        let audience = resource.as_str().trim_end_matches('/').to_owned();
        self.audiences.entry(audience).or_default().push(place.clone());
        let Some(first) = self.resources.get(resource) else {
            self.resources.insert(resource.clone(), place);
            return;
        };
        // Two that have one path, too, are told so.
        let path = self.paths.get(&(at.public_url.cloned(), at.route.path.clone()));
        if path.is_some_and(|places| places.iter().filter(|(_, what)| *what == PATH).count() > 1) {
            return;
        }
        let line = checks.line(first, at.path);
        let found = format!("{} is the resource of an earlier route too ({line})", shown(resource.as_str()));
        let expected = "a resource of its own for each route; without `resource` it is public_url and path";
        checks.refuse(&place, found, expected);
    }

    /// Refuses the resource of another route among `audiences`: a token for that route would open this one.
    pub(super) fn foreign_audiences(&self, route: &raw::Route, path: &KeyPath, checks: &mut Checks<'_>) {
        let own = [path.key("resource"), path.key(PATH)];
        for (place, audience) in route.audiences.iter().enumerate() {
            let named = self.audiences.get(audience.strip_suffix('/').unwrap_or(audience));
            if let Some(theirs) = named.and_then(|places| places.iter().find(|at| !own.contains(at))) {
                let line = checks.line(theirs, path);
                let found = format!("{} is the resource of another route ({line})", shown(audience));
                let expected =
                    "an audience that no other route's tokens have; tokens for that route would open this one";
                checks.refuse(&path.key("audiences").index(place), found, expected);
            }
        }
    }
}

const PATH: &str = "path";
const MESSAGE_PATH: &str = "message_path";

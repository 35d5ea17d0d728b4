//! The issuer's metadata: it speaks for this issuer, is relayed byte for byte, and nothing is fetched from a place that it
//! may not name.

use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use gatepost::token::KeySource;

use super::tree::Tree;
use super::validator::{ISSUER, World};

const FIRST: &str = "https://auth.example.com/.well-known/oauth-authorization-server";
const SECOND: &str = "https://auth.example.com/.well-known/openid-configuration";

/// Takes the bytes for the issuer's metadata.
///
/// # Panics
/// Where metadata is taken that must not be, or a URL fetched that it does not name or may not.
pub fn check(bytes: &[u8]) {
    let world = World::new(KeySource::Discovered, [(FIRST, Bytes::copy_from_slice(bytes))]);
    let asked = world.asked();
    assert_eq!(asked.first().map(String::as_str), Some(FIRST));
    let Some(metadata) = world.metadata() else {
        return assert_eq!(asked, [FIRST, SECOND], "nothing else is fetched");
    };
    assert_eq!(metadata, bytes);
    let document = Tree::read(bytes).expect("JSON");
    assert!(!document.has_twins() && document.depth() <= 16);
    assert_eq!(document.get(&["issuer"]).and_then(Tree::text), Some(ISSUER));
    let keys = document.get(&["jwks_uri"]).and_then(Tree::text).expect("a URL");
    assert_eq!(asked, [FIRST, keys]);
    assert!(may_be_fetched(keys), "{keys}");
}

/// Whether it is https, or http on this machine, without user information.
fn may_be_fetched(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[').and_then(|inside| inside.split_once(']')) {
        Some((address, _)) => address,
        None => authority.split(':').next().unwrap_or_default(),
    };
    let is_here = host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || host.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback());
    let secure = scheme.eq_ignore_ascii_case("https") || (scheme.eq_ignore_ascii_case("http") && is_here);
    secure && !host.is_empty() && !authority.contains('@') && url.bytes().all(|byte| byte.is_ascii_graphic())
}

//! Seals `Mcp-Session-Id`, and with HTTP+SSE where a server takes messages, to principal and route, so that they are
//! worthless to anybody else. Never to a token: clients step up within a session. Nothing is stored: replicas that share
//! the keys open each other's ids.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::secret::SecretKey;
use crate::token::Principal;

/// The keys: the first seals, all open.
pub struct SessionSeal {
    seals: RandomizedNonceKey,
    opens_too: Vec<RandomizedNonceKey>,
}

/// Whose session it is, and where. The issuer, the subject, the client, the route.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "said above")]
pub struct Owner<'a> {
    pub issuer: &'a str,
    pub subject: Option<&'a str>,
    pub client: Option<&'a str>,
    pub route: &'a str,
}

impl<'a> Owner<'a> {
    /// The owner that `principal` is on `route`.
    #[must_use]
    pub fn of(principal: &'a Principal, route: &'a str) -> Self {
        let (subject, client) = (principal.subject(), principal.client());
        Self { issuer: principal.issuer().as_str(), subject, client, route }
    }
}

impl SessionSeal {
    /// Without keys `own` is the one: sessions then end with the process that made it.
    pub fn new(keys: &[SecretKey], own: &SecretKey) -> Result<Self, String> {
        let (first, others) = keys.split_first().unwrap_or((own, &[]));
        let opens_too = others.iter().map(sealing_key).collect::<Result<_, _>>()?;
        Ok(Self { seals: sealing_key(first)?, opens_too })
    }

    /// What the client gets for `target`, where the server takes the messages of a stream (MCP 2024-11-05): path and query.
    /// It does not open as a session id, nor a session id as this. The same texts are refused.
    pub fn seal_target(&self, target: &str, owner: Owner<'_>) -> Result<String, String> {
        self.seal_as(Kind::Target, target, owner)
    }

    /// What [`SessionSeal::seal_target`] sealed for this owner.
    #[must_use]
    pub fn open_target(&self, sealed: &str, owner: Owner<'_>) -> Option<String> {
        self.open_as(Kind::Target, sealed, owner)
    }

    /// The id that the client gets for the server's `upstream_id`: visible ASCII. An id that MCP does not allow (anything
    /// but visible ASCII, MCP 2025-11-25, Session Management), or of more than 1 KiB, is refused.
    pub fn seal(&self, upstream_id: &str, owner: Owner<'_>) -> Result<String, String> {
        self.seal_as(Kind::Id, upstream_id, owner)
    }

    /// The server's id, if `sealed` was sealed for this owner by one of the keys.
    #[must_use]
    pub fn open(&self, sealed: &str, owner: Owner<'_>) -> Option<String> {
        self.open_as(Kind::Id, sealed, owner)
    }

    fn seal_as(&self, kind: Kind, upstream_id: &str, owner: Owner<'_>) -> Result<String, String> {
        if upstream_id.len() > UPSTREAM_ID_BYTES_MAX || !is_session_id(upstream_id) {
            return Err("what the server names is not visible ASCII of at most 1 KiB".to_owned());
        }
        let mut sealed = upstream_id.as_bytes().to_vec();
        let nonce = self
            .seals
            .seal_in_place_append_tag(Aad::from(associated_data(kind, owner)), &mut sealed)
            .map_err(|_| "the session id could not be sealed".to_owned())?;
        let parts: [&[u8]; 3] = [&[VERSION], nonce.as_ref(), &sealed];
        Ok(URL_SAFE_NO_PAD.encode(parts.concat()))
    }

    fn open_as(&self, kind: Kind, sealed: &str, owner: Owner<'_>) -> Option<String> {
        if sealed.len() > SEALED_BYTES_MAX {
            return None;
        }
        // This alphabet alone, no padding, no spare bits: there is one spelling of an id.
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (&[VERSION], rest) = bytes.split_first_chunk()? else { return None };
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LEN>()?;
        let owner = associated_data(kind, owner);
        std::iter::once(&self.seals).chain(&self.opens_too).find_map(|key| {
            let mut buffer = ciphertext.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let opened = key.open_in_place(nonce, Aad::from(&owner), &mut buffer).ok()?;
            let id = std::str::from_utf8(opened).ok()?;
            is_session_id(id).then(|| id.to_owned())
        })
    }
}

impl fmt::Debug for SessionSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionSeal({} keys)", 1 + self.opens_too.len())
    }
}

/// A key at random.
pub(super) fn random_key() -> Result<SecretKey, String> {
    let mut random = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(random.as_mut_slice()).map_err(|_| "the system gives no random bytes".to_owned())?;
    Ok(SecretKey::new(&random))
}

/// AES-256-GCM-SIV (RFC 8452): replicas seal with one key for years, and a nonce that comes twice must not break it.
fn sealing_key(key: &SecretKey) -> Result<RandomizedNonceKey, String> {
    RandomizedNonceKey::new(&AES_256_GCM_SIV, key.bytes()).map_err(|_| "the session key cannot be used".to_owned())
}

/// What is sealed. One must not pass for the other: a session id that a server chose could name any path.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Id,
    Target,
}

/// The kind and the owner, so encoded that no two give the same bytes: a length before each text, or else `a` with `bc` would
/// open what belongs to `ab` with `c`; and a mark for an absent one, which is not an empty one.
fn associated_data(kind: Kind, owner: Owner<'_>) -> Vec<u8> {
    let kind = match kind {
        Kind::Id => 0,
        Kind::Target => 1,
    };
    let mut out = vec![VERSION, kind];
    for part in [Some(owner.issuer), owner.subject, owner.client, Some(owner.route)] {
        match part {
            None => out.push(0),
            Some(text) => {
                out.push(1);
                out.extend_from_slice(&(text.len() as u64).to_be_bytes());
                out.extend_from_slice(text.as_bytes());
            }
        }
    }
    out
}

/// Visible ASCII, 0x21 to 0x7E, and not empty.
fn is_session_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The first byte of what is sealed: of a later form, another.
const VERSION: u8 = 1;

/// Of a server's id.
const UPSTREAM_ID_BYTES_MAX: usize = 1 << 10;

/// Of what a client sends; nothing that `seal` makes is near it.
const SEALED_BYTES_MAX: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Owner<'static> =
        Owner { issuer: "https://as.example", subject: Some("alice"), client: Some("cli"), route: "github" };

    fn key(byte: u8) -> SecretKey {
        SecretKey::new(&[byte; 32])
    }

    fn seal_of(keys: &[u8]) -> SessionSeal {
        SessionSeal::new(&keys.iter().copied().map(key).collect::<Vec<_>>(), &random_key().unwrap()).unwrap()
    }

    #[test]
    fn opens_for_its_owner_alone() {
        #[track_caller]
        fn check(sealed_for: Owner<'_>, opened_by: Owner<'_>, expect: bool) {
            let seal = seal_of(&[1]);
            let sealed = seal.seal("0123-abc", sealed_for).unwrap();
            assert_eq!(seal.open(&sealed, opened_by), expect.then(|| "0123-abc".to_owned()));
        }
        let no_subject = Owner { subject: None, ..OWNER };
        let no_client = Owner { client: None, ..OWNER };
        check(OWNER, OWNER, true);
        check(no_subject, no_subject, true);
        check(no_client, no_client, true);
        check(OWNER, Owner { issuer: "https://as.example/", ..OWNER }, false);
        check(OWNER, Owner { subject: Some("bob"), ..OWNER }, false);
        check(OWNER, Owner { subject: Some("alic"), client: Some("ecli"), ..OWNER }, false);
        check(OWNER, Owner { client: Some("other"), ..OWNER }, false);
        check(OWNER, Owner { route: "jira", ..OWNER }, false);
        check(OWNER, Owner { subject: OWNER.client, client: OWNER.subject, ..OWNER }, false);
        check(OWNER, no_subject, false);
        check(OWNER, no_client, false);
        check(no_subject, OWNER, false);
        check(no_subject, Owner { subject: Some(""), ..OWNER }, false);
        check(Owner { subject: Some(""), ..OWNER }, no_subject, false);
        check(no_client, Owner { client: Some(""), ..OWNER }, false);
        check(
            Owner { subject: Some("x"), client: None, ..OWNER },
            Owner { subject: None, client: Some("x"), ..OWNER },
            false,
        );
    }

    #[test]
    fn where_messages_go_is_no_session_id() {
        let seal = seal_of(&[1]);
        let (id, target) =
            (seal.seal("/message?id=1", OWNER).unwrap(), seal.seal_target("/message?id=1", OWNER).unwrap());
        assert_eq!(seal.open_target(&target, OWNER).as_deref(), Some("/message?id=1"));
        assert_eq!((seal.open_target(&id, OWNER), seal.open(&target, OWNER)), (None, None));
        assert_eq!(seal.open_target(&target, Owner { route: "jira", ..OWNER }), None);
        assert!(seal.seal_target(&format!("/{}", "x".repeat(1024)), OWNER).is_err());
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        #[track_caller]
        fn check(sealed_with: &[u8], opened_with: &[u8], expect: bool) {
            let sealed = seal_of(sealed_with).seal("id", OWNER).unwrap();
            assert_eq!(seal_of(opened_with).open(&sealed, OWNER).is_some(), expect);
        }
        check(&[1], &[1], true);
        check(&[1], &[2, 1], true);
        check(&[1], &[3, 2, 1], true);
        check(&[2, 1], &[2], true);
        check(&[2, 1], &[1], false);
        check(&[1], &[2], false);
        check(&[1], &[], false);
        check(&[], &[], false);
    }

    #[test]
    fn a_key_made_at_random_opens_its_own() {
        let seal = SessionSeal::new(&[], &random_key().unwrap()).unwrap();
        let sealed = seal.seal("id", OWNER).unwrap();
        assert_eq!(seal.open(&sealed, OWNER).as_deref(), Some("id"));
    }

    #[test]
    fn every_other_text_is_refused() {
        let seal = seal_of(&[1]);
        let sealed = seal.seal("0123456789", OWNER).unwrap();
        assert!(is_session_id(&sealed));
        for at in 0..sealed.len() {
            for byte in (0..128).filter(|&byte| byte != sealed.as_bytes()[at]) {
                let mut flipped = sealed.clone().into_bytes();
                flipped[at] = byte;
                let flipped = String::from_utf8(flipped).unwrap();
                assert_eq!(seal.open(&flipped, OWNER), None, "byte {at} as {byte}");
            }
            assert_eq!(seal.open(&sealed[..at], OWNER), None, "cut to {at}");
        }
        let long = "A".repeat(SEALED_BYTES_MAX + 1);
        for other in
            ["", "AQ", "=", "é", "id", &format!("{sealed}="), &format!("{sealed}A"), &format!(" {sealed}"), &long]
        {
            assert_eq!(seal.open(other, OWNER), None, "{other}");
        }
    }

    #[test]
    fn every_flipped_bit_of_the_sealed_bytes_is_refused() {
        let seal = seal_of(&[1]);
        let bytes = URL_SAFE_NO_PAD.decode(seal.seal("id", OWNER).unwrap()).unwrap();
        assert_eq!(bytes.len(), 1 + 12 + 2 + 16);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(seal.open(&URL_SAFE_NO_PAD.encode(flipped), OWNER), None, "bit {bit}");
        }
    }

    #[test]
    fn seals_what_a_server_may_send() {
        #[track_caller]
        fn check(id: &str, expect: bool) {
            let seal = seal_of(&[1]);
            let sealed = seal.seal(id, OWNER);
            assert_eq!(sealed.is_ok(), expect, "{id:?}");
            if let Ok(sealed) = sealed {
                assert!(sealed.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{sealed}");
                assert_eq!(seal.open(&sealed, OWNER).as_deref(), Some(id));
            }
        }
        check("a", true);
        check("!~", true);
        check("1868a90c-4a1d-4f35-b8c8-f0b1f6f0e3a2", true);
        check(&"x".repeat(1024), true);
        check(&"x".repeat(1025), false);
        check("", false);
        check("a b", false);
        check("a\r\nX: y", false);
        check("a\u{7F}", false);
        check("é", false);
    }

    #[test]
    fn the_same_id_is_sealed_differently_each_time() {
        let seal = seal_of(&[1]);
        assert_ne!(seal.seal("id", OWNER).unwrap(), seal.seal("id", OWNER).unwrap());
    }
}

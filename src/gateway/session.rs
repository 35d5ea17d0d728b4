//! Seals `Mcp-Session-Id` to principal and route, so that an id is worthless to anybody else. Never to a token: clients
//! step up within a session.

use super::settings::SessionKey;

/// The keys: the first seals, all open.
pub struct SessionSeal {}

/// Whose session it is, and where. The issuer, the subject, the client, the route.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "said above")]
pub struct Owner<'a> {
    pub issuer: &'a str,
    pub subject: Option<&'a str>,
    pub client: Option<&'a str>,
    pub route: &'a str,
}

impl SessionSeal {
    /// Without keys one is made at random: sessions then end with the process.
    pub fn new(keys: &[SessionKey]) -> Result<Self, String> {
        let _ = keys;
        Ok(Self {})
    }
    /// The id that the client gets for the server's `upstream_id`: visible ASCII.
    pub fn seal(&self, upstream_id: &str, owner: Owner<'_>) -> Result<String, String> {
        let _ = (upstream_id, owner);
        Err(String::new())
    }
    /// The server's id, if `sealed` was sealed for this owner by one of the keys.
    #[must_use]
    pub fn open(&self, sealed: &str, owner: Owner<'_>) -> Option<String> {
        let _ = (sealed, owner);
        None
    }
}

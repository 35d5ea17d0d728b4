//! Takes the one access token out of a request's headers (RFC 6750 §2.1). After this no header holds it, and
//! the value that does has no way into a header, a log line or a message.

use std::fmt;

use http::HeaderMap;

/// An access token that was moved out of a request. No `Display`, no way into a header value; its bytes can be
/// read in `token` alone (crate-private accessor). Wiped on drop where that is cheap.
pub struct AccessToken(#[expect(dead_code, reason = "skeleton")] String);

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(…)")
    }
}

/// Why no token could be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BearerFault {
    /// No Authorization header, or one of another scheme.
    Missing,
    /// More than one Authorization header, or `Bearer` not followed by exactly one b64token.
    Invalid,
    /// A b64token over the size limit: it is no token of ours (DESIGN: `invalid_token`).
    TooLong,
}

impl AccessToken {
    /// Removes every Authorization header and returns the one bearer token, of at most `bytes_max` bytes.
    pub fn take(headers: &mut HeaderMap, bytes_max: usize) -> Result<Self, BearerFault> {
        let _ = (headers, bytes_max);
        Err(BearerFault::Missing)
    }
}

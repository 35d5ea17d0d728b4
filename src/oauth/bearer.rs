//! Takes the one access token out of a request's headers (RFC 6750 §2.1). After this no header holds it, and
//! the value that does has no way into a header, a log line or a message.

use std::fmt;

use http::header::{AUTHORIZATION, Entry};
use http::{HeaderMap, HeaderValue};
use zeroize::Zeroizing;

/// An access token that was moved out of a request. Neither `Clone` nor `Display`, and no way into a header value; its
/// bytes can be read in `token` alone (crate-private accessor), and are wiped when it is dropped.
///
/// Passing it on cannot be written:
///
/// ```compile_fail
/// use gatepost::oauth::bearer::AccessToken;
/// let mut headers = http::HeaderMap::new();
/// headers.insert("authorization", http::HeaderValue::from_static("Bearer abc"));
/// let token = AccessToken::take(&mut headers, 8192).unwrap();
/// headers.insert("authorization", http::HeaderValue::try_from(token).unwrap());
/// ```
///
/// while the same with a credential of our own compiles:
///
/// ```
/// use gatepost::oauth::bearer::AccessToken;
/// let mut headers = http::HeaderMap::new();
/// headers.insert("authorization", http::HeaderValue::from_static("Bearer abc"));
/// let token = AccessToken::take(&mut headers, 8192).unwrap();
/// headers.insert("authorization", http::HeaderValue::try_from("Bearer ours").unwrap());
/// # drop(token);
/// ```
///
/// Nor can it be printed:
///
/// ```compile_fail
/// # use gatepost::oauth::bearer::AccessToken;
/// fn print(token: &AccessToken) -> String {
///     format!("{token}")
/// }
/// ```
///
/// but for a mask:
///
/// ```
/// # use gatepost::oauth::bearer::AccessToken;
/// fn print(token: &AccessToken) -> String {
///     format!("{token:?}")
/// }
/// ```
pub struct AccessToken(Zeroizing<String>);

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
    /// Removes every Authorization header, whatever comes of it, and returns the one bearer token, of at most
    /// `bytes_max` bytes.
    pub fn take(headers: &mut HeaderMap, bytes_max: usize) -> Result<Self, BearerFault> {
        let Entry::Occupied(found) = headers.entry(AUTHORIZATION) else {
            return Err(BearerFault::Missing);
        };
        let (_, mut values) = found.remove_entry_mult();
        let first = values.next().ok_or(BearerFault::Missing)?;
        // Two Authorization headers: one of them was validated, and whoever reads the request next may take the other.
        if values.next().is_some() {
            return Err(BearerFault::Invalid);
        }
        let token = credentials(&first)?;
        if token.len() > bytes_max {
            return Err(BearerFault::TooLong);
        }
        Ok(Self(Zeroizing::new(token.to_owned())))
    }

    /// The bytes. Read in `token` alone, so that no other stage can pass the token on.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The token of `"Bearer" 1*SP b64token` (RFC 6750 §2.1); the scheme is compared without case (RFC 9110 §11.1).
fn credentials(value: &HeaderValue) -> Result<&str, BearerFault> {
    let bytes = value.as_bytes();
    let scheme_end = bytes.iter().position(|byte| !is_tchar(*byte)).unwrap_or(bytes.len());
    let (scheme, rest) = bytes.split_at(scheme_end);
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(BearerFault::Missing);
    }
    let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
    let (separator, token) = rest.split_at(spaces);
    if separator.is_empty() || !is_b64token(token) {
        return Err(BearerFault::Invalid);
    }
    std::str::from_utf8(token).map_err(|_| BearerFault::Invalid)
}

/// `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="` (RFC 6750 §2.1).
fn is_b64token(bytes: &[u8]) -> bool {
    let padding = bytes.iter().rev().take_while(|byte| **byte == b'=').count();
    let (body, _) = bytes.split_at(bytes.len() - padding);
    !body.is_empty() && body.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte))
}

/// The characters of a scheme's name (RFC 9110 §5.6.2).
fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use zeroize::ZeroizeOnDrop;

    use super::*;

    const MISSING: Result<&str, BearerFault> = Err(BearerFault::Missing);
    const INVALID: Result<&str, BearerFault> = Err(BearerFault::Invalid);

    fn check(values: &[&[u8]], expect: Result<&str, BearerFault>) {
        let mut headers = HeaderMap::new();
        headers.insert("accept", HeaderValue::from_static("text/plain"));
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value).unwrap());
        }
        let taken = AccessToken::take(&mut headers, 10);
        assert_eq!(taken.as_ref().map(AccessToken::as_str).map_err(|fault| *fault), expect, "{values:?}");
        assert!(!headers.contains_key(AUTHORIZATION), "{values:?} left a header");
        assert_eq!(headers.len(), 1);
    }

    #[test]
    fn takes_one_token() {
        check(&[b"Bearer abc.DEF-1"], Ok("abc.DEF-1"));
        check(&[b"bearer a"], Ok("a"));
        check(&[b"BEARER a"], Ok("a"));
        check(&[b"Bearer   a"], Ok("a"));
        check(&[b"Bearer -._~+/a=="], Ok("-._~+/a=="));
        check(&[b"Bearer 0123456789"], Ok("0123456789"));
    }

    #[test]
    fn no_bearer_is_missing() {
        check(&[], MISSING);
        check(&[b""], MISSING);
        check(&[b"Basic YTpi"], MISSING);
        check(&[b"Basic YTpi, Bearer abc"], MISSING);
        check(&[b"DPoP abc"], MISSING);
        check(&[b"Bearerabc"], MISSING);
        check(&[b"Bearer-X abc"], MISSING);
        check(&[b"Token Bearer abc"], MISSING);
        check(&[b"\xffBearer abc"], MISSING);
        check(&[b"abc"], MISSING);
    }

    #[test]
    fn anything_but_one_b64token_is_invalid() {
        check(&[b"Bearer"], INVALID);
        check(&[b"Bearer "], INVALID);
        check(&[b"Bearer\ta"], INVALID);
        check(&[b"Bearer \ta"], INVALID);
        check(&[b"Bearer a "], INVALID);
        check(&[b"Bearer a b"], INVALID);
        check(&[b"Bearer a,b"], INVALID);
        check(&[b"Bearer a, Bearer b"], INVALID);
        check(&[b"Bearer,a"], INVALID);
        check(&[b"Bearer=a"], INVALID);
        check(&[b"Bearer: a"], INVALID);
        check(&[b"Bearer \"a\""], INVALID);
        check(&[b"Bearer ="], INVALID);
        check(&[b"Bearer a=b"], INVALID);
        check(&[b"Bearer a\xe9"], INVALID);
        check(&[b"Bearer\xc2\xa0a"], INVALID);
        check(&[b"Bearer 0123456789 0123456789"], INVALID);
    }

    #[test]
    fn two_headers_are_invalid_whatever_they_hold() {
        check(&[b"Bearer a", b"Bearer a"], INVALID);
        check(&[b"Bearer a", b"Basic YTpi"], INVALID);
        check(&[b"Basic YTpi", b"Bearer a"], INVALID);
        check(&[b"Basic YTpi", b"Basic YTpi"], INVALID);
        check(&[b"", b"Bearer a"], INVALID);
        check(&[b"Bearer a", b"", b""], INVALID);
    }

    #[test]
    fn a_token_over_the_limit_is_too_long() {
        check(&[b"Bearer 0123456789a"], Err(BearerFault::TooLong));
        check(&[b"Bearer 0123456789="], Err(BearerFault::TooLong));
    }

    #[test]
    fn debug_is_masked() {
        let token = AccessToken(Zeroizing::new("secret".to_owned()));
        assert_eq!(format!("{token:?} {token:#?}"), "AccessToken(…) AccessToken(…)");
    }

    #[test]
    fn a_token_is_wiped_when_dropped() {
        fn wiped<T: ZeroizeOnDrop>(_: &T) {}
        wiped(&AccessToken(Zeroizing::new("secret".to_owned())).0);
    }
}

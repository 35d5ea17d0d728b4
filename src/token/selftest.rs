//! Proves at start that a good signature is accepted and a bad one refused: a build whose cryptography does not work must
//! not serve. The key was made for this and is used nowhere else.

use super::{jwks, jwt};

const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"self-test",
    "x":"tu9Bl6xgGjLFNzkMjNcHZ3nRExUF8SSrz-wkJayUk8o","y":"sNaBJ5Qt3kfNTdRtLtzf5zJU8qol5xBeh2feQ0NOGZY"}]}"#;
const HEADER: &str = "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6InNlbGYtdGVzdCJ9";
const PAYLOAD: &str = "eyJpc3MiOiJodHRwczovL3NlbGYtdGVzdC5pbnZhbGlkIn0";
/// Another payload of the same length: `https://self-tesT.invalid`.
const OTHER_PAYLOAD: &str = "eyJpc3MiOiJodHRwczovL3NlbGYtdGVzVC5pbnZhbGlkIn0";
const SIGNATURE: &str = "5TRnPa_SXSSKggGbLM_UIqC2jHOQUGAURrzZ4C683-NGEttM1uS9MuvlBxdGq-I2_KQca8AkyOIqT-g-0oHj6A";

/// Verifies one good and one forged token.
pub(super) fn run() -> Result<(), String> {
    let keys = jwks::read(KEYS.as_bytes(), &[jsonwebtoken::Algorithm::ES256], None)?.set;
    let verify = |payload: &str| jwt::verify_jws(&format!("{HEADER}.{payload}.{SIGNATURE}"), &keys);
    match (verify(PAYLOAD), verify(OTHER_PAYLOAD)) {
        (Ok(_), Err(crate::rejection::TokenFault::Signature)) => Ok(()),
        (good, forged) => {
            Err(format!("the self-test of signatures failed: a good one gave {good:?}, a forged one {forged:?}"))
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_self_test_passes() {
        assert_eq!(super::run(), Ok(()));
    }
}

//! When a certificate ends: as much of DER and X.509 (RFC 5280 §4.1) as leads there. It trusts nothing and verifies nothing.

use std::path::Path;

use super::read_chain;

/// When the first certificate of a PEM chain ends, in seconds since 1970.
pub fn expires(certificate: &Path) -> Result<u64, String> {
    let chain = read_chain(certificate)?;
    let end = chain.first().and_then(|certificate| not_after(certificate));
    end.ok_or_else(|| format!("{}: its first certificate does not say when it ends", certificate.display()))
}

/// `tbsCertificate.validity.notAfter`.
fn not_after(certificate: &[u8]) -> Option<u64> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut rest, _) = element(certificate)?;
    // An explicit version, then serial number, signature and issuer.
    if rest.first() == Some(&VERSION) {
        rest = element(rest)?.2;
    }
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (_, validity, _) = element(rest)?;
    let (_, _, rest) = element(validity)?;
    let (tag, text, _) = element(rest)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year = number(year)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (number(year)?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| number(rest.get(at..at + 2)?);
    let (month, day, hour, minute, second) = (part(0)?, part(2)?, part(4)?, part(6)?, part(8)?);
    if rest.len() != 10 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let seconds = hour * 3600 + minute * 60 + second;
    days(year, month, day)?.checked_mul(86_400)?.checked_add(seconds)
}

/// The tag, the content and what follows of the first element.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

fn number(digits: &str) -> Option<u64> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar; none before.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let months_before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let leaps = |year: u64| year / 4 - year / 100 + year / 400;
    let before = usize::try_from(month).ok()?.checked_sub(1)?;
    let of_year = months_before.get(before)? + day - 1 + u64::from(is_leap && month > 2);
    (year.checked_sub(1970)? * 365 + leaps(year - 1)).checked_sub(leaps(1969))?.checked_add(of_year)
}

const VERSION: u8 = 0xA0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::super::tests::Files;
    use super::*;

    #[test]
    fn a_certificate_says_when_it_ends() {
        for (year, month, day, expect) in [
            (2030, 1, 1, 1_893_456_000),
            (2028, 2, 29, 1_835_395_200),
            (2028, 3, 1, 1_835_481_600),
            (2049, 12, 31, 2_524_521_600),
            (2050, 1, 1, 2_524_608_000),
            (4096, 1, 1, 67_090_118_400),
            (1999, 12, 31, 946_598_400),
        ] {
            let mut params = CertificateParams::new(vec!["a".to_owned()]).unwrap();
            params.not_before = date_time_ymd(1975, 1, 1);
            params.not_after = date_time_ymd(year, month, day);
            let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let files = Files::new();
            assert_eq!(expires(&files.write("crt", &certificate.pem())), Ok(expect), "{year}-{month}-{day}");
        }
        assert!(expires(Path::new("/nonexistent")).is_err());
    }

    proptest! {
        #[test]
        fn nothing_else_breaks_it(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            not_after(&bytes);
        }
    }
}

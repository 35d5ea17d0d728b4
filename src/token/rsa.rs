//! Which RSA public keys are strong enough. Pure arithmetic on the bytes of modulus and exponent.

const MODULUS_BITS_MIN: usize = 2048;
const MODULUS_BITS_MAX: usize = 8192;
const EXPONENT_MIN: u64 = 65_537;
const EXPONENT_BITS_MAX: u32 = 33;

/// The number's bytes, shortest form.
pub(super) fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// Refuses what cannot be trusted or cannot be computed with: a modulus under 2048 or over 8192 bits or even, an exponent
/// under 65537 or over 33 bits or even (FIPS 186-5 §A.1.1), and keys of the library that made guessable primes
/// (CVE-2017-15361). Both numbers come without leading zeros.
pub(super) fn check(modulus: &[u8], exponent: &[u8]) -> Result<(), &'static str> {
    if bits(modulus) < MODULUS_BITS_MIN {
        return Err("an RSA modulus under 2048 bits");
    }
    if bits(modulus) > MODULUS_BITS_MAX {
        return Err("an RSA modulus over 8192 bits");
    }
    if is_even(modulus) {
        return Err("an even RSA modulus");
    }
    if exponent.len() > 8 {
        return Err("an RSA exponent over 33 bits");
    }
    let exponent = exponent.iter().fold(0, |number: u64, byte| (number << 8) | u64::from(*byte));
    if exponent < EXPONENT_MIN || exponent.is_multiple_of(2) {
        return Err("an RSA exponent under 65537, or even");
    }
    if exponent >> EXPONENT_BITS_MAX != 0 {
        return Err("an RSA exponent over 33 bits");
    }
    if is_roca(modulus) {
        return Err("an RSA key with guessable primes (CVE-2017-15361)");
    }
    Ok(())
}

fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

fn is_even(number: &[u8]) -> bool {
    number.last().is_none_or(|last| last.is_multiple_of(2))
}

/// The faulty library made primes of the form `k·M + (65537^a mod M)`, M a product of small primes: modulo every one of
/// those, such a modulus is a power of 65537. Of sound keys, fewer than one in two hundred million is.
fn is_roca(modulus: &[u8]) -> bool {
    const PRIMES: [u32; 38] = [
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107,
        109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    ];
    PRIMES.iter().all(|&prime| {
        let remainder = modulus.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let mut power = 1;
        (0..prime).any(|_| {
            let met = power == remainder;
            power = power * (65_537 % prime) % prime;
            met
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_numbers_are_refused() {
        let modulus = |first: u8, bytes: usize, last: u8| {
            let mut number = vec![0x5a; bytes];
            (number[0], number[bytes - 1]) = (first, last);
            number
        };
        let check = |modulus: &[u8], exponent: &[u8], ok: bool| {
            assert_eq!(check(modulus, exponent).is_ok(), ok, "{} bytes, e = {exponent:?}", modulus.len());
        };
        let good = modulus(0x80, 256, 1);
        check(&good, &[1, 0, 1], true);
        check(&good, &[1, 0, 0, 0, 1], true);
        check(&modulus(0xff, 1024, 1), &[1, 0, 1], true);
        check(&modulus(0x7f, 256, 1), &[1, 0, 1], false);
        check(&modulus(0xff, 128, 1), &[1, 0, 1], false);
        check(&modulus(0x01, 1025, 1), &[1, 0, 1], false);
        check(&modulus(0x80, 256, 2), &[1, 0, 1], false);
        check(&[], &[1, 0, 1], false);
        check(&good, &[], false);
        check(&good, &[1], false);
        check(&good, &[3], false);
        check(&good, &[1, 0, 2], false);
        check(&good, &[2, 0, 0, 0, 1], false);
        check(&good, &[1, 0, 0, 0, 0, 0, 0, 0, 1], false);
    }

    #[test]
    fn a_power_of_65537_has_the_mark_of_guessable_primes() {
        assert!(is_roca(&[1, 0, 1]));
        assert!(is_roca(&[1]));
        assert!(!is_roca(&[2]));
        assert!(!is_roca(&[3]));
    }

    #[test]
    fn leading_zeros_do_not_lengthen_a_modulus() {
        assert_eq!(without_leading_zeros(&[0, 0, 7, 0]), [7, 0]);
        assert_eq!(without_leading_zeros(&[0, 0]), [0; 0]);
        assert_eq!(without_leading_zeros(&[]), [0; 0]);
    }
}

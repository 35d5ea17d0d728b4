//! Secrets in memory: `Debug` prints none of their bytes, and they are wiped when dropped. What is in use is not: the
//! prepared keys of the session seal and of TLS wipe themselves, in aws-lc.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::Path;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A key of 32 bytes: of the session seal, or of the digest of arguments. They stay where they are when the value moves, so that no copy is left behind.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(Box<[u8; 32]>);

impl SecretKey {
    /// Copies the bytes, which are the caller's to wipe.
    #[must_use]
    pub fn new(bytes: &[u8; 32]) -> Self {
        let mut key = Self(Box::default());
        key.0.copy_from_slice(bytes);
        key
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

impl Zeroize for SecretKey {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl ZeroizeOnDrop for SecretKey {}

/// The first `bytes_max` bytes of a file that holds a secret.
pub fn read_secret(path: &Path, bytes_max: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    // With room for all of it from the beginning: a vector that grows leaves its old memory as it was.
    let mut bytes = Zeroizing::new(Vec::with_capacity(bytes_max));
    File::open(path)?.take(bytes_max as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same of standard input, past the buffer that the standard library has for it.
pub fn read_secret_stdin(bytes_max: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(bytes_max));
    let input = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    input.take(bytes_max as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_masked_wiped_and_not_moved() {
        let mut key = SecretKey::new(&[0xA7; 32]);
        assert_eq!(format!("{key:?} {key:#?}"), "SecretKey(…) SecretKey(…)");
        let place = key.bytes().as_ptr();
        let mut copy = key.clone();
        copy.zeroize();
        assert_eq!((copy.bytes(), key.bytes()), (&[0; 32], &[0xA7; 32]));
        key.zeroize();
        let moved = [key];
        assert_eq!((moved[0].bytes(), moved[0].bytes().as_ptr()), (&[0; 32], place));
    }

    #[test]
    fn what_holds_a_secret_is_wiped_when_dropped() {
        fn wiped<T: ZeroizeOnDrop>(_: &T) {}
        wiped(&SecretKey::new(&[1; 32]));
        let path = std::env::temp_dir().join(format!("gatepost-read-secret-{}", std::process::id()));
        std::fs::write(&path, [7; 100]).unwrap();
        for (bytes_max, expect) in [(64, 64), (100, 100), (4096, 100)] {
            let read = read_secret(&path, bytes_max).unwrap();
            wiped(&read);
            assert_eq!((&read[..], read.capacity()), (&[7; 100][..expect], bytes_max));
        }
        std::fs::remove_file(&path).unwrap();
        assert!(read_secret(&path, 64).is_err());
    }
}

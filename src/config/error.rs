//! What is wrong with a file, in words for the person who wrote it.

use std::fmt;

/// Everything that is wrong with a file, in the order of its lines; never empty when returned.
#[derive(Debug, Default)]
pub struct ConfigErrors {}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("skeleton")
    }
}

impl std::error::Error for ConfigErrors {}

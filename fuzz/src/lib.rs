//! What must hold of any bytes: one module for each fuzz target, whose `check` panics where it does not hold. libFuzzer
//! makes the bytes up; `tests/corpora.rs` takes them from the corpora, with the stable toolchain.
//!
//! Everything goes through the public interface. What is expected is said by another reader, or as plainly as it can be
//! written: never by the code that is checked.

pub mod challenge;
pub mod envelope;
pub mod jwks;
pub mod list;
pub mod metadata;
pub mod normal_form;
pub mod pattern;
pub mod readers;
pub mod sse;
pub mod token;
mod tree;
mod validator;
pub mod yaml;

//! The decision: what a caller's scopes permit on one route. Pure: no IO, no clock, no async, and no knowledge of
//! tokens. A `Permit` is made here and nowhere else.

pub mod decide;
pub mod explain;
pub mod pattern;
pub mod rule;
mod uri;

pub use decide::Permit;
pub use rule::{Policy, PolicySettings};
pub use uri::is_normal as is_normal_uri;

//! What RFC 6750, 8707, 8725, 9068, 9700 and 9728 demand, sentence by sentence where it falls on a protected resource or on a
//! reverse proxy before it; for what falls on clients and authorization servers, a row says so.

mod bearer; // RFC 6750
mod metadata; // RFC 8707 and RFC 9728
mod practice; // RFC 9700
mod tokens; // RFC 8725 and RFC 9068

pub(super) const BEARER: &[super::Row] = bearer::ROWS;
pub(super) const METADATA: &[super::Row] = metadata::ROWS;
pub(super) const PRACTICE: &[super::Row] = practice::ROWS;
pub(super) const TOKENS: &[super::Row] = tokens::ROWS;

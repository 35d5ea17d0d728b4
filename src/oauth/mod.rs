//! The words of OAuth 2.x as values: identifiers, scopes, the bearer token of a request, the challenge, the
//! protected resource metadata. Pure: no IO, no clock, no configuration.

pub mod bearer;
pub mod challenge;
pub mod ids;
pub mod metadata;
pub mod scope;

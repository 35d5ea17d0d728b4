//! `schema`: the JSON Schema of the routing file, as it was made of the types and their comments when this was built.

/// The document.
pub(super) const TEXT: &str = include_str!("../../config/gatepost.schema.json");

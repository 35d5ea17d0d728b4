//! What RFC 6750, 8707, 8725, 9068, 9700 and 9728 demand of a protected resource, where that falls on us.

use super::Row;

pub(super) const ROWS: &[Row] = &[];

//! What the specification of MCP demands of a server (2025-06-18, 2025-11-25, 2026-07-28), where that falls on us.

use super::Row;

pub(super) const ROWS: &[Row] = &[];

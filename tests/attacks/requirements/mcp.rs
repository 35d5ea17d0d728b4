//! What the specification of MCP demands (2025-06-18, 2025-11-25, 2026-07-28), sentence by sentence where it falls on us: a
//! protected resource, an HTTP server towards clients, what stands between, an HTTP client towards the server. What falls on
//! others has a row for each page or group. A sentence of several revisions is one row.

use super::Row;

mod authorization;
mod features;
mod messages;
mod practices;
mod transport;

pub(super) const ROWS: &[Row] = &joined::<{ length() }>();

const PARTS: [&[Row]; 5] = [authorization::ROWS, practices::ROWS, transport::ROWS, messages::ROWS, features::ROWS];

const fn length() -> usize {
    let (mut length, mut part) = (0, 0);
    while part < PARTS.len() {
        length += PARTS[part].len();
        part += 1;
    }
    length
}

const fn joined<const LENGTH: usize>() -> [Row; LENGTH] {
    let mut rows = [PARTS[0][0]; LENGTH];
    let (mut at, mut part) = (0, 0);
    while part < PARTS.len() {
        let mut row = 0;
        while row < PARTS[part].len() {
            rows[at] = PARTS[part][row];
            at += 1;
            row += 1;
        }
        part += 1;
    }
    rows
}

//! The revisions of MCP that are spoken.

/// A revision of MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revision {
    /// 2024-11-05 (HTTP+SSE).
    V2024_11_05,
    /// 2025-03-26.
    V2025_03_26,
    /// 2025-06-18.
    V2025_06_18,
    /// 2025-11-25.
    V2025_11_25,
    /// 2026-07-28.
    V2026_07_28,
}

impl Revision {
    /// Reads `YYYY-MM-DD` exactly; `None` for a revision that is not spoken.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let _ = text;
        None
    }
    /// The date form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        ""
    }
}

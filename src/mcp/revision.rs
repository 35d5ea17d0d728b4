//! The revisions of MCP that are spoken. No decision rests on which of them a client says it speaks.

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
        ALL.into_iter().find(|revision| revision.as_str() == text)
    }

    /// The date form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }
}

/// Every revision that is spoken.
pub const ALL: [Revision; 5] =
    [Revision::V2024_11_05, Revision::V2025_03_26, Revision::V2025_06_18, Revision::V2025_11_25, Revision::V2026_07_28];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_revision_reads_back() {
        for revision in ALL {
            assert_eq!(Revision::parse(revision.as_str()), Some(revision));
        }
    }

    #[test]
    fn nothing_else_is_a_revision() {
        for text in [
            "",
            "2026-07-28 ",
            " 2026-07-28",
            "2026-7-28",
            "2026-07-29",
            "DRAFT-2026-v1",
            "draft",
            "2026-07-28\0",
            "1.0",
        ] {
            assert_eq!(Revision::parse(text), None, "{text:?}");
        }
    }
}

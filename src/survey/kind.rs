//! How much a tool may do, by what its server says of it and by its name. Both are hints of a server that nobody checks: a
//! name may make the answer stricter, never looser, and what says nothing of itself counts as destructive.

use super::text;

/// What a server says of a tool (MCP, `ToolAnnotations`); `None` for what it does not say, or says as no truth value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hints {
    /// `readOnlyHint`.
    pub read_only_hint: Option<bool>,
    /// `destructiveHint`.
    pub destructive_hint: Option<bool>,
    /// `idempotentHint`.
    pub idempotent_hint: Option<bool>,
    /// `openWorldHint`.
    pub open_world_hint: Option<bool>,
}

/// How much a tool may do, the strictest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Changes nothing.
    Read,
    /// Changes nothing here, and by its own word reaches others: what it is asked for leaves the server.
    ReadOpen,
    /// Adds, and destroys nothing.
    Write,
    /// Anything.
    Destroy,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::ReadOpen, Self::Write, Self::Destroy];

    /// The last part of the scope.
    #[must_use]
    pub fn scope(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::ReadOpen => "read-open",
            Self::Write => "write",
            Self::Destroy => "destroy",
        }
    }

    /// What the tool so called, with these hints, may do, and what a reviewer should know of that.
    #[must_use]
    pub fn of(name: &str, hints: Hints) -> (Self, Vec<&'static str>) {
        let mut notes = Vec::new();
        let destroys = says_destroy(name);
        let kind = match (hints.read_only_hint, hints.destructive_hint) {
            (Some(true), Some(true)) => {
                notes.push("says both readOnlyHint and destructiveHint");
                Self::Destroy
            }
            (Some(true), _) if destroys || says_write(name) => {
                notes.push("says readOnlyHint: true, which its name denies");
                Self::Destroy
            }
            (Some(true), _) if says_secret(name) => {
                notes.push("says readOnlyHint: true, and its name speaks of secrets");
                Self::Destroy
            }
            (Some(true), _) if hints.open_world_hint == Some(true) => Self::ReadOpen,
            (Some(true), _) => Self::Read,
            (_, Some(false)) if destroys => {
                notes.push("says destructiveHint: false, which its name denies");
                Self::Destroy
            }
            (_, Some(false)) => Self::Write,
            (None, None) => {
                notes.push("says neither readOnlyHint nor destructiveHint, so counts as destructive");
                Self::Destroy
            }
            (Some(false), None) => {
                notes.push("says no destructiveHint, so counts as destructive");
                Self::Destroy
            }
            (None | Some(false), Some(true)) => Self::Destroy,
        };
        if kind > Self::ReadOpen {
            if hints.idempotent_hint == Some(true) {
                notes.push("idempotent: called again it does no more");
            }
            if hints.open_world_hint == Some(true) {
                notes.push("open world: reaches beyond its server");
            }
        }
        (kind, notes)
    }
}

/// Whether a word of the name speaks of an end.
fn says_destroy(name: &str) -> bool {
    text::words(name).iter().any(|word| DESTROYS.contains(&word.as_str()))
}

/// Whether the name begins by speaking of a change: later words may be nouns (`get_post`, `list_updates`).
fn says_write(name: &str) -> bool {
    text::words(name).first().is_some_and(|word| WRITES.contains(&word.as_str()))
}

/// Whether a word of the name speaks of what only some may read.
fn says_secret(name: &str) -> bool {
    text::words(name).iter().any(|word| SECRETS.contains(&word.as_str()))
}

const SECRETS: [&str; 11] = [
    "credential",
    "credentials",
    "env",
    "password",
    "passwords",
    "secret",
    "secrets",
    "token",
    "tokens",
    "vault",
    "apikey",
];

const DESTROYS: [&str; 31] = [
    "abort",
    "archive",
    "ban",
    "cancel",
    "clean",
    "cleanup",
    "clear",
    "close",
    "delete",
    "deprovision",
    "destroy",
    "disable",
    "drop",
    "erase",
    "evict",
    "expunge",
    "format",
    "kill",
    "overwrite",
    "prune",
    "purge",
    "remove",
    "reset",
    "revoke",
    "rm",
    "shutdown",
    "terminate",
    "truncate",
    "uninstall",
    "unpublish",
    "wipe",
];

const WRITES: [&str; 47] = [
    "add",
    "allow",
    "append",
    "apply",
    "approve",
    "assign",
    "book",
    "buy",
    "change",
    "commit",
    "configure",
    "copy",
    "create",
    "deploy",
    "edit",
    "enable",
    "exec",
    "execute",
    "grant",
    "insert",
    "install",
    "invite",
    "invoke",
    "launch",
    "make",
    "merge",
    "modify",
    "move",
    "order",
    "patch",
    "pay",
    "post",
    "publish",
    "push",
    "put",
    "rename",
    "replace",
    "restart",
    "run",
    "save",
    "send",
    "set",
    "transfer",
    "update",
    "upload",
    "upsert",
    "write",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn hints(read_only: Option<bool>, destructive: Option<bool>) -> Hints {
        Hints { read_only_hint: read_only, destructive_hint: destructive, ..Hints::default() }
    }

    #[test]
    fn what_a_server_says_counts_and_a_name_only_tightens() {
        let check = |name: &str, read_only, destructive, expect| {
            assert_eq!(Kind::of(name, hints(read_only, destructive)).0, expect, "{name} {read_only:?} {destructive:?}");
        };
        check("echo", Some(true), None, Kind::Read);
        check("echo", Some(true), Some(false), Kind::Read);
        check("echo", Some(true), Some(true), Kind::Destroy);
        check("echo", Some(false), Some(false), Kind::Write);
        check("echo", None, Some(false), Kind::Write);
        check("echo", Some(false), None, Kind::Destroy);
        check("echo", Some(false), Some(true), Kind::Destroy);
        check("echo", None, Some(true), Kind::Destroy);
        check("get_x", None, None, Kind::Destroy);
        check("list_x", Some(false), None, Kind::Destroy);
        check("delete_x", Some(true), None, Kind::Destroy);
        check("deleteX", Some(true), Some(false), Kind::Destroy);
        check("files.REMOVE", Some(true), None, Kind::Destroy);
        check("notes-purge-all", None, Some(false), Kind::Destroy);
        check("update_x", Some(true), None, Kind::Destroy);
        check("update_x", Some(false), Some(false), Kind::Write);
        check("get_post", Some(true), None, Kind::Read);
        check("get-env", Some(true), None, Kind::Destroy);
        check("listSecrets", Some(true), Some(false), Kind::Destroy);
        check("environment_status", Some(true), None, Kind::Read);
    }

    #[test]
    fn an_open_world_is_a_scope_of_its_own() {
        let open = |world| Hints { open_world_hint: world, ..hints(Some(true), None) };
        assert_eq!(Kind::of("search", open(Some(true))).0, Kind::ReadOpen);
        assert_eq!(Kind::of("search", open(Some(false))).0, Kind::Read);
        assert_eq!(Kind::of("search", open(None)).0, Kind::Read);
    }

    #[test]
    fn the_reviewer_is_told_why() {
        assert_eq!(Kind::of("delete_x", hints(Some(true), None)).1, ["says readOnlyHint: true, which its name denies"]);
        let said = Hints { idempotent_hint: Some(true), open_world_hint: Some(true), ..hints(Some(false), Some(true)) };
        assert_eq!(Kind::of("x", said).1.len(), 2);
    }
}

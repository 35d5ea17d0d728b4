//! `audit`: where records go, what they hold, and what becomes of requests while there is no room for them.

use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use super::checks::Checks;
use super::error::shown;
use super::place::KeyPath;
use super::{raw, secret_key};
use crate::gateway::settings::{AuditSettings, AuditTo, OnStall};

/// All of it; what is refused has its default.
pub(super) fn audit(written: &raw::Audit, checks: &mut Checks<'_>) -> AuditSettings {
    let path = KeyPath::default().key("audit");
    let default = AuditSettings::default();
    let digest_key = written.digest_key.as_ref().and_then(|source| secret_key(source, &path.key("digest_key"), checks));
    AuditSettings {
        to: to(written, &path, checks).unwrap_or(default.to),
        arguments: written.arguments,
        on_stall: match written.on_stall {
            raw::OnStall::Block => OnStall::Block,
            raw::OnStall::Drop => OnStall::Drop,
        },
        queue_records_max: checks.size(
            &path.key("queue_records_max"),
            written.queue_records_max,
            16..=1_000_000,
            default.queue_records_max,
        ),
        digest_key,
    }
}

fn to(written: &raw::Audit, path: &KeyPath, checks: &mut Checks<'_>) -> Option<AuditTo> {
    let file = path.key("file");
    match (written.sink, &written.file) {
        (raw::AuditSink::Stdout, None) => Some(AuditTo::Stdout),
        (raw::AuditSink::Stdout, Some(_)) => {
            let found = "no record would go to this file: `sink` is stdout";
            checks.refuse_key(&file, found, "`sink: file` or `sink: both`, or no `file`");
            None
        }
        (raw::AuditSink::File | raw::AuditSink::Both, None) => {
            checks.refuse(&path.key("sink"), "nothing says which file", "`file:` with the name of one beside it");
            None
        }
        (sink, Some(name)) => {
            let file = log_file(name, &file, checks)?;
            Some(if sink == raw::AuditSink::Both { AuditTo::Both(file) } else { AuditTo::File(file) })
        }
    }
}

/// A file that can be there: it is opened, and made, when the gateway starts.
fn log_file(name: &str, path: &KeyPath, checks: &mut Checks<'_>) -> Option<PathBuf> {
    // Not one to be watched: it changes with every record.
    let file = checks.path_of(path, name);
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if name.is_empty() || name.ends_with('/') || file.is_dir() {
        checks.refuse(path, format!("{} is a folder", shown(name)), "the name of a file");
    } else if file.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo()) {
        // Opening one waits for somebody to read it.
        checks.refuse(path, format!("{} is a pipe", shown(name)), "a file; for a reader, `sink: stdout` into a pipe");
    } else if !folder.is_dir() {
        let expected = "a file in a folder that is there; its name is relative to the folder of this file";
        checks.refuse(path, format!("the folder of {} is not there", shown(name)), expected);
    } else {
        return Some(file);
    }
    None
}

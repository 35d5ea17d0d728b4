//! What the system says a process has used. Nothing here is sampled: the scheduler counts the time, the kernel the pages.

use std::fs;

/// Nanoseconds that all threads of these processes have been on a processor. Threads that ended are not counted: the
/// proxies end none while they are measured.
#[must_use]
pub fn cpu_nanos(pids: &[u32]) -> u64 {
    pids.iter().map(|pid| threads(*pid).filter_map(|schedstat| first_number(&schedstat)).sum::<u64>()).sum()
}

/// KiB that these processes hold of memory, shared pages by their part (`Pss`).
#[must_use]
pub fn held_kib(pids: &[u32]) -> u64 {
    pids.iter().filter_map(|pid| field_kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:")).sum()
}

/// The most KiB that these processes have had in memory, each since it began (`VmHWM`).
#[must_use]
pub fn peak_kib(pids: &[u32]) -> u64 {
    pids.iter().filter_map(|pid| field_kib(&format!("/proc/{pid}/status"), "VmHWM:")).sum()
}

fn threads(pid: u32) -> impl Iterator<Item = String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks.filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
}

fn first_number(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

fn field_kib(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)).and_then(first_number)
}

//! The file: whatever stands in it, each error is two lines, and its place lies within the file.

use std::path::Path;

use gatepost::config;

/// How the file is called.
const NAME: &str = "gatepost.yaml";

/// Takes the bytes for a routing file.
///
/// # Panics
/// Where an error has another form, or a place that is not in the file.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // There is no such folder: what the file names cannot be read.
    let Err(errors) = config::parse(text, NAME, Path::new("/nonexistent")) else { return };
    let shown = errors.to_string();
    let lines: Vec<&str> = shown.split('\n').collect();
    let (problems, more) = match lines.split_last() {
        Some((last, problems)) if last.starts_with("… and ") => (problems, errors.count() - 50),
        _ => (&lines[..], 0),
    };
    assert_eq!(problems.len(), 2 * (errors.count() - more), "{shown}");
    for problem in problems.chunks(2) {
        let [found, expected] = problem else { panic!("{shown}") };
        assert!(expected.starts_with("  expected: ") && !expected.trim_end().ends_with(':'), "{shown}");
        assert!(![found, expected].iter().any(|line| line.chars().any(char::is_control)), "{shown}");
        let rest = found.strip_prefix(NAME).and_then(|rest| rest.strip_prefix(':')).expect("the name first");
        if rest.starts_with(' ') {
            continue;
        }
        let mut numbers = rest.splitn(3, ':').map(str::parse::<usize>);
        let (Some(Ok(line)), Some(Ok(column))) = (numbers.next(), numbers.next()) else { panic!("{shown}") };
        check_place(text, line, column);
    }
}

/// The place is a character of the file, or where its text or a line's ends.
fn check_place(text: &str, line: usize, column: usize) {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let found = line.checked_sub(1).and_then(|above| text.split('\n').nth(above));
    let found = found.unwrap_or_else(|| panic!("line {line} of {}", text.split('\n').count()));
    assert!((1..=found.chars().count() + 1).contains(&column), "column {column} of {found:?}");
}

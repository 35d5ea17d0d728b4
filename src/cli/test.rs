//! `gatepost test`: a table of what policy is expected to say, held against the file; and a table of what differs.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use gatepost::config::error::ConfigErrors;
use gatepost::config::expectations::{Expectation, Expectations, Expected};
use gatepost::gateway::rehearsal::{Rehearsal, Rehearsed};
use gatepost::gateway::route::Route;
use gatepost::oauth::scope::ScopeSet;
use gatepost::policy::explain::{Explanation, Listed};
use gatepost::rejection::{Denial, Failure};

use super::{EX_CONFIG, File, print_out, unusable, with_file, words};

#[derive(Debug, Args)]
pub(super) struct Test {
    /// The table, YAML; `-` for standard input
    #[arg(value_name = "FILE")]
    table: PathBuf,
    #[command(flatten)]
    file: File,
}

/// What one case gives, where it differs.
struct Difference {
    cells: [String; COLUMNS.len()],
}

pub(super) fn test(options: &Test) -> ExitCode {
    let is_stdin = options.table.as_os_str() == "-";
    let read = if is_stdin {
        Expectations::read_from(std::io::stdin().lock(), STDIN)
    } else {
        Expectations::read(&options.table)
    };
    let table = match read {
        Ok(table) => table,
        Err(errors) => return unreadable(&errors),
    };
    let name = if is_stdin { STDIN.to_owned() } else { options.table.display().to_string() };
    // What is said on the command line goes before what the table says.
    let file = File { config: options.file.config.clone().or_else(|| table.config()) };
    with_file(&file, |path, settings, _| {
        let cases = match table.of(&settings) {
            Ok(cases) => cases,
            Err(errors) => return unreadable(&errors),
        };
        let rehearsal = match Rehearsal::new(&settings) {
            Ok(rehearsal) => rehearsal,
            Err(error) => return unusable(path, &error),
        };
        let differences: Vec<Difference> =
            cases.iter().filter_map(|case| difference(case, &rehearsal, &name)).collect();
        let (all, path) = (cases.len(), path.display());
        if differences.is_empty() {
            return print_out(&format!("{name}: {all} of {all} hold, of {path}\n"));
        }
        let failed = differences.len();
        let said = format!("{}\n{name}: {failed} of {all} differ, of {path}\n", table_of(&differences));
        match print_out(&said) {
            ExitCode::SUCCESS => ExitCode::FAILURE,
            code => code,
        }
    })
}

fn unreadable(errors: &ConfigErrors) -> ExitCode {
    eprintln!("{errors}");
    ExitCode::from(EX_CONFIG)
}

/// What the case gives, unless it is what is expected.
fn difference(case: &Expectation, rehearsal: &Rehearsal, name: &str) -> Option<Difference> {
    let cells = |got: String, expected: String, by: String| {
        let held = match &case.held {
            Ok(held) if held.is_empty() => "no scope".to_owned(),
            Ok(held) => held.to_string(),
            Err(_) => "unreadable claims".to_owned(),
        };
        let place = format!("{name}:{}", case.line);
        Difference { cells: [place, case.route.to_string(), words::operation(&case.wish), held, expected, got, by] }
    };
    let Some(route) = rehearsal.route(&case.route) else {
        return Some(cells("no such route".to_owned(), answer(case.expect).to_owned(), String::new()));
    };
    let none = ScopeSet::default();
    let (held, rehearsed) = match &case.held {
        Ok(held) => (held, rehearsal.ask(route, held, case.wish.sample(case.revision))),
        Err(fault) => (&none, rehearsal.refuse(route, Failure::InvalidToken(*fault))),
    };
    let (mut expected, mut got) = (Vec::new(), Vec::new());
    let mut compare = |wanted: String, found: String| {
        if wanted != found {
            expected.push(wanted);
            got.push(found);
        }
    };
    let refused = rehearsed.refused.as_ref();
    let became = refused.map_or(Expected::Forwarded, |(rejection, _)| Expected::Refused(rejection.reason()));
    compare(answer(case.expect).to_owned(), answer(became).to_owned());
    let explanation = rehearsed.decided.as_ref().map(|(_, decided)| route.policy.explain(decided));
    if let Some(needed) = &case.needed {
        compare(needs(Some(needed)), needs(explanation.as_ref().and_then(Explanation::needed)));
    }
    if let Some(listed) = case.listed {
        compare(shown(Some(listed)), shown(is_listed(&rehearsed, route, held)));
    }
    if let Some(wanted) = case.would_deny {
        let denial = explanation.as_ref().and_then(Explanation::would_deny);
        let found = denial.map_or(Expected::Forwarded, |denial| Expected::Refused(Denial::reason(denial)));
        compare(format!("would_deny {}", reported(wanted)), format!("would_deny {}", reported(found)));
    }
    if expected.is_empty() {
        return None;
    }
    let by = explanation.as_ref().map(words::rule_and_place).unwrap_or_default();
    Some(cells(got.join("; "), expected.join("; "), by))
}

fn is_listed(rehearsed: &Rehearsed, route: &Route, held: &ScopeSet) -> Option<bool> {
    let (operation, _) = rehearsed.decided.as_ref()?;
    route.policy.listed(held, operation).map(Listed::is_seen)
}

fn answer(expected: Expected) -> &'static str {
    match expected {
        Expected::Forwarded => "allow",
        Expected::Refused(reason) => reason,
    }
}

fn reported(expected: Expected) -> &'static str {
    match expected {
        Expected::Forwarded => "nothing",
        Expected::Refused(reason) => reason,
    }
}

/// In a fixed order: a table says which scopes are needed, not in which order.
fn needs(scopes: Option<&ScopeSet>) -> String {
    let Some(scopes) = scopes else { return "needs what no scope gives".to_owned() };
    let mut scopes: Vec<&str> = scopes.iter().map(gatepost::oauth::scope::Scope::as_str).collect();
    scopes.sort_unstable();
    if scopes.is_empty() { "needs nothing".to_owned() } else { format!("needs {}", scopes.join(" ")) }
}

fn shown(listed: Option<bool>) -> String {
    match listed {
        Some(true) => "listed",
        Some(false) => "not listed",
        None => "in no list",
    }
    .to_owned()
}

/// Columns as wide as what stands in them.
fn table_of(differences: &[Difference]) -> String {
    let head = COLUMNS.map(str::to_owned);
    let rows: Vec<&[String; COLUMNS.len()]> =
        std::iter::once(&head).chain(differences.iter().map(|difference| &difference.cells)).collect();
    let mut widths = [0; COLUMNS.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row.iter()) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &&[String; COLUMNS.len()]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n") + "\n"
}

const COLUMNS: [&str; 7] = ["CASE", "ROUTE", "OPERATION", "WITH", "EXPECTED", "GOT", "BY"];
const STDIN: &str = "standard input";

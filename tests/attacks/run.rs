//! Fires every attack, a few rows of the catalogue at a time, and says what came of it.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::readings;
use crate::requirements;
use crate::scene::Tally;

/// A row of the catalogue as attacks: its function's name begins with the row's number.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) fire: fn() -> Pin<Box<dyn Future<Output = Tally>>>,
}

/// The rows of a section, by the names of their functions.
macro_rules! rows {
    ($($name:ident),+ $(,)?) => {
        /// Every row of this section.
        pub(crate) const ROWS: &[crate::run::Row] =
            &[$(crate::run::Row { name: stringify!($name), fire: || Box::pin($name()) }),+];
    };
}
pub(crate) use rows;

/// All sections.
const SECTIONS: &[&[Row]] = &[
    crate::a_tokens::ROWS,
    crate::a_tokens_2::ROWS,
    crate::b_authorization::ROWS,
    crate::c_bodies::ROWS,
    crate::d_headers::ROWS,
    crate::e_answers::ROWS,
    crate::f_http1::ROWS,
    crate::f_surface::ROWS,
    crate::g_http2::ROWS,
    crate::h_keys::ROWS,
    crate::i_exhaustion::ROWS,
    crate::j_discovery::ROWS,
    crate::k_configuration::ROWS,
];

/// How many rows are fired at a time: most of what they do is waiting.
const AT_A_TIME: usize = 6;

/// Words on the command line choose the rows whose names contain one of them.
pub(crate) fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let begun = Instant::now();
    let all: Vec<&Row> = SECTIONS.iter().copied().flatten().collect();
    readings::self_test();
    let mut faults = requirements::faults(&all.iter().map(|row| row.name).collect::<Vec<_>>());
    let chosen: Vec<&Row> =
        all.into_iter().filter(|row| words.is_empty() || words.iter().any(|word| row.name.contains(word))).collect();
    let tallies = fire(&chosen);
    let (mut attacks, mut reached) = (0, 0);
    println!("\n{:<52}{:>8}{:>9}{:>7}", "row", "attacks", "reached", "wrong");
    for (name, tally) in tallies.values() {
        println!("{name:<52}{:>8}{:>9}{:>7}", tally.attacks.len(), tally.reached.len(), tally.wrong.len());
        attacks += tally.attacks.len();
        reached += tally.reached.len();
        if tally.attacks.is_empty() {
            faults.push(format!("{name}: no attack"));
        }
        faults.extend(tally.reached.iter().map(|fault| format!("{name}: reached the server: {fault}")));
        faults.extend(tally.wrong.iter().map(|fault| format!("{name}: {fault}")));
    }
    for fault in &faults {
        println!("FAILED {fault}");
    }
    if words.is_empty() {
        requirements::print();
    }
    println!("\n{attacks} attacks, {reached} reached the server");
    println!("{} rows in {:.1} s, {} faults\n", chosen.len(), begun.elapsed().as_secs_f64(), faults.len());
    if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Each row on a thread and a runtime of its own, as `tokio::test` would have it. What panics is wrong, and ends no other row.
fn fire(rows: &[&Row]) -> BTreeMap<usize, (&'static str, Tally)> {
    let next = AtomicUsize::new(0);
    let tallies = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    let Some(row) = rows.get(at) else { break };
                    let begun = Instant::now();
                    let tally = std::panic::catch_unwind(AssertUnwindSafe(|| {
                        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                        runtime.block_on((row.fire)())
                    }));
                    let mut tally =
                        tally.unwrap_or_else(|panic| Tally { wrong: vec![words_of(&*panic)], ..Tally::default() });
                    if begun.elapsed().as_secs() > 60 {
                        tally.wrong.push(format!("took {:?}", begun.elapsed()));
                    }
                    tallies.lock().unwrap().insert(at, (row.name, tally));
                }
            });
        }
    });
    tallies.into_inner().unwrap()
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", words.unwrap_or("without words"))
}

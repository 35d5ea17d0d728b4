//! `include`: files that hold routes alone, so that each team has one of its own. What is wrong with one is reported with its
//! name, and refuses the whole.

use std::path::{Path, PathBuf};
use std::{fs, thread};

use super::checks::{Checks, Source};
use super::error::{Problem, shown};
use super::place::{KeyPath, Node};
use super::raw::{self, Include};
use super::routes::Written;
use super::{read_text, yaml};

/// More files are a mistake: a wrong folder.
const FILES_MAX: usize = 1000;

/// A file that was included, and its number.
pub(super) struct Included {
    file: raw::Included,
    number: usize,
}

/// The routes of the file and of those that it includes, in this order.
pub(super) fn all_routes<'a>(file: &'a raw::File, included: &'a [Included]) -> Vec<Written<'a>> {
    let own = std::iter::once((0, &file.routes));
    let others = included.iter().map(|included| (included.number, &included.file.routes));
    let of_one = |(number, routes): (usize, &'a Vec<raw::Route>)| {
        let list = KeyPath::default().in_file(number).key("routes");
        routes.iter().enumerate().map(move |(index, route)| (list.index(index), route))
    };
    own.chain(others).flat_map(of_one).collect()
}

/// Those that could be read; what is wrong with the others is reported.
pub(super) fn included(include: Option<&Include>, checks: &mut Checks<'_>) -> Vec<Included> {
    let at = KeyPath::default().key("include");
    let entries: Vec<(KeyPath, &String)> = match include {
        None => Vec::new(),
        Some(Include::One(name)) => vec![(at, name)],
        Some(Include::List(names)) => names.iter().enumerate().map(|(index, name)| (at.index(index), name)).collect(),
    };
    let mut named = Vec::new();
    for (path, name) in entries {
        named.extend(files(&path, name, checks));
    }
    for (_, file) in &named {
        checks.watch(file);
    }
    let read = read_all(&named);
    named.into_iter().zip(read).filter_map(|((name, file), read)| add(name, &file, read, checks)).collect()
}

/// The files of one entry: the name that messages have for each, and where it is.
fn files(path: &KeyPath, name: &str, checks: &mut Checks<'_>) -> Vec<(String, PathBuf)> {
    let at = checks.resolve(path, name);
    let shown_as = checks.beside(name);
    let found = fs::metadata(&at).and_then(|entry| if entry.is_dir() { in_folder(&at).map(Some) } else { Ok(None) });
    match found {
        Ok(None) => vec![(shown_as.display().to_string(), at)],
        Ok(Some(names)) if names.len() > FILES_MAX => {
            let found = format!("{} holds {} files", shown(name), names.len());
            checks.refuse(path, found, format!("a folder of at most {FILES_MAX} files with routes"));
            Vec::new()
        }
        Ok(Some(names)) => {
            names.into_iter().map(|name| (shown_as.join(&name).display().to_string(), at.join(&name))).collect()
        }
        Err(error) => {
            let found = format!("{} cannot be read: {error}", shown(name));
            checks.refuse(path, found, "a folder or a file; its name is relative to the folder of this file");
            Vec::new()
        }
    }
}

/// The names of the files in a folder that are read, in their order. `..data` of a mounted folder is none, nor is what editors
/// leave behind.
fn in_folder(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = PathBuf::from(entry?.file_name());
        let is_hidden = name.as_os_str().as_encoded_bytes().starts_with(b".");
        if !is_hidden && name.extension().is_some_and(|ending| ending == "yaml" || ending == "yml") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

type Read = Result<(raw::Included, Node), Vec<Problem>>;

/// What stands in each, in their order. Reading is most of the work where there are thousands of routes, so each core takes its
/// part of it.
fn read_all(files: &[(String, PathBuf)]) -> Vec<Read> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    let part = files.len().div_ceil(threads).max(FILES_OF_A_THREAD_MIN);
    let read_part = |files: &[(String, PathBuf)]| files.iter().map(|(_, file)| read(file)).collect::<Vec<_>>();
    thread::scope(|scope| {
        let (first, others) = files.split_at(part.min(files.len()));
        let begin = |files| thread::Builder::new().spawn_scoped(scope, move || read_part(files)).ok();
        let others: Vec<_> = others.chunks(part).map(|files| (files, begin(files))).collect();
        let mut all = read_part(first);
        for (files, other) in others {
            // Where there was no thread to be had, this one reads that part too.
            let read = other.and_then(|other| other.join().ok());
            all.extend(read.unwrap_or_else(|| read_part(files)));
        }
        all
    })
}

fn read(file: &Path) -> Read {
    // Looked at before it is opened: opening a pipe would wait for somebody to write.
    let text = match fs::metadata(file) {
        Ok(entry) if !entry.is_file() => {
            Err(Problem::of_file("is a folder, or otherwise no file", "a file with `routes:`"))
        }
        Ok(_) | Err(_) => read_text(file, "a readable file with `routes:`"),
    };
    text.map_err(|problem| vec![problem]).and_then(|text| yaml::read_included(&text))
}

fn add(name: String, file: &Path, read: Read, checks: &mut Checks<'_>) -> Option<Included> {
    let base = file.parent().unwrap_or_else(|| Path::new("")).to_owned();
    match read {
        Ok((read, tree)) => {
            let number = checks.include(Source { name, base, tree: Some(tree) }, Vec::new());
            Some(Included { file: read, number })
        }
        Err(problems) => {
            checks.include(Source { name, base, tree: None }, problems);
            None
        }
    }
}

/// Threads that read, at most.
const THREADS_MAX: usize = 8;
/// For fewer files a thread costs more than it saves.
const FILES_OF_A_THREAD_MIN: usize = 4;

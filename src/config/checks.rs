//! What every check of a value needs: where it stands, and a list that takes all that is wrong. It knows no key.

use std::fmt;
use std::fs::{self, File};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{Problem, shown};
use super::place::{KeyPath, Node, Place};
use crate::gateway::reload::Watched;

/// Problems beyond these are not kept.
const PROBLEMS_MAX: usize = 1000;

/// The checks of one file, and of those that it includes, under way.
pub(super) struct Checks<'a> {
    sources: Vec<Source>,
    files: &'a mut Vec<Watched>,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

/// One of the files.
pub(super) struct Source {
    /// As messages name it.
    pub(super) name: String,
    /// The folder that the names in it are relative to.
    pub(super) base: PathBuf,
    /// Where everything in it stands; `None`: it could not be read.
    pub(super) tree: Option<Node>,
}

impl<'a> Checks<'a> {
    /// Checks of `source`, which includes what is added later. The files that are read are added to `files`.
    pub(super) fn new(source: Source, files: &'a mut Vec<Watched>) -> Self {
        Self { sources: vec![source], files, problems: Vec::new(), warnings: Vec::new() }
    }

    /// Another file; its number is how many there were before.
    pub(super) fn include(&mut self, source: Source, problems: Vec<Problem>) -> usize {
        let number = self.sources.len();
        self.sources.push(source);
        for problem in problems {
            self.add(problem.in_file(number));
        }
        number
    }

    /// The names of the files, and everything that was refused.
    pub(super) fn into_problems(self) -> (Vec<String>, Vec<Problem>) {
        (self.sources.into_iter().map(|source| source.name).collect(), self.problems)
    }

    fn tree(&self, path: &KeyPath) -> Option<&Node> {
        self.sources.get(path.file())?.tree.as_ref()
    }

    fn place(&self, path: &KeyPath) -> Place {
        self.tree(path).map_or(Place::START, |tree| tree.place(path))
    }

    /// Refuses the value at `path`.
    pub(super) fn refuse(&mut self, path: &KeyPath, found: impl Into<String>, expected: impl Into<String>) {
        self.add(Problem::at(self.place(path), path.clone(), found, expected));
    }

    /// Refuses the key at the end of `path`.
    pub(super) fn refuse_key(&mut self, path: &KeyPath, found: impl Into<String>, expected: impl Into<String>) {
        let place = self.tree(path).map_or(Place::START, |tree| tree.key_place(path));
        self.add(Problem::at(place, path.clone(), found, expected));
    }

    /// Says something of the value at `path` that does not keep the file from being used.
    pub(super) fn mention(&mut self, path: &KeyPath, text: &str) {
        let line = self.tree(path).map_or(Place::START, |tree| tree.key_place(path)).line;
        self.warnings.push(format!("line {line}: {path}: {text}"));
    }

    /// What was mentioned.
    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    fn add(&mut self, problem: Problem) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(problem);
        }
    }

    /// The line of the value at `path`, as a message about `from` says it: `line 7`, and of which file where it is another.
    pub(super) fn line(&self, path: &KeyPath, from: &KeyPath) -> String {
        let line = self.place(path).line;
        match self.sources.get(path.file()) {
            Some(source) if path.file() != from.file() => format!("line {line} of {}", source.name),
            Some(_) | None => format!("line {line}"),
        }
    }

    /// The number of that line.
    pub(super) fn line_number(&self, path: &KeyPath) -> usize {
        self.place(path).line
    }

    /// The name of the file that `path` is in, as messages have it.
    pub(super) fn file_name(&self, path: &KeyPath) -> &str {
        self.sources.get(path.file()).map_or("", |source| &source.name)
    }

    /// The value at `path`, fit for a message.
    pub(super) fn shown(&self, path: &KeyPath) -> String {
        self.tree(path).map(|tree| tree.describe(path)).unwrap_or_default()
    }

    /// What `text` was read as; the error says what was expected.
    pub(super) fn value<T, E: fmt::Display>(&mut self, path: &KeyPath, text: &str, read: Result<T, E>) -> Option<T> {
        read.map_err(|expected| self.refuse(path, format!("{} is not accepted", shown(text)), expected.to_string()))
            .ok()
    }

    /// What the key `text` at the end of `path` was read as.
    pub(super) fn key<T, E: fmt::Display>(&mut self, path: &KeyPath, text: &str, read: Result<T, E>) -> Option<T> {
        read.map_err(|expected| self.refuse_key(path, format!("{} is not accepted", shown(text)), expected.to_string()))
            .ok()
    }

    /// What all of `texts` were read as; each that cannot be is reported.
    pub(super) fn list<T, E: fmt::Display>(
        &mut self,
        path: &KeyPath,
        texts: &[String],
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let mut all = Some(Vec::new());
        for (index, text) in texts.iter().enumerate() {
            match self.value(&path.index(index), text, read(text)) {
                Some(value) => {
                    if let Some(all) = &mut all {
                        all.push(value);
                    }
                }
                None => all = None,
            }
        }
        all
    }

    /// A number in `range`; `None` when it is not written, or out of range and reported.
    pub(super) fn number(&mut self, path: &KeyPath, value: Option<u64>, range: RangeInclusive<u64>) -> Option<u64> {
        let value = value?;
        if range.contains(&value) {
            return Some(value);
        }
        self.refuse(
            path,
            format!("{value} is out of range"),
            format!("a number from {} to {}", range.start(), range.end()),
        );
        None
    }

    /// A size or count in `range`, else `default`.
    pub(super) fn size<T: TryFrom<u64>>(
        &mut self,
        path: &KeyPath,
        value: Option<u64>,
        range: RangeInclusive<u64>,
        default: T,
    ) -> T {
        match self.number(path, value, range).map(T::try_from) {
            Some(Ok(size)) => size,
            Some(Err(_)) => {
                self.refuse(path, "this is more than this machine can count", "a smaller number");
                default
            }
            None => default,
        }
    }

    /// A time from 1 second to `secs_max`, else `default`.
    pub(super) fn duration(&mut self, path: &KeyPath, secs: Option<u64>, secs_max: u64, default: Duration) -> Duration {
        self.number(path, secs, 1..=secs_max).map_or(default, Duration::from_secs)
    }

    /// A file that can be opened. What is in it is read elsewhere.
    pub(super) fn file(&mut self, path: &KeyPath, name: &str) -> Option<PathBuf> {
        let file = self.resolve(path, name);
        // Looked at before it is opened: opening a pipe would wait for somebody to write.
        let opened = fs::metadata(&file)
            .and_then(|metadata| if metadata.is_file() { File::open(&file).map(|_| true) } else { Ok(false) });
        match opened {
            Ok(true) => Some(file),
            Ok(false) => {
                self.refuse(path, format!("{} is a folder, or otherwise no file", shown(name)), "a file");
                None
            }
            Err(error) => {
                let found = format!("{} cannot be read: {error}", shown(name));
                self.refuse(path, found, "a readable file; its name is relative to the folder of this file");
                None
            }
        }
    }

    /// The path of a file that is named at `path` and about to be read.
    pub(super) fn resolve(&mut self, path: &KeyPath, name: &str) -> PathBuf {
        let file = self.path_of(path, name);
        self.watch(&file);
        file
    }

    /// The path of a file that is named at `path`.
    pub(super) fn path_of(&self, path: &KeyPath, name: &str) -> PathBuf {
        self.sources.get(path.file()).map_or_else(|| PathBuf::from(name), |source| source.base.join(name))
    }

    /// How messages name a file that the first file names.
    pub(super) fn beside(&self, name: &str) -> PathBuf {
        let first = self.sources.first().map(|source| Path::new(&source.name));
        first.and_then(Path::parent).unwrap_or_else(|| Path::new("")).join(name)
    }

    /// This file is about to be read.
    pub(super) fn watch(&mut self, file: &Path) {
        self.files.push(Watched::now(file));
    }
}

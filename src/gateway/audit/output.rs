//! One place that lines are written to, and where in a line it is: a line that was cut by a full disk is completed or begun
//! anew, so that no two ever stand in one. It follows a file that was renamed or removed.

use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek as _, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// An output, and how much of the line under way it has taken.
pub struct Output {
    to: To,
    sent: usize,
    /// Lines that are written at once.
    buffer: Vec<u8>,
}

enum To {
    Stream(Box<dyn Write + Send>),
    File(LogFile),
}

/// A file that is appended to, under its name.
struct LogFile {
    path: PathBuf,
    file: File,
    /// Device and inode: what tells it from the next file of this name.
    id: (u64, u64),
    looked: Instant,
    /// Whether to look at the name before the next write.
    due: bool,
    /// Whether somebody left a line without its end.
    breaks: bool,
    /// How long the file was when a line was cut.
    cut_at: u64,
}

impl Output {
    /// Whatever `writer` is.
    pub fn stream(writer: impl Write + Send + 'static) -> Self {
        Self::of(To::Stream(Box::new(writer)))
    }

    /// Standard output or standard error, past the buffer that the standard library has for it: that one forgets what
    /// could not be written.
    pub fn descriptor(of: &impl AsFd) -> io::Result<Self> {
        of.as_fd().try_clone_to_owned().map(|descriptor| Self::stream(File::from(descriptor)))
    }

    /// The file at `path`, readable to its owner alone where it is made now.
    pub fn file(path: &Path) -> io::Result<Self> {
        LogFile::open(path).map(|file| Self::of(To::File(file)))
    }

    fn of(to: To) -> Self {
        Self { to, sent: 0, buffer: Vec::new() }
    }

    /// The file's name.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.to {
            To::Stream(_) => None,
            To::File(file) => Some(&file.path),
        }
    }

    /// Looks at the file's name before the next line, and opens what is there.
    pub(super) fn look(&mut self) {
        if let To::File(file) = &mut self.to {
            file.due = true;
        }
    }

    /// How many bytes may be written at once. What stands beside us on a pipe (standard error, as a rule) writes there too, and
    /// only what is not longer than this stays whole.
    pub(super) fn bytes_at_once(&self) -> usize {
        match &self.to {
            To::Stream(_) => PIPE_BUF,
            To::File(_) => FILE_BYTES_AT_ONCE,
        }
    }

    /// Writes lines, in one call of the system where it takes them. Says how many were written whole; after an error the others
    /// are to be given again, and the first of them goes on where it was cut.
    pub(super) fn write(&mut self, lines: &[impl AsRef<[u8]>]) -> (usize, io::Result<()>) {
        self.buffer.clear();
        for line in lines {
            self.buffer.extend_from_slice(line.as_ref());
        }
        let outcome = self.write_buffer();
        let mut whole = 0;
        for line in lines {
            let Some(rest) = self.sent.checked_sub(line.as_ref().len()) else { break };
            self.sent = rest;
            whole += 1;
        }
        if outcome.is_err()
            && let To::File(file) = &mut self.to
        {
            file.due = true;
            file.cut_at = file.file.metadata().map_or(0, |metadata| metadata.len());
        }
        (whole, outcome)
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        let writer: &mut dyn Write = match &mut self.to {
            To::Stream(writer) => writer,
            To::File(file) => {
                if file.follow()? || (self.sent > 0 && file.is_shortened()?) {
                    self.sent = 0;
                }
                if file.breaks {
                    file.file.write_all(b"\n")?;
                    file.breaks = false;
                }
                &mut file.file
            }
        };
        while let Some(rest) = self.buffer.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match writer.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(bytes) => self.sent += bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        writer.flush()
    }
}

impl LogFile {
    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        let metadata = file.metadata()?;
        let breaks = metadata.is_file() && metadata.len() > 0 && !ends_in_a_line(path);
        let (id, looked) = (id_of(&metadata), Instant::now());
        Ok(Self { path: path.to_owned(), file, id, looked, due: false, breaks, cut_at: 0 })
    }

    /// Opens what the name stands for now, if that is another file; says whether it is.
    fn follow(&mut self) -> io::Result<bool> {
        if !self.due && self.looked.elapsed() < LOOK {
            return Ok(false);
        }
        match fs::metadata(&self.path) {
            Ok(metadata) if id_of(&metadata) == self.id => {
                (self.looked, self.due) = (Instant::now(), false);
                return Ok(false);
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        *self = Self::open(&self.path)?;
        Ok(true)
    }

    /// Whether what was written of the line under way is gone: somebody emptied the file.
    fn is_shortened(&self) -> io::Result<bool> {
        self.file.metadata().map(|metadata| metadata.len() < self.cut_at)
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.to {
            To::Stream(_) => "Output(stream)",
            To::File(_) => "Output(file)",
        })
    }
}

fn id_of(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Whether the last byte of a file ends a line. One that cannot be read is taken to have been left whole.
fn ends_in_a_line(path: &Path) -> bool {
    let last = File::open(path).and_then(|mut file| {
        let mut last = [b'\n'];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        Ok(last)
    });
    last.map_or(true, |last| last == [b'\n'])
}

/// What a pipe takes in one piece, whoever else writes to it.
const PIPE_BUF: usize = 4096;
const FILE_BYTES_AT_ONCE: usize = 64 << 10;

/// How often the name of a file is looked at while lines are written.
const LOOK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Takes so many bytes, then has no room until it is given some.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(Vec<u8>, usize)>>);

    impl Disk {
        fn give(&self, bytes: usize) {
            self.0.lock().unwrap().1 += bytes;
        }
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().0.clone()).unwrap()
        }
    }

    /// Writes one line.
    fn write(output: &mut Output, line: &[u8]) -> io::Result<()> {
        let (whole, outcome) = output.write(&[line]);
        assert_eq!(whole == 1, outcome.is_ok());
        outcome
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let (written, room) = &mut *self.0.lock().unwrap();
            let taken = bytes.len().min(*room);
            if taken == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            *room -= taken;
            written.extend(&bytes[..taken]);
            Ok(taken)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_was_cut_is_completed() {
        let disk = Disk::default();
        let mut output = Output::stream(disk.clone());
        disk.give(7);
        write(&mut output, b"one\n").unwrap();
        for _ in 0..3 {
            assert!(write(&mut output, b"three\n").is_err());
        }
        assert_eq!(disk.text(), "one\nthr");
        disk.give(100);
        write(&mut output, b"three\n").unwrap();
        write(&mut output, b"four\n").unwrap();
        assert_eq!(disk.text(), "one\nthree\nfour\n");
    }

    #[test]
    fn of_lines_that_are_written_at_once_those_that_were_not_are_given_again() {
        let disk = Disk::default();
        let mut output = Output::stream(disk.clone());
        let lines: [&[u8]; 3] = [b"one\n", b"three\n", b"four\n"];
        disk.give(7);
        let (whole, outcome) = output.write(&lines);
        assert!(whole == 1 && outcome.is_err());
        assert_eq!(disk.text(), "one\nthr");
        disk.give(100);
        let (whole, outcome) = output.write(&lines[1..]);
        assert!(whole == 2 && outcome.is_ok());
        assert_eq!(disk.text(), "one\nthree\nfour\n");
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("gatepost-output-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_file_is_its_owners_and_is_followed() {
        let folder = folder("follow");
        let (path, old) = (folder.join("audit.log"), folder.join("audit.log.1"));
        let mut output = Output::file(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        write(&mut output, b"one\n").unwrap();
        fs::rename(&path, &old).unwrap();
        output.look();
        write(&mut output, b"two\n").unwrap();
        fs::remove_file(&path).unwrap();
        output.look();
        write(&mut output, b"three\n").unwrap();
        let texts = [&old, &path].map(|path| fs::read_to_string(path).unwrap());
        assert_eq!(texts, ["one\n", "three\n"]);
        fs::remove_dir_all(&folder).unwrap();
        output.look();
        assert!(write(&mut output, b"four\n").is_err(), "nothing is written to a file that nobody can find");
        fs::create_dir(&folder).unwrap();
        write(&mut output, b"four\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "four\n");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn no_line_is_added_to_one_that_was_left_without_its_end() {
        let folder = folder("breaks");
        let path = folder.join("audit.log");
        fs::write(&path, "{\"half").unwrap();
        write(&mut Output::file(&path).unwrap(), b"one\n").unwrap();
        write(&mut Output::file(&path).unwrap(), b"two\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"half\none\ntwo\n");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_cut_line_begins_anew_where_its_beginning_is_gone() {
        let folder = folder("anew");
        let path = folder.join("audit.log");
        let mut output = Output::file(&path).unwrap();
        write(&mut output, b"one\n").unwrap();
        // As a full disk leaves it.
        fs::write(&path, "one\ntw").unwrap();
        output.sent = 2;
        let To::File(file) = &mut output.to else { panic!("a file") };
        file.cut_at = 6;
        File::create(&path).unwrap();
        write(&mut output, b"two\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        fs::remove_dir_all(&folder).unwrap();
    }
}

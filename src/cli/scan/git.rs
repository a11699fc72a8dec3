//! What git keeps, as git itself tells it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};

use super::Search;
use super::report::Place;
use crate::domain::secret::find::shown;

/// What is told of each object, before its bytes.
const HEAD: &str = "--batch=%(objectname) %(objecttype) %(objectsize) %(rest)";
/// A link to a commit of another repository, which is not here.
const SUBMODULE: &str = "160000";

/// Looks through the files that a commit would take.
pub(super) fn staged(search: &mut Search, repository: &Path) {
    done(search, repository, each_staged);
}

/// Looks through every object that anything leads to: files, names, messages.
pub(super) fn history(search: &mut Search, repository: &Path) {
    done(search, repository, each_kept);
}

fn done(search: &mut Search, repository: &Path, look: fn(&mut Search, &Path) -> io::Result<()>) {
    if let Err(error) = look(search, repository) {
        search.report.unread(&Place::file(&repository.to_string_lossy()), &error.to_string());
    }
}

fn each_staged(search: &mut Search, repository: &Path) -> io::Result<()> {
    let changes =
        ["diff", "--cached", "--raw", "-z", "--no-abbrev", "--no-renames", "--no-ext-diff", "--diff-filter=d"];
    let listed = output(repository, &changes)?;
    let mut parts = listed.split(|byte| *byte == 0);
    let mut cat = git(repository, &["cat-file", HEAD]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (Some(mut asked), Some(told)) = (cat.stdin.take(), cat.stdout.take()) else { return Err(failed("cat-file")) };
    let mut told = BufReader::new(told);
    while let (Some(change), Some(path)) = (parts.next(), parts.next()) {
        let change = String::from_utf8_lossy(change);
        let mut columns = change.split(' ').skip(1);
        let (mode, object) = (columns.next().unwrap_or_default(), columns.nth(1).unwrap_or_default());
        let path = String::from_utf8_lossy(path);
        search.name(&Place::file(&path), path.as_bytes());
        if mode != SUBMODULE {
            writeln!(asked, "{object}")?;
            asked.flush()?;
            object_of(search, &mut told, Some(&path))?;
        }
    }
    drop(asked);
    if cat.wait()?.success() { Ok(()) } else { Err(failed("cat-file")) }
}

fn each_kept(search: &mut Search, repository: &Path) -> io::Result<()> {
    if output(repository, &["rev-parse", "--is-shallow-repository"])?.starts_with(b"true") {
        let why = "only the newest of its history is here: git fetch --unshallow brings the rest";
        search.report.unread(&Place::file(&repository.to_string_lossy()), why);
    }
    let mut list = git(repository, &["rev-list", "--objects", "--all", "--reflog"]).stdout(Stdio::piped()).spawn()?;
    let listed = list.stdout.take().map_or_else(Stdio::null, Stdio::from);
    let cat = git(repository, &["cat-file", HEAD, "--buffer"]).stdin(listed).stdout(Stdio::piped()).spawn();
    let mut cat = cat.inspect_err(|_| drop(list.kill()))?;
    let mut told = cat.stdout.take().map(BufReader::new).ok_or_else(|| failed("cat-file"))?;
    while object_of(search, &mut told, None)? {}
    for (child, name) in [(&mut list, "rev-list"), (&mut cat, "cat-file")] {
        if !child.wait()?.success() {
            return Err(failed(name));
        }
    }
    Ok(())
}

/// Looks through the next object; `false` if there is none any more. Where it lies, git tells, unless it is known.
fn object_of(search: &mut Search, told: &mut BufReader<ChildStdout>, path: Option<&str>) -> io::Result<bool> {
    let mut head = vec![];
    if told.read_until(b'\n', &mut head)? == 0 {
        return if path.is_some() { Err(failed("cat-file")) } else { Ok(false) };
    }
    let head = String::from_utf8_lossy(&head);
    let mut words = head.trim_end_matches('\n').splitn(4, ' ');
    let (object, kind, size) = (words.next(), words.next().unwrap_or_default(), words.next());
    // Who has staged something knows its path; what was kept may be known by its name alone.
    let object = object.filter(|_| path.is_none());
    let path = path.or(words.next().filter(|path| !path.is_empty())).unwrap_or(kind);
    let place = Place { path, object, is_name: kind == "tree" };
    let Some(size) = size.and_then(|size| size.parse::<u64>().ok()) else {
        search.report.unread(&place, "git does not have it");
        return Ok(true);
    };
    let mut bytes = told.take(size);
    search.read(&place, &mut bytes);
    // What was not read is no head.
    io::copy(&mut bytes, &mut io::sink())?;
    let mut newline = [0];
    bytes.into_inner().read_exact(&mut newline)?;
    Ok(true)
}

/// A command of git that changes nothing and starts no program of the repository's.
fn git(repository: &Path, arguments: &[&str]) -> Command {
    let mut git = Command::new("git");
    git.arg("--no-replace-objects").arg("--no-optional-locks").arg("-C").arg(repository);
    git.args(["-c", "core.fsmonitor=false"]).args(arguments).env("GIT_NO_LAZY_FETCH", "1");
    git.stdin(Stdio::null()).stderr(Stdio::null());
    git
}

/// All that a command of git tells.
fn output(repository: &Path, arguments: &[&str]) -> io::Result<Vec<u8>> {
    let output = git(repository, arguments).stderr(Stdio::piped()).output();
    let output = output.map_err(|error| io::Error::new(error.kind(), format!("git cannot be run: {error}")))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(io::Error::other(shown(String::from_utf8_lossy(&output.stderr).trim()).into_owned()))
}

fn failed(command: &str) -> io::Error {
    io::Error::other(format!("git {command} failed"))
}

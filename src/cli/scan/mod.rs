//! `keyroll scan`: keys where none belongs. No data folder is needed: a key is known by its form and its checksum.

mod files;
mod git;
mod report;

use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use self::report::{Form, Place, Report};
use crate::domain::secret::find::{Finder, in_text};

/// What is searched, and how it is told.
#[derive(Args, Debug)]
pub(super) struct Scan {
    /// Files and folders; with --staged or --history, repositories: without any, that of the working folder
    #[arg(value_name = "PATH", required_unless_present_any = ["stdin", "staged", "history"])]
    paths: Vec<PathBuf>,
    /// Search standard input
    #[arg(long, conflicts_with_all = ["paths", "staged", "history"])]
    stdin: bool,
    /// Search what is staged in git, as a commit would take it
    #[arg(long, conflicts_with = "history")]
    staged: bool,
    /// Search whatever git has ever kept: all branches, tags, stashes and reflogs, messages included
    #[arg(long)]
    history: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print SARIF 2.1.0, as services that show findings beside code read it
    #[arg(long, conflicts_with = "json")]
    sarif: bool,
}

/// Searches. The exit code is 1 if a key was found, else 4 if something could not be read, else 0.
pub(super) fn run(asked: &Scan) -> ExitCode {
    let form = match (asked.json, asked.sarif) {
        (true, _) => Form::Json,
        (_, true) => Form::Sarif,
        _ => Form::Lines,
    };
    let mut search = Search::new(Report::begin(form));
    let here = [PathBuf::from(".")];
    let paths = if asked.paths.is_empty() { &here[..] } else { &asked.paths };
    if asked.stdin {
        search.read(&Place::file("-"), &mut io::stdin().lock());
    } else {
        for path in paths {
            match (asked.staged, asked.history) {
                (true, _) => git::staged(&mut search, path),
                (_, true) => git::history(&mut search, path),
                _ => files::walk(&mut search, path),
            }
        }
    }
    search.report.end()
}

/// So much is read at once.
const PIECE: usize = 256 << 10;

/// What looks through one thing after the other.
struct Search {
    finder: Finder,
    piece: Vec<u8>,
    report: Report,
}

impl Search {
    fn new(report: Report) -> Search {
        Search { finder: Finder::default(), piece: vec![0; PIECE], report }
    }

    /// Looks through all that can be read.
    fn read(&mut self, place: &Place<'_>, from: &mut impl Read) {
        let Search { finder, piece, report } = self;
        report.look_at(place);
        loop {
            match from.read(piece) {
                Ok(0) => break,
                Ok(length) => {
                    report.passed(length);
                    finder.feed(piece.get(..length).unwrap_or_default(), &mut |found| report.found(place, &found));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    report.unread(place, &error.to_string());
                    break;
                }
            }
        }
        finder.end(&mut |found| report.found(place, &found));
    }

    /// Looks through a name.
    fn name(&mut self, place: &Place<'_>, name: &[u8]) {
        for found in in_text(name) {
            self.report.found(&Place { is_name: true, ..*place }, &found);
        }
    }
}

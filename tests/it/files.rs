//! The files that a server stands on: whose they are, whether they belong together, and what happens if not.

mod backup;
mod help;
mod keys;
mod moved;
mod place;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{self, server::Output};

/// Who may do what with a file.
fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// What a command refused with, and nothing else.
#[track_caller]
fn refusal(output: Output) -> String {
    let Output { code, stdout, stderr } = output;
    assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
    stderr.strip_prefix("keyroll: ").unwrap_or_else(|| panic!("{stderr}")).trim_end().to_owned()
}

/// Waits until something is so, and fails if that takes far too long.
#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    support::until(what, || is_so().then_some(()));
}

//! Files and folders. Links inside a folder are not followed, so that none leads round in a circle; whoever names one
//! has what it leads to searched.

use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Search;
use super::report::Place;

/// What git keeps is packed: `--history` reads it.
const LEFT_OUT: &str = ".git";

/// Looks through a file, or whatever is in a folder, in the order of names.
pub(super) fn walk(search: &mut Search, root: &Path) {
    let mut folders = match fs::metadata(root) {
        Ok(found) if found.is_dir() => vec![root.to_owned()],
        Ok(_) => {
            named(search, root);
            file(search, root);
            vec![]
        }
        Err(error) => return unread(search, root, &error),
    };
    while let Some(folder) = folders.pop() {
        match below(search, &folder) {
            Ok(mut inner) => {
                inner.reverse();
                folders.append(&mut inner);
            }
            Err(error) => unread(search, &folder, &error),
        }
    }
}

/// Looks through the files of a folder; gives the folders in it.
fn below(search: &mut Search, folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries = vec![];
    for entry in fs::read_dir(folder)? {
        match entry {
            Ok(entry) => entries.push(entry),
            Err(error) => unread(search, folder, &error),
        }
    }
    entries.sort_unstable_by_key(fs::DirEntry::file_name);
    let mut folders = vec![];
    for entry in entries {
        let path = entry.path();
        named(search, &path);
        match entry.file_type() {
            Ok(kind) if kind.is_file() => file(search, &path),
            Ok(kind) if kind.is_dir() && entry.file_name() != LEFT_OUT => folders.push(path),
            // A link; or a socket, a pipe, a device: nothing is kept in these.
            Ok(_) => {}
            Err(error) => unread(search, &path, &error),
        }
    }
    Ok(folders)
}

fn file(search: &mut Search, path: &Path) {
    match File::open(path) {
        Ok(mut file) => search.read(&Place::file(&path.to_string_lossy()), &mut file),
        Err(error) => unread(search, path, &error),
    }
}

fn named(search: &mut Search, path: &Path) {
    let name = path.file_name().unwrap_or_default();
    search.name(&Place::file(&path.to_string_lossy()), name.as_bytes());
}

fn unread(search: &mut Search, path: &Path, error: &io::Error) {
    search.report.unread(&Place::file(&path.to_string_lossy()), &error.to_string());
}

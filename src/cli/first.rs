//! The first start: its keys go to whoever sits in front of it, or to a file of their own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::print;
use crate::service::tenants::init::DEFAULT;
use crate::service::{Error, Service};

/// The name of the file in the data folder.
const FILE: &str = "first-keys.json";

/// Makes what `keyroll init` makes if there is nothing yet, and says it once. What a terminal shows goes to
/// nobody else; any other output may be a log that many read and that is kept for years.
pub(super) fn start(service: &Service, data_dir: &Path) -> Result<(), Error> {
    if !service.is_empty()? {
        return Ok(());
    }
    let is_shown = io::stdout().is_terminal();
    let path = std::path::absolute(data_dir.join(FILE)).map_err(Error::internal)?;
    if !is_shown && path.exists() {
        let fix = "it holds the keys of an earlier installation: move it away";
        return Err(Error::Refused(format!("{} is there already: {fix}", path.display())));
    }
    let made = match service.init(DEFAULT) {
        Ok(made) => made,
        // Another node was faster: the keys are in its output.
        Err(Error::Conflict { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    if is_shown {
        return print::json(&made);
    }
    keep(&path, &format!("{made}\n")).map_err(|error| {
        let fix = "issue others with keyroll key issue --owner operator, and --connection default";
        Error::Refused(format!("cannot write the first keys to {}: {error}: {fix}", path.display()))
    })?;
    print::announce(&without_keys(made, path).to_string());
    Ok(())
}

/// The same with the place of the keys instead of the keys.
fn without_keys(mut made: Value, path: PathBuf) -> Value {
    if let Some(members) = made.as_object_mut() {
        for name in ["provisioning_key", "admin_key"] {
            members.remove(name);
        }
        members.insert("keys_file".to_owned(), json!(path));
    }
    made
}

/// Writes a file that is there whole or not at all, and that takes the place of no other.
fn keep(path: &Path, text: &str) -> io::Result<()> {
    let draft = path.with_extension("json.new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    // A second name, unlike a new one, never replaces what has it.
    fs::hard_link(&draft, path)?;
    fs::remove_file(&draft)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_whole_and_takes_no_others_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        // What a start that was cut off left behind is no obstacle.
        fs::write(folder.path().join("first-keys.json.new"), "{\"half").unwrap();
        keep(&path, "{}\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{}\n");
        assert_eq!(keep(&path, "other").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "{}\n");
    }
}

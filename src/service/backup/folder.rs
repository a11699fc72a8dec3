//! The folder of a backup: made under another name, and given its own when it is whole and durable.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use crate::domain::Id;
use crate::domain::log::hex;
use crate::service::Error;
use crate::service::backup::manifest::Manifest;
use crate::service::installation::ROOT_KEY;

const DATA: &str = "data.jsonl.gz";
const MANIFEST: &str = "manifest.json";

/// What a manifest may have: a thousand tenants have some 300 kB.
const MANIFEST_BYTES_MAX: u64 = 64 << 20;

fn failed(what: &str, path: &Path) -> impl Fn(io::Error) -> Error {
    let text = format!("cannot {what} {}", path.display());
    move |error| Error::Refused(format!("{text}: {error}"))
}

/// Removes a file and what SQLite keeps beside it, if they are there.
pub(in crate::service::backup) fn remove(path: &Path) -> Result<(), Error> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match fs::remove_file(&name) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("remove", Path::new(&name))(error)),
            _ => {}
        }
    }
    Ok(())
}

/// A folder in the making; it vanishes unless it is finished.
pub(in crate::service::backup) struct Draft {
    path: PathBuf,
    target: PathBuf,
    is_whole: bool,
}

impl Draft {
    pub(in crate::service::backup) fn new(target: &Path, id: Id) -> Result<Draft, Error> {
        let name = target.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Error::Refused("name a folder for the backup".to_owned()))?;
        if fs::symlink_metadata(target).is_ok() {
            return Err(Error::Refused(format!("{} is there already: name another folder", target.display())));
        }
        let path = target.with_file_name(format!(".{name}.{id}.part"));
        let around = target.parent().filter(|around| *around != Path::new("") && !around.is_dir());
        if let Some(around) = around {
            let text = format!("cannot make {}: {} is no folder: make it first", target.display(), around.display());
            return Err(Error::Refused(text));
        }
        DirBuilder::new().mode(0o700).create(&path).map_err(failed("make", target))?;
        Ok(Draft { path, target: target.to_owned(), is_whole: false })
    }

    /// The file of the data, empty.
    pub(in crate::service::backup) fn data(&self) -> Result<Data, Error> {
        let path = self.path.join(DATA);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        let file = file.map_err(failed("write", &path))?;
        let hashed = Hashed { inner: file, hash: Sha256::new(), bytes: 0 };
        Ok(Data { path, out: BufWriter::new(GzEncoder::new(hashed, Compression::fast())) })
    }

    /// Makes it durable and gives it its name.
    pub(in crate::service::backup) fn finish(mut self, manifest: &[u8]) -> Result<(), Error> {
        let done = || {
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.path.join(MANIFEST))?;
            file.write_all(manifest)?;
            file.sync_all()?;
            File::open(&self.path)?.sync_all()?;
            fs::rename(&self.path, &self.target)?;
            let parent = self.target.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
            File::open(parent)?.sync_all()
        };
        done().map_err(failed("write", &self.target))?;
        self.is_whole = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_whole {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// Counts and hashes what goes through.
struct Hashed<T> {
    inner: T,
    hash: Sha256,
    bytes: u64,
}

impl<T> Hashed<T> {
    fn take(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.take(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.take(bytes.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// The data in the making.
pub(in crate::service::backup) struct Data {
    path: PathBuf,
    out: BufWriter<GzEncoder<Hashed<File>>>,
}

impl Data {
    pub(in crate::service::backup) fn line(&mut self, line: &str) -> io::Result<()> {
        self.out.write_all(line.as_bytes())?;
        self.out.write_all(b"\n")
    }

    /// Makes it durable; gives its hash and its bytes.
    pub(in crate::service::backup) fn end(self) -> Result<(String, u64), Error> {
        let failed = failed("write", &self.path);
        let compressed = self.out.into_inner().map_err(|error| failed(error.into_error()))?;
        let Hashed { inner, hash, bytes } = compressed.finish().map_err(&failed)?;
        inner.sync_all().map_err(&failed)?;
        Ok((hex(&hash.finalize()), bytes))
    }
}

/// The manifest's bytes.
pub(in crate::service::backup) fn manifest(folder: &Path) -> Result<Vec<u8>, Error> {
    if let Some(what) = flaw(folder)? {
        return Err(Error::Refused(format!("{} {what}", folder.display())));
    }
    let path = folder.join(MANIFEST);
    let mut bytes = vec![];
    let read = File::open(&path).and_then(|file| file.take(MANIFEST_BYTES_MAX).read_to_end(&mut bytes));
    read.map_err(failed("read", &path))?;
    Ok(bytes)
}

/// Why a folder holds no backup, and what to do.
fn flaw(folder: &Path) -> Result<Option<&'static str>, Error> {
    let holds = |name: &str| folder.join(name).exists();
    let found = match fs::metadata(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(Some("is not there: name the folder that keyroll backup wrote"));
        }
        found => found.map_err(failed("read", folder))?,
    };
    if !found.is_dir() {
        return Ok(Some("is no folder: name the folder that keyroll backup wrote, not a file in it"));
    }
    Ok(match (holds(MANIFEST), holds(DATA)) {
        (true, true) => None,
        (true, false) => {
            Some("is half a backup: data.jsonl.gz is missing: copy that file, too, or take another backup")
        }
        (false, true) => {
            Some("is half a backup: manifest.json is missing: it was interrupted, or copied in part: take another one")
        }
        (false, false) if holds(ROOT_KEY) || holds("keyroll.db") => {
            Some("is a data folder and no backup: keyroll backup DIR writes one of it into another folder")
        }
        (false, false) if fs::read_dir(folder).map_err(failed("read", folder))?.next().is_none() => {
            Some("is empty: name the folder that keyroll backup wrote")
        }
        (false, false) => Some("holds no backup: name the folder that keyroll backup wrote"),
    })
}

/// The data of a backup that is read.
pub(in crate::service::backup) struct Source {
    path: PathBuf,
    lines: BufReader<GzDecoder<Hashed<BufReader<File>>>>,
    /// The hash that was written, and the bytes.
    expected: (String, u64),
}

impl Source {
    pub(in crate::service::backup) fn open(folder: &Path, manifest: &Manifest) -> Result<Source, Error> {
        let path = folder.join(DATA);
        let file = File::open(&path).map_err(failed("read", &path))?;
        let hashed = Hashed { inner: BufReader::new(file), hash: Sha256::new(), bytes: 0 };
        let expected = (manifest.sha256.clone(), manifest.bytes);
        Ok(Source { path, lines: BufReader::new(GzDecoder::new(hashed)), expected })
    }

    /// Its lines, in order. Behind the last one stands a failure if they were not made of the bytes that were
    /// written: whoever reads to the end has used no others.
    pub(in crate::service::backup) fn lines(&mut self) -> impl Iterator<Item = io::Result<String>> {
        let mut is_over = false;
        std::iter::from_fn(move || {
            if is_over {
                return None;
            }
            let mut line = String::new();
            match self.lines.read_line(&mut line) {
                Ok(0) => {
                    is_over = true;
                    self.compare().err().map(Err)
                }
                Ok(_) => Some(Ok(line.strip_suffix('\n').map(str::to_owned).unwrap_or(line))),
                Err(error) => Some(Err(error)),
            }
        })
    }

    /// Reads what is left, and compares all that was read with what was written.
    ///
    /// # Errors
    /// [`Error::Refused`], which names the file, if it is something else.
    pub(in crate::service::backup) fn whole(mut self) -> Result<(), Error> {
        self.compare().map_err(|error| Error::Refused(format!("the backup is broken: {error}")))
    }

    fn compare(&mut self) -> io::Result<()> {
        let hashed = self.lines.get_mut().get_mut();
        io::copy(hashed, &mut io::sink())?;
        if (hex(&hashed.hash.clone().finalize()), hashed.bytes) == self.expected {
            return Ok(());
        }
        let text = "does not have the hash that was written: it was damaged or changed since: take another copy";
        Err(io::Error::other(format!("{} {text}", self.path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with data, and the manifest of it as far as it is about the data.
    fn written(text: &str) -> (tempfile::TempDir, Manifest) {
        let folder = tempfile::tempdir().unwrap();
        let (sha256, bytes) = write(&folder, text);
        let manifest = Manifest {
            format: 1,
            keyroll: String::new(),
            migrations: vec![],
            made_at: String::new(),
            installation: None,
            root_key: String::new(),
            signing_key: String::new(),
            logs: vec![],
            rows: 2,
            bytes,
            sha256,
        };
        (folder, manifest)
    }

    fn write(folder: &tempfile::TempDir, text: &str) -> (String, u64) {
        let path = folder.path().to_owned();
        let draft = Draft { target: path.clone(), path, is_whole: true };
        let mut data = draft.data().unwrap();
        text.lines().for_each(|line| data.line(line).unwrap());
        data.end().unwrap()
    }

    #[test]
    fn lines_of_other_bytes_end_with_a_failure() {
        let (folder, manifest) = written("[1]\n[2]\n");
        let lines = |source: &mut Source| source.lines().map(|line| line.map_err(drop)).collect::<Vec<_>>();
        let all = [Ok("[1]".to_owned()), Ok("[2]".to_owned())];
        let mut source = Source::open(folder.path(), &manifest).unwrap();
        assert_eq!(lines(&mut source), all);
        source.whole().unwrap();
        // What was checked may be something else by the time that it is used.
        Source::open(folder.path(), &manifest).unwrap().whole().unwrap();
        write(&folder, "[1]\n[3]\n");
        let mut source = Source::open(folder.path(), &manifest).unwrap();
        assert_eq!(lines(&mut source), [Ok("[1]".to_owned()), Ok("[3]".to_owned()), Err(())]);
        let said = source.whole().unwrap_err().to_string();
        assert!(said.contains("data.jsonl.gz does not have the hash that was written"), "{said}");
        // So may what stands behind the end of the compressed text.
        write(&folder, "[1]\n[2]\n");
        OpenOptions::new().append(true).open(folder.path().join(DATA)).unwrap().write_all(b"more").unwrap();
        assert_eq!(lines(&mut Source::open(folder.path(), &manifest).unwrap()), [&all[..], &[Err(())]].concat());
    }
}

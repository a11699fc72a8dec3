//! The folder of a backup: made under another name, and given its own when it is whole and durable.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use super::manifest::Manifest;
use crate::domain::Id;
use crate::domain::log::hex;
use crate::service::Error;

const DATA: &str = "data.jsonl.gz";
const MANIFEST: &str = "manifest.json";

/// What a manifest may have: a thousand tenants have some 300 kB.
const MANIFEST_BYTES_MAX: u64 = 64 << 20;

fn failed(what: &str, path: &Path) -> impl Fn(io::Error) -> Error {
    let text = format!("cannot {what} {}", path.display());
    move |error| Error::Refused(format!("{text}: {error}"))
}

/// Removes a file and what SQLite keeps beside it, if they are there.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
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
pub(super) struct Draft {
    path: PathBuf,
    target: PathBuf,
    is_whole: bool,
}

impl Draft {
    pub(super) fn new(target: &Path, id: Id) -> Result<Draft, Error> {
        let name = target.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Error::Refused("name a folder for the backup".to_owned()))?;
        if fs::symlink_metadata(target).is_ok() {
            return Err(Error::Refused(format!("{} is there already: name another folder", target.display())));
        }
        let path = target.with_file_name(format!(".{name}.{id}.part"));
        DirBuilder::new().mode(0o700).create(&path).map_err(failed("make", target))?;
        Ok(Draft { path, target: target.to_owned(), is_whole: false })
    }

    /// The file of the data, empty.
    pub(super) fn data(&self) -> Result<Data, Error> {
        let path = self.path.join(DATA);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        let file = file.map_err(failed("write", &path))?;
        let hashed = Hashed { inner: file, hash: Sha256::new(), bytes: 0 };
        Ok(Data { path, out: BufWriter::new(GzEncoder::new(hashed, Compression::fast())) })
    }

    /// Makes it durable and gives it its name.
    pub(super) fn finish(mut self, manifest: &[u8]) -> Result<(), Error> {
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
pub(super) struct Data {
    path: PathBuf,
    out: BufWriter<GzEncoder<Hashed<File>>>,
}

impl Data {
    pub(super) fn line(&mut self, line: &str) -> io::Result<()> {
        self.out.write_all(line.as_bytes())?;
        self.out.write_all(b"\n")
    }

    /// Makes it durable; gives its hash and its bytes.
    pub(super) fn end(self) -> Result<(String, u64), Error> {
        let failed = failed("write", &self.path);
        let compressed = self.out.into_inner().map_err(|error| failed(error.into_error()))?;
        let Hashed { inner, hash, bytes } = compressed.finish().map_err(&failed)?;
        inner.sync_all().map_err(&failed)?;
        Ok((hex(&hash.finalize()), bytes))
    }
}

/// The manifest's bytes.
pub(super) fn manifest(folder: &Path) -> Result<Vec<u8>, Error> {
    let path = folder.join(MANIFEST);
    let mut bytes = vec![];
    let read = File::open(&path).and_then(|file| file.take(MANIFEST_BYTES_MAX).read_to_end(&mut bytes));
    read.map_err(failed("read", &path))?;
    Ok(bytes)
}

/// The data of a backup that is read.
pub(super) struct Source {
    lines: BufReader<GzDecoder<Hashed<BufReader<File>>>>,
}

impl Source {
    pub(super) fn open(folder: &Path) -> Result<Source, Error> {
        let path = folder.join(DATA);
        let file = File::open(&path).map_err(failed("read", &path))?;
        let hashed = Hashed { inner: BufReader::new(file), hash: Sha256::new(), bytes: 0 };
        Ok(Source { lines: BufReader::new(GzDecoder::new(hashed)) })
    }

    /// Its lines, in order.
    pub(super) fn lines(&mut self) -> impl Iterator<Item = io::Result<String>> {
        (&mut self.lines).lines()
    }

    /// Reads what is left, and compares all that was read with the manifest.
    pub(super) fn end(self, manifest: &Manifest) -> Result<(), Error> {
        let mut hashed = self.lines.into_inner().into_inner();
        let broken = || Error::Refused("the backup is broken: its data is not what its manifest says".to_owned());
        io::copy(&mut hashed, &mut io::sink()).map_err(|_| broken())?;
        let (sha256, bytes) = (hex(&hashed.hash.finalize()), hashed.bytes);
        if (sha256, bytes) == (manifest.sha256.clone(), manifest.bytes) { Ok(()) } else { Err(broken()) }
    }
}

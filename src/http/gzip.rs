//! Packing answers (RFC 9110 §8.4.1.3, §12.5.3).

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::service::Error;

/// Whether a client would rather have an answer packed. One that names gzip without saying how much it wants
/// the plain one is given gzip.
pub(super) fn is_wanted(accept_encoding: &str) -> bool {
    let (mut gzip, mut identity, mut others) = (None, None, 0);
    for item in accept_encoding.split(',') {
        let mut parts = item.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = weight(parts);
        match coding.as_str() {
            // RFC 9110 §8.4.1.3: an old name of the same.
            "gzip" | "x-gzip" => gzip = Some(weight),
            "identity" => identity = Some(weight),
            "*" => others = weight,
            _ => {}
        }
    }
    let gzip = gzip.unwrap_or(others);
    gzip > 0 && gzip >= identity.unwrap_or(0)
}

/// A weight in thousandths; what is no weight counts as "no".
fn weight<'p>(mut parameters: impl Iterator<Item = &'p str>) -> u16 {
    let Some(text) = parameters.find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q="))) else {
        return 1_000;
    };
    match text.parse::<f32>() {
        Ok(weight) if (0.0..=1.0).contains(&weight) => (weight * 1_000.0).round() as u16,
        _ => 0,
    }
}

/// Packs an answer piece by piece. The same pieces give the same bytes: there is no time in the header.
pub(super) struct Packer(GzEncoder<Vec<u8>>);

impl Packer {
    pub(super) fn new() -> Packer {
        Packer(GzEncoder::new(vec![], Compression::fast()))
    }

    /// Takes a piece in; gives what can be sent by now, which may be nothing.
    pub(super) fn pack(&mut self, piece: &str) -> Result<Vec<u8>, Error> {
        self.0.write_all(piece.as_bytes()).map_err(Error::internal)?;
        Ok(std::mem::take(self.0.get_mut()))
    }

    /// What is left, and the checksum.
    pub(super) fn finish(self) -> Result<Vec<u8>, Error> {
        self.0.finish().map_err(Error::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_given_to_whoever_wants_it() {
        for wanted in [
            "gzip",
            "GZip",
            "x-gzip",
            "*",
            "br, gzip",
            "gzip;q=0.5",
            "gzip ; q=0.001",
            "deflate, gzip;q=1.0, *;q=0.5",
            "gzip, identity",
            "identity;q=0, *",
            "gzip;q=0.5, identity;q=0.5",
        ] {
            assert!(is_wanted(wanted), "{wanted}");
        }
        for refused in [
            "",
            "br",
            "identity",
            "gzip;q=0",
            "gzip;q=0.000",
            "GZIP;Q=0, *",
            "*;q=0",
            "gzip;q=0.2, identity;q=0.3",
            "gzip;q=2",
            "gzip;q=x",
            "notgzip",
        ] {
            assert!(!is_wanted(refused), "{refused}");
        }
    }
}

//! Packing answers (RFC 9110 §8.4.1.3, §12.5.3).

use std::io::Write;

use actix_web::HttpRequest;
use actix_web::http::header::{AcceptEncoding, Encoding, Header, Preference, Quality};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::service::Error;

/// Whether a client would rather have an answer packed. One that names gzip without saying how much it wants
/// the plain one is given gzip; what is no weight is not said.
pub(super) fn is_wanted(request: &HttpRequest) -> bool {
    let Ok(AcceptEncoding(items)) = AcceptEncoding::parse(request) else { return false };
    let weight = |is_it: fn(&Preference<Encoding>) -> bool| {
        items.iter().rfind(|item| is_it(&item.item)).map(|item| item.quality)
    };
    let gzip = weight(|one| one.item().is_some_and(is_gzip)).or_else(|| weight(Preference::is_any));
    let plain = weight(|one| one.item() == Some(&Encoding::identity()));
    gzip.is_some_and(|gzip| gzip > Quality::ZERO && Some(gzip) >= plain)
}

fn is_gzip(coding: &Encoding) -> bool {
    match coding {
        // RFC 9110 §8.4.1.3: an old name of the same.
        Encoding::Unknown(name) => name.eq_ignore_ascii_case("x-gzip"),
        Encoding::Known(_) => *coding == Encoding::gzip(),
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
    use actix_web::http::header::ACCEPT_ENCODING;
    use actix_web::test::TestRequest;

    use super::*;

    fn is_wanted_by(value: &str) -> bool {
        is_wanted(&TestRequest::default().insert_header((ACCEPT_ENCODING, value)).to_http_request())
    }

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
            assert!(is_wanted_by(wanted), "{wanted}");
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
            assert!(!is_wanted_by(refused), "{refused}");
        }
    }
}

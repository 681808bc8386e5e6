//! Content codings, undone for the few answers that the path itself must understand.
//!
//! **Invariant:** never more than the given limit comes out: an answer cannot be a bomb.

use std::io::{self, Read as _};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header::CONTENT_ENCODING};

/// The body without its content coding; none if that is unknown, broken or larger than `limit`.
pub(crate) fn decoded(headers: &HeaderMap, body: &Bytes, limit: usize) -> Option<Bytes> {
    let coding = headers
        .get(CONTENT_ENCODING)
        .map_or(&b"identity"[..], HeaderValue::as_bytes);
    let plain = match coding.to_ascii_lowercase().as_slice() {
        b"identity" => return Some(body.clone()),
        b"gzip" | b"x-gzip" => read(flate2::read::GzDecoder::new(&body[..]), limit),
        b"deflate" => read(flate2::read::ZlibDecoder::new(&body[..]), limit),
        b"br" => read(
            brotli_decompressor::Decompressor::new(&body[..], BROTLI_BUFFER),
            limit,
        ),
        _ => return None,
    };
    plain
        .ok()
        .filter(|plain| plain.len() <= limit)
        .map(Bytes::from)
}

const BROTLI_BUFFER: usize = 4096;

fn read(decoder: impl io::Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    decoder.take(limit as u64 + 1).read_to_end(&mut plain)?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn gzip(plain: &[u8]) -> Bytes {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(plain).unwrap();
        gzip.finish().unwrap().into()
    }

    fn headers(coding: &'static str) -> HeaderMap {
        [(CONTENT_ENCODING, HeaderValue::from_static(coding))]
            .into_iter()
            .collect()
    }

    #[test]
    fn known_codings_are_undone_and_others_refused() {
        let plain = Bytes::from_static(b"{}");
        assert_eq!(decoded(&HeaderMap::new(), &plain, 10), Some(plain.clone()));
        assert_eq!(
            decoded(&headers("gzip"), &gzip(b"{}"), 10),
            Some(plain.clone())
        );
        assert_eq!(
            decoded(&headers("GZIP"), &gzip(b"{}"), 10),
            Some(plain.clone())
        );
        assert_eq!(decoded(&headers("gzip"), &plain, 10), None, "broken");
        assert_eq!(decoded(&headers("zstd"), &plain, 10), None, "unknown");
    }

    #[test]
    fn a_bomb_does_not_go_off() {
        assert_eq!(
            decoded(&headers("gzip"), &gzip(&vec![0; 1 << 24]), 1 << 16),
            None
        );
    }
}

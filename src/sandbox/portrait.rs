//! A portrait for everyone: a picture of one colour, which is the member's own.

use std::io::Write as _;

use bytes::Bytes;

/// Pixels of a side; LinkedIn's smallest portraits have as many.
const SIDE: u32 = 100;

/// The member's portrait as a PNG.
pub(crate) fn png(sub: &str) -> Bytes {
    let [red, green, blue, _] = crc32fast::hash(sub.as_bytes()).to_be_bytes();
    let mut header = Vec::new();
    header.extend_from_slice(&SIDE.to_be_bytes());
    header.extend_from_slice(&SIDE.to_be_bytes());
    // Eight bits, true colour, nothing interlaced.
    header.extend_from_slice(&[8, 2, 0, 0, 0]);
    let mut line = vec![0];
    for _ in 0..SIDE {
        line.extend_from_slice(&[red, green, blue]);
    }
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    let written = (0..SIDE).try_for_each(|_| packed.write_all(&line));
    // A vector takes whatever is written into it.
    let pixels = written.and_then(|()| packed.finish()).unwrap_or_default();
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [
        (b"IHDR", &header),
        (b"IDAT", &pixels),
        (b"IEND", &Vec::new()),
    ] {
        let length = u32::try_from(data.len()).unwrap_or_default();
        png.extend_from_slice(&length.to_be_bytes());
        let from = png.len();
        png.extend_from_slice(kind);
        png.extend_from_slice(data);
        let sum = crc32fast::hash(png.get(from..).unwrap_or_default());
        png.extend_from_slice(&sum.to_be_bytes());
    }
    png.into()
}

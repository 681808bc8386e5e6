//! What is in an archive that was exported.

use std::{collections::BTreeMap, io::Read as _};

/// Contents by name.
pub(crate) fn unpacked(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let archive = rawzip::ZipArchive::from_slice(archive).unwrap();
    let headers = archive.entries().collect::<Result<Vec<_>, _>>().unwrap();
    let file = |header: &rawzip::ZipFileHeaderRecord<'_>| {
        let name = header.file_path().try_normalize().unwrap();
        let entry = archive.get_entry(header.wayfinder()).unwrap();
        let mut text = Vec::new();
        flate2::read::DeflateDecoder::new(entry.data())
            .read_to_end(&mut text)
            .unwrap();
        (name.as_ref().to_owned(), text)
    };
    headers.iter().map(file).collect()
}

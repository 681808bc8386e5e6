//! Everything in one archive: a folder for each incident, the ticket of all, and what each file is for.
//!
//! **Invariant:** each file passes the door by itself before it is packed: what is packed cannot be read by
//! it. No time of this machine stands in it, so the same records give the same bytes.

use std::io::Write as _;

use flate2::{Compression, write::DeflateEncoder};
use rawzip::{CompressionMethod, ZipArchiveWriter};

use super::{Circumstances, Document, Door, Form, Inspection, Refused, written};
use crate::incident::reader::Record;

/// The archive.
pub(super) fn write(
    records: &[Record],
    door: &dyn Door,
    beside: &Circumstances,
) -> Result<Vec<u8>, Refused> {
    let mut inspection = Inspection::new(records, door);
    let mut archive = ZipArchiveWriter::new(Vec::new());
    // One at a time: only what is packed stays in memory.
    let mut add = |document: &Document, records: &[Record]| {
        inspection.pass(document, records)?;
        pack(&mut archive, document).map_err(unwritable)
    };
    add(&readme(records), &[])?;
    add(&written(records, Form::Ticket, beside)?, records)?;
    for (at, record) in records.iter().enumerate() {
        let folder = folder(at, record);
        let record = std::slice::from_ref(record);
        for form in Form::TEXTS {
            let document = written(record, form, beside)?;
            let document = Document {
                name: format!("{folder}/{}", document.name),
                ..document
            };
            add(&document, record)?;
        }
    }
    archive.finish().map_err(unwritable)
}

#[expect(clippy::needless_pass_by_value, reason = "errors are mapped by value")]
fn unwritable(error: rawzip::Error) -> Refused {
    Refused::Unwritable(error.to_string())
}

/// The id, if it is one: what stands in a record becomes part of no path otherwise.
fn folder(at: usize, record: &Record) -> String {
    let is_plain = |id: &&str| {
        let is_digit = |byte: u8| byte.is_ascii_hexdigit() || byte == b'-';
        (1..=36).contains(&id.len()) && id.bytes().all(is_digit)
    };
    match record.id().filter(is_plain) {
        Some(id) => format!("{:02}-{id}", at + 1),
        None => format!("{:02}", at + 1),
    }
}

fn readme(records: &[Record]) -> Document {
    let text = format!(
        "Failed calls to LinkedIn through Linkgate {}: {} of them, a folder each.\n\n\
         ticket.txt    the text for LinkedIn's support: paste it into the form, or attach it\n\
         har.har       the trips to LinkedIn as HTTP Archive 1.2, for browsers' tools and HAR viewers\n\
         curl.sh       the caller's request as a command, through a gateway and with a key of your own\n\
         json.json     the record as the support log has it\n\n\
         No token, key or cookie stands in these files: [redacted:...] is in its place, and equal marks are equal\n\
         secrets. Bodies may hold what members wrote: handle them as such.\n",
        env!("CARGO_PKG_VERSION"),
        records.len()
    );
    Document {
        name: "README.txt".to_owned(),
        bytes: text.into_bytes(),
    }
}

fn pack(archive: &mut ZipArchiveWriter<Vec<u8>>, document: &Document) -> Result<(), rawzip::Error> {
    let file = archive
        .new_file(document.name.as_str())
        .compression_method(CompressionMethod::DEFLATE)
        .unix_permissions(0o600);
    let (mut entry, data) = file.start()?;
    let mut packed = data.wrap(DeflateEncoder::new(&mut entry, Compression::default()));
    packed.write_all(&document.bytes)?;
    let (encoder, sums) = packed.finish()?;
    encoder.finish()?;
    entry.finish(sums)?;
    Ok(())
}

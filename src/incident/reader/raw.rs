//! A line as it stands in the log, byte for byte.
//!
//! **Invariant:** what is given out is what a program would find in the segment; nothing is written anew.

use std::fs::File;

use memchr::memmem;

use super::{Filter, Incidents, Order, Record, lines::Forward};
use crate::incident::segment::Holds;

impl Incidents {
    /// The line of `record`, without its end; none if its segment is gone meanwhile. Reads files: not for an
    /// async worker.
    pub fn raw(&self, record: &Record) -> Option<Vec<u8>> {
        let needle = match (record.id(), record.seq()) {
            (Some(id), _) => id.to_owned(),
            (None, Some(seq)) => format!("\"seq\":{seq},"),
            (None, None) => return None,
        };
        let filter = Filter {
            // No line is written before its exchange began, so that it is most often in the first of these.
            since_micros: record.micros(),
            order: Order::OldestFirst,
            ..Filter::default()
        };
        let mut stamps = self.segments(&filter);
        while let Some(stamp) = stamps.pop() {
            let Ok(file) = File::open(self.folder.join(stamp.file_name(Holds::Lines))) else {
                continue;
            };
            let mut lines = Forward::new(file, 0);
            while let Ok(Some(line)) = lines.next_line() {
                let Ok(line) = line else { continue };
                let is_near = memmem::find(&line, needle.as_bytes()).is_some();
                let is_it =
                    |found: &Record| (found.seq(), found.id()) == (record.seq(), record.id());
                if is_near && Record::parse(&line).as_ref().is_some_and(is_it) {
                    return Some(line);
                }
            }
        }
        None
    }
}

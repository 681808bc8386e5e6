//! Going through the segments, line by line, from either end.

use std::{fs::File, io, path::PathBuf};

use super::{
    Filter, Order, Record, SkippedLine,
    lines::{self, Backward, Forward},
    read, skipped,
    stop::Stop,
};
use crate::incident::segment::{Holds, Stamp};

/// Lines of one segment, from either end.
#[derive(Debug)]
enum Lines {
    Forward(Forward<File>),
    Backward(Backward),
}

/// An iterator over lines of the log.
#[derive(Debug)]
pub struct Listing {
    folder: PathBuf,
    /// What is still to be read; the next one is last.
    stamps: Vec<Stamp>,
    filter: Filter,
    stop: Stop,
    open: Option<(String, Lines)>,
}

impl Listing {
    pub(super) fn new(folder: PathBuf, stamps: Vec<Stamp>, filter: Filter, stop: Stop) -> Self {
        Self {
            folder,
            stamps,
            filter,
            stop,
            open: None,
        }
    }

    /// The next line of the open segment, its last one without end included.
    fn next_line(&mut self) -> io::Result<Option<lines::Line>> {
        match &mut self.open {
            None => Ok(None),
            Some((_, Lines::Backward(lines))) => lines.next_line(),
            Some((_, Lines::Forward(lines))) => match lines.next_line()? {
                Some(line) => Ok(Some(line)),
                None => Ok(lines.rest()),
            },
        }
    }

    fn open_next(&mut self) -> Option<Result<(), SkippedLine>> {
        let name = self.stamps.pop()?.file_name(Holds::Lines);
        let lines = match self.filter.order {
            Order::NewestFirst => File::open(self.folder.join(&name))
                .and_then(Backward::new)
                .map(Lines::Backward),
            Order::OldestFirst => File::open(self.folder.join(&name))
                .map(|file| Lines::Forward(Forward::new(file, 0))),
        };
        Some(match lines {
            Ok(lines) => {
                self.open = Some((name, lines));
                Ok(())
            }
            // Dropped for its age since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(skipped(&name, error.into())),
        })
    }
}

impl Iterator for Listing {
    type Item = Result<Record, SkippedLine>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.stop.is_told() {
            let Some((name, _)) = &self.open else {
                match self.open_next()? {
                    Ok(()) => continue,
                    Err(skipped) => return Some(Err(skipped)),
                }
            };
            let name = name.clone();
            match self.next_line() {
                Ok(Some(line)) => {
                    if let Some(item) = read(&name, line, &self.filter) {
                        return Some(item);
                    }
                }
                Ok(None) => self.open = None,
                Err(error) => {
                    self.open = None;
                    return Some(Err(skipped(&name, error.into())));
                }
            }
        }
        None
    }
}

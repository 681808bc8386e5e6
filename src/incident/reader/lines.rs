//! Lines of a file, from either end, whatever stands in it.
//!
//! **Invariant:** never holds more than [`MAX_LINE`] and one block; a longer line is skipped and told.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
};

use crate::incident::line::MAX_LINE;

const BLOCK: usize = 64 << 10;

/// A line, without its end, or that it was too long.
pub(in crate::incident) type Line = Result<Vec<u8>, TooLong>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::incident) struct TooLong;

/// From the first line to the last; at the end it can be asked again after the file has grown.
#[derive(Debug)]
pub(in crate::incident) struct Forward<R> {
    source: R,
    /// Bytes taken from the source.
    offset: u64,
    /// Read; up to `given` it was given out.
    held: Vec<u8>,
    given: usize,
    /// Up to here there is no line end behind `given`.
    searched: usize,
    is_too_long: bool,
}

impl<R: Read> Forward<R> {
    /// Reads on from `offset`, where `source` stands.
    pub(in crate::incident) fn new(source: R, offset: u64) -> Self {
        Self {
            source,
            offset,
            held: Vec::new(),
            given: 0,
            searched: 0,
            is_too_long: false,
        }
    }

    /// The next whole line; none while there is none.
    pub(in crate::incident) fn next_line(&mut self) -> io::Result<Option<Line>> {
        loop {
            let unsearched = self.held.get(self.searched..).unwrap_or_default();
            if let Some(end) = memchr::memchr(b'\n', unsearched) {
                return Ok(Some(self.split(self.searched + end)));
            }
            // Once a block, not once a line.
            self.held.drain(..self.given);
            self.given = 0;
            self.searched = self.held.len();
            if self.held.len() > MAX_LINE {
                self.is_too_long = true;
                self.held.clear();
                self.searched = 0;
            }
            if self.read_block()? == 0 {
                return Ok(None);
            }
        }
    }

    fn read_block(&mut self) -> io::Result<usize> {
        let before = self.held.len();
        let source = self.source.by_ref();
        let read = source.take(BLOCK as u64).read_to_end(&mut self.held);
        match &read {
            Ok(read) => self.offset += *read as u64,
            Err(_) => self.held.truncate(before),
        }
        read
    }

    /// Gives out up to the line end at `end`.
    fn split(&mut self, end: usize) -> Line {
        let line = self.held.get(self.given..end).unwrap_or_default().to_vec();
        self.given = end + 1;
        self.searched = self.given;
        let is_too_long = std::mem::take(&mut self.is_too_long) || line.len() > MAX_LINE;
        if is_too_long { Err(TooLong) } else { Ok(line) }
    }

    /// What stands behind the last line end.
    pub(in crate::incident) fn rest(&mut self) -> Option<Line> {
        let rest = self.held.split_off(self.given);
        self.held.clear();
        (self.given, self.searched) = (0, 0);
        if std::mem::take(&mut self.is_too_long) {
            return Some(Err(TooLong));
        }
        (!rest.is_empty()).then_some(Ok(rest))
    }

    /// Where the line begins that is not yet complete.
    pub(in crate::incident) fn line_start(&self) -> u64 {
        let held = self.held.len().saturating_sub(self.given);
        self.offset.saturating_sub(held as u64)
    }

    /// Where the source stands.
    pub(in crate::incident) fn offset(&self) -> u64 {
        self.offset
    }
}

/// From the last line to the first.
#[derive(Debug)]
pub(in crate::incident) struct Backward {
    file: File,
    /// Where `held` begins in the file.
    offset: u64,
    held: Vec<u8>,
    is_too_long: bool,
    is_done: bool,
}

impl Backward {
    pub(in crate::incident) fn new(file: File) -> io::Result<Self> {
        let offset = file.metadata()?.len();
        Ok(Self {
            file,
            offset,
            held: Vec::new(),
            is_too_long: false,
            is_done: false,
        })
    }

    /// The line before the last one given; none at the beginning of the file.
    pub(in crate::incident) fn next_line(&mut self) -> io::Result<Option<Line>> {
        while !self.is_done {
            if let Some(end) = memchr::memrchr(b'\n', &self.held) {
                let line = self.held.split_off(end + 1);
                self.held.pop();
                return Ok(Some(self.given(line)));
            }
            if self.held.len() > MAX_LINE {
                self.is_too_long = true;
                self.held.clear();
            }
            if self.offset == 0 {
                self.is_done = true;
                let line = std::mem::take(&mut self.held);
                return Ok(Some(self.given(line)));
            }
            self.read_block()?;
        }
        Ok(None)
    }

    fn read_block(&mut self) -> io::Result<()> {
        let length = usize::try_from(self.offset).unwrap_or(BLOCK).min(BLOCK);
        let mut block = vec![0; length];
        let start = self.offset - length as u64;
        self.file.read_exact_at(&mut block, start)?;
        self.offset = start;
        block.append(&mut self.held);
        self.held = block;
        Ok(())
    }

    fn given(&mut self, line: Vec<u8>) -> Line {
        let is_too_long = std::mem::take(&mut self.is_too_long) || line.len() > MAX_LINE;
        if is_too_long { Err(TooLong) } else { Ok(line) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    fn file_of(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    fn forward(bytes: &[u8]) -> Vec<Line> {
        let mut lines = Forward::new(bytes, 0);
        let mut all = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            all.push(line);
        }
        all.extend(lines.rest());
        all.retain(|line| *line != Ok(Vec::new()));
        all
    }

    fn backward(bytes: &[u8]) -> Vec<Line> {
        let mut lines = Backward::new(file_of(bytes)).unwrap();
        let mut all = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            all.push(line);
        }
        all.retain(|line| *line != Ok(Vec::new()));
        all.reverse();
        all
    }

    #[test]
    fn both_directions_give_the_same_lines() {
        let long = vec![b'x'; BLOCK + 7];
        let too_long = vec![b'y'; MAX_LINE + 3 * BLOCK];
        let cases: [Vec<&[u8]>; 6] = [
            vec![],
            vec![b"a"],
            vec![b"a", b"b\xff", b"c"],
            vec![b"a", &long, b"c"],
            vec![b"a", &too_long, b"c"],
            vec![&too_long],
        ];
        for lines in &cases {
            let expected: Vec<Line> = lines
                .iter()
                .map(|line| {
                    if line.len() > MAX_LINE {
                        Err(TooLong)
                    } else {
                        Ok(line.to_vec())
                    }
                })
                .collect();
            let torn = lines.join(&b'\n');
            let whole = [torn.as_slice(), b"\n"].concat();
            for bytes in [torn, whole] {
                assert!(
                    forward(&bytes) == expected,
                    "forward, {} lines",
                    lines.len()
                );
                assert!(
                    backward(&bytes) == expected,
                    "backward, {} lines",
                    lines.len()
                );
            }
        }
    }
}

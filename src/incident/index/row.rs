//! What the index knows of a line: numbers, and names that repeat.
//!
//! **Invariant:** whoever counts lines counts rows, made here of a parsed line or read back from the index;
//! so both count alike.
//!
//! **Neighbours:** `build` writes rows, which `slim` reads; `reader::tally` counts them.

use crate::incident::reader::Record;

/// What repeats from line to line, and stands in the index as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::incident) enum Field {
    Fault,
    Kind,
    Method,
    Caller,
    Key,
    Member,
    Application,
    Signature,
    Outcome,
}

/// How many fields there are.
pub(in crate::incident) const FIELDS: usize = 9;

impl Field {
    pub(in crate::incident) const ALL: [Self; FIELDS] = [
        Self::Fault,
        Self::Kind,
        Self::Method,
        Self::Caller,
        Self::Key,
        Self::Member,
        Self::Application,
        Self::Signature,
        Self::Outcome,
    ];

    /// Its place in a row.
    pub(in crate::incident) fn place(self) -> usize {
        self as usize
    }

    fn of(self, record: &Record) -> Option<&str> {
        match self {
            Self::Fault => record.fault(),
            Self::Kind => record.kind(),
            Self::Method => record.method(),
            Self::Caller => record.caller(),
            Self::Key => record.key_id(),
            Self::Member => record.member(),
            Self::Application => record.application(),
            Self::Signature => record.signature(),
            Self::Outcome => record.outcome(),
        }
    }
}

/// A line's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::incident) struct Numbers {
    /// The line's own; 0 if it has none.
    pub(in crate::incident) seq: u64,
    /// When its exchange began.
    pub(in crate::incident) micros: Option<i64>,
    /// The exchange's id; 0 for a note.
    pub(in crate::incident) id: u128,
    /// 0 if there is none.
    pub(in crate::incident) status: u16,
    /// What it stands for: 1, or as many as a note sums up.
    pub(in crate::incident) count: u64,
}

/// A line as the index keeps it.
#[derive(Clone, Debug)]
pub(in crate::incident) struct Row<'a> {
    pub(in crate::incident) numbers: Numbers,
    /// By [`Field::place`].
    pub(in crate::incident) names: [Option<&'a str>; FIELDS],
}

impl<'a> Row<'a> {
    pub(in crate::incident) fn of(record: &'a Record) -> Self {
        let id = record.id().and_then(|id| uuid::Uuid::try_parse(id).ok());
        let count = match record.kind() {
            Some("summary") => record.number("/count"),
            Some("gap") => record.number("/dropped"),
            Some("late") => record.number("/late"),
            _ => None,
        };
        Self {
            numbers: Numbers {
                seq: record.seq().unwrap_or(0),
                micros: record.micros(),
                id: id.map_or(0, |id| id.as_u128()),
                status: record.status().unwrap_or(0),
                count: count.unwrap_or(1),
            },
            names: Field::ALL.map(|field| field.of(record)),
        }
    }
}

/// The columns of a block, in the order in which they are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::incident) enum Column {
    Seq,
    Micros,
    Offset,
    Length,
    Status,
    Count,
    IdHigh,
    IdLow,
    /// The number of a name; 0 if there is none.
    Name(Field),
}

/// How many columns there are.
pub(super) const COLUMNS: usize = 8 + FIELDS;

impl Column {
    /// Its place in a block.
    pub(super) fn place(self) -> usize {
        match self {
            Self::Seq => 0,
            Self::Micros => 1,
            Self::Offset => 2,
            Self::Length => 3,
            Self::Status => 4,
            Self::Count => 5,
            Self::IdHigh => 6,
            Self::IdLow => 7,
            Self::Name(field) => 8 + field.place(),
        }
    }
}

/// Times before 1970 sort before those after it; none is the smallest.
pub(super) fn micros_to_column(micros: Option<i64>) -> u64 {
    micros.map_or(0, |micros| (micros ^ i64::MIN).cast_unsigned())
}

pub(super) fn micros_from_column(value: u64) -> Option<i64> {
    (value > 0).then(|| value.cast_signed() ^ i64::MIN)
}

/// A line's values in the order of [`Column::place`].
pub(super) fn values(
    numbers: &Numbers,
    offset: u64,
    length: usize,
    names: [u64; FIELDS],
) -> [u64; COLUMNS] {
    let mut values = [0; COLUMNS];
    let id_high = u64::try_from(numbers.id >> 64).unwrap_or(0);
    let id_low = u64::try_from(numbers.id & u128::from(u64::MAX)).unwrap_or(0);
    let first = [
        numbers.seq,
        micros_to_column(numbers.micros),
        offset,
        length as u64,
        u64::from(numbers.status),
        numbers.count,
        id_high,
        id_low,
    ];
    for (value, of) in values.iter_mut().zip(first.into_iter().chain(names)) {
        *value = of;
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_a_column_sort_as_times_do() {
        let times = [None, Some(-5), Some(0), Some(7), Some(i64::MAX)];

        let columns = times.map(micros_to_column);

        assert!(columns.is_sorted());
        assert_eq!(columns.map(micros_from_column), times);
    }
}

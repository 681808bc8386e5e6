//! A column of numbers in as few bytes as its range needs.
//!
//! One byte for the width, eight for the smallest number, then each number's distance from it.
//!
//! **Invariant:** [`unpack`] takes any bytes: what is no column is none.

/// Packs `values`.
pub(super) fn pack(values: &[u64]) -> Vec<u8> {
    let least = values.iter().copied().min().unwrap_or(0);
    let most = values.iter().copied().max().unwrap_or(0);
    let width = match most - least {
        0 => 0,
        1..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8_usize,
    };
    let mut packed = vec![0; 9 + values.len() * width];
    let Some(([to_width, to_least @ ..], distances)) = packed.split_first_chunk_mut::<9>() else {
        return packed;
    };
    *to_width = u8::try_from(width).unwrap_or(8);
    *to_least = least.to_le_bytes();
    match width {
        0 => {}
        1 => put::<1>(distances, values, least),
        2 => put::<2>(distances, values, least),
        4 => put::<4>(distances, values, least),
        _ => put::<8>(distances, values, least),
    }
    packed
}

/// The low `N` bytes of each distance: with their number known, several at once. Byte by byte, columns took a tenth of
/// the index's time, since a block is packed again with each commit until it is full.
fn put<const N: usize>(distances: &mut [u8], values: &[u64], least: u64) {
    for (to, value) in distances.as_chunks_mut::<N>().0.iter_mut().zip(values) {
        if let Some(low) = (value - least).to_le_bytes().first_chunk::<N>() {
            *to = *low;
        }
    }
}

/// Unpacks `count` values.
pub(super) fn unpack(packed: &[u8], count: usize) -> Option<Vec<u64>> {
    let (width, rest) = packed.split_first()?;
    let (least, distances) = rest.split_first_chunk::<8>()?;
    let least = u64::from_le_bytes(*least);
    let sum = |distance: u64| least.wrapping_add(distance);
    let values: Vec<u64> = match width {
        0 => vec![least; count],
        1 => distances.iter().map(|byte| sum(u64::from(*byte))).collect(),
        2 => numbers(distances, u16::from_le_bytes)
            .map(|n| sum(n.into()))
            .collect(),
        4 => numbers(distances, u32::from_le_bytes)
            .map(|n| sum(n.into()))
            .collect(),
        8 => numbers(distances, u64::from_le_bytes).map(sum).collect(),
        _ => return None,
    };
    (values.len() == count).then_some(values)
}

fn numbers<const N: usize, T>(
    bytes: &[u8],
    read: impl Fn([u8; N]) -> T,
) -> impl Iterator<Item = T> {
    bytes
        .as_chunks::<N>()
        .0
        .iter()
        .map(move |chunk| read(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_comes_back_in_any_width() {
        for (values, width) in [
            (vec![], 0),
            (vec![7, 7, 7], 0),
            (vec![1_000, 1_255], 1),
            (vec![0, 65_535, 3], 2),
            (vec![5, 5 + 0xffff_ffff], 4),
            (vec![u64::MAX, 0], 8),
        ] {
            let packed = pack(&values);
            assert_eq!(usize::from(packed[0]), width, "{values:?}");
            assert_eq!(unpack(&packed, values.len()), Some(values));
        }
    }

    #[test]
    fn what_is_no_column_is_none() {
        let packed = pack(&[1, 2, 3]);
        for (bytes, count) in [(&packed[..], 4), (&packed[..5], 3), (&[3; 20], 3), (&[], 0)] {
            assert_eq!(unpack(bytes, count), None);
        }
    }
}

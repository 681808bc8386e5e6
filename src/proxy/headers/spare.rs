//! Header maps that served one exchange and will serve another.
//!
//! A map's room costs as much as filling it: two allocations of up to 4 KiB, and their end. hyper goes
//! around with the maps it gets (a request's map takes the answer's headers, that one the caller's next
//! request), so that giving it a used map closes the circle: a good exchange makes no map at all.
//!
//! **Invariant:** a spare map is empty, and no larger than what usual heads need; a thread keeps no more
//! of them than exchanges are usually under way at once.

use std::cell::RefCell;

use http::HeaderMap;

/// Fits LinkedIn's answers with our headers; a map's room grows in powers of two.
const USUAL_HEADERS: usize = 24;
/// 3.5 KiB each.
const MAX_SPARES: usize = 128;

/// The spare maps of one path thread.
#[derive(Debug, Default)]
pub(crate) struct SpareMaps(RefCell<Vec<HeaderMap>>);

impl SpareMaps {
    /// An empty map with room for `headers` and for a usual answer's.
    pub(crate) fn take(&self, headers: usize) -> HeaderMap {
        let spare = self.0.borrow_mut().pop();
        let mut map = spare.unwrap_or_default();
        map.reserve(headers.max(USUAL_HEADERS));
        map
    }

    /// Keeps a map that is not needed any more.
    pub(crate) fn give(&self, mut map: HeaderMap) {
        let mut spares = self.0.borrow_mut();
        let is_usual = (USUAL_HEADERS..=2 * USUAL_HEADERS).contains(&map.capacity());
        if is_usual && spares.len() < MAX_SPARES {
            map.clear();
            spares.push(map);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header::HOST};

    use super::*;

    #[test]
    fn a_map_comes_back_empty_and_with_its_room() {
        let spares = SpareMaps::default();
        let mut map = spares.take(3);
        map.insert(HOST, HeaderValue::from_static("x"));
        let room = map.capacity();

        spares.give(map);
        let again = spares.take(3);

        assert!(again.is_empty());
        assert_eq!(again.capacity(), room);
        assert!(spares.0.borrow().is_empty());
    }

    #[test]
    fn neither_large_maps_nor_many_are_kept() {
        let spares = SpareMaps::default();

        spares.give(HeaderMap::with_capacity(1000));
        spares.give(HeaderMap::new());
        assert!(spares.0.borrow().is_empty());

        for _ in 0..=MAX_SPARES {
            spares.give(HeaderMap::with_capacity(USUAL_HEADERS));
        }
        assert_eq!(spares.0.borrow().len(), MAX_SPARES);
    }
}

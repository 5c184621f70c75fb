use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// Free vectors by their length.
type Free = BTreeMap<usize, Vec<Vec<f32>>>;

/// Memory for numbers on the CPU that is reused from step to step.
///
/// A buffer returns to its arena when it is dropped, and the next request of about its length gets
/// it again, without a system call, a page fault or zeroing. A request that no free buffer can
/// serve replaces a smaller free one, so that an arena holds about as much as the largest step
/// used at once.
///
/// ```
/// use rtune_train::Arena;
///
/// let arena = Arena::new();
/// drop(arena.take(1000));
/// drop(arena.take(900));
/// assert_eq!(arena.allocations(), 1);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Arena {
    shelf: Arc<Mutex<Shelf>>,
}

#[derive(Debug, Default)]
struct Shelf {
    free: Free,
    allocations: usize,
}

/// A free buffer serves requests of more than its length over this.
const SLACK: usize = 4;
/// Buffers up to this length serve any shorter request.
const SMALL: usize = 1024;

impl Arena {
    /// Returns an arena without memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a buffer whose contents are arbitrary numbers.
    pub fn take(&self, length: usize) -> Buffer {
        let values = self.with(|shelf| {
            let limit = length.saturating_mul(SLACK).max(SMALL);
            let fitting = shelf
                .free
                .range(length..limit)
                .next()
                .map(|(length, _)| *length);
            if let Some(values) = fitting.and_then(|length| shelf.pop(length)) {
                return values;
            }
            let smaller = shelf.free.range(length.div_ceil(SLACK)..length).next_back();
            if let Some(smaller) = smaller.map(|(length, _)| *length) {
                drop(shelf.pop(smaller));
            }
            shelf.allocations += 1;
            vec![0.0; rounded(length)]
        });
        Buffer {
            values,
            length,
            arena: Some(self.clone()),
        }
    }

    /// Returns how many buffers were allocated so far.
    pub fn allocations(&self) -> usize {
        self.with(|shelf| shelf.allocations)
    }

    /// Gives idle memory back to the system, as before other work that needs some.
    pub fn clear(&self) {
        self.with(|shelf| shelf.free.clear());
    }

    fn with<R>(&self, f: impl FnOnce(&mut Shelf) -> R) -> R {
        // A shelf is whole between any two operations on it, also after a panic elsewhere.
        f(&mut self.shelf.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shelf {
    fn pop(&mut self, length: usize) -> Option<Vec<f32>> {
        let vectors = self.free.get_mut(&length)?;
        let vector = vectors.pop();
        if vectors.is_empty() {
            self.free.remove(&length);
        }
        vector
    }
}

/// Rounds a length up by at most an eighth, so that steps of similar size use the same buffers.
fn rounded(length: usize) -> usize {
    let grain = (length.next_power_of_two() / 16).max(1);
    length.div_ceil(grain) * grain
}

/// Numbers in memory that returns to its arena.
#[derive(Debug)]
pub struct Buffer {
    /// At least as many elements as the buffer has.
    values: Vec<f32>,
    length: usize,
    arena: Option<Arena>,
}

impl From<Vec<f32>> for Buffer {
    /// Takes memory that belongs to no arena.
    fn from(values: Vec<f32>) -> Self {
        Self {
            length: values.len(),
            values,
            arena: None,
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        if let Some(arena) = self.arena.take().filter(|_| !values.is_empty()) {
            arena.with(|shelf| shelf.free.entry(values.len()).or_default().push(values));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again() {
        let arena = Arena::new();
        let address = |buffer: &Buffer| buffer.as_ptr();
        let first = arena.take(5000);
        let place = address(&first);
        drop(first);
        assert_eq!(address(&arena.take(4900)), place);
        let (a, b) = (arena.take(5000), arena.take(5000));
        assert_ne!(address(&a), address(&b));
        assert_eq!((a.len(), arena.allocations()), (5000, 2));
    }

    #[test]
    fn a_small_request_leaves_large_buffers_alone() {
        let arena = Arena::new();
        drop(arena.take(1_000_000));
        let small = arena.take(300);
        assert_eq!(arena.allocations(), 2);
        drop(small);
        drop(arena.take(3));
        assert_eq!(arena.allocations(), 2);
    }

    #[test]
    fn a_growing_step_replaces_its_buffers() {
        let arena = Arena::new();
        for length in [10_000, 20_000, 30_000, 60_000] {
            drop((arena.take(length), arena.take(length)));
        }
        let held: usize =
            arena.with(|shelf| shelf.free.iter().map(|(n, free)| n * free.len()).sum());
        assert!((120_000..150_000).contains(&held), "{held}");
    }

    #[test]
    fn empty_foreign_and_cleared_buffers_are_not_kept() {
        let arena = Arena::new();
        drop(arena.take(10));
        arena.clear();
        drop(arena.take(0));
        drop(Buffer::from(vec![1.0]));
        assert!(arena.with(|shelf| shelf.free.is_empty()));
    }
}

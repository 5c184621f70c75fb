use super::memory::Memory;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// Memory for numbers on the CPU that is reused from step to step.
///
/// A buffer returns to its arena when it is dropped, and the next request of about its length gets
/// it again, without a system call, a page fault or zeroing. An arena holds at most an eighth more
/// than was ever in use at once: beyond that, new memory replaces what was idle longest.
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
    /// Idle memory by its length, each with the time at which it became idle.
    free: BTreeMap<usize, Vec<(u64, Block)>>,
    /// Elements of all blocks that were touched, idle or not.
    held: usize,
    /// Elements of all buffers in use.
    used: usize,
    /// The most that was ever in use at once.
    peak: usize,
    /// The number of buffers that were dropped so far.
    time: u64,
    allocations: usize,
}

/// A power of two of elements, of which a buffer uses the first.
#[derive(Debug)]
struct Block {
    memory: Memory,
    /// The most elements that a buffer used: the system provides no more pages than these need.
    touched: usize,
}

/// An idle block serves requests of more than its length over this.
const SLACK: usize = 4;
/// Blocks up to this length serve any shorter request.
const SMALL: usize = 1024;

impl Arena {
    /// Returns an arena without memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns a buffer whose contents are arbitrary numbers.
    pub fn take(&self, length: usize) -> Buffer {
        let block = self.with(|shelf| shelf.take(length));
        Buffer {
            block,
            length,
            arena: Some(self.clone()),
        }
    }

    /// Gives idle memory back to the system and forgets what was in use before, as when the work
    /// that follows needs less.
    pub fn clear(&self) {
        self.with(|shelf| {
            while shelf.evict() {}
            shelf.peak = shelf.used;
        });
    }

    /// Returns how many buffers were allocated so far.
    pub fn allocations(&self) -> usize {
        self.with(|shelf| shelf.allocations)
    }

    fn with<R>(&self, f: impl FnOnce(&mut Shelf) -> R) -> R {
        // A shelf is complete between any two operations on it, also after a panic elsewhere.
        f(&mut self.shelf.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shelf {
    fn take(&mut self, length: usize) -> Block {
        self.used += length;
        self.peak = self.peak.max(self.used);
        let limit = length.saturating_mul(SLACK).max(SMALL + 1);
        let fitting = self
            .free
            .range(length..limit)
            .next()
            .map(|(length, _)| *length);
        let mut block = match fitting.and_then(|length| self.pop(length)) {
            Some(block) => block,
            None => {
                self.allocations += 1;
                Block {
                    memory: Memory::zeros(length.next_power_of_two()),
                    touched: 0,
                }
            }
        };
        self.held += length.saturating_sub(block.touched);
        block.touched = block.touched.max(length);
        while self.held > self.peak + self.peak / 8 && self.evict() {}
        block
    }

    fn put(&mut self, block: Block, length: usize) {
        self.used -= length;
        self.time += 1;
        let blocks = self.free.entry(block.memory.len()).or_default();
        blocks.push((self.time, block));
    }

    /// Removes the block of a length that was used last.
    fn pop(&mut self, length: usize) -> Option<Block> {
        let blocks = self.free.get_mut(&length)?;
        let block = blocks.pop();
        if blocks.is_empty() {
            self.free.remove(&length);
        }
        block.map(|(_, block)| block)
    }

    /// Frees the block that was idle longest; returns whether there was one.
    fn evict(&mut self) -> bool {
        let oldest = |blocks: &Vec<(u64, Block)>| blocks.first().map(|(time, _)| *time);
        let Some((&length, blocks)) = self.free.iter_mut().min_by_key(|(_, free)| oldest(free))
        else {
            return false;
        };
        let (_, block) = blocks.remove(0);
        self.held -= block.touched;
        if blocks.is_empty() {
            self.free.remove(&length);
        }
        true
    }
}

/// Numbers in memory that returns to its arena.
#[derive(Debug)]
pub struct Buffer {
    block: Block,
    length: usize,
    arena: Option<Arena>,
}

impl From<Vec<f32>> for Buffer {
    /// Takes memory that belongs to no arena.
    fn from(values: Vec<f32>) -> Self {
        let length = values.len();
        let block = Block {
            memory: Memory::Heap(values),
            touched: length,
        };
        Self {
            block,
            length,
            arena: None,
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.block.memory[..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.block.memory[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let empty = Block {
            memory: Memory::Heap(Vec::new()),
            touched: 0,
        };
        let block = std::mem::replace(&mut self.block, empty);
        if let Some(arena) = self.arena.take() {
            arena.with(|shelf| shelf.put(block, self.length));
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
    fn changing_steps_hold_little_more_than_the_largest_uses() {
        let arena = Arena::new();
        for length in [10_000, 40_000, 25_000, 60_000, 12_000, 55_000, 30_000] {
            drop((
                arena.take(length),
                arena.take(4 * length),
                arena.take(length),
            ));
            let held = arena.with(|shelf| shelf.held);
            assert!(held <= 6 * 60_000 * 9 / 8, "{held}");
        }
        let before = arena.allocations();
        drop((arena.take(30_000), arena.take(120_000), arena.take(30_000)));
        assert_eq!(arena.allocations(), before);
    }

    #[test]
    fn empty_foreign_and_cleared_buffers_are_not_kept() {
        let arena = Arena::new();
        drop(arena.take(10));
        arena.clear();
        drop(Buffer::from(vec![1.0]));
        assert!(arena.with(|shelf| shelf.free.is_empty()));
    }
}

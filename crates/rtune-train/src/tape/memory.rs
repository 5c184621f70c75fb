use memmap2::MmapMut;
use std::ops::{Deref, DerefMut};

/// Elements from which on memory is mapped from the system.
const MAPPED: usize = 64 * 1024;

/// Memory for numbers. Large parts are mapped from the system, so that they return to it when they
/// are dropped: the heap would keep them, once for each thread that asked.
#[derive(Debug)]
pub(super) enum Memory {
    Heap(Vec<f32>),
    Mapped(MmapMut),
}

impl Memory {
    pub(super) fn zeros(length: usize) -> Self {
        if length < MAPPED {
            return Self::Heap(vec![0.0; length]);
        }
        match MmapMut::map_anon(length * size_of::<f32>()) {
            Ok(map) => Self::Mapped(map),
            // A system without mappings has a heap.
            Err(_) => Self::Heap(vec![0.0; length]),
        }
    }
}

impl Deref for Memory {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Self::Heap(values) => values,
            Self::Mapped(map) => bytemuck::cast_slice(map),
        }
    }
}

impl DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut [f32] {
        match self {
            Self::Heap(values) => values,
            Self::Mapped(map) => bytemuck::cast_slice_mut(map),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_memory_is_zero_and_writable() {
        for length in [0, 1, MAPPED - 1, MAPPED, 3 * MAPPED + 5] {
            let mut memory = Memory::zeros(length);
            assert_eq!(matches!(memory, Memory::Mapped(_)), length >= MAPPED);
            assert_eq!(memory.len(), length);
            assert!(memory.iter().all(|value| *value == 0.0));
            memory.fill(1.5);
            assert!(memory.iter().all(|value| *value == 1.5));
        }
    }
}

//! Shared by the tests.

/// Widths around those of SIMD registers, and an odd one.
pub(crate) const WIDTHS: &[usize] = &[1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 384];

/// Returns numbers within ±2, the same for the same seed.
pub(crate) fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1_u64 << 22) as f32 - 2.0
        })
        .collect()
}

pub(crate) fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}

/// Checks |found − expected| ≤ tolerance · max(1, |expected|) for each element.
#[track_caller]
pub(crate) fn assert_close(found: &[f32], expected: &[f64], tolerance: f64, place: &str) {
    assert_eq!(found.len(), expected.len(), "{place}");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (f64::from(*found) - expected).abs();
        let bound = tolerance * expected.abs().max(1.0);
        assert!(
            difference <= bound,
            "{place}: element {index} is {found}, expected {expected}"
        );
    }
}

/// Checks that a function gives the same bytes on pools of 1, 2 and 7 threads.
#[track_caller]
pub(crate) fn assert_same_at_any_thread_count(f: impl Fn() -> Vec<f32> + Sync) {
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(&f)
    };
    let expected = on(1);
    for threads in [2, 7] {
        let found = on(threads);
        assert_eq!(found.len(), expected.len());
        let same = found
            .iter()
            .zip(&expected)
            .all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(same, "1 and {threads} threads differ");
    }
}

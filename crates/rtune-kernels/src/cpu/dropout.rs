//! Dropout as a function of a key and of places.

use super::pool::PIECE;
use super::simd::vectorize;
use crate::error::check_length;
use crate::{KernelError, Result};
use rayon::prelude::*;

/// Elements per random pattern of 64 bits.
const PER_PATTERN: usize = 4;
/// Patterns drawn at once.
const PATTERNS: usize = 64;

/// A dropout mask: each place's factor is 0 with probability `rate` and 1 / (1 − rate) otherwise,
/// as a function of the key and the place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Patterns below the threshold drop an element; within 0..=65536.
    threshold: u32,
    scale: f32,
    key: u64,
}

impl Dropout {
    /// Returns the mask of a key. The probability is rounded to a multiple of 1 / 65536.
    ///
    /// # Errors
    /// If the rate is not within 0..1.
    pub fn new(rate: f64, key: u64) -> Result<Self> {
        if !(0.0..1.0).contains(&rate) {
            return Err(KernelError::Setting {
                kernel: "dropout",
                problem: format!("the rate is {rate}, expected at least 0 and less than 1"),
            });
        }
        let (threshold, scale) = ((rate * 65536.0).round() as u32, (1.0 / (1.0 - rate)) as f32);
        Ok(Self {
            threshold,
            scale,
            key,
        })
    }

    /// The key, the threshold below which the 16 bits of a place drop it, and the factor of the
    /// others, for kernels of other devices.
    pub fn parts(&self) -> (u64, u32, f32) {
        (self.key, self.threshold, self.scale)
    }

    /// Calls `f` with parts of `values` and the factors of their places, the first being `first`.
    #[inline(always)]
    fn apply(&self, first: usize, values: &mut [f32], f: impl Fn(&mut f32, f32)) {
        let mut pattern = first / PER_PATTERN;
        let mut skip = first % PER_PATTERN;
        let mut rest = values;
        while !rest.is_empty() {
            let lanes = self.lanes(pattern);
            let count = rest.len().min(lanes.len() - skip);
            let (part, next) = rest.split_at_mut(count);
            for (value, lane) in part.iter_mut().zip(&lanes[skip..]) {
                f(
                    value,
                    if u32::from(*lane) >= self.threshold {
                        self.scale
                    } else {
                        0.0
                    },
                );
            }
            rest = next;
            pattern += PATTERNS;
            skip = 0;
        }
    }

    /// Multiplies `values` by the factors of their places, the first being `first`.
    #[inline(always)]
    pub(crate) fn multiply(&self, first: usize, values: &mut [f32]) {
        self.apply(first, values, |value, factor| *value *= factor);
    }

    /// Draws the patterns from `first` on, 16 bits for each element.
    #[inline(always)]
    fn lanes(&self, first: usize) -> [u16; PATTERNS * PER_PATTERN] {
        let mut patterns = [0_u64; PATTERNS];
        for (index, pattern) in patterns.iter_mut().enumerate() {
            let place = (first + index) as u64;
            *pattern = mix(self.key ^ place.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        }
        let mut lanes = [0_u16; PATTERNS * PER_PATTERN];
        for (lanes, pattern) in lanes.chunks_exact_mut(PER_PATTERN).zip(patterns) {
            lanes[0] = pattern as u16;
            lanes[1] = (pattern >> 16) as u16;
            lanes[2] = (pattern >> 32) as u16;
            lanes[3] = (pattern >> 48) as u16;
        }
        lanes
    }
}

/// Returns a random bit pattern for each position (Steele, Lea and Flood, 2014: SplitMix64).
#[inline(always)]
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Multiplies x by a mask. The gradient is the same function of the incoming gradient.
///
/// # Errors
/// If the lengths differ.
pub fn dropout(x: &[f32], mask: &Dropout, output: &mut [f32]) -> Result<()> {
    check_length("dropout", "output", output.len(), x.len())?;
    output
        .par_chunks_mut(PIECE)
        .zip(x.par_chunks(PIECE))
        .enumerate()
        .for_each(|(piece, (output, x))| {
            output.copy_from_slice(x);
            vectorize(
                #[inline(always)]
                || mask.multiply(piece * PIECE, output),
            );
        });
    Ok(())
}

/// Multiplies values by a mask in place.
pub fn dropout_assign(values: &mut [f32], mask: &Dropout) {
    values
        .par_chunks_mut(PIECE)
        .enumerate()
        .for_each(|(piece, values)| {
            vectorize(
                #[inline(always)]
                || mask.multiply(piece * PIECE, values),
            );
        });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_same_at_any_thread_count;

    /// The definition, place by place.
    fn factor(mask: &Dropout, place: usize) -> f32 {
        let pattern = (place / PER_PATTERN) as u64;
        let bits = mix(mask.key ^ pattern.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let lane = (bits >> (16 * (place % PER_PATTERN))) & 0xffff;
        if lane >= u64::from(mask.threshold) {
            mask.scale
        } else {
            0.0
        }
    }

    #[test]
    fn a_factor_depends_on_key_and_place_alone() {
        let mask = Dropout::new(0.1, 42).unwrap();
        for length in [0, 1, 3, 4, 5, 255, 256, 257, 1000] {
            for first in [0, 1, 2, 3, 4, 254, 255, 256, 1001] {
                let mut values = vec![1.0; length];
                mask.multiply(first, &mut values);
                let expected: Vec<f32> = (0..length)
                    .map(|index| factor(&mask, first + index))
                    .collect();
                assert_eq!(values, expected, "{first} {length}");
            }
        }
        let run = |key| {
            let mut values = vec![1.0; 10_000];
            dropout_assign(&mut values, &Dropout::new(0.1, key).unwrap());
            values
        };
        assert!(run(1) != run(2));
    }

    #[test]
    fn shares_and_means_are_as_told() {
        for rate in [0.0, 0.1, 0.5, 0.9] {
            let mask = Dropout::new(rate, 7).unwrap();
            let (x, mut y) = (vec![1.0; 200_000], vec![f32::NAN; 200_000]);
            dropout(&x, &mask, &mut y).unwrap();
            let dropped = y.iter().filter(|y| **y == 0.0).count() as f64 / 2e5;
            assert!((dropped - rate).abs() < 5e-3, "{rate}: {dropped}");
            let mean = y.iter().map(|y| f64::from(*y)).sum::<f64>() / 2e5;
            assert!((mean - 1.0).abs() < 2e-2, "{rate}: {mean}");
        }
    }

    #[test]
    fn in_place_and_copied_agree_at_any_thread_count() {
        let mask = Dropout::new(0.3, 11).unwrap();
        let x = crate::testing::noise(1, 3 * PIECE + 17);
        let mut in_place = x.clone();
        dropout_assign(&mut in_place, &mask);
        let run = || {
            let mut y = vec![f32::NAN; x.len()];
            dropout(&x, &mask, &mut y).unwrap();
            y
        };
        assert_eq!(run(), in_place);
        assert_same_at_any_thread_count(run);
    }

    #[test]
    fn rates_out_of_range_are_errors() {
        for rate in [-0.1, 1.0, 2.0, f64::NAN] {
            let error = Dropout::new(rate, 0).unwrap_err().to_string();
            assert!(error.starts_with("dropout: the rate is"), "{error}");
        }
    }
}

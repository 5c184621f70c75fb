//! The update of parameters.

use super::simd::vectorize;
use crate::Result;
use crate::error::check_length;
use rayon::prelude::*;

/// Elements per piece of work.
const PIECE: usize = 64 * 1024;
/// Lanes of a sum. Fixed, so that results do not depend on the instruction set.
const LANES: usize = 16;

/// The constants of one update by Adam with decoupled weight decay (Loshchilov and Hutter, 2017).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Addend to the root of the second moment.
    pub epsilon: f64,
    /// The learning rate over the first moment's bias correction.
    pub rate: f64,
    /// The second moment's bias correction.
    pub correction: f64,
    /// The share of a weight that decay leaves.
    pub keep: f64,
    /// The factor that clips the gradient.
    pub clip: f64,
}

/// Updates a parameter and its moments in one pass.
///
/// With g = gradient · clip: m ← β₁ m + (1 − β₁) g, v ← β₂ v + (1 − β₂) g²,
/// w ← keep · w − rate · m / (√v / √correction + ε).
///
/// # Errors
/// If the lengths differ.
pub fn adamw(
    update: &AdamW,
    value: &mut [f32],
    gradient: &[f32],
    first: &mut [f32],
    second: &mut [f32],
) -> Result<()> {
    for (argument, length) in [
        ("gradient", gradient.len()),
        ("first moment", first.len()),
        ("second moment", second.len()),
    ] {
        check_length("adamw", argument, length, value.len())?;
    }
    let (beta1, beta2) = (update.beta1 as f32, update.beta2 as f32);
    let (epsilon, rate) = (update.epsilon as f32, update.rate as f32);
    let (keep, clip) = (update.keep as f32, update.clip as f32);
    let correction = (1.0 / update.correction.sqrt()) as f32;
    let moments = first
        .par_chunks_mut(PIECE)
        .zip(second.par_chunks_mut(PIECE));
    let values = value.par_chunks_mut(PIECE).zip(gradient.par_chunks(PIECE));
    values
        .zip(moments)
        .for_each(|((value, gradient), (first, second))| {
            vectorize(
                #[inline(always)]
                || {
                    let moments = first.iter_mut().zip(second.iter_mut());
                    for ((value, g), (m, v)) in value.iter_mut().zip(gradient).zip(moments) {
                        let g = g * clip;
                        *m = beta1 * *m + (1.0 - beta1) * g;
                        *v = beta2 * *v + (1.0 - beta2) * g * g;
                        *value = *value * keep - rate * *m / (v.sqrt() * correction + epsilon);
                    }
                },
            );
        });
    Ok(())
}

/// Returns the sum of squares, in double precision.
pub fn square_sum(values: &[f32]) -> f64 {
    let piece = |values: &[f32]| {
        vectorize(
            #[inline(always)]
            || {
                let mut lanes = [0.0_f64; LANES];
                let chunks = values.chunks_exact(LANES);
                let rest = chunks.remainder();
                for chunk in chunks {
                    for (lane, value) in lanes.iter_mut().zip(chunk) {
                        *lane += f64::from(value * value);
                    }
                }
                for (lane, value) in lanes.iter_mut().zip(rest) {
                    *lane += f64::from(value * value);
                }
                lanes.iter().sum::<f64>()
            },
        )
    };
    let sums: Vec<f64> = values.par_chunks(PIECE).map(piece).collect();
    sums.into_iter().sum()
}

/// Returns whether no element is infinite or NaN.
pub fn all_finite(values: &[f32]) -> bool {
    values.par_chunks(PIECE).all(|values| {
        vectorize(
            #[inline(always)]
            || {
                // The comparison is false for NaN. `&` does not branch, so the loop is vectorized.
                values
                    .iter()
                    .fold(true, |finite, value| finite & (value.abs() < f32::INFINITY))
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_close, assert_same_at_any_thread_count, noise, wide};

    const UPDATE: AdamW = AdamW {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        rate: 0.01,
        correction: 0.3,
        keep: 0.99,
        clip: 0.5,
    };

    #[test]
    fn one_update_matches_the_formula() {
        for length in [0, 1, 7, 16, 33, PIECE + 3] {
            let [mut value, gradient, mut first] = [1, 2, 3].map(|seed| noise(seed, length));
            let mut second: Vec<f32> = noise(4, length).iter().map(|v| v.abs()).collect();
            let (old, old_first, old_second) = (wide(&value), wide(&first), wide(&second));
            adamw(&UPDATE, &mut value, &gradient, &mut first, &mut second).unwrap();
            let g: Vec<f64> = wide(&gradient).iter().map(|g| g * UPDATE.clip).collect();
            let mix = |old: &[f64], beta: f64, new: fn(f64) -> f64| -> Vec<f64> {
                old.iter()
                    .zip(&g)
                    .map(|(old, g)| beta * old + (1.0 - beta) * new(*g))
                    .collect()
            };
            let m = mix(&old_first, UPDATE.beta1, |g| g);
            let v = mix(&old_second, UPDATE.beta2, |g| g * g);
            let expected: Vec<f64> = (0..length)
                .map(|i| {
                    let root = (v[i] / UPDATE.correction).sqrt() + UPDATE.epsilon;
                    UPDATE.keep * old[i] - UPDATE.rate * m[i] / root
                })
                .collect();
            assert_close(&first, &m, 1e-6, "first moment");
            assert_close(&second, &v, 1e-6, "second moment");
            assert_close(&value, &expected, 1e-5, "value");
        }
    }

    #[test]
    fn squares_add_up_at_any_thread_count() {
        for length in [0, 1, 15, 17, 2 * PIECE + 9] {
            let values = noise(5, length);
            let expected: f64 = wide(&values).iter().map(|v| v * v).sum();
            assert!((square_sum(&values) - expected).abs() <= 1e-6 * expected);
        }
        let values = noise(6, 5 * PIECE + 1);
        assert_same_at_any_thread_count(|| {
            let bits = square_sum(&values).to_bits();
            vec![
                f32::from_bits(bits as u32),
                f32::from_bits((bits >> 32) as u32),
            ]
        });
    }

    #[test]
    fn a_single_nan_or_infinity_is_found() {
        let mut values = noise(7, PIECE + 50);
        assert!(all_finite(&values) && all_finite(&[]));
        for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for place in [0, 17, PIECE, PIECE + 49] {
                let old = std::mem::replace(&mut values[place], broken);
                assert!(!all_finite(&values), "{broken} at {place}");
                values[place] = old;
            }
        }
    }

    #[test]
    fn lengths_that_do_not_fit_are_errors() {
        let error = adamw(
            &UPDATE,
            &mut [0.0; 2],
            &[0.0; 2],
            &mut [0.0; 2],
            &mut [0.0; 1],
        );
        let message = "adamw: second moment has 1 elements, expected 2";
        assert_eq!(error.unwrap_err().to_string(), message);
    }
}

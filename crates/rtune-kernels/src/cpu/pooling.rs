//! One row for each sequence of tokens.

use super::pool::split;
use super::reduce::zero;
use super::simd::vectorize;
use crate::error::{check_length, check_rows};
use crate::{KernelError, Result};
use rayon::prelude::*;

/// Checks offsets, and returns the number of sequences.
fn check(kernel: &'static str, offsets: &[usize], tokens: usize) -> Result<usize> {
    let ascending = offsets.windows(2).all(|pair| pair[0] <= pair[1]);
    match (offsets.first(), offsets.last()) {
        (Some(0), Some(last)) if ascending && *last == tokens => Ok(offsets.len() - 1),
        _ => Err(KernelError::Setting {
            kernel,
            problem: format!("offsets must ascend from 0 to the number of tokens, {tokens}"),
        }),
    }
}

/// Returns the weight of a sequence's tokens in its mean, or `None` if it has no token.
fn share(mask: Option<&[f32]>, from: usize, to: usize) -> Option<f32> {
    let count = mask.map_or((to - from) as f32, |mask| mask[from..to].iter().sum());
    (count > 0.0).then(|| 1.0 / count)
}

/// Computes the mean over each sequence's tokens. A sequence without tokens gives zeros.
///
/// # Shapes
/// hidden `[tokens, width]`, offsets `[sequences + 1]`, mask `[tokens]` (1 for a token, 0 for
/// padding) → output `[sequences, width]`
///
/// # Errors
/// If the shapes do not fit.
pub fn mean_pool(
    hidden: &[f32],
    width: usize,
    offsets: &[usize],
    mask: Option<&[f32]>,
    output: &mut [f32],
) -> Result<()> {
    let kernel = "mean_pool";
    let tokens = check_rows(kernel, "hidden", hidden.len(), width)?;
    let sequences = check(kernel, offsets, tokens)?;
    check_length(kernel, "output", output.len(), sequences * width)?;
    if let Some(mask) = mask {
        check_length(kernel, "mask", mask.len(), tokens)?;
    }
    let rows = output
        .par_chunks_exact_mut(width)
        .zip(offsets.par_windows(2));
    rows.for_each(|(output, range)| {
        output.fill(0.0);
        let Some(share) = share(mask, range[0], range[1]) else {
            return;
        };
        vectorize(
            #[inline(always)]
            || {
                for token in range[0]..range[1] {
                    let weight = share * mask.map_or(1.0, |mask| mask[token]);
                    let row = &hidden[token * width..(token + 1) * width];
                    for (sum, value) in output.iter_mut().zip(row) {
                        *sum += weight * value;
                    }
                }
            },
        );
    });
    Ok(())
}

/// Computes the gradient of [`mean_pool`].
///
/// # Shapes
/// gradient `[sequences, width]`, offsets `[sequences + 1]`, mask `[tokens]` → output
/// `[tokens, width]`
///
/// # Errors
/// If the shapes do not fit.
pub fn mean_pool_backward(
    gradient: &[f32],
    width: usize,
    offsets: &[usize],
    mask: Option<&[f32]>,
    output: &mut [f32],
) -> Result<()> {
    let kernel = "mean_pool_backward";
    let tokens = check_rows(kernel, "output", output.len(), width)?;
    let sequences = check(kernel, offsets, tokens)?;
    check_length(kernel, "gradient", gradient.len(), sequences * width)?;
    if let Some(mask) = mask {
        check_length(kernel, "mask", mask.len(), tokens)?;
    }
    let parts = split(
        output,
        offsets.windows(2).map(|pair| (pair[1] - pair[0]) * width),
    );
    let rows = parts.into_par_iter().zip(gradient.par_chunks_exact(width));
    rows.zip(offsets.par_windows(2))
        .for_each(|((output, gradient), range)| {
            let Some(share) = share(mask, range[0], range[1]) else {
                return output.fill(0.0);
            };
            for (token, output) in (range[0]..range[1]).zip(output.chunks_exact_mut(width)) {
                let weight = share * mask.map_or(1.0, |mask| mask[token]);
                for (output, gradient) in output.iter_mut().zip(gradient) {
                    *output = weight * gradient;
                }
            }
        });
    Ok(())
}

/// Checks that each sequence has a first token.
fn check_first(kernel: &'static str, offsets: &[usize]) -> Result<()> {
    match offsets.windows(2).position(|pair| pair[0] == pair[1]) {
        Some(index) => Err(KernelError::Setting {
            kernel,
            problem: format!("sequence {index} is empty, so it has no first token"),
        }),
        None => Ok(()),
    }
}

/// Copies each sequence's first token.
///
/// # Shapes
/// hidden `[tokens, width]`, offsets `[sequences + 1]` → output `[sequences, width]`
///
/// # Errors
/// If the shapes do not fit or a sequence is empty.
pub fn first_pool(
    hidden: &[f32],
    width: usize,
    offsets: &[usize],
    output: &mut [f32],
) -> Result<()> {
    let tokens = check_rows("first_pool", "hidden", hidden.len(), width)?;
    let sequences = check("first_pool", offsets, tokens)?;
    check_first("first_pool", offsets)?;
    check_length("first_pool", "output", output.len(), sequences * width)?;
    for (output, start) in output.chunks_exact_mut(width).zip(offsets) {
        output.copy_from_slice(&hidden[start * width..(start + 1) * width]);
    }
    Ok(())
}

/// Computes the gradient of [`first_pool`].
///
/// # Shapes
/// gradient `[sequences, width]`, offsets `[sequences + 1]` → output `[tokens, width]`
///
/// # Errors
/// If the shapes do not fit or a sequence is empty.
pub fn first_pool_backward(
    gradient: &[f32],
    width: usize,
    offsets: &[usize],
    output: &mut [f32],
) -> Result<()> {
    let tokens = check_rows("first_pool_backward", "output", output.len(), width)?;
    let sequences = check("first_pool_backward", offsets, tokens)?;
    check_first("first_pool_backward", offsets)?;
    check_length(
        "first_pool_backward",
        "gradient",
        gradient.len(),
        sequences * width,
    )?;
    zero(output);
    for (gradient, start) in gradient.chunks_exact(width).zip(offsets) {
        output[start * width..(start + 1) * width].copy_from_slice(gradient);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;
    use crate::testing::{WIDTHS, assert_close, noise, wide};

    #[test]
    fn means_and_their_gradients_match_the_reference() {
        let offsets = [0, 4, 4, 5, 12];
        let mask = [1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0];
        for width in WIDTHS {
            for mask in [None, Some(mask.as_slice())] {
                let hidden = noise(1, 12 * width);
                let shares = reference::shares(&offsets, &wide(mask.unwrap_or(&[1.0; 12])));
                let mut output = vec![f32::NAN; 4 * width];
                mean_pool(&hidden, *width, &offsets, mask, &mut output).unwrap();
                let mut expected = vec![0.0; 4 * width];
                for (row, range) in offsets.windows(2).enumerate() {
                    for token in range[0]..range[1] {
                        for column in 0..*width {
                            expected[row * width + column] +=
                                shares[token] * f64::from(hidden[token * width + column]);
                        }
                    }
                }
                assert_close(&output, &expected, 1e-6, &format!("{width}"));
                let gradient = noise(2, 4 * width);
                let mut output = vec![f32::NAN; 12 * width];
                mean_pool_backward(&gradient, *width, &offsets, mask, &mut output).unwrap();
                let rows = [0, 0, 0, 0, 2, 3, 3, 3, 3, 3, 3, 3];
                let expected: Vec<f64> = (0..12 * width)
                    .map(|place| {
                        let (token, column) = (place / width, place % width);
                        shares[token] * f64::from(gradient[rows[token] * width + column])
                    })
                    .collect();
                assert_close(&output, &expected, 1e-6, &format!("{width}"));
            }
        }
    }

    #[test]
    fn first_tokens_and_their_gradients() {
        let hidden = noise(3, 6 * 5);
        let mut output = [f32::NAN; 10];
        first_pool(&hidden, 5, &[0, 4, 6], &mut output).unwrap();
        assert_eq!(output[..5], hidden[..5]);
        assert_eq!(output[5..], hidden[20..25]);
        let mut gradient = [f32::NAN; 30];
        first_pool_backward(&output, 5, &[0, 4, 6], &mut gradient).unwrap();
        assert_eq!(gradient[..5], output[..5]);
        assert_eq!(gradient[20..25], output[5..]);
        assert!(
            gradient[5..20]
                .iter()
                .chain(&gradient[25..])
                .all(|value| *value == 0.0)
        );
    }

    #[test]
    fn an_empty_sequence_has_no_first_token() {
        let error = first_pool(&[0.0; 2], 1, &[0, 0, 2], &mut [0.0; 2]).unwrap_err();
        let message = "first_pool: sequence 0 is empty, so it has no first token";
        assert_eq!(error.to_string(), message);
        assert!(mean_pool(&[0.0; 2], 1, &[0, 3], None, &mut [0.0; 1]).is_err());
    }
}

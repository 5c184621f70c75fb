//! Layer normalization over rows.

use super::pool::{each2, whole_rows};
use super::reduce::add_in_order;
use super::simd::{sum, vectorize};
use crate::Result;
use crate::error::{check_length, check_rows};
use rayon::prelude::*;

/// Returns the mean of a row and 1 / √(variance + epsilon).
#[inline(always)]
fn statistics(x: &[f32], epsilon: f32) -> (f32, f32) {
    let share = 1.0 / x.len() as f32;
    let mean = sum(x, |x| x) * share;
    let variance = sum(x, |x| (x - mean) * (x - mean)) * share;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

/// Computes (x − mean) / √(variance + epsilon) · weight + bias over rows (Ba, Kiros and Hinton,
/// 2016).
///
/// # Shapes
/// x and output `[rows, width]`, weight and bias `[width]`
///
/// # Errors
/// If the shapes do not fit.
pub fn layer_norm(
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    epsilon: f32,
    output: &mut [f32],
) -> Result<()> {
    let width = weight.len();
    check_rows("layer_norm", "x", x.len(), width)?;
    if let Some(bias) = bias {
        check_length("layer_norm", "bias", bias.len(), width)?;
    }
    check_length("layer_norm", "output", output.len(), x.len())?;
    each2(
        output,
        x,
        whole_rows(width),
        #[inline(always)]
        |output, x| {
            for (output, x) in output.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
                let (mean, inverse) = statistics(x, epsilon);
                for (output, (x, weight)) in output.iter_mut().zip(x.iter().zip(weight)) {
                    *output = (x - mean) * inverse * weight;
                }
                if let Some(bias) = bias {
                    output
                        .iter_mut()
                        .zip(bias)
                        .for_each(|(output, bias)| *output += bias);
                }
            }
        },
    );
    Ok(())
}

/// The gradients that [`layer_norm_backward`] writes.
#[derive(Debug)]
pub struct NormGradients<'a> {
    /// `[rows, width]`
    pub x: &'a mut [f32],
    /// `[width]`
    pub weight: &'a mut [f32],
    /// `[width]`
    pub bias: &'a mut [f32],
}

/// Computes the gradients of [`layer_norm`].
///
/// With n = (x − mean) / σ and h = g · weight: dx = (h − mean(h) − n · mean(h · n)) / σ.
///
/// # Shapes
/// x and gradient `[rows, width]`, weight `[width]`
///
/// # Errors
/// If the shapes do not fit.
pub fn layer_norm_backward(
    x: &[f32],
    weight: &[f32],
    gradient: &[f32],
    epsilon: f32,
    output: NormGradients<'_>,
) -> Result<()> {
    let width = weight.len();
    check_rows("layer_norm_backward", "x", x.len(), width)?;
    check_length("layer_norm_backward", "gradient", gradient.len(), x.len())?;
    check_length("layer_norm_backward", "output", output.x.len(), x.len())?;
    check_length(
        "layer_norm_backward",
        "weight gradient",
        output.weight.len(),
        width,
    )?;
    check_length(
        "layer_norm_backward",
        "bias gradient",
        output.bias.len(),
        width,
    )?;
    let piece = whole_rows(width);
    let inputs = x.par_chunks(piece).zip(gradient.par_chunks(piece));
    let partial: Vec<Vec<f32>> = output
        .x
        .par_chunks_mut(piece)
        .zip(inputs)
        .map(|(output, (x, gradient))| {
            // The first half adds up the weight's gradient, the second the bias's, the third is
            // one row's n.
            let mut sums = vec![0.0_f32; 3 * width];
            vectorize(
                #[inline(always)]
                || {
                    let (weight_sum, rest) = sums.split_at_mut(width);
                    let (bias_sum, normal) = rest.split_at_mut(width);
                    let rows = x.chunks_exact(width).zip(gradient.chunks_exact(width));
                    for (output, (x, gradient)) in output.chunks_exact_mut(width).zip(rows) {
                        row_backward(output, x, weight, gradient, epsilon, normal);
                        let sums = weight_sum.iter_mut().zip(bias_sum.iter_mut());
                        let inputs = gradient.iter().zip(normal.iter());
                        for ((weight, bias), (gradient, normal)) in sums.zip(inputs) {
                            *weight += gradient * normal;
                            *bias += gradient;
                        }
                    }
                },
            );
            sums.truncate(2 * width);
            sums
        })
        .collect();
    let mut sums = vec![0.0_f32; 2 * width];
    add_in_order(&partial, &mut sums);
    output.weight.copy_from_slice(&sums[..width]);
    output.bias.copy_from_slice(&sums[width..]);
    Ok(())
}

/// Writes one row of the gradient of x, and its n.
#[inline(always)]
fn row_backward(
    output: &mut [f32],
    x: &[f32],
    weight: &[f32],
    gradient: &[f32],
    epsilon: f32,
    normal: &mut [f32],
) {
    let share = 1.0 / x.len() as f32;
    let (mean, inverse) = statistics(x, epsilon);
    for (normal, x) in normal.iter_mut().zip(x) {
        *normal = (x - mean) * inverse;
    }
    for (output, (gradient, weight)) in output.iter_mut().zip(gradient.iter().zip(weight)) {
        *output = gradient * weight;
    }
    let h_mean = sum(output, |h| h) * share;
    let hn_mean = super::simd::sum_pairs(output, normal, |h, n| h * n) * share;
    for (output, normal) in output.iter_mut().zip(normal.iter()) {
        *output = inverse * (*output - h_mean - normal * hn_mean);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;
    use crate::testing::{WIDTHS, assert_close, assert_same_at_any_thread_count, noise, wide};

    const EPSILON: f32 = 1e-5;

    fn backward(x: &[f32], weight: &[f32], gradient: &[f32]) -> [Vec<f32>; 3] {
        let mut outputs = [x.len(), weight.len(), weight.len()].map(|n| vec![f32::NAN; n]);
        let [x_out, weight_out, bias_out] = &mut outputs;
        let output = NormGradients {
            x: x_out,
            weight: weight_out,
            bias: bias_out,
        };
        layer_norm_backward(x, weight, gradient, EPSILON, output).unwrap();
        outputs
    }

    #[test]
    fn layer_norm_and_its_gradients_match_the_reference() {
        for width in WIDTHS {
            for rows in [0, 1, 2, 45] {
                let [x, gradient] = [noise(1, rows * width), noise(2, rows * width)];
                let [weight, bias] = [noise(3, *width), noise(4, *width)];
                let [wide_x, wide_gradient] = [wide(&x), wide(&gradient)];
                let [wide_weight, wide_bias] = [wide(&weight), wide(&bias)];
                let (place, epsilon) = (format!("{rows} × {width}"), f64::from(EPSILON));
                let mut y = vec![f32::NAN; x.len()];
                layer_norm(&x, &weight, Some(&bias), EPSILON, &mut y).unwrap();
                let expected = reference::layer_norm(&wide_x, &wide_weight, &wide_bias, epsilon);
                assert_close(&y, &expected, 1e-4, &place);
                let found = backward(&x, &weight, &gradient);
                let expected =
                    reference::layer_norm_backward(&wide_x, &wide_weight, &wide_gradient, epsilon);
                // Two values a width apart can be close, so that σ is small.
                let tolerance = if *width < 3 { 2e-2 } else { 1e-4 };
                for (found, expected) in found.iter().zip(&expected) {
                    assert_close(found, expected, tolerance, &place);
                }
            }
        }
    }

    #[test]
    fn a_constant_row_gives_the_bias_or_zeros() {
        let mut y = [f32::NAN; 4];
        layer_norm(&[3.0; 4], &[2.0; 4], Some(&[0.5; 4]), EPSILON, &mut y).unwrap();
        assert_eq!(y, [0.5; 4]);
        layer_norm(&[3.0; 4], &[2.0; 4], None, EPSILON, &mut y).unwrap();
        assert_eq!(y, [0.0; 4]);
    }

    #[test]
    fn threads_do_not_change_the_gradients() {
        let (x, gradient) = (noise(5, 384 * 211), noise(6, 384 * 211));
        let weight = noise(7, 384);
        assert_same_at_any_thread_count(|| backward(&x, &weight, &gradient).concat());
    }
}

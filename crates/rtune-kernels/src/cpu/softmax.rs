//! Softmax over rows.

use super::pool::{each2, each3, whole_rows};
use super::simd::{exp, max, sum, sum_pairs};
use crate::Result;
use crate::error::{check_length, check_rows};

/// Replaces a row by its softmax, after adding `bias` to it if there is one.
#[inline(always)]
pub(crate) fn softmax_row(row: &mut [f32], bias: Option<&[f32]>) {
    if let Some(bias) = bias {
        for (value, bias) in row.iter_mut().zip(bias) {
            *value += bias;
        }
    }
    let largest = max(row);
    for value in row.iter_mut() {
        *value = exp(*value - largest);
    }
    let inverse = 1.0 / sum(row, |value| value);
    for value in row.iter_mut() {
        *value *= inverse;
    }
}

/// Replaces a row of gradients by y · (g − Σ g · y).
#[inline(always)]
pub(crate) fn softmax_row_backward(y: &[f32], gradient: &mut [f32]) {
    let dot = sum_pairs(y, gradient, |y, g| y * g);
    for (gradient, y) in gradient.iter_mut().zip(y) {
        *gradient = y * (*gradient - dot);
    }
}

/// Computes e^x / Σ e^x over rows.
///
/// # Shapes
/// x and output `[rows, width]`
///
/// # Errors
/// If the shapes do not fit.
pub fn softmax(x: &[f32], width: usize, output: &mut [f32]) -> Result<()> {
    check_rows("softmax", "x", x.len(), width)?;
    check_length("softmax", "output", output.len(), x.len())?;
    each2(
        output,
        x,
        whole_rows(width),
        #[inline(always)]
        |output, x| {
            output.copy_from_slice(x);
            output
                .chunks_exact_mut(width)
                .for_each(|row| softmax_row(row, None));
        },
    );
    Ok(())
}

/// Computes the gradient of [`softmax`] from its output: y · (g − Σ g · y).
///
/// # Shapes
/// y, gradient and output `[rows, width]`
///
/// # Errors
/// If the shapes do not fit.
pub fn softmax_backward(
    y: &[f32],
    gradient: &[f32],
    width: usize,
    output: &mut [f32],
) -> Result<()> {
    check_rows("softmax_backward", "y", y.len(), width)?;
    check_length("softmax_backward", "gradient", gradient.len(), y.len())?;
    check_length("softmax_backward", "output", output.len(), y.len())?;
    each3(
        output,
        y,
        gradient,
        whole_rows(width),
        #[inline(always)]
        |output, y, gradient| {
            output.copy_from_slice(gradient);
            let rows = output.chunks_exact_mut(width).zip(y.chunks_exact(width));
            rows.for_each(|(output, y)| softmax_row_backward(y, output));
        },
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;
    use crate::testing::{WIDTHS, assert_close, assert_same_at_any_thread_count, noise, wide};

    #[test]
    fn softmax_and_its_gradient_match_the_reference() {
        for width in WIDTHS {
            for rows in [0, 1, 3, 40] {
                let (x, gradient) = (noise(1, rows * width), noise(2, rows * width));
                let x: Vec<f32> = x.iter().map(|x| x * 10.0).collect();
                let mut y = vec![f32::NAN; x.len()];
                softmax(&x, *width, &mut y).unwrap();
                let place = format!("{rows} × {width}");
                assert_close(&y, &reference::softmax(&wide(&x), *width), 1e-6, &place);
                let mut output = vec![f32::NAN; x.len()];
                softmax_backward(&y, &gradient, *width, &mut output).unwrap();
                let expected = reference::softmax_backward(&wide(&y), &wide(&gradient), *width);
                assert_close(&output, &expected, 2e-6, &place);
            }
        }
    }

    #[test]
    fn a_masked_element_has_no_weight() {
        let mut row = [3.0, 1.0, 2.0];
        softmax_row(&mut row, Some(&[0.0, -1e4, 0.0]));
        assert_eq!(row[1], 0.0);
        assert!((row[0] + row[2] - 1.0).abs() < 1e-6);
        // A row of padding alone gives equal weights, not NaN.
        let mut row = [1.0, 1.0];
        softmax_row(&mut row, Some(&[-1e4, -1e4]));
        assert_eq!(row, [0.5, 0.5]);
    }

    #[test]
    fn threads_do_not_change_the_result() {
        let x = noise(3, 77 * 1001);
        assert_same_at_any_thread_count(|| {
            let mut y = vec![0.0; x.len()];
            softmax(&x, 77, &mut y).unwrap();
            y
        });
    }
}

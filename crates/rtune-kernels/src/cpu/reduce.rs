//! Sums over rows.

use super::pool::{each, whole_rows};
use super::simd::vectorize;
use crate::Result;
use crate::error::check_rows;
use rayon::prelude::*;

/// Computes the sum over all rows, as for the gradient of a bias.
///
/// # Shapes
/// x `[rows, width]` → output `[width]`
///
/// # Errors
/// If the shapes do not fit.
pub fn column_sum(x: &[f32], output: &mut [f32]) -> Result<()> {
    check_rows("column_sum", "x", x.len(), output.len())?;
    output.fill(0.0);
    column_sum_add(x, output)
}

/// Adds the sum over all rows to `output`.
///
/// # Shapes
/// x `[rows, width]` → output `[width]`
///
/// # Errors
/// If the shapes do not fit.
pub fn column_sum_add(x: &[f32], output: &mut [f32]) -> Result<()> {
    let width = output.len();
    check_rows("column_sum", "x", x.len(), width)?;
    let piece = whole_rows(width);
    let partial: Vec<Vec<f32>> = x
        .par_chunks(piece)
        .map(|rows| {
            let mut sum = vec![0.0_f32; width];
            vectorize(
                #[inline(always)]
                || {
                    for row in rows.chunks_exact(width) {
                        for (sum, value) in sum.iter_mut().zip(row) {
                            *sum += value;
                        }
                    }
                },
            );
            sum
        })
        .collect();
    add_in_order(&partial, output);
    Ok(())
}

/// Adds partial sums to `total`, in their order.
pub(crate) fn add_in_order(partial: &[Vec<f32>], total: &mut [f32]) {
    for part in partial {
        each_add(total, part);
    }
}

fn each_add(total: &mut [f32], part: &[f32]) {
    vectorize(
        #[inline(always)]
        || {
            for (total, value) in total.iter_mut().zip(part) {
                *total += value;
            }
        },
    );
}

/// Fills with zeros, on all threads.
pub(crate) fn zero(values: &mut [f32]) {
    each(values, |values| values.fill(0.0));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;
    use crate::testing::{WIDTHS, assert_close, assert_same_at_any_thread_count, noise, wide};

    #[test]
    fn column_sums_match_the_reference() {
        for width in WIDTHS {
            for rows in [0, 1, 2, 50, 200] {
                let x = noise(1, rows * width);
                let mut output = vec![f32::NAN; *width];
                column_sum(&x, &mut output).unwrap();
                let expected = reference::column_sum(&wide(&x), *width);
                assert_close(&output, &expected, 1e-5, &format!("{rows} × {width}"));
                let once = output.clone();
                column_sum_add(&x, &mut output).unwrap();
                let twice: Vec<f64> = once.iter().map(|sum| 2.0 * f64::from(*sum)).collect();
                assert_close(&output, &twice, 1e-5, &format!("{rows} × {width}, added"));
            }
        }
    }

    #[test]
    fn threads_do_not_change_a_sum() {
        let x = noise(2, 1536 * 301);
        assert_same_at_any_thread_count(|| {
            let mut output = vec![0.0; 1536];
            column_sum(&x, &mut output).unwrap();
            output
        });
    }

    #[test]
    fn rows_that_do_not_fit_are_errors() {
        assert!(column_sum(&[0.0; 5], &mut [0.0; 2]).is_err());
        assert!(column_sum(&[0.0; 5], &mut []).is_err());
    }
}

//! Operations on each element.

use super::pool::{PIECE, each2, each3};
use super::simd::normal;
use crate::Result;
use crate::error::{check_length, check_rows};
use rayon::prelude::*;

/// Writes `f` of each element.
fn map(
    kernel: &'static str,
    x: &[f32],
    output: &mut [f32],
    f: impl Fn(f32) -> f32 + Sync,
) -> Result<()> {
    check_length(kernel, "output", output.len(), x.len())?;
    each2(
        output,
        x,
        PIECE,
        #[inline(always)]
        |output, x| {
            for (output, x) in output.iter_mut().zip(x) {
                *output = f(*x);
            }
        },
    );
    Ok(())
}

/// Writes `f` of each pair of elements.
fn zip(
    kernel: &'static str,
    a: &[f32],
    b: &[f32],
    output: &mut [f32],
    f: impl Fn(f32, f32) -> f32 + Sync,
) -> Result<()> {
    check_length(kernel, "b", b.len(), a.len())?;
    check_length(kernel, "output", output.len(), a.len())?;
    each3(
        output,
        a,
        b,
        PIECE,
        #[inline(always)]
        |output, a, b| {
            for (output, (a, b)) in output.iter_mut().zip(a.iter().zip(b)) {
                *output = f(*a, *b);
            }
        },
    );
    Ok(())
}

/// Replaces each element of `output` by `f` of it and of the element of `a`.
fn update(
    kernel: &'static str,
    output: &mut [f32],
    a: &[f32],
    f: impl Fn(f32, f32) -> f32 + Sync,
) -> Result<()> {
    check_length(kernel, "a", a.len(), output.len())?;
    each2(
        output,
        a,
        PIECE,
        #[inline(always)]
        |output, a| {
            for (output, a) in output.iter_mut().zip(a) {
                *output = f(*output, *a);
            }
        },
    );
    Ok(())
}

/// Computes a + b.
///
/// # Errors
/// If the lengths differ.
pub fn add(a: &[f32], b: &[f32], output: &mut [f32]) -> Result<()> {
    zip(
        "add",
        a,
        b,
        output,
        #[inline(always)]
        |a, b| a + b,
    )
}

/// Computes a − b.
///
/// # Errors
/// If the lengths differ.
pub fn sub(a: &[f32], b: &[f32], output: &mut [f32]) -> Result<()> {
    zip(
        "sub",
        a,
        b,
        output,
        #[inline(always)]
        |a, b| a - b,
    )
}

/// Computes a · b.
///
/// # Errors
/// If the lengths differ.
pub fn mul(a: &[f32], b: &[f32], output: &mut [f32]) -> Result<()> {
    zip(
        "mul",
        a,
        b,
        output,
        #[inline(always)]
        |a, b| a * b,
    )
}

/// Adds `a` to `output`.
///
/// # Errors
/// If the lengths differ.
pub fn add_assign(output: &mut [f32], a: &[f32]) -> Result<()> {
    update(
        "add_assign",
        output,
        a,
        #[inline(always)]
        |output, a| output + a,
    )
}

/// Adds one row to every row.
///
/// # Shapes
/// x and output `[rows, width]`, row `[width]`
///
/// # Errors
/// If the shapes do not fit.
pub fn add_row(x: &[f32], row: &[f32], output: &mut [f32]) -> Result<()> {
    check_rows("add_row", "x", x.len(), row.len())?;
    check_length("add_row", "output", output.len(), x.len())?;
    each2(
        output,
        x,
        super::pool::whole_rows(row.len()),
        #[inline(always)]
        |output, x| {
            let rows = output
                .chunks_exact_mut(row.len())
                .zip(x.chunks_exact(row.len()));
            for (output, x) in rows {
                for (output, (x, addend)) in output.iter_mut().zip(x.iter().zip(row)) {
                    *output = x + addend;
                }
            }
        },
    );
    Ok(())
}

/// Copies one row to every row.
///
/// # Shapes
/// row `[width]` → output `[rows, width]`
///
/// # Errors
/// If the shapes do not fit.
pub fn fill_rows(row: &[f32], output: &mut [f32]) -> Result<()> {
    check_rows("fill_rows", "output", output.len(), row.len())?;
    let piece = super::pool::whole_rows(row.len());
    output.par_chunks_mut(piece).for_each(|output| {
        output
            .chunks_exact_mut(row.len())
            .for_each(|output| output.copy_from_slice(row));
    });
    Ok(())
}

/// Computes x · factor.
///
/// # Errors
/// If the lengths differ.
pub fn scale(x: &[f32], factor: f32, output: &mut [f32]) -> Result<()> {
    map(
        "scale",
        x,
        output,
        #[inline(always)]
        |x| x * factor,
    )
}

/// Computes x · Φ(x), with the error function (Hendrycks and Gimpel, 2016).
///
/// # Errors
/// If the lengths differ.
pub fn gelu(x: &[f32], output: &mut [f32]) -> Result<()> {
    map(
        "gelu",
        x,
        output,
        #[inline(always)]
        |x| x * normal(x).1,
    )
}

#[inline(always)]
fn gelu_slope(x: f32) -> f32 {
    let (density, cumulative) = normal(x);
    cumulative + x * density
}

/// Computes the gradient of [`gelu`]: g · (Φ(x) + x · φ(x)).
///
/// # Errors
/// If the lengths differ.
pub fn gelu_backward(x: &[f32], gradient: &[f32], output: &mut [f32]) -> Result<()> {
    zip(
        "gelu_backward",
        x,
        gradient,
        output,
        #[inline(always)]
        |x, g| g * gelu_slope(x),
    )
}

/// Replaces the incoming gradient by the gradient of [`gelu`].
///
/// # Errors
/// If the lengths differ.
pub fn gelu_backward_assign(x: &[f32], gradient: &mut [f32]) -> Result<()> {
    update(
        "gelu_backward_assign",
        gradient,
        x,
        #[inline(always)]
        |g, x| g * gelu_slope(x),
    )
}

/// Computes the hyperbolic tangent.
///
/// # Errors
/// If the lengths differ.
pub fn tanh(x: &[f32], output: &mut [f32]) -> Result<()> {
    map("tanh", x, output, f32::tanh)
}

/// Computes the gradient of [`tanh`] from its output: g · (1 − y²).
///
/// # Errors
/// If the lengths differ.
pub fn tanh_backward(y: &[f32], gradient: &[f32], output: &mut [f32]) -> Result<()> {
    zip(
        "tanh_backward",
        y,
        gradient,
        output,
        #[inline(always)]
        |y, g| g * (1.0 - y * y),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{WIDTHS, assert_close, assert_same_at_any_thread_count, noise, wide};
    use crate::{KernelError, reference};

    const LENGTHS: &[usize] = &[
        0,
        1,
        3,
        16,
        33,
        1000,
        PIECE - 1,
        PIECE,
        PIECE + 1,
        3 * PIECE + 5,
    ];

    #[test]
    fn gelu_and_its_gradient_match_the_reference() {
        for length in LENGTHS {
            let (x, gradient) = (noise(1, *length), noise(2, *length));
            let x: Vec<f32> = x.iter().map(|x| x * 5.0).collect();
            let (mut y, mut output) = (vec![f32::NAN; *length], vec![f32::NAN; *length]);
            gelu(&x, &mut y).unwrap();
            gelu_backward(&x, &gradient, &mut output).unwrap();
            let expected: Vec<f64> = wide(&x).into_iter().map(reference::gelu).collect();
            assert_close(&y, &expected, 2e-6, "gelu");
            let slopes = x.iter().map(|x| reference::gelu_slope(f64::from(*x)));
            let expected: Vec<f64> = slopes
                .zip(&gradient)
                .map(|(slope, g)| slope * f64::from(*g))
                .collect();
            assert_close(&output, &expected, 3e-6, "gelu_backward");
            let mut in_place = gradient.clone();
            gelu_backward_assign(&x, &mut in_place).unwrap();
            assert_eq!(in_place, output);
        }
    }

    #[test]
    fn gelu_keeps_nan_and_saturates() {
        let mut y = [0.0; 4];
        gelu(&[f32::NAN, 40.0, -40.0, 0.0], &mut y).unwrap();
        assert!(y[0].is_nan());
        assert_eq!(y[1..], [40.0, 0.0, 0.0]);
    }

    #[test]
    fn arithmetic_matches_plain_loops() {
        for length in LENGTHS {
            let (a, b) = (noise(3, *length), noise(4, *length));
            let run = |f: fn(&[f32], &[f32], &mut [f32]) -> Result<()>| {
                let mut output = vec![f32::NAN; *length];
                f(&a, &b, &mut output).unwrap();
                output
            };
            let plain = |f: fn(f32, f32) -> f32| -> Vec<f32> {
                a.iter().zip(&b).map(|(a, b)| f(*a, *b)).collect()
            };
            assert_eq!(run(add), plain(|a, b| a + b));
            assert_eq!(run(sub), plain(|a, b| a - b));
            assert_eq!(run(mul), plain(|a, b| a * b));
            assert_eq!(run(tanh_backward), plain(|y, g| g * (1.0 - y * y)));
            let mut sum = a.clone();
            add_assign(&mut sum, &b).unwrap();
            assert_eq!(sum, run(add));
            let mut scaled = vec![f32::NAN; *length];
            scale(&a, 0.5, &mut scaled).unwrap();
            assert_eq!(scaled, a.iter().map(|a| a * 0.5).collect::<Vec<_>>());
            let mut y = vec![f32::NAN; *length];
            tanh(&a, &mut y).unwrap();
            assert_close(
                &y,
                &wide(&a).into_iter().map(f64::tanh).collect::<Vec<_>>(),
                1e-6,
                "",
            );
        }
    }

    #[test]
    fn a_row_is_added_to_every_row() {
        for width in WIDTHS {
            let rows = 2 * PIECE / width + 3;
            let (x, row) = (noise(5, rows * width), noise(6, *width));
            let mut output = vec![f32::NAN; x.len()];
            add_row(&x, &row, &mut output).unwrap();
            let plain = x
                .iter()
                .zip(row.iter().cycle())
                .map(|(x, addend)| x + addend);
            assert!(output.iter().copied().eq(plain), "{width}");
            fill_rows(&row, &mut output).unwrap();
            assert!(
                output.iter().eq(row.iter().cycle().take(x.len())),
                "{width}"
            );
        }
    }

    #[test]
    fn lengths_that_do_not_fit_are_errors() {
        let error = gelu(&[0.0; 3], &mut [0.0; 2]).unwrap_err();
        assert_eq!(error.to_string(), "gelu: output has 2 elements, expected 3");
        assert!(matches!(
            add(&[0.0; 3], &[0.0; 2], &mut [0.0; 3]),
            Err(KernelError::Length {
                argument: "b",
                expected: 3,
                found: 2,
                ..
            })
        ));
        let error = add_row(&[0.0; 3], &[0.0; 2], &mut [0.0; 3]).unwrap_err();
        let message = "add_row: x has 3 elements, expected a multiple of the width 2";
        assert_eq!(error.to_string(), message);
        assert!(add_row(&[0.0; 3], &[], &mut [0.0; 3]).is_err());
    }

    #[test]
    fn threads_do_not_change_the_result() {
        let x = noise(7, 5 * PIECE + 3);
        assert_same_at_any_thread_count(|| {
            let mut y = vec![0.0; x.len()];
            gelu(&x, &mut y).unwrap();
            y
        });
    }
}

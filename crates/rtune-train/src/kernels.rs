//! Loops over slices for the CPU, and the same formulas in candle operations for other devices.
//!
//! Work is cut into pieces of a fixed size, so results do not depend on the number of threads.

use candle_core::{CpuStorage, D, Device, Storage, Tensor};
use rayon::prelude::*;
use rtune_nn::{NnError, Result};

/// Elements per piece of work.
const PIECE: usize = 16 * 1024;

/// Runs `f` over the elements of tensors in CPU memory.
///
/// # Errors
/// Where a tensor is not `f32` in CPU memory.
pub(crate) fn with_slices<const N: usize, R>(
    tensors: [&Tensor; N],
    f: impl FnOnce([&[f32]; N]) -> Result<R>,
) -> Result<R> {
    let contiguous: Vec<Tensor> = tensors
        .iter()
        .map(|t| t.contiguous())
        .collect::<Result<_, _>>()?;
    let guards: Vec<_> = contiguous.iter().map(Tensor::storage_and_layout).collect();
    let mut slices: [&[f32]; N] = [&[]; N];
    for (slice, (storage, layout)) in slices.iter_mut().zip(&guards) {
        let Storage::Cpu(CpuStorage::F32(values)) = &**storage else {
            return Err(NnError::operation("expected f32 in CPU memory"));
        };
        *slice =
            &values[layout.start_offset()..layout.start_offset() + layout.shape().elem_count()];
    }
    f(slices)
}

fn on_cpu(x: &Tensor) -> bool {
    matches!(x.device(), Device::Cpu)
}

/// φ(x) and Φ(x) of the standard normal distribution, to 1.5e-7 (Abramowitz and Stegun, 7.1.26).
#[inline]
fn normal(x: f32) -> (f32, f32) {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let power = exp(-z * z);
    let polynomial =
        ((((1.061_405_4 * t - 1.453_152) * t) + 1.421_413_7) * t - 0.284_496_74) * t + 0.254_829_6;
    let tail = 0.5 * polynomial * t * power;
    let cumulative = if x < 0.0 { tail } else { 1.0 - tail };
    (power * 0.398_942_3, cumulative)
}

/// e^x for x ≤ 0, to 1e-7 relative: the power of two by its exponent bits, the rest by its series.
/// Unlike the library's, this vectorizes.
#[inline]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // The exponent is within -126..=0.
fn exp(x: f32) -> f32 {
    let x = x.max(-87.0);
    let whole = (x * std::f32::consts::LOG2_E - 0.5).trunc();
    let rest = x - whole * 0.693_359_4 + whole * 2.121_944_4e-4;
    let series = 1.0
        + rest
            * (1.0
                + rest
                    * (0.5
                        + rest
                            * (0.166_666_66
                                + rest
                                    * (0.041_666_55 + rest * (0.008_333_68 + rest * 0.001_394)))));
    series * f32::from_bits(((whole as i32 + 127) as u32) << 23)
}

fn map(x: &Tensor, f: impl Fn(f32) -> f32 + Sync) -> Result<Tensor> {
    with_slices([x], |[values]| {
        let mut output = vec![0.0_f32; values.len()];
        output
            .par_chunks_mut(PIECE)
            .zip(values.par_chunks(PIECE))
            .for_each(|(output, values)| {
                for (output, x) in output.iter_mut().zip(values) {
                    *output = f(*x);
                }
            });
        Ok(Tensor::from_vec(output, x.shape(), x.device())?)
    })
}

fn zip_map(a: &Tensor, b: &Tensor, f: impl Fn(f32, f32) -> f32 + Sync) -> Result<Tensor> {
    with_slices([a, b], |[left, right]| {
        let mut output = vec![0.0_f32; left.len()];
        let inputs = left.par_chunks(PIECE).zip(right.par_chunks(PIECE));
        output
            .par_chunks_mut(PIECE)
            .zip(inputs)
            .for_each(|(output, (left, right))| {
                for (output, (a, b)) in output.iter_mut().zip(left.iter().zip(right)) {
                    *output = f(*a, *b);
                }
            });
        Ok(Tensor::from_vec(output, a.shape(), a.device())?)
    })
}

/// x · Φ(x).
pub(crate) fn gelu(x: &Tensor) -> Result<Tensor> {
    if on_cpu(x) {
        map(x, |x| x * normal(x).1)
    } else {
        Ok(x.gelu_erf()?)
    }
}

/// The gradient of [`gelu`]: g · (Φ(x) + x · φ(x)).
pub(crate) fn gelu_backward(x: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    if on_cpu(x) {
        return zip_map(x, gradient, |x, g| {
            let (density, cumulative) = normal(x);
            g * (cumulative + x * density)
        });
    }
    let cumulative = (x * std::f64::consts::FRAC_1_SQRT_2)?
        .erf()?
        .affine(0.5, 0.5)?;
    let density = ((x.sqr()? * -0.5)?.exp()? * 0.398_942_280_401_432_7)?;
    Ok(((x * density)? + cumulative)?.mul(gradient)?)
}

/// The gradient of softmax over the last axis: y · (g − Σ g · y).
pub(crate) fn softmax_backward(y: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    if !on_cpu(y) {
        let product = (y * gradient)?;
        return Ok((&product - y.broadcast_mul(&product.sum_keepdim(D::Minus1)?)?)?);
    }
    let width = y.dim(D::Minus1)?.max(1);
    let piece = (PIECE / width).max(1) * width;
    with_slices([y, gradient], |[y_values, g_values]| {
        let mut output = vec![0.0_f32; y_values.len()];
        let inputs = y_values.par_chunks(piece).zip(g_values.par_chunks(piece));
        output
            .par_chunks_mut(piece)
            .zip(inputs)
            .for_each(|(output, (y, g))| {
                let rows = output
                    .chunks_mut(width)
                    .zip(y.chunks(width).zip(g.chunks(width)));
                for (output, (y, g)) in rows {
                    let dot: f32 = y.iter().zip(g).map(|(y, g)| y * g).sum();
                    for (output, (y, g)) in output.iter_mut().zip(y.iter().zip(g)) {
                        *output = y * (g - dot);
                    }
                }
            });
        Ok(Tensor::from_vec(output, y.shape(), y.device())?)
    })
}

/// The sum over all rows, as for a bias.
///
/// # Shapes
/// gradient `[.., width]` → `[width]`
pub(crate) fn column_sum(gradient: &Tensor) -> Result<Tensor> {
    let width = gradient.dim(D::Minus1)?;
    let rows = gradient.elem_count() / width.max(1);
    if !on_cpu(gradient) {
        return Ok(gradient.reshape((rows, width))?.sum(0)?);
    }
    with_slices([gradient], |[values]| {
        let partial = partial_rows(values, width, |sum, row| {
            for (sum, value) in sum.iter_mut().zip(row) {
                *sum += value;
            }
        });
        Ok(Tensor::from_vec(partial, width, gradient.device())?)
    })
}

/// Folds rows into one of `width` elements, piece by piece, and adds the pieces in order.
fn partial_rows(
    values: &[f32],
    width: usize,
    fold: impl Fn(&mut [f32], &[f32]) + Sync,
) -> Vec<f32> {
    let piece = (PIECE / width.max(1)).max(1) * width.max(1);
    let partial: Vec<Vec<f32>> = values
        .par_chunks(piece)
        .map(|rows| {
            let mut sum = vec![0.0_f32; width];
            rows.chunks(width).for_each(|row| fold(&mut sum, row));
            sum
        })
        .collect();
    add_in_order(partial, width)
}

fn add_in_order(partial: Vec<Vec<f32>>, width: usize) -> Vec<f32> {
    let mut total = vec![0.0_f32; width];
    for part in partial {
        for (total, value) in total.iter_mut().zip(part) {
            *total += value;
        }
    }
    total
}

/// The gradients of layer normalization over the last axis, for x, weight and bias.
///
/// With n = (x − mean) / σ and h = g · weight: dx = (h − mean(h) − n · mean(h · n)) / σ.
///
/// # Shapes
/// x and gradient `[.., width]`, weight `[width]` → `[.., width]`, `[width]`, `[width]`
pub(crate) fn layer_norm_backward(
    x: &Tensor,
    weight: &Tensor,
    gradient: &Tensor,
    epsilon: f64,
) -> Result<[Tensor; 3]> {
    if !on_cpu(x) {
        return layer_norm_backward_composite(x, weight, gradient, epsilon);
    }
    let width = x.dim(D::Minus1)?;
    let piece = (PIECE / width).max(1) * width;
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)] // A width is small.
    let (epsilon, scale) = (epsilon as f32, 1.0 / width as f32);
    with_slices([x, weight, gradient], |[x_values, weight, g_values]| {
        let mut output = vec![0.0_f32; x_values.len()];
        let inputs = x_values.par_chunks(piece).zip(g_values.par_chunks(piece));
        let partial: Vec<Vec<f32>> = output
            .par_chunks_mut(piece)
            .zip(inputs)
            .map(|(output, (x, g))| {
                // The first half adds up the weight's gradient, the second the bias's.
                let mut sums = vec![0.0_f32; 2 * width];
                let (weight_sum, bias_sum) = sums.split_at_mut(width);
                let rows = output
                    .chunks_mut(width)
                    .zip(x.chunks(width).zip(g.chunks(width)));
                for (output, (x, g)) in rows {
                    let mean = x.iter().sum::<f32>() * scale;
                    let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() * scale;
                    let inverse = 1.0 / (variance + epsilon).sqrt();
                    let (mut h_sum, mut hn_sum) = (0.0_f32, 0.0_f32);
                    for i in 0..width {
                        let n = (x[i] - mean) * inverse;
                        let h = g[i] * weight[i];
                        h_sum += h;
                        hn_sum += h * n;
                        weight_sum[i] += g[i] * n;
                        bias_sum[i] += g[i];
                    }
                    let (h_mean, hn_mean) = (h_sum * scale, hn_sum * scale);
                    for i in 0..width {
                        let n = (x[i] - mean) * inverse;
                        output[i] = inverse * (g[i] * weight[i] - h_mean - n * hn_mean);
                    }
                }
                sums
            })
            .collect();
        let mut sums = add_in_order(partial, 2 * width);
        let bias = sums.split_off(width);
        let device = x.device();
        Ok([
            Tensor::from_vec(output, x.shape(), device)?,
            Tensor::from_vec(sums, width, device)?,
            Tensor::from_vec(bias, width, device)?,
        ])
    })
}

fn layer_norm_backward_composite(
    x: &Tensor,
    weight: &Tensor,
    gradient: &Tensor,
    epsilon: f64,
) -> Result<[Tensor; 3]> {
    let width = x.dim(D::Minus1)?;
    let centered = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let deviation = (centered.sqr()?.mean_keepdim(D::Minus1)? + epsilon)?.sqrt()?;
    let normal = centered.broadcast_div(&deviation)?;
    let h = gradient.broadcast_mul(weight)?;
    let inner = h.broadcast_sub(&h.mean_keepdim(D::Minus1)?)?;
    let inner = (inner - normal.broadcast_mul(&(&h * &normal)?.mean_keepdim(D::Minus1)?)?)?;
    let rows = x.elem_count() / width.max(1);
    let sum = |t: Tensor| t.reshape((rows, width))?.sum(0);
    Ok([
        inner.broadcast_div(&deviation)?,
        sum((gradient * &normal)?)?,
        sum(gradient.clone())?,
    ])
}

/// The gradient of a table's rows: each id's row collects the gradients of its places.
///
/// # Shapes
/// ids `[..]`, gradient `[.., width]` → `[rows, width]`
pub(crate) fn gather_backward(rows: usize, ids: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    let width = gradient.dim(D::Minus1)?;
    let flat = gradient.reshape((ids.elem_count(), width))?;
    let ids = ids.flatten_all()?;
    if !on_cpu(gradient) {
        return Ok(
            Tensor::zeros((rows, width), gradient.dtype(), gradient.device())?
                .index_add(&ids, &flat, 0)?,
        );
    }
    let ids = ids.to_vec1::<u32>()?;
    with_slices([&flat], |[values]| {
        let mut output = vec![0.0_f32; rows * width];
        for (id, row) in ids.iter().zip(values.chunks(width.max(1))) {
            let start = *id as usize * width;
            for (sum, value) in output[start..start + width].iter_mut().zip(row) {
                *sum += value;
            }
        }
        Ok(Tensor::from_vec(output, (rows, width), gradient.device())?)
    })
}

/// A random bit pattern for each position (Steele, Lea and Flood, 2014: SplitMix64).
#[inline]
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Multiplies by 0 with probability `rate` and by 1 / (1 − rate) otherwise; which is a function of
/// `key` and the place. The gradient is the same function of the incoming gradient.
pub(crate) fn dropout(x: &Tensor, rate: f64, key: u64) -> Result<Tensor> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // rate is within 0..1.
    let (threshold, scale) = ((rate * 65536.0).round() as u64, (1.0 / (1.0 - rate)) as f32);
    // One pattern of 64 bits serves four elements.
    let factors = |first: usize, output: &mut [f32]| {
        for (index, four) in output.chunks_mut(4).enumerate() {
            let place = (first / 4 + index) as u64;
            let mut bits = mix(key ^ place.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            for value in four {
                let kept = (bits & 0xffff) >= threshold;
                *value *= if kept { scale } else { 0.0 };
                bits >>= 16;
            }
        }
    };
    let in_pieces = |values: &mut Vec<f32>| {
        values
            .par_chunks_mut(PIECE)
            .enumerate()
            .for_each(|(piece, output)| factors(piece * PIECE, output));
    };
    if on_cpu(x) {
        return with_slices([x], |[values]| {
            let mut output = values.to_vec();
            in_pieces(&mut output);
            Ok(Tensor::from_vec(output, x.shape(), x.device())?)
        });
    }
    let mut mask = vec![1.0_f32; x.elem_count()];
    in_pieces(&mut mask);
    Ok((x * Tensor::from_vec(mask, x.shape(), x.device())?)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // Tests.
mod tests {
    use super::*;

    #[test]
    fn normal_is_accurate() {
        for index in -600..600 {
            let x = index as f32 / 100.0;
            let expected = 0.5 * libm::erfc(-f64::from(x) / std::f64::consts::SQRT_2);
            assert!(
                (f64::from(normal(x).1) - expected).abs() < 3e-7,
                "{x}: {} {expected}",
                normal(x).1
            );
        }
    }

    #[test]
    fn dropout_is_a_function_of_its_key() {
        let x = Tensor::ones((100, 100), candle_core::DType::F32, &Device::Cpu).unwrap();
        let run = |key| {
            dropout(&x, 0.1, key)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap()
        };
        assert!(run(1) == run(1));
        assert!(run(1) != run(2));
    }

    #[test]
    fn kernels_agree_with_their_composites() {
        let x = Tensor::randn(0_f32, 1.0, (7, 33), &Device::Cpu).unwrap();
        let gradient = Tensor::randn(0_f32, 1.0, (7, 33), &Device::Cpu).unwrap();
        let weight = Tensor::randn(0_f32, 1.0, 33, &Device::Cpu).unwrap();
        let fast = layer_norm_backward(&x, &weight, &gradient, 1e-5).unwrap();
        let composite = layer_norm_backward_composite(&x, &weight, &gradient, 1e-5).unwrap();
        for (a, b) in fast.iter().zip(&composite) {
            let difference = (a - b)
                .unwrap()
                .abs()
                .unwrap()
                .flatten_all()
                .unwrap()
                .max(0)
                .unwrap()
                .to_scalar::<f32>()
                .unwrap();
            assert!(difference < 1e-4, "{difference}");
        }
    }
}

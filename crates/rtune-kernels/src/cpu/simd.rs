//! Run-time choice of the instruction set, and building blocks that vectorize.

/// Lanes of a sum or a maximum. Fixed, so that results do not depend on the instruction set.
const LANES: usize = 32;

/// Runs a closure compiled for the widest instruction set of this processor.
#[inline]
pub(crate) fn vectorize<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(f)
}

/// Returns the sum of `f` over the elements, in a fixed number of lanes.
#[inline(always)]
pub(crate) fn sum(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += f(*value);
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += f(*value);
    }
    fold(lanes, |a, b| a + b)
}

/// Returns the sum of `f` over pairs of elements, in a fixed number of lanes.
#[inline(always)]
pub(crate) fn sum_pairs(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a_chunks.remainder().iter().zip(b_chunks.remainder());
    for (a, b) in a_chunks.zip(b_chunks) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += f(*a, *b);
        }
    }
    for (lane, (a, b)) in lanes.iter_mut().zip(rest) {
        *lane += f(*a, *b);
    }
    fold(lanes, |a, b| a + b)
}

/// Returns the largest element, or −∞ without elements.
#[inline(always)]
pub(crate) fn max(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*value, *lane);
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane = larger(*value, *lane);
    }
    fold(lanes, larger)
}

#[inline(always)]
fn fold(mut lanes: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for index in 0..width {
            lanes[index] = f(lanes[index], lanes[index + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// Returns e^x for x ≤ 0, to 3e-7 relative, and 0 below −87.
///
/// The power of two is written into the exponent's bits, the rest follows from its series. The
/// addend 1.5 · 2²³ rounds to an integer that stands in the lowest bits of the sum. Unlike the
/// library's function, this one vectorizes.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    let inside = if x < -87.0 { -87.0 } else { x };
    let shifted = inside * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let rest = inside - whole * 0.693_359_4 + whole * 2.121_944_4e-4;
    let series = 1.0
        + rest
            * (1.0
                + rest
                    * (0.5
                        + rest
                            * (0.166_666_66
                                + rest
                                    * (0.041_666_55 + rest * (0.008_333_68 + rest * 0.001_394)))));
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    if x < -87.0 { 0.0 } else { series * power }
}

/// Returns φ(x) and Φ(x) of the standard normal distribution, to 1.5e-7 (Abramowitz and Stegun,
/// 7.1.26).
#[inline(always)]
pub(crate) fn normal(x: f32) -> (f32, f32) {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let power = exp(-z * z);
    let polynomial =
        ((((1.061_405_4 * t - 1.453_152) * t) + 1.421_413_7) * t - 0.284_496_74) * t + 0.254_829_6;
    let tail = 0.5 * polynomial * t * power;
    let cumulative = if x < 0.0 { tail } else { 1.0 - tail };
    (power * 0.398_942_3, cumulative)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_accurate_and_flushes_to_zero() {
        for index in 0..8700 {
            let x = -(index as f32) / 100.0;
            let expected = f64::from(x).exp();
            assert!(
                (f64::from(exp(x)) / expected - 1.0).abs() < 3e-7,
                "{x}: {}",
                exp(x)
            );
        }
        assert_eq!(exp(-1e4), 0.0);
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn normal_is_accurate() {
        for index in -1400..1400 {
            let x = index as f32 / 100.0;
            let exact = f64::from(x);
            let cumulative = 0.5 * libm::erfc(-exact / std::f64::consts::SQRT_2);
            let density = (-0.5 * exact * exact).exp() / std::f64::consts::TAU.sqrt();
            let (found_density, found) = normal(x);
            assert!(
                (f64::from(found) - cumulative).abs() < 3e-7,
                "{x}: {found} {cumulative}"
            );
            assert!(
                (f64::from(found_density) - density).abs() < 3e-7,
                "{x}: {found_density}"
            );
        }
    }

    #[test]
    fn sums_and_maxima_cover_every_element() {
        for length in [0, 1, 2, 15, 16, 31, 32, 33, 63, 64, 65, 200] {
            let values: Vec<f32> = (0..length).map(|i| (i * 7 % 13) as f32 - 20.0).collect();
            let plain: f32 = values.iter().sum();
            assert_eq!(vectorize(|| sum(&values, |v| v)), plain, "{length}");
            assert_eq!(
                vectorize(|| sum_pairs(&values, &values, |a, b| a * b)),
                values.iter().map(|v| v * v).sum::<f32>(),
                "{length}"
            );
            let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(vectorize(|| max(&values)), largest, "{length}");
        }
    }
}

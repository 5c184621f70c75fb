//! The arithmetic of ONNX `QuantizeLinear`: q = clip(round_half_even(x / scale) + zero_point), and
//! how scales are chosen.

/// Scale and zero point of a tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantParams {
    /// The step between two integers.
    pub scale: f32,
    /// The integer that stands for 0.
    pub zero_point: i32,
    low: i32,
    high: i32,
}

impl QuantParams {
    /// uint8 over the range from `min` to `max`, widened to include 0.
    pub fn asymmetric_u8(min: f32, max: f32) -> Self {
        Self::asymmetric(min, max, 0, 255)
    }

    /// int8 over the range from `min` to `max`, widened to include 0.
    pub fn asymmetric_i8(min: f32, max: f32) -> Self {
        Self::asymmetric(min, max, -128, 127)
    }

    /// int8 over −r..r, where r is the larger of the two sides; −128 is not used.
    pub fn symmetric_i8(min: f32, max: f32) -> Self {
        Self::symmetric(min, max, -127, 127)
    }

    /// uint8 over −r..r, where r is the larger of the two sides.
    pub fn symmetric_u8(min: f32, max: f32) -> Self {
        Self::symmetric(min, max, 0, 255)
    }

    fn symmetric(min: f32, max: f32, low: i32, high: i32) -> Self {
        let radius = min.abs().max(max.abs());
        // Half-way cases go to the even number, so that uint8 gets 128.
        let middle = f64::from(low + high) / 2.0;
        Self::new(f64::from(radius) * 2.0, |_| middle, low, high)
    }

    fn asymmetric(min: f32, max: f32, low: i32, high: i32) -> Self {
        let (min, max) = (f64::from(min.min(0.0)), f64::from(max.max(0.0)));
        Self::new(max - min, |scale| f64::from(low) - min / scale, low, high)
    }

    #[allow(clippy::cast_possible_truncation)] // ONNX scales are in single precision, zero points within 8 bits.
    fn new(span: f64, zero_point: impl Fn(f64) -> f64, low: i32, high: i32) -> Self {
        let scale = span / f64::from(high - low);
        if scale < f64::from(f32::MIN_POSITIVE) {
            return Self {
                scale: 1.0,
                zero_point: 0,
                low,
                high,
            };
        }
        let zero_point = (zero_point(scale).round_ties_even() as i32).clamp(low, high);
        Self {
            scale: scale as f32,
            zero_point,
            low,
            high,
        }
    }

    /// The integer for `x`.
    #[allow(clippy::cast_possible_truncation)] // Clamped to 8 bits; `as` also saturates.
    pub fn quantize(&self, x: f32) -> i32 {
        ((x / self.scale).round_ties_even() as i32)
            .saturating_add(self.zero_point)
            .clamp(self.low, self.high)
    }

    /// The number that `q` stands for.
    #[allow(clippy::cast_precision_loss)] // 9 bits at most.
    pub fn dequantize(&self, q: i32) -> f32 {
        (q - self.zero_point) as f32 * self.scale
    }
}

/// How the scale of a channel of weights is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WeightRange {
    /// The largest weight becomes 127.
    Full,
    /// As [`WeightRange::Full`], but no two neighbors of the same sign add up to more than 128, so
    /// that processors which add such pairs in 16 bits do not saturate: 255 · 128 < 2¹⁵.
    #[default]
    SaturationFree,
}

/// Symmetric int8 weights with one scale for each channel.
///
/// # Shapes
/// `channels` iterates over the channels' weights in the order in which products add them up;
/// `least_scale` gives a scale that a channel's may not be below, or 0. → integers channel by
/// channel, and a scale for each
pub fn quantize_channels<'a>(
    channels: impl Iterator<Item = &'a [f32]>,
    range: WeightRange,
    least_scale: impl Fn(usize) -> f32,
) -> (Vec<i8>, Vec<f32>) {
    let (mut integers, mut scales) = (Vec::new(), Vec::new());
    for (index, channel) in channels.enumerate() {
        let mut radius = channel
            .iter()
            .fold(0.0_f32, |largest, w| largest.max(w.abs()));
        if range == WeightRange::SaturationFree {
            let same_sign = |pair: &[f32]| {
                if pair[0] * pair[1] > 0.0 {
                    (pair[0] + pair[1]).abs()
                } else {
                    0.0
                }
            };
            radius = channel
                .chunks_exact(2)
                .map(same_sign)
                .fold(radius, f32::max);
        }
        radius = radius.max(127.0 * least_scale(index));
        let params = QuantParams::symmetric_i8(-radius, radius);
        #[allow(clippy::cast_possible_truncation)] // Clamped to −127..=127.
        integers.extend(channel.iter().map(|w| params.quantize(*w) as i8));
        scales.push(params.scale);
    }
    (integers, scales)
}

/// An int32 bias at the scale of its product, `input_scale · weight_scale`, one for each channel.
///
/// # Shapes
/// bias and weight scales `[channels]` → integers and scales `[channels]`
pub fn quantize_bias(
    bias: &[f32],
    input_scale: f32,
    weight_scales: &[f32],
) -> (Vec<i32>, Vec<f32>) {
    let scales: Vec<f32> = weight_scales
        .iter()
        .map(|scale| input_scale * scale)
        .collect();
    #[allow(clippy::cast_possible_truncation)] // `as` saturates.
    let integer = |(bias, scale): (&f32, &f32)| {
        (f64::from(*bias) / f64::from(*scale)).round_ties_even() as i32
    };
    (bias.iter().zip(&scales).map(integer).collect(), scales)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn matches_the_golden_values_for_minus_one_to_three() {
        let close = |found: f32, expected: f32| {
            assert!((found - expected).abs() < 5e-8, "{found} {expected}")
        };
        let s8_symmetric = QuantParams::symmetric_i8(-1.0, 3.0);
        close(s8_symmetric.scale, 0.023_622_047);
        assert_eq!(s8_symmetric.zero_point, 0);
        let s8 = QuantParams::asymmetric_i8(-1.0, 3.0);
        close(s8.scale, 0.015_686_275);
        assert_eq!(s8.zero_point, -64);
        assert_eq!(QuantParams::asymmetric_u8(-1.0, 3.0).zero_point, 64);
        assert_eq!(QuantParams::symmetric_u8(-1.0, 3.0).zero_point, 128);
    }

    #[test]
    fn half_goes_to_even_and_small_ranges_are_safe() {
        let params = QuantParams {
            scale: 1.0,
            zero_point: 0,
            low: -127,
            high: 127,
        };
        assert_eq!(
            [0.5, 1.5, 2.5, -0.5, -1.5, 1e9].map(|x| params.quantize(x)),
            [0, 2, 2, 0, -2, 127]
        );
        let empty = QuantParams::asymmetric_u8(0.0, 0.0);
        assert_eq!(
            (empty.scale, empty.zero_point, empty.quantize(0.0)),
            (1.0, 0, 0)
        );
    }

    #[test]
    fn bias_has_the_scale_of_the_product() {
        let (integers, scales) = quantize_bias(&[1.0, -0.5], 0.1, &[0.01, 0.02]);
        assert_eq!(integers, [1000, -250]);
        assert!((scales[1] - 0.002).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn error_is_at_most_half_a_step_within_the_range(min in -1e3_f32..0.0, max in 0.0_f32..1e3, t in 0.0_f32..1.0) {
            let params = QuantParams::asymmetric_u8(min, max);
            let x = min + (max - min) * t;
            let error = (params.dequantize(params.quantize(x)) - x).abs();
            // At the ends, rounding the zero point costs up to another half.
            prop_assert!(error <= params.scale * 1.01 + 1e-6, "{error} {}", params.scale);
        }

        #[test]
        fn saturation_free_pairs_fit_16_bits(weights in proptest::collection::vec(-3.0_f32..3.0, 2..64)) {
            let (integers, _) = quantize_channels(std::iter::once(weights.as_slice()), WeightRange::SaturationFree, |_| 0.0);
            for pair in integers.chunks_exact(2) {
                let sum = i32::from(pair[0]) + i32::from(pair[1]);
                let worst = if i32::from(pair[0]) * i32::from(pair[1]) > 0 { sum.abs() } else { i32::from(pair[0]).abs().max(i32::from(pair[1]).abs()) };
                prop_assert!(255 * worst <= 32767, "{pair:?}");
            }
        }
    }
}

//! The arithmetic of ONNX `QuantizeLinear`: q = clip(round_half_even(x / scale) + zero_point).

/// Scale and zero point of a tensor, with the integers that it may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuantParams {
    /// The step between two neighboring integers.
    pub scale: f32,
    /// The integer that stands for 0.
    pub zero_point: i32,
    low: i32,
    high: i32,
}

impl QuantParams {
    /// Parameters that spread `span` over the integers from `low` to `high`. A span too small for a
    /// normal f32 scale gives scale 1 and zero point 0.
    pub(crate) fn new(span: f64, zero_point: impl Fn(f64) -> f64, low: i32, high: i32) -> Self {
        let scale = span / f64::from(high - low);
        if scale < f64::from(f32::MIN_POSITIVE) {
            return Self {
                scale: 1.0,
                zero_point: 0,
                low,
                high,
            };
        }
        Self {
            // ONNX stores scales in single precision.
            scale: scale as f32,
            zero_point: (zero_point(scale).round_ties_even() as i32).clamp(low, high),
            low,
            high,
        }
    }

    /// Returns the integer for `x`.
    pub fn quantize(&self, x: f32) -> i32 {
        ((x / self.scale).round_ties_even() as i32)
            .saturating_add(self.zero_point)
            .clamp(self.low, self.high)
    }

    /// Returns the value that the integer `q` stands for.
    pub fn dequantize(&self, q: i32) -> f32 {
        (q - self.zero_point) as f32 * self.scale
    }
}

/// Quantizes a bias to int32 at the scale of its product, `input_scale · weight_scale`.
///
/// # Shapes
/// bias and weight scales `[channels]` → integers and scales `[channels]`
pub(crate) fn quantize_bias(
    bias: &[f32],
    input_scale: f32,
    weight_scales: &[f32],
) -> (Vec<i32>, Vec<f32>) {
    let scales: Vec<f32> = weight_scales
        .iter()
        .map(|scale| input_scale * scale)
        .collect();
    // `as` saturates; `least_weight_scale` keeps the quotient within 30 bits.
    let integer = |(bias, scale): (&f32, &f32)| {
        (f64::from(*bias) / f64::from(*scale)).round_ties_even() as i32
    };
    (bias.iter().zip(&scales).map(integer).collect(), scales)
}

/// Smallest weight scale with which `bias` fits 30 bits at the scale of its product, and with which
/// that scale is a normal f32.
pub(crate) fn least_weight_scale(bias: f32, input_scale: f32) -> f32 {
    (bias.abs() / input_scale / 2.0_f32.powi(30)).max(f32::MIN_POSITIVE / input_scale.min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_goes_to_even_and_large_values_are_clipped() {
        let params = QuantParams {
            scale: 1.0,
            zero_point: 0,
            low: -127,
            high: 127,
        };
        for (x, expected) in [
            (0.5, 0),
            (1.5, 2),
            (2.5, 2),
            (-0.5, 0),
            (-1.5, -2),
            (1e9, 127),
            (f32::NEG_INFINITY, -127),
        ] {
            assert_eq!(params.quantize(x), expected, "{x}");
        }
    }

    #[test]
    fn bias_has_the_scale_of_the_product() {
        let (integers, scales) = quantize_bias(&[1.0, -0.5], 0.1, &[0.01, 0.02]);
        assert_eq!(integers, [1000, -250]);
        assert!((scales[1] - 0.002).abs() < 1e-9);
    }

    #[test]
    fn the_least_scale_leaves_the_bias_room_in_32_bits() {
        for (bias, input_scale) in [(1e6_f32, 1e-3_f32), (-3.0, 10.0), (0.0, 1e-20)] {
            let least = least_weight_scale(bias, input_scale);
            let (integers, scales) = quantize_bias(&[bias], input_scale, &[least]);
            assert!(integers[0].unsigned_abs() <= 1 << 30, "{integers:?}");
            assert!(scales[0].is_normal(), "{scales:?}");
        }
    }
}

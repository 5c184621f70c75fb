//! Integer types of activations and the choice of scales: what a quantized tensor looks like.

use crate::{QuantParams, WeightRange};
use rtune_graph::ElementType;

/// 8-bit integer type of a quantized tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntType {
    /// int8 if true, uint8 otherwise.
    pub signed: bool,
    /// Zero in the middle of the integers if true; otherwise the range is used whole, and 0 falls
    /// on an integer of its own.
    pub symmetric: bool,
}

impl IntType {
    /// uint8 with a zero point of its own: the form of activations.
    pub const UINT8: Self = Self {
        signed: false,
        symmetric: false,
    };
    /// int8 around 0: the form of weights. −128 is not used.
    pub const SYMMETRIC_INT8: Self = Self {
        signed: true,
        symmetric: true,
    };

    /// The element type of the integers.
    pub fn element_type(self) -> ElementType {
        if self.signed {
            ElementType::Int8
        } else {
            ElementType::Uint8
        }
    }

    /// Smallest and largest integer in use.
    pub fn bounds(self) -> (i32, i32) {
        match (self.signed, self.symmetric) {
            (false, _) => (0, 255),
            (true, true) => (-127, 127),
            (true, false) => (-128, 127),
        }
    }

    /// Scale and zero point for values from `min` to `max`. The range is widened to include 0, and
    /// for a symmetric type to −r..r with the larger magnitude r.
    pub fn params(self, min: f32, max: f32) -> QuantParams {
        let (low, high) = self.bounds();
        if self.symmetric {
            let radius = min.abs().max(max.abs());
            // uint8 has no exact middle; 127.5 rounds to the even 128.
            let middle = f64::from(low + high) / 2.0;
            QuantParams::new(f64::from(radius) * 2.0, |_| middle, low, high)
        } else {
            let (min, max) = (f64::from(min.min(0.0)), f64::from(max.max(0.0)));
            QuantParams::new(max - min, |scale| f64::from(low) - min / scale, low, high)
        }
    }
}

/// Form of everything that is quantized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheme {
    /// Integer type of activations. Weights are [`IntType::SYMMETRIC_INT8`], per channel.
    pub activation: IntType,
    /// Choice of the scale of each channel of a product's weights.
    pub weight_range: WeightRange,
}

impl Default for Scheme {
    fn default() -> Self {
        Self {
            activation: IntType::UINT8,
            weight_range: WeightRange::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn int(signed: bool, symmetric: bool) -> IntType {
        IntType { signed, symmetric }
    }

    /// Each type, with its scale and zero point for −1..3.
    #[test]
    fn matches_values_computed_by_hand_for_minus_one_to_three() {
        for (int, scale, zero_point) in [
            (int(false, false), 4.0 / 255.0, 64),
            (int(false, true), 6.0 / 255.0, 128),
            (int(true, false), 4.0 / 255.0, -64),
            (int(true, true), 6.0 / 254.0, 0),
        ] {
            let params = int.params(-1.0, 3.0);
            assert!((params.scale - scale).abs() < 5e-8, "{int:?}: {params:?}");
            assert_eq!(params.zero_point, zero_point, "{int:?}");
        }
    }

    #[test]
    fn a_range_of_zero_gives_zero() {
        for (signed, symmetric) in [(false, false), (false, true), (true, false), (true, true)] {
            let params = int(signed, symmetric).params(0.0, 0.0);
            assert_eq!((params.scale, params.zero_point), (1.0, 0));
            assert_eq!(params.dequantize(params.quantize(0.0)), 0.0);
        }
    }

    proptest! {
        #[test]
        fn error_is_at_most_one_step_within_the_range(
            min in -1e3_f32..0.0,
            max in 0.0_f32..1e3,
            t in 0.0_f32..1.0,
            signed: bool,
            symmetric: bool,
        ) {
            let params = int(signed, symmetric).params(min, max);
            let x = min + (max - min) * t;
            let error = (params.dequantize(params.quantize(x)) - x).abs();
            // Half a step for the value, and up to another half for the rounded zero point.
            prop_assert!(error <= params.scale * 1.01 + 1e-6, "{error} {}", params.scale);
        }
    }
}

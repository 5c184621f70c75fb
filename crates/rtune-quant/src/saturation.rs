//! Weights that the 16-bit adders of older x86 processors can sum without overflow.
//!
//! Without VNNI, the integer kernels multiply uint8 activations with int8 weights and add the
//! products of two neighboring weights in 16 bits, with saturation (`vpmaddubsw`). The largest sum
//! of a pair is 255 · |w₀ + w₁| for weights of the same sign and 255 · max(|w₀|, |w₁|) otherwise.
//! It fits if no two neighbors of the same sign add up to more than 128: 255 · 128 < 2¹⁵.

use crate::{IntType, QuantParams};

/// Choice of the scale of a channel of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WeightRange {
    /// The largest weight becomes 127.
    Full,
    /// As [`WeightRange::Full`], but no two neighbors of the same sign add up to more than 128, so
    /// that 16-bit sums of two products do not saturate: 255 · 128 < 2¹⁵.
    #[default]
    SaturationFree,
}

impl WeightRange {
    /// Returns whether 16-bit sums of two products cannot saturate.
    pub fn is_saturation_free(self) -> bool {
        self == Self::SaturationFree
    }

    /// The value that becomes 127: the largest magnitude, or a larger sum of a pair of neighbors.
    fn radius(self, channel: &[f32]) -> f32 {
        let largest = channel.iter().fold(0.0_f32, |r, w| r.max(w.abs()));
        let same_sign = |pair: &[f32]| {
            if pair[0] * pair[1] > 0.0 {
                (pair[0] + pair[1]).abs()
            } else {
                0.0
            }
        };
        match self {
            Self::Full => largest,
            Self::SaturationFree => {
                let pairs = channel.chunks_exact(2).map(same_sign);
                pairs.fold(largest, f32::max)
            }
        }
    }
}

/// Chooses the parameters of symmetric int8 weights, one per channel.
///
/// `least_scale` gives the smallest scale that a channel may have, or 0.
///
/// # Shapes
/// `channels` yields each channel's weights in the order in which the product adds them → one per
/// channel
pub(crate) fn channel_params<'a>(
    channels: impl Iterator<Item = &'a [f32]>,
    range: WeightRange,
    least_scale: impl Fn(usize) -> f32,
) -> Vec<QuantParams> {
    let params = |(index, channel): (usize, &[f32])| {
        let radius = range.radius(channel).max(127.0 * least_scale(index));
        IntType::SYMMETRIC_INT8.params(-radius, radius)
    };
    channels.enumerate().map(params).collect()
}

/// Quantizes weights to int8, channel by channel.
///
/// # Shapes
/// as many channels as `params` → all weights, channel by channel
pub(crate) fn quantize_channels<'a>(
    channels: impl Iterator<Item = &'a [f32]>,
    params: &[QuantParams],
) -> Vec<i8> {
    let quantize = |(channel, params): (&'a [f32], &QuantParams)| {
        let params = *params;
        // Within −127..=127.
        channel.iter().map(move |w| params.quantize(*w) as i8)
    };
    channels.zip(params).flat_map(quantize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The sum of products as a processor without VNNI computes it: pairs saturate to 16 bits.
    fn saturating_dot(activations: &[u8], weights: &[i8]) -> i32 {
        let pairs = activations.chunks(2).zip(weights.chunks(2));
        let sum = |(a, w): (&[u8], &[i8])| {
            let exact: i32 = a
                .iter()
                .zip(w)
                .map(|(a, w)| i32::from(*a) * i32::from(*w))
                .sum();
            exact.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
        };
        pairs.map(sum).sum()
    }

    fn exact_dot(activations: &[u8], weights: &[i8]) -> i32 {
        activations
            .iter()
            .zip(weights)
            .map(|(a, w)| i32::from(*a) * i32::from(*w))
            .sum()
    }

    fn quantized(weights: &[f32], range: WeightRange) -> (Vec<i8>, Vec<f32>) {
        let params = channel_params(std::iter::once(weights), range, |_| 0.0);
        let scales = params.iter().map(|params| params.scale).collect();
        (quantize_channels(std::iter::once(weights), &params), scales)
    }

    #[test]
    fn the_full_range_saturates_and_the_default_does_not() {
        let (weights, activations) = ([1.0, 1.0, -0.5, 0.25], [255; 4]);
        let (full, _) = quantized(&weights, WeightRange::Full);
        assert_eq!(full, [127, 127, -64, 32]);
        assert_ne!(
            saturating_dot(&activations, &full),
            exact_dot(&activations, &full)
        );
        let (free, scales) = quantized(&weights, WeightRange::SaturationFree);
        assert_eq!(free, [64, 64, -32, 16]);
        assert_eq!(scales, [2.0 / 127.0]);
        assert_eq!(
            saturating_dot(&activations, &free),
            exact_dot(&activations, &free)
        );
    }

    #[test]
    fn the_least_scale_widens_a_channel_of_tiny_weights() {
        let channels = [[0.001, -0.001], [1.0, -1.0]];
        let channels = || channels.iter().map(|channel| &channel[..]);
        let params = channel_params(channels(), WeightRange::Full, |_| 0.001);
        assert_eq!(quantize_channels(channels(), &params), [1, -1, 127, -127]);
        assert!((params[0].scale - 0.001).abs() < 1e-9, "{params:?}");
    }

    proptest! {
        #[test]
        fn saturation_free_weights_give_the_exact_sum_on_every_processor(
            weights in proptest::collection::vec(-3.0_f32..3.0, 2..64),
            activations in proptest::collection::vec(prop_oneof![Just(255_u8), any::<u8>()], 64),
        ) {
            let (integers, _) = quantized(&weights, WeightRange::SaturationFree);
            let activations = &activations[..integers.len()];
            let found = saturating_dot(activations, &integers);
            prop_assert_eq!(found, exact_dot(activations, &integers));
        }
    }
}

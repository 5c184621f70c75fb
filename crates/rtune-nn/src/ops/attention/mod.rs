//! Attention, its position biases and rotation, and their specification.

mod default;

pub use default::attention_by_operations;
pub(super) use default::{attention, rotate};

use crate::Param;

/// The constants of multi-head attention.
#[derive(Debug, Clone)]
pub struct Attention {
    /// Number of heads of the query.
    pub heads: usize,
    /// Number of heads of key and value, a divisor of `heads`: each serves `heads / kv_heads`
    /// neighboring heads of the query (Ainslie et al., 2023).
    pub kv_heads: usize,
    /// Width of each head.
    pub head_dim: usize,
    /// Factor of the scores.
    pub scale: f64,
    /// The largest distance |i − j| that a token attends over, inclusive; `None` is unlimited.
    pub window: Option<usize>,
    /// Summand of the scores that depends on the distance.
    pub bias: Option<PositionBias>,
    /// Rotation of query and key.
    pub rotary: Option<Rotary>,
    /// The share of attention weights that dropout sets to zero.
    pub dropout: f64,
}

impl Attention {
    /// Full attention with the scale 1 / √head_dim, without bias, rotation and dropout.
    pub fn new(heads: usize, head_dim: usize) -> Self {
        Self {
            heads,
            kv_heads: heads,
            head_dim,
            scale: 1.0 / (head_dim as f64).sqrt(),
            window: None,
            bias: None,
            rotary: None,
            dropout: 0.0,
        }
    }
}

/// A summand of attention scores that depends on the head and on the distance j − i from query to
/// key.
#[derive(Debug, Clone)]
pub enum PositionBias {
    /// A learned number for each bucket of distances and head (Raffel et al., 2020, figure of the
    /// bidirectional form): T5's encoder, MPNet.
    Buckets {
        /// `[buckets, heads]`
        table: Param,
        /// Number of buckets, even.
        buckets: usize,
        /// The distance from which on all share the last bucket of their direction.
        max_distance: usize,
    },
    /// −slope · |i − j| with one slope for each head (Press et al., 2022, made symmetric).
    Slopes(Vec<f32>),
}

impl PositionBias {
    /// The slopes of ALiBi: for a power of two 2^(−8/heads), 2^(−16/heads), …; for other numbers
    /// those of the next lower power, then every second one of the next higher power.
    ///
    /// ```
    /// use rtune_nn::PositionBias;
    ///
    /// let PositionBias::Slopes(slopes) = PositionBias::alibi(3) else { unreachable!() };
    /// assert_eq!(slopes, [0.0625, 0.00390625, 0.25]);
    /// ```
    pub fn alibi(heads: usize) -> Self {
        let geometric =
            |count: usize| (1..=count).map(move |k| (-8.0 * k as f64 / count as f64).exp2() as f32);
        let higher = heads.next_power_of_two();
        if higher == heads {
            return Self::Slopes(geometric(heads).collect());
        }
        let lower = higher / 2;
        let rest = geometric(higher).step_by(2).take(heads - lower);
        Self::Slopes(geometric(lower).chain(rest).collect())
    }
}

/// The bucket of a distance j − i: half of the buckets for each direction, one bucket for each
/// short distance, logarithmic steps for longer ones up to `max_distance`.
fn bucket(distance: i64, buckets: usize, max_distance: usize) -> usize {
    let half = buckets / 2;
    let exact = half / 2;
    let offset = if distance > 0 { half } else { 0 };
    let length = distance.unsigned_abs() as usize;
    if length < exact {
        return offset + length;
    }
    // In single precision and this order, as the reference computes it: steps are truncated.
    let share =
        (length as f32 / exact as f32).ln() / (max_distance as f64 / exact as f64).ln() as f32;
    let step = exact + (share * (half - exact) as f32) as usize;
    offset + step.min(half - 1)
}

/// Relative positions as queries and keys of their own (He et al., 2021): the DeBERTa-v2 family.
///
/// The scores are (q·kᵀ + q·pkᵀ\[δ(i−j)\] + k·pqᵀ\[δ(i−j)\]) · scale, where δ is the bucket of a
/// distance, shifted to a row of the two tables.
#[derive(Debug, Clone)]
pub struct Disentangled<V> {
    /// Position keys, `[2 · span, heads · head_dim]`; without them the second summand is missing.
    pub key: Option<V>,
    /// Position queries, `[2 · span, heads · head_dim]`; without them the third summand is missing.
    pub query: Option<V>,
    /// Half the number of rows of the tables.
    pub span: usize,
    /// Number of distances that have buckets of their own before steps become logarithmic, times
    /// two; `None` gives each distance its own row.
    pub buckets: Option<usize>,
    /// The distance from which on all share a row.
    pub max_distance: usize,
}

impl<V> Disentangled<V> {
    /// The row of a distance i − j.
    fn row(&self, distance: i64) -> u32 {
        let bucket = match self.buckets {
            Some(buckets) if distance.unsigned_abs() as usize > buckets / 2 => {
                let middle = (buckets / 2) as f64;
                let share = (distance.unsigned_abs() as f64 / middle).ln()
                    / ((self.max_distance as f64 - 1.0) / middle).ln();
                let steps = (share * (middle - 1.0)).ceil() as i64 + buckets as i64 / 2;
                steps * distance.signum()
            }
            _ => distance,
        };
        let span = self.span as i64;
        (bucket + span).clamp(0, 2 * span - 1) as u32
    }
}

/// The pairs that a rotation turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotaryStyle {
    /// Element i of the first half with element i of the second half: most models.
    Halves,
    /// Neighboring elements 2i and 2i + 1: RoFormer, NeoBERT.
    Pairs,
}

/// Rotary position embedding (Su et al., 2021): pair i is turned by
/// position · scale · base^(−2i/dim).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rotary {
    /// Number of leading elements of each head that are turned, even; the others stay.
    pub dim: usize,
    /// The base of the frequencies.
    pub base: f64,
    /// The pairs that are turned.
    pub style: RotaryStyle,
    /// The factor of all angles: 1, apart from models whose context was extended.
    pub scale: f64,
}

impl Rotary {
    /// The rotation of most models: of all `dim` elements of each head, by halves.
    pub const fn new(dim: usize, base: f64) -> Self {
        Self {
            dim,
            base,
            style: RotaryStyle::Halves,
            scale: 1.0,
        }
    }

    /// Radians per position for each pair.
    pub fn frequencies(&self) -> Vec<f32> {
        // Exponent, power and quotient are rounded to single precision, as PyTorch rounds them: an
        // error in the last bit grows with the position.
        let frequency = |i| {
            let exponent = (2 * i) as f32 / self.dim as f32;
            (1.0 / self.base.powf(f64::from(exponent)) as f32) * self.scale as f32
        };
        (0..self.dim / 2).map(frequency).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `relative_position_bucket` of Hugging Face's MPNet and T5 (bidirectional).
    #[test]
    fn buckets_are_those_of_the_reference() {
        let cases = [
            (0, 0),
            (-1, 1),
            (-7, 7),
            (-8, 8),
            (-11, 8),
            (-12, 9),
            (-16, 10),
            (-64, 14),
            (-127, 15),
            (-128, 15),
            (-500, 15),
            (1, 17),
            (8, 24),
            (128, 31),
            (300, 31),
        ];
        for (distance, expected) in cases {
            assert_eq!(bucket(distance, 32, 128), expected, "{distance}");
        }
    }

    #[test]
    fn slopes_of_powers_of_two_are_geometric() {
        let PositionBias::Slopes(slopes) = PositionBias::alibi(8) else {
            panic!("alibi gives slopes")
        };
        assert_eq!(slopes[0], 0.5);
        assert_eq!(slopes[7], 1.0 / 256.0);
    }

    /// Values of `make_log_bucket_position` of Hugging Face's DeBERTa-v2, for 256 buckets and 512
    /// positions, shifted by 256.
    #[test]
    fn disentangled_rows_are_those_of_the_reference() {
        let positions = Disentangled::<()> {
            key: None,
            query: None,
            span: 256,
            buckets: Some(256),
            max_distance: 512,
        };
        let cases = [
            (0, 256),
            (1, 257),
            (-128, 128),
            (128, 384),
            (129, 385),
            (511, 511),
            (-511, 1),
            (512, 511),
            (-512, 0),
        ];
        for (distance, expected) in cases {
            assert_eq!(positions.row(distance), expected, "{distance}");
        }
    }

    #[test]
    fn frequencies_fall_from_one() {
        let rotary = Rotary::new(4, 10000.0);
        assert_eq!(rotary.frequencies(), [1.0, 0.01]);
        let scaled = Rotary {
            scale: 0.5,
            ..rotary
        };
        assert_eq!(scaled.frequencies(), [0.5, 0.005]);
    }
}

//! Attention, its position biases and rotation, and their specification.

use crate::{Constant, Extent, Kind, NnError, Param, Result, SequenceOps, Var};
use candle_core::D;

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

/// Rotary position embedding (Su et al., 2021): pair i is turned by position · base^(−2i/dim).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rotary {
    /// Number of leading elements of each head that are turned, even; the others stay.
    pub dim: usize,
    /// The base of the frequencies.
    pub base: f64,
    /// The pairs that are turned.
    pub style: RotaryStyle,
}

impl Rotary {
    /// Radians per position for each pair.
    pub fn frequencies(&self) -> Vec<f32> {
        (0..self.dim / 2)
            .map(|i| self.base.powf(-2.0 * i as f64 / self.dim as f64) as f32)
            .collect()
    }
}

pub(super) fn rotate<'a, O: SequenceOps>(
    x: &Var<'a, O>,
    head_dim: usize,
    rotary: &Rotary,
    sequences: &O::Sequences,
) -> Result<O::Value> {
    let Rotary { dim, base, style } = *rotary;
    let half = dim / 2;
    if !dim.is_multiple_of(2) || dim > head_dim {
        return Err(NnError::operation(format!(
            "rotation of {dim} elements of a head of width {head_dim}: an even number up to the \
             width is needed"
        )));
    }
    let name = format!("rotary/{dim}/{base}");
    let frequencies = Constant::float(name, &[1, half], rotary.frequencies())?;
    let positions = x.with(x.ops().grid_positions(sequences)?);
    let angles = (&positions * positions.constant(&frequencies)?)?;
    let (cos, sin) = (angles.cos()?, angles.sin()?);
    let turn = |a: &Var<'a, O>, b: &Var<'a, O>| -> Result<_> {
        let first = ((a * &cos)? - (b * &sin)?)?;
        let second = ((b * &cos)? + (a * &sin)?)?;
        Ok((first, second))
    };
    let turned = match style {
        RotaryStyle::Halves => {
            let (a, b) = turn(
                &x.narrow(D::Minus1, 0, half)?,
                &x.narrow(D::Minus1, half, half)?,
            )?;
            Var::cat(&[&a, &b], D::Minus1)?
        }
        RotaryStyle::Pairs => {
            use Extent::{Exact, Keep};
            let pairs = x.narrow(D::Minus1, 0, dim)?;
            let pairs = pairs.reshape([Keep, Keep, Keep, Exact(half), Exact(2)])?;
            let side = |index| pairs.narrow(D::Minus1, index, 1)?.squeeze(D::Minus1);
            let (a, b) = turn(&side(0)?, &side(1)?)?;
            let pairs = Var::cat(
                &[&a.unsqueeze(D::Minus1)?, &b.unsqueeze(D::Minus1)?],
                D::Minus1,
            )?;
            pairs.reshape([Keep, Keep, Keep, Exact(dim)])?
        }
    };
    if dim == head_dim {
        return Ok(turned.into_value());
    }
    let rest = x.narrow(D::Minus1, dim, head_dim - dim)?;
    Ok(Var::cat(&[&turned, &rest], D::Minus1)?.into_value())
}

/// The distances j − i from query i to key j, `[sequence, sequence]`.
fn distances<'a, O: SequenceOps>(
    near: &Var<'a, O>,
    sequences: &O::Sequences,
) -> Result<Var<'a, O>> {
    let positions = near.with(near.ops().grid_positions(sequences)?);
    positions.transpose(0, 1)? - positions
}

/// The row of each distance in a table of 2 · `limit` + 1 rows, from −limit to limit; longer
/// distances share the first and the last row. `[sequence, sequence]`
fn distance_rows<'a, O: SequenceOps>(
    near: &Var<'a, O>,
    limit: usize,
    sequences: &O::Sequences,
) -> Result<Var<'a, O>> {
    let limit = limit as f64;
    let clamped = distances(near, sequences)?.clamp(-limit, limit)?;
    (clamped + limit)?.cast(Kind::Int)
}

/// A table with one element for each distance from −limit to limit.
fn by_distance<T>(limit: usize, element: impl Fn(i64) -> T) -> Vec<T> {
    let limit = limit as i64;
    (-limit..=limit).map(element).collect()
}

/// The summand of the scores that hides keys outside the window, `[sequence, sequence]`.
fn window_bias<'a, O: SequenceOps>(
    near: &Var<'a, O>,
    window: usize,
    sequences: &O::Sequences,
) -> Result<Var<'a, O>> {
    let rows = distance_rows(near, window + 1, sequences)?;
    let hidden = by_distance(window + 1, |distance| {
        if distance.unsigned_abs() as usize > window {
            crate::MASK_BIAS as f32
        } else {
            0.0
        }
    });
    let dims = [hidden.len(), 1];
    let table = Constant::float(format!("window/{window}"), &dims, hidden)?;
    near.constant(&table)?.gather(&rows)?.squeeze(D::Minus1)
}

/// The summand of the scores that depends on head and distance, `[heads, sequence, sequence]`.
fn position_bias<'a, O: SequenceOps>(
    near: &Var<'a, O>,
    bias: &PositionBias,
    sequences: &O::Sequences,
) -> Result<Var<'a, O>> {
    match bias {
        PositionBias::Buckets {
            table,
            buckets,
            max_distance,
        } => {
            let rows = distance_rows(near, *max_distance, sequences)?;
            let ids = by_distance(*max_distance, |d| bucket(d, *buckets, *max_distance) as u32);
            let name = format!("buckets/{buckets}/{max_distance}");
            let ids = near.constant(&Constant::int(name, &[ids.len()], ids)?)?;
            let by_row = near.param(table)?.gather(&ids)?;
            by_row.gather(&rows)?.permute(&[2, 0, 1])
        }
        PositionBias::Slopes(slopes) => {
            let name = format!("slopes/{}", slopes.len());
            let negative = slopes.iter().map(|slope| -slope).collect();
            let slopes = Constant::float(name, &[slopes.len(), 1, 1], negative)?;
            distances(near, sequences)?.abs()? * near.constant(&slopes)?
        }
    }
}

/// The key transposed, so that query · key gives scores. With fewer heads of key and value, the
/// queries that share one are stacked along the sequence: `[batch, kv_heads, group · sequence, ..]`.
struct Heads {
    heads: usize,
    kv_heads: usize,
}

impl Heads {
    /// Stacks the queries that share a key, multiplies, and unstacks.
    fn matmul<'a, O: SequenceOps>(
        &self,
        left: &Var<'a, O>,
        right: &Var<'a, O>,
    ) -> Result<Var<'a, O>> {
        use Extent::{Exact, Infer, Keep};
        if self.heads == self.kv_heads {
            return left.matmul(right);
        }
        let stacked = left.reshape([Keep, Exact(self.kv_heads), Infer, Keep])?;
        let product = stacked.matmul(right)?;
        product.reshape([Keep, Exact(self.heads), Infer, Keep])
    }
}

/// Computes [`SequenceOps::attention`] by the other operations, as its default does: for an
/// interpreter whose own attention does not cover every specification.
///
/// # Errors
/// If the shapes do not fit.
pub fn attention_by_operations<O: SequenceOps>(
    ops: &O,
    [query, key, value]: [&O::Value; 3],
    spec: &Attention,
    sequences: &O::Sequences,
) -> Result<O::Value> {
    let [query, key, value] = [query, key, value].map(|x| Var::of(ops, x));
    attention([&query, &key, &value], None, spec, sequences)
}

pub(super) fn attention<'a, O: SequenceOps>(
    [query, key, value]: [&Var<'a, O>; 3],
    positions: Option<&Disentangled<O::Value>>,
    spec: &Attention,
    sequences: &O::Sequences,
) -> Result<O::Value> {
    let Attention {
        heads,
        kv_heads,
        head_dim,
        ..
    } = *spec;
    if kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
        return Err(NnError::operation(format!(
            "attention: {kv_heads} heads of key and value do not divide {heads} heads"
        )));
    }
    let grouped = Heads { heads, kv_heads };
    let rotated = |x: Var<'a, O>| match &spec.rotary {
        Some(rotary) => x.rotate(head_dim, rotary, sequences),
        None => Ok(x),
    };
    let query = rotated(query.split_heads(heads, head_dim, sequences)?)?;
    let key = rotated(key.split_heads(kv_heads, head_dim, sequences)?)?;
    let columns = key.transpose(D::Minus2, D::Minus1)?;
    let value = value.split_heads(kv_heads, head_dim, sequences)?;
    let mut scores = grouped.matmul(&query, &columns)?;
    if let Some(positions) = positions {
        scores = disentangle(scores, [&query, &key], positions, spec, sequences)?;
    }
    scores = scores.affine(spec.scale, 0.0)?;
    if let Some(bias) = &spec.bias {
        scores = (scores + position_bias(&query, bias, sequences)?)?;
    }
    if let Some(window) = spec.window {
        scores = (scores + window_bias(&query, window, sequences)?)?;
    }
    let mask = query.with(query.ops().mask_bias(sequences)?);
    let weights = (scores + mask)?.softmax()?.dropout(spec.dropout)?;
    let context = grouped.matmul(&weights, &value)?;
    Ok(context
        .merge_heads(heads, head_dim, sequences)?
        .into_value())
}

/// Adds the scores of content against position and of position against content.
fn disentangle<'a, O: SequenceOps>(
    mut scores: Var<'a, O>,
    [query, key]: [&Var<'a, O>; 2],
    positions: &Disentangled<O::Value>,
    spec: &Attention,
    sequences: &O::Sequences,
) -> Result<Var<'a, O>> {
    use Extent::{Exact, Infer};
    let limit = positions.max_distance;
    let rows = distance_rows(query, limit, sequences)?;
    // The distance of the formula is i − j.
    let ids = by_distance(limit, |distance| positions.row(-distance));
    let name = format!("distances/{}/{limit}", positions.span);
    let table = query.constant(&Constant::int(name, &[ids.len(), 1], ids)?)?;
    let ids = table.gather(&rows)?.squeeze(D::Minus1)?;
    // `[2 · span, heads · head_dim]` → `[heads, head_dim, 2 · span]`
    let columns = |table: &O::Value| {
        let table = query.with(table.clone());
        table
            .reshape([Infer, Exact(spec.heads), Exact(spec.head_dim)])?
            .permute(&[1, 2, 0])
    };
    if let Some(table) = &positions.key {
        scores = (scores + query.matmul(&columns(table)?)?.gather_last(&ids)?)?;
    }
    if let Some(table) = &positions.query {
        let by_key = key.matmul(&columns(table)?)?;
        let by_key = by_key.gather_last(&ids.transpose(0, 1)?)?;
        scores = (scores + by_key.transpose(D::Minus2, D::Minus1)?)?;
    }
    Ok(scores)
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
        let rotary = Rotary {
            dim: 4,
            base: 10000.0,
            style: RotaryStyle::Halves,
        };
        assert_eq!(rotary.frequencies(), [1.0, 0.01]);
    }
}

//! The default bodies of attention and rotation: their specification.

use super::{Attention, Disentangled, PositionBias, Rotary, RotaryStyle, bucket};
use crate::{Constant, Extent, Kind, NnError, Result, SequenceOps, Var};
use candle_core::D;

pub(in crate::ops) fn rotate<'a, O: SequenceOps>(
    x: &Var<'a, O>,
    head_dim: usize,
    rotary: &Rotary,
    sequences: &O::Sequences,
) -> Result<O::Value> {
    let Rotary {
        dim,
        base,
        style,
        scale,
    } = *rotary;
    let half = dim / 2;
    if !dim.is_multiple_of(2) || dim > head_dim {
        return Err(NnError::operation(format!(
            "rotation of {dim} elements of a head of width {head_dim}: an even number up to the \
             width is needed"
        )));
    }
    let name = match scale {
        1.0 => format!("rotary/{dim}/{base}"),
        _ => format!("rotary/{dim}/{base}/{scale}"),
    };
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
    let lengths = distances(near, sequences)?.abs()?;
    let is_outside = lengths.gt(&near.scalar(window as f64)?)?;
    is_outside.where_cond(&near.scalar(crate::MASK_BIAS)?, &near.scalar(0.0)?)
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
/// queries that share one are stacked along the sequence: `[batch, kv_heads, group · sequence,
/// ..]`.
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

pub(in crate::ops) fn attention<'a, O: SequenceOps>(
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

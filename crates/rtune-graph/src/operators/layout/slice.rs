//! Slices.

use crate::operators::{
    Context, Inference, Operator, Stop, form, one, one_with, optional, required,
};
use crate::{AttributeKind, Dim, Expr, Fact};

pub(in crate::operators) const OPERATORS: &[Operator] = &[Operator::new(
    "Slice",
    &[
        form(
            1,
            [1, 1],
            [1, 1],
            &[
                optional("axes", AttributeKind::Ints),
                required("ends", AttributeKind::Ints),
                required("starts", AttributeKind::Ints),
            ],
        ),
        form(10, [3, 5], [1, 1], &[]),
    ],
    slice,
)];

/// The elements of a list that is an attribute of older forms and an input of newer ones.
fn list(ctx: &Context<'_>, name: &str, index: usize) -> Option<Vec<Option<Expr>>> {
    match ctx.ints(name) {
        Some(values) => Some(values.iter().map(|v| Some(Expr::constant(*v))).collect()),
        None => ctx.contents(index).map(<[_]>::to_vec),
    }
}

fn slice(ctx: &Context<'_>) -> Inference {
    let (element_type, shape) = ctx.ranked(0)?;
    let Some(bounds) = bounds(ctx, shape.len())? else {
        return one(element_type, shape.iter().map(|_| Dim::Unknown));
    };
    let mut dims = shape.to_vec();
    for bounds in &bounds {
        dims[bounds.axis] = ctx.dim(bounds.length(&shape[bounds.axis]))?;
    }
    let contents = match (ctx.contents(0), bounds.as_slice()) {
        (Some(contents), [bounds]) => bounds.select(contents),
        _ => None,
    };
    one_with(Fact::new(element_type, dims), contents)
}

/// One sliced axis.
struct Bounds {
    axis: usize,
    start: Option<Expr>,
    end: Option<Expr>,
    step: Option<i64>,
}

/// The sliced axes, or `None` if it is not known which they are.
fn bounds(ctx: &Context<'_>, rank: usize) -> Result<Option<Vec<Bounds>>, Stop> {
    let (starts, ends) = (list(ctx, "starts", 1), list(ctx, "ends", 2));
    let count = starts.as_ref().or(ends.as_ref()).map(Vec::len);
    let axes = match (ctx.ints("axes"), ctx.has(3), ctx.constants(3), count) {
        (Some(axes), ..) => ctx.distinct_axes(axes, rank)?,
        (None, true, Some(axes), _) => ctx.distinct_axes(&axes, rank)?,
        (None, false, _, Some(count)) if count <= rank => (0..count).collect(),
        (None, false, _, Some(count)) => {
            return Err(ctx.error(format!("slices {count} axes of a tensor of rank {rank}")));
        }
        _ => return Ok(None),
    };
    for list in [&starts, &ends].into_iter().flatten() {
        if list.len() != axes.len() {
            let (found, axes) = (list.len(), axes.len());
            return Err(ctx.error(format!("{found} bounds do not fit {axes} axes")));
        }
    }
    let at = |list: &Option<Vec<Option<Expr>>>, index: usize| list.as_ref()?.get(index)?.clone();
    let steps = ctx.contents(4);
    let mut all = Vec::new();
    for (index, axis) in axes.into_iter().enumerate() {
        let step = match (ctx.has(4), steps) {
            (false, _) => Some(1),
            (true, steps) => steps.and_then(|s| s.get(index)?.as_ref()?.as_constant()),
        };
        if step == Some(0) {
            return Err(ctx.error("a step is 0"));
        }
        all.push(Bounds {
            axis,
            start: at(&starts, index),
            end: at(&ends, index),
            step,
        });
    }
    Ok(Some(all))
}

/// Bounds of this size or more stand for the end of an axis.
const END: i64 = i32::MAX as i64;

impl Bounds {
    /// The number of elements that a slice of an axis of `size` has.
    fn length(&self, size: &Dim) -> Option<Expr> {
        let (start, end, step) = (self.start.as_ref()?, self.end.as_ref()?, self.step?);
        let zero = Expr::constant(0);
        if step < 0 {
            return self.backward_length(size);
        }
        let is_end = end.as_constant().is_some_and(|end| end >= END);
        let length = match (start.as_constant(), is_end) {
            // The last `-start` elements.
            (Some(start), true) if start < 0 => {
                Expr::constant(start.checked_neg()?).minimum(&size.expr()?)?
            }
            (Some(start), _) => {
                let size = size.expr()?;
                let start = match start < 0 {
                    true => size.add(&Expr::constant(start))?.maximum(&zero)?,
                    false => Expr::constant(start),
                };
                let end = match (is_end, end.as_constant()) {
                    (true, _) => size,
                    (false, Some(end)) if end < 0 => size.add(&Expr::constant(end))?,
                    (false, _) if end.is_nonnegative() => end.minimum(&size)?,
                    _ => return None,
                };
                end.sub(&start)?.maximum(&zero)?
            }
            (None, _) if start.is_nonnegative() => {
                let size = size.expr()?;
                let end = match is_end {
                    true => size,
                    false if end.is_nonnegative() => end.minimum(&size)?,
                    false => return None,
                };
                end.sub(start)?.maximum(&zero)?
            }
            _ => return None,
        };
        length.ceil_div(&Expr::constant(step))
    }

    /// The length of a slice with a negative step, if all of it is constant.
    fn backward_length(&self, size: &Dim) -> Option<Expr> {
        let (start, end) = (self.start.as_ref()?, self.end.as_ref()?);
        let (start, end) = (start.as_constant()?, end.as_constant()?);
        // From the end to before the start: the whole axis.
        let from_end = start >= END - 1 || start == -1;
        if from_end && end <= -END && self.step == Some(-1) {
            return size.expr();
        }
        let size = i64::try_from(size.fixed()?).ok()?;
        let indices = indices(size, start, end, self.step?)?;
        Some(Expr::constant(i64::try_from(indices.len()).ok()?))
    }

    /// The elements that are selected from a vector.
    fn select(&self, contents: &[Option<Expr>]) -> Option<Vec<Option<Expr>>> {
        let (start, end) = (self.start.as_ref()?, self.end.as_ref()?);
        let size = i64::try_from(contents.len()).ok()?;
        let indices = indices(size, start.as_constant()?, end.as_constant()?, self.step?)?;
        Some(
            indices
                .into_iter()
                .map(|index| contents[index].clone())
                .collect(),
        )
    }
}

/// The indices of a slice, as the standard defines them, for axes of at most 2²⁰ elements.
fn indices(size: i64, start: i64, end: i64, step: i64) -> Option<Vec<usize>> {
    match size {
        0 => return Some(Vec::new()),
        size if size > 1 << 20 => return None,
        _ => {}
    }
    let from_start = |bound: i64| match bound < 0 {
        true => bound.saturating_add(size),
        false => bound,
    };
    let (mut index, end) = match step > 0 {
        true => (
            from_start(start).clamp(0, size),
            from_start(end).clamp(0, size),
        ),
        false => (
            from_start(start).clamp(0, size - 1),
            from_start(end).clamp(-1, size - 1),
        ),
    };
    let mut indices = Vec::new();
    while (step > 0 && index < end) || (step < 0 && index > end) {
        indices.push(usize::try_from(index).ok()?);
        index = index.checked_add(step)?;
    }
    Some(indices)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::testing;

    #[test]
    fn inference() {
        testing::check(
            OPERATORS,
            "
            Slice(f32[24, 8], i64[1]{0}, i64[1]{sequence}) -> f32[min(24, sequence), 8]
            Slice(f32[24, 8], i64[1]{2}, i64[1]{10}, i64[1]{0}) -> f32[8, 8]
            Slice(f32[24, 8], i64[1]{20}, i64[1]{30}) -> f32[4, 8]
            Slice(f32[24, 8], i64[1]{30}, i64[1]{40}) -> f32[0, 8]
            Slice(f32[24], i64[1]{-3}, i64[1]{9223372036854775807}) -> f32[3]
            Slice(f32[n], i64[1]{-3}, i64[1]{9223372036854775807}) -> f32[min(3, n)]
            Slice(f32[n], i64[1]{1}, i64[1]{9223372036854775807}) -> f32[max(0, n - 1)]
            Slice(f32[n], i64[1]{0}, i64[1]{-1}) -> f32[max(0, n - 1)]
            Slice(f32[n], i64[1]{0}, i64[1]{9223372036854775807}, i64[1]{0}, i64[1]{2})
                -> f32[floor((n + 1)/2)]
            Slice(f32[n], i64[1]{-1}, i64[1]{-9223372036854775807}, i64[1]{0}, i64[1]{-1}) -> f32[n]
            Slice(f32[5], i64[1]{3}, i64[1]{0}, i64[1]{0}, i64[1]{-1}) -> f32[3]
            Slice(f32[n, 2], i64[1], i64[1], i64[1]{0}) -> f32[?, 2]
            Slice(f32[n, 2], i64[1], i64[1]) -> f32[?, ?]
            Slice(f32[n, 2]) starts=[0] ends=[1] axes=[1] @9 -> f32[n, 1]
            Slice(f32[n, 2], i64[1]{0}, i64[2]{1, 1}) -> ! 2 bounds do not fit 1 axes
            Slice(f32[n, 2], i64[1]{0}, i64[1]{1}, i64[1]{5})
                -> ! axis 5 is outside a tensor of rank 2
            Slice(f32[n], i64[1]{0}, i64[1]{1}, i64[1]{0}, i64[1]{0}) -> ! a step is 0
            Slice(f32[?], i64[1]{0}, i64[1]{sequence}) -> f32[?]
            Slice(i64[4]{b, n, 4, 8}, i64[1]{1}, i64[1]{3}) -> i64[2]{n, 4}
            Slice(i64[3]{b, n, 4}, i64[1]{-1}, i64[1]{-9}, i64[1]{0}, i64[1]{-1}) -> i64[3]{4, n, b}
            Slice(f32[..], i64[1]{0}, i64[1]{1}) -> f32[..]
            ",
        );
    }
}

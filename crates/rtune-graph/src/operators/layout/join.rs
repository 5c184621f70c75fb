//! Joining, splitting, repeating and padding.

use super::reshape::given_shape;
use crate::facts::Known;
use crate::operators::{
    Context, Inference, MANY, Operator, Stop, float, form, int, one, one_with, optional, required,
    text,
};
use crate::{AttributeKind, Dim, Expr, Fact};

pub(in crate::operators) const OPERATORS: &[Operator] = &[
    Operator::new(
        "Concat",
        &[form(
            1,
            [1, MANY],
            [1, 1],
            &[required("axis", AttributeKind::Int)],
        )],
        concat,
    ),
    Operator::new(
        "Pad",
        &[
            form(
                1,
                [1, 1],
                [1, 1],
                &[
                    text("mode", "constant"),
                    required("pads", AttributeKind::Ints),
                    float("value", 0.0),
                ],
            ),
            form(11, [2, 3], [1, 1], &[text("mode", "constant")]),
            form(18, [2, 4], [1, 1], &[text("mode", "constant")]),
        ],
        pad,
    ),
    Operator::new(
        "Split",
        &[
            form(
                1,
                [1, 1],
                [1, MANY],
                &[int("axis", 0), optional("split", AttributeKind::Ints)],
            ),
            form(13, [1, 2], [1, MANY], &[int("axis", 0)]),
            form(
                18,
                [1, 2],
                [1, MANY],
                &[int("axis", 0), optional("num_outputs", AttributeKind::Int)],
            ),
        ],
        split,
    ),
    Operator::new("Tile", &[form(1, [2, 2], [1, 1], &[])], tile),
];

fn concat(ctx: &Context<'_>) -> Inference {
    let first = ctx.fact(0)?;
    let mut shape: Option<Vec<Dim>> = None;
    let mut total = Some(Expr::constant(0));
    for index in 0..ctx.inputs() {
        let Some(next) = ctx.fact_of(index) else {
            total = None;
            continue;
        };
        let misfit = || ctx.error(format!("inputs do not fit together: {first} and {next}"));
        if next.element_type != first.element_type {
            return Err(misfit());
        }
        let Some(dims) = &next.shape else {
            total = None;
            continue;
        };
        let axis = ctx.axis(ctx.int("axis")?, dims.len())?;
        total = total
            .zip(dims[axis].expr())
            .and_then(|(sum, size)| sum.add(&size));
        shape = Some(match shape {
            None => dims.clone(),
            Some(shape) if shape.len() == dims.len() => {
                let both = shape.into_iter().zip(dims).enumerate();
                let both = both.map(|(index, (a, b))| match index == axis {
                    true => Some(a),
                    false => same_dim(a, b),
                });
                both.collect::<Option<Vec<_>>>().ok_or_else(misfit)?
            }
            Some(_) => return Err(misfit()),
        });
    }
    let Some(mut shape) = shape else {
        return Err(Stop::Unranked(first.element_type));
    };
    let axis = ctx.axis(ctx.int("axis")?, shape.len())?;
    shape[axis] = ctx.dim(total)?;
    let parts: Option<Vec<_>> = (0..ctx.inputs()).map(|i| ctx.contents(i)).collect();
    let contents = parts
        .map(|parts| parts.concat())
        .filter(|_| shape.len() == 1);
    one_with(Fact::new(first.element_type, shape), contents)
}

/// The size that two facts state together, or `None` if they contradict each other.
fn same_dim(a: Dim, b: &Dim) -> Option<Dim> {
    match (a, b) {
        (Dim::Fixed(a), Dim::Fixed(b)) if a != *b => None,
        (_, Dim::Fixed(b)) => Some(Dim::Fixed(*b)),
        (Dim::Unknown, b) => Some(b.clone()),
        (a, _) => Some(a),
    }
}

/// Equal parts, parts of given sizes, or from operator set 18 on a number of parts of which the
/// last may be smaller.
fn split(ctx: &Context<'_>) -> Inference {
    let outputs = ctx.outputs();
    let (element_type, shape) = match ctx.ranked(0) {
        Err(Stop::Unranked(element_type)) => {
            return Ok(vec![Fact::unranked(element_type).into(); outputs]);
        }
        other => other?,
    };
    let axis = ctx.axis(ctx.int("axis")?, shape.len())?;
    let sizes = match (ctx.ints("split"), ctx.has(1)) {
        (Some(sizes), _) => sizes
            .iter()
            .map(|size| Some(Expr::constant(*size)))
            .collect(),
        (None, true) => given_shape(ctx, 1).unwrap_or_else(|| vec![None; outputs]),
        (None, false) => equal_parts(ctx, &shape[axis], outputs)?,
    };
    if sizes.len() != outputs {
        let parts = sizes.len();
        return Err(ctx.error(format!(
            "splits into {parts} parts, but has {outputs} outputs"
        )));
    }
    let sum = sizes.iter().try_fold(0_i64, |sum, size| {
        sum.checked_add(size.as_ref()?.as_constant()?)
    });
    let whole = shape[axis].expr().and_then(|size| size.as_constant());
    if let (Some(sum), Some(whole)) = (sum, whole)
        && sum != whole
    {
        return Err(ctx.error(format!("the parts have {sum} elements, the axis {whole}")));
    }
    let part = |size: Option<Expr>| -> Result<Known, Stop> {
        let mut dims = shape.to_vec();
        dims[axis] = ctx.dim(size)?;
        Ok(Fact::new(element_type, dims).into())
    };
    sizes.into_iter().map(part).collect()
}

fn equal_parts(ctx: &Context<'_>, size: &Dim, outputs: usize) -> Result<Vec<Option<Expr>>, Stop> {
    let number = ctx.optional_int("num_outputs");
    if ctx.opset() >= 18 && number.is_none() {
        return Err(ctx.error("needs the attribute `num_outputs` or the sizes of the parts"));
    }
    let count = i64::try_from(outputs).map_err(|_| ctx.error("too many outputs"))?;
    if let Some(number) = number.filter(|number| *number != count) {
        return Err(ctx.error(format!(
            "splits into {number} parts, but has {outputs} outputs"
        )));
    }
    let Some(size) = size.expr() else {
        return Ok(vec![None; outputs]);
    };
    let divisor = Expr::constant(count);
    if number.is_none() && size.as_constant().is_some_and(|size| size % count != 0) {
        return Err(ctx.error(format!(
            "{size} elements do not split into {count} equal parts"
        )));
    }
    let part = match number {
        Some(_) => size.ceil_div(&divisor),
        None => size.floor_div(&divisor),
    };
    let rest = part.as_ref().and_then(|part| {
        let others = part.mul(&Expr::constant(count - 1))?;
        size.sub(&others)
    });
    let mut parts = vec![part.clone(); outputs];
    if let (Some(last), Some(_)) = (parts.last_mut(), number) {
        *last = rest;
    }
    Ok(parts)
}

fn tile(ctx: &Context<'_>) -> Inference {
    let (element_type, shape) = ctx.ranked(0)?;
    let Some(repeats) = ctx.contents(1) else {
        return one(element_type, shape.iter().map(|_| Dim::Unknown));
    };
    if repeats.len() != shape.len() {
        let (found, rank) = (repeats.len(), shape.len());
        return Err(ctx.error(format!(
            "{found} repeats do not fit a tensor of rank {rank}"
        )));
    }
    let size = |(dim, repeats): (&Dim, &Option<Expr>)| {
        ctx.dim(dim.expr().zip(repeats.as_ref()).and_then(|(a, b)| a.mul(b)))
    };
    one(
        element_type,
        shape
            .iter()
            .zip(repeats)
            .map(size)
            .collect::<Result<Vec<_>, _>>()?,
    )
}

fn pad(ctx: &Context<'_>) -> Inference {
    let (element_type, shape) = ctx.ranked(0)?;
    let unknown = || one(element_type, shape.iter().map(|_| Dim::Unknown));
    let pads: Vec<Option<Expr>> = match (ctx.ints("pads"), ctx.contents(1)) {
        (Some(pads), _) => pads
            .iter()
            .map(|size| Some(Expr::constant(*size)))
            .collect(),
        (None, Some(pads)) => pads.to_vec(),
        (None, None) => return unknown(),
    };
    let axes: Vec<usize> = match (ctx.has(3), ctx.constants(3)) {
        (true, None) => return unknown(),
        (_, Some(axes)) => ctx.distinct_axes(&axes, shape.len())?,
        (false, None) => (0..shape.len()).collect(),
    };
    if pads.len() != 2 * axes.len() {
        let (found, axes) = (pads.len(), axes.len());
        return Err(ctx.error(format!("{found} pads do not fit {axes} axes")));
    }
    let mut dims = shape.to_vec();
    for (index, axis) in axes.iter().enumerate() {
        let (start, end) = (&pads[index], &pads[index + axes.len()]);
        let size = || dims[*axis].expr()?.add(start.as_ref()?)?.add(end.as_ref()?);
        dims[*axis] = ctx.dim(size())?;
    }
    one(element_type, dims)
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
            Concat(f32[n, 2], f32[n, 3]) axis=1 -> f32[n, 5]
            Concat(f32[a, 2], f32[b, ?]) axis=0 -> f32[a + b, 2]
            Concat(f32[?, 2], f32[b, 2]) axis=-2 -> f32[?, 2]
            Concat(f32[2], f32[..]) axis=0 -> f32[?]
            Concat(f32[..], f32[..]) axis=0 -> f32[..]
            Concat(f32[2], ?) axis=0 -> f32[?]
            Concat(f32[2, 3], f32[2, 4]) axis=0
                -> ! inputs do not fit together: f32[2, 3] and f32[2, 4]
            Concat(f32[2], f32[2, 4]) axis=0 -> ! inputs do not fit together: f32[2] and f32[2, 4]
            Concat(f32[2], i64[2]) axis=0 -> ! inputs do not fit together: f32[2] and i64[2]
            Concat(i64[2]{b, n}, i64[2]{4, 8}) axis=0 -> i64[4]{b, n, 4, 8}
            Pad(f32[n, 3, h], i64[6]{0, 0, 1, 0, 0, 2}) -> f32[n, 3, h + 3]
            Pad(f32[n, 3], i64[2]{-1, 0}, -, i64[1]{1}) @18 -> f32[n, 2]
            Pad(f32[n, 3]) pads=[1, 0, 1, 0] @9 -> f32[n + 2, 3]
            Pad(f32[n, 3], i64[4]) -> f32[?, ?]
            Pad(f32[n, 3], i64[2]{0, 1}) -> ! 2 pads do not fit 2 axes
            Pad(f32[1], i64[2]{-1, -1}) -> ! a dimension would be -1
            Split(f32[n, 6]) axis=1 -> f32[n, 3], f32[n, 3]
            Split(f32[n, 6]) axis=0 -> f32[floor(n/2), 6], f32[floor(n/2), 6]
            Split(f32[n, 6], i64[2]{2, 4}) axis=-1 -> f32[n, 2], f32[n, 4]
            Split(f32[n, 6]) axis=1 split=[1, 5] @11 -> f32[n, 1], f32[n, 5]
            Split(f32[n, 7]) axis=1 num_outputs=3 @18 -> f32[n, 3], f32[n, 3], f32[n, 1]
            Split(f32[n, 7]) axis=1 @18
                -> ! needs the attribute `num_outputs` or the sizes of the parts
            Split(f32[n, 7]) num_outputs=2 @18 -> ! splits into 2 parts, but has 1 outputs
            Split(f32[n, 7], i64[1]{6}) axis=1 -> ! the parts have 6 elements, the axis 7
            Split(f32[..]) -> f32[..], f32[..]
            Tile(f32[n, 3], i64[2]{2, m}) -> f32[2*n, 3*m]
            Tile(f32[n, 3], i64[2]) -> f32[?, ?]
            Tile(f32[n, 3], i64[1]{2}) -> ! 1 repeats do not fit a tensor of rank 2
            ",
        );
    }
}

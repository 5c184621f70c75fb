//! Reductions along axes, and what depends on an order along an axis.

use crate::operators::{
    Axes, Context, Form, Inference, Operator, Stop, form, int, one, one_with, optional, required,
};
use crate::{AttributeKind, AttributeRule, Contents, Dim, ElementType, Expr, Fact};

const AXES: AttributeRule = optional("axes", AttributeKind::Ints);
const KEEP: AttributeRule = int("keepdims", 1);
const NOOP: AttributeRule = int("noop_with_empty_axes", 0);

/// Axes are an attribute until an operator set, then an input.
const INPUT_13: &[Form] = &[
    form(1, [1, 1], [1, 1], &[AXES, KEEP]),
    form(13, [1, 2], [1, 1], &[KEEP, NOOP]),
];
const INPUT_18: &[Form] = &[
    form(1, [1, 1], [1, 1], &[AXES, KEEP]),
    form(18, [1, 2], [1, 1], &[KEEP, NOOP]),
];
const ARG: &[Form] = &[
    form(1, [1, 1], [1, 1], &[int("axis", 0), KEEP]),
    form(
        12,
        [1, 1],
        [1, 1],
        &[int("axis", 0), KEEP, int("select_last_index", 0)],
    ),
];

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("ArgMax", ARG, arg),
    Operator::new("ArgMin", ARG, arg),
    Operator::new(
        "CumSum",
        &[form(
            11,
            [2, 2],
            [1, 1],
            &[int("exclusive", 0), int("reverse", 0)],
        )],
        cumulative,
    ),
    Operator::new("ReduceL1", INPUT_18, reduce),
    Operator::new("ReduceL2", INPUT_18, reduce),
    Operator::new("ReduceLogSum", INPUT_18, reduce),
    Operator::new("ReduceLogSumExp", INPUT_18, reduce),
    Operator::new("ReduceMax", INPUT_18, |ctx| followed(ctx, Expr::maximum)),
    Operator::new("ReduceMean", INPUT_18, reduce),
    Operator::new("ReduceMin", INPUT_18, |ctx| followed(ctx, Expr::minimum)),
    Operator::new("ReduceProd", INPUT_18, |ctx| followed(ctx, Expr::mul)),
    Operator::new("ReduceSum", INPUT_13, |ctx| followed(ctx, Expr::add)),
    Operator::new("ReduceSumSquare", INPUT_18, reduce),
    Operator::new(
        "TopK",
        &[
            form(
                1,
                [1, 1],
                [2, 2],
                &[int("axis", -1), required("k", AttributeKind::Int)],
            ),
            form(10, [2, 2], [2, 2], &[int("axis", -1)]),
            form(
                11,
                [2, 2],
                [2, 2],
                &[int("axis", -1), int("largest", 1), int("sorted", 1)],
            ),
        ],
        top_k,
    ),
];

fn reduce(ctx: &Context<'_>) -> Inference {
    let (element_type, shape) = ctx.ranked(0)?;
    let keep = ctx.flag("keepdims")?;
    let axes = match ctx.axes(1) {
        Axes::Known(axes) if !axes.is_empty() => ctx.distinct_axes(&axes, shape.len())?,
        // With the dimensions kept, the rank follows without the axes.
        Axes::Unknown if keep => return one(element_type, shape.iter().map(|_| Dim::Unknown)),
        Axes::Unknown => return Err(Stop::Unranked(element_type)),
        // No axes are all axes, or none with the attribute of newer forms.
        Axes::All | Axes::Known(_) => match ctx.optional_int("noop_with_empty_axes") {
            None | Some(0) => (0..shape.len()).collect(),
            Some(_) => return super::unary::same(ctx),
        },
    };
    one(element_type, reduced(shape, &axes, keep))
}

fn reduced(shape: &[Dim], axes: &[usize], keep: bool) -> Vec<Dim> {
    let dims = shape.iter().enumerate();
    let dims = dims.filter_map(|(index, dim)| match (axes.contains(&index), keep) {
        (true, true) => Some(Dim::Fixed(1)),
        (true, false) => None,
        (false, _) => Some(dim.clone()),
    });
    dims.collect()
}

/// A reduction that is followed through small integer vectors.
fn followed(ctx: &Context<'_>, join: fn(&Expr, &Expr) -> Option<Expr>) -> Inference {
    let mut known = reduce(ctx)?;
    let is_vector = ctx.shape_of(0).is_some_and(|shape| shape.len() == 1);
    let total = || -> Option<Contents> {
        let mut elements = ctx.contents(0)?.iter();
        let first = elements.next()?.clone();
        let total = elements.fold(first, |sum, e| join(&sum?, e.as_ref()?));
        Some(vec![total])
    };
    let is_total = |fact: &Fact| matches!(fact.shape.as_deref(), Some([] | [Dim::Fixed(1)]));
    if let Some(known) = known.first_mut().filter(|_| is_vector)
        && known.fact.as_ref().is_some_and(is_total)
    {
        known.contents = total();
    }
    Ok(known)
}

fn arg(ctx: &Context<'_>) -> Inference {
    let Some(shape) = ctx.shape_of(0) else {
        return one_with(Fact::unranked(ElementType::Int64), None);
    };
    let axis = ctx.axis(ctx.int("axis")?, shape.len())?;
    one(
        ElementType::Int64,
        reduced(shape, &[axis], ctx.flag("keepdims")?),
    )
}

fn cumulative(ctx: &Context<'_>) -> Inference {
    let (_, shape) = ctx.ranked(0)?;
    if let Some([axis]) = ctx.constants(1).as_deref() {
        ctx.axis(*axis, shape.len())?;
    }
    super::unary::same(ctx)
}

/// The largest or smallest `k` elements along an axis, and their indices.
fn top_k(ctx: &Context<'_>) -> Inference {
    let (element_type, shape) = match ctx.ranked(0) {
        Err(Stop::Unranked(element_type)) => {
            let outputs = [element_type, ElementType::Int64];
            return Ok(outputs.map(|t| Fact::unranked(t).into()).to_vec());
        }
        other => other?,
    };
    let axis = ctx.axis(ctx.int("axis")?, shape.len())?;
    let k = match (ctx.optional_int("k"), ctx.contents(1)) {
        (Some(k), _) => Some(Expr::constant(k)),
        (None, Some([k])) => k.clone(),
        _ => None,
    };
    let k = ctx.dim(k)?;
    if let (Some(k), Some(size)) = (k.fixed(), shape[axis].fixed())
        && k > size
    {
        return Err(ctx.error(format!("k is {k}, but the axis has {size} elements")));
    }
    let mut dims = shape.to_vec();
    dims[axis] = k;
    let indices = Fact::new(ElementType::Int64, dims.clone());
    Ok(vec![Fact::new(element_type, dims).into(), indices.into()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::testing;

    #[test]
    fn inference() {
        let each: String = [
            "ReduceL1",
            "ReduceL2",
            "ReduceLogSum",
            "ReduceLogSumExp",
            "ReduceMax",
            "ReduceMean",
            "ReduceMin",
            "ReduceProd",
            "ReduceSumSquare",
        ]
        .iter()
        .map(|name| {
            format!(
                "
                {name}(f32[b, n, 4]) axes=[-1] -> f32[b, n, 1]
                {name}(f32[b, n, 4]) axes=[0, 2] keepdims=0 -> f32[n]
                {name}(f32[b, n, 4]) -> f32[1, 1, 1]
                {name}(f32[b, n, 4]) keepdims=0 -> f32[]
                {name}(f32[b, n, 4], i64[1]{{1}}) -> ! takes 1 to 1 inputs, found 2
                {name}(f32[b, n, 4], i64[1]{{1}}) @18 -> f32[b, 1, 4]
                {name}(f32[b, n, 4], i64[2]{{0, -1}}) keepdims=0 @18 -> f32[n]
                {name}(f32[b, n, 4]) axes=[1] @18
                    -> ! has the form of operator sets before 18, the model has 18
                "
            )
        })
        .collect();
        let rest = "
            ReduceSum(f32[b, n, 4], i64[1]{1}) -> f32[b, 1, 4]
            ReduceSum(f32[b, n, 4]) axes=[1] @12 -> f32[b, 1, 4]
            ReduceSum(f32[b, n, 4]) axes=[1] @13
                -> ! has the form of operator sets before 13, the model has 13
            ReduceSum(f32[b, n, 4]) noop_with_empty_axes=1 -> f32[b, n, 4]
            ReduceSum(f32[b, n], i64[0]{}) -> f32[1, 1]
            ReduceSum(f32[b, n], i64[1]) -> f32[?, ?]
            ReduceSum(f32[b, n], i64[1]) keepdims=0 -> f32[..]
            ReduceSum(f32[b, n], i64[1]{2}) -> ! axis 2 is outside a tensor of rank 2
            ReduceSum(f32[b, n], i64[2]{1, -1}) -> ! axis -1 is named twice
            ReduceSum(i64[2]{n, 3}) keepdims=0 -> i64[]{n + 3}
            ReduceProd(i64[3]{b, n, 4}) keepdims=0 -> i64[]{4*b*n}
            ReduceProd(i64[3]{b, n, 4}) -> i64[1]{4*b*n}
            ReduceMax(i64[2]{n, 4}) keepdims=0 -> i64[]{max(4, n)}
            ArgMax(f32[b, n]) axis=-1 keepdims=0 -> i64[b]
            ArgMax(f32[b, n]) select_last_index=1 -> i64[1, n]
            ArgMax(f32[b, n]) select_last_index=1 @11
                -> ! attribute `select_last_index` needs operator set 12, the model has 11
            ArgMin(f32[..]) -> i64[..]
            ArgMin(f32[b, n]) axis=2 -> ! axis 2 is outside a tensor of rank 2
            CumSum(f32[b, n], i64[]{1}) -> f32[b, n]
            CumSum(f32[b, n], i64[]{2}) -> ! axis 2 is outside a tensor of rank 2
            TopK(f32[b, n], i64[1]{3}) -> f32[b, 3], i64[b, 3]
            TopK(f32[b, n], i64[1]) axis=0 -> f32[?, n], i64[?, n]
            TopK(f32[b, n]) k=2 @9 -> f32[b, 2], i64[b, 2]
            TopK(f32[..], i64[1]{3}) -> f32[..], i64[..]
        ";
        testing::check(OPERATORS, &(each + rest));
    }
}

//! Elements picked or placed by index.

use crate::operators::unary::same;
use crate::operators::{
    Context, Inference, Operator, Stop, form, int, one, one_with, optional, text,
};
use crate::{AttributeKind, Contents, Dim, ElementType, Fact};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new(
        "Compress",
        &[form(
            9,
            [2, 2],
            [1, 1],
            &[optional("axis", AttributeKind::Int)],
        )],
        compress,
    ),
    Operator::new(
        "Gather",
        &[form(1, [2, 2], [1, 1], &[int("axis", 0)])],
        gather,
    ),
    Operator::new(
        "GatherElements",
        &[form(11, [2, 2], [1, 1], &[int("axis", 0)])],
        gather_elements,
    ),
    Operator::new(
        "GatherND",
        &[
            form(11, [2, 2], [1, 1], &[]),
            form(12, [2, 2], [1, 1], &[int("batch_dims", 0)]),
        ],
        gather_nd,
    ),
    Operator::new("NonZero", &[form(9, [1, 1], [1, 1], &[])], non_zero),
    Operator::new(
        "OneHot",
        &[form(9, [3, 3], [1, 1], &[int("axis", -1)])],
        one_hot,
    ),
    Operator::new(
        "ScatterElements",
        &[
            form(11, [3, 3], [1, 1], &[int("axis", 0)]),
            form(
                16,
                [3, 3],
                [1, 1],
                &[int("axis", 0), text("reduction", "none")],
            ),
        ],
        scatter,
    ),
    Operator::new(
        "ScatterND",
        &[
            form(11, [3, 3], [1, 1], &[]),
            form(16, [3, 3], [1, 1], &[text("reduction", "none")]),
        ],
        scatter,
    ),
    Operator::new(
        "Trilu",
        &[form(14, [1, 2], [1, 1], &[int("upper", 1)])],
        triangle,
    ),
];

fn gather(ctx: &Context<'_>) -> Inference {
    let indices = ctx.indices(1)?;
    let (element_type, shape) = ctx.ranked(0)?;
    let Some(index) = &indices.shape else {
        return Err(Stop::Unranked(element_type));
    };
    let axis = ctx.axis(ctx.int("axis")?, shape.len())?;
    let dims = shape[..axis].iter().chain(index).chain(&shape[axis + 1..]);
    let fact = Fact::new(element_type, dims.cloned());
    let small = shape.len() == 1 && index.len() < 2;
    one_with(fact, small.then(|| picked(ctx)).flatten())
}

/// The elements that a constant index picks from a small vector.
fn picked(ctx: &Context<'_>) -> Option<Contents> {
    let data = ctx.contents(0)?;
    let pick = |index: &i64| {
        let index = usize::try_from(*index).ok().or_else(|| {
            let back = usize::try_from(index.checked_neg()?).ok()?;
            data.len().checked_sub(back)
        });
        data.get(index?).cloned()
    };
    ctx.constants(1)?.iter().map(pick).collect()
}

fn same_rank(ctx: &Context<'_>) -> Result<(), Stop> {
    match (ctx.fact_of(0), ctx.fact_of(1)) {
        (Some(a), Some(b)) if a.rank().zip(b.rank()).is_some_and(|(a, b)| a != b) => {
            Err(ctx.error(format!("data and indices differ in rank: {a} and {b}")))
        }
        _ => Ok(()),
    }
}

/// The shape of the indices, which have the data's rank.
fn gather_elements(ctx: &Context<'_>) -> Inference {
    let indices = ctx.indices(1)?;
    same_rank(ctx)?;
    let shape = indices.shape.clone();
    if let Some(shape) = &shape {
        ctx.axis(ctx.int("axis")?, shape.len())?;
    }
    let element_type = ctx.fact(0)?.element_type;
    one_with(
        Fact {
            element_type,
            shape,
        },
        None,
    )
}

/// The last axis of the indices is one index into the data, behind the batch dimensions.
fn gather_nd(ctx: &Context<'_>) -> Inference {
    let (element_type, shape) = ctx.ranked(0)?;
    let index = ctx.shape_of(1).ok_or(Stop::Unranked(element_type))?;
    let batch = ctx
        .optional_int("batch_dims")
        .map_or(Ok(0), usize::try_from);
    let batch = batch.map_err(|_| ctx.error("`batch_dims` is negative"))?;
    let Some((depth, front)) = index.split_last() else {
        return Err(ctx.error("needs indices of rank 1 or more"));
    };
    let Some(depth) = depth.fixed().and_then(|depth| usize::try_from(depth).ok()) else {
        return Err(Stop::Unranked(element_type));
    };
    let skipped = batch
        .checked_add(depth)
        .filter(|skipped| *skipped <= shape.len());
    let rest = skipped
        .and_then(|skipped| shape.get(skipped..))
        .ok_or_else(|| {
            let rank = shape.len();
            ctx.error(format!(
                "indices of {depth} numbers do not fit a tensor of rank {rank}"
            ))
        })?;
    one(element_type, front.iter().chain(rest).cloned())
}

/// The data with some elements replaced.
fn scatter(ctx: &Context<'_>) -> Inference {
    ctx.same_type(0, 2)?;
    if ctx.node().op_type == "ScatterElements" {
        ctx.indices(1)?;
        same_rank(ctx)?;
        let (_, shape) = ctx.ranked(0)?;
        ctx.axis(ctx.int("axis")?, shape.len())?;
    }
    same(ctx)
}

/// A new axis of `depth` elements; the type is that of the values.
fn one_hot(ctx: &Context<'_>) -> Inference {
    let element_type = ctx.fact(2)?.element_type;
    let shape = ctx.shape_of(0).ok_or(Stop::Unranked(element_type))?;
    let axis = ctx.axis(ctx.int("axis")?, shape.len() + 1)?;
    let depth = match ctx.contents(1) {
        Some([depth]) => depth.clone(),
        _ => None,
    };
    let mut dims = shape.to_vec();
    dims.insert(axis, ctx.dim(depth)?);
    one(element_type, dims)
}

/// One row per axis; the number of columns is only known when the graph runs.
fn non_zero(ctx: &Context<'_>) -> Inference {
    let rows = ctx.shape_of(0).map(|shape| shape.len() as u64);
    one(
        ElementType::Int64,
        [rows.map_or(Dim::Unknown, Dim::Fixed), Dim::Unknown],
    )
}

fn compress(ctx: &Context<'_>) -> Inference {
    let Some(axis) = ctx.optional_int("axis") else {
        return one(ctx.fact(0)?.element_type, [Dim::Unknown]);
    };
    let (element_type, shape) = ctx.ranked(0)?;
    let mut dims = shape.to_vec();
    dims[ctx.axis(axis, shape.len())?] = Dim::Unknown;
    one(element_type, dims)
}

fn triangle(ctx: &Context<'_>) -> Inference {
    let (_, shape) = ctx.ranked(0)?;
    match shape.len() {
        0 | 1 => Err(ctx.error("needs matrices")),
        _ => same(ctx),
    }
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
            Compress(f32[n, 4], bool[n]) axis=0 -> f32[?, 4]
            Compress(f32[n, 4], bool[n]) -> f32[?]
            Gather(f32[30522, 384], i64[batch*sequence]) -> f32[batch*sequence, 384]
            Gather(f32[b, n, 8], i64[]) axis=1 -> f32[b, 8]
            Gather(f32[b, n, 8], i32[2, m]) axis=-1 -> f32[b, n, 2, m]
            Gather(f32[b, n], f32[2]) -> ! indices must be i32 or i64, found f32[2]
            Gather(f32[b, n], i64[2]) axis=2 -> ! axis 2 is outside a tensor of rank 2
            Gather(f32[b, n], i64[..]) -> f32[..]
            Gather(i64[3]{b, n, 8}, i64[]{1}) -> i64[]{n}
            Gather(i64[3]{b, n, 8}, i64[2]{-1, 0}) -> i64[2]{8, b}
            Gather(i64[3]{b, n, 8}, i64[1]) -> i64[1]
            GatherElements(f32[b, n], i64[b, 3]) axis=1 -> f32[b, 3]
            GatherElements(f32[b, n], i64[3])
                -> ! data and indices differ in rank: f32[b, n] and i64[3]
            GatherND(f32[b, n, 8], i64[m, 2]) -> f32[m, 8]
            GatherND(f32[b, n, 8], i64[b, 1]) batch_dims=1 -> f32[b, 8]
            GatherND(f32[b], i64[m, 2]) -> ! indices of 2 numbers do not fit a tensor of rank 1
            GatherND(f32[b], i64[m, k]) -> f32[..]
            NonZero(f32[b, n]) -> i64[2, ?]
            NonZero(f32[]) -> i64[0, ?]
            NonZero(f32[..]) -> i64[?, ?]
            OneHot(i64[b], i64[]{10}, f32[2]) -> f32[b, 10]
            OneHot(i64[b, n], i64[1], bool[2]) axis=0 -> bool[?, b, n]
            ScatterElements(f32[b, n], i64[b, 2], f32[b, 2]) axis=1 -> f32[b, n]
            ScatterElements(f32[b, n], i64[b, 2], f32[b, 2]) axis=2
                -> ! axis 2 is outside a tensor of rank 2
            ScatterND(f32[b, n], i64[m, 1], f32[m, n]) reduction=\"add\" -> f32[b, n]
            ScatterND(f32[b, n], i64[m, 1], i64[m, n])
                -> ! inputs differ in type: f32[b, n] and i64[m, n]
            Trilu(f32[n, n]) upper=0 -> f32[n, n]
            Trilu(f32[n]) -> ! needs matrices
            ",
        );
    }
}

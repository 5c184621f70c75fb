//! Functions of several tensors, element by element, that are broadcast together.

use crate::operators::{
    Context, Form, Inference, MANY, Operator, Stop, form, int, one_with, required,
};
use crate::{AttributeKind, Contents, Dim, Expr, Fact};

const TWO: &[Form] = &[form(1, [2, 2], [1, 1], &[])];
const TWO_18: &[Form] = &[form(18, [2, 2], [1, 1], &[])];
const SEVERAL: &[Form] = &[form(1, [1, MANY], [1, 1], &[])];

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("Add", TWO, |ctx| followed(ctx, Expr::add)),
    Operator::new(
        "BitShift",
        &[form(
            11,
            [2, 2],
            [1, 1],
            &[required("direction", AttributeKind::String)],
        )],
        one_type,
    ),
    Operator::new("BitwiseAnd", TWO_18, one_type),
    Operator::new("BitwiseOr", TWO_18, one_type),
    Operator::new("BitwiseXor", TWO_18, one_type),
    Operator::new("Div", TWO, |ctx| followed(ctx, quotient)),
    Operator::new("Max", SEVERAL, |ctx| followed(ctx, Expr::maximum)),
    Operator::new("Mean", SEVERAL, one_type),
    Operator::new("Min", SEVERAL, |ctx| followed(ctx, Expr::minimum)),
    Operator::new(
        "Mod",
        &[form(10, [2, 2], [1, 1], &[int("fmod", 0)])],
        one_type,
    ),
    Operator::new("Mul", TWO, |ctx| followed(ctx, Expr::mul)),
    Operator::new("PRelu", TWO, slope),
    Operator::new("Pow", TWO, power),
    Operator::new("Sub", TWO, |ctx| followed(ctx, Expr::sub)),
    Operator::new("Sum", SEVERAL, one_type),
];

/// The shape of all inputs from `first` on broadcast together, if each has a known rank.
pub(super) fn broadcast_all(
    ctx: &Context<'_>,
    inputs: impl IntoIterator<Item = usize>,
) -> Result<Option<Vec<Dim>>, Stop> {
    let mut shape = Some(Vec::new());
    for index in inputs {
        shape = match (shape, ctx.shape_of(index)) {
            (Some(a), Some(b)) => Some(ctx.broadcast(&a, b)?),
            _ => None,
        };
    }
    Ok(shape)
}

/// Inputs of one type give an output of that type.
fn one_type(ctx: &Context<'_>) -> Inference {
    for index in 1..ctx.inputs() {
        ctx.same_type(0, index)?;
    }
    let shape = broadcast_all(ctx, 0..ctx.inputs())?;
    let known = (0..ctx.inputs()).find_map(|index| ctx.fact_of(index));
    let element_type = known.ok_or(Stop::Unknown)?.element_type;
    Ok(vec![
        Fact {
            element_type,
            shape,
        }
        .into(),
    ])
}

/// As [`one_type`], with the elements of small integer tensors.
fn followed(ctx: &Context<'_>, join: fn(&Expr, &Expr) -> Option<Expr>) -> Inference {
    let mut known = one_type(ctx)?;
    let small = known
        .iter()
        .all(|k| k.fact.as_ref().and_then(Fact::rank).is_some_and(|r| r < 2));
    if small && let Some(first) = known.first_mut() {
        first.contents = join_contents(ctx, join);
    }
    Ok(known)
}

fn join_contents(ctx: &Context<'_>, join: fn(&Expr, &Expr) -> Option<Expr>) -> Option<Contents> {
    let mut all: Contents = ctx.contents(0)?.to_vec();
    for index in 1..ctx.inputs() {
        let next = ctx.contents(index)?;
        let pairs = pairs(&all, next)?;
        all = pairs.into_iter().map(|(a, b)| join(a?, b?)).collect();
    }
    Some(all)
}

/// The elements of two vectors at one index.
pub(super) type Pair<'a> = (Option<&'a Expr>, Option<&'a Expr>);

/// Elements of two vectors or scalars broadcast together.
pub(super) fn pairs<'a>(a: &'a [Option<Expr>], b: &'a [Option<Expr>]) -> Option<Vec<Pair<'a>>> {
    let length = match (a.len(), b.len()) {
        (a, b) if a == b || b == 1 => a,
        (1, b) => b,
        _ => return None,
    };
    let at = |all: &'a [Option<Expr>], index: usize| match all {
        [only] => only.as_ref(),
        _ => all.get(index).and_then(Option::as_ref),
    };
    Some(
        (0..length)
            .map(|index| (at(a, index), at(b, index)))
            .collect(),
    )
}

/// The integer quotient. It is rounded towards zero, which is the floor if both are not negative.
fn quotient(a: &Expr, b: &Expr) -> Option<Expr> {
    let whole = a.is_nonnegative() && b.is_nonnegative();
    whole.then(|| a.floor_div(b)).flatten()
}

/// The exponent may have another type than the base.
fn power(ctx: &Context<'_>) -> Inference {
    let element_type = ctx.fact(0)?.element_type;
    let shape = broadcast_all(ctx, 0..2)?;
    one_with(
        Fact {
            element_type,
            shape,
        },
        None,
    )
}

/// The slope is broadcast to the data, whose shape stays.
fn slope(ctx: &Context<'_>) -> Inference {
    ctx.same_type(0, 1)?;
    broadcast_all(ctx, 0..2)?;
    super::unary::same(ctx)
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
            Add(f32[batch, 1, 4], f32[n, 4]) -> f32[batch, n, 4]
            Add(f32[a, 3], f32[b, 1]) -> f32[broadcast(a, b), 3]
            Add(f32[?, 3], f32[2, ?]) -> f32[2, 3]
            Add(f32[..], f32[2]) -> f32[..]
            Add(?, f32[2]) -> f32[..]
            Add(f32[2, 3], f32[4, 5]) -> ! shapes f32[2, 3] and f32[4, 5] cannot be broadcast
            Add(f32[2], i64[2]) -> ! inputs differ in type: f32[2] and i64[2]
            Add(f32[2]) -> ! takes 2 to 2 inputs, found 1
            Add(i64[2]{n, 3}, i64[]{1}) -> i64[2]{n + 1, 4}
            BitShift(u8[n], u8[1]) direction=\"LEFT\" -> u8[n]
            BitwiseAnd(i32[n], i32[n]) @18 -> i32[n]
            BitwiseOr(i32[n], i32[1]) @18 -> i32[n]
            BitwiseXor(i32[1], i32[n]) @18 -> i32[n]
            Div(i64[1]{n}, i64[1]{2}) -> i64[1]{floor(n/2)}
            Div(i64[1]{-3}, i64[1]{2}) -> i64[1]{?}
            Div(f32[n], f32[]) -> f32[n]
            Max(f32[n, 1], f32[], f32[m]) -> f32[n, m]
            Max(i64[]{n}, i64[]{1}) -> i64[]{max(1, n)}
            Mean(f32[n], f32[n]) -> f32[n]
            Min(i64[2]{n, 4}, i64[2]{n, 3}) -> i64[2]{n, 3}
            Mod(i64[n], i64[]) -> i64[n]
            Mul(i64[1]{batch}, i64[1]{sequence}) -> i64[1]{batch*sequence}
            PRelu(f32[n, c, 8], f32[c, 1]) -> f32[n, c, 8]
            PRelu(f32[2, 3], f32[4]) -> ! shapes f32[2, 3] and f32[4] cannot be broadcast
            Pow(f32[n], i64[]) -> f32[n]
            Sub(i64[]{n}, i64[]{n}) -> i64[]{0}
            Sum(f32[n], f32[1], f32[n]) -> f32[n]
            Sum(f32[n]) -> f32[n]
            ",
        );
    }
}

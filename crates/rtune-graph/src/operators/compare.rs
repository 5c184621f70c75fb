//! Comparisons, boolean functions, and the choice between two tensors.

use crate::operators::binary::{Pair, broadcast_all, pairs};
use crate::operators::{Context, Form, Inference, Operator, Stop, form, int, one_with};
use crate::{Contents, ElementType, Expr, Fact};

const TWO: &[Form] = &[form(1, [2, 2], [1, 1], &[])];
const TWO_12: &[Form] = &[form(12, [2, 2], [1, 1], &[])];

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("And", TWO, boolean),
    Operator::new("Equal", TWO, equal),
    Operator::new("Greater", TWO, compare),
    Operator::new("GreaterOrEqual", TWO_12, compare),
    Operator::new(
        "IsInf",
        &[form(
            10,
            [1, 1],
            [1, 1],
            &[int("detect_negative", 1), int("detect_positive", 1)],
        )],
        predicate,
    ),
    Operator::new("IsNaN", &[form(9, [1, 1], [1, 1], &[])], predicate),
    Operator::new("Less", TWO, compare),
    Operator::new("LessOrEqual", TWO_12, compare),
    Operator::new("Not", &[form(1, [1, 1], [1, 1], &[])], boolean),
    Operator::new("Or", TWO, boolean),
    Operator::new("Where", &[form(9, [3, 3], [1, 1], &[])], choose),
    Operator::new("Xor", TWO, boolean),
];

fn bools(ctx: &Context<'_>) -> Result<Fact, Stop> {
    let shape = broadcast_all(ctx, 0..ctx.inputs())?;
    Ok(Fact {
        element_type: ElementType::Bool,
        shape,
    })
}

fn compare(ctx: &Context<'_>) -> Inference {
    ctx.same_type(0, 1)?;
    one_with(bools(ctx)?, None)
}

fn predicate(ctx: &Context<'_>) -> Inference {
    one_with(bools(ctx)?, None)
}

fn boolean(ctx: &Context<'_>) -> Inference {
    for index in 0..ctx.inputs() {
        expect_bool(ctx, index)?;
    }
    one_with(bools(ctx)?, None)
}

fn expect_bool(ctx: &Context<'_>, index: usize) -> Result<(), Stop> {
    match ctx.fact_of(index) {
        Some(fact) if fact.element_type != ElementType::Bool => Err(ctx.error(format!(
            "input `{}` must be bool, found {fact}",
            ctx.name(index)
        ))),
        _ => Ok(()),
    }
}

fn equal(ctx: &Context<'_>) -> Inference {
    ctx.same_type(0, 1)?;
    let contents = ctx.contents(0).zip(ctx.contents(1)).and_then(|(a, b)| {
        let pairs = pairs(a, b)?;
        Some(pairs.into_iter().map(|(a, b)| truth(a?, b?)).collect())
    });
    one_with(bools(ctx)?, contents)
}

/// 1 if two expressions are equal and 0 if not, if their difference decides it.
fn truth(a: &Expr, b: &Expr) -> Option<Expr> {
    let difference = a.sub(b)?;
    let one = Expr::constant(1);
    if let Some(difference) = difference.as_constant() {
        return Some(Expr::constant(i64::from(difference == 0)));
    }
    let apart = one.at_most(&difference) || difference.at_most(&Expr::constant(-1));
    apart.then(|| Expr::constant(0))
}

fn choose(ctx: &Context<'_>) -> Inference {
    expect_bool(ctx, 0)?;
    ctx.same_type(1, 2)?;
    let known = ctx.fact_of(1).or(ctx.fact_of(2)).ok_or(Stop::Unknown)?;
    let fact = Fact {
        element_type: known.element_type,
        shape: broadcast_all(ctx, 0..3)?,
    };
    let small = fact.rank().is_some_and(|rank| rank < 2);
    one_with(fact, small.then(|| chosen(ctx)).flatten())
}

fn chosen(ctx: &Context<'_>) -> Option<Contents> {
    let sides = pairs(ctx.contents(1)?, ctx.contents(2)?)?;
    let first: Contents = sides.iter().map(|(a, _)| a.cloned()).collect();
    let second: Contents = sides.iter().map(|(_, b)| b.cloned()).collect();
    let on_true = pairs(ctx.contents(0)?, &first)?;
    let on_false = pairs(ctx.contents(0)?, &second)?;
    let choose = |((condition, a), (_, b)): (Pair<'_>, Pair<'_>)| {
        let condition = condition.and_then(Expr::as_constant)?;
        if condition != 0 { a } else { b }.cloned()
    };
    Some(on_true.into_iter().zip(on_false).map(choose).collect())
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
            And(bool[n, 1], bool[m]) -> bool[n, m]
            And(bool[n], f32[n]) -> ! input `in1` must be bool, found f32[n]
            Equal(f32[n, 1], f32[m]) -> bool[n, m]
            Equal(f32[..], f32[m]) -> bool[..]
            Equal(?, ?) -> bool[..]
            Equal(i64[3]{n, -1, n}, i64[]{-1}) -> bool[3]{0, 1, 0}
            Equal(i64[2]{n, m}, i64[2]{n, 4}) -> bool[2]{1, ?}
            Greater(i64[n], i64[]) -> bool[n]
            GreaterOrEqual(i64[n], i64[]) -> bool[n]
            Less(i64[n], f32[]) -> ! inputs differ in type: i64[n] and f32[]
            LessOrEqual(f32[2], f32[3]) -> ! shapes f32[2] and f32[3] cannot be broadcast
            IsInf(f32[n, 2]) detect_negative=0 -> bool[n, 2]
            IsNaN(f32[n, 2]) -> bool[n, 2]
            Less(f32[n], f32[]) -> bool[n]
            LessOrEqual(f32[n], f32[]) -> bool[n]
            Not(bool[n]) -> bool[n]
            Not(f32[n]) -> ! input `in0` must be bool, found f32[n]
            Or(bool[n], bool[]) -> bool[n]
            Xor(bool[n], bool[n]) -> bool[n]
            Where(bool[n, 1], f32[], f32[m]) -> f32[n, m]
            Where(bool[n], f32[n], i64[n]) -> ! inputs differ in type: f32[n] and i64[n]
            Where(f32[n], f32[n], f32[n]) -> ! input `in0` must be bool, found f32[n]
            Where(?, f32[n], ?) -> f32[..]
            ",
        );
    }

    #[test]
    fn a_choice_between_shapes_is_followed() {
        testing::check(
            &[],
            "
            Where(bool[3]{1, 0, ?}, i64[]{1}, i64[3]{n, m, k}) -> i64[3]{1, m, ?}
            Where(bool[]{0}, i64[2]{1, 2}, i64[2]{n, m}) -> i64[2]{n, m}
            ",
        );
    }
}

//! Random numbers.

use crate::operators::{
    Context, Form, Inference, Operator, Stop, float, form, int, one, one_with, optional, required,
};
use crate::{AttributeKind, AttributeRule, Dim, Expr, Fact};

const DTYPE: AttributeRule = int("dtype", 1);
const LIKE: AttributeRule = optional("dtype", AttributeKind::Int);
const SEED: AttributeRule = optional("seed", AttributeKind::Float);
const SHAPE: AttributeRule = required("shape", AttributeKind::Ints);
const NORMAL: &[Form] = &[form(
    1,
    [0, 0],
    [1, 1],
    &[DTYPE, float("mean", 0.0), float("scale", 1.0), SEED, SHAPE],
)];
const UNIFORM: &[Form] = &[form(
    1,
    [0, 0],
    [1, 1],
    &[DTYPE, float("high", 1.0), float("low", 0.0), SEED, SHAPE],
)];

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new(
        "Bernoulli",
        &[form(15, [1, 1], [1, 1], &[LIKE, SEED])],
        like,
    ),
    Operator::new(
        "Multinomial",
        &[form(
            7,
            [1, 1],
            [1, 1],
            &[int("dtype", 6), int("sample_size", 1), SEED],
        )],
        multinomial,
    ),
    Operator::new("RandomNormal", NORMAL, of_shape),
    Operator::new(
        "RandomNormalLike",
        &[form(
            1,
            [1, 1],
            [1, 1],
            &[LIKE, float("mean", 0.0), float("scale", 1.0), SEED],
        )],
        like,
    ),
    Operator::new("RandomUniform", UNIFORM, of_shape),
    Operator::new(
        "RandomUniformLike",
        &[form(
            1,
            [1, 1],
            [1, 1],
            &[LIKE, float("high", 1.0), float("low", 0.0), SEED],
        )],
        like,
    ),
];

fn of_shape(ctx: &Context<'_>) -> Inference {
    let element_type = ctx.element_type(ctx.int("dtype")?)?;
    let shape = ctx.ints("shape").ok_or(Stop::Unranked(element_type))?;
    let dims = shape
        .iter()
        .map(|size| ctx.dim(Some(Expr::constant(*size))));
    one(element_type, dims.collect::<Result<Vec<_>, _>>()?)
}

/// The shape of the input, and its type unless the node states another.
fn like(ctx: &Context<'_>) -> Inference {
    let input = ctx.fact_of(0);
    let element_type = match (ctx.optional_int("dtype"), input) {
        (Some(code), _) => ctx.element_type(code)?,
        (None, input) => input.ok_or(Stop::Unknown)?.element_type,
    };
    let shape = input.and_then(|fact| fact.shape.clone());
    one_with(
        Fact {
            element_type,
            shape,
        },
        None,
    )
}

/// `[batch, classes]` → `[batch, samples]`.
fn multinomial(ctx: &Context<'_>) -> Inference {
    let element_type = ctx.element_type(ctx.int("dtype")?)?;
    let samples = ctx.dim(Some(Expr::constant(ctx.int("sample_size")?)))?;
    let batch = match ctx.shape_of(0) {
        Some([batch, _]) => batch.clone(),
        Some(shape) => {
            return Err(ctx.error(format!("needs a matrix, found rank {}", shape.len())));
        }
        None => Dim::Unknown,
    };
    one(element_type, [batch, samples])
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
            Bernoulli(f32[n, 2]) -> f32[n, 2]
            Bernoulli(f32[n, 2]) dtype=9 -> bool[n, 2]
            Multinomial(f32[n, 10]) sample_size=4 -> i32[n, 4]
            Multinomial(f32[n]) -> ! needs a matrix, found rank 1
            RandomNormal() shape=[2, 3] -> f32[2, 3]
            RandomNormal() shape=[2, -3] -> ! a dimension would be -3
            RandomNormal() -> ! needs the attribute `shape`
            RandomNormalLike(f32[n, 2]) dtype=11 -> f64[n, 2]
            RandomUniform() shape=[2] dtype=10 -> f16[2]
            RandomUniformLike(?) dtype=1 -> f32[..]
            RandomUniformLike(f32[n]) -> f32[n]
            ",
        );
    }
}

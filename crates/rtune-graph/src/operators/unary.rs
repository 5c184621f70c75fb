//! Functions of one tensor, element by element, that keep its type and shape.

use crate::facts::Known;
use crate::operators::{Context, Form, Inference, Operator, float, form, optional, text};
use crate::{AttributeKind, Contents};

/// One tensor, no attributes.
const PLAIN: &[Form] = &[form(1, [1, 1], [1, 1], &[])];
const PLAIN_7: &[Form] = &[form(7, [1, 1], [1, 1], &[])];
const PLAIN_9: &[Form] = &[form(9, [1, 1], [1, 1], &[])];
const PLAIN_18: &[Form] = &[form(18, [1, 1], [1, 1], &[])];

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("Abs", PLAIN, same),
    Operator::new("Acos", PLAIN_7, same),
    Operator::new("Acosh", PLAIN_9, same),
    Operator::new("Asin", PLAIN_7, same),
    Operator::new("Asinh", PLAIN_9, same),
    Operator::new("Atan", PLAIN_7, same),
    Operator::new("Atanh", PLAIN_9, same),
    Operator::new("BitwiseNot", PLAIN_18, same),
    Operator::new("Ceil", PLAIN, same),
    Operator::new(
        "Celu",
        &[form(12, [1, 1], [1, 1], &[float("alpha", 1.0)])],
        same,
    ),
    Operator::new(
        "Clip",
        &[
            form(
                1,
                [1, 1],
                [1, 1],
                &[float("max", f32::MAX), float("min", f32::MIN)],
            ),
            form(11, [1, 3], [1, 1], &[]),
        ],
        clip,
    ),
    Operator::new("Cos", PLAIN_7, same),
    Operator::new("Cosh", PLAIN_9, same),
    Operator::new(
        "Dropout",
        &[
            form(1, [1, 1], [1, 2], &[float("ratio", 0.5)]),
            form(12, [1, 3], [1, 2], &[optional("seed", AttributeKind::Int)]),
        ],
        dropout,
    ),
    Operator::new(
        "Elu",
        &[form(1, [1, 1], [1, 1], &[float("alpha", 1.0)])],
        same,
    ),
    Operator::new("Erf", PLAIN_9, same),
    Operator::new("Exp", PLAIN, same),
    Operator::new("Floor", PLAIN, same),
    Operator::new(
        "Gelu",
        &[form(20, [1, 1], [1, 1], &[text("approximate", "none")])],
        same,
    ),
    Operator::new(
        "HardSigmoid",
        &[form(
            1,
            [1, 1],
            [1, 1],
            &[float("alpha", 0.2), float("beta", 0.5)],
        )],
        same,
    ),
    Operator::new("HardSwish", &[form(14, [1, 1], [1, 1], &[])], same),
    Operator::new("Identity", PLAIN, identity),
    Operator::new(
        "LeakyRelu",
        &[form(1, [1, 1], [1, 1], &[float("alpha", 0.01)])],
        same,
    ),
    Operator::new("Log", PLAIN, same),
    Operator::new("Mish", PLAIN_18, same),
    Operator::new("Neg", PLAIN, negative),
    Operator::new("Reciprocal", PLAIN, same),
    Operator::new("Relu", PLAIN, same),
    Operator::new("Round", &[form(11, [1, 1], [1, 1], &[])], same),
    Operator::new(
        "Selu",
        &[form(
            1,
            [1, 1],
            [1, 1],
            &[float("alpha", 1.673_263_2), float("gamma", 1.050_701)],
        )],
        same,
    ),
    Operator::new(
        "Shrink",
        &[form(
            9,
            [1, 1],
            [1, 1],
            &[float("bias", 0.0), float("lambd", 0.5)],
        )],
        same,
    ),
    Operator::new("Sigmoid", PLAIN, same),
    Operator::new("Sign", PLAIN_9, same),
    Operator::new("Sin", PLAIN_7, same),
    Operator::new("Sinh", PLAIN_9, same),
    Operator::new("Softplus", PLAIN, same),
    Operator::new("Softsign", PLAIN, same),
    Operator::new("Sqrt", PLAIN, same),
    Operator::new(
        "Swish",
        &[form(24, [1, 1], [1, 1], &[float("alpha", 1.0)])],
        same,
    ),
    Operator::new("Tan", PLAIN_7, same),
    Operator::new("Tanh", PLAIN, same),
    Operator::new(
        "ThresholdedRelu",
        &[form(10, [1, 1], [1, 1], &[float("alpha", 1.0)])],
        same,
    ),
];

/// The type and shape of the first input.
pub(super) fn same(ctx: &Context<'_>) -> Inference {
    Ok(vec![ctx.fact(0)?.clone().into()])
}

fn with_contents(ctx: &Context<'_>, contents: Option<Contents>) -> Inference {
    let fact = Some(ctx.fact(0)?.clone());
    Ok(vec![Known { fact, contents }])
}

fn identity(ctx: &Context<'_>) -> Inference {
    with_contents(ctx, ctx.contents(0).map(<[_]>::to_vec))
}

fn negative(ctx: &Context<'_>) -> Inference {
    let negative = |e: &crate::Expr| crate::Expr::constant(0).sub(e);
    let contents = ctx.contents(0).map(|contents| {
        let elements = contents.iter().map(|e| e.as_ref().and_then(negative));
        elements.collect()
    });
    with_contents(ctx, contents)
}

fn clip(ctx: &Context<'_>) -> Inference {
    ctx.same_type(0, 1)?;
    ctx.same_type(0, 2)?;
    same(ctx)
}

/// The second output is the mask, which is boolean from operator set 10 on.
fn dropout(ctx: &Context<'_>) -> Inference {
    let data = ctx.fact(0)?;
    let mut mask = data.clone();
    if ctx.opset() >= 10 {
        mask.element_type = crate::ElementType::Bool;
    }
    Ok(vec![data.clone().into(), mask.into()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::testing;

    #[test]
    fn inference() {
        // Every row keeps the fact of its input.
        let special = ["Clip", "Dropout", "Identity", "Neg"];
        let plain = OPERATORS.iter().filter(|row| !special.contains(&row.name));
        let plain: String = plain
            .flat_map(|row| {
                let at = row.since().max(17);
                [
                    format!("{}(f32[n, 2]) @{at} -> f32[n, 2]\n", row.name),
                    format!("{}(f16[..]) @{at} -> f16[..]\n", row.name),
                    format!("{}(?) @{at} -> ?\n", row.name),
                ]
            })
            .collect();
        let special = "
            Clip(f32[n], -, f32[]) -> f32[n]
            Clip(f32[n]) @7 -> f32[n]
            Clip(f32[n], f64[]) -> ! inputs differ in type: f32[n] and f64[]
            Dropout(f32[n], f32[], bool[]) -> f32[n], bool[n]
            Dropout(f32[n]) ratio=0.1 @7 -> f32[n], f32[n]
            Dropout(f32[n]) ratio=0.1 @13
                -> ! has the form of operator sets before 12, the model has 13
            Identity(i64[2]{n, 3}) -> i64[2]{n, 3}
            Identity(f32[a, b]) -> f32[a, b]
            Neg(i64[3]{n, 3, ?}) -> i64[3]{-n, -3, ?}
        ";
        testing::check(OPERATORS, &(plain + special));
    }
}

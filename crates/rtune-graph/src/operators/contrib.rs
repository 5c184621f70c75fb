//! ONNX Runtime's contributed operators, which its optimizer writes.

use crate::operators::matmul::{gemm_shape, product};
use crate::operators::unary::same;
use crate::operators::{Context, Form, Inference, Operator, Stop, form, int, one, one_with};
use crate::{AttributeRule, Dim, ElementType, Fact};

const ONE: &[Form] = &[form(1, [1, 1], [1, 1], &[])];
const TRANS_A: AttributeRule = int("transA", 0);
const TRANS_B: AttributeRule = int("transB", 0);

pub(super) const OPERATORS: &[Operator] = &[
    Operator::contrib("BiasGelu", &[form(1, [2, 2], [1, 1], &[])], same),
    Operator::contrib(
        "DequantizeLinear",
        &[form(1, [2, 3], [1, 1], &[])],
        dequantize,
    ),
    Operator::contrib(
        "DynamicQuantizeMatMul",
        &[form(1, [3, 5], [1, 1], &[])],
        |ctx| float_product(ctx, (0, 1), 0),
    ),
    Operator::contrib("FastGelu", &[form(1, [1, 2], [1, 1], &[])], same),
    Operator::contrib(
        "FusedGemm",
        &[form(1, [2, 3], [1, 1], &[TRANS_A, TRANS_B])],
        fused_gemm,
    ),
    Operator::contrib(
        "FusedMatMul",
        &[form(
            1,
            [2, 2],
            [1, 1],
            &[
                TRANS_A,
                TRANS_B,
                int("transBatchA", 0),
                int("transBatchB", 0),
            ],
        )],
        fused_matmul,
    ),
    Operator::contrib("Gelu", ONE, same),
    Operator::contrib(
        "MatMulIntegerToFloat",
        &[form(1, [4, 7], [1, 1], &[])],
        |ctx| float_product(ctx, (0, 1), 2),
    ),
    Operator::contrib(
        "QGemm",
        &[form(1, [6, 9], [1, 1], &[TRANS_A, TRANS_B])],
        integer_gemm,
    ),
    Operator::contrib("QuantizeLinear", &[form(1, [2, 3], [1, 1], &[])], quantize),
    Operator::contrib("QuickGelu", ONE, same),
    Operator::contrib(
        "SkipLayerNormalization",
        &[form(1, [3, 5], [1, 4], &[])],
        skip_norm,
    ),
];

fn retyped(ctx: &Context<'_>, element_type: ElementType) -> Inference {
    let shape = ctx.shape_of(0).map(<[_]>::to_vec);
    one_with(
        Fact {
            element_type,
            shape,
        },
        None,
    )
}

/// The type of the scale.
fn dequantize(ctx: &Context<'_>) -> Inference {
    retyped(ctx, ctx.fact(1)?.element_type)
}

/// The type of the zero point, or u8 without one.
fn quantize(ctx: &Context<'_>) -> Inference {
    match ctx.has(2) {
        true => retyped(ctx, ctx.fact(2)?.element_type),
        false => retyped(ctx, ElementType::Uint8),
    }
}

/// A matrix product with the element type of input `typed`.
fn float_product(ctx: &Context<'_>, (a, b): (usize, usize), typed: usize) -> Inference {
    let fact = Fact {
        element_type: ctx.fact(typed)?.element_type,
        shape: product(ctx, a, b)?,
    };
    one_with(fact, None)
}

fn fused_gemm(ctx: &Context<'_>) -> Inference {
    let element_type = ctx.fact(0)?.element_type;
    match gemm_shape(ctx, (0, 1), 2)? {
        Some(shape) => one(element_type, shape),
        None => Err(Stop::Unranked(element_type)),
    }
}

/// Only matrices, and stacks of them, are followed through a transposition.
fn fused_matmul(ctx: &Context<'_>) -> Inference {
    let element_type = ctx.fact(0)?.element_type;
    let unknown = || Stop::Unranked(element_type);
    if ctx.flag("transBatchA")? || ctx.flag("transBatchB")? {
        return Err(unknown());
    }
    let oriented = |index: usize, transposed: bool| -> Result<Vec<Dim>, Stop> {
        let mut dims = ctx.shape_of(index).ok_or_else(unknown)?.to_vec();
        match dims.len() {
            0 | 1 => return Err(unknown()),
            rank if transposed => dims.swap(rank - 1, rank - 2),
            _ => {}
        }
        Ok(dims)
    };
    let a = oriented(0, ctx.flag("transA")?)?;
    let b = oriented(1, ctx.flag("transB")?)?;
    let ([a_batch @ .., rows, inner], [b_batch @ .., inner_too, columns]) =
        (a.as_slice(), b.as_slice())
    else {
        return Err(unknown());
    };
    ctx.same_size(inner, inner_too, "inner dimensions differ")?;
    let mut shape = ctx.broadcast(a_batch, b_batch)?;
    shape.extend([rows.clone(), columns.clone()]);
    one(element_type, shape)
}

/// The type of the output's zero point, or f32 without one.
fn integer_gemm(ctx: &Context<'_>) -> Inference {
    let element_type = match ctx.has(8) {
        true => ctx.fact(8)?.element_type,
        false => ElementType::Float32,
    };
    match gemm_shape(ctx, (0, 3), 6)? {
        Some(shape) => one(element_type, shape),
        None => Err(Stop::Unranked(element_type)),
    }
}

/// The normalized sum; the last output is the sum itself. Statistics are not followed.
fn skip_norm(ctx: &Context<'_>) -> Inference {
    let sum = crate::facts::Known::from(ctx.fact(0)?.clone());
    let nothing = crate::facts::Known::default;
    let mut known = vec![sum.clone(), nothing(), nothing(), sum];
    known.truncate(ctx.outputs().max(1));
    Ok(known)
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
            com.microsoft.BiasGelu(f32[n, 4], f32[4]) -> f32[n, 4]
            com.microsoft.DequantizeLinear(u8[n, 4], f16[], u8[]) -> f16[n, 4]
            com.microsoft.DynamicQuantizeMatMul(f32[n, 3], i8[3, 4], f32[4]) -> f32[n, 4]
            com.microsoft.FastGelu(f32[n, 4]) -> f32[n, 4]
            com.microsoft.FusedGemm(f32[n, 3], f32[4, 3], f32[4]) transB=1 activation=\"Relu\"
            -> f32[n, 4]
            com.microsoft.FusedMatMul(f32[b, n, 3], f32[b, m, 3]) transB=1 alpha=0.5
            -> f32[b, n, m]
            com.microsoft.FusedMatMul(f32[b, n, 3], f32[b, m, 4]) transB=1
            -> ! inner dimensions differ: 3 and 4
            com.microsoft.FusedMatMul(f32[b, n, 3], f32[b, m, 3]) transBatchA=1 -> f32[..]
            com.microsoft.Gelu(f32[n, 4]) -> f32[n, 4]
            com.microsoft.MatMulIntegerToFloat(u8[b, n, 3], i8[3, 4], f32[], f32[4])
            -> f32[b, n, 4]
            com.microsoft.QGemm(u8[n, 3], f32[], u8[], i8[3, 4], f32[], i8[]) -> f32[n, 4]
            com.microsoft.QGemm(u8[n, 3], f32[], u8[], i8[3, 4], f32[], i8[], -, f32[], u8[])
            -> u8[n, 4]
            com.microsoft.QuantizeLinear(f32[n, 4], f32[], i8[]) -> i8[n, 4]
            com.microsoft.QuantizeLinear(f32[n, 4], f32[]) -> u8[n, 4]
            com.microsoft.QuickGelu(f32[n, 4]) -> f32[n, 4]
            com.microsoft.SkipLayerNormalization(f32[n, 4], f32[n, 4], f32[4])
            -> f32[n, 4], ?, ?, f32[n, 4]
            ",
        );
    }
}

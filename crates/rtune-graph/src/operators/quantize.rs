//! Integers with a scale, as the standard has them.

use crate::operators::matmul::{integer_product, product};
use crate::operators::{Context, Form, Inference, Operator, Stop, form, int, one_with};
use crate::{AttributeRule, Dim, ElementType, Fact};

const AXIS: AttributeRule = int("axis", 1);
const BLOCK: AttributeRule = int("block_size", 0);
const DTYPE: AttributeRule = int("output_dtype", 0);
const SATURATE: AttributeRule = int("saturate", 1);

const QUANTIZE: &[Form] = &[
    form(10, [2, 3], [1, 1], &[]),
    form(13, [2, 3], [1, 1], &[AXIS]),
    form(19, [2, 3], [1, 1], &[AXIS, SATURATE]),
    form(21, [2, 3], [1, 1], &[AXIS, BLOCK, DTYPE, SATURATE]),
    form(
        23,
        [2, 3],
        [1, 1],
        &[AXIS, BLOCK, DTYPE, int("precision", 0), SATURATE],
    ),
];
const DEQUANTIZE: &[Form] = &[
    form(10, [2, 3], [1, 1], &[]),
    form(13, [2, 3], [1, 1], &[AXIS]),
    form(21, [2, 3], [1, 1], &[AXIS, BLOCK]),
    form(23, [2, 3], [1, 1], &[AXIS, BLOCK, DTYPE]),
];

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("DequantizeLinear", DEQUANTIZE, dequantize),
    Operator::new(
        "DynamicQuantizeLinear",
        &[form(11, [1, 1], [3, 3], &[])],
        dynamic_quantize,
    ),
    Operator::new(
        "MatMulInteger",
        &[form(10, [2, 4], [1, 1], &[])],
        integer_product,
    ),
    Operator::new(
        "QLinearMatMul",
        &[form(10, [8, 8], [1, 1], &[])],
        linear_matmul,
    ),
    Operator::new("QuantizeLinear", QUANTIZE, quantize),
];

/// The first input with another element type.
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

/// The scale is a single number, one per index of the axis, or one per block.
fn check_scale(ctx: &Context<'_>) -> Result<(), Stop> {
    let (Some(shape), Some([scales])) = (ctx.shape_of(0), ctx.shape_of(1)) else {
        return Ok(());
    };
    // A vector of one scale may stand for all elements.
    let blocks = ctx.optional_int("block_size").is_some_and(|size| size != 0);
    if blocks || *scales == Dim::Fixed(1) || ctx.opset() < 13 {
        return Ok(());
    }
    let axis = ctx.axis(ctx.int("axis")?, shape.len())?;
    let problem = format!("the scales do not fit axis {axis}");
    ctx.same_size(&shape[axis], scales, &problem)
}

/// The type is that of the zero point, else the attribute's, else u8.
fn quantize(ctx: &Context<'_>) -> Inference {
    check_scale(ctx)?;
    let element_type = match (ctx.has(2), ctx.optional_int("output_dtype")) {
        (true, _) => ctx.fact(2)?.element_type,
        (false, Some(code)) if code != 0 => ctx.element_type(code)?,
        (false, _) => ElementType::Uint8,
    };
    retyped(ctx, element_type)
}

/// The type is the attribute's, else that of the scale, which was f32 before operator set 19.
fn dequantize(ctx: &Context<'_>) -> Inference {
    check_scale(ctx)?;
    if let Some(zero) = ctx.fact_of(2)
        && let Some(data) = ctx
            .fact_of(0)
            .filter(|d| d.element_type != zero.element_type)
    {
        return Err(ctx.error(format!(
            "data and zero point differ in type: {data} and {zero}"
        )));
    }
    let element_type = match (ctx.optional_int("output_dtype"), ctx.fact_of(1)) {
        (Some(code), _) if code != 0 => ctx.element_type(code)?,
        (_, Some(scale)) => scale.element_type,
        (_, None) if ctx.opset() < 19 => ElementType::Float32,
        (_, None) => return Err(Stop::Unknown),
    };
    retyped(ctx, element_type)
}

/// The integers, their scale and their zero point.
fn dynamic_quantize(ctx: &Context<'_>) -> Inference {
    let mut known = retyped(ctx, ElementType::Uint8)?;
    known.push(Fact::new(ElementType::Float32, []).into());
    known.push(Fact::new(ElementType::Uint8, []).into());
    Ok(known)
}

fn linear_matmul(ctx: &Context<'_>) -> Inference {
    let shape = product(ctx, 0, 3)?;
    let element_type = ctx.fact(7)?.element_type;
    one_with(
        Fact {
            element_type,
            shape,
        },
        None,
    )
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
            DequantizeLinear(i8[n, 4], f32[4], i8[4]) axis=-1 -> f32[n, 4]
            DequantizeLinear(i8[n, 4], f16[]) @19 -> f16[n, 4]
            DequantizeLinear(i8[n, 4], ?) -> f32[n, 4]
            DequantizeLinear(i8[n, 4], ?) @19 -> ?
            DequantizeLinear(i8[8, 4], f32[2, 4]) block_size=4 axis=0 @21 -> f32[8, 4]
            DequantizeLinear(i8[n, 4], f32[5]) axis=1 -> ! the scales do not fit axis 1: 4 and 5
            DequantizeLinear(i8[n, 4], f32[], u8[])
                -> ! data and zero point differ in type: i8[n, 4] and u8[]
            DequantizeLinear(i8[n], f32[]) axis=0 @12
                -> ! attribute `axis` needs operator set 13, the model has 12
            DequantizeLinear(i8[n], f32[], -) output_dtype=10 @23 -> f16[n]
            DynamicQuantizeLinear(f32[n, 4]) -> u8[n, 4], f32[], u8[]
            MatMulInteger(u8[n, 3], i8[3, 4], u8[], i8[4]) -> i32[n, 4]
            MatMulInteger(f32[n, 3], i8[3, 4]) -> ! input `in0` must be i8 or u8, found f32[n, 3]
            QLinearMatMul(u8[n, 3], f32[], u8[], i8[3, 4], f32[], i8[], f32[], u8[]) -> u8[n, 4]
            QLinearMatMul(u8[n, 3], f32[], u8[], i8[5, 4], f32[], i8[], f32[], u8[])
                -> ! inner dimensions differ: u8[n, 3] and i8[5, 4]
            QuantizeLinear(f32[n, 4], f32[], i8[]) -> i8[n, 4]
            QuantizeLinear(f32[n, 4], f32[]) -> u8[n, 4]
            QuantizeLinear(f32[n, 4], f32[], ?) -> ?
            QuantizeLinear(f32[n, 4], f32[]) output_dtype=3 @21 -> i8[n, 4]
            QuantizeLinear(f32[n, 4], f32[]) output_dtype=3 @19
                -> ! attribute `output_dtype` needs operator set 21, the model has 19
            QuantizeLinear(f32[..], f32[]) saturate=0 @19 -> u8[..]
            ",
        );
    }
}

//! Shapes as values, and constants.

use super::layout::given_shape;
use crate::operators::{
    Context, Inference, Operator, Stop, form, int, one, one_with, optional, required,
};
use crate::{AttributeKind, AttributeRule, Dim, ElementType, Expr, Fact, infer};

const VALUE: AttributeRule = optional("value", AttributeKind::Tensor);

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new(
        "Constant",
        &[
            form(
                1,
                [0, 0],
                [1, 1],
                &[required("value", AttributeKind::Tensor)],
            ),
            form(
                12,
                [0, 0],
                [1, 1],
                &[
                    VALUE,
                    optional("value_float", AttributeKind::Float),
                    optional("value_floats", AttributeKind::Floats),
                    optional("value_int", AttributeKind::Int),
                    optional("value_ints", AttributeKind::Ints),
                    optional("value_string", AttributeKind::String),
                    optional("value_strings", AttributeKind::Strings),
                ],
            ),
        ],
        constant,
    ),
    Operator::new(
        "ConstantOfShape",
        &[form(9, [1, 1], [1, 1], &[VALUE])],
        filled,
    ),
    Operator::new(
        "EyeLike",
        &[form(
            9,
            [1, 1],
            [1, 1],
            &[optional("dtype", AttributeKind::Int), int("k", 0)],
        )],
        eye,
    ),
    Operator::new("Range", &[form(11, [3, 3], [1, 1], &[])], range),
    Operator::new(
        "Shape",
        &[
            form(1, [1, 1], [1, 1], &[]),
            form(
                15,
                [1, 1],
                [1, 1],
                &[optional("end", AttributeKind::Int), int("start", 0)],
            ),
        ],
        shape_of,
    ),
    Operator::new("Size", &[form(1, [1, 1], [1, 1], &[])], size_of),
];

fn shape_of(ctx: &Context<'_>) -> Inference {
    let Some(shape) = ctx.shape_of(0) else {
        return one(ElementType::Int64, [Dim::Unknown]);
    };
    // Bounds outside of the rank are clamped to it.
    let index = |bound: i64| -> usize {
        let back = || usize::try_from(bound.unsigned_abs()).map(|n| shape.len().saturating_sub(n));
        match usize::try_from(bound) {
            Ok(bound) => bound.min(shape.len()),
            Err(_) => back().unwrap_or_default(),
        }
    };
    let start = index(ctx.optional_int("start").unwrap_or_default());
    let end = ctx.optional_int("end").map_or(shape.len(), index);
    let dims = shape.get(start..end).unwrap_or_default();
    let fact = Fact::new(ElementType::Int64, [Dim::Fixed(dims.len() as u64)]);
    one_with(fact, Some(dims.iter().map(Dim::expr).collect()))
}

fn size_of(ctx: &Context<'_>) -> Inference {
    let contents = ctx
        .shape_of(0)
        .map(|shape| vec![Dim::product(shape).expr()]);
    one_with(Fact::new(ElementType::Int64, []), contents)
}

fn constant(ctx: &Context<'_>) -> Inference {
    if let Some(tensor) = ctx.tensor("value") {
        return Ok(vec![infer::known_of(tensor)]);
    }
    if let Some(values) = ctx.ints("value_ints") {
        let contents = values.iter().map(|v| Some(Expr::constant(*v))).collect();
        let fact = Fact::new(ElementType::Int64, [Dim::Fixed(values.len() as u64)]);
        return one_with(fact, Some(contents));
    }
    if let Some(value) = ctx.optional_int("value_int") {
        let fact = Fact::new(ElementType::Int64, []);
        return one_with(fact, Some(vec![Some(Expr::constant(value))]));
    }
    match (
        ctx.node().attributes.get("value_float"),
        ctx.floats("value_floats"),
    ) {
        (Some(_), _) => one(ElementType::Float32, []),
        (None, Some(values)) => one(ElementType::Float32, [Dim::Fixed(values.len() as u64)]),
        // Strings have no element type here.
        (None, None) => Err(Stop::Unknown),
    }
}

/// A tensor of a given shape whose elements are all the same: a 0 of f32 unless given.
fn filled(ctx: &Context<'_>) -> Inference {
    let value = ctx.tensor("value");
    let element_type = value.map_or(ElementType::Float32, crate::Tensor::element_type);
    let target = given_shape(ctx, 0).ok_or(Stop::Unranked(element_type))?;
    let dims = target
        .into_iter()
        .map(|size| ctx.dim(size))
        .collect::<Result<Vec<_>, _>>()?;
    let element = value.and_then(infer::single_element);
    let contents = match dims.as_slice() {
        [Dim::Fixed(n)] => usize::try_from(*n).ok().filter(|n| *n <= 64),
        [] => Some(1),
        _ => None,
    };
    let contents = contents
        .zip(element)
        .map(|(n, element)| vec![Some(element); n]);
    one_with(Fact::new(element_type, dims), contents)
}

/// `⌈(limit − start) / delta⌉` numbers, at least none.
fn range(ctx: &Context<'_>) -> Inference {
    ctx.same_type(0, 1)?;
    ctx.same_type(0, 2)?;
    let element_type = ctx.fact(0)?.element_type;
    let part = |index: usize| match ctx.contents(index) {
        Some([part]) => part.clone(),
        _ => None,
    };
    let length = || -> Option<Expr> {
        let (start, limit, delta) = (part(0)?, part(1)?, part(2)?);
        let length = limit.sub(&start)?.ceil_div(&delta)?;
        length.maximum(&Expr::constant(0))
    };
    if part(2).and_then(|delta| delta.as_constant()) == Some(0) {
        return Err(ctx.error("the step is 0"));
    }
    let length = length();
    let count = length.as_ref().and_then(Expr::as_constant);
    let count = count
        .and_then(|count| usize::try_from(count).ok())
        .filter(|count| *count <= 64);
    let element = |index: usize| {
        let index = Expr::constant(i64::try_from(index).ok()?);
        part(0)?.add(&part(2)?.mul(&index)?)
    };
    let contents = count.map(|count| (0..count).map(element).collect());
    one_with(Fact::new(element_type, [ctx.dim(length)?]), contents)
}

fn eye(ctx: &Context<'_>) -> Inference {
    let fact = ctx.fact_of(0);
    let element_type = match (ctx.optional_int("dtype"), fact) {
        (Some(code), _) => ctx.element_type(code)?,
        (None, fact) => fact.ok_or(Stop::Unknown)?.element_type,
    };
    let shape = fact.and_then(|fact| fact.shape.clone());
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
            Constant() value=i64[2]{3, 4} -> i64[2]{3, 4}
            Constant() value=f32[2]{3, 4} -> f32[2]
            Constant() value_ints=[1, 2] -> i64[2]{1, 2}
            Constant() value_int=7 -> i64[]{7}
            Constant() value_float=7.0 -> f32[]
            Constant() value_floats=[7.0, 8.0] -> f32[2]
            Constant() value_string=\"a\" -> ?
            Constant() value_int=7 @11
                -> ! attribute `value_int` needs operator set 12, the model has 11
            ConstantOfShape(i64[2]{n, 3}) -> f32[n, 3]
            ConstantOfShape(i64[1]{3}) value=i64[1]{1} -> i64[3]{1, 1, 1}
            ConstantOfShape(i64[2]) -> f32[?, ?]
            ConstantOfShape(i64[n]) -> f32[..]
            EyeLike(f32[n, n]) -> f32[n, n]
            EyeLike(f32[n, n]) dtype=7 -> i64[n, n]
            Range(i64[]{0}, i64[]{n}, i64[]{1}) -> i64[n]
            Range(i64[]{2}, i64[]{9}, i64[]{3}) -> i64[3]{2, 5, 8}
            Range(i64[]{3}, i64[]{0}, i64[]{-1}) -> i64[3]{3, 2, 1}
            Range(i64[]{3}, i64[]{0}, i64[]{1}) -> i64[0]{}
            Range(i64[]{3}, i64[]{n}, i64[]{2}) -> i64[max(0, floor(n/2) - 1)]
            Range(f32[], f32[], f32[]) -> f32[?]
            Range(i64[]{3}, i64[]{n}, i64[]{0}) -> ! the step is 0
            Shape(f32[batch, sequence, 4]) -> i64[3]{batch, sequence, 4}
            Shape(f32[batch, sequence, 4]) start=1 -> i64[2]{sequence, 4}
            Shape(f32[batch, sequence, 4]) start=-1 end=9 -> i64[1]{4}
            Shape(f32[batch, ?]) end=-9 -> i64[0]{}
            Shape(f32[batch, ?]) -> i64[2]{batch, ?}
            Shape(f32[..]) -> i64[?]
            Shape(f32[batch]) start=1 @14
                -> ! attribute `start` needs operator set 15, the model has 14
            Size(f32[batch, 4]) -> i64[]{4*batch}
            Size(f32[..]) -> i64[]
            ",
        );
    }
}

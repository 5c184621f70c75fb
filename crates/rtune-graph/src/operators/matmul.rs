//! Matrix products.

use crate::operators::{
    Context, Inference, MANY, Operator, Stop, float, form, int, one, one_with, required,
};
use crate::{AttributeKind, Dim, ElementType, Fact};
use std::collections::BTreeMap;

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new(
        "Einsum",
        &[form(
            12,
            [1, MANY],
            [1, 1],
            &[required("equation", AttributeKind::String)],
        )],
        einsum,
    ),
    Operator::new(
        "Gemm",
        &[
            form(
                1,
                [3, 3],
                [1, 1],
                &[
                    float("alpha", 1.0),
                    float("beta", 1.0),
                    int("transA", 0),
                    int("transB", 0),
                ],
            ),
            form(
                11,
                [2, 3],
                [1, 1],
                &[
                    float("alpha", 1.0),
                    float("beta", 1.0),
                    int("transA", 0),
                    int("transB", 0),
                ],
            ),
        ],
        gemm,
    ),
    Operator::new("MatMul", &[form(1, [2, 2], [1, 1], &[])], matmul),
];

fn matmul(ctx: &Context<'_>) -> Inference {
    ctx.same_type(0, 1)?;
    let element_type = ctx
        .fact_of(0)
        .or(ctx.fact_of(1))
        .ok_or(Stop::Unknown)?
        .element_type;
    let shape = product(ctx, 0, 1)?;
    one_with(
        Fact {
            element_type,
            shape,
        },
        None,
    )
}

/// The shape of the matrix product of two inputs, as NumPy's `matmul` has it.
pub(super) fn product(ctx: &Context<'_>, a: usize, b: usize) -> Result<Option<Vec<Dim>>, Stop> {
    let (Some(a), Some(b)) = (ctx.fact_of(a), ctx.fact_of(b)) else {
        return Ok(None);
    };
    let (Some(x), Some(y)) = (&a.shape, &b.shape) else {
        return Ok(None);
    };
    let one = [Dim::Fixed(1)];
    // A vector on the left is a row, one on the right a column.
    let row = [one.as_slice(), x].concat();
    let column = [y.as_slice(), &one].concat();
    let (left, right) = match (x.len(), y.len()) {
        (0, _) | (_, 0) => {
            return Err(ctx.error(format!("needs vectors or matrices, found {a} and {b}")));
        }
        (1, 1) => (&row, &column),
        (1, _) => (&row, y),
        (_, 1) => (x, &column),
        _ => (x, y),
    };
    let ([x_batch @ .., rows, inner], [y_batch @ .., inner_too, columns]) =
        (left.as_slice(), right.as_slice())
    else {
        return Ok(None);
    };
    same_inner(ctx, (inner, inner_too), (a, b))?;
    let mut shape = ctx.broadcast(x_batch, y_batch)?;
    if x.len() > 1 {
        shape.push(rows.clone());
    }
    if y.len() > 1 {
        shape.push(columns.clone());
    }
    Ok(Some(shape))
}

fn same_inner(ctx: &Context<'_>, inner: (&Dim, &Dim), (a, b): (&Fact, &Fact)) -> Result<(), Stop> {
    match (inner.0.fixed(), inner.1.fixed()) {
        (Some(p), Some(q)) if p != q => {
            Err(ctx.error(format!("inner dimensions differ: {a} and {b}")))
        }
        _ => Ok(()),
    }
}

fn gemm(ctx: &Context<'_>) -> Inference {
    ctx.same_type(0, 1)?;
    ctx.same_type(0, 2)?;
    let (a, b) = (ctx.fact(0)?, ctx.fact(1)?);
    let shape = gemm_shape(ctx, (0, 1), 2)?;
    match shape {
        Some(shape) => one(a.element_type, shape),
        None => Ok(vec![Fact::unranked(b.element_type).into()]),
    }
}

/// The shape of `op(a) · op(b) + bias` for inputs that are matrices.
pub(super) fn gemm_shape(
    ctx: &Context<'_>,
    (a, b): (usize, usize),
    bias: usize,
) -> Result<Option<Vec<Dim>>, Stop> {
    let (Some(a), Some(b)) = (ctx.fact_of(a), ctx.fact_of(b)) else {
        return Ok(None);
    };
    if a.shape.is_none() || b.shape.is_none() {
        return Ok(None);
    }
    let oriented = |fact: &Fact, transposed: bool| match fact.shape.as_deref() {
        Some([x, y]) if transposed => Ok((y.clone(), x.clone())),
        Some([x, y]) => Ok((x.clone(), y.clone())),
        _ => Err(ctx.error(format!("needs two matrices, found {fact}"))),
    };
    let (rows, inner) = oriented(a, ctx.flag("transA")?)?;
    let (inner_too, columns) = oriented(b, ctx.flag("transB")?)?;
    same_inner(ctx, (&inner, &inner_too), (a, b))?;
    let shape = vec![rows, columns];
    if let Some(bias) = ctx.shape_of(bias) {
        ctx.broadcast(&shape, bias)?;
    }
    Ok(Some(shape))
}

/// Equations of letters; one with an ellipsis has an output of unknown rank.
fn einsum(ctx: &Context<'_>) -> Inference {
    let element_type = ctx.fact(0)?.element_type;
    let equation: String = ctx.text("equation")?.split_whitespace().collect();
    if equation.contains("...") {
        return Err(Stop::Unranked(element_type));
    }
    let (inputs, output) = match equation.split_once("->") {
        Some((inputs, output)) => (inputs, Some(output.to_owned())),
        None => (equation.as_str(), None),
    };
    let terms: Vec<&str> = inputs.split(',').collect();
    if terms.len() != ctx.inputs() {
        let (terms, found) = (terms.len(), ctx.inputs());
        return Err(ctx.error(format!("the equation has {terms} inputs, the node {found}")));
    }
    let sizes = einsum_sizes(ctx, &terms)?;
    let output = output.unwrap_or_else(|| implicit_output(inputs));
    let size = |letter: char| {
        let unknown = || format!("no input of the equation has `{letter}`");
        sizes
            .get(&letter)
            .cloned()
            .ok_or_else(|| ctx.error(unknown()))
    };
    one(
        element_type,
        output.chars().map(size).collect::<Result<Vec<_>, _>>()?,
    )
}

fn einsum_sizes(ctx: &Context<'_>, terms: &[&str]) -> Result<BTreeMap<char, Dim>, Stop> {
    let mut sizes: BTreeMap<char, Dim> = BTreeMap::new();
    for (index, term) in terms.iter().enumerate() {
        let shape = ctx.shape_of(index);
        if let Some(shape) = shape.filter(|shape| shape.len() != term.len()) {
            let rank = shape.len();
            return Err(ctx.error(format!("`{term}` does not name the axes of rank {rank}")));
        }
        for (position, letter) in term.chars().enumerate() {
            let dim = shape.map_or(Dim::Unknown, |shape| shape[position].clone());
            let known = sizes.remove(&letter).unwrap_or(Dim::Fixed(1));
            let both = known
                .broadcast(&dim)
                .ok_or_else(|| ctx.error(format!("`{letter}` stands for {known} and for {dim}")))?;
            sizes.insert(letter, both);
        }
    }
    Ok(sizes)
}

/// The letters that stand once in the inputs, in alphabetical order.
fn implicit_output(inputs: &str) -> String {
    let mut letters: Vec<char> = inputs.chars().filter(|c| *c != ',').collect();
    letters.sort_unstable();
    let count = |letter: char| inputs.chars().filter(|c| *c == letter).count();
    letters
        .into_iter()
        .filter(|letter| count(*letter) == 1)
        .collect()
}

/// The type of a product of 8-bit integers.
pub(super) fn integer_product(ctx: &Context<'_>) -> Inference {
    for index in 0..2 {
        let fact = ctx
            .fact_of(index)
            .filter(|fact| !matches!(fact.element_type, ElementType::Int8 | ElementType::Uint8));
        if let Some(fact) = fact {
            let name = ctx.name(index);
            return Err(ctx.error(format!("input `{name}` must be i8 or u8, found {fact}")));
        }
    }
    let fact = Fact {
        element_type: ElementType::Int32,
        shape: product(ctx, 0, 1)?,
    };
    one_with(fact, None)
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
            MatMul(f32[n, 3], f32[3, 4]) -> f32[n, 4]
            MatMul(f32[batch, 1, n, 3], f32[heads, 3, 4]) -> f32[batch, heads, n, 4]
            MatMul(f32[3], f32[3]) -> f32[]
            MatMul(f32[3], f32[batch, 3, 4]) -> f32[batch, 4]
            MatMul(f32[batch, n, 3], f32[3]) -> f32[batch, n]
            MatMul(f32[..], f32[3, 4]) -> f32[..]
            MatMul(?, f32[3, 4]) -> f32[..]
            MatMul(f32[2, 3], f32[4, 5]) -> ! inner dimensions differ: f32[2, 3] and f32[4, 5]
            MatMul(f32[], f32[4, 5]) -> ! needs vectors or matrices, found f32[] and f32[4, 5]
            MatMul(f32[2, 3], f16[3, 5]) -> ! inputs differ in type: f32[2, 3] and f16[3, 5]
            Gemm(f32[n, 3], f32[4, 3], f32[4]) transB=1 -> f32[n, 4]
            Gemm(f32[3, n], f32[3, 4]) transA=1 -> f32[n, 4]
            Gemm(f32[3, n], f32[3, 4]) transA=1 @9 -> ! takes 3 to 3 inputs, found 2
            Gemm(f32[n, 3], f32[4, 3], f32[5]) transB=1
                -> ! shapes f32[n, 4] and f32[5] cannot be broadcast
            Gemm(f32[2, n, 3], f32[3, 4]) -> ! needs two matrices, found f32[2, n, 3]
            Gemm(f32[n, 3], f32[4, 3]) transB=1.0
                -> ! attribute `transB` must be an int, found a float
            Gemm(f32[n, 3], f32[..]) -> f32[..]
            Einsum(f32[b, h, n, 8], f32[b, h, m, 8]) equation=\"bhnd, bhmd
                -> bhnm\" -> f32[b, h, n, m]
            Einsum(f32[2, n], f32[n, 3]) equation=\"ij,jk\" -> f32[2, 3]
            Einsum(f32[2, n], f32[n, 3]) equation=\"i...,...k\" -> f32[..]
            Einsum(f32[2, 4], f32[5, 3]) equation=\"ij,jk\" -> ! `j` stands for 4 and for 5
            Einsum(f32[2]) equation=\"ij->i\" -> ! `ij` does not name the axes of rank 1
            Einsum(f32[2]) equation=\"i->k\" -> ! no input of the equation has `k`
            Einsum(f32[2]) equation=\"i,i\" -> ! the equation has 2 inputs, the node 1
            ",
        );
    }
}

//! Other shapes of the same elements.

use crate::operators::{
    Axes, Context, Inference, Operator, Stop, form, int, one, one_with, optional, required,
};
use crate::{AttributeKind, Dim, Expr, Fact};

pub(in crate::operators) const OPERATORS: &[Operator] = &[
    Operator::new("Expand", &[form(8, [2, 2], [1, 1], &[])], expand),
    Operator::new(
        "Flatten",
        &[form(1, [1, 1], [1, 1], &[int("axis", 1)])],
        flatten,
    ),
    Operator::new(
        "Reshape",
        &[
            form(1, [2, 2], [1, 1], &[]),
            form(14, [2, 2], [1, 1], &[int("allowzero", 0)]),
        ],
        reshape,
    ),
    Operator::new(
        "Squeeze",
        &[
            form(1, [1, 1], [1, 1], &[optional("axes", AttributeKind::Ints)]),
            form(13, [1, 2], [1, 1], &[]),
        ],
        squeeze,
    ),
    Operator::new(
        "Transpose",
        &[form(
            1,
            [1, 1],
            [1, 1],
            &[optional("perm", AttributeKind::Ints)],
        )],
        transpose,
    ),
    Operator::new(
        "Unsqueeze",
        &[
            form(1, [1, 1], [1, 1], &[required("axes", AttributeKind::Ints)]),
            form(13, [2, 2], [1, 1], &[]),
        ],
        unsqueeze,
    ),
];

/// A shape given as an input: its elements, or as many unknown ones as the input has.
pub(in crate::operators) fn given_shape(
    ctx: &Context<'_>,
    index: usize,
) -> Option<Vec<Option<Expr>>> {
    if let Some(contents) = ctx.contents(index) {
        return Some(contents.to_vec());
    }
    let length = match ctx.shape_of(index)? {
        [length] => usize::try_from(length.fixed()?).ok()?,
        _ => return None,
    };
    // No tensor has so many dimensions; the length comes from a file.
    (length <= 64).then(|| vec![None; length])
}

fn expand(ctx: &Context<'_>) -> Inference {
    let (element_type, shape) = ctx.ranked(0)?;
    let target = given_shape(ctx, 1).ok_or(Stop::Unranked(element_type))?;
    let target = target.into_iter().map(|size| ctx.dim(size));
    let target = target.collect::<Result<Vec<_>, _>>()?;
    let fact = Fact::new(element_type, ctx.broadcast(shape, &target)?);
    // A single number that is expanded to a vector.
    let fill = match (ctx.contents(0), fact.shape.as_deref()) {
        (Some([only]), Some([Dim::Fixed(n)])) => usize::try_from(*n)
            .ok()
            .filter(|n| *n <= 64)
            .map(|n| vec![only.clone(); n]),
        _ => None,
    };
    one_with(fact, fill)
}

fn flatten(ctx: &Context<'_>) -> Inference {
    let (element_type, shape) = ctx.ranked(0)?;
    let axis = ctx.int("axis")?;
    // The rank itself is a valid axis here.
    let axis = match usize::try_from(axis)
        .ok()
        .filter(|axis| *axis == shape.len())
    {
        Some(axis) => axis,
        None => ctx.axis(axis, shape.len())?,
    };
    one(
        element_type,
        [Dim::product(&shape[..axis]), Dim::product(&shape[axis..])],
    )
}

/// A dimension of the new shape.
enum Wanted {
    Size(Dim),
    /// The size that makes the number of elements fit.
    Rest,
}

fn reshape(ctx: &Context<'_>) -> Inference {
    let data = ctx.fact(0)?;
    let target = given_shape(ctx, 1).ok_or(Stop::Unranked(data.element_type))?;
    let zero_is_size = ctx.optional_int("allowzero").is_some_and(|flag| flag != 0);
    // An element that is not known may be the one that stands for the rest.
    let all_known = target.iter().all(Option::is_some);
    let wanted = target.into_iter().enumerate();
    let wanted = wanted.map(|(index, size)| wanted_size(ctx, data, zero_is_size, index, size));
    let wanted = wanted.collect::<Result<Vec<_>, _>>()?;
    let rests = wanted.iter().filter(|w| matches!(w, Wanted::Rest)).count();
    if rests > 1 {
        return Err(ctx.error("only one dimension can be inferred"));
    }
    let known = wanted.iter().filter_map(|w| match w {
        Wanted::Size(dim) => Some(dim.clone()),
        Wanted::Rest => None,
    });
    let known: Vec<Dim> = known.collect();
    let total = data
        .shape
        .as_ref()
        .and_then(|shape| Dim::product(shape).expr());
    let product = Dim::product(&known).expr();
    let rest = rest_of(total.clone(), product.clone());
    check_elements(ctx, data, &known, (total, product), rests == 0)?;
    let rest = match all_known {
        true => ctx.dim(rest)?,
        false => Dim::Unknown,
    };
    let shape = wanted.into_iter().map(|w| match w {
        Wanted::Size(dim) => dim,
        Wanted::Rest => rest.clone(),
    });
    let fact = Fact::new(data.element_type, shape);
    let small = fact.rank().is_some_and(|rank| rank < 2);
    one_with(fact, ctx.contents(0).filter(|_| small).map(<[_]>::to_vec))
}

fn wanted_size(
    ctx: &Context<'_>,
    data: &Fact,
    zero_is_size: bool,
    index: usize,
    size: Option<Expr>,
) -> Result<Wanted, Stop> {
    match size.as_ref().and_then(Expr::as_constant) {
        Some(0) if !zero_is_size => match &data.shape {
            None => Ok(Wanted::Size(Dim::Unknown)),
            Some(shape) => shape.get(index).cloned().map(Wanted::Size).ok_or_else(|| {
                ctx.error(format!("dimension {index} to keep is outside the input"))
            }),
        },
        Some(-1) => Ok(Wanted::Rest),
        Some(size) if size < 0 => Err(ctx.error(format!("{size} is not a dimension"))),
        _ => Ok(Wanted::Size(ctx.dim(size)?)),
    }
}

/// The size of the dimension that is left to be inferred.
fn rest_of(total: Option<Expr>, known: Option<Expr>) -> Option<Expr> {
    total?.floor_div(&known?)
}

/// The number of elements must stay, as far as it is known now.
fn check_elements(
    ctx: &Context<'_>,
    data: &Fact,
    known: &[Dim],
    (total, product): (Option<Expr>, Option<Expr>),
    complete: bool,
) -> Result<(), Stop> {
    let constant = |e: Option<Expr>| e.as_ref().and_then(Expr::as_constant);
    let (Some(total), Some(product)) = (constant(total), constant(product)) else {
        return Ok(());
    };
    let fits = match complete {
        true => total == product,
        false => product != 0 && total % product == 0,
    };
    match fits {
        true => Ok(()),
        false => {
            let target = Fact::new(data.element_type, known.to_vec());
            Err(ctx.error(format!("{data} does not reshape to {target}")))
        }
    }
}

fn squeeze(ctx: &Context<'_>) -> Inference {
    let (element_type, shape) = ctx.ranked(0)?;
    let axes = match ctx.axes(1) {
        Axes::Known(axes) => ctx.distinct_axes(&axes, shape.len())?,
        Axes::All if shape.iter().all(|dim| dim.fixed().is_some()) => (0..shape.len())
            .filter(|index| shape[*index] == Dim::Fixed(1))
            .collect(),
        Axes::All | Axes::Unknown => return Err(Stop::Unranked(element_type)),
    };
    for axis in &axes {
        if let Some(size) = shape[*axis].fixed().filter(|size| *size != 1) {
            return Err(ctx.error(format!("axis {axis} has {size} elements, not one")));
        }
    }
    let dims = shape.iter().enumerate();
    let dims = dims
        .filter(|(index, _)| !axes.contains(index))
        .map(|(_, dim)| dim.clone());
    let fact = Fact::new(element_type, dims);
    one_with(fact, ctx.contents(0).map(<[_]>::to_vec))
}

fn unsqueeze(ctx: &Context<'_>) -> Inference {
    let (element_type, shape) = ctx.ranked(0)?;
    let Axes::Known(axes) = ctx.axes(1) else {
        return Err(Stop::Unranked(element_type));
    };
    let rank = shape.len() + axes.len();
    let axes = ctx.distinct_axes(&axes, rank)?;
    let mut rest = shape.iter().cloned();
    let dims = (0..rank).filter_map(|index| match axes.contains(&index) {
        true => Some(Dim::Fixed(1)),
        false => rest.next(),
    });
    let fact = Fact::new(element_type, dims.collect::<Vec<_>>());
    let small = rank < 2;
    one_with(fact, ctx.contents(0).filter(|_| small).map(<[_]>::to_vec))
}

fn transpose(ctx: &Context<'_>) -> Inference {
    let (element_type, shape) = ctx.ranked(0)?;
    let Some(order) = ctx.ints("perm") else {
        return one(element_type, shape.iter().rev().cloned());
    };
    let fact = ctx.fact(0)?;
    if order.len() != shape.len() {
        return Err(ctx.error(format!("{order:?} does not permute {fact}")));
    }
    let mut dims = Vec::with_capacity(shape.len());
    let mut seen = vec![false; shape.len()];
    for axis in order {
        let axis = ctx.axis(*axis, shape.len())?;
        if std::mem::replace(&mut seen[axis], true) {
            return Err(ctx.error(format!("{order:?} is not a permutation")));
        }
        dims.push(shape[axis].clone());
    }
    one(element_type, dims)
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
            Expand(f32[n, 1], i64[2]{1, 4}) -> f32[n, 4]
            Expand(f32[1, 4], i64[3]{b, n, 1}) -> f32[b, n, 4]
            Expand(f32[4], i64[2]) -> f32[?, 4]
            Expand(f32[4], i64[n]) -> f32[..]
            Expand(f32[3], i64[1]{4}) -> ! shapes f32[3] and f32[4] cannot be broadcast
            Expand(i64[1]{1}, i64[1]{3}) -> i64[3]{1, 1, 1}
            Flatten(f32[b, c, 4, 5]) -> f32[b, 20*c]
            Flatten(f32[b, c]) axis=2 -> f32[b*c, 1]
            Flatten(f32[b, c, 2]) axis=-1 -> f32[b*c, 2]
            Flatten(f32[b, c]) axis=3 -> ! axis 3 is outside a tensor of rank 2
            Reshape(f32[batch, sequence, 6], i64[2]{-1, 6}) -> f32[batch*sequence, 6]
            Reshape(f32[batch*sequence, 6], i64[4]{batch, sequence, 2, 3})
                -> f32[batch, sequence, 2, 3]
            Reshape(f32[batch*sequence, 6], i64[3]{batch, -1, 6}) -> f32[batch, sequence, 6]
            Reshape(f32[n, 4, 6], i64[3]{0, -1, 3}) -> f32[n, 8, 3]
            Reshape(f32[n, 6], i64[2]{-1, 4}) -> f32[n + floor(n/2), 4]
            Reshape(f32[n, 6], i64[2]{?, -1}) -> f32[?, ?]
            Reshape(f32[n, 6], i64[3]) -> f32[?, ?, ?]
            Reshape(f32[n, 6], i64[m]) -> f32[..]
            Reshape(f32[..], i64[2]{0, 4}) -> f32[?, 4]
            Reshape(f32[2, 3], i64[1]{4}) -> ! f32[2, 3] does not reshape to f32[4]
            Reshape(f32[2, 3], i64[2]{4, -1}) -> ! f32[2, 3] does not reshape to f32[4]
            Reshape(f32[2, 3], i64[2]{-1, -1}) -> ! only one dimension can be inferred
            Reshape(f32[2, 3], i64[2]{-2, 3}) -> ! -2 is not a dimension
            Reshape(f32[2], i64[2]{2, 0}) -> ! dimension 1 to keep is outside the input
            Reshape(f32[0, 2], i64[2]{0, 5}) allowzero=1 -> f32[0, 5]
            Reshape(i64[]{n}, i64[1]{1}) -> i64[1]{n}
            Squeeze(f32[n, 1, 4], i64[1]{1}) -> f32[n, 4]
            Squeeze(f32[n, 1, 4]) axes=[1] @11 -> f32[n, 4]
            Squeeze(f32[n, 1, 4]) axes=[1]
                -> ! has the form of operator sets before 13, the model has 17
            Squeeze(f32[2, 1, 4]) -> f32[2, 4]
            Squeeze(f32[n, 1, 4]) -> f32[..]
            Squeeze(f32[n, 2], i64[1]{1}) -> ! axis 1 has 2 elements, not one
            Squeeze(i64[1]{n}) -> i64[]{n}
            Transpose(f32[b, h, n, 8]) perm=[0, 2, 1, 3] -> f32[b, n, h, 8]
            Transpose(f32[a, b, c]) -> f32[c, b, a]
            Transpose(f32[a, b]) perm=[0, 0] -> ! [0, 0] is not a permutation
            Transpose(f32[a, b]) perm=[0] -> ! [0] does not permute f32[a, b]
            Transpose(f32[..]) perm=[1, 0] -> f32[..]
            Unsqueeze(f32[b, n], i64[2]{1, 2}) -> f32[b, 1, 1, n]
            Unsqueeze(f32[b, n]) axes=[-1] @11 -> f32[b, n, 1]
            Unsqueeze(f32[b, n], i64[2]{1, -3}) -> ! axis -3 is named twice
            Unsqueeze(f32[b, n], i64[1]) -> f32[..]
            Unsqueeze(i64[]{n}, i64[1]{0}) -> i64[1]{n}
            ",
        );
    }
}

//! Changes of the element type.

use crate::operators::{Context, Inference, Operator, form, int, one_with, required, text};
use crate::{AttributeKind, ElementType, Fact};

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new(
        "Cast",
        &[
            form(1, [1, 1], [1, 1], &[required("to", AttributeKind::Int)]),
            form(
                19,
                [1, 1],
                [1, 1],
                &[int("saturate", 1), required("to", AttributeKind::Int)],
            ),
            form(
                24,
                [1, 1],
                [1, 1],
                &[
                    text("round_mode", "up"),
                    int("saturate", 1),
                    required("to", AttributeKind::Int),
                ],
            ),
        ],
        |ctx| retype(ctx, ctx.element_type(ctx.int("to")?)?),
    ),
    Operator::new(
        "CastLike",
        &[
            form(15, [2, 2], [1, 1], &[]),
            form(19, [2, 2], [1, 1], &[int("saturate", 1)]),
            form(
                24,
                [2, 2],
                [1, 1],
                &[text("round_mode", "up"), int("saturate", 1)],
            ),
        ],
        |ctx| retype(ctx, ctx.fact(1)?.element_type),
    ),
];

/// The first input with another element type. Small integers stay followed as integers.
fn retype(ctx: &Context<'_>, element_type: ElementType) -> Inference {
    let shape = ctx.shape_of(0).map(<[_]>::to_vec);
    let is_integer = matches!(element_type, ElementType::Int32 | ElementType::Int64);
    let contents = ctx.contents(0).filter(|_| is_integer).map(<[_]>::to_vec);
    one_with(
        Fact {
            element_type,
            shape,
        },
        contents,
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
            Cast(i64[n, 2]) to=1 -> f32[n, 2]
            Cast(?) to=9 -> bool[..]
            Cast(i64[2]{n, 3}) to=6 -> i32[2]{n, 3}
            Cast(i64[2]{n, 3}) to=1 -> f32[2]
            Cast(f32[n]) to=8 -> ! element type string is not supported
            Cast(f32[n]) -> ! needs the attribute `to`
            Cast(f32[n]) to=1.0 -> ! attribute `to` must be an int, found a float
            Cast(f32[n]) to=1 saturate=0
                -> ! attribute `saturate` needs operator set 19, the model has 17
            Cast(f32[n]) to=1 saturate=0 @19 -> f32[n]
            CastLike(f32[n], i64[2]) -> i64[n]
            CastLike(f32[n], ?) -> ?
            ",
        );
    }
}

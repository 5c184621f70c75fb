//! Recurrent layers.

use crate::facts::Known;
use crate::operators::{Context, Inference, Operator, form, int, optional, text};
use crate::{AttributeKind, AttributeRule, Dim, Expr, Fact};

const ALPHA: AttributeRule = optional("activation_alpha", AttributeKind::Floats);
const BETA: AttributeRule = optional("activation_beta", AttributeKind::Floats);
const ACTIVATIONS: AttributeRule = optional("activations", AttributeKind::Strings);
const CLIP: AttributeRule = optional("clip", AttributeKind::Float);
const DIRECTION: AttributeRule = text("direction", "forward");
const HIDDEN: AttributeRule = optional("hidden_size", AttributeKind::Int);
const LAYOUT: AttributeRule = int("layout", 0);
const FORGET: AttributeRule = int("input_forget", 0);
const RESET: AttributeRule = int("linear_before_reset", 0);

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new(
        "GRU",
        &[
            form(
                1,
                [3, 6],
                [0, 2],
                &[ALPHA, BETA, ACTIVATIONS, CLIP, DIRECTION, HIDDEN, RESET],
            ),
            form(
                14,
                [3, 6],
                [0, 2],
                &[
                    ALPHA,
                    BETA,
                    ACTIVATIONS,
                    CLIP,
                    DIRECTION,
                    HIDDEN,
                    LAYOUT,
                    RESET,
                ],
            ),
        ],
        recurrent,
    ),
    Operator::new(
        "LSTM",
        &[
            form(
                1,
                [3, 8],
                [0, 3],
                &[ALPHA, BETA, ACTIVATIONS, CLIP, DIRECTION, HIDDEN, FORGET],
            ),
            form(
                14,
                [3, 8],
                [0, 3],
                &[
                    ALPHA,
                    BETA,
                    ACTIVATIONS,
                    CLIP,
                    DIRECTION,
                    HIDDEN,
                    FORGET,
                    LAYOUT,
                ],
            ),
        ],
        recurrent,
    ),
    Operator::new(
        "RNN",
        &[
            form(
                1,
                [3, 6],
                [0, 2],
                &[ALPHA, BETA, ACTIVATIONS, CLIP, DIRECTION, HIDDEN],
            ),
            form(
                14,
                [3, 6],
                [0, 2],
                &[ALPHA, BETA, ACTIVATIONS, CLIP, DIRECTION, HIDDEN, LAYOUT],
            ),
        ],
        recurrent,
    ),
];

/// `[sequence, batch, input]` → all hidden states `[sequence, directions, batch, hidden]` and the
/// last ones `[directions, batch, hidden]`, which a third output has for the cells of an LSTM. With
/// layout 1 the batch is the first axis everywhere.
fn recurrent(ctx: &Context<'_>) -> Inference {
    let data = ctx.fact(0)?;
    let outputs = ctx.outputs();
    let Some(shape) = &data.shape else {
        return Ok(vec![Fact::unranked(data.element_type).into(); outputs]);
    };
    let batch_first = ctx.optional_int("layout").is_some_and(|layout| layout == 1);
    let (sequence, batch) = match (shape.as_slice(), batch_first) {
        ([batch, sequence, _], true) => (sequence.clone(), batch.clone()),
        ([sequence, batch, _], false) => (sequence.clone(), batch.clone()),
        _ => return Err(ctx.error(format!("needs data of rank 3, found {data}"))),
    };
    let directions = match ctx.text("direction")? {
        "forward" | "reverse" => Dim::Fixed(1),
        "bidirectional" => Dim::Fixed(2),
        other => return Err(ctx.error(format!("`{other}` is no direction"))),
    };
    let hidden = match (ctx.optional_int("hidden_size"), ctx.shape_of(2)) {
        (Some(size), _) => ctx.dim(Some(Expr::constant(size)))?,
        (None, Some([_, _, size])) => size.clone(),
        _ => Dim::Unknown,
    };
    let (all, last) = match batch_first {
        true => (
            vec![batch.clone(), sequence, directions.clone(), hidden.clone()],
            vec![batch, directions, hidden],
        ),
        false => (
            vec![sequence, directions.clone(), batch.clone(), hidden.clone()],
            vec![directions, batch, hidden],
        ),
    };
    let all = Known::from(Fact::new(data.element_type, all));
    let last = Known::from(Fact::new(data.element_type, last));
    let mut known = vec![all, last.clone(), last];
    known.truncate(outputs);
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
            GRU(f32[t, n, 4], f32[1, 24, 4], f32[1, 24, 8]) hidden_size=8 linear_before_reset=1
            -> f32[t, 1, n, 8], f32[1, n, 8]
            LSTM(f32[t, n, 4], f32[2, 32, 4], f32[2, 32, 8]) direction=\"bidirectional\"
            -> f32[t, 2, n, 8], f32[2, n, 8], f32[2, n, 8]
            LSTM(f32[n, t, 4], f32[1, 32, 4], f32[1, 32, 8]) layout=1
            -> f32[n, t, 1, 8], f32[n, 1, 8]
            LSTM(f32[n, t, 4], f32[1, 32, 4], f32[1, 32, 8]) layout=1 @13
            -> ! attribute `layout` needs operator set 14, the model has 13
            LSTM(f32[n, 4], f32[1, 32, 4], f32[1, 32, 8])
            -> ! needs data of rank 3, found f32[n, 4]
            LSTM(f32[t, n, 4], f32[1, 32, 4], f32[1, 32, 8]) direction=\"up\"
            -> ! `up` is no direction
            LSTM(f32[..], f32[1, 32, 4], f32[1, 32, 8]) -> f32[..], f32[..]
            RNN(f32[t, n, 4], f32[1, 8, 4], f32[..]) -> f32[t, 1, n, ?]
            ",
        );
    }
}

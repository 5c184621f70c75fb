//! Normalization, and softmax.

use crate::facts::Known;
use crate::operators::unary::same;
use crate::operators::{
    Context, Form, Inference, Operator, Stop, float, form, int, optional, required,
};
use crate::{AttributeKind, Dim, Fact};

const EPSILON: crate::AttributeRule = float("epsilon", 1e-5);
const MOMENTUM: crate::AttributeRule = float("momentum", 0.9);
const SOFTMAX: &[Form] = &[
    form(1, [1, 1], [1, 1], &[int("axis", 1)]),
    form(13, [1, 1], [1, 1], &[int("axis", -1)]),
];

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new(
        "BatchNormalization",
        &[
            form(1, [5, 5], [1, 5], &[EPSILON, MOMENTUM, int("spatial", 1)]),
            form(9, [5, 5], [1, 5], &[EPSILON, MOMENTUM]),
            form(
                14,
                [5, 5],
                [1, 3],
                &[EPSILON, MOMENTUM, int("training_mode", 0)],
            ),
        ],
        batch_normalization,
    ),
    Operator::new(
        "GroupNormalization",
        &[
            form(
                18,
                [3, 3],
                [1, 1],
                &[EPSILON, required("num_groups", AttributeKind::Int)],
            ),
            form(
                21,
                [3, 3],
                [1, 1],
                &[
                    EPSILON,
                    required("num_groups", AttributeKind::Int),
                    int("stash_type", 1),
                ],
            ),
        ],
        same,
    ),
    Operator::new("Hardmax", SOFTMAX, along_axis),
    Operator::new(
        "InstanceNormalization",
        &[form(1, [3, 3], [1, 1], &[EPSILON])],
        per_channel,
    ),
    Operator::new(
        "LRN",
        &[form(
            1,
            [1, 1],
            [1, 1],
            &[
                float("alpha", 1e-4),
                float("beta", 0.75),
                float("bias", 1.0),
                required("size", AttributeKind::Int),
            ],
        )],
        same,
    ),
    Operator::new(
        "LayerNormalization",
        &[form(
            17,
            [2, 3],
            [1, 3],
            &[int("axis", -1), EPSILON, int("stash_type", 1)],
        )],
        layer_normalization,
    ),
    Operator::new("LogSoftmax", SOFTMAX, along_axis),
    Operator::new(
        "LpNormalization",
        &[form(1, [1, 1], [1, 1], &[int("axis", -1), int("p", 2)])],
        along_axis,
    ),
    Operator::new(
        "MeanVarianceNormalization",
        &[form(
            9,
            [1, 1],
            [1, 1],
            &[optional("axes", AttributeKind::Ints)],
        )],
        same,
    ),
    Operator::new(
        "RMSNormalization",
        &[form(
            23,
            [2, 2],
            [1, 1],
            &[int("axis", -1), EPSILON, int("stash_type", 1)],
        )],
        rms_normalization,
    ),
    Operator::new("Softmax", SOFTMAX, along_axis),
];

/// The shape stays; the axis must exist.
fn along_axis(ctx: &Context<'_>) -> Inference {
    let (_, shape) = ctx.ranked(0)?;
    // Operator sets before 13 flatten the tensor at the axis, which may be the rank itself.
    let axis = ctx.int("axis")?;
    if ctx.opset() >= 13 || i64::try_from(shape.len()).ok() != Some(axis) {
        ctx.axis(axis, shape.len())?;
    }
    same(ctx)
}

/// `[batch, channels, …]` with one scale and one bias per channel.
fn per_channel(ctx: &Context<'_>) -> Inference {
    let (_, shape) = ctx.ranked(0)?;
    let channels = shape.get(1).ok_or_else(|| {
        ctx.error(format!(
            "needs at least 2 dimensions, found {}",
            shape.len()
        ))
    })?;
    for index in 1..ctx.inputs() {
        if let Some([size]) = ctx.shape_of(index) {
            ctx.same_size(channels, size, "the numbers of channels differ")?;
        }
    }
    same(ctx)
}

/// The further outputs are statistics of each channel, as the inputs are.
fn batch_normalization(ctx: &Context<'_>) -> Inference {
    let mut known = per_channel(ctx)?;
    let statistic = |index: usize| {
        ctx.fact_of(index)
            .cloned()
            .map_or(Known::default(), Known::from)
    };
    known.extend([3, 4, 3, 4].map(statistic));
    known.truncate(ctx.outputs().max(1));
    Ok(known)
}

/// The axes from which on a tensor is normalized, as an index.
fn normalized_from(ctx: &Context<'_>) -> Result<usize, Stop> {
    let (_, shape) = ctx.ranked(0)?;
    let axis = ctx.axis(ctx.int("axis")?, shape.len())?;
    for index in 1..ctx.inputs() {
        if let Some(scale) = ctx.shape_of(index) {
            ctx.broadcast(shape, scale)?;
        }
    }
    Ok(axis)
}

fn rms_normalization(ctx: &Context<'_>) -> Inference {
    normalized_from(ctx)?;
    same(ctx)
}

/// The further outputs are mean and inverse standard deviation, in the type `stash_type`.
fn layer_normalization(ctx: &Context<'_>) -> Inference {
    let axis = normalized_from(ctx)?;
    let mut known = same(ctx)?;
    let shape = ctx.shape_of(0).unwrap_or_default();
    let dims = shape
        .iter()
        .enumerate()
        .map(|(index, dim)| match index < axis {
            true => dim.clone(),
            false => Dim::Fixed(1),
        });
    let statistic = Fact::new(ctx.element_type(ctx.int("stash_type")?)?, dims);
    known.extend([statistic.clone().into(), statistic.into()]);
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
            BatchNormalization(f32[n, 8, h, w], f32[8], f32[8], f32[8], f32[8]) -> f32[n, 8, h, w]
            BatchNormalization(f32[n, 8], f32[8], f32[8], f32[8], f32[8]) training_mode=1
                -> f32[n, 8], f32[8], f32[8]
            BatchNormalization(f32[n, 8], f32[8], f32[8], f32[8], f32[8]) @9
                -> f32[n, 8], f32[8], f32[8], f32[8], f32[8]
            BatchNormalization(f32[n, 8], f32[9], f32[8], f32[8], f32[8])
                -> ! the numbers of channels differ: 8 and 9
            BatchNormalization(f32[n, 8], f32[8], f32[8], f32[8], f32[8]) training_mode=0 @13
                -> ! attribute `training_mode` needs operator set 14, the model has 13
            GroupNormalization(f32[n, 8, h], f32[8], f32[8]) num_groups=2 @21 -> f32[n, 8, h]
            GroupNormalization(f32[n, 8, h], f32[2], f32[2]) num_groups=2 @17
                -> ! needs operator set 18, the model has 17
            Hardmax(f32[n, 4]) -> f32[n, 4]
            InstanceNormalization(f32[n, 8, h], f32[8], f32[8]) -> f32[n, 8, h]
            InstanceNormalization(f32[n], f32[8], f32[8]) -> ! needs at least 2 dimensions, found 1
            LRN(f32[n, 8, h]) size=5 -> f32[n, 8, h]
            LayerNormalization(f32[n, 32], f32[32], f32[32]) axis=-1 epsilon=0.1 -> f32[n, 32]
            LayerNormalization(f16[n, m, 32], f16[32]) -> f16[n, m, 32], f32[n, m, 1], f32[n, m, 1]
            LayerNormalization(f32[n, 32], f32[16])
                -> ! shapes f32[n, 32] and f32[16] cannot be broadcast
            LayerNormalization(f32[n, 32], f32[32]) axis=2 -> ! axis 2 is outside a tensor of rank 2
            LayerNormalization(f32[n, 32], f32[32]) @16 -> ! needs operator set 17, the model has 16
            LogSoftmax(f32[n, 4]) axis=1 -> f32[n, 4]
            LpNormalization(f32[n, 4]) -> f32[n, 4]
            MeanVarianceNormalization(f32[n, 4]) axes=[0] -> f32[n, 4]
            RMSNormalization(f32[n, 32], f32[32]) @23 -> f32[n, 32]
            Softmax(f32[b, n, n]) axis=-1 -> f32[b, n, n]
            Softmax(f32[n]) @11 -> f32[n]
            Softmax(f32[n]) axis=1 @13 -> ! axis 1 is outside a tensor of rank 1
            Softmax(f32[..]) -> f32[..]
            ",
        );
    }
}

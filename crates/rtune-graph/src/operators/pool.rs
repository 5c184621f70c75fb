//! Pooling.

use crate::operators::window::Window;
use crate::operators::{
    Context, Form, Inference, Operator, form, int, one, optional, required, text,
};
use crate::{AttributeKind, AttributeRule, Dim, ElementType, Fact};

const AUTO_PAD: AttributeRule = text("auto_pad", "NOTSET");
const CEIL: AttributeRule = int("ceil_mode", 0);
const DILATIONS: AttributeRule = optional("dilations", AttributeKind::Ints);
const INCLUDE: AttributeRule = int("count_include_pad", 0);
const KERNEL: AttributeRule = required("kernel_shape", AttributeKind::Ints);
const ORDER: AttributeRule = int("storage_order", 0);
const PADS: AttributeRule = optional("pads", AttributeKind::Ints);
const POWER: AttributeRule = int("p", 2);
const STRIDES: AttributeRule = optional("strides", AttributeKind::Ints);

const AVERAGE: &[Form] = &[
    form(
        1,
        [1, 1],
        [1, 1],
        &[AUTO_PAD, INCLUDE, KERNEL, PADS, STRIDES],
    ),
    form(
        10,
        [1, 1],
        [1, 1],
        &[AUTO_PAD, CEIL, INCLUDE, KERNEL, PADS, STRIDES],
    ),
    form(
        19,
        [1, 1],
        [1, 1],
        &[AUTO_PAD, CEIL, INCLUDE, DILATIONS, KERNEL, PADS, STRIDES],
    ),
];
const MAX: &[Form] = &[
    form(1, [1, 1], [1, 1], &[AUTO_PAD, KERNEL, PADS, STRIDES]),
    form(8, [1, 1], [1, 2], &[AUTO_PAD, KERNEL, PADS, ORDER, STRIDES]),
    form(
        10,
        [1, 1],
        [1, 2],
        &[AUTO_PAD, CEIL, DILATIONS, KERNEL, PADS, ORDER, STRIDES],
    ),
];
const LP: &[Form] = &[
    form(1, [1, 1], [1, 1], &[AUTO_PAD, KERNEL, POWER, PADS, STRIDES]),
    form(
        18,
        [1, 1],
        [1, 1],
        &[AUTO_PAD, CEIL, DILATIONS, KERNEL, POWER, PADS, STRIDES],
    ),
];

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("AveragePool", AVERAGE, pool),
    Operator::new("GlobalAveragePool", &[form(1, [1, 1], [1, 1], &[])], global),
    Operator::new("GlobalLpPool", &[form(1, [1, 1], [1, 1], &[POWER])], global),
    Operator::new("GlobalMaxPool", &[form(1, [1, 1], [1, 1], &[])], global),
    Operator::new("LpPool", LP, pool),
    Operator::new("MaxPool", MAX, max_pool),
];

fn pool(ctx: &Context<'_>) -> Inference {
    let (element_type, shape) = ctx.ranked(0)?;
    let [batch, channels, spatial @ ..] = shape else {
        return Err(too_flat(ctx, shape));
    };
    let window = Window::new(ctx, spatial.len(), None)?;
    let spatial = window.shrink(ctx, spatial)?;
    one(
        element_type,
        [batch.clone(), channels.clone()].into_iter().chain(spatial),
    )
}

fn too_flat(ctx: &Context<'_>, shape: &[Dim]) -> crate::operators::Stop {
    ctx.error(format!(
        "needs data of rank 2 or more, found rank {}",
        shape.len()
    ))
}

/// The second output is the index of each maximum.
fn max_pool(ctx: &Context<'_>) -> Inference {
    let mut known = pool(ctx)?;
    let shape = known.first().and_then(|k| k.fact.as_ref()?.shape.clone());
    if ctx.outputs() > 1 {
        let fact = Fact {
            element_type: ElementType::Int64,
            shape,
        };
        known.push(fact.into());
    }
    Ok(known)
}

fn global(ctx: &Context<'_>) -> Inference {
    let (element_type, shape) = ctx.ranked(0)?;
    let [batch, channels, spatial @ ..] = shape else {
        return Err(too_flat(ctx, shape));
    };
    let ones = spatial.iter().map(|_| Dim::Fixed(1));
    one(
        element_type,
        [batch.clone(), channels.clone()].into_iter().chain(ones),
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
            AveragePool(f32[n, c, 7, 7]) kernel_shape=[3, 3] strides=[2, 2] -> f32[n, c, 3, 3]
            AveragePool(f32[n, c, 8]) kernel_shape=[3] strides=[2] ceil_mode=1 -> f32[n, c, 4]
            AveragePool(f32[n, c, 7]) kernel_shape=[1] strides=[2] ceil_mode=1 -> f32[n, c, 4]
            AveragePool(f32[n, c, 7]) kernel_shape=[1] dilations=[1]
            -> ! attribute `dilations` needs operator set 19, the model has 17
            GlobalAveragePool(f32[n, c, h, w]) -> f32[n, c, 1, 1]
            GlobalAveragePool(f32[n]) -> ! needs data of rank 2 or more, found rank 1
            GlobalLpPool(f32[n, c, h]) p=1 -> f32[n, c, 1]
            GlobalMaxPool(f32[..]) -> f32[..]
            GlobalMaxPool(f32[n, c, h]) -> f32[n, c, 1]
            LpPool(f32[n, c, 8]) kernel_shape=[2] p=1 -> f32[n, c, 7]
            MaxPool(f32[n, c, h]) kernel_shape=[3] strides=[2] pads=[1, 1]
            -> f32[n, c, floor((h + 1)/2)]
            MaxPool(f32[n, c, 8]) kernel_shape=[2] strides=[2] -> f32[n, c, 4], i64[n, c, 4]
            MaxPool(f32[n, c, 8]) strides=[2] -> ! needs the attribute `kernel_shape`
            MaxPool(f32[n, c, 8]) kernel_shape=[2] strides=[2] ceil_mode=1 pads=[1, 1]
            -> f32[n, c, 5]
            ",
        );
    }
}

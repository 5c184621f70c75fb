//! Convolutions.

use crate::operators::window::Window;
use crate::operators::{Context, Inference, Operator, Stop, form, int, one, optional, text};
use crate::{AttributeKind, AttributeRule, Dim, ElementType};

const AUTO_PAD: AttributeRule = text("auto_pad", "NOTSET");
const DILATIONS: AttributeRule = optional("dilations", AttributeKind::Ints);
const GROUP: AttributeRule = int("group", 1);
const KERNEL: AttributeRule = optional("kernel_shape", AttributeKind::Ints);
const PADS: AttributeRule = optional("pads", AttributeKind::Ints);
const STRIDES: AttributeRule = optional("strides", AttributeKind::Ints);
const CONV: &[AttributeRule] = &[AUTO_PAD, DILATIONS, GROUP, KERNEL, PADS, STRIDES];

pub(super) const OPERATORS: &[Operator] = &[
    Operator::new("Conv", &[form(1, [2, 3], [1, 1], CONV)], |ctx| {
        ctx.same_type(0, 1)?;
        ctx.same_type(0, 2)?;
        conv(ctx, ctx.fact(0)?.element_type, [0, 1, 2])
    }),
    Operator::new("ConvInteger", &[form(10, [2, 4], [1, 1], CONV)], |ctx| {
        conv(ctx, ElementType::Int32, [0, 1, usize::MAX])
    }),
    Operator::new(
        "ConvTranspose",
        &[form(
            1,
            [2, 3],
            [1, 1],
            &[
                AUTO_PAD,
                DILATIONS,
                GROUP,
                KERNEL,
                optional("output_padding", AttributeKind::Ints),
                optional("output_shape", AttributeKind::Ints),
                PADS,
                STRIDES,
            ],
        )],
        transposed,
    ),
    Operator::new("QLinearConv", &[form(10, [8, 9], [1, 1], CONV)], |ctx| {
        conv(ctx, ctx.fact(7)?.element_type, [0, 3, 8])
    }),
];

/// The number of groups.
fn group(ctx: &Context<'_>) -> Result<Dim, Stop> {
    match ctx.int("group")? {
        group if group > 0 => ctx.dim(Some(crate::Expr::constant(group))),
        group => Err(ctx.error(format!("{group} is no number of groups"))),
    }
}

/// The shapes of data and weights.
type Operands<'a> = (&'a [Dim], Option<&'a [Dim]>);

/// The data and the weights of a convolution: each `[batch or out, channels, …]`.
fn operands<'a>(
    ctx: &Context<'a>,
    data: usize,
    weight: usize,
) -> Result<Option<Operands<'a>>, Stop> {
    let Some(shape) = ctx.shape_of(data) else {
        return Ok(None);
    };
    if shape.len() < 3 {
        let rank = shape.len();
        return Err(ctx.error(format!("needs data of rank 3 or more, found rank {rank}")));
    }
    let weight = ctx.shape_of(weight);
    if let Some(weight) = weight.filter(|weight| weight.len() != shape.len()) {
        let (data, weight) = (shape.len(), weight.len());
        return Err(ctx.error(format!("data has rank {data}, the weight rank {weight}")));
    }
    Ok(Some((shape, weight)))
}

/// `[batch, in, …]` and weights `[out, in / group, …]` → `[batch, out, …]`.
fn conv(ctx: &Context<'_>, output: ElementType, [data, weight, bias]: [usize; 3]) -> Inference {
    let (shape, weight) = operands(ctx, data, weight)?.ok_or(Stop::Unranked(output))?;
    let group = group(ctx)?;
    if let Some(weight) = weight {
        let channels = Dim::product([&weight[1], &group]);
        ctx.same_size(&shape[1], &channels, "the numbers of input channels differ")?;
    }
    let kernel = weight.map(|weight| weight[2..].iter().map(Dim::expr).collect());
    let window = Window::new(ctx, shape.len() - 2, kernel)?;
    let channels = weight.map_or(Dim::Unknown, |weight| weight[0].clone());
    if let Some([size]) = ctx.shape_of(bias) {
        ctx.same_size(&channels, size, "the bias does not fit the output channels")?;
    }
    let spatial = window.shrink(ctx, &shape[2..])?;
    one(
        output,
        [shape[0].clone(), channels].into_iter().chain(spatial),
    )
}

/// `[batch, in, …]` and weights `[in, out / group, …]` → `[batch, out, …]`.
fn transposed(ctx: &Context<'_>) -> Inference {
    ctx.same_type(0, 1)?;
    let element_type = ctx.fact(0)?.element_type;
    let (shape, weight) = operands(ctx, 0, 1)?.ok_or(Stop::Unranked(element_type))?;
    let group = group(ctx)?;
    if let Some(weight) = weight {
        ctx.same_size(
            &shape[1],
            &weight[0],
            "the numbers of input channels differ",
        )?;
    }
    let kernel = weight.map(|weight| weight[2..].iter().map(Dim::expr).collect());
    let window = Window::new(ctx, shape.len() - 2, kernel)?;
    let channels = weight.map_or(Dim::Unknown, |weight| Dim::product([&weight[1], &group]));
    let spatial = window.grow(ctx, &shape[2..])?;
    one(
        element_type,
        [shape[0].clone(), channels].into_iter().chain(spatial),
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
            Conv(f32[n, 3, 224, 224], f32[64, 3, 7, 7], f32[64]) pads=[3, 3, 3, 3] strides=[2, 2]
            -> f32[n, 64, 112, 112]
            Conv(f32[n, 3, h, w], f32[8, 3, 3, 3]) strides=[2, 1] pads=[1, 1, 1, 1]
            -> f32[n, 8, floor((h + 1)/2), w]
            Conv(f32[n, 3, h], f32[8, 3, 3]) dilations=[2] -> f32[n, 8, h - 4]
            Conv(f32[n, 8, 10], f32[8, 1, 3]) group=8 auto_pad=\"SAME_UPPER\" strides=[3]
            -> f32[n, 8, 4]
            Conv(f32[n, 3, 10], f32[8, 3, 3]) auto_pad=\"VALID\" pads=[1, 1] -> f32[n, 8, 8]
            Conv(f32[n, 3, 10], f32[..]) kernel_shape=[3] -> f32[n, ?, 8]
            Conv(f32[n, 3, 10], f32[..]) -> f32[n, ?, ?]
            Conv(f32[..], f32[8, 3, 3]) -> f32[..]
            Conv(f32[n, 3, 10], f32[8, 4, 3]) -> ! the numbers of input channels differ: 3 and 4
            Conv(f32[n, 3, 10], f32[8, 3, 3], f32[7])
            -> ! the bias does not fit the output channels: 8 and 7
            Conv(f32[n, 3], f32[8, 3]) -> ! needs data of rank 3 or more, found rank 2
            Conv(f32[n, 3, 10], f32[8, 3, 3, 3]) -> ! data has rank 3, the weight rank 4
            Conv(f32[n, 3, 2], f32[8, 3, 5]) -> ! a dimension would be -2
            Conv(f32[n, 3, 9], f32[8, 3, 5]) strides=[0] -> ! `strides` [0] does not fit 1 axes
            Conv(f32[n, 3, 9], f32[8, 3, 5]) pads=[1]
            -> ! a window of 1 axes with 1 pads does not fit 1 spatial axes
            Conv(f32[n, 3, 9], f32[8, 3, 5]) auto_pad=\"FULL\" -> ! `FULL` is no way to pad
            Conv(f32[n, 3, 9], f32[8, 3, 5]) group=0 -> ! 0 is no number of groups
            ConvInteger(u8[n, 3, 10], i8[8, 3, 3], u8[], i8[]) -> i32[n, 8, 8]
            ConvTranspose(f32[n, 4, h], f32[4, 8, 3]) strides=[2] pads=[1, 1] output_padding=[1]
            -> f32[n, 8, 2*h]
            ConvTranspose(f32[n, 4, 5], f32[4, 2, 3]) group=2 -> f32[n, 4, 7]
            ConvTranspose(f32[n, 4, 5], f32[4, 2, 3]) output_shape=[9] -> f32[n, 2, 9]
            ConvTranspose(f32[n, 4, 5], f32[4, 2, 3]) auto_pad=\"SAME_LOWER\" strides=[2]
            -> f32[n, 2, 10]
            ConvTranspose(f32[n, 4, 5], f32[3, 2, 3])
            -> ! the numbers of input channels differ: 4 and 3
            QLinearConv(u8[n, 3, 10], f32[], u8[], i8[8, 3, 3], f32[8], i8[8], f32[], u8[], i32[8])
            -> u8[n, 8, 8]
            ",
        );
    }
}

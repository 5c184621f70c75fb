//! Resampling, and exchange of space and channels.

use crate::operators::{
    Context, Form, Inference, Operator, float, form, int, one, optional, required, text,
};
use crate::{AttributeKind, AttributeRule, Dim, Expr};

const BLOCK: AttributeRule = required("blocksize", AttributeKind::Int);
const COORDINATES: AttributeRule = text("coordinate_transformation_mode", "half_pixel");
const CUBIC: AttributeRule = float("cubic_coeff_a", -0.75);
const EXCLUDE: AttributeRule = int("exclude_outside", 0);
const EXTRAPOLATION: AttributeRule = float("extrapolation_value", 0.0);
const MODE: AttributeRule = text("mode", "nearest");
const NEAREST: AttributeRule = text("nearest_mode", "round_prefer_floor");
const RESIZE: &[Form] = &[
    form(10, [2, 2], [1, 1], &[MODE]),
    // Files omit the region of interest where it is not used, although it is not optional.
    form(
        11,
        [1, 4],
        [1, 1],
        &[COORDINATES, CUBIC, EXCLUDE, EXTRAPOLATION, MODE, NEAREST],
    ),
    form(
        18,
        [1, 4],
        [1, 1],
        &[
            int("antialias", 0),
            optional("axes", AttributeKind::Ints),
            COORDINATES,
            CUBIC,
            EXCLUDE,
            EXTRAPOLATION,
            text("keep_aspect_ratio_policy", "stretch"),
            MODE,
            NEAREST,
        ],
    ),
];

pub(in crate::operators) const OPERATORS: &[Operator] = &[
    Operator::new(
        "DepthToSpace",
        &[
            form(1, [1, 1], [1, 1], &[BLOCK]),
            form(11, [1, 1], [1, 1], &[BLOCK, text("mode", "DCR")]),
        ],
        depth_to_space,
    ),
    Operator::new("Resize", RESIZE, resize),
    Operator::new(
        "SpaceToDepth",
        &[form(1, [1, 1], [1, 1], &[BLOCK])],
        space_to_depth,
    ),
];

/// Sizes are given, or are `⌊size · scale⌋`. Scales are followed if they are integers or the size
/// is known.
fn resize(ctx: &Context<'_>) -> Inference {
    let (element_type, shape) = ctx.ranked(0)?;
    let axes = match ctx.ints("axes") {
        Some(axes) => ctx.distinct_axes(axes, shape.len())?,
        None => (0..shape.len()).collect(),
    };
    // Operator set 10 has the scales where newer ones have the region of interest.
    let scales = if ctx.opset() < 11 { 1 } else { 2 };
    let scales = ctx.constant(scales).and_then(crate::Tensor::to_f32);
    let scales = scales.filter(|scales| !scales.is_empty());
    let mut dims = shape.to_vec();
    let stretch = match ctx.opset() < 18 {
        true => true,
        false => ctx.text("keep_aspect_ratio_policy")? == "stretch",
    };
    match (ctx.contents(3), scales) {
        (Some(sizes), _) if stretch && sizes.len() == axes.len() => {
            for (axis, size) in axes.iter().zip(sizes) {
                dims[*axis] = ctx.dim(size.clone())?;
            }
        }
        (None, Some(scales)) if scales.len() == axes.len() => {
            for (axis, scale) in axes.iter().zip(scales) {
                dims[*axis] = ctx.dim(scaled(&dims[*axis], scale))?;
            }
        }
        (Some(sizes), _) if stretch => {
            let (found, axes) = (sizes.len(), axes.len());
            return Err(ctx.error(format!("{found} sizes do not fit {axes} axes")));
        }
        (None, Some(scales)) => {
            let (found, axes) = (scales.len(), axes.len());
            return Err(ctx.error(format!("{found} scales do not fit {axes} axes")));
        }
        _ => {
            for axis in axes {
                dims[axis] = Dim::Unknown;
            }
        }
    }
    one(element_type, dims)
}

/// `⌊size · scale⌋`, computed in single precision as the runtime does it.
fn scaled(size: &Dim, scale: f32) -> Option<Expr> {
    if scale.fract() == 0.0 && scale.abs() < 1e6 {
        return size.expr()?.mul(&Expr::constant(scale as i64));
    }
    let size = size.fixed().filter(|size| *size < 1 << 24)?;
    let scaled = (size as f32 * scale).floor();
    (0.0..9e15)
        .contains(&scaled)
        .then(|| Expr::constant(scaled as i64))
}

/// `[batch, channels, height, width]` and the block size.
fn image<'a>(
    ctx: &Context<'a>,
) -> Result<(crate::ElementType, &'a [Dim; 4], Expr), crate::operators::Stop> {
    let (element_type, shape) = ctx.ranked(0)?;
    let image: Result<&[Dim; 4], _> = shape.try_into();
    let image = image
        .map_err(|_| ctx.error(format!("needs data of rank 4, found rank {}", shape.len())))?;
    match ctx.int("blocksize")? {
        block if block > 0 => Ok((element_type, image, Expr::constant(block))),
        block => Err(ctx.error(format!("{block} is no block size"))),
    }
}

fn depth_to_space(ctx: &Context<'_>) -> Inference {
    let (element_type, [batch, channels, height, width], block) = image(ctx)?;
    let area = block.mul(&block);
    let fewer = channels
        .expr()
        .zip(area)
        .and_then(|(c, area)| c.floor_div(&area));
    let larger = |size: &Dim| ctx.dim(size.expr().and_then(|size| size.mul(&block)));
    one(
        element_type,
        [
            batch.clone(),
            ctx.dim(fewer)?,
            larger(height)?,
            larger(width)?,
        ],
    )
}

fn space_to_depth(ctx: &Context<'_>) -> Inference {
    let (element_type, [batch, channels, height, width], block) = image(ctx)?;
    let area = block.mul(&block);
    let more = channels.expr().zip(area).and_then(|(c, area)| c.mul(&area));
    let smaller = |size: &Dim| ctx.dim(size.expr().and_then(|size| size.floor_div(&block)));
    one(
        element_type,
        [
            batch.clone(),
            ctx.dim(more)?,
            smaller(height)?,
            smaller(width)?,
        ],
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
            DepthToSpace(f32[n, 12, h, w]) blocksize=2 mode=\"CRD\" -> f32[n, 3, 2*h, 2*w]
            DepthToSpace(f32[n, 12, h]) blocksize=2 -> ! needs data of rank 4, found rank 3
            Resize(f32[n, c, h, 7], -, f32[4]{1, 1, 2, 1.5}) -> f32[n, c, 2*h, 10]
            Resize(f32[n, c, h, w], -, f32[4]{1, 1, 0.5, 0.5}) -> f32[n, c, ?, ?]
            Resize(f32[n, c, h, w], -, -, i64[4]{n, c, 8, 9}) -> f32[n, c, 8, 9]
            Resize(f32[n, c, h, w], -, -, i64[2]{8, 9}) axes=[2, 3] @18 -> f32[n, c, 8, 9]
            Resize(f32[n, c, h, w], -, -, i64[4]) -> f32[?, ?, ?, ?]
            Resize(f32[n, c, h, w], -, -, i64[2]{8, 9}) -> ! 2 sizes do not fit 4 axes
            Resize(f32[n, c, h, w], f32[4]{1, 1, 2, 2}) @10 -> f32[n, c, 2*h, 2*w]
            Resize(f32[n, c, h], -, f32[2]{1, 1}) -> ! 2 scales do not fit 3 axes
            SpaceToDepth(f32[n, 3, 8, w]) blocksize=2 -> f32[n, 12, 4, floor(w/2)]
            SpaceToDepth(f32[n, 3, 8, w]) blocksize=0 -> ! 0 is no block size
            ",
        );
    }
}

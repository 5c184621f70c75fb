//! Windows that slide over the spatial axes of `[batch, channels, …]`: convolution and pooling.

use crate::operators::{Context, Stop};
use crate::{Dim, Expr};

/// The attributes that convolution and pooling share, with one entry per spatial axis.
pub(super) struct Window {
    /// The size of the window, if it is known.
    kernel: Vec<Option<Expr>>,
    strides: Vec<i64>,
    dilations: Vec<i64>,
    /// Padding before and behind each axis.
    pads: Vec<(i64, i64)>,
    padding: Padding,
    ceil: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Padding {
    /// As the attribute `pads` has it.
    Explicit,
    /// As much as makes the output `⌈input / stride⌉` long.
    Same,
}

impl Window {
    /// Reads the attributes of a node over `axes` spatial axes. `kernel` is the size of the window
    /// if it follows from a weight.
    pub(super) fn new(
        ctx: &Context<'_>,
        axes: usize,
        kernel: Option<Vec<Option<Expr>>>,
    ) -> Result<Self, Stop> {
        let attribute = ctx.ints("kernel_shape");
        let attribute = attribute.map(|k| k.iter().map(|n| Some(Expr::constant(*n))).collect());
        let kernel = attribute.or(kernel).unwrap_or_else(|| vec![None; axes]);
        let each = |name: &str, default: i64| -> Result<Vec<i64>, Stop> {
            let values = ctx
                .ints(name)
                .map_or_else(|| vec![default; axes], <[i64]>::to_vec);
            match values.iter().all(|value| *value > 0) && values.len() == axes {
                true => Ok(values),
                false => Err(ctx.error(format!("`{name}` {values:?} does not fit {axes} axes"))),
            }
        };
        let (strides, dilations) = (each("strides", 1)?, each("dilations", 1)?);
        let pads = ctx
            .ints("pads")
            .map_or_else(|| vec![0; 2 * axes], <[i64]>::to_vec);
        if pads.len() != 2 * axes || kernel.len() != axes {
            let kernel = kernel.len();
            let pads = pads.len();
            return Err(ctx.error(format!(
                "a window of {kernel} axes with {pads} pads does not fit {axes} spatial axes"
            )));
        }
        let padding = match ctx.text("auto_pad")? {
            "NOTSET" => Padding::Explicit,
            "SAME_UPPER" | "SAME_LOWER" => Padding::Same,
            "VALID" => Padding::Explicit,
            other => return Err(ctx.error(format!("`{other}` is no way to pad"))),
        };
        let valid = ctx.text("auto_pad")? == "VALID";
        let pads = (0..axes).map(|axis| match valid {
            true => (0, 0),
            false => (pads[axis], pads[axes + axis]),
        });
        Ok(Self {
            kernel,
            strides,
            dilations,
            pads: pads.collect(),
            padding,
            ceil: ctx.optional_int("ceil_mode").is_some_and(|flag| flag != 0),
        })
    }

    /// The spatial sizes of the output of a convolution or pooling.
    pub(super) fn shrink(&self, ctx: &Context<'_>, sizes: &[Dim]) -> Result<Vec<Dim>, Stop> {
        let size = |(axis, size): (usize, &Dim)| ctx.dim(self.shrunk(axis, size));
        sizes.iter().enumerate().map(size).collect()
    }

    /// `⌊(input + pads − extent) / stride⌋ + 1`, where the extent is
    /// `dilation · (kernel − 1) + 1`.
    ///
    /// Rounding up counts a last, partial window, unless it would begin behind the input and its
    /// padding in front.
    fn shrunk(&self, axis: usize, size: &Dim) -> Option<Expr> {
        let (size, one) = (size.expr()?, Expr::constant(1));
        let stride = Expr::constant(self.strides[axis]);
        if self.padding == Padding::Same {
            return size.ceil_div(&stride);
        }
        let (begin, end) = self.pads[axis];
        let padded = size.add(&Expr::constant(begin.checked_add(end)?))?;
        let room = padded.sub(&self.extent(axis)?)?;
        let steps = match self.ceil {
            false => room.floor_div(&stride)?,
            true => {
                let last = size
                    .add(&Expr::constant(begin.checked_sub(1)?))?
                    .floor_div(&stride)?;
                room.ceil_div(&stride)?.minimum(&last)?
            }
        };
        steps.add(&one)
    }

    /// The number of elements from the first to the last that a window covers.
    fn extent(&self, axis: usize) -> Option<Expr> {
        let gaps = self.kernel[axis].as_ref()?.sub(&Expr::constant(1))?;
        gaps.mul(&Expr::constant(self.dilations[axis]))?
            .add(&Expr::constant(1))
    }

    /// The spatial sizes of the output of a transposed convolution.
    pub(super) fn grow(&self, ctx: &Context<'_>, sizes: &[Dim]) -> Result<Vec<Dim>, Stop> {
        let extra = ctx.ints("output_padding");
        let extra = extra.map_or_else(|| vec![0; sizes.len()], <[i64]>::to_vec);
        if let Some(shape) = ctx.ints("output_shape") {
            let from = shape.len().checked_sub(sizes.len());
            let shape = from.and_then(|from| shape.get(from..)).ok_or_else(|| {
                ctx.error(format!("`output_shape` does not fit {} axes", sizes.len()))
            })?;
            return shape
                .iter()
                .map(|n| ctx.dim(Some(Expr::constant(*n))))
                .collect();
        }
        if extra.len() != sizes.len() {
            return Err(ctx.error(format!(
                "`output_padding` does not fit {} axes",
                sizes.len()
            )));
        }
        let size = |(axis, size): (usize, &Dim)| ctx.dim(self.grown(axis, size, extra[axis]));
        sizes.iter().enumerate().map(size).collect()
    }

    /// `stride · (input − 1) + extra + extent − pads`.
    fn grown(&self, axis: usize, size: &Dim, extra: i64) -> Option<Expr> {
        let stride = Expr::constant(self.strides[axis]);
        if self.padding == Padding::Same {
            return size.expr()?.mul(&stride);
        }
        let (begin, end) = self.pads[axis];
        let spread = size.expr()?.sub(&Expr::constant(1))?.mul(&stride)?;
        let rest = extra.checked_sub(begin)?.checked_sub(end)?;
        spread.add(&self.extent(axis)?)?.add(&Expr::constant(rest))
    }
}

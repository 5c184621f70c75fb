//! The specification of normalizations.

use crate::{Ops, Param, Result, Var};
use candle_core::D;

pub(super) fn layer_norm<O: Ops>(
    x: &Var<'_, O>,
    weight: &Param,
    bias: Option<&Param>,
    epsilon: f64,
) -> Result<O::Value> {
    let centered = (x - x.mean_keepdim(D::Minus1)?)?;
    let variance = centered.sqr()?.mean_keepdim(D::Minus1)?;
    let normal = (centered / (variance + epsilon)?.sqrt()?)?;
    let scaled = (normal * x.param(weight)?)?;
    let shifted = match bias {
        Some(bias) => (scaled + x.param(bias)?)?,
        None => scaled,
    };
    Ok(shifted.into_value())
}

pub(super) fn rms_norm<O: Ops>(x: &Var<'_, O>, weight: &Param, epsilon: f64) -> Result<O::Value> {
    let square = x.sqr()?.mean_keepdim(D::Minus1)?;
    let normal = (x / (square + epsilon)?.sqrt()?)?;
    Ok((normal * x.param(weight)?)?.into_value())
}

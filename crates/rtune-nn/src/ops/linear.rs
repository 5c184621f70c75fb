//! The specification of linear layers.

use crate::{Ops, Param, Result, Var};
use candle_core::D;

pub(super) fn linear<O: Ops>(
    x: &Var<'_, O>,
    weight: &Param,
    bias: Option<&Param>,
) -> Result<O::Value> {
    let weight = x.param(weight)?.transpose(D::Minus2, D::Minus1)?;
    let product = x.matmul(&weight)?;
    let sum = match bias {
        Some(bias) => (product + x.param(bias)?)?,
        None => product,
    };
    Ok(sum.into_value())
}

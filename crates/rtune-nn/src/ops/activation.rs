//! The specification of activations.

use crate::{Ops, Result, Var};
use candle_core::D;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_PI};

pub(super) fn gelu_erf<O: Ops>(x: &Var<'_, O>) -> Result<O::Value> {
    let cumulative = (x * FRAC_1_SQRT_2)?.erf()?.affine(0.5, 0.5)?;
    Ok((x * cumulative)?.into_value())
}

pub(super) fn gelu<O: Ops>(x: &Var<'_, O>) -> Result<O::Value> {
    let cubic = (x.sqr()?.affine(0.044_715, 1.0)? * x)?;
    let cumulative = (cubic * FRAC_2_PI.sqrt())?.tanh()?.affine(0.5, 0.5)?;
    Ok((x * cumulative)?.into_value())
}

pub(super) fn silu<O: Ops>(x: &Var<'_, O>) -> Result<O::Value> {
    Ok((x * x.sigmoid()?)?.into_value())
}

pub(super) fn softmax<O: Ops>(x: &Var<'_, O>) -> Result<O::Value> {
    let powers = (x - x.max_keepdim(D::Minus1)?)?.exp()?;
    let total = powers.sum_keepdim(D::Minus1)?;
    Ok((powers / total)?.into_value())
}

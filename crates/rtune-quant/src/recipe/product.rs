//! The integer form that matrix products share.

use super::Site;
use crate::QuantError;
use crate::apply::Apply;

/// Writes `QuantizeLinear` → `DequantizeLinear` → `op_type` with int8 weights per channel and an
/// int32 bias, the form that the runtime has integer kernels for.
pub(super) fn rewrite(site: &Site, op_type: &str, out: &mut Apply<'_>) -> Result<(), QuantError> {
    let Some(activation) = site.activation else {
        return out.keep(site.node);
    };
    let (activation, params) = out.activation(activation)?;
    let matrix = out.matrix(site)?;
    let channels = matrix.channels(site.channel_axis);
    let bias = match site.bias {
        Some(bias) => out.bias_values(bias, channels)?,
        None => vec![0.0; channels],
    };
    let (weight, scales) = out.weight(site, &matrix, &bias, params.scale)?;
    let mut inputs = vec![activation, weight];
    if let Some(id) = site.bias {
        inputs.push(out.bias(id, &bias, params.scale, &scales)?);
    }
    out.product(site, op_type, inputs)
}

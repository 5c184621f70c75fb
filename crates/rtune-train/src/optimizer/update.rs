//! The update of one parameter, on the host and on other devices.

use candle_core::{CpuStorage, InplaceOp1, Layout, Tensor};
use rtune_kernels::cpu;
use rtune_nn::Result;
use std::sync::Mutex;

/// Updates a parameter in host memory.
pub(super) fn on_host(
    update: cpu::AdamW,
    value: &Tensor,
    gradient: &[f32],
    first: &mut [f32],
    second: &mut [f32],
) -> Result<()> {
    let moments = Mutex::new((first, second));
    Ok(value.inplace_op1(&HostUpdate {
        update,
        gradient,
        moments,
    })?)
}

/// Updates a parameter on any device with tensor operations.
pub(super) fn on_device(
    update: &cpu::AdamW,
    value: &Tensor,
    gradient: &Tensor,
    first: &mut Tensor,
    second: &mut Tensor,
) -> Result<()> {
    let gradient = (gradient * update.clip)?;
    *first = ((&*first * update.beta1)? + (&gradient * (1.0 - update.beta1))?)?;
    *second = ((&*second * update.beta2)? + (gradient.sqr()? * (1.0 - update.beta2))?)?;
    let root = ((&*second / update.correction)?.sqrt()? + update.epsilon)?;
    let updated = ((value * update.keep)? - (first.div(&root)? * update.rate)?)?;
    Ok(value.slice_set(&updated.contiguous()?, 0, 0)?)
}

/// One pass over a parameter, its gradient and its moments in memory.
struct HostUpdate<'a> {
    update: cpu::AdamW,
    gradient: &'a [f32],
    moments: Mutex<(&'a mut [f32], &'a mut [f32])>,
}

impl InplaceOp1 for HostUpdate<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(&self, value: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (CpuStorage::F32(value), Some((start, end))) = (value, layout.contiguous_offsets())
        else {
            candle_core::bail!("adamw updates contiguous f32 parameters only");
        };
        let Ok(mut moments) = self.moments.lock() else {
            candle_core::bail!("adamw: an earlier update of this parameter failed")
        };
        let (first, second) = &mut *moments;
        cpu::adamw(
            &self.update,
            &mut value[start..end],
            self.gradient,
            first,
            second,
        )
        .map_err(candle_core::Error::wrap)
    }
}

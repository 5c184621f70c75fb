//! The update of one parameter, on the host and on other devices.

use crate::cuda;
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

/// A parameter on a device other than the CPU, with all that its update needs.
pub(crate) struct Update<'a> {
    pub(crate) coefficients: cpu::AdamW,
    pub(crate) value: &'a Tensor,
    pub(crate) gradient: &'a Tensor,
    pub(crate) first: &'a Tensor,
    pub(crate) second: &'a Tensor,
}

/// Updates parameters and their moments in place, with tensor operations where the device has no
/// kernel. `beta1`, `beta2`, `epsilon`, `correction` and `clip` are the same for all.
pub(super) fn on_device(updates: &[Update<'_>]) -> Result<()> {
    if let Some(()) = cuda::adamw(updates)? {
        return Ok(());
    }
    updates.iter().try_for_each(Update::by_operations)
}

impl Update<'_> {
    fn by_operations(&self) -> Result<()> {
        let update = &self.coefficients;
        let gradient = (self.gradient * update.clip)?;
        let first = ((self.first * update.beta1)? + (&gradient * (1.0 - update.beta1))?)?;
        let second = ((self.second * update.beta2)? + (gradient.sqr()? * (1.0 - update.beta2))?)?;
        let root = ((&second / update.correction)?.sqrt()? + update.epsilon)?;
        let updated = ((self.value * update.keep)? - (first.div(&root)? * update.rate)?)?;
        for (old, new) in [
            (self.first, first),
            (self.second, second),
            (self.value, updated),
        ] {
            old.slice_set(&new.contiguous()?, 0, 0)?;
        }
        Ok(())
    }
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

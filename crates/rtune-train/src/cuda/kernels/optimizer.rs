//! The update of all parameters at once.

use super::{Memory, compiled, device, grid, memory};
use crate::Array;
use crate::optimizer::Update;
use candle_core::Tensor;
use candle_core::cuda_backend::CudaDevice;
use candle_core::cuda_backend::WrapErr as _;
use candle_core::cuda_backend::cudarc::driver::DevicePtr as _;
use candle_core::cuda_backend::cudarc::driver::PushKernelArg as _;
use rtune_nn::Result;

/// The blocks of each array.
const PARTS: usize = 256;

/// Updates parameters and their moments in place, in one launch.
pub(crate) fn adamw(updates: &[Update<'_>]) -> Result<Option<()>> {
    let Some(device) = updates.first().and_then(|update| device(update.value)) else {
        return Ok(None);
    };
    let (mut gradients, mut addresses, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    for update in updates {
        // Kept until the launch.
        let gradient = update.gradient.contiguous()?;
        for x in [update.value, &gradient, update.first, update.second] {
            addresses.push(address(x, &device)?);
        }
        addresses.push(update.value.elem_count() as u64);
        let coefficients = &update.coefficients;
        numbers.extend([coefficients.rate as f32, coefficients.keep as f32]);
        gradients.push(gradient);
    }
    let shared = &updates[0].coefficients;
    let correction = 1.0 / shared.correction.sqrt();
    launch!(
        &device,
        "adamw",
        grid(PARTS, updates.len()),
        &device.clone_htod(&addresses)?,
        &device.clone_htod(&numbers)?,
        &(shared.beta1 as f32),
        &(shared.beta2 as f32),
        &(shared.epsilon as f32),
        &(correction as f32),
        &(shared.clip as f32)
    );
    Ok(Some(()))
}

/// Returns the address of a contiguous tensor's first element.
fn address(x: &Tensor, device: &CudaDevice) -> candle_core::Result<u64> {
    let memory = Memory::of(x)?;
    let view = memory.view::<f32>()?;
    // All work is in the order of one stream, so nothing has to be recorded when the use ends.
    let (address, _) = view.device_ptr(&device.cuda_stream());
    Ok(address)
}

/// Returns the sum of squares of each array, read from the device at once.
pub(crate) fn square_sums(arrays: &[&Array]) -> Result<Option<Vec<f64>>> {
    if arrays.iter().any(|array| array.is_host()) {
        return Ok(None);
    }
    let (mut tensors, mut addresses) = (Vec::new(), Vec::new());
    for array in arrays {
        tensors.push(array.tensor()?.contiguous()?);
    }
    let devices: Option<Vec<CudaDevice>> = tensors.iter().map(device).collect();
    let Some((device, _)) = devices.as_deref().and_then(<[CudaDevice]>::split_first) else {
        return Ok(None);
    };
    for x in &tensors {
        addresses.extend([address(x, device)?, x.elem_count() as u64]);
    }
    let mut partial = memory::<f64>(device, tensors.len() * PARTS)?;
    launch!(
        device,
        "square_sum",
        grid(PARTS, tensors.len()),
        &device.clone_htod(&addresses)?,
        &mut partial
    );
    let partial = device.clone_dtoh(&partial)?;
    Ok(Some(
        partial
            .chunks(PARTS)
            .map(|parts| parts.iter().sum())
            .collect(),
    ))
}

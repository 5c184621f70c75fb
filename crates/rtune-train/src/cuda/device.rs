//! Opening a device.

#![expect(
    unsafe_code,
    reason = "the driver's functions take pointers; each block says why they are valid"
)]

use super::Products;
use candle_core::Device;
use candle_core::cuda_backend::cudarc::driver::{CudaContext, DriverError, result, sys};
use candle_core::cuda_backend::{CudaDevice, set_gemm_reduced_precision_f32};

/// Opens a device, or says why it cannot.
pub(crate) fn open(ordinal: usize, products: Products) -> Result<Device, String> {
    let count = CudaContext::device_count().map_err(|error| match error.0 {
        sys::CUresult::CUDA_ERROR_NO_DEVICE => "this machine has no CUDA device".to_owned(),
        _ => format!("the driver of CUDA does not start: {error}"),
    })?;
    let count = usize::try_from(count).unwrap_or_default();
    if ordinal >= count {
        return Err(match count {
            0 => "this machine has no CUDA device".to_owned(),
            1 => "this machine has only device 0".to_owned(),
            _ => format!("this machine has devices 0 to {}", count - 1),
        });
    }
    // candle's own default is a stream for each thread, and steps run on the threads of a pool:
    // two of them would work on the same tensors without an order.
    let device = Device::new_cuda_with_stream(ordinal).map_err(|error| error.to_string())?;
    if let Device::Cuda(cuda) = &device {
        // SAFETY: all work on this device goes through the one stream of this handle, so nothing
        // is freed or written before earlier uses of it have ended.
        unsafe { cuda.disable_event_tracking() };
        keep_memory(cuda).map_err(|error| error.to_string())?;
    }
    set_gemm_reduced_precision_f32(products == Products::Tf32);
    Ok(device)
}

/// Lets the pool of the device keep memory that is freed.
fn keep_memory(device: &CudaDevice) -> Result<(), DriverError> {
    let stream = device.cuda_stream();
    let context = stream.context();
    if !context.has_async_alloc() {
        return Ok(());
    }
    let mut threshold = u64::MAX;
    let number = i32::try_from(context.ordinal()).unwrap_or_default();
    // SAFETY: the device exists, since a stream on it does, and its pool lives as long; the
    // attribute is 64 bits wide and copied before the call returns.
    unsafe {
        let pool = result::device::get_default_mem_pool(result::device::get(number)?)?;
        result::mem_pool::set_attribute(
            pool,
            sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD,
            std::ptr::from_mut(&mut threshold).cast(),
        )
    }
}

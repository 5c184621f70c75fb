//! CUDA: opening a device, and the kernels of `rtune-kernels` on it.

#[cfg(not(feature = "cuda"))]
mod absent;
#[cfg(feature = "cuda")]
mod device;
#[cfg(feature = "cuda")]
mod kernels;

#[cfg(not(feature = "cuda"))]
pub(crate) use absent::*;
#[cfg(feature = "cuda")]
pub(crate) use device::open;
#[cfg(feature = "cuda")]
pub(crate) use kernels::*;

use crate::TrainError;
use candle_core::Device;

/// The precision of matrix products on CUDA. Everything else is in single precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Products {
    /// Single precision.
    #[default]
    Float32,
    /// Elements are rounded to TF32, which has 10 bits after the leading one in place of 23, and
    /// multiplied by the tensor cores; sums are in single precision.
    Tf32,
}

/// Opens a CUDA device, counted from 0. The precision is that of the process. A device should be
/// opened once: tensors on two handles of one device cannot be mixed.
///
/// All work on the device is done in the order in which it was asked for, whichever thread asks.
/// Memory that is freed stays with the process, so that the next request needs no system call.
///
/// # Errors
/// If this build has no CUDA, or there is no such device; the error says which there are.
pub fn cuda_device(ordinal: usize, products: Products) -> Result<Device, TrainError> {
    open(ordinal, products).map_err(|problem| TrainError::Device { ordinal, problem })
}

/// Returns whether an error says that the memory of a device is exhausted.
pub(crate) fn is_out_of_memory(error: &candle_core::Error) -> bool {
    let text = error.to_string();
    // Of the driver and of cuBLAS.
    ["CUDA_ERROR_OUT_OF_MEMORY", "ALLOC_FAILED"]
        .iter()
        .any(|name| text.contains(name))
}

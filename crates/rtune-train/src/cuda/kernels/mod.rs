//! Launches of the kernels. A function returns none for tensors that are not `f32` on CUDA.

#![expect(
    unsafe_code,
    reason = "a launch hands pointers to a kernel; each block says why it stays within them"
)]

use candle_core::cuda_backend::cudarc::driver::{CudaSlice, CudaView, DeviceRepr, LaunchConfig};
use candle_core::cuda_backend::cudarc::nvrtc::compile_ptx;
use candle_core::cuda_backend::{CudaDType, CudaDevice, CudaStorage, WrapErr as _};
use candle_core::op::BackpropOp;
use candle_core::{DType, Device, Shape, Storage, Tensor};
use rtune_kernels::cuda;
use std::ops::Deref;
use std::sync::OnceLock;

/// The most blocks of an elementwise kernel: enough to fill any device.
const BLOCKS: usize = 4096;
/// The most blocks along the rows of a matrix.
const ROWS: usize = 16_384;

/// Returns the CUDA device of an `f32` tensor that has elements.
fn device(tensor: &Tensor) -> Option<CudaDevice> {
    match tensor.device() {
        Device::Cuda(device) if tensor.dtype() == DType::F32 && tensor.elem_count() > 0 => {
            Some(device.clone())
        }
        _ => None,
    }
}

/// Returns whether the device of a tensor has kernels for it.
pub(crate) fn has_kernels(tensor: &Tensor) -> bool {
    device(tensor).is_some()
}

/// Returns the kernels in the language that the driver reads, compiled on first use.
fn compiled() -> candle_core::Result<&'static str> {
    static COMPILED: OnceLock<String> = OnceLock::new();
    if let Some(compiled) = COMPILED.get() {
        return Ok(compiled);
    }
    let compiled = compile_ptx(cuda::SOURCE).w()?.to_src();
    Ok(COMPILED.get_or_init(|| compiled))
}

/// The grid of a kernel.
fn grid(x: usize, y: usize) -> LaunchConfig {
    LaunchConfig {
        grid_dim: (x.max(1) as u32, y.max(1) as u32, 1),
        block_dim: (cuda::THREADS as u32, 1, 1),
        shared_mem_bytes: 0,
    }
}

/// The grid of a kernel with a place for each thread.
fn flat(length: usize, most: usize) -> LaunchConfig {
    grid(length.div_ceil(cuda::THREADS).min(most), 1)
}

/// A tensor's part of the memory of the device.
struct Memory<'a> {
    storage: Box<dyn Deref<Target = Storage> + 'a>,
    range: (usize, usize),
}

impl<'a> Memory<'a> {
    fn of(tensor: &'a Tensor) -> candle_core::Result<Self> {
        let (storage, layout) = tensor.storage_and_layout();
        let Some(range) = layout.contiguous_offsets() else {
            candle_core::bail!("expected a contiguous tensor, found {layout:?}");
        };
        Ok(Self {
            storage: Box::new(storage),
            range,
        })
    }

    fn view<T: CudaDType>(&self) -> candle_core::Result<CudaView<'_, T>> {
        match &**self.storage {
            Storage::Cuda(storage) => {
                let (start, end) = self.range;
                Ok(storage.as_cuda_slice::<T>()?.slice(start..end))
            }
            _ => candle_core::bail!("expected a tensor on CUDA"),
        }
    }
}

/// Returns memory with arbitrary contents.
fn memory<T: DeviceRepr>(device: &CudaDevice, length: usize) -> candle_core::Result<CudaSlice<T>> {
    // SAFETY: the kernel that the memory is for writes all of it before anything reads it.
    unsafe { device.alloc(length) }
}

fn tensor(values: CudaSlice<f32>, shape: impl Into<Shape>, device: &CudaDevice) -> Tensor {
    let storage = CudaStorage::wrap_cuda_slice(values, device.clone());
    Tensor::from_storage(Storage::Cuda(storage), shape, BackpropOp::none(), false)
}

/// Launches a kernel: the name, the grid, then the arguments in their order.
macro_rules! launch {
    ($device:expr, $name:expr, $grid:expr, $($argument:expr),+) => {{
        let function = $device.get_or_load_custom_func($name, "rtune", compiled()?)?;
        let mut builder = function.builder();
        launch!(@with builder, $grid; $($argument),+)
    }};
    // A match keeps the arguments alive until the launch.
    (@with $builder:ident, $grid:expr; $argument:expr $(, $rest:expr)*) => {
        match $argument {
            argument => {
                $builder.arg(argument);
                launch!(@with $builder, $grid; $($rest),*)
            }
        }
    };
    (@with $builder:ident, $grid:expr;) => {
        // SAFETY: the arguments have the types of the kernel's parameters, and each buffer has the
        // length that the kernel derives from the lengths among them.
        unsafe { $builder.launch($grid) }.w()?
    };
}

// Behind the macro, which they use.
mod attention;
mod elementwise;
mod optimizer;

pub(crate) use attention::{attention_weights, attention_weights_backward, swap_axes};
pub(crate) use elementwise::{
    add_row, column_sum, dropout, embedding_backward, gelu_backward, layer_norm_backward,
    softmax_backward,
};
pub(crate) use optimizer::{adamw, square_sums};

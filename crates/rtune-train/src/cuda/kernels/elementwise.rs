//! Gradients of activations, normalizations and tables; sums over rows; dropout.

use super::{BLOCKS, Memory, ROWS, compiled, device, flat, grid, memory, tensor};
use candle_core::cuda_backend::CudaDevice;
use candle_core::cuda_backend::WrapErr as _;
use candle_core::cuda_backend::cudarc::driver::PushKernelArg as _;
use candle_core::{D, DType, Tensor};
use rtune_kernels::{cpu, cuda};
use rtune_nn::Result;

/// The rows of a column sum that share a block.
const PIECE: usize = 128;

/// Multiplies by a dropout mask.
pub(crate) fn dropout(x: &Tensor, mask: &cpu::Dropout) -> Result<Option<Tensor>> {
    let Some(device) = device(x) else {
        return Ok(None);
    };
    let x = x.contiguous()?;
    let (length, (key, threshold, scale)) = (x.elem_count(), mask.parts());
    let input = Memory::of(&x)?;
    let mut output = memory::<f32>(&device, length)?;
    // A thread has four places.
    let grid = flat(length.div_ceil(4), BLOCKS);
    launch!(
        &device,
        "dropout",
        grid,
        &input.view::<f32>()?,
        &mut output,
        &(length as u64),
        &key,
        &threshold,
        &scale
    );
    Ok(Some(tensor(output, x.shape(), &device)))
}

/// Returns the gradient of x times the cumulative normal distribution at x.
pub(crate) fn gelu_backward(x: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
    let Some(device) = device(x) else {
        return Ok(None);
    };
    let (x, gradient) = (x.contiguous()?, gradient.contiguous()?);
    let length = x.elem_count();
    let (input, incoming) = (Memory::of(&x)?, Memory::of(&gradient)?);
    let mut output = memory::<f32>(&device, length)?;
    launch!(
        &device,
        "gelu_backward",
        flat(length, BLOCKS),
        &input.view::<f32>()?,
        &incoming.view::<f32>()?,
        &mut output,
        &(length as u64)
    );
    Ok(Some(tensor(output, x.shape(), &device)))
}

/// Returns the gradient of softmax over the last axis.
pub(crate) fn softmax_backward(y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
    let Some(device) = device(y) else {
        return Ok(None);
    };
    let (y, gradient) = (y.contiguous()?, gradient.contiguous()?);
    let width = y.dim(D::Minus1)?;
    let rows = y.elem_count() / width;
    let (result, incoming) = (Memory::of(&y)?, Memory::of(&gradient)?);
    let mut output = memory::<f32>(&device, rows * width)?;
    launch!(
        &device,
        "softmax_backward",
        grid(rows.div_ceil(cuda::THREADS / cuda::LANES), 1),
        &result.view::<f32>()?,
        &incoming.view::<f32>()?,
        &mut output,
        &(rows as u64),
        &(width as u64)
    );
    Ok(Some(tensor(output, y.shape(), &device)))
}

/// Returns the gradients of layer normalization over the last axis, for x, weight and bias.
pub(crate) fn layer_norm_backward(
    x: &Tensor,
    weight: &Tensor,
    gradient: &Tensor,
    epsilon: f64,
) -> Result<Option<[Tensor; 3]>> {
    let Some(device) = device(x) else {
        return Ok(None);
    };
    let (x, weight) = (x.contiguous()?, weight.contiguous()?);
    let gradient = gradient.contiguous()?;
    let width = x.dim(D::Minus1)?;
    let rows = x.elem_count() / width;
    let mut output = memory::<f32>(&device, rows * width)?;
    let mut products = memory::<f32>(&device, rows * width)?;
    {
        let (input, incoming) = (Memory::of(&x)?, Memory::of(&gradient)?);
        let scale = Memory::of(&weight)?;
        launch!(
            &device,
            "layer_norm_backward",
            grid(rows.div_ceil(cuda::THREADS / cuda::LANES), 1),
            &input.view::<f32>()?,
            &scale.view::<f32>()?,
            &incoming.view::<f32>()?,
            &mut output,
            &mut products,
            &(rows as u64),
            &(width as u64),
            &(epsilon as f32)
        );
    }
    let products = tensor(products, (rows, width), &device);
    Ok(Some([
        tensor(output, x.shape(), &device),
        sum_of_rows(&products, &device)?,
        sum_of_rows(&gradient, &device)?,
    ]))
}

/// Returns the sum over all rows.
pub(crate) fn column_sum(x: &Tensor) -> Result<Option<Tensor>> {
    let Some(device) = device(x) else {
        return Ok(None);
    };
    Ok(Some(sum_of_rows(&x.contiguous()?, &device)?))
}

fn sum_of_rows(x: &Tensor, device: &CudaDevice) -> candle_core::Result<Tensor> {
    let width = x.dim(D::Minus1)?;
    let rows = x.elem_count() / width;
    let pieces = rows.div_ceil(PIECE);
    let sum = |x: &Tensor, rows: usize, pieces: usize| {
        let input = Memory::of(x)?;
        let mut output = memory::<f32>(device, pieces * width)?;
        launch!(
            device,
            "column_sum",
            grid(width.div_ceil(cuda::COLUMNS), pieces),
            &input.view::<f32>()?,
            &mut output,
            &(rows as u64),
            &(width as u64)
        );
        Ok::<_, candle_core::Error>(tensor(output, (pieces, width), device))
    };
    let mut partial = sum(x, rows, pieces)?;
    if pieces > 1 {
        partial = sum(&partial, pieces, 1)?;
    }
    partial.reshape(width)
}

/// Returns the gradient of a table of `rows` rows.
///
/// # Shapes
/// ids `[n]`, gradient `[n, width]` -> `[rows, width]`
pub(crate) fn embedding_backward(
    rows: usize,
    ids: &Tensor,
    gradient: &Tensor,
) -> Result<Option<Tensor>> {
    let Some(device) = device(gradient).filter(|_| ids.dtype() == DType::U32) else {
        return Ok(None);
    };
    let (ids, gradient) = (ids.contiguous()?, gradient.contiguous()?);
    let (count, width) = (ids.elem_count(), gradient.dim(D::Minus1)?);
    let mut output = device.alloc_zeros::<f32>(rows * width)?;
    let (places, incoming) = (Memory::of(&ids)?, Memory::of(&gradient)?);
    launch!(
        &device,
        "embedding_backward",
        grid(count, width.div_ceil(cuda::THREADS)),
        &places.view::<u32>()?,
        &incoming.view::<f32>()?,
        &mut output,
        &(count as u64),
        &(width as u64)
    );
    Ok(Some(tensor(output, (rows, width), &device)))
}

/// Adds a row to each row of a tensor that nothing else reads, in place.
pub(crate) fn add_row(x: &Tensor, row: &Tensor) -> Result<Option<()>> {
    let Some(device) = device(x) else {
        return Ok(None);
    };
    let width = row.elem_count();
    let rows = x.elem_count() / width;
    let (values, addends) = (Memory::of(x)?, Memory::of(row)?);
    launch!(
        &device,
        "add_row",
        grid(width.div_ceil(cuda::THREADS), rows.min(ROWS)),
        &values.view::<f32>()?,
        &addends.view::<f32>()?,
        &(rows as u64),
        &(width as u64)
    );
    Ok(Some(()))
}

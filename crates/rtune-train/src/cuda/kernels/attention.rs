//! Attention over padded tokens, but for its products.

use super::{Memory, ROWS, compiled, device, flat, grid, memory, tensor};
use candle_core::cuda_backend::WrapErr as _;
use candle_core::cuda_backend::cudarc::driver::PushKernelArg as _;
use candle_core::{D, Tensor};
use rtune_kernels::{cpu, cuda};
use rtune_nn::Result;

/// Swaps the two axes in the middle.
///
/// # Shapes
/// x `[a, b, c, d]` → `[a, c, b, d]`
pub(crate) fn swap_axes(x: &Tensor) -> Result<Option<Tensor>> {
    let Some(device) = device(x) else {
        return Ok(None);
    };
    let x = x.contiguous()?;
    let (a, b, c, d) = x.dims4()?;
    let input = Memory::of(&x)?;
    let mut output = memory::<f32>(&device, a * b * c * d)?;
    launch!(
        &device,
        "swap_axes",
        flat(a * b * c * cuda::LANES, ROWS),
        &input.view::<f32>()?,
        &mut output,
        &(a as u64),
        &(b as u64),
        &(c as u64),
        &(d as u64)
    );
    Ok(Some(tensor(output, (a, c, b, d), &device)))
}

/// The parts of a mask for a kernel; those of none keep all elements.
fn parts(mask: Option<&cpu::Dropout>) -> (u64, u32, f32) {
    mask.map_or((0, 0, 1.0), cpu::Dropout::parts)
}

/// Returns softmax(scale · scores + bias), and the same times a dropout mask.
///
/// # Shapes
/// scores `[batch, heads, sequence, sequence]`, bias `[batch, 1, 1, sequence]` → as the scores
pub(crate) fn attention_weights(
    scores: &Tensor,
    bias: &Tensor,
    scale: f64,
    mask: Option<&cpu::Dropout>,
) -> Result<Option<[Tensor; 2]>> {
    let Some(device) = device(scores) else {
        return Ok(None);
    };
    let (batch, heads, queries, width) = scores.dims4()?;
    let rows = batch * heads * queries;
    let (input, addend) = (Memory::of(scores)?, Memory::of(bias)?);
    let weights = memory::<f32>(&device, rows * width)?;
    let weights = tensor(weights, scores.shape(), &device);
    let dropped = match mask {
        Some(_) => tensor(memory(&device, rows * width)?, scores.shape(), &device),
        None => weights.clone(),
    };
    let (key, threshold, kept) = parts(mask);
    {
        let (weights, dropped) = (Memory::of(&weights)?, Memory::of(&dropped)?);
        launch!(
            &device,
            "attention_weights",
            grid(rows.div_ceil(cuda::THREADS / cuda::LANES), 1),
            &input.view::<f32>()?,
            &addend.view::<f32>()?,
            &weights.view::<f32>()?,
            &dropped.view::<f32>()?,
            &(rows as u64),
            &(width as u64),
            &((heads * queries) as u64),
            &(scale as f32),
            &key,
            &threshold,
            &kept
        );
    }
    Ok(Some([weights, dropped]))
}

/// Returns the gradient of [`attention_weights`] by the scores, from that by the second result.
pub(crate) fn attention_weights_backward(
    weights: &Tensor,
    gradient: &Tensor,
    scale: f64,
    mask: Option<&cpu::Dropout>,
) -> Result<Option<Tensor>> {
    let Some(device) = device(weights) else {
        return Ok(None);
    };
    let width = weights.dim(D::Minus1)?;
    let rows = weights.elem_count() / width;
    let gradient = gradient.contiguous()?;
    let (input, incoming) = (Memory::of(weights)?, Memory::of(&gradient)?);
    let mut output = memory::<f32>(&device, rows * width)?;
    let (key, threshold, kept) = parts(mask);
    launch!(
        &device,
        "attention_weights_backward",
        grid(rows.div_ceil(cuda::THREADS / cuda::LANES), 1),
        &input.view::<f32>()?,
        &incoming.view::<f32>()?,
        &mut output,
        &(rows as u64),
        &(width as u64),
        &(scale as f32),
        &key,
        &threshold,
        &kept
    );
    Ok(Some(tensor(output, weights.shape(), &device)))
}

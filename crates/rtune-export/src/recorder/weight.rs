//! Weights as constants of the graph.

use super::Recorder;
use candle_core::{CpuStorage, Device, InplaceOp1, Layout, Storage};
use rtune_graph::{ElementType, GraphError, Tensor, ValueId};
use rtune_nn::{Param, Result};
use std::cell::RefCell;

/// Numbers whose memory is that of a constant.
struct Floats(Vec<f32>);

impl AsRef<[u8]> for Floats {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

impl Recorder {
    /// A weight as a constant of its own name. Its memory is moved if the recorder may do so, or
    /// else copied once and then shared.
    pub(super) fn weight(&self, param: &Param) -> Result<ValueId> {
        self.constant(param.name(), || {
            let moved = self.moves_weights.then(|| take(param)).transpose()?;
            match moved.flatten() {
                Some(tensor) => Ok(tensor),
                None => weight_tensor(param, param.value()),
            }
        })
    }
}

/// The elements of a parameter's tensor, in row-major order, as a graph's constant.
pub(super) fn weight_tensor(
    param: &Param,
    tensor: &candle_core::Tensor,
) -> Result<Tensor, GraphError> {
    let bytes = little_endian(tensor).map_err(error(param))?;
    Tensor::new(ElementType::Float32, &dims(tensor), bytes)
}

fn error(param: &Param) -> impl Fn(candle_core::Error) -> GraphError {
    |error| GraphError::value(param.name(), error.to_string())
}

fn dims(tensor: &candle_core::Tensor) -> Vec<u64> {
    tensor.dims().iter().map(|dim| *dim as u64).collect()
}

/// The elements of an f32 tensor as bytes. A tensor that is contiguous in CPU memory is copied
/// once.
fn little_endian(tensor: &candle_core::Tensor) -> candle_core::Result<Vec<u8>> {
    let tensor = tensor.contiguous()?.to_device(&Device::Cpu)?;
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        return Err(candle_core::Error::Msg("expected CPU memory".to_owned()));
    };
    let start = layout.start_offset();
    let values = storage.as_slice::<f32>()?;
    let values = values.get(start..start + layout.shape().elem_count());
    let values = values.ok_or_else(|| {
        candle_core::Error::Msg("its memory was moved into another constant".to_owned())
    })?;
    let mut bytes = Vec::with_capacity(4 * values.len());
    values
        .iter()
        .for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
    Ok(bytes)
}

/// Takes the memory of a tensor, which is empty afterwards.
struct Take(RefCell<Vec<f32>>);

impl InplaceOp1 for Take {
    fn name(&self) -> &'static str {
        "take"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, _: &Layout) -> candle_core::Result<()> {
        match storage {
            CpuStorage::F32(values) => self.0.replace(std::mem::take(values)),
            _ => return Err(candle_core::Error::Msg("expected f32".to_owned())),
        };
        Ok(())
    }
}

/// Moves the memory of a parameter into a constant, if it holds the elements in row-major order and
/// nothing else.
fn take(param: &Param) -> Result<Option<Tensor>, GraphError> {
    let tensor = param.value();
    let is_whole = {
        let (storage, layout) = tensor.storage_and_layout();
        let count = layout.shape().elem_count();
        layout.is_contiguous()
            && layout.start_offset() == 0
            && matches!(&*storage, Storage::Cpu(CpuStorage::F32(all)) if all.len() == count)
    };
    // Constants are little-endian.
    if !is_whole || cfg!(target_endian = "big") {
        return Ok(None);
    }
    let taken = Take(RefCell::default());
    tensor.inplace_op1(&taken).map_err(error(param))?;
    let floats = Floats(taken.0.into_inner());
    Tensor::new(ElementType::Float32, &dims(tensor), floats).map(Some)
}

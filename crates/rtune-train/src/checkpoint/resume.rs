//! The parameters, optimizer state and best model of a run, to and from a checkpoint.

use super::format::{SavedRun, TensorFiles};
use super::{Checkpoints, Retention, RunIdentity};
use crate::trainer::{Run, TrainInputs};
use crate::{AdamW, TrainError, best::Snapshot};
use candle_core::{Device, Tensor};
use rtune_nn::{NnError, Param, TensorRef};
use std::collections::BTreeMap;
use std::path::PathBuf;

const PARAMETERS_FILE: &str = "model.safetensors";
const MOMENTS_FILE: &str = "optimizer.safetensors";
/// The parameters of the best evaluation; absent if they are the checkpoint's own.
const BEST_FILE: &str = "best_model.safetensors";

/// Writes a checkpoint of a run.
pub(crate) fn save(
    run: &Run,
    params: &[&Param],
    (checkpoints, identity): (&Checkpoints, &RunIdentity),
    keep: &Retention,
) -> Result<PathBuf, TrainError> {
    let named = |param: &&Param, value| (param.name().to_owned(), value);
    let parameters = params
        .iter()
        .map(|p| named(p, TensorRef::Tensor(p.value())));
    let mut files: TensorFiles<'_> = vec![
        (PARAMETERS_FILE, parameters.collect()),
        (MOMENTS_FILE, run.optimizer.moments()),
    ];
    let best = run.progress.best();
    if best.is_some_and(|best| best.step != run.progress.step) {
        let values = params.iter().zip(&run.best.0);
        let values = values.map(|(p, value)| named(p, TensorRef::Tensor(value)));
        files.push((BEST_FILE, values.collect()));
    }
    checkpoints.save(keep, identity, &run.progress, files)
}

/// Restores a run from a checkpoint, and the parameters of its model.
pub(crate) fn restore(
    saved: SavedRun,
    mut optimizer: AdamW,
    inputs: &TrainInputs<'_>,
    params: &[&Param],
) -> Result<Run, TrainError> {
    let parameters = required(&saved, PARAMETERS_FILE)?;
    for param in params {
        let value = matching(&parameters, param, inputs.device)?;
        param.value().slice_set(&value, 0, 0)?;
    }
    optimizer.restore(saved.progress.step, params, required(&saved, MOMENTS_FILE)?)?;
    let best = match (saved.tensors(BEST_FILE)?, saved.progress.best()) {
        (Some(best), _) => {
            let values = params.iter().map(|p| matching(&best, p, inputs.device));
            Snapshot(values.collect::<Result<_, _>>()?)
        }
        (None, Some(_)) => Snapshot::of(params)?,
        (None, None) => Snapshot::default(),
    };
    Ok(Run {
        checkpoint: Some((saved.progress.position(), saved.folder)),
        progress: saved.progress,
        optimizer,
        best,
        samples: 0,
        tokens: 0,
        seconds: 0.0,
    })
}

fn required(saved: &SavedRun, name: &str) -> Result<BTreeMap<String, Tensor>, TrainError> {
    let tensors = saved.tensors(name)?;
    tensors.ok_or_else(|| NnError::config(name, "is not part of the checkpoint").into())
}

/// The tensor of a parameter, on the device.
fn matching(
    tensors: &BTreeMap<String, Tensor>,
    param: &Param,
    device: &Device,
) -> Result<Tensor, TrainError> {
    match tensors.get(param.name()) {
        Some(tensor) if tensor.shape() == param.value().shape() => Ok(tensor.to_device(device)?),
        found => {
            let found = match found {
                Some(tensor) => format!("has shape {:?}", tensor.dims()),
                None => "is missing".to_owned(),
            };
            let expected = param.value().dims();
            let problem = format!("{found} in the checkpoint, expected shape {expected:?}");
            Err(NnError::config(param.name(), problem).into())
        }
    }
}

//! A model of either kind on texts: a checkpoint through the kernels of training, or ONNX
//! through the runtime.

use crate::data::tokenizer_of;
use crate::exit::usage;
use crate::interrupt::INTERRUPT;
use crate::runtime;
use crate::source::Source;
use anyhow::Result;
use candle_core::Device;
use rtune_infer::{InferError, OutputSpec, Predictor, logits_by_length};
use rtune_nn::TextModel;
use rtune_runtime::{Runtime, RuntimeError};
use rtune_task::Output;
use rtune_text::{Encoded, PaddedBatch, Tokenizer};
use rtune_train::{Inference, check_tokenizer};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// The number of texts that are run at once, if no flag gives it.
pub(crate) const BATCH_SIZE: NonZeroUsize = NonZeroUsize::new(32).unwrap();

/// A model with its tokenizer and the meaning of its outputs.
pub(crate) enum AnyPredictor {
    Checkpoint(Box<CheckpointPredictor>),
    Onnx(Box<Predictor>),
}

/// A checkpoint, computed through the kernels of training.
pub(crate) struct CheckpointPredictor {
    folder: PathBuf,
    model: TextModel,
    inference: Inference,
    device: Device,
    tokenizer: Tokenizer,
    outputs: OutputSpec,
}

impl AnyPredictor {
    pub(crate) fn open(path: &Path, device: &Device, threads: usize) -> Result<Self> {
        match Source::of(path)? {
            Source::Checkpoint(folder) => {
                let predictor = CheckpointPredictor::open(&folder, device)?;
                Ok(Self::Checkpoint(Box::new(predictor)))
            }
            Source::Onnx { file, .. } if !device.is_cpu() => Err(usage(format!(
                "--device cuda: {} is an ONNX model, which runs on the processor; remove --device",
                file.display()
            ))),
            Source::Onnx { file, folder } => {
                let predictor = open_onnx(&runtime::load()?, &file, &folder, threads)?;
                Ok(Self::Onnx(Box::new(predictor)))
            }
        }
    }

    pub(crate) fn tokenizer(&self) -> &Tokenizer {
        match self {
            Self::Checkpoint(predictor) => &predictor.tokenizer,
            Self::Onnx(predictor) => predictor.tokenizer(),
        }
    }

    pub(crate) fn outputs(&self) -> &OutputSpec {
        match self {
            Self::Checkpoint(predictor) => &predictor.outputs,
            Self::Onnx(predictor) => predictor.outputs(),
        }
    }

    /// Computes the logits of texts, in their order. `progress` receives the number of texts done.
    ///
    /// # Shapes
    /// → `[texts, outputs]`
    pub(crate) fn logits(
        &self,
        texts: &[Encoded],
        batch_size: NonZeroUsize,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Vec<f32>>> {
        match self {
            Self::Checkpoint(predictor) => logits_by_length(
                texts,
                batch_size,
                predictor.tokenizer.padding(),
                &predictor.outputs,
                &mut |batch| predictor.run(batch),
                progress,
                &INTERRUPT,
            )
            .map_err(|error: anyhow::Error| predictor.named(error)),
            Self::Onnx(predictor) => Ok(predictor.logits(texts, batch_size, progress, &INTERRUPT)?),
        }
    }
}

impl CheckpointPredictor {
    fn open(folder: &Path, device: &Device) -> Result<Self> {
        let model = TextModel::load_finetuned(folder, device)?;
        let tokenizer = tokenizer_of(folder, model.spec())?;
        check_tokenizer(folder, &model, &tokenizer)?;
        let outputs = OutputSpec {
            task: model.spec().task,
            labels: model.spec().labels.clone(),
            scale: model.scale()?,
            decision: model.spec().decision,
            output: Output::Logits,
        };
        Ok(Self {
            folder: folder.to_owned(),
            model,
            inference: Inference::new(),
            device: device.clone(),
            tokenizer,
            outputs,
        })
    }

    /// Names the folder in an error of the output.
    fn named(&self, error: anyhow::Error) -> anyhow::Error {
        match error.downcast() {
            Ok(source @ InferError::Output { .. }) => InferError::InModel {
                file: self.folder.clone(),
                source: Box::new(source),
            }
            .into(),
            Ok(other) => other.into(),
            Err(error) => error,
        }
    }

    /// Runs the model once.
    ///
    /// # Shapes
    /// → `[batch, outputs]`
    fn run(&self, batch: &PaddedBatch) -> Result<Vec<Vec<f32>>> {
        Ok(self.inference.logits(&self.model, batch, &self.device)?)
    }
}

/// Opens an ONNX model with the files of its folder.
pub(crate) fn open_onnx(
    runtime: &Runtime,
    file: &Path,
    folder: &Path,
    threads: usize,
) -> Result<Predictor> {
    let error = match Predictor::open_file(runtime, file, folder, threads) {
        Ok(predictor) => return Ok(predictor),
        Err(error) => error,
    };
    if let InferError::Runtime(RuntimeError::Model { .. }) = error {
        // For a truncated file, the error of our reader says more than the runtime's.
        if let Err(error) = rtune_onnx::read(file)
            && error.is_malformed()
        {
            return Err(error.into());
        }
    }
    Err(error.into())
}

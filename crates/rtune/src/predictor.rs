//! Any model on texts: a checkpoint through candle, or ONNX through the runtime.

use crate::console::Progress;
use crate::source::Source;
use crate::{interrupt, runtime};
use anyhow::{Context as _, Result};
use candle_core::Device;
use rtune_nn::{Eager, TextModel};
use rtune_package::Metadata;
use rtune_runtime::{
    Feed, NamedTensor, Optimization, Runtime, RuntimeError, Session, SessionOptions,
};
use rtune_task::{OrdinalScale, Prediction, Task, TaskError, TextInput, TextSignature};
use rtune_text::{Encoded, PaddedBatch, Tokenizer, sorted_by_length};
use rtune_train::BatchTensors;
use std::num::NonZeroUsize;
use std::path::Path;

/// The number of texts in a batch, unless another is asked for.
pub(crate) const BATCH_SIZE: NonZeroUsize = NonZeroUsize::new(32).unwrap();

/// The meaning of a model's outputs.
#[derive(Debug, Clone)]
pub(crate) struct Meaning {
    pub(crate) task: Task,
    pub(crate) labels: Vec<String>,
    pub(crate) scale: Option<OrdinalScale>,
}

impl Meaning {
    pub(crate) fn of_metadata(metadata: &Metadata) -> Self {
        let scale = (metadata.spec.task == Task::Ordinal).then(|| metadata.scale());
        Self {
            task: metadata.spec.task,
            labels: metadata.spec.labels.clone(),
            scale,
        }
    }

    /// Checks that a row of logits has the columns that the labels need.
    fn check(&self, row: &[f32]) -> Result<(), RuntimeError> {
        let expected = if self.task == Task::Classification {
            self.labels.len()
        } else {
            1
        };
        if row.len() == expected {
            return Ok(());
        }
        let problem = format!(
            "has {} columns, metadata.json needs {expected}; they belong to different models",
            row.len()
        );
        Err(RuntimeError::Tensor {
            name: "logits".to_owned(),
            problem,
        })
    }

    pub(crate) fn predictions(&self, rows: &[Vec<f32>]) -> Result<Vec<Prediction>, TaskError> {
        rows.iter()
            .map(|row| Prediction::from_logits(self.task, self.scale.as_ref(), row))
            .collect()
    }
}

/// Gives the logits of a batch.
pub(crate) enum Engine {
    Candle {
        model: Box<TextModel>,
        device: Device,
    },
    Onnx {
        session: Session,
        signature: TextSignature,
    },
}

impl Engine {
    /// # Shapes
    /// → one row of outputs for each text
    pub(crate) fn logits(&mut self, batch: &PaddedBatch) -> Result<Vec<Vec<f32>>> {
        match self {
            Self::Candle { model, device } => Ok(BatchTensors::new(batch, device)?
                .logits(model, &Eager::new())?
                .to_vec2()?),
            Self::Onnx { session, signature } => {
                let ids = OnnxBatch::new(batch);
                let outputs = session.run(&ids.feeds(signature))?;
                let (dims, values) = outputs.f32("logits")?;
                if dims.first() != Some(&batch.batch) || dims.len() != 2 || dims[1] == 0 {
                    let problem =
                        format!("has shape {dims:?}, expected [{}, outputs]", batch.batch);
                    return Err(RuntimeError::Tensor {
                        name: "logits".to_owned(),
                        problem,
                    }
                    .into());
                }
                let columns = dims[1];
                Ok(values.chunks(columns).map(<[f32]>::to_vec).collect())
            }
        }
    }
}

/// A batch as the graph's inputs take it.
pub(crate) struct OnnxBatch {
    dims: [usize; 2],
    input_ids: Vec<i64>,
    attention_mask: Vec<i64>,
    token_type_ids: Vec<i64>,
}

impl OnnxBatch {
    pub(crate) fn new(batch: &PaddedBatch) -> Self {
        Self {
            dims: [batch.batch, batch.sequence],
            input_ids: batch.input_ids.iter().map(|id| i64::from(*id)).collect(),
            attention_mask: batch.attention_mask.iter().map(|m| i64::from(*m)).collect(),
            token_type_ids: batch
                .token_type_ids
                .iter()
                .map(|id| i64::from(*id))
                .collect(),
        }
    }

    fn values(&self, input: TextInput) -> &[i64] {
        match input {
            TextInput::InputIds => &self.input_ids,
            TextInput::AttentionMask => &self.attention_mask,
            TextInput::TokenTypeIds => &self.token_type_ids,
        }
    }

    /// Returns the inputs that a model takes, in its order.
    pub(crate) fn feeds(&self, signature: &TextSignature) -> Vec<Feed<'_>> {
        let inputs = signature.inputs().iter();
        inputs
            .map(|input| Feed::i64(input.name(), &self.dims, self.values(*input)))
            .collect()
    }

    /// Returns inputs as tensors that own their elements.
    pub(crate) fn tensors(&self, inputs: &[TextInput]) -> Vec<NamedTensor> {
        let tensor = |input: &TextInput| {
            NamedTensor::i64(input.name(), &self.dims, self.values(*input).to_vec())
        };
        inputs.iter().map(tensor).collect()
    }
}

/// A model with its tokenizer and the meaning of its outputs.
pub(crate) struct Predictor {
    pub(crate) engine: Engine,
    pub(crate) tokenizer: Tokenizer,
    pub(crate) meaning: Meaning,
}

impl Predictor {
    pub(crate) fn open(path: &Path, device: &Device, threads: usize) -> Result<Self> {
        match Source::of(path)? {
            Source::Checkpoint(folder) => Self::open_checkpoint(&folder, device),
            Source::Onnx { file, folder } => {
                Self::open_onnx(&runtime::load()?, &file, &folder, threads)
            }
        }
    }

    pub(crate) fn open_checkpoint(folder: &Path, device: &Device) -> Result<Self> {
        let model = TextModel::load_finetuned(folder, device)?;
        let tokenizer = Tokenizer::read(folder, model.spec().max_length)?;
        let meaning = Meaning {
            task: model.spec().task,
            labels: model.spec().labels.clone(),
            scale: model.scale()?,
        };
        Ok(Self {
            engine: Engine::Candle {
                model: Box::new(model),
                device: device.clone(),
            },
            tokenizer,
            meaning,
        })
    }

    pub(crate) fn open_onnx(
        runtime: &Runtime,
        file: &Path,
        folder: &Path,
        threads: usize,
    ) -> Result<Self> {
        let metadata = Metadata::read(folder).with_context(|| {
            format!(
                "{}: is no model of rtune's: it has no readable metadata.json beside it",
                file.display()
            )
        })?;
        let tokenizer = Tokenizer::read(folder, metadata.spec.max_length)?;
        metadata.check_tokenizer(folder)?;
        let (session, signature) = open_session(runtime, file, threads, Optimization::All)?;
        if signature != metadata.inputs {
            let problem = format!(
                "has the inputs {signature}, metadata.json says {}; \
                 they belong to different models",
                metadata.inputs
            );
            return Err(RuntimeError::Tensor {
                name: file.display().to_string(),
                problem,
            }
            .into());
        }
        Ok(Self {
            engine: Engine::Onnx { session, signature },
            tokenizer,
            meaning: Meaning::of_metadata(&metadata),
        })
    }

    /// The logits of texts, in their order.
    pub(crate) fn logits(
        &mut self,
        texts: &[Encoded],
        batch_size: NonZeroUsize,
        what: &'static str,
    ) -> Result<Vec<Vec<f32>>> {
        let lengths: Vec<usize> = texts.iter().map(Encoded::len).collect();
        let mut rows = vec![Vec::new(); texts.len()];
        let mut progress = Progress::new(what, texts.len());
        let mut done = 0;
        for indices in sorted_by_length(&lengths, batch_size) {
            interrupt::check()?;
            let batch =
                PaddedBatch::new(indices.iter().map(|i| &texts[*i]), self.tokenizer.padding());
            done += indices.len();
            for (index, row) in indices.into_iter().zip(self.engine.logits(&batch)?) {
                self.meaning.check(&row)?;
                rows[index] = row;
            }
            progress.set(done);
        }
        Ok(rows)
    }
}

/// Opens a text model's session and checks that it has the inputs and the output that rtune's
/// models have.
pub(crate) fn open_session(
    runtime: &Runtime,
    file: &Path,
    threads: usize,
    optimization: Optimization,
) -> Result<(Session, TextSignature)> {
    // Reading it first gives a better error for a file that is cut off than the runtime does.
    rtune_onnx::read(file)?;
    let session = runtime.open(
        file,
        &SessionOptions {
            threads,
            optimization,
            optimized_model: None,
        },
    )?;
    let signature = text_signature(&session, file)?;
    Ok((session, signature))
}

/// The inputs of a text model's session.
pub(crate) fn text_signature(
    session: &Session,
    file: &Path,
) -> Result<TextSignature, RuntimeError> {
    let fail = |problem: String| RuntimeError::Tensor {
        name: file.display().to_string(),
        problem: format!("is no text model of rtune's: {problem}"),
    };
    let inputs = session.inputs();
    let names = || inputs.iter().map(|input| input.name.as_str());
    let signature = TextSignature::of_names(names()).map_err(|error| {
        let is_known = |name: &str| TextInput::ALL.iter().any(|input| input.name() == name);
        match names().find(|name| !is_known(name)) {
            Some(name) => fail(format!(
                "it has an input `{name}`; expected {}",
                TextSignature::default()
            )),
            None => fail(error.to_string()),
        }
    })?;
    if session
        .outputs()
        .iter()
        .all(|output| output.name != "logits")
    {
        return Err(fail("it has no output `logits`".to_owned()));
    }
    Ok(signature)
}

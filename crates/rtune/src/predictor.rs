//! Any model on texts: a checkpoint through candle, or ONNX through the runtime.

use crate::console::Progress;
use crate::source::Source;
use crate::{interrupt, runtime};
use anyhow::{Context as _, Result};
use candle_core::Device;
use rtune_nn::{Eager, TextModel};
use rtune_package::Metadata;
use rtune_runtime::{Feed, Optimization, Runtime, RuntimeError, Session, SessionOptions};
use rtune_task::{OrdinalScale, Prediction, Task};
use rtune_text::{Encoded, PaddedBatch, Tokenizer, sorted_by_length};
use rtune_train::BatchTensors;
use std::path::Path;

/// What a model's outputs mean.
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

    /// Whether a row of logits has the columns that the labels need.
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

    pub(crate) fn predictions(&self, rows: &[Vec<f32>]) -> Vec<Prediction> {
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
    Onnx(Session),
}

impl Engine {
    /// # Shapes
    /// → one row of outputs for each text
    pub(crate) fn logits(&mut self, batch: &PaddedBatch) -> Result<Vec<Vec<f32>>> {
        match self {
            Self::Candle { model, device } => Ok(BatchTensors::new(batch, device)?
                .logits(model, &Eager::new())?
                .to_vec2()?),
            Self::Onnx(session) => {
                let ids = OnnxBatch::new(batch);
                let outputs = session.run(&ids.feeds())?;
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

    pub(crate) fn feeds(&self) -> [Feed<'_>; 3] {
        [
            Feed::i64("input_ids", &self.dims, &self.input_ids),
            Feed::i64("attention_mask", &self.dims, &self.attention_mask),
            Feed::i64("token_type_ids", &self.dims, &self.token_type_ids),
        ]
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
        let session = open_session(runtime, file, threads, Optimization::All)?;
        Ok(Self {
            engine: Engine::Onnx(session),
            tokenizer,
            meaning: Meaning::of_metadata(&metadata),
        })
    }

    /// The logits of texts, in their order.
    pub(crate) fn logits(
        &mut self,
        texts: &[Encoded],
        batch_size: usize,
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
) -> Result<Session> {
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
    check_outlets(&session, file)?;
    Ok(session)
}

pub(crate) fn check_outlets(session: &Session, file: &Path) -> Result<(), RuntimeError> {
    let known = ["input_ids", "attention_mask", "token_type_ids"];
    let inputs = session.inputs();
    let foreign = inputs
        .iter()
        .find(|input| !known.contains(&input.name.as_str()));
    let has_logits = session
        .outputs()
        .iter()
        .any(|output| output.name == "logits");
    let problem = match foreign {
        Some(input) => {
            format!(
                "is no text model of rtune's: it has an input `{}`; expected {}",
                input.name,
                known.join(", ")
            )
        }
        None if !has_logits => "is no text model of rtune's: it has no output `logits`".to_owned(),
        None => return Ok(()),
    };
    Err(RuntimeError::Tensor {
        name: file.display().to_string(),
        problem,
    })
}

use crate::{
    InferError, LabeledPrediction, OutputSpec, TextTensors, check_tokenizer, logits_by_length,
    predict_encoded, text_signature,
};
use rtune_interrupt::Interrupt;
use rtune_package::{Metadata, layout};
use rtune_runtime::{Runtime, Session, SessionOptions};
use rtune_task::{Metrics, Target, TextSignature};
use rtune_text::{Encoded, PaddedBatch, Text, TextError, Tokenizer};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The number of texts that [`Predictor::predict`] runs at once.
const BATCH_SIZE: NonZeroUsize = NonZeroUsize::new(32).unwrap();

/// An exported model with its tokenizer and the meaning of its outputs.
///
/// `Send` and `Sync`: threads may share one. A session runs one batch at a time, with as many
/// threads as it was opened with, so callers wait for each other.
#[derive(Debug)]
pub struct Predictor {
    file: PathBuf,
    session: Mutex<Session>,
    signature: TextSignature,
    tokenizer: Tokenizer,
    outputs: OutputSpec,
}

/// Fails to compile if a predictor cannot be shared by threads.
const _: () = {
    const fn is_shared<T: Send + Sync + 'static>() {}
    is_shared::<Predictor>();
};

impl Predictor {
    /// Opens a folder that holds `model.onnx`, `metadata.json` and the tokenizer.
    ///
    /// # Errors
    /// If a file is missing or they do not belong together.
    pub fn open(runtime: &Runtime, folder: &Path, threads: usize) -> Result<Self, InferError> {
        Self::open_file(runtime, &folder.join(layout::ONNX), folder, threads)
    }

    /// Opens an ONNX file of any name with the metadata and the tokenizer of `folder`.
    ///
    /// # Errors
    /// As [`Predictor::open`].
    pub fn open_file(
        runtime: &Runtime,
        file: &Path,
        folder: &Path,
        threads: usize,
    ) -> Result<Self, InferError> {
        let metadata = Metadata::read(folder).map_err(|source| InferError::NoMetadata {
            file: file.to_owned(),
            source,
        })?;
        let tokenizer = Tokenizer::read(folder, metadata.spec.max_length)?;
        let tokenizer = tokenizer.with_pairs(metadata.spec.text_pairs)?;
        metadata.check_tokenizer(folder)?;
        let options = SessionOptions {
            threads,
            ..SessionOptions::default()
        };
        let mut session = runtime.open(file, &options)?;
        let signature = text_signature(&session, file)?;
        if signature != metadata.inputs {
            return Err(InferError::Inputs {
                file: file.to_owned(),
                found: signature,
                expected: metadata.inputs,
            });
        }
        let in_model = |source| InferError::InModel {
            file: file.to_owned(),
            source: Box::new(source),
        };
        let outputs = OutputSpec::of_metadata(&metadata).map_err(in_model)?;
        let found = session.outputs();
        if found
            .iter()
            .all(|found| found.name != outputs.output.name())
        {
            let problem = "is missing, metadata.json needs it; they belong to different models";
            return Err(in_model(outputs.problem(problem.to_owned())));
        }
        check_tokenizer(&mut session, &signature, &tokenizer, file)?;
        Ok(Self {
            file: file.to_owned(),
            session: Mutex::new(session),
            signature,
            tokenizer,
            outputs,
        })
    }

    /// Returns the tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Returns the inputs that the model takes.
    pub fn signature(&self) -> &TextSignature {
        &self.signature
    }

    /// Returns the meaning of the outputs.
    pub fn outputs(&self) -> &OutputSpec {
        &self.outputs
    }

    /// Predicts texts, or pairs of texts as tuples, in their order. Longer texts than the model was
    /// trained for are truncated. A text that cannot be used has the reason in its place: it has no
    /// known token, or the model takes pairs and it is none, or the reverse.
    ///
    /// # Errors
    /// If the model fails.
    pub fn predict<'a, T: Into<Text<'a>> + Copy>(
        &self,
        texts: &[T],
    ) -> Result<Vec<Result<LabeledPrediction, TextError>>, InferError> {
        let texts = texts.iter().map(|text| self.tokenizer.encode(*text));
        predict_encoded(&self.outputs, texts.collect(), |texts| {
            self.logits(texts, BATCH_SIZE, &mut |_| {}, &Interrupt::new())
        })
    }

    /// Measures the model on labelled texts.
    ///
    /// # Errors
    /// If the model fails, the targets do not fit its task, or a stop is requested.
    pub fn evaluate(
        &self,
        texts: &[Encoded],
        targets: &[Target],
        batch_size: NonZeroUsize,
        interrupt: &Interrupt,
    ) -> Result<Metrics, InferError> {
        let rows = self.logits(texts, batch_size, &mut |_| {}, interrupt)?;
        self.outputs.metrics(&rows, targets)
    }

    /// Computes the logits of texts, in their order. `progress` receives the number of texts done.
    ///
    /// # Shapes
    /// → `[texts, outputs]`
    ///
    /// # Errors
    /// If the model fails or does not fit its metadata, or a stop is requested.
    pub fn logits(
        &self,
        texts: &[Encoded],
        batch_size: NonZeroUsize,
        progress: &mut dyn FnMut(usize),
        interrupt: &Interrupt,
    ) -> Result<Vec<Vec<f32>>, InferError> {
        logits_by_length(
            texts,
            batch_size,
            self.tokenizer.padding(),
            &self.outputs,
            &mut |batch| self.run(batch),
            progress,
            interrupt,
        )
        .map_err(|error: InferError| match error {
            error @ InferError::Output { .. } => InferError::InModel {
                file: self.file.clone(),
                source: Box::new(error),
            },
            other => other,
        })
    }

    /// Runs the model once.
    ///
    /// # Shapes
    /// → `[batch, outputs]`
    fn run(&self, batch: &PaddedBatch) -> Result<Vec<Vec<f32>>, InferError> {
        let tensors = TextTensors::new(batch);
        // A thread that panicked while it held the session has not changed the model.
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session.run(&tensors.feeds(&self.signature))?;
        let (dims, values) = outputs.f32(self.outputs.output.name())?;
        match dims[..] {
            [rows, columns] if rows == batch.batch && columns > 0 => {
                Ok(values.chunks(columns).map(<[f32]>::to_vec).collect())
            }
            _ => Err(self.outputs.problem(format!(
                "has shape {dims:?}, expected [{}, outputs]",
                batch.batch
            ))),
        }
    }
}

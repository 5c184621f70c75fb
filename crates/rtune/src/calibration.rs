//! Calibration data of a quantizer: texts for a text model of rtune's, or tensors for any other.

use crate::data::read_encoded;
use anyhow::{Context as _, Result};
use rtune_data::Columns;
use rtune_infer::TextTensors;
use rtune_package::Metadata;
use rtune_quant::{Batch, QuantError, Quantizable, Values, sample_files};
use rtune_task::TextInput;
use rtune_text::{Encoded, PaddedBatch, Tokenizer, sorted_by_length};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Texts in one calibration run. Small batches bound the memory of the observed tensors.
const BATCH_SIZE: NonZeroUsize = NonZeroUsize::new(4).unwrap();

/// The files beside a text model of rtune's.
pub(crate) struct TextModel {
    pub(crate) metadata: Metadata,
    pub(crate) tokenizer: Tokenizer,
}

impl TextModel {
    pub(crate) fn read(file: &Path, folder: &Path) -> Result<Self> {
        let metadata = Metadata::read(folder).with_context(|| {
            format!(
                "{}: texts and labels need metadata.json beside the model; without it, give \
                 --calib .safetensors files with a tensor for each of the model's inputs",
                file.display()
            )
        })?;
        let tokenizer = Tokenizer::read(folder, metadata.spec.max_length)?;
        let tokenizer = tokenizer.with_pairs(metadata.spec.text_pairs)?;
        metadata.check_tokenizer(folder)?;
        Ok(Self {
            metadata,
            tokenizer,
        })
    }
}

/// The data that `--calib` names.
pub(crate) enum CalibrationData {
    Texts {
        texts: Vec<Encoded>,
        padding: u32,
    },
    /// safetensors files, each with one tensor for every input of the model.
    Files(Vec<PathBuf>),
}

impl CalibrationData {
    /// Reads at most `limit` texts of a file or folder.
    pub(crate) fn texts(
        path: &Path,
        columns: &Columns,
        limit: usize,
        tokenizer: &Tokenizer,
    ) -> Result<Self> {
        Ok(Self::Texts {
            texts: read_encoded(path, columns, limit, tokenizer)?,
            padding: tokenizer.padding(),
        })
    }

    /// Lists at most `limit` safetensors files, if `path` is one or holds some.
    pub(crate) fn files(path: &Path, limit: usize) -> Result<Option<Self>> {
        let mut files = sample_files(path)?;
        files.truncate(limit);
        Ok((!files.is_empty()).then_some(Self::Files(files)))
    }

    /// Returns the number of texts or files.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Texts { texts, .. } => texts.len(),
            Self::Files(files) => files.len(),
        }
    }

    /// Returns the word for them in results.
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Self::Texts { .. } => "texts",
            Self::Files(_) => "files of tensors",
        }
    }

    /// Returns the inputs of each run of `source`.
    pub(crate) fn batches<'a>(
        &'a self,
        source: &'a Quantizable,
    ) -> Box<dyn Iterator<Item = Result<Batch, QuantError>> + 'a> {
        match self {
            Self::Texts { texts, padding } => {
                let inputs = text_inputs(source);
                let lengths: Vec<usize> = texts.iter().map(Encoded::len).collect();
                let batches = sorted_by_length(&lengths, BATCH_SIZE).into_iter();
                Box::new(batches.map(move |indices| {
                    let texts = indices.iter().map(|index| &texts[*index]);
                    Ok(text_batch(&PaddedBatch::new(texts, *padding), &inputs))
                }))
            }
            Self::Files(files) => Box::new(files.iter().map(move |path| Batch::read(path, source))),
        }
    }
}

/// Returns the inputs of text models that a graph has.
fn text_inputs(source: &Quantizable) -> Vec<TextInput> {
    let graph = &source.model().graph;
    let has = |input: &TextInput| {
        let mut names = graph.inputs().iter().map(|id| &graph.value(*id).name);
        names.any(|name| name == input.name())
    };
    TextInput::ALL.into_iter().filter(has).collect()
}

/// Returns a batch as the given inputs take it.
fn text_batch(batch: &PaddedBatch, inputs: &[TextInput]) -> Batch {
    let tensors = TextTensors::new(batch);
    let values = |input: TextInput| Values::I64(tensors.values(input).to_vec());
    inputs
        .iter()
        .fold(Batch::new(batch.batch), |result, input| {
            result.tensor(input.name(), tensors.dims(), values(*input))
        })
}

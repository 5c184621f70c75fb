//! What a quantizer calibrates with: texts for a text model of rtune's, or tensors for any other.

use crate::console::Progress;
use crate::data::read_encoded;
use crate::interrupt;
use crate::predictor::{OnnxBatch, check_outlets};
use anyhow::{Context as _, Result};
use rtune_graph::{ElementType, Model, ValueId, passes::tap_outputs};
use rtune_quant::{Calibration, Drift, QuantError, RangeMethod, Ranges, Sample, targets};
use rtune_runtime::{Optimization, Runtime, Session, SessionOptions};
use rtune_text::{Encoded, PaddedBatch, Tokenizer, sorted_by_length};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub(crate) enum CalibrationData {
    Texts {
        texts: Vec<Encoded>,
        padding: u32,
    },
    /// safetensors files, each with one value for every input of the model.
    Samples(Vec<PathBuf>),
}

impl CalibrationData {
    /// Texts of a file or folder.
    pub(crate) fn texts(
        path: &Path,
        text_column: &str,
        limit: usize,
        tokenizer: &Tokenizer,
    ) -> Result<Self> {
        let texts = read_encoded(path, text_column, limit, tokenizer)?;
        Ok(Self::Texts {
            texts,
            padding: tokenizer.padding(),
        })
    }

    /// Tensors, where `path` is a safetensors file or holds some.
    pub(crate) fn samples(path: &Path, limit: usize) -> Result<Option<Self>> {
        let files: Vec<_> = Sample::files(path)?.into_iter().take(limit).collect();
        Ok((!files.is_empty()).then_some(Self::Samples(files)))
    }

    /// The number of texts or files.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Texts { texts, .. } => texts.len(),
            Self::Samples(files) => files.len(),
        }
    }

    /// How results call them.
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Self::Texts { .. } => "texts",
            Self::Samples(_) => "files of tensors",
        }
    }

    /// Runs the model on all of it, and gives the ranges of the inputs of its products. `file` is
    /// where it came from.
    pub(crate) fn ranges(
        &self,
        runtime: &Runtime,
        model: &Model,
        file: &Path,
        method: RangeMethod,
        threads: usize,
    ) -> Result<Ranges> {
        let found = targets(&model.graph);
        let tensors = found.inputs(&model.graph);
        let tapped = rtune_onnx::encode(&tap_outputs(model, tensors.iter().copied())?.0)?;
        let options = SessionOptions {
            threads,
            optimization: Optimization::All,
            optimized_model: None,
        };
        let mut session = runtime
            .open_bytes(&tapped, &options)
            .with_context(|| file.display().to_string())?;
        drop(tapped);
        let mut calibration = Calibration::new(tensors.iter().copied());
        self.observe(&mut calibration, &mut session, model, file)?;
        Ok(calibration.ranges(method)?)
    }

    /// How far each float output of the int8 model is from the float model's on the files of
    /// tensors.
    pub(crate) fn drift(
        &self,
        runtime: &Runtime,
        model: &Model,
        float: &Path,
        int8: &Path,
        threads: usize,
    ) -> Result<BTreeMap<String, Drift>> {
        let Self::Samples(files) = self else {
            return Ok(BTreeMap::new());
        };
        let is_float = |id: &&ValueId| {
            let fact = model.graph.fact(**id);
            fact.is_none_or(|fact| fact.element_type == ElementType::Float32)
        };
        let outputs: Vec<_> = model
            .graph
            .outputs()
            .iter()
            .filter(is_float)
            .map(|id| model.graph.value(*id).name.clone())
            .collect();
        let options = SessionOptions {
            threads,
            ..SessionOptions::default()
        };
        let (mut float, mut int8) = (
            runtime.open(float, &options)?,
            runtime.open(int8, &options)?,
        );
        let mut drifts: BTreeMap<String, Drift> = BTreeMap::new();
        for path in files {
            interrupt::check()?;
            let sample = Sample::read(path, &model.graph)?;
            let (float, int8) = (float.run(&sample.feeds())?, int8.run(&sample.feeds())?);
            for name in &outputs {
                drifts
                    .entry(name.clone())
                    .or_default()
                    .add(float.f32(name)?.1, int8.f32(name)?.1);
            }
        }
        Ok(drifts)
    }

    fn observe(
        &self,
        calibration: &mut Calibration,
        session: &mut Session,
        model: &Model,
        file: &Path,
    ) -> Result<()> {
        let mut progress = Progress::new("calibrating", self.len());
        match self {
            Self::Texts { texts, padding } => {
                check_outlets(session, file)?;
                let lengths: Vec<usize> = texts.iter().map(Encoded::len).collect();
                // Small batches bound the memory that the watched tensors take.
                for indices in sorted_by_length(&lengths, 4) {
                    interrupt::check()?;
                    let batch = PaddedBatch::new(indices.iter().map(|i| &texts[*i]), *padding);
                    calibration.observe(
                        session,
                        &OnnxBatch::new(&batch).feeds(),
                        &batch.attention_mask,
                        batch.batch,
                    )?;
                    progress.set(calibration.samples());
                }
            }
            Self::Samples(files) => {
                for path in files {
                    interrupt::check()?;
                    let sample = Sample::read(path, &model.graph)?;
                    let observed =
                        calibration.observe(session, &sample.feeds(), &sample.attention_mask(), 1);
                    // The model ran in the runtime until now, so what it refuses is the file's.
                    observed.map_err(|error| match error {
                        QuantError::Runtime(error) => QuantError::Sample {
                            path: path.clone(),
                            problem: error.to_string(),
                        },
                        other => other,
                    })?;
                    progress.set(calibration.samples());
                }
            }
        }
        Ok(())
    }
}

//! Verification of a candidate against a reference on texts: opens both models, makes the batches,
//! and calls `rtune_verify`.

use crate::checkpoint_reference::CheckpointReference;
use crate::data::read_encoded;
use crate::exit::usage;
use crate::interrupt::INTERRUPT;
use crate::predictor::BATCH_SIZE;
use crate::runtime;
use crate::source::Source;
use anyhow::{Context as _, Result};
use rtune_data::Columns;
use rtune_infer::{TextTensors, check_tokenizer, text_signature};
use rtune_onnx::OnnxError;
use rtune_package::{Metadata, layout};
use rtune_runtime::{Optimization, Runtime, SessionOptions};
use rtune_task::{OutputForm, TextInput, TextSignature};
use rtune_text::{Encoded, PaddedBatch, Tokenizer, sorted_by_length};
use rtune_verify::{
    Case, OnnxReference, Progress, Reference, Row, Tolerance, VerifyError, VerifyReport,
    VerifyRequest, choose, verify,
};
use std::path::Path;

/// A verification to do.
#[derive(Debug)]
pub(crate) struct VerificationRequest<'a> {
    /// A checkpoint, a folder with an ONNX model, or an ONNX file.
    pub(crate) reference: &'a Path,
    /// A folder with an ONNX model, or an ONNX file.
    pub(crate) candidate: &'a Path,
    /// A file with texts, or a folder of them.
    pub(crate) data: &'a Path,
    pub(crate) columns: Columns,
    /// Maximum number of texts; at least 1.
    pub(crate) samples: usize,
    pub(crate) tolerance: Tolerance,
    pub(crate) threads: usize,
}

/// Compares both models. `progress` receives the number of batches, and what is done.
pub(crate) fn run(
    request: &VerificationRequest<'_>,
    progress: &mut dyn FnMut(usize, Progress),
) -> Result<VerifyReport> {
    let threads = request.threads;
    let source = Source::of(request.reference)?;
    let (candidate, candidate_folder) = Source::onnx(request.candidate)?;
    let runtime = runtime::load()?;
    let tokenizer = tokenizer(&source, &candidate_folder)?;
    let texts = read_encoded(request.data, &request.columns, request.samples, &tokenizer)?;
    let outputs = Outputs::read(&candidate)?;
    let (mut reference, signature, outputs) =
        open_reference(&runtime, &source, &tokenizer, &outputs, threads)?;
    let signatures = [
        signature,
        signature_of(&runtime, &candidate, &tokenizer, threads)?,
    ];
    let cases = cases(&texts, &tokenizer, &signatures);
    let settings = VerifyRequest {
        candidate: &candidate,
        outputs: &outputs,
        texts: texts.len(),
        tolerance: request.tolerance,
        threads,
    };
    let mut progress = |event| progress(cases.len(), event);
    let (reference, stop) = (&mut *reference, &INTERRUPT);
    let report = verify(&runtime, &settings, reference, &cases, &mut progress, stop);
    report.map_err(|error| match error {
        VerifyError::Graph(_) | VerifyError::Onnx(OnnxError::Graph(_)) => {
            anyhow::Error::new(error).context(candidate.display().to_string())
        }
        error => error.into(),
    })
}

/// Opens the reference, and returns the inputs that it takes and the candidate's outputs that are
/// compared with its own.
fn open_reference<'a>(
    runtime: &'a Runtime,
    source: &Source,
    tokenizer: &Tokenizer,
    candidate: &Outputs,
    threads: usize,
) -> Result<(Box<dyn Reference + 'a>, TextSignature, Vec<&'static str>)> {
    match source {
        Source::Checkpoint(folder) => {
            let outputs = candidate.compared();
            let reference = CheckpointReference::open(folder, tokenizer, outputs.clone())?;
            let signature = reference.signature();
            Ok((Box::new(reference), signature, outputs))
        }
        Source::Onnx { file, .. } => {
            let own = Outputs::read(file)?;
            let signature = signature_of(runtime, file, tokenizer, threads)?;
            let [own_names, names] = match own == *candidate {
                true => [own.compared(), candidate.compared()],
                // Models of two forms have one output in common.
                false => [vec![own.interpreted()], vec![candidate.interpreted()]],
            };
            let reference = OnnxReference::open(runtime, file, &own_names, threads)?;
            Ok((Box::new(reference), signature, names))
        }
    }
}

/// The outputs of a text model, as far as rtune knows them.
#[derive(Debug, PartialEq, Eq)]
struct Outputs {
    has_probabilities: bool,
    has_score: bool,
}

impl Outputs {
    /// Reads them from an ONNX file. Of a truncated file, this error says more than the runtime's.
    fn read(file: &Path) -> Result<Self> {
        let graph = rtune_onnx::read(file)?.graph;
        let names = graph.outputs().iter().map(|id| graph.name_of(*id));
        let has = |name| names.clone().any(|output| output == name);
        Ok(Self {
            has_probabilities: has(OutputForm::PROBABILITIES),
            has_score: has(OutputForm::SCORE),
        })
    }

    /// The output that the predictions follow from.
    fn interpreted(&self) -> &'static str {
        match self.has_score {
            true => OutputForm::SCORE,
            false => OutputForm::LOGITS,
        }
    }

    /// The outputs that state all others: softmax of `logits` are the probabilities.
    fn compared(&self) -> Vec<&'static str> {
        let probabilities = self.has_probabilities.then_some(OutputForm::PROBABILITIES);
        std::iter::once(self.interpreted())
            .chain(probabilities)
            .collect()
    }
}

/// Returns the inputs that an ONNX file takes, after a check that it is a text model which computes
/// what `tokenizer` gives.
fn signature_of(
    runtime: &Runtime,
    file: &Path,
    tokenizer: &Tokenizer,
    threads: usize,
) -> Result<TextSignature> {
    let options = SessionOptions {
        threads,
        optimization: Optimization::Disabled,
        optimized_model: None,
    };
    let mut session = runtime.open(file, &options)?;
    let signature = text_signature(&session, file)?;
    check_tokenizer(&mut session, &signature, tokenizer, file)?;
    Ok(signature)
}

/// Reads the reference's tokenizer with the length limit of the task.
fn tokenizer(reference: &Source, candidate_folder: &Path) -> Result<Tokenizer> {
    match reference {
        Source::Checkpoint(folder) => {
            let Some(spec) = rtune_nn::ModelConfig::read(folder)?.task()? else {
                return Err(usage(format!(
                    "{}: config.json has no section `rtune`: run `rtune finetune` first",
                    folder.display()
                )));
            };
            Ok(Tokenizer::read(folder, spec.max_length)?)
        }
        Source::Onnx { folder, .. } => {
            let folder = if folder.join(layout::TOKENIZER).is_file() {
                folder
            } else {
                candidate_folder
            };
            let metadata = Metadata::read(folder).with_context(|| {
                format!(
                    "{}: texts are needed to compare models, and so a tokenizer and metadata.json",
                    folder.display()
                )
            })?;
            Ok(Tokenizer::read(folder, metadata.spec.max_length)?)
        }
    }
}

/// Returns the batches that are compared, with the inputs that either model takes.
fn cases(texts: &[Encoded], tokenizer: &Tokenizer, signatures: &[TextSignature]) -> Vec<Case> {
    let taken = |input: &TextInput| signatures.iter().any(|s| s.takes(*input));
    let inputs: Vec<TextInput> = TextInput::ALL.into_iter().filter(taken).collect();
    let all = || texts.iter().flat_map(|t| t.input_ids.iter().copied());
    let longest = all().cycle().take(tokenizer.max_length()).collect();
    let longest = Encoded::new(longest);
    let one_token = Encoded::new(all().take(1).collect());
    let text = |row: &Row| match row {
        Row::Sequence(index) => &texts[*index],
        Row::OneToken => &one_token,
        Row::Longest => &longest,
    };
    let lengths: Vec<usize> = texts.iter().map(Encoded::len).collect();
    let batches = choose(sorted_by_length(&lengths, BATCH_SIZE));
    let case = |rows: Vec<Row>| {
        let batch = PaddedBatch::new(rows.iter().map(text), tokenizer.padding());
        Case {
            inputs: TextTensors::new(&batch).tensors(&inputs),
        }
    };
    batches.into_iter().map(case).collect()
}

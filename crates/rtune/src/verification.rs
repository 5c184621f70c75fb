//! Verification of a candidate against a reference on texts: opens both models, makes the batches,
//! and calls `rtune_verify`.

use crate::checkpoint_reference::CheckpointReference;
use crate::data::{read_encoded, tokenizer_of};
use crate::exit::usage;
use crate::interrupt::INTERRUPT;
use crate::predictor::BATCH_SIZE;
use crate::runtime;
use crate::source::Source;
use anyhow::{Context as _, Result};
use rtune_data::Columns;
use rtune_graph::Model;
use rtune_infer::{TextTensors, check_tokenizer, text_signature};
use rtune_onnx::OnnxError;
use rtune_package::{Meaning, Metadata, layout};
use rtune_runtime::{Optimization, Runtime, SessionOptions};
use rtune_task::{OutputForm, TextInput, TextSignature};
use rtune_text::{Encoded, PaddedBatch, Tokenizer, sorted_by_length};
use rtune_verify::{
    Case, MetadataDifference, OnnxReference, Progress, Reference, Row, Tolerance, VerifyError,
    VerifyReport, VerifyRequest, choose, verify,
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
    let stated = Stated::read(&candidate, &candidate_folder)?;
    let Opened {
        mut reference,
        signature,
        outputs,
        stated: expected,
    } = open_reference(&runtime, &source, &tokenizer, &stated.outputs, threads)?;
    let differences = expected.differences(&stated);
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
    let mut report = report.map_err(|error| match error {
        VerifyError::Graph(_) | VerifyError::Onnx(OnnxError::Graph(_)) => {
            anyhow::Error::new(error).context(candidate.display().to_string())
        }
        error => error.into(),
    })?;
    report.add_metadata(differences);
    Ok(report)
}

/// The reference, opened.
struct Opened<'a> {
    reference: Box<dyn Reference + 'a>,
    /// The inputs that it takes.
    signature: TextSignature,
    /// The candidate's outputs that are compared with its own.
    outputs: Vec<&'static str>,
    stated: Stated,
}

fn open_reference<'a>(
    runtime: &'a Runtime,
    source: &Source,
    tokenizer: &Tokenizer,
    candidate: &Outputs,
    threads: usize,
) -> Result<Opened<'a>> {
    match source {
        Source::Checkpoint(folder) => {
            let outputs = candidate.compared();
            let reference = CheckpointReference::open(folder, tokenizer, outputs.clone())?;
            Ok(Opened {
                signature: reference.signature(),
                outputs,
                stated: Stated {
                    meaning: reference.meaning(folder)?,
                    place: folder.display().to_string(),
                    outputs: *candidate,
                    contradictions: Vec::new(),
                },
                reference: Box::new(reference),
            })
        }
        Source::Onnx { file, folder } => {
            let stated = Stated::read(file, folder)?;
            let own = stated.outputs;
            let [own_names, names] = match own == *candidate {
                true => [own.compared(), candidate.compared()],
                // Models of two forms have one output in common.
                false => [vec![own.interpreted()], vec![candidate.interpreted()]],
            };
            Ok(Opened {
                signature: signature_of(runtime, file, tokenizer, threads)?,
                outputs: names,
                stated,
                reference: Box::new(OnnxReference::open(runtime, file, &own_names, threads)?),
            })
        }
    }
}

/// The statements of an ONNX file, or a checkpoint, about its outputs.
struct Stated {
    outputs: Outputs,
    meaning: Meaning,
    /// The folder or file that states the meaning.
    place: String,
    /// The fields in which metadata.json and the file itself differ.
    contradictions: Vec<MetadataDifference>,
}

impl Stated {
    /// Reads an ONNX file and the metadata beside it. Of a truncated file, this error says more
    /// than the runtime's.
    fn read(file: &Path, folder: &Path) -> Result<Self> {
        let model = rtune_onnx::read(file)?;
        let of_file = Self {
            outputs: Outputs::of(&model),
            meaning: Meaning::of_properties(&model.metadata),
            place: file.display().to_string(),
            contradictions: Vec::new(),
        };
        let metadata = match Metadata::read(folder) {
            Ok(metadata) => metadata,
            // Another tool's model, perhaps with another tool's file of that name.
            Err(_) if of_file.meaning.is_empty() => return Ok(of_file),
            Err(_) if !folder.join(layout::METADATA).exists() => return Ok(of_file),
            Err(error) => return Err(error.into()),
        };
        let of_folder = Self {
            outputs: of_file.outputs,
            meaning: Meaning::of_metadata(&metadata)?,
            place: folder.join(layout::METADATA).display().to_string(),
            contradictions: Vec::new(),
        };
        Ok(Self {
            contradictions: of_folder.differences(&of_file),
            ..of_folder
        })
    }

    /// Returns the contradictions of both, and the fields in which the second differs.
    fn differences(&self, other: &Self) -> Vec<MetadataDifference> {
        let fields = self.meaning.differences(&other.meaning);
        let fields = fields
            .into_iter()
            .map(|(field, expected, found)| MetadataDifference {
                field: field.to_owned(),
                expected_in: self.place.clone(),
                expected,
                found_in: other.place.clone(),
                found,
            });
        let contradictions = self.contradictions.iter().chain(&other.contradictions);
        contradictions.cloned().chain(fields).collect()
    }
}

/// The outputs of a text model, as far as rtune knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Outputs {
    has_probabilities: bool,
    has_score: bool,
}

impl Outputs {
    fn of(model: &Model) -> Self {
        let graph = &model.graph;
        let names = graph.outputs().iter().map(|id| graph.name_of(*id));
        let has = |name| names.clone().any(|output| output == name);
        Self {
            has_probabilities: has(OutputForm::PROBABILITIES),
            has_score: has(OutputForm::SCORE),
        }
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
            tokenizer_of(folder, &spec)
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
            let spec = metadata.spec;
            Ok(Tokenizer::read(folder, spec.max_length)?.with_pairs(spec.text_pairs)?)
        }
    }
}

/// Returns the batches that are compared, with the inputs that either model takes.
fn cases(texts: &[Encoded], tokenizer: &Tokenizer, signatures: &[TextSignature]) -> Vec<Case> {
    let taken = |input: &TextInput| signatures.iter().any(|s| s.takes(*input));
    let inputs: Vec<TextInput> = TextInput::ALL.into_iter().filter(taken).collect();
    let all = || {
        let tokens = |text: &Encoded| (text.input_ids.clone(), text.token_type_ids.clone());
        let tokens = texts.iter().map(tokens);
        tokens.flat_map(|(ids, types)| ids.into_iter().zip(types))
    };
    let of_length = |length| {
        let (input_ids, token_type_ids) = all().cycle().take(length).unzip();
        Encoded {
            input_ids,
            token_type_ids,
            truncated: false,
        }
    };
    let (longest, one_token) = (of_length(tokenizer.max_length()), of_length(1));
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

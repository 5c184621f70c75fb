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
use rtune_graph::Graph;
use rtune_infer::{TextTensors, check_tokenizer, text_signature};
use rtune_onnx::OnnxError;
use rtune_package::{Meaning, Metadata, layout};
use rtune_runtime::{Optimization, Runtime, SessionOptions};
use rtune_task::{Output, Outputs, Task, TextInput, TextSignature};
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
    let of_candidate = || signature_of(&runtime, &candidate, &tokenizer, threads);
    let Opened {
        mut reference,
        signatures,
        outputs,
        stated: expected,
    } = open_reference(
        &runtime,
        &source,
        &tokenizer,
        (&stated, &of_candidate),
        threads,
    )?;
    let differences = expected.differences(&stated);
    let cases = cases(&texts, &tokenizer, &signatures);
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
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
    /// The inputs that it takes, and those of the candidate.
    signatures: [TextSignature; 2],
    /// The candidate's outputs that are compared with its own.
    outputs: Vec<String>,
    stated: Stated,
}

fn open_reference<'a>(
    runtime: &'a Runtime,
    source: &Source,
    tokenizer: &Tokenizer,
    (candidate, of_candidate): (&Stated, &dyn Fn() -> Result<TextSignature>),
    threads: usize,
) -> Result<Opened<'a>> {
    match source {
        Source::Checkpoint(folder) => {
            let reference =
                CheckpointReference::open(folder, tokenizer, candidate.metadata.as_ref())?;
            let signatures = [reference.signature(), of_candidate()?];
            let outputs = candidate.known()?;
            let compared = compared(&outputs, candidate);
            let names = compared.iter().map(|output| output.name().to_owned());
            let names: Vec<String> = names.collect();
            let reference = reference.compare(outputs, compared);
            Ok(Opened {
                signatures,
                outputs: names,
                stated: Stated {
                    meaning: reference.meaning(folder)?,
                    place: folder.display().to_string(),
                    outputs: candidate.outputs.clone(),
                    metadata: None,
                    contradictions: Vec::new(),
                },
                reference: Box::new(reference),
            })
        }
        Source::Onnx { file, folder } => {
            let stated = Stated::read(file, folder)?;
            let own = signature_of(runtime, file, tokenizer, threads)?;
            let signatures = [own, of_candidate()?];
            let pairs = stated.pairs(candidate)?;
            let own: Vec<&str> = pairs.iter().map(|(own, _)| own.as_str()).collect();
            let reference = OnnxReference::open(runtime, file, &own, threads)?;
            Ok(Opened {
                signatures,
                outputs: pairs.into_iter().map(|(_, other)| other).collect(),
                stated,
                reference: Box::new(reference),
            })
        }
    }
}

/// The outputs that are compared with a checkpoint's. The logits of an ordinal model with
/// probabilities follow from its score.
fn compared(outputs: &Outputs, candidate: &Stated) -> Vec<Output> {
    let all = outputs.list().iter().copied();
    all.filter(|output| *output != Output::Logits || !candidate.has(Output::Score))
        .collect()
}

/// The statements of an ONNX file, or a checkpoint, about its outputs.
struct Stated {
    /// The names of the outputs, in order.
    outputs: Vec<String>,
    /// The metadata beside an ONNX file, if it is one of rtune's.
    metadata: Option<Metadata>,
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
            outputs: names_of_outputs(&model.graph),
            metadata: None,
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
            outputs: of_file.outputs.clone(),
            meaning: Meaning::of_metadata(&metadata)?,
            metadata: Some(metadata),
            place: folder.join(layout::METADATA).display().to_string(),
            contradictions: Vec::new(),
        };
        Ok(Self {
            contradictions: of_folder.differences(&of_file),
            ..of_folder
        })
    }

    fn has(&self, output: Output) -> bool {
        self.outputs.iter().any(|name| name == output.name())
    }

    /// Returns the outputs that rtune knows, for a comparison with a checkpoint.
    fn known(&self) -> Result<Outputs> {
        let names = self.outputs.iter();
        let list: Vec<Output> = names.filter_map(|name| Output::named(name)).collect();
        let task = self.metadata.as_ref().map(|metadata| metadata.spec.task);
        // Of a file without metadata, its outputs say enough.
        let task = task.unwrap_or(match self.has(Output::Score) {
            true => Task::Ordinal,
            false => Task::Classification,
        });
        if list.is_empty() {
            return Err(usage(format!(
                "{}: has the outputs {}, none of which a checkpoint has",
                self.place,
                self.outputs.join(", ")
            )));
        }
        let outputs = Outputs::new(task, list);
        outputs.map_err(|error| usage(format!("{}: {error}", self.place)))
    }

    /// Returns the outputs that are compared with those of a candidate: names here and there. The
    /// score of an ordinal model is its logits if there are no probabilities.
    fn pairs(&self, candidate: &Self) -> Result<Vec<(String, String)>> {
        let interpreted = |stated: &Self| match stated.has(Output::Score) {
            true => Output::Score.name(),
            false => Output::Logits.name(),
        };
        let (own, other) = (interpreted(self), interpreted(candidate));
        let is_head = |name: &str| Output::named(name).is_some_and(Output::is_of_head);
        let mut pairs = Vec::new();
        for name in &self.outputs {
            let is_there = candidate.outputs.contains(name);
            if name == own && candidate.outputs.iter().any(|name| name == other) {
                pairs.push((name.clone(), other.to_owned()));
            } else if is_there && (!is_head(name) || name == Output::Probabilities.name()) {
                pairs.push((name.clone(), name.clone()));
            }
        }
        if pairs.is_empty() {
            return Err(usage(format!(
                "{}: has the outputs {}, and {} has {}, so there is nothing to compare",
                self.place,
                self.outputs.join(", "),
                candidate.place,
                candidate.outputs.join(", ")
            )));
        }
        Ok(pairs)
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

fn names_of_outputs(graph: &Graph) -> Vec<String> {
    let outputs = graph.outputs().iter();
    outputs.map(|id| graph.name_of(*id).to_owned()).collect()
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
            match (
                rtune_nn::ModelConfig::read(folder)?.task()?,
                Metadata::read(candidate_folder),
            ) {
                (Some(spec), _) => tokenizer_of(folder, &spec),
                (None, Ok(Metadata { spec, .. })) if spec.task == Task::Embedding => {
                    Ok(Tokenizer::read(folder, spec.max_length)?)
                }
                (None, _) => Err(usage(format!(
                    "{}: this model has no fine-tuned head yet: run `rtune finetune` first",
                    folder.display()
                ))),
            }
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

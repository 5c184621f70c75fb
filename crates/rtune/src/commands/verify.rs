use crate::checkpoint_reference::CheckpointReference;
use crate::cli::Common;
use crate::console::{Progress, note, result};
use crate::data::read_encoded;
use crate::exit::{GATE, usage};
use crate::interrupt::INTERRUPT;
use crate::predictor::{BATCH_SIZE, OnnxBatch, open_session};
use crate::runtime;
use crate::source::Source;
use anyhow::{Context as _, Result};
use clap::Args;
use rtune_package::{Metadata, layout};
use rtune_runtime::Optimization;
use rtune_task::{TextInput, TextSignature};
use rtune_text::{Encoded, PaddedBatch, Tokenizer, sorted_by_length};
use rtune_verify::{
    Case, OnnxReference, Progress as Event, Reference, Row, Tolerance, VerifyReport, VerifyRequest,
    choose, verify,
};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Compare two models on real text; exit 3 where they differ, naming the first node that does
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rtune verify --reference run/final --candidate onnx --data test.csv
  rtune verify --reference onnx --candidate int8 --data test.csv --atol 0.5")]
pub(crate) struct Verify {
    /// Folder of a fine-tuned model, or of an exported one
    #[arg(long, value_name = "DIR")]
    reference: PathBuf,
    /// Folder of an exported model, or an .onnx file
    #[arg(long, value_name = "DIR")]
    candidate: PathBuf,
    /// Texts: a .txt, .csv, .tsv or .jsonl file, or a folder of them
    #[arg(long, value_name = "PATH")]
    data: PathBuf,
    /// Maximum number of texts
    #[arg(long, default_value_t = 1000, value_name = "N")]
    samples: usize,
    /// Numbers may differ by atol + rtol · |reference|
    #[arg(long, default_value_t = 1e-5, value_name = "X")]
    atol: f64,
    #[arg(long, default_value_t = 1e-5, value_name = "X")]
    rtol: f64,
    /// Column or field that holds the text
    #[arg(long, default_value = "text", value_name = "NAME")]
    text_column: String,
    #[command(flatten)]
    common: Common,
}

impl Verify {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let threads = self.common.threads();
        if self.samples == 0 {
            return Err(usage("--samples must be at least 1"));
        }
        let source = Source::of(&self.reference)?;
        let (candidate, candidate_folder) = Source::of(&self.candidate)?.onnx()?;
        let runtime = runtime::load()?;
        let tokenizer = tokenizer(&source, &candidate_folder)?;
        let texts = read_encoded(&self.data, &self.text_column, self.samples, &tokenizer)?;
        let outputs = ["logits"];
        let signature_of = |file: &Path| -> Result<TextSignature> {
            Ok(open_session(&runtime, file, threads, Optimization::Disabled)?.1)
        };
        let (mut reference, signature): (Box<dyn Reference>, _) = match &source {
            Source::Checkpoint(folder) => {
                let reference = CheckpointReference::open(folder)?;
                let signature = reference.signature();
                (Box::new(reference), signature)
            }
            Source::Onnx { file, .. } => {
                let signature = signature_of(file)?;
                let reference = OnnxReference::open(&runtime, file, &outputs, threads)?;
                (Box::new(reference), signature)
            }
        };
        let signatures = [signature, signature_of(&candidate)?];
        let cases = cases(&texts, &tokenizer, &signatures);
        let request = VerifyRequest {
            candidate: &candidate,
            outputs: &outputs,
            texts: texts.len(),
            tolerance: Tolerance {
                atol: self.atol,
                rtol: self.rtol,
            },
            threads,
        };
        let mut bar = Bar {
            bar: None,
            total: cases.len(),
        };
        let mut show = |event| bar.show(event);
        let report = verify(
            &runtime,
            &request,
            &mut *reference,
            &cases,
            &mut show,
            &INTERRUPT,
        )?;
        drop(bar);
        self.print(&report)
    }

    fn print(&self, report: &VerifyReport) -> Result<ExitCode> {
        result(self.common.json, report, || report.to_string())?;
        Ok(if report.holds {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(GATE)
        })
    }
}

/// The progress bar of the part that is running.
struct Bar {
    bar: Option<(&'static str, Progress)>,
    total: usize,
}

impl Bar {
    fn show(&mut self, event: Event) {
        let (part, done) = match event {
            Event::Reference(done) => ("reference", done),
            Event::Candidate(done) => ("verifying", done),
            Event::Searching(optimization) => {
                self.bar = None;
                note(format!(
                    "{}: outputs differ; looking for the first node that does",
                    optimization.name()
                ));
                return;
            }
        };
        match &mut self.bar {
            Some((shown, bar)) if *shown == part => bar.set(done),
            _ => self.bar = Some((part, Progress::new(part, self.total))),
        }
    }
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
            inputs: OnnxBatch::new(&batch).tensors(&inputs),
        }
    };
    batches.into_iter().map(case).collect()
}

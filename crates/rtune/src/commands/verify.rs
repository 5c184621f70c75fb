//! `rtune verify`: flags, request, progress, printing.

use crate::console::{Progress, note, result};
use crate::exit::{GATE, usage};
use crate::flags::{Common, TextFlags, tolerance, whole};
use crate::verification::{self, VerificationRequest};
use anyhow::Result;
use clap::Args;
use rtune_verify::{Progress as Event, Tolerance};
use std::path::PathBuf;
use std::process::ExitCode;

/// Compare two models on real text; exit 3 if they differ, naming the first node that does
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
    /// Texts: a .txt, .csv, .tsv, .json, .jsonl or .parquet file, or a folder of them
    #[arg(long, value_name = "PATH")]
    data: PathBuf,
    /// Maximum number of texts
    #[arg(long, value_parser = whole::<usize>, default_value_t = 1000, value_name = "N")]
    samples: usize,
    /// Numbers may differ by atol + rtol · |reference|
    #[arg(long, value_parser = tolerance, default_value_t = 1e-5, value_name = "X")]
    atol: f64,
    /// The part of the tolerance that grows with the reference
    #[arg(long, value_parser = tolerance, default_value_t = 1e-5, value_name = "X")]
    rtol: f64,
    #[command(flatten)]
    text: TextFlags,
    #[command(flatten)]
    common: Common,
}

impl Verify {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        if self.samples == 0 {
            return Err(usage("--samples must be at least 1"));
        }
        let request = VerificationRequest {
            reference: &self.reference,
            candidate: &self.candidate,
            data: &self.data,
            columns: self.text.columns(),
            samples: self.samples,
            tolerance: Tolerance {
                atol: self.atol,
                rtol: self.rtol,
            },
            threads: self.common.threads(),
        };
        let mut bar = Bar(None);
        let report = verification::run(&request, &mut |total, event| bar.show(total, event))?;
        drop(bar);
        result(self.common.json, &report, || report.to_string())?;
        Ok(if report.holds {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(GATE)
        })
    }
}

/// The progress bar of the part that is running.
struct Bar(Option<(&'static str, Progress)>);

impl Bar {
    fn show(&mut self, total: usize, event: Event) {
        let (part, done) = match event {
            Event::Reference(done) => ("reference", done),
            Event::Candidate(done) => ("verifying", done),
            Event::Searching(optimization) => {
                self.0 = None;
                note(format!(
                    "{}: outputs differ; looking for the first node that does",
                    optimization.name()
                ));
                return;
            }
        };
        match &mut self.0 {
            Some((shown, bar)) if *shown == part => bar.set(done),
            _ => self.0 = Some((part, Progress::new(part, total))),
        }
    }
}

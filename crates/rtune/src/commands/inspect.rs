//! `rtune inspect`: flags, inspection, printing.

use crate::census::optimized_census;
use crate::console::result;
use crate::exit::usage;
use crate::flags::Common;
use crate::inspection::InspectReport;
use crate::source::Source;
use crate::{advice, runtime};
use anyhow::{Context as _, Result};
use clap::Args;
use rtune_graph::check;
use std::path::PathBuf;
use std::process::ExitCode;

/// Show a model's inputs, outputs and operators, and which layers run as int8
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rtune inspect int8/model.onnx
  rtune inspect --graph onnx")]
pub(crate) struct Inspect {
    /// An ONNX file, or a folder that holds model.onnx
    #[arg(value_name = "MODEL")]
    path: Option<PathBuf>,
    /// The same, as the flag of the other commands
    #[arg(long, visible_alias = "model-name-or-path", value_name = "DIR")]
    model: Option<PathBuf>,
    /// Print the graph, one line for each node
    #[arg(long)]
    graph: bool,
    #[command(flatten)]
    common: Common,
}

impl Inspect {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        self.common.threads();
        let path = self.path.as_ref().or(self.model.as_ref());
        let path = path.ok_or_else(|| usage("give a model folder or an .onnx file"))?;
        let (file, _) = Source::onnx(path)?;
        let model = rtune_onnx::read(&file)?;
        if self.graph && !self.common.json {
            result(false, &(), || model.to_string())?;
            return Ok(ExitCode::SUCCESS);
        }
        let (runtime, problem) = match runtime::load() {
            Ok(runtime) => match optimized_census(&runtime, &file, None) {
                Ok(census) => (Some(census), None),
                // If the graph contradicts itself, our own message says more than the runtime's.
                Err(error) => {
                    check(&model).with_context(|| file.display().to_string())?;
                    return Err(error);
                }
            },
            Err(error) => {
                let problem = advice::describe(std::iter::once(&error as _), None);
                (None, Some(problem))
            }
        };
        let report = InspectReport::new(model, runtime);
        result(self.common.json, &report, || {
            report.to_text(problem.as_deref())
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

//! The subcommands and the help of the program.

use crate::commands;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// From a table of labelled text to a small, fast, verified ONNX model.
#[derive(Debug, Parser)]
#[command(name = "rtune", version, propagate_version = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 bad usage or input, 3 a gate (parity, quality) \
                  failed, 75 interrupted with a checkpoint written (run the same command again), \
                  130 interrupted."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Finetune(Box<commands::finetune::Finetune>),
    Export(commands::export::Export),
    Verify(commands::verify::Verify),
    Quantize(commands::quantize::Quantize),
    Evaluate(commands::evaluate::Evaluate),
    Predict(commands::predict::Predict),
    Inspect(commands::inspect::Inspect),
    Doctor(commands::doctor::Doctor),
}

impl Command {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        crate::interrupt::install()?;
        match self {
            Self::Finetune(command) => command.run(),
            Self::Export(command) => command.run(),
            Self::Verify(command) => command.run(),
            Self::Quantize(command) => command.run(),
            Self::Evaluate(command) => command.run(),
            Self::Predict(command) => command.run(),
            Self::Inspect(command) => command.run(),
            Self::Doctor(command) => command.run(),
        }
    }
}

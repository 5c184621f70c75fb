//! Exit codes, and which error gets which.

use rtune_data::DataError;
use rtune_graph::GraphError;
use rtune_nn::NnError;
use rtune_onnx::OnnxError;
use rtune_package::PackageError;
use rtune_quant::QuantError;
use rtune_runtime::RuntimeError;
use rtune_text::TextError;
use rtune_train::TrainError;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Something failed that is not the user's.
const FAILED: u8 = 1;
/// Bad usage or input.
const INPUT: u8 = 2;
/// A gate, parity or quality, did not hold.
pub(crate) const GATE: u8 = 3;
/// Stopped by a signal, with a checkpoint written: `EX_TEMPFAIL` of sysexits.h.
const RESUMABLE: u8 = 75;
/// Stopped by a signal, with nothing left behind.
const INTERRUPTED: u8 = 130;

/// A usage error found after the flags were parsed.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// An anyhow error for bad usage.
pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Usage(message.into()))
}

/// The user pressed Ctrl-C.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted; nothing was written")
    }
}

impl std::error::Error for Interrupted {}

/// The user pressed Ctrl-C, or the machine is going away, while a run had something to go on from.
#[derive(Debug)]
pub(crate) struct Resumable {
    pub(crate) checkpoint: PathBuf,
}

impl std::fmt::Display for Resumable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "interrupted; run the same command again to go on from {}",
            self.checkpoint.display()
        )
    }
}

impl std::error::Error for Resumable {}

/// Prints an error with its causes and gives its exit code.
#[allow(clippy::print_stderr)] // The one place where errors are printed.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {}", describe(error));
    ExitCode::from(code(error))
}

/// An error with its causes. Many errors end with their cause already, which is then not said
/// again.
fn describe(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text += &format!(": {cause}");
        }
    }
    text
}

/// Prints help, or what clap finds wrong with the flags.
#[allow(clippy::print_stderr)] // As above.
pub(crate) fn usage_error(error: &clap::Error, config: Option<&Path>) -> ExitCode {
    if let Some(config) = config.filter(|_| error.use_stderr()) {
        eprintln!("note: flags were also read from {}", config.display());
    }
    // Nothing is left to do where the terminal is gone.
    let _ = error.print();
    if error.use_stderr() {
        ExitCode::from(INPUT)
    } else {
        ExitCode::SUCCESS
    }
}

fn code(error: &anyhow::Error) -> u8 {
    error.chain().find_map(of_cause).unwrap_or(FAILED)
}

fn of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<u8> {
    if cause.is::<Interrupted>() {
        return Some(INTERRUPTED);
    }
    if cause.is::<Resumable>() {
        return Some(RESUMABLE);
    }
    if let Some(error) = cause.downcast_ref::<TrainError>() {
        return match error {
            TrainError::Config(_) | TrainError::Package(_) | TrainError::Checkpoint { .. } => {
                Some(INPUT)
            }
            TrainError::Interrupted { .. } => Some(INTERRUPTED),
            TrainError::Metric(_) => Some(INPUT),
            TrainError::Model(error) => of_cause(error),
            _ => Some(FAILED),
        };
    }
    if let Some(error) = cause.downcast_ref::<NnError>() {
        return Some(
            if matches!(error, NnError::Candle(_) | NnError::Interpreter(_)) {
                FAILED
            } else {
                INPUT
            },
        );
    }
    if let Some(error) = cause.downcast_ref::<RuntimeError>() {
        return Some(if error.is_input() { INPUT } else { FAILED });
    }
    if let Some(error) = cause.downcast_ref::<QuantError>() {
        return match error {
            QuantError::Runtime(error) => of_cause(error),
            _ => Some(INPUT),
        };
    }
    let input = cause.is::<Usage>()
        || cause.is::<DataError>()
        || cause.is::<TextError>()
        || cause.is::<OnnxError>()
        || cause.is::<PackageError>()
        || cause.is::<GraphError>();
    input.then_some(INPUT)
}

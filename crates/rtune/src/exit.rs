//! Exit codes and the errors that they stand for.

use crate::advice;
use crate::arguments::Flag;
use crate::cli::Cli;
use crate::console::note;
use crate::interrupt::is_interruption;
use clap::CommandFactory as _;
use rtune_train::TrainError;
use rtune_verify::VerifyError;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

/// A failure that is not caused by the user's input.
const FAILED: u8 = 1;
/// Bad usage or input.
pub(crate) const INPUT: u8 = 2;
/// A parity or quality gate failed.
pub(crate) const GATE: u8 = 3;
/// Interrupted with a checkpoint written: `EX_TEMPFAIL` of sysexits.h.
const RESUMABLE: u8 = 75;
/// Interrupted with nothing written.
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

/// Creates an error for bad usage.
pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Usage(message.into()))
}

/// An interruption by Ctrl-C before anything was written.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted; nothing was written")
    }
}

impl std::error::Error for Interrupted {}

/// An interruption after results were printed.
#[derive(Debug)]
pub(crate) struct InterruptedAfter;

impl std::fmt::Display for InterruptedAfter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted; the results above are not complete")
    }
}

impl std::error::Error for InterruptedAfter {}

/// An interruption of a run that has a checkpoint to resume from.
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

/// Prints an error of a command with its causes and returns its exit code. If the message names a
/// flag of a config file, its line is named as well. Requests for help are errors of clap's, too.
pub(crate) fn report(error: &anyhow::Error, command: Option<&str>, from_file: &[Flag]) -> ExitCode {
    if let Some(error) = error.downcast_ref::<clap::Error>() {
        let printed = error.print();
        return match (error.use_stderr(), printed) {
            (true, _) => ExitCode::from(INPUT),
            // A reader that has seen enough of the help is no failure.
            (false, Err(error)) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                note(format!("error: standard output: {error}"));
                ExitCode::from(FAILED)
            }
            (false, _) => ExitCode::SUCCESS,
        };
    }
    let mut message = message(error, command);
    let named = from_file.iter().filter(|flag| names(&message, &flag.name));
    let places = named.filter_map(|flag| Some((&flag.name, flag.place()?)));
    let places = places.map(|(name, place)| {
        format!(
            "; --{name} is in {}, line {}",
            place.file.display(),
            place.line
        )
    });
    message += &places.collect::<String>();
    note(format!("error: {message}"));
    ExitCode::from(code(error))
}

/// Returns the message of an error of a command, with its causes and advice.
pub(crate) fn message(error: &anyhow::Error, command: Option<&str>) -> String {
    let cli = Cli::command();
    let command = command.and_then(|name| cli.find_subcommand(name));
    readable(&advice::describe(error.chain(), command))
}

/// True if a message has the flag of a name, and not only one whose name is longer.
fn names(message: &str, name: &str) -> bool {
    let flag = format!("--{name}");
    let mut after = message.split(&flag).skip(1);
    after.any(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-'))
}

/// Makes a message safe to print, whatever a file put into it: control characters are escaped, and
/// the middle of a very long word is left out.
fn readable(message: &str) -> String {
    const LONGEST: usize = 400;
    const KEPT: usize = 60;
    let mut text = String::new();
    for word in message.split_inclusive(char::is_whitespace) {
        let length = word.chars().count();
        let escape = |c: char| match c.is_control() && c != '\n' {
            true => c.escape_default().to_string(),
            false => c.to_string(),
        };
        if length <= LONGEST {
            text.extend(word.chars().map(escape));
            continue;
        }
        text.extend(word.chars().take(KEPT).map(escape));
        text += &format!("… ({} characters) …", length - 2 * KEPT);
        text.extend(word.chars().skip(length - KEPT).map(escape));
    }
    text
}

fn code(error: &anyhow::Error) -> u8 {
    error.chain().find_map(code_of_cause).unwrap_or(FAILED)
}

fn code_of_cause(cause: &(dyn Error + 'static)) -> Option<u8> {
    if cause.is::<Interrupted>() || cause.is::<InterruptedAfter>() || is_interruption(cause) {
        return Some(INTERRUPTED);
    }
    if cause.is::<Resumable>() {
        return Some(RESUMABLE);
    }
    if let Some(VerifyError::Reference(error)) = cause.downcast_ref() {
        return code_of_cause(error.as_ref());
    }
    if let Some(TrainError::Interrupted { .. }) = cause.downcast_ref() {
        return Some(INTERRUPTED);
    }
    if cause.is::<Usage>() {
        return Some(INPUT);
    }
    is_input(cause).map(|is_input| if is_input { INPUT } else { FAILED })
}

/// Asks an error of a library whether the user's input is the cause.
fn is_input(cause: &(dyn Error + 'static)) -> Option<bool> {
    macro_rules! ask {
        ($($error:ty),+ $(,)?) => {
            $(if let Some(error) = cause.downcast_ref::<$error>() {
                return Some(error.is_input());
            })+
        };
    }
    ask!(
        rtune_data::DataError,
        rtune_export::ExportError,
        rtune_graph::GraphError,
        rtune_infer::InferError,
        rtune_nn::NnError,
        rtune_onnx::OnnxError,
        rtune_package::PackageError,
        rtune_quant::QuantError,
        rtune_runtime::RuntimeError,
        rtune_task::TaskError,
        rtune_text::TextError,
        rtune_train::TrainError,
        rtune_verify::VerifyError,
    );
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtune_nn::NnError;

    #[test]
    fn messages_are_readable_whatever_is_in_them() {
        assert_eq!(
            readable("a\tb `\0\u{1b}[31m`\nc"),
            "a\\tb `\\u{0}\\u{1b}[31m`\nc"
        );
        let long = format!("has `{}`, no text", "a".repeat(1 << 20));
        let found = readable(&long);
        assert!(found.starts_with("has `aaa") && found.ends_with("aaa`, no text"));
        assert!(found.contains("… (1048460 characters) …"), "{found}");
    }

    #[test]
    fn errors_choose_their_exit_codes() {
        let missing = || rtune_text::TextError::Empty;
        let interpreter = || NnError::operation("a failed product");
        let stopped = rtune_infer::InferError::from(rtune_interrupt::Interrupted);
        let cases: [(anyhow::Error, u8); 9] = [
            (anyhow::anyhow!("a bug"), FAILED),
            (usage("--x"), INPUT),
            (missing().into(), INPUT),
            (anyhow::Error::new(missing()).context("text 1"), INPUT),
            (interpreter().into(), FAILED),
            (TrainError::Model(interpreter()).into(), FAILED),
            (TrainError::NoExamples.into(), INPUT),
            (Interrupted.into(), INTERRUPTED),
            (stopped.into(), INTERRUPTED),
        ];
        for (error, expected) in cases {
            assert_eq!(code(&error), expected, "{error:#}");
        }
    }
}

//! Advice that names flags and commands. Libraries know neither, so their messages end where this
//! begins.

use crate::arguments::find;
use crate::interrupt::is_interruption;
use crate::list;
use crate::present;
use clap::Command;
use rtune_data::{Column, DataError, DataProblem, Format, LabelProblem};
use rtune_infer::InferError;
use rtune_nn::NnError;
use rtune_onnx::OnnxError;
use rtune_package::{PackageError, TargetProblem, layout};
use rtune_runtime::{MIN_VERSION, RuntimeError};
use rtune_text::TextError;
use rtune_train::{CheckpointProblem, FolderProblem, TrainError};
use rtune_verify::VerifyError;
use std::error::Error;
use std::path::Path;

/// Returns what the user of a command can do about one error of a chain. `None` is no command, for
/// which no flag is named.
fn of(cause: &(dyn Error + 'static), command: Option<&Command>) -> Option<String> {
    if is_interruption(cause) {
        return Some("nothing was written".to_owned());
    }
    if let Some(error) = cause.downcast_ref::<DataError>() {
        return of_data(&error.path, &error.problem, command);
    }
    if let Some(error) = cause.downcast_ref::<PackageError>() {
        return of_package(error).map(ToOwned::to_owned);
    }
    if let Some(error) = cause.downcast_ref::<RuntimeError>() {
        return of_runtime(error);
    }
    match cause.downcast_ref() {
        Some(InferError::Runtime(error)) => return of(error, command),
        Some(InferError::Package(error)) => return of(error, command),
        Some(InferError::Tokenizer(error)) => return of(error, command),
        _ => {}
    }
    match cause.downcast_ref() {
        Some(NnError::MissingFile { folder, expected }) => {
            return present::instead(folder, expected);
        }
        Some(NnError::File { path, .. }) => return present::kind(path),
        _ => {}
    }
    match cause.downcast_ref() {
        Some(TextError::Missing(folder)) => return present::instead(folder, layout::TOKENIZER),
        Some(TextError::Tokenizer { path, .. }) => return present::kind(path),
        _ => {}
    }
    if let Some(OnnxError::File { path, .. }) = cause.downcast_ref() {
        return present::kind(path);
    }
    if let Some(VerifyError::Runtime(error)) = cause.downcast_ref() {
        return of(error, command);
    }
    of_train(cause.downcast_ref::<TrainError>()?, command)
}

fn of_train(error: &TrainError, command: Option<&Command>) -> Option<String> {
    let advice = match error {
        TrainError::Package(error) => return of(error, command),
        TrainError::Data(error) => return of(error, command),
        TrainError::Model(error) => return of(error, command),
        TrainError::Text(error) => return of(error, command),
        TrainError::Folder { problem, .. } => match problem {
            FolderProblem::NotARun => "give another --output",
            FolderProblem::NotOurs => "or give another --output",
            FolderProblem::Finished => "give another --output, or --force to train anew",
            _ => return None,
        },
        TrainError::Checkpoint { problem, .. } => match problem {
            CheckpointProblem::OtherRun(_) => {
                "give what that run had, another --output, or --force to start over"
            }
            CheckpointProblem::Damaged(_) => "give --force to start over",
            _ => return None,
        },
        _ => return None,
    };
    Some(advice.to_owned())
}

/// Returns the message of one error of a chain, with flags in place of the names of settings.
fn message(cause: &(dyn Error + 'static)) -> String {
    let mut text = without_backtrace(cause.to_string());
    if let Some(error) = cause.downcast_ref::<TrainError>() {
        for setting in error.settings() {
            let flag = format!("--{}", setting.replace('_', "-"));
            text = text.replacen(setting, &flag, 1);
        }
    }
    text
}

/// Cuts off the backtrace that candle appends to its messages if `RUST_BACKTRACE` is set.
fn without_backtrace(mut message: String) -> String {
    if let Some(start) = message.find("\n   0: ") {
        message.truncate(start);
    }
    message
}

/// Returns the advice for a data file.
fn of_data(path: &Path, problem: &DataProblem, command: Option<&Command>) -> Option<String> {
    let has = |flag| command.is_some_and(|command| find(command, flag).is_some());
    let advice = match problem {
        DataProblem::BadRows { first, labels, .. } => {
            let mut all: Vec<String> = Vec::new();
            let problems = first.iter().map(|row| &row.problem);
            let problems = problems.chain(labels.as_deref());
            for advice in problems.filter_map(|problem| of_data(path, problem, command)) {
                if !all.contains(&advice) {
                    all.push(advice);
                }
            }
            return (!all.is_empty()).then(|| all.join("; "));
        }
        DataProblem::Encoding(encoding) => return Some(conversion(path, encoding)),
        DataProblem::NotUtf8 { mixed: false, .. } if Format::of(path) != Some(Format::Parquet) => {
            return Some(conversion(path, "WINDOWS-1252"));
        }
        DataProblem::UnknownFormat if has("input-format") => "or give --input-format",
        DataProblem::ColumnTwice { column, .. } => match column {
            Column::Text => "or name another with --text-column",
            Column::Pair => "or name another with --text-pair-column",
            Column::Label => "or name another with --label-column",
            Column::Other => "or name another with --id-column",
        },
        DataProblem::NoColumn { column, .. } | DataProblem::NoField { column, .. } => {
            match column {
                Column::Text => "name the right one with --text-column",
                Column::Pair => "name the right one with --text-pair-column",
                Column::Label => "name the right one with --label-column",
                Column::Other => "name the right one with --id-column",
            }
        }
        DataProblem::PairsExpected => "name it with --text-pair-column",
        DataProblem::PairsNotTaken(_) => "remove --text-pair-column",
        DataProblem::OpenQuote | DataProblem::AfterQuote { .. } | DataProblem::BeforeQuote => {
            "or give --no-quotes if quotes are characters in this file"
        }
        DataProblem::NoFiles if has("calib") => {
            ".safetensors files are read, too, with a tensor for each input of the model"
        }
        DataProblem::Label(LabelProblem::NotIndex(_)) => "or name all labels with --labels",
        DataProblem::Label(LabelProblem::Unknown { .. }) if has("labels") => {
            "--labels must name every label"
        }
        DataProblem::TooFewToHoldOut { .. } => "or give rows with --validation",
        DataProblem::Unnamed { found, more } => return Some(labels_flag(found, *more)),
        _ => return None,
    };
    Some(advice.to_owned())
}

/// Returns the flag that names labels in order.
fn labels_flag(found: &[String], more: usize) -> String {
    let numeric = found.iter().all(|label| label.parse::<f64>().is_ok());
    // Texts and measurements are no names.
    if more > 0 || found.iter().any(|label| label.chars().count() > 40) {
        let task = match numeric {
            true => " or, if they are measurements, --task regression",
            false => "",
        };
        return format!("name another column with --label-column{task}");
    }
    let list = list::join(found);
    let list = word(&list);
    match numeric {
        true => format!("give --labels {list}"),
        false => format!("give --labels {list}, in your order from lowest to highest"),
    }
}

/// Returns a text as one word of a shell.
fn word(text: &str) -> String {
    let plain = |sign: char| sign.is_alphanumeric() || "-_.,:+/".contains(sign);
    match text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// Returns a command that converts a file to UTF-8.
fn conversion(path: &Path, encoding: &str) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    let (from, name) = (word(&path.to_string_lossy()), name.to_string_lossy());
    let iconv = format!("iconv -f {encoding} -t UTF-8");
    let (command, name) = match name.strip_suffix(".gz") {
        Some(name) => (format!("gzip -dc {from} | {iconv}"), name),
        None => (format!("{iconv} {from}"), &*name),
    };
    format!("for example: {command} > {}", word(&format!("utf8-{name}")))
}

fn of_package(error: &PackageError) -> Option<&'static str> {
    let PackageError::Target { problem, .. } = error else {
        return None;
    };
    match problem {
        TargetProblem::Occupied | TargetProblem::Exists => {
            Some("give another --output, or --force to replace it")
        }
        TargetProblem::Busy => None,
        _ => Some("give another --output"),
    }
}

fn of_runtime(error: &RuntimeError) -> Option<String> {
    let library = "set ORT_DYLIB_PATH to libonnxruntime.so";
    match error {
        RuntimeError::Missing(_) => Some(format!("{library}, or run `cargo xtask fetch`")),
        RuntimeError::NotALibrary { .. } => {
            Some(format!("{library} of ONNX Runtime {MIN_VERSION} or newer"))
        }
        RuntimeError::NotOnnxRuntime(_) => Some(library.to_owned()),
        RuntimeError::Incomplete { .. } => Some(format!("or {library} of another copy")),
        _ => None,
    }
}

/// Returns an error's message with its causes and the advice for each of them, which names flags of
/// the command.
pub(crate) fn describe<'a>(
    chain: impl Iterator<Item = &'a (dyn Error + 'static)>,
    command: Option<&Command>,
) -> String {
    let (mut text, mut advice) = (String::new(), String::new());
    for cause in chain {
        let message = message(cause);
        if text.is_empty() {
            text = message;
        } else if !text.ends_with(&message) {
            text += &format!(": {message}");
        }
        if let Some(of_cause) = of(cause, command) {
            // A list of rows has a line for each.
            let separator = if text.contains('\n') { "\n" } else { "; " };
            advice += &format!("{separator}{of_cause}");
        }
    }
    text + &advice
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtune_train::RunRequest;

    #[test]
    fn advice_comes_last() {
        let error = anyhow::Error::new(RuntimeError::NotOnnxRuntime("a.so".into()));
        let error = error.context("while opening");
        let text = describe(error.chain(), None);
        assert!(text.starts_with("while opening: a.so: "), "{text}");
        assert!(
            text.ends_with("; set ORT_DYLIB_PATH to libonnxruntime.so"),
            "{text}"
        );
    }

    #[test]
    fn the_backtrace_of_candle_is_left_out() {
        let inner = Box::new(candle_core::Error::Msg("odd shape".to_owned()));
        let backtrace = Box::new(std::backtrace::Backtrace::force_capture());
        let error = candle_core::Error::WithBacktrace { inner, backtrace };
        assert!(error.to_string().lines().count() > 5, "{error}");
        let error = anyhow::Error::new(NnError::from(error)).context("a step");
        assert_eq!(describe(error.chain(), None), "a step: odd shape");
    }

    #[test]
    fn the_conversion_to_utf8_works() {
        let iconv = std::process::Command::new("iconv")
            .arg("--version")
            .output();
        if !iconv.is_ok_and(|output| output.status.success()) {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        for (encoding, bytes) in [
            ("WINDOWS-1252", &b"caf\xe9 \x80"[..]),
            ("UTF-16LE", b"c\0a\0f\0\xe9\0 \0\xac\x20"),
            (
                "UTF-32",
                b"\xff\xfe\0\0c\0\0\0a\0\0\0f\0\0\0\xe9\0\0\0 \0\0\0\xac\x20\0\0",
            ),
        ] {
            let path = folder.path().join("o'clock $1 é.csv");
            std::fs::write(&path, bytes).unwrap();
            let advice = conversion(&path, encoding);
            let command = advice.strip_prefix("for example: ").unwrap();
            let shell = std::process::Command::new("sh")
                .current_dir(folder.path())
                .args(["-c", command])
                .status();
            assert!(shell.unwrap().success(), "{command}");
            let found = std::fs::read(folder.path().join("utf8-o'clock $1 é.csv")).unwrap();
            assert_eq!(String::from_utf8(found).unwrap(), "café €");
        }
    }

    #[test]
    fn settings_are_named_by_their_flags() {
        let of = |request: RunRequest| {
            let error = anyhow::Error::new(request.check().unwrap_err());
            describe(error.chain(), None)
        };
        let request = || RunRequest::new("model", "train.csv", "run");
        let mut zero = request();
        zero.settings.train_batch_size = 0;
        assert_eq!(of(zero), "--train-batch-size must be at least 1");
        let mut labels = request();
        labels.labels = ["labels", "labels"].map(String::from).to_vec();
        assert_eq!(of(labels), "--labels names `labels` twice");
        let mut length = request();
        length.settings.max_steps = Some(0);
        let expected = "--num-train-epochs and --max-steps must be positive";
        assert_eq!(of(length), expected);
    }

    #[test]
    fn interruption_of_any_library_reads_the_same() {
        let stop = rtune_interrupt::Interrupted;
        for error in [
            anyhow::Error::new(stop),
            InferError::from(stop).into(),
            VerifyError::from(stop).into(),
            rtune_quant::QuantError::from(stop).into(),
        ] {
            let text = describe(error.chain(), None);
            assert_eq!(text, "interrupted; nothing was written");
        }
    }

    #[test]
    fn advice_reaches_errors_inside_others() {
        let error = TrainError::from(PackageError::Target {
            path: "out".into(),
            problem: TargetProblem::Occupied,
        });
        let error = anyhow::Error::new(error);
        assert_eq!(
            describe(error.chain(), None),
            "out: holds an earlier output; give another --output, or --force to replace it"
        );
    }
}

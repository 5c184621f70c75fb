//! Runs of the program under test.

use super::Options;
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The time between two looks at the log of a run.
const PAUSE: Duration = Duration::from_millis(2);

/// The programs, their inputs, and a folder for their outputs.
pub(super) struct Bench {
    program: PathBuf,
    operations: Option<PathBuf>,
    libraries: Option<PathBuf>,
    pub(super) model: PathBuf,
    pub(super) reviews: PathBuf,
    pub(super) batches: Vec<usize>,
    pub(super) peer_modes: Vec<String>,
    pub(super) python: PathBuf,
    folder: TempDir,
}

/// A line of a run's log, with the time at which it was seen.
#[derive(Clone, Copy)]
pub(super) struct Logged {
    pub(super) step: u64,
    pub(super) loss: f64,
    pub(super) time: Instant,
}

impl Bench {
    pub(super) fn new(options: &Options) -> Result<Self> {
        let program = options.program.clone().context("there is no program")?;
        Ok(Self {
            program,
            operations: options.operations.clone(),
            libraries: options.libraries.clone(),
            model: options.model.clone(),
            reviews: options.reviews.clone(),
            batches: options.batches.clone(),
            peer_modes: options.peer_modes.clone(),
            python: options.python.clone(),
            folder: tempfile::Builder::new().prefix("gpu-check-").tempdir()?,
        })
    }

    /// A path in the folder of outputs.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn with_libraries(&self, mut command: Command) -> Command {
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }

    /// The operation suite on the GPU, if it is at hand.
    pub(super) fn operations(&self) -> Option<Command> {
        let program = self.operations.as_ref()?;
        let mut command = self.with_libraries(Command::new(program));
        command.env("RTUNE_TEST_DEVICE", "cuda:0");
        Some(command)
    }

    /// The program with arguments.
    pub(super) fn rtune(&self, arguments: &[&str]) -> Command {
        let mut command = self.with_libraries(Command::new(&self.program));
        command.args(arguments);
        command
    }

    /// Runs the program, which must succeed, and returns its JSON document.
    pub(super) fn json(&self, mut command: Command) -> Result<Value> {
        parsed(command.arg("--json").output().context("cannot run rtune")?)
    }

    /// A fine-tuning of so many steps to `name`, with a log line for each step.
    pub(super) fn finetune(&self, name: &str, device: &str, steps: usize) -> Result<Command> {
        let train = self.rows("train.csv", 1600)?;
        let validation = self.rows("validation.csv", 200)?;
        let mut command = self.rtune(&["finetune", "--device", device]);
        command.arg("--model").arg(&self.model);
        command.arg("--train").arg(train);
        command.arg("--validation").arg(validation);
        command.arg("--output").arg(self.path(name));
        command.args(["--max-steps", &steps.to_string()]);
        command.args(["--logging-steps", "1", "--seed", "7"]);
        Ok(command)
    }

    /// The head and the first rows of a file of the reviews.
    fn rows(&self, name: &str, count: usize) -> Result<PathBuf> {
        let path = self.path(name);
        if !path.exists() {
            let source = self.reviews.join(name);
            let text = std::fs::read_to_string(&source);
            let text = text.with_context(|| source.display().to_string())?;
            let rows: Vec<&str> = text.lines().take(count + 1).collect();
            std::fs::write(&path, rows.join("\n") + "\n")?;
        }
        Ok(path)
    }

    /// The losses that a run logged.
    pub(super) fn losses(&self, name: &str) -> Result<Vec<Logged>> {
        let path = self.path(name).join("metrics.jsonl");
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(steps(&text))
    }

    /// The weights of a finished run.
    pub(super) fn weights(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.path(name).join("final/model.safetensors");
        std::fs::read(&path).with_context(|| path.display().to_string())
    }

    /// Runs a fine-tuning to `name` and returns its report and the log, with times. With `stop`,
    /// interrupts it once it has logged that many steps; the report is then empty.
    pub(super) fn watched(
        &self,
        name: &str,
        mut command: Command,
        stop: Option<usize>,
    ) -> Result<(Value, Vec<Logged>)> {
        command
            .arg("--json")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot run rtune")?;
        let log = self.path(name).join("metrics.jsonl");
        let mut seen: Vec<Logged> = Vec::new();
        let mut stopped = false;
        while child.try_wait()?.is_none() {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            seen.extend(steps(&text).into_iter().skip(seen.len()));
            if !stopped && stop.is_some_and(|stop| seen.len() >= stop) {
                interrupt(&child)?;
                stopped = true;
            }
            std::thread::sleep(PAUSE);
        }
        let output = child.wait_with_output()?;
        match (stop, output.status.success()) {
            (Some(_), true) => bail!("{name}: the run ended before it was interrupted"),
            (Some(_), false) if stopped => Ok((Value::Null, seen)),
            _ => Ok((parsed(output)?, seen)),
        }
    }
}

/// Returns the JSON document of a program that succeeded.
fn parsed(output: Output) -> Result<Value> {
    if !output.status.success() {
        bail!(
            "{}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    serde_json::from_slice(&output.stdout).context("rtune printed no JSON")
}

/// Returns the steps of a log; an unfinished last line is left out.
fn steps(text: &str) -> Vec<Logged> {
    let time = Instant::now();
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let steps = lines.filter(|line| line["kind"] == "step");
    let logged = steps.filter_map(|line| {
        Some(Logged {
            step: line["step"].as_u64()?,
            loss: line["loss"].as_f64()?,
            time,
        })
    });
    logged.collect()
}

fn interrupt(child: &Child) -> Result<()> {
    let status = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    match status.context("cannot run kill")?.success() {
        true => Ok(()),
        false => bail!("the run cannot be interrupted"),
    }
}

/// Returns the largest difference of the numbers at the same places of two documents.
///
/// # Errors
/// If the documents have other places.
pub(super) fn difference(a: &Value, b: &Value) -> Result<f64> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let number = |x: &serde_json::Number| x.as_f64().unwrap_or(f64::NAN);
            Ok((number(a) - number(b)).abs())
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            largest(a.iter().zip(b).map(|(a, b)| difference(a, b)))
        }
        (Value::Object(a), Value::Object(b)) if a.len() == b.len() => largest(
            a.iter()
                .map(|(key, a)| difference(a, b.get(key).unwrap_or(&Value::Null))),
        ),
        (a, b) if a == b => Ok(0.0),
        (a, b) => bail!("{a} and {b} differ"),
    }
}

fn largest(mut all: impl Iterator<Item = Result<f64>>) -> Result<f64> {
    all.try_fold(0.0, |largest: f64, next| Ok(largest.max(next?)))
}

/// Removes the outputs of a run, which may be large.
pub(super) fn remove(path: &Path) {
    // A folder that stays is removed with the folder of all outputs.
    let _ = std::fs::remove_dir_all(path);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_compared_and_all_else_must_be_equal() {
        let row = |label: &str, p: f64| json!([{ "label": label, "probabilities": [p, 1.0] }]);
        let found = difference(&row("a", 0.5), &row("a", 0.75)).unwrap();
        assert_eq!(found, 0.25);
        assert!(difference(&row("a", 0.5), &row("b", 0.5)).is_err());
        assert!(difference(&json!([1]), &json!([1, 2])).is_err());
        assert!(difference(&json!({ "a": 1 }), &json!({ "b": 1 })).is_err());
    }

    #[test]
    fn an_unfinished_line_of_a_log_is_left_out() {
        let line = r#"{"kind":"step","step":1,"loss":0.5}"#;
        let text = format!(
            "{line}\n{{\"kind\":\"evaluation\",\"step\":1}}\n{}",
            &line[..20]
        );
        let found = steps(&text);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].step, found[0].loss), (1, 0.5));
    }
}

//! Models that rtune writes and reads, beside Hugging Face's transformers.

use crate::process::{built_program, output, quiet};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) const USAGE: &str = "usage: cargo xtask hf-check [OPTIONS]

  --python FILE    Python with torch and transformers [default: python3]
  --program FILE   rtune, in place of a build
  --families A,B   folders of fixtures/encoders and fixtures/classifiers [default: all]

Fine-tunes a classification and a regression of each family, and compares the logits that rtune and
AutoModelForSequenceClassification compute from the result; compares them for classifiers that
transformers wrote, too. A family without a class in transformers is listed as such.";

const SCRIPT: &str = include_str!("logits.py");
/// The largest difference of two logarithms of probabilities, or of two numbers.
const TOLERANCE: f64 = 1e-5;

struct Check {
    python: PathBuf,
    program: PathBuf,
    families: Option<Vec<String>>,
}

/// Compares all models, and prints a row for each.
///
/// # Errors
/// If Python or a package is missing, a command fails, or a model differs.
pub(crate) fn hf_check(arguments: &[&str]) -> Result<()> {
    let check = Check::parse(arguments)?;
    let version = check.version()?;
    println!("transformers {version}\n\n| model | task | largest difference |\n|---|---|---|");
    let (mut compared, mut failed) = (0, Vec::new());
    for (kind, tasks) in [
        ("encoders", &["classification", "regression"][..]),
        ("classifiers", &["without training"]),
    ] {
        for family in check.folders(kind)? {
            for task in tasks {
                let name = format!("{kind}/{family}");
                let found = check.compare(kind, &family, task);
                let text = match found.with_context(|| format!("{name}, {task}"))? {
                    Ok(difference) => {
                        compared += 1;
                        if difference.is_nan() || difference > TOLERANCE {
                            failed.push(format!("{name}, {task}"));
                        }
                        format!("{difference:.1e}")
                    }
                    Err(reason) => reason,
                };
                println!("| {name} | {task} | {text} |");
            }
        }
    }
    match (compared, failed.as_slice()) {
        (0, _) => bail!("no model was compared"),
        (_, []) => Ok(()),
        (_, failed) => bail!("more than {TOLERANCE:e}: {}", failed.join("; ")),
    }
}

impl Check {
    fn parse(arguments: &[&str]) -> Result<Self> {
        let (mut python, mut program, mut families) = ("python3".into(), None, None);
        let mut rest = arguments.iter().copied();
        while let Some(flag) = rest.next() {
            let value = rest.next();
            let value = value.with_context(|| format!("{flag} needs a value\n\n{USAGE}"))?;
            match flag {
                "--python" => python = value.into(),
                "--program" => program = Some(value.into()),
                "--families" => families = Some(value.split(',').map(str::to_owned).collect()),
                _ => bail!("unknown option {flag}\n\n{USAGE}"),
            }
        }
        Ok(Self {
            python,
            program: program.map_or_else(built_program, Ok)?,
            families,
        })
    }

    /// The version of transformers.
    fn version(&self) -> Result<String> {
        let mut command = Command::new(&self.python);
        let import = "import torch, tokenizers, transformers; print(transformers.__version__)";
        let found = output(command.args(["-c", import])).with_context(|| {
            format!(
                "{} does not import torch, tokenizers and transformers; install them with \
                 `python3 -m venv venv && venv/bin/pip install torch transformers`, and give \
                 --python venv/bin/python",
                self.python.display()
            )
        })?;
        Ok(String::from_utf8_lossy(&found).trim().to_owned())
    }

    /// The names of the fixtures of a kind, sorted.
    fn folders(&self, kind: &str) -> Result<Vec<String>> {
        let folder = rtune_testkit::fixtures().join(kind);
        let names = folder.read_dir()?.map(|entry| {
            let name = entry?.file_name();
            Ok::<_, std::io::Error>(name.to_string_lossy().into_owned())
        });
        let mut names: Vec<String> = names.collect::<Result<_, _>>()?;
        if let Some(families) = &self.families {
            names.retain(|name| families.contains(name));
        }
        names.sort();
        Ok(names)
    }

    /// The largest difference between rtune and transformers over some texts, or the reason why
    /// transformers has no such class.
    fn compare(&self, kind: &str, family: &str, task: &str) -> Result<Result<f64, String>> {
        let folder = tempfile::Builder::new().prefix("hf-check-").tempdir()?;
        let folder = folder.path();
        let source = rtune_testkit::fixtures().join(kind).join(family);
        rtune_testkit::tiny_model_of(&source, &folder.join("model"));
        let rows = rtune_testkit::tiny_rows(96);
        std::fs::write(folder.join("train.csv"), &rows)?;
        let model = match kind {
            "classifiers" => "model",
            _ => {
                let flags = "--num-train-epochs 1 --train-batch-size 8 --learning-rate 1e-3 \
                             --max-length 24";
                let mut finetune = self.rtune(folder);
                finetune.args("finetune --model model --train train.csv --output run".split(' '));
                finetune
                    .args(flags.split_whitespace())
                    .args(["--task", task]);
                quiet(&mut finetune)?;
                "run/final"
            }
        };
        let texts: Vec<&str> = rows
            .lines()
            .skip(1)
            .filter_map(|row| Some(row.rsplit_once(',')?.0))
            .collect();
        let theirs = match self.theirs(&folder.join(model), &texts)? {
            Value::String(reason) => return Ok(Err(reason)),
            theirs => theirs,
        };
        let mut predict = self.rtune(folder);
        predict.args([
            "predict",
            "--json",
            "--model",
            model,
            "--input",
            "train.csv",
        ]);
        let ours: Value = serde_json::from_slice(&output(predict.stderr(Stdio::null()))?)?;
        difference(&ours["predictions"], &theirs).map(Ok)
    }

    fn rtune(&self, folder: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(folder);
        command
    }

    /// The labels and logits of transformers.
    fn theirs(&self, model: &Path, texts: &[&str]) -> Result<Value> {
        let mut command = Command::new(&self.python);
        command.args(["-c", SCRIPT]).arg(model);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().context("cannot run Python")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(texts.join("\n").as_bytes())?;
        }
        let done = child.wait_with_output()?;
        if !done.status.success() {
            bail!("transformers: {}", done.status);
        }
        serde_json::from_slice(&done.stdout).context("the script printed no JSON")
    }
}

/// The largest difference between the logarithms of probabilities, or between the numbers of a
/// regression.
fn difference(ours: &Value, theirs: &Value) -> Result<f64> {
    let labels = theirs["labels"].as_array().context("no labels")?;
    let (ours, logits) = (ours.as_array(), theirs["logits"].as_array());
    let (ours, logits) = (
        ours.context("no predictions")?,
        logits.context("no logits")?,
    );
    if ours.len() != logits.len() {
        bail!(
            "{} predictions, and {} of transformers",
            ours.len(),
            logits.len()
        );
    }
    let mut largest = 0_f64;
    for (ours, logits) in ours.iter().zip(logits) {
        let logits = logits.as_array().context("no logits")?.iter();
        let logits: Vec<f64> = logits.filter_map(Value::as_f64).collect();
        let sum = logits.iter().map(|x| x.exp()).sum::<f64>().ln();
        for (label, logit) in labels.iter().zip(&logits) {
            let label = label.as_str().context("a label is no text")?;
            let (found, expected) = match &ours["probabilities"][label] {
                Value::Null => (ours["score"].as_f64(), *logit),
                probability => (probability.as_f64().map(f64::ln), logit - sum),
            };
            let found = found.with_context(|| format!("no prediction of `{label}`"))?;
            // A NaN must not be lost.
            largest = match (found - expected).abs() {
                difference if difference <= largest => largest,
                difference => difference,
            };
        }
    }
    Ok(largest)
}

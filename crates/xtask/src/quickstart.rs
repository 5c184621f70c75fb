//! From nothing to a verified int8 model on real input.

use crate::fetch::fetch;
use crate::process::{cargo, output, root};
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Number of training rows without `--full`, a third of all.
const SUBSET: usize = 3000;
const SENTENCE: &str = "A warm, funny and beautifully acted little film.";

/// Fetches, builds, fine-tunes, exports, verifies, quantizes, verifies and predicts. Trains on the
/// first rows only, unless `full`.
pub(crate) fn quickstart(full: bool) -> Result<()> {
    fetch()?;
    cargo(&["build", "--release", "--package", "rtune"])?;
    let start = Instant::now();
    let reports = Steps::new(full)?.run()?;
    reports.print(start.elapsed().as_secs_f64() / 60.0);
    Ok(())
}

/// Paths of the program, its inputs and its outputs.
struct Steps {
    program: PathBuf,
    train: PathBuf,
    validation: PathBuf,
    test: PathBuf,
    run: PathBuf,
    checkpoint: PathBuf,
    onnx: PathBuf,
    int8: PathBuf,
}

/// The JSON documents that the commands printed.
struct Reports {
    finetune: Value,
    export: Value,
    verify: Value,
    quantize: Value,
    evaluate: Value,
    predict: Value,
    int8: PathBuf,
}

impl Steps {
    fn new(full: bool) -> Result<Self> {
        let folder = rtune_testkit::quickstart_folder();
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root().join("target"), PathBuf::from);
        let program = format!("rtune{}", std::env::consts::EXE_SUFFIX);
        let data = rtune_testkit::fetched_reviews();
        let run = folder.join("run");
        Ok(Self {
            program: target.join("release").join(program),
            train: if full {
                data.join("train.csv")
            } else {
                subset(&data.join("train.csv"), &folder.join("train.csv"))?
            },
            validation: data.join("validation.csv"),
            test: data.join("test.csv"),
            checkpoint: run.join("final"),
            run,
            onnx: folder.join("onnx"),
            int8: folder.join("int8"),
        })
    }

    fn run(self) -> Result<Reports> {
        heading("fine-tuning all-MiniLM-L6-v2 on the film reviews");
        let model = rtune_testkit::fetched_model();
        let paths = [
            ("--model", &model),
            ("--train", &self.train),
            ("--validation", &self.validation),
            ("--test", &self.test),
            ("--output", &self.run),
        ];
        let finetune = self.rtune("finetune", &paths, &["--force"])?;

        heading("exporting to ONNX");
        let paths = [("--model", &self.checkpoint), ("--output", &self.onnx)];
        let export = self.rtune("export", &paths, &["--force"])?;

        heading("verifying the export against the checkpoint");
        let paths = [
            ("--reference", &self.checkpoint),
            ("--candidate", &self.onnx),
            ("--data", &self.test),
        ];
        let verify = self.rtune("verify", &paths, &[])?;

        heading("quantizing to int8, and comparing with float on the test rows");
        let paths = [
            ("--model", &self.onnx),
            ("--calib", &self.train),
            ("--eval-data", &self.test),
            ("--output", &self.int8),
        ];
        let quantize = self.rtune("quantize", &paths, &["--force"])?;

        heading("evaluating the int8 model as it is served");
        let paths = [("--model", &self.int8), ("--data", &self.test)];
        let evaluate = self.rtune("evaluate", &paths, &[])?;
        let predict = self.rtune("predict", &[("--model", &self.int8)], &[SENTENCE])?;
        Ok(Reports {
            finetune,
            export,
            verify,
            quantize,
            evaluate,
            predict,
            int8: self.int8,
        })
    }

    /// Runs a command of rtune and returns its JSON result; its progress is shown.
    fn rtune(&self, command: &str, paths: &[(&str, &PathBuf)], rest: &[&str]) -> Result<Value> {
        let mut process = Command::new(&self.program);
        process.arg(command).arg("--json");
        for (flag, path) in paths {
            process.arg(flag).arg(path);
        }
        let printed = output(process.args(rest))?;
        serde_json::from_slice(&printed).with_context(|| format!("rtune {command} printed no JSON"))
    }
}

fn heading(text: &str) {
    println!("\n== {text}");
}

impl Reports {
    fn print(&self, minutes: f64) {
        println!(
            "\n{:<22} {:>9} {:>9} {:>9} {:>9}",
            "on 1000 test rows", "QWK", "MAE", "accuracy", "MB"
        );
        let bytes = |report: &Value| report["bytes"].as_f64();
        row("checkpoint", &self.finetune["test"], None);
        let float = &self.quantize["evaluation"]["float"];
        row("ONNX, float", float, bytes(&self.export));
        row("ONNX, int8", &self.evaluate, bytes(&self.quantize));
        let checks = self.verify["checks"].as_array().into_iter().flatten();
        let ratios = checks.filter_map(|check| check["max_ratio"].as_f64());
        println!(
            "\nexport parity         largest difference is {:.2} of the tolerance, \
             atol 1e-5 and rtol 1e-5",
            ratios.fold(0.0, f64::max)
        );
        let runtime = &self.quantize["runtime"];
        let count = |key: &str| runtime[key].as_array().map_or(0, Vec::len);
        println!(
            "int8 kernels          {} of {} products with constant weights",
            count("integer"),
            count("integer") + count("float")
        );
        println!(
            "training              {} samples/s, peak memory {} MB",
            number(&self.finetune["samples_per_second"], 1),
            number(&self.finetune["peak_rss_mb"], 0)
        );
        println!("time after the build  {minutes:.1} minutes");
        let predicted = &self.predict["predictions"][0];
        println!(
            "\n\"{SENTENCE}\"\n→ {} of 0 to 4, score {}",
            predicted["label"].as_str().unwrap_or("-"),
            number(&predicted["score"], 3)
        );
        println!("\nThe int8 model is in {}", self.int8.display());
    }
}

fn row(name: &str, metrics: &Value, bytes: Option<f64>) {
    println!(
        "{name:<22} {:>9} {:>9} {:>9} {:>9}",
        number(&metrics["qwk"], 4),
        number(&metrics["mae"], 4),
        number(&metrics["accuracy"], 4),
        bytes.map_or("-".to_owned(), |bytes| format!("{:.1}", bytes / 1e6))
    );
}

/// Formats a number of a report; a missing one is a dash.
fn number(value: &Value, decimals: usize) -> String {
    let value = value.as_f64();
    value.map_or("-".to_owned(), |value| format!("{value:.decimals$}"))
}

/// Copies the first rows of a file whose rows are in random order.
fn subset(from: &Path, to: &Path) -> Result<PathBuf> {
    let mut reader = csv::Reader::from_path(from)?;
    let mut writer = csv::Writer::from_path(to)?;
    writer.write_record(reader.headers()?)?;
    for row in reader.records().take(SUBSET) {
        writer.write_record(&row?)?;
    }
    writer.flush()?;
    println!("taking {SUBSET} of the training rows; --full takes all");
    Ok(to.to_owned())
}

//! The whole way: fetch, fine-tune, export, verify, quantize, verify, predict.

use crate::fetch::fetch;
use crate::process::{cargo, output, root};
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Rows of the short way: a third of all.
const SUBSET: usize = 3000;
const SENTENCE: &str = "A warm, funny and beautifully acted little film.";

/// Runs the whole way on the reviews; on a part of the rows unless `full`.
pub(crate) fn quickstart(full: bool) -> Result<()> {
    fetch()?;
    cargo(&["build", "--release", "--package", "rtune"])?;
    let start = Instant::now();
    let way = Way::new()?;
    let data = rtune_testkit::fetched_reviews();
    let (validation, test) = (data.join("validation.csv"), data.join("test.csv"));
    let train = if full {
        data.join("train.csv")
    } else {
        subset(&data.join("train.csv"), &way.folder.join("train.csv"))?
    };
    let (run, onnx, int8) = (
        way.folder.join("run"),
        way.folder.join("onnx"),
        way.folder.join("int8"),
    );
    let checkpoint = run.join("final");

    way.heading("fine-tuning all-MiniLM-L6-v2 on the film reviews");
    let model = rtune_testkit::fetched_model();
    let tuned = way.rtune(
        "finetune",
        &[
            ("--model", &model),
            ("--train", &train),
            ("--validation", &validation),
            ("--test", &test),
            ("--output", &run),
        ],
        &["--force"],
    )?;
    way.heading("exporting to ONNX");
    let exported = way.rtune(
        "export",
        &[("--model", &checkpoint), ("--output", &onnx)],
        &["--force"],
    )?;
    way.heading("verifying the export against the checkpoint");
    let verified = way.rtune(
        "verify",
        &[
            ("--reference", &checkpoint),
            ("--candidate", &onnx),
            ("--data", &test),
        ],
        &[],
    )?;
    way.heading("quantizing to int8, and comparing with float on the test rows");
    let quantized = way.rtune(
        "quantize",
        &[
            ("--model", &onnx),
            ("--calib", &train),
            ("--eval-data", &test),
            ("--output", &int8),
        ],
        &["--force"],
    )?;
    way.heading("verifying that the int8 model serves");
    let served = way.rtune("evaluate", &[("--model", &int8), ("--data", &test)], &[])?;
    let predicted = way.rtune("predict", &[("--model", &int8)], &[SENTENCE])?;

    let minutes = start.elapsed().as_secs_f64() / 60.0;
    println!(
        "\n{:<22} {:>9} {:>9} {:>9} {:>9}",
        "on 1000 test rows", "QWK", "MAE", "accuracy", "MB"
    );
    let row = |name: &str, metrics: &Value, bytes: Option<f64>| {
        let number = |key: &str| {
            metrics[key]
                .as_f64()
                .map_or("-".to_owned(), |v| format!("{v:.4}"))
        };
        let size = bytes.map_or("-".to_owned(), |b| format!("{:.1}", b / 1e6));
        println!(
            "{name:<22} {:>9} {:>9} {:>9} {size:>9}",
            number("qwk"),
            number("mae"),
            number("accuracy")
        );
    };
    row("checkpoint", &tuned["test"], None);
    row(
        "ONNX, float",
        &quantized["evaluation"]["float"],
        exported["bytes"].as_f64(),
    );
    row("ONNX, int8", &served, quantized["bytes"].as_f64());
    let ratio = verified["checks"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|c| c["max_ratio"].as_f64())
        .fold(0.0, f64::max);
    let count = |key: &str| quantized["runtime"][key].as_array().map_or(0, Vec::len);
    println!(
        "\nexport parity         largest difference is {ratio:.2} of the tolerance, atol 1e-5 and rtol 1e-5"
    );
    println!(
        "int8 kernels          {} of {} products with constant weights",
        count("integer"),
        count("integer") + count("float")
    );
    println!(
        "training              {:.1} samples/s, peak memory {:.0} MB",
        tuned["samples_per_second"].as_f64().unwrap_or(0.0),
        tuned["peak_rss_mb"].as_f64().unwrap_or(0.0)
    );
    println!("time after the build  {minutes:.1} minutes");
    println!(
        "\n\"{SENTENCE}\"\n→ {} of 0 to 4, score {:.3}",
        predicted[0]["label"].as_str().unwrap_or("?"),
        predicted[0]["score"].as_f64().unwrap_or(f64::NAN)
    );
    println!("\nThe int8 model is in {}", int8.display());
    Ok(())
}

struct Way {
    folder: PathBuf,
    program: PathBuf,
}

impl Way {
    fn new() -> Result<Self> {
        let folder = rtune_testkit::quickstart_folder();
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root().join("target"), PathBuf::from);
        Ok(Self {
            folder,
            program: target
                .join("release")
                .join(format!("rtune{}", std::env::consts::EXE_SUFFIX)),
        })
    }

    fn heading(&self, text: &str) {
        println!("\n== {text}");
    }

    /// Runs a command of rtune; its progress shows, its JSON result comes back.
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

/// The first rows of a file that is shuffled already.
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

//! Speed of training beside PyTorch's.

use super::bench::{Bench, Logged, remove};
use super::model::{self, BASE, MINILM, Shape};
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// The tokens of each text.
const SEQUENCE: usize = 128;
/// The steps before the clock starts, and those that it counts.
const STEPS: [usize; 2] = [10, 30];
/// The rate of an H100 or H200 for dense products in bf16, by its datasheet.
const PEAK: f64 = 989.5e12;
const PEER: &str = include_str!("peer.py");

/// Writes texts of so many words that the tokenizer knows.
pub(super) fn texts(path: &Path, rows: usize, words: usize) -> Result<()> {
    const WORDS: [&str; 8] = ["the", "film", "was", "very", "good", "and", "long", "story"];
    let mut text = "text,label\n".to_owned();
    for row in 0..rows {
        let word = |place: usize| WORDS[(row * 7 + place * (row % 5 + 1)) % WORDS.len()];
        let line: Vec<&str> = (0..words).map(word).collect();
        text += &format!("{},{}\n", line.join(" "), row % 5);
    }
    std::fs::write(path, text).with_context(|| path.display().to_string())
}

fn row(shape: Shape, batch: usize, samples: f64) -> Value {
    let tokens = samples * SEQUENCE as f64;
    let mfu = tokens * shape.operations_per_token(SEQUENCE) / PEAK;
    json!({
        "shape": shape.name, "batch": batch, "samples_per_second": samples,
        "tokens_per_second": tokens, "mfu_of_bf16": mfu,
    })
}

fn print(section: &str, mode: &str, row: &Value) {
    let number = |name: &str| row[name].as_f64().unwrap_or(f64::NAN);
    println!(
        "{section:<12} {:<10} batch {:<4} {mode:<13} {:>8.0} samples/s {:>10.0} tokens/s, MFU \
         {:.1} %",
        row["shape"].as_str().unwrap_or_default(),
        row["batch"],
        number("samples_per_second"),
        number("tokens_per_second"),
        100.0 * number("mfu_of_bf16"),
    );
}

/// Trains models of both shapes at each batch size.
pub(super) fn rtune(bench: &Bench) -> Result<Value> {
    let data = bench.path("speed.csv");
    texts(&data, 512, 200)?;
    texts(&bench.path("few.csv"), 10, 200)?;
    let mut rows = Vec::new();
    for shape in [MINILM, BASE] {
        let folder = bench.path(shape.name);
        model::write(&folder, shape, &bench.model)?;
        for dtype in ["float32", "tf32"] {
            for batch in &bench.batches {
                let samples = measured(bench, &folder, dtype, *batch)?;
                let mut row = row(shape, *batch, samples);
                row["mode"] = dtype.into();
                print("speed", dtype, &row);
                rows.push(row);
            }
        }
        remove(&folder);
    }
    Ok(json!({ "sequence": SEQUENCE, "peak": PEAK, "rows": rows }))
}

/// Returns the samples per second of steps after the first ones.
fn measured(bench: &Bench, model: &Path, dtype: &str, batch: usize) -> Result<f64> {
    let name = "speed-run";
    remove(&bench.path(name));
    let (batch_text, steps) = (batch.to_string(), (STEPS[0] + STEPS[1]).to_string());
    let mut command = bench.rtune(&["finetune", "--device", "cuda", "--dtype", dtype]);
    command.arg("--model").arg(model);
    command.arg("--train").arg(bench.path("speed.csv"));
    command.arg("--validation").arg(bench.path("few.csv"));
    command.arg("--output").arg(bench.path(name));
    command.args([
        "--task",
        "classification",
        "--max-steps",
        &steps,
        "--logging-steps",
        "10",
    ]);
    command.args(["--train-batch-size", &batch_text, "--eval-steps", "1000"]);
    let (_, seen) = bench.watched(name, command, None)?;
    let at = |step: usize| seen.iter().find(|logged| logged.step == step as u64);
    match (at(STEPS[0]), at(STEPS[0] + STEPS[1])) {
        (Some(Logged { time: start, .. }), Some(Logged { time: end, .. })) => {
            let seconds = end.duration_since(*start).as_secs_f64();
            Ok((STEPS[1] * batch) as f64 / seconds)
        }
        _ => bail!("the log of the run has not the expected steps"),
    }
}

/// The same steps in PyTorch with transformers, if they are there.
pub(super) fn peer(bench: &Bench) -> Result<Value> {
    let mut rows = Vec::new();
    for shape in [MINILM, BASE] {
        let sizes = [shape.hidden, shape.layers, shape.heads, SEQUENCE];
        let sizes = sizes.map(|size| size.to_string()).join(",");
        let batches: Vec<String> = bench.batches.iter().map(ToString::to_string).collect();
        let mut command = Command::new(&bench.python);
        command.args([
            "-c",
            PEER,
            &sizes,
            &batches.join(","),
            &bench.peer_modes.join(","),
        ]);
        let output = command.output().context("cannot run Python")?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.code() == Some(3) {
            println!("peer         skipped: {}", errors.trim());
            return Ok(json!({ "skipped": errors.trim() }));
        }
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let Ok(found) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            let batch = found["batch"].as_u64().unwrap_or_default() as usize;
            let mut row = row(
                shape,
                batch,
                found["samples_per_second"].as_f64().unwrap_or(0.0),
            );
            let mode = found["mode"].as_str().unwrap_or_default();
            print("peer", mode, &row);
            row["mode"] = mode.into();
            row["torch"] = found["torch"].clone();
            rows.push(row);
        }
        if !output.status.success() {
            bail!("the script of the peer failed: {errors}");
        }
    }
    Ok(json!({ "rows": rows }))
}

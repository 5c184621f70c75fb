//! Agreement with the processor, repeated and resumed runs, errors.

use super::bench::{Bench, Logged, difference, remove};
use super::{model, speed};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

/// The steps of a run.
const STEPS: usize = 50;
/// The largest difference of logits and probabilities.
const LOGITS: f64 = 1e-3;
/// The largest relative difference of a loss of 50 steps.
const LOSSES: f64 = 1e-2;

/// The operation suite.
pub(super) fn operations(bench: &Bench) -> Result<Value> {
    let Some(mut command) = bench.operations() else {
        println!("operations   skipped: give the suite with --operations");
        return Ok(json!({ "skipped": true }));
    };
    // The names of graphs and files have no part in it.
    let output = command.args(["--skip", "names"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let summary = text.lines().rfind(|line| line.starts_with("test result"));
    let summary = summary.unwrap_or("no result").to_owned();
    println!("operations   {summary}");
    if !output.status.success() {
        let failures = text
            .lines()
            .filter(|line| line.contains("panicked") || line.contains(", "));
        let failures: Vec<&str> = failures.take(40).collect();
        let errors = String::from_utf8_lossy(&output.stderr);
        let errors: Vec<&str> = errors.lines().take(20).collect();
        bail!("{summary}\n{}\n{}", failures.join("\n"), errors.join("\n"));
    }
    Ok(json!({ "summary": summary }))
}

/// Devices that are not there, and a batch that does not fit, are errors that say so. The batch
/// needs more than 300 GB.
pub(super) fn errors(bench: &Bench) -> Result<Value> {
    let mut found = Vec::new();
    let folder = bench.path("large");
    model::write(&folder, model::BASE, &bench.model)?;
    speed::texts(&bench.path("long.csv"), 512, 600)?;
    let mut large = bench.rtune(&["finetune", "--device", "cuda", "--max-length", "512"]);
    large.arg("--model").arg(&folder);
    large.arg("--train").arg(bench.path("long.csv"));
    large.arg("--output").arg(bench.path("errors"));
    large.args(["--train-batch-size", "384", "--max-steps", "1"]);
    let missing = bench.finetune("errors", "cuda:9", STEPS)?;
    for (mut command, code, expected) in [
        (missing, 2, "--device cuda:9: this machine has"),
        (large, 1, "do not fit into the memory of the device"),
    ] {
        let output = command.output()?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let last = text
            .lines()
            .rfind(|line| line.starts_with("error"))
            .unwrap_or("");
        println!("errors       {last}");
        ensure!(
            output.status.code() == Some(code) && text.contains(expected),
            "expected exit {code} and «{expected}», found {} and «{text}»",
            output.status
        );
        found.push(last.to_owned());
    }
    remove(&folder);
    Ok(json!({ "messages": found }))
}

/// Predictions of a fine-tuned model.
pub(super) fn agreement(bench: &Bench) -> Result<Value> {
    let tuned = bench.finetune("tuned", "cpu", 5)?;
    bench.json(tuned)?;
    let predict = |device: &str| {
        let mut command = bench.rtune(&["predict", "--device", device]);
        command
            .arg("--model")
            .arg(bench.path("tuned").join("final"));
        command.arg("--input").arg(bench.path("validation.csv"));
        bench.json(command)
    };
    let [cpu, cuda] = ["cpu", "cuda"].map(predict);
    let (cpu, cuda) = (cpu?, cuda?);
    let rows = cpu["predictions"].as_array().map_or(0, Vec::len);
    ensure!(rows > 0, "expected predictions, found {cpu}");
    let found = difference(&cpu["predictions"], &cuda["predictions"])?;
    println!("agreement    largest difference of {rows} predictions {found:.1e}");
    ensure!(
        found <= LOGITS,
        "predictions differ by {found}, expected at most {LOGITS}"
    );
    Ok(json!({ "largest_difference": found, "limit": LOGITS }))
}

/// Returns the largest relative difference of the losses of the same steps.
fn compare(a: &[Logged], b: &[Logged]) -> Result<f64> {
    ensure!(
        !a.is_empty() && a.len() == b.len(),
        "{} and {} losses",
        a.len(),
        b.len()
    );
    let pairs = a.iter().zip(b);
    Ok(pairs
        .map(|(a, b)| (a.loss - b.loss).abs() / a.loss.abs())
        .fold(0.0, f64::max))
}

/// The losses of 50 steps, with dropout.
pub(super) fn losses(bench: &Bench) -> Result<Value> {
    for device in ["cpu", "cuda"] {
        bench.json(bench.finetune(device, device, STEPS)?)?;
    }
    let (cpu, cuda) = (bench.losses("cpu")?, bench.losses("cuda")?);
    let (first, all) = (compare(&cpu[..10], &cuda[..10])?, compare(&cpu, &cuda)?);
    let ends = |steps: &[Logged]| {
        let loss = |step: Option<&Logged>| step.map_or(f64::NAN, |step| step.loss);
        (loss(steps.first()), loss(steps.last()))
    };
    println!(
        "losses       largest relative difference {first:.1e} over 10 steps, {all:.1e} over 50; \
         {:?} on cpu, {:?} on cuda",
        ends(&cpu),
        ends(&cuda)
    );
    ensure!(
        all <= LOSSES,
        "losses differ by {all}, expected at most {LOSSES}"
    );
    let of = |steps: &[Logged]| steps.iter().map(|step| step.loss).collect::<Vec<_>>();
    Ok(json!({ "first_10": first, "all_50": all, "cpu": of(&cpu), "cuda": of(&cuda) }))
}

/// A run that is repeated gives the same bytes.
pub(super) fn repeat(bench: &Bench) -> Result<Value> {
    for name in ["once", "twice"] {
        bench.json(bench.finetune(name, "cuda", STEPS)?)?;
    }
    let same = bench.weights("once")? == bench.weights("twice")?;
    println!("repeat       the same bytes: {same}");
    ensure!(same, "two runs with the same seed give other weights");
    Ok(json!({ "same_bytes": same }))
}

/// A run that is interrupted and resumed, on the same device and on the other one.
pub(super) fn resume(bench: &Bench) -> Result<Value> {
    let mut report = json!({});
    bench.json(bench.finetune("whole", "cuda", STEPS)?)?;
    let whole = bench.losses("whole")?;
    for (before, after) in [("cuda", "cuda"), ("cpu", "cuda"), ("cuda", "cpu")] {
        let name = format!("{before}-{after}");
        let (_, seen) = bench.watched(&name, bench.finetune(&name, before, STEPS)?, Some(20))?;
        let stopped = seen.last().map_or(0, |step| step.step);
        bench.json(bench.finetune(&name, after, STEPS)?)?;
        let found = compare(&whole, &bench.losses(&name)?).with_context(|| name.clone())?;
        let same = bench.weights("whole")? == bench.weights(&name)?;
        println!(
            "resume       {name}, interrupted near step {stopped}: largest relative difference of \
             losses {found:.1e}; the same bytes as the whole run on cuda: {same}"
        );
        report[&name] = json!({ "losses": found, "same_bytes": same });
        ensure!(found <= LOSSES, "{name}: losses differ by {found}");
        ensure!(
            same || name != "cuda-cuda",
            "a resumed run gives other weights"
        );
    }
    Ok(report)
}

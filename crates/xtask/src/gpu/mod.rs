//! The check of training on a GPU: agreement with the processor, resumption, errors and speed.

mod bench;
mod checks;
mod model;
mod speed;

use crate::cuda;
use anyhow::{Context as _, Result, bail};
use bench::Bench;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

pub(crate) const USAGE: &str = "usage: cargo xtask gpu-check [OPTIONS]

  --program FILE     rtune with CUDA, in place of a build
  --operations FILE  the operation suite with CUDA, in place of a build
  --libraries DIR    folder of CUDA's libraries for both, in place of the build's
  --model DIR        pretrained BERT [default: the fetched all-MiniLM-L6-v2]
  --reviews DIR      folder with train.csv and validation.csv [default: the fetched reviews]
  --only A,B         of operations, errors, agreement, losses, repeat, resume, speed, peer
  --batches A,B      batch sizes of speed and peer [default: 8,32,128]
  --peer-modes A,B   precision and compilation of the peer
                     [default: bf16-eager,bf16-compile,fp32-eager,fp32-compile]
  --python FILE      Python with torch and transformers, for the peer [default: python3]
  --output FILE      report as JSON

Without a GPU it says so and exits 2; if a check fails, it exits 1.";

/// The sections in their order; each returns its part of the report.
const SECTIONS: [(&str, fn(&Bench) -> Result<Value>); 8] = [
    ("operations", checks::operations),
    ("errors", checks::errors),
    ("agreement", checks::agreement),
    ("losses", checks::losses),
    ("repeat", checks::repeat),
    ("resume", checks::resume),
    ("speed", speed::rtune),
    ("peer", speed::peer),
];

/// Runs the sections and prints a line or more for each.
pub(crate) fn gpu_check(arguments: &[&str]) -> Result<ExitCode> {
    let mut options = Options::parse(arguments)?;
    let Some(card) = card() else {
        println!("there is no GPU on this machine: nvidia-smi finds none");
        return Ok(ExitCode::from(2));
    };
    println!("card         {card}");
    if options.program.is_none() {
        let built = cuda::build()?;
        options.program = Some(built.program);
        options.operations.get_or_insert(built.operations);
        options.libraries.get_or_insert(built.libraries);
    }
    let bench = Bench::new(&options)?;
    let mut report = Map::from_iter([("card".to_owned(), card.into())]);
    let mut failed = Vec::new();
    for (name, section) in SECTIONS {
        if options
            .only
            .as_ref()
            .is_some_and(|only| !only.iter().any(|wanted| wanted == name))
        {
            continue;
        }
        let start = std::time::Instant::now();
        let mut result = section(&bench).unwrap_or_else(|error| {
            println!("{name:<12} FAILED: {error:#}");
            failed.push(name);
            json!({ "error": format!("{error:#}") })
        });
        result["seconds"] = start.elapsed().as_secs_f64().into();
        report.insert(name.to_owned(), result);
        if let Some(output) = &options.output {
            // After each section, so that a later one that hangs loses nothing.
            std::fs::write(output, serde_json::to_string_pretty(&report)?)
                .with_context(|| output.display().to_string())?;
        }
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("failed: {}", failed.join(", "));
    Ok(ExitCode::FAILURE)
}

/// Returns the first GPU with its driver and memory.
fn card() -> Option<String> {
    let mut command = Command::new("nvidia-smi");
    command.args([
        "--query-gpu=name,driver_version,memory.total",
        "--format=csv,noheader",
    ]);
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(|line| line.trim().to_owned())
}

struct Options {
    program: Option<PathBuf>,
    operations: Option<PathBuf>,
    libraries: Option<PathBuf>,
    model: PathBuf,
    reviews: PathBuf,
    only: Option<Vec<String>>,
    batches: Vec<usize>,
    peer_modes: Vec<String>,
    python: PathBuf,
    output: Option<PathBuf>,
}

impl Options {
    fn parse(arguments: &[&str]) -> Result<Self> {
        let mut options = Self {
            program: None,
            operations: None,
            libraries: None,
            model: rtune_testkit::fetched_model(),
            reviews: rtune_testkit::fetched_reviews(),
            only: None,
            batches: vec![8, 32, 128],
            peer_modes: list("bf16-eager,bf16-compile,fp32-eager,fp32-compile"),
            python: "python3".into(),
            output: None,
        };
        let mut rest = arguments.iter().copied();
        while let Some(flag) = rest.next() {
            let value = rest.next();
            let value = value.with_context(|| format!("{flag} needs a value\n\n{USAGE}"))?;
            match flag {
                "--program" => options.program = Some(value.into()),
                "--operations" => options.operations = Some(value.into()),
                "--libraries" => options.libraries = Some(value.into()),
                "--model" => options.model = value.into(),
                "--reviews" => options.reviews = value.into(),
                "--only" => options.only = Some(sections(value)?),
                "--batches" => {
                    let numbers = list(value).into_iter().map(|n| Ok(n.parse()?));
                    options.batches = numbers.collect::<Result<_>>()?;
                }
                "--peer-modes" => options.peer_modes = list(value),
                "--python" => options.python = value.into(),
                "--output" => options.output = Some(value.into()),
                _ => bail!("unknown option {flag}\n\n{USAGE}"),
            }
        }
        Ok(options)
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::to_owned).collect()
}

fn sections(text: &str) -> Result<Vec<String>> {
    let names = list(text);
    match names
        .iter()
        .find(|name| !SECTIONS.iter().any(|(section, _)| section == name))
    {
        Some(name) => bail!("there is no section `{name}`\n\n{USAGE}"),
        None => Ok(names),
    }
}

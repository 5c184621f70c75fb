//! The table of the default recipe: an ordinal model beside a classification on the same rows.

mod sets;
mod table;

use crate::process::built_program;
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use sets::Kind;
use std::path::{Path, PathBuf};
use std::process::Command;
use table::{Cell, Table};

pub(crate) const USAGE: &str = "usage: cargo xtask recipe [OPTIONS] [-- FLAGS OF finetune]

  --kinds A,B      clear, noisy, film [default: all]
  --rows A,B       numbers of training rows [default: 200,2000,20000]
  --classes A,B    numbers of classes [default: 2,3,5,10]
  --tasks A,B      ordinal, classification [default: both]
  --seeds A,B      seeds of sets and runs [default: 1]
  --program FILE   rtune, in place of a build
  --device NAME    device of training [default: cpu]

Flags after -- are passed on for the ordinal models.";

/// The sets and tasks of a table.
struct Plan {
    kinds: Vec<Kind>,
    rows: Vec<usize>,
    classes: Vec<usize>,
    tasks: Vec<String>,
    seeds: Vec<u64>,
    program: Option<PathBuf>,
    device: String,
    flags: Vec<String>,
}

/// Trains on all the sets that the arguments name, and prints a row for each as it ends.
pub(crate) fn recipe(arguments: &[&str]) -> Result<()> {
    let plan = Plan::parse(arguments)?;
    let program = match &plan.program {
        Some(program) => program.clone(),
        None => built_program()?,
    };
    let mut table = Table::new();
    for rows in &plan.rows {
        for kind in &plan.kinds {
            for classes in &plan.classes {
                for seed in &plan.seeds {
                    plan.set(&program, (*kind, *rows, *classes, *seed), &mut table)?;
                }
            }
        }
    }
    table.finish();
    Ok(())
}

impl Plan {
    fn parse(arguments: &[&str]) -> Result<Self> {
        let strings = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let mut plan = Self {
            kinds: Kind::ALL.to_vec(),
            rows: vec![200, 2000, 20_000],
            classes: vec![2, 3, 5, 10],
            tasks: strings("ordinal,classification"),
            seeds: vec![1],
            program: None,
            device: "cpu".to_owned(),
            flags: Vec::new(),
        };
        let mut rest = arguments.iter().copied();
        while let Some(flag) = rest.next() {
            if flag == "--" {
                plan.flags = rest.map(str::to_owned).collect();
                break;
            }
            let value = rest.next();
            let value = value.with_context(|| format!("{flag} needs a value\n\n{USAGE}"))?;
            match flag {
                "--kinds" => plan.kinds = strings(value).iter().map(kind).collect::<Result<_>>()?,
                "--rows" => plan.rows = numbers(value)?,
                "--classes" => plan.classes = numbers(value)?,
                "--tasks" => plan.tasks = strings(value),
                "--seeds" => plan.seeds = numbers(value)?,
                "--program" => plan.program = Some(value.into()),
                "--device" => value.clone_into(&mut plan.device),
                _ => bail!("unknown option {flag}\n\n{USAGE}"),
            }
        }
        Ok(plan)
    }

    /// Trains each task on one set.
    fn set(
        &self,
        program: &Path,
        (kind, rows, classes, seed): (Kind, usize, usize, u64),
        table: &mut Table,
    ) -> Result<()> {
        let Some([train, test]) = sets::make(kind, rows, classes, seed)? else {
            return Ok(());
        };
        let folder = tempfile::Builder::new().prefix("recipe-").tempdir()?;
        let folder = folder.path();
        sets::write(&folder.join("train.csv"), &train)?;
        sets::write(&folder.join("test.csv"), &test)?;
        let mut frequencies = vec![0.0; classes];
        for (_, class) in &train {
            frequencies[*class] += 1.0 / train.len() as f64;
        }
        for task in &self.tasks {
            let report = self.finetune(program, folder, (task, classes, seed))?;
            table.add(Cell {
                set: (kind.name(), rows, classes, seed),
                task: task.clone(),
                metrics: report["test"].clone(),
                decision: report["decision"].as_str().unwrap_or("-").to_owned(),
                frequencies: frequencies.clone(),
            });
        }
        Ok(())
    }

    fn finetune(
        &self,
        program: &Path,
        folder: &Path,
        (task, classes, seed): (&str, usize, u64),
    ) -> Result<Value> {
        let labels: Vec<String> = (0..classes).map(|class| class.to_string()).collect();
        let mut command = Command::new(program);
        command.args(["finetune", "--json", "--task", task, "--model"]);
        command.arg(rtune_testkit::fetched_model());
        command.arg("--train").arg(folder.join("train.csv"));
        command.arg("--test").arg(folder.join("test.csv"));
        command.arg("--output").arg(folder.join(task));
        command.args(["--labels", &labels.join(",")]);
        command.args(["--seed", &seed.to_string(), "--device", &self.device]);
        // The same vectors, so that the heads alone differ.
        command.args(["--pooling", "mean"]);
        if task == "ordinal" {
            command.args(&self.flags);
        }
        // Progress would tear the table apart.
        let done = command.output().context("cannot run rtune")?;
        if !done.status.success() {
            bail!("rtune finetune: {}", String::from_utf8_lossy(&done.stderr));
        }
        serde_json::from_slice(&done.stdout).context("rtune finetune printed no JSON")
    }
}

fn numbers<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(
    text: &str,
) -> Result<Vec<T>> {
    let number = |part: &str| {
        part.parse()
            .with_context(|| format!("`{part}` is no number"))
    };
    text.split(',').map(number).collect()
}

fn kind(name: &String) -> Result<Kind> {
    let mut all = Kind::ALL.into_iter();
    all.find(|kind| kind.name() == name)
        .with_context(|| format!("there is no kind `{name}`\n\n{USAGE}"))
}

//! Looks at the page of a run in Chromium, and at its event files with TensorBoard's own reader.

use crate::process::{is_installed, output, root};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const USAGE: &str = "usage: cargo xtask report-check RUN OUTPUT

Opens RUN/report.html in Chromium at two widths, writes screenshots to OUTPUT, and fails if the page
reports an error, is wider than the window, or has an empty chart. Then reads RUN/tensorboard with
the reader of the Python package tensorboard, and compares its scalars with RUN/metrics.jsonl.
Programs: chromium, and python3 (or $PYTHON) with tensorboard.";

/// Widths of windows in pixels.
const WIDTHS: [u32; 2] = [1200, 420];
const HEIGHT: u32 = 4000;

pub(crate) fn report_check(run: &str, target: &str) -> Result<()> {
    let (run, target) = (Path::new(run).canonicalize()?, PathBuf::from(target));
    ensure!(
        is_installed("chromium"),
        "chromium is missing; on Debian, `apt-get install chromium`"
    );
    fs::create_dir_all(&target)?;
    let target = target.canonicalize()?;
    for width in WIDTHS {
        look(&run.join("report.html"), &target, width)?;
    }
    events(&run)
}

/// Opens the page in a frame of the given width, whose measures a second page writes down.
fn look(page: &Path, target: &Path, width: u32) -> Result<()> {
    let html = fs::read_to_string(page).with_context(|| page.display().to_string())?;
    let picture = target.join(format!("report-{width}.png"));
    let screenshot = format!("--screenshot={}", picture.display());
    let size = format!("--window-size={width},{HEIGHT}");
    let address = format!("file://{}", page.display());
    let errors = chromium(target, &[&screenshot, &size, &address])?.1;
    let problems: Vec<&str> = errors
        .lines()
        .filter(|line| line.contains("CONSOLE"))
        .collect();
    ensure!(problems.is_empty(), "the page reports {problems:?}");
    let bytes = fs::metadata(&picture)?.len();
    ensure!(bytes > 20_000, "{} is empty", picture.display());
    // The page has no script, so the measures are taken by a copy of it with one.
    let measured = target.join("measured.html");
    let script = "<script>document.title = JSON.stringify({
        window: innerWidth, content: document.documentElement.scrollWidth,
        charts: [...document.querySelectorAll('svg')].map(svg =>
            [svg.clientWidth, svg.clientHeight,
             svg.querySelectorAll('polyline,circle,rect').length])
        })</script></body>";
    fs::write(&measured, html.replace("</body>", script))?;
    let address = format!("file://{}", measured.display());
    let document = chromium(target, &["--dump-dom", &size, &address])?.0;
    fs::remove_file(&measured)?;
    let title = document.split("<title>").nth(1);
    let title = title.and_then(|rest| rest.split("</title>").next());
    let title = title.context("the measured page has no title")?;
    let found: Value = serde_json::from_str(&title.replace("&quot;", "\""))
        .with_context(|| format!("measures of the page: {title}"))?;
    let (window, content) = (found["window"].as_u64(), found["content"].as_u64());
    ensure!(
        content <= window && content.is_some(),
        "the page is {content:?} pixels wide in a window of {window:?}"
    );
    let charts = found["charts"].as_array().map_or(&[][..], Vec::as_slice);
    ensure!(!charts.is_empty(), "the page has no chart");
    let is_empty = |chart: &&Value| (0..3).any(|part| chart[part].as_u64().unwrap_or(0) < 2);
    if let Some(chart) = charts.iter().find(is_empty) {
        bail!("a chart is empty: {chart}");
    }
    println!(
        "{}: {} charts, no message on the console, not wider than {width} pixels",
        picture.display(),
        charts.len()
    );
    Ok(())
}

/// Runs Chromium without a window or network, and returns its output and its messages.
fn chromium(target: &Path, arguments: &[&str]) -> Result<(String, String)> {
    let profile = target.join("profile");
    let mut command = Command::new("chromium");
    command
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
        ])
        .args(["--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync"])
        .args(["--enable-logging=stderr", "--hide-scrollbars"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(arguments);
    let done = command.output().context("chromium")?;
    let _ = fs::remove_dir_all(&profile);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ensure!(done.status.success(), "chromium: {}", text(&done.stderr));
    Ok((text(&done.stdout), text(&done.stderr)))
}

/// Prints tag, step and value of all scalars as JSON.
const READER: &str = "
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={'scalars': 0})
events.Reload()
print(json.dumps([[tag, event.step, event.value]
                  for tag in events.Tags()['scalars'] for event in events.Scalars(tag)]))
";

/// Compares the event files with the log.
fn events(run: &Path) -> Result<()> {
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let mut command = Command::new(&python);
    command
        .current_dir(root())
        .args(["-c", READER])
        .arg(run.join("tensorboard"));
    let read = output(&mut command);
    let read = read.context("python3 needs the package tensorboard; $PYTHON names another one")?;
    let scalars: Vec<(String, u64, f64)> = serde_json::from_slice(&read)?;
    let log = fs::read_to_string(run.join("metrics.jsonl"))?;
    let mut compared = 0_usize;
    for line in log.lines() {
        let line: Value = serde_json::from_str(line)?;
        let step = line["step"].as_u64().context("a line without a step")?;
        let mut compare = |tag: String, value: f64| -> Result<()> {
            let mut same = scalars
                .iter()
                .filter(|found| found.0 == tag && found.1 == step);
            let found = same
                .next()
                .with_context(|| format!("no {tag} at step {step}"))?;
            ensure!(same.next().is_none(), "two values of {tag} at step {step}");
            let close = (found.2 - value).abs() <= 1e-6 * value.abs().max(1e-6);
            ensure!(
                close,
                "{tag} at step {step}: {} in place of {value}",
                found.2
            );
            compared += 1;
            Ok(())
        };
        match line["kind"].as_str() {
            Some("step") => {
                for (tag, field) in [
                    ("train/loss", "loss"),
                    ("train/learning_rate", "learning_rate"),
                    ("train/grad_norm", "gradient_norm"),
                    ("train/epoch", "epoch"),
                ] {
                    compare(tag.to_owned(), line[field].as_f64().context(field)?)?;
                }
            }
            kind => {
                let group = if kind == Some("test") { "test" } else { "eval" };
                let metrics = line["metrics"].as_object().context("metrics")?;
                let numbers = metrics.iter().filter(|(name, _)| *name != "samples");
                for (name, value) in numbers {
                    if let Some(value) = value.as_f64() {
                        compare(format!("{group}/{name}"), value)?;
                    }
                }
            }
        }
    }
    let all = scalars.len();
    ensure!(compared == all, "{all} scalars, and {compared} in the log");
    println!("tensorboard: {compared} scalars are those of metrics.jsonl");
    Ok(())
}

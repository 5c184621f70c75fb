//! The reports of a run beside its result: the page `report.html` and event files of TensorBoard.

use anyhow::Result;
use clap::ValueEnum;
use rtune_package::{StagedFile, layout};
use rtune_report::{EvaluationPoint, EventFile, Mistake, ReportError, StepPoint, TrainingPage};
use rtune_task::{Decision, Metric, Metrics, Prediction, Target, Task, TaskSpec};
use rtune_train::{Event, RunResult, Split, TrainError};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The number of wrong predictions on the page.
const MISTAKES: usize = 20;
/// The number of characters of a text on the page.
const CHARACTERS: usize = 600;

/// A kind of report, or all or none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ReportTo {
    All,
    None,
    Html,
    Tensorboard,
}

/// The writer of a run's reports.
pub(super) struct Reports {
    /// The folder of the run.
    folder: PathBuf,
    html: bool,
    tensorboard: bool,
    events: Option<EventFile>,
}

impl Reports {
    pub(super) fn new(folder: &Path, kinds: &[ReportTo]) -> Self {
        let has = |kind| kinds.contains(&kind) || kinds.contains(&ReportTo::All);
        Self {
            folder: folder.to_owned(),
            html: has(ReportTo::Html),
            tensorboard: has(ReportTo::Tensorboard),
            events: None,
        }
    }

    /// Writes what follows from an event, and returns a warning if it cannot be written.
    pub(super) fn on_event(&mut self, event: &Event<'_>) -> Option<String> {
        let mut warnings = Vec::new();
        if self.tensorboard
            && let Err(error) = self.write_event(event)
        {
            // Each further event would fail in the same way.
            self.tensorboard = false;
            warnings.push(format!(
                "warning: no more events for TensorBoard: {error:#}"
            ));
        }
        if self.html
            && let Event::Result(result) = event
            && let Err(error) = write_page(result)
        {
            warnings.push(format!("warning: no {}: {error:#}", layout::REPORT));
        }
        (!warnings.is_empty()).then(|| warnings.join("\n"))
    }

    fn write_event(&mut self, event: &Event<'_>) -> Result<()> {
        let now = SystemTime::now();
        if let Event::Start(start) = event {
            let folder = self.folder.join(layout::TENSORBOARD);
            let next = start.checkpoint.is_some().then_some(start.step + 1);
            self.events = Some(EventFile::create(&folder, now, next)?);
        }
        let Some(events) = &mut self.events else {
            return Ok(());
        };
        match event {
            Event::Log(log) => {
                let values = [
                    ("train/loss", log.loss),
                    ("train/grad_norm", log.gradient_norm),
                    ("train/learning_rate", log.learning_rate),
                    ("train/epoch", log.epoch),
                ];
                events.scalars(log.step, now, &values)?;
            }
            Event::Evaluation(evaluation) => {
                write_metrics(events, "eval", evaluation.step, now, &evaluation.metrics)?;
            }
            Event::Result(result) => {
                if let Some(metrics) = &result.report.test {
                    write_metrics(events, "test", result.report.steps, now, metrics)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Writes the metrics that are defined.
fn write_metrics(
    events: &mut EventFile,
    group: &str,
    step: usize,
    now: SystemTime,
    metrics: &Metrics,
) -> Result<(), ReportError> {
    let defined = metrics
        .values()
        .filter_map(|(metric, value)| Some((format!("{group}/{}", metric.name()), value?)));
    let defined: Vec<_> = defined.collect();
    let values = defined.iter().map(|(tag, value)| (tag.as_str(), *value));
    events.scalars(step, now, &values.collect::<Vec<_>>())
}

fn write_page(result: &RunResult<'_>) -> Result<()> {
    let html = page(result)?.html()?;
    let path = result.folder.join(layout::REPORT);
    let mut file = StagedFile::new(&path, true, &[])?;
    file.write_all(html.as_bytes())?;
    Ok(file.commit()?)
}

/// The values of the page of a run.
fn page(result: &RunResult<'_>) -> Result<TrainingPage, TrainError> {
    let (report, spec) = (result.report, result.spec);
    let judged = result.judged()?;
    let predictions = result.predictions(judged.data)?;
    let steps = result.steps.iter().map(|log| StepPoint {
        step: log.step,
        loss: log.loss,
        learning_rate: log.learning_rate,
        gradient_norm: log.gradient_norm,
    });
    let evaluations = report.history.iter().map(|evaluation| EvaluationPoint {
        step: evaluation.step,
        metrics: evaluation.metrics.clone(),
        cutpoints: evaluation.cutpoints.clone(),
    });
    Ok(TrainingPage {
        title: result.folder.display().to_string(),
        summary: summary(result),
        task: spec.task,
        labels: spec.labels.clone(),
        decision: report.decision.unwrap_or_default(),
        cutpoints: report.cutpoints.clone(),
        metric: Some(report.best_metric),
        steps: steps.collect(),
        evaluations: evaluations.collect(),
        splits: result
            .splits
            .iter()
            .map(|split| rows(result, split))
            .collect(),
        rated: judged.name.to_owned(),
        mistakes: mistakes(result, &judged, &predictions),
        targets: judged.data.targets.clone(),
        predictions,
        metrics: Some(report.test.as_ref().unwrap_or(&report.validation).clone()),
        settings: result.identity.to_vec(),
    })
}

/// The lines of the report that the page shows nowhere else. A line without a name continues the
/// one before it.
fn summary(result: &RunResult<'_>) -> Vec<(String, String)> {
    let text = result.report.to_string();
    let mut lines: Vec<(String, String)> = Vec::new();
    for (name, value) in text.lines().filter_map(|line| line.split_at_checked(13)) {
        match (name.trim(), lines.last_mut()) {
            ("", Some((_, last))) => *last = format!("{last}; {}", value.trim()),
            (name, _) => lines.push((name.to_owned(), value.trim().to_owned())),
        }
    }
    lines.retain(|(name, _)| !["decision", "validation", "test"].contains(&name.as_str()));
    lines
}

fn rows(result: &RunResult<'_>, split: &Split<'_>) -> rtune_report::Split {
    rtune_report::Split {
        name: split.name.to_owned(),
        source: split.path.display().to_string(),
        lengths: split.data.lengths(),
        truncated: split.data.truncated,
        max_length: result.tokenizer.max_length(),
        targets: split.data.targets.clone(),
    }
}

/// The wrong predictions that are the most confident, or the furthest from their numbers.
fn mistakes(result: &RunResult<'_>, split: &Split<'_>, predictions: &[Prediction]) -> Vec<Mistake> {
    let decision = result.report.decision.unwrap_or_default();
    let rows = predictions.iter().zip(&split.data.targets).enumerate();
    let found = rows.filter_map(|(row, (prediction, target))| {
        let confidence = confidence(result.spec, decision, prediction, *target)?;
        Some((row, confidence))
    });
    let mut found: Vec<(usize, f64)> = found.collect();
    found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    found.truncate(MISTAKES);
    let describe = |(row, confidence): (usize, f64)| {
        let (prediction, target) = (predictions.get(row)?, split.data.targets.get(row)?);
        let (label, predicted) = match target {
            Target::Number(number) => (
                Metric::shown(Some(*number)),
                Metric::shown(Some(prediction.score)),
            ),
            Target::Class(class) => {
                let name = |class: usize| result.spec.labels.get(class).cloned();
                (name(*class)?, name(prediction.class(decision))?)
            }
        };
        let text = result.tokenizer.decode(split.data.texts.get(row)?);
        Some(Mistake {
            line: split.data.lines.get(row).copied(),
            text: shortened(&text),
            label,
            predicted,
            confidence,
        })
    };
    found.into_iter().filter_map(describe).collect()
}

/// The probability of a wrong class, or the error of a number; none for a class that is right.
fn confidence(
    spec: &TaskSpec,
    decision: Decision,
    prediction: &Prediction,
    target: Target,
) -> Option<f64> {
    if spec.task == Task::Regression {
        return Some((prediction.score - target.number()).abs());
    }
    let class = prediction.class(decision);
    let is_wrong = target.class() != Some(class);
    prediction
        .probabilities
        .get(class)
        .copied()
        .filter(|_| is_wrong)
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(CHARACTERS) {
        None => text.to_owned(),
        Some((end, _)) => format!("{} …", &text[..end]),
    }
}

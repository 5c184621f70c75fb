//! The progress of a run on stderr.

use super::reports::Reports;
use crate::console::{self, note};
use crate::data::{note_delimiter, note_truncated, tokenizer_change};
use crate::list;
use crate::spot::Spot;
use rtune_nn::{HeadOrigin, LoadReport};
use rtune_train::{Callback, Evaluation, Event, StepLog};
use std::path::Path;

/// Prints the events of a run and the notices of its machine: notes, and a bar from the first step
/// on. Passes the events on to the reports.
pub(super) struct Progress {
    bar: Option<console::Progress>,
    spot: Option<Spot>,
    reports: Reports,
}

impl Progress {
    pub(super) fn new(spot: Option<Spot>, reports: Reports) -> Self {
        let bar = None;
        Self { bar, spot, reports }
    }

    /// Prints the last notices.
    pub(super) fn finish(mut self) {
        let messages = self.spot.take().map(Spot::finish);
        self.lines(&messages.unwrap_or_default());
    }

    fn lines(&self, lines: &[String]) {
        lines.iter().for_each(|line| self.line(line));
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.line(text),
            None => note(text),
        }
    }
}

impl Callback for Progress {
    fn on_event(&mut self, event: &Event<'_>) {
        self.print(event);
        if let Some(warning) = self.reports.on_event(event) {
            self.line(&warning);
        }
    }
}

impl Progress {
    fn print(&mut self, event: &Event<'_>) {
        let notices = self.spot.as_ref().map(Spot::messages);
        self.lines(&notices.unwrap_or_default());
        match event {
            Event::TokenizerChanged(change) => self.line(&tokenizer_change(change)),
            Event::LabelsOfModel { folder, labels } => self.line(&format!(
                "note: the labels are those of {}: {}",
                folder.display(),
                list::join(labels)
            )),
            Event::HeldOut { examples, of } => self.line(&format!(
                "no --validation: {examples} of {of} training rows are held out"
            )),
            Event::Delimiter { path, delimiter } => note_delimiter(path, Some(*delimiter)),
            Event::ClassesWithoutRows { path, labels } => self.line(&format!(
                "note: {}: no row has the label {}; the model will hardly predict it",
                path.display(),
                labels.join(", ")
            )),
            Event::Truncated {
                path,
                texts,
                of,
                max_length,
            } => note_truncated(path, *texts, *of, *max_length),
            Event::Loaded { folder, report } => note_loaded(folder, report),
            Event::Archived { reason } => {
                self.line(&format!("archived until this run is done: {reason}"));
            }
            Event::NotRestored { output, reason } => self.line(&format!(
                "{}: the run that was to be replaced is in a hidden folder there: {reason}",
                output.display()
            )),
            Event::SkippedCheckpoint { path, problem } => {
                self.line(&format!("skipped {}: {problem}", path.display()));
            }
            Event::Start(start) => {
                if let Some(checkpoint) = start.checkpoint {
                    self.line(&format!("resuming from {}", checkpoint.display()));
                }
            }
            Event::Step { step, total } => {
                // The pace counts from the first step of this process on.
                let bar = || console::Progress::resumed("training", *step, *total);
                self.bar.get_or_insert_with(bar).set(*step);
            }
            Event::Log(log) => self.line(&describe(log)),
            Event::Evaluation(evaluation) => self.line(&describe_evaluation(evaluation)),
            Event::Checkpoint(path) => self.line(&format!("checkpoint {}", path.display())),
            Event::HookFailed { checkpoint, reason } => self.line(&format!(
                "warning: the save hook failed for {}: {reason}",
                checkpoint.display()
            )),
            Event::AwaitingHook => self.line("the save hook is still at work; the run waits"),
            Event::LogProblem(problem) => self.line(&problem.to_string()),
            _ => {}
        }
    }
}

fn describe(log: &StepLog) -> String {
    format!(
        "step {}/{} epoch {:.2} loss {:.4} gradient norm {:.2} learning rate {:.2e}",
        log.step, log.total_steps, log.epoch, log.loss, log.gradient_norm, log.learning_rate
    )
}

fn describe_evaluation(evaluation: &Evaluation) -> String {
    let best = match evaluation.best {
        true => " (best so far)",
        false => "",
    };
    let rule = evaluation.decision.map(|rule| format!("{rule} class: "));
    let rule = rule.unwrap_or_default();
    let (step, metrics) = (evaluation.step, &evaluation.metrics);
    format!("evaluation at step {step}{best}: {rule}{metrics}")
}

fn note_loaded(folder: &Path, report: &LoadReport) {
    let tensors = report.loaded.len();
    let folder = folder.display();
    note(format!("{folder}: {tensors} tensors loaded"));
    if let Some(prefix) = &report.prefix {
        note(format!(
            "note: {folder}: the names of the encoder's tensors begin with `{prefix}`, which was \
             removed"
        ));
    }
    if let Some(model_type) = &report.model_type {
        note(format!(
            "note: {folder}/config.json: names no model_type; by the names of the tensors, it is \
             {model_type}"
        ));
    }
    if !report.unknown_fields.is_empty() {
        let fields = report.unknown_fields.join(", ");
        note(format!(
            "note: {folder}/config.json: rtune does not know these fields and ignores them: \
             {fields}"
        ));
    }
    match &report.head {
        HeadOrigin::New | HeadOrigin::Checkpoint => {}
        HeadOrigin::Requested => note(format!(
            "note: the head of {folder} is replaced by a new one"
        )),
        HeadOrigin::Replaced { differences } => note(format!(
            "note: the head of {folder} was trained with other settings, so it is replaced by a \
             new one: {}",
            differences.join(", ")
        )),
    }
    for (text, names) in [
        (
            "not in the checkpoint, newly initialized",
            &report.initialized,
        ),
        ("in the checkpoint, not used", &report.unexpected),
    ] {
        const SHOWN: usize = 8;
        let more = names.len().saturating_sub(SHOWN);
        let shown = names[..names.len() - more].join(", ");
        match (names.len(), more) {
            (0, _) => {}
            (_, 0) => note(format!("{text}: {shown}")),
            (_, more) => note(format!("{text}: {shown} and {more} more")),
        }
    }
}

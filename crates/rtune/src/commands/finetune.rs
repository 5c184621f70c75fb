use crate::cli::{Common, DeviceFlag};
use crate::console::{Progress, note, peak_rss_mb, result};
use crate::data::{
    ColumnFlags, copy_tokenizer, label_kind, note_truncated, plain_labels, read_dataset,
    read_tokenizer,
};
use crate::exit::{Interrupted, Resumable, usage};
use crate::interrupt::INTERRUPT;
use crate::run_folder::RunFolder;
use crate::source::Source;
use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use rtune_data::{Dataset, Example, check_classes, read_examples, split};
use rtune_nn::{LoadReport, TextModel};
use rtune_task::{Cutpoints, Link, Metric, Metrics, Pooling, Task, TaskSpec};
use rtune_text::Tokenizer;
use rtune_train::{
    Callback, CheckpointProblem, Evaluation, Event, Outcome, SchedulerType, Start, StepLog,
    TrainConfig, TrainError, TrainInputs, TrainSettings, Trainer, evaluate,
};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Fine-tune a pretrained encoder on labelled text
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rtune finetune --model all-MiniLM-L6-v2 --train train.csv --validation validation.csv --output run
  rtune finetune --model M --train t.jsonl --validation v.jsonl --labels bad,fair,good --output run
  rtune finetune --config run.toml --seed 7 --output run7")]
pub(crate) struct Finetune {
    /// Folder with config.json, model.safetensors and tokenizer.json
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Rows to train on: .csv, .tsv or .jsonl
    #[arg(long, value_name = "FILE")]
    train: PathBuf,
    /// Rows to choose the best model by; a tenth of the training rows where it is not given
    #[arg(long, value_name = "FILE")]
    validation: Option<PathBuf>,
    /// Rows to test the best model on
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    /// Folder to write: final/, checkpoints/ and metrics.jsonl; a run that was interrupted there
    /// goes on
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Replace a run that is finished, or another one that was interrupted; this very run,
    /// interrupted, still goes on
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    columns: ColumnFlags,
    /// Names of the classes in order, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "A,B,..")]
    labels: Vec<String>,
    /// What the labels are
    #[arg(long, default_value = "ordinal")]
    task: TaskFlag,
    /// How token vectors become one
    #[arg(long, default_value = "mean")]
    pooling: PoolingFlag,
    /// Link of the ordinal model
    #[arg(long, default_value = "logit")]
    link: LinkFlag,
    /// How cutpoints are kept in order: by construction, or by clipping
    #[arg(long, default_value = "ordered")]
    cutpoints: CutpointsFlag,
    /// Longer texts are truncated to so many tokens
    #[arg(long, default_value_t = 128, value_name = "N")]
    max_length: usize,
    #[arg(long, default_value_t = TrainSettings::default().num_train_epochs, allow_negative_numbers = true, value_name = "N")]
    num_train_epochs: f64,
    /// Stop after so many updates; wins over --num-train-epochs
    #[arg(long, value_name = "N")]
    max_steps: Option<usize>,
    #[arg(long, default_value_t = TrainSettings::default().train_batch_size, value_name = "N")]
    train_batch_size: usize,
    #[arg(long, default_value_t = TrainSettings::default().eval_batch_size, value_name = "N")]
    eval_batch_size: usize,
    #[arg(long, default_value_t = TrainSettings::default().gradient_accumulation_steps, value_name = "N")]
    gradient_accumulation_steps: usize,
    #[arg(long, default_value_t = TrainSettings::default().learning_rate, allow_negative_numbers = true, value_name = "RATE")]
    learning_rate: f64,
    /// Learning rate of head and cutpoints; ten times --learning-rate where it is not given
    #[arg(long, allow_negative_numbers = true, value_name = "RATE")]
    head_learning_rate: Option<f64>,
    #[arg(long, default_value_t = TrainSettings::default().weight_decay, allow_negative_numbers = true, value_name = "X")]
    weight_decay: f64,
    /// Share of the updates in which the learning rate rises
    #[arg(long, default_value_t = TrainSettings::default().warmup_ratio, allow_negative_numbers = true, value_name = "X")]
    warmup_ratio: f64,
    /// Wins over --warmup-ratio
    #[arg(long, value_name = "N")]
    warmup_steps: Option<usize>,
    #[arg(long, default_value = "linear")]
    lr_scheduler_type: SchedulerFlag,
    /// Gradients are scaled down to this norm; 0 switches it off
    #[arg(long, default_value_t = TrainSettings::default().max_grad_norm, allow_negative_numbers = true, value_name = "X")]
    max_grad_norm: f64,
    /// Evaluate every so many updates; at the end of each epoch where it is not given
    #[arg(long, value_name = "N")]
    eval_steps: Option<usize>,
    /// Write a checkpoint every so many updates; one more at the end, and where the run is
    /// interrupted
    #[arg(long, default_value_t = TrainSettings::default().save_steps, value_name = "N")]
    save_steps: usize,
    /// Keep so many checkpoints, the newest ones
    #[arg(long, default_value_t = TrainSettings::default().save_total_limit, value_name = "N")]
    save_total_limit: usize,
    #[arg(long, default_value_t = TrainSettings::default().logging_steps, value_name = "N")]
    logging_steps: usize,
    /// accuracy, mae, macro_mae, qwk, off_by_one, rps, spearman or loss; qwk, accuracy or mae by
    /// task where it is not given
    #[arg(long, value_name = "NAME")]
    metric_for_best_model: Option<String>,
    /// Stop after so many evaluations without a better one
    #[arg(long, value_name = "N")]
    early_stopping_patience: Option<usize>,
    /// One factor for each class, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "X,Y,..")]
    class_weights: Vec<f64>,
    #[arg(long, default_value_t = TrainSettings::default().seed, value_name = "N")]
    seed: u64,
    /// Number type of parameters and products
    #[arg(long, default_value = "float32", value_name = "TYPE")]
    dtype: DtypeFlag,
    #[command(flatten)]
    device: DeviceFlag,
    #[command(flatten)]
    common: Common,
}

macro_rules! flag_enum {
    ($(#[$doc:meta])* $flag:ident => $target:ident { $($name:ident),+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, ValueEnum)]
        enum $flag { $($name),+ }
        impl From<$flag> for $target {
            fn from(flag: $flag) -> Self {
                match flag { $($flag::$name => Self::$name),+ }
            }
        }
    };
}

flag_enum!(TaskFlag => Task { Ordinal, Classification, Regression });
flag_enum!(PoolingFlag => Pooling { Mean, First, Pooler });
flag_enum!(LinkFlag => Link { Logit, Probit, Cloglog });
flag_enum!(CutpointsFlag => Cutpoints { Ordered, Clipped });
flag_enum!(SchedulerFlag => SchedulerType { Linear, Cosine, Constant });

/// The types that training knows; half precision comes with its kernels.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum DtypeFlag {
    Float32,
}

impl TaskFlag {
    fn is_regression(self) -> bool {
        Task::from(self) == Task::Regression
    }
}

/// The result that `--json` prints.
#[derive(Debug, Serialize)]
struct Report {
    model: PathBuf,
    steps: usize,
    best_step: usize,
    parameters_with_gradient: usize,
    samples_per_second: f64,
    tokens_per_second: f64,
    peak_rss_mb: Option<f64>,
    cutpoints: Vec<f64>,
    validation: Metrics,
    #[serde(skip_serializing_if = "Option::is_none")]
    test: Option<Metrics>,
}

/// The rows of a run, tokenized.
struct Data {
    training: Dataset,
    validation: Dataset,
    test: Option<Dataset>,
    labels: Vec<String>,
    tokenizer: Tokenizer,
}

impl Finetune {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let config = self.check_flags()?;
        self.common.threads();
        let device = self.device.open()?;
        let source = Source::of(&self.model)?.checkpoint()?;
        let mut inputs = vec![self.model.as_path(), &self.train];
        inputs.extend(
            self.validation
                .iter()
                .chain(&self.test)
                .map(PathBuf::as_path),
        );
        let mut folder = RunFolder::open(&self.output, self.force, &inputs)?;
        let data = self.read_data(&source)?;
        let spec = self.spec(data.labels.clone());
        let (model, report) = TextModel::load(&source, &spec, self.seed, &device)?;
        check_vocabulary(&source, &model, &data.tokenizer)?;
        note_loaded(&source, &report);

        let Data {
            training,
            validation,
            test,
            tokenizer,
            ..
        } = &data;
        let padding = tokenizer.padding();
        let inputs = TrainInputs {
            model: &model,
            loaded: &report,
            training,
            validation,
            padding,
            device: &device,
        };
        let trainer = Trainer::new(inputs, &config).map_err(in_flags)?;
        let checkpoints = folder.begin(&trainer)?;
        let start = Instant::now();
        let mut observer = Log {
            folder: &mut folder,
            progress: None,
        };
        let outcome = trainer.run(Some(&checkpoints), &mut observer, &INTERRUPT);
        let seconds = start.elapsed().as_secs_f64();
        drop(observer);
        if let Err(TrainError::Diverged { .. } | TrainError::Coverage { .. }) = &outcome {
            folder.abandon()?;
        }
        let outcome = outcome.map_err(interruption)?;

        let test = match test {
            Some(test) => {
                let (size, interrupt) = (config.eval_batch_size(), &INTERRUPT);
                match evaluate(&model, test, size, padding, &device, interrupt) {
                    Err(TrainError::Interrupted { .. }) => {
                        return Err(interrupted_after(outcome.checkpoint));
                    }
                    metrics => Some(metrics?),
                }
            }
            None => None,
        };
        if let Some(metrics) = &test {
            let line = serde_json::to_string(&Line::Test {
                step: outcome.steps,
                metrics,
            })?;
            folder
                .write_line(&line)
                .with_context(|| format!("{}: metrics.jsonl", self.output.display()))?;
        }
        let staging = folder.result()?;
        model.save(staging.path())?;
        copy_tokenizer(&source, staging.path())?;
        folder.commit(staging)?;
        let report = self.report(&model, &outcome, folder.result_path(), seconds, test)?;
        result(self.common.json, &report, || report.to_text())?;
        Ok(ExitCode::SUCCESS)
    }

    fn check_flags(&self) -> Result<TrainConfig> {
        let task = self.task.into();
        let settings = self.settings(task).map_err(in_flags)?;
        let config = TrainConfig::new(&settings, task);
        let config = config.map_err(|error| in_flags(error.into()))?;
        if self.task.is_regression() && !self.labels.is_empty() {
            return Err(usage("--labels names classes, but the task is regression"));
        }
        if self.labels.iter().any(|label| label.trim().is_empty()) {
            return Err(usage(
                "--labels names a class with no name; separate the names by single commas",
            ));
        }
        if self.labels.len() == 1 {
            return Err(usage("--labels needs at least two names"));
        }
        let mut sorted = self.labels.clone();
        sorted.sort();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(usage(format!("--labels names `{}` twice", twice[0])));
        }
        Ok(config)
    }

    fn read_data(&self, source: &Path) -> Result<Data> {
        // The tokenizer comes first: without one, reading the rows is in vain.
        let tokenizer = read_tokenizer(source, self.max_length)?;
        let task = self.task.into();
        let kind = label_kind(task, &self.labels);
        let examples = read_examples(&self.train, &self.columns.columns(), &kind)?;
        let labels = self.class_names(task, &examples)?;
        let (examples, held_out) = match &self.validation {
            Some(_) => (examples, Vec::new()),
            None => {
                let count = (examples.len() / 10).max(1);
                note(format!(
                    "no --validation: {count} of {} training rows are held out",
                    examples.len()
                ));
                split(examples, count, self.seed)
            }
        };
        if task != Task::Regression {
            check_classes(&self.train, &examples, labels.len(), true)?;
            if labels.len() < 2 {
                return Err(usage(format!(
                    "{}: all labels are {}; at least two classes are needed",
                    self.train.display(),
                    labels.join("")
                )));
            }
        }
        let training = Dataset::new(&self.train, &examples, &tokenizer)?;
        note_truncated(
            &self.train,
            training.truncated,
            training.len(),
            self.max_length,
        );
        let validation = match &self.validation {
            Some(path) => read_dataset(path, &self.columns, task, &labels, &tokenizer)?,
            None => Dataset::new(&self.train, &held_out, &tokenizer)?,
        };
        let test = self
            .test
            .as_ref()
            .map(|path| read_dataset(path, &self.columns, task, &labels, &tokenizer))
            .transpose()?;
        Ok(Data {
            training,
            validation,
            test,
            labels,
            tokenizer,
        })
    }

    /// The classes: as named, or from 0 to the largest in the training rows.
    fn class_names(&self, task: Task, examples: &[Example]) -> Result<Vec<String>> {
        if task == Task::Regression || !self.labels.is_empty() {
            return Ok(self.labels.clone());
        }
        let largest = examples
            .iter()
            .filter_map(|e| e.target.class())
            .max()
            .unwrap_or(0);
        // With fewer rows than classes, one class at least has none.
        if largest >= examples.len() {
            let problem =
                "labels number the classes from 0 without gaps; is --label-column the right one?";
            return Err(usage(format!(
                "{}: label {largest} in {} rows; {problem}",
                self.train.display(),
                examples.len()
            )));
        }
        Ok(plain_labels(largest + 1))
    }

    fn spec(&self, labels: Vec<String>) -> TaskSpec {
        TaskSpec {
            task: self.task.into(),
            labels,
            pooling: self.pooling.into(),
            link: self.link.into(),
            cutpoints: self.cutpoints.into(),
            max_length: self.max_length,
        }
    }

    fn settings(&self, task: Task) -> Result<TrainSettings, TrainError> {
        let metric = self.metric_for_best_model.as_deref();
        let metric = metric.map(|name| Metric::parse_for(task, name)).transpose();
        Ok(TrainSettings {
            num_train_epochs: self.num_train_epochs,
            max_steps: self.max_steps,
            train_batch_size: self.train_batch_size,
            eval_batch_size: self.eval_batch_size,
            gradient_accumulation_steps: self.gradient_accumulation_steps,
            learning_rate: self.learning_rate,
            head_learning_rate: self.head_learning_rate,
            weight_decay: self.weight_decay,
            warmup_ratio: self.warmup_ratio,
            warmup_steps: self.warmup_steps,
            lr_scheduler_type: self.lr_scheduler_type.into(),
            max_grad_norm: self.max_grad_norm,
            eval_steps: self.eval_steps,
            logging_steps: self.logging_steps,
            save_steps: self.save_steps,
            save_total_limit: self.save_total_limit,
            metric_for_best_model: metric?,
            early_stopping_patience: self.early_stopping_patience,
            class_weights: (!self.class_weights.is_empty()).then(|| self.class_weights.clone()),
            seed: self.seed,
        })
    }

    #[allow(clippy::cast_precision_loss)] // Counts are far below 2⁵³.
    fn report(
        &self,
        model: &TextModel,
        outcome: &Outcome,
        place: PathBuf,
        seconds: f64,
        test: Option<Metrics>,
    ) -> Result<Report> {
        Ok(Report {
            model: place,
            steps: outcome.steps,
            best_step: outcome.best.step,
            parameters_with_gradient: outcome.covered_parameters,
            samples_per_second: outcome.samples as f64 / seconds,
            tokens_per_second: outcome.tokens as f64 / seconds,
            peak_rss_mb: peak_rss_mb(),
            cutpoints: model
                .scale()?
                .map(|scale| scale.cutpoints().to_vec())
                .unwrap_or_default(),
            validation: outcome.best.metrics.clone(),
            test,
        })
    }
}

impl Report {
    fn to_text(&self) -> String {
        let mut text = format!(
            "model        {}\nsteps        {}, the best was {}\nspeed        {:.1} samples/s, {:.0} tokens/s\ngradients    all {} parameters\n",
            self.model.display(),
            self.steps,
            self.best_step,
            self.samples_per_second,
            self.tokens_per_second,
            self.parameters_with_gradient,
        );
        if let Some(peak) = self.peak_rss_mb {
            text += &format!("peak memory  {peak:.0} MB\n");
        }
        text += &format!("validation   {}\n", describe(&self.validation));
        if let Some(test) = &self.test {
            text += &format!("test         {}\n", describe(test));
        }
        text
    }
}

/// The metrics that a task has, on one line.
pub(crate) fn describe(metrics: &Metrics) -> String {
    metrics.to_string()
}

fn check_vocabulary(source: &Path, model: &TextModel, tokenizer: &Tokenizer) -> Result<()> {
    match model
        .config()
        .vocab_size()
        .filter(|rows| tokenizer.vocab_size() > *rows)
    {
        None => Ok(()),
        Some(rows) => Err(usage(format!(
            "{}: tokenizer.json has {} tokens, config.json only {rows}; they belong to different models",
            source.display(),
            tokenizer.vocab_size()
        ))),
    }
}

fn note_loaded(source: &Path, report: &LoadReport) {
    note(format!(
        "{}: {} tensors loaded",
        source.display(),
        report.loaded.len()
    ));
    if !report.initialized.is_empty() {
        note(format!(
            "not in the checkpoint, newly initialized: {}",
            report.initialized.join(", ")
        ));
    }
    if !report.unexpected.is_empty() {
        note(format!(
            "in the checkpoint, not used: {}",
            report.unexpected.join(", ")
        ));
    }
}

/// The error with flags in place of the names of settings.
fn in_flags(error: TrainError) -> anyhow::Error {
    let mut text = error.to_string();
    for setting in error.settings() {
        text = text.replace(setting, &format!("--{}", setting.replace('_', "-")));
    }
    let remedy = match &error {
        TrainError::Checkpoint { problem, .. } => match problem {
            CheckpointProblem::OtherRun(_) => {
                "; give what that run had, another --output, or --force to start over"
            }
            CheckpointProblem::Damaged(_) => "; give --force to start over",
            _ => "",
        },
        _ => "",
    };
    if remedy.is_empty() && text == error.to_string() {
        error.into()
    } else if error.is_input() {
        usage(text + remedy)
    } else {
        anyhow::Error::msg(text)
    }
}

fn interruption(error: TrainError) -> anyhow::Error {
    match error {
        TrainError::Interrupted { checkpoint } => interrupted_after(checkpoint),
        other => in_flags(other),
    }
}

fn interrupted_after(checkpoint: Option<PathBuf>) -> anyhow::Error {
    match checkpoint {
        Some(checkpoint) => Resumable { checkpoint }.into(),
        None => Interrupted.into(),
    }
}

/// Shows the run and writes it to `metrics.jsonl`.
struct Log<'a> {
    folder: &'a mut RunFolder,
    progress: Option<Progress>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Line<'a> {
    Step(&'a StepLog),
    Evaluation(&'a Evaluation),
    Test { step: usize, metrics: &'a Metrics },
}

impl Log<'_> {
    fn write(&mut self, line: &Line<'_>, text: &str) {
        self.say(text);
        let written = serde_json::to_string(line).map(|json| self.folder.write_line(&json));
        if !matches!(written, Ok(Ok(()))) {
            note("metrics.jsonl cannot be written; the run continues");
        }
    }

    fn say(&self, text: &str) {
        match &self.progress {
            Some(progress) => progress.line(text),
            None => note(text),
        }
    }
}

impl Callback for Log<'_> {
    fn on_event(&mut self, event: &Event<'_>) {
        match event {
            Event::SkippedCheckpoint { path, problem } => {
                self.say(&format!("skipped {}: {problem}", path.display()));
            }
            Event::Start(start) => self.start(start),
            Event::Step { step, total } => self
                .progress
                .get_or_insert_with(|| Progress::new("training", *total))
                .set(*step),
            Event::Log(log) => {
                let text = format!(
                    "step {}/{} epoch {:.2} loss {:.4} gradient norm {:.2} learning rate {:.2e}",
                    log.step,
                    log.total_steps,
                    log.epoch,
                    log.loss,
                    log.gradient_norm,
                    log.learning_rate
                );
                self.write(&Line::Step(log), &text);
            }
            Event::Evaluation(evaluation) => {
                let best = if evaluation.best {
                    " (best so far)"
                } else {
                    ""
                };
                let (step, metrics) = (evaluation.step, &evaluation.metrics);
                let text = format!("evaluation at step {step}{best}: {metrics}");
                self.write(&Line::Evaluation(evaluation), &text);
            }
            Event::BeforeCheckpoint => {
                if let Err(error) = self.folder.sync() {
                    note(format!("metrics.jsonl: {error}; the run continues"));
                }
            }
            Event::Checkpoint(path) => self.say(&format!("checkpoint {}", path.display())),
            _ => {}
        }
    }
}

impl Log<'_> {
    fn start(&mut self, start: &Start<'_>) {
        if let Some(checkpoint) = start.checkpoint {
            self.say(&format!("resuming from {}", checkpoint.display()));
        }
        match self.folder.rewind(start) {
            Ok(lines) if lines < start.logged => {
                note(format!(
                    "metrics.jsonl lacks {} of the run's earlier lines",
                    start.logged - lines
                ));
            }
            Ok(_) => {}
            Err(error) => note(format!("metrics.jsonl: {error}; the run continues")),
        }
    }
}

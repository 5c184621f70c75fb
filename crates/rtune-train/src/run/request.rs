use super::data::Data;
use crate::{SettingError, TrainConfig, TrainError, TrainSettings};
use rtune_data::{Columns, Dialect};
use rtune_task::{Cutpoints, Link, Pooling, TargetStatistics, Task, TaskSpec};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A run to do: the model, the files, the task and the settings.
///
/// It can be stored as JSON; fields that are absent have their defaults.
///
/// ```
/// use rtune_train::RunRequest;
///
/// let text = r#"{"version": 1, "model": "minilm", "train": "train.csv", "output": "run"}"#;
/// let mut request: RunRequest = serde_json::from_str(text)?;
/// assert_eq!(request, RunRequest::new("minilm", "train.csv", "run"));
/// request.settings.train_batch_size = 0;
/// let error = request.check().unwrap_err();
/// assert_eq!(error.to_string(), "train_batch_size must be at least 1");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// Version of the fields; [`RunRequest::VERSION`].
    pub version: u32,
    /// The folder of the pretrained model, in Hugging Face layout with its tokenizer.
    pub model: PathBuf,
    /// The file of the rows to train on.
    pub train: PathBuf,
    /// The file of the rows that choose the best model; a tenth of the training rows if absent.
    #[serde(default)]
    pub validation: Option<PathBuf>,
    /// The file of the rows that the best model is tested on.
    #[serde(default)]
    pub test: Option<PathBuf>,
    /// The folder to write.
    pub output: PathBuf,
    /// True if a finished or incompatible run in the output folder is replaced.
    #[serde(default)]
    pub force: bool,
    /// The column or field of the text.
    #[serde(default = "text_column")]
    pub text_column: String,
    /// The column or field of the second text, if each row is a pair of texts.
    #[serde(default)]
    pub text_pair_column: Option<String>,
    /// The column or field of the label.
    #[serde(default = "label_column")]
    pub label_column: String,
    /// The separator of columns; found out if absent.
    #[serde(default)]
    pub delimiter: Option<char>,
    /// True if quotes enclose fields of tables; if not, they are characters.
    #[serde(default = "quotes")]
    pub quotes: bool,
    /// The names of the classes in order; by default those of a model that was trained for the same
    /// task, or else the numbers of the training rows.
    #[serde(default)]
    pub labels: Vec<String>,
    /// True if the model gets a new head, whatever head it has.
    #[serde(default)]
    pub init_head: bool,
    /// The meaning of the labels.
    #[serde(default)]
    pub task: Task,
    /// The reduction of token vectors to one vector; by default the mean for an ordinal model, and
    /// for others that of the family's own head, so that Hugging Face's transformers reads them.
    #[serde(default)]
    pub pooling: Option<Pooling>,
    /// The link of an ordinal model.
    #[serde(default)]
    pub link: Link,
    /// The parametrization of an ordinal model's cutpoints.
    #[serde(default)]
    pub cutpoints: Cutpoints,
    /// Largest number of tokens of a text; longer texts are truncated.
    #[serde(default = "max_length")]
    pub max_length: usize,
    /// The settings of training.
    #[serde(default)]
    pub settings: TrainSettings,
}

fn text_column() -> String {
    Columns::default().text
}

fn label_column() -> String {
    Columns::default().label
}

fn quotes() -> bool {
    Dialect::default().quotes
}

fn max_length() -> usize {
    RunRequest::MAX_LENGTH
}

impl RunRequest {
    /// Current version of the fields. Incompatible changes raise it.
    pub const VERSION: u32 = 1;
    /// The default of `max_length`.
    pub const MAX_LENGTH: usize = 128;

    /// A request with defaults.
    pub fn new(
        model: impl Into<PathBuf>,
        train: impl Into<PathBuf>,
        output: impl Into<PathBuf>,
    ) -> Self {
        Self {
            version: Self::VERSION,
            model: model.into(),
            train: train.into(),
            validation: None,
            test: None,
            output: output.into(),
            force: false,
            text_column: text_column(),
            text_pair_column: None,
            label_column: label_column(),
            delimiter: None,
            quotes: quotes(),
            labels: Vec::new(),
            init_head: false,
            task: Task::default(),
            pooling: None,
            link: Link::default(),
            cutpoints: Cutpoints::default(),
            max_length: Self::MAX_LENGTH,
            settings: TrainSettings::default(),
        }
    }

    /// Checks everything that can be checked without reading a file.
    ///
    /// # Errors
    /// If the version is another one, a setting is out of range, or the labels do not fit the task.
    pub fn check(&self) -> Result<TrainConfig, TrainError> {
        if self.version != Self::VERSION {
            return Err(TrainError::RequestVersion(self.version));
        }
        let config = TrainConfig::new(&self.settings, self.task)?;
        self.check_labels()?;
        Ok(config)
    }

    fn check_labels(&self) -> Result<(), SettingError> {
        if self.task == Task::Regression && !self.labels.is_empty() {
            return Err(SettingError::LabelsOfRegression);
        }
        if self.labels.iter().any(|label| label.trim().is_empty()) {
            return Err(SettingError::EmptyLabel);
        }
        if self.labels.len() == 1 {
            return Err(SettingError::OneLabel);
        }
        let mut sorted: Vec<&String> = self.labels.iter().collect();
        sorted.sort();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(SettingError::LabelTwice(pair[0].clone())),
            None => Ok(()),
        }
    }

    /// The files and folders that are read.
    pub(super) fn inputs(&self) -> Vec<&Path> {
        let files = [Some(&self.model), Some(&self.train)];
        let files = files
            .into_iter()
            .chain([self.validation.as_ref(), self.test.as_ref()]);
        files.flatten().map(PathBuf::as_path).collect()
    }

    pub(super) fn columns(&self) -> Columns {
        Columns {
            text: self.text_column.clone(),
            pair: self.text_pair_column.clone(),
            label: self.label_column.clone(),
            others: Vec::new(),
            dialect: Dialect {
                delimiter: self.delimiter,
                quotes: self.quotes,
            },
        }
    }

    /// The task of a model for these data.
    ///
    /// # Errors
    /// If the numbers of a regression do not fit 32-bit floats.
    pub(super) fn spec(&self, data: &Data) -> Result<TaskSpec, TrainError> {
        let targets = match self.task {
            Task::Regression => Some(TargetStatistics::of(&data.training.targets)),
            Task::Ordinal | Task::Classification | Task::Embedding => None,
        };
        let targets = targets.transpose().map_err(|source| TrainError::Targets {
            path: self.train.clone(),
            source,
        })?;
        Ok(TaskSpec {
            task: self.task,
            labels: data.labels.clone(),
            pooling: self.pooling.unwrap_or(match self.task {
                Task::Ordinal | Task::Embedding => Pooling::Mean,
                Task::Classification | Task::Regression => Pooling::Pooler,
            }),
            link: self.link,
            cutpoints: self.cutpoints,
            // Set at the end of the run.
            decision: self.settings.decision.unwrap_or_default(),
            targets,
            text_pairs: self.text_pair_column.is_some(),
            max_length: self.max_length,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> RunRequest {
        RunRequest::new("model", "train.csv", "run")
    }

    #[test]
    fn requests_survive_a_round_trip() {
        let mut request = request();
        request.test = Some("test.csv".into());
        request.labels = ["bad", "good"].map(String::from).to_vec();
        request.settings.max_steps = Some(7);
        let text = serde_json::to_string(&request).unwrap();
        assert_eq!(serde_json::from_str::<RunRequest>(&text).unwrap(), request);
    }

    #[test]
    fn unknown_fields_and_versions_are_refused() {
        let text = r#"{"version":1,"model":"m","train":"t","output":"o","epochs":3}"#;
        let error = serde_json::from_str::<RunRequest>(text).unwrap_err();
        assert!(error.to_string().starts_with("unknown field `epochs`"));
        let request = RunRequest {
            version: 2,
            ..request()
        };
        let message = "the request has version 2, and this rtune reads 1";
        assert_eq!(request.check().unwrap_err().to_string(), message);
    }

    #[test]
    fn labels_are_checked() {
        let of_regression = "labels names classes, but the task is regression";
        let cases: [(Task, &[&str], Option<&str>); 7] = [
            (Task::Ordinal, &[], None),
            (Task::Ordinal, &["a", "b"], None),
            (Task::Regression, &[], None),
            (Task::Regression, &["a", "b"], Some(of_regression)),
            (
                Task::Classification,
                &["a", " ", "b"],
                Some("labels names a class with no name; separate the names by single commas"),
            ),
            (
                Task::Ordinal,
                &["a"],
                Some("labels needs at least two names"),
            ),
            (
                Task::Ordinal,
                &["b", "a", "b"],
                Some("labels names `b` twice"),
            ),
        ];
        for (task, labels, expected) in cases {
            let labels = labels.iter().map(|label| (*label).to_owned()).collect();
            let request = RunRequest {
                task,
                labels,
                ..request()
            };
            let found = request.check().map(|_| ()).map_err(|e| e.to_string());
            assert_eq!(found.err().as_deref(), expected);
        }
    }

    #[test]
    fn inputs_are_the_files_that_are_read() {
        let mut request = request();
        assert_eq!(
            request.inputs(),
            [Path::new("model"), Path::new("train.csv")]
        );
        request.test = Some("test.csv".into());
        assert_eq!(request.inputs()[2], Path::new("test.csv"));
    }
}

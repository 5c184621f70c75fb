use crate::{PackageError, layout, sha256_file};
use rtune_task::{
    Decision, Link, OrdinalScale, Outputs, Pooling, TargetStatistics, Task, TaskSpec, TextSignature,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The content of `metadata.json`: everything that a consumer of an ONNX folder needs beside the
/// graph and the tokenizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Version of the rtune that wrote the folder.
    pub rtune_version: String,
    /// Task, labels, pooling, link, decision rule and length limit.
    #[serde(flatten)]
    pub spec: TaskFields,
    /// Ascending cutpoints of an ordinal model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cutpoints: Vec<f64>,
    /// The inputs that the model takes. Folders of earlier versions do not state them and take all
    /// three.
    #[serde(default)]
    pub inputs: TextSignature,
    /// The outputs of the model; those of earlier versions have `logits`.
    #[serde(default)]
    pub outputs: Outputs,
    /// True if the output `embedding` is a vector of length 1.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub normalize: bool,
    /// SHA-256 of `tokenizer.json`.
    pub tokenizer_sha256: String,
    /// The quantization of the model, if it is quantized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantization: Option<QuantizationNote>,
}

/// [`TaskSpec`] without the parametrization of the cutpoints: metadata holds the cutpoints
/// themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskFields {
    /// The meaning of the outputs.
    pub task: Task,
    /// Names of the classes in order; empty for regression.
    pub labels: Vec<String>,
    /// The pooling of token vectors into one.
    pub pooling: Pooling,
    /// The link of an ordinal model.
    pub link: Link,
    /// The rule of an ordinal model's labels; older models have the default.
    #[serde(default)]
    pub decision: Decision,
    /// The statistics of the targets that a regression was trained on; older models have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<TargetStatistics>,
    /// True if the model takes pairs of texts; older models take single ones.
    #[serde(default)]
    pub text_pairs: bool,
    /// Maximum number of tokens of a text; longer texts are truncated.
    pub max_length: usize,
}

/// Origin of a quantized model's ranges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuantizationNote {
    /// The range method of the activations.
    pub method: String,
    /// The number of calibration texts.
    pub samples: usize,
}

impl Metadata {
    /// Creates the metadata of a model that `spec` describes, with the default outputs.
    pub fn new(
        spec: &TaskSpec,
        cutpoints: Vec<f64>,
        inputs: TextSignature,
        tokenizer_sha256: String,
    ) -> Self {
        Self {
            rtune_version: env!("CARGO_PKG_VERSION").to_owned(),
            spec: TaskFields {
                task: spec.task,
                labels: spec.labels.clone(),
                pooling: spec.pooling,
                link: spec.link,
                decision: spec.decision,
                targets: spec.targets,
                text_pairs: spec.text_pairs,
                max_length: spec.max_length,
            },
            cutpoints,
            inputs,
            outputs: Outputs::default(),
            normalize: false,
            tokenizer_sha256,
            quantization: None,
        }
    }

    /// Returns the scale of an ordinal model.
    pub fn scale(&self) -> OrdinalScale {
        OrdinalScale::new(self.cutpoints.clone(), self.spec.link)
    }

    /// Returns the metadata as properties of an ONNX file: one `rtune.` key for each field, its
    /// value in JSON. The inputs are left out, since the graph states its own.
    ///
    /// # Errors
    /// If serialization fails, which it cannot for this type; the error type is serde_json's.
    pub fn to_properties(&self) -> Result<BTreeMap<String, String>, PackageError> {
        let json = |source| PackageError::Json {
            path: layout::METADATA.into(),
            source,
        };
        let value = serde_json::to_value(self).map_err(json)?;
        let fields = value.as_object().into_iter().flatten();
        Ok(fields
            .filter(|(key, _)| *key != "inputs")
            .map(|(key, value)| (format!("rtune.{key}"), value.to_string()))
            .collect())
    }

    /// Reads a folder's metadata.
    ///
    /// # Errors
    /// If the file is missing, is not metadata, or has cutpoints that do not fit its labels.
    pub fn read(folder: &Path) -> Result<Self, PackageError> {
        let path = folder.join(layout::METADATA);
        let text = std::fs::read_to_string(&path).map_err(PackageError::read(&path))?;
        let metadata: Self = serde_json::from_str(&text).map_err(|source| PackageError::Json {
            path: path.clone(),
            source,
        })?;
        metadata.check(&path)?;
        Ok(metadata)
    }

    /// Checks that the folder's tokenizer is the one that the model was trained with.
    ///
    /// # Errors
    /// If it is another one, or cannot be read.
    pub fn check_tokenizer(&self, folder: &Path) -> Result<(), PackageError> {
        let path = folder.join(layout::TOKENIZER);
        let found = sha256_file(&path)?;
        if found == self.tokenizer_sha256 {
            return Ok(());
        }
        let problem = format!(
            "sha256 is {found}, metadata.json says {}; this is not the model's tokenizer",
            self.tokenizer_sha256
        );
        Err(PackageError::Property {
            place: path.display().to_string(),
            problem,
        })
    }

    fn check(&self, path: &Path) -> Result<(), PackageError> {
        let expected = self.spec.labels.len().saturating_sub(1);
        let ascending = self.cutpoints.is_sorted_by(|a, b| a < b);
        let (task, decision) = (self.spec.task, self.spec.decision);
        let problem = if task == Task::Ordinal && (self.cutpoints.len() != expected || !ascending) {
            format!(
                "{} labels need {expected} ascending cutpoints, found {:?}",
                self.spec.labels.len(),
                self.cutpoints
            )
        } else if task != Task::Ordinal && decision != Decision::Mode {
            format!("decision is `{decision}`, a rule that only ordinal models have")
        } else {
            let outputs = Outputs::new(task, self.outputs.list().iter().copied());
            match outputs {
                Ok(outputs) if outputs == self.outputs => return Ok(()),
                Ok(outputs) => format!("outputs is {}, expected {outputs}", self.outputs),
                Err(error) => error.to_string(),
            }
        };
        Err(PackageError::Property {
            place: path.display().to_string(),
            problem,
        })
    }

    /// Writes the metadata into a folder.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), PackageError> {
        let path = folder.join(layout::METADATA);
        let text = serde_json::to_string_pretty(self).map_err(|source| PackageError::Json {
            path: path.clone(),
            source,
        })?;
        std::fs::write(&path, text + "\n").map_err(PackageError::write(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtune_task::Cutpoints;
    use rtune_task::Output;

    fn metadata(cutpoints: Vec<f64>) -> Metadata {
        let spec = TaskSpec {
            task: Task::Ordinal,
            labels: ["bad", "fair", "good"].map(String::from).to_vec(),
            pooling: Pooling::Mean,
            link: Link::Probit,
            cutpoints: Cutpoints::Ordered,
            decision: Decision::default(),
            targets: None,
            text_pairs: false,
            max_length: 24,
        };
        Metadata::new(&spec, cutpoints, TextSignature::default(), sha256_of("{}"))
    }

    fn sha256_of(text: &str) -> String {
        crate::sha256_hex(text.as_bytes())
    }

    #[test]
    fn metadata_survives_a_round_trip_bit_by_bit() {
        let folder = tempfile::tempdir().unwrap();
        let mut metadata = metadata(vec![-0.1, 0.1 + 0.2]);
        metadata.quantization = Some(QuantizationNote {
            method: "percentile 99.999".to_owned(),
            samples: 512,
        });
        metadata.write(folder.path()).unwrap();
        assert_eq!(Metadata::read(folder.path()).unwrap(), metadata);
    }

    #[test]
    fn folders_of_earlier_versions_have_the_defaults() {
        let mut json = serde_json::to_value(metadata(vec![-1.0, 1.0])).unwrap();
        json["decision"] = "median".into();
        json["outputs"] = serde_json::json!(["probabilities", "score"]);
        let read = |json| {
            let metadata: Metadata = serde_json::from_value(json).unwrap();
            (metadata.spec.decision, metadata.outputs.to_string())
        };
        let expected = (Decision::Median, "probabilities, score".to_owned());
        assert_eq!(read(json.clone()), expected);
        for field in ["decision", "outputs"] {
            json.as_object_mut().unwrap().remove(field);
        }
        assert_eq!(read(json), (Decision::Mode, "logits".to_owned()));
    }

    #[test]
    fn cutpoints_must_fit_the_labels() {
        let folder = tempfile::tempdir().unwrap();
        let cases: [(&[f64], bool); 4] = [
            (&[-1.0, 1.0], true),
            (&[1.0, -1.0], false),
            (&[1.0], false),
            (&[1.0, 1.0], false),
        ];
        for (cutpoints, fits) in cases {
            metadata(cutpoints.to_vec()).write(folder.path()).unwrap();
            let read = Metadata::read(folder.path());
            assert_eq!(read.is_ok(), fits, "{cutpoints:?}");
        }
    }

    #[test]
    fn fields_must_fit_the_task() {
        let folder = tempfile::tempdir().unwrap();
        type Change = fn(&mut Metadata);
        let cases: [(Change, Option<&str>); 5] = [
            (|m| m.spec.decision = Decision::Mean, None),
            (|m| m.spec.task = Task::Classification, None),
            (
                |m| (m.spec.task, m.spec.decision) = (Task::Classification, Decision::Mean),
                Some("decision is `mean`, a rule that only ordinal models have"),
            ),
            (
                |m| {
                    m.outputs = Outputs::new(m.spec.task, [Output::Probabilities]).unwrap();
                    m.spec.task = Task::Regression;
                },
                Some("outputs: a regression has no classes, and so no `probabilities`"),
            ),
            (
                |m| {
                    m.spec.task = Task::Classification;
                    m.outputs = Outputs::new(m.spec.task, [Output::Probabilities]).unwrap();
                    m.spec.task = Task::Ordinal;
                },
                Some("outputs is probabilities, logits, expected probabilities, logits, score"),
            ),
        ];
        for (change, expected) in cases {
            let mut metadata = metadata(vec![-1.0, 1.0]);
            change(&mut metadata);
            metadata.write(folder.path()).unwrap();
            let found = Metadata::read(folder.path()).map_err(|error| error.to_string());
            match expected {
                None => assert_eq!(found.as_ref(), Ok(&metadata)),
                Some(problem) => assert!(found.unwrap_err().ends_with(problem)),
            }
        }
    }

    #[test]
    fn another_tokenizer_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(layout::TOKENIZER);
        let metadata = metadata(vec![-1.0, 1.0]);
        assert!(metadata.check_tokenizer(folder.path()).is_err());
        std::fs::write(&path, "{}").unwrap();
        metadata.check_tokenizer(folder.path()).unwrap();
        std::fs::write(&path, "{ }").unwrap();
        let error = metadata.check_tokenizer(folder.path()).unwrap_err();
        assert!(error.to_string().contains("not the model's tokenizer"));
    }

    #[test]
    fn properties_have_one_key_for_each_field() {
        let properties = metadata(vec![-1.0, 1.0]).to_properties().unwrap();
        let keys: Vec<_> = properties.keys().map(String::as_str).collect();
        assert_eq!(
            keys,
            [
                "rtune.cutpoints",
                "rtune.decision",
                "rtune.labels",
                "rtune.link",
                "rtune.max_length",
                "rtune.outputs",
                "rtune.pooling",
                "rtune.rtune_version",
                "rtune.task",
                "rtune.text_pairs",
                "rtune.tokenizer_sha256",
            ]
        );
        assert_eq!(properties["rtune.cutpoints"], "[-1.0,1.0]");
        assert_eq!(properties["rtune.link"], "\"probit\"");
        assert_eq!(properties["rtune.decision"], "\"mode\"");
    }
}
